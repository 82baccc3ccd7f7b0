//! Listening sockets, with real sockets: bound, adopted, taken over, all or nothing.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use batond::config::{Address, ListenerConfig};
use batond::edge::listener::{Listener, ListeningSocket, Origin, PassedSocket, open_all};
use rustix::net::sockopt::socket_cookie;

fn configured(name: &str, address: Address) -> ListenerConfig {
    ListenerConfig {
        name: name.to_owned(),
        address,
        certificates: vec![],
        trusted: vec![],
    }
}

fn tcp(name: &str, address: &str) -> ListenerConfig {
    configured(name, Address::Tcp(address.parse().unwrap()))
}

fn unix(name: &str, path: &Path) -> ListenerConfig {
    configured(name, Address::Unix(path.to_owned()))
}

fn bound(listener: &Listener) -> SocketAddr {
    match listener.address() {
        Address::Tcp(address) => *address,
        Address::Unix(path) => panic!("bound to {}", path.display()),
    }
}

/// A folder of its own for each test, removed with everything in it.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("batond-{test}-{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("s")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn tcp_fd(address: &str) -> (OwnedFd, SocketAddr) {
    let socket = TcpListener::bind(address).unwrap();
    let address = socket.local_addr().unwrap();
    (socket.into(), address)
}

fn passed(name: &str, socket: OwnedFd, from_unit: bool) -> PassedSocket {
    PassedSocket {
        name: name.to_owned(),
        socket,
        from_unit,
    }
}

#[test]
fn binds_ipv4_and_does_not_block() {
    let listener = Listener::bind(&tcp("ws", "127.0.0.1:0")).unwrap();
    assert_ne!(bound(&listener).port(), 0);
    assert_eq!(listener.origin(), Origin::Bound);
    let ListeningSocket::Tcp(socket) = listener.socket() else {
        panic!("not TCP")
    };
    assert_eq!(socket.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    TcpStream::connect(bound(&listener)).unwrap();
    let flags = rustix::io::fcntl_getfd(&listener).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    assert!(!rustix::net::sockopt::socket_reuseport(&listener).unwrap());
}

#[test]
fn the_unspecified_ipv6_address_takes_both_families() {
    let listener = Listener::bind(&tcp("ws", "[::]:0")).unwrap();
    let port = bound(&listener).port();
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    if bound(&listener).is_ipv6() {
        TcpStream::connect(("::1", port)).unwrap();
    }
}

#[test]
fn a_taken_address_is_reported_with_the_way_to_find_who_has_it() {
    let (_keep, address) = tcp_fd("127.0.0.1:0");
    let error = Listener::bind(&tcp("wss", &address.to_string())).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "listener.wss: cannot bind {address}: address in use (find who listens with `ss -ltnp \
             'sport = :{}'`)",
            address.port()
        )
    );
}

#[test]
fn an_address_that_no_interface_has_is_reported_as_that() {
    let error = Listener::bind(&tcp("wss", "192.0.2.1:0"))
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("listener.wss: cannot bind 192.0.2.1:0: address not available (no"));
    let error = Listener::bind(&tcp("wss", "[2001:db8::1]:0"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("IPv6 is switched off on this host"),
        "{error}"
    );
}

#[test]
fn a_unix_socket_is_open_to_every_user_and_removed_when_dropped() {
    let folder = Folder::new("unix");
    let listener = Listener::bind(&unix("ws", &folder.socket())).unwrap();
    assert_eq!(listener.address(), &Address::Unix(folder.socket()));
    assert_eq!(
        fs::metadata(folder.socket()).unwrap().permissions().mode() & 0o777,
        0o666
    );
    UnixStream::connect(folder.socket()).unwrap();
    drop(listener);
    assert!(!folder.socket().exists());
}

#[test]
fn the_file_of_a_dead_process_is_replaced() {
    let folder = Folder::new("stale");
    drop(UnixListener::bind(folder.socket()).unwrap());
    assert!(folder.socket().exists());
    let _listener = Listener::bind(&unix("ws", &folder.socket())).unwrap();
    UnixStream::connect(folder.socket()).unwrap();
}

