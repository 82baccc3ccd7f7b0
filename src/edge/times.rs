//! How long clients took to come in, as counts over ranges of time: each range is a quarter of
//! its power of two wide. Cheap to add to from every worker, and a quantile can be read from it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Ranges up to `2^26` µs, which is a minute; the last has all that took longer.
const RANGES: usize = 4 * 26;

/// Of fewer than this a quartile says who they are, not how the host does: one of them alone may
/// be far away.
const ENOUGH: u64 = 20;

/// Counts over all workers.
#[derive(Debug)]
pub struct Histogram([AtomicU64; RANGES]);

impl Default for Histogram {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Histogram {
    /// Counts one.
    pub fn add(&self, time: Duration) {
        self.0[range(time)].fetch_add(1, Relaxed);
    }

    /// What it holds now.
    #[must_use]
    pub fn read(&self) -> Times {
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
    fn since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = u64> + 'a {
        let pairs = self.0.iter().zip(&before.0);
        pairs.map(|(now, before)| now.saturating_sub(*before))
    }

    /// What three quarters took longer than, of those that were added since `before`. None:
    /// nobody was.
    ///
    /// Clients far away, and those that think for a while before they ask, are in the other three
    /// quarters; but where a host is full, everybody waits.
    #[must_use]
    pub fn lower_quartile_since(&self, before: &Self) -> Option<Duration> {
        let counts: Vec<u64> = self.since(before).collect();
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

/// The quartile of the latest, as they come from look to look.
#[derive(Debug)]
pub struct Lately {
    over: Duration,
    /// The first is as long ago as that, or the earliest.
    looks: VecDeque<(Duration, Times)>,
}

impl Lately {
    /// Of who comes in from `now` on, which is `times`, and never longer than `over` ago.
    #[must_use]
    pub fn new(over: Duration, now: Duration, times: Times) -> Self {
        Self {
            over,
            looks: VecDeque::from([(now, times)]),
        }
    }

    /// [`Times::lower_quartile_since`] the latest look since which at least 20 came in, `now` never
    /// going back. None: fewer than that came in, or nobody since the last look.
    pub fn look(&mut self, now: Duration, times: Times) -> Option<Duration> {
        let old = now.saturating_sub(self.over);
        while self.looks.get(1).is_some_and(|(at, _)| *at <= old) {
            self.looks.pop_front();
        }
        let came = |before: &Times| times.since(before).sum::<u64>();
        let mut befores = self.looks.iter().rev().map(|(_, before)| before);
        let anybody = self.looks.back().is_some_and(|(_, last)| came(last) > 0);
        let quartile = befores
            .find(|before| anybody && came(before) >= ENOUGH)
            .and_then(|before| times.lower_quartile_since(before));
        self.looks.push_back((now, times));
        quartile
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

    #[test]
    fn a_few_say_nothing_without_those_before_them() {
        let (near, far) = (Duration::from_millis(5), Duration::from_millis(300));
        let tick = Duration::from_millis(100);
        let histogram = Histogram::default();
        let mut lately = Lately::new(5 * tick, Duration::ZERO, histogram.read());
        let mut look = |at: u32, count: u64, time| {
            (0..count).for_each(|_| histogram.add(time));
            lately.look(at * tick, histogram.read())
        };
        assert_eq!(look(1, 1, far), None);
        assert_eq!(look(2, ENOUGH - 2, near), None);
        let near = look(3, 1, near).expect("there are enough");
        assert!(near < Duration::from_millis(6), "{near:?}");
        assert!(look(6, 3, far).is_some(), "the 19 of the window's begin");
        assert_eq!(look(7, 0, far), None, "nobody");
        assert_eq!(look(8, 1, far), None, "all but 4 came before");
        let far = look(9, ENOUGH, far).expect("there are enough");
        assert!(far > Duration::from_millis(250), "{far:?}");
    }
}
