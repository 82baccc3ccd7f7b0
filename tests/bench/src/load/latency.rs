//! How long each unit of a round took.

use std::time::Duration;

/// All samples of one round, in units of 10 ns, so that a second of them stays small.
#[derive(Default)]
pub(crate) struct Latencies {
    samples: Vec<u32>,
}

impl Latencies {
    pub(crate) fn record(&mut self, time: Duration) {
        self.samples
            .push(u32::try_from(time.as_nanos() / 10).unwrap_or(u32::MAX));
    }

    pub(crate) fn append(&mut self, other: &mut Self) {
        self.samples.append(&mut other.samples);
    }

    pub(crate) fn clear(&mut self) {
        self.samples.clear();
    }

    /// The time, in µs, that a share (0 to 1) of the samples did not exceed; 0 without samples.
    pub(crate) fn quantile_us(&mut self, share: f64) -> f64 {
        let Some(last) = self.samples.len().checked_sub(1) else {
            return 0.0;
        };
        let at = (last as f64 * share).round() as usize;
        let (_, sample, _) = self.samples.select_nth_unstable(at);
        f64::from(*sample) / 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_all_samples_in_microseconds() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile_us(0.5), 0.0);
        for micros in (0..=100).rev() {
            latencies.record(Duration::from_micros(micros));
        }
        assert_eq!(latencies.quantile_us(0.99), 99.0);
        assert_eq!(latencies.quantile_us(0.5), 50.0);
    }
}
