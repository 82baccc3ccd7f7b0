//! P4, nothing half-done: a successor that is of no use changes nothing, and whoever asked for it
//! is told why.

use batond::control::message_id;

use crate::client::{Client, PORT};
use crate::death::assert_is_alone;
use crate::installation::{CONFIGURATION_FILE, configure_with, serve_with};
use crate::machine::{Machine, Process, tell};
use crate::newcomers::{Fate, Newcomers};
use crate::turnstile::{REAL, replace_program, restore_program};

on_each_release! {
    a_successor_that_is_of_no_use_changes_nothing
    another_program_with_another_configuration_takes_over
    another_version_of_the_handoff_is_refused_by_the_new_side
}

/// EX_SOFTWARE of sysexits(3), with which `batonctl` says that the successor failed.
const SOFTWARE: i32 = 70;

/// Two listeners that no socket unit knows of; the second one comes later.
const FIRST: &str = "[listener.first]\naddress = \"0.0.0.0:9443\"\n";
const SECOND: &str = "[listener.second]\naddress = \"0.0.0.0:9444\"\n";

const OTHER_VERSION: &str = include_str!("other_version.py");

/// Programs that are no good successor, and a part of the reason that is given.
const USELESS: [(&str, &str, &str); 6] = [
    (
        "exits at once",
        "#!/bin/false\n",
        "the other process has ended",
    ),
    (
        "cannot be started",
        "#!/nonexistent\n",
        "cannot start /usr/bin/batond: No such file or directory",
    ),
    (
        "speaks another version",
        OTHER_VERSION,
        "the other process speaks version 2 of the handoff protocol, this one version 1",
    ),
    (
        "may open too few files",
        "#!/bin/sh\nexec prlimit --nofile=12:12 /usr/bin/batond.real \"$@\"\n",
        "raise LimitNOFILE=",
    ),
    (
        "may have too few threads",
        // Enough to begin with beside those of this process, and not for that many workers.
        "#!/bin/sh\nBATOND_WORKERS=64 exec prlimit --nproc=40 /usr/bin/batond.real \"$@\"\n",
        "cannot start the workers: Resource temporarily unavailable",
    ),
    // Last, because it takes the whole time that a successor has.
    (
        "hangs",
        "#!/bin/sh\nkill -STOP $$\n",
        "did not get there within 30s",
    ),
];

fn a_successor_that_is_of_no_use_changes_nothing(machine: &Machine) {
    serve_with(machine, FIRST);
    let mut clients = Vec::from([(); 3].map(|()| Client::open(machine)));
    let main = machine.main_process("batond");
    let newcomers = Newcomers::arrive(machine, PORT);
    for (what, program, reason) in USELESS {
        replace_program(machine, program);
        changes_nothing(machine, &main, &mut clients, what, reason);
    }
    // The one of another version was told the same.
    let answer = "the predecessor answered (1, 8, {'reason': 'the other process speaks version 2";
    let journal = machine.check(&["journalctl", "--unit=batond", "--output=cat"]);
    assert!(journal.contains(answer), "{journal}");

    restore_program(machine);
    configure_with(machine, "[listener.first]\naddres = \"0.0.0.0:9443\"\n");
    let reason = "listener.first.addres: is not a known key";
    changes_nothing(machine, &main, &mut clients, "has mistakes to read", reason);

    // What was said of it goes when something succeeds.
    configure_with(machine, FIRST);
    machine.check(&["systemctl", "reload", "batond"]);
    let status = machine.property("batond", "StatusText");
    assert!(status.starts_with("serving"), "{status}");
    let fates = newcomers.fates();
    assert!(fates.iter().all(|fate| *fate == Fate::Served), "{fates:?}");
}

/// An upgrade fails, and this is why; nobody notices who did not ask.
fn changes_nothing(
    machine: &Machine,
    main: &Process,
    clients: &mut [Client],
    what: &str,
    reason: &str,
) {
    let upgrade = machine.run(&["batonctl", "upgrade"]);
    let said = String::from_utf8_lossy(&upgrade.stderr);
    tell(&format!("a successor that {what}: {}", said.trim_end()));
    assert_eq!(upgrade.status.code(), Some(SOFTWARE), "{said}");
    assert!(said.contains(reason), "{said}");

    assert_eq!(machine.main_process("batond").pid(), main.pid());
    assert_is_alone(machine, main);
    for client in clients {
        client.echo("untouched");
    }
    let status = machine.property("batond", "StatusText");
    assert!(status.contains("upgrade failed: "), "{status}");
    assert!(status.contains(reason), "{status}");
    let journal = machine.journal("batond");
    let kind = message_id::HANDOFF_FAILED.as_str();
    let last = journal.iter().rfind(|entry| entry["MESSAGE_ID"] == kind);
    let last = last.expect("an entry for the failure");
    let message = last["MESSAGE"].as_str().unwrap_or_default();
    assert!(message.contains(reason), "{message}");
}

fn another_program_with_another_configuration_takes_over(machine: &Machine) {
    serve_with(machine, FIRST);
    let old = machine.main_process("batond");
    let client = Client::open_at(machine, 9443);
    let newcomers = Newcomers::arrive(machine, PORT);
    replace_program(machine, "#!/bin/sh\nexec /usr/bin/batond.real \"$@\"\n");
    configure_with(machine, SECOND);
    machine.check(&["batonctl", "upgrade"]);
    assert_eq!(client.farewell().code(), 1012);
    Client::open_at(machine, 9444).echo("added");
    Client::open(machine).echo("kept");
    assert!(old.wait_gone(crate::client::PATIENCE));
    assert_is_alone(machine, &machine.main_process("batond"));
    // The added one, and the state.
    assert_eq!(machine.property("batond", "NFileDescriptorStore"), "2");
    assert!(machine.connect(9443).is_err(), "the removed one");
    let fates = newcomers.fates();
    let refused = |fate: &&Fate| !matches!(fate, Fate::Served | Fate::SentAway(1012));
    assert_eq!(fates.iter().find(refused), None);
}

fn another_version_of_the_handoff_is_refused_by_the_new_side(machine: &Machine) {
    serve_with(machine, "");
    machine.put("/usr/local/lib/other_version.py", OTHER_VERSION);
    machine.check(&["cp", crate::turnstile::PROGRAM, REAL]);
    let main = machine.main_process("batond");
    let said = machine.check(&[
        "python3",
        "/usr/local/lib/other_version.py",
        "predecessor",
        REAL,
        "--config",
        CONFIGURATION_FILE,
    ]);
    tell(&said);
    let answer = "the successor answered (1, 8, {'reason': 'the other process speaks version 2 \
                  of the handoff protocol, this one version 1'})";
    assert!(said.contains(answer), "{said}");
    assert!(said.contains("the successor then said None"), "{said}");
    assert!(said.contains("the successor ended with 71"), "{said}");
    assert_eq!(machine.main_process("batond").pid(), main.pid());
    Client::open(machine).echo("untouched");
}
