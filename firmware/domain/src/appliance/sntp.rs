//! One question of the time and its answer: SNTP version 4 (RFC 4330), client side, as bytes and numbers.
//!
//! ```text
//!  we      ──question, sent at T1──▶ server      offset = ((T2 - T1) + (T3 - T4)) / 2
//!  we, T4 ◀──T1, T2, T3──────────── server       round trip = (T4 - T1) - (T3 - T2)
//! ```
//! The question bears a random number instead of our time, so that only who saw it can answer (RFC 9109).

use std::time::Duration;

/// Length of a question and of the part of an answer that is read.
pub const PACKET_BYTES: usize = 48;
/// Seconds from 1900, which NTP counts from, to 1970.
const TO_1970: u64 = 2_208_988_800;
/// An NTP second's parts.
const FRACTION: u128 = 1 << 32;
/// NTP's seconds begin anew in 2036; what is below this is of the next era (RFC 4330 3).
const ERA_PIVOT: u64 = 1 << 31;

/// A question and what makes its answer its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    nonce: u64,
}

/// What a server says of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Its clock less ours, in nanoseconds.
    pub offset_ns: i128,
    /// How long the packets were on the way.
    pub round_trip: Duration,
    /// How far it is from a clock of its own kind: 1 has one, 15 is the farthest.
    pub stratum: u8,
}

/// Why an answer says nothing of the time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Useless {
    /// Too short, or no answer of a server.
    #[error("the answer is no NTP packet of a server")]
    NoAnswer,
    /// To a question that was not asked.
    #[error("the answer is to another question; somebody may be guessing")]
    NotOurs,
    /// The server's clock is not set.
    #[error("the server's own clock is not in sync")]
    NotInSync,
    /// The server does not want to be asked (RFC 4330 8).
    #[error("the server refuses to answer ({0})")]
    Refused(String),
}

impl Question {
    /// With a random number.
    #[must_use]
    pub fn new(nonce: u64) -> Self {
        Self { nonce }
    }

    /// As a packet.
    #[must_use]
    pub fn packet(self) -> [u8; PACKET_BYTES] {
        let mut packet = [0; PACKET_BYTES];
        // No leap warning, version 4, client (0b00_100_011).
        packet[0] = 0x23;
        packet[40..].copy_from_slice(&self.nonce.to_be_bytes());
        packet
    }

    /// Reads an answer. `sent` and `received` are our clock's times since 1970.
    ///
    /// # Errors
    /// Why it says nothing of the time.
    pub fn read(self, packet: &[u8], sent: Duration, received: Duration) -> Result<Reading, Useless> {
        let packet = packet.first_chunk::<PACKET_BYTES>().ok_or(Useless::NoAnswer)?;
        let (leap, version, mode) = (packet[0] >> 6, packet[0] >> 3 & 7, packet[0] & 7);
        if mode != 4 || !(3..=4).contains(&version) {
            return Err(Useless::NoAnswer);
        }
        let field = |at: usize| u64::from_be_bytes(std::array::from_fn(|i| packet[at + i]));
        if field(24) != self.nonce {
            return Err(Useless::NotOurs);
        }
        let stratum = packet[1];
        if stratum == 0 {
            let code: String = packet[12..16]
                .iter()
                .map(|b| if b.is_ascii_alphanumeric() { char::from(*b) } else { '?' })
                .collect();
            return Err(Useless::Refused(code));
        }
        let (received_there, sent_there) = (nanos(field(32)), nanos(field(40)));
        if leap == 3 || stratum > 15 || field(40) == 0 {
            return Err(Useless::NotInSync);
        }
        let (t1, t4) = (signed(sent), signed(received));
        let round_trip = ((t4 - t1) - (sent_there - received_there)).max(0);
        Ok(Reading {
            offset_ns: ((received_there - t1) + (sent_there - t4)) / 2,
            round_trip: Duration::from_nanos(u64::try_from(round_trip).unwrap_or(u64::MAX)),
            stratum,
        })
    }
}

impl Reading {
    /// How far our clock is from the server's, either way.
    #[must_use]
    pub fn apart(&self) -> Duration {
        Duration::from_nanos(u64::try_from(self.offset_ns.unsigned_abs()).unwrap_or(u64::MAX))
    }
}

fn signed(time: Duration) -> i128 {
    i128::try_from(time.as_nanos()).unwrap_or(i128::MAX)
}

