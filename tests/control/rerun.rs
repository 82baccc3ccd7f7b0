//! Parts of a test that need a process of their own: the test's binary runs once more, with that
//! test alone, on the main thread and in a role.

use std::env;
use std::io::{self, Write};
use std::process::{Command, Output};

const ROLE: &str = "CONTROL_TEST_ROLE";

/// The role of this process; none: it is the one that the test runner started.
pub(crate) fn role() -> Option<String> {
    env::var(ROLE).ok()
}

/// The test `name` (with its module) in a role, without what a service manager may have left in
/// the environment.
pub(crate) fn command(name: &str, role: &str) -> Command {
    let mut command = Command::new(env::current_exe().expect("the test's own path"));
    append(&mut command, name, role);
    command
}

/// The same run by another program, which is given the test's command line as its last arguments.
pub(crate) fn command_through(program: &[&str], name: &str, role: &str) -> Command {
    let mut command = Command::new(program[0]);
    command
        .args(&program[1..])
        .arg(env::current_exe().expect("the test's own path"));
    append(&mut command, name, role);
    command
}

fn append(command: &mut Command, name: &str, role: &str) {
    command
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(ROLE, role);
    for variable in [
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
        "JOURNAL_STREAM",
        "NO_COLOR",
    ] {
        command.env_remove(variable);
    }
}

/// Runs to the end, which must be a good one.
pub(crate) fn succeed(mut command: Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("run {command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output
}

/// Says why a test is skipped, past the test runner, which hides the output of passing tests.
pub(crate) fn skip(test: &str, reason: &str) {
    let _ = writeln!(io::stderr(), "{test}: SKIPPED: {reason}");
}
