//! Those who wait while batond itself leaves: for a restart they go on waiting as long as the drain
//! lasts, and leave in an orderly way if they get in.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use batond::edge::{Announcement, Departure};
use rustix::process::Signal;
use tokio::time::Instant;

use crate::edge::{self, asked, dead, listen, service};
use crate::held::{PLAIN, POST, refused, waiting, waits, with_restart};
use crate::http::{switching, upgrade};
use crate::peer::Peer;
use crate::world::{HOST, World, leave};

/// Clients that are held, with whatever may be asked.
fn held(world: &World) -> Vec<Peer> {
    let mut clients = Vec::new();
    for ask in [upgrade("/", HOST, ""), PLAIN.to_owned(), POST.to_owned()] {
        for mut client in [world.client(), world.secure_client()] {
            client.send(&ask);
            clients.push(client);
        }
    }
    assert!(clients.iter_mut().all(waits));
    clients
}

/// A connection that a drain ends when it no longer waits for requests.
fn idle(world: &World) -> Peer {
    let mut client = world.client();
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n");
    assert_eq!(client.answer().0.status(), 400);
    client
}

#[test]
fn who_is_held_when_the_daemon_restarts_gets_in_and_is_told() {
    for signal in [Signal::TERM, Signal::USR2] {
        let mut world = waiting();
        let mut idle = idle(&world);
        let mut page = world.client();
        page.send(PLAIN);
        let mut clients = [world.client(), world.secure_client()];
        for client in &mut clients {
            client.send(upgrade("/", HOST, ""));
            assert!(waits(client));
        }
        let old = world.batond.main();
        old.signal(signal);
        idle.ended();
        assert!(waits(&mut page) && clients.iter_mut().all(waits));
        listen(&world.backend);
        let mut backends = Vec::new();
        for _ in 0..3 {
            let mut peer = asked(&world.backend);
            if peer.message().line.contains("/page") {
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage");
            } else {
                peer.send(switching("Sec-WebSocket-Protocol: chat\r\n"));
                backends.push(peer);
            }
        }
        let (answer, body) = page.answer();
        assert_eq!((answer.status(), &*body), (200, "page"));
        assert_eq!(answer.values("connection"), ["close"]);
        page.ended();
        drop(page);
        for client in &mut clients {
            let answer = client.message();
            assert_eq!(answer.status(), 101);
            assert_eq!(answer.values("connection"), ["Upgrade"]);
        }
        // Which is whose is not known: a Close from the one ends the other.
        for client in &mut clients {
            assert_eq!(client.closed(), 1012);
            client.say(&[crate::frame::Frame::close(1012, "")]);
        }
        for backend in &mut backends {
            assert_eq!(backend.closed(), 1001);
            backend.say(&[crate::frame::Frame::close(1001, "")]);
        }
        for peer in clients.iter_mut().chain(&mut backends) {
            peer.ended();
            peer.end();
        }
        old.wait_gone();
        if signal == Signal::TERM {
            let report = world.report();
            assert_eq!((report["told"], report["closed cleanly"]), (2, 2));
        }
    }
}

#[test]
fn who_is_held_when_the_daemon_restarts_is_told_when_the_drain_is_over() {
    for signal in [Signal::TERM, Signal::USR2] {
        let lines = "hold = \"5m\"\ndeadline = \"1s\"\nclose_timeout = \"500ms\"";
        let mut world = with_restart(lines);
        let mut clients = held(&world);
        let old = world.batond.main();
        old.signal(signal);
        for client in &mut clients {
            let (answer, _) = refused(client);
            assert_eq!(answer.values("connection"), ["close"]);
            client.ended();
        }
        drop(clients);
        old.wait_gone();
        if signal == Signal::TERM {
            assert_eq!(world.report()["still open"], 0);
        }
    }
}

#[test]
fn the_daemon_ends_when_the_last_who_is_held_has_waited_long_enough() {
    for signal in [Signal::TERM, Signal::USR2] {
        let world = with_restart("hold = \"2s\"\ndeadline = \"10m\"\nclose_timeout = \"5m\"");
        let mut client = world.client();
        client.send(upgrade("/", HOST, ""));
        world.batond.wait_for_log("newcomers wait", 1);
        let old = world.batond.main();
        old.signal(signal);
        refused(&mut client);
        client.ended();
        drop(client);
        old.wait_gone();
    }
}

#[test]
fn a_second_sigterm_ends_the_wait() {
    let mut world = waiting();
    let mut idle = idle(&world);
    let mut clients = held(&world);
    world.batond.main().signal(Signal::TERM);
    idle.ended();
    assert!(waits(&mut clients[0]));
    world.batond.main().signal(Signal::TERM);
    for client in &mut clients {
        refused(client);
        client.ended();
    }
    drop(clients);
    world.report();
}

/// Everybody is to leave for this reason, and more time than a test has.
fn parting(departure: Departure) -> Announcement {
    Announcement {
        departure,
        paced: true,
        within: None,
        since: Instant::now(),
    }
}

impl edge::World {
    /// Begins to drain.
    fn part(&self, departure: Departure) {
        let announcement = parting(departure);
        self.runtime.block_on(async {
            let mut draining = pin!(self.edge.drain(&announcement));
            poll_fn(|cx| Poll::Ready(draining.as_mut().poll(cx).is_ready())).await;
        });
    }
}

#[test]
fn who_is_held_when_the_daemon_stops_is_told_at_once() {
    let backend = dead();
    for before in [None, Some(Departure::Restart)] {
        let world = edge::World::start(1, &[service("app", &[(&backend, None)])]);
        let mut client = world.held("/app");
        if let Some(before) = before {
            world.part(before);
            assert!(client.is_still());
        }
        world.part(Departure::Stop);
        assert_eq!(client.answer().0.status(), 503);
        let mut late = world.ask("/app");
        assert_eq!(late.answer().0.status(), 503);
    }
}

#[test]
fn a_drain_that_is_taken_back_leaves_those_who_are_held_alone() {
    let backend = dead();
    let world = edge::World::start(1, &[service("app", &[(&backend, None)])]);
    let mut client = world.held("/app");
    world.part(Departure::Restart);
    world.runtime.block_on(world.edge.end_drain());
    listen(&backend);
    let mut peer = asked(&backend);
    peer.message();
    peer.send(switching(""));
    assert_eq!(client.message().status(), 101);
    assert!(client.is_still(), "it stays");
    // The next one is told all the same.
    world.part(Departure::Restart);
    leave(&mut client, &mut peer);
}
