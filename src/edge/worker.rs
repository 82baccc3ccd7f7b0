//! Worker threads. Each accepts, and keeps the connections that it accepted: nothing of a
//! connection is shared between threads. The control loop talks to them by command.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::acceptor::{Door, Post, accept, take_queued};
use super::census::Count;
use super::clients::{Client, Clients};
use super::counters::Counters;
use super::departures::{self, Selection, Wave};
use super::drain;
use super::listener::{Cookie, ListeningSocket};
use super::loss::Loss;
use super::relay::Ending;
use super::route::{Routes, Service};
use crate::certificate::ledger::Ledger;
use crate::config::{Limits, Restart};
use crate::control::message_id;
use crate::event;

/// What all workers share.
pub(super) struct Shared {
    pub(super) routes: ArcSwap<Routes>,
    pub(super) counters: Counters,
    pub(super) ledger: Arc<Ledger>,
    pub(super) limits: ArcSwap<Limits>,
    /// Connections, as `limits.clients` counts them.
    clients: AtomicUsize,
    /// Those of them that are WebSockets being relayed.
    pub(super) websockets: AtomicUsize,
    /// `limits.clients` has been reached, and it was said.
    full: AtomicBool,
    /// Numbers the announcements, so that each gets a retry delay of its own.
    announced: AtomicU64,
    /// Takes the questions about lost backends, once somebody answers them.
    pub(super) losses: OnceLock<mpsc::Sender<Loss>>,
}

impl Shared {
    pub(super) fn new(limits: Limits, routes: Routes) -> Self {
        Self {
            routes: ArcSwap::from_pointee(routes),
            counters: Counters::default(),
            ledger: Arc::default(),
            limits: ArcSwap::from_pointee(limits),
            clients: AtomicUsize::new(0),
            websockets: AtomicUsize::new(0),
            full: AtomicBool::new(false),
            announced: AtomicU64::new(0),
            losses: OnceLock::new(),
        }
    }

    pub(super) fn connections(&self) -> usize {
        self.clients.load(Relaxed)
    }

    /// The service as it is configured now; one that is not any more, as it was.
    pub(super) fn current(&self, service: &Arc<Service>) -> Arc<Service> {
        let routes = self.routes.load();
        Arc::clone(routes.named(&service.name).unwrap_or(service))
    }

    /// One client's share of this span. The delays follow each other in golden-ratio steps, which
    /// keeps any number of them evenly spread.
    pub(super) fn retry_delay(&self, retry: Option<&RangeInclusive<Duration>>) -> Option<Duration> {
        const GOLDEN: f64 = 0.618_033_988_749_894_9;
        let retry = retry?;
        let place = (self.announced.fetch_add(1, Relaxed) as f64 * GOLDEN).fract();
        let span = retry.end().saturating_sub(*retry.start());
        Some(*retry.start() + span.mul_f64(place))
    }
}

/// One worker thread's own state.
pub(super) struct Worker {
    /// From 0.
    pub(super) number: usize,
    pub(super) shared: Arc<Shared>,
    pub(super) clients: Clients,
    /// Every connection, whatever its state.
    connections: Cell<usize>,
    empty: Notify,
    drain: RefCell<Option<drain::Announcement>>,
    /// Sockets that were closed lately.
    closed: RefCell<HashMap<Cookie, Closed>>,
    /// A drain has begun or ended, or sockets were closed.
    farewell: Notify,
}

/// What there is for those who came through a socket that was closed.
#[derive(Clone)]
pub(super) struct Closed {
    /// What they are told.
    pub(super) announcement: drain::Announcement,
    /// Who serves them until then: the routes as they were when the socket was open.
    pub(super) routes: Arc<Routes>,
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
    pub(super) fn new(number: usize, shared: Arc<Shared>) -> Self {
        Self {
            number,
            shared,
            clients: Clients::default(),
            connections: Cell::new(0),
            empty: Notify::new(),
            drain: RefCell::new(None),
            closed: RefCell::default(),
            farewell: Notify::new(),
        }
    }

