//! What clients really hit: each failed handshake with its reason, counted, and kept for a moment
//! for whoever joins it with what the checks say about the certificate.
//!
//! A connection is looked at from its first bytes ([`opening`]); the client's [`hello`] says what
//! it asks for and, by its [`family`], who it is; how it ends makes the [`reason`]. Nothing here
//! costs a handshake that succeeds more than a walk over its first message.

pub mod family;
pub mod hello;
pub mod joined;
pub mod network;
pub mod opening;
pub mod outcry;
pub mod reason;

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::rand;
use jiff::Timestamp;

use self::family::Family;
use self::hello::Hello;
use self::network::Network;
use self::reason::Reason;

/// Failures of one kind, clients' or background, that may wait to be looked at, which happens
/// twice a second. What does not fit is counted all the same.
const WAITING: usize = 128;

/// What a certificate is known by: SHA-256 of the leaf.
pub type Fingerprint = [u8; 32];

/// One failed handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When it failed.
    pub at: Timestamp,
    /// The listener's name.
    pub listener: String,
    /// Where the client comes from.
    pub network: Network,
    /// Who it is.
    pub family: Family,
    /// The name that it asked for.
    pub name: Option<Box<str>>,
    /// Why it failed.
    pub reason: Reason,
    /// The alert that the client sent, as on the wire.
    pub alert: Option<u8>,
    /// The version that was agreed on, or else the highest that the client offers, as on the wire.
    pub version: Option<u16>,
    /// The certificate that the client was shown.
    pub served: Option<Fingerprint>,
    /// What TLS had to say about it; empty, if nothing.
    pub error: String,
}

/// Counts failed handshakes, and hands the latest on. Shared by all workers; only a handshake
/// that fails takes the lock.
#[derive(Debug)]
pub struct Ledger {
    counts: [AtomicU64; Reason::ALL.len()],
    waiting: Mutex<Waiting>,
    probe: String,
}

/// A client asked for a name that no certificate of the listener has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The listener's name.
    pub listener: String,
    /// The name that it asked for.
    pub name: Box<str>,
    /// Where it comes from.
    pub network: Network,
}

/// Background noise must not crowd out clients.
#[derive(Debug, Default)]
struct Waiting {
    clients: Vec<Failure>,
    background: Vec<Failure>,
    asked: Vec<Asked>,
}

impl Default for Ledger {
    fn default() -> Self {
        let mut secret = [0; 16];
        // Without randomness there is no TLS either. At worst a client could pass for a probe.
        let _ = rand::fill(&mut secret);
        let mut probe = "batond-probe/".to_owned();
        for byte in secret {
            let _ = write!(probe, "{byte:02x}");
        }
        Self {
            counts: [const { AtomicU64::new(0) }; Reason::ALL.len()],
            waiting: Mutex::default(),
            probe,
        }
    }
}

impl Ledger {
    /// What this process's own probes offer as a protocol besides what clients offer, and nobody
    /// else knows.
    pub fn probe(&self) -> &str {
        &self.probe
    }

    /// Reads a client's first message; see [`Hello::read`].
    pub fn read(&self, bytes: &[u8]) -> Option<Hello> {
        Hello::read(bytes, self.probe.as_bytes())
    }

    /// A handshake has failed.
    pub fn note(&self, failure: Failure) {
        self.counts[failure.reason as usize].fetch_add(1, Relaxed);
        let mut waiting = self.waiting();
        let kind = if failure.reason.is_background() {
            &mut waiting.background
        } else {
            &mut waiting.clients
        };
        if kind.len() < WAITING {
            kind.push(failure);
        }
    }

    /// Somebody asked for a name that is not covered, whatever became of it.
    pub fn note_asked(&self, asked: Asked) {
        let mut waiting = self.waiting();
        if waiting.asked.len() < WAITING {
            waiting.asked.push(asked);
        }
    }

    /// What has happened since the last time, in order of time, at most a few hundred of each.
    pub fn take(&self) -> (Vec<Failure>, Vec<Asked>) {
        let Waiting {
            mut clients,
            background,
            asked,
        } = std::mem::take(&mut *self.waiting());
        clients.extend(background);
        clients.sort_by_key(|one| one.at);
        (clients, asked)
    }

    /// How many handshakes have failed, by reason, since the process began.
    pub fn counts(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        let reasons = Reason::ALL.iter();
        reasons.map(|reason| (*reason, self.counts[*reason as usize].load(Relaxed)))
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
