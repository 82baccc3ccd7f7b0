//! What the checks say about a certificate as a whole, now and later.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use jiff::Timestamp;
use serde::Serialize;

use super::client::Client;
use super::finding::{Finding, Severity};

/// The findings about one certificate at one time, with what later times change about the clients
/// that fail.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// When it holds.
    pub at: Timestamp,
    /// The worst first.
    pub findings: Vec<Finding>,
    /// From each of these times on, whether clients that are connected now fail when they come
    /// back. The first is [`Self::at`].
    #[serde(skip)]
    reconnects: Vec<(Timestamp, bool)>,
}

impl Verdict {
    pub(super) fn new(
        at: Timestamp,
        mut findings: Vec<Finding>,
        later: impl IntoIterator<Item = (Timestamp, bool)>,
    ) -> Self {
        findings.sort_by_key(|one| (std::cmp::Reverse(rank(one)), one.fault));
        let now = (at, turns_clients_away(&findings));
        Self {
            at,
            findings,
            reconnects: std::iter::once(now).chain(later).collect(),
        }
    }

    /// The pair cannot be served at all.
    pub fn is_unusable(&self) -> bool {
        self.findings.iter().any(|one| one.fault.prevents_use())
    }

    /// Some client fails now.
    pub fn breaks_clients(&self) -> bool {
        self.findings.iter().any(Finding::breaks_clients)
    }

    /// The highest severity; none without findings.
    pub fn severity(&self) -> Option<Severity> {
        self.findings.iter().map(|one| one.severity).max()
    }

    /// Whether clients who are connected now would fail if they came back within this time:
    /// because the certificate is of no use to anyone, or because time makes it so. What certain
    /// clients never took does not count: none of them can be connected. Before [`Self::at`], what
    /// holds then is taken.
    pub fn fails_reconnects(&self, when: RangeInclusive<Timestamp>) -> bool {
        let mut ends = self.reconnects.iter().skip(1).map(|(from, _)| *from);
        self.reconnects
            .iter()
            .enumerate()
            .any(|(number, (from, fails))| {
                let until = ends.next();
                let begins_in_time = number == 0 || from <= when.end();
                let ends_late = until.is_none_or(|until| until > *when.start());
                *fails && begins_in_time && ends_late
            })
    }

    /// What makes this one worse than the one in service: findings that make a client fail, for a
    /// name, where the other one does not. Empty: it may take the other one's place.
    ///
    /// That clients do not trust the one in service rests on what is known of their roots, and
    /// there may be clients who do: it is no excuse for other faults.
    pub fn worse_than<'a>(&'a self, served: &Self) -> Vec<&'a Finding> {
        let surely = served.failing(|one| !one.fault.rests_on_roots());
        let perhaps = served.failing(|_| true);
        let new = |one: &&Finding| {
            let failing = if one.fault.rests_on_roots() {
                &perhaps
            } else {
                &surely
            };
            broken(one).any(|it| !covers(failing, &it))
        };
        self.findings.iter().filter(new).collect()
    }

    /// Which clients fail now because of these, and with which names; no name: with all.
    fn failing(&self, of: impl Fn(&Finding) -> bool) -> BTreeSet<(Client, Option<&str>)> {
        let these = self.findings.iter().filter(|one| of(one));
        these.flat_map(broken).collect()
    }
}

/// By what the findings are sorted.
fn rank(one: &Finding) -> (Severity, bool) {
    (one.severity, one.breaks_clients())
}

/// Whether clients that are connected now fail when they come back.
pub(super) fn turns_clients_away(findings: &[Finding]) -> bool {
    findings.iter().any(|one| {
        one.breaks.is_everyone() || (one.fault.depends_on_time() && one.breaks_clients())
    })
}

fn broken(one: &Finding) -> impl Iterator<Item = (Client, Option<&str>)> {
    let names: Vec<Option<&str>> = if one.names.is_empty() {
        vec![None]
    } else {
        one.names.iter().map(|name| Some(name.as_str())).collect()
    };
    one.breaks
        .iter()
        .flat_map(move |client| names.clone().into_iter().map(move |name| (client, name)))
}

