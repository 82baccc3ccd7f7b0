//! What is foretold, and what a verdict says of later times and of other pairs.

use std::time::Duration;

use batond::certificate::check::{Examination, Subject, examine};
use batond::certificate::file::File;
use batond::certificate::finding::Finding;
use batond::certificate::roots::TrustedRoots;
use batond::certificate::verdict::Verdict;
use batond::config::{HostPattern, Roots};
use jiff::{SignedDuration, Timestamp};
use rcgen::CertificateParams;

use super::issue::{Identity, bundle, key};

/// Noon, far from any clock that the test could depend on.
const NOW: &str = "2030-06-01T12:00:00Z";
const DAY: i64 = 24;

fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

fn day(days: i64) -> Timestamp {
    now() + SignedDuration::from_hours(days * DAY)
}

/// From so many days after [`NOW`] to so many.
fn lives(from: i64, until: i64) -> impl Fn(&mut CertificateParams) {
    let at = |days: i64| {
        let seconds = u64::try_from(day(days).as_second()).expect("after 1970");
        std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    };
    move |params| {
        params.not_before = at(from).into();
        params.not_after = at(until).into();
    }
}

/// What is said of this chain for chat.test, by clients that trust the root.
fn examined(chain: &[&Identity], root: &Identity) -> Examination {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let roots = folder.path().join("roots.pem");
    std::fs::write(&roots, root.pem()).expect("write the root");
    examine(Subject {
        chain: &File::in_memory("chain.pem", bundle(chain)),
        key: &File::in_memory("key.pem", chain[0].key_pem()),
        names: &[HostPattern::Exact("chat.test".to_owned())],
        roots: &TrustedRoots::read(&Roots::File(roots)),
        renew_unit: Some("certbot.service"),
    })
}

/// A root, an authority and a leaf that live so long.
fn world(root: (i64, i64), authority: (i64, i64), leaf: (i64, i64)) -> Examination {
    let root = Identity::root_with("X1", key(), &lives(root.0, root.1));
    let ca = root.authority_with("R13", key(), &lives(authority.0, authority.1));
    let leaf = ca.leaf_with(&["chat.test"], key(), &lives(leaf.0, leaf.1));
    examined(&[&leaf, &ca], &root)
}

fn foretold(examination: &Examination) -> Vec<String> {
    let forecast = examination.forecast(now());
    assert!(forecast.is_sorted_by_key(|change| change.at));
    forecast.into_iter().map(|change| change.what).collect()
}

fn faults(verdict: &Verdict) -> Vec<String> {
    let named = |finding: &Finding| finding.fault.to_string();
    verdict.findings.iter().map(named).collect()
}

#[test]
fn a_healthy_certificate_nears_its_end_in_steps() {
    let examination = world((-3650, 3650), (-365, 1000), (-10, 90));
    assert_eq!(
        foretold(&examination),
        [
            "2030-08-05: renewal is overdue from here on",
            "2030-08-20: a tenth of the lifetime is left",
            "2030-08-25: a twentieth of the lifetime is left",
            "2030-08-30: the certificate chat.test ends: every client of chat.test fails",
        ]
    );
}

#[test]
fn an_authority_that_ends_first_is_foretold() {
    let examination = world((-3650, 3650), (-365, 72), (-10, 90));
    let foretold = foretold(&examination);
    assert!(
        foretold.contains(
            &"2030-08-12: intermediate R13 ends, 17 days before the leaf: every client of \
              chat.test fails"
                .to_owned()
        ),
        "{foretold:#?}"
    );
    // The steps count down to that end, and the leaf's own changes nothing any more but the name.
    assert!(foretold[0].contains("renewal is overdue"), "{foretold:#?}");
    assert!(foretold[0].as_str() < "2030-07-25", "{foretold:#?}");
}

#[test]
fn a_root_that_ends_stops_some_clients() {
    let examination = world((-3650, 50), (-365, 1000), (-10, 90));
    let forecast = examination.forecast(now());
    let root = forecast
        .iter()
        .find(|change| change.finding.to_string() == "root-expired")
        .expect("the root's end");
    assert!(
        root.what.starts_with(
            "2030-07-21: root X1 ends, 39 days before the leaf: clients of chat.test fail: OpenSSL"
        ),
        "{}",
        root.what
    );
    assert!(!root.what.contains("rustls"), "{}", root.what);
}

#[test]
fn a_beginning_is_foretold_too() {
    let examination = world((-3650, 3650), (-365, 1000), (5, 95));
    assert_eq!(faults(&examination.verdict(now())), ["not-yet-valid"]);
    assert_eq!(
        foretold(&examination)[0],
        "2030-06-06: the certificate chat.test begins"
    );
}

#[test]
fn short_lives_are_told_by_the_minute() {
    let examination = world((-3650, 3650), (-365, 1000), (-1, 5));
    assert_eq!(
        foretold(&examination)[0],
        "2030-06-04 12:00 UTC: renewal is overdue from here on"
    );
}

#[test]
fn another_way_to_a_root_keeps_the_end_of_one_away() {
    let x1 = Identity::root_with("X1", key(), &lives(-3650, 3650));
    let old = Identity::root_with("X3", key(), &lives(-3650, 20));
    let cross = old.cross_sign(&x1, &lives(-3650, 20));
    let ca = x1.authority_with("R13", key(), &lives(-365, 1000));
    let leaf = ca.leaf_with(&["chat.test"], key(), &lives(-10, 90));
    let told = foretold(&examined(&[&leaf, &ca, &cross], &x1));
    assert_eq!(told.len(), 4, "{told:#?}");
    // Those that know only the old root fail when it ends.
    let told = foretold(&examined(&[&leaf, &ca, &cross], &old));
    assert!(
        told.iter().any(|it| it.starts_with("2030-06-21: ")),
        "{told:#?}"
    );
}

#[test]
fn reconnects_are_judged_for_the_time_of_the_restart() {
    let verdict = world((-3650, 3650), (-365, 1000), (-89, 1)).verdict(now());
    assert_eq!(faults(&verdict), ["expiry-imminent"]);
    assert!(!verdict.breaks_clients());
    assert!(!verdict.fails_reconnects(now()..=now()));
    assert!(!verdict.fails_reconnects(now()..=day(1)));
    assert!(verdict.fails_reconnects(now()..=day(2)));
    assert!(verdict.fails_reconnects(day(2)..=day(3)));
}

#[test]
fn a_pair_that_fails_may_not_take_the_place_of_one_that_works() {
    let good = world((-3650, 3650), (-365, 1000), (-10, 90)).verdict(now());
    let renewed = world((-3650, 3650), (-365, 1000), (0, 100)).verdict(now());
    let expired = world((-3650, 3650), (-365, 1000), (-90, -1)).verdict(now());
    assert!(renewed.worse_than(&good).is_empty());
    assert!(renewed.worse_than(&expired).is_empty());
    let worse = expired.worse_than(&good);
    assert_eq!(worse.len(), 1);
    assert_eq!(worse[0].fault.to_string(), "expired");
}

#[test]
fn what_to_do_names_the_unit_that_renews() {
    let verdict = world((-3650, 3650), (-365, 1000), (-80, 10)).verdict(now());
    assert_eq!(
        verdict.findings[0].to_string(),
        "warning: the certificate chat.test in chain.pem ends on 2030-06-11 12:00 UTC, in 10 days \
         (`systemctl start certbot.service`, and look at its journal) [renewal-overdue]"
    );
}
