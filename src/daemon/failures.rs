//! What clients hit when they came: failed handshakes are joined with what is known of the
//! certificates, kept for whoever looks, told, and turned into problems where many tell the same.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::life::Daemon;
use crate::certificate::finding::Finding;
use crate::certificate::leaf;
use crate::certificate::ledger::joined::{Joined, Served};
use crate::certificate::ledger::outcry::{Outcry, Standing};
use crate::certificate::ledger::reason::Reason;
use crate::certificate::ledger::{Asked, Failure, Fingerprint, Ledger};
use crate::control::message_id;
use crate::control::problem::{self, Problem, Severity};
use crate::control::view;
use crate::event;

/// Failures that can be looked at, of clients and of what comes in on any open port: there may be
/// a lot of that, and it is not to push out the others.
const LATEST_CLIENTS: usize = 192;
const LATEST_BACKGROUND: usize = 64;

/// What certificates are rejected for longer ago than this does not count.
const REJECTED_WINDOW: Duration = Duration::from_secs(10 * 60);

/// Clients of a name that is not covered do not try as often, or have given up.
const ASKED_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

/// Names that a problem lists.
const NAMES_TOLD: usize = 5;

/// Failures that are told one by one, before they are only counted.
const TOLD: u32 = 10;

/// How often one more may be told, and how often the others are summed up.
const MORE: Duration = Duration::from_secs(6);
const SUM: Duration = Duration::from_secs(60);

/// What is known of failed handshakes.
pub(super) struct Failures {
    /// The newest first.
    clients: VecDeque<Seen>,
    background: VecDeque<Seen>,
    rejected: Outcry<Fingerprint>,
    /// The one that counts most against each certificate, see [`Seen::outweighs`].
    gravest: HashMap<Fingerprint, Seen>,
    /// Listener and name.
    asked: Outcry<(String, Box<str>)>,
    quota: Quota,
}

/// A failure, and when it was looked at: the clock of the host may be set back.
#[derive(Clone, Debug)]
struct Seen {
    at: Instant,
    joined: Arc<Joined>,
}

impl Seen {
    /// The later one does, unless it is without a cause and the earlier one, which has one, still
    /// counts: clients of which only some have a reason are not to look like two problems in turn.
    fn outweighs(&self, earlier: &Self) -> bool {
        let apart = self.at.saturating_duration_since(earlier.at);
        let has_cause = |seen: &Self| !seen.joined.cause.is_empty();
        has_cause(self) || !has_cause(earlier) || apart >= REJECTED_WINDOW
    }
}

impl Default for Failures {
    fn default() -> Self {
        Self {
            clients: VecDeque::new(),
            background: VecDeque::new(),
            rejected: Outcry::new(REJECTED_WINDOW),
            gravest: HashMap::new(),
            asked: Outcry::new(ASKED_WINDOW),
            quota: Quota::default(),
        }
    }
}

impl Failures {
    pub(super) fn shown(&self, ledger: &Ledger) -> view::Failures {
        let mut latest: Vec<&Seen> = self.clients.iter().chain(&self.background).collect();
        latest.sort_by_key(|seen| Reverse((seen.at, seen.joined.failure.at)));
        view::Failures {
            counts: ledger.counts().collect(),
            latest: latest.iter().map(|seen| Arc::clone(&seen.joined)).collect(),
        }
    }

    fn keep(&mut self, joined: Joined, now: Instant) {
        let seen = Seen {
            at: now,
            joined: Arc::new(joined),
        };
        let joined = &seen.joined;
        let failure = &joined.failure;
        let (ring, room) = if failure.reason.is_background() {
            (&mut self.background, LATEST_BACKGROUND)
        } else {
            (&mut self.clients, LATEST_CLIENTS)
        };
        ring.truncate(room - 1);
        ring.push_front(seen.clone());
        if joined.matters() && self.quota.allows(failure.reason, now) {
            tell(joined);
        }
        let Some(served) = failure.served.filter(|_| joined.accuses()) else {
            return;
        };
        self.rejected.note(served, failure.network, now);
        let known = self.gravest.get(&served);
        if known.is_none_or(|known| seen.outweighs(known)) {
            self.gravest.insert(served, seen);
        }
    }
}

