//! Starts the units that renew certificates when that is overdue, and finds out why it is.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use super::life::Daemon;
use crate::certificate::in_use::InUse;
use crate::certificate::renewal::{Attempts, is_overdue, may_begin};
use crate::control::message_id;
use crate::control::units::{JobResult, UnitState, Units};
use crate::event;
use crate::restart::lifecycle::Phase;

/// How long a renewal may take until nobody waits for its end any more: longer than `certbot renew`
/// takes for many names, with its random delay.
const WITHIN: Duration = Duration::from_secs(15 * 60);

/// How soon a unit that was started is looked at, and how often at least.
const FIRST_LOOK: Duration = Duration::from_millis(250);
const LAST_LOOK: Duration = Duration::from_secs(10);

/// Ends of attempts that the control loop has not heard of yet. An attempt waits for it.
const ENDS: usize = 16;

/// All units that renew.
pub(super) struct Renewals {
    /// When this process began to look after them.
    began: Instant,
    units: BTreeMap<String, Course>,
    ends: mpsc::Sender<Attempt>,
    pub(super) ended: mpsc::Receiver<Attempt>,
}

/// What is known of one.
#[derive(Default)]
struct Course {
    attempts: Attempts,
    is_under_way: bool,
    last: Option<Attempt>,
}

/// An attempt to have certificates renewed that is over.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    unit: String,
    began: Timestamp,
    outcome: Outcome,
    timer: Timer,
}

#[derive(Clone, Debug)]
enum Outcome {
    /// It is running already, so it was not started.
    Runs,
    /// It has done what it does.
    Done,
    /// It could not be started, or failed.
    Failed(String),
}

/// The timer that should have started it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Timer {
    /// It waits, or nobody can tell.
    Fine,
    Missing(String),
    Inactive(String),
    Failed(String),
}

impl Default for Renewals {
    fn default() -> Self {
        let (ends, ended) = mpsc::channel(ENDS);
        Self {
            began: Instant::now(),
            units: BTreeMap::new(),
            ends,
            ended,
        }
    }
}

impl Renewals {
    /// What there is to say about the renewal of a certificate that is overdue: as clauses for what
    /// is wrong and for what to do.
    pub(super) fn explain(&self, one: &InUse) -> (Vec<String>, Vec<String>) {
        let course = one
            .renew_unit
            .as_ref()
            .and_then(|unit| self.units.get(unit));
        let Some(course) = course else {
            return Default::default();
        };
        let Some(last) = &course.last else {
            return Default::default();
        };
        let mut what = vec![last.to_string()];
        if let Some(next) = course.attempts.next().filter(|_| !course.is_under_way) {
            what.push(format!("it is started again at {next:.0}"));
        }
        let mut remedy = Vec::new();
        match &last.timer {
            Timer::Fine => {}
            Timer::Missing(timer) => what.push(format!("there is no {timer}")),
            Timer::Inactive(timer) => {
                what.push(format!("{timer} is not active"));
                remedy.push(format!("`systemctl enable --now {timer}`"));
            }
            Timer::Failed(timer) => {
                what.push(format!("{timer} has failed"));
                remedy.push(format!("`systemctl status {timer}`"));
            }
        }
        (what, remedy)
    }
}

impl Daemon {
    /// Comes every half second.
    pub(super) fn renew(&mut self) {
        if self.phase != Phase::Serving || self.coordinator.host_shutdown {
            return;
        }
        let now = Timestamp::now();
        let mut overdue: BTreeMap<&str, SignedDuration> = BTreeMap::new();
        for one in self.in_use.iter() {
            let Some(unit) = one.renew_unit.as_deref() else {
                continue;
            };
            let findings = &one.verdict.findings;
            let lifetime = one.examination.lifetime().unwrap_or_default();
            let running = self.certificates.renewals.began.elapsed();
            if is_overdue(findings) && may_begin(findings, lifetime, running) {
                let shortest = overdue.entry(unit).or_insert(lifetime);
                *shortest = lifetime.min(*shortest);
            }
        }
        let renewals = &mut self.certificates.renewals;
        renewals
            .units
            .retain(|unit, course| course.is_under_way || overdue.contains_key(unit.as_str()));
        for (unit, lifetime) in overdue {
            let course = renewals.units.entry(unit.to_owned()).or_default();
            if course.is_under_way || !course.attempts.is_time(lifetime, now) {
                continue;
            }
            course.is_under_way = true;
            let (units, ends) = (self.coordinator.units(), renewals.ends.clone());
            let unit = unit.to_owned();
            tokio::task::spawn_local(async move {
                let _ = ends.send(attempt(&units, unit, now).await).await;
            });
        }
    }

    /// An attempt is over.
    pub(super) fn note_renewal(&mut self, attempt: Attempt) {
        let unit = attempt.unit.clone();
        match &attempt.outcome {
            Outcome::Runs | Outcome::Done => tracing::info!("{attempt}"),
            Outcome::Failed(_) => event!(
                ERROR,
                message_id::RENEWAL_FAILED,
                baton_unit = unit.as_str(),
                "{attempt}"
            ),
        }
        let renewals = &mut self.certificates.renewals;
        let course = renewals.units.entry(unit).or_default();
        course.is_under_way = false;
        course.last = Some(attempt);
        self.judge_certificates();
        self.show();
    }
}

