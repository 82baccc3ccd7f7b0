//! When the clients that were told came back. Clients cannot be recognised, so arrivals at the
//! service are counted from the first announcement on, less those that come in any case; and the
//! first to come back is taken for the first that was told.

use std::collections::VecDeque;
use std::time::Duration;

use super::report::ReturnCurve;

/// What counts as back at once.
const SOON: Duration = Duration::from_secs(5);

/// Arrivals after an announcement.
#[derive(Clone, Debug, Default)]
pub struct Returns {
    /// Arrivals a second before it.
    newcomers: f64,
    /// When the first client was told, and how many had ever arrived until then.
    since: Option<(Duration, u64)>,
    told: u64,
    /// Who was told and is not back: since when, and how many. In order.
    away: VecDeque<(Duration, u64)>,
    back: u64,
    soon: u64,
    /// When the n-th came back, for the parts of a whole that is known only in the end.
    curve: Vec<(Duration, u64)>,
}

impl Returns {
    /// For a service to which `newcomers` arrive in a second in any case.
    #[must_use]
    pub fn new(newcomers: f64) -> Self {
        Self {
            newcomers: newcomers.max(0.0),
            ..Self::default()
        }
    }

    /// `count` clients are told, when `arrived` have ever arrived.
    pub fn told(&mut self, now: Duration, count: u64, arrived: u64) {
        if count == 0 {
            return;
        }
        self.since.get_or_insert((now, arrived));
        self.told += count;
        self.away.push_back((now, count));
    }

    /// `arrived` have ever arrived. Call it in order of time.
    pub fn arrived(&mut self, now: Duration, arrived: u64) {
        let Some((since, before)) = self.since else {
            return;
        };
        let expected = self.newcomers * now.saturating_sub(since).as_secs_f64();
        let back = arrived
            .saturating_sub(before)
            .saturating_sub(expected as u64)
            .min(self.told);
        // Fewer newcomers than expected do not send anybody away again.
        let mut more = back.saturating_sub(self.back);
        if more == 0 {
            return;
        }
        self.back += more;
        self.curve.push((now, self.back));
        while let Some((told, count)) = self.away.front_mut() {
            let these = more.min(*count);
            if now.saturating_sub(*told) <= SOON {
                self.soon += these;
            }
            (more, *count) = (more - these, *count - these);
            if *count > 0 {
                break;
            }
            self.away.pop_front();
        }
    }

    /// How many are back.
    #[must_use]
    pub fn back(&self) -> u64 {
        self.back
    }

    /// Whether all who were told are back.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.back >= self.told
    }

    /// As a report has it.
    #[must_use]
    pub fn curve(&self) -> ReturnCurve {
        ReturnCurve {
            back: self.back,
            back_within_5s: self.soon,
            half_back_ms: self.reached(50),
            most_back_ms: self.reached(95),
            all_back_ms: self.reached(100),
        }
    }

    /// When so many percent of those who were told were back, in milliseconds since the first was.
    fn reached(&self, percent: u64) -> Option<u64> {
        let (since, _) = self.since?;
        let enough = (self.told * percent).div_ceil(100);
        let at = self.curve.partition_point(|(_, back)| *back < enough);
        let (at, _) = self.curve.get(at)?;
        u64::try_from((*at - since).as_millis()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn the_curve_is_that_of_the_told() {
        let mut returns = Returns::new(0.0);
        // Whoever arrived before is nobody's return.
        returns.arrived(at(0), 700);
        returns.told(at(1_000), 10, 1_000);
        returns.told(at(2_000), 90, 1_000);
        assert!(!returns.complete());
        returns.arrived(at(3_000), 1_010);
        returns.arrived(at(5_000), 1_050);
        returns.arrived(at(7_500), 1_095);
        assert_eq!(
            returns.curve(),
            ReturnCurve {
                back: 95,
                back_within_5s: 50,
                half_back_ms: Some(4_000),
                most_back_ms: Some(6_500),
                all_back_ms: None,
            }
        );
        returns.arrived(at(9_000), 1_200);
        assert!(returns.complete());
        assert_eq!(returns.curve().back, 100);
        assert_eq!(returns.curve().all_back_ms, Some(8_000));
    }

    #[test]
    fn those_who_come_in_any_case_do_not_count() {
        let mut returns = Returns::new(100.0);
        returns.told(at(0), 1_000, 5_000);
        returns.arrived(at(2_000), 5_200);
        assert_eq!(returns.back(), 0);
        returns.arrived(at(3_000), 5_900);
        assert_eq!(returns.back(), 600);
        // Nobody at all arrives for a while.
        returns.arrived(at(9_000), 5_900);
        assert_eq!(returns.back(), 600);
    }

    #[test]
    fn nobody_told_is_nobody_awaited() {
        let mut returns = Returns::new(0.0);
        returns.told(at(0), 0, 0);
        returns.arrived(at(1), 10);
        assert!(returns.complete());
        assert_eq!(returns.curve(), ReturnCurve::default());
    }
}
