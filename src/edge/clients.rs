//! The clients of one worker thread: who is connected, and how an announcement reaches them.
//! The relay looks at its own entry only, so the table costs nothing while bytes pass.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use super::close::{CloseCode, CloseFrame};
use super::crowd::Crowd;
use super::listener::Cookie;
use super::route::Service;

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
    service: Arc<Service>,
    order: Cell<Option<Box<Order>>>,
    waker: RefCell<Option<Waker>>,
    armed: Cell<bool>,
}

impl Client {
    pub(super) fn new(peer: Option<IpAddr>, socket: Cookie, service: Arc<Service>) -> Self {
        Self {
            peer,
            socket,
            service,
            order: Cell::new(None),
            waker: RefCell::new(None),
            armed: Cell::new(false),
        }
    }

    /// The service it uses.
    pub fn service(&self) -> &Service {
        &self.service
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
        self.order.set(Some(Box::new(order)));
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }
}

/// The clients of one worker.
pub(super) type Clients = Crowd<Client>;
