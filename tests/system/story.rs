//! What an operator finds in the journal afterwards: each event once, in its order, with fields to
//! search for and an explanation, and nothing else has to be asked.

use std::collections::BTreeSet;
use std::thread;

use batond::control::message_id::{self, MessageId};
use serde_json::Value;

use crate::client::Client;
use crate::installation::{CONFIGURATION_FILE, install};
use crate::machine::Machine;

on_each_release! {
    a_restart_can_be_read_from_the_journal_alone
}

const UNIT: &str = "
[Service]
Type=notify
ExecStart=/usr/bin/python3 /usr/local/lib/echo.py
DynamicUser=yes
";

const CONFIGURATION: &str = r#"
[listener.wss]
address = "[::]:443"
[listener.spare]
address = "[::]:8443"
[service.chat]
backends = [{ address = "127.0.0.1:8080", unit = "chat.service" }]
[limits]
clients = 1000
"#;

/// Kinds of events that tell nothing of a restart: what the test machine lacks.
const OF_THE_MACHINE: [MessageId; 1] = [message_id::FD_LIMIT_LOW];

fn set(machine: &Machine) {
    let packaging = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging");
    let catalog = "/usr/lib/systemd/catalog/batond.catalog";
    machine.install_file(packaging.join("batond.catalog"), catalog, 0o644);
    let rules = "/etc/polkit-1/rules.d/50-batond.rules";
    machine.install_file(packaging.join("50-batond.rules"), rules, 0o644);
    machine.check(&["journalctl", "--update-catalog"]);
    machine.put("/usr/local/lib/echo.py", include_str!("echo.py"));
    machine.put("/etc/systemd/system/chat.service", UNIT);
    machine.put(CONFIGURATION_FILE, CONFIGURATION);
    install(machine);
    machine.check(&["systemctl", "start", "chat", "batond"]);
}

fn a_restart_can_be_read_from_the_journal_alone(machine: &Machine) {
    set(machine);
    let mut reader = Reader {
        machine,
        read: machine.journal("batond").len(),
    };
    let clients = (0..3).map(|_| Client::open(machine)).collect();
    let clients = of_a_service(machine, &mut reader, clients);
    of_a_reload(machine, &mut reader);
    let clients = of_an_upgrade(machine, &mut reader, clients);
    of_batond_itself(machine, &mut reader, clients);
    is_explained(machine);
}

/// While something is done that sends these clients away. They come back.
fn during(machine: &Machine, clients: Vec<Client>, what: impl FnOnce()) -> Vec<Client> {
    thread::scope(|scope| {
        let returning = clients.into_iter().map(|client| {
            scope.spawn(|| {
                assert_eq!(client.farewell().code(), 1012);
                Client::open(machine)
            })
        });
        let returning: Vec<_> = returning.collect();
        what();
        let back = returning.into_iter().map(|one| one.join());
        back.map(|one| one.expect("a client comes back")).collect()
    })
}

fn of_a_service(machine: &Machine, reader: &mut Reader<'_>, clients: Vec<Client>) -> Vec<Client> {
    let back = during(machine, clients, || {
        machine.check(&["batonctl", "restart", "chat"]);
    });
    let story = reader.next_until(message_id::JOB_DONE);
    let kinds = kinds(&story);
    assert_eq!(
        (kinds[0], kinds[kinds.len() - 1]),
        (message_id::JOB_STARTED, message_id::JOB_DONE),
        "{story:#?}"
    );
    each_once(&story);
    let done = &story[story.len() - 1];
    for (field, value) in [
        ("BATON_SERVICE", "chat"),
        ("BATON_JOB", "1"),
        ("BATON_TOLD", "3"),
        ("BATON_CLOSED_CLEANLY", "3"),
        ("BATON_TIMED_OUT", "0"),
        ("BATON_REFUSED", "0"),
    ] {
        assert_eq!(done[field], value, "{field} of {done:#}");
    }
    let text = done["MESSAGE"].as_str().expect("a text");
    for part in [
        "chat.service restarted in",
        "told 3 of 3",
        "closed cleanly 3",
        "took",
    ] {
        assert!(text.contains(part), "{text}");
    }
    // The same, found by the field alone.
    let found = machine.check(&[
        "journalctl",
        "--output=json",
        "BATON_SERVICE=chat",
        "BATON_JOB=1",
    ]);
    assert_eq!(found.lines().count(), 2, "{found}");
    back
}

fn of_a_reload(machine: &Machine, reader: &mut Reader<'_>) {
    let without = CONFIGURATION.replace("[listener.spare]\naddress = \"[::]:8443\"\n", "");
    machine.put(CONFIGURATION_FILE, &without);
    machine.check(&["systemctl", "reload", "batond"]);
    let story = reader.next_until(message_id::RELOADED);
    assert_eq!(
        kinds(&story),
        [message_id::LISTENER_CLOSED, message_id::RELOADED]
    );
    assert_eq!(story[0]["BATON_LISTENER"], "spare");
    assert_eq!(story[1]["BATON_GENERATION"], "2");

    machine.put(CONFIGURATION_FILE, "nonsense");
    assert!(
        !machine
            .run(&["systemctl", "reload", "batond"])
            .status
            .success()
    );
    let story = reader.next_until(message_id::PROBLEM_RAISED);
    let refused = message_id::CONFIGURATION_REFUSED;
    assert_eq!(kinds(&story), [refused, message_id::PROBLEM_RAISED]);
    assert_eq!(story[1]["BATON_PROBLEM"], "reload-failed");
    assert_eq!(story[1]["PRIORITY"], "4");
    machine.put(CONFIGURATION_FILE, &without);
    machine.check(&["systemctl", "reload", "batond"]);
    let story = reader.next_until(message_id::RELOADED);
    assert_eq!(
        kinds(&story),
        [message_id::PROBLEM_CLEARED, message_id::RELOADED]
    );
}

