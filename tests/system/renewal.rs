//! A renewal that is overdue: the unit is started through systemd, as the user that batond has,
//! and again as long as it does not help.

use std::path::Path;
use std::time::{Duration, SystemTime};

use batond::control::message_id;
use serde_json::Value;

use crate::crowd::trust::NAME;
use crate::installation::{CONFIGURATION_FILE, install};
use crate::journal::{await_entry, await_event};
use crate::machine::{Machine, tell};
use crate::pki::Pki;
use crate::support::certificate::Identity;

/// The unit that the shipped rule names. It fails until something has been put right.
const UNIT: &str = "certbot.service";
const RENEW: &str = "
[Service]
Type=oneshot
ExecStart=/bin/sh -ec 'test -e /etc/put-right; cp /etc/new/x.pem /etc/new/x.key /etc/batond'
";

const TIMER: &str = "
[Timer]
OnCalendar=daily
";

on_each_release! {
    a_renewal_that_is_overdue_is_started_until_it_helps
}

fn a_renewal_that_is_overdue_is_started_until_it_helps(machine: &Machine) {
    let pki = Pki::new();
    let now = SystemTime::now();
    // A third of 1,000 s is not left any more. Then there are at least ten seconds between two
    // attempts.
    let (from, until) = (Duration::from_secs(700), Duration::from_secs(300));
    put(
        machine,
        "/etc/batond",
        &pki.issue_with(NAME, now - from, now + until),
    );
    put(machine, "/etc/new", &pki.issue());
    machine.put("/etc/batond/root.pem", &pki.root());
    machine.put(&format!("/etc/systemd/system/{UNIT}"), RENEW);
    let rule = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/50-batond.rules");
    machine.install_file(rule, "/etc/polkit-1/rules.d/50-batond.rules", 0o644);
    let configuration = format!(
        "[listener.wss]\naddress = \"[::]:443\"\ncertificates = [\"x\"]\n\
         [certificate.x]\nchain = \"x.pem\"\nkey = \"x.key\"\nnames = [\"{NAME}\"]\n\
         roots = \"root.pem\"\nrenew_unit = \"{UNIT}\"\n\
         [service.echo]\nbackends = [\"127.0.0.1:8080\"]\n[limits]\nclients = 1000\n"
    );
    machine.put(CONFIGURATION_FILE, &configuration);
    install(machine);
    machine.check(&["systemctl", "start", "batond"]);
    let batond = machine.main_process("batond");

    let started = await_event(machine, &batond, message_id::RENEWAL_STARTED);
    assert_eq!(started["BATON_UNIT"], UNIT);
    failed(machine, 1);
    let (what, _) = overdue(machine);
    assert!(what.contains(&format!("{UNIT}, started at")), "{what}");
    assert!(what.contains("it failed to start"), "{what}");
    assert!(what.contains("there is no certbot.timer"), "{what}");

    machine.put("/etc/systemd/system/certbot.timer", TIMER);
    machine.check(&["systemctl", "daemon-reload"]);
    failed(machine, 2);
    let (what, remedy) = overdue(machine);
    assert!(what.contains("certbot.timer is not active"), "{what}");
    assert!(
        remedy.contains("systemctl enable --now certbot.timer"),
        "{remedy}"
    );
    tell(&what);

    machine.put("/etc/put-right", "");
    let swapped = await_event(machine, &batond, message_id::CERTIFICATE_SWAPPED);
    assert_eq!(swapped["BATON_CERTIFICATE"], "x");
    let cleared = await_event(machine, &batond, message_id::PROBLEM_CLEARED);
    assert_eq!(cleared["BATON_PROBLEM"], "renewal-overdue");
    assert_eq!(machine.check(&["batonctl", "problems"]), "no problems");
}

fn put(machine: &Machine, folder: &str, identity: &Identity) {
    machine.put(&format!("{folder}/x.pem"), &identity.chain);
    machine.put(&format!("{folder}/x.key"), &identity.key);
}

/// Waits until so many attempts have failed.
fn failed(machine: &Machine, times: usize) {
    let seen = std::cell::Cell::new(0);
    await_entry(machine, "batond", |entry| {
        let failed = entry["MESSAGE_ID"] == message_id::RENEWAL_FAILED.as_str();
        seen.set(seen.get() + usize::from(failed));
        seen.get() == times
    });
}

/// What is wrong with the renewal, and what to do.
fn overdue(machine: &Machine) -> (String, String) {
    let problems = machine.check(&["batonctl", "problems", "--json"]);
    let problems: Value = serde_json::from_str(&problems).expect("JSON");
    let [problem] = problems.as_array().expect("a list").as_slice() else {
        panic!("one problem: {problems}");
    };
    assert_eq!(problem["name"], "renewal-overdue");
    (problem["what"].to_string(), problem["remedy"].to_string())
}