impl Daemon {
    /// Looks at what has failed since the last time.
    pub(super) fn look_at_failures(&mut self) {
        let now = Instant::now();
        let (failures, asked) = self.edge.ledger().take();
        let mut judged = HashMap::new();
        for failure in failures {
            let joined = self.join(failure, &mut judged);
            self.failures.keep(joined, now);
        }
        self.failures.quota.sum_up(now);
        for Asked {
            listener,
            name,
            network,
        } in asked
        {
            self.failures.asked.note((listener, name), network, now);
        }
        self.judge_rejections(now);
        self.judge_names(now);
    }

    fn join(&self, failure: Failure, judged: &mut HashMap<String, Vec<Finding>>) -> Joined {
        let Some(view) = failure
            .served
            .and_then(|served| self.shown.certificate(&leaf::hexadecimal(&served)))
        else {
            return Joined::new(failure, None);
        };
        let findings = judged.entry(view.name.clone()).or_insert_with(|| {
            let mut in_use = self.in_use.iter();
            let one = in_use.find(|one| one.name == view.name);
            one.map(|one| one.examination.verdict(failure.at).findings)
                .unwrap_or_default()
        });
        let served = Served {
            name: &view.name,
            not_after: view.not_after,
            findings,
        };
        Joined::new(failure, Some(served))
    }

    fn judge_rejections(&mut self, now: Instant) {
        let shown = &self.shown;
        let is_served = |served: &Fingerprint| {
            let fingerprint = leaf::hexadecimal(served);
            shown.certificate(&fingerprint).is_some()
        };
        self.failures.rejected.retain(is_served);
        let standings = self.failures.rejected.look(now);
        let known = |served: &Fingerprint| standings.iter().any(|(one, _)| one == served);
        self.failures.gravest.retain(|served, _| known(served));
        let mut raised = Vec::new();
        for (served, standing) in &standings {
            if !standing.raised {
                continue;
            }
            let Some(gravest) = self.failures.gravest.get(served) else {
                continue;
            };
            raised.push(rejected(&gravest.joined, *standing, Timestamp::now()));
        }
        self.settle(problem::CERTIFICATE_REJECTED, raised);
    }

    fn judge_names(&mut self, now: Instant) {
        let doors = &self.doors;
        self.failures.asked.retain(|(listener, name)| {
            let door = doors.iter().find(|door| door.name == *listener);
            let tls = door.and_then(|door| door.tls.as_ref());
            tls.is_some_and(|tls| !tls.resolver.covers(name))
        });
        let mut listeners: BTreeMap<String, Vec<Box<str>>> = BTreeMap::new();
        for ((listener, name), standing) in self.failures.asked.look(now) {
            if standing.raised {
                listeners.entry(listener).or_default().push(name);
            }
        }
        let raised = listeners
            .iter()
            .map(|(listener, names)| asked_for(listener, names, Timestamp::now()))
            .collect();
        self.settle(problem::NAME_ASKED_FOR, raised);
    }

    /// These are all problems of one name. What is known and has not changed is left alone.
    pub(super) fn settle(&mut self, name: &'static str, raised: Vec<Problem>) {
        let known = self.problems.shown();
        let mut changed = false;
        for one in known.iter().filter(|one| one.name == name) {
            if !raised.iter().any(|it| it.subject == one.subject) {
                self.problems.clear(name, &one.subject);
                changed = true;
            }
        }
        for problem in raised {
            let same = |one: &Problem| {
                one.name == name && one.subject == problem.subject && one.what == problem.what
            };
            if !known.iter().any(same) {
                self.problems.raise(problem);
                changed = true;
            }
        }
        if changed {
            self.show();
        }
    }
}

