//! What happens to the process.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::stage::PORT;
use crate::machine::{Machine, Process};

/// How long a process that has nothing left to do may take to end.
const END: Duration = Duration::from_secs(60);

/// One thing that happens, and what the steady clients see of it.
pub(super) struct Event {
    pub(super) name: &'static str,
    /// What they are to see.
    pub(super) expected: Expected,
    /// Has it happen. The end of a process that could not end in order is returned.
    pub(super) happen: fn(&Machine) -> Option<Death>,
}

/// What each of the steady clients is to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Nothing,
    Told1012,
    /// One end of the TCP connection without a Close.
    OneCut,
}

/// The end of a process that could not end in order.
pub(super) struct Death {
    /// Whom it had accepted: the ports of the other ends. It accepted nobody after `at`.
    pub(super) accepted: HashSet<u16>,
    pub(super) at: Instant,
}

pub(super) const ALL: [Event; 5] = [
    Event {
        name: "systemctl reload",
        expected: Expected::Nothing,
        happen: reload,
    },
    Event {
        name: "systemctl restart",
        expected: Expected::Told1012,
        happen: restart,
    },
    Event {
        name: "batonctl upgrade",
        expected: Expected::Told1012,
        happen: upgrade,
    },
    Event {
        name: "SIGKILL",
        expected: Expected::OneCut,
        happen: kill,
    },
    Event {
        name: "watchdog",
        expected: Expected::OneCut,
        happen: hang,
    },
];

fn reload(machine: &Machine) -> Option<Death> {
    let main = machine.property("batond", "MainPID");
    machine.check(&["systemctl", "reload", "batond"]);
    assert_eq!(machine.property("batond", "MainPID"), main);
    None
}

fn restart(machine: &Machine) -> Option<Death> {
    let old = machine.main_process("batond");
    machine.check(&["systemctl", "restart", "batond"]);
    assert!(old.wait_gone(Duration::ZERO));
    None
}

fn upgrade(machine: &Machine) -> Option<Death> {
    let old = machine.main_process("batond");
    machine.check(&["batonctl", "upgrade"]);
    assert!(old.wait_gone(END), "the predecessor stays");
    // Told by one that is not the main process any more, systemd complains.
    let journal = machine.check(&["journalctl", "--unit=batond", "--output=cat"]);
    assert!(!journal.contains("Got notification"), "{journal}");
    None
}

fn kill(machine: &Machine) -> Option<Death> {
    let main = machine.main_process("batond");
    let death = stop(machine, &main);
    main.signal(Signal::KILL);
    assert!(main.wait_gone(END), "the process survives");
    Some(death)
}

fn hang(machine: &Machine) -> Option<Death> {
    let main = machine.main_process("batond");
    let death = stop(machine, &main);
    // Not to wait as long as the unit says: as if the process had asked for it before it hung
    // (sd_notify(3)).
    let pid = main.inner_pid().expect("a process that hangs");
    machine.check(&[
        "env",
        "NOTIFY_SOCKET=/run/systemd/notify",
        "systemd-notify",
        &format!("--pid={pid}"),
        "WATCHDOG_USEC=2000000",
    ]);
    assert!(main.wait_gone(END), "nobody minds that the process hangs");
    let journal = machine.check(&["journalctl", "--unit=batond", "--output=cat"]);
    assert!(journal.contains("Watchdog timeout"), "{journal}");
    Some(death)
}

/// Between the look and the end nothing is accepted, since the process has been stopped before.
fn stop(machine: &Machine, process: &Process) -> Death {
    process.stop();
    Death {
        at: Instant::now(),
        accepted: machine.accepted(PORT),
    }
}
