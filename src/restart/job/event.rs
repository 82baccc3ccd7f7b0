//! What the machine is told, and what it asks for.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::{BackendAddress, Spread};
use crate::restart::interlock::Refusal;
use crate::restart::report::JobReport;

/// What kind of job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Drain, restart the units, bring everybody back.
    Restart,
    /// Drain; somebody else restarts, and then says [`Event::Resume`].
    Drain,
}

impl Kind {
    /// As reports and lists have it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Drain => "drain",
        }
    }
}

/// A part of a service that is drained and restarted at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The unit to restart; a drain needs none.
    pub unit: Option<String>,
    /// The only backend that is meant; its clients go to the others meanwhile. None: the whole
    /// service, whose newcomers are held.
    pub backend: Option<BackendAddress>,
}

/// What is asked for, with the service's settings and what is known of it.
#[derive(Clone, Debug)]
pub struct Order {
    /// What kind.
    pub kind: Kind,
    /// The service.
    pub service: String,
    /// One after the other. At least one.
    pub targets: Vec<Target>,
    /// Clients of all targets.
    pub clients: u64,
    /// Newcomers a second, on average of the last seconds.
    pub newcomers_per_second: f64,
    /// Overrides what may be overridden.
    pub force: bool,
    /// `restart.spread`.
    pub spread: Spread,
    /// `restart.retry`; where it is off, what most clients do: 0 to 5 s.
    pub retry: RangeInclusive<Duration>,
    /// `restart.deadline`: of the drain of one target.
    pub deadline: Duration,
    /// `restart.close_timeout`.
    pub close_timeout: Duration,
    /// `restart.hold`.
    pub hold: Duration,
    /// How long a unit may take from the request to a healthy probe.
    pub restart_within: Duration,
    /// Processor cores that take clients back.
    pub cores: usize,
    /// [`Pace::learned`](crate::restart::pace::Pace::learned) of an earlier job of the host.
    pub known_rate: Option<f64>,
}

/// What can be counted now. All but the first four only grow; the machine takes what they were
/// at its first event for zero. They are those of the service, except where it says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    /// Clients of the current target that are still connected.
    pub left: u64,
    /// Of those, who have not been told.
    pub untold: u64,
    /// Newcomers that wait now.
    pub waiting: u64,
    /// From accept to the answer, without the time held: the lower quartile of those that became
    /// WebSockets since the last [`Counts`]; none: nobody did.
    pub latency: Option<Duration>,
    /// [`Seen::busy`](crate::restart::pace::Seen::busy), since the last [`Counts`].
    pub busy: Option<f64>,
    /// TLS handshake done and upgrade asked for; also while held.
    pub arrived: u64,
    /// Upgrades answered with 101.
    pub upgraded: u64,
    /// See [`DrainReport`](crate::restart::report::DrainReport).
    pub told: u64,
    /// See there.
    pub closed_cleanly: u64,
    /// See there.
    pub timed_out: u64,
    /// See there.
    pub gone: u64,
    /// See there.
    pub cut: u64,
    /// See there.
    pub discarded_messages: u64,
    /// Newcomers that had to wait.
    pub held: u64,
    /// Of those, let in.
    pub released: u64,
    /// Of those, answered with 503.
    pub refused: u64,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The interlock's answer, to [`Action::Check`].
    Checked(Vec<Refusal>),
    /// Comes every 50 to 100 ms until [`Action::Finish`]. All deadlines are kept by it.
    Tick(Counts),
    /// How many were told in answer to [`Action::Tell`]; fewer than asked for: nobody is left who
    /// was not told.
    Told(u64),
    /// What systemd made of [`Action::RestartUnit`]; an error as a clause, with the last journal
    /// lines of the unit if there are any.
    UnitJob(Result<(), String>),
    /// The answer to [`Action::Probe`].
    Probed(Result<(), String>),
    /// The unit that was restarted has ended again, and nobody starts it any more: why. It may
    /// come instead of [`Event::Probed`].
    UnitDown(String),
    /// The unit of a drain has been started again.
    Resume,
    /// The current target's backend is gone before it was restarted.
    BackendLost,
    /// Return to normal service.
    Cancel,
    /// The host goes down.
    HostShutdown,
}

/// What the driver does about it, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Gather the facts and ask the interlock; answer with [`Event::Checked`].
    Check,
    /// Newcomers of this target do not reach its backend from now on: `Hold::close`, or
    /// `Backend::set_drained(true)` if it names a backend. Then take the snapshot of its clients
    /// (`Edge::departures`), whom [`Action::Tell`] means.
    CloseHold(Target),
    /// Tell so many more of them; answer with [`Event::Told`]. The Close frames' deadline is so
    /// far from now.
    Tell {
        /// How many. Everybody, if there are fewer.
        count: u64,
        /// `Notice::deadline`, from now.
        within: Duration,
        /// They are the canary, whose return the others wait for: the delays that they are told
        /// are from the first quarter of `restart.retry`.
        soon: bool,
    },
    /// The drain is over; who asked for it may stop the unit. Only in a drain.
    Drained,
    /// Restart it; answer with [`Event::UnitJob`].
    RestartUnit(String),
    /// Shake hands with the current target's backend after a pause; answer with
    /// [`Event::Probed`].
    Probe {
        /// The pause.
        after: Duration,
    },
    /// `Hold::let_in`.
    LetIn(u64),
    /// Newcomers reach it again: `Hold::open`, or `Backend::set_drained(false)`.
    OpenHold(Target),
    /// Raise the problem `backend-not-back` of the service.
    Raise {
        /// The unit.
        unit: String,
        /// What is wrong.
        why: String,
    },
    /// Clear the problem `backend-not-back` of the service, if it is raised.
    Clear {
        /// The unit.
        unit: String,
    },
    /// The job is over; nothing follows.
    Finish(Box<JobReport>),
}
