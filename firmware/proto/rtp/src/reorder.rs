//! Reorder buffer for pictures: packets that follow each other pass at once, those behind a hole wait for it to fill.
//!
//! How long is learnt from how late packets were that did fill a hole: between 50 and 150 ms.
//!
//! ```text
//!  (in order) ─hole─▶ (waiting) ─filled─▶ (in order)
//!                         └─deadline, or too many wait─▶ the hole is given up: After::Gap, (in order)
//! ```

use crate::packet::SeqNo;
use crate::payload::After;
use base::limits;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

/// Wait until something was learnt.
const START_WAIT: Duration = Duration::from_millis(100);
/// Least wait.
const MIN_WAIT: Duration = Duration::from_millis(50);
/// Longest wait.
const MAX_WAIT: Duration = Duration::from_millis(150);
/// Sequence numbers further off are another stream's; see [`crate::jitter`].
const MAX_JUMP: i64 = 1_000;
/// Holes given up that are remembered, to learn from packets that come all the same.
const GIVEN_UP: usize = 128;

/// A packet in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordered<T> {
    /// What came before it.
    pub after: After,
    /// What was pushed.
    pub item: T,
}

/// The buffer. Holds at most [`limits::JITTER_PACKETS`].
#[derive(Debug)]
pub struct ReorderBuffer<T> {
    seq: SeqNo,
    next: Option<i64>,
    held: BTreeMap<i64, (Instant, T)>,
    /// Since when the next packet is missing.
    waiting: Option<Instant>,
    wait: Duration,
    gap: After,
    suspect: Option<(u16, Instant, T)>,
    given_up: VecDeque<(i64, Instant)>,
    late: u64,
}

impl<T> Default for ReorderBuffer<T> {
    fn default() -> Self {
        Self {
            seq: SeqNo::default(),
            next: None,
            held: BTreeMap::new(),
            waiting: None,
            wait: START_WAIT,
            gap: After::Neighbour,
            suspect: None,
            given_up: VecDeque::new(),
            late: 0,
        }
    }
}

impl<T> ReorderBuffer<T> {
    /// Takes a packet that came at `now`.
    pub fn push(&mut self, now: Instant, sequence: u16, item: T) {
        let jump = self.next.is_some_and(|next| (self.seq.peek(sequence) - next).abs() > MAX_JUMP);
        if !jump {
            self.suspect = None;
            return self.take(now, sequence, item);
        }
        match self.suspect.take() {
            Some((first, at, its_item)) if first.wrapping_add(1) == sequence => {
                self.reset();
                self.gap = After::Gap;
                self.take(at, first, its_item);
                self.take(now, sequence, item);
            }
            _ => self.suspect = Some((sequence, now, item)),
        }
    }

    /// Hands out the next packet in order, if it is here or given up; call until `None`.
    pub fn pop(&mut self, now: Instant) -> Option<Ordered<T>> {
        let next = self.next?;
        let (&head, &(arrived, _)) = self.held.first_key_value()?;
        if head > next {
            let since = *self.waiting.get_or_insert(arrived);
            let full = self.held.len() >= limits::JITTER_PACKETS;
            if !full && now < since + self.wait {
                return None;
            }
            self.give_up(next, head, since);
        } else if let Some(since) = self.waiting.take() {
            self.learn(now.saturating_duration_since(since));
        }
        self.waiting = None;
        let (seq, (_, item)) = self.held.pop_first()?;
        self.next = Some(seq + 1);
        Some(Ordered { after: std::mem::replace(&mut self.gap, After::Neighbour), item })
    }

    /// When a hole is given up. Call [`pop`](Self::pop) then.
    #[must_use]
    pub fn poll_at(&self) -> Option<Instant> {
        self.waiting.map(|since| since + self.wait)
    }

    /// Forgets the stream (another SSRC).
    pub fn reset(&mut self) {
        *self = Self { wait: self.wait, late: self.late, ..Self::default() };
    }

    /// Packets that came after they were given up, or twice.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }

    fn take(&mut self, now: Instant, sequence: u16, item: T) {
        let seq = self.seq.unwrap(sequence);
        let next = *self.next.get_or_insert(seq);
        if seq < next || self.held.contains_key(&seq) {
            self.late += 1;
            if let Some(at) = self.given_up.iter().position(|(given_up, _)| *given_up == seq)
                && let Some((_, since)) = self.given_up.remove(at)
            {
                self.learn(now.saturating_duration_since(since));
            }
            return;
        }
        self.held.insert(seq, (now, item));
    }

