//! Jobs: what was asked of the daemon, how far it is, and how it ended.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

use super::command::Refusal;

/// Jobs that ended are shown until so many others have ended after them.
const REMEMBERED: usize = 32;

/// The progress of a job that is done.
const ALL: u8 = 100;

/// Numbers the jobs of a process, from 1.
pub type JobId = u32;

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobKind {
    /// Puts another configuration into use.
    Reload,
    /// Hands over to a successor.
    Upgrade,
    /// Restarts a service.
    Restart,
    /// Sends the clients of a service away until it is resumed.
    Drain,
}

impl JobKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Reload, Self::Upgrade, Self::Restart, Self::Drain];

    /// How one may end: `done`, and what a [`Refusal`] of it is called.
    fn outcomes(self) -> &'static [&'static str] {
        match self {
            Self::Reload => &["done", "configuration-refused"],
            Self::Upgrade => &["done", "handoff-failed"],
            Self::Restart | Self::Drain => &[
                "done",
                "refused",
                "canceled",
                "canary-lost",
                "backend-not-back",
            ],
        }
    }

    /// One word for the operator.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Upgrade => "upgrade",
            Self::Restart => "restart",
            Self::Drain => "drain",
        }
    }
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobResult {
    /// As it was meant to.
    Done,
    /// The running state is as it was before.
    Failed(Refusal),
}

impl JobResult {
    /// One word for the operator.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed(_) => "failed",
        }
    }
}

/// How many jobs ended, by what they did and how they did: all there may be, also where it is 0.
pub type Ended = BTreeMap<(JobKind, &'static str), u64>;

/// The figures that a job ends with: names in snake_case, values that are numbers, texts or
/// truths.
pub type Report = BTreeMap<&'static str, serde_json::Value>;

/// A job as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct JobView {
    /// Its number.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// The service that it is about; None: all of the daemon.
    pub service: Option<String>,
    /// What it is doing, in a few words; once it has ended, its result.
    pub state: &'static str,
    /// How much of it is done, in percent.
    pub progress: u8,
    /// What it has counted so far, by names in snake_case.
    pub counts: BTreeMap<&'static str, u64>,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// How it ended; None while it runs.
    pub result: Option<JobResult>,
    /// What there is to say about the result.
    pub message: String,
    /// What it ends with.
    pub report: Report,
}

/// All jobs of the process that are still shown.
#[derive(Debug)]
pub struct Jobs {
    last: JobId,
    /// By number.
    shown: VecDeque<Arc<JobView>>,
    ended: Arc<Ended>,
}

impl Default for Jobs {
    fn default() -> Self {
        let outcomes = |kind: JobKind| kind.outcomes().iter().map(move |one| ((kind, *one), 0));
        Self {
            last: 0,
            shown: VecDeque::new(),
            ended: Arc::new(JobKind::ALL.into_iter().flat_map(outcomes).collect()),
        }
    }
}

impl Jobs {
    /// A job begins.
    pub fn start(&mut self, kind: JobKind, service: Option<String>, state: &'static str) -> JobId {
        self.last += 1;
        self.shown.push_back(Arc::new(JobView {
            id: self.last,
            kind,
            service,
            state,
            progress: 0,
            counts: BTreeMap::new(),
            started: Timestamp::now(),
            ended: None,
            result: None,
            message: String::new(),
            report: Report::new(),
        }));
        self.last
    }

    /// A job that runs has come further. `progress` is in percent.
    pub fn advance(
        &mut self,
        id: JobId,
        state: &'static str,
        progress: u8,
        counts: BTreeMap<&'static str, u64>,
    ) {
        self.change(id, |job| {
            job.state = state;
            job.progress = progress.min(ALL);
            job.counts = counts;
        });
    }

    /// A job has ended: with a message, or with why it did not come about.
    pub fn end(&mut self, id: JobId, outcome: Result<String, Refusal>, report: Report) {
        let how = outcome.as_ref().map_or_else(Refusal::word, |_| "done");
        let (result, message) = match outcome {
            Ok(message) => (JobResult::Done, message),
            Err(refusal) => {
                let message = refusal.to_string();
                (JobResult::Failed(refusal), message)
            }
        };
        let mut kind = None;
        self.change(id, |job| {
            kind = Some(job.kind);
            job.state = result.word();
            if result == JobResult::Done {
                job.progress = ALL;
            }
            job.result = Some(result);
            job.message = message;
            job.report = report;
            job.ended = Some(Timestamp::now());
        });
        if let Some(kind) = kind {
            *Arc::make_mut(&mut self.ended)
                .entry((kind, how))
                .or_default() += 1;
        }
        self.forget();
    }

    /// How many ended, and how.
    pub fn ended(&self) -> Arc<Ended> {
        Arc::clone(&self.ended)
    }

    /// All that are shown, by number.
    pub fn list(&self) -> Vec<Arc<JobView>> {
        self.shown.iter().map(Arc::clone).collect()
    }

    /// Whoever looks at the job keeps it as it was. A job that has ended does not change.
    fn change(&mut self, id: JobId, change: impl FnOnce(&mut JobView)) {
        let running = |job: &&mut Arc<JobView>| job.id == id && job.result.is_none();
        if let Some(job) = self.shown.iter_mut().find(running) {
            change(Arc::make_mut(job));
        }
    }

    fn forget(&mut self) {
        let ended = |job: &Arc<JobView>| job.result.is_some();
        while self.shown.iter().filter(|job| ended(job)).count() > REMEMBERED {
            if let Some(oldest) = self.shown.iter().position(ended) {
                self.shown.remove(oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_that_ended_and_all_that_run_are_shown() {
        let mut jobs = Jobs::default();
        let running = jobs.start(JobKind::Upgrade, None, "starting");
        for _ in 0..=REMEMBERED {
            let id = jobs.start(JobKind::Reload, None, "reading");
            jobs.end(id, Ok("read".to_owned()), Report::new());
        }
        let shown: Vec<JobId> = jobs.list().iter().map(|job| job.id).collect();
        let last = u32::try_from(REMEMBERED).expect("small") + 2;
        assert_eq!(shown[0], running);
        assert_eq!(shown[1..], (3..=last).collect::<Vec<_>>());
    }

    #[test]
    fn what_has_ended_does_not_change() {
        let mut jobs = Jobs::default();
        let id = jobs.start(JobKind::Upgrade, None, "starting");
        jobs.advance(id, "handing over", 50, BTreeMap::from([("told", 1)]));
        let refusal = Refusal::HandoffFailed("it died".to_owned());
        jobs.end(id, Err(refusal.clone()), Report::new());
        let ended = jobs.list();
        jobs.advance(id, "again", 70, BTreeMap::new());
        jobs.end(id, Ok(String::new()), Report::new());
        assert_eq!(jobs.list(), ended);
        assert_eq!(ended[0].result, Some(JobResult::Failed(refusal)));
        assert_eq!((ended[0].state, ended[0].progress), ("failed", 50));
        assert_eq!(ended[0].message, "it died");
        assert_eq!(jobs.ended()[&(JobKind::Upgrade, "handoff-failed")], 1);
        assert_eq!(jobs.ended().values().sum::<u64>(), 1);
    }
}
