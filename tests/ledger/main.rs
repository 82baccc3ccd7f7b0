//! What becomes of a handshake that fails: each reason by a client that has it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../control/bus.rs"]
#[allow(dead_code)]
mod bus;
#[path = "../certificate/clients.rs"]
mod clients;
#[path = "../certificate/issue.rs"]
#[allow(dead_code)]
mod issue;
#[path = "../metrics/scrape.rs"]
#[allow(dead_code)]
mod scrape;
#[path = "../support/mod.rs"]
mod support;
#[path = "../reload/world.rs"]
#[allow(dead_code)]
mod world;

mod client;
mod crowd;
mod expiry;
mod faults;
mod probe;
mod reasons;
mod scene;
mod secrets;
