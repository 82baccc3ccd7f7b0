//! The restart of services: what is asked for becomes jobs, and each job has a task that drives
//! it ([`drive`]). Before one begins, [`facts`] are gathered for the interlock. [`targets`] says
//! which backends are meant. What a lost backend means is found out by [`losses`].

mod drive;
mod facts;
mod host;
mod losses;
mod targets;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

pub(super) use self::drive::Update;
use self::drive::{Drive, Told};
use self::facts::Inquiry;
pub(super) use self::losses::Losses;
use self::targets::Wanted;
use super::life::Daemon;
use crate::control::command::{Options, Refusal};
use crate::control::jobs::{JobId, JobKind, Report};
use crate::control::message_id;
use crate::control::problem::{self, Problem, Severity};
use crate::control::units::{JobType, Units};
use crate::edge::close::CloseCode;
use crate::edge::{Edge, Fate, Loss};
use crate::event;
use crate::restart::interlock::Plan;
use crate::restart::job::Kind;
use crate::restart::lifecycle::Phase;
use crate::restart::report::{JobReport, Outcome};

/// Commands that may wait for a job's task.
const ORDERS: usize = 16;

/// What jobs have told and the control loop has not heard yet. A job waits for it.
const UPDATES: usize = 64;

/// Over how many looks, half a second apart, the usual rate of newcomers is known.
const LOOKS: usize = 60;

/// All that restarts services.
pub(super) struct Coordinator {
    units: Rc<Units>,
    running: Vec<Running>,
    /// Of each service.
    arrivals: HashMap<String, Arrivals>,
    /// Clients a second that the host took back.
    known_rate: Option<f64>,
    /// What a service's unit took to be healthy again the last time.
    restart_took: HashMap<String, Duration>,
    pub(super) host_shutdown: bool,
    updates: mpsc::Sender<Update>,
}

/// How many came to a service between two looks.
#[derive(Default)]
struct Arrivals {
    /// In all, at the last look.
    total: u64,
    /// The latest last.
    lately: VecDeque<u64>,
}

impl Arrivals {
    fn look(&mut self, total: u64, counts: bool) {
        let came = total.saturating_sub(std::mem::replace(&mut self.total, total));
        if counts {
            self.lately.push_back(came);
        }
        if self.lately.len() > LOOKS {
            self.lately.pop_front();
        }
    }

    /// The lower quartile, since a crowd that comes back from a crash is not the rule. Too low an
    /// estimate takes a newcomer for one who is back, and that one has shown as well that one can
    /// come.
    fn at_a_time(&self) -> f64 {
        let mut sorted: Vec<u64> = self.lately.iter().copied().collect();
        sorted.sort_unstable();
        let quartile = sorted.get(sorted.len() / 4);
        quartile.map_or(0.0, |came| *came as f64)
    }
}

/// A job that runs.
struct Running {
    job: JobId,
    kind: Kind,
    wanted: Wanted,
    orders: mpsc::Sender<Told>,
}

impl Coordinator {
    pub(super) fn new(bus: Option<&str>) -> (Self, mpsc::Receiver<Update>) {
        let (updates, received) = mpsc::channel(UPDATES);
        let coordinator = Self {
            units: Rc::new(Units::connect(bus)),
            running: Vec::new(),
            arrivals: HashMap::new(),
            known_rate: None,
            restart_took: HashMap::new(),
            host_shutdown: false,
            updates,
        };
        (coordinator, received)
    }

    /// Comes every half second. While a service is restarted, most who come are those who were
    /// told, so that time is left out.
    pub(super) fn look(&mut self, edge: &Edge) {
        let services = edge.services();
        self.arrivals
            .retain(|name, _| services.iter().any(|one| one.name == *name));
        for service in services {
            let seen = self.arrivals.entry(service.name.clone()).or_default();
            let mut running = self.running.iter();
            let counts = running.all(|one| one.wanted.service != service.name);
            seen.look(service.counters().arrived, counts);
        }
    }

    /// Newcomers a second lately.
    fn newcomers(&self, service: &str) -> f64 {
        let seen = self.arrivals.get(service).map(Arrivals::at_a_time);
        seen.unwrap_or_default() / super::control_loop::TICK.as_secs_f64()
    }

    fn in_the_way(&self, wanted: &Wanted) -> Option<&Running> {
        let mut running = self.running.iter();
        running.find(|one| one.wanted.overlaps(wanted))
    }

    /// What restarts a service now, if anything does.
    pub(super) fn busy(&self) -> Option<(JobId, &'static str, &str)> {
        let one = self.running.first()?;
        Some((one.job, one.kind.word(), &one.wanted.service))
    }

