//! The latency of an idle host.

use std::time::Duration;

/// Over how long the lowest latency is that of an idle host (BBR keeps its minimum for 10 s).
const IDLE_WINDOW: Duration = Duration::from_secs(10);

/// The lowest latency of the last while.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Idle {
    since: Duration,
    before: Option<Duration>,
    current: Option<Duration>,
}

impl Idle {
    /// Takes a look in, and says what is the lowest with it.
    pub(super) fn with(&mut self, now: Duration, latency: Duration) -> Duration {
        if now >= self.since + IDLE_WINDOW / 2 {
            (self.since, self.before) = (now, self.current.take());
        }
        let current = self.current.map_or(latency, |lowest| lowest.min(latency));
        self.current = Some(current);
        self.before.map_or(current, |before| before.min(current))
    }

    pub(super) fn lowest(&self) -> Option<Duration> {
        [self.before, self.current].into_iter().flatten().min()
    }
}
