//! One client at a time, or a few, that break the rules or take nothing.

use std::io::ErrorKind;

use crate::frame::{BINARY, Frame, Length, PING, TEXT};
use crate::http::upgrade;
use crate::peer::Peer;
use crate::scene::Scene;
use crate::support::PATIENCE;
use crate::world::{HOST, PATIENT};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    ("frames_that_cannot_be_are_answered_with_1002", frames),
    ("breaches_of_the_protocol_do_not_flood_the_log", breaches),
    ("a_header_without_end_is_ended", headers),
    ("who_takes_nothing_is_cut_off", never_reading),
    ("who_does_not_answer_the_close_is_let_go", no_answer),
    ("pings_are_passed_on_and_pile_up_nowhere", pings),
    ("what_is_sent_ahead_of_the_101_waits_in_the_socket", ahead),
    ("key_updates_and_tiny_records_cost_only_time", records),
    ("garbage_is_refused_at_every_door", garbage),
];

/// A frame's header with this length, and nothing behind it.
fn header(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first, 0xff];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&[1, 2, 3, 4]);
    bytes
}

fn frames() {
    let scene = Scene::begin(
        "Frames that RFC 6455 forbids (2^63 long, reserved bits and opcodes, long or fragmented control frames, unmasked)",
        PATIENT,
    );
    let key = Some([1, 2, 3, 4]);
    let illegal: [(&str, Vec<u8>); 7] = [
        ("2^63 bytes long", header(0x82, 1 << 63)),
        ("2^64 - 1 bytes long", header(0x82, u64::MAX)),
        (
            "a long ping",
            Frame::last(PING, vec![0; 126]).encode(key, Length::Shortest),
        ),
        (
            "a fragmented ping",
            Frame::more(PING, "").encode(key, Length::Shortest),
        ),
        (
            "a reserved opcode",
            Frame::last(3, "").encode(key, Length::Shortest),
        ),
        (
            "a reserved bit",
            Frame::last(0x40 | TEXT, "").encode(key, Length::Shortest),
        ),
        (
            "no mask",
            Frame::text("bare").encode(None, Length::Shortest),
        ),
    ];
    let count = illegal.len();
    for (what, bytes) in illegal {
        let (mut client, mut backend) = scene.world.pair();
        client.send(bytes);
        assert_eq!(client.closed(), 1002, "{what}");
        let code = backend.closed();
        assert!([1001, 1011, 1002].contains(&code), "{what}: {code}");
    }
    // So long is legal: it is passed on, and nothing is allocated for it.
    let (mut client, mut backend) = scene.world.pair();
    client.send(header(0x82, i64::MAX.cast_unsigned()));
    assert_eq!(backend.take(14)[..2], [0x82, 0xff]);
    scene.comes_to(
        "batond_protocol_violations_total{service=\"app\",peer=\"client\"}",
        count as u64,
    );
    // A page for each of the few connections, and what the allocator keeps at hand.
    scene.end(
        "1002, counted; a header that promises 2^63 - 1 bytes is passed on",
        4 << 10,
    );
}

fn breaches() {
    const CLIENTS: usize = 300;
    let scene = Scene::begin(
        "300 clients that break the protocol, one after the other",
        PATIENT,
    );
    for _ in 0..CLIENTS {
        let (mut client, _backend) = scene.world.pair();
        client.send(Frame::last(3, "").masked());
        assert_eq!(client.closed(), 1002);
        client.ended();
    }
    let left_out = scene.count("batond_log_entries_left_out_total");
    assert!(left_out > CLIENTS as u64 / 2, "{left_out} were left out");
    let log = scene.world.batond.log();
    let told = log.matches("was closed with 1002").count();
    assert!((20..CLIENTS / 2).contains(&told), "{told} log entries");
    scene.end(
        &format!("1002 each; {told} log entries, {left_out} left out and counted"),
        4 << 10,
    );
}

fn headers() {
    let scene = Scene::begin(
        "Headers: one line of 1 MiB, 20,000 lines, a cookie of 64 KiB, lines without end",
        PATIENT,
    );
    let mut refused = 0;
    let line = format!("Cookie: {}\r\n", "x".repeat(1 << 20));
    let lines = "X-Many: 1\r\n".repeat(20_000);
    let cookie = format!("Cookie: {}\r\n", "x".repeat(64 << 10));
    for more in [line, lines, cookie] {
        for mut client in [scene.world.client(), scene.world.secure_client()] {
            // It may be refused before all of it is sent.
            let _ = client.try_send(upgrade("/", HOST, &more).as_bytes());
            assert_eq!(client.message().status(), 431);
            refused += 1;
        }
    }
    let mut client = scene.world.client();
    client.send("GET / HTTP/1.1\r\n");
    while client
        .try_send(&b"X-More: and more\r\n".repeat(100))
        .is_ok()
    {}
    refused += 1;
    assert_eq!(scene.bitten("header_bytes"), refused);
    // limits.header_bytes for each of the few connections, and what the allocator keeps at hand.
    scene.end("431 and the end, counted as header_bytes", 4 << 10);
}

/// Sends until the daemon takes no more, and then until it is gone.
fn flood(backend: &mut Peer) {
    let frame = Frame::last(BINARY, vec![7; 60_000]).plain();
    loop {
        match backend.try_send(&frame) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                panic!("the backend is held up for {PATIENCE:?}")
            }
            Err(_) => return,
        }
    }
}