/// An NTP timestamp in nanoseconds since 1970.
fn nanos(stamp: u64) -> i128 {
    let (seconds, fraction) = (stamp >> 32, u128::from(stamp & 0xffff_ffff));
    let since_1900 = if seconds < ERA_PIVOT { seconds + (1 << 32) } else { seconds };
    let nanos = fraction * 1_000_000_000 / FRACTION;
    (i128::from(since_1900) - i128::from(TO_1970)) * 1_000_000_000 + i128::try_from(nanos).unwrap_or(0)
}

/// An NTP timestamp of a time since 1970; for servers in tests.
#[must_use]
pub fn stamp(time: Duration) -> u64 {
    let seconds = time.as_secs().wrapping_add(TO_1970) & 0xffff_ffff;
    let fraction = (u128::from(time.subsec_nanos()) * FRACTION).div_ceil(1_000_000_000);
    seconds << 32 | u64::try_from(fraction).unwrap_or(0) & 0xffff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NONCE: u64 = 0x0123_4567_89ab_cdef;

    fn answer(received: Duration, sent: Duration) -> [u8; PACKET_BYTES] {
        let mut packet = [0; PACKET_BYTES];
        packet[0] = 0x24;
        packet[1] = 2;
        packet[24..32].copy_from_slice(&NONCE.to_be_bytes());
        packet[32..40].copy_from_slice(&stamp(received).to_be_bytes());
        packet[40..48].copy_from_slice(&stamp(sent).to_be_bytes());
        packet
    }

    fn ms(count: u64) -> Duration {
        Duration::from_millis(1_795_165_098_000 + count)
    }

    #[test]
    fn a_clock_that_is_behind_is_found_to_be_behind() {
        let packet = answer(ms(5_010), ms(5_011));
        let reading = Question::new(NONCE).read(&packet, ms(0), ms(21)).unwrap();
        assert_eq!(reading.round_trip.as_millis(), 20);
        assert_eq!((reading.offset_ns + 500) / 1_000, 5_000_000);
        assert_eq!(reading.stratum, 2);
        let ahead = Question::new(NONCE).read(&packet, ms(9_000), ms(9_021)).unwrap();
        assert_eq!((ahead.offset_ns - 500) / 1_000, -4_000_000);
        assert_eq!(ahead.apart().as_millis(), 4_000);
    }

    #[test]
    fn time_goes_on_after_2036() {
        let later = Duration::from_secs(2_085_978_496 + 1_000);
        let packet = answer(later, later);
        let reading = Question::new(NONCE).read(&packet, later, later).unwrap();
        assert!(reading.apart() < Duration::from_micros(1), "{reading:?}");
    }

    #[test]
    fn what_is_no_answer_to_our_question_is_useless() {
        let good = answer(ms(1), ms(1));
        let read = |change: &dyn Fn(&mut [u8; PACKET_BYTES])| {
            let mut packet = good;
            change(&mut packet);
            Question::new(NONCE).read(&packet, ms(0), ms(2))
        };
        assert_eq!(read(&|p| p[24] ^= 1), Err(Useless::NotOurs));
        assert_eq!(read(&|p| p[0] = 0x23), Err(Useless::NoAnswer));
        assert_eq!(read(&|p| p[0] |= 0xc0), Err(Useless::NotInSync));
        assert_eq!(read(&|p| p[1] = 16), Err(Useless::NotInSync));
        let refused = read(&|p| {
            p[1] = 0;
            p[12..16].copy_from_slice(b"RATE");
        });
        assert_eq!(refused, Err(Useless::Refused("RATE".into())));
        assert_eq!(Question::new(NONCE).read(&good[..47], ms(0), ms(0)), Err(Useless::NoAnswer));
    }

    #[test]
    fn a_question_is_48_bytes_of_version_4_and_does_not_tell_our_time() {
        let packet = Question::new(NONCE).packet();
        assert_eq!((packet[0], packet.len()), (0x23, 48));
        assert_eq!(packet[1..40], [0; 39]);
        assert_eq!(packet[40..], NONCE.to_be_bytes());
    }

    proptest! {
        #[test]
        fn no_packet_makes_it_panic(packet in proptest::collection::vec(any::<u8>(), 0..80), sent in any::<u64>(), received in any::<u64>()) {
            let mut packet = packet;
            if let Some(field) = packet.get_mut(24..32) {
                field.copy_from_slice(&NONCE.to_be_bytes());
            }
            drop(Question::new(NONCE).read(&packet, Duration::from_secs(sent), Duration::from_secs(received)));
        }

        #[test]
        fn stamps_are_true_to_a_nanosecond(at in 0_u64..4_000_000_000_000_000_000) {
            prop_assert!((nanos(stamp(Duration::from_nanos(at))) - i128::from(at)).abs() <= 1);
        }
    }
}
