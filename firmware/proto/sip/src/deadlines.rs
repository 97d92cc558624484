//! When to wake: the few timers of one machine, and the wake-ups of thousands of machines.
//!
//! [`Deadlines`] is a handful, searched in order. [`Schedule`] is a sorted set, so that a step costs the logarithm
//! of the number of calls, and a timer that is set anew leaves nothing of its old time behind.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Instant;

/// The timers of one machine: at most one moment for each timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadlines<T> {
    armed: Vec<(Instant, T)>,
}

impl<T> Default for Deadlines<T> {
    fn default() -> Self {
        Self { armed: Vec::new() }
    }
}

impl<T: Copy + PartialEq> Deadlines<T> {
    /// Sets `timer` to fire at `at`, in place of any earlier setting.
    pub fn arm(&mut self, timer: T, at: Instant) {
        self.disarm(timer);
        self.armed.push((at, timer));
    }

    /// Stops `timer`.
    pub fn disarm(&mut self, timer: T) {
        self.armed.retain(|(_, armed)| *armed != timer);
    }

    /// Stops all of them.
    pub fn clear(&mut self) {
        self.armed.clear();
    }

    /// Whether `timer` runs.
    #[must_use]
    pub fn is_armed(&self, timer: T) -> bool {
        self.armed.iter().any(|(_, armed)| *armed == timer)
    }

    /// When the next one fires.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.armed.iter().map(|(at, _)| *at).min()
    }

    /// Takes the earliest one that is due at `now`.
    pub fn take_due(&mut self, now: Instant) -> Option<T> {
        let earliest = self.next().filter(|at| *at <= now)?;
        let index = self.armed.iter().position(|(at, _)| *at == earliest)?;
        Some(self.armed.remove(index).1)
    }
}

/// The wake-ups of many machines, one for each key.
#[derive(Debug)]
pub struct Schedule<K> {
    by_time: BTreeSet<(Instant, K)>,
    by_key: HashMap<K, Instant>,
}

impl<K> Default for Schedule<K> {
    fn default() -> Self {
        Self { by_time: BTreeSet::new(), by_key: HashMap::new() }
    }
}

impl<K: Copy + Ord + Hash> Schedule<K> {
    /// Wakes `key` at `at`, or never.
    pub fn set(&mut self, key: K, at: Option<Instant>) {
        let old = match at {
            Some(at) => self.by_key.insert(key, at),
            None => self.by_key.remove(&key),
        };
        if old == at {
            return;
        }
        if let Some(old) = old {
            self.by_time.remove(&(old, key));
        }
        if let Some(at) = at {
            self.by_time.insert((at, key));
        }
    }

    /// When the next one wakes.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes the earliest key that is due at `now`.
    pub fn take_due(&mut self, now: Instant) -> Option<K> {
        let (at, key) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.by_time.remove(&(at, key));
        self.by_key.remove(&key);
        Some(key)
    }

    /// Nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_time.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_timer_set_anew_fires_once_at_its_new_time() {
        let start = Instant::now();
        let mut timers = Deadlines::default();
        timers.arm('a', start + Duration::from_secs(1));
        timers.arm('a', start + Duration::from_secs(2));
        assert_eq!(timers.take_due(start + Duration::from_secs(1)), None);
        assert_eq!(timers.take_due(start + Duration::from_secs(2)), Some('a'));
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn a_schedule_gives_keys_in_order_of_time_and_forgets_what_is_taken_back() {
        let start = Instant::now();
        let at = |seconds| Some(start + Duration::from_secs(seconds));
        let mut schedule = Schedule::default();
        schedule.set(1, at(3));
        schedule.set(2, at(1));
        schedule.set(3, at(2));
        schedule.set(1, at(1));
        schedule.set(3, None);
        let late = start + Duration::from_secs(9);
        assert_eq!(schedule.take_due(start), None);
        assert_eq!((schedule.take_due(late), schedule.take_due(late)), (Some(1), Some(2)));
        assert!(schedule.take_due(late).is_none() && schedule.is_empty());
    }
}
