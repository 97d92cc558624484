//! The beat on which sound moves: moments that all streams of the box have in common.
//!
//! A packet of sound is worked on for a fraction of what it costs to wake somebody up for it. So sound is played out on
//! the beat, and whoever wakes for one stream finds those of the others due as well.

use std::time::{Duration, Instant};

/// Moments of the media clock, [`STEP`](Self::STEP) apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    epoch: Instant,
}

impl Beat {
    /// Divides every frame time that SIP rooms and conferences use (10, 20, 40, 60 ms), so that a stream with an even pace
    /// keeps it; sound is later by half of it on average, far below what a conversation notices (ITU-T G.114: 150 ms).
    pub const STEP: Duration = Duration::from_millis(10);

    /// The beat of the media clock that began at `epoch`.
    #[must_use]
    pub const fn of(epoch: Instant) -> Self {
        Self { epoch }
    }

    /// The first moment that is not before `at`.
    #[must_use]
    pub fn at_or_after(self, at: Instant) -> Instant {
        let since = at.saturating_duration_since(self.epoch).as_nanos();
        let rest = u64::try_from(since % Self::STEP.as_nanos()).unwrap_or(0);
        if rest == 0 { at.max(self.epoch) } else { at + (Self::STEP - Duration::from_nanos(rest)) }
    }

    /// The first moment after `at`.
    #[must_use]
    pub fn after(self, at: Instant) -> Instant {
        self.at_or_after(at + Duration::from_nanos(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_on_the_beat_stays_and_any_other_waits_for_the_next() {
        let epoch = Instant::now();
        let (beat, ms) = (Beat::of(epoch), |ms| epoch + Duration::from_millis(ms));
        assert_eq!((beat.at_or_after(ms(0)), beat.after(ms(0))), (ms(0), ms(10)));
        assert_eq!((beat.at_or_after(ms(20)), beat.after(ms(20))), (ms(20), ms(30)));
        assert_eq!((beat.at_or_after(ms(21)), beat.after(ms(29))), (ms(30), ms(30)));
        assert_eq!(beat.at_or_after(ms(30) + Duration::from_nanos(1)), ms(40));
    }

    #[test]
    fn what_was_before_the_clock_began_waits_for_its_beginning() {
        let before = Instant::now();
        let epoch = before + Duration::from_millis(7);
        assert_eq!(Beat::of(epoch).at_or_after(before), epoch);
    }
}
