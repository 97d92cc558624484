//! A sign of life: who does its rounds counts them, and who watches sees that the count grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Set once the part has ended on purpose. The count below it never comes so far.
const ENDED: u64 = 1 << 63;

/// The rounds of one vital part of a program. Clones are the same; counting is as cheap as an addition.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<AtomicU64>);

/// What whoever watches sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// So many rounds were done.
    Rounds(u64),
    /// The part has ended on purpose; nobody need wait for it.
    Ended,
}

impl Pulse {
    /// A round is done. Called where the part has really come round, never by a timer beside it.
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The part ends on purpose.
    pub fn end(&self) {
        self.0.fetch_or(ENDED, Ordering::Relaxed);
    }

    /// What it shows now.
    #[must_use]
    pub fn sign(&self) -> Sign {
        match self.0.load(Ordering::Relaxed) {
            count if count & ENDED != 0 => Sign::Ended,
            count => Sign::Rounds(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clone_counts_the_same_rounds_until_the_part_ends() {
        let pulse = Pulse::default();
        let part = pulse.clone();
        assert_eq!(pulse.sign(), Sign::Rounds(0));
        part.beat();
        pulse.beat();
        assert_eq!(part.sign(), Sign::Rounds(2));
        part.end();
        part.beat();
        assert_eq!(pulse.sign(), Sign::Ended, "a late beat does not bring it back");
    }
}
