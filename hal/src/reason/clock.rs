//! Finds jumps of the wall clock by holding it against one that only ever runs.

use super::{Direction, Jump};
use std::time::{Duration, Instant};

/// A difference from here on is a jump; less is a clock being set right.
pub const JUMP: Duration = Duration::from_secs(30);

/// Watches the wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClockWatch {
    last: Option<(Instant, Duration)>,
}

impl ClockWatch {
    /// Takes the wall clock's time since the Unix epoch, and tells whether it jumped since the last time it was taken.
    pub fn look(&mut self, now: Instant, wall: Duration) -> Option<Jump> {
        let (then, before) = self.last.replace((now, wall))?;
        let expected = before.saturating_add(now.saturating_duration_since(then));
        let (direction, by) = match wall.checked_sub(expected) {
            Some(by) => (Direction::Forward, by),
            None => (Direction::Back, expected - wall),
        };
        (by >= JUMP).then_some(Jump { direction, by })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_told_once_with_its_way_and_length() {
        let start = Instant::now();
        let seconds = Duration::from_secs;
        let mut watch = ClockWatch::default();
        assert_eq!(watch.look(start, seconds(1_000_000)), None, "there is nothing to hold it against");
        assert_eq!(watch.look(start + seconds(60), seconds(1_000_070)), None, "ten seconds are no jump");
        let years = seconds(315_000_000);
        let forward = watch.look(start + seconds(120), seconds(1_000_130) + years);
        assert_eq!(forward, Some(Jump { direction: Direction::Forward, by: years }));
        assert_eq!(watch.look(start + seconds(180), seconds(1_000_190) + years), None);
        let back = watch.look(start + seconds(240), seconds(0));
        assert_eq!(back, Some(Jump { direction: Direction::Back, by: years + seconds(1_000_250) }));
    }

    #[test]
    fn no_time_is_too_odd() {
        let mut watch = ClockWatch::default();
        let now = Instant::now();
        assert_eq!(watch.look(now, Duration::MAX), None);
        assert_eq!(watch.look(now + Duration::from_secs(9), Duration::MAX), None);
        assert!(watch.look(now, Duration::ZERO).is_some(), "and back");
    }
}
