//! The service manager's end of sd_notify(3): a real datagram socket that notes every
//! notification, who sent it, and whether the daemon's main process still runs.

use std::io::{IoSliceMut, PipeReader, PipeWriter};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use std::{io, thread};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use super::PATIENCE;
use super::process::Process;

/// One datagram.
#[derive(Debug)]
pub(crate) struct Notification {
    /// The process that sent it, as the kernel says.
    pub(crate) sender: u32,
    /// Its assignments in order: `("READY", "1")`.
    pub(crate) fields: Vec<(String, String)>,
    /// Descriptors that came with `FDSTORE=1`. Others are closed at once: for `BARRIER=1` that is
    /// the answer.
    pub(crate) stored: Vec<OwnedFd>,
}

impl Notification {
    /// The value of a variable, if it is in this datagram.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    fn read(sender: u32, datagram: &[u8], descriptors: Vec<OwnedFd>) -> Self {
        let text = String::from_utf8_lossy(datagram);
        let fields: Vec<(String, String)> = text
            .lines()
            .map(|line| line.split_once('=').unwrap_or((line, "")))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        let store = fields
            .iter()
            .any(|(key, value)| key == "FDSTORE" && value == "1");
        Self {
            sender,
            fields,
            stored: if store { descriptors } else { Vec::new() },
        }
    }
}

/// The socket before anyone listens to it: the daemon is started with its path.
pub(crate) struct NotifySocket {
    socket: UnixDatagram,
    path: PathBuf,
}

impl NotifySocket {
    /// Binds it in the directory.
    pub(crate) fn bind(directory: &Path) -> Self {
        let path = directory.join("notify");
        let socket = UnixDatagram::bind(&path).expect("bind the notification socket");
        rustix::net::sockopt::set_socket_passcred(&socket, true).expect("ask for senders");
        Self { socket, path }
    }

    /// The value of `NOTIFY_SOCKET`.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Listens from now on; what came before is still in the socket.
    pub(crate) fn follow(self, main: Process) -> Notifications {
        let shared = Arc::new((Mutex::new(Heard::default()), Condvar::new()));
        lock(&shared.0).mains.push(Arc::new(main));
        let (stopped, stop) = io::pipe().expect("make a pipe");
        let listener = Listener {
            socket: self.socket,
            stopped,
            shared: Arc::clone(&shared),
        };
        thread::spawn(move || listener.run());
        Notifications {
            shared,
            _stop: stop,
        }
    }
}

/// All that has been heard since the daemon was started.
pub(crate) struct Notifications {
    shared: Arc<(Mutex<Heard>, Condvar)>,
    // Its closing ends the thread that listens.
    _stop: PipeWriter,
}

#[derive(Default)]
pub(crate) struct Heard {
    /// Every notification, in the order of arrival.
    pub(crate) all: Vec<Arc<Notification>>,
    /// The daemon's main processes: the first, then each that a `MAINPID=` named.
    pub(crate) mains: Vec<Arc<Process>>,
    /// Set when the latest of them has ended, and all that it said has been read.
    pub(crate) ended: bool,
}

impl Heard {
    /// The process that the notification names as the new main one.
    fn successor(&self, notification: &Notification) -> Option<Arc<Process>> {
        let pid = notification.value("MAINPID")?.parse().ok()?;
        let known = self.mains.last().is_some_and(|main| main.pid() == pid);
        if known {
            None
        } else {
            Process::open(pid).map(Arc::new)
        }
    }
}

impl Notifications {
    /// Waits until the condition finds what it looks for.
    ///
    /// # Panics
    /// When the main process ends first, or after [`PATIENCE`].
    pub(crate) fn wait_for<T>(&self, what: &str, condition: impl Fn(&Heard) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut heard = lock(&self.shared.0);
        loop {
            if let Some(found) = condition(&heard) {
                return found;
            }
            assert!(!heard.ended, "the daemon ended; awaited was {what}");
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {what} within {PATIENCE:?}");
            let waited = self.shared.1.wait_timeout(heard, left);
            heard = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Every notification so far.
    pub(crate) fn all(&self) -> Vec<Arc<Notification>> {
        lock(&self.shared.0).all.clone()
    }

    /// The main processes so far, the first one first.
    pub(crate) fn mains(&self) -> Vec<Arc<Process>> {
        lock(&self.shared.0).mains.clone()
    }
}

/// The thread's side.
struct Listener {
    socket: UnixDatagram,
    stopped: PipeReader,
    shared: Arc<(Mutex<Heard>, Condvar)>,
}

impl Listener {
    fn run(self) {
        let mut main = lock(&self.shared.0).mains.last().cloned();
        loop {
            let watched = main.clone();
            let [stopped, ended] = self.wait(watched.as_deref());
            if stopped {
                return;
            }
            // Before the end is noted: a process says its last words before it ends.
            while let Some(notification) = self.receive() {
                let mut heard = lock(&self.shared.0);
                if let Some(next) = heard.successor(&notification) {
                    heard.mains.push(Arc::clone(&next));
                    main = Some(next);
                }
                heard.all.push(Arc::new(notification));
            }
            // The end of one whose place another has taken means nothing.
            if ended && main.as_ref().map(|m| m.pid()) == watched.map(|w| w.pid()) {
                main = None;
                lock(&self.shared.0).ended = true;
            }
            self.shared.1.notify_all();
        }
    }

    /// Waits for something to happen: whether the test is over, and whether the process ended.
    fn wait(&self, main: Option<&Process>) -> [bool; 2] {
        let mut events = vec![
            PollFd::new(&self.stopped, PollFlags::IN),
            PollFd::new(&self.socket, PollFlags::IN),
        ];
        events.extend(main.map(|main| PollFd::new(main, PollFlags::IN)));
        rustix::io::retry_on_intr(|| poll(&mut events, None)).expect("wait for notifications");
        [0, 2].map(|i| {
            events
                .get(i)
                .is_some_and(|event| !event.revents().is_empty())
        })
    }

    fn receive(&self) -> Option<Notification> {
        let mut datagram = [0; 8192];
        let mut space =
            [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253), ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let mut parts = [IoSliceMut::new(&mut datagram)];
        let length = recvmsg(&self.socket, &mut parts, &mut control, flags)
            .ok()?
            .bytes;
        let (mut sender, mut descriptors) = (0, Vec::new());
        for message in control.drain() {
            match message {
                RecvAncillaryMessage::ScmRights(passed) => descriptors.extend(passed),
                RecvAncillaryMessage::ScmCredentials(who) => {
                    sender = who.pid.as_raw_pid().unsigned_abs();
                }
                _ => {}
            }
        }
        Some(Notification::read(sender, &datagram[..length], descriptors))
    }
}

fn lock(heard: &Mutex<Heard>) -> MutexGuard<'_, Heard> {
    heard.lock().unwrap_or_else(PoisonError::into_inner)
}
