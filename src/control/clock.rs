//! Whether somebody keeps the clock of this host: all that is said of certificates rests on it.
//! systemd-timedated knows, from adjtimex(2) (org.freedesktop.timedate1(5)).
//!
//! In a container the clock is the host's, and whether that is kept cannot be told from inside; nor
//! on a host that can have no time service. Then nothing is said.

use std::time::Duration;

use tokio::time::timeout;
use zbus::proxy;
use zbus::proxy::CacheProperties;

use super::link::{Link, LinkError};

/// The service has to be started first.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the question is asked. Each time a service starts that says so in the journal.
pub const EVERY: Duration = Duration::from_secs(60 * 60);

/// How soon it is asked again if the clock seems not to be kept: at boot, and after a network was
/// away, that may take a while.
pub const AGAIN: Duration = Duration::from_secs(10 * 60);

/// What is known of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Somebody keeps it.
    Kept,
    /// A time service runs and has not been able to.
    Unsynchronised,
    /// There is a time service, and it is switched off.
    Alone,
    /// It cannot be told.
    Unknown,
}

impl Clock {
    fn of(synchronised: bool, can: bool, on: bool, virtualization: &str) -> Self {
        match (synchronised, is_container(virtualization)) {
            (true, _) => Self::Kept,
            (false, true) => Self::Unknown,
            (false, false) if on => Self::Unsynchronised,
            (false, false) if can => Self::Alone,
            (false, false) => Self::Unknown,
        }
    }

    /// Whether it may drift away.
    pub fn is_loose(self) -> bool {
        matches!(self, Self::Unsynchronised | Self::Alone)
    }
}

/// As systemd names them (systemd-detect-virt(1)).
fn is_container(virtualization: &str) -> bool {
    matches!(
        virtualization,
        "systemd-nspawn"
            | "lxc"
            | "lxc-libvirt"
            | "docker"
            | "podman"
            | "rkt"
            | "wsl"
            | "proot"
            | "pouch"
            | "openvz"
            | "container-other"
    )
}

/// Asks over a bus; none: the system bus. Whatever goes wrong makes [`Clock::Unknown`].
pub async fn ask(bus: Option<&str>) -> Clock {
    match timeout(ANSWER_TIMEOUT, question(bus)).await {
        Ok(Ok(clock)) => clock,
        Ok(Err(error)) => {
            tracing::debug!("who keeps the clock? {error}");
            Clock::Unknown
        }
        Err(_) => Clock::Unknown,
    }
}

#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error(transparent)]
    Link(#[from] LinkError),
    #[error(transparent)]
    Bus(#[from] zbus::Error),
}

async fn question(bus: Option<&str>) -> Result<Clock, AskError> {
    let connection = Link::new(bus).connection().await?;
    let time = TimeProxy::builder(&connection)
        .cache_properties(CacheProperties::No)
        .build()
        .await?;
    let manager = ManagerProxy::builder(&connection)
        .cache_properties(CacheProperties::No)
        .build()
        .await?;
    Ok(Clock::of(
        time.synchronised().await?,
        time.can_synchronise().await?,
        time.synchronises().await?,
        &manager.virtualization().await?,
    ))
}

#[proxy(
    interface = "org.freedesktop.timedate1",
    default_service = "org.freedesktop.timedate1",
    default_path = "/org/freedesktop/timedate1"
)]
trait Time {
    #[zbus(property, name = "NTPSynchronized")]
    fn synchronised(&self) -> zbus::Result<bool>;

    #[zbus(property, name = "CanNTP")]
    fn can_synchronise(&self) -> zbus::Result<bool>;

    #[zbus(property, name = "NTP")]
    fn synchronises(&self) -> zbus::Result<bool>;
}

#[proxy(
    interface = "org.freedesktop.systemd1.Manager",
    default_service = "org.freedesktop.systemd1",
    default_path = "/org/freedesktop/systemd1"
)]
trait Manager {
    /// Empty: a machine of its own.
    #[zbus(property)]
    fn virtualization(&self) -> zbus::Result<String>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_is_said() {
        for (synchronised, can, on, virtualization, clock) in [
            (true, true, true, "", Clock::Kept),
            (true, false, false, "docker", Clock::Kept),
            (false, true, true, "", Clock::Unsynchronised),
            (false, true, false, "kvm", Clock::Alone),
            (false, false, false, "", Clock::Unknown),
            (false, true, true, "systemd-nspawn", Clock::Unknown),
            (false, true, false, "container-other", Clock::Unknown),
        ] {
            let found = Clock::of(synchronised, can, on, virtualization);
            assert_eq!(found, clock, "{synchronised} {can} {on} {virtualization}");
        }
    }
}
