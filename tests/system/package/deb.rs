//! The package for Debian.

use std::path::Path;

use batond::control::message_id;
use serde_json::Value;

use super::build::packages;
use super::leftovers::{assert_nothing_runs, files};
use super::{put_into_service, upgrade_that_fails, upgrade_under_load};
use crate::client::Client;
use crate::machine::Machine;

on_each_release! {
    the_deb_lives_and_leaves_nothing
}

fn the_deb_lives_and_leaves_nothing(machine: &Machine) {
    let deb = &packages().deb;

    println!("{}", install(machine, &deb.first));
    is_idle_and_says_what_to_do(machine);
    put_into_service(machine);
    upgrade_under_load(machine, || install(machine, &deb.newer));
    upgrade_that_fails(machine, || install(machine, &deb.broken));
    upgrade_under_load(machine, || install(machine, &deb.newer));

    let client = Client::open(machine);
    println!("{}", apt(machine, &["remove", "batond"]));
    assert_eq!(client.farewell().code(), 1001);
    assert_nothing_runs(machine);
    // Back as it was, with the edited configuration.
    println!("{}", install(machine, &deb.newer));
    machine.check(&["systemctl", "restart", "batond"]);
    Client::open(machine).echo("after a removal and an installation");

    println!("{}", apt(machine, &["purge", "batond"]));
    assert_nothing_runs(machine);
    assert_eq!(files(machine), Vec::<String>::new());
    // As the user's files might still be there.
    machine.check(&["getent", "passwd", "batond"]);
}

fn is_idle_and_says_what_to_do(machine: &Machine) {
    assert_eq!(machine.property("batond", "ActiveState"), "active");
    assert_eq!(machine.property("batond", "SubState"), "running");
    assert_eq!(machine.property("batond", "UnitFileState"), "enabled");
    let status = machine.property("batond", "StatusText");
    assert!(status.starts_with("idle: "), "{status}");
    assert!(status.contains("/etc/batond/batond.toml"), "{status}");
    let status = machine.check(&["batonctl", "status"]);
    assert!(status.contains(env!("CARGO_PKG_VERSION")), "{status}");
    // No port is taken from anyone.
    assert_eq!(machine.property("batond.socket", "ActiveState"), "inactive");
    let catalog = machine.check(&["journalctl", "--list-catalog"]);
    assert!(catalog.contains("batond is ready"), "{catalog}");
    assert_eq!(
        machine.check(&["systemctl", "is-system-running"]),
        "running"
    );
    // But for this one, where the host does not let the unit have as many as it asks for.
    let expected = message_id::FD_LIMIT_LOW.as_str();
    let complaints = machine.journal("batond").into_iter().filter(|entry| {
        let priority = entry["PRIORITY"].as_str();
        entry["MESSAGE_ID"] != expected && priority.is_some_and(|priority| priority < "5")
    });
    assert_eq!(complaints.collect::<Vec<_>>(), Vec::<Value>::new());
}

/// Installs a package that is a file of the host, whichever version is there.
fn install(machine: &Machine, deb: &Path) -> String {
    machine.install_file(deb, "/tmp/package.deb", 0o644);
    apt(
        machine,
        &["install", "--allow-downgrades", "/tmp/package.deb"],
    )
}

fn apt(machine: &Machine, command: &[&str]) -> String {
    let apt = [
        "env",
        "DEBIAN_FRONTEND=noninteractive",
        "sh",
        "-c",
        "apt-get --quiet --yes -o Dpkg::Use-Pty=0 \"$@\" 2>&1",
        "sh",
    ];
    machine.check(&[&apt[..], command].concat())
}
