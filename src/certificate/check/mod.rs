//! All checks of one certificate, without I/O: what was read goes in, findings come out.
//!
//! What does not change with time is found once, when the files are [`examine`]d: the fitness of
//! the leaf and its key, the chain up to a root, the names, a handshake. What time changes, the
//! validity, is asked for any moment: for now it makes the verdict, for later times the forecast.

mod chain;
mod fitness;
mod generation;
mod handshake;
mod names;
mod validity;

use std::sync::Arc;

pub(super) use self::handshake::SignatureOnly;
pub(super) use self::validity::{date, span};

use jiff::{SignedDuration, Timestamp};
use rustls::sign::CertifiedKey;

use super::client::Client::{Gnutls, Go, Java, Openssl, Python};
use super::file::File;
use super::finding::{Fault, Finding, Part, Severity};
use super::load::{self, LoadError};
use super::path::{Path, Paths};
use super::pem::shown;
use super::roots::TrustedRoots;
use super::verdict::{Verdict, turns_clients_away};
use super::x509::{Certificate, Names};
use crate::config::HostPattern;

/// What is judged, and for whom.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The chain file.
    pub chain: &'a File,
    /// The key file.
    pub key: &'a File,
    /// What clients dial; empty: not known, and not judged.
    pub names: &'a [HostPattern],
    /// Whom clients trust.
    pub roots: &'a TrustedRoots,
    /// The unit that renews it.
    pub renew_unit: Option<&'a str>,
}

/// Who is shown a certificate, and by whom it is renewed.
#[derive(Clone, Copy, Debug)]
pub struct Audience<'a> {
    /// What clients dial; empty: not known, and not judged.
    pub names: &'a [HostPattern],
    /// Whom clients trust.
    pub roots: &'a TrustedRoots,
    /// The unit that renews it.
    pub renew_unit: Option<&'a str>,
}

/// A certificate that has been looked at. It can be judged for any time.
#[derive(Debug)]
pub struct Examination {
    /// What does not change with time.
    lasting: Vec<Finding>,
    /// As messages name the file.
    file: String,
    /// None: the pair is unusable.
    chain: Option<Chain>,
    pair: Option<Arc<CertifiedKey>>,
}

/// A usable certificate with what is above it.
#[derive(Debug)]
pub(super) struct Chain {
    /// As messages name the file.
    file: String,
    /// In the order of the file, the leaf first; never empty.
    pub(super) served: Vec<Certificate>,
    /// Those of the trusted roots that the chain could lead to.
    pub(super) roots: Vec<Certificate>,
    /// The ways to a root that have the fewest lasting faults.
    pub(super) paths: Vec<Path>,
    /// What clients dial, for messages; empty: not known.
    pub(super) names: Vec<String>,
    renewal: String,
}

impl Chain {
    pub(super) fn leaf(&self) -> &Certificate {
        &self.served[0]
    }
}

/// Looks at the files.
pub fn examine(subject: Subject<'_>) -> Examination {
    let mut lasting: Vec<Finding> = generation::check(subject.chain, subject.key)
        .into_iter()
        .collect();
    let file = shown(&subject.chain.path);
    match load::pair(subject.chain, subject.key) {
        Ok(pair) => examine_pair(pair, file, lasting, subject.audience()),
        Err(error) => {
            lasting.extend(error.into_findings());
            Examination {
                lasting,
                file,
                chain: None,
                pair: None,
            }
        }
    }
}

/// Looks at a pair that came from this file. `lasting`: what is known of it already.
fn examine_pair(
    pair: Arc<CertifiedKey>,
    file: String,
    mut lasting: Vec<Finding>,
    audience: Audience<'_>,
) -> Examination {
    let served = parsed(&pair, &file, &mut lasting);
    if served.is_empty() {
        return Examination {
            lasting,
            file,
            chain: None,
            pair: Some(pair),
        };
    }
    lasting.extend(audience.roots.finding.as_deref().cloned());
    let roots: Vec<Certificate> = audience
        .roots
        .certificates
        .iter()
        .filter(|root| {
            let is_near =
                |one: &Certificate| one.issuer == root.subject || one.is_same_entity(root);
            served.iter().any(is_near)
        })
        .cloned()
        .collect();
    let paths = Paths::search(&served, &roots);
    let mut chain = Chain {
        file: file.clone(),
        served,
        roots,
        paths: Vec::new(),
        names: audience.names.iter().map(ToString::to_string).collect(),
        renewal: renewal(audience.renew_unit),
    };
    chain.paths = chain::best(&chain, &paths);
    lasting.extend(fitness::check(&chain));
    lasting.extend(chain::check(&chain, &paths, audience.roots));
    lasting.extend(names::check(&chain, audience.names));
    lasting.extend(handshake::check(&chain, &pair));
    Examination {
        lasting,
        file,
        chain: Some(chain),
        pair: Some(pair),
    }
}

