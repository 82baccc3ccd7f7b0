//! From the first socket to the last client: the control loop and what it carries out.

use std::ffi::OsString;
use std::future::Future;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::args::RunArgs;
use super::inherited::{self, Inherited};
use super::setup::{self, StartError};
use crate::config::{self, Config, Source};
use crate::control::message_id;
use crate::control::notify::Notifier;
use crate::control::signals::{Signal, Signals};
use crate::control::systemd1::{self, StopKind, Systemd};
use crate::edge::listener::{self, Listener, OfferedSocket, Origin, PassedSocket};
use crate::edge::route::Routes;
use crate::edge::{Announcement, Departure, Door, Edge};
use crate::event;
use crate::restart::handoff::{
    self, Departing, Handed, HandoffError, Launch, Offer, Outcome, Predecessor, Progress, Successor,
};
use crate::restart::lifecycle::{Action, Event, Phase};
use crate::restart::report::DrainReport;

/// How long a successor may take until it is ready.
const SUCCESSOR_DEADLINE: Duration = Duration::from_secs(30);

/// How long a predecessor may take to pass everything on.
const RECEIVE_DEADLINE: Duration = Duration::from_secs(30);

/// How long systemd may take to say what it has in mind.
const ASK_DEADLINE: Duration = Duration::from_secs(1);

/// How often the state is looked at for `STATUS=` and for progress reports.
const TICK: Duration = Duration::from_millis(500);

/// What a drain asks systemd for, over and over: enough for a few ticks.
const MORE_TIME: Duration = Duration::from_secs(10);

/// How long clients have after a second SIGTERM.
const HURRY: Duration = Duration::from_secs(1);

/// Runs the daemon until it has nothing left to do.
pub(super) fn live(
    args: RunArgs,
    arguments: Vec<OsString>,
    inherited: Inherited,
    notifier: Notifier,
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
    runtime.block_on(run(args, arguments, inherited, notifier, channel))
}

