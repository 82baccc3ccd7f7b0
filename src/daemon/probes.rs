//! When to look at what clients are really shown, and what to make of what is seen.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::life::Daemon;
use crate::certificate::client::Client;
use crate::certificate::dialled::dialled;
use crate::certificate::leaf;
use crate::certificate::probe::{self, Candidate, Job, Kind, Report, Trouble, Way};
use crate::config::{Config, HostPattern};
use crate::control::problem::{self, Problem, Severity};
use crate::restart::lifecycle::Phase;

/// After a change: until whoever served before has let go, and swaps that come in a row are over.
const SOON: Duration = Duration::from_secs(2);

/// What is seen once may be half of a change: it counts when it is seen again. Longer than it takes
/// until a change without events is found ([`crate::certificate::keeper::POLL`]).
const AGAIN: Duration = Duration::from_secs(15);

/// How often it is looked without a cause.
const EVERY: Duration = Duration::from_secs(5 * 60);

/// Names that are dialled in one look, each with two versions.
const WAYS_MAX: usize = 128;

/// What stands for the names of a wildcard.
const ANY_LABEL: &str = "batond-probe";

const KINDS: [(Kind, &str); 4] = [
    (Kind::Differs, problem::SERVED_DIFFERS),
    (Kind::Stale, problem::SERVED_STALE),
    (Kind::Fails, problem::SERVED_FAILS),
    (Kind::Rejected, problem::SERVED_REJECTED),
];

/// The looks at what clients are shown.
pub(super) struct Probes {
    config: Arc<Config>,
    due: Instant,
    running: Option<oneshot::Receiver<Vec<(String, Report)>>>,
    /// Certificate and kind of the troubles that the last look has seen.
    doubted: BTreeSet<(String, Kind)>,
}

impl Probes {
    pub(super) fn of(config: Arc<Config>) -> Self {
        Self {
            config,
            due: Instant::now() + SOON,
            running: None,
            doubted: BTreeSet::new(),
        }
    }

    /// Another certificate is served: that the one before was old says nothing of it.
    pub(super) fn renewed(&mut self, name: &str) {
        self.doubted.remove(&(name.to_owned(), Kind::Stale));
    }

    /// Something has changed. What is under way goes by what was before.
    pub(super) fn soon(&mut self) {
        self.due = Instant::now() + SOON;
        self.running = None;
    }

    /// Another configuration is in use.
    pub(super) fn adopt(&mut self, config: Arc<Config>) {
        self.config = config;
        self.soon();
    }
}

impl Daemon {
    /// Takes what a look has seen, and begins the next one when it is due.
    pub(super) fn probe(&mut self) {
        if let Some(running) = &mut self.probes.running {
            match running.try_recv() {
                Ok(reports) => self.note_reports(reports),
                Err(oneshot::error::TryRecvError::Empty) => {}
                Err(oneshot::error::TryRecvError::Closed) => self.probes.running = None,
            }
            return;
        }
        if self.phase != Phase::Serving || Instant::now() < self.probes.due {
            return;
        }
        self.probes.due = Instant::now() + EVERY;
        let job = self.job();
        if job.ways.is_empty() {
            return;
        }
        let (done, running) = oneshot::channel();
        let look = move || {
            // Who has lost interest meanwhile looks anew.
            let _ = done.send(probe::look(&job));
        };
        match thread::Builder::new().name("probe".to_owned()).spawn(look) {
            Ok(_) => self.probes.running = Some(running),
            Err(error) => tracing::debug!("no thread to look at what clients are shown: {error}"),
        }
    }