    fn give_up(&mut self, next: i64, head: i64, since: Instant) {
        self.gap = After::Gap;
        for seq in (next..head).take(GIVEN_UP) {
            self.given_up.push_back((seq, since));
        }
        let over = self.given_up.len().saturating_sub(GIVEN_UP);
        self.given_up.drain(..over);
        self.wait = (self.wait * 49 / 50).max(MIN_WAIT);
    }

    fn learn(&mut self, lateness: Duration) {
        self.wait = self.wait.max(lateness + lateness / 4).min(MAX_WAIT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use After::{Gap, Neighbour};
    use proptest::prelude::*;

    const MS: Duration = Duration::from_millis(1);

    fn drain(buffer: &mut ReorderBuffer<u16>, now: Instant) -> Vec<(u16, After)> {
        std::iter::from_fn(|| buffer.pop(now)).map(|ordered| (ordered.item, ordered.after)).collect()
    }

    fn push(buffer: &mut ReorderBuffer<u16>, now: Instant, seq: u16) -> Vec<(u16, After)> {
        buffer.push(now, seq, seq);
        drain(buffer, now)
    }

    #[test]
    fn packets_in_order_pass_at_once_over_the_wrap() {
        let (mut buffer, now) = (ReorderBuffer::default(), Instant::now());
        for seq in [65_534, 65_535, 0, 1] {
            assert_eq!(push(&mut buffer, now, seq), [(seq, Neighbour)]);
            assert_eq!(buffer.poll_at(), None);
        }
    }

    #[test]
    fn a_packet_that_was_overtaken_is_waited_for() {
        let (mut buffer, now) = (ReorderBuffer::default(), Instant::now());
        push(&mut buffer, now, 1);
        assert_eq!(push(&mut buffer, now, 3), []);
        assert_eq!(push(&mut buffer, now + 20 * MS, 4), []);
        assert_eq!(push(&mut buffer, now + 90 * MS, 2), [(2, Neighbour), (3, Neighbour), (4, Neighbour)]);
        assert_eq!(buffer.poll_at(), None);
        // and a longer wait is learnt from it
        assert_eq!(buffer.wait, 90 * MS * 5 / 4);
    }

    #[test]
    fn a_hole_is_given_up_at_its_deadline_and_told_once() {
        let (mut buffer, now) = (ReorderBuffer::default(), Instant::now());
        push(&mut buffer, now, 1);
        push(&mut buffer, now, 3);
        push(&mut buffer, now, 4);
        let deadline = buffer.poll_at().unwrap();
        assert_eq!(deadline, now + START_WAIT);
        assert_eq!(drain(&mut buffer, deadline - MS), []);
        assert_eq!(drain(&mut buffer, deadline), [(3, Gap), (4, Neighbour)]);
        // what comes later is dropped and counted
        assert_eq!(push(&mut buffer, deadline, 2), []);
        assert_eq!(buffer.late(), 1);
    }

    #[test]
    fn each_hole_has_its_own_deadline() {
        let (mut buffer, now) = (ReorderBuffer::default(), Instant::now());
        push(&mut buffer, now, 1);
        push(&mut buffer, now, 3);
        push(&mut buffer, now + 60 * MS, 5);
        let first = buffer.poll_at().unwrap();
        assert_eq!(drain(&mut buffer, first), [(3, Gap)]);
        let second = buffer.poll_at().unwrap();
        assert!(second > first);
        assert_eq!(drain(&mut buffer, second), [(5, Gap)]);
    }

    #[test]
    fn a_sender_that_starts_over_is_followed_at_its_second_packet() {
        let (mut buffer, now) = (ReorderBuffer::default(), Instant::now());
        push(&mut buffer, now, 1);
        assert_eq!(push(&mut buffer, now, 30_000), []);
        assert_eq!(push(&mut buffer, now, 2), [(2, Neighbour)]);
        assert_eq!(push(&mut buffer, now, 40_000), []);
        assert_eq!(push(&mut buffer, now, 40_001), [(40_000, Gap), (40_001, Neighbour)]);
    }

    proptest! {
        #[test]
        fn whatever_comes_leaves_in_order_and_within_bounds(
            packets in proptest::collection::vec((any::<u16>().prop_map(|s| s % 700), 0..30_u64), 0..800),
        ) {
            let (mut buffer, mut now) = (ReorderBuffer::default(), Instant::now());
            let mut last = None;
            for (seq, wait) in packets {
                now += Duration::from_millis(wait);
                for (seq, _) in push(&mut buffer, now, seq) {
                    prop_assert!(last.is_none_or(|last| last < seq));
                    last = Some(seq);
                }
                prop_assert!(buffer.held.len() <= limits::JITTER_PACKETS);
                prop_assert!(buffer.held.is_empty() || buffer.poll_at().is_some());
            }
        }
    }
}
