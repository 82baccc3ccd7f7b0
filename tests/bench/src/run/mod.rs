//! The conductor: starts everybody, asks for rounds in turn, and prints what came of it.
//!
//! A virtual machine's speed drifts up to twofold within minutes. So no peer is measured for long:
//! each gets one short round of one measure, then the next peer gets its own, and all of that some
//! times over. Comparisons are made within a round.

mod entrant;
mod idle;
mod loader;
mod measure;
mod report;
mod table;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use rustix::thread::{CpuSet, sched_setaffinity};
use signal_hook::consts::{SIGINT, SIGTERM};
use tempfile::TempDir;

use crate::certificate::Certificate;
use crate::load::{Round, Until};
use crate::peer::{Peer, Programs};
use crate::process::{Launch, Process};
use entrant::Entrant;
use idle::Idle;
use measure::{Measure, Row, Sample};

pub(crate) use loader::Loader;
pub(crate) use table::Table;

/// The proxies' core.
pub(crate) const PROXY_CORE: usize = 0;
/// The core of the load generator, the application behind the proxies, and the conductor.
pub(crate) const LOAD_CORE: usize = 1;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Who takes part, by name, with commas between
    #[arg(long, value_enum, value_delimiter = ',',
        default_values = ["batond", "batond-2", "haproxy", "nginx", "nginx-32k", "sozu"])]
    peers: Vec<Peer>,
    #[command(flatten)]
    programs: Programs,
    /// How many times every measure is taken
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How long one measure of one peer lasts
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// What is measured, by name, with commas between
    #[arg(long, value_enum, value_delimiter = ',',
        default_values = ["small", "deep", "large", "full", "resumed"])]
    measures: Vec<Measure>,
    /// Idle clients for the memory measure; 0 leaves it out
    #[arg(long, default_value_t = 9_500, value_parser = clap::value_parser!(u32).range(..=9_700))]
    idle: u32,
    /// Also write everything that was measured to this file
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Everything that came of a run.
#[derive(Default)]
struct Results {
    entrants: Vec<(Peer, String)>,
    /// By measure, then by peer.
    samples: Vec<(Measure, Vec<Row>)>,
    idle: Vec<(Peer, Idle)>,
    /// Who could not take part, or not to the end, and why.
    missing: Vec<(Peer, String)>,
}

/// The stage that all peers share.
pub(crate) struct Stage {
    pub(crate) certificate: Certificate,
    application: Process,
    /// Addresses of the application, one for each instance of a peer.
    pub(crate) backends: Vec<SocketAddr>,
    /// Dropped last, when nobody writes into it any more.
    pub(crate) folder: TempDir,
}

/// `batond-bench run`.
pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(options.seconds > 0.0, "--seconds must be more than 0");
    let cores = std::thread::available_parallelism()?.get();
    ensure!(
        cores > LOAD_CORE,
        "two cores are needed, one for the proxy and one for the load"
    );

    let mut results = Results::default();
    let mut stage = Stage::set(2 * (options.peers.len() + 1))?;
    let mut entrants = invite(options, &mut stage, &mut results)?;
    ensure!(
        entrants.iter().any(|entrant| entrant.peer != Peer::None),
        "none of the peers can take part: {:?}",
        results.missing
    );
    relay_and_handshakes(options, &stage, &mut entrants, &mut results)?;
    if options.idle > 0 {
        idle_clients(options, &mut stage, &mut entrants, &mut results)?;
    }
    drop(entrants);
    report::print(options, &results);
    if let Some(path) = &options.json {
        report::write_json(path, options, &results)?;
    }
    Ok(())
}

impl Stage {
    /// Makes the certificate and starts the application, with so many addresses.
    pub(crate) fn set(instances: usize) -> Result<Self> {
        pin_self(LOAD_CORE)?;
        let folder = TempDir::with_prefix("batond-bench-").context("cannot make a folder")?;
        clean_up_on_signal(folder.path())?;
        let certificate = Certificate::create(folder.path())?;
        let backends = free_addresses(instances)?;
        let mut arguments = vec!["echo".into()];
        for backend in &backends {
            arguments.extend(["--port".into(), backend.port().to_string().into()]);
        }
        let launch = Launch {
            program: std::env::current_exe()?,
            arguments,
        };
        let mut application =
            Process::start("application", &[LOAD_CORE], &launch, folder.path(), false)?;
        application.wait_until_listening(backends[instances - 1])?;
        Ok(Self {
            folder,
            certificate,
            application,
            backends,
        })
    }
}

