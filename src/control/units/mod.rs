//! What systemd does with the units of backends: restarts and starts that are followed to their
//! end, the state, and what it means for clients that a backend is gone
//! (org.freedesktop.systemd1(5)).
//!
//! No call waits longer than its deadline, whatever the bus does.

mod journal;
mod proxy;
mod state;

use std::fmt;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use zbus::{Connection, DBusError};

pub use journal::last_lines;
pub use state::{JobType, Outlook, UnitState};

use super::link::{Link, LinkError};
use proxy::ManagerProxy;

/// Questions that need no work of systemd's.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long systemd is asked again about a unit that seems to run. It hears of the end of a process
/// within milliseconds.
const DOUBT: Duration = Duration::from_millis(400);

/// How soon systemd is asked again about a unit that seems to run; doubles each time.
const AGAIN: Duration = Duration::from_millis(10);

/// Replaces a job that is queued and contradicts, as systemctl does.
const MODE: &str = "replace";

/// Why systemd could not be asked, or did not do it.
#[derive(Debug, thiserror::Error)]
pub enum UnitsError {
    /// No bus.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// systemd has no such unit.
    #[error("systemd does not know {unit}")]
    Missing {
        /// Its name.
        unit: String,
    },
    /// The unit is masked.
    #[error("{unit} is masked (systemctl unmask {unit})")]
    Masked {
        /// Its name.
        unit: String,
    },
    /// polkit does not let the daemon's user do it.
    #[error(
        "not allowed to {verb} {unit}: polkit does not grant org.freedesktop.systemd1.manage-units \
         to the user of batond (batond's example 50-batond.rules in /etc/polkit-1/rules.d does)"
    )]
    NotAllowed {
        /// `restart` or `start`.
        verb: &'static str,
        /// Its name.
        unit: String,
    },
    /// No end within the time.
    #[error("systemd did not {verb} {unit} within {within:?}")]
    Late {
        /// What was asked for.
        verb: &'static str,
        /// Its name.
        unit: String,
        /// How long it had.
        within: Duration,
    },
    /// The bus went away meanwhile. systemd goes on with the job.
    #[error("the bus went away before systemd could {verb} {unit}")]
    BusLost {
        /// What was asked for.
        verb: &'static str,
        /// Its name.
        unit: String,
    },
    /// Anything else.
    #[error("cannot {verb} {unit}: {source}")]
    Ask {
        /// What was asked for.
        verb: &'static str,
        /// Its name.
        unit: String,
        /// What zbus says.
        source: zbus::Error,
    },
}

/// How a job of systemd's ended (`JobRemoved`, org.freedesktop.systemd1(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobResult {
    /// As asked for.
    Done,
    /// Another job came in its way.
    Canceled,
    /// `TimeoutStartSec=` or `JobTimeoutSec=` was over.
    Timeout,
    /// The unit failed.
    Failed,
    /// A unit that it needs failed.
    Dependency,
    /// It did not apply to the unit's state.
    Skipped,
    /// One that came with a later systemd, or is rare.
    Other(String),
}

impl From<&str> for JobResult {
    fn from(text: &str) -> Self {
        match text {
            "done" => Self::Done,
            "canceled" => Self::Canceled,
            "timeout" => Self::Timeout,
            "failed" => Self::Failed,
            "dependency" => Self::Dependency,
            "skipped" => Self::Skipped,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// As a clause about the unit.
impl fmt::Display for JobResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "it started",
            Self::Canceled => "another job of systemd's came in the way",
            Self::Timeout => "it did not start in the time that its unit file gives it",
            Self::Failed => "it failed to start",
            Self::Dependency => "a unit that it needs failed to start",
            Self::Skipped => "systemd had nothing to do",
            Self::Other(result) => return write!(f, "systemd's job ended as {result}"),
        })
    }
}

/// The service manager of a host, asked over the bus. Unprivileged, all but restart and start
/// work; these need polkit's `org.freedesktop.systemd1.manage-units`.
#[derive(Debug)]
pub struct Units {
    link: Link,
}

/// The object of a unit that systemd has loaded, whatever came of that.
struct Asked<'a> {
    verb: &'static str,
    unit: &'a str,
}

impl Units {
    /// Over the bus at this address; none: the system bus. Connects at the first question, and
    /// again after the bus went away. Must be called within a tokio runtime.
    #[must_use]
    pub fn connect(bus: Option<&str>) -> Self {
        let link = Link::new(bus);
        Self { link }
    }

    /// Restarts a unit, or starts it if it does not run; waits until systemd is done with it.
    ///
    /// # Errors
    /// It could not be asked for, or took longer than `within`, which does not stop it.
    pub async fn restart(&self, unit: &str, within: Duration) -> Result<JobResult, UnitsError> {
        let verb = "restart";
        self.follow(Asked { verb, unit }, within).await
    }

    /// Starts a unit; waits until systemd is done with it.
    ///
    /// # Errors
    /// As [`Units::restart`].
    pub async fn start(&self, unit: &str, within: Duration) -> Result<JobResult, UnitsError> {
        let verb = "start";
        self.follow(Asked { verb, unit }, within).await
    }

    /// What systemd knows of a unit now. One that does not exist has the load state `not-found`.
    ///
    /// # Errors
    /// systemd could not be asked, or not within 5 s.
    pub async fn state(&self, unit: &str) -> Result<UnitState, UnitsError> {
        let verb = "look at";
        let asked = Asked { verb, unit };
        match timeout(ANSWER_TIMEOUT, self.look(&asked)).await {
            Ok(state) => state,
            Err(_) => Err(asked.late(ANSWER_TIMEOUT)),
        }
    }

