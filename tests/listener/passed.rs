//! Sockets that systemd or a predecessor passed in.

use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use batond::config::Address;
use batond::edge::listener::{Listener, ListeningSocket, Origin, PassedSocket, open_all};
use rustix::net::sockopt::{self, socket_cookie};

use crate::{Folder, address_of, tcp, tcp_fd, unix};

fn passed(name: &str, socket: OwnedFd, from_unit: bool) -> PassedSocket {
    PassedSocket {
        name: name.to_owned(),
        socket,
        from_unit,
    }
}

#[test]
fn the_file_goes_with_whoever_has_the_socket_last() {
    let folder = Folder::new();
    let config = [unix("ws", &folder.socket())];
    let mut old = Listener::bind(&config[0]).unwrap();

    let copy = old.as_fd().try_clone_to_owned().unwrap();
    let failed = open_all(&config, vec![], vec![passed("ws", copy, false)]).unwrap();
    assert_eq!(failed.listeners[0].origin(), Origin::Handoff);
    drop(failed);
    assert!(
        folder.socket().exists(),
        "a successor that failed must not remove it"
    );

    let copy = old.as_fd().try_clone_to_owned().unwrap();
    let mut opened = open_all(&config, vec![], vec![passed("ws", copy, false)]).unwrap();
    old.hand_on();
    opened.listeners[0].take_over();
    drop(old);
    UnixStream::connect(folder.socket()).unwrap();
    drop(opened);
    assert!(!folder.socket().exists());
}

#[test]
fn systemds_file_is_never_removed() {
    let folder = Folder::new();
    let socket = UnixListener::bind(folder.socket()).unwrap();
    let mut listener = Listener::adopt("ws".into(), socket.into(), Origin::Systemd).unwrap();
    listener.take_over();
    drop(listener);
    assert!(folder.socket().exists());
}

#[test]
fn an_adopted_socket_no_longer_blocks() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let copy = socket.try_clone().unwrap();
    let listener = Listener::adopt("ws".into(), socket.into(), Origin::Systemd).unwrap();
    // The copy shares the mode; accepting on it would hang if it were wrong.
    let mode = rustix::fs::fcntl_getfl(&copy).unwrap();
    assert!(mode.contains(rustix::fs::OFlags::NONBLOCK));
    assert!(listener.offer().from_unit);
}

