//! What a sender sends before it has reported on it.
//!
//! Until the first report of a stream nobody knows when its packets were captured, and a guess spoils more than those
//! packets: a browser lays a line through the last twenty of our reports (libwebrtc's `RtpToNtpEstimator`), and what the
//! first one is wrong by tilts it for as many. A sender reports right after its first packet (PROTOCOL.md, 3), so pictures
//! wait for that, and sound, which can't wait and whose first moment nobody misses, begins with it.
//!
//! A browser reports up to some seconds later. It is waited for once: a layer of its that begins later may be watched
//! already, and what waited would come after what was forwarded meanwhile.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// How long a sender is waited for.
const PATIENCE: Duration = Duration::from_millis(100);

/// What becomes of packets that can't be dated yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Early {
    /// They wait.
    Wait,
    /// They are left out.
    Leave,
}

/// Packets `P` of one sender's streams `S` that wait for a report.
#[derive(Debug)]
pub struct Unreported<S, P> {
    streams: HashMap<S, State<P>>,
    sender: Sender,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// Every report came in time so far.
    Prompt,
    /// One did not; no other is waited for.
    Tardy,
}

#[derive(Debug)]
enum State<P> {
    Waiting { until: Instant, packets: Vec<P> },
    Passing,
}

impl<S: Eq + Hash, P> Unreported<S, P> {
    /// Nothing waits.
    #[must_use]
    pub fn new() -> Self {
        Self { streams: HashMap::new(), sender: Sender::Prompt }
    }

    /// Takes a packet of `stream` that came at `now`, `reported` or not; returns what goes on, oldest first.
    pub fn take(&mut self, now: Instant, stream: S, reported: bool, early: Early, packet: P) -> Vec<P> {
        let fresh = || State::Waiting { until: now + PATIENCE, packets: Vec::new() };
        let state = self.streams.entry(stream).or_insert_with(fresh);
        let State::Waiting { until, packets } = state else { return vec![packet] };
        if !reported && now >= *until {
            self.sender = Sender::Tardy;
        }
        if reported || self.sender == Sender::Tardy {
            let mut waited = std::mem::take(packets);
            waited.push(packet);
            *state = State::Passing;
            return waited;
        }
        if early == Early::Wait {
            packets.push(packet);
        }
        Vec::new()
    }
}

impl<S: Eq + Hash, P> Default for Unreported<S, P> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn pictures_wait_for_the_first_report_and_sound_begins_with_it() {
        let now = Instant::now();
        let mut streams = Unreported::new();
        let mut take = |after, stream, reported, early, packet| -> Vec<u8> {
            streams.take(now + after * MS, stream, reported, early, packet)
        };
        for packet in 0..3 {
            assert!(take(0, "picture", false, Early::Wait, packet).is_empty());
            assert!(take(0, "sound", false, Early::Leave, packet).is_empty());
        }
        assert_eq!(take(1, "picture", true, Early::Wait, 3), [0, 1, 2, 3]);
        assert_eq!(take(1, "sound", true, Early::Leave, 3), [3]);
        assert_eq!(take(2, "picture", true, Early::Wait, 4), [4]);
    }

    #[test]
    fn a_sender_that_does_not_report_is_not_waited_for_long_and_not_again() {
        let now = Instant::now();
        let mut streams = Unreported::new();
        let mut take = |at, stream, packet: u8| streams.take(at, stream, false, Early::Wait, packet);
        assert!(take(now, "q", 0).is_empty());
        assert!(take(now + PATIENCE - MS, "q", 1).is_empty());
        assert!(take(now + PATIENCE - MS, "h", 2).is_empty());
        assert_eq!(take(now + PATIENCE, "q", 3), [0, 1, 3]);
        assert_eq!(take(now + PATIENCE, "h", 4), [2, 4]);
        assert_eq!(take(now + PATIENCE, "f", 5), [5]);
    }
}
