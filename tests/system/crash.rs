//! P2, never refused: also while every process crashes that systemd starts.

use rustix::process::Signal;

use crate::client::{Client, PORT};
use crate::installation::serve_with;
use crate::journal::await_entry;
use crate::machine::{Machine, tell};
use crate::newcomers::{Fate, Newcomers};
use crate::turnstile::{replace_program, restore_program};

on_each_release! {
    whoever_comes_during_a_crash_loop_waits_and_is_served
}

/// A listener that no socket unit knows of.
const OWN_PORT: u16 = 9443;
const OWN_LISTENER: &str = "[listener.own]\naddress = \"0.0.0.0:9443\"\n";

/// Programs that end at once, and after how many restarts that is enough.
const BROKEN: [(&str, &str); 3] = [
    ("#!/bin/sh\nkill -ABRT $$\n", "5"),
    // A configuration with mistakes.
    ("#!/bin/sh\nexit 78\n", "10"),
    ("#!/nonexistent\n", "15"),
];

fn whoever_comes_during_a_crash_loop_waits_and_is_served(machine: &Machine) {
    serve_with(machine, OWN_LISTENER);
    let newcomers = [PORT, OWN_PORT].map(|port| Newcomers::arrive(machine, port));
    let main = machine.main_process("batond");
    let mut killed = false;
    for (program, restarts) in BROKEN {
        replace_program(machine, program);
        if !std::mem::replace(&mut killed, true) {
            main.signal(Signal::KILL);
        }
        await_entry(machine, "batond", |entry| entry["N_RESTARTS"] == restarts);
    }
    assert_eq!(machine.property("batond.socket", "ActiveState"), "active");
    restore_program(machine);
    for port in [PORT, OWN_PORT] {
        Client::open_at(machine, port).echo("when it is repaired");
    }
    for newcomers in newcomers {
        let fates = newcomers.fates();
        // Those whom the first of all kills met.
        let cut = fates.iter().filter(|one| matches!(one, Fate::Cut(_)));
        tell(&format!(
            "{} newcomers, {} cut off",
            fates.len(),
            cut.count()
        ));
        let lost = |fate: &&Fate| !matches!(fate, Fate::Served | Fate::Cut(_));
        assert_eq!(fates.iter().find(lost), None);
    }
    machine.check(&["systemctl", "start", "batond"]);
    assert_eq!(machine.property("batond", "SubState"), "running");
    // The socket is the one that was there before, and the state.
    assert_eq!(machine.property("batond", "NFileDescriptorStore"), "2");
}