#[test]
fn only_listening_stream_sockets_are_adopted() {
    let folder = Folder::new();
    let (one_end, _other) = UnixStream::pair().unwrap();
    let file = fs::File::create(folder.file("f")).unwrap();
    let netlink = rustix::net::socket(
        rustix::net::AddressFamily::NETLINK,
        rustix::net::SocketType::RAW,
        None,
    );
    let cases: [(OwnedFd, &str); 5] = [
        (
            UdpSocket::bind("127.0.0.1:0").unwrap().into(),
            "is not a stream socket",
        ),
        (
            UnixDatagram::unbound().unwrap().into(),
            "is not a stream socket",
        ),
        (one_end.into(), "does not listen"),
        (file.into(), "is not a socket"),
        (netlink.unwrap(), "is neither a TCP nor a Unix socket"),
    ];
    for (fd, what) in cases {
        let error = Listener::adopt("wss".into(), fd, Origin::Systemd)
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("listener.wss: the descriptor passed"),
            "{error}"
        );
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn an_abstract_unix_socket_is_adopted() {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("batond-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixListener::bind_addr(&address).unwrap();
    let listener = Listener::adopt("ws".into(), socket.into(), Origin::Systemd).unwrap();
    assert_eq!(
        listener.address(),
        &Address::Unix(format!("@{name}").into())
    );
}

#[test]
fn a_socket_unit_decides_on_the_address_and_on_how_many() {
    let (one, _) = tcp_fd("127.0.0.1:0");
    let (two, _) = tcp_fd("127.0.7.3:0");
    let (stray, _) = tcp_fd("127.0.0.1:0");
    let cookies = [socket_cookie(&one).unwrap(), socket_cookie(&two).unwrap()];
    let inherited = vec![
        ("wss".into(), one),
        ("other".into(), stray),
        ("wss".into(), two),
    ];
    let config = [tcp("ws", "127.0.0.1:0"), tcp("wss", "127.0.0.1:1")];
    let opened = open_all(&config, inherited, vec![]).unwrap();

    let names: Vec<_> = opened.listeners.iter().map(Listener::name).collect();
    assert_eq!(names, ["ws", "wss", "wss"]);
    assert_eq!(opened.listeners[0].origin(), Origin::Bound);
    let adopted: Vec<_> = opened.listeners[1..]
        .iter()
        .map(|one| socket_cookie(one).unwrap())
        .collect();
    assert_eq!(adopted, cookies);
    assert_eq!(opened.unclaimed.len(), 1);
    assert_eq!(opened.unclaimed[0].name, "other");
}

#[test]
fn a_socket_units_listener_stays_one_across_a_handoff() {
    let (fd, address) = tcp_fd("127.0.0.1:0");
    let config = [tcp("wss", "127.0.0.1:1")];
    let opened = open_all(&config, vec![], vec![passed("wss", fd, true)]).unwrap();
    assert_eq!(address_of(&opened.listeners[0]), address);
    assert!(opened.listeners[0].offer().from_unit);
}

#[test]
fn a_predecessors_listener_is_taken_if_its_address_is_still_configured() {
    let (fd, address) = tcp_fd("127.0.0.1:0");
    let cookie = socket_cookie(&fd).unwrap();
    let config = [tcp("ws", &address.to_string())];
    let opened = open_all(&config, vec![], vec![passed("ws", fd, false)]).unwrap();
    assert_eq!(opened.listeners[0].origin(), Origin::Handoff);
    assert_eq!(socket_cookie(&opened.listeners[0]).unwrap(), cookie);

    let (fd, address) = tcp_fd("127.0.7.2:0");
    let opened = open_all(
        &[tcp("ws", "127.0.7.3:0")],
        vec![],
        vec![passed("ws", fd, false)],
    )
    .unwrap();
    assert_eq!(opened.listeners[0].origin(), Origin::Bound);
    assert_eq!(
        address_of(&opened.listeners[0]).ip().to_string(),
        "127.0.7.3"
    );
    assert_eq!(opened.unclaimed.len(), 1);
    drop(opened);
    TcpStream::connect(address).unwrap_err();
}

#[test]
fn a_unix_socket_whose_file_is_gone_is_bound_anew() {
    let folder = Folder::new();
    let socket = UnixListener::bind(folder.socket()).unwrap();
    fs::remove_file(folder.socket()).unwrap();
    let config = [unix("ws", &folder.socket())];
    let opened = open_all(&config, vec![], vec![passed("ws", socket.into(), false)]).unwrap();
    assert_eq!(opened.listeners[0].origin(), Origin::Bound);
    UnixStream::connect(folder.socket()).unwrap();
}

#[test]
fn a_socket_passed_twice_is_taken_once() {
    let (fd, address) = tcp_fd("127.0.0.1:0");
    let again = fd.try_clone().unwrap();
    let third = fd.try_clone().unwrap();
    let inherited = vec![("wss".into(), fd), ("wss".into(), again)];
    let config = [tcp("wss", &address.to_string())];
    let opened = open_all(&config, inherited, vec![passed("wss", third, false)]).unwrap();
    assert_eq!(opened.listeners.len(), 1);
    assert_eq!(opened.listeners[0].origin(), Origin::Systemd);
    assert!(opened.unclaimed.is_empty());
}

#[test]
fn when_one_listener_fails_none_stays_bound() {
    let folder = Folder::new();
    let (_taken, taken) = tcp_fd("127.0.0.1:0");
    // A loopback address of its own, so that no other test gets the port when it is free.
    let (_, free) = tcp_fd("127.0.7.1:0");
    let (handed, served) = tcp_fd("127.0.0.1:0");
    let predecessor = handed.try_clone().unwrap();
    let config = [
        tcp("ws", &free.to_string()),
        unix("local", &folder.socket()),
        tcp("handed", &served.to_string()),
        tcp("wss", &taken.to_string()),
    ];
    let error = open_all(&config, vec![], vec![passed("handed", handed, false)]).unwrap_err();
    assert_eq!(error.listener, "wss");
    assert_eq!(
        TcpStream::connect(free).unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );
    assert!(!folder.socket().exists());
    TcpStream::connect(served).expect("the predecessor goes on listening");
    drop(predecessor);
}

#[test]
fn a_socket_passed_under_another_name_is_the_remedy_for_its_address() {
    let (fd, address) = tcp_fd("127.0.0.1:0");
    let config = [tcp("wss", &address.to_string())];
    let error = open_all(&config, vec![("batond.socket".into(), fd)], vec![]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "listener.wss: cannot bind {address}: address in use (systemd passed {address} under \
             the name \"batond.socket\": set FileDescriptorName=wss in the socket unit)"
        )
    );

    let (fd, address) = tcp_fd("127.0.0.1:0");
    let config = [tcp("wss", &format!("0.0.0.0:{}", address.port()))];
    let [unit, own] = [true, false];
    let copy = fd.try_clone().unwrap();
    let named = vec![passed("other", copy, unit)];
    let error = open_all(&config, vec![], named).unwrap_err().to_string();
    assert!(error.contains("set FileDescriptorName=wss"), "{error}");
    // One that has to stay.
    let stays = tcp("stays", &address.to_string());
    let both = [config[0].clone(), stays];
    let named = vec![passed("stays", fd, own)];
    let error = open_all(&both, vec![], named).unwrap_err().to_string();
    let remedy = format!("batond has {address} as listener.stays: take that listener out");
    assert!(error.contains(&remedy), "{error}");
}

#[test]
fn an_address_takes_the_place_of_one_that_it_overlaps_with() {
    for (old, new) in [
        ("127.0.0.1", "0.0.0.0"),
        ("0.0.0.0", "127.0.0.1"),
        ("0.0.0.0", "[::]"),
    ] {
        let (fd, address) = tcp_fd(&format!("{old}:0"));
        let config = [tcp("wss", &format!("{new}:{}", address.port()))];
        let opened = open_all(&config, vec![], vec![passed("wss", fd, false)]).unwrap();
        assert_eq!(opened.listeners[0].origin(), Origin::Bound);
        // Nobody else may listen there, not even one who would share the port.
        let another = Listener::bind(&config[0]).unwrap_err().to_string();
        assert!(another.contains("address in use"), "{another}");
        for socket in [
            opened.listeners[0].as_fd(),
            opened.unclaimed[0].socket.as_fd(),
        ] {
            assert_eq!(sockopt::socket_reuseport(socket), Ok(false));
        }

        let first = TcpStream::connect(("127.0.0.1", address.port())).unwrap();
        let PassedSocket { name, socket, .. } = opened.unclaimed.into_iter().next().unwrap();
        let mut retired = Listener::adopt(name, socket, Origin::Handoff).unwrap();
        retired.let_nobody_in().unwrap();
        let second = TcpStream::connect(("127.0.0.1", address.port())).unwrap();
        let ListeningSocket::Tcp(new) = opened.listeners[0].socket() else {
            panic!("no TCP socket");
        };
        let ListeningSocket::Tcp(old) = retired.socket() else {
            panic!("no TCP socket");
        };
        let from = |listener: &TcpListener, client: &TcpStream| {
            let port = client.local_addr().unwrap().port();
            listener.accept().is_ok_and(|(_, peer)| peer.port() == port)
        };
        assert!(from(old, &first) || from(new, &first));
        assert!(from(new, &second));
    }
}

/// Where IPv6 is off, `[::]` has become `0.0.0.0`, which must not look like another address.
#[test]
fn the_unspecified_address_is_taken_over_on_every_host() {
    let config = [tcp("wss", "[::]:0")];
    let old = open_all(&config, vec![], vec![]).unwrap();
    let copy = old.listeners[0].as_fd().try_clone_to_owned().unwrap();
    let new = open_all(&config, vec![], vec![passed("wss", copy, false)]).unwrap();
    assert_eq!(new.listeners[0].origin(), Origin::Handoff);
}

#[test]
fn listeners_that_change_their_names_keep_their_sockets() {
    let (one, first) = tcp_fd("127.0.0.1:0");
    let (two, second) = tcp_fd("127.0.0.1:0");
    let cookies = [socket_cookie(&two).unwrap(), socket_cookie(&one).unwrap()];
    let config = [
        tcp("one", &second.to_string()),
        tcp("three", &first.to_string()),
    ];
    let handed = vec![passed("one", one, false), passed("two", two, false)];
    let opened = open_all(&config, vec![], handed).unwrap();
    let names: Vec<_> = opened.listeners.iter().map(Listener::name).collect();
    assert_eq!(names, ["one", "three"]);
    let adopted: Vec<_> = opened
        .listeners
        .iter()
        .map(|one| socket_cookie(one).unwrap())
        .collect();
    assert_eq!(adopted, cookies);
    assert!(opened.unclaimed.is_empty());
}
