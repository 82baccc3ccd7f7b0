//! How many clients are sent away next, or how many of the held are let in: as many as the host
//! has been seen to take back. Without I/O and without a clock, so that a million clients can be
//! tried in a test.
//!
//! The rule is that of BBR (Cardwell et al., "BBR: Congestion-Based Congestion Control", ACM Queue
//! 14(5), 2016), with clients for packets. Between the telling of a client and its return there
//! are seconds, so that a rule that cuts its rate only when something is lost (AIMD) learns too
//! late, and what it lost was a client.
//!
//! 1. *Canary*: a few, and nobody else until a quarter of them is back.
//! 2. *Startup*: `STARTUP_GAIN` times the rate at which clients come back. What is on its way is
//!    so bound to what has arrived: growth waits for the clients by itself, however long they take.
//!    Where it is known how busy the host is, a few returns tell what it can do (`work`), and
//!    nearly that is asked of it at once.
//! 3. *Cruise*, once most of its time goes to returns, or latency has grown by `TOLERATED`, which
//!    says that the host is full: the rate
//!    at which a full host finishes clients is what it can do. A little less than that is asked of
//!    it, and a little more from second to second while latency stays where it was (Vegas: Brakmo
//!    and Peterson, IEEE JSAC 13(8), 1995).
//! 4. While the host is full and latency still grows, nobody is told: too many are on their way.
//!
//! Whoever was told cannot be called back. So if a host becomes slower in the middle, those who
//! are on their way wait longer, and only those after them do not.

mod idle;
mod sight;
mod work;

use std::collections::VecDeque;
use std::time::Duration;

use self::idle::Idle;
pub use self::sight::{Seen, Settings};
use self::work::Work;
use crate::config::Spread;

/// Less than BBR's 2/ln 2, which fills the queue of a path for a round trip: with clients that
/// return after 1 to 5 s the wait at the end of startup is below 1 s, as the simulation shows.
const STARTUP_GAIN: f64 = 2.1;

/// Of what the host is reckoned to bear, how much is asked of it.
const ROOM_GAIN: f64 = 0.92;

/// How far ahead more are told when the rate grows, in the time that the canary took, and at most:
/// clients spread their returns, so a higher rate of telling is a higher rate of returns only when
/// so many are on their way.
const AHEAD: f64 = 0.7;
const AHEAD_MAX: Duration = Duration::from_secs(1);

/// Growth of latency that is put up with: above what varies on an idle host, and far below what
/// anybody notices.
const TOLERATED: Duration = Duration::from_millis(50);

/// Of what a full host finishes, how much is asked of it.
const CRUISE_GAIN: f64 = 0.97;

/// Of what the host took back at an earlier restart, how much is asked of it at first. It may have
/// more to do now.
const KNOWN_GAIN: f64 = 0.85;

/// By how much the rate grows in the first second of low latency, and faster with each further
/// one (as a BBR that probes). Clients return up to 5 s after they were told, and until then a
/// rate that is too high is not seen.
const GROWTH: f64 = 0.02;

/// Over how long the rate of returns is measured, and what they took where they are few.
pub const RATE_WINDOW: Duration = Duration::from_millis(500);

/// Clients a second that any core takes back: a full handshake and an upgrade within 4 ms, which
/// is ten times what they cost on a common one.
const LEAST_PER_CORE: f64 = 250.0;

/// Clients a second and core that are asked even of a host that is full, and finishes less: it has
/// other things to do, and whoever waits is not to wait for those to end.
const LEAST_OF_FULL: f64 = 25.0;

/// No two calls count as further apart: after a pause nobody is owed a burst.
const LONGEST_STEP: Duration = Duration::from_millis(250);

/// Smallest and largest canary, in clients. The smallest has several, since a client without
/// reconnect of its own never comes back.
const CANARY: (u64, u64) = (5, 50);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// Nobody has been told.
    Fresh,
    /// So many were told, and a quarter must come back.
    Canary(u64),
    Startup,
    Cruise,
}

/// The controller. One for all waves of a job: what it learned in the first counts in the next.
#[derive(Clone, Debug)]
pub struct Pace {
    settings: Settings,
    stage: Stage,
    /// Clients a second.
    rate: f64,
    /// Clients a second that a full host was last seen to finish.
    capacity: Option<f64>,
    /// By then most of somebody's time was at work.
    is_sure: bool,
    /// Parts of a client that are owed from earlier steps.
    credit: f64,
    /// When [`Self::next`] was called last, and when anything was.
    paid: Duration,
    now: Duration,
    /// Since the longest delay ago.
    history: VecDeque<(Duration, Seen)>,
    work: Work,
    idle: Idle,
    full: bool,
    /// Latency, smoothed over some looks, and whether it grows.
    smooth: Duration,
    worse: bool,
    /// When latency was last seen.
    finished: Duration,
    /// How long the canary took.
    canary_took: Duration,
    /// When the host was last full.
    filled: Duration,
}

