//! Which backend a request goes to.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;

use rustix::process::Signal;

use crate::http::upgrade;
use crate::peer::{Peer, Stream};
use crate::support::batond::Launch;
use crate::support::sockets::Sockets;
use crate::world::{Backend, HOST, Plan, World};

/// A request that is answered at once, on a connection that ends with it.
fn get(peer: &mut Peer, path: &str, host: &str) {
    peer.send(format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    ));
}

#[test]
fn the_most_exact_host_and_the_longest_path_decide() {
    let [exact, wildcard, deep] = [Backend::tcp(), Backend::tcp(), Backend::tcp()];
    let world = Plan::new()
        .sections(&format!(
            r#"
[service.exact]
hosts = ["a.chat.test"]
backends = ["{}"]

[service.wildcard]
hosts = ["*.chat.test"]
backends = ["{}"]

[service.deep]
hosts = ["*.chat.test"]
paths = ["/deep"]
backends = ["{}"]
"#,
            exact.address(),
            wildcard.address(),
            deep.address(),
        ))
        .start();
    for (host, path, backend) in [
        ("a.chat.test", "/", &exact),
        ("A.Chat.Test.:8443", "/deep/er", &exact),
        ("b.chat.test", "/", &wildcard),
        ("b.chat.test:80", "/deeper", &wildcard),
        ("b.chat.test", "/deep", &deep),
        ("b.chat.test", "/deep/er?x=/", &deep),
        ("elsewhere.test", "/deep", &world.backend),
    ] {
        let mut client = world.client();
        client.send(upgrade(path, host, ""));
        let mut peer = backend.switch("");
        assert_eq!(client.message().status(), 101, "{host} {path}");
        peer.end();
    }
}

#[test]
fn an_unknown_host_or_path_is_not_found() {
    let world = Plan::new()
        .service("hosts = [\"chat.test\"]\npaths = [\"/chat\"]")
        .start();
    for (host, path) in [
        ("chat.test", "/"),
        ("chat.test", "/chatter"),
        ("other.test", "/chat"),
    ] {
        for ask in [
            upgrade(path, host, ""),
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        ] {
            let mut client = world.client();
            client.send(ask);
            let (answer, body) = client.answer();
            assert_eq!(answer.status(), 404, "{host} {path}");
            assert_eq!(body, "no service answers to this host and path\n");
            assert!(!answer.has("retry-after"), "coming back would not help");
        }
    }
}

#[test]
fn a_service_answers_on_its_own_listeners_only() {
    let world = Plan::new().service("listeners = [\"wss\"]").start();
    let mut client = world.client();
    client.send(upgrade("/", HOST, ""));
    assert_eq!(client.answer().0.status(), 404);
    world.secure_pair();
}

#[test]
fn a_newcomer_goes_to_the_backend_with_the_fewest_connections() {
    let [one, other] = [Backend::tcp(), Backend::tcp()];
    let sections = format!(
        "[service.two]\npaths = [\"/two\"]\nbackends = [\"{}\", \"{}\"]",
        one.address(),
        other.address()
    );
    let world = Plan::new().sections(&sections).start();
    let connect = |backend: &Backend| {
        let mut client = world.client();
        client.send(upgrade("/two", HOST, ""));
        let peer = backend.switch("");
        assert_eq!(client.message().status(), 101);
        (client, peer)
    };
    let (mut first, mut first_peer) = connect(&one);
    let _second = connect(&other);
    let _third = connect(&one);
    let _fourth = connect(&other);
    // One has left, and batond knows: so the next one goes there.
    first.end();
    first_peer.ended();
    first_peer.end();
    first.ended();
    let _fifth = connect(&one);
}

#[test]
fn a_backend_that_is_not_there_is_passed_over() {
    let (gone, there) = (Backend::tcp(), Backend::tcp());
    let sections = format!(
        "[service.two]\npaths = [\"/two\"]\nbackends = [\"{}\", \"{}\"]",
        gone.address(),
        there.address()
    );
    let world = Plan::new().sections(&sections).start();
    drop(gone);
    for _ in 0..3 {
        let mut client = world.client();
        client.send(upgrade("/two", HOST, ""));
        there.switch("");
        assert_eq!(client.message().status(), 101);
    }
}

#[test]
fn clients_come_over_ipv4_ipv6_and_a_unix_socket() {
    let backend = Backend::tcp();
    let directory = tempfile::tempdir().expect("make a directory");
    let path = directory.path().join("ws.sock");
    let config = format!(
        r#"
[listener.both]
address = "[::]:0"

[listener.local]
address = "unix:{}"

[service.app]
backends = ["{}"]
"#,
        path.display(),
        backend.address(),
    );
    let sockets = Sockets::new();
    let mut batond = Launch::new(&config).sockets(&sockets).start();
    batond.wait_for_log("listener.both: bound to ", 1);
    let log = batond.log();
    let bound = log
        .lines()
        .find_map(|line| line.split_once("listener.both: bound to "));
    let (_, bound) = bound.unwrap_or_else(|| panic!("no address in the log:\n{log}"));
    let bound = bound.split_whitespace().next().expect("an address");
    let bound: SocketAddr = bound.parse().expect("an address");
    let tcp =
        |address: SocketAddr| Stream::Tcp(TcpStream::connect(address).expect("connect to batond"));
    let port = bound.port();
    let mut clients = vec![
        (tcp((Ipv4Addr::LOCALHOST, port).into()), Some("127.0.0.1")),
        (
            Stream::Unix(UnixStream::connect(&path).expect("connect to batond")),
            None,
        ),
    ];
    if bound.is_ipv6() {
        clients.push((tcp((Ipv6Addr::LOCALHOST, port).into()), Some("::1")));
    }
    let mut pairs = Vec::new();
    for (stream, address) in clients {
        let mut client = Peer::client(stream);
        client.send(upgrade("/", HOST, ""));
        let mut peer = backend.accept();
        let request = peer.message();
        assert_eq!(request.values("x-forwarded-for"), Vec::from_iter(address));
        peer.send(crate::http::switching(""));
        assert_eq!(client.message().status(), 101);
        pairs.push((client, peer));
    }
    // Sockets that the daemon itself has bound end with it: so does the service.
    batond.main().signal(Signal::TERM);
    for (mut client, _peer) in pairs {
        assert_eq!(client.closed(), 1001);
        client.say(&[crate::frame::Frame::close(1001, "")]);
        client.ended();
    }
    assert!(batond.exit_status().success());
}

#[test]
fn an_ordinary_request_takes_the_same_way() {
    let world = World::start();
    for mut client in [world.client(), world.secure_client()] {
        get(&mut client, "/page?x=1", HOST);
        let mut backend = world.backend.accept();
        assert_eq!(backend.message().line, "GET /page?x=1 HTTP/1.1");
        backend.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let (answer, body) = client.answer();
        assert_eq!((answer.status(), &*body), (200, "ok"));
        client.ended();
    }
}
