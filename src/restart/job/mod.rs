//! The restart of a service as one transaction: a state machine without I/O and without a clock.
//!
//! ```text
//! Checking → Announcing (the canary first) → Draining → Restarting → Probing → Releasing
//!               ↑                                                                  |
//!               +------------------------ next target ----------------------------+→ Watching → Done
//! ```
//!
//! A drain waits in `Away` instead of `Restarting`, until it is resumed or the newcomers have
//! waited as long as they may. Cancel, a lost canary and a host shutdown lead from everywhere back
//! to normal service and to the end.
//!
//! Whoever drives it makes a [`Job`] of an [`Order`], carries out [`Job::begin`]'s actions, and
//! from then on feeds it every [`Event`] as it happens, with the time since the job began, and
//! [`Event::Tick`] every 50 to 100 ms; carries out the actions of each in order; and is done at
//! [`Action::Finish`], which comes exactly once, whatever answers stay away. Answers that come late
//! are ignored. What an action means at the edge and at systemd is said at [`Action`]. Questions
//! take time: the driver does not wait for an answer before it feeds the next tick.
//!
//! A backend that does not come back ends the job as failed, with the hold open again: there the
//! edge holds newcomers as long as no backend answers, each for at most `restart.hold`, and lets
//! them in when one does. So the service heals without a job.

mod event;
mod steps;

use std::time::Duration;

pub use event::{Action, Counts, Event, Kind, Order, Target};

use super::interlock::Refusal;
use super::pace::{Pace, Settings};
use super::report::{DrainReport, JobReport, Outcome, UnitReport};
use super::returns::Returns;

/// How long the interlock may take. It reads files and asks systemd, each with a deadline of its
/// own.
const CHECK_WITHIN: Duration = Duration::from_secs(15);

/// How much longer than the longest retry delay the canary is awaited, and after the end the
/// others: for connect, TLS and a machine that sleeps.
const LATE: Duration = Duration::from_secs(5);

/// How long the last clients may take to be gone after their deadline: the edge cuts them off
/// then.
const AFTERMATH: Duration = Duration::from_secs(3);

/// How often a drain looks for those who joined when everybody had been told: who was on the way to
/// the backend when the hold was closed.
const STRAGGLERS: Duration = Duration::from_secs(1);

/// Between two probes: the shortest pause, which doubles, and the longest.
const PROBE_PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// Where it stands. The times are those at which it does not go on waiting.
#[derive(Clone, Debug)]
enum State {
    Checking,
    Announcing {
        /// When the rest is told at once.
        hurry: Duration,
        /// When a canary that is not back is lost.
        canary: Duration,
    },
    Draining {
        until: Duration,
        /// When it is looked next for those who have joined since everybody was told.
        again: Duration,
    },
    Away {
        until: Duration,
    },
    Restarting {
        since: Duration,
    },
    Probing {
        since: Duration,
        until: Duration,
        pause: Duration,
        /// What systemd said, if the unit was not restarted.
        failed: Option<String>,
    },
    Releasing {
        until: Duration,
        pace: Box<Pace>,
        let_in: u64,
        /// At the last tick all who waited were let in.
        all_went: bool,
        /// Upgrades before the first of them.
        upgraded: u64,
        then: Then,
    },
    Watching {
        until: Duration,
    },
    Done,
}

/// What follows when the held are let in.
#[derive(Clone, Debug)]
enum Then {
    Next,
    End(Outcome, Option<String>),
}

/// One job.
#[derive(Clone, Debug)]
pub struct Job {
    order: Order,
    state: State,
    /// Of `order.targets`.
    current: usize,
    closed: bool,
    /// When the current target's drain must be over.
    deadline: Duration,
    pace: Pace,
    returns: Returns,
    first: Option<Counts>,
    last: Counts,
    told: u64,
    /// How many [`Action::Tell`] asked for, if an answer is due.
    telling: Option<u64>,
    hurried: u64,
    last_told: Duration,
    units: Vec<UnitReport>,
    overridden: Vec<Refusal>,
    actions: Vec<Action>,
}

impl Job {
    /// A job that has not begun.
    #[must_use]
    pub fn new(order: Order) -> Self {
        let settings = Settings {
            spread: order.spread,
            retry: order.retry.clone(),
            cores: order.cores,
            known: order.known_rate,
        };
        Self {
            pace: Pace::out(settings, order.clients, order.newcomers_per_second),
            returns: Returns::new(order.newcomers_per_second),
            order,
            state: State::Checking,
            current: 0,
            closed: false,
            deadline: Duration::ZERO,
            first: None,
            last: Counts::default(),
            told: 0,
            telling: None,
            hurried: 0,
            last_told: Duration::ZERO,
            units: Vec::new(),
            overridden: Vec::new(),
            actions: Vec::new(),
        }
    }

    /// What to do at first.
    #[must_use]
    pub fn begin(&self) -> Vec<Action> {
        vec![Action::Check]
    }

