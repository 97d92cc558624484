//! A bounded [`Queue`] between two threads, whose reader may wait for what comes.

use crate::queue::{Item, Queue};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

#[derive(Debug)]
pub(crate) struct Ring<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    queue: Queue<T>,
    closed: bool,
    /// Somebody sleeps until there is an item.
    awaited: bool,
}

/// What came of waiting.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken<T> {
    /// This.
    Item(T),
    /// Nothing, and it is time.
    TimedOut,
    /// Nothing, and nothing will.
    Closed,
}

impl<T: Item> Ring<T> {
    /// One in which `queue` is.
    pub fn new(queue: Queue<T>) -> Self {
        let state = State { queue, closed: false, awaited: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
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
    pub fn put(&self, item: T) -> bool {
        let mut state = self.lock();
        !state.closed && state.queue.put(item)
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
        self.lock().queue.pop()
    }

    /// The oldest item; waits for one until `until`. A closed ring is emptied first. One thread at a time waits.
    pub fn pop(&self, until: Instant) -> Taken<T> {
        let mut state = self.lock();
        loop {
            if let Some(item) = state.queue.pop() {
                return Taken::Item(item);
            }
            if state.closed {
                return Taken::Closed;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Taken::TimedOut;
            }
            state.awaited = true;
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
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
        self.lock().queue.dropped()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[derive(Debug, Clone, PartialEq, Eq)]
    struct Thing(u32);

    impl Item for Thing {
        fn is_frame(&self) -> bool {
            true
        }

        fn follows(&mut self, _: &Self) -> bool {
            true
        }
    }

    fn ring() -> Ring<Thing> {
        Ring::new(Queue::new(2, 2))
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[test]
    fn a_closed_ring_is_emptied_and_then_says_so() {
        let ring = ring();
        ring.push(Thing(1));
        ring.close();
        assert!(!ring.push(Thing(2)));
        assert_eq!(ring.pop(soon()), Taken::Item(Thing(1)));
        assert_eq!(ring.pop(soon()), Taken::Closed);
    }

    #[test]
    fn whoever_waits_is_called_and_no_call_is_lost() {
        let (there, back) = (ring(), ring());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while let Taken::Item(thing) = there.pop(soon()) {
                    back.push(thing);
                }
            });
            for n in 0..10_000 {
                if n % 2 == 0 {
                    there.push(Thing(n));
                } else {
                    there.put(Thing(n));
                    there.call();
                }
                assert_eq!(back.pop(soon()), Taken::Item(Thing(n)));
            }
            there.close();
        });
    }

    #[test]
    fn waiting_ends_when_it_is_time() {
        assert_eq!(ring().pop(Instant::now()), Taken::TimedOut);
    }
}
