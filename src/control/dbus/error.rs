//! What a caller on the bus is answered instead of what it asked for.

use zbus::DBusError;

use crate::control::command::Refusal;

/// The named errors. Each carries one text for the operator.
#[derive(Debug, DBusError)]
#[zbus(prefix = "org.batond.Baton1.Error")]
pub enum Error {
    /// The bus itself failed.
    #[zbus(error)]
    ZBus(zbus::Error),
    /// The configuration on disk cannot be put into use. Nothing has changed.
    ConfigurationRefused(String),
    /// The successor does not serve. The process goes on.
    HandoffFailed(String),
    /// Something else is under way.
    Busy(String),
    /// The clients' return would fail: nobody was told.
    Interlock(String),
    /// The first clients that were told did not come back: the others were not told.
    CanaryLost(String),
    /// The unit was not restarted, or did not get healthy.
    BackendNotBack(String),
    /// Somebody cancelled it, or the host goes down.
    Canceled(String),
    /// The caller may not ask for this.
    NotAuthorized(String),
    /// There is nothing of this name or number.
    NotFound(String),
    /// An option that this version does not know.
    UnknownOption(String),
    /// A value that makes no sense here.
    InvalidValue(String),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::ConfigurationRefused(reason) => Self::ConfigurationRefused(reason),
            Refusal::HandoffFailed(reason) => Self::HandoffFailed(reason),
            Refusal::Busy(reason) => Self::Busy(reason),
            Refusal::NotFound(reason) => Self::NotFound(reason),
            Refusal::Interlock(reason) => Self::Interlock(reason),
            Refusal::CanaryLost(reason) => Self::CanaryLost(reason),
            Refusal::BackendNotBack(reason) => Self::BackendNotBack(reason),
            Refusal::Canceled(reason) => Self::Canceled(reason),
        }
    }
}