fn covers(failing: &BTreeSet<(Client, Option<&str>)>, it: &(Client, Option<&str>)) -> bool {
    failing.contains(it) || failing.contains(&(it.0, None))
}

#[cfg(test)]
mod tests {
    use super::super::finding::{Fault, Part};
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn finding(fault: Fault) -> Finding {
        Finding::fatal(fault, Part::Chain, "x", "is wrong", "do it right")
    }

    fn verdict(findings: &[Finding]) -> Verdict {
        Verdict::new(at(0), findings.to_vec(), [])
    }

    #[test]
    fn reconnects_fail_while_the_certificate_is_bad() {
        let good = Verdict::new(at(100), Vec::new(), [(at(200), true), (at(300), false)]);
        for (from, until, fails) in [
            (100, 199, false),
            (0, 150, false),
            (100, 200, true),
            (250, 260, true),
            (299, 400, true),
            (300, 400, false),
        ] {
            assert_eq!(
                good.fails_reconnects(at(from)..=at(until)),
                fails,
                "{from} to {until}"
            );
        }
        let expired = Verdict::new(at(100), vec![finding(Fault::Expired)], []);
        assert!(expired.fails_reconnects(at(0)..=at(1)));
        assert!(expired.fails_reconnects(at(100)..=at(100)));
    }

    #[test]
    fn who_never_came_does_not_fail_to_come_back() {
        let now = at(0)..=at(0);
        let key_type = finding(Fault::KeyType).only_for(&[Client::Chromium]);
        assert!(!verdict(&[key_type]).fails_reconnects(now.clone()));
        let root = finding(Fault::RootExpired).only_for(&[Client::Chromium]);
        assert!(verdict(&[root]).fails_reconnects(now));
    }

    #[test]
    fn a_new_pair_is_worse_if_a_client_fails_that_did_not() {
        let good = verdict(&[]);
        let expired = verdict(&[finding(Fault::Expired)]);
        let p521 = verdict(&[finding(Fault::KeyType).only_for(&[Client::Chromium])]);
        let name = finding(Fault::NameNotCovered);
        let one_name = verdict(&[name.clone().of_names(vec!["a.test".into()])]);
        let other_name = verdict(&[name.of_names(vec!["b.test".into()])]);
        let untrusted = verdict(&[finding(Fault::UntrustedRoot)]);
        let both = verdict(&[finding(Fault::UntrustedRoot), finding(Fault::Expired)]);
        let overdue = finding(Fault::RenewalOverdue).harmless(Severity::Warning);
        for (new, old, worse) in [
            (&good, &expired, false),
            (&expired, &good, true),
            (&expired, &expired, false),
            (&p521, &good, true),
            (&p521, &expired, false),
            (&expired, &p521, true),
            (&one_name, &good, true),
            (&one_name, &other_name, true),
            (&one_name, &one_name, false),
            (&one_name, &expired, false),
            (&verdict(&[overdue]), &good, false),
            (&untrusted, &good, true),
            (&untrusted, &untrusted, false),
            (&untrusted, &expired, false),
            (&expired, &untrusted, true),
            (&one_name, &untrusted, true),
            (&both, &untrusted, true),
            (&both, &expired, false),
            (&verdict(&[finding(Fault::SelfSigned)]), &untrusted, false),
        ] {
            assert_eq!(!new.worse_than(old).is_empty(), worse, "{new:?} {old:?}");
        }
    }

    #[test]
    fn the_worst_comes_first() {
        let verdict = verdict(&[
            finding(Fault::ChainOrder).harmless(Severity::Warning),
            finding(Fault::ExpiryNear).harmless(Severity::Critical),
            finding(Fault::KeyUsage),
        ]);
        let faults: Vec<_> = verdict.findings.iter().map(|one| one.fault).collect();
        assert_eq!(
            faults,
            [Fault::KeyUsage, Fault::ExpiryNear, Fault::ChainOrder]
        );
        assert_eq!(verdict.severity(), Some(Severity::Critical));
    }
}
