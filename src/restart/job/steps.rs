//! The steps of a job, in order.

use std::time::Duration;

use super::{AFTERMATH, Action, Job, Kind, LATE, PROBE_PAUSE, STRAGGLERS, State, Then, ms};
use crate::config::Spread;
use crate::restart::interlock::Refusal;
use crate::restart::pace::{Pace, Seen, Settings};
use crate::restart::report::{Outcome, UnitReport};

impl Job {
    pub(super) fn checked(&mut self, now: Duration, refusals: Vec<Refusal>) {
        if !matches!(self.state, State::Checking) {
            return;
        }
        let overridable = refusals.iter().all(|refusal| refusal.may_be_forced);
        let passed = refusals.is_empty() || (self.order.force && overridable);
        self.overridden = refusals;
        if passed {
            self.announce(now);
        } else {
            self.finish(now, Outcome::Refused, None);
        }
    }

    /// Begins with the current target, or ends if there is none.
    fn announce(&mut self, now: Duration) {
        let Some(target) = self.target().cloned() else {
            self.state = State::Watching {
                until: now.max(self.last_told) + *self.order.retry.end() + LATE,
            };
            return;
        };
        self.deadline = now + self.order.deadline;
        self.closed = true;
        self.telling = None;
        self.actions.push(Action::CloseHold(target));
        self.state = State::Announcing {
            hurry: now + self.order.deadline.saturating_sub(self.order.close_timeout),
            canary: now + *self.order.retry.end() + LATE,
        };
    }

    /// Tells as many as the pace has it, if nobody is being told.
    pub(super) fn wave(&mut self, now: Duration) {
        let State::Announcing { hurry, canary } = self.state else {
            return;
        };
        let seen = Seen {
            told: self.told,
            back: self.returns.back(),
            latency: self.last.latency,
            busy: self.last.busy,
        };
        // Also without an answer it goes on at the deadline, when the edge cuts off who is left.
        if self.last.left == 0 || now >= self.deadline {
            return self.drain(now);
        }
        if self.telling.is_some() {
            return self.pace.look(now, seen);
        }
        let mut soon = self.pace.awaits_canary();
        let mut count = self.pace.next(now, seen);
        let canary = canary.min(hurry);
        if self.pace.awaits_canary() && self.last.untold > 0 && now >= canary {
            if !self.order.force {
                let (back, told) = (self.returns.back(), self.told);
                let why = format!("{back} of {told} came back within {} s", canary.as_secs());
                return self.turn_back(now, Outcome::CanaryLost, Some(why));
            }
            self.pace.forget_canary();
        }
        // Towards the end everybody, in turn or not: nobody is cut off without a word. And
        // whoever slipped in since the snapshot.
        if now >= hurry || self.last.untold == 0 {
            count = u64::MAX;
            soon = false;
        }
        if count > 0 {
            self.telling = Some(count);
            let within = self.deadline.saturating_sub(now);
            self.actions.push(Action::Tell {
                count,
                within,
                soon,
            });
        }
    }

    pub(super) fn told(&mut self, now: Duration, count: u64) {
        let Some(asked) = self.telling.take() else {
            return;
        };
        self.told += count;
        self.last_told = now;
        self.returns.told(now, count, self.last.arrived);
        if let State::Announcing { hurry, .. } = self.state {
            if now >= hurry {
                self.hurried += count;
            }
            if count < asked {
                self.drain(now);
            }
        }
    }

    fn drain(&mut self, now: Duration) {
        self.state = State::Draining {
            until: self.deadline + AFTERMATH,
            again: now + STRAGGLERS,
        };
    }

    pub(super) fn tell_stragglers(&mut self, now: Duration) {
        let within = self.deadline.saturating_sub(now);
        if self.telling.is_none() && within > Duration::ZERO {
            self.telling = Some(u64::MAX);
            self.actions.push(Action::Tell {
                count: u64::MAX,
                within,
                soon: false,
            });
        }
    }

    /// The current target has no clients any more.
    pub(super) fn emptied(&mut self, now: Duration) {
        if self.order.kind == Kind::Drain {
            self.actions.push(Action::Drained);
            let until = now + self.order.hold;
            self.state = State::Away { until };
            return;
        }
        let unit = self.unit();
        self.units.push(UnitReport {
            unit: unit.clone(),
            restarted_ms: None,
        });
        self.actions.push(Action::RestartUnit(unit));
        self.state = State::Restarting { since: now };
    }

    pub(super) fn unit_job(&mut self, now: Duration, result: Result<(), String>) {
        let State::Restarting { since } = self.state else {
            return;
        };
        match result {
            Ok(()) => self.probe(since, now, None),
            // It may run as before: one probe tells.
            Err(why) => self.probe(since, now, Some(why)),
        }
    }

    pub(super) fn resume(&mut self, now: Duration) {
        match self.state {
            State::Away { .. } => self.probe(now, now, None),
            State::Checking | State::Announcing { .. } | State::Draining { .. }
                if self.order.kind == Kind::Drain =>
            {
                let why = "it was resumed before its end".to_owned();
                self.turn_back(now, Outcome::Canceled, Some(why));
            }
            _ => {}
        }
    }