    fn job(&self) -> Job {
        let config = &self.probes.config;
        let names_of = |name: &str| {
            let mut in_use = self.in_use.iter();
            let one = in_use.find(|one| one.name == name)?;
            one.examination.leaf_names()
        };
        let mut job = Job {
            protocol: self.edge.ledger().probe().to_owned(),
            ways: Vec::new(),
            certificates: Vec::new(),
        };
        for one in self.in_use.iter() {
            let mut certificates = config.certificates.iter();
            let configured = certificates.find(|it| it.name == one.name);
            let pair = one.examination.pair();
            let (Some(configured), Some(fingerprint)) =
                (configured, pair.and_then(|pair| leaf::fingerprint(pair)))
            else {
                continue;
            };
            let verdict = one.examination.verdict(Timestamp::now());
            let breaks =
                |it: &crate::certificate::finding::Finding| it.breaks.contains(Client::Rustls);
            job.certificates.push(Candidate {
                name: one.name.clone(),
                fingerprint,
                chain: configured.chain.clone(),
                roots: configured.roots.clone(),
                is_known_bad: verdict.findings.iter().any(breaks),
                is_refused: one.refused.is_some(),
            });
            let patterns = dialled(config, configured, names_of);
            let mut names: Vec<String> = patterns.iter().map(dialable).collect();
            if names.is_empty() {
                let in_leaf = one.examination.leaf_names();
                let in_leaf = in_leaf.into_iter().flat_map(|names| &names.dns);
                names = in_leaf.map(|name| any_of(name)).collect();
            }
            for listener in self.listeners.iter() {
                let mut doors = self.doors.iter();
                let door = doors.find(|door| door.name == listener.name());
                let tls = door.and_then(|door| door.tls.as_ref());
                let Some(tls) = tls.filter(|_| one.listeners.contains_key(listener.name())) else {
                    continue;
                };
                job.ways.extend(names.iter().map(|name| Way {
                    listener: listener.name().to_owned(),
                    address: listener.address().clone(),
                    resolver: Arc::clone(&tls.resolver),
                    name: name.clone(),
                }));
            }
        }
        job.ways.truncate(WAYS_MAX);
        job
    }

    fn note_reports(&mut self, reports: Vec<(String, Report)>) {
        self.probes.running = None;
        let before = std::mem::take(&mut self.probes.doubted);
        let mut problems: Vec<Problem> = Vec::new();
        for (name, report) in reports {
            let mut confirmed = Vec::new();
            for trouble in report.troubles {
                let doubt = (name.clone(), trouble.kind);
                if before.contains(&doubt) {
                    confirmed.push(trouble);
                }
                // Also when it is known: it may be over.
                self.probes.due = Instant::now() + AGAIN;
                self.probes.doubted.insert(doubt);
            }
            let seen = match (confirmed.first(), report.impossible.as_str()) {
                (Some(trouble), _) => format!("bad: {}", trouble.what),
                (None, "") => "good".to_owned(),
                (None, why) => format!("not possible: {why}"),
            };
            if self.shown.probed(&name, &seen) && !report.impossible.is_empty() {
                tracing::info!(
                    baton_certificate = name.as_str(),
                    "certificate.{name}: what clients are shown cannot be seen from this host: {} \
                     (nothing is wrong because of that)",
                    report.impossible
                );
            }
            for (kind, _) in KINDS {
                let mut all = confirmed.iter();
                let Some(trouble) = all.find(|one| one.kind == kind) else {
                    continue;
                };
                problems.push(raised(&name, trouble));
            }
        }
        for (_, name) in KINDS {
            let of_kind = problems.iter().filter(|one| one.name == name).cloned();
            self.settle(name, of_kind.collect());
        }
        self.show();
    }
}

/// A name that the pattern stands for.
fn dialable(pattern: &HostPattern) -> String {
    any_of(&pattern.to_string())
}

fn any_of(name: &str) -> String {
    match name.strip_prefix("*.") {
        Some(parent) => format!("{ANY_LABEL}.{parent}"),
        None => name.to_owned(),
    }
}

fn raised(certificate: &str, trouble: &Trouble) -> Problem {
    let (name, severity, remedy) = match trouble.kind {
        Kind::Differs => (
            problem::SERVED_DIFFERS,
            Severity::Critical,
            "see who else listens there (`ss -ltnp`), and what redirects the port",
        ),
        Kind::Stale => (
            problem::SERVED_STALE,
            Severity::Warning,
            "`batonctl reload` puts it into service, or says why it cannot be",
        ),
        Kind::Fails => (
            problem::SERVED_FAILS,
            Severity::Critical,
            "`openssl s_client` from another host tells whether clients are served; `batonctl \
             upgrade` starts another process in the place of this one",
        ),
        Kind::Rejected => (
            problem::SERVED_REJECTED,
            Severity::Critical,
            "`batond check` looks at the files; see that `roots` are those that clients trust",
        ),
    };
    Problem {
        name,
        subject: format!("certificate.{certificate}"),
        severity,
        what: trouble.what.clone(),
        remedy: remedy.to_owned(),
        since: Timestamp::now(),
    }
}
