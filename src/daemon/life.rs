//! From the first socket to the last client.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::args::RunArgs;
use super::certificates::Certificates;
use super::clock::ClockWatch;
use super::control_loop::Pending;
use super::coordinate::{Coordinator, Update};
use super::failures::Failures;
use super::inherited::{self, Inherited};
use super::leave::ASK_DEADLINE;
use super::probes::Probes;
use super::setup::{self, Loaded, Sockets, StartError};
use super::shown::Shown;
use crate::certificate::in_use::InUse;
use crate::certificate::ticket::TicketKeys;
use crate::control::command::{self, Inbox, Outlet};
use crate::control::dbus::Bus;
use crate::control::jobs::{JobId, Jobs};
use crate::control::journal::Log;
use crate::control::logind::Logind;
use crate::control::message_id;
use crate::control::metrics::endpoint::Endpoint;
use crate::control::notify::Notifier;
use crate::control::problem::Problems;
use crate::control::signals::Signals;
use crate::control::systemd1::Systemd;
use crate::control::view::View;
use crate::edge::listener::{Listener, PassedSocket};
use crate::edge::route::Routes;
use crate::edge::{Departure, Door, Edge};
use crate::event;
use crate::restart::fdstore::{self, Restored};
use crate::restart::handoff::{self, Departing, Outcome, Predecessor, Rehearsals};
use crate::restart::lifecycle::Phase;
use crate::restart::report::DrainReport;
use crate::restart::state::State;

/// How long a predecessor may take to pass everything on.
const RECEIVE_DEADLINE: Duration = Duration::from_secs(30);

/// How long the bus may hold anything up that clients wait for.
pub(super) const BUS_DEADLINE: Duration = Duration::from_secs(1);

/// The ways in which the process reaches those around it from its first moment on.
pub(super) struct Ways {
    pub(super) notifier: Notifier,
    pub(super) log: Log,
}

