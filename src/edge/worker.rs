//! Worker threads. Each accepts, and keeps the connections that it accepted: nothing of a
//! connection is shared between threads. The control loop talks to them by command.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread;

use arc_swap::ArcSwap;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::acceptor::{Door, accept};
use super::clients::{Client, Clients};
use super::counters::Counters;
use super::drain;
use super::listener::ListeningSocket;
use super::relay::Ending;
use super::route::Routes;
use crate::config::Limits;
use crate::control::message_id;
use crate::event;

/// Commands that may wait for one worker. The control loop awaits their answers, so a few do.
const COMMANDS: usize = 16;

/// What all workers share.
pub(super) struct Shared {
    pub(super) routes: ArcSwap<Routes>,
    pub(super) counters: Counters,
    pub(super) limits: Limits,
    pub(super) handshakes: Arc<Semaphore>,
    /// Connections, as `limits.clients` counts them.
    clients: AtomicUsize,
    /// Those of them that are WebSockets being relayed.
    websockets: AtomicUsize,
    /// `limits.clients` has been reached, and it was said.
    full: AtomicBool,
    /// Numbers the announcements, so that each gets a retry delay of its own.
    pub(super) announced: AtomicU64,
}

/// One worker thread's own state.
pub(super) struct Worker {
    pub(super) shared: Arc<Shared>,
    pub(super) clients: Clients,
    /// Every connection, whatever its state.
    connections: Cell<usize>,
    empty: Notify,
    drain: RefCell<Option<drain::Announcement>>,
    drain_begins: Notify,
}

/// Counts one client, until it is dropped.
pub(super) struct Slot(Arc<Shared>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Relaxed);
    }
}

/// Counts one connection of a worker, until it is dropped.
pub(super) struct Presence(Rc<Worker>);

impl Drop for Presence {
    fn drop(&mut self) {
        let left = self.0.connections.get() - 1;
        self.0.connections.set(left);
        if left == 0 {
            self.0.empty.notify_waiters();
        }
    }
}

impl Worker {
    /// A place among the clients; None: `limits.clients` is reached.
    pub(super) fn admit(&self) -> Option<Slot> {
        let slot = Slot(Arc::clone(&self.shared));
        let before = self.shared.clients.fetch_add(1, Relaxed);
        let limit = self.shared.limits.clients;
        if before < limit {
            if before < limit / 10 * 9 && self.shared.full.load(Relaxed) {
                self.shared.full.store(false, Relaxed);
            }
            return Some(slot);
        }
        if !self.shared.full.swap(true, Relaxed) {
            event!(
                WARN,
                message_id::CLIENT_LIMIT_REACHED,
                baton_clients = limit,
                "limits.clients: {limit} clients are connected, newcomers get 503"
            );
        }
        None
    }

    /// Counts that newcomers have to wait, and says so when it begins to happen.
    pub(super) fn handshakes_exhausted(&self) {
        if self
            .shared
            .counters
            .handshake_waits
            .fetch_add(1, Relaxed)
            .wrapping_add(1)
            .is_power_of_two()
        {
            tracing::warn!(
                "limits.handshakes: {} connections have not sent a request yet, newcomers wait",
                self.shared.limits.handshakes
            );
        }
    }

    pub(super) fn enter(self: &Rc<Self>) -> Presence {
        self.connections.set(self.connections.get() + 1);
        Presence(Rc::clone(self))
    }

    pub(super) fn is_draining(&self) -> bool {
        self.drain.borrow().is_some()
    }

    /// Resolves when a drain begins.
    pub(super) async fn drain_begins(&self) {
        let notified = self.drain_begins.notified();
        if !self.is_draining() {
            notified.await;
        }
    }

    /// A client's relay begins.
    pub(super) fn joined(&self, client: &Rc<Client>) -> usize {
        if let Some(announcement) = &*self.drain.borrow() {
            client.tell(announcement.order(client, &self.shared.announced));
        }
        self.shared.websockets.fetch_add(1, Relaxed);
        self.clients.insert(Rc::clone(client))
    }

    /// A client's relay has ended.
    pub(super) fn left(&self, key: usize, client: &Client, ending: &Ending) {
        self.clients.remove(key);
        self.shared.websockets.fetch_sub(1, Relaxed);
        self.shared.counters.add(ending);
        let service = &client.service().name;
        for (side, violation) in [
            ("client", ending.client_violation),
            ("backend", ending.backend_violation),
        ] {
            if let Some(violation) = violation {
                event!(
                    WARN,
                    message_id::PROTOCOL_VIOLATION,
                    baton_service = service.as_str(),
                    baton_client = client.peer.map(tracing::field::display),
                    "service.{service}: the {side} was closed with 1002: {violation}"
                );
            }
        }
        if ending.backend_lost {
            // One line a connection: the journal's own rate limit bounds a crowd of them.
            tracing::debug!(
                baton_service = service.as_str(),
                "service.{service}: the backend dropped a connection without a Close"
            );
        }
    }

    async fn run(self: Rc<Self>, mut commands: mpsc::Receiver<Command>) {
        let mut acceptors: Vec<JoinHandle<()>> = Vec::new();
        while let Some(command) = commands.recv().await {
            match command {
                Command::Accept(doors) => {
                    for (door, socket) in doors {
                        let accepting = accept(Rc::clone(&self), Rc::new(door), socket);
                        acceptors.push(tokio::task::spawn_local(accepting));
                    }
                }
                Command::StopAccepting(done) => {
                    for acceptor in acceptors.drain(..) {
                        acceptor.abort();
                        // Its socket is closed when it is gone.
                        let _ = acceptor.await;
                    }
                    let _ = done.send(());
                }
                Command::Drain(announcement, done) => {
                    self.drain.replace(Some(announcement.clone()));
                    self.drain_begins.notify_waiters();
                    let worker = Rc::clone(&self);
                    tokio::task::spawn_local(async move {
                        drain::drain(&worker, announcement).await;
                        let _ = done.send(());
                    });
                }
                Command::Ping(done) => {
                    let _ = done.send(());
                }
            }
        }
    }