    /// Every job that runs ends, with its hold open: this process goes away.
    pub(super) fn cancel_all(&self) {
        for one in &self.running {
            let _ = one.orders.try_send(Told::Cancel);
        }
    }

    /// Every job that runs ends: the host goes away.
    pub(super) fn host_goes_down(&mut self) {
        self.host_shutdown = true;
        for one in &self.running {
            let _ = one.orders.try_send(Told::HostShutdown);
        }
    }

    pub(super) fn ended(&mut self, job: JobId) {
        self.running.retain(|one| one.job != job);
    }
}

impl Daemon {
    /// Begins to restart a service.
    pub(super) fn restart_service(
        &mut self,
        service: &str,
        options: Options,
    ) -> Result<JobId, Refusal> {
        let wanted = Wanted::restart(&self.edge, service)?;
        self.coordinate(Kind::Restart, wanted, options, None)
    }

    /// Begins to send the clients of a service away; it is brought back by [`Self::resume`].
    pub(super) fn drain_service(
        &mut self,
        service: &str,
        options: Options,
    ) -> Result<JobId, Refusal> {
        let wanted = Wanted::all(&self.edge, service)?;
        self.coordinate(Kind::Drain, wanted, options, None)
    }

    /// What is behind a unit that systemd is about to stop: begins a drain of each service that
    /// the unit serves. None, where there is nothing to do: its backend has gone already, a
    /// restart of ours is the reason, or the host goes down.
    pub(super) fn drain_unit(
        &mut self,
        unit: &str,
        options: Options,
        answer: oneshot::Sender<Result<Vec<JobId>, Refusal>>,
    ) {
        let all = match Wanted::of_unit(&self.edge, unit) {
            Ok(all) => all,
            Err(refusal) => {
                let _ = answer.send(Err(refusal));
                return;
            }
        };
        let updates = self.coordinator.updates.clone();
        let units = Rc::clone(&self.coordinator.units);
        let host_goes_down = self.coordinator.host_shutdown;
        let unit = unit.to_owned();
        tokio::task::spawn_local(async move {
            if host_goes_down {
                let _ = answer.send(Ok(Vec::new()));
                return;
            }
            let stops = match units.state(&unit).await {
                // Nobody is about to stop it, or it has gone already.
                Ok(state) if state.job.is_none() || !state.is_up() => {
                    let _ = answer.send(Ok(Vec::new()));
                    return;
                }
                Ok(state) => state.job == Some(JobType::Stop),
                Err(error) => {
                    tracing::debug!("why does {unit} stop? {error}");
                    false
                }
            };
            let asked = Update::UnitAsked {
                all,
                options,
                stops,
                answer,
            };
            let _ = updates.send(asked).await;
        });
    }

    /// The second half of [`Self::drain_unit`], when it is known why the unit stops.
    pub(super) fn drain_of_unit(
        &mut self,
        all: Vec<Wanted>,
        options: Options,
        stops: bool,
    ) -> Result<Vec<JobId>, Refusal> {
        let code = stops.then_some(CloseCode::GOING_AWAY);
        let mut jobs = Vec::new();
        for wanted in all {
            match self.coordinator.in_the_way(&wanted) {
                // It has told everybody already.
                Some(running) if running.kind == Kind::Restart => continue,
                Some(running) => jobs.push(running.job),
                None => jobs.push(self.coordinate(Kind::Drain, wanted, options, code)?),
            }
        }
        Ok(jobs)
    }

    /// Brings a service that was drained back.
    pub(super) fn resume(&mut self, service: &str) -> Result<JobId, Refusal> {
        Wanted::all(&self.edge, service)?;
        let drained = |one: &&Running| one.kind == Kind::Drain && one.wanted.service == service;
        let Some(running) = self.coordinator.running.iter().find(drained) else {
            return Err(Refusal::NotFound(format!(
                "service {service:?} is not drained"
            )));
        };
        let _ = running.orders.try_send(Told::Resume);
        Ok(running.job)
    }

    /// The unit runs again; nothing to do, if it was not drained.
    pub(super) fn resume_unit(&mut self, unit: &str) -> Result<Vec<JobId>, Refusal> {
        let all = Wanted::of_unit(&self.edge, unit)?;
        let mut jobs = Vec::new();
        for one in &self.coordinator.running {
            if one.kind == Kind::Drain && all.iter().any(|wanted| wanted.overlaps(&one.wanted)) {
                let _ = one.orders.try_send(Told::Resume);
                jobs.push(one.job);
            }
        }
        Ok(jobs)
    }

