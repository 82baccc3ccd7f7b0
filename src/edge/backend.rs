//! Connections to what serves the clients.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use rustix::io::Errno;
use tokio::net::UnixStream;

use super::dial::dial;
use super::loss::Question;
use super::route::Service;
use super::socket::Socket;
use crate::config::{BackendAddress, BackendConfig};

/// How long a backend may take to accept a connection. It is near: a host of the same network
/// at most.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// One backend of a service.
#[derive(Debug)]
pub struct Backend {
    address: BackendAddress,
    unit: Option<String>,
    load: Arc<Load>,
    drained: AtomicBool,
    /// What its loss means.
    pub(super) question: Question,
}

/// Who uses a backend. It stays the same when a reload gives the backend another unit.
#[derive(Debug, Default)]
struct Load {
    /// Requests under way and WebSockets.
    connections: AtomicUsize,
    websockets: AtomicUsize,
}

/// A connection to a backend, counted until it is dropped.
#[derive(Debug)]
pub(super) struct Occupied(Arc<Backend>);

impl Occupied {
    pub(super) fn backend(&self) -> &Arc<Backend> {
        &self.0
    }

    /// What stands for the host where a request names none.
    pub(super) fn host(&self) -> &str {
        match &self.0.address {
            BackendAddress::Tcp(address) => address,
            BackendAddress::Unix(_) => "localhost",
        }
    }
}

impl Drop for Occupied {
    fn drop(&mut self) {
        self.0.load.connections.fetch_sub(1, Relaxed);
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(out)
    }
}

impl Backend {
    /// `before` is what it was under an earlier configuration, in which it may have had another
    /// unit.
    pub(super) fn new(config: &BackendConfig, before: Option<&Self>) -> Self {
        Self {
            address: config.address.clone(),
            unit: config.unit.clone(),
            load: before.map_or_else(Arc::default, |before| Arc::clone(&before.load)),
            drained: AtomicBool::new(before.is_some_and(Self::is_drained)),
            question: Question::default(),
        }
    }

    /// Where it is reached.
    pub fn address(&self) -> &BackendAddress {
        &self.address
    }

    /// The systemd unit that runs it, if one is configured.
    pub fn unit(&self) -> Option<&str> {
        self.unit.as_deref()
    }

    /// WebSockets relayed to it now.
    pub fn clients(&self) -> usize {
        self.load.websockets.load(Relaxed)
    }

    /// Sends newcomers to the other backends from now on, or no longer. If no other is left they
    /// are held. Who uses it already stays.
    pub fn set_drained(&self, drained: bool) {
        self.drained.store(drained, Relaxed);
    }

    /// Whether newcomers avoid it.
    pub fn is_drained(&self) -> bool {
        self.drained.load(Relaxed)
    }

    pub(super) fn joined(&self) {
        self.load.websockets.fetch_add(1, Relaxed);
    }

    pub(super) fn left(&self) {
        self.load.websockets.fetch_sub(1, Relaxed);
    }

    async fn connect(self: &Arc<Self>) -> io::Result<(Socket, Occupied)> {
        // Counted from here on, so that newcomers who connect at once spread too.
        self.load.connections.fetch_add(1, Relaxed);
        let occupied = Occupied(Arc::clone(self));
        let connecting = async {
            match &self.address {
                BackendAddress::Tcp(address) => Ok(Socket::Tcp(dial(address).await?)),
                BackendAddress::Unix(path) => Ok(Socket::Unix(UnixStream::connect(path).await?)),
            }
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(result) => result.map(|socket| (socket, occupied)),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// Why no backend of a service could be reached.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreachable {
    /// It is not there, or takes nobody at the moment: trying again later may help.
    #[error("cannot connect to {backend}: {error}")]
    Away { backend: String, error: io::Error },
    /// This process cannot connect to anything.
    #[error("cannot connect to {backend}: {error} (compare LimitNOFILE= with limits.clients)")]
    Exhausted { backend: String, error: io::Error },
    /// This process may not, or cannot for another reason that time does not mend.
    #[error("cannot connect to {backend}: {error}")]
    Barred { backend: String, error: io::Error },
    /// All of them are drained.
    #[error("no backend takes newcomers at the moment")]
    Drained,
}

impl Unreachable {
    pub(super) fn new(backend: &Backend, error: io::Error) -> Self {
        let backend = backend.to_string();
        match Errno::from_io_error(&error) {
            Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                Self::Exhausted { backend, error }
            }
            // Among others: connect(2) on a Unix socket whose queue is full says AGAIN, a host
            // that is down is found to be unreachable, and a name may come with its host, whose
            // lookup has no number for its errors (getaddrinfo(3)). Nor has our own timeout.
            None
            | Some(
                Errno::CONNREFUSED
                | Errno::NOENT
                | Errno::CONNRESET
                | Errno::TIMEDOUT
                | Errno::AGAIN
                | Errno::HOSTUNREACH
                | Errno::HOSTDOWN
                | Errno::NETUNREACH
                | Errno::ADDRNOTAVAIL
                | Errno::NETDOWN,
            ) => Self::Away { backend, error },
            Some(_) => Self::Barred { backend, error },
        }
    }

    /// Waiting may help.
    pub(super) fn may_pass(&self) -> bool {
        matches!(self, Self::Away { .. } | Self::Drained)
    }
}

/// Connects to the backend with the fewest connections; where that fails, to the next. Drained
/// ones are left out.
pub(super) async fn connect(service: &Service) -> Result<(Socket, Occupied), Unreachable> {
    let taking = service.backends().iter().filter(|one| !one.is_drained());
    let mut candidates: Vec<_> = taking.collect();
    candidates.sort_by_key(|backend| backend.load.connections.load(Relaxed));
    let mut why = Unreachable::Drained;
    for backend in candidates {
        match backend.connect().await {
            Ok(connected) => return Ok(connected),
            Err(error) => {
                let error = Unreachable::new(backend, error);
                // As long as one of them may come back, that counts.
                if !matches!(why, Unreachable::Away { .. }) {
                    why = error;
                }
            }
        }
    }
    Err(why)
}