    /// Resolves when no connection is left.
    pub(super) async fn emptied(&self) {
        loop {
            let notified = self.empty.notified();
            if self.connections.get() == 0 {
                return;
            }
            notified.await;
        }
    }
}

enum Command {
    Accept(Vec<(Door, ListeningSocket)>),
    StopAccepting(oneshot::Sender<()>),
    Drain(drain::Announcement, oneshot::Sender<()>),
    Ping(oneshot::Sender<()>),
}

/// The workers, as the control loop sees them.
pub struct Edge {
    shared: Arc<Shared>,
    workers: Vec<mpsc::Sender<Command>>,
    /// Permits that came on top of `limits.handshakes`, since each accept loop holds one while it
    /// waits for a connection.
    waiting_permits: Cell<usize>,
}

impl Edge {
    /// Starts `workers` threads. They serve nothing yet.
    ///
    /// # Errors
    /// When a thread or its event loop cannot be made.
    pub fn start(workers: usize, limits: Limits, routes: Routes) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            routes: ArcSwap::from_pointee(routes),
            counters: Counters::default(),
            handshakes: Arc::new(Semaphore::new(limits.handshakes)),
            limits,
            clients: AtomicUsize::new(0),
            websockets: AtomicUsize::new(0),
            full: AtomicBool::new(false),
            announced: AtomicU64::new(0),
        });
        let workers = (0..workers)
            .map(|number| spawn(number, Arc::clone(&shared)))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            shared,
            workers,
            waiting_permits: Cell::new(0),
        })
    }

    /// Begins to accept on these listeners, each worker on a descriptor of its own.
    ///
    /// # Errors
    /// The limit on open descriptors; then nothing is accepted.
    pub async fn accept(&self, doors: &[(Door, &super::listener::Listener)]) -> io::Result<()> {
        let mut batches = Vec::new();
        for _ in &self.workers {
            let batch = doors
                .iter()
                .map(|(door, listener)| Ok((door.clone(), listener.try_clone()?)))
                .collect::<io::Result<Vec<_>>>()?;
            batches.push(batch);
        }
        let waiting = doors.len() * self.workers.len();
        self.shared.handshakes.add_permits(waiting);
        self.waiting_permits
            .set(self.waiting_permits.get() + waiting);
        for (worker, batch) in self.workers.iter().zip(batches) {
            let _ = worker.send(Command::Accept(batch)).await;
        }
        Ok(())
    }

    /// Stops accepting. When it returns, no worker holds a listening socket.
    pub async fn stop_accepting(&self) {
        self.ask_all(Command::StopAccepting).await;
        self.shared
            .handshakes
            .forget_permits(self.waiting_permits.take());
    }

    /// Tells every client to leave, and waits until all have left or the announcement's deadline
    /// has passed. A second call hurries the first.
    pub async fn drain(&self, announcement: &drain::Announcement) {
        self.ask_all(|done| Command::Drain(announcement.clone(), done))
            .await;
    }

    /// Resolves when every worker has answered: none hangs. False: one is dead.
    pub async fn ping(&self) -> bool {
        self.ask_all(Command::Ping).await
    }

    async fn ask_all(&self, command: impl Fn(oneshot::Sender<()>) -> Command) -> bool {
        let mut all = true;
        let mut answers = Vec::new();
        for worker in &self.workers {
            let (done, answer) = oneshot::channel();
            match worker.send(command(done)).await {
                Ok(()) => answers.push(answer),
                Err(_) => all = false,
            }
        }
        for answer in answers {
            all &= answer.await.is_ok();
        }
        all
    }

    /// Clients with a WebSocket now, over all workers.
    pub fn clients(&self) -> usize {
        self.shared.websockets.load(Relaxed)
    }

    /// What happened since the process began.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// Replaces the services. Established connections are not touched.
    pub fn route(&self, routes: Routes) {
        self.shared.routes.store(Arc::new(routes));
    }
}

fn spawn(number: usize, shared: Arc<Shared>) -> io::Result<mpsc::Sender<Command>> {
    let (sender, commands) = mpsc::channel(COMMANDS);
    let runtime = Builder::new_current_thread();
    let (ready, outcome) = std::sync::mpsc::sync_channel(1);
    thread::Builder::new()
        .name(format!("worker-{number}"))
        .spawn(move || {
            let mut builder = runtime;
            let runtime = match builder.enable_all().build_local(LocalOptions::default()) {
                Ok(runtime) => runtime,
                Err(error) => {
                    let _ = ready.send(Err(error));
                    return;
                }
            };
            let _ = ready.send(Ok(()));
            let worker = Rc::new(Worker {
                shared,
                clients: Clients::default(),
                connections: Cell::new(0),
                empty: Notify::new(),
                drain: RefCell::new(None),
                drain_begins: Notify::new(),
            });
            runtime.block_on(worker.run(commands));
        })?;
    match outcome.recv() {
        Ok(result) => result.map(|()| sender),
        Err(_) => Err(io::Error::other("a worker thread died at its start")),
    }
}
