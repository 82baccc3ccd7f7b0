//! What the running daemon shows and takes on a bus of its own, with real processes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../control/bus.rs"]
#[allow(dead_code)]
mod bus;
#[path = "../reload/client.rs"]
#[allow(dead_code)]
mod client;
#[path = "../support/mod.rs"]
mod support;
#[path = "../reload/world.rs"]
#[allow(dead_code)]
mod world;

mod access;
mod caller;
mod introspection;
mod jobs;
mod log_level;
mod objects;
mod polkit;
mod problems;
mod program;
