//! The most a session may send in any second, and how frames fare when there is less room than they want (P12).
//!
//! Every datagram is counted when it leaves, with its UDP, IP and Ethernet headers, over a window of 1.01 s; the 10 ms are
//! for what may pass between our clock and the wire. Two gates hold the limit:
//!
//! ```text
//!  frame ─▶ admission ─▶ str0m: packetise, pace ─▶ exit gate ─▶ wire
//!            │ no room: picture waits its turn (≤ 250 ms), then is skipped
//!                                                    │ no room: padding and repair are dropped, media last
//! ```
//!
//! Admission counts what is on its way through the pacer as if it were sent. It leaves room for what must not wait: control
//! (STUN, DTLS, RTCP), then sound, then repair and probes, then the smaller layers before the larger, so that a burst
//! of the largest picture starves nobody else; a key frame may use the room of the last two. The exit gate is the guarantee; admission keeps it from ever
//! mattering for media.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Length of the window in which the limit holds.
pub const WINDOW: Duration = Duration::from_millis(1010);
/// Bytes kept free for STUN, DTLS and RTCP.
const CONTROL: u64 = 3_000;
/// Bytes kept free for sound.
const SOUND: u64 = 4_000;
/// Bytes kept free for retransmission and probes when a picture is admitted.
const REPAIR: u64 = 8_000;
/// Bytes a layer leaves for each smaller one.
const PER_SMALLER_LAYER: u64 = 3_000;
/// RTP payload of a full packet, less than the least that is ever put in one.
const PACKET_PAYLOAD: u64 = 1_000;
/// Ethernet, IPv4 and UDP headers.
const IP4_HEADERS: u64 = 42;
/// Ethernet, IPv6 and UDP headers.
const IP6_HEADERS: u64 = 62;
/// RTP header, extensions, VP8 descriptor and SRTP tag of one packet, at most.
const RTP_OVERHEAD: u64 = 60;

/// What a datagram that wants out is for; the earlier, the more it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// STUN, DTLS (with the data channel in it), RTCP.
    Control,
    /// RTP with sound.
    Sound,
    /// RTP with a picture, already admitted as a frame.
    Picture,
    /// Retransmissions, padding, probes.
    Repair,
}

/// A picture that wants to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Picture {
    /// How many layers there are below its own.
    pub smaller: usize,
    /// Its bytes, encoded.
    pub len: usize,
    /// A key frame: seldom, large, and somebody waits for it, so it may use the room kept for repair and other layers.
    pub key: bool,
}

/// The window and what was sent in it.
#[derive(Debug)]
pub(crate) struct Cap {
    window_bytes: u64,
    headers: u64,
    sent: VecDeque<(Instant, u64)>,
    sum: u64,
}

impl Cap {
    /// At most `bps` towards `to`'s address family.
    pub fn new(bps: u64, local: SocketAddr) -> Self {
        let headers = if local.is_ipv4() { IP4_HEADERS } else { IP6_HEADERS };
        Self { window_bytes: bps / 8, headers, sent: VecDeque::new(), sum: 0 }
    }

    /// Lets a datagram of `len` bytes out, or says that it must be dropped.
    pub fn pass(&mut self, now: Instant, class: Class, len: usize) -> bool {
        self.forget(now);
        let cost = len as u64 + self.headers;
        let keep = match class {
            Class::Control => 0,
            Class::Sound => CONTROL,
            Class::Picture | Class::Repair => CONTROL + SOUND,
        };
        if self.sum + cost + keep > self.window_bytes {
            return false;
        }
        self.sum += cost;
        self.sent.push_back((now, cost));
        true
    }

    /// Whether a picture may start on its way, with `queued` bytes already on theirs.
    pub fn admits(&mut self, now: Instant, picture: Picture, queued: u64) -> bool {
        self.forget(now);
        self.sum + queued + self.wire_bytes(picture.len) <= self.limit(picture)
    }

    /// When [`admits`](Cap::admits) will say yes if nothing else is sent; `None` if never.
    pub fn admits_at(&self, picture: Picture, queued: u64) -> Option<Instant> {
        let mut excess =
            (self.sum + queued + self.wire_bytes(picture.len)).saturating_sub(self.limit(picture));
        self.sent.iter().find_map(|(at, bytes)| {
            excess = excess.saturating_sub(*bytes);
            (excess == 0).then(|| *at + WINDOW + Duration::from_micros(1))
        })
    }

