//! From the kernel's wall-clock stamps to the engine's monotonic clock.
//!
//! `SO_TIMESTAMPING` stamps packets in `CLOCK_REALTIME`, which steps when NTP steps; machines live on
//! `Instant`. A pair of both clocks, read once per batch, turns one into the other, so a step can only ever spoil the
//! packets of one batch, and then by no more than [`MAX_AGE`].

use std::time::{Duration, Instant, SystemTime};

/// Oldest age a stamp is believed to have; an older one means that the wall clock was stepped.
pub const MAX_AGE: Duration = Duration::from_millis(200);

/// Both clocks, read together.
#[derive(Debug, Clone, Copy)]
pub struct ClockPair {
    monotonic: Instant,
    wall: Duration,
}

impl ClockPair {
    /// Reads both clocks.
    #[must_use]
    pub fn read() -> Self {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { monotonic: Instant::now(), wall }
    }

    /// The monotonic half: now.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.monotonic
    }

    /// When a packet stamped `stamp` (since the Unix epoch) came in; now, if it has no stamp or an impossible one.
    #[must_use]
    pub fn arrival(&self, stamp: Option<Duration>) -> Instant {
        let age = stamp.and_then(|stamp| self.wall.checked_sub(stamp)).filter(|age| *age <= MAX_AGE);
        self.monotonic.checked_sub(age.unwrap_or_default()).unwrap_or(self.monotonic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_counts_back_from_now_unless_the_wall_clock_was_stepped() {
        let clocks = ClockPair { monotonic: Instant::now(), wall: Duration::from_secs(1_000) };
        let age = |stamp| clocks.now() - clocks.arrival(stamp);
        assert_eq!(age(Some(Duration::from_millis(999_990))), Duration::from_millis(10));
        assert_eq!(age(Some(Duration::from_secs(900))), Duration::ZERO, "stepped forward");
        assert_eq!(age(Some(Duration::from_secs(1_100))), Duration::ZERO, "stepped back");
        assert_eq!(age(None), Duration::ZERO);
    }
}
