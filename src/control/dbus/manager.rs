//! `org.batond.Baton1.Manager`: calls become commands, the view becomes properties.

use std::collections::HashMap;

use tokio::sync::watch;
use zbus::message::Header;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, ObjectPath, interface};

use super::access::{self, Action};
use super::error::Error;
use super::object::{Exhibit, Held};
use super::options::{Options, how, none};
use super::parts::{Certificate, Job, Listener, Service};
use super::rows::{self, ClientRow, FailureRow, ForecastRow, JobRow, Named, PlanRow, ProblemRow};
use crate::control::command::{Command, Outlet, UnitCommand};
use crate::control::jobs::JobId;
use crate::control::view::View;

/// More clients than this are never listed in one answer.
const CLIENTS_MAX: u32 = 10_000;

/// The daemon as a whole.
pub(super) struct Manager {
    pub(super) view: Held<View>,
    pub(super) outlet: Outlet,
    /// The last job that has an object on this connection.
    pub(super) shown: watch::Receiver<JobId>,
}

impl Exhibit for Manager {
    type Part = View;
    const SILENT: &'static [&'static str] = &["Clients"];
}

impl Manager {
    /// Has a command begun, and returns the path of its job once the object is there.
    async fn begin(
        &self,
        command: Command,
        header: &Header<'_>,
        bus: &Connection,
    ) -> Result<ObjectPath<'static>, Error> {
        let interactive = access::is_interactive(header);
        access::check(bus, header, (&command).into(), interactive).await?;
        let job = self.outlet.begin(command).await?;
        Ok(self.path(job).await)
    }

    /// The same for all services behind a unit.
    async fn begin_unit(
        &self,
        unit: &str,
        command: UnitCommand,
        header: &Header<'_>,
        bus: &Connection,
    ) -> Result<Vec<ObjectPath<'static>>, Error> {
        let interactive = access::is_interactive(header);
        access::check(bus, header, Action::Drain, interactive).await?;
        let mut paths = Vec::new();
        for job in self.outlet.begin_unit(unit.to_owned(), command).await? {
            paths.push(self.path(job).await);
        }
        Ok(paths)
    }

    /// The path of a job once its object is there.
    async fn path(&self, job: JobId) -> ObjectPath<'static> {
        // The error: the connection is being given up, and the answer does not arrive either.
        let _ = self.shown.clone().wait_for(|last| *last >= job).await;
        Job::path(job)
    }
}

fn found(
    what: &str,
    name: &str,
    path: Option<ObjectPath<'static>>,
) -> Result<ObjectPath<'static>, Error> {
    path.ok_or_else(|| Error::NotFound(format!("there is no {what} {name:?}")))
}

#[interface(name = "org.batond.Baton1.Manager")]
impl Manager {
    /// Reads the configuration and the certificates again. The job is done when they are in use.
    #[zbus(out_args("job"))]
    async fn reload(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<ObjectPath<'static>, Error> {
        none(&options)?;
        self.begin(Command::Reload, &header, bus).await
    }

    /// Hands over to a new process of the program on disk. The job is done when that serves; the
    /// name is its by then.
    #[zbus(out_args("job"))]
    async fn upgrade(
        &self,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<ObjectPath<'static>, Error> {
        none(&options)?;
        self.begin(Command::Upgrade, &header, bus).await
    }

    /// Restarts a service: newcomers are held, its clients are told in waves, its unit is
    /// restarted, and everybody is let in again; one unit at a time, if it has several. Option
    /// `force` (b): override those refusals of the interlock that may be overridden, and go on
    /// when the first clients do not come back.
    #[zbus(out_args("job"))]
    async fn restart(
        &self,
        service: String,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<ObjectPath<'static>, Error> {
        let options = how(&options)?;
        let command = Command::Restart { service, options };
        self.begin(command, &header, bus).await
    }

    /// Sends the clients of a service away and holds newcomers. The job is in the state `away`
    /// when all have left; then the service may be stopped. It ends with Resume. Option `force`
    /// as for Restart.
    #[zbus(out_args("job"))]
    async fn drain(
        &self,
        service: String,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<ObjectPath<'static>, Error> {
        let options = how(&options)?;
        let command = Command::Drain { service, options };
        self.begin(command, &header, bus).await
    }

