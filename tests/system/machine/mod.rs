//! A complete Debian system with its own systemd as PID 1, for the length of a test.
//!
//! Each machine is a systemd-nspawn container that stands on a shared, cached root file system
//! and keeps what it writes in memory. It has PIDs, network, host name and control groups of its
//! own, so that machines may run side by side. Everything belongs to namespaces that die with the
//! test process, however that ends; only an empty control group can stay behind, and the next
//! machine removes it.

mod base;
mod cgroup;
mod launch;
mod process;
mod requirement;
mod sockets;
mod wait;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use cgroup::Cgroup;
use launch::{Launched, end};
pub(crate) use process::{Process, parent};
pub(crate) use wait::wait;

/// Seconds that a command within a machine may take.
const COMMAND_SECONDS: &str = "90";

/// What a machine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// Debian 12 with systemd 252, the oldest that batond supports.
    Bookworm,
    /// Debian 13 with systemd 257.
    Trixie,
}

impl Release {
    /// The name that the Debian archive uses.
    pub(crate) fn suite(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }
}

/// Prints a line that is seen also when the test passes, when the test harness shows nothing of
/// what `println!` prints.
pub(crate) fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// A booted system. Ends when dropped, at the latest with the thread that booted it.
#[derive(Debug)]
pub(crate) struct Machine {
    supervisor: Child,
    leader: Process,
    cgroup: Cgroup,
}

impl Machine {
    /// Boots a system and waits until it is up (`systemctl is-system-running`: `running`).
    ///
    /// None where machines cannot be booted, with the reason printed; with
    /// `BATOND_SYSTEM_TESTS=required` in the environment this is a failure. The first call for a
    /// release builds its root file system.
    ///
    /// # Panics
    ///
    /// If the system does not come up, with the last words of its console.
    pub(crate) fn boot(release: Release) -> Option<Self> {
        let cgroup = requirement::met()?;
        let Launched { supervisor, leader } = launch::launch(&base::base(release), &cgroup);
        let machine = Self {
            supervisor,
            leader,
            cgroup,
        };
        let state = machine.run(&["systemctl", "is-system-running", "--wait"]);
        let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
        assert_eq!(
            state,
            "running",
            "{}",
            machine.check(&["systemctl", "--failed"])
        );
        Some(machine)
    }

    /// The host name within, which is also that of the control group without.
    pub(crate) fn name(&self) -> &str {
        self.cgroup.name()
    }

    /// The process that ends when all others of the machine have ended.
    pub(crate) fn last(&self) -> u32 {
        let parent = process::parent(self.leader.pid());
        parent.expect("systemd-nspawn is the parent of PID 1")
    }

    /// Runs a command in the machine, as root, to its end. At most 90 s: then it is killed, and
    /// the exit code is 124.
    pub(crate) fn run(&self, command: &[&str]) -> Output {
        self.command(command).output().expect("run nsenter")
    }

