//! A program in the place of batond that lets a successor on only when the test says so.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags};
use rustix::fs::OFlags;

use crate::client::PATIENCE;
use crate::machine::{Machine, Process, wait};

/// Where batond is started from.
pub(crate) const PROGRAM: &str = "/usr/bin/batond";

/// Where the real one is while something else is in its place.
pub(crate) const REAL: &str = "/usr/bin/batond.real";

/// A successor says who it is, and waits; a process that systemd starts just goes on.
const SCRIPT: &str = r#"#!/bin/bash
if [ "$1" = --successor ]; then
	echo $$ >/run/turnstile/here
	read -r _ </run/turnstile/go
fi
exec -a /usr/bin/batond /usr/bin/batond.real "$@"
"#;

/// The test's side of it.
pub(crate) struct Turnstile {
    here: File,
    go: File,
}

impl Turnstile {
    /// Puts it in the place of the program.
    pub(crate) fn install(machine: &Machine) -> Self {
        machine.check(&["mkdir", "/run/turnstile"]);
        let [here, go] = ["/run/turnstile/here", "/run/turnstile/go"].map(|pipe| {
            machine.check(&["mkfifo", "--mode=666", pipe]);
            // Opened for both it never waits for the other end (fifo(7)), nor keeps it waiting.
            OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
                .open(machine.path(pipe))
                .expect("open a pipe of the machine")
        });
        replace_program(machine, SCRIPT);
        Self { here, go }
    }

    /// Waits for a successor to come.
    pub(crate) fn newcomer(&mut self, machine: &Machine) -> Process {
        let mut readable = [PollFd::new(&self.here, PollFlags::IN)];
        let deadline = Instant::now() + PATIENCE;
        assert!(
            wait(&mut readable, deadline).expect("wait for a successor"),
            "no successor is started"
        );
        let mut pid = [0; 32];
        let length = self.here.read(&mut pid).expect("read the successor's PID");
        let pid = String::from_utf8_lossy(&pid[..length]).trim().to_owned();
        let pid = pid.parse().expect("the script writes its PID");
        machine.process(pid).expect("the successor lives")
    }

    /// Lets it, or the next one, become batond.
    pub(crate) fn let_on(&mut self) {
        self.go.write_all(b"\n").expect("let the successor on");
    }

    /// Whoever comes next has to wait again.
    pub(crate) fn close(&mut self) {
        let _ = self.go.read(&mut [0; 32]);
        let _ = self.here.read(&mut [0; 32]);
    }
}

/// Puts a script in the place of the program, which moves to [`REAL`].
pub(crate) fn replace_program(machine: &Machine, script: &str) {
    machine.check(&["cp", "--no-clobber", PROGRAM, REAL]);
    let new = "/usr/bin/batond.new";
    machine.put(new, script);
    machine.check(&["chmod", "755", new]);
    // By renaming, as a package manager does: who runs keeps its own.
    machine.check(&["mv", new, PROGRAM]);
}

/// Puts the real program back.
pub(crate) fn restore_program(machine: &Machine) {
    machine.check(&["cp", REAL, "/usr/bin/batond.new"]);
    machine.check(&["mv", "/usr/bin/batond.new", PROGRAM]);
}