#[test]
fn a_socket_on_which_somebody_listens_is_left_alone() {
    let folder = Folder::new("live");
    let other = UnixListener::bind(folder.socket()).unwrap();
    let error = Listener::bind(&unix("ws", &folder.socket()))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("address in use (find who listens with `ss -lxp src"),
        "{error}"
    );
    UnixStream::connect(folder.socket()).unwrap();
    drop(other);
    fs::remove_file(folder.socket()).unwrap();

    let _datagrams = UnixDatagram::bind(folder.socket()).unwrap();
    let error = Listener::bind(&unix("ws", &folder.socket()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("address in use"), "{error}");
    assert!(folder.socket().exists());
}

#[test]
fn a_file_that_is_not_a_socket_is_never_removed() {
    let folder = Folder::new("file");
    fs::write(folder.socket(), "precious").unwrap();
    let error = Listener::bind(&unix("ws", &folder.socket()))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("listener.ws: cannot bind unix:/"),
        "{error}"
    );
    assert!(error.contains("not a socket"), "{error}");
    assert_eq!(fs::read_to_string(folder.socket()).unwrap(), "precious");
}

#[test]
fn a_path_that_cannot_be_bound_says_why() {
    let folder = Folder::new("path");
    let error = Listener::bind(&unix("ws", &folder.0.join("no/s")))
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("entity not found (the folder does not exist)"),
        "{error}"
    );
    let long = folder.0.join("x".repeat(120));
    let error = Listener::bind(&unix("ws", &long)).unwrap_err().to_string();
    assert!(
        error.ends_with("(the path of a Unix socket has at most 107 bytes)"),
        "{error}"
    );
}

#[test]
fn somebody_elses_file_in_the_same_place_is_not_removed() {
    let folder = Folder::new("replaced");
    let listener = Listener::bind(&unix("ws", &folder.socket())).unwrap();
    fs::rename(folder.socket(), folder.0.join("moved")).unwrap();
    let _other = UnixListener::bind(folder.socket()).unwrap();
    drop(listener);
    UnixStream::connect(folder.socket()).unwrap();
}

#[test]
fn the_file_goes_with_whoever_has_the_socket_last() {
    let folder = Folder::new("duty");
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
    let folder = Folder::new("systemds");
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
    assert_eq!(copy.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(listener.offer().from_unit);
}

#[test]
fn only_listening_stream_sockets_are_adopted() {
    let folder = Folder::new("adopt");
    let (one_end, _other) = UnixStream::pair().unwrap();
    let file = fs::File::create(folder.0.join("f")).unwrap();
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
    let (two, _) = tcp_fd("[::1]:0");
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
    assert_eq!(opened.unclaimed[0].0, "other");
}

#[test]
fn a_socket_units_listener_stays_one_across_a_handoff() {
    let (fd, address) = tcp_fd("127.0.0.1:0");
    let config = [tcp("wss", "127.0.0.1:1")];
    let opened = open_all(&config, vec![], vec![passed("wss", fd, true)]).unwrap();
    assert_eq!(bound(&opened.listeners[0]), address);
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
        &[tcp("ws", "[::1]:0")],
        vec![],
        vec![passed("ws", fd, false)],
    )
    .unwrap();
    assert_eq!(opened.listeners[0].origin(), Origin::Bound);
    assert!(bound(&opened.listeners[0]).is_ipv6());
    assert_eq!(opened.unclaimed.len(), 1);
    drop(opened);
    TcpStream::connect(address).unwrap_err();
}

#[test]
fn a_unix_socket_whose_file_is_gone_is_bound_anew() {
    let folder = Folder::new("gone");
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
    let folder = Folder::new("all");
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
    let error = open_all(&config, vec![], vec![passed("wss", fd, false)])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&format!("the running batond listens on {address} as")),
        "{error}"
    );
}

#[tokio::test]
async fn every_worker_can_accept_on_a_clone() {
    let listener = Listener::bind(&tcp("ws", "127.0.0.1:0")).unwrap();
    let ListeningSocket::Tcp(clone) = listener.try_clone().unwrap() else {
        panic!("not TCP")
    };
    let clone = tokio::net::TcpListener::from_std(clone).unwrap();
    let mut client = TcpStream::connect(bound(&listener)).unwrap();
    let (served, _) = clone.accept().await.unwrap();
    let mut served = served.into_std().unwrap();
    served.set_nonblocking(false).unwrap();
    served.write_all(b"hello").unwrap();
    drop(served);
    let mut heard = String::new();
    client.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "hello");
}
