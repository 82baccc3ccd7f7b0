//! What did not work, what to do about it, and the exit code.

use std::io;

use crate::control::dbus::ERRORS;

/// EX_USAGE of sysexits(3): the command line is wrong.
pub(super) const USAGE: u8 = 64;
const UNAVAILABLE: u8 = 69;
const SOFTWARE: u8 = 70;
const OSERR: u8 = 71;
const TEMPFAIL: u8 = 75;
const NOPERM: u8 = 77;
const CONFIG: u8 = 78;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("cannot connect to {bus}: {reason} (is dbus running, and the address right?)")]
    NoBus { bus: String, reason: String },
    #[error("batond is not running, or not on {bus} (see `systemctl status batond`)")]
    NotRunning { bus: String },
    #[error("batond does not answer (see `systemctl status batond`)")]
    Silent,
    #[error("not allowed: {0} (try with sudo)")]
    NotAllowed(String),
    #[error("{0}\nnothing has changed: batond goes on with the configuration that it has")]
    ConfigurationRefused(String),
    #[error("no upgrade: {0}\nthe running process goes on as if nothing had happened")]
    HandoffFailed(String),
    #[error("not now: {0} (try again when that is over)")]
    Busy(String),
    #[error("batond does not know this request, perhaps it is of another version: {0}")]
    Unknown(String),
    #[error("{0}")]
    Other(zbus::Error),
    #[error("cannot start: {0}")]
    System(io::Error),
}

impl Failure {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::NoBus { .. } | Self::NotRunning { .. } | Self::Silent => UNAVAILABLE,
            Self::NotAllowed(_) => NOPERM,
            Self::ConfigurationRefused(_) => CONFIG,
            Self::Busy(_) => TEMPFAIL,
            Self::HandoffFailed(_) | Self::Unknown(_) | Self::Other(_) => SOFTWARE,
            Self::System(_) => OSERR,
        }
    }

    /// What the answer to a call says. `bus` names the bus.
    pub(super) fn of_call(error: zbus::Error, bus: &str) -> Self {
        let (name, text) = match &error {
            zbus::Error::MethodError(name, text, _) => {
                (name.to_string(), text.clone().unwrap_or_default())
            }
            zbus::Error::FDO(error) => {
                use zbus::DBusError as _;
                let text = error.description().unwrap_or_default().to_owned();
                (error.name().to_string(), text)
            }
            zbus::Error::InputOutput(cause) if cause.kind() == io::ErrorKind::TimedOut => {
                return Self::Silent;
            }
            zbus::Error::InputOutput(cause) => {
                let (bus, reason) = (bus.to_owned(), cause.to_string());
                return Self::NoBus { bus, reason };
            }
            _ => return Self::Other(error),
        };
        let own = name
            .strip_prefix(ERRORS)
            .and_then(|rest| rest.strip_prefix('.'));
        let common = name.strip_prefix("org.freedesktop.DBus.Error.");
        match (own, common) {
            (Some("ConfigurationRefused"), _) => Self::ConfigurationRefused(text),
            (Some("HandoffFailed"), _) => Self::HandoffFailed(text),
            (Some("Busy"), _) => Self::Busy(text),
            (Some("NotAuthorized"), _) | (_, Some("AccessDenied")) => Self::NotAllowed(text),
            (_, Some("ServiceUnknown" | "NameHasNoOwner")) => Self::NotRunning {
                bus: bus.to_owned(),
            },
            (_, Some("NoReply" | "Timeout" | "TimedOut")) => Self::Silent,
            (Some(_), _) | (_, Some("UnknownMethod" | "UnknownInterface" | "UnknownObject")) => {
                Self::Unknown(text)
            }
            _ => Self::Other(error),
        }
    }
}
