//! Ordinary requests and the header of an upgrade: what the backend sees is what the client sent,
//! with the forwarding fields set, and bodies stream both ways.

use crate::http::{Message, switching, upgrade};
use crate::peer::Peer;
use crate::world::{HOST, Plan, World};

/// What the backend is asked when the client sends this.
fn asked(world: &World, client: &mut Peer, request: &str) -> (Message, Peer) {
    client.send(request);
    let mut backend = world.backend.accept();
    (backend.message(), backend)
}

const FORGED: &str = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: gopher\r\n\
    X-Forwarded-Host: elsewhere.test\r\nForwarded: for=203.0.113.9\r\n";

#[test]
fn forwarding_fields_are_set_and_forged_ones_dropped() {
    let world = World::start();
    for (mut client, proto) in [(world.client(), "http"), (world.secure_client(), "https")] {
        let request = upgrade("/", "chat.test:8443", FORGED);
        let (request, mut backend) = asked(&world, &mut client, &request);
        assert_eq!(request.values("host"), ["chat.test:8443"]);
        assert_eq!(request.values("x-forwarded-for"), ["127.0.0.1"]);
        assert_eq!(request.values("x-forwarded-proto"), [proto]);
        assert_eq!(request.values("x-forwarded-host"), ["chat.test:8443"]);
        assert!(!request.has("forwarded"));
        backend.send(switching(""));
        assert_eq!(client.message().status(), 101);
    }
}

#[test]
fn a_trusted_peer_is_believed_and_added() {
    // As it would stand in the environment of a unit.
    let world = Plan::new()
        .variable("BATOND_LISTENER__WS__TRUSTED", "127.0.0.0/8")
        .start();
    let mut client = world.client();
    let (request, _backend) = asked(&world, &mut client, &upgrade("/", HOST, FORGED));
    assert_eq!(
        request.values("x-forwarded-for"),
        ["203.0.113.9, 127.0.0.1"]
    );
    assert_eq!(request.values("x-forwarded-proto"), ["gopher"]);
    assert_eq!(request.values("x-forwarded-host"), ["elsewhere.test"]);
}

#[test]
fn fields_keep_their_spelling_and_their_order() {
    let world = World::start();
    let mut client = world.client();
    let odd = "X-oDD: 1\r\nsec-websocket-PROTOCOL: chat.v1, chat.v2\r\nx-odd: 2\r\nCOOKIE: a=b\r\n";
    let (request, mut backend) = asked(&world, &mut client, &upgrade("/a%2Fb?c", HOST, odd));
    assert_eq!(request.line, "GET /a%2Fb?c HTTP/1.1");
    let names: Vec<&str> = request
        .fields
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    for name in [
        "X-oDD",
        "x-odd",
        "sec-websocket-PROTOCOL",
        "COOKIE",
        "Sec-WebSocket-Key",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert_eq!(request.values("x-odd"), ["1", "2"]);
    assert_eq!(
        request.values("sec-websocket-protocol"),
        ["chat.v1, chat.v2"]
    );
    assert_eq!(request.values("connection"), ["Upgrade"]);
    assert_eq!(request.values("upgrade"), ["websocket"]);
    backend.send(switching(
        "sec-webSocket-protocol: chat.v2\r\nX-More: yes\r\n",
    ));
    let answer = client.message();
    let protocol = ("sec-webSocket-protocol".to_owned(), "chat.v2".to_owned());
    assert!(answer.fields.contains(&protocol), "{:?}", answer.fields);
    assert_eq!(answer.values("x-more"), ["yes"]);
    assert_eq!(
        answer.values("sec-websocket-accept"),
        ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]
    );
}

#[test]
fn fields_of_one_connection_stay_on_it() {
    let world = World::start();
    let mut client = world.client();
    let request = "GET / HTTP/1.1\r\nHost: chat.test\r\nConnection: keep-alive, X-Hop\r\n\
                   X-Hop: 1\r\nKeep-Alive: timeout=5\r\nX-End: 1\r\n\r\n";
    let (request, mut backend) = asked(&world, &mut client, request);
    assert!(request.has("x-end"));
    assert!(!request.has("x-hop") && !request.has("keep-alive"));
    backend.send(
        "HTTP/1.1 200 OK\r\nConnection: X-Back\r\nX-Back: 1\r\nX-End: 1\r\nContent-Length: 0\r\n\r\n",
    );
    let (answer, _) = client.answer();
    assert!(answer.has("x-end"));
    assert!(!answer.has("x-back"));
}

#[test]
fn a_body_in_chunks_streams_to_the_backend() {
    let world = World::start();
    for mut client in [world.client(), world.secure_client()] {
        let head = "POST /up HTTP/1.1\r\nHost: chat.test\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (request, mut backend) = asked(&world, &mut client, head);
        assert_eq!(request.values("transfer-encoding"), ["chunked"]);
        for piece in ["first", "second"] {
            client.send(format!("{:x}\r\n{piece}\r\n", piece.len()));
            // Here before the next one is sent.
            assert_eq!(backend.chunk(), piece.as_bytes());
        }
        client.send("0\r\n\r\n");
        assert_eq!(backend.chunk(), b"");
        backend.send("HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(client.message().status(), 204);
    }
}

#[test]
fn a_body_in_chunks_streams_to_the_client() {
    let world = World::start();
    for mut client in [world.client(), world.secure_client()] {
        let head = "GET /events HTTP/1.1\r\nHost: chat.test\r\n\r\n";
        let (_, mut backend) = asked(&world, &mut client, head);
        backend.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(client.message().values("transfer-encoding"), ["chunked"]);
        for piece in ["data: 1\n\n", "data: 2\n\n"] {
            backend.send(format!("{:x}\r\n{piece}\r\n", piece.len()));
            assert_eq!(client.chunk(), piece.as_bytes());
        }
        backend.send("0\r\n\r\n");
        assert_eq!(client.chunk(), b"");
    }
}

#[test]
fn a_request_under_way_is_answered_during_a_drain() {
    let mut world = World::start();
    let mut client = world.client();
    let head = "GET /slow HTTP/1.1\r\nHost: chat.test\r\n\r\n";
    let (_, mut backend) = asked(&world, &mut client, head);
    world.announce();
    backend.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
    let (answer, body) = client.answer();
    assert_eq!((answer.status(), &*body), (200, "done"));
    assert_eq!(answer.values("connection"), ["close"]);
    client.ended();
    drop(client);
    world.report();
}

#[test]
fn an_upgrade_under_way_is_completed_and_told_during_a_drain() {
    let mut world = World::start();
    let mut client = world.client();
    let (_, mut backend) = asked(&world, &mut client, &upgrade("/", HOST, ""));
    world.announce();
    backend.send(switching(""));
    assert_eq!(client.message().status(), 101);
    crate::world::leave(&mut client, &mut backend);
    assert_eq!(world.report()["closed cleanly"], 2);
}