    /// Brings a service back that was drained. The job is that of the drain, which is done when
    /// the clients are back.
    #[zbus(out_args("job"))]
    async fn resume(
        &self,
        service: String,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<ObjectPath<'static>, Error> {
        none(&options)?;
        self.begin(Command::Resume { service }, &header, bus).await
    }

    /// Drains what a systemd unit serves, which systemd is about to stop: clients are told that
    /// it restarts or, if that is the unit's job, that it stops. No jobs: there is nothing to
    /// drain, or the host goes down. Option `force` as for Restart.
    #[zbus(out_args("jobs"))]
    async fn drain_unit(
        &self,
        unit: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<Vec<ObjectPath<'static>>, Error> {
        let command = UnitCommand::Drain(how(&options)?);
        self.begin_unit(unit, command, &header, bus).await
    }

    /// Brings back what was drained by DrainUnit, because the unit runs again.
    #[zbus(out_args("jobs"))]
    async fn resume_unit(
        &self,
        unit: &str,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<Vec<ObjectPath<'static>>, Error> {
        none(&options)?;
        self.begin_unit(unit, UnitCommand::Resume, &header, bus)
            .await
    }

    /// Returns the service of a job to normal, from wherever the job stands.
    #[zbus(out_args("job"))]
    async fn cancel_job(
        &self,
        id: u32,
        options: Options,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<ObjectPath<'static>, Error> {
        none(&options)?;
        self.begin(Command::Cancel { job: id }, &header, bus).await
    }

    /// What Restart would do, without doing it: figures, and each refusal of the interlock with
    /// its name, what is in the way, what to do about it, and whether `force` overrides it.
    #[zbus(out_args("plan", "refusals"))]
    async fn plan(&self, service: String, options: Options) -> Result<PlanRow, Error> {
        none(&options)?;
        Ok(rows::plan(*self.outlet.plan(service).await?))
    }

    /// What will become of the certificates in use, if nothing is done, in order of time:
    /// certificate, when (microseconds since 1970), severity (`info`, `warning` or `critical`),
    /// the name of the finding that comes or goes, and what changes, for whom.
    #[zbus(out_args("changes"))]
    async fn forecast(&self, options: Options) -> Result<Vec<ForecastRow>, Error> {
        none(&options)?;
        let foretold = self.outlet.forecast().await?;
        Ok(foretold.into_iter().map(rows::foretold).collect())
    }

    /// How many TLS handshakes have failed since the process began, by reason (all reasons), and
    /// the latest of them, the newest first, at most 256, of which at most 64 are of what comes in
    /// on any open port, such as port checks: when (microseconds since 1970),
    /// listener, the client's network, who it is by its greeting (`unknown`: not known), the name
    /// that it asked for (empty: none), reason, the alert that it sent (0: none), the version that
    /// was agreed on or else the highest that it offers (empty: not known), the certificate that
    /// it was shown (empty: none, or replaced since), the name of the finding that explains it
    /// (empty: none), and all of it in words.
    #[zbus(out_args("counts", "latest"))]
    async fn list_failures(
        &self,
        options: Options,
    ) -> Result<(HashMap<String, u64>, Vec<FailureRow>), Error> {
        none(&options)?;
        Ok(rows::failures(self.outlet.failures().await?))
    }

