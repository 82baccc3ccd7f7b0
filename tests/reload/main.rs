//! A running daemon gets another configuration, and commands over the bus: real processes, a
//! private bus.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../control/bus.rs"]
#[allow(dead_code)]
mod bus;
#[path = "../support/mod.rs"]
mod support;

mod access;
mod certificates;
mod client;
mod listeners;
mod mistakes;
mod presence;
mod services;
mod steady;
mod upgrade;
mod world;