    /// Returns the service of a job to normal.
    pub(super) fn cancel(&mut self, job: JobId) -> Result<JobId, Refusal> {
        let running = self.coordinator.running.iter().find(|one| one.job == job);
        let Some(running) = running else {
            let known = self.jobs.list().iter().any(|one| one.id == job);
            return Err(if known {
                Refusal::Busy(format!("job {job} cannot be cancelled (any more)"))
            } else {
                Refusal::NotFound(format!("there is no job {job}"))
            });
        };
        let _ = running.orders.try_send(Told::Cancel);
        Ok(job)
    }

    /// What a restart would do. Nothing is done.
    pub(super) fn plan(
        &mut self,
        service: &str,
        answer: oneshot::Sender<Result<Box<Plan>, Refusal>>,
    ) {
        let inquiry = match Wanted::restart(&self.edge, service) {
            Ok(wanted) => self.inquiry(&wanted, Kind::Restart),
            Err(refusal) => {
                let _ = answer.send(Err(refusal));
                return;
            }
        };
        tokio::task::spawn_local(async move {
            let _ = answer.send(Ok(Box::new(inquiry.plan().await)));
        });
    }

    fn inquiry(&self, wanted: &Wanted, kind: Kind) -> Inquiry {
        let coordinator = &self.coordinator;
        Inquiry {
            kept: self.edge.service(&wanted.service),
            edge: Rc::clone(&self.edge),
            units: Rc::clone(&coordinator.units),
            wanted: wanted.clone(),
            kind,
            config: self.args.config.clone(),
            tickets: Arc::clone(&self.tickets),
            in_use: Arc::clone(&self.in_use),
            known_rate: coordinator.known_rate,
            newcomers_per_second: coordinator.newcomers(&wanted.service),
            other_job: coordinator
                .in_the_way(wanted)
                .map(|one| (one.job, one.kind.word().to_owned())),
            host_shutdown: coordinator.host_shutdown,
            restart_took: coordinator.restart_took.get(&wanted.service).copied(),
        }
    }

    fn coordinate(
        &mut self,
        kind: Kind,
        wanted: Wanted,
        options: Options,
        code: Option<CloseCode>,
    ) -> Result<JobId, Refusal> {
        if let Some(running) = self.coordinator.in_the_way(&wanted) {
            let (job, word) = (running.job, running.kind.word());
            let service = &wanted.service;
            let text = format!("job {job} ({word} of {service}) is under way");
            return Err(Refusal::Busy(text));
        }
        if self.phase != Phase::Serving {
            let text = "a handoff or a stop of batond is under way";
            return Err(Refusal::Busy(text.to_owned()));
        }
        let inquiry = self.inquiry(&wanted, kind);
        let (orders, told) = mpsc::channel(ORDERS);
        let shown = match kind {
            Kind::Restart => JobKind::Restart,
            Kind::Drain => JobKind::Drain,
        };
        let service = wanted.service.clone();
        let job = self.jobs.start(shown, Some(service.clone()), "checking");
        event!(
            INFO,
            message_id::JOB_STARTED,
            baton_service = service.as_str(),
            baton_job = job,
            "service.{service}: {} begins (job {job})",
            kind.word()
        );
        self.coordinator.running.push(Running {
            job,
            kind,
            wanted,
            orders,
        });
        let drive = Drive::new(job, inquiry, options, code, told);
        tokio::task::spawn_local(drive.run(self.coordinator.updates.clone()));
        self.show();
        Ok(job)
    }

    /// Something has become of a job.
    pub(super) fn note(&mut self, update: Update) {
        match update {
            Update::Advanced {
                job,
                state,
                progress,
                counts,
            } => self.jobs.advance(job, state, progress, counts),
            Update::Raise { service, unit, why } => self.problems.raise(Problem {
                name: problem::BACKEND_NOT_BACK,
                subject: format!("service.{service}"),
                severity: Severity::Critical,
                what: format!("{unit} is not back: {why}"),
                remedy: format!(
                    "look at `systemctl status {unit}` and `journalctl -u {unit}`; newcomers are \
                     held meanwhile, and let in when it answers"
                ),
                since: Timestamp::now(),
            }),
            Update::Clear { service } => self.back(&service),
            Update::Ended {
                job,
                report,
                learned,
            } => self.job_ended(job, &report, learned),
            Update::UnitAsked {
                all,
                options,
                stops,
                answer,
            } => {
                let _ = answer.send(self.drain_of_unit(all, options, stops));
            }
        }
        self.show();
    }

    /// A service is well again.
    fn back(&mut self, service: &str) {
        let subject = format!("service.{service}");
        self.problems.clear(problem::BACKEND_NOT_BACK, &subject);
    }

