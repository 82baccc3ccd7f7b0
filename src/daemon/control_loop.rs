//! The control loop: whatever happens becomes an event of the lifecycle, and what that answers is
//! carried out.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::certificates::Happened;
use super::handover::Unprepared;
use super::life::{BUS_DEADLINE, Daemon};
use crate::control::command::{Answer, Command, Refusal, Request, UnitCommand};
use crate::control::jobs::{JobId, JobKind, Report};
use crate::control::message_id;
use crate::control::problem::{self, Problem, Severity};
use crate::control::signals::Signal;
use crate::edge::Departure;
use crate::event;
use crate::restart::handoff::{Departing, Predecessor, Progress, Successor};
use crate::restart::lifecycle::{Action, Event, Phase};

/// How often the state is looked at for `STATUS=` and for progress reports.
pub(super) const TICK: Duration = Duration::from_millis(500);

/// How long a process that has nothing left to do waits for its predecessor, whose own deadline
/// is shorter.
const OUTWAIT: Duration = Duration::from_secs(10 * 60);

/// How long clients have after a second SIGTERM.
const HURRY: Duration = Duration::from_secs(1);

/// Why a request is refused.
const UNDER_WAY: &str = "a handoff or a stop is under way already";

/// A future that the loop waits for among others. There is at most one of a kind.
pub(super) type Pending<T> = Pin<Box<dyn Future<Output = T>>>;

