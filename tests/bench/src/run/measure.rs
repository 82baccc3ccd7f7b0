//! What is measured of every peer in turn, and one sample of it.

use anyhow::{Result, bail};
use clap::ValueEnum;
use serde::Serialize;

use crate::load::{Outcome, Round, Until};
use crate::peer::Peer;

/// Connections that are under way at a time in the handshake measures.
const THREADS: usize = 8;

#[derive(ValueEnum, Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Measure {
    /// 64 bytes, one message under way, 100 clients
    Small,
    /// 64 bytes, 16 messages under way, 100 clients
    Deep,
    /// 16 KiB, one message under way, 50 clients
    Large,
    /// TCP, full TLS handshake, upgrade, Close
    Full,
    /// The same with a resumed TLS session
    Resumed,
}

impl Measure {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Small => "64 B",
            Self::Deep => "64 B ×16",
            Self::Large => "16 KiB",
            Self::Full => "handshake",
            Self::Resumed => "resumed",
        }
    }

    /// Whether it says anything about the peer.
    pub(crate) fn takes(self, peer: Peer) -> bool {
        match peer {
            Peer::None => self != Self::Resumed,
            Peer::NginxLarge => self == Self::Large,
            Peer::BatondTwo => matches!(self, Self::Small | Self::Full),
            _ => true,
        }
    }

    /// Arguments of the load generator.
    pub(crate) fn work(self) -> Vec<String> {
        let relay = |depth: usize, size: usize| {
            let clients = self.clients();
            format!("relay --clients {clients} --depth {depth} --size {size}")
        };
        let words = match self {
            Self::Small => relay(1, 64),
            Self::Deep => relay(16, 64),
            Self::Large => relay(1, 16_384),
            Self::Full => format!("handshake --threads {THREADS}"),
            Self::Resumed => format!("handshake --threads {THREADS} --resume"),
        };
        words.split(' ').map(str::to_owned).collect()
    }

    fn clients(self) -> usize {
        match self {
            Self::Small | Self::Deep => 100,
            Self::Large => 50,
            Self::Full | Self::Resumed => THREADS,
        }
    }

    /// All clients active, for a length to be filled in.
    pub(crate) fn round(self) -> Round {
        Round {
            until: Until::Seconds(0.0),
            active: self.clients(),
            rotate: false,
        }
    }
}

/// One round of one measure of one peer.
#[derive(Serialize, Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) outcome: Outcome,
    /// CPU time of the proxy in the round, ns.
    pub(crate) proxy_ns: u64,
    /// CPU time of the application in the round, ns.
    pub(crate) application_ns: u64,
}

impl Sample {
    /// Fails if it is not of what it should be of.
    pub(crate) fn check(&self, measure: Measure) -> Result<()> {
        let Outcome { units, resumed, .. } = self.outcome;
        match measure {
            // A server that keeps sessions in a small store (Sōzu) has forgotten those of the round
            // before, so the first connection of each thread is full. One in a hundred more may
            // come before its ticket has.
            Measure::Resumed if resumed + THREADS as u64 + units / 100 < units => {
                bail!("only {resumed} of {units} sessions were resumed")
            }
            Measure::Full if resumed > 0 => bail!("{resumed} of {units} sessions were resumed"),
            _ => Ok(()),
        }
    }

    /// CPU time of the proxy, µs per unit.
    pub(crate) fn cost(&self) -> f64 {
        self.proxy_ns as f64 / 1000.0 / self.outcome.units as f64
    }

    pub(crate) fn rate(&self) -> f64 {
        self.outcome.units as f64 / self.outcome.seconds
    }

    /// The share of one core, in percent, that this much CPU time was.
    pub(crate) fn share(&self, cpu_ns: u64) -> f64 {
        cpu_ns as f64 / 1e7 / self.outcome.seconds
    }
}

/// What one peer did in one measure: a sample per round.
pub(crate) type Row = (Peer, Vec<Sample>);

/// The middle one, or the mean of the two in the middle; NaN of nothing.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[odd / 2],
        even => f64::midpoint(values[even / 2 - 1], values[even / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
    }
}
