//! What the daemon shows of itself: one value, which the control loop brings up to date and
//! everybody else only reads. Cloning it is cheap.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::jobs::{Ended, JobView};
use super::problem::Problem;
use crate::certificate::finding::{self, Finding};
use crate::certificate::forecast::Change;
use crate::certificate::ledger::joined::Joined;
use crate::certificate::ledger::reason::Reason;
use crate::config::ServiceConfig;
use crate::edge::listener::Origin;
use crate::restart::lifecycle::Phase;

/// All that is to be seen from outside.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Where the process stands.
    pub phase: Phase,
    /// 1 for the configuration of the start; every good reload adds one.
    pub generation: u64,
    /// Clients with a WebSocket, at most half a second ago.
    pub clients: u64,
    /// In the order of the configuration.
    pub services: Vec<ServiceView>,
    /// In the order of the configuration.
    pub listeners: Arc<[Arc<ListenerView>]>,
    /// In the order of the configuration; those that a listener uses.
    pub certificates: Arc<[Arc<CertificateView>]>,
    /// What runs and what ended lately, the oldest first.
    pub jobs: Vec<Arc<JobView>>,
    /// How many jobs of each kind ended, and how.
    pub ended: Arc<Ended>,
    /// What is wrong now, the worst first.
    pub problems: Arc<[Problem]>,
    /// Clients that have yet to leave the predecessor, as it said last; None: there is none.
    pub predecessor_clients: Option<u64>,
}

impl View {
    /// Of a daemon that has only begun.
    pub fn new(phase: Phase) -> Self {
        Self {
            phase,
            generation: 1,
            clients: 0,
            services: Vec::new(),
            listeners: Arc::default(),
            certificates: Arc::default(),
            jobs: Vec::new(),
            ended: Arc::default(),
            problems: Arc::default(),
            predecessor_clients: None,
        }
    }
}

/// A service and how it does.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceView {
    /// As it is configured.
    pub config: Arc<ServiceConfig>,
    /// Its clients with a WebSocket, at most half a second ago.
    pub clients: u64,
}

/// A listener with all its sockets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerView {
    /// Its name in the configuration.
    pub name: String,
    /// Where it really listens, and who made each socket. A socket unit may pass several.
    pub sockets: Vec<(String, Origin)>,
    /// Names of the certificates that it serves, the default first. None: it speaks no TLS.
    pub certificates: Vec<String>,
}

/// A certificate as it is in use, which need not be what the file holds by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateView {
    /// Its name in the configuration.
    pub name: String,
    /// The file that it was read from.
    pub chain: PathBuf,
    /// What the leaf covers: DNS names in lower case, then addresses.
    pub names: Vec<String>,
    /// From when on the leaf is valid.
    pub not_before: Timestamp,
    /// Until when the leaf is valid.
    pub not_after: Timestamp,
    /// Until when all on the way from the leaf to a root is valid: never after `not_after`.
    pub chain_not_after: Timestamp,
    /// SHA-256 of the leaf, in lower-case hexadecimal digits.
    pub fingerprint: String,
    /// Names of the listeners that serve it.
    pub listeners: Vec<String>,
    /// The highest of [`Self::findings`]; none: there are none.
    pub severity: Option<finding::Severity>,
    /// Some client fails now.
    pub breaks_clients: bool,
    /// What is wrong with it, the worst first.
    pub findings: Vec<Finding>,
    /// When it took the place of another one; none: it is served since the start of the process.
    pub swapped: Option<Timestamp>,
    /// Why what is on disk is not served, in one sentence; none: it is, or is being looked at.
    pub refused: Option<String>,
    /// What was seen when it was looked at through its listeners, as clients see it: `good`, `not
    /// possible: ` or `bad: ` and why; empty: it has not been looked at.
    pub probe: String,
}

/// Who is connected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// All that were asked for.
    pub total: u64,
    /// Some of them, up to the limit, those who came first first.
    pub clients: Vec<ClientView>,
}

/// One client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientView {
    /// The service that it uses.
    pub service: String,
    /// The listener that it came through; empty, if that is not in the configuration any more.
    pub listener: String,
    /// Where it comes from; None on a Unix socket.
    pub address: Option<IpAddr>,
    /// When its WebSocket began.
    pub since: Timestamp,
}

/// Something that will become of a certificate in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foretold {
    /// The name of the certificate.
    pub certificate: String,
    /// What, and when.
    pub change: Change,
}

/// What became of TLS handshakes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Failures {
    /// How many failed since the process began, by reason: all reasons, those without any too.
    pub counts: Vec<(Reason, u64)>,
    /// The latest, the newest first.
    pub latest: Vec<Arc<Joined>>,
}
