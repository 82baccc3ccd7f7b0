//! Somebody on the bus who answers for logind.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use zbus::object_server::SignalEmitter;
use zbus::{Connection, OwnedFd, connection, fdo, interface};

use crate::bus::Bus;

const PATH: &str = "/org/freedesktop/login1";

/// What it knows, and who waits for it.
#[derive(Default)]
pub(crate) struct Known {
    pub(crate) scheduled: String,
    pub(crate) preparing: bool,
    pub(crate) refuses: bool,
    /// What each lock was asked for with, and our end of it.
    locks: Vec<(String, UnixStream)>,
    taken: Arc<Notify>,
}

pub(crate) type Shared = Arc<Mutex<Known>>;

pub(crate) async fn serve(bus: &Bus, known: &Shared) -> Connection {
    connection::Builder::address(bus.address.as_str())
        .serve_at(PATH, Manager(known.clone()))
        .name("org.freedesktop.login1")
        .build()
        .await
        .unwrap()
}

/// Says that the host goes down, or does not.
pub(crate) async fn prepare(logind: &Connection, known: &Shared, start: bool) {
    known.lock().unwrap().preparing = start;
    let emitter = SignalEmitter::new(logind, PATH).unwrap();
    Manager::prepare_for_shutdown(&emitter, start)
        .await
        .unwrap();
}

/// Waits until so many locks have been asked for, or refused, in all.
pub(crate) async fn locks(known: &Shared, count: usize) {
    loop {
        let taken = known.lock().unwrap().taken.clone();
        let notified = taken.notified();
        if known.lock().unwrap().locks.len() >= count {
            return;
        }
        notified.await;
    }
}

/// What a lock was asked for with.
pub(crate) fn asked(known: &Shared, number: usize) -> String {
    known.lock().unwrap().locks[number].0.clone()
}

/// Waits until a lock is let go.
pub(crate) async fn let_go(known: &Shared, number: usize) {
    let mut end = known.lock().unwrap().locks[number].1.try_clone().unwrap();
    let waiting = tokio::task::spawn_blocking(move || end.read(&mut [0]).unwrap());
    assert_eq!(waiting.await.unwrap(), 0);
}

/// Whether a lock is held still.
pub(crate) fn is_held(known: &Shared, number: usize) -> bool {
    let end = known.lock().unwrap().locks[number].1.try_clone().unwrap();
    end.set_nonblocking(true).unwrap();
    let held = (&end).read(&mut [0]).is_err();
    end.set_nonblocking(false).unwrap();
    held
}

struct Manager(Shared);

#[interface(name = "org.freedesktop.login1.Manager")]
impl Manager {
    fn inhibit(&self, what: &str, who: &str, _why: &str, mode: &str) -> fdo::Result<OwnedFd> {
        let mut known = self.0.lock().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        known.locks.push((format!("{what} {who} {mode}"), ours));
        known.taken.notify_waiters();
        if known.refuses {
            return Err(fdo::Error::AccessDenied("no".to_owned()));
        }
        Ok(OwnedFd::from(std::os::fd::OwnedFd::from(theirs)))
    }

    #[zbus(signal)]
    async fn prepare_for_shutdown(emitter: &SignalEmitter<'_>, start: bool) -> zbus::Result<()>;

    #[zbus(property)]
    fn preparing_for_shutdown(&self) -> bool {
        self.0.lock().unwrap().preparing
    }

    #[zbus(property)]
    fn scheduled_shutdown(&self) -> (String, u64) {
        (self.0.lock().unwrap().scheduled.clone(), 0)
    }
}
