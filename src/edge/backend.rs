//! Connections to what serves the clients.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::net::UnixStream;

use super::dial::dial;
use super::route::Service;
use super::wire::Socket;
use crate::config::{BackendAddress, BackendConfig};

/// How long a backend may take to accept a connection. It is near: a host of the same network
/// at most.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// One backend of a service.
#[derive(Debug)]
pub struct Backend {
    address: BackendAddress,
    connections: AtomicUsize,
}

/// A connection to a backend, counted until it is dropped.
#[derive(Debug)]
pub(super) struct Occupied(Arc<Backend>);

impl Occupied {
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
        self.0.connections.fetch_sub(1, Relaxed);
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            BackendAddress::Tcp(address) => out.write_str(address),
            BackendAddress::Unix(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

impl Backend {
    pub(super) fn new(config: &BackendConfig) -> Self {
        Self {
            address: config.address.clone(),
            connections: AtomicUsize::new(0),
        }
    }

    pub(super) fn is_at(&self, address: &BackendAddress) -> bool {
        self.address == *address
    }

    async fn connect(self: &Arc<Self>) -> io::Result<(Socket, Occupied)> {
        // Counted from here on, so that newcomers who connect at once spread too.
        self.connections.fetch_add(1, Relaxed);
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
#[error("cannot connect to {backend}: {error}")]
pub(super) struct Unreachable {
    backend: String,
    error: io::Error,
}

/// Connects to the backend with the fewest connections; where that fails, to the next.
pub(super) async fn connect(service: &Service) -> Result<(Socket, Occupied), Unreachable> {
    let mut candidates: Vec<_> = service.backends.iter().collect();
    candidates.sort_by_key(|backend| backend.connections.load(Relaxed));
    let mut last = None;
    for backend in candidates {
        match backend.connect().await {
            Ok(connected) => return Ok(connected),
            Err(error) => {
                last = Some(Unreachable {
                    backend: backend.to_string(),
                    error,
                })
            }
        }
    }
    Err(last.unwrap_or_else(|| Unreachable {
        backend: service.name.clone(),
        error: io::ErrorKind::NotFound.into(),
    }))
}
