//! How many newcomers a service has when nothing happens.

use std::collections::VecDeque;

/// Over how many looks, half a second apart, the usual rate of newcomers is known.
const LOOKS: usize = 60;

/// How many came to a service between two looks.
#[derive(Default)]
pub(super) struct Arrivals {
    /// In all, at the last look.
    total: u64,
    /// The latest last.
    lately: VecDeque<u64>,
}

impl Arrivals {
    /// Takes what has come in all by now. Unless it `counts`, only as where the next look begins.
    pub(super) fn look(&mut self, total: u64, counts: bool) {
        let came = total.saturating_sub(std::mem::replace(&mut self.total, total));
        if counts {
            self.lately.push_back(came);
        }
        if self.lately.len() > LOOKS {
            self.lately.pop_front();
        }
    }

    /// The lower quartile, since a crowd that comes back from a crash is not the rule. Too low an
    /// estimate takes a newcomer for one who is back, and that one has shown as well that one can
    /// come.
    pub(super) fn at_a_time(&self) -> f64 {
        let mut sorted: Vec<u64> = self.lately.iter().copied().collect();
        sorted.sort_unstable();
        let quartile = sorted.get(sorted.len() / 4);
        quartile.map_or(0.0, |came| *came as f64)
    }
}