    /// The state as one word for the operator.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self.state {
            State::Checking => "checking",
            State::Announcing { .. } => "announcing",
            State::Draining { .. } => "draining",
            State::Away { .. } => "away",
            State::Restarting { .. } => "restarting",
            State::Probing { .. } => "probing",
            State::Releasing { .. } => "releasing",
            State::Watching { .. } => "watching",
            State::Done => "done",
        }
    }

    /// How far it is, in percent: an estimate that never goes back within a target.
    #[must_use]
    pub fn progress(&self) -> u8 {
        let within = match self.state {
            State::Checking => 0.0,
            State::Announcing { .. } => {
                0.4 * (self.told as f64 / self.order.clients.max(1) as f64).min(1.0)
            }
            State::Draining { .. } => 0.4,
            State::Away { .. } | State::Restarting { .. } => 0.5,
            State::Probing { .. } => 0.7,
            State::Releasing { .. } => 0.8,
            State::Watching { .. } => 0.9,
            State::Done => 1.0,
        };
        let all = self.order.targets.len().max(1) as f64;
        let before = match self.state {
            State::Watching { .. } | State::Done => all - 1.0,
            _ => self.current as f64,
        };
        ((before + within) / all * 100.0) as u8
    }

    /// The target that is drained or restarted now.
    #[must_use]
    pub fn target(&self) -> Option<&Target> {
        self.order.targets.get(self.current)
    }

    /// [`Pace::learned`], for the next job's [`Order::known_rate`].
    #[must_use]
    pub fn learned_rate(&self) -> Option<f64> {
        self.pace.learned()
    }

    /// What it did so far. With an outcome that only [`Action::Finish`] makes final.
    #[must_use]
    pub fn report(&self, now: Duration, outcome: Outcome, why: Option<String>) -> JobReport {
        let first = self.first.unwrap_or_default();
        let last = self.last;
        let grown = |now: u64, before: u64| now.saturating_sub(before);
        JobReport {
            kind: self.order.kind.word().to_owned(),
            service: self.order.service.clone(),
            outcome,
            why,
            took_ms: ms(now),
            clients: self.order.clients,
            drain: DrainReport {
                clients_at_start: self.order.clients,
                told: grown(last.told, first.told),
                closed_cleanly: grown(last.closed_cleanly, first.closed_cleanly),
                timed_out: grown(last.timed_out, first.timed_out),
                gone: grown(last.gone, first.gone),
                cut: grown(last.cut, first.cut),
                remaining: if self.told > 0 {
                    last.left
                } else {
                    self.order.clients
                },
                discarded_messages: grown(last.discarded_messages, first.discarded_messages),
            },
            hurried: self.hurried,
            held: grown(last.held, first.held),
            released: grown(last.released, first.released),
            refused: grown(last.refused, first.refused),
            returns: self.returns.curve(),
            takes_back_per_second: self.pace.learned().map(|rate| rate as u64),
            units: self.units.clone(),
            refusals: self.overridden.clone(),
        }
    }

    /// The next state, and what to do on the way there. `now` is the time since the job began and
    /// does not go back.
    pub fn on(&mut self, now: Duration, event: Event) -> Vec<Action> {
        if matches!(self.state, State::Done) {
            return Vec::new();
        }
        match event {
            Event::Tick(counts) => self.tick(now, counts),
            Event::Checked(refusals) => self.checked(now, refusals),
            Event::Told(count) => self.told(now, count),
            Event::UnitJob(result) => self.unit_job(now, result),
            Event::Probed(result) => self.probed(now, result),
            Event::UnitDown(why) => {
                if matches!(self.state, State::Probing { .. }) {
                    self.lost(now, why);
                }
            }
            Event::Resume => self.resume(now),
            // It may be one connection of many. If all of them are lost, nobody is left, which
            // the next tick sees.
            Event::BackendLost => {}
            Event::Cancel => self.turn_back(now, Outcome::Canceled, None),
            Event::HostShutdown => self.turn_back(now, Outcome::HostShutdown, None),
        }
        std::mem::take(&mut self.actions)
    }

    fn tick(&mut self, now: Duration, counts: Counts) {
        self.first.get_or_insert(counts);
        self.last = counts;
        self.returns.arrived(now, counts.arrived);
        match &mut self.state {
            State::Checking if now >= CHECK_WITHIN => {
                let why = format!("nothing was known after {CHECK_WITHIN:?}");
                self.finish(now, Outcome::Failed, Some(why));
            }
            State::Announcing { .. } => self.wave(now),
            State::Draining { until, .. } if counts.left == 0 || now >= *until => {
                self.emptied(now);
            }
            State::Draining { again, .. } if now >= *again => {
                *again = now + STRAGGLERS;
                self.tell_stragglers(now);
            }
            State::Away { until } if now >= *until => self.finish(now, Outcome::Done, None),
            State::Restarting { since } if now >= *since + self.order.restart_within => {
                let why = format!(
                    "systemd did not restart it within {:?}",
                    self.order.restart_within
                );
                self.lost(now, why);
            }
            State::Probing { until, failed, .. } if now >= *until => {
                let why = failed
                    .take()
                    .unwrap_or_else(|| "it does not answer".to_owned());
                self.lost(now, why);
            }
            State::Releasing { .. } => self.release(now),
            State::Watching { until } if self.returns.complete() || now >= *until => {
                self.finish(now, Outcome::Done, None);
            }
            _ => {}
        }
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
