//! P2, never refused: not by a reload either.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use crate::client::Client;
use crate::world::{World, address, configuration};

#[test]
fn nobody_is_refused_or_cut_off_during_fifty_reloads() {
    let listener = address();
    let world = World::with(&[("ws", listener)]);
    let mut established = Client::open(listener);
    let (over, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let failures: Vec<String> = thread::scope(|scope| {
        let newcomers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut failures = Vec::new();
                    while !over.load(Relaxed) {
                        match Client::try_open(listener).and_then(Client::leave) {
                            Ok(()) => _ = served.fetch_add(1, Relaxed),
                            Err(error) => failures.push(error),
                        }
                    }
                    failures
                })
            })
            .collect();
        for number in 0..50 {
            // The number of listeners changes, and with it everything that depends on it.
            let mut listeners = vec![("ws", listener)];
            if number % 2 == 0 {
                listeners.push(("other", address()));
            }
            world.configure(&configuration(&listeners, &world.backend));
            world.reload();
            established.echo("still");
        }
        over.store(true, Relaxed);
        let failures = newcomers.into_iter().map(|one| one.join().unwrap());
        failures.flatten().collect()
    });
    assert_eq!(failures, Vec::<String>::new());
    assert!(served.load(Relaxed) > 50, "{served:?}");
    assert_eq!(world.status("generation"), 51);
}
