//! What did not work, what to do about it, and the exit code.

use std::io;

use crate::control::dbus::ERRORS;

/// EX_USAGE of sysexits(3): the command line is wrong.
pub(super) const USAGE: u8 = 64;
const UNAVAILABLE: u8 = 69;
const SOFTWARE: u8 = 70;
const OSERR: u8 = 71;
const IOERR: u8 = 74;
const TEMPFAIL: u8 = 75;
const NOPERM: u8 = 77;
const CONFIG: u8 = 78;

/// Names with more wrong than a third of their letters are not what was meant.
const TYPOS: usize = 3;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("cannot connect to {bus}: {reason} (is dbus running, and the address right?)")]
    NoBus { bus: String, reason: String },
    #[error(
        "batond is not running, or not on {bus} (start it with `systemctl start batond`; \
         `systemctl status batond` says why it does not run)"
    )]
    NotRunning { bus: String },
    #[error("batond does not answer (see `systemctl status batond`)")]
    Silent,
    #[error(
        "batond went away before it had answered, or its job had ended (see `systemctl status batond` and \
         `journalctl -u batond`)"
    )]
    Gone,
    #[error("not allowed: {0} (try with sudo, or have polkit allow it)")]
    NotAllowed(String),
    #[error("there is no {what} {name:?}{}", meant(.nearest))]
    NotFound {
        what: &'static str,
        name: String,
        nearest: Option<String>,
    },
    #[error("{0}")]
    Unfound(String),
    #[error("{0}\nnothing has changed: batond goes on with the configuration that it has")]
    ConfigurationRefused(String),
    #[error("no upgrade: {0}\nthe running process goes on as if nothing had happened")]
    HandoffFailed(String),
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Failed(String),
    #[error("cannot run systemctl: {0}")]
    Systemctl(String),
    #[error("not now: {0} (try again when that is over)")]
    Busy(String),
    #[error("batond does not know this request, perhaps it is of another version: {0}")]
    Unknown(String),
    #[error("{0}")]
    Other(zbus::Error),
    #[error("cannot start: {0}")]
    System(io::Error),
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

fn meant(nearest: &Option<String>) -> String {
    nearest
        .as_ref()
        .map(|name| format!(" (did you mean {name:?}?)"))
        .unwrap_or_default()
}

impl Failure {
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::NoBus { .. } | Self::NotRunning { .. } | Self::Silent | Self::Gone => UNAVAILABLE,
            Self::NotAllowed(_) => NOPERM,
            Self::NotFound { .. } | Self::Unfound(_) => USAGE,
            Self::ConfigurationRefused(_) => CONFIG,
            Self::Busy(_) | Self::Refused(_) => TEMPFAIL,
            Self::Failed(_) => SOFTWARE,
            Self::Systemctl(_) => OSERR,
            Self::HandoffFailed(_) | Self::Unknown(_) | Self::Other(_) => SOFTWARE,
            Self::System(_) => OSERR,
            Self::Output(_) => IOERR,
        }
    }

    /// A name that is none of these.
    pub(super) fn not_found<'a>(
        what: &'static str,
        name: &str,
        all: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let distance = |other: &str| strsim::damerau_levenshtein(name, other);
        let near = |other: &&str| distance(other) <= (name.len() / TYPOS).max(1);
        let nearest = all.into_iter().filter(near).min_by_key(|one| distance(one));
        Self::NotFound {
            what,
            name: name.to_owned(),
            nearest: nearest.map(str::to_owned),
        }
    }

    /// What an error of batond's own says, by its name; None, if it is none of these.
    pub(super) fn of_name(name: &str, text: String) -> Option<Self> {
        let own = name.strip_prefix(ERRORS)?.strip_prefix('.')?;
        Some(match own {
            "ConfigurationRefused" => Self::ConfigurationRefused(text),
            "HandoffFailed" => Self::HandoffFailed(text),
            "Busy" => Self::Busy(text),
            "Interlock" => Self::Refused(text),
            "CanaryLost" | "BackendNotBack" | "Canceled" => Self::Failed(text),
            "NotFound" => Self::Unfound(text),
            "NotAuthorized" => Self::NotAllowed(text),
            _ => Self::Unknown(text),
        })
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
        let common = name.strip_prefix("org.freedesktop.DBus.Error.");
        match (Self::of_name(&name, text.clone()), common) {
            (Some(own), _) => own,
            (_, Some("AccessDenied")) => Self::NotAllowed(text),
            (_, Some("ServiceUnknown" | "NameHasNoOwner")) => Self::NotRunning {
                bus: bus.to_owned(),
            },
            // The bus says this of whoever ends instead of answering.
            (_, Some("NoReply")) => Self::Gone,
            (_, Some("Timeout" | "TimedOut")) => Self::Silent,
            (_, Some("UnknownMethod" | "UnknownInterface" | "UnknownObject")) => {
                Self::Unknown(text)
            }
            _ => Self::Other(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_if_it_is_near() {
        for (name, offered) in [("caht", true), ("chats", true), ("trading", false)] {
            let said = Failure::not_found("service", name, ["echo", "chat"]).to_string();
            assert_eq!(said.contains("did you mean \"chat\"?"), offered, "{said}");
        }
    }
}
