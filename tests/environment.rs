//! What systemd leaves in the environment is taken out of it, and passed on to a successor.
//!
//! Without the test runner, which starts a thread for each test: the environment may be changed
//! only while the process has one thread. The program runs itself once for each case.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::env;
use std::ffi::OsString;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{self, Command, Output};
use std::thread;
use std::time::Duration;

use batond::control::notify::Notifier;

const CASE: &str = "ENVIRONMENT_TEST_CASE";
const NAMES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

fn main() {
    match env::var(CASE).as_deref() {
        Ok("watched") => watched(),
        Ok("not watched") => not_watched(),
        Ok("alone") => alone(),
        Ok("late") => late(),
        Ok(case) => panic!("no case {case}"),
        Err(_) => run_all(),
    }
}

fn run_all() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    let here = process::id().to_string();

    succeeds(run("watched", &path, "30000000", None));
    succeeds(run("not watched", &path, "30000000", Some(&here)));
    succeeds(run("not watched", &path, "0", None));
    succeeds(run("alone", Path::new(""), "", None));
    assert!(!run("late", &path, "30000000", None).status.success());

    let mut datagram = [0; 4096];
    let length = manager.recv(&mut datagram).unwrap();
    assert_eq!(&datagram[..length], b"READY=1\nSTATUS=up\n");
    manager.set_nonblocking(true).unwrap();
    manager.recv(&mut datagram).unwrap_err();
    println!("test environment ... ok");
}

fn run(case: &str, socket: &Path, watchdog: &str, watched: Option<&str>) -> Output {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .env(CASE, case)
        .env("NOTIFY_SOCKET", socket)
        .env("WATCHDOG_USEC", watchdog);
    match watched {
        Some(pid) => command.env("WATCHDOG_PID", pid),
        None => command.env_remove("WATCHDOG_PID"),
    };
    command.output().unwrap()
}

fn succeeds(output: Output) {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn watched() {
    let path = env::var_os("NOTIFY_SOCKET").unwrap();
    let notifier = Notifier::from_env();
    assert_eq!(notifier.watchdog_interval(), Some(Duration::from_secs(15)));
    assert_eq!(
        notifier.environment_for_successor(),
        [
            assignment("NOTIFY_SOCKET", path),
            assignment("WATCHDOG_USEC", "30000000")
        ],
    );
    assert!(NAMES.iter().all(|name| env::var_os(name).is_none()));
    notifier.ready("up");
}

/// No watchdog, or one that waits for another process.
fn not_watched() {
    let path = env::var_os("NOTIFY_SOCKET").unwrap();
    let notifier = Notifier::from_env();
    assert_eq!(notifier.watchdog_interval(), None);
    assert_eq!(
        notifier.environment_for_successor(),
        [assignment("NOTIFY_SOCKET", path)]
    );
    assert!(NAMES.iter().all(|name| env::var_os(name).is_none()));
}

/// Without a service manager every call does nothing.
fn alone() {
    let notifier = Notifier::from_env();
    assert_eq!(notifier.watchdog_interval(), None);
    assert_eq!(notifier.environment_for_successor(), []);
    notifier.ready("up");
    notifier.reloading();
    notifier.status("nobody hears this");
    notifier.watchdog();
    notifier.extend_timeout(Duration::from_secs(1));
    notifier.hand_over(4711, None).unwrap();
    notifier.stopping("down");
}

/// Refused, as another thread may be reading the environment.
fn late() {
    thread::scope(|scope| {
        let (finish, finished) = std::sync::mpsc::channel::<()>();
        scope.spawn(move || finished.recv());
        let notifier = Notifier::from_env();
        drop((notifier, finish));
    });
}

fn assignment(name: &str, value: impl Into<OsString>) -> (OsString, OsString) {
    (name.into(), value.into())
}
