//! What becomes of jobs: their progress, their problems, their end.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::drive::Update;
use crate::control::command::Refusal;
use crate::control::jobs::{JobId, Report};
use crate::control::message_id;
use crate::control::problem::{self, Problem, Severity};
use crate::daemon::life::Daemon;
use crate::event;
use crate::restart::report::{JobReport, Outcome};

/// How long jobs may take to end that were told to, when the process ends.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Daemon {
    /// The process ends: what its jobs did is told all the same.
    pub(in crate::daemon) async fn hear_jobs_out(&mut self) {
        let deadline = Instant::now() + LAST_WORDS;
        while self.coordinator.busy().is_some()
            && let Ok(Some(update)) = timeout_at(deadline, self.updates.recv()).await
        {
            self.note(update);
        }
    }

    /// Something has become of a job.
    pub(in crate::daemon) fn note(&mut self, update: Update) {
        match update {
            Update::Advanced {
                job,
                state,
                progress,
                counts,
            } => self.jobs.advance(job, state, progress, counts),
            Update::Raise { service, unit, why } => self.problems.raise(Problem {
                name: problem::BACKEND_NOT_BACK,
                subject: format!("service.{service}"),
                severity: Severity::Critical,
                what: format!("{unit} is not back: {why}"),
                remedy: format!(
                    "look at `systemctl status {unit}` and `journalctl -u {unit}`; newcomers are \
                     held meanwhile, and let in when it answers"
                ),
                since: Timestamp::now(),
            }),
            Update::Clear { service } => self.back(&service),
            Update::Ended {
                job,
                report,
                learned,
            } => self.job_ended(job, &report, learned),
            Update::UnitAsked {
                all,
                options,
                stops,
                answer,
            } => {
                let _ = answer.send(self.drain_of_unit(all, options, stops));
            }
        }
        self.show();
    }

    /// A service is well again.
    fn back(&mut self, service: &str) {
        let subject = format!("service.{service}");
        self.problems.clear(problem::BACKEND_NOT_BACK, &subject);
    }

    /// A backend that did not come back heals without a job.
    pub(in crate::daemon) fn look_for_healed(&mut self) {
        let raised: Vec<String> = self
            .problems
            .shown()
            .iter()
            .filter(|one| one.name == problem::BACKEND_NOT_BACK)
            .filter_map(|one| one.subject.strip_prefix("service.").map(str::to_owned))
            .collect();
        for name in raised {
            let healed = match self.edge.service(&name) {
                None => true,
                Some(service) => {
                    let backends = service.backends();
                    service.hold().held() == 0 && backends.iter().any(|one| one.clients() > 0)
                }
            };
            if healed {
                self.back(&name);
            }
        }
    }

    fn job_ended(&mut self, job: JobId, report: &JobReport, learned: Option<f64>) {
        self.coordinator.ended(job);
        if let Some(rate) = learned {
            let service = report.service.clone();
            self.coordinator.known_rates.insert(service, rate);
        }
        let longest = report.units.iter().filter_map(|one| one.restarted_ms).max();
        if let Some(ms) = longest {
            let took = Duration::from_millis(ms);
            let service = report.service.clone();
            self.coordinator.restart_took.insert(service, took);
        }
        let outcome = outcome(report);
        macro_rules! tell {
            ($level:ident, $id:ident) => {
                event!(
                    $level,
                    message_id::$id,
                    baton_service = report.service.as_str(),
                    baton_job = job,
                    baton_told = report.drain.told,
                    baton_closed_cleanly = report.drain.closed_cleanly,
                    baton_timed_out = report.drain.timed_out,
                    baton_discarded = report.drain.discarded_messages,
                    baton_held = report.held,
                    baton_refused = report.refused,
                    baton_back = report.returns.back,
                    "{report}"
                )
            };
        }
        if outcome.is_ok() {
            tell!(INFO, JOB_DONE);
        } else {
            tell!(WARN, JOB_FAILED);
        }
        self.jobs.end(job, outcome, figures(report));
    }
}

/// What the operator is told of the end.
fn outcome(report: &JobReport) -> Result<String, Refusal> {
    let text = report.to_string();
    match report.outcome {
        Outcome::Done => Ok(text),
        Outcome::Refused => Err(Refusal::Interlock(text)),
        Outcome::Canceled | Outcome::HostShutdown => Err(Refusal::Canceled(text)),
        Outcome::CanaryLost => Err(Refusal::CanaryLost(text)),
        Outcome::Failed => Err(Refusal::BackendNotBack(text)),
    }
}

/// The report, as the job's object has it.
fn figures(report: &JobReport) -> Report {
    let JobReport { drain, returns, .. } = report;
    let mut figures: Report = BTreeMap::from([
        ("took_ms", report.took_ms.into()),
        ("clients", report.clients.into()),
        ("told", drain.told.into()),
        ("closed_cleanly", drain.closed_cleanly.into()),
        ("timed_out", drain.timed_out.into()),
        ("gone", drain.gone.into()),
        ("cut", drain.cut.into()),
        ("remaining", drain.remaining.into()),
        ("messages_discarded", drain.discarded_messages.into()),
        ("hurried", report.hurried.into()),
        ("held", report.held.into()),
        ("released", report.released.into()),
        ("refused", report.refused.into()),
        ("back", returns.back.into()),
        ("back_within_5s", returns.back_within_5s.into()),
    ]);
    for (name, ms) in [
        ("half_back_ms", returns.half_back_ms),
        ("most_back_ms", returns.most_back_ms),
        ("all_back_ms", returns.all_back_ms),
        ("takes_back_per_second", report.takes_back_per_second),
    ] {
        figures.extend(ms.map(|ms| (name, ms.into())));
    }
    for (name, list) in [
        ("units", serde_json::to_value(&report.units)),
        ("refusals", serde_json::to_value(&report.refusals)),
    ] {
        figures.extend(list.ok().map(|list| (name, list)));
    }
    figures
}
