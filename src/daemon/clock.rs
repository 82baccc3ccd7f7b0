//! A clock that nobody keeps is a problem, once it stays so.

use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::life::Daemon;
use crate::control::clock::{self, Clock};
use crate::control::problem::{self, Problem, Severity};

/// What is known of the clock.
#[derive(Default)]
pub(super) struct ClockWatch {
    /// When to ask again; none: at once.
    again: Option<Instant>,
    asked: Option<oneshot::Receiver<Clock>>,
    /// It was loose at the last look.
    was_loose: bool,
}

impl ClockWatch {
    /// The answer, when there is one.
    pub(super) async fn next(&mut self) -> Clock {
        match &mut self.asked {
            None => std::future::pending().await,
            Some(answer) => {
                let clock = answer.await.unwrap_or(Clock::Unknown);
                self.asked = None;
                clock
            }
        }
    }

    /// Whether it has been loose for long enough, and when it is asked again.
    fn is_loose(&mut self, clock: Clock, now: Instant) -> bool {
        let is_loose = clock.is_loose();
        let again = if is_loose { clock::AGAIN } else { clock::EVERY };
        self.again = Some(now + again);
        std::mem::replace(&mut self.was_loose, is_loose) && is_loose
    }
}

impl Daemon {
    /// Comes every half second.
    pub(super) fn look_at_clock(&mut self) {
        // Nobody comes to this process any more.
        if !self.phase.accepts() {
            return;
        }
        let watch = &mut self.clock;
        if self.in_use.is_empty() || watch.asked.is_some() {
            return;
        }
        if watch.again.is_some_and(|again| Instant::now() < again) {
            return;
        }
        let (answer, asked) = oneshot::channel();
        watch.asked = Some(asked);
        let bus = self.args.bus.clone();
        tokio::task::spawn_local(async move {
            let _ = answer.send(clock::ask(bus.as_deref()).await);
        });
    }

    pub(super) fn note_clock(&mut self, clock: Clock) {
        if !self.clock.is_loose(clock, Instant::now()) {
            if !clock.is_loose() {
                self.problems.clear(problem::CLOCK_UNSYNCHRONISED, "");
                self.show();
            }
            return;
        }
        let (what, remedy) = match clock {
            Clock::Alone => (
                "the clock of this host is kept by nobody: its time service is switched off",
                "`timedatectl set-ntp true`",
            ),
            _ => (
                "the clock of this host is not synchronised",
                "look at `timedatectl timesync-status`, or `chronyc tracking`: the time service \
                 runs, but has no time",
            ),
        };
        self.problems.raise(Problem {
            name: problem::CLOCK_UNSYNCHRONISED,
            subject: String::new(),
            severity: Severity::Warning,
            what: format!("{what}, and what is said of certificates rests on it"),
            remedy: remedy.to_owned(),
            since: Timestamp::now(),
        });
        self.show();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_must_stay_loose_to_be_told() {
        let mut watch = ClockWatch::default();
        let now = Instant::now();
        let asked = [
            (Clock::Unsynchronised, false, 10),
            (Clock::Unsynchronised, true, 10),
            (Clock::Alone, true, 10),
            (Clock::Kept, false, 60),
            (Clock::Alone, false, 10),
            (Clock::Unknown, false, 60),
            (Clock::Unsynchronised, false, 10),
        ];
        for (clock, told, minutes) in asked {
            assert_eq!(watch.is_loose(clock, now), told, "{clock:?}");
            assert_eq!(watch.again, Some(now + Duration::from_secs(60 * minutes)));
        }
    }
}
