//! A bounded queue between two threads: a full one drops its oldest frame and counts, never waits.
//!
//! Only frames are dropped. What else crosses (steps, key requests, failures) is small and rare, and has a bound of its
//! own far above what an engine sends.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What may cross a ring.
pub(crate) trait Item {
    /// May be dropped when the ring is full.
    fn is_frame(&self) -> bool;

    /// Takes note that `dropped` is missing before it, if both are of one stream; false if they are not.
    fn follows(&mut self, dropped: &Self) -> bool;
}

#[derive(Debug)]
pub(crate) struct Ring<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    frames: usize,
    others: usize,
}

#[derive(Debug)]
struct State<T> {
    queue: VecDeque<T>,
    frames: usize,
    dropped: u64,
    closed: bool,
    /// Somebody sleeps until there is an item.
    awaited: bool,
}

/// What came of waiting.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken<T> {
    Item(T),
    TimedOut,
    Closed,
}

impl<T: Item> Ring<T> {
    /// A ring for `frames` frames and `others` other items.
    pub fn new(frames: usize, others: usize) -> Self {
        let state = State { queue: VecDeque::new(), frames: 0, dropped: 0, closed: false, awaited: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), frames, others }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // a panic while the lock was held leaves a queue that is still one
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an item in and calls who waits; false if the ring is closed or full of other items than frames.
    pub fn push(&self, item: T) -> bool {
        let taken = self.put(item);
        self.call();
        taken
    }

    /// Puts an item in; false if the ring is closed or full of other items than frames. Who waits is not called: see [`call`](Self::call).
    pub fn put(&self, mut item: T) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        if item.is_frame() {
            if state.frames >= self.frames {
                state.drop_oldest_frame(&mut item);
            }
            state.frames += 1;
        } else if state.queue.len() - state.frames >= self.others {
            return false;
        }
        state.queue.push_back(item);
        true
    }

    /// Calls who waits, if somebody does. Who is at work looks by itself when it is done; to call it costs more than all of a push.
    pub fn call(&self) {
        if std::mem::take(&mut self.lock().awaited) {
            self.changed.notify_one();
        }
    }

    /// Nothing waits in it.
    pub fn is_empty(&self) -> bool {
        self.lock().queue.is_empty()
    }

    /// The oldest item, if there is one.
    pub fn try_pop(&self) -> Option<T> {
        self.lock().pop()
    }

    /// The oldest item; waits for one until `until`, or for ever. A closed ring is emptied first. One thread at a time waits.
    pub fn pop(&self, until: Option<Instant>) -> Taken<T> {
        let mut state = self.lock();
        loop {
            if let Some(item) = state.pop() {
                return Taken::Item(item);
            }
            if state.closed {
                return Taken::Closed;
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Taken::TimedOut;
            }
            state.awaited = true;
            state = match left {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(left) => {
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
            state.awaited = false;
        }
    }

    /// Takes nothing more; what is in it may still be popped.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// How many frames were dropped.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }
}

impl<T: Item> State<T> {
    fn pop(&mut self) -> Option<T> {
        let item = self.queue.pop_front()?;
        self.frames -= usize::from(item.is_frame());
        Some(item)
    }

    /// Drops the oldest frame and tells the next of its stream, which may be the `new` one.
    fn drop_oldest_frame(&mut self, new: &mut T) {
        let Some(at) = self.queue.iter().position(Item::is_frame) else { return };
        let Some(dropped) = self.queue.remove(at) else { return };
        self.frames -= 1;
        self.dropped += 1;
        self.queue.iter_mut().chain([new]).any(|item| item.follows(&dropped));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq, Eq)]
    enum Thing {
        /// Number, whether one is missing before it; odd and even ones are two streams.
        Frame(u32, bool),
        Other(u32),
    }

    impl Item for Thing {
        fn is_frame(&self) -> bool {
            matches!(self, Thing::Frame(..))
        }

        fn follows(&mut self, dropped: &Self) -> bool {
            let (Thing::Frame(n, missing), Thing::Frame(lost, _)) = (self, dropped) else { return false };
            let same = *n % 2 == lost % 2;
            *missing |= same;
            same
        }
    }

    #[test]
    fn a_full_ring_drops_its_oldest_frame_counts_it_and_keeps_the_rest() {
        let ring = Ring::new(2, 2);
        assert!(ring.push(Thing::Other(1)));
        (0..4).for_each(|n| assert!(ring.push(Thing::Frame(n, false))));
        assert!(ring.push(Thing::Other(2)));
        assert!(!ring.push(Thing::Other(3)), "a flood of other items is refused");
        let all: Vec<Thing> = std::iter::from_fn(|| ring.try_pop()).collect();
        assert_eq!(all, [Thing::Other(1), Thing::Frame(2, true), Thing::Frame(3, true), Thing::Other(2)]);
        assert_eq!(ring.dropped(), 2);
    }

    #[test]
    fn a_closed_ring_is_emptied_and_then_says_so() {
        let ring = Ring::new(2, 2);
        ring.push(Thing::Other(1));
        ring.close();
        assert!(!ring.push(Thing::Other(2)));
        assert_eq!(ring.pop(None), Taken::Item(Thing::Other(1)));
        assert_eq!(ring.pop(None), Taken::Closed);
    }

    #[test]
    fn whoever_waits_is_called_and_no_call_is_lost() {
        let (there, back) = (Ring::new(2, 2), Ring::new(2, 2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while let Taken::Item(thing) = there.pop(None) {
                    back.push(thing);
                }
            });
            for n in 0..10_000 {
                if n % 2 == 0 {
                    there.push(Thing::Frame(n, false));
                } else {
                    there.put(Thing::Frame(n, false));
                    there.call();
                }
                let soon = Instant::now() + std::time::Duration::from_secs(10);
                assert_eq!(back.pop(Some(soon)), Taken::Item(Thing::Frame(n, false)));
            }
            there.close();
        });
    }

    #[test]
    fn waiting_ends_when_it_is_time() {
        let ring: Ring<Thing> = Ring::new(2, 2);
        assert_eq!(ring.pop(Some(Instant::now())), Taken::TimedOut);
    }
}
