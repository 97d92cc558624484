//! How long the buffer must wait: a forgetful histogram of how much later than the quickest the packets come.

use crate::least::Least;
use base::limits;
use std::time::Duration;

/// One bucket of the histogram.
const BUCKET_NS: i64 = 10_000_000;
/// Buckets up to the longest delay there may be.
const BUCKETS: usize = (limits::JITTER_MAX.as_nanos() as i64 / BUCKET_NS) as usize;
/// How much of the histogram stays with each packet: a late one is forgotten after some 12 s.
const KEEP: f32 = 0.995;
/// Share of the packets that must be in time.
const IN_TIME: f32 = 0.97;
/// Least delay aimed at.
const MIN_NS: i64 = 20_000_000;
/// Delay aimed at until there are enough packets to know better; waiting for the beat comes to it, ten more on average.
const START_NS: i64 = 30_000_000;
/// Enough packets.
const ENOUGH: u32 = 25;
/// The least transit is that of one to two such spans, so that it follows a drifting clock.
const SPAN_NS: i64 = 2_000_000_000;

/// Measures transits and says what delay to aim at.
#[derive(Debug)]
pub(super) struct Delay {
    histogram: [f32; BUCKETS],
    packets: u32,
    least: Least,
    target: i64,
}

impl Default for Delay {
    fn default() -> Self {
        Self { histogram: [0.0; BUCKETS], packets: 0, least: Least::over(SPAN_NS), target: START_NS }
    }
}

impl Delay {
    /// Takes a transit, in nanoseconds from any origin, measured at `now`.
    pub(super) fn measure(&mut self, now: i64, transit: i64) {
        self.least.put(now, transit);
        let later = transit.saturating_sub(self.least.get().unwrap_or(transit)).max(0);
        let bucket = usize::try_from(later / BUCKET_NS).unwrap_or(BUCKETS).min(BUCKETS - 1);
        self.packets = self.packets.saturating_add(1);
        // quick to learn at first, then at the steady rate
        let keep = KEEP.min(1.0 - 1.0 / (self.packets as f32 + 1.0));
        self.histogram.iter_mut().for_each(|weight| *weight *= keep);
        self.histogram[bucket] += 1.0 - keep;
        self.target = self.quantile();
    }

    fn quantile(&self) -> i64 {
        let total: f32 = self.histogram.iter().sum();
        let mut left = total * IN_TIME;
        let bucket = self.histogram.iter().position(|weight| {
            left -= weight;
            left <= 0.0
        });
        let target = (bucket.unwrap_or(BUCKETS - 1) as i64 + 1) * BUCKET_NS;
        let least = if self.packets < ENOUGH { START_NS } else { MIN_NS };
        target.max(least)
    }

    /// The least transit lately.
    pub(super) fn least(&self) -> Option<i64> {
        self.least.get()
    }

    /// Another stream has another origin.
    pub(super) fn forget_transit(&mut self) {
        self.least.forget();
    }

    pub(super) fn target_ns(&self) -> i64 {
        self.target
    }

    pub(super) fn target(&self) -> Duration {
        Duration::from_nanos(self.target.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    #[test]
    fn it_grows_within_a_few_late_packets_and_shrinks_over_seconds() {
        // given a quiet network
        let mut delay = Delay::default();
        for n in 0..500 {
            delay.measure(n * 20 * MS, 5 * MS);
        }
        assert_eq!(delay.target_ns(), MIN_NS);
        // when 7 packets in a row come 100 ms late, then it waits for such
        for n in 500..507 {
            delay.measure(n * 20 * MS, 105 * MS);
        }
        assert!(delay.target_ns() >= 100 * MS, "{}", delay.target_ns());
        for n in 507..520 {
            delay.measure(n * 20 * MS, 105 * MS);
        }
        // and after they stopped, it does so for seconds, not for ever
        for n in 520..557 {
            delay.measure(n * 20 * MS, 5 * MS);
        }
        assert!(delay.target_ns() >= 100 * MS);
        for n in 557..1500 {
            delay.measure(n * 20 * MS, 5 * MS);
        }
        assert_eq!(delay.target_ns(), MIN_NS);
    }

    #[test]
    fn it_never_aims_past_the_longest_delay() {
        let mut delay = Delay::default();
        for n in 0..500 {
            delay.measure(n * 20 * MS, n % 10 * 1_000 * MS);
        }
        assert_eq!(delay.target(), limits::JITTER_MAX);
    }
}
