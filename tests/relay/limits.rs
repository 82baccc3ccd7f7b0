//! Limits bite as they are meant to: a newcomer too many is told so, a slow one is let go, and what
//! must wait waits.

use std::io::ErrorKind;
use std::net::TcpStream;

use crate::frame::Frame;
use crate::http::upgrade;
use crate::peer::{Peer, Stream};
use crate::world::{HOST, PATIENT, Plan, World};

fn limited(limits: &str) -> World {
    Plan::new().limits(limits).start()
}

#[test]
fn a_newcomer_too_many_gets_a_503_and_the_next_after_one_has_left_is_welcome() {
    let world = limited(&format!("clients = 2\n{PATIENT}"));
    let mut inside = [world.pair(), world.secure_pair()];
    for mut client in [world.client(), world.secure_client()] {
        client.send(upgrade("/", HOST, ""));
        let (answer, body) = client.answer();
        assert_eq!((answer.status(), &*body), (503, "too many clients\n"));
        assert_eq!(answer.values("retry-after").len(), 1);
        assert_eq!(answer.values("connection"), ["close"]);
        client.ended();
    }
    world
        .batond
        .wait_for_log("limits.clients: 2 clients are connected", 1);
    for (client, backend) in &mut inside {
        client.say(&[Frame::text("still here")]);
        backend.hear(&[Frame::text("still here")]);
    }
    drop(inside);
    // The daemon learns of it at its own pace, so a few may still be refused.
    loop {
        let mut client = world.client();
        client.send(upgrade("/", HOST, ""));
        if world.backend.is_still() {
            assert_eq!(client.answer().0.status(), 503);
        } else {
            world.backend.switch("");
            assert_eq!(client.message().status(), 101);
            break;
        }
    }
}

/// The daemon ends the connection by itself. It may say why before.
fn let_go(client: &mut Peer) {
    loop {
        match client.try_fill() {
            Ok(true) => {}
            Ok(false) => return,
            // Nothing was ever said here that could have been cut short.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_silent_connection_is_ended_after_the_handshake_timeout() {
    let world = limited("handshake_timeout = \"300ms\"");
    let mut plain = world.client();
    let_go(&mut plain);
    // Over TLS: without a word, after the beginning of a record, and after the handshake.
    let mut secure = Peer::client(Stream::Tcp(
        TcpStream::connect(world.secure).expect("connect to batond"),
    ));
    let_go(&mut secure);
    let mut secure = Peer::client(Stream::Tcp(
        TcpStream::connect(world.secure).expect("connect to batond"),
    ));
    let _ = secure.try_send(b"\x16\x03\x01\x02");
    let_go(&mut secure);
    let mut secure = world.secure_client();
    let_go(&mut secure);
}

#[test]
fn a_slow_header_is_ended_after_the_handshake_timeout() {
    let world = limited("handshake_timeout = \"300ms\"");
    let connect: [fn(&World) -> Peer; 2] = [World::client, World::secure_client];
    for connect in connect {
        let mut client = connect(&world);
        // On a very busy machine it may be over by now.
        let _ = client.try_send(b"GET / HTTP/1.1\r\nHost: chat.test\r\nX-Slow:");
        let_go(&mut client);
    }
    assert!(world.backend.is_still(), "the backend hears nothing of it");
}

#[test]
fn a_websocket_may_be_idle_for_longer_than_the_handshake_timeout() {
    let world = limited("handshake_timeout = \"500ms\"");
    let (mut client, mut backend) = world.secure_pair();
    assert!(client.is_still() && backend.is_still());
    client.say(&[Frame::text("awake")]);
    backend.hear(&[Frame::text("awake")]);
    backend.say(&[Frame::text("good morning")]);
    client.hear(&[Frame::text("good morning")]);
}

#[test]
fn a_header_that_is_too_long_gets_a_431() {
    let world = limited(&format!("header_bytes = \"8KiB\"\n{PATIENT}"));
    for mut client in [world.client(), world.secure_client()] {
        let long = format!("Cookie: {}\r\n", "x".repeat(100_000));
        client.send(upgrade("/", HOST, &long));
        assert_eq!(client.message().status(), 431);
        let_go(&mut client);
    }
    assert!(world.backend.is_still(), "the backend hears nothing of it");
    let mut client = world.client();
    client.send(upgrade(
        "/",
        HOST,
        &format!("Cookie: {}\r\n", "x".repeat(6_000)),
    ));
    world.backend.switch("");
    assert_eq!(client.message().status(), 101);
}

#[test]
fn newcomers_wait_while_too_many_handshakes_are_under_way() {
    let world = limited(&format!("handshakes = 1\n{PATIENT}"));
    // More than may be under way, with those that each listener may have taken already.
    let silent: Vec<Peer> = (0..5).map(|_| world.client()).collect();
    let mut client = world.client();
    client.send(upgrade("/", HOST, ""));
    assert!(
        client.is_still() && world.backend.is_still(),
        "it waits its turn"
    );
    drop(silent);
    let mut backend = world.backend.switch("");
    assert_eq!(client.message().status(), 101);
    backend.say(&[Frame::text("at last")]);
    client.hear(&[Frame::text("at last")]);
}
