//! A Close of ours on its way into the stream: where it may be placed, and until when.

use std::time::Duration;

use tokio::time::Instant;

use super::super::clients::Order;
use super::super::close::CloseFrame;

/// How long nothing must have moved for a moment to count as quiet, if the backend spoke last.
const QUIET: Duration = Duration::from_millis(50);

/// How long a quiet moment is waited for, unless a quarter of the time left is less. If the client
/// spoke last, its answer may be on its way for as long, and behind the Close it would be lost.
const QUIET_GRACE: Duration = Duration::from_secs(2);

/// A Close of ours on its way into the stream.
pub(super) struct Telling {
    frame: CloseFrame,
    /// It announces a restart or a stop; else it ends this one connection.
    announces: bool,
    close_timeout: Duration,
    /// Then the moment is quiet, if nothing moves until then.
    quiet_from: Instant,
    /// From then on the end of a message will do.
    message_from: Instant,
    /// Bytes that the backend had sent by then and that have not been read. They go first.
    owed: Option<u64>,
    /// From then on the end of a frame will do.
    frame_from: Instant,
    /// Then the connection is cut, if not even that came.
    deadline: Instant,
}

/// Where a Close may be placed now.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Boundary {
    Quiet,
    Message,
    Frame,
}

impl Telling {
    /// An announcement, which waits for quiet as long as there is time.
    pub(super) fn announce(order: Order, unanswered: bool, now: Instant) -> Self {
        let left = order.deadline.saturating_duration_since(now);
        // Half of the time at least is for the way to a boundary.
        let close_timeout = order.close_timeout.min(left / 2);
        Self {
            frame: order.frame,
            announces: true,
            close_timeout,
            quiet_from: quiet_from(unanswered, now),
            message_from: now + QUIET_GRACE.min(left / 4),
            owed: None,
            frame_from: order.deadline - close_timeout,
            deadline: order.deadline,
        }
    }

    /// A Close that the next end of a frame will do for. It announces nothing.
    pub(super) fn at_next_frame(frame: CloseFrame, close_timeout: Duration, now: Instant) -> Self {
        Self {
            frame,
            announces: false,
            close_timeout,
            quiet_from: now,
            message_from: now,
            owed: None,
            frame_from: now,
            deadline: now + close_timeout,
        }
    }

    /// A second order: keeps what is sent, and leaves less time for it.
    pub(super) fn hurry(&mut self, order: &Order, now: Instant) {
        let left = order.deadline.saturating_duration_since(now);
        self.close_timeout = self.close_timeout.min(order.close_timeout).min(left / 2);
        self.deadline = self.deadline.min(order.deadline);
        self.message_from = self.message_from.min(now + left / 4);
        self.frame_from = self.frame_from.min(self.deadline - self.close_timeout);
    }

    pub(super) fn frame(&self) -> &CloseFrame {
        &self.frame
    }

    pub(super) fn announces(&self) -> bool {
        self.announces
    }

    /// How long the client's reply is awaited.
    pub(super) fn close_timeout(&self) -> Duration {
        self.close_timeout
    }

    /// Something moved; `unanswered`: from the client.
    pub(super) fn wait_for_quiet(&mut self, unanswered: bool, now: Instant) {
        self.quiet_from = quiet_from(unanswered, now);
    }

    pub(super) fn is_quiet(&self, now: Instant) -> bool {
        now >= self.quiet_from
    }

    /// What will do now.
    pub(super) fn boundary(&self, now: Instant) -> Boundary {
        if now >= self.frame_from {
            Boundary::Frame
        } else if now >= self.message_from {
            Boundary::Message
        } else {
            Boundary::Quiet
        }
    }

    /// The time for quiet is over: whether something still goes before the Close of what had come
    /// by then. A client that takes nothing for as long as its reply would be awaited is owed
    /// nothing more.
    pub(super) fn owes(&mut self, now: Instant, unread: impl FnOnce() -> u64) -> bool {
        *self.owed.get_or_insert_with(unread) > 0 && now < self.stuck_from()
    }

    /// So many bytes from the backend have been read.
    pub(super) fn pay(&mut self, bytes: u64) {
        self.owed = self.owed.map(|owed| owed.saturating_sub(bytes));
    }

    fn stuck_from(&self) -> Instant {
        self.quiet_from + self.close_timeout
    }

    /// When to look again. None: there is no time left.
    pub(super) fn next(&self, now: Instant) -> Option<Instant> {
        if now >= self.deadline {
            return None;
        }
        [
            self.quiet_from,
            self.message_from,
            self.stuck_from(),
            self.frame_from,
            self.deadline,
        ]
        .into_iter()
        .filter(|at| *at > now)
        .min()
    }
}

fn quiet_from(unanswered: bool, now: Instant) -> Instant {
    now + if unanswered { QUIET_GRACE } else { QUIET }
}
