//! Renewed certificates come into service by themselves, whatever way they come to the disk, and
//! no client notices: a real daemon, 500 connected clients and newcomers at 50 a second. A bad pair
//! never gets there.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../control/bus.rs"]
#[allow(dead_code)]
mod bus;
#[path = "../crowd/mod.rs"]
mod crowd;
#[path = "../support/mod.rs"]
mod support;

mod bad;
mod expiry;
mod interlock;
mod pki;
mod probe;
mod styles;
mod ways;
mod world;
