//! P5: nobody is sent away whose return would fail. What is known before a job begins becomes
//! reasons not to begin it, each with a name, a sentence and a remedy, and the plan that an
//! operator can read without anything being done.
//!
//! The driver gathers [`Facts`] (from the certificates, the files on disk, systemd and the edge)
//! and asks [`Facts::plan`]. It feeds [`Plan::refusals`] to the job, which decides whether `force`
//! overrides them.

mod obstacle;
mod plan;

use std::time::Duration;

pub use obstacle::{Obstacle, Refusal};
pub use plan::Plan;

use super::pace::canary;

/// What is expected of a host of which nothing is known, in clients a second and core: a full
/// handshake and an upgrade in a millisecond. The drain itself begins with less, and sees.
const ASSUMED_PER_CORE: f64 = 1_000.0;

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
    /// Why the program on disk would not take this process's place, if it had to.
    pub successor: Option<String>,
    /// The number and kind of another job of the service.
    pub other_job: Option<(u32, String)>,
    /// A shutdown of the host is under way.
    pub host_shutdown: bool,
    /// Why systemd cannot be asked about one of the units.
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

impl Facts {
    /// What the job would do, and everything that is in its way.
    #[must_use]
    pub fn plan(&self, retry_end: Duration) -> Plan {
        let rate = self
            .known_rate
            .unwrap_or(ASSUMED_PER_CORE * self.cores.max(1) as f64)
            .max(1.0);
        let canary = canary(self.clients, self.newcomers_per_second, retry_end);
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
                Some(why) => found.push(Obstacle::SystemdUnreachable { why: why.clone() }),
                None if self.units.is_empty() => found.push(Obstacle::NoUnit),
                None => found.extend(self.units.iter().filter_map(UnitFact::obstacle)),
            }
        }
        found.extend(
            self.certificates
                .iter()
                .map(|bad| Obstacle::CertificateBad {
                    certificate: bad.name.clone(),
                    why: bad.why.clone(),
                }),
        );
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

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Duration = Duration::from_secs(5);

    fn unit(name: &str, load: &str) -> UnitFact {
        UnitFact {
            unit: name.to_owned(),
            load: load.to_owned(),
            has_peer: false,
        }
    }

    fn good() -> Facts {
        Facts {
            service: "chat".to_owned(),
            clients: 2_000,
            cores: 2,
            units: vec![unit("chat.service", "loaded")],
            deadline: Duration::from_secs(30),
            close_timeout: Duration::from_secs(5),
            hold: Duration::from_secs(20),
            max_held: 10_000,
            restart_took: Some(Duration::from_secs(2)),
            ..Facts::default()
        }
    }

    fn names(facts: &Facts) -> Vec<(&'static str, bool)> {
        let refusals = facts.plan(RETRY).refusals;
        refusals
            .iter()
            .map(|refusal| (refusal.obstacle.name(), refusal.may_be_forced))
            .collect()
    }

    #[test]
    fn nothing_is_in_the_way_of_a_good_service() {
        let plan = good().plan(RETRY);
        assert_eq!(plan.refusals, []);
        // Half of 5 s for the canary, 2,000 clients at 2,000 a second, and then 5 s.
        assert_eq!(
            (plan.canary, plan.drain_ms, plan.length_ms),
            (20, 3_500, 10_500)
        );
        let lines = [
            "chat: 2000 clients would be told, 20 of them first",
            "  takes back 2000 clients a second, assumed until it is seen",
            "  restarts chat.service",
            "  drain about 3.5 s, restart about 2 s, all back after about 10.5 s",
            "  nothing is in the way",
        ];
        assert_eq!(plan.to_string(), lines.join("\n"));
    }

    #[test]
    fn each_fact_is_refused_by_name() {
        let with = |change: fn(&mut Facts)| {
            let mut facts = good();
            change(&mut facts);
            names(&facts)
        };
        let certificate = with(|facts| {
            facts.certificates = vec![BadCertificate {
                name: "example".to_owned(),
                why: "it has expired".to_owned(),
            }];
        });
        assert_eq!(certificate, [("certificate-bad", true)]);
        let broken = with(|facts| facts.configuration = Some("x".to_owned()));
        assert_eq!(broken, [("configuration-broken", true)]);
        let successor = with(|facts| facts.successor = Some("x".to_owned()));
        assert_eq!(successor, [("successor-fails", true)]);
        let running = with(|facts| facts.other_job = Some((7, "restart".to_owned())));
        assert_eq!(running, [("job-running", false)]);
        let shutdown = with(|facts| facts.host_shutdown = true);
        assert_eq!(shutdown, [("host-shutdown", false)]);
        let none = with(|facts| facts.units.clear());
        assert_eq!(none, [("no-unit", false)]);
        let away = with(|facts| facts.systemd = Some("no bus".to_owned()));
        assert_eq!(away, [("systemd-unreachable", false)]);
        // Of which nothing could be found out.
        let away = with(|facts| {
            facts.systemd = Some("no bus".to_owned());
            facts.units = vec![unit("chat.service", "")];
        });
        assert_eq!(away, [("systemd-unreachable", false)]);
        for (load, refusal) in [
            ("not-found", ("unit-missing", false)),
            ("masked", ("unit-masked", false)),
            ("bad-setting", ("unit-broken", true)),
            ("error", ("unit-broken", true)),
        ] {
            let facts = Facts {
                units: vec![unit("chat.service", load)],
                ..good()
            };
            assert_eq!(names(&facts), [refusal]);
        }
    }

    #[test]
    fn the_held_must_not_wait_past_the_hold() {
        let slow = |seconds| Facts {
            restart_took: Some(Duration::from_secs(seconds)),
            ..good()
        };
        assert_eq!(names(&slow(16)), []);
        assert_eq!(names(&slow(17)), [("hold-too-short", true)]);
        let many = Facts {
            clients: 20_000,
            known_rate: Some(20_000.0),
            ..good()
        };
        assert_eq!(names(&many), [("held-too-many", true)]);
        let crowd = Facts {
            clients: 9_900,
            newcomers_per_second: 100.0,
            ..good()
        };
        assert_eq!(names(&crowd), [("held-too-many", true)]);
        let long = Facts {
            clients: 9_000,
            known_rate: Some(300.0),
            ..good()
        };
        let both = [("deadline-too-short", true), ("hold-too-short", true)];
        assert_eq!(names(&long), both);
    }

    #[test]
    fn a_rolling_restart_holds_nobody_and_a_drain_needs_no_unit() {
        let peer = |name: &str| UnitFact {
            has_peer: true,
            ..unit(name, "loaded")
        };
        let rolling = Facts {
            units: vec![peer("chat@1.service"), peer("chat@2.service")],
            hold: Duration::ZERO,
            max_held: 0,
            ..good()
        };
        let plan = rolling.plan(RETRY);
        assert!(plan.rolling);
        assert_eq!(plan.refusals, []);
        assert_eq!(plan.restart_ms, Some(4_000));
        let drain = Facts {
            drain_only: true,
            units: Vec::new(),
            systemd: Some("no bus".to_owned()),
            ..good()
        };
        assert_eq!(names(&drain), []);
    }

    #[test]
    fn a_refusal_says_what_to_do_and_is_the_same_in_json() {
        let refusal = Refusal::of(Obstacle::UnitMasked {
            unit: "chat.service".to_owned(),
        });
        assert_eq!(
            refusal.to_string(),
            "unit-masked: chat.service is masked and would not start again \
             (systemctl unmask chat.service)"
        );
        let json = serde_json::to_value(&refusal).expect("JSON");
        assert_eq!(json["name"], refusal.obstacle.name());
        assert_eq!(json["unit"], "chat.service");
        let read = serde_json::from_value::<Refusal>(json).expect("the same");
        assert_eq!(read, refusal);
        let hold = Refusal::of(Obstacle::HoldTooShort {
            hold_ms: 20_000,
            needed_ms: 23_400,
        });
        assert_eq!(
            hold.to_string(),
            "hold-too-short: newcomers may wait 20 s, but drain and restart take about 23.4 s \
             (set restart.hold to 24 s or more; --force overrides)"
        );
    }
}
