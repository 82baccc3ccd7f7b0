//! The load generator. A process of its own for every peer and measure, so that its CPU time is
//! known and its connections stay up from round to round. It connects, says `ready`, then takes
//! one command per line from standard input and answers each with one outcome:
//! `{"until":{"Seconds":1.0},"active":100,"rotate":false}`.

mod connect;
mod farewell;
mod handshake;
mod latency;
mod record;
mod relay;

use std::io::{BufRead, Write, stdin, stdout};
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use connect::Target;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where the proxy listens
    #[arg(long)]
    target: SocketAddr,
    /// The authority to trust (PEM); without it the connection is plain ws://
    #[arg(long)]
    authority: Option<PathBuf>,
    #[command(subcommand)]
    work: Work,
}

#[derive(clap::Subcommand)]
enum Work {
    /// Keep connections and send messages, each client waiting for its echoes
    Relay(relay::Options),
    /// Connect, upgrade, close, and again
    Handshake(handshake::Options),
}

/// One round of work.
#[derive(Serialize, Deserialize, Clone, Copy)]
pub(crate) struct Round {
    pub(crate) until: Until,
    /// How many clients have messages under way; the others stay idle.
    pub(crate) active: usize,
    /// Each echo sends the next message from the next client in turn, so that all take part.
    pub(crate) rotate: bool,
}

/// When to stop beginning anything new.
#[derive(Serialize, Deserialize, Clone, Copy)]
pub(crate) enum Until {
    Seconds(f64),
    Units(u64),
    /// Sends nothing, and waits until every client has been sent a Close frame.
    Told,
}

/// What came of a round. A unit is a round trip, or a whole connection from SYN to FIN.
#[derive(Serialize, Deserialize, Clone, Default, Debug)]
pub(crate) struct Outcome {
    pub(crate) units: u64,
    /// From the first unit's beginning to the last one's end.
    pub(crate) seconds: f64,
    /// CPU time of the load generator itself, ns.
    pub(crate) cpu_ns: u64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    /// Units that broke (not counted in `units`).
    pub(crate) failed: u64,
    /// Of `units`, how many resumed a TLS session.
    pub(crate) resumed: u64,
}

/// Serves commands until standard input ends.
pub(crate) fn serve(options: &Options) -> Result<()> {
    let target = Target {
        address: options.target,
        authority: options.authority.clone(),
    };
    let mut work: Box<dyn FnMut(Round) -> Result<Outcome>> = match &options.work {
        Work::Relay(options) => {
            let mut relay = relay::Relay::connect(&target, options)?;
            Box::new(move |round| relay.round(round))
        }
        Work::Handshake(options) => {
            let mut handshakes = handshake::Handshakes::prepare(&target, options)?;
            Box::new(move |round| handshakes.round(round))
        }
    };
    say("ready")?;
    for line in stdin().lock().lines() {
        let round = serde_json::from_str(&line?).context("cannot understand the command")?;
        let before = cpu_ns();
        let mut outcome = work(round)?;
        outcome.cpu_ns = cpu_ns() - before;
        say(&serde_json::to_string(&outcome)?)?;
    }
    Ok(())
}

fn say(line: &str) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .context("cannot answer the conductor")
}

/// CPU time of this process, with the threads that have ended.
fn cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
