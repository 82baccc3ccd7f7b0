//! Starts systemd-nspawn and waits for the system within, which reports through the supervisor's
//! notification socket (systemd-nspawn(1), `--notify-ready=`).

use std::fs::File;
use std::io::{Read, Seek};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::fs::{MemfdFlags, memfd_create};

use super::cgroup::Cgroup;
use super::process::{self, Process};
use super::wait::wait;

/// How long a boot may take; one second is usual on an idle machine.
const BOOT: Duration = Duration::from_secs(120);

/// Joins the control groups and hides what systemd-nspawn would leave in `/run` of the host.
const ENTER: &str = r#"
for door in $1; do echo $$ >"$door"; done
shift
mkdir -p /run/systemd/nspawn
mount -t tmpfs tmpfs /run/systemd/nspawn
exec systemd-nspawn "$@"
"#;

/// A system that is up.
pub(super) struct Launched {
    /// Ends with systemd-nspawn, which ends with PID 1 of the system.
    pub(super) supervisor: Child,
    /// PID 1 of the system.
    pub(super) leader: Process,
}

/// Boots the root file system at `base`, which stays as it is.
///
/// # Panics
///
/// If systemd-nspawn ends, or the system is not up within two minutes; the message ends with what
/// came over the console.
pub(super) fn launch(base: &Path, cgroup: &Cgroup) -> Launched {
    let name = cgroup.name().to_owned();
    let address = SocketAddr::from_abstract_name(&name).expect("a name for the socket");
    let socket = UnixDatagram::bind_addr(&address).expect("bind the notification socket");
    socket
        .set_nonblocking(true)
        .expect("make the notification socket non-blocking");
    let console = memfd_create("console", MemfdFlags::CLOEXEC).expect("make a file in memory");
    let console = File::from(console);
    let mut supervisor = nspawn(base, cgroup, &name, &console);
    match wait_up(&socket, &supervisor, cgroup) {
        Ok(leader) => Launched { supervisor, leader },
        Err(reason) => {
            end(&mut supervisor, cgroup);
            panic!(
                "{} does not boot: {reason}\n{}",
                base.display(),
                text(console)
            );
        }
    }
}

/// Kills a machine and waits for the end of all its processes.
pub(super) fn end(supervisor: &mut Child, cgroup: &Cgroup) {
    let killed = supervisor.kill().and_then(|()| supervisor.wait());
    if let Err(error) = killed.and_then(|_| cgroup.wait_empty()) {
        println!("{} does not end: {error}", cgroup.name());
    }
}

fn nspawn(base: &Path, cgroup: &Cgroup, name: &str, console: &File) -> Child {
    let console = || Stdio::from(console.try_clone().expect("share the console's file"));
    // The signal comes when the calling *thread* ends (PR_SET_PDEATHSIG(2const)), and takes only
    // the first process. The rest is in a PID namespace, of which unshare kills PID 1 when it
    // ends itself: the kernel then kills all others (pid_namespaces(7)).
    Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "unshare", "--mount"])
        .args(["--propagation=private", "--pid", "--fork", "--kill-child"])
        .arg("--mount-proc")
        .args(["sh", "-euc", ENTER, "sh", &cgroup.doors()])
        .args(["--boot", "--notify-ready=yes", "--console=pipe"])
        .arg("--directory")
        .arg(base)
        // What is written goes to memory, and the tree is shared, so not to be locked either.
        .arg("--volatile=overlay")
        .env("SYSTEMD_NSPAWN_LOCK", "0")
        // The host's service manager, if there is one, need not know.
        .args([
            "--register=no",
            "--keep-unit",
            "--settings=no",
            "--link-journal=no",
        ])
        .args([
            "--machine",
            name,
            "--private-network",
            "--resolv-conf=off",
            "--timezone=off",
        ])
        .arg("--suppress-sync=yes")
        // As on any Debian host of the releases in question, whatever this one has.
        .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
        .env("NOTIFY_SOCKET", format!("@{name}"))
        .stdin(Stdio::null())
        .stdout(console())
        .stderr(console())
        .spawn()
        .expect("run setpriv")
}

/// Waits for READY=1 of the system within; PID 1 comes in an earlier message.
fn wait_up(socket: &UnixDatagram, supervisor: &Child, cgroup: &Cgroup) -> Result<Process, String> {
    let ended = Process::open(supervisor.id()).map_err(|error| error.to_string())?;
    let deadline = Instant::now() + BOOT;
    let mut leader = None;
    let mut message = [0; 4096];
    loop {
        let mut wanted = [
            PollFd::new(socket, PollFlags::IN),
            PollFd::from_borrowed_fd(ended.as_fd(), PollFlags::IN),
        ];
        match wait(&mut wanted, deadline) {
            Ok(true) if wanted[0].revents().is_empty() => return Err("nspawn has ended".to_owned()),
            Ok(true) => {}
            Ok(false) => return Err(format!("not ready after {BOOT:?}")),
            Err(error) => return Err(error.to_string()),
        }
        let Ok(length) = socket.recv(&mut message) else {
            continue;
        };
        let message = String::from_utf8_lossy(&message[..length]);
        for line in message.lines() {
            if let Some(pid) = line.strip_prefix("X_NSPAWN_LEADER_PID=") {
                leader = find(pid, cgroup);
            } else if line == "READY=1" {
                return leader.ok_or_else(|| "PID 1 is not to be found".to_owned());
            }
        }
    }
}

/// The process that systemd-nspawn, being itself in a PID namespace, knows by a PID.
fn find(pid: &str, cgroup: &Cgroup) -> Option<Process> {
    let pid: u32 = pid.parse().ok()?;
    let all = cgroup.processes().ok()?;
    let mut all = all.into_iter().filter_map(process::pids);
    let [host, ..] = all.find(|[_, guarded, _]| *guarded == pid)?;
    Process::open(host).ok()
}

fn text(mut console: File) -> String {
    let mut text = String::new();
    let read = console
        .rewind()
        .and_then(|()| console.read_to_string(&mut text));
    match read {
        Ok(_) => text,
        Err(error) => format!("(console: {error})"),
    }
}
