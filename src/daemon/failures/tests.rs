//! What becomes of failures, played without a network.

use std::sync::LazyLock;

use super::*;
use crate::certificate::ledger::family::Family;
use crate::certificate::ledger::network::Network;

fn at(second: u64) -> Instant {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    *BEGIN + Duration::from_secs(second)
}

fn rejection(cause: &str) -> Joined {
    Joined {
        failure: Failure {
            at: Timestamp::UNIX_EPOCH,
            listener: "wss".to_owned(),
            network: Network::Host,
            family: Family::Unknown,
            name: None,
            reason: Reason::Unknown,
            alert: Some(46),
            version: None,
            served: Some([7; 32]),
            error: String::new(),
        },
        certificate: "example".to_owned(),
        cause: cause.to_owned(),
        what: String::new(),
        remedy: String::new(),
    }
}

#[test]
fn who_has_no_reason_does_not_hide_who_has() {
    let mut failures = Failures::default();
    let mut severity_after = |second, cause| {
        failures.keep(rejection(cause), at(second));
        let standing = failures.rejected.look(at(second))[0].1;
        let gravest = &failures.gravest[&[7; 32]].joined;
        rejected(gravest, standing, Timestamp::UNIX_EPOCH).severity
    };
    assert_eq!(severity_after(0, ""), Severity::Warning);
    for second in 1..100 {
        let cause = if second % 2 == 0 { "" } else { "expired" };
        assert_eq!(severity_after(second, cause), Severity::Critical);
    }
    let window = REJECTED_WINDOW.as_secs();
    assert_eq!(severity_after(99 + window - 1, ""), Severity::Critical);
    assert_eq!(severity_after(99 + window, ""), Severity::Warning);
}

#[test]
fn noise_does_not_push_out_clients() {
    let mut failures = Failures::default();
    failures.keep(rejection("expired"), at(1));
    for second in 2..1_000 {
        let mut noise = rejection("");
        noise.failure.reason = Reason::PortCheck;
        failures.keep(noise, at(second));
    }
    failures.keep(rejection("later"), at(1_000));
    let latest = failures.shown(&Ledger::default()).latest;
    let causes: Vec<&str> = latest.iter().map(|one| one.cause.as_str()).collect();
    assert_eq!(causes.len(), LATEST_BACKGROUND + 2);
    assert_eq!((causes[0], causes[1]), ("later", ""));
    assert_eq!(causes.last(), Some(&"expired"));
}

#[test]
fn a_flood_is_told_in_a_few_lines() {
    let mut quota = Quota::default();
    let mut told = 0;
    let mut summed = Vec::new();
    for second in 0..120 {
        for _ in 0..1_000 {
            told += u32::from(quota.allows(Reason::Unknown, at(second)));
        }
        summed.extend(quota.due(at(second)));
    }
    assert_eq!(told, TOLD + 120 / 6 - 1);
    assert_eq!(summed.len(), 1, "{summed:?}");
    let withheld: u64 = summed[0].values().sum();
    assert!(withheld > 60_000 - 100, "{withheld}");
}

#[test]
fn a_few_now_and_then_are_told_each() {
    let mut quota = Quota::default();
    for minute in 0..100 {
        assert!(quota.allows(Reason::Bad, at(minute * 60)));
        assert_eq!(quota.due(at(minute * 60)), None);
    }
}