    /// The control group of a service below the root of all; none: it does not run, or is none.
    ///
    /// # Errors
    /// systemd could not be asked, or not within 5 s.
    pub async fn control_group(&self, unit: &str) -> Result<Option<String>, UnitsError> {
        let verb = "look at";
        let asked = Asked { verb, unit };
        let asking = async {
            let connection = self.link.connection().await?;
            let group = state::control_group(&connection, unit).await;
            group.map_err(|error| asked.failed(error))
        };
        match timeout(ANSWER_TIMEOUT, asking).await {
            Ok(group) => Ok(Some(group?).filter(|group| !group.is_empty())),
            Err(_) => Err(asked.late(ANSWER_TIMEOUT)),
        }
    }

    /// What it means that a backend of this unit is gone: whether it comes back. Asks again for
    /// 0.4 s if the unit seems to run, since a process may have ended of which systemd has not
    /// heard yet.
    ///
    /// # Errors
    /// systemd could not be asked, or gave no answer within this time.
    pub async fn outlook(&self, unit: &str, within: Duration) -> Result<Outlook, UnitsError> {
        let asked = Asked {
            verb: "look at",
            unit,
        };
        let deadline = Instant::now() + within;
        let mut doubt = None;
        let mut pause = AGAIN;
        loop {
            let state = match timeout_at(deadline, self.look(&asked)).await {
                Ok(state) => state?,
                Err(_) if doubt.is_some() => return Ok(Outlook::Running),
                Err(_) => return Err(asked.late(within)),
            };
            let until = *doubt.get_or_insert_with(|| deadline.min(Instant::now() + DOUBT));
            match state.outlook() {
                Outlook::Running if Instant::now() + pause < until => {
                    sleep(pause).await;
                    pause *= 2;
                }
                outlook => return Ok(outlook),
            }
        }
    }

    async fn look(&self, asked: &Asked<'_>) -> Result<UnitState, UnitsError> {
        let connection = self.link.connection().await?;
        match state::read(&connection, asked.unit).await {
            Err(error) if self.link.forgets(&error) => {
                let connection = self.link.connection().await?;
                let state = state::read(&connection, asked.unit).await;
                state.map_err(|error| asked.failed(error))
            }
            state => state.map_err(|error| asked.failed(error)),
        }
    }

    async fn follow(&self, asked: Asked<'_>, within: Duration) -> Result<JobResult, UnitsError> {
        let deadline = Instant::now() + within;
        let following = async {
            let connection = self.link.connection().await?;
            match asked.follow_over(&connection).await {
                // Nothing was asked for yet, if the connection was dead from the start.
                Err(UnitsError::Ask { source, .. }) if self.link.forgets(&source) => {
                    asked.follow_over(&self.link.connection().await?).await
                }
                result => result,
            }
        };
        match timeout_at(deadline, following).await {
            Ok(result) => result,
            Err(_) => Err(asked.late(within)),
        }
    }
}

impl Asked<'_> {
    async fn follow_over(&self, connection: &Connection) -> Result<JobResult, UnitsError> {
        let failed = |error| self.failed(error);
        let manager = ManagerProxy::new(connection).await.map_err(failed)?;
        // Before the question, so that a job that is done at once is not missed.
        let mut removed = manager.receive_job_removed().await.map_err(failed)?;
        manager
            .subscribe()
            .await
            .or_else(subscribed)
            .map_err(failed)?;
        let job = match self.verb {
            "start" => manager.start_unit(self.unit, MODE).await,
            _ => manager.restart_unit(self.unit, MODE).await,
        };
        let job = job.map_err(failed)?;
        while let Some(signal) = removed.next().await {
            let signal = signal.args().map_err(failed)?;
            if signal.job == job {
                return Ok(JobResult::from(signal.result.as_str()));
            }
        }
        Err(UnitsError::BusLost {
            verb: self.verb,
            unit: self.unit.to_owned(),
        })
    }

    fn late(&self, within: Duration) -> UnitsError {
        UnitsError::Late {
            verb: self.verb,
            unit: self.unit.to_owned(),
            within,
        }
    }

    fn failed(&self, source: zbus::Error) -> UnitsError {
        let (verb, unit) = (self.verb, self.unit.to_owned());
        match name(&source).as_str() {
            "org.freedesktop.DBus.Error.AccessDenied"
            | "org.freedesktop.DBus.Error.AuthFailed"
            | "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired" => {
                UnitsError::NotAllowed { verb, unit }
            }
            "org.freedesktop.systemd1.NoSuchUnit" => UnitsError::Missing { unit },
            "org.freedesktop.systemd1.UnitMasked" => UnitsError::Masked { unit },
            _ => UnitsError::Ask { verb, unit, source },
        }
    }
}

/// A second subscription over the same connection is an error that says so.
fn subscribed(error: zbus::Error) -> zbus::Result<()> {
    match name(&error).as_str() {
        "org.freedesktop.systemd1.AlreadySubscribed" => Ok(()),
        _ => Err(error),
    }
}

/// The name of an error that somebody on the bus answered; empty: it is none.
fn name(error: &zbus::Error) -> String {
    match error {
        zbus::Error::MethodError(name, ..) => name.to_string(),
        // Those that the bus specification names.
        zbus::Error::FDO(error) => error.name().to_string(),
        _ => String::new(),
    }
}
