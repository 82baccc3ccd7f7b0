//! Passing the listening sockets to a successor process.
//!
//! The old process starts the new one and both talk over a `SOCK_SEQPACKET` socketpair that the
//! new one inherits; there is no path that a third process could find. A message is a
//! [`Message`] with the descriptors that belong to it:
//!
//! | step | sender | message |
//! |---|---|---|
//! | start | launcher | `Launched`, with a pidfd of the successor; then it exits |
//! | introduce | new | `Hello`; its header carries the protocol version |
//! | offer | old | `Offer` (how much comes), then `Listeners` with up to 253 descriptors each, then `State` |
//! | get ready | new | `Ready`, or `Failed` with a reason |
//! | commit | old, which has stopped to accept | `Commit`, or `Abandon` |
//! | accept | new, which accepts | `Accepting` |
//! | drain | old | `Progress` now and then, at last `Done`, end of file |
//!
//! Either side may answer `Refused` with a reason to what it does not understand. Until
//! `Accepting` the old process can go back to serving as if nothing had happened. From `Ready` on
//! the new one can serve: if the old one dies before `Commit`, it does.
//!
//! The launcher ([`launch_command`]) is there because systemd takes a process for the main
//! process of a unit only if it is a child of PID 1. It starts the successor and exits, which
//! leaves the successor to PID 1, or to the nearest subreaper.

mod channel;
mod error;
mod launch;
pub mod message;
mod offer;
mod predecessor;
mod process;
mod rehearsal;
mod successor;

use std::time::Duration;

pub use error::{Cause, HandoffError, Step};
pub use launch::{LAUNCH_SUBCOMMAND, Launch, SUCCESSOR_OPTION, launch_command};
pub use message::Message;
pub use offer::Offer;
pub use predecessor::{Handed, Outcome, Predecessor, Progress, receive};
pub use rehearsal::Rehearsals;
pub use successor::{Departing, Successor, prepare};

/// Listeners that one handoff may pass. A process with more has other limits to fear first.
pub const MAX_LISTENERS: usize = 4096;

/// Bytes of state that may travel with the listeners.
pub const MAX_STATE: usize = 1 << 20;

/// How long a last message waits for room on the channel.
const LAST_WORD: Duration = Duration::from_secs(1);