    /// A place among the clients; None: `limits.clients` is reached.
    pub(super) fn admit(&self) -> Option<Slot> {
        let slot = Slot(Arc::clone(&self.shared));
        let before = self.shared.clients.fetch_add(1, Relaxed);
        let limit = self.shared.limits.load().clients;
        if before < limit {
            if before * 10 < limit * 9 && self.shared.full.load(Relaxed) {
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
                self.shared.limits.load().handshakes
            );
        }
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
            let notified = self.farewell.notified();
            if self.bids_farewell(socket) {
                return;
            }
            notified.await;
        }
    }

    /// Resolves when whoever came through this socket may not wait for the service any longer,
    /// because it is to leave.
    pub(super) async fn hold_ends(&self, socket: Cookie, service: &Service) {
        loop {
            let changed = self.farewell.notified();
            match self.hold_end(socket, &service.restart) {
                None => changed.await,
                Some(end) if timeout_at(end, changed).await.is_err() => return,
                Some(_) => {}
            }
        }
    }

    fn hold_end(&self, socket: Cookie, restart: &Restart) -> Option<Instant> {
        let (drain, closed) = (self.drain.borrow(), self.closed.borrow());
        let closed = closed.get(&socket).map(|one| &one.announcement);
        let end = |one: &drain::Announcement| one.hold(restart, &self.shared.routes.load());
        drain.iter().chain(closed).map(end).min()
    }

    /// A client's relay begins.
    pub(super) fn joined(&self, client: &Rc<Client>) -> usize {
        let (drain, closed) = (self.drain.borrow(), self.closed.borrow());
        let closed = closed.get(&client.socket).map(|one| &one.announcement);
        if let Some(announcement) = drain.as_ref().or(closed) {
            client.tell(announcement.order(client, &self.shared));
        }
        self.shared.websockets.fetch_add(1, Relaxed);
        client.backend().joined();
        client.service().tally().joined();
        self.clients.insert(Rc::clone(client))
    }

    /// Where requests go of those who came through this socket.
    pub(super) fn routes(&self, socket: Cookie) -> Arc<Routes> {
        match self.closed.borrow().get(&socket) {
            Some(closed) => Arc::clone(&closed.routes),
            None => self.shared.routes.load_full(),
        }
    }

    /// Nobody comes through these sockets any more.
    pub(super) fn forget(&self, sockets: &[Cookie]) {
        let mut closed = self.closed.borrow_mut();
        closed.retain(|socket, _| !sockets.contains(socket));
    }

    /// A client's relay has ended.
    pub(super) fn left(&self, key: usize, client: &Client, ending: &Ending) {
        self.clients.remove(key);
        self.shared.websockets.fetch_sub(1, Relaxed);
        client.backend().left();
        client.service().tally().left(ending);
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

    /// Carries out commands until the control loop is gone.
    pub(super) async fn run(self: Rc<Self>, mut commands: mpsc::Receiver<Command>) {
        let mut acceptors: Vec<JoinHandle<()>> = Vec::new();
        while let Some(command) = commands.recv().await {
            match command {
                Command::Accept(posts, handshakes) => {
                    for (door, socket, cookie) in posts {
                        // One that was closed may be back.
                        self.forget(&[cookie]);
                        let post = Post {
                            door: Rc::new(door),
                            socket,
                            cookie,
                        };
                        let accepting = accept(Rc::clone(&self), post, Arc::clone(&handshakes));
                        acceptors.push(tokio::task::spawn_local(accepting));
                    }
                }
                Command::Close(sockets, closed) => {
                    let announcement = closed.announcement.clone();
                    let all = sockets.iter().map(|one| (*one, closed.clone()));
                    self.closed.borrow_mut().extend(all);
                    self.farewell.notify_waiters();
                    let worker = Rc::clone(&self);
                    tokio::task::spawn_local(async move {
                        drain::close(&worker, &sockets, announcement).await;
                    });
                }
                Command::TakeQueued(posts, done) => {
                    for (door, socket, cookie) in posts {
                        let post = Post {
                            door: Rc::new(door),
                            socket,
                            cookie,
                        };
                        take_queued(&self, post);
                    }
                    let _ = done.send(());
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
                    self.farewell.notify_waiters();
                    let worker = Rc::clone(&self);
                    tokio::task::spawn_local(async move {
                        drain::drain(&worker, announcement).await;
                        let _ = done.send(());
                    });
                }
                Command::EndDrain => {
                    self.drain.replace(None);
                    self.farewell.notify_waiters();
                }
                Command::Count(service, limit, done) => {
                    let _ = done.send(Count::of(&self.clients, service.as_deref(), limit));
                }
                Command::Depart(selection, waves) => {
                    let departing = departures::depart(Rc::clone(&self), selection, waves);
                    tokio::task::spawn_local(departing);
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
pub(super) type Batch = Vec<(Door, ListeningSocket, Cookie)>;

/// What the control loop asks of one worker.
pub(super) enum Command {
    Accept(Batch, Arc<Semaphore>),
    Close(Vec<Cookie>, Closed),
    TakeQueued(Batch, oneshot::Sender<()>),
    StopAccepting(oneshot::Sender<()>),
    Drain(drain::Announcement, oneshot::Sender<()>),
    EndDrain,
    Count(Option<String>, usize, oneshot::Sender<Count>),
    Depart(Selection, mpsc::Receiver<Wave>),
    Ping(oneshot::Sender<()>),
}
