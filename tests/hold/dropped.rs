//! A backend that goes away when it has a request, and has said nothing yet: whoever may ask again
//! does not learn of it.

use std::time::Instant;

use crate::edge::{self, asked, path, service};
use crate::held::{POST, refused, waits};
use crate::http::{Message, switching, upgrade};
use crate::peer::Peer;
use crate::support::PATIENCE;
use crate::world::{Backend, HOST, Plan, World};

/// How often one request is tried at most.
const TRIES: usize = 4;

/// How a backend may go.
const WAYS: [fn(Peer); 2] = [|mut peer| peer.end(), Peer::vanish];

fn safe() -> Vec<String> {
    let plain = |method| format!("{method} /page HTTP/1.1\r\nHost: chat.test\r\nX-Odd: 1\r\n\r\n");
    let plain = ["GET", "HEAD", "OPTIONS"].map(plain);
    let chat = upgrade("/chat", HOST, "X-Odd: 1\r\n");
    plain.into_iter().chain([chat]).collect()
}

/// A backend that is there throughout.
fn world() -> World {
    Plan::new().restart("hold = \"5m\"").start()
}

/// The next request, to be dropped.
fn take(backend: &Backend) -> (Peer, Message) {
    let mut peer = asked(backend);
    let request = peer.message();
    (peer, request)
}

#[test]
fn a_request_that_is_dropped_is_asked_again_as_it_was() {
    let world = world();
    for ask in safe() {
        for go in WAYS {
            let mut client = world.client();
            client.send(&ask);
            let (peer, first) = take(&world.backend);
            go(peer);
            for _ in 2..TRIES {
                let (peer, again) = take(&world.backend);
                assert_eq!((&again.line, &again.fields), (&first.line, &first.fields));
                go(peer);
            }
            let (mut peer, _) = take(&world.backend);
            if ask.contains("Upgrade") {
                peer.send(switching(""));
                assert_eq!(client.message().status(), 101);
                peer.say(&[crate::frame::Frame::text("welcome")]);
                client.hear(&[crate::frame::Frame::text("welcome")]);
            } else {
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                assert_eq!(client.message().status(), 200);
            }
        }
    }
}

#[test]
fn a_request_that_every_backend_drops_is_a_502_after_some_tries() {
    let world = world();
    for ask in safe() {
        let mut client = world.client();
        client.send(&ask);
        for _ in 0..TRIES {
            WAYS[0](take(&world.backend).0);
        }
        assert_eq!(client.message().status(), 502);
    }
}

#[test]
fn a_request_that_changes_something_or_has_a_body_is_asked_once() {
    let world = world();
    let body = "GET / HTTP/1.1\r\nHost: chat.test\r\nContent-Length: 1\r\n\r\nx";
    let delete = "DELETE /page HTTP/1.1\r\nHost: chat.test\r\n\r\n";
    for ask in [POST, body, delete] {
        for go in WAYS {
            let mut client = world.client();
            client.send(ask);
            go(take(&world.backend).0);
            assert_eq!(client.answer().0.status(), 502);
        }
    }
    assert!(world.backend.is_still());
}

#[test]
fn a_backend_that_has_begun_to_answer_is_not_asked_again() {
    let world = world();
    for ask in safe() {
        for go in WAYS {
            let mut client = world.client();
            client.send(&ask);
            let (mut peer, _) = take(&world.backend);
            peer.send("H");
            go(peer);
            assert_eq!(client.message().status(), 502);
        }
    }
    assert!(world.backend.is_still());
}

#[test]
fn whom_a_dying_backend_had_accepted_or_not_gets_to_the_next() {
    let directory = tempfile::tempdir().expect("make a directory");
    let socket = directory.path().join("app.sock");
    let mut world = Plan::new()
        .backend(Backend::unix(&socket))
        .restart("hold = \"5m\"")
        .start();
    let mut clients = [world.client(), world.secure_client(), world.client()];
    for client in &mut clients {
        client.send(upgrade("/", HOST, ""));
    }
    // One has been read, one accepted, and one is in the queue.
    let accepted = (take(&world.backend).0, world.backend.accept());
    std::fs::remove_file(&socket).expect("remove the socket");
    world.backend = Backend::tcp();
    drop(accepted);
    assert!(clients.iter_mut().all(waits));
    world.backend = Backend::unix(&socket);
    for _ in &clients {
        asked(&world.backend).send(switching(""));
    }
    for client in &mut clients {
        assert_eq!(client.message().status(), 101);
    }
}

