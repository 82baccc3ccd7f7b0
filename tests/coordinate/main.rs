//! The coordinator at work: the real daemon and batonctl on a bus of their own, with somebody there
//! who answers for systemd about one unit.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../control/bus.rs"]
#[allow(dead_code)]
mod bus;
#[path = "../reload/client.rs"]
#[allow(dead_code)]
mod client;
#[path = "../units/manager.rs"]
#[allow(dead_code)]
mod manager;
#[path = "../support/mod.rs"]
mod support;
#[path = "../reload/world.rs"]
#[allow(dead_code)]
mod world;

mod end;
mod losses;
mod successor;
mod systemd;
