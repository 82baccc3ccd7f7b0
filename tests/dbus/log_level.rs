//! `systemctl service-log-level` works.

use crate::program;
use crate::world::{World, address, succeeded};

const PATH: &str = "/org/freedesktop/LogControl1";
const INTERFACE: &str = "org.freedesktop.LogControl1";

#[test]
fn the_log_level_changes_while_batond_runs() {
    let Some(busctl) = program::busctl() else {
        eprintln!("the_log_level_changes_while_batond_runs: skipped, there is no busctl");
        return;
    };
    let world = World::with(&[("ws", address())]);
    let name = batond::control::dbus::NAME;
    let get = |property: &str| {
        let output = busctl(&world)
            .args(["get-property", name, PATH, INTERFACE, property])
            .output()
            .unwrap();
        succeeded(&output);
        String::from_utf8(output.stdout).unwrap()
    };
    let set = |property: &str, value: &str| {
        busctl(&world)
            .args(["set-property", name, PATH, INTERFACE, property, "s", value])
            .output()
            .unwrap()
    };
    assert_eq!(get("LogLevel"), "s \"info\"\n");
    assert_eq!(get("SyslogIdentifier"), "s \"batond\"\n");
    assert_eq!(get("LogTarget"), "s \"console\"\n");
    succeeded(&set("LogLevel", "err"));
    assert_eq!(get("LogLevel"), "s \"err\"\n");
    world.reload();
    succeeded(&set("LogLevel", "debug"));
    assert_eq!(get("LogLevel"), "s \"debug\"\n");
    world.reload();
    let output = set("LogLevel", "loud");
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("log level \"loud\" is none of"), "{said}");
    succeeded(&set("LogTarget", "console"));
    assert!(!set("LogTarget", "syslog").status.success());
    let log = world.batond.log();
    assert!(!log.contains("reloaded: configuration 2"), "{log}");
    assert!(log.contains("reloaded: configuration 3"), "{log}");
}
