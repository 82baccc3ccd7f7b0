//! P5: nobody is sent away whose return would fail. What is known before a job begins becomes
//! reasons not to begin it, each with a name, a sentence and a remedy, and the plan that an
//! operator can read without anything being done.
//!
//! The driver gathers [`Facts`] (from the certificates, the files on disk, systemd and the edge)
//! and asks [`Facts::plan`]. It feeds [`Plan::refusals`] to the job, which decides whether `force`
//! overrides them.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Rate assumed of a host of which nothing is known, in clients a second and core.
const LEAST_PER_CORE: f64 = 250.0;

/// What can be known before a job begins.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The service.
    pub service: String,
    /// Clients connected through it.
    pub clients: u64,
    /// Clients a second that the host took back at an earlier job, if known.
    pub known_rate: Option<f64>,
    /// Processor cores that take clients back.
    pub cores: usize,
    /// Newcomers a second, on average of the last seconds.
    pub newcomers_per_second: f64,
    /// Certificates that clients of the service are shown, whose verdict is bad now, or will be
    /// before the last client is back.
    pub certificates: Vec<BadCertificate>,
    /// What is wrong with the configuration on disk.
    pub configuration: Option<String>,
    /// The units behind the service, in the order of a rolling restart; empty: it has none.
    pub units: Vec<UnitFact>,
    /// Why a successor of the program on disk would not start, if the host's restart or an
    /// upgrade is part of it.
    pub successor: Option<String>,
    /// The number and kind of another job of the service.
    pub other_job: Option<(u32, String)>,
    /// A shutdown of the host is under way.
    pub host_shutdown: bool,
    /// Why systemd cannot be asked.
    pub systemd: Option<String>,
    /// The job restarts no unit: a drain.
    pub drain_only: bool,
    /// `restart.deadline`.
    pub deadline: Duration,
    /// `restart.close_timeout`.
    pub close_timeout: Duration,
    /// `restart.hold`.
    pub hold: Duration,
    /// `restart.max_held`.
    pub max_held: u64,
    /// How long the unit took from the request to a healthy probe the last time. None: unknown.
    pub restart_took: Option<Duration>,
}

/// A certificate that clients would reject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadCertificate {
    /// Its name in the configuration.
    pub name: String,
    /// The verdict as a clause: "it expires in 3 s".
    pub why: String,
}

