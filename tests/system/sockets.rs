//! P2, never refused: the listening socket outlives the process.

use batond::control::message_id;
use rustix::process::Signal;

use crate::client::{Client, Farewell};
use crate::installation::{configure_with, serve};
use crate::machine::Machine;

on_each_release! {
    the_unit_is_active_when_it_serves
    a_killed_daemon_leaves_its_socket_to_the_next_one
    a_socket_unit_is_added_by_enabling_it_and_a_restart
    the_journal_knows_each_event_by_its_id
}

fn the_unit_is_active_when_it_serves(machine: &Machine) {
    serve(machine);
    assert_eq!(machine.property("batond", "ActiveState"), "active");
    assert_eq!(machine.property("batond", "SubState"), "running");
    assert_ne!(machine.property("batond", "StatusText"), "");
    Client::open(machine).echo("hello");

    // Both in microseconds of the same clock; the kernel stamps what is sent to the journal.
    let active = machine.check(&[
        "busctl",
        "get-property",
        "org.freedesktop.systemd1",
        "/org/freedesktop/systemd1/unit/batond_2eservice",
        "org.freedesktop.systemd1.Unit",
        "ActiveEnterTimestamp",
    ]);
    let active: u64 = active.trim_start_matches("t ").parse().expect("a time");
    let adopted = machine.journal("batond").into_iter().find_map(|entry| {
        let found = entry["MESSAGE_ID"] == message_id::LISTENER_ADOPTED.as_str();
        found.then(|| {
            entry["_SOURCE_REALTIME_TIMESTAMP"]
                .as_str()?
                .parse::<u64>()
                .ok()
        })?
    });
    let adopted = adopted.expect("an entry for the socket");
    assert!(
        adopted < active,
        "ready at {active}, but the socket came at {adopted}"
    );
}

fn a_killed_daemon_leaves_its_socket_to_the_next_one(machine: &Machine) {
    serve(machine);
    let client = Client::open(machine);
    let pid = machine.property("batond", "MainPID");
    machine.main_process("batond").signal(Signal::KILL);
    // Whether the next process is up or not, the kernel queues the connection.
    Client::open(machine).echo("after");
    assert!(matches!(client.farewell(), Farewell::Cut { .. }));
    assert_ne!(machine.property("batond", "MainPID"), pid);
    assert_eq!(machine.property("batond.socket", "ActiveState"), "active");
}

fn a_socket_unit_is_added_by_enabling_it_and_a_restart(machine: &Machine) {
    serve(machine);
    configure_with(machine, "[listener.ws]\naddress = \"[::]:80\"\n");
    machine.check(&["systemctl", "enable", "batond-ws.socket"]);
    machine.check(&["systemctl", "restart", "batond"]);
    Client::open_at(machine, 80).echo("the second");
    Client::open(machine).echo("the first");
    assert_eq!(
        machine.property("batond-ws.socket", "ActiveState"),
        "active"
    );
    let adopted = machine.journal("batond").into_iter().filter(|entry| {
        entry["MESSAGE_ID"] == message_id::LISTENER_ADOPTED.as_str()
            && entry["MESSAGE"]
                .as_str()
                .is_some_and(|text| text.starts_with("listener.ws:"))
    });
    assert_eq!(adopted.count(), 1);
}

fn the_journal_knows_each_event_by_its_id(machine: &Machine) {
    serve(machine);
    let client = Client::open(machine);
    let restart = machine.background(&["systemctl", "restart", "batond"]);
    assert_eq!(client.farewell().code(), 1012);
    assert!(
        restart
            .wait_with_output()
            .expect("wait for systemctl")
            .status
            .success()
    );

    let journal = machine.journal("batond");
    for (event, id) in [
        ("start", message_id::STARTED),
        ("adoption of the socket", message_id::LISTENER_ADOPTED),
        ("readiness", message_id::READY),
        ("stop", message_id::STOPPING),
        ("begin of the drain", message_id::DRAIN_STARTED),
        ("end of the drain", message_id::DRAIN_FINISHED),
    ] {
        let entry = journal
            .iter()
            .find(|entry| entry["MESSAGE_ID"] == id.as_str());
        let entry = entry.unwrap_or_else(|| panic!("no entry for the {event}"));
        assert_eq!(entry["PRIORITY"], "6", "{entry}");
    }
    let foreign = journal
        .iter()
        .filter(|entry| entry["_SYSTEMD_UNIT"] == "batond.service");
    let warnings: Vec<_> = foreign
        .filter(|entry| {
            entry["PRIORITY"]
                .as_str()
                .is_none_or(|priority| priority < "6")
        })
        .collect();
    assert!(warnings.is_empty(), "{warnings:?}");
}
