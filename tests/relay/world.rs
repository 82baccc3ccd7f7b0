//! One test's world: the daemon with a plain and a TLS listener, and a scripted backend.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::event::PollFlags;
use rustix::process::Signal;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ALL_VERSIONS, ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};
use tempfile::TempDir;

use crate::frame::Frame;
use crate::http::{switching, upgrade};
use crate::peer::{Peer, STILL, Stream, is_ready};
use crate::support::PATIENCE;
use crate::support::batond::{Batond, Launch};
use crate::support::certificate::Authority;
use crate::support::sockets::Sockets;

/// What clients dial: a name of the kind that is reserved for tests (RFC 6761 §6.2).
pub(crate) const HOST: &str = "chat.test";

/// Restarts at whose deadlines no test looks: longer than any test waits.
const AT_LEISURE: &str = "deadline = \"10m\"\nclose_timeout = \"5m\"";

/// Nor is a connection ended because the test is slow.
pub(crate) const PATIENT: &str = "handshake_timeout = \"5m\"\n";

/// The scripted backend: the test accepts each connection itself.
pub(crate) enum Backend {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
}

impl Backend {
    pub(crate) fn tcp() -> Self {
        Self::Tcp(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind a free port"))
    }

    pub(crate) fn unix(path: &Path) -> Self {
        let listener = UnixListener::bind(path).expect("bind the Unix socket");
        Self::Unix(listener, path.to_owned())
    }

    /// As the configuration names it.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::Tcp(listener) => listener.local_addr().expect("a bound socket").to_string(),
            Self::Unix(_, path) => format!("unix:{}", path.display()),
        }
    }

    /// The next connection.
    pub(crate) fn accept(&self) -> Peer {
        assert!(self.is_asked(PATIENCE), "batond did not connect");
        Peer::backend(match self {
            Self::Tcp(listener) => Stream::Tcp(listener.accept().expect("accept").0),
            Self::Unix(listener, _) => Stream::Unix(listener.accept().expect("accept").0),
        })
    }

    /// Sees whether anyone connects within [`STILL`].
    pub(crate) fn is_still(&self) -> bool {
        !self.is_asked(STILL)
    }

    fn is_asked(&self, within: std::time::Duration) -> bool {
        let socket = match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener, _) => listener.as_fd(),
        };
        is_ready(socket, PollFlags::IN, within)
    }

    /// Takes the next connection and makes it a WebSocket.
    pub(crate) fn switch(&self, more: &str) -> Peer {
        let mut peer = self.accept();
        peer.message();
        peer.send(switching(more));
        peer
    }
}

pub(crate) struct World {
    pub(crate) batond: Batond,
    pub(crate) backend: Backend,
    /// Where the plain listener is, and the one with TLS.
    pub(crate) plain: SocketAddr,
    pub(crate) secure: SocketAddr,
    pub(crate) trust: Arc<ClientConfig>,
    pub(crate) authority: Authority,
    _directory: TempDir,
    // Kept as systemd keeps them.
    _sockets: Sockets,
}

/// Before it is started.
pub(crate) struct Plan {
    directory: TempDir,
    backend: Option<Backend>,
    service: String,
    restart: String,
    limits: String,
    more: String,
    variables: Vec<(&'static str, String)>,
}

impl Plan {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("make a directory"),
            backend: None,
            service: String::new(),
            restart: AT_LEISURE.to_owned(),
            limits: PATIENT.to_owned(),
            more: String::new(),
            variables: Vec::new(),
        }
    }

    /// With this one instead of a backend on a port.
    pub(crate) fn backend(mut self, backend: Backend) -> Self {
        self.backend = Some(backend);
        self
    }

    /// With these lines in the section of the service that all clients use.
    pub(crate) fn service(mut self, lines: &str) -> Self {
        self.service = lines.to_owned();
        self
    }

    /// With these lines in its section on restarts.
    pub(crate) fn restart(mut self, lines: &str) -> Self {
        self.restart = lines.to_owned();
        self
    }

    /// With these limits.
    pub(crate) fn limits(mut self, lines: &str) -> Self {
        self.limits = lines.to_owned();
        self
    }

    /// With these sections.
    pub(crate) fn sections(mut self, sections: &str) -> Self {
        self.more = sections.to_owned();
        self
    }

    pub(crate) fn variable(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    /// Starts the daemon on sockets that are passed to it, with one worker: so what it is told
    /// about one client after another is told in that order.
    pub(crate) fn start(self) -> World {
        let authority = Authority::new();
        let (chain, key) = authority
            .issue(&[HOST])
            .write(self.directory.path(), "server");
        let mut sockets = Sockets::new();
        let (plain, secure) = (sockets.tcp("ws"), sockets.tcp("wss"));
        let backend = self.backend.unwrap_or_else(Backend::tcp);
        let config = format!(
            r#"
workers = 1

[listener.ws]
address = "{plain}"

[listener.wss]
address = "{secure}"
certificates = ["server"]

[certificate.server]
chain = "{chain}"
key = "{key}"

[service.app]
backends = ["{backend}"]
{service}

[service.app.restart]
{restart}

[limits]
{limits}

{more}
"#,
            chain = chain.display(),
            key = key.display(),
            backend = backend.address(),
            service = self.service,
            restart = self.restart,
            limits = self.limits,
            more = self.more,
        );
        let mut launch = Launch::new(&config).sockets(&sockets);
        for (name, value) in self.variables {
            launch = launch.variable(name, value);
        }
        World {
            batond: launch.start(),
            backend,
            plain,
            secure,
            trust: Arc::new(trusting(&authority, ALL_VERSIONS)),
            authority,
            _directory: self.directory,
            _sockets: sockets,
        }
    }
}

