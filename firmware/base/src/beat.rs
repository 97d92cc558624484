//! The beat on which sound moves: moments that all streams of the box have in common.
//!
//! A packet of sound is worked on for a fraction of what it costs to wake somebody up for it. So sound is played out on
//! the beat, and whoever wakes for one stream finds those of the others due as well.

use std::time::{Duration, Instant};

/// Moments of the media clock, [`STEP`](Self::STEP) or a part of it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    epoch: Instant,
    step: Duration,
}

impl Beat {
    /// The frame time of nearly every stream, so that one with an even pace keeps it: each beat brings a packet of every stream, and there is
    /// no beat for half of them. Sound is later by half of it on average, far below what a conversation notices (ITU-T G.114: 150 ms).
    /// Streams of 10 ms have two packets a beat.
    pub const STEP: Duration = Duration::from_millis(20);

    /// A timer that is so far off or more may wait for a moment that others have as well; a nearer one is kept to, as one that paces packets
    /// must be. Who has one that can wait sets it no nearer.
    pub const NEAR: Duration = Duration::from_millis(5);

    /// The beat of the media clock that began at `epoch`.
    #[must_use]
    pub const fn of(epoch: Instant) -> Self {
        Self { epoch, step: Self::STEP }
    }

    /// A beat with as many moments in each step of this one, those of this one among them.
    #[must_use]
    pub fn divided(self, parts: u32) -> Self {
        Self { step: (self.step / parts.max(1)).max(Duration::from_millis(1)), ..self }
    }

    /// The first moment that is not before `at`.
    #[must_use]
    pub fn at_or_after(self, at: Instant) -> Instant {
        let since = at.saturating_duration_since(self.epoch).as_nanos();
        let rest = u64::try_from(since % self.step.as_nanos()).unwrap_or(0);
        if rest == 0 { at.max(self.epoch) } else { at + (self.step - Duration::from_nanos(rest)) }
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
        assert_eq!((beat.at_or_after(ms(0)), beat.after(ms(0))), (ms(0), ms(20)));
        assert_eq!((beat.at_or_after(ms(40)), beat.after(ms(40))), (ms(40), ms(60)));
        assert_eq!((beat.at_or_after(ms(41)), beat.after(ms(59))), (ms(60), ms(60)));
        assert_eq!(beat.at_or_after(ms(60) + Duration::from_nanos(1)), ms(80));
    }

    #[test]
    fn a_part_of_a_beat_keeps_its_moments() {
        let epoch = Instant::now();
        let (beat, ms) = (Beat::of(epoch).divided(4), |ms| epoch + Duration::from_millis(ms));
        assert_eq!((beat.at_or_after(ms(1)), beat.after(ms(15))), (ms(5), ms(20)));
        assert_eq!(Beat::of(epoch).divided(1_000).after(ms(3)), ms(4), "a millisecond at least");
    }

    #[test]
    fn what_was_before_the_clock_began_waits_for_its_beginning() {
        let before = Instant::now();
        let epoch = before + Duration::from_millis(7);
        assert_eq!(Beat::of(epoch).at_or_after(before), epoch);
    }
}
