//! A successor in the same unit: systemd follows.

use std::time::Duration;

use rustix::process::Signal;

use crate::client::Client;
use crate::installation::serve;
use crate::machine::{Machine, Process};

/// How long a drain without clients may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

on_each_release! {
    a_handoff_makes_the_successor_the_main_process_and_leaves_no_other
}

fn a_handoff_makes_the_successor_the_main_process_and_leaves_no_other(machine: &Machine) {
    serve(machine);
    let mut client = Client::open(machine);
    client.echo("before");
    // Does not answer the Close, so that the predecessor stays until this one is gone.
    let silent = Client::open(machine);
    let old = machine.main_process("batond");

    old.signal(Signal::USR2);
    assert_eq!(client.farewell().code(), 1012);
    Client::open(machine).echo("during the drain");
    let both = machine.processes("batond");
    assert_eq!(both.len(), 2, "{both:?}");
    for process in both {
        // Not a child of the predecessor: systemd would not be told of its end.
        assert_eq!(process.parent(), Some(1));
    }

    drop(silent);
    assert!(old.wait_gone(PATIENCE), "the predecessor stays");
    Client::open(machine).echo("after");
    assert_eq!(machine.property("batond", "ActiveState"), "active");
    assert_eq!(machine.property("batond", "SubState"), "running");
    assert_eq!(machine.property("batond", "NRestarts"), "0");
    assert_is_alone(machine);

    // The unit can still be commanded, and the one who is asked is the successor.
    let client = Client::open(machine);
    let restart = machine.background(&["systemctl", "restart", "batond"]);
    assert_eq!(client.farewell().code(), 1012);
    let restart = restart.wait_with_output().expect("wait for systemctl");
    assert!(restart.status.success());
    Client::open(machine).echo("after the restart");
    assert_is_alone(machine);
}

/// The main process is the unit's only one.
fn assert_is_alone(machine: &Machine) {
    let pids = machine.processes("batond");
    let pids: Vec<_> = pids.iter().map(Process::inner_pid).collect();
    assert_eq!(pids, [machine.main_process("batond").inner_pid()]);
}