fn never_reading() {
    const CLIENTS: usize = 10;
    let scene = Scene::begin(
        "10 clients that read nothing while their backends send all they can",
        &format!("stall_timeout = \"1s\"\n{PATIENT}"),
    );
    let mut pairs: Vec<(Peer, Peer)> = (0..CLIENTS / 2)
        .flat_map(|_| [scene.world.pair(), scene.world.secure_pair()])
        .collect();
    std::thread::scope(|scope| {
        for (_, backend) in &mut pairs {
            scope.spawn(|| flood(backend));
        }
    });
    scene.comes_to(
        "batond_limit_reached_total{limit=\"stall_timeout\"}",
        CLIENTS as u64,
    );
    // One read from the backend (64 KiB) and as much again for its TLS records waits for each.
    let bound = CLIENTS as u64 * 160 + (2 << 10);
    scene.end(
        "cut off after stall_timeout, counted; the backends are held up until then",
        bound,
    );
}

fn no_answer() {
    let scene = Scene::begin("A client that does not answer its backend's Close", PATIENT);
    for (mut client, mut backend) in [scene.world.pair(), scene.world.secure_pair()] {
        backend.say(&[Frame::close(1000, "bye")]);
        client.hear(&[Frame::close(1000, "bye")]);
        // Nothing of the client's comes, and it does not end the connection.
        client.ended();
        while backend.frame().is_some() {}
    }
    scene.end("the connection ends after close_timeout", 2 << 10);
}

fn pings() {
    let scene = Scene::begin(
        "100,000 pings from a client, and 100,000 from its backend",
        PATIENT,
    );
    for (mut client, mut backend) in [scene.world.pair(), scene.world.secure_pair()] {
        let ping = Frame::last(PING, "are you there?");
        pass(&mut client, &mut backend, &ping.masked());
        pass(&mut backend, &mut client, &ping.plain());
    }
    scene.end("passed on, each as it came", 4 << 10);
}

/// Sends 100,000 copies, while the other end takes them.
fn pass(from: &mut Peer, to: &mut Peer, bytes: &[u8]) {
    let many = bytes.repeat(1000);
    std::thread::scope(|scope| {
        scope.spawn(|| (0..100).for_each(|_| from.send(&many)));
        for _ in 0..100 {
            assert_eq!(to.take(many.len()), many);
        }
    });
}

fn ahead() {
    const CLIENTS: usize = 20;
    let scene = Scene::begin(
        "20 clients that send 4 MiB each before the backend has answered the upgrade",
        PATIENT,
    );
    let message = Frame::last(BINARY, vec![1; 1000]).masked();
    let mut waiting = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = scene.world.client();
        client.send(upgrade("/", HOST, ""));
        let mut backend = scene.world.backend.accept();
        backend.message();
        let sent = client.stuff(&message, 4 << 20);
        waiting.push((client, backend, sent));
    }
    let most = waiting.iter().map(|(_, _, sent)| *sent).max().unwrap_or(0);
    // All of it arrives.
    for (_client, backend, sent) in &mut waiting {
        backend.send(crate::http::switching(""));
        backend.take(*sent);
    }
    // hyper reads limits.header_bytes ahead at most, and each has a connection to its backend.
    scene.end(
        &format!(
            "up to {} KiB wait, in the sockets but for 16 KiB; they arrive after the 101",
            most >> 10
        ),
        CLIENTS as u64 * 64 + (4 << 10),
    );
}

fn records() {
    let scene = Scene::begin(
        "TLS: 2,000 key updates, and 100,000 bytes in records of one byte and of 2^14",
        PATIENT,
    );
    let (mut client, mut backend) = scene.world.secure_pair();
    for _ in 0..2000 {
        client.refresh_keys();
        client.say(&[Frame::text("x")]);
        backend.hear(&[Frame::text("x")]);
    }
    for _ in 0..1000 {
        let frame = Frame::text("tiny");
        for byte in frame.masked() {
            client.send([byte]);
        }
        backend.hear(&[frame]);
    }
    for size in [(1 << 14) - 9, (1 << 14) - 8, (1 << 14) - 7, 1 << 14] {
        let frame = Frame::last(BINARY, vec![9; size]);
        client.say(std::slice::from_ref(&frame));
        backend.hear(std::slice::from_ref(&frame));
        backend.say(std::slice::from_ref(&frame));
        client.hear(&[frame]);
    }
    scene.end("passed on", 4 << 10);
}

fn garbage() {
    let scene = Scene::begin(
        "Garbage on the plain port and on the TLS port (text, binary, a record that is too long, SSLv2, HTTP)",
        PATIENT,
    );
    let samples: [&[u8]; 7] = [
        b"\0\0\0\0\0\0\0\0",
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
        b"\x16\x03\x01\xff\xff\x01\x00\x00\x00",
        b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",
        b"GET / HTTP/1.1\r\nHost: chat.test\r\n\r\n",
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
        b"\x15\x03\x03\x00\x02\x02\x28",
    ];
    for sample in samples {
        let secure = std::net::TcpStream::connect(scene.world.secure).expect("connect");
        let mut client = Peer::client(crate::peer::Stream::Tcp(secure));
        let _ = client.try_send(sample);
        client.end();
        while let Ok(true) = client.try_fill() {}
        let mut client = scene.world.client();
        let _ = client.try_send(sample);
        client.end();
        while let Ok(true) = client.try_fill() {}
    }
    scene.end("400 or nothing, an alert or nothing; the end", 2 << 10);
}
