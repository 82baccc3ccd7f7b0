//! The program on disk is asked before anybody is sent away.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use batond::demo::backend::Backend;

use crate::bus::Bus;
use crate::manager::Known;
use crate::support::batond::Launch;
use crate::systemd::{Systemd, configuration};
use crate::world::{World, address, succeeded};

fn plan(world: &World) -> String {
    let output = world.ctl(&["plan", "echo"]);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn an_installation_that_would_not_start_is_in_the_way_of_a_restart() {
    // Beside the program, so that it can be another name of it.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let program = folder.path().join("batond");
    fs::hard_link(env!("CARGO_BIN_EXE_batond"), &program).unwrap();
    let backend = Backend::start().unwrap();
    let bus = Bus::start().expect("dbus-daemon (tests/run installs it)");
    let configuration = configuration(address(), &backend);
    let batond = Launch::new(&configuration)
        .program(&program)
        .variable(
            "DBUS_SYSTEM_BUS_ADDRESS",
            bus.address.split(',').next().unwrap(),
        )
        .start();
    let world = World {
        backend,
        batond,
        bus,
    };
    let text = plan(&world);
    assert!(text.contains("restarts chat.service"), "{text}");
    assert!(text.contains("systemd-unreachable: "), "{text}");
    let _systemd = Systemd::on(&world, Known::default());
    assert!(plan(&world).contains("nothing is in the way"));

    install(&program, "#!/bin/sh\nexit 127\n");
    let refused = "successor-fails: the program on disk could not take over";
    let text = plan(&world);
    assert!(text.contains(refused), "{text}");
    assert!(text.contains("exits with 127"), "{text}");
    let output = world.ctl(&["restart", "echo"]);
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains(refused), "{text}");

    // One that takes the configuration, even if it is no batond.
    install(&program, "#!/bin/sh\nexit 0\n");
    assert!(plan(&world).contains("nothing is in the way"));
    succeeded(&world.ctl(&["restart", "echo"]));
}

/// As a package manager does it.
fn install(program: &Path, script: &str) {
    let new = program.with_extension("new");
    fs::write(&new, script).unwrap();
    fs::set_permissions(&new, Permissions::from_mode(0o755)).unwrap();
    fs::rename(&new, program).unwrap();
}