impl Daemon {
    pub(super) async fn control(&mut self, mut predecessor: Option<Predecessor>) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watchdog = self.notifier.watchdog_interval().map(interval);
        let mut preparing: Option<Pending<Result<Successor, Unprepared>>> = None;
        let mut draining: Option<Pending<()>> = None;
        let mut answering: Option<Pending<bool>> = None;
        // With KillMode=mixed systemd kills what is left when the main process ends: outwait a
        // predecessor that is still draining, unless asked once more.
        let mut outwait = None;
        while self.phase != Phase::Ended || predecessor.is_some() {
            let mut answer = None;
            let mut failure = None;
            let event = tokio::select! {
                signal = self.signals.recv() => Some(match signal {
                    Signal::Terminate => Event::Terminate,
                    Signal::HandOff => Event::HandOff,
                    Signal::Reload => Event::Reload,
                }),
                Some(request) = self.inbox.requests.recv() => match request {
                    Request::Do { command, answer: begun } => {
                        let (event, left) = self.take(command, begun);
                        answer = left;
                        event
                    }
                    Request::DoUnit { unit, command, answer } => {
                        match command {
                            UnitCommand::Drain(options) => self.drain_unit(&unit, options, answer),
                            UnitCommand::Resume => {
                                let _ = answer.send(self.resume_unit(&unit));
                            }
                        }
                        None
                    }
                    Request::Plan { service, answer } => {
                        self.plan(&service, answer);
                        None
                    }
                    Request::Forecast { answer } => {
                        self.foretell(answer);
                        None
                    }
                    Request::Failures { answer } => {
                        self.look_at_failures();
                        // Who has gone away meanwhile does not want it any more.
                        let _ = answer.send(self.failures.shown(self.edge.ledger()));
                        None
                    }
                    Request::Clients { service, limit, answer } => {
                        self.answer_clients(service, limit, answer);
                        None
                    }
                },
                result = done(&mut preparing) => {
                    if result.is_ok() {
                        self.advance_upgrade("handing over");
                    }
                    Some(match self.commit(result).await {
                        Ok(()) => Event::SuccessorServes,
                        Err(refusal) => {
                            failure = Some(refusal);
                            Event::SuccessorFailed
                        }
                    })
                }
                () = done(&mut draining) => Some(Event::Drained),
                Some(update) = self.updates.recv() => {
                    self.note(update);
                    None
                }
                happened = self.certificates.next() => {
                    match happened {
                        Happened::Found(update) => self.note_certificates(update),
                        Happened::Died => self.note_unwatched(),
                        Happened::Renewed(attempt) => self.note_renewal(attempt),
                    }
                    None
                }
                clock = self.clock.next() => {
                    self.note_clock(clock);
                    None
                }
                announced = self.logind.next() => {
                    self.note_host(announced);
                    None
                }
                () = done(&mut self.bidding) => {
                    self.logind.release();
                    None
                }
                () = gone(&self.departing), if self.phase == Phase::HandedOver => {
                    event!(
                        ERROR,
                        message_id::SUCCESSOR_ENDED,
                        baton_clients = self.edge.clients(),
                        "the successor has ended: this process does, too, at once"
                    );
                    Some(Event::SuccessorGone)
                }
                progress = next_progress(&mut predecessor) => {
                    self.note_predecessor(progress, &mut predecessor);
                    None
                }
                () = past(outwait) => break,
                _ = tick.tick() => {
                    self.tell_status().await;
                    self.rotate_tickets();
                    self.coordinator.look(&self.edge);
                    self.look_for_healed();
                    self.look_at_failures();
                    self.look_at_keeper();
                    self.renew();
                    self.look_at_clock();
                    self.probe();
                    None
                }
                () = due(&mut watchdog), if answering.is_none() => {
                    let edge = Rc::clone(&self.edge);
                    answering = Some(Box::pin(async move { edge.ping().await }));
                    None
                }
                alive = done(&mut answering) => {
                    // Both loops have answered: this one and every worker's.
                    if alive {
                        self.notifier.watchdog();
                    }
                    None
                }
            };
            let Some(event) = event else { continue };
            if self.phase == Phase::Ended && event == Event::Terminate {
                break;
            }
            let (phase, action) = self.phase.on(event);
            self.phase = phase;
            self.show();
            match action {
                Action::Nothing => {}
                Action::Refuse => {
                    tracing::warn!("{UNDER_WAY}");
                    if let Some(answer) = answer {
                        // Who has gone away meanwhile finds it in the log.
                        let _ = answer.send(Err(Refusal::Busy(UNDER_WAY.to_owned())));
                    }
                }
                Action::Reload => {
                    let job = self.begin(JobKind::Reload, "reading the configuration", answer);
                    let outcome = self.reload().await;
                    self.end(job, outcome.map_err(Refusal::ConfigurationRefused));
                }
                Action::StartSuccessor if self.worse_on_disk().is_some() => {
                    (self.phase, _) = self.phase.on(Event::SuccessorFailed);
                    self.refuse_for_certificate(answer);
                }
                Action::StartSuccessor if self.coordinator.busy().is_some() => {
                    (self.phase, _) = self.phase.on(Event::SuccessorFailed);
                    self.refuse_for_job(answer);
                }
                Action::StartSuccessor => {
                    let job = self.begin(JobKind::Upgrade, "starting the successor", answer);
                    self.upgrading = Some(job);
                    preparing = Some(self.prepare());
                }
                Action::CarryOn => {
                    preparing = None;
                    if let Some(Refusal::HandoffFailed(why)) = &failure {
                        self.note_upgrade_failed(why);
                    }
                    if let Some(refusal) = failure {
                        self.end_upgrade(Err(refusal));
                    }
                }
                Action::HandOver => {
                    self.certificates.let_go();
                    draining = Some(self.drain(Departure::Restart, true, None));
                    if let Some(bus) = &mut self.bus {
                        bus.let_name_go(BUS_DEADLINE).await;
                    }
                    let successor = self.departing.as_ref().map(Departing::pid);
                    self.end_upgrade(Ok(match successor {
                        Some(pid) => format!("process {} serves", pid.as_raw_nonzero()),
                        None => "the successor serves".to_owned(),
                    }));
                }
                Action::AbandonAndStop | Action::Stop => {
                    // Dropping the future ends the successor.
                    preparing = None;
                    let outcome = Refusal::HandoffFailed("the process was asked to end".to_owned());
                    self.end_upgrade(Err(outcome));
                    self.coordinator.cancel_all();
                    self.departure = self.stop().await;
                    draining = Some(self.drain(self.departure, false, None));
                }
                Action::Hurry => {
                    draining = Some(self.drain(self.departure, false, Some(HURRY)));
                }
                Action::Exit => {
                    self.hear_jobs_out().await;
                    self.report().await;
                    outwait = Some(Instant::now() + OUTWAIT);
                }
            }
        }
    }
}