/// A client's side of TLS, with this authority as its only root.
pub(crate) fn trusting(
    authority: &Authority,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("a certificate");
    roots.add(root).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("versions of TLS")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Connects with TLS, and asks for this name.
pub(crate) fn secure(address: SocketAddr, trust: &Arc<ClientConfig>, name: &str) -> Peer {
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let session = ClientConnection::new(Arc::clone(trust), name).expect("a TLS session");
    let socket = TcpStream::connect(address).expect("connect to batond");
    Peer::client(Stream::Tls(Box::new(StreamOwned::new(session, socket))))
}

impl World {
    pub(crate) fn start() -> Self {
        Plan::new().start()
    }

    /// With these lines on restarts in the configuration.
    pub(crate) fn restarting(lines: &str) -> Self {
        Plan::new().restart(lines).start()
    }

    /// A connection to the plain listener.
    pub(crate) fn client(&self) -> Peer {
        let socket = TcpStream::connect(self.plain).expect("connect to batond");
        Peer::client(Stream::Tcp(socket))
    }

    /// A connection to the other one.
    pub(crate) fn secure_client(&self) -> Peer {
        secure(self.secure, &self.trust, HOST)
    }

    /// A WebSocket: its client and its backend.
    pub(crate) fn pair(&self) -> (Peer, Peer) {
        self.join(self.client(), "")
    }

    pub(crate) fn secure_pair(&self) -> (Peer, Peer) {
        self.join(self.secure_client(), "")
    }

    /// Makes a client's connection a WebSocket; `more`: fields of the backend's answer.
    pub(crate) fn join(&self, mut client: Peer, more: &str) -> (Peer, Peer) {
        client.send(upgrade("/", HOST, ""));
        let backend = self.backend.switch(more);
        assert_eq!(client.message().status(), 101);
        (client, backend)
    }

    /// Asks the daemon to stop, and waits until every client has been told to leave.
    pub(crate) fn announce(&self) {
        // Told after all the others, by the only worker.
        let (mut witness, mut its_backend) = self.pair();
        self.batond.main().signal(Signal::TERM);
        leave(&mut witness, &mut its_backend);
    }

    /// Waits for the end of the process, which must be a success. What it says that became of its
    /// clients, by the words of its report.
    pub(crate) fn report(&mut self) -> HashMap<String, u64> {
        assert!(self.batond.exit_status().success());
        let log = self.batond.whole_log();
        let line = log.lines().find(|line| line.contains("messages discarded"));
        let line = line.unwrap_or_else(|| panic!("no report in the log:\n{log}"));
        let report = &line[line.find("told ").expect("a report")..];
        // The fields of the journal entry follow.
        let report = report.split(" told=").next().unwrap_or_default();
        report
            .split(", ")
            .filter_map(|part| part.rsplit_once(' '))
            .map(|(what, count)| (what.to_owned(), count.parse().expect("a count")))
            .collect()
    }
}

/// A client and its backend that do what they should when a restart is announced.
pub(crate) fn leave(client: &mut Peer, backend: &mut Peer) {
    assert_eq!(client.closed(), 1012);
    client.say(&[Frame::close(1012, "")]);
    assert_eq!(backend.closed(), 1001);
    backend.say(&[Frame::close(1001, "")]);
    client.ended();
    client.end();
    backend.ended();
    backend.end();
}
