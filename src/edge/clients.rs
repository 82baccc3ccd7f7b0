//! The clients of one worker thread: who is connected, and how an announcement reaches them.
//! The relay looks at its own entry only, so the table costs nothing while bytes pass.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::backend::Backend;
use super::close::{CloseCode, CloseFrame};
use super::crowd::Crowd;
use super::listener::Cookie;
use super::loss::Fate;
use super::route::Service;
use super::traffic::Traffic;
use super::worker::{Shared, Worker};

/// Tells one client to leave.
#[derive(Debug)]
pub struct Order {
    /// What it is told.
    pub frame: CloseFrame,
    /// How long its reply is awaited.
    pub close_timeout: Duration,
    /// When its connection is cut, whatever has come by then.
    pub deadline: Instant,
}

/// One relayed client.
pub struct Client {
    /// Where it comes from; None on a Unix socket.
    pub peer: Option<IpAddr>,
    /// The listening socket that it came through.
    pub(super) socket: Cookie,
    /// When it was led to its backend.
    pub(super) since: Timestamp,
    service: Arc<Service>,
    backend: Arc<Backend>,
    shared: Arc<Shared>,
    order: Cell<Option<Box<Order>>>,
    /// It has been told to leave.
    told: Cell<bool>,
    /// What it hears now that its backend is gone.
    condolence: Cell<Option<Box<CloseFrame>>>,
    waker: RefCell<Option<Waker>>,
    armed: Cell<bool>,
    traffic: Arc<Traffic>,
}

impl Client {
    pub(super) fn new(
        peer: Option<IpAddr>,
        socket: Cookie,
        service: Arc<Service>,
        backend: Arc<Backend>,
        worker: &Worker,
    ) -> Self {
        let traffic = service.tally().lanes.of(worker.number);
        Self {
            peer,
            socket,
            since: Timestamp::now(),
            service,
            backend,
            shared: Arc::clone(&worker.shared),
            order: Cell::new(None),
            told: Cell::new(false),
            condolence: Cell::new(None),
            waker: RefCell::new(None),
            armed: Cell::new(false),
            traffic,
        }
    }

    /// The service it uses.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// The backend that serves it.
    pub fn backend(&self) -> &Backend {
        &self.backend
    }

    /// Where its relay counts what passes.
    pub(super) fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    pub(super) fn close_timeout(&self) -> Duration {
        self.service.restart.close_timeout
    }

    pub(super) fn lost_code(&self) -> CloseCode {
        self.service.restart.lost_code
    }

    /// What the relay asks at every turn. A task's waker stays the same, so it is kept once.
    pub(super) fn take_order(&self, waker: &Waker) -> Option<Box<Order>> {
        if !self.armed.get() {
            self.waker.replace(Some(waker.clone()));
            self.armed.set(true);
        }
        self.order.take()
    }

    pub(super) fn tell(&self, order: Order) {
        self.told.set(true);
        self.order.set(Some(Box::new(order)));
        self.wake();
    }

    /// Whether it has been told to leave.
    pub(super) fn is_told(&self) -> bool {
        self.told.get()
    }

    /// Its backend is gone: what it hears. None: whoever knows is asked, and the relay is woken to
    /// [take the answer](Self::take_condolence).
    pub(super) fn condole(self: &Rc<Self>) -> Option<CloseFrame> {
        let losses = self.shared.losses.get();
        let Some(losses) = losses.filter(|_| self.backend.unit().is_some()).cloned() else {
            return Some(self.lost_frame(Fate::Gone));
        };
        let client = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let backend = Arc::clone(&client.backend);
            let fate = backend.fate(&client.service.name, &losses).await;
            let frame = client.lost_frame(fate);
            client.condolence.set(Some(Box::new(frame)));
            client.wake();
        });
        None
    }

    pub(super) fn take_condolence(&self) -> Option<Box<CloseFrame>> {
        self.condolence.take()
    }

    fn lost_frame(&self, fate: Fate) -> CloseFrame {
        let restart = &self.service.restart;
        match fate {
            Fate::Restarting => CloseFrame::to_client(
                restart.close_code,
                &restart.reason_with(self.shared.retry_delay(restart.retry.as_ref())),
            ),
            Fate::Gone => CloseFrame::to_client(restart.lost_code, "the backend is gone"),
        }
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

/// The clients of one worker.
pub(super) type Clients = Crowd<Client>;
