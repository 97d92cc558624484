//! When a call's sockets are read: what can't wait as soon as it is there, the rest on the beat of sound or a part of it.
//!
//! ```text
//!  plan ─▶ Readings ─▶ sockets ─┬─ AtOnce: the poller tells
//!                               └─ OnTheBeat ─▶ Moments ─▶ Looks ─▶ the shard looks by itself
//!  main picture ─▶ Pace ─ rests until ──────────────┘
//! ```
//! A wake-up costs more than what a packet costs: who waits a little reads many for one.

use crate::net::udp::Reading;
use base::Beat;
use base::machine::earliest;
use domain::media::MediaPlan;
use std::time::{Duration, Instant};

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

/// How often the main picture of a conference comes, so that nobody looks for the next one right after it: those beside it ride along with it,
/// and sound is read on the beat.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    came: Option<Instant>,
    /// From one to the next: the shortest of late.
    between: Duration,
}

impl Pace {
    /// Longest that it is taken to need. Who sends a picture now and then sends the next one at any time.
    const SLOWEST: Duration = Duration::from_millis(67);

    /// One came.
    pub fn came(&mut self, now: Instant) {
        let Some(last) = self.came.replace(now) else { return };
        let between = now.saturating_duration_since(last).min(Self::SLOWEST);
        // To expect it too early costs a look, too late a delay: a shorter time is believed at once.
        self.between = between.min(self.between + between.saturating_sub(self.between) / 8);
    }

    /// Until when the next one is not expected.
    #[must_use]
    pub fn rests(&self) -> Option<Instant> {
        Some(self.came? + self.between * 7 / 8)
    }
}

/// At which moments a socket is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moments {
    /// So many in each step of the beat.
    pub parts: u32,
    /// Until then the beat itself is enough.
    pub rests: Option<Instant>,
}

impl Moments {
    /// The first after `at`.
    #[must_use]
    pub fn after(self, beat: Beat, at: Instant) -> Instant {
        let parts = beat.divided(self.parts);
        match self.rests.filter(|until| *until > at) {
            Some(until) => beat.after(at).min(parts.at_or_after(until)),
            None => parts.after(at),
        }
    }

