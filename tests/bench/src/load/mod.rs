//! Who makes the load: a room, the people of a meeting, and streams for peers. None of it counts as the gateway's work.

pub mod meeting;
pub mod neighbours;
pub mod player;
pub mod room;
pub mod sip;

use std::time::{Duration, Instant};

/// Time between two pictures.
pub const PICTURE_TIME: Duration = Duration::from_nanos(1_000_000_000 / 30);
/// Time between two packets of sound.
pub const SOUND_TIME: Duration = Duration::from_millis(20);

/// Tells when the next of something that comes at a steady beat is due.
#[derive(Debug, Clone, Copy)]
pub struct Beat {
    start: Instant,
    period: Duration,
    count: u32,
}

impl Beat {
    /// A beat whose first stroke is at `start`.
    #[must_use]
    pub const fn new(start: Instant, period: Duration) -> Self {
        Self { start, period, count: 0 }
    }

    /// When the next stroke is due.
    #[must_use]
    pub fn due(&self) -> Instant {
        self.start + self.period * self.count
    }

    /// The number of the stroke that is due at `now`, if one is; it is then done.
    pub fn stroke(&mut self, now: Instant) -> Option<u32> {
        let due = now >= self.due();
        due.then(|| {
            self.count += 1;
            self.count - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_beat_catches_up_and_keeps_its_rate() {
        let start = Instant::now();
        let mut beat = Beat::new(start, SOUND_TIME);
        assert_eq!(beat.stroke(start), Some(0));
        assert_eq!(beat.stroke(start), None);
        let late = start + SOUND_TIME * 2;
        assert_eq!((beat.stroke(late), beat.stroke(late), beat.stroke(late)), (Some(1), Some(2), None));
        assert_eq!(beat.due(), start + SOUND_TIME * 3);
    }
}
