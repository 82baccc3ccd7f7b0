//! What has been done about a request before hyper sees it.

use tokio::time::Instant;

use super::arrival::{Arrival, Reached};

/// A request that has begun to be answered.
pub(super) struct Begun<'a> {
    /// Since when the client waits.
    pub(super) came: Instant,
    pub(super) outcome: Outcome<'a>,
}

/// How far it has come.
pub(super) enum Outcome<'a> {
    /// No backend takes it, for this reason.
    Refused(&'static str),
    /// A backend has it, and does not switch to WebSocket, or not in a way that leaves no question.
    Sent(Box<Sent<'a>>),
}

/// A request that a backend has.
pub(super) struct Sent<'a> {
    pub(super) arrival: Arrival<'a>,
    pub(super) reached: Reached,
    /// When it was sent.
    pub(super) since: Instant,
    /// How many backends have got it by then, this one included.
    pub(super) tried: usize,
}
