//! What a client is answered when no WebSocket comes about: the backend's own words where there
//! are any, else a status that says what is wrong and when to come back.

use crate::http::{Message, upgrade};
use crate::peer::Peer;
use crate::world::{Backend, HOST, Plan, World};

const PLAIN: &str = "GET / HTTP/1.1\r\nHost: chat.test\r\n\r\n";

fn refused(client: &mut Peer, status: u16) -> (Message, String) {
    let (answer, body) = client.answer();
    assert_eq!(answer.status(), status);
    let after = answer.values("retry-after");
    assert!(
        matches!(after[..], [seconds] if seconds.parse::<u32>().is_ok()),
        "{after:?}"
    );
    assert_eq!(answer.values("content-type"), ["text/plain; charset=utf-8"]);
    assert!(
        body.ends_with('\n') && body.len() > 10,
        "a reason: {body:?}"
    );
    (answer, body)
}

#[test]
fn a_backend_that_is_down_is_a_503_with_a_reason_and_a_time_to_come_back() {
    let directory = tempfile::tempdir().expect("make a directory");
    for backend in [
        Backend::tcp(),
        Backend::unix(&directory.path().join("app.sock")),
    ] {
        let mut world = Plan::new()
            .backend(backend)
            .restart("hold = \"0s\"")
            .start();
        world.backend = Backend::tcp();
        for ask in [upgrade("/", HOST, ""), PLAIN.to_owned()] {
            for mut client in [world.client(), world.secure_client()] {
                client.send(&ask);
                let (_, body) = refused(&mut client, 503);
                assert_eq!(body, "the service is not there at the moment\n");
            }
        }
        world
            .batond
            .wait_for_log("service.app: cannot connect to ", 1);
    }
}

#[test]
fn a_backend_that_answers_garbage_is_a_502() {
    let world = World::start();
    let garbage: [&[u8]; 3] = [
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"HTTP/1.1 200 OK\r\nContent-Le",
    ];
    for bytes in garbage {
        for ask in [upgrade("/", HOST, ""), PLAIN.to_owned()] {
            let mut client = world.client();
            client.send(&ask);
            let mut backend = world.backend.accept();
            backend.message();
            backend.send(bytes);
            backend.end();
            refused(&mut client, 502);
        }
    }
}

#[test]
fn a_switch_that_nobody_asked_for_is_a_502() {
    let world = World::start();
    let other = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
    let websocket = crate::http::switching("");
    for (ask, answer) in [
        (upgrade("/", HOST, ""), other),
        (PLAIN.to_owned(), &websocket),
    ] {
        let mut client = world.client();
        client.send(&ask);
        let mut backend = world.backend.accept();
        backend.message();
        backend.send(answer);
        refused(&mut client, 502);
    }
}

#[test]
fn a_refused_upgrade_is_passed_on_with_its_fields_and_body() {
    let world = World::start();
    for mut client in [world.client(), world.secure_client()] {
        client.send(upgrade("/", HOST, ""));
        let mut backend = world.backend.accept();
        backend.message();
        backend.send(
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer realm=\"chat\"\r\n\
             X-Odd-SPELLING: kept\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
             Content-Length: 13\r\n\r\nlog in first\n",
        );
        let (answer, body) = client.answer();
        assert_eq!(answer.line, "HTTP/1.1 401 Unauthorized");
        assert_eq!(answer.values("www-authenticate"), ["Bearer realm=\"chat\""]);
        assert_eq!(answer.values("set-cookie"), ["a=1", "b=2"]);
        assert!(
            answer
                .fields
                .contains(&("X-Odd-SPELLING".into(), "kept".into()))
        );
        assert_eq!(body, "log in first\n");
        // The connection is good for another try.
        let (mut client, mut backend) = world.join(client, "");
        backend.say(&[crate::frame::Frame::text("welcome")]);
        client.hear(&[crate::frame::Frame::text("welcome")]);
    }
}
