//! What is logged again and again. Anybody on the net can make some things happen as often as he
//! likes; that shows in the counters, while the log gets the first ones and a sum.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;

use super::queue::Entry;

/// How many entries of one kind are written within [`PERIOD`].
pub(super) const BURST: u64 = 20;

/// How long entries of one kind are counted together.
pub(super) const PERIOD: Duration = Duration::from_secs(30);

/// Kinds that are told apart at a time.
const KINDS_MAX: usize = 1024;

/// What tells events of one place in the code apart: names that the configuration or the system
/// gave, and no words of a client.
const SUBJECTS: [&str; 8] = [
    "baton_service",
    "baton_listener",
    "baton_certificate",
    "baton_backend",
    "baton_subject",
    "baton_problem",
    "baton_address",
    "baton_job",
];

#[derive(PartialEq, Eq, Hash)]
struct Kind {
    place: Identifier,
    subject: String,
}

struct Window {
    since: Instant,
    entries: u64,
    /// The text of the first one that was left out.
    like: String,
}

/// How often each kind has been logged lately.
#[derive(Default)]
pub(super) struct Repeats(Mutex<HashMap<Kind, Window>>);

impl Repeats {
    /// Counts an entry. False: there were enough of the kind.
    pub(super) fn admit(&self, entry: &Entry, now: Instant) -> bool {
        let subjects = SUBJECTS.iter().filter_map(|name| entry.value(name));
        let kind = Kind {
            place: entry.metadata().callsite(),
            subject: subjects.collect::<Vec<_>>().join(" "),
        };
        let mut windows = self.windows();
        if windows.len() >= KINDS_MAX && !windows.contains_key(&kind) {
            windows.retain(|_, window| !window.is_over(now) || window.left_out() > 0);
            if windows.len() >= KINDS_MAX {
                // So many kinds within the period are not of the net's making.
                return true;
            }
        }
        let window = windows.entry(kind).or_insert_with(|| Window::new(now));
        if window.is_over(now) && window.left_out() == 0 {
            *window = Window::new(now);
        }
        window.entries += 1;
        if window.left_out() == 1 {
            window.like = entry.value("message").unwrap_or_default().to_owned();
        }
        window.left_out() == 0
    }

    /// When the next sum is due, if one may be.
    pub(super) fn next_over(&self) -> Option<Instant> {
        let windows = self.windows();
        let full = windows.values().filter(|window| window.entries >= BURST);
        full.map(|window| window.since + PERIOD).min()
    }

    /// How many were left out of each kind whose period is over, and what they were like.
    pub(super) fn over(&self, now: Instant) -> Vec<(u64, String)> {
        let mut sums = Vec::new();
        self.windows().retain(|_, window| {
            let is_over = window.is_over(now);
            if is_over && window.left_out() > 0 {
                sums.push((window.left_out(), std::mem::take(&mut window.like)));
            }
            !is_over
        });
        sums
    }

    fn windows(&self) -> MutexGuard<'_, HashMap<Kind, Window>> {
        // A panic elsewhere leaves nothing half done here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    fn new(since: Instant) -> Self {
        Self {
            since,
            entries: 0,
            like: String::new(),
        }
    }

    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= PERIOD
    }

    fn left_out(&self) -> u64 {
        self.entries.saturating_sub(BURST)
    }
}