impl<'a> Subject<'a> {
    fn audience(&self) -> Audience<'a> {
        Audience {
            names: self.names,
            roots: self.roots,
            renew_unit: self.renew_unit,
        }
    }
}

impl Examination {
    /// The pair, ready to be served; none if it cannot be.
    pub fn pair(&self) -> Option<&Arc<CertifiedKey>> {
        self.pair.as_ref()
    }

    /// The pair.
    ///
    /// # Errors
    /// It cannot be served at all: why.
    pub fn usable(&self) -> Result<&Arc<CertifiedKey>, LoadError> {
        self.pair.as_ref().ok_or_else(|| {
            let prevents = |one: &&Finding| one.breaks_clients() && one.fault.prevents_use();
            LoadError::of(self.lasting.iter().filter(prevents).cloned().collect())
        })
    }

    /// The same pair before another audience; none, if there is no pair. What was found of its
    /// files is left out.
    pub fn before(&self, audience: Audience<'_>) -> Option<Self> {
        let pair = Arc::clone(self.pair.as_ref()?);
        Some(examine_pair(pair, self.file.clone(), Vec::new(), audience))
    }

    /// Whether the two serve the same certificates.
    pub fn serves_same_as(&self, other: &Self) -> bool {
        match (&self.pair, &other.pair) {
            // The key belongs to the first of them.
            (Some(one), Some(other)) => one.cert == other.cert,
            _ => false,
        }
    }

    /// When the leaf ends, or what is above it ends before it, on the way to a root that lasts
    /// longest; none, if the leaf cannot be read.
    pub fn first_end(&self, at: Timestamp) -> Option<Timestamp> {
        Some(validity::end(self.chain.as_ref()?, at).0)
    }

    /// From the beginning of the leaf to its end; none, if it cannot be read.
    pub fn lifetime(&self) -> Option<SignedDuration> {
        let leaf = self.chain.as_ref()?.leaf();
        Some(leaf.not_after.duration_since(leaf.not_before))
    }

    /// The names in the leaf; none if it has none, or cannot be read.
    pub fn leaf_names(&self) -> Option<&Names> {
        self.chain.as_ref()?.leaf().names.as_ref()
    }

    /// What holds at this time, and whether clients who are connected then fail at a later one.
    pub fn verdict(&self, at: Timestamp) -> Verdict {
        let later = self.turning_points(at).into_iter().map(|then| {
            let fails = turns_clients_away(&self.findings(then));
            (then, fails)
        });
        Verdict::new(at, self.findings(at), later)
    }

    /// Everything that is found at this time, in no order.
    pub(super) fn findings(&self, at: Timestamp) -> Vec<Finding> {
        let timely = self
            .chain
            .iter()
            .flat_map(|chain| validity::check(chain, at));
        self.lasting.iter().cloned().chain(timely).collect()
    }

    /// The times after this one at which the findings may change, in order.
    pub(super) fn turning_points(&self, after: Timestamp) -> Vec<Timestamp> {
        let points = self.chain.iter().flat_map(validity::turning_points);
        let mut points: Vec<_> = points.filter(|point| *point > after).collect();
        points.sort_unstable();
        points.dedup();
        points
    }

    pub(super) fn chain(&self) -> Option<&Chain> {
        self.chain.as_ref()
    }
}

/// What is served, as far as it can be read. A leaf that cannot be read leaves nothing.
fn parsed(pair: &CertifiedKey, file: &str, lasting: &mut Vec<Finding>) -> Vec<Certificate> {
    let mut served = Vec::with_capacity(pair.cert.len());
    for (number, der) in pair.cert.iter().enumerate() {
        match Certificate::read(der) {
            Some(certificate) => served.push(certificate),
            None => {
                let finding = Finding::fatal(
                    Fault::ChainUnparsable,
                    Part::Chain,
                    format!("{}", number + 1),
                    format!("certificate {} in {file} cannot be parsed", number + 1),
                    "take it out of the file, or put the right one in its place",
                );
                if number == 0 {
                    lasting.push(finding);
                    return Vec::new();
                }
                // Some clients refuse the whole chain, others never look at it.
                lasting.push(finding.only_for(&[Openssl, Python, Gnutls, Java, Go]));
            }
        }
    }
    served
}

fn renewal(unit: Option<&str>) -> String {
    match unit {
        Some(unit) => format!("`systemctl start {unit}`, and look at its journal"),
        None => "renew the certificate, and look why that did not happen by itself".to_owned(),
    }
}

/// A finding that no client fails of.
fn note(
    severity: Severity,
    fault: Fault,
    about: impl Into<String>,
    what: impl Into<String>,
    remedy: impl Into<String>,
) -> Finding {
    Finding::fatal(fault, Part::Chain, about, what, remedy).harmless(severity)
}
