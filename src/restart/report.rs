//! What became of the clients.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a drain has done so far, or did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DrainReport {
    /// Clients that were connected when the drain began.
    pub clients_at_start: u64,
    /// Clients that were sent a Close frame.
    pub told: u64,
    /// Clients that answered with a Close frame of their own.
    pub closed_cleanly: u64,
    /// Clients that did not answer in time and were cut off.
    pub timed_out: u64,
    /// Clients that were told and were gone without an answer.
    pub gone: u64,
    /// Clients that could not be told, because the deadline passed inside a frame for them.
    pub cut: u64,
    /// Clients that are still connected.
    pub remaining: u64,
    /// Messages from backends that came after the Close and could not be delivered.
    pub discarded_messages: u64,
}

impl DrainReport {
    /// What was done after `before`, an earlier report of the same process.
    #[must_use]
    pub fn since(self, before: &Self) -> Self {
        Self {
            told: self.told - before.told,
            closed_cleanly: self.closed_cleanly - before.closed_cleanly,
            timed_out: self.timed_out - before.timed_out,
            gone: self.gone - before.gone,
            cut: self.cut - before.cut,
            discarded_messages: self.discarded_messages - before.discarded_messages,
            ..self
        }
    }
}

impl fmt::Display for DrainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "told {}, closed cleanly {}, timed out {}, gone {}, cut {}, messages discarded {}, \
             still open {}",
            self.told,
            self.closed_cleanly,
            self.timed_out,
            self.gone,
            self.cut,
            self.discarded_messages,
            self.remaining
        )
    }
}

#[cfg(test)]
mod tests {
    use super::DrainReport;

    #[test]
    fn fits_on_a_line() {
        let report = DrainReport {
            clients_at_start: 500,
            told: 500,
            closed_cleanly: 498,
            timed_out: 1,
            gone: 1,
            cut: 0,
            remaining: 0,
            discarded_messages: 0,
        };
        assert_eq!(
            report.to_string(),
            "told 500, closed cleanly 498, timed out 1, gone 1, cut 0, messages discarded 0, \
             still open 0"
        );
    }
}
