//! What the daemon and systemd say to each other.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bus;
mod catalog;
mod clock;
mod journal;
mod notify;
mod rerun;
mod signals;
mod systemd1;
