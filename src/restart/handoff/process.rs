//! A process that is watched and can be ended without mistaking it for another one.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

use super::channel::watched;

/// How long a process may take to end after SIGKILL; only one that hangs in the kernel takes
/// longer than some milliseconds, and that one cannot accept connections either.
const KILLED: Duration = Duration::from_secs(5);

/// A process, known by its pidfd.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    pidfd: AsyncFd<OwnedFd>,
}

impl Process {
    /// The process behind a pidfd.
    pub(super) fn new(pid: Pid, pidfd: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            pid,
            pidfd: watched(pidfd, Interest::READABLE)?,
        })
    }

    /// A child that has not been waited for, so that its id cannot have been reused.
    pub(super) fn of_child(child: &std::process::Child) -> io::Result<Self> {
        let pid = Pid::from_child(child);
        Self::new(pid, pidfd_open(pid, PidfdFlags::empty())?)
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.get_ref().as_fd()
    }

    /// Returns when the process has ended.
    pub(super) async fn ended(&self) {
        // The only error is that the runtime is shutting down.
        let _ = self.pidfd.readable().await;
    }

    /// Whether it has ended by now.
    pub(super) fn has_ended(&self) -> bool {
        let mut end = [PollFd::new(&self.pidfd, PollFlags::IN)];
        poll(&mut end, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    /// Sends SIGKILL. A process that has ended already is fine.
    pub(super) fn kill(&self) {
        match rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => {
                let pid = self.pid.as_raw_nonzero();
                tracing::error!("cannot kill process {pid}: {error}");
            }
        }
    }

    /// Gives the process `grace` to end by itself, then kills it, and returns when it is gone.
    pub(super) async fn end(&self, grace: Duration) {
        if timeout(grace, self.ended()).await.is_err() {
            self.kill();
            if timeout(KILLED, self.ended()).await.is_err() {
                let pid = self.pid.as_raw_nonzero();
                tracing::error!("process {pid} does not end although it was killed");
                return;
            }
        }
        self.reap();
    }

    /// Leaves no zombie where orphans fall to this process: as PID 1 of a container, or as a
    /// subreaper. Elsewhere the process is nobody's child here, and the call does nothing.
    pub(super) fn reap(&self) {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let _ = rustix::process::waitid(WaitId::PidFd(self.pidfd()), options);
    }
}
