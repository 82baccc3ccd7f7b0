//! The configuration as the rest of the program sees it. Only the checker makes it, so whoever
//! holds a [`Config`] need not ask again whether a name exists or a code may be sent.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::name::METRICS_SOCKET;
use crate::edge::close::CloseCode;

/// A whole configuration that has passed every check.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Worker threads, 1 to 1,024 (the file's 0 has become the number of cores).
    pub workers: usize,
    /// In the order of the files; may be empty, and then there are no services either.
    pub listeners: Vec<ListenerConfig>,
    /// In the order of the files.
    pub certificates: Vec<CertificateConfig>,
    /// In the order of the files; no two claim the same listener, host and path.
    pub services: Vec<ServiceConfig>,
    /// Bounds on what the process takes on.
    pub limits: Limits,
    /// Where OpenMetrics are served; none: nowhere.
    pub metrics: Option<Address>,
}

impl Config {
    /// Every socket that is listened on: the listeners, and the one of `[metrics]`.
    pub fn sockets(&self) -> Vec<ListenerConfig> {
        let metrics = self.metrics.iter().map(|address| ListenerConfig {
            name: METRICS_SOCKET.to_owned(),
            address: address.clone(),
            certificates: Vec::new(),
            trusted: Vec::new(),
        });
        self.listeners.iter().cloned().chain(metrics).collect()
    }
}

/// One listening socket.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenerConfig {
    /// The name, which is also `FileDescriptorName=` in the socket unit.
    pub name: String,
    /// Where it listens when systemd passes no socket of this name.
    pub address: Address,
    /// Names of [`CertificateConfig`]s, the first is the default; empty: plain `ws://`.
    pub certificates: Vec<String>,
    /// Peers whose `X-Forwarded-*` headers are believed and extended.
    pub trusted: Vec<TrustedPeer>,
}

/// Where a listener is bound.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// `"[::]:443"` (dual stack), `"0.0.0.0:443"`; port 0: the kernel chooses one.
    Tcp(SocketAddr),
    /// `"unix:/run/x.sock"`: an absolute path.
    Unix(PathBuf),
}

/// As the configuration has it.
impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(out),
            Self::Unix(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

/// Whose forwarding headers a listener believes.
#[derive(Clone, Debug, PartialEq)]
pub enum TrustedPeer {
    /// An address block: `"10.0.0.0/8"`, `"::1"`.
    Net(IpNet),
    /// `"unix"`: every peer of a Unix socket listener.
    Unix,
}

/// A certificate chain with its key.
#[derive(Clone, Debug, PartialEq)]
pub struct CertificateConfig {
    /// The name by which listeners refer to it.
    pub name: String,
    /// PEM file, leaf first.
    pub chain: PathBuf,
    /// PEM file with one private key.
    pub key: PathBuf,
    /// What clients dial, lower case, IPv6 addresses without brackets; empty: the hosts of the
    /// services on its listeners.
    pub names: Vec<String>,
    /// Whom clients trust.
    pub roots: Roots,
    /// The service unit that is started when renewal is overdue.
    pub renew_unit: Option<String>,
}

/// The root certificates that clients trust, against which a chain is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// `"public"`: those of Mozilla's programme. The default.
    Public,
    /// `"system"`: those of this host.
    System,
    /// A PEM file.
    File(PathBuf),
}

/// What runs behind batond: a set of hosts and paths, and the backends that serve them.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceConfig {
    /// The name that operators use.
    pub name: String,
    /// Names of listeners, never empty (the file's default has become all of them).
    pub listeners: Vec<String>,
    /// Empty: any host.
    pub hosts: Vec<HostPattern>,
    /// Prefixes, each beginning with `/`; never empty. The longest match wins.
    pub paths: Vec<String>,
    /// At least one; several: least connections.
    pub backends: Vec<BackendConfig>,
    /// `[restart]` with `[service.NAME.restart]` laid over it.
    pub restart: Restart,
}

/// A host that a service answers to: lower case, without port and trailing dot; an IPv6 address
/// without brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// `"chat.example.org"`.
    Exact(String),
    /// `"*.example.org"` stored as `example.org`; the star stands for exactly one label.
    Wildcard(String),
}

