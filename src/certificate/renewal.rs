//! When the unit that renews a certificate is started: at once when the renewal is overdue, and
//! again as long as it is, with pauses that double. After a start of the process the first of these
//! pauses is waited for, unless the end is near.
//!
//! How overdue a renewal is depends on the lifetime, and so do the pauses: the first is a
//! thousandth of it, but at least ten seconds and at most a quarter of an hour; the longest is 32
//! times that (eight hours). Authorities limit how often one may try in vain (Let's Encrypt: five
//! times an hour for each name). Nothing of this outlives the process.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::finding::{Fault, Finding};

const SHORTEST: SignedDuration = SignedDuration::from_secs(10);
const FIRST_LONGEST: SignedDuration = SignedDuration::from_mins(15);

/// Pauses double so often.
const DOUBLINGS: u32 = 5;

/// What a renewal would put right, and should have.
pub fn is_overdue(findings: &[Finding]) -> bool {
    findings.iter().any(|one| {
        matches!(
            one.fault,
            Fault::RenewalOverdue
                | Fault::ExpiryNear
                | Fault::ExpiryImminent
                | Fault::Expired
                | Fault::IntermediateExpired
        )
    })
}

/// Whether a process that has run for so long may make a first attempt. One that has just started
/// may be one of many in a row, none of which knows what the others have tried.
pub fn may_begin(findings: &[Finding], lifetime: SignedDuration, running: Duration) -> bool {
    let is_urgent = |one: &Finding| {
        matches!(
            one.fault,
            Fault::ExpiryImminent | Fault::Expired | Fault::IntermediateExpired
        )
    };
    running >= pause(lifetime, 0).unsigned_abs() || findings.iter().any(is_urgent)
}

/// The attempts to have something renewed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    made: u32,
    next: Option<Timestamp>,
}

impl Attempts {
    /// Whether it is time for the next one, which is counted as made then. `lifetime` is that of
    /// the certificate.
    pub fn is_time(&mut self, lifetime: SignedDuration, now: Timestamp) -> bool {
        let pause = pause(lifetime, self.made);
        let is_time = self.next.is_none_or(|next| {
            // The clock was set back: nobody has to wait for longer than a pause.
            now >= next || next.duration_since(now) > pause
        });
        if is_time {
            self.next = now.checked_add(pause).ok();
            self.made = self.made.saturating_add(1);
        }
        is_time
    }

    /// When the next one is made; none: at once.
    pub fn next(&self) -> Option<Timestamp> {
        self.next
    }
}

/// After so many attempts, and one.
fn pause(lifetime: SignedDuration, made: u32) -> SignedDuration {
    let first = (lifetime / 1_000).max(SHORTEST).min(FIRST_LONGEST);
    first * (1 << made.min(DOUBLINGS))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    /// Seconds from the first second on at which an attempt is made.
    fn made(lifetime: SignedDuration, seconds: i64) -> Vec<i64> {
        let mut attempts = Attempts::default();
        let is_time = |second: &i64| attempts.is_time(lifetime, at(*second));
        (0..seconds).filter(is_time).collect()
    }

    #[test]
    fn pauses_double_up_to_eight_hours() {
        let minutes: Vec<i64> = made(DAY * 90, 24 * 60 * 60)
            .into_iter()
            .map(|second| second / 60)
            .collect();
        assert_eq!(minutes, [0, 15, 45, 105, 225, 465, 945, 1425]);
    }

    #[test]
    fn short_lives_have_short_pauses() {
        assert_eq!(made(SignedDuration::from_mins(1), 80), [0, 10, 30, 70]);
        assert_eq!(made(DAY * 6, 2_000), [0, 519, 1556]);
    }

    #[test]
    fn a_clock_that_was_set_back_holds_nothing_up() {
        let mut attempts = Attempts::default();
        assert!(attempts.is_time(DAY * 90, at(0)));
        assert!(!attempts.is_time(DAY * 90, at(10)));
        assert!(attempts.is_time(DAY * 90, at(-DAY.as_secs())));
    }

    #[test]
    fn who_has_just_started_waits_unless_it_is_urgent() {
        let finding = |fault| {
            let part = super::super::finding::Part::Chain;
            Finding::fatal(fault, part, "x", "is wrong", "do it right")
        };
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let near = [finding(Fault::ExpiryNear)];
        assert!(!may_begin(&near, DAY * 90, minutes(14)));
        assert!(may_begin(&near, DAY * 90, minutes(15)));
        let imminent = [finding(Fault::ExpiryNear), finding(Fault::ExpiryImminent)];
        assert!(may_begin(&imminent, DAY * 90, minutes(0)));
    }
}
