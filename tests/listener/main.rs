//! Listening sockets, with real sockets: bound here, passed in, all or nothing.

// A panic is how a test fails.
#![allow(clippy::unwrap_used)]

mod bound;
mod passed;

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use batond::config::{Address, ListenerConfig};
use batond::edge::listener::Listener;

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

fn address_of(listener: &Listener) -> SocketAddr {
    match listener.address() {
        Address::Tcp(address) => *address,
        Address::Unix(path) => panic!("bound to {}", path.display()),
    }
}

/// A socket as somebody else would have bound it.
fn tcp_fd(address: &str) -> (OwnedFd, SocketAddr) {
    let socket = TcpListener::bind(address).unwrap();
    let address = socket.local_addr().unwrap();
    (socket.into(), address)
}

/// A folder of its own for each test.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn socket(&self) -> PathBuf {
        self.file("s")
    }
}
