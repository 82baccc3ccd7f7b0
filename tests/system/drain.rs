//! The unit obeys while a predecessor is still draining, and the successor speaks for both.

use std::time::{Duration, Instant};

use crate::client::{Client, PATIENCE};
use crate::death::assert_is_alone;
use crate::installation::{configure_with, serve};
use crate::machine::{Machine, Process};

on_each_release! {
    the_unit_can_be_commanded_while_a_predecessor_drains
}

/// A handoff whose predecessor stays, since one of its clients never answers the Close.
struct Drain {
    old: Process,
    new: Process,
    silent: Client,
}

impl Drain {
    fn begin(machine: &Machine) -> Self {
        let silent = Client::open(machine);
        let old = machine.main_process("batond");
        machine.check(&["batonctl", "upgrade"]);
        let new = machine.main_process("batond");
        assert_ne!(new.pid(), old.pid());
        Self { old, new, silent }
    }

    fn is_under_way(&self) -> bool {
        ![&self.old, &self.new]
            .iter()
            .any(|one| one.wait_gone(Duration::ZERO))
    }

    /// The last client leaves, and with it the predecessor.
    fn end(self) -> Process {
        drop(self.silent);
        assert!(self.old.wait_gone(PATIENCE), "the predecessor stays");
        self.new
    }
}

fn the_unit_can_be_commanded_while_a_predecessor_drains(machine: &Machine) {
    serve(machine);

    let drain = Drain::begin(machine);
    await_status(machine, "serving 0 clients; 1 are leaving the predecessor");
    machine.check(&["systemctl", "reload", "batond"]);
    configure_with(machine, "[nonsense]\n");
    let reload = machine.run(&["systemctl", "reload", "batond"]);
    assert!(!reload.status.success(), "{reload:?}");
    configure_with(machine, "");
    await_status(
        machine,
        "; serving 0 clients; 1 are leaving the predecessor",
    );
    let status = machine.property("batond", "StatusText");
    assert!(status.contains("reload failed: "), "{status}");
    assert_eq!(machine.main_process("batond").pid(), drain.new.pid());
    Client::open(machine).echo("after the reloads");
    assert!(drain.is_under_way());

    // Another handoff before the first one is over.
    let mut next = Drain::begin(machine);
    assert_eq!(next.old.pid(), drain.new.pid());
    Client::open(machine).echo("with three of them");
    assert!(drain.is_under_way() && next.is_under_way());
    drop(drain.silent);
    assert!(drain.old.wait_gone(PATIENCE), "the first one stays");
    let new = next.end();
    assert_is_alone(machine, &new);

    next = Drain::begin(machine);
    let client = Client::open(machine);
    let restart = machine.background(&["systemctl", "restart", "batond"]);
    assert_eq!(client.farewell().code(), 1012);
    await_status(
        machine,
        "0 of 1 clients have yet to leave, and 1 of the predecessor's",
    );
    assert!(next.is_under_way());
    let new = next.end();
    let restart = restart.wait_with_output().expect("wait for systemctl");
    assert!(restart.status.success(), "{restart:?}");
    assert!(new.wait_gone(Duration::ZERO));
    Client::open(machine).echo("after the restart");
    assert_is_alone(machine, &machine.main_process("batond"));

    next = Drain::begin(machine);
    let client = Client::open(machine);
    // The socket too, or the next connect starts the service again.
    let stop = machine.background(&["systemctl", "stop", "batond.socket", "batond.service"]);
    assert_eq!(client.farewell().code(), 1001);
    await_status(
        machine,
        "0 of 1 clients have yet to leave, and 1 of the predecessor's",
    );
    assert!(next.is_under_way());
    next.end();
    let stop = stop.wait_with_output().expect("wait for systemctl");
    assert!(stop.status.success(), "{stop:?}");
    assert_eq!(machine.property("batond", "ActiveState"), "inactive");
    assert_eq!(machine.property("batond", "Result"), "success");

    machine.check(&["systemctl", "start", "batond"]);
    Client::open(machine).echo("after the stop");
    // Nothing of all this was a failure, so nothing was started again for that.
    let failures = machine.check(&["systemctl", "list-units", "--failed", "--no-legend"]);
    assert_eq!(failures, "");
    assert_eq!(machine.property("batond", "NRestarts"), "0");
}

/// Waits until the status of the unit ends with this.
fn await_status(machine: &Machine, end: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = machine.property("batond", "StatusText");
        if status.ends_with(end) {
            return;
        }
        assert!(Instant::now() < deadline, "the status stays {status:?}");
    }
}
