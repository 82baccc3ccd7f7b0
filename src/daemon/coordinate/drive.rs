//! One job from its beginning to its report: what happens is told to the state machine
//! ([`crate::restart::job`]), and what that wants is done to the edge and to systemd.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::facts::Inquiry;
use super::orders::Orders;
use super::sight::Sight;
use super::targets::Wanted;
use crate::config::HostPattern;
use crate::control::command::{Options, Refusal};
use crate::control::jobs::JobId;
use crate::control::units::JobResult;
use crate::edge::close::CloseCode;
use crate::edge::{Departures, Notice, Selection};
use crate::restart::job::{Action, Counts, Event, Job, Order, Target};
use crate::restart::probe::probe;
use crate::restart::report::JobReport;

/// How often a job looks at its counts.
const TICK: Duration = Duration::from_millis(100);

/// Until when most clients have come back that are not told a delay.
pub(super) const USUAL_RETRY_END: Duration = Duration::from_secs(5);

/// How long a unit may take from the request to a healthy probe: `TimeoutStopSec=` and
/// `TimeoutStartSec=` are 90 s each unless set.
const RESTART_WITHIN: Duration = Duration::from_secs(180);

/// How long a backend may take to shake hands.
const PROBE_WITHIN: Duration = Duration::from_secs(5);

/// What the control loop is told.
pub(in crate::daemon) enum Update {
    Advanced {
        job: JobId,
        state: &'static str,
        progress: u8,
        counts: BTreeMap<&'static str, u64>,
    },
    Raise {
        service: String,
        unit: String,
        why: String,
    },
    Clear {
        service: String,
    },
    Ended {
        job: JobId,
        report: Box<JobReport>,
        learned: Option<f64>,
    },
    /// It is known what systemd has in mind with a unit that is to be drained.
    UnitAsked {
        all: Vec<Wanted>,
        options: Options,
        stops: bool,
        answer: oneshot::Sender<Result<Vec<JobId>, Refusal>>,
    },
}

/// What a job waits for. The departures come back with the answer.
type Answer = Pin<Box<dyn Future<Output = (Option<Departures>, Option<Event>)>>>;

/// The task of one job.
pub(super) struct Drive {
    id: JobId,
    inquiry: Inquiry,
    code: Option<CloseCode>,
    orders: Rc<Orders>,
    job: Job,
    began: Instant,
    answers: FuturesUnordered<Answer>,
    departures: Option<Departures>,
    /// As they were before the departures were lent to an answer.
    seen: (u64, u64),
    sight: Sight,
}

impl Drive {
    pub(super) fn new(
        id: JobId,
        inquiry: Inquiry,
        options: Options,
        code: Option<CloseCode>,
        orders: Rc<Orders>,
    ) -> Self {
        let settings = inquiry.settings();
        let sight = Sight::of(&inquiry);
        let job = Job::new(Order {
            kind: inquiry.kind,
            service: inquiry.wanted.service.clone(),
            targets: inquiry.wanted.targets.clone(),
            clients: inquiry.clients(),
            newcomers_per_second: inquiry.newcomers_per_second,
            force: options.force,
            spread: settings.spread,
            retry: settings.retry.unwrap_or(Duration::ZERO..=USUAL_RETRY_END),
            deadline: settings.deadline,
            close_timeout: settings.close_timeout,
            hold: settings.hold,
            restart_within: RESTART_WITHIN,
            cores: inquiry.edge.workers(),
            known_rate: inquiry.known_rate,
        });
        Self {
            id,
            inquiry,
            code,
            orders,
            job,
            began: Instant::now(),
            answers: FuturesUnordered::new(),
            departures: None,
            seen: (0, 0),
            sight,
        }
    }

    /// Until the job is over.
    pub(super) async fn run(mut self, updates: mpsc::Sender<Update>) {
        let mut actions = VecDeque::from(self.job.begin());
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut shown = None;
        loop {
            while let Some(action) = actions.pop_front() {
                if let Action::Finish(report) = action {
                    let learned = self.job.learned_rate();
                    let _ = updates
                        .send(Update::Ended {
                            job: self.id,
                            report,
                            learned,
                        })
                        .await;
                    return;
                }
                self.act(action, &updates).await;
            }
            let event = tokio::select! {
                _ = tick.tick() => Some(Event::Tick(self.counts())),
                Some((departures, event)) = self.answers.next() => {
                    if departures.is_some() {
                        self.departures = departures;
                    }
                    event
                }
                event = self.orders.next() => Some(event),
            };
            let Some(event) = event else { continue };
            actions.extend(self.job.on(self.began.elapsed(), event));
            let now = (self.job.word(), self.job.progress(), self.shown_counts());
            if shown.as_ref() != Some(&now) {
                let (state, progress, counts) = now.clone();
                shown = Some(now);
                let _ = updates
                    .send(Update::Advanced {
                        job: self.id,
                        state,
                        progress,
                        counts,
                    })
                    .await;
            }
        }
    }