/// How many of `clients` go first: 1 %, within `CANARY`. `newcomers` arrive in a second in any
/// case: where they are many, the canary is large enough to be seen among them within
/// `longest_delay` (a quarter of it is twice their standard deviation).
#[must_use]
pub fn canary(clients: u64, newcomers: f64, longest_delay: Duration) -> u64 {
    let noise = (newcomers.max(0.0) * longest_delay.as_secs_f64()).sqrt();
    let seen = (8.0 * noise).ceil() as u64;
    (clients / 100)
        .clamp(CANARY.0, CANARY.1)
        .max(seen)
        .min(clients)
}

impl Pace {
    /// For telling `clients` of a service to which `newcomers` come in a second in any case.
    #[must_use]
    pub fn out(settings: Settings, clients: u64, newcomers: f64) -> Self {
        let size = canary(clients, newcomers, *settings.retry.end());
        let mut pace = Self::new(settings, Stage::Canary(size));
        pace.work.clients = clients;
        if let Spread::Over(time) = pace.settings.spread {
            pace.rate = match time {
                Duration::ZERO => f64::INFINITY,
                time => clients as f64 / time.as_secs_f64(),
            };
        }
        // Owed at once.
        pace.credit = size as f64;
        pace.stage = Stage::Fresh;
        pace
    }

    /// For letting in the held, who are at the door already: without a canary, since a probe went
    /// before, and always at the pace of the backend.
    #[must_use]
    pub fn in_again(settings: Settings) -> Self {
        let settings = Settings {
            spread: Spread::Auto,
            retry: Duration::ZERO..=Duration::ZERO,
            ..settings
        };
        Self::new(settings, Stage::Startup)
    }

    fn new(settings: Settings, stage: Stage) -> Self {
        Self {
            rate: LEAST_PER_CORE * settings.cores.max(1) as f64,
            stage,
            capacity: None,
            is_sure: false,
            credit: 0.0,
            paid: Duration::ZERO,
            now: Duration::ZERO,
            history: VecDeque::new(),
            work: Work::default(),
            idle: Idle::default(),
            full: false,
            smooth: Duration::ZERO,
            worse: false,
            finished: Duration::ZERO,
            canary_took: Duration::ZERO,
            filled: Duration::ZERO,
            settings,
        }
    }

    /// How many are to be told now. Call it some ten times a second, `now` never going back.
    pub fn next(&mut self, now: Duration, seen: Seen) -> u64 {
        let step = now.saturating_sub(self.paid).min(LONGEST_STEP);
        self.paid = now;
        self.look(now, seen);
        match self.stage {
            Stage::Fresh => {
                let size = self.credit as u64;
                self.credit = 0.0;
                self.stage = Stage::Canary(size);
                return size;
            }
            Stage::Canary(size) if seen.back < size.div_ceil(4) => return 0,
            Stage::Canary(_) => {
                self.stage = Stage::Startup;
                self.canary_took = now;
                self.credit = self.ahead(self.rate);
            }
            Stage::Startup | Stage::Cruise => {}
        }
        if let Spread::Over(_) = self.settings.spread {
            return self.spend(step);
        }
        self.adapt(step);
        if self.full && self.worse && !self.is_full_of_others() {
            0
        } else {
            self.spend(step)
        }
    }

    /// Whether nobody else is told until the canary is back.
    #[must_use]
    pub fn awaits_canary(&self) -> bool {
        matches!(self.stage, Stage::Fresh | Stage::Canary(_))
    }

    /// Goes on as if the canary had come back.
    pub fn forget_canary(&mut self) {
        self.stage = Stage::Startup;
    }

    /// Clients a second that are told at present; infinite: all at once.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Clients a second that the host takes back, as far as it was seen: for the next job's
    /// [`Settings::known`]. None while it was never full, or finished less than any host does
    /// without having been at work: it was something else that took time.
    #[must_use]
    pub fn learned(&self) -> Option<f64> {
        let least = LEAST_PER_CORE * self.settings.cores.max(1) as f64;
        self.capacity
            .filter(|capacity| self.is_sure || *capacity >= least)
    }

    /// Takes in what is seen while those of the last call are still being told, in place of
    /// [`Self::next`]: what is owed meanwhile is owed to the next ones.
    pub fn look(&mut self, now: Duration, seen: Seen) {
        self.now = now;
        self.history.push_back((now, seen));
        self.work.look(now, seen);
        let keep = self.delay() + RATE_WINDOW;
        let old = now.saturating_sub(keep);
        while self.history.get(1).is_some_and(|(at, _)| *at <= old) {
            self.history.pop_front();
        }
        match seen.latency {
            Some(latency) => {
                self.full = latency > self.idle.with(now, latency) + TOLERATED;
                self.finished = now;
                self.worse = latency > self.smooth;
                self.smooth = (self.smooth * 3 + latency) / 4;
            }
            // Nobody comes any more, so nobody waits.
            None if now >= self.finished + RATE_WINDOW => self.full = false,
            None => {}
        }
    }

