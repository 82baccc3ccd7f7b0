//! One test's world: the edge with its workers, and scripted backends.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use batond::config::{
    Address, BackendAddress, BackendConfig, Limits, ListenerConfig, Restart, ServiceConfig,
};
use batond::edge::listener::Listener;
use batond::edge::route::{Routes, Service};
use batond::edge::{Door, Edge, Selection};
use rustix::net::{AddressFamily, SocketType};
use tokio::runtime::Runtime;

use crate::frame::Frame;
use crate::http::upgrade;
use crate::peer::{Peer, Stream};
use crate::support::PATIENCE;
use crate::world::{Backend, HOST};

/// The edge at work.
pub(crate) struct World {
    pub(crate) edge: Edge,
    pub(crate) runtime: Runtime,
    address: SocketAddr,
}

/// A service that answers to requests below `/NAME`.
pub(crate) fn service(name: &str, backends: &[(&Backend, Option<&str>)]) -> ServiceConfig {
    let backend = |(backend, unit): &(&Backend, Option<&str>)| BackendConfig {
        address: BackendAddress::Tcp(backend.address()),
        unit: unit.map(str::to_owned),
    };
    ServiceConfig {
        name: name.to_owned(),
        listeners: vec!["ws".to_owned()],
        hosts: Vec::new(),
        paths: vec![format!("/{name}")],
        backends: backends.iter().map(backend).collect(),
        restart: Restart {
            hold: PATIENCE,
            close_timeout: PATIENCE,
            deadline: PATIENCE * 2,
            ..Restart::default()
        },
    }
}

/// Those clients who use this backend of the service.
pub(crate) fn users(service: &str, backend: &Backend) -> Selection {
    Selection {
        service: service.to_owned(),
        backend: Some(BackendAddress::Tcp(backend.address())),
    }
}

impl World {
    pub(crate) fn start(workers: usize, services: &[ServiceConfig]) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        let limits = Limits {
            handshake_timeout: PATIENCE,
            ..Limits::default()
        };
        let edge = Edge::start(workers, limits, Routes::new(services)).expect("start the workers");
        let listener = Listener::bind(&ListenerConfig {
            name: "ws".to_owned(),
            address: Address::Tcp((Ipv4Addr::LOCALHOST, 0).into()),
            certificates: Vec::new(),
            trusted: Vec::new(),
        })
        .expect("bind a free port");
        let &Address::Tcp(address) = listener.address() else {
            panic!("another address than asked for");
        };
        let door = Door {
            name: "ws".to_owned(),
            tls: None,
            trusted: Vec::new(),
        };
        runtime
            .block_on(edge.accept(&[(door, &listener)]))
            .expect("accept");
        Self {
            edge,
            runtime,
            address,
        }
    }

    pub(crate) fn service(&self, name: &str) -> Arc<Service> {
        self.edge.service(name).expect("a configured service")
    }

    /// A client that has not said anything.
    pub(crate) fn connect(&self) -> Peer {
        let socket = TcpStream::connect(self.address).expect("connect to the edge");
        Peer::client(Stream::Tcp(socket))
    }

    /// A client that asks for a WebSocket.
    pub(crate) fn ask(&self, path: &str) -> Peer {
        let mut client = self.connect();
        client.send(upgrade(path, HOST, ""));
        client
    }

    /// A WebSocket that is relayed: its client and its backend.
    pub(crate) fn pair(&self, path: &str, backend: &Backend) -> (Peer, Peer) {
        let mut client = self.ask(path);
        let mut peer = backend.switch("");
        assert_eq!(client.message().status(), 101);
        // The answer is there before the relay is.
        client.say(&[Frame::text("hello")]);
        peer.hear(&[Frame::text("hello")]);
        (client, peer)
    }

    /// A client that is held as the only newcomer, or behind those who are.
    pub(crate) fn held(&self, path: &str) -> Peer {
        let name = path.split('/').nth(1).expect("the name of a service");
        let service = self.service(name);
        let before = service.hold().held();
        let client = self.ask(path);
        until("the newcomer is held", || service.hold().held() > before);
        client
    }
}

/// Waits for something that no socket tells.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(
            begun.elapsed() < PATIENCE,
            "{what}: not within {PATIENCE:?}"
        );
        thread::park_timeout(Duration::from_millis(1));
    }
}

/// A backend that has its port, and refuses connections until it [listens](listen).
pub(crate) fn dead() -> Backend {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None);
    let socket = socket.expect("make a socket");
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    rustix::net::bind(&socket, &free).expect("bind a free port");
    Backend::Tcp(TcpListener::from(socket))
}

pub(crate) fn listen(backend: &Backend) {
    let Backend::Tcp(socket) = backend else {
        panic!("it is on a Unix socket, and always listens");
    };
    rustix::net::listen(socket, 128).expect("listen");
}

/// The next connection on which somebody says something: who looks whether the backend is there
/// does not.
pub(crate) fn asked(backend: &Backend) -> Peer {
    loop {
        let mut peer = backend.accept();
        if peer.try_fill().expect("read from the edge") {
            return peer;
        }
    }
}

/// The path that a request asks for.
pub(crate) fn path(peer: &mut Peer) -> String {
    let line = peer.message().line;
    line.split(' ').nth(1).expect("a path").to_owned()
}
