//! The daemon itself, started as systemd starts it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;

use rustix::process::Signal;
use tempfile::TempDir;

use super::notify::{Notifications, NotifySocket};
use super::output::Output;
use super::process::Process;
use super::sockets::Sockets;

/// Variables by which the environment of the tests could reach into the daemon.
const FOREIGN: [&str; 9] = [
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "MAINPID",
    "RUST_LOG",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

/// How the daemon is to be started.
pub(crate) struct Launch<'a> {
    config: &'a str,
    program: &'a OsStr,
    sockets: Option<&'a Sockets>,
    variables: Vec<(OsString, OsString)>,
}

impl<'a> Launch<'a> {
    /// With this configuration file.
    pub(crate) fn new(config: &'a str) -> Self {
        Self {
            config,
            program: OsStr::new(env!("CARGO_BIN_EXE_batond")),
            sockets: None,
            variables: Vec::new(),
        }
    }

    /// By this path.
    pub(crate) fn program(mut self, program: &'a Path) -> Self {
        self.program = program.as_os_str();
        self
    }

    /// Passes listening sockets to it.
    pub(crate) fn sockets(mut self, sockets: &'a Sockets) -> Self {
        self.sockets = Some(sockets);
        self
    }

    /// Sets an environment variable for it.
    pub(crate) fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables.push((name.into(), value.as_ref().into()));
        self
    }

    /// Starts it, and waits until it has said `READY=1`.
    ///
    /// # Panics
    /// When it ends instead; what it wrote is printed.
    pub(crate) fn start(self) -> Batond {
        let batond = self.spawn();
        batond.notifications.wait_for("READY=1", |heard| {
            heard
                .all
                .iter()
                .any(|one| one.value("READY") == Some("1"))
                .then_some(())
        });
        batond
    }

    /// Starts it, and waits for nothing.
    pub(crate) fn spawn(self) -> Batond {
        let directory = tempfile::tempdir().expect("make a directory");
        let config = directory.path().join("batond.toml");
        fs::write(&config, self.config).expect("write the configuration");
        let notify = NotifySocket::bind(directory.path());
        let (output, writer) = Output::pipe();

        let mut command = match self.sockets {
            Some(sockets) => sockets.command(self.program),
            None => Command::new(self.program),
        };
        isolate(&mut command, directory.path(), self.sockets.is_some());
        command
            .args([OsStr::new("--config"), config.as_os_str()])
            .env("NOTIFY_SOCKET", notify.path())
            .envs(self.variables)
            .stdin(Stdio::null())
            .stdout(writer.try_clone().expect("copy the pipe's end"))
            .stderr(writer);
        let child = command.spawn().expect("start batond");
        // The command holds ends of the pipe and copies of the sockets: let go of them.
        drop(command);
        let main = Process::open(child.id()).expect("a child that nobody waited for exists");
        Batond {
            notifications: notify.follow(main),
            directory,
            child,
            output,
        }
    }
}

/// Takes away what belongs to the surroundings of the tests: a service manager's variables, a
/// configuration of batond, the machine's own bus.
fn isolate(command: &mut Command, directory: &Path, sockets: bool) {
    let ours = |name: &str| sockets && name.starts_with("LISTEN_FD");
    for name in FOREIGN.iter().filter(|name| !ours(name)) {
        command.env_remove(name);
    }
    for (name, _) in env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"BATOND_") {
            command.env_remove(name);
        }
    }
    let nowhere = format!("unix:path={}", directory.join("no-bus").display());
    command.env("DBUS_SYSTEM_BUS_ADDRESS", nowhere);
}

/// A daemon that has been started. It is killed, with its successors, when this is dropped; if
/// the test failed, what it wrote and notified is printed.
pub(crate) struct Batond {
    /// What it told the service manager.
    pub(crate) notifications: Notifications,
    directory: TempDir,
    child: Child,
    output: Output,
}

impl Batond {
    /// The configuration file, to be changed before a reload.
    pub(crate) fn config(&self) -> PathBuf {
        self.directory.path().join("batond.toml")
    }

    /// The main process: the one started, or the latest to which it handed over.
    pub(crate) fn main(&self) -> Arc<Process> {
        let mains = self.notifications.mains();
        Arc::clone(mains.last().expect("the first process is always there"))
    }

    /// Asks the main process to hand over to a successor, and waits until the successor has taken
    /// its place. Returns the old process, which still drains.
    ///
    /// # Panics
    /// When no successor is announced.
    pub(crate) fn hand_over(&self) -> Arc<Process> {
        let old = self.main();
        old.signal(Signal::USR2);
        self.notifications
            .wait_for("MAINPID of a successor", |heard| {
                heard
                    .mains
                    .last()
                    .filter(|main| main.pid() != old.pid())
                    .map(|_| ())
            });
        old
    }

    /// Waits for the end of the process that was started, and returns its exit status.
    ///
    /// # Panics
    /// After [`super::PATIENCE`].
    pub(crate) fn exit_status(&mut self) -> ExitStatus {
        self.notifications.mains()[0].wait_gone();
        self.child.wait().expect("the exit status of a child")
    }

    /// What it and its successors have written so far.
    pub(crate) fn log(&self) -> String {
        self.output.text()
    }

    /// Waits until it or its successors have written this so many times.
    ///
    /// # Panics
    /// When they end first, or after [`super::PATIENCE`].
    pub(crate) fn wait_for_log(&self, what: &str, times: usize) {
        self.output.wait_for(what, times);
    }

    /// All that it wrote, once it and its successors are gone.
    pub(crate) fn whole_log(&self) -> String {
        self.output.finished()
    }
}

impl Drop for Batond {
    fn drop(&mut self) {
        for process in self.notifications.mains() {
            process.kill();
        }
        drop(self.child.wait());
        if thread::panicking() {
            eprintln!("--- batond wrote:\n{}", self.output.text());
            eprintln!("--- and notified:");
            for notification in self.notifications.all() {
                eprintln!("{} {:?}", notification.sender, notification.fields);
            }
        }
    }
}
