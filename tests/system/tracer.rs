//! Holds a process at a call to the kernel where nothing else can.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::machine::Process;

/// Much longer than a test looks at a moment.
const DELAY: &str = "--inject=execve:delay_enter=60s";

/// Follows a process of a machine and its children until it is dropped, and delays each execve(2)
/// of one program.
pub(crate) struct Tracer(Child);

impl Tracer {
    /// Begins to follow; the program is a path as the process names it.
    pub(crate) fn delay_exec(process: &Process, program: &str) -> Self {
        let strace = Command::new("strace")
            .args(["--follow-forks", "--trace=execve", DELAY])
            .arg(format!("--trace-path={program}"))
            .arg(format!("--attach={}", process.pid()))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("run strace (tests/system/install)");
        let mut tracer = Self(strace);
        assert_eq!(tracer.attached(), process.pid());
        tracer
    }

    /// The host's PID of the next process that is followed.
    pub(crate) fn attached(&mut self) -> u32 {
        // Byte by byte, so that nothing is lost between two calls.
        let said = BufReader::with_capacity(1, self.0.stderr.as_mut().expect("a pipe"));
        let pid = said.lines().map_while(Result::ok).find_map(|line| {
            let rest = line.strip_prefix("strace: Process ")?;
            let (pid, _) = rest.split_once(" attached")?;
            pid.parse().ok()
        });
        pid.expect("strace follows what comes")
    }
}

impl Drop for Tracer {
    /// Whoever was held goes on.
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
