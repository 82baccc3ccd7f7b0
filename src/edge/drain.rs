//! Telling the clients of one worker to leave, and waiting until they have.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::clients::{Client, Order};
use super::close::{CloseCode, CloseFrame};
use super::crowd::turns;
use super::listener::Cookie;
use super::route::Routes;
use super::worker::{Shared, Worker};
use crate::config::{Restart, Spread};

/// Clients that are told at once with `spread = "auto"`; more are told over as many seconds as
/// there are times this number on the worker.
const AUTO_RATE: usize = 1_000;

/// How long the workers wait beyond a client's deadline for its connections to end.
const AFTERMATH: Duration = Duration::from_secs(3);

/// How long it takes at most from a request to the relay: a backend's time to answer, and more.
const ADMISSION: Duration = Duration::from_secs(90);

/// Where the clients are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// The service comes back: `restart.close_code`.
    Restart,
    /// It does not: 1001.
    Stop,
    /// The listener that the client came through is not in the configuration any more: 1001.
    Removed,
}

/// What all clients are told, and by when they must have left.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// Where the clients are sent.
    pub departure: Departure,
    /// Whether `restart.spread` is kept; else all are told at once.
    pub paced: bool,
    /// None: each service's own `restart.deadline`. Else this is the limit, whatever it says.
    pub within: Option<Duration>,
    /// When it was made.
    pub since: Instant,
}

impl Announcement {
    /// What one client is told.
    pub(super) fn order(&self, client: &Client, shared: &Shared) -> Order {
        let restart = &client.service().restart;
        let (code, reason) = match self.departure {
            Departure::Restart => {
                let delay = shared.retry_delay(restart.retry.as_ref());
                (restart.close_code, restart.reason_with(delay))
            }
            Departure::Stop => (CloseCode::GOING_AWAY, "the service stops".to_owned()),
            Departure::Removed => (CloseCode::GOING_AWAY, "the listener is closed".to_owned()),
        };
        Order {
            frame: CloseFrame::to_client(code, &reason),
            close_timeout: restart.close_timeout,
            deadline: self.deadline(restart),
        }
    }

    /// Until when newcomers who are held may go on waiting: a service that comes back can still
    /// take them, and they learn in order that they are to leave. Never longer than the drain.
    pub(super) fn hold(&self, restart: &Restart, routes: &Routes) -> Instant {
        match self.departure {
            Departure::Restart => self
                .deadline(restart)
                .min(self.since + self.longest(routes)),
            Departure::Stop | Departure::Removed => self.since,
        }
    }

    fn deadline(&self, restart: &Restart) -> Instant {
        let within = self
            .within
            .unwrap_or(restart.deadline)
            .min(restart.deadline);
        self.since + within
    }

    /// How long the drain may take for clients of any service.
    fn longest(&self, routes: &Routes) -> Duration {
        let longest = routes
            .services()
            .iter()
            .map(|one| one.restart.deadline)
            .max();
        let longest = longest.unwrap_or_default();
        self.within.map_or(longest, |within| within.min(longest))
    }

    /// When client number `place` of `count` of a service is told.
    pub(super) fn turn(&self, restart: &Restart, place: usize, count: usize) -> Instant {
        if !self.paced {
            return self.since;
        }
        let spread = match restart.spread {
            Spread::Over(time) => time,
            Spread::Auto if count <= AUTO_RATE => Duration::ZERO,
            Spread::Auto => Duration::from_secs(1).mul_f64(count as f64 / AUTO_RATE as f64),
        };
        // Whoever is told last still needs time to leave.
        let spread = spread.min(restart.deadline / 2);
        self.since + spread.mul_f64(place as f64 / count as f64)
    }
}

/// Tells every client of `worker` in turn, and waits until all connections have ended or the
/// last deadline is over.
pub(super) async fn drain(worker: &Rc<Worker>, announcement: Announcement) {
    let clients = worker.clients.snapshot();
    let last = clients
        .iter()
        .map(|client| announcement.deadline(&client.service().restart))
        .fold(announcement.since, Instant::max);
    let turns = turns(&announcement, clients, |client| &client.service().restart);
    for (turn, client) in turns {
        if turn > Instant::now() {
            sleep_until(turn).await;
        }
        client.tell(announcement.order(&client, &worker.shared));
    }
    // Newcomers that were accepted before, and plain requests under way, have as long as clients.
    // Clients may be of services as they were before a reload.
    let newcomers = announcement.since + announcement.longest(&worker.shared.routes.load());
    let latest = newcomers.max(last);
    let _ = timeout_at(latest + AFTERMATH, worker.emptied()).await;
}

/// Tells every client of `worker` that came through one of these sockets, and whoever is still
/// about to.
pub(super) async fn close(worker: &Rc<Worker>, sockets: &[Cookie], announcement: Announcement) {
    let clients = worker.clients.snapshot();
    for client in clients.iter().filter(|one| sockets.contains(&one.socket)) {
        client.tell(announcement.order(client, &worker.shared));
    }
    // Whoever came through it last has begun to wait for its backend by then.
    let latest = worker.shared.limits.load().handshake_timeout + ADMISSION;
    sleep_until(Instant::now() + latest).await;
    worker.forget(sockets);
}