async fn run(
    args: RunArgs,
    arguments: Vec<OsString>,
    inherited: Inherited,
    notifier: Notifier,
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
        let daemon = Daemon::open(args, arguments, inherited, Vec::new(), notifier).await?;
        return daemon.serve(None).await;
    };
    let (mut predecessor, handed) = handoff::receive(channel, RECEIVE_DEADLINE)
        .await
        .map_err(|source| StartError::Handoff { source })?;
    let Handed { listeners, .. } = handed;
    match Daemon::open(args, arguments, inherited, listeners, notifier).await {
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

/// A future that the loop waits for among others. There is at most one of a kind.
type Pending<T> = Pin<Box<dyn Future<Output = T>>>;

struct Daemon {
    args: RunArgs,
    arguments: Vec<OsString>,
    program: PathBuf,
    notifier: Notifier,
    doors: Vec<Door>,
    listeners: Rc<Vec<Listener>>,
    edge: Rc<Edge>,
    signals: Signals,
    systemd: Option<Systemd>,
    phase: Phase,
    /// What the predecessor said last of its drain.
    predecessor_left: Option<u64>,
    /// Takes the progress of our own drain after a handoff.
    departing: Option<Departing>,
    clients_at_start: u64,
}

impl Daemon {
    async fn open(
        args: RunArgs,
        arguments: Vec<OsString>,
        inherited: Inherited,
        handed: Vec<PassedSocket>,
        notifier: Notifier,
    ) -> Result<Self, StartError> {
        let system = |doing| move |source| StartError::System { doing, source };
        let source = Source::from_process(Some(args.config.clone()));
        let config = config::load(&source).map_err(|problems| StartError::Config { problems })?;
        setup::raise_descriptor_limit(config.limits.clients);
        let doors = setup::doors(&config)?;
        let listeners = open_listeners(&config, inherited, handed)?;
        let signals = Signals::new().map_err(system("take over the signals"))?;
        let program = std::env::current_exe().map_err(system("find the own program"))?;
        let routes = Routes::new(&config.services);
        let edge = Edge::start(config.workers, config.limits.clone(), routes)
            .map_err(system("start the workers"))?;
        // Kept from the start, because the bus may be on its way out when the question comes.
        let systemd = match timeout(ASK_DEADLINE, Systemd::connect(args.bus.as_deref())).await {
            Ok(Ok(systemd)) => Some(systemd),
            Ok(Err(error)) => {
                tracing::debug!("{error}");
                None
            }
            Err(_) => None,
        };
        Ok(Self {
            args,
            arguments,
            program,
            notifier,
            doors,
            listeners: Rc::new(listeners),
            edge: Rc::new(edge),
            signals,
            systemd,
            phase: Phase::Serving,
            predecessor_left: None,
            departing: None,
            clients_at_start: 0,
        })
    }

    async fn accept(&self) -> Result<(), StartError> {
        // A socket unit may pass several sockets under one name.
        let pairs: Vec<(Door, &Listener)> = self
            .listeners
            .iter()
            .filter_map(|listener| {
                let door = self
                    .doors
                    .iter()
                    .find(|door| door.name == listener.name())?;
                Some((door.clone(), listener))
            })
            .collect();
        self.edge
            .accept(&pairs)
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
        let mut reports = None;
        if let Some((predecessor, outcome)) = predecessor {
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
            baton_listeners = self.listeners.len(),
            "ready: {} listening sockets",
            self.listeners.len()
        );
        self.control(reports).await;
        Ok(())
    }

    async fn control(&mut self, mut predecessor: Option<Predecessor>) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watchdog = self.notifier.watchdog_interval().map(interval);
        let mut preparing: Option<Pending<Result<Successor, HandoffError>>> = None;
        let mut draining: Option<Pending<()>> = None;
        let mut answering: Option<Pending<()>> = None;
        while self.phase != Phase::Ended {
            let event = tokio::select! {
                signal = self.signals.recv() => match signal {
                    Signal::Terminate => Some(Event::Terminate),
                    Signal::HandOff => Some(Event::HandOff),
                    Signal::Reload => {
                        tracing::warn!("a reload is not possible: use a handoff (SIGUSR2)");
                        None
                    }
                },
                result = done(&mut preparing) => Some(self.commit(result).await),
                () = done(&mut draining) => Some(Event::Drained),
                progress = next_progress(&mut predecessor) => {
                    self.note_predecessor(progress, &mut predecessor);
                    None
                }
                _ = tick.tick() => {
                    self.tell_status().await;
                    None
                }
                () = due(&mut watchdog), if answering.is_none() => {
                    let edge = Rc::clone(&self.edge);
                    answering = Some(Box::pin(async move { edge.ping().await }));
                    None
                }
                () = done(&mut answering) => {
                    // Both loops have answered: this one and every worker's.
                    self.notifier.watchdog();
                    None
                }
            };
            let Some(event) = event else { continue };
            let (phase, action) = self.phase.on(event);
            self.phase = phase;
            match action {
                Action::Nothing => {}
                Action::Refuse => tracing::warn!("a handoff or a stop is under way already"),
                Action::StartSuccessor => preparing = Some(self.prepare()),
                Action::CarryOn => preparing = None,
                Action::HandOver => draining = Some(self.drain(Departure::Restart, true, None)),
                Action::AbandonAndStop | Action::Stop => {
                    // Dropping the future ends the successor.
                    preparing = None;
                    let departure = self.stop().await;
                    draining = Some(self.drain(departure, false, None));
                }
                Action::Hurry => {
                    draining = Some(self.drain(Departure::Restart, false, Some(HURRY)));
                }
                Action::Exit => self.report().await,
            }
        }
    }

    /// Starts a successor of the same program, with the same arguments.
    fn prepare(&self) -> Pending<Result<Successor, HandoffError>> {
        event!(
            INFO,
            message_id::HANDOFF_STARTED,
            "starting a successor: {}",
            self.program.display()
        );
        let launch = Launch {
            program: self.program.clone(),
            args: without_successor_option(&self.arguments),
            environment: self.notifier.environment_for_successor(),
        };
        let listeners = Rc::clone(&self.listeners);
        Box::pin(async move {
            let offered: Vec<OfferedSocket<'_>> = listeners.iter().map(Listener::offer).collect();
            let offer = Offer {
                listeners: &offered,
                state: &[],
            };
            handoff::prepare(&launch, offer, SUCCESSOR_DEADLINE).await
        })
    }

    /// Lets the successor take over. If it does not, this process accepts again: the connections
    /// of the moment between have waited in the queue.
    async fn commit(&mut self, prepared: Result<Successor, HandoffError>) -> Event {
        let handed_over = match prepared {
            Err(error) => Err(error),
            Ok(successor) => {
                self.edge.stop_accepting().await;
                let pid = successor.pid().as_raw_nonzero().get().unsigned_abs();
                if let Err(error) = self.notifier.hand_over(pid, Some(successor.pidfd())) {
                    tracing::warn!("systemd does not know of the new main process {pid}: {error}");
                }
                successor.commit().await
            }
        };
        match handed_over {
            Ok(departing) => {
                event!(
                    INFO,
                    message_id::HANDOFF_SUCCEEDED,
                    baton_successor = departing.pid().as_raw_nonzero().get(),
                    "process {} serves from now on",
                    departing.pid().as_raw_nonzero()
                );
                self.departing = Some(departing);
                if let Some(listeners) = Rc::get_mut(&mut self.listeners) {
                    listeners.iter_mut().for_each(Listener::hand_on);
                }
                self.listeners = Rc::default();
                Event::SuccessorServes
            }
            Err(error) => {
                event!(
                    ERROR,
                    message_id::HANDOFF_FAILED,
                    "the successor does not serve, this process goes on: {error}"
                );
                self.accept_again().await;
                Event::SuccessorFailed
            }
        }
    }

    async fn accept_again(&self) {
        // Also after a failure before anything was stopped: stopping twice does no harm.
        self.edge.stop_accepting().await;
        if let Err(error) = self.accept().await {
            error.report();
        }
        if let Err(error) = self.notifier.hand_over(std::process::id(), None) {
            tracing::warn!("systemd was not told who the main process is: {error}");
        }
    }

    /// Gives up the sockets and finds out where the clients are to be sent.
    async fn stop(&mut self) -> Departure {
        let departure = match self.ask_systemd().await {
            StopKind::Restart => Departure::Restart,
            StopKind::Stop => Departure::Stop,
            // Nobody can say. Sockets that came from outside outlive this process, so somebody
            // means to go on with them.
            StopKind::Unknown => {
                let lasting = |one: &Listener| one.origin() == Origin::Systemd;
                if self.listeners.iter().any(lasting) {
                    Departure::Restart
                } else {
                    Departure::Stop
                }
            }
        };
        let what = match departure {
            Departure::Restart => "restart",
            Departure::Stop => "stop",
        };
        self.notifier.stopping(&format!("stopping for a {what}"));
        event!(
            INFO,
            message_id::STOPPING,
            baton_departure = what,
            "stopping for a {what}"
        );
        self.edge.stop_accepting().await;
        self.listeners = Rc::default();
        departure
    }

    async fn ask_systemd(&self) -> StopKind {
        match &self.systemd {
            Some(systemd) => systemd.own_stop_kind(ASK_DEADLINE).await,
            None => systemd1::own_stop_kind(self.args.bus.as_deref(), ASK_DEADLINE).await,
        }
    }

    fn drain(
        &mut self,
        departure: Departure,
        paced: bool,
        within: Option<Duration>,
    ) -> Pending<()> {
        if self.clients_at_start == 0 {
            self.clients_at_start = self.edge.clients() as u64;
            event!(
                INFO,
                message_id::DRAIN_STARTED,
                baton_clients = self.clients_at_start,
                "telling {} clients to leave",
                self.clients_at_start
            );
        }
        let announcement = Announcement {
            departure,
            paced,
            within,
            since: Instant::now(),
        };
        let edge = Rc::clone(&self.edge);
        Box::pin(async move { edge.drain(&announcement).await })
    }

    fn drain_report(&self) -> DrainReport {
        self.edge
            .counters()
            .drain_report(self.clients_at_start, self.edge.clients() as u64)
    }

    async fn report(&mut self) {
        let report = self.drain_report();
        if report.remaining > 0 {
            event!(
                WARN,
                message_id::DRAIN_DEADLINE_PASSED,
                baton_clients = report.remaining,
                "{} clients had not left in time and are cut off",
                report.remaining
            );
        }
        event!(
            INFO,
            message_id::DRAIN_FINISHED,
            baton_told = report.told,
            baton_closed_cleanly = report.closed_cleanly,
            baton_timed_out = report.timed_out,
            baton_discarded = report.discarded_messages,
            "{report}"
        );
        if let Some(departing) = self.departing.take() {
            departing.done(report).await;
        }
    }

    fn note_predecessor(&mut self, progress: Option<Progress>, from: &mut Option<Predecessor>) {
        match progress {
            Some(Progress::Draining(report)) => self.predecessor_left = Some(report.remaining),
            Some(Progress::Done(report)) => {
                tracing::info!("the predecessor has left: {report}");
                self.predecessor_left = None;
            }
            None => {
                self.predecessor_left = None;
                *from = None;
            }
        }
    }

    fn status(&self) -> String {
        let clients = self.edge.clients();
        match (self.phase, self.predecessor_left) {
            (Phase::Serving, None) => format!("serving {clients} clients"),
            (Phase::Serving, Some(left)) => {
                format!("serving {clients} clients; {left} are leaving the predecessor")
            }
            (Phase::HandingOff, _) => format!("serving {clients} clients; starting a successor"),
            _ => format!(
                "{clients} of {} clients have yet to leave",
                self.clients_at_start
            ),
        }
    }

    async fn tell_status(&mut self) {
        self.notifier.status(&self.status());
        if !self.phase.accepts() || self.predecessor_left.is_some() {
            self.notifier.extend_timeout(MORE_TIME);
        }
        let report = self.drain_report();
        if let Some(departing) = &mut self.departing {
            departing.progress(report).await;
        }
    }
}