    /// What a frame of `len` bytes takes on the wire, rounded up.
    pub fn wire_bytes(&self, len: usize) -> u64 {
        let len = len as u64;
        len + len.div_ceil(PACKET_PAYLOAD).max(1) * (RTP_OVERHEAD + self.headers)
    }

    /// What a datagram of `len` bytes takes on the wire.
    pub fn datagram_bytes(&self, len: usize) -> u64 {
        len as u64 + self.headers
    }

    fn limit(&self, picture: Picture) -> u64 {
        let keep = if picture.key { 0 } else { REPAIR + PER_SMALLER_LAYER * picture.smaller as u64 };
        self.window_bytes.saturating_sub(CONTROL + SOUND + keep)
    }

    fn forget(&mut self, now: Instant) {
        while let Some((at, bytes)) = self.sent.front().copied() {
            if now.saturating_duration_since(at) <= WINDOW {
                break;
            }
            self.sum -= bytes;
            self.sent.pop_front();
        }
    }
}

/// Bits per second of encoded media, headers left out, that fit in `total` bits per second on the wire: what control,
/// sound and repair keep free, and an eighth for packet headers, are taken off.
#[must_use]
pub fn media_bps(total: u64) -> u64 {
    let kept = (CONTROL + SOUND + REPAIR) * 8;
    total.saturating_sub(kept).max(total / 2) / 8 * 7
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cap(bps: u64) -> Cap {
        Cap::new(bps, "192.0.2.1:40000".parse().unwrap())
    }

    fn picture(smaller: usize, len: usize) -> Picture {
        Picture { smaller, len, key: false }
    }

    #[test]
    fn what_left_a_window_ago_makes_room_again() {
        let start = Instant::now();
        let mut cap = cap(800_000);
        assert!(cap.admits(start, picture(0, 70_000), 0));
        for _ in 0..70 {
            assert!(cap.pass(start, Class::Picture, 1_200));
        }
        assert!(!cap.admits(start, picture(0, 10_000), 0));
        let at = cap.admits_at(picture(0, 10_000), 0).expect("it will");
        assert!(!cap.admits(start + WINDOW, picture(0, 10_000), 0));
        assert!(cap.admits(at, picture(0, 10_000), 0));
    }

    #[test]
    fn what_is_queued_counts_as_sent() {
        let mut cap = cap(2_000_000);
        assert!(cap.admits(Instant::now(), picture(0, 100_000), 0));
        assert!(!cap.admits(Instant::now(), picture(0, 100_000), 150_000));
    }

    #[test]
    fn repair_goes_before_sound_and_sound_before_control() {
        let now = Instant::now();
        let mut cap = cap(800_000);
        while cap.pass(now, Class::Repair, 1_000) {}
        assert!(cap.pass(now, Class::Sound, 200));
        while cap.pass(now, Class::Sound, 200) {}
        assert!(cap.pass(now, Class::Control, 200));
    }

    #[test]
    fn the_larger_layer_leaves_room_for_the_smaller() {
        let now = Instant::now();
        let mut cap = cap(800_000);
        while cap.admits(now, picture(2, 1_000), 0) {
            assert!(cap.pass(now, Class::Picture, 1_000));
        }
        assert!(cap.admits(now, picture(1, 1_000), 0));
        assert!(cap.admits(now, picture(0, 4_000), 0));
    }

    proptest! {
        #[test]
        fn no_second_ever_holds_more_than_the_limit(
            packets in prop::collection::vec((0_u64..20_000, 0_u8..4, 1_usize..1_400), 1..2_000)
        ) {
            let start = Instant::now();
            let mut now = start;
            let mut cap = cap(2_000_000);
            let mut sent: Vec<(Instant, u64)> = Vec::new();
            for (gap_us, class, len) in packets {
                now += Duration::from_micros(gap_us / 8);
                let class = [Class::Control, Class::Sound, Class::Picture, Class::Repair][usize::from(class)];
                if cap.pass(now, class, len) {
                    sent.push((now, len as u64 + IP4_HEADERS));
                }
            }
            for (i, (from, _)) in sent.iter().enumerate() {
                let second: u64 = sent[i..].iter().take_while(|(at, _)| *at - *from <= Duration::from_secs(1)).map(|(_, b)| b).sum();
                prop_assert!(second * 8 <= 2_000_000);
            }
        }
    }
}
