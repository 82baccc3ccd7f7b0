//! Thousands of clients that say nothing: what they cost in memory, and whether they make those
//! that do say something more expensive.

use anyhow::Result;
use serde::Serialize;

use super::entrant::{Entrant, Instance};
use super::{Measure, Options, Sample, Stage};
use crate::load::{Round, Until};
use crate::peer::Peer;

/// Clients with messages under way in the measure of flatness.
const ACTIVE: usize = 100;

#[derive(Serialize)]
pub(crate) struct Idle {
    pub(crate) clients: usize,
    /// Memory of a fresh process that has served ten clients, bytes.
    pub(crate) before: u64,
    /// With all clients connected, none of which has sent a message.
    pub(crate) connected: u64,
    /// The same after every client has exchanged messages.
    pub(crate) used: u64,
    /// After all clients have left.
    pub(crate) after: u64,
    pub(crate) flatness: Vec<Flatness>,
    /// From the order to stop until each of them has a Close frame, which nobody has answered by
    /// then. None: the peer tells its clients nothing.
    pub(crate) broadcast: Option<Sample>,
}

/// How long memory must stay the same before it is read.
const STILL: u32 = 1;
/// The same after the clients have left: allocators that give memory back take their time.
const STILL_AFTERWARDS: u32 = 4;

/// One round of 64-byte messages with 100 active clients, three ways, right after each other.
#[derive(Serialize)]
pub(crate) struct Flatness {
    /// No other clients are connected.
    pub(crate) few: Sample,
    /// All clients are connected, always the same ones are active.
    pub(crate) many: Sample,
    /// All clients are connected and take turns.
    pub(crate) in_turn: Sample,
}

impl Idle {
    /// Bytes per client of a total.
    pub(crate) fn per_client(&self, total: u64) -> f64 {
        total.saturating_sub(self.before) as f64 / self.clients as f64
    }

    /// Of what the clients took at most, the share in percent that was given back.
    pub(crate) fn given_back(&self) -> f64 {
        let most = self.used.max(self.connected);
        100.0 * most.saturating_sub(self.after) as f64 / most.saturating_sub(self.before) as f64
    }
}

/// A second, fresh instance gets the many clients; the first one keeps its hundred.
pub(crate) fn measure(entrant: &mut Entrant, stage: &mut Stage, options: &Options) -> Result<Idle> {
    let clients = options.idle as usize;
    let mut house = entrant.again(stage)?;
    warm_up(&mut house, stage)?;
    let before = house.process.settled_memory(STILL)?;

    let work = ["relay", "--clients", &clients.to_string()].map(str::to_owned);
    let mut loader = house.loader("idle", &work, stage)?;
    let connected = house.process.settled_memory(STILL)?;

    let seconds = options.seconds / 2.0;
    let active = ACTIVE.min(clients);
    let mut round = Round {
        until: Until::Seconds(seconds),
        active,
        rotate: false,
    };
    let mut flatness = Vec::new();
    for _ in 0..options.rounds {
        round.rotate = false;
        let few = entrant.sample(Measure::Small, round, stage)?;
        let many = house.sample(&mut loader, round, stage)?;
        round.rotate = true;
        let in_turn = house.sample(&mut loader, round, stage)?;
        flatness.push(Flatness { few, many, in_turn });
    }

    // However slow the machine: nobody stays silent.
    loader.round(Round {
        until: Until::Units(clients as u64),
        active,
        rotate: true,
    })?;
    let used = house.process.settled_memory(STILL)?;
    drop(loader);
    let after = house.process.settled_memory(STILL_AFTERWARDS)?;
    let broadcast = match entrant.peer {
        Peer::Batond => Some(broadcast(&mut house, &work, stage)?),
        _ => None,
    };
    Ok(Idle {
        clients,
        before,
        connected,
        used,
        after,
        flatness,
        broadcast,
    })
}

/// All clients come once more, and the process is told to stop.
fn broadcast(house: &mut Instance, work: &[String], stage: &Stage) -> Result<Sample> {
    let mut loader = house.loader("broadcast", work, stage)?;
    let round = Round {
        until: Until::Told,
        active: 0,
        rotate: false,
    };
    house.sample_after(&mut loader, round, stage, |process| process.ask_to_end())
}

/// What a process sets up at its first clients is not theirs.
fn warm_up(house: &mut Instance, stage: &Stage) -> Result<()> {
    let work = ["relay", "--clients", "10"].map(str::to_owned);
    let mut loader = house.loader("first", &work, stage)?;
    loader.round(Round {
        until: Until::Units(100),
        active: 10,
        rotate: false,
    })?;
    Ok(())
}