fn open_listeners(
    config: &Config,
    inherited: Inherited,
    handed: Vec<PassedSocket>,
) -> Result<Vec<Listener>, StartError> {
    let opened = listener::open_all(&config.listeners, inherited.sockets, handed)
        .map_err(|source| StartError::Listen { source })?;
    for listener in &opened.listeners {
        let (name, address) = (listener.name(), listener.address());
        match listener.origin() {
            Origin::Bound => event!(
                INFO,
                message_id::LISTENER_BOUND,
                baton_listener = name,
                "listener.{name}: bound to {address}"
            ),
            origin => event!(
                INFO,
                message_id::LISTENER_ADOPTED,
                baton_listener = name,
                "listener.{name}: adopted on {address} from {}",
                if origin == Origin::Systemd {
                    "systemd"
                } else {
                    "the predecessor"
                }
            ),
        }
    }
    for (name, _) in &opened.unclaimed {
        tracing::warn!("a socket named {name:?} was passed in that no listener claims: closed");
    }
    Ok(opened.listeners)
}

/// The arguments for a successor: our own, less the option that made us one.
fn without_successor_option(arguments: &[OsString]) -> Vec<OsString> {
    let mut kept = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == handoff::SUCCESSOR_OPTION {
            arguments.next();
        } else {
            kept.push(argument.clone());
        }
    }
    kept
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

async fn next_progress(predecessor: &mut Option<Predecessor>) -> Option<Progress> {
    match predecessor {
        None => std::future::pending().await,
        Some(predecessor) => predecessor.next_progress().await,
    }
}
