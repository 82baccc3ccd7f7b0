//! From the first socket to the last client: the control loop and what it carries out.

use std::ffi::OsString;
use std::future::Future;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::args::RunArgs;
use super::inherited::{self, Inherited};
use super::leave::ASK_DEADLINE;
use super::setup::{self, StartError};
use crate::certificate::ticket::TicketKeys;
use crate::config::{self, Source};
use crate::control::message_id;
use crate::control::notify::Notifier;
use crate::control::signals::{Signal, Signals};
use crate::control::systemd1::Systemd;
use crate::edge::listener::Listener;
use crate::edge::route::Routes;
use crate::edge::{Departure, Door, Edge};
use crate::event;
use crate::restart::fdstore::{self, Restored};
use crate::restart::handoff::{
    self, Departing, HandoffError, Outcome, Predecessor, Progress, Successor,
};
use crate::restart::lifecycle::{Action, Event, Phase};
use crate::restart::state::State;

/// How long a predecessor may take to pass everything on.
const RECEIVE_DEADLINE: Duration = Duration::from_secs(30);

/// How often the state is looked at for `STATUS=` and for progress reports.
const TICK: Duration = Duration::from_millis(500);

/// How long a process that has nothing left to do waits for its predecessor, whose own deadline
/// is shorter.
const OUTWAIT: Duration = Duration::from_secs(10 * 60);

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
        let restored = fdstore::restore(inherited.sockets);
        let daemon = Daemon::open(args, arguments, restored, notifier).await?;
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
    match Daemon::open(args, arguments, restored, notifier).await {
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
pub(super) type Pending<T> = Pin<Box<dyn Future<Output = T>>>;

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
    /// Names under which sockets may be stored that nobody claimed.
    gone: Vec<String>,
    stored: bool,
    pub(super) listeners: Rc<Vec<Listener>>,
    pub(super) edge: Rc<Edge>,
    pub(super) signals: Signals,
    pub(super) systemd: Option<Systemd>,
    pub(super) phase: Phase,
    /// What the predecessor said last of its drain.
    pub(super) predecessor_left: Option<u64>,
    /// Takes the progress of our own drain after a handoff.
    pub(super) departing: Option<Departing>,
    pub(super) clients_at_start: u64,
    /// Where the clients are sent, once that is settled.
    pub(super) departure: Departure,
}

impl Daemon {
    async fn open(
        args: RunArgs,
        arguments: Vec<OsString>,
        restored: Restored,
        notifier: Notifier,
    ) -> Result<Self, StartError> {
        let Restored {
            from_units,
            stored,
            state,
        } = restored;
        let system = |doing| move |source| StartError::System { doing, source };
        let source = Source::from_process(Some(args.config.clone()));
        let config = config::load(&source).map_err(|problems| StartError::Config { problems })?;
        setup::raise_descriptor_limit(config.limits.clients);
        let tickets = TicketKeys::take_over(&state.ticket_keys)
            .map_err(|source| StartError::Tickets { source })?;
        let tickets = Arc::new(tickets);
        let doors = setup::doors(&config, &tickets)?;
        let (listeners, gone) = setup::listeners(&config, from_units, stored)?;
        let signals = Signals::new().map_err(system("take over the signals"))?;
        let program = setup::program().map_err(system("find the own program"))?;
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
            tickets,
            state,
            gone,
            stored: false,
            listeners: Rc::new(listeners),
            edge: Rc::new(edge),
            signals,
            systemd,
            phase: Phase::Serving,
            predecessor_left: None,
            departing: None,
            clients_at_start: 0,
            departure: Departure::Restart,
        })
    }

    pub(super) async fn accept(&self) -> Result<(), StartError> {
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
        if let Some((mut predecessor, outcome)) = predecessor {
            predecessor.accepting().await;
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
        if reports.is_none() {
            self.store();
        }
        self.control(reports).await;
        Ok(())
    }

    /// Stores what the next process is to have. systemd listens to the main process only: after
    /// a handoff this waits until the predecessor has said who that is.
    pub(super) fn store(&mut self) {
        if std::mem::replace(&mut self.stored, true) {
            return;
        }
        self.state.ticket_keys = self.tickets.carry();
        fdstore::store(&self.notifier, &self.listeners, &self.gone, &mut self.state);
    }

    /// Looks whether a new ticket key is due; the next process gets it, too.
    fn rotate_tickets(&mut self) {
        match self.tickets.rotate_if_due() {
            Ok(false) => {}
            Ok(true) => {
                self.state.ticket_keys = self.tickets.carry();
                // After a handover the successor speaks to systemd.
                if self.phase.accepts() && self.stored {
                    fdstore::store_state(&self.notifier, &mut self.state);
                }
            }
            Err(error) => tracing::error!("{error}"),
        }
    }

    async fn control(&mut self, mut predecessor: Option<Predecessor>) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut watchdog = self.notifier.watchdog_interval().map(interval);
        let mut preparing: Option<Pending<Result<Successor, HandoffError>>> = None;
        let mut draining: Option<Pending<()>> = None;
        let mut answering: Option<Pending<bool>> = None;
        // With KillMode=mixed systemd kills what is left when the main process ends: outwait a
        // predecessor that is still draining, unless asked once more.
        let mut outwait = None;
        while self.phase != Phase::Ended || predecessor.is_some() {
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
                () = past(outwait) => break,
                _ = tick.tick() => {
                    self.tell_status().await;
                    self.rotate_tickets();
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
            match action {
                Action::Nothing => {}
                Action::Refuse => tracing::warn!("a handoff or a stop is under way already"),
                Action::StartSuccessor => preparing = Some(self.prepare()),
                Action::CarryOn => preparing = None,
                Action::HandOver => draining = Some(self.drain(Departure::Restart, true, None)),
                Action::AbandonAndStop | Action::Stop => {
                    // Dropping the future ends the successor.
                    preparing = None;
                    self.departure = self.stop().await;
                    draining = Some(self.drain(self.departure, false, None));
                }
                Action::Hurry => {
                    draining = Some(self.drain(self.departure, false, Some(HURRY)));
                }
                Action::Exit => {
                    self.report().await;
                    outwait = Some(Instant::now() + OUTWAIT);
                }
            }
        }
    }
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

async fn past(at: Option<Instant>) {
    match at {
        None => std::future::pending().await,
        Some(at) => tokio::time::sleep_until(at).await,
    }
}
