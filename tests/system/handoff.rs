//! A successor in the same unit: systemd follows.

use std::time::Duration;

use rustix::process::Signal;

use crate::client::Client;
use crate::installation::serve;
use crate::machine::Machine;

on_each_release! {
    a_handoff_makes_the_successor_the_main_process_and_leaves_no_other
}

fn a_handoff_makes_the_successor_the_main_process_and_leaves_no_other(machine: &Machine) {
    serve(machine);
    let mut client = Client::open(machine);
    client.echo("before");
    let pid = machine.property("batond", "MainPID");
    let old = machine.main_process("batond");

    old.signal(Signal::USR2);
    assert_eq!(client.farewell().code(), 1012);
    Client::open(machine).echo("after");
    assert!(
        old.wait_gone(Duration::from_secs(60)),
        "the predecessor stays"
    );

    assert_eq!(machine.property("batond", "ActiveState"), "active");
    assert_eq!(machine.property("batond", "SubState"), "running");
    assert_eq!(machine.property("batond", "NRestarts"), "0");
    let successor = machine.property("batond", "MainPID");
    assert_ne!(successor, pid);
    assert_eq!(
        machine.main_process("batond").parent().as_deref(),
        Some("1")
    );
    assert_eq!(processes(machine), [successor.as_str()]);

    // The unit can still be commanded, and the one who is asked is the successor.
    let client = Client::open(machine);
    let restart = machine.background(&["systemctl", "restart", "batond"]);
    assert_eq!(client.farewell().code(), 1012);
    let restart = restart.wait_with_output().expect("wait for systemctl");
    assert!(restart.status.success());
    Client::open(machine).echo("after the restart");
    assert_eq!(processes(machine), [machine.property("batond", "MainPID")]);
}

/// The PIDs of the unit's processes.
fn processes(machine: &Machine) -> Vec<String> {
    let group = machine.property("batond", "ControlGroup");
    let processes = machine.check(&["cat", &format!("/sys/fs/cgroup{group}/cgroup.procs")]);
    processes.lines().map(str::to_owned).collect()
}
