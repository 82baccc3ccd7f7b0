//! Worker threads. Each accepts, and keeps the connections that it accepted: nothing of a
//! connection is shared between threads. The control loop talks to them by command.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::thread;

use arc_swap::ArcSwap;
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::acceptor::{Door, Post, accept};
use super::clients::{Client, Clients};
use super::counters::Counters;
use super::drain;
use super::handshakes::Handshakes;
use super::listener::{Cookie, Listener, ListeningSocket};
use super::relay::Ending;
use super::route::Routes;
use crate::config::{Limits, ServiceConfig};
use crate::control::message_id;
use crate::event;

/// Commands that may wait for one worker. The control loop awaits their answers, so a few do.
const COMMANDS: usize = 16;

/// What all workers share.
pub(super) struct Shared {
    pub(super) routes: ArcSwap<Routes>,
    pub(super) counters: Counters,
    pub(super) limits: ArcSwap<Limits>,
    clients: AtomicUsize,
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
    /// Sockets that were closed lately, and what those who came through them are told.
    closed: RefCell<HashMap<Cookie, drain::Announcement>>,
    farewell_begins: Notify,
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
        let limit = self.shared.limits.load().clients;
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

    pub(super) fn enter(self: &Rc<Self>) -> Presence {
        self.connections.set(self.connections.get() + 1);
        Presence(Rc::clone(self))
    }

    /// Who came through this socket is to leave.
    pub(super) fn bids_farewell(&self, socket: Cookie) -> bool {
        self.drain.borrow().is_some() || self.closed.borrow().contains_key(&socket)
    }

    /// Resolves when that begins.
    pub(super) async fn farewell_begins(&self, socket: Cookie) {
        loop {
            let notified = self.farewell_begins.notified();
            if self.bids_farewell(socket) {
                return;
            }
            notified.await;
        }
    }

    /// A client's relay begins.
    pub(super) fn joined(&self, client: &Rc<Client>) -> usize {
        let (drain, closed) = (self.drain.borrow(), self.closed.borrow());
        if let Some(announcement) = drain.as_ref().or_else(|| closed.get(&client.socket)) {
            client.tell(announcement.order(client, &self.shared.announced));
        }
        self.clients.insert(Rc::clone(client))
    }

    /// Nobody comes through these sockets any more.
    pub(super) fn forget(&self, sockets: &[Cookie]) {
        let mut closed = self.closed.borrow_mut();
        closed.retain(|socket, _| !sockets.contains(socket));
    }