/// What systemd says of a backend's unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitFact {
    /// Its name.
    pub unit: String,
    /// `LoadState`: loaded, not-found, masked, bad-setting, error … (org.freedesktop.systemd1(5)).
    pub load: String,
    /// Another backend of the service, not of this unit, takes its clients meanwhile.
    pub has_peer: bool,
}

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
    /// A successor would not get ready.
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
            Self::SuccessorFails { why } => format!("a successor would not get ready: {why}"),
            Self::JobRunning { id, kind } => format!("job {id} ({kind}) of the service is running"),
            Self::HostShutdown => "the host is shutting down".to_owned(),
            Self::HoldTooShort { hold_ms, needed_ms } => format!(
                "newcomers may wait {}, but drain and restart take about {}",
                seconds(*hold_ms),
                seconds(*needed_ms)
            ),
            Self::HeldTooMany { max, expected } => {
                format!("at most {max} newcomers may wait, but {expected} may want to")
            }
            Self::DeadlineTooShort {
                deadline_ms,
                needed_ms,
            } => format!(
                "the drain takes about {}, but its deadline is {}",
                seconds(*needed_ms),
                seconds(*deadline_ms)
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
            Self::SuccessorFails { .. } => "install a program that starts".to_owned(),
            Self::JobRunning { .. } => {
                "wait for it, or cancel it; `batonctl status` shows it".to_owned()
            }
            Self::HostShutdown => "all clients are told by the shutdown itself".to_owned(),
            Self::HoldTooShort { needed_ms, .. } => format!(
                "set restart.hold to {} or more",
                seconds(needed_ms.next_multiple_of(1000))
            ),
            Self::HeldTooMany { expected, .. } => {
                format!("set restart.max_held to {expected} or more")
            }
            Self::DeadlineTooShort { needed_ms, .. } => format!(
                "set restart.deadline to {} or more",
                seconds(needed_ms.next_multiple_of(1000))
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

/// What a job would do, before it does it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The service.
    pub service: String,
    /// Clients that would be told.
    pub clients: u64,
    /// Of those, who would be told first, and awaited.
    pub canary: u64,
    /// Units that would be restarted, in this order.
    pub units: Vec<String>,
    /// Whether one after the other, while the others serve.
    pub rolling: bool,
    /// Clients a second that the host takes back.
    pub reconnect_rate: u64,
    /// Whether that was seen at an earlier job, or is only assumed.
    pub rate_is_known: bool,
    /// Expected milliseconds until the last client has left.
    pub drain_ms: u64,
    /// Expected milliseconds of all restarts; none: unknown.
    pub restart_ms: Option<u64>,
    /// Expected milliseconds from the start until the last client is back.
    pub length_ms: u64,
    /// What is in the way.
    pub refusals: Vec<Refusal>,
}

impl Facts {
    /// What the job would do, and everything that is in its way.
    #[must_use]
    pub fn plan(&self, retry_end: Duration) -> Plan {
        let rate = self
            .known_rate
            .unwrap_or(LEAST_PER_CORE * self.cores.max(1) as f64)
            .max(1.0);
        let canary = super::pace::canary(self.clients, self.newcomers_per_second, retry_end);
        let turns = Duration::from_secs_f64(self.clients as f64 / rate);
        // Half of the longest delay brings back a quarter of the canary. Whoever is told last
        // answers within milliseconds.
        let awaited = if canary < self.clients {
            retry_end / 2
        } else {
            Duration::ZERO
        };
        let drain = awaited + turns;
        let rolling = self.rolling();
        let restarts = self
            .restart_took
            .map(|one| one * u32::try_from(self.units.len().max(1)).unwrap_or(u32::MAX));
        let restarts = restarts.filter(|_| !self.drain_only);
        let mut plan = Plan {
            service: self.service.clone(),
            clients: self.clients,
            canary,
            units: self.units.iter().map(|one| one.unit.clone()).collect(),
            rolling,
            reconnect_rate: rate as u64,
            rate_is_known: self.known_rate.is_some(),
            drain_ms: ms(drain),
            restart_ms: restarts.map(ms),
            length_ms: ms(drain + restarts.unwrap_or_default() + retry_end),
            refusals: Vec::new(),
        };
        let mut obstacles = self.obstacles();
        obstacles.extend(self.too_short(drain, rolling));
        plan.refusals = obstacles.into_iter().map(Refusal::of).collect();
        plan
    }

    fn rolling(&self) -> bool {
        self.units.len() > 1 && self.units.iter().all(|unit| unit.has_peer)
    }

    fn obstacles(&self) -> Vec<Obstacle> {
        let mut found = Vec::new();
        if let Some((id, kind)) = self.other_job.clone() {
            found.push(Obstacle::JobRunning { id, kind });
        }
        if self.host_shutdown {
            found.push(Obstacle::HostShutdown);
        }
        if !self.drain_only {
            match &self.systemd {
                _ if self.units.is_empty() => found.push(Obstacle::NoUnit),
                Some(why) => found.push(Obstacle::SystemdUnreachable { why: why.clone() }),
                None => found.extend(self.units.iter().filter_map(UnitFact::obstacle)),
            }
        }
        found.extend(self.certificates.iter().map(|bad| Obstacle::CertificateBad {
            certificate: bad.name.clone(),
            why: bad.why.clone(),
        }));
        if let Some(why) = self.configuration.clone() {
            found.push(Obstacle::ConfigurationBroken { why });
        }
        if let Some(why) = self.successor.clone() {
            found.push(Obstacle::SuccessorFails { why });
        }
        found
    }

    /// What the settings leave no time or room for. A rolling restart holds nobody.
    fn too_short(&self, drain: Duration, rolling: bool) -> Vec<Obstacle> {
        let mut found = Vec::new();
        let time = self.deadline.saturating_sub(self.close_timeout);
        if drain > time {
            found.push(Obstacle::DeadlineTooShort {
                deadline_ms: ms(self.deadline),
                needed_ms: ms(drain + self.close_timeout),
            });
        }
        if rolling {
            return found;
        }
        let drain = drain.min(self.deadline);
        let needed = drain + self.restart_took.unwrap_or_default();
        if needed > self.hold {
            found.push(Obstacle::HoldTooShort {
                hold_ms: ms(self.hold),
                needed_ms: ms(needed),
            });
        }
        let newcomers = (self.newcomers_per_second * needed.as_secs_f64()).ceil() as u64;
        let expected = self.clients + newcomers;
        if expected > self.max_held {
            found.push(Obstacle::HeldTooMany {
                max: self.max_held,
                expected,
            });
        }
        found
    }
}

impl UnitFact {
    fn obstacle(&self) -> Option<Obstacle> {
        let unit = self.unit.clone();
        match self.load.as_str() {
            "loaded" => None,
            "not-found" => Some(Obstacle::UnitMissing { unit }),
            "masked" => Some(Obstacle::UnitMasked { unit }),
            load => Some(Obstacle::UnitBroken {
                unit,
                load: load.to_owned(),
            }),
        }
    }
}

/// As lines for a person, without a line end.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            service, clients, ..
        } = self;
        write!(f, "{service}: {clients} clients would be told")?;
        if self.canary < self.clients {
            write!(f, ", {} of them first", self.canary)?;
        }
        let source = if self.rate_is_known {
            "as seen before"
        } else {
            "assumed until it is seen"
        };
        write!(
            f,
            "\n  takes back {} clients a second, {source}",
            self.reconnect_rate
        )?;
        match self.units.as_slice() {
            [] => {}
            [unit] => write!(f, "\n  restarts {unit}")?,
            units if self.rolling => {
                write!(f, "\n  restarts one at a time: {}", units.join(", "))?;
            }
            units => write!(f, "\n  restarts {}", units.join(", "))?,
        }
        write!(f, "\n  drain about {}", seconds(self.drain_ms))?;
        match self.restart_ms {
            Some(ms) => write!(f, ", restart about {}", seconds(ms))?,
            None if self.units.is_empty() => {}
            None => f.write_str(", restart of unknown length")?,
        }
        write!(f, ", all back after about {}", seconds(self.length_ms))?;
        if self.refusals.is_empty() {
            return f.write_str("\n  nothing is in the way");
        }
        self.refusals
            .iter()
            .try_for_each(|refusal| write!(f, "\n  {refusal}"))
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn seconds(ms: u64) -> String {
    match (ms / 1000, ms / 100 % 10) {
        (seconds, 0) => format!("{seconds} s"),
        (seconds, tenths) => format!("{seconds}.{tenths} s"),
    }
}
