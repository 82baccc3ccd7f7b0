//! P2: nobody is refused. A steady stream of connections while the sockets change hands.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::old_side::prepared;
use crate::roles::{answer, offered};

const CLIENTS: usize = 4;
const HANDOFFS: usize = 5;

#[derive(Default)]
struct Seen {
    by_old: AtomicUsize,
    by_new: AtomicUsize,
    over: AtomicBool,
}

/// Connects again and again, and panics if that is ever refused, reset or not answered.
fn client(address: std::net::SocketAddr, seen: &Seen) {
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
    }
}

/// Accepts in a thread until the flag is set.
fn accept(listener: &TcpListener) -> (Arc<AtomicBool>, thread::JoinHandle<usize>) {
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, listener) = (Arc::clone(&stop), listener.try_clone().unwrap());
    let answers =
        thread::spawn(move || answer(&[listener], || stopped.load(Ordering::Relaxed), "old"));
    (stop, answers)
}

async fn more_than(counter: &AtomicUsize, before: usize) {
    while counter.load(Ordering::Relaxed) <= before {
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn nobody_is_refused_while_the_sockets_change_hands() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Seen::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let seen = Arc::clone(&seen);
            thread::spawn(move || client(address, &seen))
        })
        .collect();

    for _ in 0..HANDOFFS {
        let before = seen.by_old.load(Ordering::Relaxed);
        let (stop, answers) = accept(&listener);
        more_than(&seen.by_old, before).await;
        let (successor, mut call) = prepared("serve", &[offered("ws", &listener)], b"").await;
        stop.store(true, Ordering::Relaxed);
        answers.join().unwrap();

        let before = seen.by_new.load(Ordering::Relaxed);
        let departing = successor.commit().await.unwrap();
        more_than(&seen.by_new, before).await;
        departing.done(Default::default()).await;
        // Back again: what connects now waits for the next round.
        call.go_on().await;
        call.heard("served").await;
    }
    seen.over.store(true, Ordering::Relaxed);
    let (stop, answers) = accept(&listener);
    clients
        .into_iter()
        .for_each(|client| client.join().unwrap());
    stop.store(true, Ordering::Relaxed);
    answers.join().unwrap();
}
