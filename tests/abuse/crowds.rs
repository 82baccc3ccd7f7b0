//! Many at once: slow ones, silent ones, and those who only knock.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use crate::http::upgrade;
use crate::scene::{HEALTHY, Scene};
use crate::support::PATIENCE;
use crate::world::{HOST, PATIENT};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    ("headers_byte_by_byte_are_ended", slow_headers),
    ("handshakes_that_stand_still_are_ended", slow_tls),
    ("a_flood_of_connects_is_taken_and_forgotten", connects),
    ("idle_connections_cost_little_and_are_ended", idle),
];

fn connect(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).expect("connect to batond");
    socket
        .set_read_timeout(Some(PATIENCE))
        .expect("bound the waits");
    socket
}

/// Reads to the end, whatever comes.
fn ended(mut socket: TcpStream) {
    let mut buffer = [0; 4096];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                panic!("not ended in {PATIENCE:?}")
            }
            Err(_) => return,
        }
    }
}

fn slow_headers() {
    const CLIENTS: usize = 300;
    let scene = Scene::begin(
        "300 clients that send a header one byte at a time",
        "handshake_timeout = \"1s\"",
    );
    let mut slow: Vec<TcpStream> = (0..CLIENTS).map(|_| connect(scene.world.plain)).collect();
    let request = upgrade("/", HOST, "");
    // A round takes a while, so the time is over long before the header is.
    for byte in request.bytes().take(request.len() - 1) {
        for socket in &mut slow {
            let _ = socket.write_all(&[byte]);
        }
        if scene.bitten("handshake_timeout") == CLIENTS as u64 {
            break;
        }
    }
    slow.into_iter().for_each(ended);
    assert_eq!(scene.bitten("handshake_timeout"), CLIENTS as u64);
    // The beginning of a header, a task and a timer for each: less than 32 KiB.
    scene.end(
        "ended after handshake_timeout, counted",
        CLIENTS as u64 * 32 + (2 << 10),
    );
}

/// What a client says first (TLS 1.2 and 1.3), whole.
fn hello() -> Vec<u8> {
    let trust = rustls::RootCertStore::empty();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_root_certificates(trust)
        .with_no_client_auth();
    let name = HOST.try_into().expect("a name");
    let mut session = rustls::ClientConnection::new(config.into(), name).expect("a session");
    let mut bytes = Vec::new();
    session.write_tls(&mut bytes).expect("write to memory");
    bytes
}

fn slow_tls() {
    const EACH: usize = 100;
    let scene = Scene::begin(
        "400 TLS clients: silent, half a record header, half a ClientHello, a whole one and no more",
        "handshake_timeout = \"1s\"",
    );
    let hello = hello();
    let parts = [0, 3, hello.len() / 2, hello.len()];
    let mut slow = Vec::new();
    for _ in 0..EACH {
        for part in parts {
            let mut socket = connect(scene.world.secure);
            let _ = socket.write_all(&hello[..part]);
            slow.push(socket);
        }
    }
    let count = slow.len() as u64;
    slow.into_iter().for_each(ended);
    assert_eq!(scene.bitten("handshake_timeout"), count);
    // rustls's state of a handshake, with its transcript and keys: less than 64 KiB.
    scene.end(
        "ended after handshake_timeout, counted",
        count * 64 + (2 << 10),
    );
}

fn connects() {
    const BURSTS: usize = 20;
    const BURST: usize = 1000;
    let scene = Scene::begin(
        "20,000 connects in bursts of 1,000, each closed at once",
        PATIENT,
    );
    let begin = Instant::now();
    for _ in 0..BURSTS {
        let burst: Vec<TcpStream> = (0..BURST).map(|_| connect(scene.world.plain)).collect();
        drop(burst);
    }
    let took = begin.elapsed();
    let rate = (BURSTS * BURST) as f64 * 60.0 / took.as_secs_f64();
    // Newcomers are served as ever.
    let (mut client, mut backend) = scene.world.secure_pair();
    client.say(&[crate::frame::Frame::text("hello")]);
    backend.hear(&[crate::frame::Frame::text("hello")]);
    // With those who exchange messages, and the newcomer.
    let all = (BURSTS * BURST + 2 * HEALTHY + 1) as u64;
    scene.comes_to("batond_accepted_total", all);
    // A task and the buffer of a parser for each of those that are there at once: limits.handshakes.
    scene.end(
        &format!("all taken ({rate:.0} a minute)"),
        1000 * 32 + (4 << 10),
    );
}

fn idle() {
    const CLIENTS: usize = 4000;
    let scene = Scene::begin(
        "4,000 connections that have had an answer and stay without a word",
        "handshake_timeout = \"5s\"\nhandshakes = 10000",
    );
    let mut idle = Vec::new();
    for _ in 0..CLIENTS {
        let mut socket = connect(scene.world.plain);
        socket
            .write_all(b"GET /nowhere HTTP/1.1\r\nHost: a@b\r\n\r\n")
            .expect("ask");
        idle.push(socket);
    }
    idle.into_iter().for_each(ended);
    // A task, a timer and the buffers of a parser for each.
    scene.end(
        "each ended 5 s (handshake_timeout) after its answer",
        CLIENTS as u64 * 32,
    );
}
