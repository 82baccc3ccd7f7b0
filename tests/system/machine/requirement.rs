//! Whether machines can be booted here at all.

use std::env;
use std::process::{Command, Stdio};
use std::sync::Once;

use rustix::process::geteuid;

use super::cgroup::Cgroup;
use super::tell;

/// In the environment with the value `required`: not being able to boot is a failure.
const VARIABLE: &str = "BATOND_SYSTEM_TESTS";

/// Programs of the host, with the Debian packages that they come from.
const PROGRAMS: [(&str, &str); 6] = [
    ("debootstrap", "debootstrap"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("strace", "strace"),
    ("systemd-nspawn", "systemd-container"),
    ("unshare", "util-linux"),
];

/// A control group for the next machine, which is the last thing to be tried; none if one of the
/// requirements is not met, which is printed.
pub(super) fn met() -> Option<Cgroup> {
    match check() {
        Ok(cgroup) => Some(cgroup),
        Err(reason) if env::var(VARIABLE).is_ok_and(|value| value == "required") => {
            panic!("{reason}, and {VARIABLE}=required")
        }
        Err(reason) => {
            static SAID: Once = Once::new();
            SAID.call_once(|| tell(&format!("skipped, all tests in a booted system: {reason}")));
            None
        }
    }
}

fn check() -> Result<Cgroup, String> {
    if !geteuid().is_root() {
        return Err("booting a system needs root".to_owned());
    }
    for (program, package) in PROGRAMS {
        if !succeeds(Command::new(program).arg("--version")) {
            return Err(format!(
                "no {program} here (package {package}; see tests/system/install)"
            ));
        }
    }
    let mut mount = Command::new("unshare");
    mount.args([
        "--mount",
        "--propagation=private",
        "mount",
        "-t",
        "tmpfs",
        "tmpfs",
        "/mnt",
    ]);
    if !succeeds(&mut mount) {
        return Err("booting a system needs permission to mount".to_owned());
    }
    Cgroup::new().map_err(|error| format!("control groups cannot be made: {error}"))
}

fn succeeds(command: &mut Command) -> bool {
    let command = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
