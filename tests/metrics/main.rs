//! Metrics, scraped from the running daemon and judged by the tools of those who will use them.

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

mod cost;
mod endpoint;
mod figures;
mod formats;
mod scrape;
mod shipped;
