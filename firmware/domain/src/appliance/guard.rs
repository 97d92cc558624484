//! A door that opens ever more slowly for whoever guesses.

use std::time::{Duration, Instant};

/// Wrong tries that cost nothing but the try.
pub const FREE_TRIES: u32 = 5;
/// The wait after the first wrong try beyond them; each further one doubles it.
pub const FIRST_WAIT: Duration = Duration::from_secs(30);
/// The longest wait.
pub const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// Counts wrong tries at one door.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    wrong: u32,
    closed_until: Option<Instant>,
}

/// The door is closed for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many wrong tries; try again in {} s", .0.as_secs().max(1))]
pub struct Closed(pub Duration);

impl Guard {
    /// Whether a try may be made.
    ///
    /// # Errors
    /// For how long not.
    pub fn ask(&self, now: Instant) -> Result<(), Closed> {
        let left = self.closed_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        if left.is_zero() { Ok(()) } else { Err(Closed(left)) }
    }

    /// The try was wrong.
    pub fn wrong(&mut self, now: Instant) {
        self.wrong = self.wrong.saturating_add(1);
        if let Some(beyond) = self.wrong.checked_sub(FREE_TRIES) {
            let doubled = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(beyond.min(16)));
            self.closed_until = Some(now + doubled.min(LONGEST_WAIT));
        }
    }

    /// The try was right.
    pub fn right(&mut self) {
        *self = Self::default();
    }

    /// Wrong tries since the last right one.
    #[must_use]
    pub fn wrong_tries(&self) -> u32 {
        self.wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_gets_slower_until_one_try_an_hour() {
        let (mut guard, mut now) = (Guard::default(), Instant::now());
        let begin = now;
        let mut tries = 0;
        while now < begin + Duration::from_secs(86_400) {
            match guard.ask(now) {
                Ok(()) => {
                    tries += 1;
                    guard.wrong(now);
                }
                Err(Closed(wait)) => now += wait,
            }
        }
        assert!((24..=40).contains(&tries), "{tries} tries on the first day");
        guard.right();
        assert_eq!((guard.ask(now), guard.wrong_tries()), (Ok(()), 0));
    }

    #[test]
    fn the_first_mistakes_cost_nothing() {
        let (mut guard, now) = (Guard::default(), Instant::now());
        for _ in 1..FREE_TRIES {
            guard.wrong(now);
            assert_eq!(guard.ask(now), Ok(()));
        }
        guard.wrong(now);
        assert_eq!(guard.ask(now), Err(Closed(FIRST_WAIT)));
        assert_eq!(guard.ask(now + FIRST_WAIT), Ok(()));
    }
}
