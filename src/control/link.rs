//! A connection to a message bus for asking others, which is opened again when it turns out dead.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::timeout;
use zbus::{Connection, connection};

/// A bus on the same machine answers within milliseconds, if at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The address does not parse, or nobody answers there.
    #[error("cannot connect to {bus}: {source} (is dbus running, and the address right?)")]
    Connect {
        /// The address, or "the system bus".
        bus: String,
        /// What zbus says.
        source: zbus::Error,
    },
    /// Nobody refused, and nobody answered.
    #[error("{bus} did not answer within {CONNECT_TIMEOUT:?}")]
    Silent {
        /// The address, or "the system bus".
        bus: String,
    },
}

/// A way to the bus at an address.
#[derive(Debug)]
pub(super) struct Link {
    bus: Option<String>,
    current: Mutex<Option<Connection>>,
}

impl Link {
    /// To this address; none: the system bus. Connects at the first use.
    pub(super) fn new(bus: Option<&str>) -> Self {
        Self {
            bus: bus.map(str::to_owned),
            current: Mutex::new(None),
        }
    }

    /// The connection, opened if there is none. Gives up after 5 s.
    pub(super) async fn connection(&self) -> Result<Connection, LinkError> {
        if let Some(connection) = self.lock().clone() {
            return Ok(connection);
        }
        let fresh = self.open().await?;
        *self.lock() = Some(fresh.clone());
        Ok(fresh)
    }

    /// What was asked last failed so. Whether it is worth to ask again: the connection was dead,
    /// of which nobody told until then, and is forgotten now.
    pub(super) fn forgets(&self, error: &zbus::Error) -> bool {
        let dead = matches!(error, zbus::Error::InputOutput(_));
        if dead {
            self.forget();
        }
        dead
    }

    /// The next question is asked over a new connection.
    pub(super) fn forget(&self) {
        *self.lock() = None;
    }

    async fn open(&self) -> Result<Connection, LinkError> {
        let builder = match self.bus.as_deref() {
            Some(address) => connection::Builder::address(address),
            None => connection::Builder::system(),
        };
        let bus = || self.bus.as_deref().unwrap_or("the system bus").to_owned();
        match timeout(CONNECT_TIMEOUT, builder.build()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(source)) => Err(LinkError::Connect { bus: bus(), source }),
            Err(_) => Err(LinkError::Silent { bus: bus() }),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Connection>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
