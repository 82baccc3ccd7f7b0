//! What is done to the application, and what its clients are to see.

use std::process::Output;

use rustix::process::Signal;

use super::stage::{Units, configure};
use crate::machine::Machine;

/// One thing that happens.
pub(super) struct Scene {
    pub(super) name: &'static str,
    /// The close code that every departure is to have; None: nobody is to leave.
    pub(super) code: Option<u16>,
    /// How often each of the steady clients is told: at least, and at most.
    pub(super) times: (usize, usize),
    /// What begins it.
    pub(super) begin: fn(&Machine),
    /// What is done when everybody has been told; then all are to come back.
    pub(super) mend: fn(&Machine),
}

pub(super) const ALL: [Scene; 6] = [
    Scene {
        name: "batonctl restart",
        code: Some(1012),
        times: (1, 1),
        begin: restart,
        mend: nothing,
    },
    Scene {
        name: "systemctl restart",
        code: Some(1012),
        times: (1, 1),
        begin: plain_restart,
        mend: nothing,
    },
    Scene {
        name: "crash, on-failure",
        code: Some(1012),
        times: (1, 1),
        begin: crash,
        mend: nothing,
    },
    Scene {
        name: "fails to start",
        code: Some(1012),
        times: (1, 1),
        begin: restart_broken,
        mend: repair,
    },
    Scene {
        name: "systemctl stop",
        code: Some(1001),
        times: (1, 1),
        begin: stop,
        mend: start,
    },
    // Whoever goes from the first unit to the second is told again by that one.
    Scene {
        name: "rolling restart",
        code: Some(1012),
        times: (1, 2),
        begin: roll,
        mend: nothing,
    },
];

fn nothing(_: &Machine) {}

fn restart(machine: &Machine) {
    machine.check(&["batonctl", "plan", "chat"]);
    let before = machine.property("chat@1", "MainPID");
    let report = machine.check(&["batonctl", "restart", "chat"]);
    assert!(report.contains("is done"), "{report}");
    assert_ne!(machine.property("chat@1", "MainPID"), before);
}

fn plain_restart(machine: &Machine) {
    machine.check(&["batonctl", "attach", "chat@1.service"]);
    machine.check(&["systemctl", "restart", "chat@1"]);
    let jobs = machine.check(&["batonctl", "jobs"]);
    assert!(jobs.contains("drain"), "{jobs}");
}

fn crash(machine: &Machine) {
    machine.main_process("chat@1").signal(Signal::KILL);
}

fn restart_broken(machine: &Machine) {
    machine.put("/run/chat-is-broken", "");
    let output = machine.run(&["batonctl", "restart", "chat"]);
    assert_eq!(output.status.code(), Some(70), "{}", said(&output));
    assert!(
        said(&output).contains("cannot reach the database"),
        "{}",
        said(&output)
    );
    let problems = machine.check(&["batonctl", "problems"]);
    assert!(problems.contains("backend-not-back"), "{problems}");
}

fn repair(machine: &Machine) {
    machine.check(&["rm", "/run/chat-is-broken"]);
    machine.check(&["systemctl", "reset-failed", "chat@1"]);
    machine.check(&["systemctl", "start", "chat@1"]);
}

fn stop(machine: &Machine) {
    machine.check(&["systemctl", "stop", "chat@1"]);
}

fn start(machine: &Machine) {
    machine.check(&["systemctl", "start", "chat@1"]);
}

fn roll(machine: &Machine) {
    machine.check(&["batonctl", "detach", "chat@1.service"]);
    configure(machine, Units::Two);
    machine.check(&["batonctl", "reload"]);
    let before = ["chat@1", "chat@2"].map(|unit| machine.property(unit, "MainPID"));
    machine.check(&["batonctl", "restart", "chat"]);
    let after = ["chat@1", "chat@2"].map(|unit| machine.property(unit, "MainPID"));
    assert!(
        before
            .iter()
            .zip(&after)
            .all(|(before, after)| before != after)
    );
}

fn said(output: &Output) -> String {
    let parts = [&output.stdout, &output.stderr];
    parts.map(|part| String::from_utf8_lossy(part)).concat()
}
