//! Everything that is on one connection to the bus, brought up to date with the view.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use zbus::fdo::ObjectManager;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, ObjectPath};

use super::PATH;
use super::log_control::{self, LogControl};
use super::manager::Manager;
use super::object::{Held, Shelf, replace};
use super::parts::{Certificate, Job, Listener, Service};
use crate::control::command::Outlet;
use crate::control::jobs::{JobId, JobView};
use crate::control::journal::Log;
use crate::control::problem::Problem;
use crate::control::view::{CertificateView, ListenerView, ServiceView, View};

/// What is on a connection.
pub(super) struct Stand {
    bus: Connection,
    manager: Held<View>,
    services: Shelf<ServiceView>,
    listeners: Shelf<ListenerView>,
    certificates: Shelf<CertificateView>,
    jobs: Shelf<JobView>,
    last_job: watch::Sender<JobId>,
}

impl Stand {
    /// Puts all objects on a connection that has no name yet, so nobody is told of them.
    pub(super) async fn build(bus: Connection, outlet: &Outlet, log: Log) -> zbus::Result<Self> {
        let view = outlet.view.borrow().clone();
        let (last_job, shown) = watch::channel(0);
        let manager = Arc::new(ArcSwap::from_pointee(view.clone()));
        let mut stand = Self {
            bus,
            manager: Arc::clone(&manager),
            services: Shelf::default(),
            listeners: Shelf::default(),
            certificates: Shelf::default(),
            jobs: Shelf::default(),
            last_job,
        };
        stand.arrange(&view).await?;
        let server = stand.bus.object_server();
        let outlet = outlet.clone();
        let manager = Manager {
            view: manager,
            outlet,
            shown,
        };
        server.at(PATH, manager).await?;
        server.at(PATH, ObjectManager).await?;
        server.at(log_control::PATH, LogControl { log }).await?;
        Ok(stand)
    }

    /// The connection.
    pub(super) fn bus(&self) -> &Connection {
        &self.bus
    }

    /// Shows the view, and tells what has changed since the last one.
    pub(super) async fn show(&mut self, now: View) -> zbus::Result<()> {
        let before = self.manager.load_full();
        if *before == now {
            return Ok(());
        }
        self.arrange(&now).await?;
        let root = ObjectPath::try_from(PATH)?;
        replace::<Manager>(&self.bus, &root, &self.manager, Arc::new(now.clone())).await?;
        let emitter = SignalEmitter::new(&self.bus, root)?;
        tell_jobs(&emitter, &before.jobs, &now.jobs).await?;
        tell_problems(&emitter, &before.problems, &now.problems).await?;
        self.note_jobs(&now);
        Ok(())
    }

    async fn arrange(&mut self, view: &View) -> zbus::Result<()> {
        let bus = &self.bus;
        let part = |one: &ServiceView| (Service::path(&one.config.name), Arc::new(one.clone()));
        let services = view.services.iter().map(part);
        self.services.arrange(bus, Service, services).await?;
        let part = |one: &Arc<ListenerView>| (Listener::path(&one.name), Arc::clone(one));
        let listeners = view.listeners.iter().map(part);
        self.listeners.arrange(bus, Listener, listeners).await?;
        let part = |one: &Arc<CertificateView>| (Certificate::path(&one.name), Arc::clone(one));
        let certificates = view.certificates.iter().map(part);
        self.certificates
            .arrange(bus, Certificate, certificates)
            .await?;
        let part = |one: &Arc<JobView>| (Job::path(one.id), Arc::clone(one));
        let jobs = view.jobs.iter().map(part);
        self.jobs.arrange(bus, Job, jobs).await
    }

    /// Whoever waits for a job to be there is let go.
    fn note_jobs(&self, view: &View) {
        if let Some(last) = view.jobs.last() {
            self.last_job.send_replace(last.id);
        }
    }
}

async fn tell_jobs(
    emitter: &SignalEmitter<'_>,
    before: &[Arc<JobView>],
    now: &[Arc<JobView>],
) -> zbus::Result<()> {
    for job in now {
        let known = before.iter().find(|one| one.id == job.id);
        if known.is_some_and(|known| known == job) {
            continue;
        }
        let path = Job::path(job.id);
        if known.is_none() {
            let service = job.service.as_deref().unwrap_or_default();
            Manager::job_new(emitter, job.id, path.clone(), job.kind.word(), service).await?;
        }
        let counts = job.counts.iter().map(|(name, count)| (*name, *count));
        let own = SignalEmitter::new(emitter.connection(), path.clone())?;
        Job::went_on(&own, job.state, job.progress.into(), counts.collect()).await?;
        if let Some(result) = &job.result {
            Manager::job_removed(emitter, job.id, path, result.word(), &job.message).await?;
        }
    }
    Ok(())
}

async fn tell_problems(
    emitter: &SignalEmitter<'_>,
    before: &[Problem],
    now: &[Problem],
) -> zbus::Result<()> {
    let same = |a: &Problem, b: &Problem| a.name == b.name && a.subject == b.subject;
    for gone in before
        .iter()
        .filter(|one| !now.iter().any(|new| same(one, new)))
    {
        Manager::problem_cleared(emitter, gone.name, &gone.subject).await?;
    }
    let known = |new: &&Problem| {
        let mut before = before.iter();
        before.any(|one| same(one, new) && one.severity >= new.severity)
    };
    for new in now.iter().filter(|new| !known(new)) {
        let severity = new.severity.to_string();
        let (what, remedy) = (&new.what, &new.remedy);
        Manager::problem_raised(emitter, new.name, &new.subject, &severity, what, remedy).await?;
    }
    Ok(())
}