/// As the configuration has it.
impl fmt::Display for HostPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => out.write_str(name),
            Self::Wildcard(domain) => write!(out, "*.{domain}"),
        }
    }
}

/// One backend of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct BackendConfig {
    /// Where it listens.
    pub address: BackendAddress,
    /// The systemd unit that runs it, which makes coordinated restarts possible.
    pub unit: Option<String>,
}

/// Where a backend is reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BackendAddress {
    /// `host:port` as written; a host name is looked up at every connect.
    Tcp(String),
    /// `"unix:/run/chat/ws.sock"`.
    Unix(PathBuf),
}

/// As the configuration has it.
impl fmt::Display for BackendAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => out.write_str(address),
            Self::Unix(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

/// How a planned restart treats the clients.
#[derive(Clone, Debug, PartialEq)]
pub struct Restart {
    /// Sent when a restart is planned. Default 1012.
    pub close_code: CloseCode,
    /// Sent when a backend is lost and nothing says that it comes back. Default 1014.
    pub lost_code: CloseCode,
    /// Goes with `close_code`; with `retry` set, `; retry in 2.4s` is appended, and the whole
    /// still fits into the 123 bytes of a Close reason. Default `service restart`.
    pub reason: String,
    /// The span over which clients' retry delays are spread, at most an hour; none (`"off"`): no
    /// delay in the reason. Default 1–5 s.
    pub retry: Option<RangeInclusive<Duration>>,
    /// Over how long the Close frames are sent. Together with `close_timeout` it is never longer
    /// than `deadline`. Default auto.
    pub spread: Spread,
    /// For the whole drain: 100 ms to 1 h. Default 30 s.
    pub deadline: Duration,
    /// For one client's Close reply: 10 ms to 5 min. Default 5 s.
    pub close_timeout: Duration,
    /// How long a newcomer may wait for the backend: at most 10 min; zero: not at all. Default
    /// 20 s.
    pub hold: Duration,
    /// How many newcomers may wait. Default 10,000.
    pub max_held: usize,
}

impl Restart {
    /// The reason of a Close frame: the configured one, and when to come back.
    pub fn reason_with(&self, delay: Option<Duration>) -> String {
        with_delay(&self.reason, delay)
    }
}

/// A reason, and when to come back: `service restart; retry in 2.4s`.
pub fn with_delay(reason: &str, delay: Option<Duration>) -> String {
    match delay {
        None => reason.to_owned(),
        Some(delay) => format!("{reason}; retry in {:.1}s", delay.as_secs_f64()),
    }
}

/// What holds where the configuration says nothing.
impl Default for Restart {
    fn default() -> Self {
        Self {
            close_code: CloseCode::SERVICE_RESTART,
            lost_code: CloseCode::BAD_GATEWAY,
            reason: "service restart".to_owned(),
            retry: Some(Duration::from_secs(1)..=Duration::from_secs(5)),
            spread: Spread::Auto,
            deadline: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
            hold: Duration::from_secs(20),
            max_held: 10_000,
        }
    }
}

/// Over how long the Close frames of a planned restart are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// As fast as the host takes clients back.
    Auto,
    /// Evenly over this time, at most an hour; zero: all at once.
    Over(Duration),
}

/// Bounds on what the process takes on at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Connections from clients: 1 to 10,000,000. Default 100,000.
    pub clients: usize,
    /// Connections that are not yet relayed or answered: 1 to 1,000,000. Default 1,000.
    pub handshakes: usize,
    /// From accept to the end of the first request's header: 100 ms to 10 min. Default 10 s.
    pub handshake_timeout: Duration,
    /// How long a client may leave all that is sent to it: 1 s to 1 h. Default 2 min. TCP only
    /// (`TCP_USER_TIMEOUT`, tcp(7)).
    pub stall_timeout: Duration,
    /// Size of a request's header: 8 KiB to 1 MiB. Default 16 KiB.
    pub header_bytes: usize,
}

/// What holds where the configuration says nothing.
impl Default for Limits {
    fn default() -> Self {
        Self {
            clients: 100_000,
            handshakes: 1_000,
            handshake_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(120),
            header_bytes: 16 << 10,
        }
    }
}
