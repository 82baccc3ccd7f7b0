//! `org.freedesktop.LogControl1`, so that `systemctl service-log-level batond` works
//! (org.freedesktop.LogControl1(5)).

use zbus::message::Header;
use zbus::{Connection, interface};

use super::access::{self, Action};
use super::error::Error;
use crate::control::journal::Log;

/// Where systemctl looks for it.
pub(super) const PATH: &str = "/org/freedesktop/LogControl1";

/// The process's log.
pub(super) struct LogControl {
    pub(super) log: Log,
}

/// Not interactive: the object server answers nobody else while a property is being set.
async fn check(bus: &Connection, header: Option<&Header<'_>>) -> Result<(), Error> {
    match header {
        Some(header) => access::check(bus, header, Action::SetLogLevel, false).await,
        None => Ok(()),
    }
}

#[interface(name = "org.freedesktop.LogControl1")]
impl LogControl {
    /// By its name of syslog(3).
    #[zbus(property(emits_changed_signal = "false"))]
    fn log_level(&self) -> &'static str {
        self.log.level_name()
    }

    #[zbus(property)]
    async fn set_log_level(
        &self,
        level: &str,
        #[zbus(header)] header: Option<Header<'_>>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<(), Error> {
        check(bus, header.as_ref()).await?;
        self.log
            .set_level(level)
            .map_err(|error| Error::InvalidValue(error.to_string()))
    }

    /// `journal` or `console`.
    #[zbus(property(emits_changed_signal = "false"))]
    fn log_target(&self) -> &'static str {
        self.log.target()
    }

    /// Only to what it is already.
    #[zbus(property)]
    async fn set_log_target(
        &self,
        target: &str,
        #[zbus(header)] header: Option<Header<'_>>,
        #[zbus(connection)] bus: &Connection,
    ) -> Result<(), Error> {
        check(bus, header.as_ref()).await?;
        let current = self.log.target();
        if [current, "auto"].contains(&target) {
            return Ok(());
        }
        Err(Error::InvalidValue(format!(
            "the log goes to {current}, and that does not change while batond runs"
        )))
    }

    /// As journald knows the process.
    #[zbus(property(emits_changed_signal = "const"))]
    fn syslog_identifier(&self) -> &'static str {
        "batond"
    }
}
