//! Makes one continuous RTP stream out of the several that take turns in it.
//!
//! A receiver's slot shows one sender after another, and of each sender one simulcast layer after another. Each of these
//! counts sequence numbers, RTP time and VP8 picture ids from its own origin; the receiver must see one stream. Sequence
//! numbers and picture ids go on by one at a change; RTP time goes on by the wall clock, so that reports stay true.
//!
//! ```text
//!          start(source)            next packets           start(other source)
//! (none) ──────────────▶ forwarding ────────────▶ forwarding ──────────────▶ forwarding, same counters
//! ```

use std::time::{Duration, Instant};

/// What a rewriter changes of one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Extended sequence number.
    pub seq: u64,
    /// RTP timestamp.
    pub rtp: u32,
    /// VP8 picture id, 7 or 15 bits, where the sender writes one.
    pub picture: Option<u16>,
    /// VP8 TL0PICIDX, where the sender writes one.
    pub tl0: Option<u8>,
}

/// The continuous stream of one slot.
#[derive(Debug)]
pub struct Rewriter {
    hz: u32,
    origin: Option<(Instant, u32)>,
    highest: Counters,
    source: Option<Offsets>,
}

#[derive(Debug, Clone, Copy)]
struct Offsets {
    first_seq: u64,
    seq: u64,
    rtp: u32,
    picture: u16,
    tl0: u8,
}

/// Picture ids are rewritten in 15 bits and cut to 7 where the sender writes 7.
const PICTURE_BITS: u16 = 0x7fff;

impl Rewriter {
    /// A stream on an RTP clock of `hz`, whose counters begin at those of `first`.
    #[must_use]
    pub fn new(hz: u32, first: Counters) -> Self {
        Self { hz, origin: None, highest: first, source: None }
    }

    /// Begins to forward another source with the packet `first`, captured at `captured`.
    pub fn start(&mut self, first: Counters, captured: Instant) {
        let rtp = match self.origin {
            Some((since, rtp)) => rtp.wrapping_add(self.ticks(captured.saturating_duration_since(since))),
            None => self.highest.rtp,
        };
        // Never back and never equal, or a receiver takes two frames for one.
        let after = self.highest.rtp.wrapping_add(self.hz / 1000);
        let rtp =
            if self.origin.is_some() && rtp.wrapping_sub(after).cast_signed() < 0 { after } else { rtp };
        if self.origin.is_none() {
            self.origin = Some((captured, rtp));
        }
        let picture = self.highest.picture.unwrap_or_default().wrapping_add(1);
        let tl0 = self.highest.tl0.unwrap_or_default().wrapping_add(1);
        self.source = Some(Offsets {
            first_seq: first.seq,
            seq: self.highest.seq + 1,
            rtp: rtp.wrapping_sub(first.rtp),
            picture: picture.wrapping_sub(first.picture.unwrap_or_default()),
            tl0: tl0.wrapping_sub(first.tl0.unwrap_or_default()),
        });
    }

    /// Forgets the source; the counters go on where they are.
    pub fn pause(&mut self) {
        self.source = None;
    }

    /// Whether a source is being forwarded.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.source.is_some()
    }

    /// The packet as the receiver sees it; `None` if it is older than the start of its source.
    pub fn next(&mut self, packet: Counters) -> Option<Counters> {
        let offsets = self.source?;
        let since_start = packet.seq.checked_sub(offsets.first_seq)?;
        let out = Counters {
            seq: offsets.seq + since_start,
            rtp: packet.rtp.wrapping_add(offsets.rtp),
            picture: packet.picture.map(|id| id.wrapping_add(offsets.picture) & PICTURE_BITS),
            tl0: packet.tl0.map(|id| id.wrapping_add(offsets.tl0)),
        };
        if out.seq > self.highest.seq {
            self.highest = Counters {
                picture: out.picture.or(self.highest.picture),
                tl0: out.tl0.or(self.highest.tl0),
                ..out
            };
        }
        Some(out)
    }

    fn ticks(&self, since: Duration) -> u32 {
        let ticks = since.as_nanos() * u128::from(self.hz) / 1_000_000_000;
        // RTP time wraps at 32 bits.
        (ticks & u128::from(u32::MAX)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(seq: u64, rtp: u32, picture: u16) -> Counters {
        Counters { seq, rtp, picture: Some(picture), tl0: Some(200) }
    }

    #[test]
    fn a_change_of_layer_goes_on_by_one_and_by_the_wall_clock() {
        let now = Instant::now();
        let mut slot = Rewriter::new(90_000, packet(10, 1_000, 5));
        slot.start(packet(60_000, 7, 32_767), now);
        assert_eq!(slot.next(packet(60_000, 7, 32_767)).unwrap().seq, 11);
        let last = slot.next(packet(60_001, 3_007, 0)).unwrap();
        assert_eq!((last.seq, last.rtp, last.picture), (12, 4_000, Some(7)));

        slot.start(packet(3, 4_000_000_000, 90), now + Duration::from_millis(66));
        let next = slot.next(packet(3, 4_000_000_000, 90)).unwrap();
        assert_eq!((next.seq, next.rtp, next.picture), (13, 1_000 + 66 * 90, Some(8)));
    }

    #[test]
    fn a_lost_packet_leaves_its_gap_and_a_late_one_fills_it() {
        let mut slot = Rewriter::new(48_000, packet(0, 0, 0));
        slot.start(packet(100, 0, 0), Instant::now());
        assert_eq!(slot.next(packet(100, 0, 0)).unwrap().seq, 1);
        assert_eq!(slot.next(packet(102, 1_920, 2)).unwrap().seq, 3);
        assert_eq!(slot.next(packet(101, 960, 1)).unwrap().seq, 2);
    }

    #[test]
    fn what_is_older_than_the_start_of_its_source_is_not_forwarded() {
        let mut slot = Rewriter::new(90_000, packet(0, 0, 0));
        assert_eq!(slot.next(packet(99, 0, 0)), None);
        slot.start(packet(100, 0, 0), Instant::now());
        assert_eq!(slot.next(packet(99, 0, 0)), None);
        slot.pause();
        assert_eq!(slot.next(packet(101, 0, 0)), None);
    }

    #[test]
    fn time_never_runs_back_at_a_change() {
        let now = Instant::now();
        let mut slot = Rewriter::new(90_000, packet(0, 0, 0));
        slot.start(packet(100, 0, 0), now);
        let ahead = slot.next(packet(101, 90_000, 1)).unwrap();
        slot.start(packet(7, 500, 0), now + Duration::from_millis(10));
        let next = slot.next(packet(7, 500, 0)).unwrap();
        assert!(next.rtp > ahead.rtp, "{} then {}", ahead.rtp, next.rtp);
    }
}