    /// A backend that did not come back heals without a job.
    pub(super) fn look_for_healed(&mut self) {
        let raised: Vec<String> = self
            .problems
            .shown()
            .iter()
            .filter(|one| one.name == problem::BACKEND_NOT_BACK)
            .filter_map(|one| one.subject.strip_prefix("service.").map(str::to_owned))
            .collect();
        for name in raised {
            let healed = match self.edge.service(&name) {
                None => true,
                Some(service) => {
                    let backends = service.backends();
                    service.hold().held() == 0 && backends.iter().any(|one| one.clients() > 0)
                }
            };
            if healed {
                self.back(&name);
            }
        }
    }

    fn job_ended(&mut self, job: JobId, report: &JobReport, learned: Option<f64>) {
        self.coordinator.ended(job);
        if learned.is_some() {
            self.coordinator.known_rate = learned;
        }
        let longest = report.units.iter().filter_map(|one| one.restarted_ms).max();
        if let Some(ms) = longest {
            let took = Duration::from_millis(ms);
            let service = report.service.clone();
            self.coordinator.restart_took.insert(service, took);
        }
        let outcome = outcome(report);
        macro_rules! tell {
            ($level:ident, $id:ident) => {
                event!(
                    $level,
                    message_id::$id,
                    baton_service = report.service.as_str(),
                    baton_job = job,
                    baton_told = report.drain.told,
                    baton_closed_cleanly = report.drain.closed_cleanly,
                    baton_timed_out = report.drain.timed_out,
                    baton_discarded = report.drain.discarded_messages,
                    baton_held = report.held,
                    baton_refused = report.refused,
                    baton_back = report.returns.back,
                    "{report}"
                )
            };
        }
        if outcome.is_ok() {
            tell!(INFO, JOB_DONE);
        } else {
            tell!(WARN, JOB_FAILED);
        }
        self.jobs.end(job, outcome, figures(report));
    }
}

/// What the operator is told of the end.
fn outcome(report: &JobReport) -> Result<String, Refusal> {
    let text = report.to_string();
    match report.outcome {
        Outcome::Done => Ok(text),
        Outcome::Refused => Err(Refusal::Interlock(text)),
        Outcome::Canceled | Outcome::HostShutdown => Err(Refusal::Canceled(text)),
        Outcome::CanaryLost => Err(Refusal::CanaryLost(text)),
        Outcome::Failed => Err(Refusal::BackendNotBack(text)),
    }
}

/// The report, as the job's object has it.
fn figures(report: &JobReport) -> Report {
    let JobReport { drain, returns, .. } = report;
    let mut figures: Report = BTreeMap::from([
        ("took_ms", report.took_ms.into()),
        ("clients", report.clients.into()),
        ("told", drain.told.into()),
        ("closed_cleanly", drain.closed_cleanly.into()),
        ("timed_out", drain.timed_out.into()),
        ("gone", drain.gone.into()),
        ("cut", drain.cut.into()),
        ("remaining", drain.remaining.into()),
        ("messages_discarded", drain.discarded_messages.into()),
        ("hurried", report.hurried.into()),
        ("held", report.held.into()),
        ("released", report.released.into()),
        ("refused", report.refused.into()),
        ("back", returns.back.into()),
        ("back_within_5s", returns.back_within_5s.into()),
    ]);
    for (name, ms) in [
        ("half_back_ms", returns.half_back_ms),
        ("most_back_ms", returns.most_back_ms),
        ("all_back_ms", returns.all_back_ms),
        ("takes_back_per_second", report.takes_back_per_second),
    ] {
        figures.extend(ms.map(|ms| (name, ms.into())));
    }
    for (name, list) in [
        ("units", serde_json::to_value(&report.units)),
        ("refusals", serde_json::to_value(&report.refusals)),
    ] {
        figures.extend(list.ok().map(|list| (name, list)));
    }
    figures
}

impl Daemon {
    /// A backend is lost. While a job of ours, or a drain, is the reason, it comes back; else
    /// systemd is asked.
    pub(super) fn note_loss(&mut self, loss: Loss) {
        let running = self.coordinator.running.iter();
        let mut mine = running.filter(|one| one.wanted.includes(&loss.service, &loss.backend));
        if let Some(running) = mine.next() {
            let _ = running.orders.try_send(Told::BackendLost);
            // In a drain somebody else stops the unit, for good or not.
            if running.kind == Kind::Restart {
                loss.backend.settle(Fate::Restarting);
                return;
            }
        }
        losses::settle(loss, Rc::clone(&self.coordinator.units));
    }
}
