//! What is left of a package that was removed.

use crate::machine::Machine;

/// Nothing runs, listens, or is known by name.
pub(super) fn assert_nothing_runs(machine: &Machine) {
    assert_eq!(machine.property("batond.service", "LoadState"), "not-found");
    assert_eq!(machine.property("batond.socket", "LoadState"), "not-found");
    assert!(machine.connect(443).is_err(), "somebody listens");
    let names = machine.check(&["busctl", "list", "--no-legend"]);
    assert!(!names.contains("org.batond"), "{names}");
    let catalog = machine.check(&["journalctl", "--list-catalog"]);
    assert!(!catalog.contains("batond"), "{catalog}");
    let processes = machine.run(&["pgrep", "-x", "batond"]);
    assert_eq!(processes.stdout, b"", "a process is left");
    assert_eq!(
        machine.check(&["systemctl", "is-system-running"]),
        "running"
    );
}

/// All files that are named for batond, wherever.
pub(super) fn files(machine: &Machine) -> Vec<String> {
    let found = machine.check(&[
        "find", "/", "-xdev", "-iname", "*baton*", "-not", "-path", "/tmp/*",
    ]);
    let running = machine.check(&[
        "find",
        "/run",
        "-iname",
        "*baton*",
        "-not",
        "-path",
        "/run/host/*",
    ]);
    let lines = found.lines().chain(running.lines());
    lines.map(str::to_owned).collect()
}