impl Daemon {
    /// What a command is to the lifecycle; then the answer comes from there. The others are begun
    /// at once.
    fn take(&mut self, command: Command, answer: Answer) -> (Option<Event>, Option<Answer>) {
        let outcome = match command {
            Command::Reload => return (Some(Event::Reload), Some(answer)),
            Command::Upgrade => return (Some(Event::HandOff), Some(answer)),
            Command::Restart { service, options } => self.restart_service(&service, options),
            Command::Drain { service, options } => self.drain_service(&service, options),
            Command::Resume { service } => self.resume(&service),
            Command::Cancel { job } => self.cancel(job),
        };
        let _ = answer.send(outcome);
        (None, None)
    }

    /// A service's restart cannot cross over to a successor.
    fn refuse_for_job(&mut self, answer: Option<Answer>) {
        let Some((job, kind, service)) = self.coordinator.busy() else {
            return;
        };
        let text = format!(
            "job {job} ({kind} of {service}) is under way; `batonctl cancel {job}` ends it"
        );
        tracing::warn!("no handoff: {text}");
        if let Some(answer) = answer {
            let _ = answer.send(Err(Refusal::Busy(text)));
        }
        self.show();
    }

    /// A job begins, and whoever asked for it gets its number.
    fn begin(&mut self, kind: JobKind, state: &'static str, answer: Option<Answer>) -> JobId {
        let job = self.jobs.start(kind, None, state);
        self.show();
        if let Some(answer) = answer {
            // Who has gone away meanwhile finds it in the log.
            let _ = answer.send(Ok(job));
        }
        job
    }

    fn end(&mut self, job: JobId, outcome: Result<String, Refusal>) {
        self.jobs.end(job, outcome, Report::new());
        self.show();
    }

    fn note_upgrade_failed(&mut self, failure: &str) {
        self.problems.raise(Problem {
            name: problem::UPGRADE_FAILED,
            subject: String::new(),
            severity: Severity::Warning,
            what: format!("upgrade failed: {}", beginning(failure)),
            remedy:
                "this process goes on; see `journalctl -u batond` for what the successor said, \
                     and try `batonctl upgrade` again, or `batonctl reload` to go on without it"
                    .to_owned(),
            since: Timestamp::now(),
        });
        // Whoever asked may look there next.
        self.notifier.status(&self.status());
    }

    /// Half of it is done: the successor is ready.
    fn advance_upgrade(&mut self, state: &'static str) {
        if let Some(job) = self.upgrading {
            self.jobs.advance(job, state, 50, BTreeMap::new());
            self.show();
        }
    }

    fn end_upgrade(&mut self, outcome: Result<String, Refusal>) {
        if let Some(job) = self.upgrading.take() {
            self.end(job, outcome);
        }
    }
}

/// What fits on the one line of `STATUS=`. A mistake in the configuration is on the second line.
fn beginning(reason: &str) -> String {
    let lines: Vec<&str> = reason.lines().take(2).collect();
    lines.join(": ")
}

/// Resolves when the future does, and takes it away; never without one.
async fn done<T>(pending: &mut Option<Pending<T>>) -> T {
    match pending {
        None => std::future::pending().await,
        Some(future) => {
            let result = future.as_mut().await;
            *pending = None;
            result
        }
    }
}

async fn due(interval: &mut Option<tokio::time::Interval>) {
    match interval {
        None => std::future::pending().await,
        Some(interval) => {
            interval.tick().await;
        }
    }
}

async fn past(at: Option<Instant>) {
    match at {
        None => std::future::pending().await,
        Some(at) => tokio::time::sleep_until(at).await,
    }
}

async fn gone(successor: &Option<Departing>) {
    match successor {
        None => std::future::pending().await,
        Some(successor) => successor.ended().await,
    }
}

async fn next_progress(predecessor: &mut Option<Predecessor>) -> Option<Progress> {
    match predecessor {
        None => std::future::pending().await,
        Some(predecessor) => predecessor.next_progress().await,
    }
}
