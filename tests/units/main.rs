//! What systemd and logind are asked, over a message bus of our own. Skipped where there is no
//! dbus-daemon, with a line that says so.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../control/bus.rs"]
#[allow(dead_code, reason = "another test program uses the rest")]
mod bus;
mod logind;
mod manager;
mod shutdown;
mod units;

use std::time::Duration;

use bus::Bus;

/// Long enough for the slowest machine; a test that comes near it has failed.
const LONG: Duration = Duration::from_secs(60);

/// Nobody answers, so what matters is only that waiting ends.
const SHORT: Duration = Duration::from_millis(50);

/// None: skip the test.
fn start(test: &str) -> Option<Bus> {
    let bus = Bus::start();
    if bus.is_none() {
        eprintln!("{test}: skipped: no dbus-daemon here");
    }
    bus
}

fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(test);
}
