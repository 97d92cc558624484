//! Symmetric RTP (RFC 4961; the latching of RFC 7362 4): learn the peer's real address from its packets.
//!
//! Rules, for each port apart:
//!
//! 1. We send to the signalled address until a valid packet comes from another; then to that one (K5: rooms behind NAT).
//! 2. Once latched, packets from elsewhere are not taken, so that nobody can inject media by guessing a port. A packet
//!    of the signalled address wins over a learnt one within the first [`SETTLE`].
//! 3. Another address takes over when the latched one was silent for [`SILENCE`], when signalling said so
//!    ([`Latch::signalled`]), or at once if its packets are authenticated by SRTP.
//!
//! "Valid" means authenticated where there is SRTP, else well-formed RTP or RTCP; the session asks only with such.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long the signalled address may still claim its place.
pub const SETTLE: Duration = Duration::from_secs(3);
/// Silence after which another address takes over.
pub const SILENCE: Duration = Duration::from_secs(3);

/// How much a packet proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// It has the form of RTP or RTCP.
    Form,
    /// It was authenticated by SRTP.
    Authentic,
}

/// Whether a packet is the peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Take it.
    Peer,
    /// Drop it.
    Foreign,
}

/// The address of the peer's end of one port.
#[derive(Debug, Clone, Default)]
pub struct Latch {
    signalled: Option<SocketAddr>,
    learnt: Option<Learnt>,
}

#[derive(Debug, Clone, Copy)]
struct Learnt {
    from: SocketAddr,
    first: Instant,
    last: Instant,
}

impl Latch {
    /// Takes the address that signalling gives, at the start and in each re-INVITE. A changed one is learnt anew.
    pub fn signalled(&mut self, address: Option<SocketAddr>) {
        let address = address.filter(|address| address.port() != 0 && !address.ip().is_unspecified());
        if address != self.signalled {
            *self = Self { signalled: address, learnt: None };
        }
    }

    /// Judges a valid packet that came from `from`.
    pub fn judge(&mut self, now: Instant, from: SocketAddr, proof: Proof) -> Verdict {
        let takes_over = match self.learnt {
            None => true,
            Some(learnt) if learnt.from == from => {
                self.learnt = Some(Learnt { last: now, ..learnt });
                return Verdict::Peer;
            }
            Some(learnt) => {
                let settled = now.saturating_duration_since(learnt.first) >= SETTLE;
                proof == Proof::Authentic
                    || self.signalled == Some(from) && !settled
                    || now.saturating_duration_since(learnt.last) >= SILENCE
            }
        };
        if takes_over {
            self.learnt = Some(Learnt { from, first: now, last: now });
            return Verdict::Peer;
        }
        Verdict::Foreign
    }

    /// Where to send.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.learnt.map(|learnt| learnt.from).or(self.signalled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Proof::{Authentic, Form};
    use Verdict::{Foreign, Peer};

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 5004))
    }

    fn latch() -> (Latch, Instant) {
        let mut latch = Latch::default();
        latch.signalled(Some(address(1)));
        (latch, Instant::now())
    }

    #[test]
    fn k5_symmetric_rtp_a_room_behind_nat_is_answered_where_its_packets_come_from() {
        let (mut latch, now) = latch();
        assert_eq!(latch.address(), Some(address(1)));
        assert_eq!(latch.judge(now, address(2), Form), Peer);
        assert_eq!(latch.address(), Some(address(2)));
    }

    #[test]
    fn nobody_takes_a_latched_stream_over_without_keys_until_it_fell_silent() {
        let (mut latch, now) = latch();
        latch.judge(now, address(1), Form);
        assert_eq!(latch.judge(now + SILENCE / 2, address(3), Form), Foreign);
        assert_eq!(latch.judge(now + SILENCE / 2, address(1), Form), Peer);
        assert_eq!(latch.judge(now + SILENCE, address(3), Form), Foreign);
        assert_eq!(latch.judge(now + SILENCE * 2, address(3), Form), Peer);
        assert_eq!(latch.address(), Some(address(3)));
    }

    #[test]
    fn the_signalled_address_wins_over_a_stranger_who_was_first() {
        let (mut latch, now) = latch();
        latch.judge(now, address(3), Form);
        assert_eq!(latch.judge(now + SETTLE / 2, address(1), Form), Peer);
        assert_eq!(latch.judge(now + SETTLE / 2, address(3), Form), Foreign);
    }

    #[test]
    fn an_authenticated_packet_moves_the_stream_at_once() {
        let (mut latch, now) = latch();
        latch.judge(now, address(1), Authentic);
        assert_eq!(latch.judge(now, address(2), Authentic), Peer);
        assert_eq!(latch.address(), Some(address(2)));
    }

    #[test]
    fn a_new_address_in_signalling_is_learnt_anew_and_the_same_one_changes_nothing() {
        let (mut latch, now) = latch();
        latch.judge(now, address(2), Form);
        latch.signalled(Some(address(1)));
        assert_eq!(latch.address(), Some(address(2)));
        latch.signalled(Some(address(4)));
        assert_eq!(latch.address(), Some(address(4)));
        latch.signalled(Some(SocketAddr::from(([0, 0, 0, 0], 9))));
        assert_eq!(latch.address(), None);
    }
}
