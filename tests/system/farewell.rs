//! P1, announced: the close code tells whether batond comes back.

use rustix::process::Signal;

use crate::client::{Client, Farewell};
use crate::installation::serve;
use crate::machine::Machine;

on_each_release! {
    a_restart_is_announced_as_1012
    a_stop_is_announced_as_1001
    a_sigterm_is_announced_as_1012_since_systemd_starts_the_unit_again
    a_reboot_is_announced_as_1012
    a_power_off_is_announced_as_1001
}

fn a_restart_is_announced_as_1012(machine: &Machine) {
    serve(machine);
    let mut client = Client::open(machine);
    client.echo("before");
    assert_eq!(
        farewell_at(machine, client, &["systemctl", "restart", "batond"]).code(),
        1012
    );
    Client::open(machine).echo("after");
}

fn a_stop_is_announced_as_1001(machine: &Machine) {
    serve(machine);
    let client = Client::open(machine);
    // The socket too, or the next connect starts the service again.
    let stop = ["systemctl", "stop", "batond.socket", "batond.service"];
    assert_eq!(farewell_at(machine, client, &stop).code(), 1001);
    assert_eq!(machine.property("batond", "ActiveState"), "inactive");
    assert_eq!(machine.property("batond", "Result"), "success");
}

fn a_sigterm_is_announced_as_1012_since_systemd_starts_the_unit_again(machine: &Machine) {
    serve(machine);
    let client = Client::open(machine);
    let pid = machine.property("batond", "MainPID");
    machine.main_process("batond").signal(Signal::TERM);
    assert_eq!(client.farewell().code(), 1012);
    Client::open(machine).echo("after");
    assert_ne!(machine.property("batond", "MainPID"), pid);
}

fn a_reboot_is_announced_as_1012(machine: &Machine) {
    serve(machine);
    let client = Client::open(machine);
    assert_eq!(
        farewell_at(machine, client, &["systemctl", "reboot"]).code(),
        1012
    );
}

fn a_power_off_is_announced_as_1001(machine: &Machine) {
    serve(machine);
    let client = Client::open(machine);
    assert_eq!(
        farewell_at(machine, client, &["systemctl", "poweroff"]).code(),
        1001
    );
}

/// What a client is told when a command, which must succeed, is run.
fn farewell_at(machine: &Machine, client: Client, command: &[&str]) -> Farewell {
    let running = machine.background(command);
    let farewell = client.farewell();
    let output = running.wait_with_output().expect("wait for a command");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {complaint}");
    farewell
}
