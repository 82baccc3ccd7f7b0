//! What the interlock wants to know before a job begins.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::targets::Wanted;
use crate::certificate::in_use::InUse;
use crate::certificate::ticket::TicketKeys;
use crate::config::Restart;
use crate::control::jobs::JobId;
use crate::control::units::Units;
use crate::daemon::reload;
use crate::daemon::setup::StartError;
use crate::edge::Edge;
use crate::edge::route::Service;
use crate::restart::handoff::Rehearsals;
use crate::restart::interlock::{BadCertificate, Facts, Plan, UnitFact};
use crate::restart::job::{Kind, Target};

/// Where the facts of one job come from.
#[derive(Clone)]
pub(super) struct Inquiry {
    pub(super) edge: Rc<Edge>,
    /// The service as it was, for the case that a reload takes it away: its hold is the same.
    pub(super) kept: Option<Arc<Service>>,
    pub(super) units: Rc<Units>,
    pub(super) wanted: Wanted,
    pub(super) kind: Kind,
    pub(super) config: PathBuf,
    /// What a successor of this process would be.
    pub(super) rehearsals: Rc<Rehearsals>,
    pub(super) tickets: Arc<TicketKeys>,
    pub(super) in_use: Arc<[InUse]>,
    pub(super) known_rate: Option<f64>,
    pub(super) newcomers_per_second: f64,
    pub(super) other_job: Option<(JobId, String)>,
    pub(super) host_shutdown: bool,
    pub(super) restart_took: Option<Duration>,
}

impl Inquiry {
    /// The service as it is configured now, or was last.
    pub(super) fn service(&self) -> Option<Arc<Service>> {
        let now = self.edge.service(&self.wanted.service);
        now.or_else(|| self.kept.clone())
    }

    /// The settings of the service, as they are now.
    pub(super) fn settings(&self) -> Restart {
        let service = self.service();
        service.map_or_else(Restart::default, |one| one.restart.clone())
    }

    /// Clients of all targets.
    pub(super) fn clients(&self) -> u64 {
        let Some(service) = self.service() else {
            return 0;
        };
        let of = |target: &Target| match &target.backend {
            None => service.counters().clients,
            Some(address) => {
                let mut backends = service.backends().iter();
                let backend = backends.find(|one| one.address() == address);
                backend.map_or(0, |one| one.clients() as u64)
            }
        };
        self.wanted.targets.iter().map(of).sum()
    }

    /// Asks everybody, and says what the job would do and what is in its way.
    pub(super) async fn plan(&self) -> Plan {
        let settings = self.settings();
        let retry_end = settings.retry.as_ref().map(|retry| *retry.end());
        let retry_end = retry_end.unwrap_or(super::drive::USUAL_RETRY_END);
        let mut facts = Facts {
            service: self.wanted.service.clone(),
            clients: self.clients(),
            known_rate: self.known_rate,
            cores: self.edge.workers(),
            newcomers_per_second: self.newcomers_per_second,
            other_job: self.other_job.clone(),
            host_shutdown: self.host_shutdown,
            drain_only: self.kind == Kind::Drain,
            deadline: settings.deadline,
            close_timeout: settings.close_timeout,
            hold: settings.hold,
            max_held: settings.max_held as u64,
            restart_took: self.restart_took,
            ..Facts::default()
        };
        facts.certificates = self.certificates(settings.deadline + retry_end);
        let read = reload::read(self.config.clone(), &self.tickets, &self.in_use).await;
        match read.map_err(|error| (error.summary(), error)) {
            Err((_, StartError::Worse { name, source })) => {
                let why = format!("what is on disk is worse than what is served: {source}");
                facts.certificates.push(BadCertificate { name, why });
            }
            Err((summary, _)) => facts.configuration = Some(summary),
            Ok(_) => {}
        }
        // What it makes of a broken configuration says nothing about the program.
        if facts.configuration.is_none() {
            facts.successor = self.rehearsals.rehearse().await.err();
        }
        if self.kind == Kind::Restart {
            self.ask_systemd(&mut facts).await;
        }
        facts.plan(retry_end)
    }

    /// Of the units that clients may come back to. None: not known of each, as of a backend on
    /// another host.
    pub(super) async fn control_groups(&self) -> Option<Vec<String>> {
        let service = self.service()?;
        let mut groups = Vec::new();
        for backend in service.backends() {
            let group = self.units.control_group(backend.unit()?).await;
            groups.push(group.ok()??);
        }
        groups.sort_unstable();
        groups.dedup();
        Some(groups)
    }

    async fn ask_systemd(&self, facts: &mut Facts) {
        let Some(service) = self.service() else {
            return;
        };
        for unit in self
            .wanted
            .targets
            .iter()
            .filter_map(|one| one.unit.as_deref())
        {
            let load = match self.units.state(unit).await {
                Ok(state) => state.load,
                Err(error) => {
                    facts.systemd = Some(error.to_string());
                    String::new()
                }
            };
            let mut others = service.backends().iter();
            facts.units.push(UnitFact {
                unit: unit.to_owned(),
                load,
                has_peer: others.any(|one| one.unit() != Some(unit)),
            });
        }
    }

    /// Those that clients of the service are shown and that fail, or will fail before the last of
    /// them is back.
    fn certificates(&self, within: Duration) -> Vec<BadCertificate> {
        let now = Timestamp::now();
        let then = now.checked_add(within).unwrap_or(now);
        let shown_by = |one: &&InUse| {
            let services = self.service();
            services
                .is_some_and(|service| one.listeners.keys().any(|listener| service.is_on(listener)))
        };
        let bad = |one: &InUse| {
            let verdict = one.examination.verdict(now);
            if !verdict.fails_reconnects(now..=then) {
                return None;
            }
            let worst = verdict.findings.first();
            Some(BadCertificate {
                name: one.name.clone(),
                why: worst.map_or_else(
                    || format!("it will not be valid until {then:.0}"),
                    |finding| finding.what.clone(),
                ),
            })
        };
        self.in_use
            .iter()
            .filter(shown_by)
            .filter_map(bad)
            .collect()
    }
}
