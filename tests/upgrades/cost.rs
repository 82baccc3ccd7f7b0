//! What it costs a successor that everybody comes back, with tickets and without.

use std::fs;
use std::time::Duration;

use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, SupportedProtocolVersion};

use crate::crowd::trust::Trust;
use crate::crowd::{Crowd, Plan};
use crate::world::World;

/// Relayed, they take 19,000 descriptors of batond, and as many of this process, which is also
/// the application.
const CLIENTS: usize = 9_500;

const SETTINGS: &str = r#"
[restart]
deadline = "300s"
close_timeout = "200s"

[limits]
clients = 9700
handshake_timeout = "300s"
"#;

#[test]
#[ignore = "a measurement, for `cargo test --release --test upgrades -- --ignored --nocapture`"]
fn the_cpu_time_of_returning_clients() {
    for (name, version) in [("TLS 1.3", &TLS13), ("TLS 1.2", &TLS12)] {
        let [with, without] = [true, false].map(|resumes| cost(version, resumes));
        eprintln!(
            "{name}: {:.0} µs a client with resumption, {:.0} µs without ({:.0} % less)",
            with * 1e6,
            without * 1e6,
            (1.0 - with / without) * 100.0
        );
    }
}

/// Seconds of CPU time for one client that comes back: TCP, TLS, the upgrade, its connection to
/// the application, one message.
fn cost(version: &'static SupportedProtocolVersion, resumes: bool) -> f64 {
    let world = World::start(SETTINGS);
    let crowd = Crowd::gather(Plan {
        address: world.address,
        trust: Trust::new(&world.authority.pem(), &[version]),
        steady: CLIENTS,
        // One message each.
        says_every: Duration::from_secs(3600),
        newcomer_every: Duration::from_secs(3600),
        resumes,
    });
    crowd.wait("the arrival of the clients", |books| {
        books.present == CLIENTS
    });
    crowd.take_books();
    let old = world.batond.hand_over();
    let successor = world.batond.main().pid();
    let before = cpu_seconds(successor);
    crowd.wait("the return of the clients", |books| {
        books.departures.len() >= CLIENTS && books.present == CLIENTS
    });
    let after = cpu_seconds(successor);
    old.wait_gone();
    let books = crowd.take_books();
    let expected = if resumes {
        HandshakeKind::Resumed
    } else {
        HandshakeKind::Full
    };
    let returns = books.returns.iter().filter_map(|one| one.arrival.tls);
    let as_expected = returns.filter(|(_, kind)| *kind == expected).count();
    assert!(
        as_expected * 100 >= CLIENTS * 99,
        "{as_expected} of {CLIENTS}: {expected:?}"
    );
    (after - before) / CLIENTS as f64
}

/// User and system time of all threads, none of which ends meanwhile (sched-stats of the kernel's
/// documentation; the first field, in ns).
fn cpu_seconds(pid: u32) -> f64 {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("a successor that runs");
    let times = threads.map(|thread| {
        let path = thread.expect("list threads").path().join("schedstat");
        let text = fs::read_to_string(path).expect("read a thread's times");
        let time = text.split(' ').next().and_then(|time| time.parse().ok());
        Duration::from_nanos(time.expect("a number of nanoseconds"))
    });
    times.sum::<Duration>().as_secs_f64()
}
