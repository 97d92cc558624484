//! How long to wait before the next try: longer with each that failed, and never in step with others.

use rand::rngs::ChaCha12Rng;
use rand::{Rng, RngExt};
use std::time::Duration;

/// The wait after the first failure, at most.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
pub(super) const LONGEST: Duration = Duration::from_secs(300);

/// Failures in a row, and the wait that follows from them.
pub(super) struct Backoff {
    failures: u32,
    rng: ChaCha12Rng,
}

impl Backoff {
    pub(super) const fn new(rng: ChaCha12Rng) -> Self {
        Self { failures: 0, rng }
    }

    /// How many tries have failed in a row.
    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// One more failed. Wait for so long: between half of a time that doubles, and all of it.
    pub(super) fn failed(&mut self) -> Duration {
        let most = FIRST.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        most.mul_f64(self.rng.random_range(0.5..1.0))
    }

    /// A random number, for whatever else must differ from time to time.
    pub(super) fn random(&mut self) -> u64 {
        self.rng.next_u64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn waits_double_up_to_five_minutes_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::new(ChaCha12Rng::from_seed([1; 32]));
        let mut most = FIRST;
        for failures in 0..100 {
            assert_eq!(backoff.failures(), failures);
            let wait = backoff.failed();
            assert!((most / 2..=most).contains(&wait), "{wait:?} after {failures}");
            most = (most * 2).min(LONGEST);
        }
        backoff.succeeded();
        assert!(backoff.failed() <= FIRST);
    }

    #[test]
    fn two_boxes_do_not_come_back_together() {
        let wait = |seed| Backoff::new(ChaCha12Rng::from_seed([seed; 32])).failed();
        assert_ne!(wait(1), wait(2));
    }
}
