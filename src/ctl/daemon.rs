//! The daemon, as seen over the bus.

use std::io::{self, IsTerminal};
use std::time::Duration;

use tokio::time::timeout;
use zbus::fdo::{DBusProxy, ObjectManagerProxy};
use zbus::names::{BusName, OwnedUniqueName};
use zbus::proxy::{CacheProperties, MethodFlags};
use zbus::{Connection, DynamicType, Proxy, connection};

use super::failure::Failure;
use super::properties::Properties;
use crate::control::dbus::{NAME, PATH};

/// A bus on the same machine answers within milliseconds, if at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// batond answers at once: what takes long is a job.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// A person who is asked for a password may take as long as polkit gets from batond, and more.
const INTERACTIVE_TIMEOUT: Duration = Duration::from_secs(150);

/// The way to the daemon: to the process that has the name now, also if it passes it on.
pub(super) struct Daemon {
    connection: Connection,
    owner: OwnedUniqueName,
    bus: String,
}

impl Daemon {
    /// Finds the daemon on a bus.
    pub(super) async fn find(connection: Connection, bus: &str) -> Result<Self, Failure> {
        let bus = bus.to_owned();
        let owner = async {
            let name = BusName::try_from(NAME)?;
            let asked = DBusProxy::new(&connection).await?;
            asked.get_name_owner(name).await.map_err(zbus::Error::from)
        };
        let owner = match timeout(CALL_TIMEOUT, owner).await {
            Ok(Ok(owner)) => owner,
            Ok(Err(error)) => return Err(Failure::of_call(error, &bus)),
            Err(_) => return Err(Failure::Silent),
        };
        Ok(Self {
            connection,
            owner,
            bus,
        })
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The name of the process on the bus, which no other ever gets.
    pub(super) fn owner(&self) -> &OwnedUniqueName {
        &self.owner
    }

    /// Has something begun, and returns the path of its job. On a terminal, a person may be asked
    /// for a password.
    pub(super) async fn begin<B, R>(&self, method: &str, body: &B) -> Result<R, Failure>
    where
        B: serde::Serialize + DynamicType,
        R: for<'d> zbus::wire::DynamicDeserialize<'d>,
    {
        let (flags, patience) = if io::stdin().is_terminal() {
            (MethodFlags::ALLOW_INTERACTIVE_AUTH, INTERACTIVE_TIMEOUT)
        } else {
            (MethodFlags::empty(), CALL_TIMEOUT)
        };
        self.call(method, flags, patience, body).await
    }

    /// Asks the Manager for something.
    pub(super) async fn ask<B, R>(&self, method: &str, body: &B) -> Result<R, Failure>
    where
        B: serde::Serialize + DynamicType,
        R: for<'d> zbus::wire::DynamicDeserialize<'d>,
    {
        self.call(method, MethodFlags::empty(), CALL_TIMEOUT, body)
            .await
    }

    async fn call<B, R>(
        &self,
        method: &str,
        flags: MethodFlags,
        patience: Duration,
        body: &B,
    ) -> Result<R, Failure>
    where
        B: serde::Serialize + DynamicType,
        R: for<'d> zbus::wire::DynamicDeserialize<'d>,
    {
        let calling = async {
            let manager = self.proxy(PATH, "org.batond.Baton1.Manager").await?;
            manager.call_with_flags(method, flags, body).await
        };
        let answer = self.patient(patience, calling).await?;
        answer.ok_or(Failure::Silent)
    }

    /// The properties of one object.
    pub(super) async fn properties(
        &self,
        path: &str,
        interface: &'static str,
    ) -> Result<Properties, Failure> {
        let interface = interface_name(interface);
        let asking = async {
            let proxy = self.proxy(path, "org.freedesktop.DBus.Properties").await?;
            proxy.call("GetAll", &interface).await
        };
        Ok(Properties(self.patient(CALL_TIMEOUT, asking).await?))
    }

    /// The properties of every object that has an interface.
    pub(super) async fn objects(&self, interface: &str) -> Result<Vec<Properties>, Failure> {
        let interface = interface_name(interface);
        let asking = async {
            let proxy = ObjectManagerProxy::builder(&self.connection)
                .destination(&self.owner)
                .path(PATH)
                .cache_properties(CacheProperties::No)
                .build()
                .await?;
            proxy.get_managed_objects().await.map_err(zbus::Error::from)
        };
        let mut found = Vec::new();
        for interfaces in self.patient(CALL_TIMEOUT, asking).await?.into_values() {
            for (name, properties) in interfaces {
                if name.as_str() == interface {
                    found.push(Properties(properties));
                }
            }
        }
        Ok(found)
    }

    async fn proxy<'a>(
        &'a self,
        path: &'a str,
        interface: &'static str,
    ) -> zbus::Result<Proxy<'a>> {
        zbus::proxy::Builder::new(&self.connection)
            .destination(&self.owner)
            .path(path)
            .interface(interface)
            .cache_properties(CacheProperties::No)
            .build()
            .await
    }

    async fn patient<T>(
        &self,
        patience: Duration,
        calling: impl Future<Output = zbus::Result<T>>,
    ) -> Result<T, Failure> {
        match timeout(patience, calling).await {
            Ok(answer) => answer.map_err(|error| Failure::of_call(error, &self.bus)),
            Err(_) => Err(Failure::Silent),
        }
    }
}

/// `Job` is `org.batond.Baton1.Job`.
fn interface_name(short: &str) -> String {
    format!("{NAME}.{short}")
}

/// Connects to the bus at an address; none: the system bus. Also tells what to call it.
pub(super) async fn connect(address: Option<&str>) -> Result<(Connection, String), Failure> {
    let bus = address.unwrap_or("the system bus").to_owned();
    let builder = match address {
        Some(address) => connection::Builder::address(address),
        None => connection::Builder::system(),
    };
    let reason = match timeout(CONNECT_TIMEOUT, builder.build()).await {
        Ok(Ok(connection)) => return Ok((connection, bus)),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer".to_owned(),
    };
    Err(Failure::NoBus { bus, reason })
}
