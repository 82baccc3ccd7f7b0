//! What the service manager is told of the daemon's life: the datagrams of sd_notify(3).

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use sd_notify::NotifyState;
use tracing::warn;

const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";
const WATCHDOG_USEC: &str = "WATCHDOG_USEC";

/// How long a datagram that must arrive waits while the service manager's queue is full.
const PATIENCE: Timespec = Timespec {
    tv_sec: 2,
    tv_nsec: 0,
};

/// The way to the service manager. Without one every call does nothing.
///
/// The socket never blocks. A datagram that is repeated anyway (status, watchdog, more time) is
/// dropped when the service manager's queue is full; one that announces a change of state waits
/// up to 2 s for a place. The first failure is logged, later ones are not.
#[derive(Debug)]
pub struct Notifier {
    manager: Option<Manager>,
    watchdog: Option<Duration>,
    status: Mutex<String>,
    failed: AtomicBool,
    /// Another process speaks to the service manager now.
    silent: AtomicBool,
}

/// Where the service manager listens, and the socket that speaks to it: kept open, so that the
/// watchdog is fed also when descriptors have run out.
#[derive(Debug)]
struct Manager {
    path: OsString,
    address: SocketAddr,
    socket: UnixDatagram,
}

#[derive(Clone, Copy, PartialEq)]
enum Worth {
    /// Comes again soon.
    Repeated,
    /// Says something that will not be said again.
    Unique,
}

impl Notifier {
    /// Takes `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` from the environment, so that
    /// programs that the daemon runs do not inherit them.
    ///
    /// # Panics
    ///
    /// If the process has more than one thread: call it in `main` before the runtime starts, and
    /// before [`journal::init`](super::journal::init).
    pub fn from_env() -> Self {
        let (path, watchdog) = take_env();
        Self::new(path).with_watchdog(watchdog.unwrap_or_default())
    }

    /// Speaks to the socket at a path; `@` at its start stands for the abstract namespace.
    pub fn to(path: impl Into<OsString>) -> Self {
        Self::new(Some(path.into()))
    }

    /// With a service manager that waits at most `timeout` between two signs of life, as with
    /// `WatchdogSec=`; zero: it does not.
    pub fn with_watchdog(self, timeout: Duration) -> Self {
        Self {
            watchdog: Some(timeout).filter(|timeout| !timeout.is_zero()),
            ..self
        }
    }

    fn new(path: Option<OsString>) -> Self {
        let manager = path.and_then(|path| match Manager::new(path) {
            Ok(manager) => Some(manager),
            Err(error) => {
                warn!("cannot use NOTIFY_SOCKET, the service manager will hear nothing: {error}");
                None
            }
        });
        Self {
            manager,
            watchdog: None,
            status: Mutex::default(),
            failed: AtomicBool::new(false),
            silent: AtomicBool::new(false),
        }
    }

    /// Start-up or a reload is complete: `READY=1` and a `STATUS=`.
    pub fn ready(&self, status: &str) {
        let status = self.remember(status);
        self.tell(
            Worth::Unique,
            &[NotifyState::Ready, NotifyState::Status(&status)],
        );
    }

    /// One line for `systemctl status`. Sent only if it differs from the last one.
    pub fn status(&self, status: &str) {
        let status = one_line(status);
        let known = *self.status.lock().unwrap_or_else(PoisonError::into_inner) == status;
        if !known && self.tell(Worth::Repeated, &[NotifyState::Status(&status)]) {
            self.remember(&status);
        }
    }

    /// The daemon is on its way out: `STOPPING=1` and a `STATUS=`. Cannot be taken back.
    pub fn stopping(&self, status: &str) {
        let status = self.remember(status);
        self.tell(
            Worth::Unique,
            &[NotifyState::Stopping, NotifyState::Status(&status)],
        );
    }

