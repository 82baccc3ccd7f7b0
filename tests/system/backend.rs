//! What the real systemd and the real logind answer when they are asked about backends and about
//! the host's end.

use std::io::{BufRead, BufReader};
use std::process::Output;
use std::time::Duration;

use batond::control::logind::{HostShutdown, Logind};
use batond::control::systemd1::StopKind;
use batond::control::units::{JobResult, Outlook, Units, UnitsError, last_lines};
use rustix::process::Signal;

use crate::installation::install;
use crate::machine::Machine;

/// Long enough for the slowest machine; a test that comes near it has failed.
const LONG: Duration = Duration::from_secs(60);

const CHAT: &str = "
[Service]
ExecStart=/usr/bin/sleep infinity
Restart=on-failure
RestartSec=1h
";

const BROKEN: &str = "
[Service]
Type=notify
ExecStart=/usr/bin/sh -c 'echo no database; exit 3'
";

on_each_release! {
    a_unit_is_restarted_and_its_result_told
    what_a_lost_backend_means_is_told
    the_users_rule_lets_it_restart_its_units_and_no_others
    a_reboot_waits_for_its_announcement
    a_power_off_is_known_as_one
}

fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(test);
}

fn units(machine: &Machine) {
    machine.put("/etc/systemd/system/chat.service", CHAT);
    machine.put("/etc/systemd/system/broken.service", BROKEN);
    machine.check(&["systemctl", "daemon-reload"]);
    machine.check(&["systemctl", "start", "chat"]);
}

fn a_unit_is_restarted_and_its_result_told(machine: &Machine) {
    units(machine);
    machine.check(&["systemctl", "mask", "masked.service"]);
    block_on(async {
        let units = Units::connect(Some(&machine.bus()));
        let before = machine.property("chat", "MainPID");
        let done = units.restart("chat.service", LONG).await.expect("restart");
        assert_eq!(done, JobResult::Done);
        assert_ne!(machine.property("chat", "MainPID"), before);
        let state = units.state("chat.service").await.expect("state");
        assert_eq!(
            (state.load.as_str(), state.active.as_str()),
            ("loaded", "active")
        );
        assert_eq!((state.sub.as_str(), state.job), ("running", None));
        assert_eq!(state.restart_setting, "on-failure");

        let failed = units.start("broken.service", LONG).await.expect("start");
        assert_eq!(failed, JobResult::Failed);

        let missing = units.restart("missing.service", LONG).await;
        assert!(
            matches!(missing, Err(UnitsError::Missing { .. })),
            "{missing:?}"
        );
        let state = units.state("missing.service").await.expect("state");
        assert_eq!(state.load, "not-found");
        let masked = units.restart("masked.service", LONG).await;
        assert!(
            matches!(masked, Err(UnitsError::Masked { .. })),
            "{masked:?}"
        );
        let state = units.state("masked.service").await.expect("state");
        assert_eq!(state.load, "masked");
        // Not a service, so without what only services have.
        let state = units.state("dbus.socket").await.expect("state");
        assert_eq!(
            (state.active.as_str(), state.restart_setting.as_str()),
            ("active", "")
        );
        // The journal of this host has nothing of a unit of the machine's.
        assert!(last_lines("no-such-unit-7.service").await.is_empty());
    });
}

fn what_a_lost_backend_means_is_told(machine: &Machine) {
    units(machine);
    block_on(async {
        let units = Units::connect(Some(&machine.bus()));
        let look = async || units.outlook("chat.service", LONG).await.expect("outlook");
        // A busy machine's systemd may hear of the end of a process later than others.
        let lost = async || loop {
            match look().await {
                Outlook::Running => {}
                outlook => return outlook,
            }
        };
        assert_eq!(look().await, Outlook::Running);
        machine.main_process("chat").signal(Signal::KILL);
        assert_eq!(lost().await, Outlook::Restarting);
        machine.check(&["systemctl", "restart", "chat"]);
        // An end that `Restart=on-failure` does not follow up.
        machine.main_process("chat").signal(Signal::TERM);
        assert_eq!(lost().await, Outlook::Gone);
        machine.check(&["systemctl", "restart", "chat"]);
        machine.check(&["systemctl", "stop", "chat"]);
        assert_eq!(look().await, Outlook::Gone);
    });
}

fn the_users_rule_lets_it_restart_its_units_and_no_others(machine: &Machine) {
    units(machine);
    install(machine);
    let restart = |verb: &str, unit: &str| -> Output {
        let systemctl = ["systemctl", "--no-ask-password", verb, unit];
        machine.run(&[&["runuser", "-u", "batond", "--"], &systemctl[..]].concat())
    };
    let refused = |output: Output| !output.status.success();
    assert!(refused(restart("restart", "chat.service")));
    let rules = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/50-batond.rules");
    machine.install_file(rules, "/etc/polkit-1/rules.d/50-batond.rules", 0o644);
    machine.check(&["systemctl", "restart", "polkit"]);
    let allowed = restart("restart", "chat.service");
    let complaint = String::from_utf8_lossy(&allowed.stderr);
    assert!(allowed.status.success(), "{complaint}");
    assert!(refused(restart("stop", "chat.service")));
    assert!(refused(restart("restart", "dbus.service")));
}

fn a_reboot_waits_for_its_announcement(machine: &Machine) {
    announced(machine, "reboot", StopKind::Restart);
}

fn a_power_off_is_known_as_one(machine: &Machine) {
    announced(machine, "poweroff", StopKind::Stop);
}

fn announced(machine: &Machine, verb: &str, kind: StopKind) {
    // logind gives its lock only to processes that it can see, so the watcher goes inside.
    let own = std::env::current_exe().expect("the path of the test program");
    machine.install_file(own, WATCHER, 0o755);
    let mut watcher = machine.background(&[
        "env",
        WITHIN,
        WATCHER,
        "--exact",
        "backend::watches_within_a_machine",
        "--nocapture",
    ]);
    let said = watcher.stdout.take().expect("piped");
    let mut said = BufReader::new(said).lines().map_while(Result::ok);
    let mut wait_for = |line: &str| {
        let heard = said.any(|said| said.contains(line));
        assert!(heard, "the watcher does not say {line}");
    };
    wait_for("the lock is held: true");
    let locks = machine.check(&["systemd-inhibit", "--list", "--no-pager"]);
    assert!(locks.contains("batond"), "{locks}");
    let asked = machine.background(&["systemctl", "--check-inhibitors=no", verb]);
    wait_for(&format!("{:?}", HostShutdown::Announced(kind)));
    asked.wait_with_output().expect("wait for systemctl");
    let _ = watcher.wait();
}

/// Where the test program is within a machine, and what says that it runs there.
const WATCHER: &str = "/usr/local/bin/watcher";
const WITHIN: &str = "BATOND_TEST_WITHIN=yes";

/// The part of a test that runs as a program of the machine.
#[test]
fn watches_within_a_machine() {
    if std::env::var_os("BATOND_TEST_WITHIN").is_none() {
        println!("skipped: only for a machine, where other tests run it");
        return;
    }
    block_on(async {
        let mut watch = Logind::watch(None).await;
        println!("the lock is held: {}", watch.holds_lock());
        println!("{:?}", watch.next().await);
        watch.release();
    });
}
