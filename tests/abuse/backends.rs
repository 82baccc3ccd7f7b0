//! Backends that break the rules: they may hurt their own clients, and nobody else.

use crate::frame::Frame;
use crate::http::{switching, upgrade};
use crate::scene::Scene;
use crate::world::{HOST, PATIENT};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    ("a_backend_whose_header_has_no_end_is_a_502", endless),
    (
        "a_backend_that_switches_and_talks_garbage_costs_its_client_1014",
        garbage,
    ),
    (
        "a_backend_that_never_answers_keeps_nothing_of_a_client_that_is_gone",
        silent,
    ),
    ("a_backend_that_lies_about_a_length_ends_its_answer", lies),
];

fn endless() {
    let scene = Scene::begin(
        "A backend that answers with header lines without end",
        PATIENT,
    );
    let mut client = scene.world.client();
    client.send(upgrade("/", HOST, ""));
    let mut backend = scene.world.backend.accept();
    backend.message();
    backend.send("HTTP/1.1 101 Switching Protocols\r\n");
    while backend
        .try_send(&b"X-More: and more\r\n".repeat(100))
        .is_ok()
    {}
    assert_eq!(client.message().status(), 502);
    scene.end("502, counted with backend_failures", 4 << 10);
}

fn garbage() {
    let scene = Scene::begin("A backend that sends 101 and then garbage", PATIENT);
    for garbage in [
        &b"HTTP/1.1 200 OK\r\n\r\n"[..],
        &[0xff; 100],
        &[0x83, 0x00],
        &[0x81, 0x80, 1, 2, 3, 4],
    ] {
        let mut client = scene.world.client();
        client.send(upgrade("/", HOST, ""));
        let mut backend = scene.world.backend.switch("");
        assert_eq!(client.message().status(), 101);
        backend.send(garbage);
        assert_eq!(client.closed(), 1014);
        assert_eq!(backend.closed(), 1002);
    }
    scene.comes_to(
        "batond_protocol_violations_total{service=\"app\",peer=\"backend\"}",
        4,
    );
    scene.end(
        "1014 for the client, 1002 for the backend, counted",
        2 << 10,
    );
}

fn silent() {
    const CLIENTS: usize = 50;
    let scene = Scene::begin(
        "A backend that accepts and never answers, dribbles its header, or answers in part",
        PATIENT,
    );
    let parts: [&str; 3] = [
        "",
        "H",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upg",
    ];
    for number in 0..CLIENTS {
        let mut client = scene.world.client();
        client.send(upgrade("/", HOST, ""));
        let mut backend = scene.world.backend.accept();
        backend.message();
        backend.send(parts[number % parts.len()]);
        drop(client);
        // The daemon lets go of it: the backend learns that there is nobody to answer.
        while let Ok(true) = backend.try_fill() {}
    }
    scene.end("the client waits, 60 s at most (504); when it leaves, so does its connection to the backend", 2 << 10);
}

fn lies() {
    let scene = Scene::begin(
        "A backend whose Content-Length is too long, or too short",
        PATIENT,
    );
    for (length, sent) in [(100, 10), (5, 10)] {
        let mut client = scene.world.client();
        client.send("GET / HTTP/1.1\r\nHost: chat.test\r\n\r\n");
        let mut backend = scene.world.backend.accept();
        backend.message();
        backend.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{}",
            "x".repeat(sent)
        ));
        backend.end();
        assert_eq!(client.message().status(), 200);
        assert_eq!(client.take(sent.min(length)), b"x".repeat(sent.min(length)));
        if length > sent {
            while let Ok(true) = client.try_fill() {}
            assert_eq!(client.take_now(), b"");
        } else {
            // What is too much belongs to nobody: the connection stands for the next request.
            client.send(upgrade("/", HOST, ""));
            let mut backend = scene.world.backend.accept();
            backend.message();
            backend.send(switching(""));
            assert_eq!(client.message().status(), 101);
            client.say(&[Frame::text("hello")]);
            backend.hear(&[Frame::text("hello")]);
        }
    }
    scene.end(
        "too short: the connection ends; too long: the rest is dropped",
        2 << 10,
    );
}
