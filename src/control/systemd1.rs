//! What systemd has in mind with us: a restart or a stop for good. No environment variable and no
//! signal tells, only the jobs that the service manager holds (org.freedesktop.systemd1(5)). And
//! what it keeps for us, of which it does not tell either.

use std::process;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::timeout;
use tracing::{debug, warn};
use zbus::proxy::CacheProperties;
use zbus::{Connection, OwnedObjectPath, Type, connection, proxy};

/// A bus on the same machine answers within milliseconds, if at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What follows after the process was asked to terminate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StopKind {
    /// The service comes back: its own restart, or a reboot of the host.
    Restart,
    /// The service stays away: its own stop, or a power-off of the host.
    Stop,
    /// Nobody could be asked, or the process is not the main process of a service.
    Unknown,
}

/// What the descriptor store of a service holds (systemd.service(5), `FileDescriptorStoreMax=`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DescriptorStore {
    /// Descriptors that are in it.
    pub held: u32,
    /// How many it takes at most.
    pub max: u32,
}

/// Why systemd could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Systemd1Error {
    /// The bus address does not parse, or nobody answers there.
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
    /// systemd's answer was an error, or none of those that org.freedesktop.systemd1(5) allows.
    #[error("asking systemd about the own unit: {0}")]
    Ask(#[from] zbus::Error),
}

/// Asks over a connection made for this question alone. See [`Systemd::own_stop_kind`].
///
/// `bus` is a D-Bus address; none: the system bus. `deadline` includes the connecting.
pub async fn own_stop_kind(bus: Option<&str>, deadline: Duration) -> StopKind {
    within(deadline, async { Systemd::connect(bus).await?.ask().await }).await
}

/// A connection to the service manager, kept because the bus may be on its way out when the
/// question comes.
#[derive(Debug)]
pub struct Systemd {
    bus: Option<String>,
    connection: Mutex<Connection>,
}

impl Systemd {
    /// Connects to the bus at an address; none: the system bus.
    ///
    /// Must be called within a tokio runtime. Gives up after 5 s.
    pub async fn connect(bus: Option<&str>) -> Result<Self, Systemd1Error> {
        let bus = bus.map(str::to_owned);
        let connection = Mutex::new(open(bus.as_deref()).await?);
        Ok(Self { bus, connection })
    }

    /// What systemd has in mind with this process, which was just asked to terminate. Works
    /// unprivileged. What decides, the first before the others:
    ///
    /// 1. The host goes down: reboot, kexec and soft-reboot are a restart, power-off and halt a
    ///    stop, whatever our own job says, since it is only a consequence.
    /// 2. Only the main process of a service is known to come back or not.
    /// 3. The job of our own unit.
    /// 4. Without a job, systemd starts a process that exits with 0 again only with
    ///    `Restart=always` or `on-success` (systemd.service(5)).
    ///
    /// Any error and the end of `deadline` make [`StopKind::Unknown`], logged with the reason.
    pub async fn own_stop_kind(&self, deadline: Duration) -> StopKind {
        within(deadline, self.ask()).await
    }

    /// What the descriptor store of our own service holds. systemd has acted on every
    /// notification that was sent before the question: it reads those first.
    ///
    /// None: this is not the main process of a service, or systemd did not answer until
    /// `deadline` was over, which is logged for debugging only.
    pub async fn own_store(&self, deadline: Duration) -> Option<DescriptorStore> {
        match timeout(deadline, self.with_connection(descriptor_store)).await {
            Ok(Ok(store)) => store,
            Ok(Err(error)) => {
                debug!("what is in the descriptor store? {error}");
                None
            }
            Err(_) => {
                debug!("what is in the descriptor store? no answer within {deadline:?}");
                None
            }
        }
    }

    async fn ask(&self) -> Result<StopKind, Systemd1Error> {
        self.with_connection(stop_kind).await
    }