    /// The service of a name.
    #[zbus(out_args("service"))]
    fn get_service(&self, name: &str) -> Result<ObjectPath<'static>, Error> {
        let view = self.view.load();
        let mut all = view.services.iter();
        let is = all.any(|one| one.config.name == name);
        found("service", name, is.then(|| Service::path(name)))
    }

    /// The listener of a name.
    #[zbus(out_args("listener"))]
    fn get_listener(&self, name: &str) -> Result<ObjectPath<'static>, Error> {
        let view = self.view.load();
        let is = view.listeners.iter().any(|one| one.name == name);
        found("listener", name, is.then(|| Listener::path(name)))
    }

    /// The certificate of a name, if a listener serves it.
    #[zbus(out_args("certificate"))]
    fn get_certificate(&self, name: &str) -> Result<ObjectPath<'static>, Error> {
        let view = self.view.load();
        let is = view.certificates.iter().any(|one| one.name == name);
        found("certificate", name, is.then(|| Certificate::path(name)))
    }

    /// The job of a number, if it runs or ended lately.
    #[zbus(out_args("job"))]
    fn get_job(&self, id: u32) -> Result<ObjectPath<'static>, Error> {
        let view = self.view.load();
        let is = view.jobs.iter().any(|one| one.id == id);
        found("job", &id.to_string(), is.then(|| Job::path(id)))
    }

    /// Every service.
    #[zbus(out_args("services"))]
    fn list_services(&self) -> Vec<Named> {
        let view = self.view.load();
        let names = view.services.iter().map(|one| &one.config.name);
        names.map(|one| (one.clone(), Service::path(one))).collect()
    }

    /// Every listener.
    #[zbus(out_args("listeners"))]
    fn list_listeners(&self) -> Vec<Named> {
        let view = self.view.load();
        let names = view.listeners.iter().map(|one| &one.name);
        names
            .map(|one| (one.clone(), Listener::path(one)))
            .collect()
    }

    /// Every certificate that a listener serves.
    #[zbus(out_args("certificates"))]
    fn list_certificates(&self) -> Vec<Named> {
        let view = self.view.load();
        let names = view.certificates.iter().map(|one| &one.name);
        names
            .map(|one| (one.clone(), Certificate::path(one)))
            .collect()
    }

    /// The jobs that run and those that ended lately: number, kind, service, result (empty: it
    /// runs), path.
    #[zbus(out_args("jobs"))]
    fn list_jobs(&self) -> Vec<JobRow> {
        let view = self.view.load();
        view.jobs.iter().map(|job| rows::job(job)).collect()
    }

    /// What is wrong, the worst first: name, subject, severity, what is wrong, what to do about
    /// it, and since when (microseconds since 1970).
    #[zbus(out_args("problems"))]
    fn list_problems(&self) -> Vec<ProblemRow> {
        let view = self.view.load();
        view.problems.iter().map(rows::problem).collect()
    }

    /// How many clients have a WebSocket, of a service or (empty) of all, and at most `limit` of
    /// them, those who came first first: service, listener, address (empty: a Unix socket), and
    /// since when (microseconds since 1970). Never more than 10,000 are listed.
    #[zbus(out_args("total", "clients"))]
    async fn list_clients(
        &self,
        service: &str,
        limit: u32,
    ) -> Result<(u64, Vec<ClientRow>), Error> {
        if !service.is_empty() {
            self.get_service(service)?;
        }
        let service = (!service.is_empty()).then(|| service.to_owned());
        let limit = limit.min(CLIENTS_MAX) as usize;
        let census = self.outlet.clients(service, limit).await?;
        let clients = census.clients.into_iter().map(rows::client);
        Ok((census.total, clients.collect()))
    }

    /// Of the program.
    #[zbus(property(emits_changed_signal = "const"))]
    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }

    /// Where the process stands: serving, handing-off, handed-over, stopping or ended.
    #[zbus(property)]
    fn phase(&self) -> &'static str {
        self.view.load().phase.word()
    }

    /// 1 for the configuration of the start; every good reload adds one.
    #[zbus(property)]
    fn generation(&self) -> u64 {
        self.view.load().generation
    }

    /// Clients with a WebSocket. Changes all the time, so nobody is told.
    #[zbus(property(emits_changed_signal = "false"))]
    fn clients(&self) -> u64 {
        self.view.load().clients
    }

    /// How many things are wrong.
    #[zbus(property)]
    fn problems(&self) -> u32 {
        u32::try_from(self.view.load().problems.len()).unwrap_or(u32::MAX)
    }

    /// A job has begun.
    #[zbus(signal)]
    pub(super) async fn job_new(
        emitter: &SignalEmitter<'_>,
        id: u32,
        job: ObjectPath<'_>,
        kind: &str,
        service: &str,
    ) -> zbus::Result<()>;

    /// A job has ended: `done` or `failed`, and what there is to say about it. Its object stays
    /// for a while.
    #[zbus(signal)]
    pub(super) async fn job_removed(
        emitter: &SignalEmitter<'_>,
        id: u32,
        job: ObjectPath<'_>,
        result: &str,
        message: &str,
    ) -> zbus::Result<()>;

    /// Something is wrong, or worse than before.
    #[zbus(signal)]
    pub(super) async fn problem_raised(
        emitter: &SignalEmitter<'_>,
        name: &str,
        subject: &str,
        severity: &str,
        what: &str,
        remedy: &str,
    ) -> zbus::Result<()>;

    /// It is wrong no longer.
    #[zbus(signal)]
    pub(super) async fn problem_cleared(
        emitter: &SignalEmitter<'_>,
        name: &str,
        subject: &str,
    ) -> zbus::Result<()>;
}
