//! What will break, when, and for whom: the checks are run again for every future moment at which
//! something begins or ends, and what changes is told.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::check::{Chain, Examination, date, span};
use super::client::Affected;
use super::finding::{Fault, Finding, Severity};

/// Something that comes with time, if nothing is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// From when on.
    pub at: Timestamp,
    /// What changes, in one sentence with the date.
    pub what: String,
    /// The name of the finding that comes or goes.
    pub finding: Fault,
    /// How much it matters.
    pub severity: Severity,
    /// Who fails from then on because of it; nobody, if it goes.
    pub breaks: Affected,
}

impl Examination {
    /// What changes after `now`, in order of time. Ends with the leaf's end.
    pub fn forecast(&self, now: Timestamp) -> Vec<Change> {
        let Some(chain) = self.chain() else {
            return Vec::new();
        };
        let mut before = self.findings(now);
        let mut changes = Vec::new();
        for at in self.turning_points(now) {
            let findings = self.findings(at);
            let news = |one: &&Finding| !before.iter().any(|old| old.is_same_as(one));
            changes.extend(
                findings
                    .iter()
                    .filter(news)
                    .map(|finding| comes(chain, at, finding)),
            );
            let over = |one: &&Finding| !findings.iter().any(|new| new.is_same_as(one));
            changes.extend(
                before
                    .iter()
                    .filter(over)
                    .filter_map(|finding| goes(chain, at, finding)),
            );
            before = findings;
        }
        changes
    }
}

fn comes(chain: &Chain, at: Timestamp, finding: &Finding) -> Change {
    let about = &finding.about;
    let leaf = chain.leaf();
    let early = || match leaf.not_after.duration_since(at) {
        left if left > SignedDuration::ZERO => format!(", {} before the leaf", span(left)),
        _ => String::new(),
    };
    let event = match finding.fault {
        Fault::Expired => format!("the certificate {about} ends"),
        Fault::IntermediateExpired => format!("intermediate {about} ends{}", early()),
        Fault::RootExpired => format!("root {about} ends{}", early()),
        Fault::RenewalOverdue => "renewal is overdue from here on".to_owned(),
        Fault::ExpiryNear => "a tenth of the lifetime is left".to_owned(),
        Fault::ExpiryImminent => "a twentieth of the lifetime is left".to_owned(),
        _ => finding.what.clone(),
    };
    let who = if finding.breaks_clients() {
        format!(": {}", fails(chain, &finding.breaks))
    } else {
        String::new()
    };
    Change {
        at,
        what: format!("{}: {event}{who}", when(chain, at)),
        finding: finding.fault,
        severity: finding.severity,
        breaks: finding.breaks.clone(),
    }
}

/// Only what makes clients fail is worth a word when it is over.
fn goes(chain: &Chain, at: Timestamp, finding: &Finding) -> Option<Change> {
    let event = match finding.fault {
        Fault::NotYetValid => format!("the certificate {} begins", finding.about),
        Fault::IntermediateNotYetValid => format!("intermediate {} begins", finding.about),
        _ if finding.breaks_clients() => {
            format!("{} is over ({})", finding.fault, finding.about)
        }
        _ => return None,
    };
    Some(Change {
        at,
        what: format!("{}: {event}", when(chain, at)),
        finding: finding.fault,
        severity: Severity::Info,
        breaks: Affected::nobody(),
    })
}

fn fails(chain: &Chain, breaks: &Affected) -> String {
    let of = match chain.names.as_slice() {
        [] => String::new(),
        names => format!(" of {}", names.join(", ")),
    };
    if breaks.is_everyone() {
        format!("{breaks}{of} fails")
    } else {
        format!("clients{of} fail: {breaks}")
    }
}

/// The day, or for certificates that live for days the minute.
fn when(chain: &Chain, at: Timestamp) -> String {
    let leaf = chain.leaf();
    let lifetime = leaf.not_after.duration_since(leaf.not_before);
    if lifetime > SignedDuration::from_hours(10 * 24) {
        at.strftime("%Y-%m-%d").to_string()
    } else {
        date(at)
    }
}
