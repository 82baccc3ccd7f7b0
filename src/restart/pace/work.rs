//! What a return costs, while the host is still far from full.
//!
//! The utilization law (Denning and Buzen, "The Operational Analysis of Queueing Network Models",
//! ACM Computing Surveys 10(3), 1978): of what is busiest, the part of its time that is at work is
//! the rate of returns times the work that each is. So a few hundred returns tell how many more
//! there is room for, seconds before latency could.

use std::collections::VecDeque;
use std::time::Duration;

use super::{RATE_WINDOW, Seen};

/// What the reading of processor times may be off by, of the whole: a tick of 10 ms, now and then.
const NOISE: f64 = 0.02;

/// From here on the estimate is good enough to be kept to.
const MUCH: f64 = 0.6;

#[derive(Clone, Debug, Default)]
pub(super) struct Work {
    /// Who is sent away, in all.
    pub(super) clients: u64,
    /// Over the last while: when, returns by then, and seconds at work by then.
    looks: VecDeque<(Duration, u64, f64)>,
    /// Part of the time that goes to other things, if it was seen before the first return.
    other: Option<f64>,
    /// What is left of that, if all of it is the messages of those who are away now.
    other_now: f64,
}

impl Work {
    pub(super) fn look(&mut self, now: Duration, seen: Seen) {
        let Some(busy) = seen.busy else {
            self.looks.clear();
            return;
        };
        let (before, _, sum) = self.looks.back().copied().unwrap_or((now, 0, 0.0));
        let sum = sum + busy.clamp(0.0, 1.0) * now.saturating_sub(before).as_secs_f64();
        self.looks.push_back((now, seen.back, sum));
        let old = now.saturating_sub(RATE_WINDOW);
        while self.looks.get(1).is_some_and(|(at, ..)| *at <= old) {
            self.looks.pop_front();
        }
        if seen.back == 0 {
            self.other = self.over_the_window().map(|(busy, _)| busy);
        }
        let away = seen.told.saturating_sub(seen.back) as f64 / self.clients.max(1) as f64;
        self.other_now = self.other.unwrap_or(0.0) * (1.0 - away).max(0.0);
    }

    /// Whether it is known how busy the host is.
    pub(super) fn is_known(&self) -> bool {
        !self.looks.is_empty()
    }

    /// How many can return in a second: rather too few than too many, and the closer the busier it
    /// is. None: not known.
    pub(super) fn capacity(&self) -> Option<f64> {
        let (busy, returns) = self.over_the_window()?;
        let busy = (busy - self.other_now).max(0.0) + NOISE;
        Some(returns * (1.0 - self.other_now) / busy)
    }

    /// Most of the time that other things leave goes to returns.
    pub(super) fn is_much(&self) -> bool {
        self.other.is_some()
            && self
                .over_the_window()
                .is_some_and(|(busy, _)| busy - self.other_now > MUCH * (1.0 - self.other_now))
    }

    /// Most of the time goes to anything at all.
    pub(super) fn is_busy(&self) -> bool {
        let over = self.over_the_window();
        over.is_some_and(|(busy, _)| busy > MUCH)
    }

    /// What part of the time was at work, and returns a second.
    fn over_the_window(&self) -> Option<(f64, f64)> {
        let (first, last) = (self.looks.front()?, self.looks.back()?);
        let seconds = (last.0 - first.0).as_secs_f64();
        let returns = last.1.saturating_sub(first.1) as f64;
        (seconds > 0.0).then(|| ((last.2 - first.2) / seconds, returns / seconds))
    }
}
