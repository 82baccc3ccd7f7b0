//! A bad configuration changes nothing, and is told to whoever asked.

use std::net::TcpListener;

use batond::demo::backend::Backend;
use rustix::process::Signal;

use crate::certificates;
use crate::client::Client;
use crate::support::certificate::Authority;
use crate::world::{CONFIG, World, address, configuration, failed_with, service};

/// Has a daemon reload this, by signal and over the bus, and sees that it changes nothing and that
/// the reason is told everywhere.
fn changes_nothing(bad: impl Fn(&str) -> String, reason: &str) {
    let (listener, removed) = (address(), address());
    let world = World::with(&[("ws", listener), ("removed", removed)]);
    let mut clients = [Client::open(listener), Client::open(removed)];
    let good = configuration(&[("ws", listener)], &world.backend);
    world.configure(&bad(&good));

    let said = failed_with(CONFIG, &world.ctl(&["reload"]));
    assert!(said.contains(reason), "{said}");
    world.batond.main().signal(Signal::HUP);
    // The status of the signal's reload: that of the call was the first.
    world
        .batond
        .notifications
        .wait_for("a second READY", |heard| {
            let ready = |one: &&std::sync::Arc<crate::support::notify::Notification>| {
                let status = one.value("STATUS").unwrap_or_default();
                one.value("READY").is_some() && status.starts_with("1 problem: reload failed: ")
            };
            (heard.all.iter().filter(ready).count() == 2).then_some(())
        });
    for client in &mut clients {
        client.echo("still");
    }
    Client::open(removed).echo("still there");
    assert_eq!(world.status("generation"), 1);

    // A good one puts an end to it.
    world.configure(&good);
    world.reload();
    let [client, removed] = clients;
    assert_eq!(removed.farewell().0, 1001);
    drop(client);
    let all = world.batond.notifications.all();
    assert_in_pairs(&all);
    let last = all.iter().rev().find(|one| one.value("READY").is_some());
    let status = last.unwrap().value("STATUS").unwrap();
    assert!(status.starts_with("serving"), "{status}");

    world.batond.main().signal(Signal::TERM);
    let log = world.batond.whole_log();
    let refusals = log.lines().filter(|line| line.contains("reload failed"));
    let refusals: Vec<_> = refusals.filter(|line| line.contains("ERROR")).collect();
    assert_eq!(refusals.len(), 2, "{log}");
    // On the same line, or on one of those that belong to it.
    assert!(log.matches(reason).count() >= refusals.len(), "{log}");
}

/// Whoever says that it reloads says when, and that it is done.
fn assert_in_pairs(all: &[std::sync::Arc<crate::support::notify::Notification>]) {
    let mut reloading = 0;
    for one in all {
        if one.value("RELOADING").is_some() {
            assert!(one.value("MONOTONIC_USEC").is_some());
            reloading += 1;
            assert_eq!(reloading, 1, "READY comes in between");
        } else if one.value("READY").is_some() {
            reloading = 0;
        }
    }
    assert_eq!(reloading, 0, "READY comes at the end");
}

#[test]
fn an_error_of_syntax_changes_nothing() {
    let bad = |good: &str| format!("{good}[listener.ws\n");
    changes_nothing(bad, "batond.toml:");
}

#[test]
fn a_port_in_use_changes_nothing() {
    let taken = TcpListener::bind(address()).unwrap();
    let taken = taken.local_addr().map(|address| (taken, address)).unwrap();
    // A listener that could be bound comes first.
    let bad = |good: &str| {
        format!(
            "[listener.free]\naddress = \"{}\"\n[listener.taken]\naddress = \"{}\"\n{good}",
            address(),
            taken.1
        )
    };
    changes_nothing(bad, "listener.taken: cannot bind");
}

#[test]
fn a_bad_certificate_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.issue(&["localhost"]).write(folder.path(), "one");
    let other = authority.issue(&["localhost"]);
    std::fs::write(folder.path().join("one.key"), other.key).unwrap();
    let bad = |_: &str| {
        let backend = Backend::start().unwrap();
        certificates::configuration(folder.path(), address(), &backend)
    };
    changes_nothing(bad, "certificate.one");
}

#[test]
fn what_was_bound_for_a_bad_configuration_is_let_go() {
    let (listener, free) = (address(), address());
    let world = World::with(&[("ws", listener)]);
    let taken = TcpListener::bind(address()).unwrap();
    let taken_address = taken.local_addr().unwrap();
    world.listen(&[("ws", listener), ("free", free), ("taken", taken_address)]);
    failed_with(CONFIG, &world.ctl(&["reload"]));
    drop(TcpListener::bind(free).unwrap());
    drop(taken);
    // A child that another test starts has a copy of the socket until its exec.
    while !world.ctl(&["reload"]).status.success() {}
    for address in [listener, free, taken_address] {
        Client::open(address).echo("now");
    }
}

#[test]
fn workers_wait_for_the_next_start() {
    let listener = address();
    let backend = Backend::start().unwrap();
    let with = |workers: u32| {
        format!(
            "workers = {workers}\n[listener.ws]\naddress = \"{listener}\"\n{}",
            service(&backend)
        )
    };
    let (before, after) = (with(1), with(3));
    let world = World::start(&before, backend);
    world.configure(&after);
    world.reload();
    Client::open(listener).echo("served");
    world.batond.main().signal(Signal::TERM);
    let log = world.batond.whole_log();
    assert!(log.contains("workers: 3 are configured, 1 go on"), "{log}");
}
