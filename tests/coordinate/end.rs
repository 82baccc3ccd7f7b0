//! However a job ends, nobody is left waiting behind it.

use std::net::SocketAddr;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::Signal;

use crate::client::Client;
use crate::support::PATIENCE;
use crate::systemd::start;
use crate::world::{World, address, succeeded};

type Held = JoinHandle<Result<Client<std::net::TcpStream>, String>>;

/// A service that is drained, and a newcomer who waits for it.
fn drained(listener: SocketAddr) -> (World, Held) {
    let world = start(listener);
    succeeded(&world.ctl(&["drain", "echo"]));
    let newcomer = thread::spawn(move || Client::try_open(listener));
    let began = std::time::Instant::now();
    while held(&world) != 1 {
        assert!(began.elapsed() < PATIENCE, "nobody waits");
        thread::park_timeout(Duration::from_millis(10));
    }
    (world, newcomer)
}

fn held(world: &World) -> u64 {
    let output = world.ctl(&["jobs", "--json"]);
    succeeded(&output);
    let jobs: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    jobs[0]["counts"]["held"].as_u64().unwrap_or_default()
}

#[test]
fn a_service_that_a_reload_has_taken_away_does_not_keep_its_newcomers() {
    let listener = address();
    let (world, newcomer) = drained(listener);
    let other = crate::systemd::configuration(listener, &world.backend);
    world.configure(&other.replace("service.echo", "service.other"));
    world.reload();
    succeeded(&world.ctl(&["cancel", "1"]));
    let mut client = newcomer.join().unwrap().unwrap();
    client.echo("in again");
    // And there is no job in the way of the other.
    succeeded(&world.ctl(&["drain", "other"]));
}

#[test]
fn the_end_of_batond_is_the_end_of_its_jobs() {
    let listener = address();
    let (mut world, newcomer) = drained(listener);
    world.batond.main().signal(Signal::TERM);
    // In at last, and told like everybody else.
    let client = newcomer.join().unwrap().unwrap();
    let (code, _) = client.farewell();
    assert!([1001, 1012].contains(&code), "{code}");
    assert!(world.batond.exit_status().success());
    let log = world.batond.whole_log();
    let end = log.lines().find(|line| line.contains("drain of echo"));
    assert!(end.is_some_and(|end| end.contains("cancel")), "{log}");
}
