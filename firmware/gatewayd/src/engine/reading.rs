//! When a call's sockets are read: what can't wait as soon as it is there, the rest on the beat of sound or a part of it.
//!
//! ```text
//!  plan ─▶ Readings ─▶ sockets ─┬─ AtOnce: the poller tells
//!                               └─ OnTheBeat ─▶ Looks ─▶ the shard looks by itself
//! ```
//! A wake-up costs more than what a packet costs: who waits a little reads many for one.

use crate::net::udp::Reading;
use base::Beat;
use base::machine::earliest;
use domain::media::MediaPlan;
use std::time::Instant;

/// A call with pictures goes by a quarter of the beat, 5 ms. Its conference sends eight streams of pictures and three voices, 400 moments a
/// second that know nothing of each other; a picture is later by half of it on average.
pub const QUARTERS: u32 = 4;

/// How a call's sockets are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readings {
    /// The port of the room's sound.
    pub room_sound: Reading,
    /// The conference's port.
    pub conference: Reading,
}

impl Readings {
    /// Sound is played out on the beat: that is when it is read. A room's has a port of its own. The conference's shares its port with
    /// pictures, which can't wait so long; without any, all of it can. A room's pictures have a port of their own as well, all packets of
    /// one come together, and are read at once.
    pub fn of(plan: &MediaPlan) -> Self {
        let on_the_beat = |parts| Reading::OnTheBeat { parts };
        let sounds = plan.up.sound.is_some();
        let pictures = plan.up.picture.is_some() || plan.down.picture.is_some();
        Self {
            room_sound: if sounds { on_the_beat(1) } else { Reading::AtOnce },
            conference: match (pictures, sounds) {
                (true, _) => on_the_beat(QUARTERS),
                (false, true) => on_the_beat(1),
                (false, false) => Reading::AtOnce,
            },
        }
    }
}

/// When a shard looks at sockets that nobody tells of.
#[derive(Debug)]
pub struct Looks {
    beat: Beat,
    last: Instant,
    next: Option<Instant>,
}

/// One look at them.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    beat: Beat,
    last: Instant,
    now: Instant,
}

impl Looks {
    /// None yet, on the `beat` of the media clock that began at `epoch`.
    pub fn new(beat: Beat, epoch: Instant) -> Self {
        Self { beat, last: epoch, next: None }
    }

    /// When it is time.
    pub fn next(&self) -> Option<Instant> {
        self.next
    }

    /// There is a socket that is read `parts` times in each step of the beat.
    pub fn want(&mut self, now: Instant, parts: u32) {
        self.next = earliest(self.next, Some(self.beat.divided(parts).after(now)));
    }

    /// Begins one if it is time. Each socket that is there must then be [`want`](Self::want)ed again.
    pub fn begin(&mut self, now: Instant) -> Option<Look> {
        self.next.take_if(|next| *next <= now)?;
        let last = std::mem::replace(&mut self.last, now);
        Some(Look { beat: self.beat, last, now })
    }
}

impl Look {
    /// Whether a socket that is read `parts` times in each step of the beat is read now.
    pub fn takes(&self, parts: u32) -> bool {
        self.beat.divided(parts).after(self.last) <= self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::ids::StreamId;
    use base::{Codec, Size};
    use domain::media::{Composition, Indicators, Sound};
    use std::time::Duration;

    const ON_THE_BEAT: Reading = Reading::OnTheBeat { parts: 1 };
    const ON_A_PART: Reading = Reading::OnTheBeat { parts: QUARTERS };

    fn with_sound() -> MediaPlan {
        let (frame_time, inputs) = (Duration::from_millis(20), vec![StreamId(1)]);
        let sound = Sound {
            inputs,
            sink: StreamId(2),
            codec: Codec::Opus,
            bps: 48_000,
            expected_loss: 0,
            frame_time,
        };
        let mut plan = MediaPlan::default();
        plan.up.sound = Some(sound);
        plan
    }

    fn with_pictures(mut plan: MediaPlan) -> MediaPlan {
        plan.down.picture = Some(Composition {
            sink: StreamId(3),
            codec: Codec::H264,
            canvas: Size::P360,
            max_fps: 30,
            bps: 1_000_000,
            max_nal_bytes: None,
            tiles: Vec::new(),
            indicators: Indicators::default(),
        });
        plan
    }

    #[test]
    fn sound_alone_waits_for_the_beat_and_pictures_for_a_quarter_of_it_as_long_as_there_are_any() {
        let of = |plan: &MediaPlan| {
            let readings = Readings::of(plan);
            (readings.room_sound, readings.conference)
        };
        let (nothing, sound) = (MediaPlan::default(), with_sound());
        assert_eq!(of(&nothing), (Reading::AtOnce, Reading::AtOnce), "what sets a call up can't wait");
        assert_eq!(of(&sound), (ON_THE_BEAT, ON_THE_BEAT));
        assert_eq!(of(&with_pictures(sound)), (ON_THE_BEAT, ON_A_PART));
        assert_eq!(of(&with_pictures(nothing)), (Reading::AtOnce, ON_A_PART));
    }

    #[test]
    fn each_socket_is_looked_at_as_often_as_it_wants_and_both_at_moments_they_share() {
        let epoch = Instant::now();
        let ms = |ms| epoch + Duration::from_millis(ms);
        let mut looks = Looks::new(Beat::of(epoch), epoch);
        assert_eq!(looks.next(), None);
        [1, 4].into_iter().for_each(|parts| looks.want(ms(1), parts));
        let mut taken = Vec::new();
        while let Some(now) = looks.next().filter(|next| *next <= ms(40)) {
            let look = looks.begin(now).expect("it is time");
            taken.push((now - epoch, look.takes(1), look.takes(4)));
            [1, 4].into_iter().for_each(|parts| looks.want(now, parts));
        }
        let expected = (1..=8).map(|n| (Duration::from_millis(5 * n), n % 4 == 0, true));
        assert_eq!(taken, expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_look_that_comes_late_takes_all_that_was_due_and_one_that_comes_early_is_none() {
        let epoch = Instant::now();
        let ms = |ms| epoch + Duration::from_millis(ms);
        let mut looks = Looks::new(Beat::of(epoch), epoch);
        looks.want(ms(1), 4);
        assert!(looks.begin(ms(4)).is_none());
        assert_eq!(looks.next(), Some(ms(5)), "it is still to come");
        let late = looks.begin(ms(33)).expect("it is time");
        assert!(late.takes(1) && late.takes(4));
        assert_eq!(looks.next(), None, "until somebody wants one again");
    }
}
