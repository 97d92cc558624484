//! Somebody on the way out, who still hears why.
//!
//! ```text
//!  word to say ──channel open──▶ said ──last word's time over──▶ closed
//!       └───────────────── last word's time over ──────────────────▲
//! ```

use crate::sfu::peer::Peer;
use std::time::{Duration, Instant};
use str0m::Input;
use str0m::net::Transmit;

/// How long a last word has before the connection is closed.
const LAST_WORD: Duration = Duration::from_millis(300);

/// A connection that is to be closed.
pub struct Departing {
    peer: Peer,
    until: Instant,
    /// What is still to be said: a channel that was not open yet may open in time.
    word: Option<String>,
}

impl Departing {
    /// Says `word` over `peer` as soon as it can.
    pub fn new(now: Instant, peer: Peer, word: String, send: &mut dyn FnMut(Transmit)) -> Self {
        let mut departing = Self { peer, until: now + LAST_WORD, word: Some(word) };
        departing.turn(now, send);
        departing
    }

    /// Whether a datagram is for it.
    pub fn accepts(&self, datagram: &Input<'_>) -> bool {
        self.peer.accepts(datagram)
    }

    /// Takes a datagram.
    pub fn receive(&mut self, now: Instant, datagram: Input<'_>, send: &mut dyn FnMut(Transmit)) {
        self.peer.receive(datagram);
        self.peer.drain(now, send, &mut |_| {});
        if self.word.is_some() {
            self.turn(now, send);
        }
    }

    /// Lets time pass; false when it is gone.
    pub fn tick(&mut self, now: Instant, send: &mut dyn FnMut(Transmit)) -> bool {
        let over = self.until <= now;
        if over {
            self.peer.close();
        }
        if over || self.peer.wake <= now {
            self.turn(now, send);
        }
        !over
    }

    /// When time is to pass next.
    pub fn wake(&self) -> Instant {
        self.peer.wake.min(self.until)
    }

    fn turn(&mut self, now: Instant, send: &mut dyn FnMut(Transmit)) {
        if self.word.as_ref().is_some_and(|word| self.peer.say(word)) {
            self.word = None;
        }
        self.peer.tick(now);
        self.peer.drain(now, send, &mut |_| {});
    }
}