    /// A reload begins: `RELOADING=1` with the time, in one datagram as `Type=notify-reload`
    /// demands (systemd.service(5)). [`Notifier::ready`] must follow, also after a failure.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => {
                self.tell(Worth::Unique, &[NotifyState::Reloading, now]);
            }
            Err(error) => self.complain(&error),
        }
    }

    /// Asks for `time` from now on before a time-out of the unit strikes
    /// (`EXTEND_TIMEOUT_USEC=`).
    pub fn extend_timeout(&self, time: Duration) {
        let extend = format!("EXTEND_TIMEOUT_USEC={}", time.as_micros());
        self.tell(Worth::Repeated, &[NotifyState::Custom(&extend)]);
    }

    /// A sign of life: `WATCHDOG=1`.
    pub fn watchdog(&self) {
        self.tell(Worth::Repeated, &[NotifyState::Watchdog]);
    }

    /// There is a service manager to speak to.
    pub fn is_heard(&self) -> bool {
        self.manager.is_some()
    }

    /// Puts a descriptor into the unit's store under a name: `FDSTORE=1`. A descriptor of the
    /// same open file that is there already is not stored twice. Too many, or a unit without a
    /// store, and it is dropped without a word.
    pub fn store(&self, name: &str, descriptor: BorrowedFd<'_>) {
        let Some(manager) = &self.manager else { return };
        if let Err(error) = manager.send_descriptor(name, descriptor) {
            self.complain(&error);
        }
    }

    /// Removes every descriptor of that name from the unit's store: `FDSTOREREMOVE=1`.
    pub fn unstore(&self, name: &str) {
        self.tell(
            Worth::Unique,
            &[NotifyState::FdStoreRemove, NotifyState::FdName(name)],
        );
    }

    /// How often [`Notifier::watchdog`] is to be called: half of `WATCHDOG_USEC`, as
    /// sd_watchdog_enabled(3) advises. None: nobody waits for it.
    pub fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog.map(|timeout| timeout / 2)
    }

    /// Makes another process the main one: `MAINPID=`, `READY=1` and `WATCHDOG=1` in one
    /// datagram, since `MAINPID=` alone does not reset the watchdog.
    ///
    /// Afterwards this one is silent, but for another call of this: with `NotifyAccess=main` the
    /// service manager would log a warning each time, and else the two would contradict each
    /// other.
    ///
    /// With a pidfd of the process, `MAINPIDFDID=` guards against a reused PID (systemd 257 and
    /// newer; older ones ignore it). Fails if the service manager was not reached: the process is
    /// not the main one then. Without a service manager there is nothing to fail.
    pub fn hand_over(&self, pid: u32, pidfd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let id = pidfd
            .and_then(pidfd_id)
            .map(|id| format!("MAINPIDFDID={id}"));
        let mut states = vec![NotifyState::MainPid(pid)];
        states.extend(id.as_deref().map(NotifyState::Custom));
        states.extend([NotifyState::Ready, NotifyState::Watchdog]);
        if let Some(manager) = &self.manager {
            manager.send(&states, Worth::Unique)?;
            self.silent.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether the service manager can be reached at this moment; yes, without one. What it is
    /// sent is a sign of life.
    pub fn reach(&self) -> io::Result<()> {
        match &self.manager {
            Some(manager) => manager.send(&[NotifyState::Watchdog], Worth::Unique),
            None => Ok(()),
        }
    }

    /// What a successor must find in its environment to take over the conversation. No
    /// `WATCHDOG_PID`: it would name this process.
    pub fn environment_for_successor(&self) -> Vec<(OsString, OsString)> {
        let socket = self
            .manager
            .as_ref()
            .map(|m| (NOTIFY_SOCKET.into(), m.path.clone()));
        let watchdog = self
            .watchdog
            .map(|w| (WATCHDOG_USEC.into(), w.as_micros().to_string().into()));
        socket.into_iter().chain(watchdog).collect()
    }

    fn remember(&self, status: &str) -> String {
        let status = one_line(status);
        self.status
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone_from(&status);
        status
    }

    /// Whether the service manager will read it.
    fn tell(&self, worth: Worth, states: &[NotifyState<'_>]) -> bool {
        let Some(manager) = &self.manager else {
            return false;
        };
        if self.silent.load(Ordering::Relaxed) {
            return false;
        }
        let sent = manager.send(states, worth);
        if let Err(error) = &sent
            && (error.kind() != io::ErrorKind::WouldBlock || worth == Worth::Unique)
        {
            self.complain(error);
        }
        sent.is_ok()
    }

    fn complain(&self, error: &io::Error) {
        if !self.failed.swap(true, Ordering::Relaxed) {
            warn!("cannot tell the service manager (told once): {error}");
        }
    }
}

impl Manager {
    fn new(path: OsString) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            address: address(&path)?,
            path,
            socket,
        })
    }

    fn send(&self, states: &[NotifyState<'_>], worth: Worth) -> io::Result<()> {
        let datagram = written(states);
        self.patiently(worth, || self.socket.send(datagram.as_bytes()).map(drop))
    }

    fn send_descriptor(&self, name: &str, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        let datagram = written(&[NotifyState::FdStore, NotifyState::FdName(name)]);
        self.patiently(Worth::Unique, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            let descriptors = [descriptor];
            control.push(SendAncillaryMessage::ScmRights(&descriptors));
            let message = [IoSlice::new(datagram.as_bytes())];
            sendmsg(&self.socket, &message, &mut control, SendFlags::NOSIGNAL)?;
            Ok(())
        })
    }

    fn patiently(&self, worth: Worth, send: impl Fn() -> io::Result<()>) -> io::Result<()> {
        // Connecting each time survives a service manager that made its socket anew.
        self.socket.connect_addr(&self.address)?;
        match send() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && worth == Worth::Unique => {
                poll(
                    &mut [PollFd::new(&self.socket, PollFlags::OUT)],
                    Some(&PATIENCE),
                )?;
                send()
            }
            sent => sent,
        }
    }
}