    /// Runs a command that must succeed, for what it prints, without the last line end.
    ///
    /// # Panics
    ///
    /// If it fails, with what it printed.
    pub(crate) fn check(&self, command: &[&str]) -> String {
        let output = self.run(command);
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{command:?}: {}\n{said}{complained}",
            output.status
        );
        said.trim_end_matches('\n').to_owned()
    }

    /// Starts a command, as [`run`](Self::run) does. Call `wait_with_output` for its end; dropped,
    /// it goes on until the end of the machine.
    pub(crate) fn background(&self, command: &[&str]) -> Child {
        self.command(command)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start nsenter")
    }

    fn command(&self, command: &[&str]) -> Command {
        let mut entered = Command::new("timeout");
        entered
            .args(["--kill-after=5", COMMAND_SECONDS])
            .args([
                "nsenter",
                "--all",
                "--target",
                &self.leader.pid().to_string(),
            ])
            .args(command)
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("LANG", "C.UTF-8")
            .env("SYSTEMD_PAGER", "")
            .env("SYSTEMD_COLORS", "0")
            .stdin(Stdio::null());
        entered
    }

    /// Runs a program of the host to its end, on the machine's processes and network. It sees the
    /// host's files, and the machine's in [`root`](Self::root).
    pub(crate) fn run_from_host(&self, command: &[&str]) -> Output {
        Command::new("timeout")
            .args(["--kill-after=5", COMMAND_SECONDS])
            .args(["nsenter", "--pid", "--net", "--ipc", "--uts", "--cgroup"])
            .args(["--target", &self.leader.pid().to_string()])
            .args(command)
            .env("LANG", "C.UTF-8")
            .stdin(Stdio::null())
            .output()
            .expect("run nsenter")
    }

    /// What the host calls the machine's root directory.
    pub(crate) fn root(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.leader.pid()))
    }

    /// Copies a file of the host into the machine; folders on the way are made. `mode` are its
    /// permissions.
    pub(crate) fn install_file(&self, host: impl AsRef<Path>, inside: &str, mode: u32) {
        let host = host.as_ref();
        let inside = self.path(inside);
        fs::copy(host, &inside)
            .unwrap_or_else(|error| panic!("copy {} into a machine: {error}", host.display()));
        fs::set_permissions(&inside, fs::Permissions::from_mode(mode)).expect("set permissions");
    }

    /// Writes a file, readable by all; folders on the way are made.
    pub(crate) fn put(&self, inside: &str, contents: &str) {
        fs::write(self.path(inside), contents)
            .unwrap_or_else(|error| panic!("write {inside} in a machine: {error}"));
    }

    /// What the host calls a path of the machine. Absolute symbolic links on the way would lead to
    /// the host's files: Debian's own (`/bin`, `/lib`) are relative.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        let path = self.root().join(inside.trim_start_matches('/'));
        let folder = path.parent().expect("a path within the machine");
        fs::create_dir_all(folder).expect("make a folder in a machine");
        path
    }

    /// All that the journal has of a unit and of systemd about it, oldest first, each entry with
    /// its fields (systemd.journal-fields(7)).
    pub(crate) fn journal(&self, unit: &str) -> Vec<serde_json::Value> {
        self.check(&["journalctl", "--sync"]);
        self.check(&["journalctl", "--unit", unit, "--output=json", "--all"])
            .lines()
            .map(|line| serde_json::from_str(line).expect("journalctl writes JSON"))
            .collect()
    }

    /// A property of a unit, as `systemctl show` prints it.
    pub(crate) fn property(&self, unit: &str, name: &str) -> String {
        self.check(&["systemctl", "show", "--value", "--property", name, unit])
    }

    /// The main process of a unit.
    ///
    /// # Panics
    ///
    /// If the unit has none.
    pub(crate) fn main_process(&self, unit: &str) -> Process {
        let pid = self.property(unit, "MainPID");
        let process = pid.parse().ok().and_then(|pid| self.process(pid));
        process.unwrap_or_else(|| panic!("{unit} has no process {pid}"))
    }

    /// All processes of a unit that runs, in no order.
    pub(crate) fn processes(&self, unit: &str) -> Vec<Process> {
        let group = self.property(unit, "ControlGroup");
        let pids = self.check(&["cat", &format!("/sys/fs/cgroup{group}/cgroup.procs")]);
        let pids = pids.lines().filter_map(|pid| pid.parse().ok());
        pids.filter_map(|pid| self.process(pid)).collect()
    }

    /// The process that has this PID within the machine; none if it is gone.
    pub(crate) fn process(&self, pid: u32) -> Option<Process> {
        let all = self
            .cgroup
            .processes()
            .expect("list the machine's processes");
        let mut all = all.into_iter().filter_map(process::pids);
        let [host, ..] = all.find(|[.., inner]| *inner == pid)?;
        Process::open(host).ok()
    }

    /// The address of the machine's system bus, for a program of the host.
    pub(crate) fn bus(&self) -> String {
        let root = format!("/proc/{}/root", self.leader.pid());
        format!("unix:path={root}/run/dbus/system_bus_socket")
    }

    /// The network of the machine, into which a thread may move (setns(2)).
    pub(crate) fn network(&self) -> io::Result<File> {
        File::open(format!("/proc/{}/ns/net", self.leader.pid()))
    }

    /// Connects to a port of the machine's own 127.0.0.1.
    pub(crate) fn connect(&self, port: u16) -> io::Result<TcpStream> {
        self.within_network(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)))?
    }

    /// Runs something on a thread that is in the machine's network. Sockets that are made there
    /// stay in it, and so do threads that are started there.
    ///
    /// Fails if the machine is gone.
    pub(crate) fn within_network<T: Send>(
        &self,
        visit: impl FnOnce() -> T + Send,
    ) -> io::Result<T> {
        let network = self.network()?;
        // Only a thread that is not needed any more may leave the host's.
        thread::scope(|scope| {
            let visitor = scope.spawn(|| {
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(network.as_fd(), kind)?;
                Ok(visit())
            });
            visitor
                .join()
                .expect("the thread in the machine's network does not panic")
        })
    }

    /// The remote ports of the connections to a port that a process has accepted, as opposed to
    /// those that wait in the accept queue.
    pub(crate) fn accepted(&self, port: u16) -> HashSet<u16> {
        let network = PathBuf::from(format!("/proc/{}/net", self.leader.pid()));
        sockets::accepted(&network, port).expect("list the machine's connections")
    }
}

impl Drop for Machine {
    /// Without an orderly shutdown: nothing in the machine is worth keeping.
    fn drop(&mut self) {
        if thread::panicking() {
            let journal = self.run(&["journalctl", "--no-hostname", "--lines=60"]);
            println!("{}", String::from_utf8_lossy(&journal.stdout));
        }
        end(&mut self.supervisor, &self.cgroup);
    }
}
