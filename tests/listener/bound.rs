//! Sockets that batond binds itself.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::thread;

use batond::config::Address;
use batond::edge::listener::{Listener, ListeningSocket, Origin};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use crate::{Folder, address_of, tcp, tcp_fd, unix};

#[test]
fn binds_ipv4_and_does_not_block() {
    let listener = Listener::bind(&tcp("ws", "127.0.0.1:0")).unwrap();
    assert_ne!(address_of(&listener).port(), 0);
    assert_eq!(listener.origin(), Origin::Bound);
    let ListeningSocket::Tcp(socket) = listener.socket() else {
        panic!("not TCP")
    };
    assert_eq!(socket.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    TcpStream::connect(address_of(&listener)).unwrap();
    let flags = rustix::io::fcntl_getfd(&listener).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    assert!(!rustix::net::sockopt::socket_reuseport(&listener).unwrap());
}

#[test]
fn the_unspecified_ipv6_address_takes_both_families() {
    let listener = Listener::bind(&tcp("ws", "[::]:0")).unwrap();
    let port = address_of(&listener).port();
    TcpStream::connect(("127.0.0.1", port)).unwrap();
    if address_of(&listener).is_ipv6() {
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
    assert!(error.contains("it is switched off on this host"), "{error}");
}

#[test]
fn a_unix_socket_is_open_to_every_user_and_removed_when_dropped() {
    let folder = Folder::new();
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
    let folder = Folder::new();
    drop(UnixListener::bind(folder.socket()).unwrap());
    assert!(folder.socket().exists());
    let _listener = Listener::bind(&unix("ws", &folder.socket())).unwrap();
    UnixStream::connect(folder.socket()).unwrap();
}

#[test]
fn a_socket_on_which_somebody_listens_is_left_alone() {
    let folder = Folder::new();
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
    let folder = Folder::new();
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
    let folder = Folder::new();
    let error = Listener::bind(&unix("ws", &folder.file("no/s")))
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("entity not found (the folder does not exist)"),
        "{error}"
    );
    let long = folder.file(&"x".repeat(120));
    let error = Listener::bind(&unix("ws", &long)).unwrap_err().to_string();
    assert!(
        error.ends_with("(the path of a Unix socket has at most 107 bytes)"),
        "{error}"
    );
}

#[test]
fn somebody_elses_file_in_the_same_place_is_not_removed() {
    let folder = Folder::new();
    let listener = Listener::bind(&unix("ws", &folder.socket())).unwrap();
    fs::rename(folder.socket(), folder.file("moved")).unwrap();
    let _other = UnixListener::bind(folder.socket()).unwrap();
    drop(listener);
    UnixStream::connect(folder.socket()).unwrap();
}

#[tokio::test]
async fn every_worker_can_accept_on_a_clone() {
    let listener = Listener::bind(&tcp("ws", "127.0.0.1:0")).unwrap();
    let ListeningSocket::Tcp(clone) = listener.try_clone().unwrap() else {
        panic!("not TCP")
    };
    let clone = tokio::net::TcpListener::from_std(clone).unwrap();
    let mut client = TcpStream::connect(address_of(&listener)).unwrap();
    let (served, _) = clone.accept().await.unwrap();
    let mut served = served.into_std().unwrap();
    served.set_nonblocking(false).unwrap();
    served.write_all(b"hello").unwrap();
    drop(served);
    let mut heard = String::new();
    client.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "hello");
}

/// Runs this in a thread without any capability, as a service of an ordinary user.
fn unprivileged(test: impl FnOnce() + Send) {
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    thread::scope(|scope| {
        scope.spawn(move || {
            set_capabilities(None, none).unwrap();
            test();
        });
    });
}

#[test]
fn a_port_that_only_root_may_bind_is_one_for_systemd() {
    let first_free = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
    if fs::read_to_string(first_free)
        .unwrap()
        .trim()
        .parse::<u16>()
        .unwrap()
        <= 443
    {
        println!("skipped: {first_free} lets everybody bind port 443 here");
        return;
    }
    unprivileged(|| {
        let error = Listener::bind(&tcp("wss", "[::]:443")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "listener.wss: cannot bind [::]:443: permission denied (systemd can pass the socket: \
             enable batond.socket)"
        );
    });
}

#[test]
fn a_folder_that_is_not_writable_is_named_as_the_cause() {
    let folder = Folder::new();
    fs::set_permissions(folder.0.path(), fs::Permissions::from_mode(0o555)).unwrap();
    unprivileged(|| {
        let error = Listener::bind(&unix("ws", &folder.socket()))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("permission denied (the folder must be writable"),
            "{error}"
        );
    });
}

#[test]
fn a_socket_that_may_not_be_asked_is_left_alone() {
    let folder = Folder::new();
    let _other = UnixListener::bind(folder.socket()).unwrap();
    fs::set_permissions(folder.socket(), fs::Permissions::from_mode(0o000)).unwrap();
    unprivileged(|| {
        let error = Listener::bind(&unix("ws", &folder.socket()))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("cannot tell whether somebody listens on the socket"),
            "{error}"
        );
        assert!(folder.socket().exists());
    });
}