/// Runs the daemon until it has nothing left to do.
pub(super) fn live(
    args: RunArgs,
    arguments: Vec<OsString>,
    inherited: Inherited,
    ways: Ways,
) -> Result<(), StartError> {
    let channel = match args.successor.map(inherited::take_channel) {
        None => None,
        Some(Ok(channel)) => Some(channel),
        Some(Err(source)) => return Err(StartError::Inherited { source }),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .map_err(|source| StartError::System {
            doing: "start the control loop",
            source,
        })?;
    runtime.block_on(run(args, arguments, inherited, ways, channel))
}

async fn run(
    args: RunArgs,
    arguments: Vec<OsString>,
    inherited: Inherited,
    ways: Ways,
    channel: Option<OwnedFd>,
) -> Result<(), StartError> {
    event!(
        INFO,
        message_id::STARTED,
        baton_version = env!("CARGO_PKG_VERSION"),
        "batond {} starts",
        env!("CARGO_PKG_VERSION")
    );
    let Some(channel) = channel else {
        let restored = fdstore::restore(inherited.sockets);
        let daemon = Daemon::open(args, arguments, restored, ways).await?;
        return daemon.serve(None).await;
    };
    let (mut predecessor, handed) = handoff::receive(channel, RECEIVE_DEADLINE)
        .await
        .map_err(|source| StartError::Handoff { source })?;
    let restored = Restored {
        from_units: inherited.sockets,
        stored: handed.listeners,
        state: State::decode(&handed.state).unwrap_or_else(|error| {
            tracing::warn!("what the predecessor left cannot be used: {error}");
            State::default()
        }),
    };
    match Daemon::open(args, arguments, restored, ways).await {
        Err(error) => {
            predecessor.failed(&error.to_string()).await;
            Err(error)
        }
        Ok(daemon) => {
            predecessor
                .ready()
                .await
                .map_err(|source| StartError::Handoff { source })?;
            match predecessor.committed().await {
                Outcome::Abandoned => Ok(()),
                outcome => daemon.serve(Some((predecessor, outcome))).await,
            }
        }
    }
}

/// The running daemon: one owner of everything but the connections, which the workers own.
pub(super) struct Daemon {
    pub(super) args: RunArgs,
    pub(super) arguments: Vec<OsString>,
    pub(super) program: PathBuf,
    pub(super) notifier: Notifier,
    pub(super) doors: Vec<Door>,
    pub(super) tickets: Arc<TicketKeys>,
    /// As it was stored last, or came with the handoff.
    pub(super) state: State,
    /// Sockets from an earlier configuration, until this process serves.
    retired: Vec<Listener>,
    /// Names under which sockets may be stored that nobody claimed.
    pub(super) gone: Vec<String>,
    pub(super) stored: bool,
    pub(super) listeners: Rc<Vec<Listener>>,
    /// Sockets of socket units that have no place in the configuration now.
    pub(super) aside: Rc<Vec<PassedSocket>>,
    pub(super) edge: Rc<Edge>,
    pub(super) signals: Signals,
    pub(super) systemd: Option<Rc<Systemd>>,
    pub(super) phase: Phase,
    /// What the predecessor said last of its drain.
    pub(super) predecessor_left: Option<u64>,
    /// Takes the progress of our own drain after a handoff.
    pub(super) departing: Option<Departing>,
    pub(super) clients_at_start: u64,
    /// What clients were told before the drain.
    pub(super) before_drain: DrainReport,
    /// Where the clients are sent, once that is settled.
    pub(super) departure: Departure,
    /// Counts the configurations that were put into use.
    pub(super) generation: u64,
    pub(super) problems: Problems,
    pub(super) jobs: Jobs,
    pub(super) shown: Shown,
    pub(super) failures: Failures,
    pub(super) probes: Probes,
    /// Held while the clients are being counted for somebody.
    pub(super) counting: Rc<Mutex<()>>,
    pub(super) log: Log,
    pub(super) coordinator: Coordinator,
    pub(super) updates: mpsc::Receiver<Update>,
    pub(super) logind: Logind,
    /// Everybody is being told that the host goes down.
    pub(super) bidding: Option<Pending<()>>,
    /// The certificates in use, as they were looked at last.
    pub(super) in_use: Arc<[InUse]>,
    pub(super) certificates: Certificates,
    pub(super) clock: ClockWatch,
    pub(super) inbox: Inbox,
    pub(super) outlet: Outlet,
    pub(super) bus: Option<Bus>,
    /// Answers scrapes.
    pub(super) metrics: Option<Endpoint>,
    /// The job of the handoff that is under way.
    pub(super) upgrading: Option<JobId>,
}

impl Daemon {
    async fn open(
        args: RunArgs,
        arguments: Vec<OsString>,
        restored: Restored,
        ways: Ways,
    ) -> Result<Self, StartError> {
        let Restored {
            from_units,
            stored,
            state,
        } = restored;
        let Ways { notifier, log } = ways;
        let system = |doing| move |source| StartError::System { doing, source };
        let tickets = TicketKeys::take_over(&state.ticket_keys)
            .map_err(|source| StartError::Tickets { source })?;
        let tickets = Arc::new(tickets);
        let loaded = setup::load(&args.config, &tickets, &[])?;
        let charge = loaded.charge();
        let Loaded {
            config,
            doors,
            in_use,
            ..
        } = loaded;
        setup::raise_descriptor_limit(config.limits.clients);
        let Sockets {
            listeners,
            aside,
            retired,
            gone,
        } = setup::listeners(&config, from_units, stored)?;
        let shown = Shown::of(&config, &in_use, &listeners);
        let signals = Signals::new().map_err(system("take over the signals"))?;
        let program = setup::program().map_err(system("find the own program"))?;
        let routes = Routes::new(&config.services);
        let edge = Edge::start(config.workers, config.limits.clone(), routes)
            .map_err(system("start the workers"))?;
        // Kept from the start, because the bus may be on its way out when the question comes.
        let systemd = match timeout(ASK_DEADLINE, Systemd::connect(args.bus.as_deref())).await {
            Ok(Ok(systemd)) => Some(Rc::new(systemd)),
            Ok(Err(error)) => {
                tracing::debug!("{error}");
                None
            }
            Err(_) => None,
        };
        // Before anything that could announce a shutdown, so that none is missed.
        let logind = Logind::watch(args.bus.as_deref()).await;
        let rehearsals = Rehearsals::new(program.clone(), args.config.clone());
        let (coordinator, updates) = Coordinator::new(args.bus.as_deref(), &edge, rehearsals);
        let certificates =
            Certificates::keep(charge).map_err(system("look after the certificates"))?;
        let (inbox, outlet) = command::channel(View::new(Phase::Serving));
        Ok(Self {
            args,
            arguments,
            program,
            notifier,
            doors,
            tickets,
            state,
            gone,
            stored: false,
            listeners: Rc::new(listeners),
            aside: Rc::new(aside),
            retired,
            edge: Rc::new(edge),
            signals,
            systemd,
            phase: Phase::Serving,
            predecessor_left: None,
            departing: None,
            clients_at_start: 0,
            before_drain: DrainReport::default(),
            departure: Departure::Restart,
            generation: 1,
            problems: Problems::default(),
            jobs: Jobs::default(),
            shown,
            failures: Failures::default(),
            probes: Probes::of(config),
            counting: Rc::default(),
            log,
            coordinator,
            updates,
            logind,
            bidding: None,
            in_use: in_use.into(),
            certificates,
            clock: ClockWatch::default(),
            inbox,
            outlet,
            bus: None,
            metrics: None,
            upgrading: None,
        })
    }

    pub(super) async fn accept(&self) -> Result<(), StartError> {
        self.edge
            .accept(&setup::pairs(&self.doors, &self.listeners))
            .await
            .map_err(|source| StartError::System {
                doing: "accept connections",
                source,
            })
    }

    async fn serve(
        mut self,
        predecessor: Option<(Predecessor, Outcome)>,
    ) -> Result<(), StartError> {
        self.accept().await?;
        self.metrics = self.endpoint(&self.listeners)?;
        if predecessor.is_none() {
            self.close_retired().await;
        }
        // Before the predecessor lets the name go, and before anybody is told that all is ready.
        self.show();
        let (address, outlet) = (self.args.bus.clone(), self.outlet.clone());
        let mut bus = Bus::join(address, outlet, self.log.clone());
        bus.tried(BUS_DEADLINE).await;
        self.bus = Some(bus);
        let mut reports = None;
        if let Some((mut predecessor, outcome)) = predecessor {
            predecessor.accepting().await;
            // Not before: as long as this process may still fail, the predecessor goes on with
            // all that it listens on.
            self.close_retired().await;
            if let Some(listeners) = Rc::get_mut(&mut self.listeners) {
                listeners.iter_mut().for_each(Listener::take_over);
            }
            if outcome == Outcome::Committed {
                reports = Some(predecessor);
            } else {
                self.notifier.ready(&self.status());
            }
            event!(
                INFO,
                message_id::TOOK_OVER,
                "serving in the place of the predecessor, on its sockets"
            );
        } else {
            self.notifier.ready(&self.status());
        }
        event!(
            INFO,
            message_id::READY,
            baton_listeners = self.doors_open(),
            "ready: {} listening sockets",
            self.doors_open()
        );
        if reports.is_none() {
            self.store();
        }
        self.control(reports).await;
        // Whoever still asks is told that the process ends.
        let Self { bus, inbox, .. } = self;
        drop(inbox);
        if let Some(bus) = bus {
            bus.leave().await;
        }
        Ok(())
    }

    /// Closes what an earlier configuration listened on. Who has come before gets in, where a
    /// listener of that name is still there.
    async fn close_retired(&mut self) {
        let mut retired = std::mem::take(&mut self.retired);
        for listener in &mut retired {
            let bound_anew = |one: &Listener| one.address() == listener.address();
            if !self.listeners.iter().any(bound_anew) {
                // Nobody else removes the file of a Unix socket.
                listener.take_over();
            }
            setup::let_nobody_in(listener);
        }
        let still = setup::pairs(&self.doors, &retired);
        self.edge.take_queued(&still).await;
    }
}
