//! What time does to a chain: it has not begun, it is over, it is nearly over.

use jiff::{SignedDuration, Timestamp};

use super::{Chain, note};
use crate::certificate::client::Client::{Chromium, Firefox, Gnutls, Go, Openssl, Python};
use crate::certificate::finding::{Fault, Finding, Part, Severity};
use crate::certificate::path::Path;
use crate::certificate::x509::Certificate;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Certificates that live up to this are renewed earlier in their life.
const SHORT: SignedDuration = SignedDuration::from_hours(10 * 24);

/// Longer lives count as this one, the longest that a public authority ever gave since 2020: a
/// quarter of ten years is no time to be uneasy.
const LONGEST: SignedDuration = SignedDuration::from_hours(398 * 24);

/// The findings at this time.
pub(super) fn check(chain: &Chain, at: Timestamp) -> Vec<Finding> {
    let mut findings: Vec<Finding> = of_leaf(chain, at).into_iter().collect();
    if let Some(path) = path(chain, at) {
        findings.extend(above(chain, path, at));
    }
    if findings.is_empty() {
        let (end, what_ends) = end(chain, at);
        findings.extend(running_out(chain, end, what_ends, at));
        findings.extend(ends_early(chain, end, what_ends));
    }
    findings
}

/// The times at which they may change.
pub(super) fn turning_points(chain: &Chain) -> Vec<Timestamp> {
    let leaf = chain.leaf();
    let mut points = Vec::new();
    for one in chain.served.iter().chain(&chain.roots) {
        let end = after(one.not_after);
        points.extend([one.not_before, end]);
        let lifetime = lifetime(leaf, one.not_after);
        let left = Threshold::ALL.iter().map(|it| it.left(lifetime));
        points.extend(left.filter_map(|left| end.checked_sub(left).ok()));
    }
    // After the leaf's end nothing that happens to the chain matters.
    points.retain(|point| *point <= after(leaf.not_after));
    points
}

/// The first moment at which something is over whose last second is given.
fn after(last: Timestamp) -> Timestamp {
    last.saturating_add(SignedDuration::from_secs(1))
        .unwrap_or(Timestamp::MAX)
}

fn of_leaf(chain: &Chain, at: Timestamp) -> Option<Finding> {
    let leaf = chain.leaf();
    let told = |fault, what: String, remedy: &str| {
        let what = format!(
            "the certificate {} (issued by {}) in {} {what}",
            leaf.label, leaf.issuer_label, chain.file
        );
        Some(Finding::fatal(
            fault,
            Part::Chain,
            &leaf.label,
            what,
            remedy,
        ))
    };
    if at < leaf.not_before {
        let begins = format!("is not valid before {}", date(leaf.not_before));
        let remedy = "wait for it, or look whether the clock of this host is right";
        told(Fault::NotYetValid, begins, remedy)
    } else if at >= after(leaf.not_after) {
        let ended = format!("ended on {}", date(leaf.not_after));
        told(Fault::Expired, ended, &chain.renewal)
    } else {
        None
    }
}

/// The way that a client takes which looks for a valid one.
fn path(chain: &Chain, at: Timestamp) -> Option<&Path> {
    let (served, roots) = (&chain.served, &chain.roots);
    chain.paths.iter().min_by_key(|path| {
        path.above(served, roots)
            .map(
                |one| match (one.is_valid_at(at), is_root(chain, path, one)) {
                    (true, _) => 0,
                    // Some clients do not mind.
                    (false, true) => 1,
                    (false, false) => 100,
                },
            )
            .sum::<usize>()
    })
}

fn is_root(chain: &Chain, path: &Path, one: &Certificate) -> bool {
    chain.roots[path.root].der == one.der
}

/// What is above the leaf and has not begun, or is over.
fn above(chain: &Chain, path: &Path, at: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    for one in path.above(&chain.served, &chain.roots) {
        let told = |fault, what: String, remedy: &str| {
            Finding::fatal(fault, Part::Chain, &one.label, what, remedy)
        };
        if one.is_valid_at(at) {
            continue;
        }
        if is_root(chain, path, one) {
            let what = format!(
                "the root {} of {} {}",
                one.label,
                chain.leaf().label,
                begun_or_over(one, at)
            );
            let remedy = "have the certificate issued by an authority with another root";
            findings.push(
                told(Fault::RootExpired, what, remedy)
                    .only_for(&[Openssl, Python, Chromium, Firefox, Gnutls, Go]),
            );
        } else {
            let what = format!(
                "the intermediate {} (issued by {}) in {} {}",
                one.label,
                one.issuer_label,
                chain.file,
                begun_or_over(one, at)
            );
            findings.push(if at < one.not_before {
                let remedy = "wait for it, or look whether the clock of this host is right";
                told(Fault::IntermediateNotYetValid, what, remedy)
            } else {
                let remedy = "have the certificate issued again, and serve the chain that comes \
                              with it";
                told(Fault::IntermediateExpired, what, remedy)
            });
        }
    }
    findings
}

