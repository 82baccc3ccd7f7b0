//! The daemon, as seen over the bus.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::timeout;
use zbus::proxy::CacheProperties;
use zbus::{OwnedVariant, Variant, connection, proxy};

use super::failure::Failure;
use super::status::Status;

/// A bus on the same machine answers within milliseconds, if at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longer than any command takes: a successor has 30 s to get ready.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

#[proxy(
    interface = "org.batond.Baton1.Manager",
    default_service = "org.batond.Baton1",
    default_path = "/org/batond/Baton1"
)]
trait Manager {
    fn reload(&self, options: HashMap<&str, Variant<'_>>) -> zbus::Result<()>;

    fn upgrade(&self, options: HashMap<&str, Variant<'_>>) -> zbus::Result<()>;
}

/// The way to the daemon.
pub(super) struct Daemon {
    manager: ManagerProxy<'static>,
    bus: String,
}

impl Daemon {
    /// Connects to the bus at an address; none: the system bus.
    pub(super) async fn reach(address: Option<&str>) -> Result<Self, Failure> {
        let bus = address.unwrap_or("the system bus").to_owned();
        let no_bus = |reason: String| Failure::NoBus {
            bus: bus.clone(),
            reason,
        };
        let builder = match address {
            Some(address) => connection::Builder::address(address),
            None => connection::Builder::system(),
        };
        let connection = timeout(
            CONNECT_TIMEOUT,
            builder.method_timeout(CALL_TIMEOUT).build(),
        )
        .await
        .map_err(|_| no_bus("no answer".to_owned()))?
        .map_err(|error| no_bus(error.to_string()))?;
        let manager = ManagerProxy::builder(&connection)
            .cache_properties(CacheProperties::No)
            .build()
            .await
            .map_err(|error| no_bus(error.to_string()))?;
        Ok(Self { manager, bus })
    }

    pub(super) async fn reload(&self) -> Result<(), Failure> {
        let done = self.manager.reload(HashMap::new()).await;
        done.map_err(|error| self.failed(error))
    }

    pub(super) async fn upgrade(&self) -> Result<(), Failure> {
        let done = self.manager.upgrade(HashMap::new()).await;
        done.map_err(|error| self.failed(error))
    }

    pub(super) async fn status(&self) -> Result<Status, Failure> {
        let proxy = self.manager.inner();
        let properties: HashMap<String, OwnedVariant> = proxy
            .connection()
            .call_method(
                Some(proxy.destination()),
                proxy.path(),
                Some("org.freedesktop.DBus.Properties"),
                "GetAll",
                &proxy.interface(),
            )
            .await
            .and_then(|reply| reply.body().deserialize())
            .map_err(|error| self.failed(error))?;
        Status::from_properties(&properties).ok_or_else(|| {
            Failure::Unknown("its properties are not those that this version knows".to_owned())
        })
    }

    fn failed(&self, error: zbus::Error) -> Failure {
        Failure::of_call(error, &self.bus)
    }
}
