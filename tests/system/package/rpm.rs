//! The package for Fedora and its relatives: its files and its scriptlets, in a system that knows
//! nothing else of rpm. The program is the host's.

use std::path::Path;

use super::build::packages;
use super::leftovers::{assert_nothing_runs, files};
use super::{put_into_service, upgrade_that_fails, upgrade_under_load};
use crate::client::Client;
use crate::machine::{Machine, Release, tell};

#[test]
fn the_rpm_lives_and_leaves_nothing() {
    let Some(machine) = Machine::boot(Release::Trixie) else {
        return;
    };
    if std::process::Command::new("rpm")
        .arg("--version")
        .output()
        .is_err()
    {
        return tell("skipped, the life of the rpm: no rpm here (see tests/system/install)");
    }
    let packages = &packages().rpm;

    let list = tempfile::tempdir().expect("make a folder for rpm's list");
    let rpm = |action: &[&str], package: &Path| rpm(&machine, list.path(), action, package);
    println!("{}", rpm(&["--install"], &packages.first));
    // Debian's presets enable what is installed; those of Fedora do not.
    assert_eq!(machine.property("batond", "UnitFileState"), "enabled");
    assert_eq!(machine.property("batond", "SubState"), "running");
    machine.check(&["batonctl", "status"]);
    let catalog = machine.check(&["journalctl", "--list-catalog"]);
    assert!(catalog.contains("batond is ready"), "{catalog}");

    put_into_service(&machine);
    let upgrade = ["--upgrade", "--oldpackage"];
    upgrade_under_load(&machine, || rpm(&upgrade, &packages.newer));
    upgrade_that_fails(&machine, || rpm(&upgrade, &packages.broken));
    upgrade_under_load(&machine, || rpm(&upgrade, &packages.newer));

    let client = Client::open(&machine);
    println!("{}", rpm(&["--erase"], Path::new("batond")));
    assert_eq!(client.farewell().code(), 1001);
    assert_nothing_runs(&machine);
    // An edited configuration is never thrown away.
    assert_eq!(
        files(&machine),
        ["/etc/batond", "/etc/batond/batond.toml.rpmsave"]
    );
}

/// Runs rpm on a package; what it depends on is there, but not as a package of rpm. `list` is the
/// folder of the host with the list of what is installed. It cannot be in the machine: SQLite reads
/// the link in /proc that leads there, and takes it for the host's root.
fn rpm(machine: &Machine, list: &Path, action: &[&str], package: &Path) -> String {
    let root = machine.root();
    let root = root.to_str().expect("a path in /proc");
    let package = package.to_str().expect("the path of a package");
    let mut command = vec!["rpm", "--root", root, "--nodeps", "--noplugins"];
    command.extend_from_slice(&["--dbpath", list.to_str().expect("the path of a folder")]);
    command.extend_from_slice(action);
    command.push(package);
    let done = machine.run_from_host(&command);
    let said = [done.stdout, done.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(
        done.status.success(),
        "{command:?}: {}\n{said}",
        done.status
    );
    said
}
