//! The unit files.

use crate::installation;
use crate::machine::{Machine, tell};

/// The worst exposure level that the service may have, in tenths (systemd-analyze(1),
/// `security`). What is missing for 0: it talks to clients and backends over the network, from
/// and to any address, and to the bus, the journal and local backends over Unix sockets.
const EXPOSURE: &str = "--threshold=11";

on_each_release! {
    systemd_has_nothing_to_say_about_the_units
    the_service_is_confined
}

fn systemd_has_nothing_to_say_about_the_units(machine: &Machine) {
    installation::install(machine);
    for unit in installation::UNITS {
        // The pages come with the package; that they exist is tested where they are made.
        // A template is that of something: here of a unit that is everywhere.
        let unit = unit.replace("@.", "@systemd-journald.");
        let verdict = machine.run(&["systemd-analyze", "verify", "--man=no", &unit]);
        let said = String::from_utf8_lossy(&verdict.stderr);
        assert!(
            verdict.status.success() && said.is_empty(),
            "{unit}: {said}"
        );
    }
}

fn the_service_is_confined(machine: &Machine) {
    installation::install(machine);
    let report = machine.check(&["systemd-analyze", "security", EXPOSURE, "batond.service"]);
    let open = report.lines().filter(|line| line.starts_with('✗'));
    open.for_each(|line| println!("{line}"));
    tell(report.lines().last().unwrap_or_default());
}
