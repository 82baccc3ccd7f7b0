//! How long clients took to come in, as counts over ranges of time: each range is a quarter of
//! its power of two wide. Cheap to add to from every worker, and a quantile can be read from it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Ranges up to `2^26` µs, which is a minute; the last has all that took longer.
const RANGES: usize = 4 * 26;

/// Counts over all workers.
#[derive(Debug)]
pub(super) struct Histogram([AtomicU64; RANGES]);

impl Default for Histogram {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Histogram {
    pub(super) fn add(&self, time: Duration) {
        self.0[range(time)].fetch_add(1, Relaxed);
    }

    pub(super) fn read(&self) -> Times {
        Times(std::array::from_fn(|range| self.0[range].load(Relaxed)))
    }
}

/// What a histogram held at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Times([u64; RANGES]);

impl Default for Times {
    fn default() -> Self {
        Self([0; RANGES])
    }
}

impl Times {
    /// What three quarters took longer than, of those that were added since `before`. None:
    /// nobody was.
    ///
    /// Clients far away, and those that think for a while before they ask, are in the other three
    /// quarters; but where a host is full, everybody waits.
    #[must_use]
    pub fn lower_quartile_since(&self, before: &Self) -> Option<Duration> {
        let counts: Vec<u64> = self
            .0
            .iter()
            .zip(&before.0)
            .map(|(now, before)| now.saturating_sub(*before))
            .collect();
        let total: u64 = counts.iter().sum();
        let wanted = total as f64 / 4.0;
        let mut below = 0;
        for (range, count) in counts.iter().enumerate() {
            if *count > 0 && (below + count) as f64 >= wanted {
                // Within a range they are taken for evenly spread.
                let part = (wanted - below as f64) / *count as f64;
                let (from, to) = (start(range), start(range + 1));
                return Some(Duration::from_secs_f64((from + part * (to - from)) / 1e6));
            }
            below += count;
        }
        None
    }
}

fn range(time: Duration) -> usize {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    if micros < 4 {
        return micros as usize;
    }
    let power = micros.ilog2() as usize;
    let quarter = (micros >> (power - 2)) as usize & 3;
    (4 * (power - 1) + quarter).min(RANGES - 1)
}

/// Where a range begins, in microseconds.
fn start(range: usize) -> f64 {
    if range < 4 {
        return range as f64;
    }
    let (power, quarter) = (range / 4 + 1, range % 4);
    (1u64 << power) as f64 * (1.0 + quarter as f64 / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_in_its_range() {
        for micros in (0..5_000).chain((5_000..60_000_000).step_by(4_999)) {
            let range = range(Duration::from_micros(micros));
            let (from, to) = (start(range), start(range + 1));
            assert!((from..to).contains(&(micros as f64)), "{micros}: {range}");
        }
        assert_eq!(range(Duration::MAX), RANGES - 1);
    }

    #[test]
    fn the_quartile_is_that_of_the_last_ones() {
        let histogram = Histogram::default();
        assert_eq!(
            histogram.read().lower_quartile_since(&Times::default()),
            None
        );
        for _ in 0..1_000 {
            histogram.add(Duration::from_millis(1));
        }
        let before = histogram.read();
        assert_eq!(before.lower_quartile_since(&before), None);
        for ms in 1..=100 {
            histogram.add(Duration::from_millis(10 * ms));
        }
        let quartile = histogram.read().lower_quartile_since(&before);
        let quartile = quartile.expect("there are some").as_secs_f64();
        assert!((0.22..0.28).contains(&quartile), "{quartile}");
    }
}
