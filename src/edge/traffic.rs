//! What the relays of a service pass on, to be read while they run. Each worker has a count of its
//! own, which nobody else writes to: adding to it costs what adding to a number costs, and whoever
//! reads it does not ask the worker.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// A number that one thread adds to and any thread reads.
#[derive(Debug, Default)]
pub(super) struct Sum(AtomicU64);

impl Sum {
    /// Only the one thread may call this: two would lose what the other adds.
    pub(super) fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }
}

/// What one worker passes on for one service. A cache line of its own (two, as processors fetch
/// them) keeps the workers out of each other's way.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Traffic {
    /// Whole data messages, client to backend.
    pub(super) messages_up: Sum,
    /// Whole data messages, backend to client.
    pub(super) messages_down: Sum,
    /// Bytes after the handshake, client to backend.
    pub(super) bytes_up: Sum,
    /// Bytes after the handshake, backend to client.
    pub(super) bytes_down: Sum,
}

/// What was passed on for a service so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Whole data messages, client to backend.
    pub messages_up: u64,
    /// Whole data messages, backend to client.
    pub messages_down: u64,
    /// Bytes after the handshake, client to backend, as they are inside TLS.
    pub bytes_up: u64,
    /// Bytes after the handshake, backend to client, as they are inside TLS.
    pub bytes_down: u64,
}

/// The counts of all workers for one service, by the worker's number.
#[derive(Debug, Default)]
pub(super) struct Lanes(Mutex<BTreeMap<usize, Arc<Traffic>>>);

impl Lanes {
    /// The count of one worker: asked for once a connection.
    pub(super) fn of(&self, worker: usize) -> Arc<Traffic> {
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(lanes.entry(worker).or_default())
    }

    pub(super) fn passed(&self) -> Passed {
        let lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = Passed::default();
        for lane in lanes.values() {
            let read = |sum: &Sum| sum.0.load(Relaxed);
            all.messages_up += read(&lane.messages_up);
            all.messages_down += read(&lane.messages_down);
            all.bytes_up += read(&lane.bytes_up);
            all.bytes_down += read(&lane.bytes_down);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lanes_of_all_workers_add_up() {
        let lanes = Lanes::default();
        lanes.of(0).messages_up.add(2);
        lanes.of(0).messages_up.add(1);
        lanes.of(1).messages_up.add(4);
        lanes.of(1).bytes_down.add(70);
        let expected = Passed {
            messages_up: 7,
            bytes_down: 70,
            ..Passed::default()
        };
        assert_eq!(lanes.passed(), expected);
    }
}
