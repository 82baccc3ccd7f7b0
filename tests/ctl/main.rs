//! `batonctl` as a person and as a script meet it.

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

mod follow;
mod json;
mod mistakes;
mod monitor;
mod output;
mod tables;
mod tell;
