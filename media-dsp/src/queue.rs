//! A bounded queue: a full one drops its oldest frame and counts, never waits.
//!
//! Only frames are dropped. What else crosses (steps, key requests, failures) is small and rare, and has a bound of its
//! own far above what an engine sends.

use base::limits;
use std::collections::VecDeque;

/// Most commands or reports besides frames that wait in a queue.
const OTHERS: usize = 4096;

/// What may wait in a queue.
pub trait Item {
    /// May be dropped when the queue is full.
    fn is_frame(&self) -> bool;

    /// Takes note that `dropped` is missing before it, if both are of one stream; false if they are not.
    fn follows(&mut self, dropped: &Self) -> bool;
}

/// What waits, the oldest first.
#[derive(Debug)]
pub struct Queue<T> {
    items: VecDeque<T>,
    frames: usize,
    dropped: u64,
    most_frames: usize,
    most_others: usize,
}

impl<T: Item> Default for Queue<T> {
    /// One with as much room as there is between an engine and a worker.
    fn default() -> Self {
        Self::new(limits::RING_FRAMES, OTHERS)
    }
}

impl<T: Item> Queue<T> {
    /// A queue for `frames` frames and `others` other items.
    #[must_use]
    pub fn new(frames: usize, others: usize) -> Self {
        Self { items: VecDeque::new(), frames: 0, dropped: 0, most_frames: frames, most_others: others }
    }

    /// Puts an item in; false if it is full of other items than frames.
    pub fn put(&mut self, mut item: T) -> bool {
        if item.is_frame() {
            if self.frames >= self.most_frames {
                self.drop_oldest_frame(&mut item);
            }
            self.frames += 1;
        } else if self.items.len() - self.frames >= self.most_others {
            return false;
        }
        self.items.push_back(item);
        true
    }

    /// The oldest item, if there is one.
    pub fn pop(&mut self) -> Option<T> {
        let item = self.items.pop_front()?;
        self.frames -= usize::from(item.is_frame());
        Some(item)
    }

    /// Nothing waits in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many frames were dropped.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Drops the oldest frame and tells the next of its stream, which may be the `new` one.
    fn drop_oldest_frame(&mut self, new: &mut T) {
        let Some(at) = self.items.iter().position(Item::is_frame) else { return };
        let Some(dropped) = self.items.remove(at) else { return };
        self.frames -= 1;
        self.dropped += 1;
        self.items.iter_mut().chain([new]).any(|item| item.follows(&dropped));
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
    fn a_full_queue_drops_its_oldest_frame_counts_it_and_keeps_the_rest() {
        let mut queue = Queue::new(2, 2);
        assert!(queue.put(Thing::Other(1)));
        (0..4).for_each(|n| assert!(queue.put(Thing::Frame(n, false))));
        assert!(queue.put(Thing::Other(2)));
        assert!(!queue.put(Thing::Other(3)), "a flood of other items is refused");
        let all: Vec<Thing> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(all, [Thing::Other(1), Thing::Frame(2, true), Thing::Frame(3, true), Thing::Other(2)]);
        assert_eq!(queue.dropped(), 2);
    }
}
