//! A process that may or may not be a child of the test: after a handoff the daemon is not.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::PATIENCE;

/// A process, held so that its pid cannot come to mean another one (pidfd_open(2)).
pub(crate) struct Process {
    pid: Pid,
    handle: OwnedFd,
}

impl Process {
    /// The process with this pid, if it still exists.
    pub(crate) fn open(pid: u32) -> Option<Self> {
        let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
        let handle = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        Some(Self { pid, handle })
    }

    /// Its pid.
    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_pid().unsigned_abs()
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process is gone.
    pub(crate) fn signal(&self, signal: Signal) {
        pidfd_send_signal(&self.handle, signal)
            .unwrap_or_else(|error| panic!("send {signal:?} to process {}: {error}", self.pid()));
    }

    /// Kills it, if it is still there.
    pub(crate) fn kill(&self) {
        // The only error is that it is gone already, which is what is wanted.
        let _ = pidfd_send_signal(&self.handle, Signal::KILL);
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// After [`PATIENCE`].
    pub(crate) fn wait_gone(&self) {
        let patience = Timespec {
            tv_sec: PATIENCE.as_secs().cast_signed(),
            tv_nsec: 0,
        };
        let mut watched = [PollFd::new(&self.handle, PollFlags::IN)];
        let ready = rustix::io::retry_on_intr(|| poll(&mut watched, Some(&patience)))
            .expect("wait for a process");
        assert!(
            ready > 0,
            "process {} did not end within {PATIENCE:?}",
            self.pid()
        );
    }
}

/// Becomes readable when the process ends.
impl AsFd for Process {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}