    /// The first that is not before `at`.
    #[must_use]
    pub fn at_or_after(self, beat: Beat, at: Instant) -> Instant {
        self.after(beat, at - Duration::from_nanos(1))
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

    /// There is a socket that is looked at at these moments.
    pub fn want(&mut self, now: Instant, moments: Moments) {
        self.next = earliest(self.next, Some(moments.after(self.beat, now)));
    }

    /// Begins one if it is time.
    pub fn begin(&mut self, now: Instant) -> Option<Look> {
        self.next.take_if(|next| *next <= now)?;
        let last = std::mem::replace(&mut self.last, now);
        Some(Look { beat: self.beat, last, now })
    }

    /// Ends one: each socket that is there is [`want`](Self::want)ed again, and what was wanted meanwhile is forgotten, as not all was known
    /// of what came.
    pub fn end(&mut self) {
        self.next = None;
    }
}

impl Look {
    /// Whether a socket that is looked at at these moments is read now.
    pub fn takes(&self, moments: Moments) -> bool {
        moments.after(self.beat, self.last) <= self.now
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

    const fn parts(parts: u32) -> Moments {
        Moments { parts, rests: None }
    }

    #[test]
    fn each_socket_is_looked_at_as_often_as_it_wants_and_both_at_moments_they_share() {
        let epoch = Instant::now();
        let ms = |ms| epoch + Duration::from_millis(ms);
        let mut looks = Looks::new(Beat::of(epoch), epoch);
        assert_eq!(looks.next(), None);
        [1, 4].into_iter().for_each(|n| looks.want(ms(1), parts(n)));
        let mut taken = Vec::new();
        while let Some(now) = looks.next().filter(|next| *next <= ms(40)) {
            let look = looks.begin(now).expect("it is time");
            taken.push((now - epoch, look.takes(parts(1)), look.takes(parts(4))));
            looks.end();
            [1, 4].into_iter().for_each(|n| looks.want(now, parts(n)));
        }
        let expected = (1..=8).map(|n| (Duration::from_millis(5 * n), n % 4 == 0, true));
        assert_eq!(taken, expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_look_that_comes_late_takes_all_that_was_due_and_one_that_comes_early_is_none() {
        let epoch = Instant::now();
        let ms = |ms| epoch + Duration::from_millis(ms);
        let mut looks = Looks::new(Beat::of(epoch), epoch);
        looks.want(ms(1), parts(4));
        assert!(looks.begin(ms(4)).is_none());
        assert_eq!(looks.next(), Some(ms(5)), "it is still to come");
        let late = looks.begin(ms(33)).expect("it is time");
        assert!(late.takes(parts(1)) && late.takes(parts(4)));
        assert_eq!(looks.next(), None, "until somebody wants one again");
    }

    #[test]
    fn what_is_wanted_in_the_middle_of_a_look_does_not_count() {
        let epoch = Instant::now();
        let ms = |ms| epoch + Duration::from_millis(ms);
        let mut looks = Looks::new(Beat::of(epoch), epoch);
        looks.want(ms(1), parts(4));
        looks.begin(ms(5)).expect("it is time");
        // A packet was read, and what it belongs to is not known yet.
        looks.want(ms(5), parts(4));
        looks.end();
        looks.want(ms(5), Moments { parts: 4, rests: Some(ms(32)) });
        assert_eq!(looks.next(), Some(ms(20)));
    }

    /// When a conference's socket is looked at while its main picture comes at these moments, in ms, and is seen at the next look.
    fn looks(came: &[u64], until: u64) -> Vec<u64> {
        let epoch = Instant::now();
        let (ms, beat) = (|ms| epoch + Duration::from_millis(ms), Beat::of(epoch));
        let (mut pace, mut at, mut came, mut looks) =
            (Pace::default(), epoch, came.iter().peekable(), Vec::new());
        loop {
            at = Moments { parts: QUARTERS, rests: pace.rests() }.after(beat, at);
            if at > ms(until) {
                return looks;
            }
            looks.push((at - epoch).as_millis() as u64);
            while came.next_if(|came| ms(**came) <= at).is_some() {
                pace.came(at);
            }
        }
    }

    #[test]
    fn right_after_a_main_picture_sound_alone_is_looked_for_and_the_next_picture_when_it_is_expected() {
        // given 30 pictures a second
        let even: Vec<u64> = (0..60).map(|n| 3 + n * 100 / 3).collect();
        let looks = looks(&even, 2_000);
        // then, when their pace is known, each is seen within a quarter of the beat
        let late = |came: &u64| looks.iter().find(|look| *look >= came).expect("a look") - came;
        let known = || even.iter().skip(30).take(25);
        assert!(known().all(|came| late(came) <= 5), "{:?}", known().map(late).collect::<Vec<_>>());
        // and there are half as many looks, sound's among them
        let last = looks.iter().filter(|look| **look > 1_000).count();
        assert!(last <= 110, "{last} looks a second");
        assert!((51..100).all(|n| looks.contains(&(20 * n))));
    }

    #[test]
    fn pictures_that_come_at_no_pace_are_looked_for_all_the_time_and_so_is_one_that_does_not_come() {
        let bursts: Vec<u64> = (0..100).flat_map(|n| [n * 30 + 1, n * 30 + 2]).collect();
        assert_eq!(looks(&bursts, 2_000).len(), 400);
        let over: Vec<u64> = (0..20).map(|n| n * 33).collect();
        let after = looks(&over, 2_000).into_iter().filter(|look| *look >= 700).count();
        assert_eq!(after, 1 + 1_300 / 5);
    }
}