/// Starts every peer that can be started; the others are in `results.missing`.
fn invite(options: &Options, stage: &mut Stage, results: &mut Results) -> Result<Vec<Entrant>> {
    let mut entrants = Vec::new();
    let mut seen = BTreeSet::new();
    for peer in [Peer::None]
        .into_iter()
        .chain(options.peers.iter().copied())
    {
        if !seen.insert(peer.name()) {
            continue;
        }
        let started = peer
            .program(&options.programs)
            .map_err(|reason| anyhow::anyhow!(reason))
            .and_then(|program| Entrant::start(peer, program, stage));
        match started {
            Ok(entrant) => {
                results.entrants.push((peer, entrant.version.clone()));
                entrants.push(entrant);
            }
            Err(reason) => results.exclude(peer, &reason),
        }
    }
    Ok(entrants)
}

/// Measures (a) and (b): rounds over measures over peers.
fn relay_and_handshakes(
    options: &Options,
    stage: &Stage,
    entrants: &mut Vec<Entrant>,
    results: &mut Results,
) -> Result<()> {
    for &measure in &options.measures {
        results.samples.push((measure, Vec::new()));
    }
    // The first time is for warming up, and does not count.
    for number in 0..=options.rounds {
        let seconds = if number == 0 {
            options.seconds.min(0.3)
        } else {
            options.seconds
        };
        eprintln!(
            "{}",
            if number == 0 {
                "warming up".into()
            } else {
                format!("round {number}")
            }
        );
        for (measure, rows) in &mut results.samples {
            let mut failures = Vec::new();
            for entrant in entrants
                .iter_mut()
                .filter(|entrant| measure.takes(entrant.peer))
            {
                let round = Round {
                    until: Until::Seconds(seconds),
                    ..measure.round()
                };
                let sample = entrant.sample(*measure, round, stage);
                if number == 0 && sample.is_ok() {
                    rows.push((entrant.peer, Vec::new()));
                    continue;
                }
                match sample.and_then(|sample| sample.check(*measure).map(|()| sample)) {
                    Ok(sample) => {
                        let row = rows.iter_mut().find(|(peer, _)| *peer == entrant.peer);
                        row.context("a row is missing")?.1.push(sample);
                    }
                    Err(reason) => failures.push((entrant.peer, reason)),
                }
            }
            for (peer, reason) in failures {
                entrants.retain(|entrant| entrant.peer != peer);
                let reason = reason.context(format!("at {}", measure.label()));
                eprintln!("{} is out: {reason:#}", peer.name());
                results.missing.push((peer, format!("{reason:#}")));
            }
        }
    }
    // Who did not last has no full row to compare.
    for (_, rows) in &mut results.samples {
        rows.retain(|(peer, _)| entrants.iter().any(|entrant| entrant.peer == *peer));
    }
    if entrants.is_empty() {
        bail!("nobody was left");
    }
    Ok(())
}

/// Measures (c) and (d), peer by peer: two full houses do not fit beside each other.
fn idle_clients(
    options: &Options,
    stage: &mut Stage,
    entrants: &mut [Entrant],
    results: &mut Results,
) -> Result<()> {
    for entrant in entrants
        .iter_mut()
        .filter(|entrant| entrant.peer != Peer::BatondTwo)
    {
        eprintln!("{} idle clients of {}", options.idle, entrant.peer.name());
        match idle::measure(entrant, stage, options) {
            Ok(idle) => results.idle.push((entrant.peer, idle)),
            Err(reason) => {
                results.exclude(entrant.peer, &reason.context("at the idle clients"));
            }
        }
    }
    Ok(())
}

impl Results {
    fn exclude(&mut self, peer: Peer, reason: &anyhow::Error) {
        eprintln!("{} is out: {reason:#}", peer.name());
        self.missing.push((peer, format!("{reason:#}")));
    }
}

fn pin_self(core: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).with_context(|| format!("cannot pin to core {core}"))
}

/// Ports on 127.0.0.1 that nobody uses, from below the range that outgoing connections get theirs
/// from, so that none of these can take one before the peer has bound it.
pub(crate) fn free_addresses(count: usize) -> Result<Vec<SocketAddr>> {
    let start = 20_000 + (std::process::id() % 10_000) as u16;
    let free = (start..32_000)
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .filter(|address| TcpListener::bind(address).is_ok());
    let addresses: Vec<_> = free.take(count).collect();
    ensure!(
        addresses.len() == count,
        "no {count} ports are free from {start} to 32000"
    );
    Ok(addresses)
}

/// Processes end with this one (see `place`), but destructors do not run at a signal.
fn clean_up_on_signal(folder: &Path) -> Result<()> {
    let folder = folder.to_owned();
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
    std::thread::spawn(move || {
        let signal = signals.forever().next().unwrap_or(SIGTERM);
        let _ = std::fs::remove_dir_all(&folder);
        std::process::exit(128 + signal);
    });
    Ok(())
}
