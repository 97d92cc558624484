//! From a key's level, which bounces, to what somebody did with it.
//!
//! ```text
//!  (up) ──down for BOUNCE──▶ Pressed (down) ──HOLD──▶ Held (held) ──every REPEAT──▶ Repeated
//!    ▲                          │                       │
//!    └──────up for BOUNCE───────┴──── Released ◀────────┘
//! ```

use super::keys::{Act, Key, KeyEvent};
use base::{Machine, Output, earliest};
use std::convert::Infallible;
use std::time::{Duration, Instant};

/// A level counts when it has stood for so long. Cheap keys bounce for up to 10 ms.
pub const BOUNCE: Duration = Duration::from_millis(20);
/// A key that is down for so long is held.
pub const HOLD: Duration = Duration::from_secs(1);
/// A held key repeats at this pace.
pub const REPEAT: Duration = Duration::from_millis(150);

/// What a key's contact says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The key is down.
    Down,
    /// The key is up.
    Up,
}

/// One key. Takes each level that its contact says, and `None` when it is time.
#[derive(Debug, Clone)]
pub struct Debounce {
    key: Key,
    /// What the contact says, and since when.
    raw: (Level, Instant),
    /// What counts.
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Up,
    Down {
        /// When it is held.
        hold: Instant,
    },
    Held {
        /// When it repeats.
        repeat: Instant,
    },
}

impl Debounce {
    /// A key that is up.
    #[must_use]
    pub fn new(key: Key, now: Instant) -> Self {
        Self { key, raw: (Level::Up, now), state: State::Up }
    }

    fn wake(&self) -> Option<Instant> {
        let settles = (self.raw.0 != self.state.level()).then(|| self.raw.1 + BOUNCE);
        let timer = match self.state {
            State::Up => None,
            State::Down { hold } => Some(hold),
            State::Held { repeat } => Some(repeat),
        };
        earliest(settles, timer)
    }
}

impl State {
    fn level(self) -> Level {
        match self {
            Self::Up => Level::Up,
            Self::Down { .. } | Self::Held { .. } => Level::Down,
        }
    }
}

impl Machine for Debounce {
    type Input<'a> = Option<Level>;
    type Effect = Infallible;
    type Event = KeyEvent;

    fn step(
        &mut self,
        now: Instant,
        input: Option<Level>,
        mut sink: impl FnMut(Output<Infallible, KeyEvent>),
    ) -> Option<Instant> {
        let key = self.key;
        let mut tell = |act| sink(Output::Event(KeyEvent { key, act }));
        let (raw, since) = self.raw;
        let settled = (now.saturating_duration_since(since) >= BOUNCE).then_some(raw);
        self.state = match (self.state, settled) {
            (State::Up, Some(Level::Down)) => {
                tell(Act::Pressed);
                State::Down { hold: now + HOLD }
            }
            (State::Down { .. } | State::Held { .. }, Some(Level::Up)) => {
                tell(Act::Released);
                State::Up
            }
            (State::Down { hold }, _) if now >= hold => {
                tell(Act::Held);
                State::Held { repeat: now + REPEAT }
            }
            (State::Held { repeat }, _) if now >= repeat => {
                tell(Act::Repeated);
                State::Held { repeat: now + REPEAT }
            }
            (state, _) => state,
        };
        if let Some(level) = input.filter(|level| *level != raw) {
            self.raw = (level, now);
        }
        self.wake()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    /// Turns a key through `levels` (milliseconds, level), waking it when it asks, until `end`; what it told, and when.
    fn told(levels: &[(u32, Level)], end: u32) -> Vec<(u32, Act)> {
        let start = Instant::now();
        let mut key = Debounce::new(Key::Up, start);
        let mut wake = None;
        let mut told = Vec::new();
        for ms in 0..=end {
            let now = start + MS * ms;
            let mut tell = |output| {
                let Output::Event(KeyEvent { act, .. }) = output;
                told.push((ms, act));
            };
            if wake.is_some_and(|wake| now >= wake) {
                wake = key.step(now, None, &mut tell);
            }
            for (_, level) in levels.iter().filter(|(at, _)| *at == ms) {
                wake = key.step(now, Some(*level), &mut tell);
            }
        }
        told
    }

    #[test]
    fn a_press_that_bounces_is_one_press() {
        let mut levels = Vec::new();
        for ms in (100..110).step_by(2) {
            levels.extend([(ms, Level::Down), (ms + 1, Level::Up)]);
        }
        levels.push((110, Level::Down));
        levels.extend([(200, Level::Up), (201, Level::Down), (203, Level::Up)]);
        assert_eq!(told(&levels, 1000), [(130, Act::Pressed), (223, Act::Released)]);
    }

    #[test]
    fn a_spike_is_no_press() {
        assert_eq!(told(&[(100, Level::Down), (119, Level::Up)], 1000), []);
    }

    #[test]
    fn a_key_that_stays_down_is_held_once_and_then_repeats() {
        let acts = told(&[(0, Level::Down), (1400, Level::Up)], 2000);
        let expected = [
            (20, Act::Pressed),
            (1020, Act::Held),
            (1170, Act::Repeated),
            (1320, Act::Repeated),
            (1420, Act::Released),
        ];
        assert_eq!(acts, expected);
    }

    #[test]
    fn a_woken_key_whose_level_never_changed_says_nothing() {
        let now = Instant::now();
        let mut key = Debounce::new(Key::Back, now);
        let wake = key.step(now + Duration::from_secs(9), Some(Level::Up), |output| panic!("{output:?}"));
        assert_eq!(wake, None);
    }

    proptest! {
        #[test]
        fn presses_and_releases_take_turns_and_end_where_the_contact_rests(
            edges in prop::collection::vec((0u32..3000, prop::bool::ANY), 0..60),
        ) {
            let mut levels: Vec<_> =
                edges.into_iter().map(|(at, down)| (at, if down { Level::Down } else { Level::Up })).collect();
            levels.sort_by_key(|(at, _)| *at);
            let acts = told(&levels, 6000);
            let mut down = false;
            for (at, act) in &acts {
                match act {
                    Act::Pressed => prop_assert!(!std::mem::replace(&mut down, true), "pressed twice at {}", at),
                    Act::Released => prop_assert!(std::mem::replace(&mut down, false), "released twice at {}", at),
                    Act::Held | Act::Repeated => prop_assert!(down, "{:?} at {} while up", act, at),
                }
            }
            let rests = levels.last().is_some_and(|(_, level)| *level == Level::Down);
            prop_assert_eq!(down, rests);
        }
    }
}
