//! What a room's keys do in a call (P9): `*8` goes to the next layout. Other keys do nothing and are not passed on.
//!
//! ```text
//!  (idle) ──*──▶ (star) ──8──▶ next layout, (idle)
//!                  └── KEY_PAUSE, or any other key ──▶ (idle)
//! ```

use std::time::{Duration, Instant};

/// Longest pause between the keys of one code.
pub(super) const KEY_PAUSE: Duration = Duration::from_secs(3);

/// The keys pressed so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Keys {
    star: Option<Instant>,
}

/// What a code asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    /// The next layout.
    NextLayout,
}

impl Keys {
    /// Takes a key, and tells the code it completes.
    pub(super) fn press(&mut self, now: Instant, key: char) -> Option<Code> {
        let star = self.star.take().filter(|star| now.saturating_duration_since(*star) <= KEY_PAUSE);
        match (star, key) {
            (Some(_), '8') => Some(Code::NextLayout),
            (_, '*') => {
                self.star = Some(now);
                None
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p9_star_eight_is_the_next_layout_and_nothing_else_is() {
        let now = Instant::now();
        let codes = |pressed: &str| {
            let mut keys = Keys::default();
            pressed.chars().filter_map(|key| keys.press(now, key)).count()
        };
        assert_eq!(codes("*8"), 1);
        assert_eq!(codes("1*8*8#"), 2);
        assert_eq!(codes("**8"), 1);
        assert_eq!(codes("8*78#*18"), 0);
    }

    #[test]
    fn a_code_does_not_wait_for_ever() {
        let now = Instant::now();
        let mut keys = Keys::default();
        assert_eq!(keys.press(now, '*'), None);
        assert_eq!(keys.press(now + KEY_PAUSE + Duration::from_millis(1), '8'), None);
    }
}