    fn adapt(&mut self, step: Duration) {
        let coming = self.coming_back();
        if self.full {
            // Of a full host only: else it is the rate that was asked of it.
            if self.finished != self.now {
                return;
            }
            if self.is_full_of_others() {
                return;
            }
            // The window may still reach into the time before it was full.
            let spell = self.now.saturating_sub(self.filled) < RATE_WINDOW;
            let before = self.capacity.filter(|_| spell).unwrap_or(1.0);
            let capacity = self.returns().max(before);
            self.filled = self.now;
            self.capacity = Some(capacity);
            self.is_sure = self.work.is_busy() || (spell && self.is_sure);
            let least = LEAST_OF_FULL * self.settings.cores.max(1) as f64;
            self.rate = (CRUISE_GAIN * capacity / coming).max(least);
            self.stage = Stage::Cruise;
            return;
        }
        if self.stage == Stage::Cruise {
            let quiet = self.now.saturating_sub(self.filled) / 2;
            self.rate *= 1.0 + GROWTH * (1.0 + quiet.as_secs_f64()) * step.as_secs_f64();
            return;
        }
        // It finishes as many at a time as it has cores, each within the latency of an idle host,
        // which also has the network in it: it can do that at least.
        let cores = self.settings.cores.max(1) as f64;
        let known = self.settings.known.map_or(0.0, |known| KNOWN_GAIN * known);
        let least = self
            .idle
            .lowest()
            .map_or(0.0, |idle| cores / idle.as_secs_f64().max(1e-4));
        let seen = STARTUP_GAIN * self.returns() / coming;
        let room = self.work.capacity().map(|all| ROOM_GAIN * all / coming);
        let before = self.rate;
        let most = room.unwrap_or(0.0).max(seen).max(least).max(known);
        self.rate = self.rate.max(most);
        if let Some(room) = room
            && self.work.is_much()
        {
            // Before it is full.
            self.capacity = self.work.capacity();
            self.is_sure = true;
            self.rate = room;
            self.filled = self.now;
            self.stage = Stage::Cruise;
        }
        self.credit += self.ahead(self.rate - before);
        if let Some(known) = self.settings.known {
            self.rate = self.rate.min(CRUISE_GAIN * known / coming);
        }
    }

    fn spend(&mut self, step: Duration) -> u64 {
        if self.rate.is_infinite() {
            return u64::MAX;
        }
        self.credit += self.rate * step.as_secs_f64();
        let whole = self.credit.floor();
        self.credit -= whole;
        whole as u64
    }

    /// How many are told at once because the rate has grown by so much. Where it is not known how
    /// busy the host is, each step is a step into the dark, and large enough; where it is known
    /// what it takes back, there are no steps.
    fn ahead(&self, growth: f64) -> f64 {
        if !self.work.is_known() || self.settings.known.is_some() {
            return 0.0;
        }
        let time = self.canary_took.mul_f64(AHEAD).min(AHEAD_MAX);
        growth.max(0.0) * time.as_secs_f64()
    }

    /// Those who are at the door when they are let in, and are through at once, are not what the
    /// host is full of: how many they are says nothing about what it can do.
    fn is_full_of_others(&self) -> bool {
        let Some((_, seen)) = self.history.back() else {
            return false;
        };
        let under_way = seen.told.saturating_sub(seen.back) as f64;
        self.delay().is_zero() && under_way < self.rate * RATE_WINDOW.as_secs_f64()
    }

    /// Returns a second.
    fn returns(&self) -> f64 {
        let Some(&(now, last)) = self.history.back() else {
            return 0.0;
        };
        let since = now.saturating_sub(RATE_WINDOW);
        let before = self.history.iter().rev().find(|(at, _)| *at <= since);
        let (at, before) = *before.or(self.history.front()).unwrap_or(&(now, last));
        let seconds = (now - at).as_secs_f64().max(RATE_WINDOW.as_secs_f64());
        last.back.saturating_sub(before.back) as f64 / seconds
    }

    /// From telling to return, in the middle.
    fn delay(&self) -> Duration {
        (*self.settings.retry.start() + *self.settings.retry.end()) / 2
    }

    /// What part of the clients comes back at all: those who are back, of those who were told one
    /// delay ago. At least a quarter, as of the canary.
    fn coming_back(&self) -> f64 {
        let (Some((at, before)), Some((now, last))) = (self.history.front(), self.history.back())
        else {
            return 1.0;
        };
        if *now - *at < self.delay() || before.told < CANARY.1 {
            return 1.0;
        }
        (last.back as f64 / before.told as f64).clamp(0.25, 1.0)
    }
}
