//! While no backend answers, newcomers wait for it: in order, for a while, and not too many.

use std::fs;
use std::io::ErrorKind;
use std::time::Instant;

use rustix::process::Signal;

use crate::edge::{asked, dead, listen};
use crate::frame::Frame;
use crate::http::{Message, switching, upgrade};
use crate::peer::{Peer, STILL};
use crate::support::PATIENCE;
use crate::world::{Backend, HOST, Plan, World};

pub(crate) const PLAIN: &str = "GET /page HTTP/1.1\r\nHost: chat.test\r\n\r\n";

/// Its body does not come at once.
pub(crate) const POST: &str =
    "POST /form HTTP/1.1\r\nHost: chat.test\r\nContent-Length: 11\r\n\r\nhello";

/// A world whose backend is not there yet; newcomers wait longer than any test does.
pub(crate) fn waiting() -> World {
    with_restart("hold = \"5m\"")
}

pub(crate) fn with_restart(lines: &str) -> World {
    Plan::new().backend(dead()).restart(lines).start()
}

pub(crate) fn refused(client: &mut Peer) -> (Message, String) {
    let (answer, body) = client.answer();
    assert_eq!(answer.status(), 503);
    let after = answer.values("retry-after");
    assert!(matches!(after[..], [one] if one.parse::<u32>().is_ok()));
    (answer, body)
}

