//! What may be in the way of a job.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::restart::report::Seconds;

/// What is in the way of a job. In JSON, `kind` is its stable name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum Obstacle {
    /// Clients would reject the certificate when they return.
    CertificateBad {
        /// Its name in the configuration.
        certificate: String,
        /// The verdict.
        why: String,
    },
    /// The next start of batond would not serve.
    ConfigurationBroken {
        /// The first problem.
        why: String,
    },
    /// systemd does not know the unit.
    UnitMissing {
        /// Its name.
        unit: String,
    },
    /// The unit cannot be started.
    UnitMasked {
        /// Its name.
        unit: String,
    },
    /// The unit's file has mistakes.
    UnitBroken {
        /// Its name.
        unit: String,
        /// Its `LoadState`.
        load: String,
    },
    /// There is nothing to restart.
    NoUnit,
    /// The program on disk would not take the place of the running one, if that had to end.
    SuccessorFails {
        /// Why.
        why: String,
    },
    /// One job a service.
    JobRunning {
        /// Its number.
        id: u32,
        /// Its kind.
        kind: String,
    },
    /// The host goes down, which is announced by itself.
    HostShutdown,
    /// Newcomers would be refused before the backend is back.
    HoldTooShort {
        /// `restart.hold` in milliseconds.
        hold_ms: u64,
        /// Drain and restart, in milliseconds.
        needed_ms: u64,
    },
    /// More clients return than may be held.
    HeldTooMany {
        /// `restart.max_held`.
        max: u64,
        /// Who may be waiting in the end.
        expected: u64,
    },
    /// Not all clients can be told in turn.
    DeadlineTooShort {
        /// `restart.deadline` in milliseconds.
        deadline_ms: u64,
        /// The drain, in milliseconds.
        needed_ms: u64,
    },
    /// systemd cannot be asked to restart anything.
    SystemdUnreachable {
        /// Why.
        why: String,
    },
}

impl Obstacle {
    /// The stable name, in kebab case.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::CertificateBad { .. } => "certificate-bad",
            Self::ConfigurationBroken { .. } => "configuration-broken",
            Self::UnitMissing { .. } => "unit-missing",
            Self::UnitMasked { .. } => "unit-masked",
            Self::UnitBroken { .. } => "unit-broken",
            Self::NoUnit => "no-unit",
            Self::SuccessorFails { .. } => "successor-fails",
            Self::JobRunning { .. } => "job-running",
            Self::HostShutdown => "host-shutdown",
            Self::HoldTooShort { .. } => "hold-too-short",
            Self::HeldTooMany { .. } => "held-too-many",
            Self::DeadlineTooShort { .. } => "deadline-too-short",
            Self::SystemdUnreachable { .. } => "systemd-unreachable",
        }
    }

    /// Whether it may be overridden: where the job can be done, at the cost of clients. Where it
    /// cannot be done at all, sending the clients away gains nothing.
    #[must_use]
    pub fn may_be_forced(&self) -> bool {
        match self {
            Self::CertificateBad { .. }
            | Self::ConfigurationBroken { .. }
            | Self::UnitBroken { .. }
            | Self::SuccessorFails { .. }
            | Self::HoldTooShort { .. }
            | Self::HeldTooMany { .. }
            | Self::DeadlineTooShort { .. } => true,
            Self::UnitMissing { .. }
            | Self::UnitMasked { .. }
            | Self::NoUnit
            | Self::JobRunning { .. }
            | Self::HostShutdown
            | Self::SystemdUnreachable { .. } => false,
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::CertificateBad { certificate, why } => {
                format!("clients would not come back past certificate {certificate}: {why}")
            }
            Self::ConfigurationBroken { why } => {
                format!("the configuration on disk would not load: {why}")
            }
            Self::UnitMissing { unit } => format!("systemd does not know {unit}"),
            Self::UnitMasked { unit } => format!("{unit} is masked and would not start again"),
            Self::UnitBroken { unit, load } => {
                format!("the file of {unit} has mistakes (LoadState is {load})")
            }
            Self::NoUnit => "no backend of the service names its unit".to_owned(),
            Self::SuccessorFails { why } => {
                format!("the program on disk could not take over: {why}")
            }
            Self::JobRunning { id, kind } => format!("job {id} ({kind}) of the service is running"),
            Self::HostShutdown => "the host is shutting down".to_owned(),
            Self::HoldTooShort { hold_ms, needed_ms } => format!(
                "newcomers may wait {}, but drain and restart take about {}",
                Seconds(*hold_ms),
                Seconds(*needed_ms)
            ),
            Self::HeldTooMany { max, expected } => {
                format!("at most {max} newcomers may wait, but {expected} may want to")
            }
            Self::DeadlineTooShort {
                deadline_ms,
                needed_ms,
            } => format!(
                "the drain takes about {}, but its deadline is {}",
                Seconds(*needed_ms),
                Seconds(*deadline_ms)
            ),
            Self::SystemdUnreachable { why } => format!("systemd cannot be asked: {why}"),
        }
    }

    fn remedy(&self) -> String {
        match self {
            Self::CertificateBad { .. } => {
                "renew it; see `batonctl certificates` for what is wrong".to_owned()
            }
            Self::ConfigurationBroken { .. } => "`batond check` shows all problems".to_owned(),
            Self::UnitMissing { .. } => {
                "correct the unit's name in the configuration, or install the unit".to_owned()
            }
            Self::UnitMasked { unit } => format!("systemctl unmask {unit}"),
            Self::UnitBroken { unit, .. } => format!("systemd-analyze verify {unit}"),
            Self::NoUnit => "set `unit` in the service, or use `batonctl drain`".to_owned(),
            Self::SuccessorFails { .. } => {
                "install a program that starts, or correct the configuration for it".to_owned()
            }
            Self::JobRunning { .. } => {
                "wait for it, or cancel it; `batonctl status` shows it".to_owned()
            }
            Self::HostShutdown => "all clients are told by the shutdown itself".to_owned(),
            Self::HoldTooShort { needed_ms, .. } => format!(
                "set restart.hold to {} or more",
                Seconds(needed_ms.next_multiple_of(1000))
            ),
            Self::HeldTooMany { expected, .. } => {
                format!("set restart.max_held to {expected} or more")
            }
            Self::DeadlineTooShort { needed_ms, .. } => format!(
                "set restart.deadline to {} or more",
                Seconds(needed_ms.next_multiple_of(1000))
            ),
            Self::SystemdUnreachable { .. } => "see `systemctl status dbus`".to_owned(),
        }
    }
}

/// One reason why a job is not begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What is in the way, with its name.
    #[serde(flatten)]
    pub obstacle: Obstacle,
    /// What is wrong.
    pub sentence: String,
    /// What to do about it.
    pub remedy: String,
    /// Whether `force` overrides it.
    pub may_be_forced: bool,
}

impl Refusal {
    /// With its sentence and remedy.
    #[must_use]
    pub fn of(obstacle: Obstacle) -> Self {
        Self {
            sentence: obstacle.sentence(),
            remedy: obstacle.remedy(),
            may_be_forced: obstacle.may_be_forced(),
            obstacle,
        }
    }
}

/// `unit-masked: chat.service is masked and would not start again (systemctl unmask chat.service)`
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.obstacle.name();
        write!(f, "{name}: {} ({}", self.sentence, self.remedy)?;
        f.write_str(if self.may_be_forced {
            "; --force overrides)"
        } else {
            ")"
        })
    }
}
