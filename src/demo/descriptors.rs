//! How many clients there is room for: a client takes a descriptor, and its connection from
//! batond to the backend another, both in this process. batond itself raises its own limit.

use rustix::process::{Resource, getrlimit};

/// Descriptors for everything else: files, pipes, event loops, newcomers that come and go.
const SPARE: u64 = 120;

/// How many open descriptors this process may have, and how many clients that is enough for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The soft limit, `ulimit -n`; None: there is none.
    pub limit: Option<u64>,
    /// Clients that fit.
    pub clients: usize,
}

impl Room {
    /// Under the limit of this process.
    pub fn here() -> Self {
        Self::under(getrlimit(Resource::Nofile).current)
    }

    fn under(limit: Option<u64>) -> Self {
        let clients = limit.map_or(u64::MAX, |limit| limit.saturating_sub(SPARE) / 2);
        Self {
            limit,
            clients: usize::try_from(clients).unwrap_or(usize::MAX),
        }
    }
}

/// The limit that so many clients need.
pub fn needed_for(clients: usize) -> u64 {
    SPARE + 2 * clients as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_fit_as_the_limit_that_they_need_says() {
        for clients in [1, 452, 5_000] {
            let needed = needed_for(clients);
            assert_eq!(Room::under(Some(needed)).clients, clients);
            assert_eq!(Room::under(Some(needed - 1)).clients, clients - 1);
        }
        assert_eq!(Room::under(Some(0)).clients, 0);
        assert_eq!(Room::under(None).clients, usize::MAX);
    }
}
