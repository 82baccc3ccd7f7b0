//! Who is connected, as an operator asks for it.

use std::net::IpAddr;

use jiff::Timestamp;

use super::clients::Clients;
use super::listener::Cookie;

/// One client with a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// The name of the service that it uses.
    pub service: String,
    /// The listening socket that it came through.
    pub socket: Cookie,
    /// Where it comes from; None on a Unix socket.
    pub peer: Option<IpAddr>,
    /// When it was led to its backend.
    pub since: Timestamp,
}

/// Some clients, and how many there are of them altogether.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// All that were asked for.
    pub total: usize,
    /// Those who came first, up to the limit.
    pub first: Vec<Connected>,
}

impl Count {
    /// The clients of a service, or all, of one worker.
    pub(super) fn of(clients: &Clients, service: Option<&str>, limit: usize) -> Self {
        let mut asked = clients.snapshot();
        asked.retain(|one| service.is_none_or(|name| one.service().name == name));
        let total = asked.len();
        // The worker has clients to serve: only those who are listed are put in order.
        if limit < total {
            asked.select_nth_unstable_by_key(limit, |one| one.since);
            asked.truncate(limit);
        }
        asked.sort_unstable_by_key(|one| one.since);
        let first = asked.into_iter().map(|one| Connected {
            service: one.service().name.clone(),
            socket: one.socket,
            peer: one.peer,
            since: one.since,
        });
        Self {
            total,
            first: first.collect(),
        }
    }

    /// Together with what another worker counted.
    pub(super) fn join(&mut self, other: Self, limit: usize) {
        self.total += other.total;
        self.first.extend(other.first);
        self.first.sort_by_key(|one| one.since);
        self.first.truncate(limit);
    }
}
