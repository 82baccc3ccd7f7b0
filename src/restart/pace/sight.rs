//! What the controller is given to know.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::Spread;

/// What is known before the first client is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `restart.spread`.
    pub spread: Spread,
    /// When clients are told to return, or most do of their own: `restart.retry`.
    pub retry: RangeInclusive<Duration>,
    /// Processor cores that take clients back.
    pub cores: usize,
    /// Clients a second that this host took back at an earlier restart, if there was one.
    pub known: Option<f64>,
}

/// What can be seen of the clients. Numbers only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seen {
    /// Clients that were told (or let in) so far.
    pub told: u64,
    /// Clients that came back (or whose upgrade was answered) so far.
    pub back: u64,
    /// From accept to the answer of the upgrade, without the time held: the lower quartile of what
    /// finished since the last look or, if those are few, of the latest within [`RATE_WINDOW`](super::RATE_WINDOW): it
    /// has the clients' own round trips in it, so it is only of many. None: too few finished, or
    /// nobody since the last look.
    pub latency: Option<Duration>,
    /// What part of its time the busiest of all that a returning client passes through was at work
    /// since the last look: 0 to 1. None: not known, as of a backend on another host.
    pub busy: Option<f64>,
}