    async fn act(&mut self, action: Action, updates: &mpsc::Sender<Update>) {
        let service = self.inquiry.wanted.service.clone();
        match action {
            Action::Check => {
                let inquiry = self.inquiry.clone();
                self.answer(async move { Event::Checked(inquiry.plan().await.refusals) });
            }
            Action::CloseHold(target) => {
                self.hold(&target, true);
                let selection = Selection {
                    service,
                    backend: target.backend,
                };
                let departures = self.inquiry.edge.departures(&selection).await;
                self.departures = Some(departures);
            }
            Action::Tell {
                count,
                within,
                soon,
            } => self.tell(count, within, soon),
            // Who waits for it sees it by the state.
            Action::Drained => {}
            Action::RestartUnit(unit) => {
                let units = Rc::clone(&self.inquiry.units);
                self.answer(async move {
                    let result = match units.restart(&unit, RESTART_WITHIN).await {
                        Ok(JobResult::Done) => Ok(()),
                        Ok(result) => Err(format!("systemd's job ended as {result}")),
                        Err(error) => Err(error.to_string()),
                    };
                    Event::UnitJob(result)
                });
            }
            Action::Probe { after } => self.probe(after),
            Action::LetIn(count) => {
                if let Some(service) = self.inquiry.service() {
                    service
                        .hold()
                        .let_in(usize::try_from(count).unwrap_or(usize::MAX));
                }
            }
            Action::OpenHold(target) => {
                self.hold(&target, false);
                self.departures = None;
            }
            Action::Raise { unit, why } => {
                let _ = updates.send(Update::Raise { service, unit, why }).await;
            }
            Action::Clear { .. } => {
                let _ = updates.send(Update::Clear { service }).await;
            }
            Action::Finish(_) => unreachable!("the loop ends with it"),
        }
    }

    fn answer(&self, event: impl Future<Output = Event> + 'static) {
        self.answers
            .push(Box::pin(async move { (None, Some(event.await)) }));
    }

    /// Newcomers do not reach the target, or do so again.
    fn hold(&self, target: &Target, hold: bool) {
        let Some(service) = self.inquiry.service() else {
            return;
        };
        match &target.backend {
            None if hold => service.hold().close(),
            None => service.hold().open(),
            Some(address) => {
                let mut backends = service.backends().iter();
                if let Some(backend) = backends.find(|one| one.address() == address) {
                    backend.set_drained(hold);
                }
            }
        }
    }

    fn tell(&mut self, count: u64, within: Duration, soon: bool) {
        let Some(mut departures) = self.departures.take() else {
            return;
        };
        let settings = self.inquiry.settings();
        let mut notice = Notice::restart(&settings, Instant::now() + within);
        if soon && let Some(retry) = &mut notice.retry {
            let (from, to) = (*retry.start(), *retry.end());
            *retry = from..=from + to.saturating_sub(from) / 4;
        }
        if let Some(code) = self.code {
            notice.code = code;
            notice.reason = "the service stops".to_owned();
            notice.retry = None;
        }
        self.seen = (departures.left() as u64, departures.untold() as u64);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        self.answers.push(Box::pin(async move {
            let told = departures.tell(count, &notice).await as u64;
            (Some(departures), Some(Event::Told(told)))
        }));
    }

    fn probe(&self, after: Duration) {
        let Some(service) = self.inquiry.service() else {
            return;
        };
        let target = self.job.target().and_then(|one| one.backend.clone());
        let addresses: Vec<_> = service
            .backends()
            .iter()
            .map(|one| one.address().clone())
            .filter(|address| target.as_ref().is_none_or(|one| one == address))
            .collect();
        let host = service.host().map_or_else(
            || "localhost".to_owned(),
            |host| match host {
                HostPattern::Exact(name) => name.clone(),
                HostPattern::Wildcard(domain) => format!("probe.{domain}"),
            },
        );
        let path = service.path().to_owned();
        let unit = self.job.target().and_then(|one| one.unit.clone());
        let units = Rc::clone(&self.inquiry.units);
        self.answer(async move {
            sleep(after).await;
            for address in addresses {
                let Err(why) = probe(&address, &host, &path, PROBE_WITHIN).await else {
                    continue;
                };
                let Some(unit) = unit else {
                    return Event::Probed(Err(why.to_string()));
                };
                // Not to wait for what will not come.
                return match units.state(&unit).await {
                    Ok(state) if state.is_down() => {
                        Event::UnitDown(format!("it ended again ({})", state.result))
                    }
                    _ => Event::Probed(Err(why.to_string())),
                };
            }
            Event::Probed(Ok(()))
        });
    }

    fn counts(&mut self) -> Counts {
        let (left, untold) = match &self.departures {
            Some(departures) => (departures.left() as u64, departures.untold() as u64),
            None => self.seen,
        };
        Counts {
            left,
            untold,
            ..self.sight.look(&self.inquiry)
        }
    }

    fn shown_counts(&self) -> BTreeMap<&'static str, u64> {
        let outcome = crate::restart::report::Outcome::Done;
        let report = self.job.report(self.began.elapsed(), outcome, None);
        BTreeMap::from([
            ("clients", report.clients),
            ("told", report.drain.told),
            ("closed_cleanly", report.drain.closed_cleanly),
            ("left", report.drain.remaining),
            ("held", report.held),
            ("released", report.released),
            ("back", report.returns.back),
        ])
    }
}
