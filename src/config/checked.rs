//! The configuration as the rest of the program sees it. Only the checker makes it, so whoever
//! holds a [`Config`] need not ask again whether a name exists or a code may be sent.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::edge::close::CloseCode;

/// A whole configuration that has passed every check.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Worker threads, at least 1 (the file's 0 has become the number of cores).
    pub workers: usize,
    /// In the order of the files; at least one.
    pub listeners: Vec<ListenerConfig>,
    /// In the order of the files.
    pub certificates: Vec<CertificateConfig>,
    /// In the order of the files; no two claim the same listener, host and path.
    pub services: Vec<ServiceConfig>,
    /// Bounds on what the process takes on.
    pub limits: Limits,
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
    /// `"[::]:443"` (dual stack), `"0.0.0.0:443"`.
    Tcp(SocketAddr),
    /// `"unix:/run/x.sock"`.
    Unix(PathBuf),
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
    /// What clients dial, lower case; empty: the hosts of the services on its listeners.
    pub names: Vec<String>,
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

/// A host that a service answers to: lower case, without port and trailing dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// `"chat.example.org"`.
    Exact(String),
    /// `"*.example.org"` stored as `example.org`; the star stands for exactly one label.
    Wildcard(String),
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

/// How a planned restart treats the clients.
#[derive(Clone, Debug, PartialEq)]
pub struct Restart {
    /// Sent when a restart is planned. Default 1012.
    pub close_code: CloseCode,
    /// Sent when a backend is lost and nothing says that it comes back. Default 1014.
    pub lost_code: CloseCode,
    /// Goes with `close_code`; with `retry` set, `; retry in 2.4s` is appended, and the whole
    /// still fits into the 123 bytes of a Close reason.
    pub reason: String,
    /// The span over which clients' retry delays are spread; none: no delay in the reason.
    pub retry: Option<RangeInclusive<Duration>>,
    /// Over how long the Close frames are sent.
    pub spread: Spread,
    /// For the whole drain.
    pub deadline: Duration,
    /// For one client's Close reply.
    pub close_timeout: Duration,
    /// How long a newcomer may wait for the backend.
    pub hold: Duration,
    /// How many newcomers may wait.
    pub max_held: usize,
}

/// Over how long the Close frames of a planned restart are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// As fast as the host takes clients back.
    Auto,
    /// Evenly over this time; zero: all at once.
    Over(Duration),
}

/// Bounds on what the process takes on at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Connections from clients. Default 100,000.
    pub clients: usize,
    /// Connections that are not yet relayed or answered. Default 1,000.
    pub handshakes: usize,
    /// From accept to the end of the first request's header. Default 10 s.
    pub handshake_timeout: Duration,
    /// Size of a request's header, 8 KiB or more. Default 16 KiB.
    pub header_bytes: usize,
}
