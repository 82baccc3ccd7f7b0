//! The unit files.

use crate::installation;
use crate::machine::{Machine, Release};

/// The worst exposure level that the unit may have, in tenths (systemd-analyze(1), `security`).
const EXPOSURE: &str = "--threshold=13";

fn are_verified(release: Release) {
    let Some(machine) = Machine::boot(release) else {
        return;
    };
    installation::install(&machine);
    for unit in installation::UNITS {
        let verdict = machine.run(&["systemd-analyze", "verify", unit]);
        let said = String::from_utf8_lossy(&verdict.stderr);
        assert!(
            verdict.status.success() && said.is_empty(),
            "{unit}: {said}"
        );
    }
}

#[test]
fn debian_12_has_nothing_to_say_about_the_units() {
    are_verified(Release::Bookworm);
}

#[test]
fn debian_13_has_nothing_to_say_about_the_units() {
    are_verified(Release::Trixie);
}

#[test]
fn the_service_is_confined() {
    let Some(machine) = Machine::boot(Release::Trixie) else {
        return;
    };
    installation::install(&machine);
    let report = machine.check(&[
        "systemd-analyze",
        "security",
        "--no-pager",
        EXPOSURE,
        "batond.service",
    ]);
    let open = report.lines().filter(|line| line.starts_with('✗'));
    open.for_each(|line| println!("{line}"));
    println!("{}", report.lines().last().unwrap_or_default());
}