    async fn with_connection<T>(
        &self,
        question: impl AsyncFn(&Connection) -> zbus::Result<T>,
    ) -> Result<T, Systemd1Error> {
        let connection = self.lock().clone();
        match question(&connection).await {
            // The connection is dead, of which nobody told until now.
            Err(zbus::Error::InputOutput(_)) => {
                let fresh = open(self.bus.as_deref()).await?;
                self.lock().clone_from(&fresh);
                Ok(question(&fresh).await?)
            }
            answer => Ok(answer?),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

async fn within(
    deadline: Duration,
    question: impl Future<Output = Result<StopKind, Systemd1Error>>,
) -> StopKind {
    match timeout(deadline, question).await {
        Ok(Ok(kind)) => kind,
        Ok(Err(error)) => {
            warn!("restart or stop? {error}");
            StopKind::Unknown
        }
        Err(_) => {
            warn!("restart or stop? systemd did not answer within {deadline:?}");
            StopKind::Unknown
        }
    }
}

async fn open(bus: Option<&str>) -> Result<Connection, Systemd1Error> {
    let builder = match bus {
        Some(address) => connection::Builder::address(address),
        None => connection::Builder::system(),
    };
    let bus = || bus.unwrap_or("the system bus").to_owned();
    match timeout(CONNECT_TIMEOUT, builder.build()).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(source)) => Err(Systemd1Error::Connect { bus: bus(), source }),
        Err(_) => Err(Systemd1Error::Silent { bus: bus() }),
    }
}

async fn manager(connection: &Connection) -> zbus::Result<ManagerProxy<'_>> {
    ManagerProxy::builder(connection)
        .cache_properties(CacheProperties::No)
        .build()
        .await
}

/// The service that this process belongs to. Units of other kinds do not answer what a service is
/// asked.
async fn own_service<'c>(
    connection: &'c Connection,
    manager: &ManagerProxy<'c>,
) -> zbus::Result<(OwnedObjectPath, ServiceProxy<'c>)> {
    // 0 is the caller, whose PID the bus knows, also across PID namespaces.
    let unit = manager.get_unit_by_pid(0).await?;
    let service = ServiceProxy::builder(connection)
        .path(unit.clone())
        .cache_properties(CacheProperties::No)
        .build()
        .await?;
    Ok((unit, service))
}

async fn descriptor_store(connection: &Connection) -> zbus::Result<Option<DescriptorStore>> {
    let manager = manager(connection).await?;
    let (_, service) = own_service(connection, &manager).await?;
    if service.main_pid().await? != process::id() {
        return Ok(None);
    }
    Ok(Some(DescriptorStore {
        held: service.stored_descriptors().await?,
        max: service.stored_descriptors_max().await?,
    }))
}

async fn stop_kind(connection: &Connection) -> zbus::Result<StopKind> {
    let manager = manager(connection).await?;
    let jobs = manager.list_jobs().await?;
    if let Some(kind) = jobs.iter().find_map(Job::kind_of_host) {
        return Ok(kind);
    }
    let (unit, service) = own_service(connection, &manager).await?;
    if service.main_pid().await? != process::id() {
        return Ok(StopKind::Unknown);
    }
    if let Some(kind) = jobs
        .iter()
        .filter(|job| job.unit_path == unit)
        .find_map(Job::kind)
    {
        return Ok(kind);
    }
    Ok(match service.restart().await?.as_str() {
        "always" | "on-success" => StopKind::Restart,
        _ => StopKind::Stop,
    })
}

/// An element of the answer to `ListJobs`.
#[derive(Debug, Deserialize, Type)]
struct Job {
    _id: u32,
    unit: String,
    kind: String,
    _state: String,
    _path: OwnedObjectPath,
    unit_path: OwnedObjectPath,
}

impl Job {
    /// Set if the host goes down by this job (systemd.special(7)).
    fn kind_of_host(&self) -> Option<StopKind> {
        match (self.unit.as_str(), self.kind.as_str()) {
            ("reboot.target" | "kexec.target" | "soft-reboot.target", "start") => {
                Some(StopKind::Restart)
            }
            ("poweroff.target" | "halt.target", "start") => Some(StopKind::Stop),
            _ => None,
        }
    }

    /// What the job makes of a unit that is being terminated; none if it says nothing about that.
    fn kind(&self) -> Option<StopKind> {
        match self.kind.as_str() {
            // A start job that waits for a process to end is what a restart job turns into.
            "restart" | "try-restart" | "start" => Some(StopKind::Restart),
            "stop" => Some(StopKind::Stop),
            _ => None,
        }
    }
}

#[proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
trait Manager {
    #[zbus(name = "GetUnitByPID")]
    fn get_unit_by_pid(&self, pid: u32) -> zbus::Result<OwnedObjectPath>;

    fn list_jobs(&self) -> zbus::Result<Vec<Job>>;
}

/// Units that are not services answer with an error.
#[proxy(
    interface = "org.freedesktop.systemd1.Service",
    default_service = "org.freedesktop.systemd1"
)]
trait Service {
    #[zbus(property, name = "MainPID")]
    fn main_pid(&self) -> zbus::Result<u32>;

    #[zbus(property)]
    fn restart(&self) -> zbus::Result<String>;

    #[zbus(property, name = "NFileDescriptorStore")]
    fn stored_descriptors(&self) -> zbus::Result<u32>;

    #[zbus(property, name = "FileDescriptorStoreMax")]
    fn stored_descriptors_max(&self) -> zbus::Result<u32>;
}
