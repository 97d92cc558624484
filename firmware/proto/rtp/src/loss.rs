//! How much loss a sender of sound should prepare for, from what its receiver reports (RFC 3550 6.4.1).
//!
//! Forward error correction costs bits and time where nothing is lost, so there is none until something is. One bad report is
//! enough to rise to its level; it takes [`CALM`] without one to come down a level.
//!
//! ```text
//!  0 ◀─▶ 1 ◀─▶ 5 ◀─▶ 10 ◀─▶ 20 %     up at once, as far as reported; down step by step
//! ```

use std::time::{Duration, Instant};

/// The levels, in percent, as libwebrtc has them.
const LEVELS: [u8; 5] = [0, 1, 5, 10, 20];
/// From which part of a level on it is that level which is meant.
const NEAR: f32 = 0.75;
/// How long reports must be below a level until it is left.
const CALM: Duration = Duration::from_secs(10);

/// The level one stream is prepared for. Begins at none.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExpectedLoss {
    /// Index into [`LEVELS`].
    level: usize,
    /// The last report that was not below the level.
    justified: Option<Instant>,
}

impl ExpectedLoss {
    /// Takes a report of this share lost, 0 to 1. Returns the level in percent if it is another than before.
    pub fn report(&mut self, now: Instant, share: f32) -> Option<u8> {
        let reached = LEVELS.iter().rposition(|level| share * 100.0 >= f32::from(*level) * NEAR).unwrap_or(0);
        if reached >= self.level {
            self.justified = Some(now);
        }
        let calm = self.justified.is_none_or(|last| now.saturating_duration_since(last) >= CALM);
        let level = if reached > self.level {
            reached
        } else if reached < self.level && calm {
            self.justified = Some(now);
            self.level - 1
        } else {
            self.level
        };
        let before = std::mem::replace(&mut self.level, level);
        (before != level).then(|| LEVELS[level])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reports once a second, and what each changed.
    fn told(shares: &[f32]) -> Vec<(usize, u8)> {
        let (start, mut expected) = (Instant::now(), ExpectedLoss::default());
        let at = |n: usize| start + Duration::from_secs(n as u64);
        let report = |(n, share): (usize, &f32)| Some((n, expected.report(at(n), *share)?));
        shares.iter().enumerate().filter_map(report).collect()
    }

    #[test]
    fn nothing_lost_and_next_to_nothing_lost_changes_nothing() {
        assert_eq!(told(&[0.0, 0.004, 0.002, 0.0]), []);
    }

    #[test]
    fn one_bad_report_is_enough_and_calm_comes_step_by_step() {
        let mut shares = vec![0.0; 40];
        shares[2] = 0.1;
        assert_eq!(told(&shares), [(2, 10), (12, 5), (22, 1), (32, 0)]);
    }

    #[test]
    fn loss_that_goes_on_keeps_its_level() {
        let shares: Vec<f32> = (0..60).map(|n| if n % 8 == 0 { 0.06 } else { 0.0 }).collect();
        assert_eq!(told(&shares), [(0, 5)]);
    }

    #[test]
    fn no_number_upsets_it() {
        assert_eq!(told(&[f32::NAN, f32::INFINITY, -1.0, 2.0]), [(1, 20)]);
    }
}
