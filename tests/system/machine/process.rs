//! A process of a machine, held by a descriptor, so that its PID cannot come to mean another one.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::process::{
    Pid, PidfdFlags, PidfdGetfdFlags, Signal, pidfd_getfd, pidfd_open, pidfd_send_signal,
};

use super::wait::wait;

/// How long it may take until every thread has noticed a stop.
const STOP: Duration = Duration::from_secs(30);

/// See pidfd_open(2).
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
    handle: OwnedFd,
}

impl Process {
    /// Takes hold of a process by the host's PID. Fails if there is none.
    pub(crate) fn open(pid: u32) -> io::Result<Self> {
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let number = number.ok_or(io::ErrorKind::InvalidInput)?;
        let handle = pidfd_open(number, PidfdFlags::empty())?;
        Ok(Self { pid, handle })
    }

    /// The host's PID.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal; nothing happens if the process is gone.
    pub(crate) fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.handle, signal);
    }

    /// Waits until the process has ended. False if it has not by the end of `deadline`.
    pub(crate) fn wait_gone(&self, deadline: Duration) -> bool {
        let mut end = [PollFd::new(&self.handle, PollFlags::IN)];
        wait(&mut end, Instant::now() + deadline).expect("wait for the end of a process")
    }

    /// Stops the process, and returns when none of its threads runs any more.
    ///
    /// # Panics
    ///
    /// If it is gone, or still runs after 30 s.
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
        let deadline = Instant::now() + STOP;
        // Nobody but the parent is told of a stop, so this has to look.
        while !self.is_stopped().expect("a process to be stopped") {
            assert!(Instant::now() < deadline, "process {} goes on", self.pid);
            thread::yield_now();
        }
    }

    /// All threads are in the state T (proc_pid_stat(5)).
    fn is_stopped(&self) -> io::Result<bool> {
        for thread in fs::read_dir(format!("/proc/{}/task", self.pid))? {
            let stat = fs::read_to_string(thread?.path().join("stat"))?;
            // The name before it may contain anything.
            let state = stat.rsplit_once(") ").map(|(_, rest)| rest.as_bytes()[0]);
            if state != Some(b'T') {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Copies of those descriptors that it has open on something of this kind, as the links in
    /// proc_pid_fd(5) name it: `socket`, `pipe`.
    pub(crate) fn descriptors(&self, kind: &str) -> Vec<OwnedFd> {
        let folder = fs::read_dir(format!("/proc/{}/fd", self.pid));
        let links = folder.into_iter().flatten().flatten();
        let of_kind = links.filter(|link| {
            let target = fs::read_link(link.path()).unwrap_or_default();
            target.to_string_lossy().starts_with(&format!("{kind}:"))
        });
        let numbers = of_kind.filter_map(|link| link.file_name().to_str()?.parse().ok());
        numbers
            .filter_map(|number| pidfd_getfd(&self.handle, number, PidfdGetfdFlags::empty()).ok())
            .collect()
    }

    /// Whether it holds a pidfd of the other one (proc_pid_fdinfo(5)).
    pub(crate) fn watches(&self, other: &Self) -> bool {
        let folder = fs::read_dir(format!("/proc/{}/fdinfo", self.pid));
        let infos = folder.into_iter().flatten().flatten();
        let wanted = other.pid.to_string();
        infos
            .filter_map(|info| fs::read_to_string(info.path()).ok())
            .filter_map(|info| {
                Some(
                    info.lines()
                        .find_map(|line| line.strip_prefix("Pid:"))?
                        .trim()
                        .to_owned(),
                )
            })
            .any(|pid| pid == wanted)
    }

    /// Becomes readable when the process ends.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// Its PID as the machine knows it; none if it is gone.
    pub(crate) fn inner_pid(&self) -> Option<u32> {
        pids(self.pid).map(|[.., inner]| inner)
    }

    /// The PID of its parent as the machine knows it: 1 for what systemd watches over.
    pub(crate) fn parent(&self) -> Option<u32> {
        pids(parent(self.pid)?).map(|[.., inner]| inner)
    }
}

/// The PIDs that a process of a machine has, if it is there: the host's, that in the namespace
/// that holds the machine together (see `launch`), and the machine's own.
pub(super) fn pids(host: u32) -> Option<[u32; 3]> {
    let pids = status(host, "NSpid")?;
    let mut pids = pids.split_whitespace().map_while(|pid| pid.parse().ok());
    Some([pids.next()?, pids.next()?, pids.next()?])
}

/// The host's PID of the parent of a process, if that is there.
pub(crate) fn parent(host: u32) -> Option<u32> {
    status(host, "PPid")?.parse().ok()
}

/// A field of proc_pid_status(5).
fn status(pid: u32, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let values = status.lines().filter_map(|line| line.split_once(':'));
    let value = values.into_iter().find(|(name, _)| *name == field)?.1;
    Some(value.trim().to_owned())
}
