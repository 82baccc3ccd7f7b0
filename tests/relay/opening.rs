//! The opening handshake, in whatever shape it comes: usual, in pieces, unusual, or wrong.

use std::time::{Duration, Instant};

use crate::frame::Frame;
use crate::http::{switching, upgrade};
use crate::peer::Peer;
use crate::world::{HOST, Plan, World};

/// Both ends have switched, and each hears the other.
fn assert_open(client: &mut Peer, backend: &mut Peer) {
    client.say(&[Frame::text("there")]);
    backend.hear(&[Frame::text("there")]);
    backend.say(&[Frame::text("and back")]);
    client.hear(&[Frame::text("and back")]);
}

#[test]
fn headers_that_come_byte_by_byte_open_a_websocket() {
    let world = World::start();
    for mut client in [world.client(), world.secure_client()] {
        for byte in upgrade("/", HOST, "").bytes() {
            client.send([byte]);
        }
        let mut backend = world.backend.accept();
        backend.message();
        for byte in switching("").bytes() {
            backend.send([byte]);
        }
        assert_eq!(client.message().status(), 101);
        assert_open(&mut client, &mut backend);
    }
}

#[test]
fn an_unusual_request_for_a_websocket_is_passed_on_too() {
    let world = Plan::new().limits("header_bytes = \"64KiB\"").start();
    let many = "X-Many: 1\r\n".repeat(80);
    let long = format!("X-Long: {}\r\n", "x".repeat(20_000));
    let absolute = format!("http://{HOST}/chat");
    for (path, more) in [
        (absolute.as_str(), ""),
        ("/\u{e4}", ""),
        ("/chat", "Content-Length: 0\r\n"),
        ("/chat", "Expect: 100-continue\r\n"),
        ("/chat", many.as_str()),
        ("/chat", long.as_str()),
    ] {
        let mut client = world.client();
        client.send(upgrade(path, HOST, more));
        let mut backend = world.backend.accept();
        let request = backend.message();
        assert_eq!(request.values("upgrade"), ["websocket"]);
        backend.send(switching(""));
        assert_eq!(client.message().status(), 101);
        assert_open(&mut client, &mut backend);
    }
}

#[test]
fn a_request_with_two_meanings_reaches_no_backend() {
    let world = World::start();
    for more in [
        "Host: other.test\r\n",
        "Host: chat.test\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Content-Length: +1\r\n",
        "X-Folded: 1\r\n 2\r\n",
        "X-Space : 1\r\n",
        "X-Null: \0\r\n",
    ] {
        for mut client in [world.client(), world.secure_client()] {
            client.send(upgrade("/", HOST, more));
            assert_eq!(client.message().status(), 400, "{more:?}");
        }
    }
    assert!(world.backend.is_still(), "the backend hears nothing of it");
}

#[test]
fn a_backend_may_say_something_before_it_switches() {
    let world = World::start();
    for mut client in [world.client(), world.secure_client()] {
        client.send(upgrade("/", HOST, ""));
        let mut backend = world.backend.accept();
        backend.message();
        backend.send("HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n");
        backend.send(switching("X-After: 1\r\n"));
        let answer = client.message();
        assert_eq!(answer.status(), 101);
        assert!(answer.has("x-after"));
        assert_open(&mut client, &mut backend);
    }
}

#[test]
fn a_backend_is_let_go_when_the_client_leaves_before_its_answer() {
    let world = World::start();
    for mut client in [world.client(), world.secure_client()] {
        client.send(upgrade("/", HOST, ""));
        let mut backend = world.backend.accept();
        backend.message();
        client.end();
        let left = Instant::now();
        backend.ended();
        // Long before it would have waited too long for an answer, which is a minute.
        assert!(left.elapsed() < Duration::from_secs(40));
    }
}
