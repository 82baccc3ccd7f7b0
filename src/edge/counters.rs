//! What happened at the edge, counted over all workers. Each is touched once a connection or
//! less, never once a message; what passes through is counted in `traffic`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::farewells::{Codes, Farewells};
use super::relay::{Ending, Outcome};
use super::times::{Histogram, Times};
use super::traffic::{Lanes, Passed};
use crate::restart::hold::Totals;
use crate::restart::report::DrainReport;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counts since the process began.
        #[derive(Debug, Default)]
        pub struct Counters { $($(#[$doc])* pub $name: AtomicU64,)* }

        /// The same, at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counts { $($(#[$doc])* pub $name: u64,)* }

        impl Counters {
            /// What has been counted so far.
            pub fn read(&self) -> Counts {
                Counts { $($name: self.$name.load(Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Connections taken from a listening socket.
    accepted,
    /// Accept calls that failed, for want of descriptors or because the peer was gone.
    accept_errors,
    /// TLS handshakes completed in full.
    handshakes_full,
    /// TLS handshakes completed with a ticket of an earlier one.
    handshakes_resumed,
    /// TLS handshakes that failed or ran out of time.
    handshakes_failed,
    /// Times that newcomers had to wait because of `limits.handshakes`.
    handshake_waits,
    /// Connections answered with 503 because `limits.clients` was reached.
    refused,
    /// WebSockets relayed.
    upgraded,
    /// HTTP requests that were not WebSocket upgrades.
    requests,
    /// Connections that were cut off because of `limits.handshake_timeout`.
    handshake_timeouts,
    /// Connections that were cut off because of `limits.stall_timeout`.
    stalled,
    /// Requests answered with 431 because of `limits.header_bytes`.
    headers_too_large,
    /// Requests that no backend could answer.
    backend_failures,
    /// WebSockets whose backend was gone without a Close.
    backend_lost,
    /// WebSockets cut off inside a frame, because the backend was gone there.
    torn,
    /// Breaches of RFC 6455 by clients.
    client_violations,
    /// Breaches of RFC 6455 by backends.
    backend_violations,
    /// Clients that were told to leave.
    told,
    /// Of those, answered with their Close.
    closed_cleanly,
    /// Of those, did not answer in time.
    timed_out,
    /// Of those, were gone without an answer.
    gone,
    /// Were to be told, but the deadline passed inside a frame.
    cut,
    /// Whole messages that backends sent after a client had been told.
    discarded,
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

impl Counters {
    /// How a drain that began with `clients_at_start` clients is going, with `remaining` left.
    pub fn drain_report(&self, clients_at_start: u64, remaining: u64) -> DrainReport {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        DrainReport {
            clients_at_start,
            told: read(&self.told),
            closed_cleanly: read(&self.closed_cleanly),
            timed_out: read(&self.timed_out),
            gone: read(&self.gone),
            cut: read(&self.cut),
            remaining,
            discarded_messages: read(&self.discarded),
        }
    }

    /// Adds up one relay that has ended.
    pub(super) fn add(&self, ending: &Ending) {
        let add = |counter: &AtomicU64, n: u64| {
            if n > 0 {
                counter.fetch_add(n, Relaxed);
            }
        };
        add(&self.backend_lost, ending.backend_lost.into());
        add(&self.torn, ending.torn.into());
        add(&self.stalled, ending.stalled.into());
        add(
            &self.client_violations,
            ending.client_violation.is_some().into(),
        );
        add(
            &self.backend_violations,
            ending.backend_violation.is_some().into(),
        );
        add(&self.discarded, ending.discarded);
        match ending.outcome {
            None | Some(Outcome::Left) => return,
            Some(Outcome::Clean) => count(&self.closed_cleanly),
            Some(Outcome::TimedOut) => count(&self.timed_out),
            Some(Outcome::Gone) => count(&self.gone),
            Some(Outcome::Cut) => {
                count(&self.cut);
                return;
            }
        }
        count(&self.told);
    }
}

/// What happened to one service, for as long as the process has known it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceCounts {
    /// WebSockets relayed now.
    pub clients: u64,
    /// Requests for a WebSocket, those that wait included.
    pub arrived: u64,
    /// Of those, became WebSockets.
    pub upgraded: u64,
    /// Clients that were told to leave.
    pub told: u64,
    /// Of those, answered with their Close.
    pub closed_cleanly: u64,
    /// Of those, did not answer in time.
    pub timed_out: u64,
    /// Of those, were gone without an answer.
    pub gone: u64,
    /// Were to be told, but the deadline passed inside a frame.
    pub cut: u64,
    /// Whole messages that backends sent after a client had been told.
    pub discarded: u64,
    /// WebSockets whose backend was gone without a Close.
    pub lost: u64,
    /// Requests, of whatever kind, that had to wait for a backend.
    pub held: u64,
    /// Of those, reached one.
    pub released: u64,
    /// Of those, were refused when their time was over.
    pub overdue: u64,
    /// Requests, of whatever kind, that were refused because too many waited already.
    pub full: u64,
    /// Requests, of whatever kind, that were refused because no backend could be reached.
    pub refused: u64,
    /// Breaches of RFC 6455 by clients.
    pub client_violations: u64,
    /// Breaches of RFC 6455 by backends.
    pub backend_violations: u64,
    /// What its relays passed on.
    pub passed: Passed,
    /// Close frames that clients were sent, by [`CODES`](super::farewells::CODES).
    pub closes_sent: Codes,
    /// Close frames that clients sent.
    pub closes_received: Codes,
}

/// Counts what happens to one service, over all workers.
#[derive(Debug, Default)]
pub(super) struct Tally {
    clients: AtomicU64,
    arrived: AtomicU64,
    upgraded: AtomicU64,
    took: Histogram,
    refused: AtomicU64,
    endings: Counters,
    pub(super) lanes: Lanes,
    pub(super) farewells: Farewells,
}

impl Tally {
    pub(super) fn arrived(&self) {
        count(&self.arrived);
    }

    pub(super) fn refused(&self) {
        count(&self.refused);
    }

    /// A request for a WebSocket was answered with one, so long after the connection was accepted
    /// (of its first request) or the request was there, without what it was held.
    pub(super) fn upgraded(&self, after: Duration) {
        count(&self.upgraded);
        self.took.add(after);
    }

    pub(super) fn times(&self) -> Times {
        self.took.read()
    }

    pub(super) fn joined(&self) {
        count(&self.clients);
    }

    pub(super) fn left(&self, ending: &Ending) {
        self.clients.fetch_sub(1, Relaxed);
        self.endings.add(ending);
    }

    pub(super) fn clients(&self) -> usize {
        self.clients.load(Relaxed) as usize
    }

    /// `held` is what the hold has counted.
    pub(super) fn counts(&self, held: &Totals) -> ServiceCounts {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        let endings = &self.endings;
        let (closes_sent, closes_received) = self.farewells.counts();
        ServiceCounts {
            clients: read(&self.clients),
            arrived: read(&self.arrived),
            upgraded: read(&self.upgraded),
            told: read(&endings.told),
            closed_cleanly: read(&endings.closed_cleanly),
            timed_out: read(&endings.timed_out),
            gone: read(&endings.gone),
            cut: read(&endings.cut),
            discarded: read(&endings.discarded),
            lost: read(&endings.backend_lost),
            held: held.held,
            released: held.released,
            overdue: held.overdue,
            full: held.full,
            refused: read(&self.refused),
            client_violations: read(&endings.client_violations),
            backend_violations: read(&endings.backend_violations),
            passed: self.lanes.passed(),
            closes_sent,
            closes_received,
        }
    }
}
