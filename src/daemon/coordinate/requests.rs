//! What operators and units ask for becomes jobs, or is refused.

use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::Running;
use super::drive::{Drive, Update};
use super::facts::Inquiry;
use super::orders::{End, Orders};
use super::targets::Wanted;
use crate::control::command::{Options, Refusal};
use crate::control::jobs::{JobId, JobKind};
use crate::control::message_id;
use crate::control::units::JobType;
use crate::daemon::life::Daemon;
use crate::edge::close::CloseCode;
use crate::event;
use crate::restart::interlock::Plan;
use crate::restart::job::Kind;
use crate::restart::lifecycle::Phase;

impl Daemon {
    /// Begins to restart a service.
    pub(in crate::daemon) fn restart_service(
        &mut self,
        service: &str,
        options: Options,
    ) -> Result<JobId, Refusal> {
        let wanted = Wanted::restart(&self.edge, service)?;
        self.coordinate(Kind::Restart, wanted, options, None)
    }

    /// Begins to send the clients of a service away; it is brought back by [`Self::resume`].
    pub(in crate::daemon) fn drain_service(
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
    pub(in crate::daemon) fn drain_unit(
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
    pub(in crate::daemon) fn drain_of_unit(
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
    pub(in crate::daemon) fn resume(&mut self, service: &str) -> Result<JobId, Refusal> {
        Wanted::all(&self.edge, service)?;
        let drained = |one: &Running| one.kind == Kind::Drain && one.wanted.service == service;
        let Some(running) = self.coordinator.find(drained) else {
            return Err(Refusal::NotFound(format!(
                "service {service:?} is not drained"
            )));
        };
        running.orders.resume();
        Ok(running.job)
    }

    /// The unit runs again; nothing to do, if it was not drained.
    pub(in crate::daemon) fn resume_unit(&mut self, unit: &str) -> Result<Vec<JobId>, Refusal> {
        let all = Wanted::of_unit(&self.edge, unit)?;
        let mut jobs = Vec::new();
        for one in self.coordinator.running.borrow().iter() {
            if one.kind == Kind::Drain && all.iter().any(|wanted| wanted.overlaps(&one.wanted)) {
                one.orders.resume();
                jobs.push(one.job);
            }
        }
        Ok(jobs)
    }

    /// Returns the service of a job to normal.
    pub(in crate::daemon) fn cancel(&mut self, job: JobId) -> Result<JobId, Refusal> {
        let Some(running) = self.coordinator.find(|one| one.job == job) else {
            let jobs = self.jobs.list();
            return Err(match jobs.iter().find(|one| one.id == job) {
                None => Refusal::NotFound(format!("there is no job {job}")),
                Some(one) if one.result.is_some() => {
                    Refusal::NotFound(format!("job {job} is over"))
                }
                Some(one) => Refusal::Busy(format!(
                    "job {job} ({}) cannot be cancelled",
                    one.kind.word()
                )),
            });
        };
        running.orders.end(End::Cancel);
        Ok(job)
    }

    /// What a restart would do. Nothing is done.
    pub(in crate::daemon) fn plan(
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
        let planning = Rc::clone(&self.coordinator.planning);
        tokio::task::spawn_local(async move {
            let _turn = planning.lock().await;
            // Nobody may wait for it any more.
            if !answer.is_closed() {
                let _ = answer.send(Ok(Box::new(inquiry.plan().await)));
            }
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
            rehearsals: Rc::clone(&coordinator.rehearsals),
            tickets: Arc::clone(&self.tickets),
            in_use: Arc::clone(&self.in_use),
            known_rate: coordinator.known_rates.get(&wanted.service).copied(),
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
            let text = format!(
                "job {job} ({word} of {service}) is under way; `batonctl cancel {job}` ends it"
            );
            return Err(Refusal::Busy(text));
        }
        if self.phase != Phase::Serving {
            let text = "a handoff or a stop of batond is under way";
            return Err(Refusal::Busy(text.to_owned()));
        }
        let inquiry = self.inquiry(&wanted, kind);
        let orders = Rc::new(Orders::default());
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
        self.coordinator.running.borrow_mut().push(Running {
            job,
            kind,
            wanted,
            orders: Rc::clone(&orders),
        });
        let drive = Drive::new(job, inquiry, options, code, orders);
        tokio::task::spawn_local(drive.run(self.coordinator.updates.clone()));
        self.show();
        Ok(job)
    }
}