async fn attempt(units: &Rc<Units>, unit: String, began: Timestamp) -> Attempt {
    let outcome = match units.state(&unit).await {
        Ok(state) if is_busy(&state) => Outcome::Runs,
        // Else restarting it says why.
        state => start(units, &unit, state.is_ok_and(|state| state.is_up())).await,
    };
    let timer = timer(units, &unit).await;
    Attempt {
        unit,
        began,
        outcome,
        timer,
    }
}

/// It has something to do, or somebody is about to have it do that. With `RemainAfterExit=` it
/// stays active when it has nothing to do any more (systemd.service(5)).
fn is_busy(state: &UnitState) -> bool {
    let works = match state.active.as_str() {
        "activating" | "deactivating" => true,
        _ => state.is_up() && state.sub != "exited",
    };
    works || state.job.is_some()
}

/// `stays`: it is active from the time before, and starting it would do nothing.
async fn start(units: &Units, unit: &str, stays: bool) -> Outcome {
    event!(
        INFO,
        message_id::RENEWAL_STARTED,
        baton_unit = unit,
        "renewal is overdue: starting {unit}"
    );
    let deadline = Instant::now() + WITHIN;
    let job = if stays {
        units.restart(unit, WITHIN).await
    } else {
        units.start(unit, WITHIN).await
    };
    match job {
        Ok(JobResult::Done) => end(units, unit, deadline).await,
        Ok(result) => Outcome::Failed(result.to_string()),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

/// Of a service that is not `Type=oneshot` the job is done when it has only begun.
async fn end(units: &Units, unit: &str, deadline: Instant) -> Outcome {
    let mut pause = FIRST_LOOK;
    loop {
        match units.state(unit).await {
            Ok(state) if is_busy(&state) => {}
            Ok(state) => return result(&state),
            Err(error) => return Outcome::Failed(error.to_string()),
        }
        if Instant::now() + pause >= deadline {
            return Outcome::Runs;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LAST_LOOK);
    }
}

/// Of a unit that has nothing to do any more.
fn result(state: &UnitState) -> Outcome {
    match state.result.as_str() {
        "success" | "" if state.active != "failed" => Outcome::Done,
        "" => Outcome::Failed("it has failed".to_owned()),
        result => Outcome::Failed(format!("it has failed ({result})")),
    }
}

/// By its name, as systemd has it (systemd.timer(5), `Unit=`).
async fn timer(units: &Units, unit: &str) -> Timer {
    let Some((name, _)) = unit.rsplit_once('.') else {
        return Timer::Fine;
    };
    let timer = format!("{name}.timer");
    match units.state(&timer).await {
        Err(_) => Timer::Fine,
        Ok(state) if state.load == "not-found" => Timer::Missing(timer),
        Ok(state) if state.active == "failed" => Timer::Failed(timer),
        Ok(state) if state.active == "inactive" => Timer::Inactive(timer),
        Ok(_) => Timer::Fine,
    }
}

/// As a sentence without a full stop.
impl fmt::Display for Attempt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { unit, began, .. } = self;
        match &self.outcome {
            Outcome::Runs => write!(out, "{unit} was running at {began:.0}"),
            Outcome::Done => write!(out, "{unit} was started at {began:.0} and has ended well"),
            Outcome::Failed(why) => write!(out, "{unit}, started at {began:.0}: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(active: &str, sub: &str, result: &str) -> UnitState {
        UnitState {
            load: "loaded".to_owned(),
            active: active.to_owned(),
            sub: sub.to_owned(),
            job: None,
            restart_setting: "no".to_owned(),
            result: result.to_owned(),
            is_template: false,
        }
    }

    #[test]
    fn a_unit_is_waited_for_until_it_has_ended_and_its_result_is_told() {
        for (active, sub, result_is, told) in [
            ("active", "running", "success", None),
            ("activating", "start", "success", None),
            ("activating", "auto-restart", "exit-code", None),
            ("deactivating", "stop-post", "success", None),
            ("active", "exited", "success", Some("has ended well")),
            ("inactive", "dead", "success", Some("has ended well")),
            (
                "failed",
                "failed",
                "exit-code",
                Some("it has failed (exit-code)"),
            ),
            (
                "inactive",
                "dead",
                "timeout",
                Some("it has failed (timeout)"),
            ),
            ("failed", "failed", "", Some("it has failed")),
        ] {
            let state = state(active, sub, result_is);
            let outcome = (!is_busy(&state)).then(|| result(&state));
            let attempt = outcome.map(|outcome| {
                let (unit, began, timer) =
                    ("x.service".to_owned(), Timestamp::UNIX_EPOCH, Timer::Fine);
                Attempt {
                    unit,
                    began,
                    outcome,
                    timer,
                }
                .to_string()
            });
            match told {
                None => assert_eq!(attempt, None, "{state:?}"),
                Some(told) => {
                    let attempt = attempt.expect("it has ended");
                    assert!(attempt.ends_with(told), "{attempt}");
                }
            }
        }
    }
}
