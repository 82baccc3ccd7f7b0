//! P2: nobody is refused. A steady stream of connections while the sockets change hands.

use std::io::{PipeWriter, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::LONG;
use crate::door::answer;
use crate::old_side::prepared;
use crate::roles::offered;

const CLIENTS: usize = 4;
const HANDOFFS: usize = 5;

#[derive(Default)]
struct Seen {
    by_old: AtomicUsize,
    by_new: AtomicUsize,
    more: Notify,
    over: AtomicBool,
}

impl Seen {
    /// Waits until one of the counters has grown.
    async fn grown(&self, counter: &AtomicUsize) {
        let before = counter.load(Ordering::Relaxed);
        while counter.load(Ordering::Relaxed) == before {
            timeout(LONG, self.more.notified()).await.unwrap();
        }
    }
}

/// Connects again and again, and panics if that is ever refused, reset or not answered.
fn client(address: SocketAddr, seen: &Seen) {
    while !seen.over.load(Ordering::Relaxed) {
        let mut answer = String::new();
        TcpStream::connect(address)
            .unwrap()
            .read_to_string(&mut answer)
            .unwrap();
        match answer.as_str() {
            "old" => seen.by_old.fetch_add(1, Ordering::Relaxed),
            "new" => seen.by_new.fetch_add(1, Ordering::Relaxed),
            other => panic!("answered {other:?}"),
        };
        seen.more.notify_one();
    }
}

/// The old process accepting, in a thread, until it is told to stop.
struct Accepting {
    stop: PipeWriter,
    thread: JoinHandle<()>,
}

impl Accepting {
    fn on(listener: &TcpListener) -> Self {
        let listener = listener.try_clone().unwrap();
        let (stopped, stop) = std::io::pipe().unwrap();
        let thread = thread::spawn(move || answer(&[listener], stopped.as_fd(), "old"));
        Self { stop, thread }
    }

    fn stop(self) {
        drop(self.stop);
        self.thread.join().unwrap();
    }
}

pub(crate) async fn nobody_is_refused_while_the_sockets_change_hands() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Seen::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let seen = Arc::clone(&seen);
            thread::spawn(move || client(address, &seen))
        })
        .collect();

    for _ in 0..HANDOFFS {
        let accepting = Accepting::on(&listener);
        seen.grown(&seen.by_old).await;
        let (successor, mut call) = prepared("serve", &[offered("ws", &listener)], b"").await;
        accepting.stop();
        let departing = successor.commit().await.unwrap();
        seen.grown(&seen.by_new).await;
        departing.done(Default::default()).await;
        // Back again: what connects now waits for the next round.
        call.go_on().await;
        call.heard("stopped").await;
    }
    seen.over.store(true, Ordering::Relaxed);
    let accepting = Accepting::on(&listener);
    clients
        .into_iter()
        .for_each(|client| client.join().unwrap());
    accepting.stop();
}
