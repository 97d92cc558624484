//! Pacing: a leaky bucket that spreads a picture's packets over most of a frame time, so that a keyframe does not
//! overrun the peer's or a switch's queue.
//!
//! Small pictures leave at once: the bucket takes some packets before it makes any wait.

use base::limits;
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What may leave at once, in bytes: a picture of 2 Mbit/s at 30 a second, which then needs no second wake-up. A box that does not pace at all, as
/// most rooms don't, sends as much.
const BURST: f64 = 8.0 * limits::RTP_PACKET_BYTES as f64;
/// Shortest wait, so that timers are not woken for each packet.
const QUANTUM: Duration = Duration::from_millis(2);
/// Share of a frame time that a picture is spread over.
const SPREAD: f64 = 0.8;
/// Most packets waiting.
const MAX_PACKETS: usize = 2 * limits::VIDEO_FRAME_PACKETS;

/// The queue is full; the whole picture must be dropped, and a keyframe made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("pacing queue holds {MAX_PACKETS} packets; send less")]
pub struct Full;

/// A queue of packets with their turn.
#[derive(Debug, Default)]
pub struct Pacer {
    queue: VecDeque<Bytes>,
    bytes: usize,
    /// Bytes per second.
    rate: f64,
    /// Bytes that may leave now; negative after a burst.
    allowance: f64,
    filled: Option<Instant>,
}

impl Pacer {
    /// Queues the packets of one picture to leave within `frame_time`.
    ///
    /// # Errors
    /// [`Full`], and nothing is queued.
    pub fn push(&mut self, now: Instant, frame_time: Duration, packets: Vec<Bytes>) -> Result<(), Full> {
        if self.queue.len() + packets.len() > MAX_PACKETS {
            return Err(Full);
        }
        self.fill(now);
        self.bytes += packets.iter().map(Bytes::len).sum::<usize>();
        self.queue.extend(packets);
        self.rate = self.bytes as f64 / (frame_time.as_secs_f64().max(0.005) * SPREAD);
        Ok(())
    }

    /// Hands out the next packet if it is its turn; call until `None`.
    pub fn pop(&mut self, now: Instant) -> Option<Bytes> {
        self.fill(now);
        if self.allowance < 0.0 {
            return None;
        }
        let packet = self.queue.pop_front()?;
        self.bytes -= packet.len();
        self.allowance -= packet.len() as f64;
        Some(packet)
    }

    /// When the next packet leaves.
    #[must_use]
    pub fn poll_at(&self) -> Option<Instant> {
        self.queue.front()?;
        if self.allowance >= 0.0 {
            return self.filled;
        }
        let wait = Duration::from_secs_f64((-self.allowance / self.rate.max(1.0)).clamp(0.0, 1.0));
        Some(self.filled? + wait.max(QUANTUM))
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled.unwrap_or(now)).as_secs_f64();
        let most = BURST.max(self.rate * 2.0 * QUANTUM.as_secs_f64());
        self.allowance = match self.filled {
            // a queue that stood empty does not owe anything
            None => most,
            Some(_) => (self.allowance + self.rate.max(BURST * 10.0) * passed).min(most),
        };
        self.filled = Some(self.filled.map_or(now, |filled| filled.max(now)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(33);

    fn packets(count: usize) -> Vec<Bytes> {
        vec![Bytes::from_static(&[0; 1200]); count]
    }

    /// When each packet leaves, in ms.
    fn leave(pacer: &mut Pacer, start: Instant) -> Vec<u128> {
        let mut out = Vec::new();
        while let Some(at) = pacer.poll_at() {
            while pacer.pop(at).is_some() {
                out.push(at.duration_since(start).as_millis());
            }
        }
        out
    }

    #[test]
    fn pictures_of_2_mbit_a_second_leave_at_once() {
        let (mut pacer, now) = (Pacer::default(), Instant::now());
        for n in 0..30 {
            pacer.push(now + FRAME * n, FRAME, packets(7)).unwrap();
            assert_eq!(leave(&mut pacer, now + FRAME * n), [0; 7], "{n}");
        }
    }

    #[test]
    fn a_keyframe_is_spread_over_a_frame_time_and_never_beyond() {
        let (mut pacer, now) = (Pacer::default(), Instant::now());
        pacer.push(now, FRAME, packets(60)).unwrap();
        let out = leave(&mut pacer, now);
        assert_eq!(out.len(), 60);
        assert!((18..=33).contains(out.last().unwrap()), "{out:?}");
        let burst = (0..33).map(|ms| out.iter().filter(|at| **at == ms).count()).max();
        assert!(burst <= Some(12), "{out:?}");
    }

    #[test]
    fn a_queue_that_is_full_takes_no_half_pictures() {
        let (mut pacer, now) = (Pacer::default(), Instant::now());
        assert_eq!(pacer.push(now, FRAME, packets(MAX_PACKETS)), Ok(()));
        assert_eq!(pacer.push(now, FRAME, packets(1)), Err(Full));
        assert_eq!(leave(&mut pacer, now).len(), MAX_PACKETS);
    }
}