fn begun_or_over(one: &Certificate, at: Timestamp) -> String {
    if at < one.not_before {
        format!("is not valid before {}", date(one.not_before))
    } else {
        format!("ended on {}", date(one.not_after))
    }
}

/// When the first clients will fail if nothing is done, and whose end that is.
pub(super) fn end(chain: &Chain, at: Timestamp) -> (Timestamp, &Certificate) {
    let leaf = chain.leaf();
    let (served, roots) = (&chain.served, &chain.roots);
    let valid = |path: &&Path| path.above(served, roots).all(|one| one.is_valid_at(at));
    let Some(path) = chain
        .paths
        .iter()
        .filter(valid)
        .max_by_key(|path| path.end(served, roots))
    else {
        return (leaf.not_after, leaf);
    };
    let first = path.above(served, roots).min_by_key(|one| one.not_after);
    match first {
        Some(first) if first.not_after < leaf.not_after => (first.not_after, first),
        _ => (leaf.not_after, leaf),
    }
}

/// A share of the lifetime that is left.
#[derive(Clone, Copy)]
enum Threshold {
    Overdue,
    Near,
    Imminent,
}

impl Threshold {
    const ALL: [Self; 3] = [Self::Imminent, Self::Near, Self::Overdue];

    /// How much is left of such a life.
    fn left(self, lifetime: SignedDuration) -> SignedDuration {
        let parts = match self {
            Self::Overdue if lifetime <= SHORT => 3,
            Self::Overdue => 4,
            Self::Near => 10,
            Self::Imminent => 20,
        };
        lifetime.min(LONGEST) / parts
    }

    fn fault(self) -> (Fault, Severity) {
        match self {
            Self::Overdue => (Fault::RenewalOverdue, Severity::Warning),
            Self::Near => (Fault::ExpiryNear, Severity::Critical),
            Self::Imminent => (Fault::ExpiryImminent, Severity::Critical),
        }
    }
}

/// From the leaf's beginning to the end of what ends first.
fn lifetime(leaf: &Certificate, end: Timestamp) -> SignedDuration {
    end.duration_since(leaf.not_before)
        .max(SignedDuration::ZERO)
}

fn running_out(
    chain: &Chain,
    end: Timestamp,
    what_ends: &Certificate,
    at: Timestamp,
) -> Option<Finding> {
    let leaf = chain.leaf();
    let lifetime = lifetime(leaf, end);
    let left = after(end).duration_since(at);
    let passed = |it: &&Threshold| left <= it.left(lifetime);
    let (fault, severity) = Threshold::ALL.iter().find(passed)?.fault();
    let who = if what_ends.der == leaf.der {
        format!("the certificate {} in {}", leaf.label, chain.file)
    } else {
        format!("{} above {} in {}", what_ends.label, leaf.label, chain.file)
    };
    let what = format!("{who} ends on {}, in {}", date(end), span(left));
    Some(note(severity, fault, &leaf.label, what, &chain.renewal))
}

fn ends_early(chain: &Chain, end: Timestamp, what_ends: &Certificate) -> Option<Finding> {
    let leaf = chain.leaf();
    (end < leaf.not_after).then(|| {
        note(
            Severity::Info,
            Fault::ChainEndsBeforeLeaf,
            &what_ends.label,
            format!(
                "{} above {} in {} ends on {}, {} before the certificate itself",
                what_ends.label,
                leaf.label,
                chain.file,
                date(end),
                span(leaf.not_after.duration_since(end))
            ),
            format!("have the certificate issued again before {}", date(end)),
        )
    })
}

/// `2027-01-12 10:00 UTC`
pub(in crate::certificate) fn date(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// `18 days`, in the unit that fits.
pub(in crate::certificate) fn span(time: SignedDuration) -> String {
    let (number, unit) = match time {
        time if time >= DAY * 2 => (time.as_hours() / 24, "days"),
        time if time.as_hours() >= 2 => (time.as_hours(), "hours"),
        time if time.as_mins() >= 2 => (time.as_mins(), "minutes"),
        time => (time.as_secs(), "seconds"),
    };
    format!("{number} {unit}")
}
