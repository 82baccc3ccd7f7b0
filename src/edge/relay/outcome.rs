//! What became of a relay.

use super::super::frame::Violation;

/// What became of one relay.
#[derive(Debug, Default)]
pub(in crate::edge) struct Ending {
    /// What became of the announcement, if one was ordered.
    pub(in crate::edge) outcome: Option<Outcome>,
    /// Whole messages that the backend sent after our Close.
    pub(in crate::edge) discarded: u64,
    /// What the client did that RFC 6455 forbids.
    pub(in crate::edge) client_violation: Option<Violation>,
    /// What the backend did that RFC 6455 forbids.
    pub(in crate::edge) backend_violation: Option<Violation>,
    /// The backend was gone without a Close.
    pub(in crate::edge) backend_lost: bool,
    /// The client was cut off without a Close, since the backend was gone inside a frame.
    pub(in crate::edge) torn: bool,
    /// The client was cut off because it took nothing any more.
    pub(in crate::edge) stalled: bool,
}

/// What became of an announcement to one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::edge) enum Outcome {
    /// Told, and it answered with its Close.
    Clean,
    /// Told, and it did not answer in time.
    TimedOut,
    /// Told, and it was gone without an answer.
    Gone,
    /// It or its backend closed before it could be told.
    Left,
    /// The deadline passed inside a frame, so it could not be told.
    Cut,
}