#[test]
fn where_no_backend_comes_back_it_is_a_503_at_the_end_of_the_hold() {
    for ask in [
        upgrade("/", HOST, ""),
        "GET / HTTP/1.1\r\nHost: chat.test\r\n\r\n".to_owned(),
    ] {
        for hold in ["0s", "300ms"] {
            let directory = tempfile::tempdir().expect("make a directory");
            let backend = Backend::unix(&directory.path().join("app.sock"));
            let mut world = Plan::new()
                .backend(backend)
                .restart(&format!("hold = \"{hold}\""))
                .start();
            let mut client = world.secure_client();
            client.send(&ask);
            let (peer, _) = take(&world.backend);
            world.backend = Backend::tcp();
            drop(peer);
            let (_, body) = refused(&mut client);
            assert_eq!(body, "the service is not there at the moment\n");
        }
    }
}

#[test]
fn another_backend_takes_it_at_once() {
    let [one, other] = [Backend::tcp(), Backend::tcp()];
    let world = edge::World::start(1, &[service("app", &[(&one, None), (&other, None)])]);
    let mut client = world.ask("/app");
    take(&one).0.vanish();
    other.switch("");
    assert_eq!(client.message().status(), 101);
    assert!(one.is_still(), "it is not asked again, nor looked for");
    assert_eq!(world.service("app").counters().held, 0);
}

#[test]
fn who_was_dropped_waits_before_those_who_came_later() {
    let backend = Backend::tcp();
    let world = edge::World::start(1, &[service("app", &[(&backend, None)])]);
    let app = world.service("app");
    let mut first = world.ask("/app/first");
    let mut peer = backend.accept();
    assert_eq!(path(&mut peer), "/app/first");
    app.hold().close();
    let mut second = world.held("/app/second");
    peer.vanish();
    edge::until("the first is held", || app.hold().held() == 2);
    for client in [&mut first, &mut second] {
        assert_eq!(app.hold().let_in(1), 1);
        backend.switch("");
        assert_eq!(client.message().status(), 101);
    }
    let counts = app.counters();
    assert_eq!((counts.held, counts.released), (2, 2));
    assert_eq!(app.hold().totals().left, 0);
}

#[test]
fn who_was_let_in_and_dropped_has_its_old_place() {
    let backend = Backend::tcp();
    let world = edge::World::start(1, &[service("app", &[(&backend, None)])]);
    let app = world.service("app");
    app.hold().close();
    let mut first = world.held("/app/first");
    let _second = world.held("/app/second");
    assert_eq!(app.hold().let_in(1), 1);
    // Once more at once, then from its place.
    for _ in 0..2 {
        let mut peer = backend.accept();
        assert_eq!(path(&mut peer), "/app/first");
        peer.vanish();
    }
    edge::until("it is back", || app.hold().held() == 2);
    assert_eq!(app.hold().let_in(1), 1);
    let mut peer = backend.accept();
    assert_eq!(path(&mut peer), "/app/first");
    peer.send(switching(""));
    assert_eq!(first.message().status(), 101);
}

/// As a proxy does that listens for as long as it lives, and passes on to what comes and goes.
#[test]
fn a_backend_that_takes_connections_and_ends_them_at_once_is_away() {
    let world = world();
    let begun = Instant::now();
    // A test that is too slow to end them at once gets requests instead: then it begins anew.
    'anew: loop {
        assert!(begun.elapsed() < PATIENCE, "it does not wait");
        let mut client = world.client();
        client.send(upgrade("/", HOST, ""));
        for _ in 0..2 {
            WAYS[0](take(&world.backend).0);
        }
        for _ in 0..TRIES {
            let mut looking = world.backend.accept();
            looking.end();
            if looking.try_fill().unwrap_or(false) {
                continue 'anew;
            }
        }
        asked(&world.backend).send(switching(""));
        assert_eq!(client.message().status(), 101);
        break;
    }
    world.batond.wait_for_log("it ends connections at once", 1);
}