/// sd_notify(3): a path, or a name in the abstract namespace that is written with an `@`.
fn address(path: &OsStr) -> io::Result<SocketAddr> {
    match path.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(path),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "{} is neither an absolute path nor begins with @",
                path.display()
            ),
        )),
    }
}

/// A line break would begin another assignment.
fn one_line(status: &str) -> String {
    status.replace(|c: char| c.is_control(), " ")
}

/// The number that tells a process from a later one with the same PID: the pidfd's inode, which
/// means something only on pidfs (Linux 6.9 and newer); before, all pidfds share one inode.
fn pidfd_id(pidfd: BorrowedFd<'_>) -> Option<u64> {
    const PIDFS_MAGIC: u64 = 0x5049_4446;
    let on_pidfs = rustix::fs::fstatfs(pidfd).is_ok_and(|fs| fs.f_type as u64 == PIDFS_MAGIC);
    on_pidfs
        .then(|| rustix::fs::fstat(pidfd).ok().map(|stat| stat.st_ino))
        .flatten()
}

/// The socket's path and the watchdog's time-out, which leave the environment.
#[allow(unsafe_code)]
fn take_env() -> (Option<OsString>, Option<Duration>) {
    let threads = fs::read_dir("/proc/self/task").map(Iterator::count);
    assert!(
        !matches!(threads, Ok(2..)),
        "Notifier::from_env must come before the first thread"
    );
    let path = env::var_os(NOTIFY_SOCKET).filter(|path| !path.is_empty());
    // SAFETY: nobody else reads or writes the environment, since no other thread exists. That was
    // asserted above, except where /proc is not mounted.
    unsafe {
        env::remove_var(NOTIFY_SOCKET);
        (path, sd_notify::watchdog_enabled_and_unset_env())
    }
}

/// The datagram: an assignment a line.
fn written(states: &[NotifyState<'_>]) -> String {
    let mut datagram = String::new();
    for state in states {
        let _ = writeln!(datagram, "{state}");
    }
    datagram
}