fn rejected(gravest: &Joined, standing: Standing, now: Timestamp) -> Problem {
    let Standing {
        networks, times, ..
    } = standing;
    let (severity, remedy) = if gravest.cause.is_empty() {
        let remedy = "`batonctl failures` shows who: look at the roots that these clients trust, \
                      and at what lies between them and this host";
        (Severity::Warning, remedy.to_owned())
    } else {
        (Severity::Critical, gravest.remedy.clone())
    };
    Problem {
        name: problem::CERTIFICATE_REJECTED,
        subject: format!("certificate.{}", gravest.certificate),
        severity,
        what: format!(
            "clients of {networks} networks do not take it, {times} times so far; for instance: {}",
            gravest.what
        ),
        remedy,
        since: now,
    }
}

fn asked_for(listener: &str, names: &[Box<str>], now: Timestamp) -> Problem {
    let told: Vec<&str> = names.iter().take(NAMES_TOLD).map(AsRef::as_ref).collect();
    let more = match names.len().saturating_sub(NAMES_TOLD) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Problem {
        name: problem::NAME_ASKED_FOR,
        subject: format!("listener.{listener}"),
        severity: Severity::Warning,
        what: format!(
            "clients of several networks ask for {}{more}, which none of its certificates has",
            told.join(", ")
        ),
        remedy: "have a certificate issued with the name, or see who still sends clients here \
                 under it"
            .to_owned(),
        since: now,
    }
}

fn tell(joined: &Joined) {
    let failure = &joined.failure;
    let listener = &failure.listener;
    event!(
        INFO,
        message_id::TLS_HANDSHAKE_FAILED,
        baton_listener = listener.as_str(),
        baton_client = %failure.network,
        baton_reason = failure.reason.word(),
        baton_alert = failure.alert,
        baton_certificate = some(&joined.certificate),
        baton_cause = some(&joined.cause),
        "listener.{listener}: {}",
        joined.what
    );
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Keeps a flood of failures from being a flood of entries.
#[derive(Debug)]
struct Quota {
    left: u32,
    /// When there was one more last; None: not yet.
    counted: Option<Instant>,
    withheld: BTreeMap<Reason, u64>,
    /// When the first of those was withheld; None: there are none.
    since: Option<Instant>,
}

impl Default for Quota {
    fn default() -> Self {
        Self {
            left: TOLD,
            counted: None,
            withheld: BTreeMap::new(),
            since: None,
        }
    }
}

impl Quota {
    /// Whether this one may be told. If not, it is summed up later.
    fn allows(&mut self, reason: Reason, now: Instant) -> bool {
        let counted = *self.counted.get_or_insert(now);
        let more = now.saturating_duration_since(counted).as_secs() / MORE.as_secs();
        if more > 0 {
            let more = u32::try_from(more).unwrap_or(TOLD);
            self.left = TOLD.min(self.left.saturating_add(more));
            self.counted = Some(now);
        }
        if self.left > 0 {
            self.left -= 1;
            return true;
        }
        self.since.get_or_insert(now);
        *self.withheld.entry(reason).or_default() += 1;
        false
    }

    /// What was withheld, once a minute.
    fn due(&mut self, now: Instant) -> Option<BTreeMap<Reason, u64>> {
        let since = self.since?;
        if now.saturating_duration_since(since) < SUM {
            return None;
        }
        self.since = None;
        Some(std::mem::take(&mut self.withheld))
    }

    fn sum_up(&mut self, now: Instant) {
        let Some(withheld) = self.due(now) else {
            return;
        };
        let of = |(reason, count): (&Reason, &u64)| format!("{count} {reason}");
        let each: Vec<String> = withheld.iter().map(of).collect();
        event!(
            INFO,
            message_id::TLS_HANDSHAKE_FAILED,
            baton_failures = withheld.values().sum::<u64>(),
            "{} more TLS handshakes failed within a minute: {} (batonctl failures)",
            withheld.values().sum::<u64>(),
            each.join(", ")
        );
    }
}

#[cfg(test)]
mod tests;