fn of_an_upgrade(machine: &Machine, reader: &mut Reader<'_>, clients: Vec<Client>) -> Vec<Client> {
    let old = machine.property("batond", "MainPID");
    let back = during(machine, clients, || {
        machine.check(&["batonctl", "upgrade"]);
    });
    let new = machine.property("batond", "MainPID");
    let story = reader.next_until(message_id::DRAIN_FINISHED);
    each_once(&story);
    let of = |pid: &str| {
        let own = story.iter().filter(|entry| entry["_PID"] == pid);
        kinds(&own.cloned().collect::<Vec<_>>())
    };
    assert_eq!(
        of(&old),
        [
            message_id::HANDOFF_STARTED,
            message_id::HANDOFF_SUCCEEDED,
            message_id::DRAIN_STARTED,
            message_id::DRAIN_FINISHED,
        ]
    );
    assert_eq!(
        of(&new),
        [
            message_id::STARTED,
            message_id::LISTENER_ADOPTED,
            message_id::TOOK_OVER,
            message_id::READY,
        ]
    );
    let succeeded = story
        .iter()
        .find(|one| is(one, message_id::HANDOFF_SUCCEEDED));
    assert_eq!(
        succeeded.expect("it is there")["BATON_SUCCESSOR"],
        new.as_str()
    );
    let finished = &story[story.len() - 1];
    assert_eq!(finished["BATON_TOLD"], "3", "{finished:#}");
    back
}

fn of_batond_itself(machine: &Machine, reader: &mut Reader<'_>, clients: Vec<Client>) {
    drop(during(machine, clients, || {
        machine.check(&["systemctl", "restart", "batond"]);
    }));
    let story = reader.next_until(message_id::READY);
    each_once(&story);
    assert_eq!(
        kinds(&story),
        [
            message_id::STOPPING,
            message_id::DRAIN_STARTED,
            message_id::DRAIN_FINISHED,
            message_id::STARTED,
            message_id::LISTENER_ADOPTED,
            message_id::READY,
        ]
    );
}

/// `journalctl -x` has the explanation below each entry, with the names filled in.
fn is_explained(machine: &Machine) {
    let told = machine.check(&["journalctl", "--no-pager", "-x", "-u", "batond"]);
    let catalog = include_str!("../../packaging/batond.catalog");
    let happened: BTreeSet<String> = machine
        .journal("batond")
        .iter()
        .filter_map(|entry| Some(entry["MESSAGE_ID"].as_str()?.to_owned()))
        .collect();
    let mut explained = 0;
    for entry in catalog.split("\n-- ").skip(1) {
        let (id, rest) = entry.split_once('\n').expect("an id");
        if !happened.contains(id) {
            continue;
        }
        let (_, subject) = rest.split_once("Subject: ").expect("a subject");
        let subject = subject
            .lines()
            .next()
            .expect("a line")
            .replace("@BATON_SERVICE@", "chat");
        let known = subject.split('@').next().expect("a beginning");
        assert!(told.contains(known), "{known}\n{told}");
        explained += 1;
    }
    assert!(explained > 12, "{explained}");
    // Every place for a name was filled in.
    assert!(!told.contains("@BATON_"), "{told}");
}

fn is(entry: &Value, kind: MessageId) -> bool {
    entry["MESSAGE_ID"] == kind.as_str()
}

/// All of batond's kinds, whose entries are here.
fn kinds(story: &[Value]) -> Vec<MessageId> {
    let kind = |entry: &Value| {
        let known = message_id::ALL.iter().find(|(_, kind)| is(entry, *kind));
        known.unwrap_or_else(|| panic!("no kind: {entry:#}")).1
    };
    story.iter().map(kind).collect()
}

fn each_once(story: &[Value]) {
    let mut seen = BTreeSet::new();
    for entry in story {
        let kind = entry["MESSAGE_ID"].as_str().expect("a kind");
        // Of two listeners each is told.
        let event = (kind, entry["BATON_LISTENER"].as_str());
        assert!(seen.insert(event), "told twice: {entry:#}\n{story:#?}");
    }
}

/// Reads what is new in the journal.
struct Reader<'a> {
    machine: &'a Machine,
    read: usize,
}

impl Reader<'_> {
    /// What batond wrote since, of whatever kind, up to the first entry of this one.
    fn next_until(&mut self, last: MessageId) -> Vec<Value> {
        self.machine.check(&["journalctl", "--sync"]);
        let all = self.machine.journal("batond");
        let new = &all[self.read..];
        let end = new.iter().position(|entry| is(entry, last));
        let end = end.unwrap_or_else(|| panic!("{last:?} is not told: {new:#?}"));
        self.read += end + 1;
        // Of the unit there is batonctl, too, which reloads it and tells what it is answered.
        let of_batond = |entry: &&Value| {
            entry["_SYSTEMD_UNIT"] == "batond.service" && entry["SYSLOG_IDENTIFIER"] == "batond"
        };
        let story = new[..=end].iter().filter(of_batond);
        let story = story.filter(|entry| !OF_THE_MACHINE.iter().any(|kind| is(entry, *kind)));
        story.cloned().collect()
    }
}
