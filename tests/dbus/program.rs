//! Independent programs as callers, also as another user.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use batond::control::dbus::{NAME, PATH};

use crate::world::{World, address, succeeded};

/// `busctl` on a world's bus, if there is one.
pub(crate) fn busctl() -> Option<impl Fn(&World) -> Command> {
    Command::new("busctl").arg("--version").output().ok()?;
    Some(|world: &World| {
        let mut command = Command::new("busctl");
        command.arg(format!("--address={}", world.bus.address));
        command
    })
}

/// `busctl` as a user without rights. Only root can be another user.
pub(crate) fn busctl_as_nobody(world: &World, interactive: bool) -> Command {
    let socket = world.bus.address.strip_prefix("unix:path=").unwrap();
    let socket = Path::new(socket.split(',').next().unwrap());
    let folder = socket.parent().unwrap();
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new("setpriv");
    command
        .args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--",
            "busctl",
        ])
        .arg(format!("--address={}", world.bus.address))
        .arg(format!("--allow-interactive-authorization={interactive}"));
    command
}

#[test]
fn busctl_finds_its_way_around() {
    let Some(busctl) = busctl() else {
        eprintln!("busctl_finds_its_way_around: skipped, there is no busctl");
        return;
    };
    let world = World::with(&[("ws", address())]);
    let run = |arguments: &[&str]| {
        let output = busctl(&world).args(arguments).output().unwrap();
        succeeded(&output);
        String::from_utf8(output.stdout).unwrap()
    };
    let tree = run(&["tree", "--list", NAME]);
    for path in [
        "/org/batond/Baton1/service/echo",
        "/org/batond/Baton1/listener/ws",
    ] {
        assert!(tree.lines().any(|line| line == path), "{tree}");
    }
    let manager = "org.batond.Baton1.Manager";
    assert_eq!(
        run(&["get-property", NAME, PATH, manager, "Phase"]),
        "s \"serving\"\n"
    );
    let job = run(&["call", NAME, PATH, manager, "Reload", "a{sv}", "0"]);
    assert_eq!(job, "o \"/org/batond/Baton1/job/1\"\n");
    assert_eq!(
        run(&["call", NAME, PATH, manager, "ListServices"]),
        "a(so) 1 \"echo\" \"/org/batond/Baton1/service/echo\"\n"
    );
}

#[test]
fn gdbus_understands_the_introspection() {
    let mut gdbus = Command::new("gdbus");
    if gdbus.arg("help").output().is_err() {
        eprintln!("gdbus_understands_the_introspection: skipped, there is no gdbus");
        return;
    }
    let world = World::with(&[("ws", address())]);
    let output = Command::new("gdbus")
        .args(["introspect", "--address", &world.bus.address])
        .args(["--dest", NAME, "--object-path", PATH, "--recurse"])
        .output()
        .unwrap();
    succeeded(&output);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("readonly t Clients = 0;"), "{text}");
    assert!(text.contains("readonly as Listeners = ['ws'];"), "{text}");
}