    fn probe(&mut self, since: Duration, now: Duration, failed: Option<String>) {
        let after = Duration::ZERO;
        self.actions.push(Action::Probe { after });
        self.state = State::Probing {
            since,
            until: (since + self.order.restart_within).max(now + LATE),
            pause: PROBE_PAUSE.0,
            failed,
        };
    }

    pub(super) fn probed(&mut self, now: Duration, result: Result<(), String>) {
        let State::Probing {
            since,
            until,
            pause,
            failed,
        } = &mut self.state
        else {
            return;
        };
        match (result, failed.take()) {
            (Ok(()), None) => {
                let took = ms(now - *since);
                if self.order.kind == Kind::Restart
                    && let Some(unit) = self.units.last_mut()
                {
                    unit.restarted_ms = Some(took);
                }
                let unit = self.unit();
                self.actions.push(Action::Clear { unit });
                self.let_in(now, Then::Next);
            }
            (Ok(()), Some(why)) => {
                let why = format!("{} was not restarted: {why}", self.unit());
                self.let_in(now, Then::End(Outcome::Failed, Some(why)));
            }
            (Err(_), Some(why)) => self.lost(now, why),
            (Err(why), None) if now + *pause >= *until => self.lost(now, why),
            (Err(_), None) => {
                let after = *pause;
                *pause = (*pause * 2).min(PROBE_PAUSE.1);
                self.actions.push(Action::Probe { after });
            }
        }
    }

    /// Lets the held in at a pace, if there are any, then opens.
    fn let_in(&mut self, now: Duration, then: Then) {
        let settings = Settings {
            spread: Spread::Auto,
            retry: Duration::ZERO..=Duration::ZERO,
            cores: self.order.cores,
            known: self.pace.learned().or(self.order.known_rate),
        };
        self.state = State::Releasing {
            until: now + self.order.hold,
            pace: Box::new(Pace::in_again(settings)),
            let_in: 0,
            all_went: false,
            upgraded: self.last.upgraded,
            then,
        };
        self.release(now);
    }

    pub(super) fn release(&mut self, now: Duration) {
        let one_of_several = self.target().is_some_and(|target| target.backend.is_some());
        let State::Releasing {
            until,
            pace,
            let_in,
            all_went,
            upgraded,
            then,
        } = &mut self.state
        else {
            return;
        };
        if self.last.waiting > 0 && !one_of_several && now < *until {
            let seen = Seen {
                told: *let_in,
                back: self.last.upgraded.saturating_sub(*upgraded),
                latency: self.last.latency,
                busy: self.last.busy,
            };
            let count = pace.next(now, seen);
            // Newcomers go on coming: the line need not get empty for the hold to be opened, only
            // so short that all of it can go at once, twice in a row.
            let all = count >= self.last.waiting;
            if !(all && std::mem::replace(all_went, all)) {
                let count = count.min(self.last.waiting);
                if count > 0 {
                    *let_in += count;
                    self.actions.push(Action::LetIn(count));
                }
                return;
            }
        }
        match std::mem::replace(then, Then::Next) {
            Then::Next => {
                self.open();
                self.current += 1;
                self.announce(now);
            }
            Then::End(outcome, why) => self.finish(now, outcome, why),
        }
    }

    /// Back to normal service without what has not been done yet, and to the end.
    pub(super) fn turn_back(&mut self, now: Duration, outcome: Outcome, why: Option<String>) {
        match &mut self.state {
            State::Announcing { .. } | State::Draining { .. } | State::Away { .. }
                if outcome != Outcome::HostShutdown =>
            {
                self.let_in(now, Then::End(outcome, why));
            }
            State::Releasing { then, .. } if outcome != Outcome::HostShutdown => {
                if let Then::Next = then {
                    // All that was asked for has been done, but for the rest of the targets.
                    let rest = self.current + 1 < self.order.targets.len();
                    let outcome = if rest { outcome } else { Outcome::Done };
                    *then = Then::End(outcome, why);
                }
            }
            State::Watching { .. } => self.finish(now, Outcome::Done, None),
            _ => self.finish(now, outcome, why),
        }
    }

    /// The backend is not back.
    pub(super) fn lost(&mut self, now: Duration, why: String) {
        let unit = self.unit();
        let sentence = format!("{unit} is not back: {why}");
        self.actions.push(Action::Raise { unit, why });
        self.finish(now, Outcome::Failed, Some(sentence));
    }

    fn open(&mut self) {
        if std::mem::take(&mut self.closed)
            && let Some(target) = self.target().cloned()
        {
            self.actions.push(Action::OpenHold(target));
        }
    }

    pub(super) fn finish(&mut self, now: Duration, outcome: Outcome, why: Option<String>) {
        self.open();
        let report = Box::new(self.report(now, outcome, why));
        self.actions.push(Action::Finish(report));
        self.state = State::Done;
    }

    /// What is restarted, or where no unit is known, what it serves.
    fn unit(&self) -> String {
        let unit = self.target().and_then(|target| target.unit.clone());
        unit.unwrap_or_else(|| self.order.service.clone())
    }
}
