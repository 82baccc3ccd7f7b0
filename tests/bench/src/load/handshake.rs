//! Whole connections, one after the other on each of some threads: TCP, TLS, upgrade, Close both
//! ways, end of stream.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustls::{ClientConfig, HandshakeKind};

use super::connect::{Socket, Target};
use super::latency::Latencies;
use super::{Outcome, Round, Until};
use crate::websocket::{CLOSE, NORMAL, masked, unmasked};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many connections are under way at a time
    #[arg(long)]
    threads: usize,
    /// Resume the TLS session by a ticket of the connection before
    #[arg(long)]
    resume: bool,
}

pub(crate) struct Handshakes {
    address: SocketAddr,
    /// One per thread: tickets are for one use, so threads do not share a store.
    tls: Vec<Option<Arc<ClientConfig>>>,
}

/// What one thread did in a round.
#[derive(Default)]
struct Share {
    outcome: Outcome,
    latencies: Latencies,
    first_failure: Option<anyhow::Error>,
}

impl Handshakes {
    pub(crate) fn prepare(target: &Target, options: &Options) -> Result<Self> {
        let tls = (0..options.threads)
            .map(|_| target.tls(options.resume))
            .collect::<Result<_>>()?;
        Ok(Self {
            address: target.address,
            tls,
        })
    }

    pub(crate) fn round(&mut self, round: Round) -> Result<Outcome> {
        let start = Instant::now();
        let begun = AtomicU64::new(0);
        let may_begin = || match round.until {
            Until::Seconds(seconds) => start.elapsed() < Duration::from_secs_f64(seconds),
            Until::Units(units) => begun.fetch_add(1, Ordering::Relaxed) < units,
            Until::Told => false,
        };
        let shares = std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .tls
                .iter()
                .map(|tls| scope.spawn(|| repeat(self.address, tls.as_ref(), &may_begin)))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join())
                .collect::<Vec<_>>()
        });

        let mut sum = Outcome {
            seconds: start.elapsed().as_secs_f64(),
            ..Outcome::default()
        };
        let mut latencies = Latencies::default();
        for share in shares {
            let Ok(mut share) = share else {
                bail!("a thread of the load generator panicked")
            };
            if let Some(failure) = share.first_failure {
                eprintln!("{}: {failure:#}", self.address);
            }
            sum.units += share.outcome.units;
            sum.resumed += share.outcome.resumed;
            sum.failed += share.outcome.failed;
            latencies.append(&mut share.latencies);
        }
        ensure!(sum.units > 0, "no connection to {} succeeded", self.address);
        sum.p50_us = latencies.quantile_us(0.5);
        sum.p99_us = latencies.quantile_us(0.99);
        Ok(sum)
    }
}

fn repeat(
    address: SocketAddr,
    tls: Option<&Arc<ClientConfig>>,
    may_begin: &dyn Fn() -> bool,
) -> Share {
    let mut share = Share::default();
    while may_begin() {
        let begin = Instant::now();
        match once(address, tls) {
            Ok(kind) => {
                share.outcome.units += 1;
                share.outcome.resumed += u64::from(kind == Some(HandshakeKind::Resumed));
                share.latencies.record(begin.elapsed());
            }
            Err(failure) => {
                share.outcome.failed += 1;
                share.first_failure.get_or_insert(failure);
            }
        }
    }
    share
}

/// One connection. The server ends TCP first, as RFC 6455 §7.1.1 wants it.
fn once(address: SocketAddr, tls: Option<&Arc<ClientConfig>>) -> Result<Option<HandshakeKind>> {
    let mut socket = Socket::open(address, tls)?;
    socket
        .write_all(&masked(CLOSE, &NORMAL))
        .context("cannot send Close")?;
    let mut reply = Vec::new();
    let mut buffer = [0; 256];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => break,
            Ok(received) => reply.extend_from_slice(&buffer[..received]),
            // FIN without close_notify: Sōzu ends so.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error).context("cannot read the Close reply"),
        }
    }
    ensure!(
        reply == unmasked(CLOSE, &NORMAL),
        "the Close was answered with {reply:02x?}"
    );
    socket.say_goodbye();
    Ok(socket.tls.and_then(|tls| tls.handshake_kind()))
}