    /// A client's relay has ended.
    pub(super) fn left(&self, key: usize, client: &Client, ending: &Ending) {
        self.clients.remove(key);
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
                Command::Accept(posts, handshakes) => {
                    for (door, socket, cookie) in posts {
                        let post = Post {
                            door: Rc::new(door),
                            socket,
                            cookie,
                        };
                        let accepting = accept(Rc::clone(&self), post, Arc::clone(&handshakes));
                        acceptors.push(tokio::task::spawn_local(accepting));
                    }
                }
                Command::Close(sockets, announcement) => {
                    let told = sockets.iter().map(|one| (*one, announcement.clone()));
                    self.closed.borrow_mut().extend(told);
                    self.farewell_begins.notify_waiters();
                    let worker = Rc::clone(&self);
                    tokio::task::spawn_local(async move {
                        drain::close(&worker, &sockets, announcement).await;
                    });
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
                    self.farewell_begins.notify_waiters();
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

/// What one worker accepts on.
type Batch = Vec<(Door, ListeningSocket, Cookie)>;

enum Command {
    Accept(Batch, Arc<Semaphore>),
    Close(Vec<Cookie>, drain::Announcement),
    StopAccepting(oneshot::Sender<()>),
    Drain(drain::Announcement, oneshot::Sender<()>),
    Ping(oneshot::Sender<()>),
}

/// The workers, as the control loop sees them.
pub struct Edge {
    shared: Arc<Shared>,
    workers: Vec<mpsc::Sender<Command>>,
    handshakes: Handshakes,
}

/// A change that can be made without failing: every worker has its descriptors.
pub struct Prepared {
    batches: Vec<Batch>,
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
            limits: ArcSwap::from_pointee(limits),
            clients: AtomicUsize::new(0),
            full: AtomicBool::new(false),
            announced: AtomicU64::new(0),
        });
        let workers = (0..workers)
            .map(|number| spawn(number, Arc::clone(&shared)))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            shared,
            workers,
            handshakes: Handshakes::default(),
        })
    }

    /// Begins to accept on these listeners, each worker on a descriptor of its own.
    ///
    /// # Errors
    /// The limit on open descriptors; then nothing is accepted.
    pub async fn accept(&self, doors: &[(Door, &Listener)]) -> io::Result<()> {
        self.begin(self.prepare(doors)?).await;
        Ok(())
    }

    /// Makes the descriptors for [`Self::replace`].
    ///
    /// # Errors
    /// The limit on open descriptors.
    pub fn prepare(&self, doors: &[(Door, &Listener)]) -> io::Result<Prepared> {
        let post = |(door, listener): &(Door, &Listener)| {
            Ok((door.clone(), listener.try_clone()?, listener.cookie()?))
        };
        let batch = |_| doors.iter().map(post).collect();
        let batches = self.workers.iter().map(batch).collect::<io::Result<_>>()?;
        Ok(Prepared { batches })
    }

    /// Puts another configuration into use. What comes during the change waits in the accept
    /// queue; who is connected keeps what it has.
    pub async fn replace(&self, prepared: Prepared, services: &[ServiceConfig], limits: Limits) {
        self.stop_accepting().await;
        let routes = self.shared.routes.load().renewed(services);
        self.shared.routes.store(Arc::new(routes));
        self.shared.limits.store(Arc::new(limits));
        self.begin(prepared).await;
    }

    async fn begin(&self, prepared: Prepared) {
        let loops: usize = prepared.batches.iter().map(Vec::len).sum();
        let handshakes = self
            .handshakes
            .permits(self.shared.limits.load().handshakes + loops);
        for (worker, batch) in self.workers.iter().zip(prepared.batches) {
            let _ = worker
                .send(Command::Accept(batch, Arc::clone(&handshakes)))
                .await;
        }
    }

    /// Stops accepting. When it returns, no worker holds a listening socket.
    pub async fn stop_accepting(&self) {
        self.ask_all(Command::StopAccepting).await;
    }

    /// Tells every client that came through one of these sockets to leave, and does not wait.
    /// Nobody accepts on them any more.
    pub async fn close(&self, sockets: &[Cookie], announcement: &drain::Announcement) {
        for worker in &self.workers {
            let close = Command::Close(sockets.to_vec(), announcement.clone());
            let _ = worker.send(close).await;
        }
    }

    /// Tells every client to leave, and waits until all have left or the announcement's deadline
    /// has passed. A second call hurries the first.
    pub async fn drain(&self, announcement: &drain::Announcement) {
        self.ask_all(|done| Command::Drain(announcement.clone(), done))
            .await;
    }

    /// Resolves when every worker has answered: none hangs.
    pub async fn ping(&self) {
        self.ask_all(Command::Ping).await;
    }

    async fn ask_all(&self, command: impl Fn(oneshot::Sender<()>) -> Command) {
        let mut answers = Vec::new();
        for worker in &self.workers {
            let (done, answer) = oneshot::channel();
            if worker.send(command(done)).await.is_ok() {
                answers.push(answer);
            }
        }
        for answer in answers {
            let _ = answer.await;
        }
    }

    /// Worker threads.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Clients connected now, over all workers.
    pub fn clients(&self) -> usize {
        self.shared.clients.load(Relaxed)
    }

    /// What happened since the process began.
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
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
                closed: RefCell::default(),
                farewell_begins: Notify::new(),
            });
            runtime.block_on(worker.run(commands));
        })?;
    match outcome.recv() {
        Ok(result) => result.map(|()| sender),
        Err(_) => Err(io::Error::other("a worker thread died at its start")),
    }
}
