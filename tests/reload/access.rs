//! Who may command the daemon, and what `batonctl` says to the others.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::client::Client;
use crate::world::{NOPERM, UNAVAILABLE, World, address, failed_with, succeeded};

#[test]
fn another_user_may_look_and_not_command() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("another_user_may_look_and_not_command: skipped, it takes root to be another");
        return;
    }
    let world = World::with(&[("ws", address())]);
    // Where anybody can get at it.
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("batonctl");
    // By another process: a descriptor for writing that a child of another test inherits for a
    // moment would make the file busy.
    let mut copy = Command::new("cp");
    copy.arg(env!("CARGO_BIN_EXE_batonctl")).arg(&program);
    assert!(copy.status().unwrap().success());
    let open = |path: &Path| fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    open(folder.path());
    let socket = world.bus.address.strip_prefix("unix:path=").unwrap();
    let socket = Path::new(socket.split(',').next().unwrap());
    open(socket.parent().unwrap());
    let as_nobody = |verb| {
        Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
            .arg(&program)
            .args(["--bus", &world.bus.address, verb])
            .output()
            .unwrap()
    };
    succeeded(&as_nobody("status"));
    for verb in ["reload", "upgrade"] {
        let said = failed_with(NOPERM, &as_nobody(verb));
        assert!(said.contains("user 65534 may not"), "{said}");
    }
    assert_eq!(world.status("generation"), 1);
    assert_eq!(world.batond.notifications.mains().len(), 1);
}

#[test]
fn the_status_tells_what_is_going_on() {
    let listener = address();
    let world = World::with(&[("ws", listener)]);
    assert_eq!(world.status("version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(world.status("phase"), "serving");
    let _client = Client::open(listener);
    // It may be half a second old.
    while world.status("clients") != 1 {}
    let output = world.ctl(&["status"]);
    succeeded(&output);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("clients     1"), "{text}");
}

#[test]
fn a_daemon_or_bus_that_is_not_there_is_named() {
    let bus = crate::bus::Bus::start().unwrap();
    let ctl = |address: &str| {
        Command::new(env!("CARGO_BIN_EXE_batonctl"))
            .args(["reload", "--bus", address])
            .output()
            .unwrap()
    };
    let said = failed_with(UNAVAILABLE, &ctl(&bus.address));
    assert!(said.contains("batond is not running"), "{said}");
    let said = failed_with(UNAVAILABLE, &ctl("unix:path=/nowhere"));
    assert!(
        said.contains("cannot connect to unix:path=/nowhere"),
        "{said}"
    );
}