/// Sees whether the client is told nothing within [`STILL`]. TLS has tickets for it all the same.
pub(crate) fn waits(client: &mut Peer) -> bool {
    let bound = |time| client.socket().set_read_timeout(Some(time));
    bound(STILL).expect("bound a wait");
    let told = client.try_fill();
    let bound = |time| client.socket().set_read_timeout(Some(time));
    bound(PATIENCE).expect("bound a wait");
    told.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

#[test]
fn newcomers_are_held_until_the_backend_is_there() {
    let world = waiting();
    let mut clients = [world.client(), world.secure_client()];
    for client in &mut clients {
        client.send(upgrade("/", HOST, ""));
    }
    let mut page = world.client();
    page.send(PLAIN);
    let mut form = world.client();
    form.send(POST);
    assert!(clients.iter_mut().all(waits) && waits(&mut page) && waits(&mut form));
    listen(&world.backend);
    form.send(" world");
    let mut websockets = Vec::new();
    for _ in 0..4 {
        let mut peer = asked(&world.backend);
        let request = peer.message();
        match request.line.as_str() {
            "GET / HTTP/1.1" => {
                peer.send(switching(""));
                websockets.push(peer);
            }
            "GET /page HTTP/1.1" => {
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage");
            }
            "POST /form HTTP/1.1" => {
                assert_eq!(request.values("content-length"), ["11"]);
                assert_eq!(peer.take(11), b"hello world");
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nform");
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(page.answer().1, "page");
    assert_eq!(form.answer().1, "form");
    for peer in &mut websockets {
        peer.say(&[Frame::text("welcome")]);
    }
    for client in &mut clients {
        assert_eq!(client.message().status(), 101);
        client.hear(&[Frame::text("welcome")]);
    }
    // It goes on as if nothing had been.
    let mut client = world.client();
    client.send(upgrade("/", HOST, ""));
    asked(&world.backend).send(switching(""));
    assert_eq!(client.message().status(), 101);
    world
        .batond
        .wait_for_log("service.app: a backend answers again", 1);
    let log = world.batond.log();
    for said in [
        "service.app: cannot connect to ",
        "service.app: a backend answers again",
    ] {
        assert_eq!(log.matches(said).count(), 1, "{said}:\n{log}");
    }
}

#[test]
fn a_backend_on_a_unix_socket_is_waited_for_too() {
    let directory = tempfile::tempdir().expect("make a directory");
    let path = directory.path().join("app.sock");
    let config = format!(
        "[service.local]\npaths = [\"/local\"]\nbackends = [\"unix:{}\"]\n[service.local.restart]\nhold = \"5m\"",
        path.display()
    );
    let world = Plan::new().sections(&config).start();
    // Without a file, and with one that a dead process has left.
    for file in [false, true] {
        if file {
            drop(Backend::unix(&path));
        }
        let mut client = world.client();
        client.send(upgrade("/local", HOST, ""));
        assert!(waits(&mut client));
        let _ = fs::remove_file(&path);
        let backend = Backend::unix(&path);
        asked(&backend).send(switching(""));
        assert_eq!(client.message().status(), 101);
        drop(backend);
        fs::remove_file(&path).expect("remove the socket");
    }
}

#[test]
fn a_body_sent_in_chunks_arrives_whole_after_the_wait() {
    let world = waiting();
    let mut client = world.client();
    let body = vec![b'x'; 50_000];
    client.send("POST /form HTTP/1.1\r\nHost: chat.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(format!("{:x}\r\n", body.len()));
    client.send(&body);
    assert!(waits(&mut client));
    listen(&world.backend);
    client.send("\r\n0\r\n\r\n");
    let mut peer = asked(&world.backend);
    assert_eq!(peer.message().values("transfer-encoding"), ["chunked"]);
    let mut arrived = Vec::new();
    loop {
        let chunk = peer.chunk();
        if chunk.is_empty() {
            break;
        }
        arrived.extend(chunk);
    }
    assert_eq!(arrived, body);
}

#[test]
fn who_has_waited_long_enough_gets_a_503_and_a_time_to_come_back() {
    let world = with_restart("hold = \"300ms\"");
    for ask in [upgrade("/", HOST, ""), PLAIN.to_owned(), POST.to_owned()] {
        for mut client in [world.client(), world.secure_client()] {
            client.send(&ask);
            let (_, body) = refused(&mut client);
            assert_eq!(body, "the service is not there at the moment\n");
        }
    }
    world.batond.wait_for_log("cannot connect to", 1);
    let log = world.batond.log();
    assert_eq!(log.matches("cannot connect to").count(), 1, "{log}");
}

#[test]
fn a_newcomer_too_many_gets_a_503_at_once() {
    let world = with_restart("hold = \"5m\"\nmax_held = 2");
    let mut held = [world.client(), world.secure_client()];
    for client in &mut held {
        client.send(upgrade("/", HOST, ""));
        assert!(waits(client));
    }
    for _ in 0..3 {
        let mut client = world.client();
        client.send(upgrade("/", HOST, ""));
        let (_, body) = refused(&mut client);
        assert!(body.contains("too many"), "{body}");
    }
    world.batond.wait_for_log("max_held: 2 newcomers wait", 1);
    let log = world.batond.log();
    assert_eq!(
        log.matches("max_held: 2 newcomers wait").count(),
        1,
        "{log}"
    );
    listen(&world.backend);
    for _ in &held {
        asked(&world.backend).send(switching(""));
    }
    for client in &mut held {
        assert_eq!(client.message().status(), 101);
    }
}

#[test]
fn a_client_that_leaves_while_it_is_held_frees_its_place() {
    let world = with_restart("hold = \"5m\"\nmax_held = 1");
    let chunked = "POST /form HTTP/1.1\r\nHost: chat.test\r\nTransfer-Encoding: chunked\r\n\r\n";
    let whole = format!("{POST} world");
    let asks = [
        upgrade("/", HOST, ""),
        // With the begin of what is meant for the backend.
        format!("{}x", upgrade("/", HOST, "")),
        PLAIN.into(),
        POST.into(),
        chunked.into(),
        whole,
    ];
    let connect: [fn(&World) -> Peer; 2] = [World::client, World::secure_client];
    // The daemon learns of it at its own pace, so a few may still be refused.
    let hold = |connect: fn(&World) -> Peer, ask: &str| {
        let begun = Instant::now();
        loop {
            let mut client = connect(&world);
            client.send(ask);
            if waits(&mut client) {
                return client;
            }
            refused(&mut client);
            assert!(begun.elapsed() < PATIENCE, "the place is not free");
        }
    };
    for connect in connect {
        for ask in &asks {
            hold(connect, ask).end();
            hold(connect, ask).vanish();
        }
    }
}

#[test]
fn who_is_held_goes_where_a_new_configuration_says() {
    let world = waiting();
    let mut client = world.client();
    client.send(upgrade("/", HOST, ""));
    assert!(waits(&mut client));
    let better = Backend::tcp();
    let path = world.batond.config();
    let config = fs::read_to_string(&path).expect("read the configuration");
    let config = config.replace(&world.backend.address(), &better.address());
    fs::write(&path, config).expect("write the configuration");
    world.batond.main().signal(Signal::HUP);
    asked(&better).send(switching(""));
    assert_eq!(client.message().status(), 101);
}

/// A backend whose host has vanished without a word is found out.
#[test]
fn connections_to_backends_are_kept_alive() {
    let world = Plan::new().start();
    let (_client, backend) = world.pair();
    let [a, b] = [backend.socket().local_addr(), backend.socket().peer_addr()]
        .map(|address| address.expect("a connected socket").port());
    let ends = format!("0100007F:{b:04X} 0100007F:{a:04X} 01");
    let table = fs::read_to_string("/proc/net/tcp").expect("the sockets of this host");
    let line = table.lines().find(|line| line.contains(&ends));
    let line = line.unwrap_or_else(|| panic!("no {ends} in\n{table}"));
    // proc_net_tcp.rst: after the queues the timer that runs; 02 is the one for keepalive.
    let timer = line.split_whitespace().nth(5).expect("a timer");
    assert!(timer.starts_with("02:"), "{line}");
}
