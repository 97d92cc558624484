//! RTP packets (RFC 3550 5.1): parse and write, sequence numbers and timestamps unwrapped, RTP told from RTCP (RFC 5761).

use base::limits;
use bytes::{BufMut, Bytes, BytesMut};
use rtp_types::RtpPacket;

/// Fixed part of the RTP header, in bytes; we send no CSRCs and no extension.
pub const HEADER_BYTES: usize = 12;
/// Longest payload sent in one packet.
pub const MAX_PAYLOAD: usize = limits::RTP_PACKET_BYTES - HEADER_BYTES;

/// One of a session's two ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// Media; with rtcp-mux everything.
    Rtp,
    /// Reports and feedback.
    Rtcp,
}

/// What a datagram is, by its first two bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// RTP version 2.
    Rtp,
    /// RTCP version 2.
    Rtcp,
    /// Neither: STUN, DTLS, ZRTP, noise.
    Other,
}

/// Tells RTP from RTCP (RFC 5761 4): second byte 192-223 is RTCP.
#[must_use]
pub fn kind(data: &[u8]) -> Kind {
    match data {
        [first, second, ..] if first >> 6 == 2 => match second {
            192..=223 => Kind::Rtcp,
            _ => Kind::Rtp,
        },
        _ => Kind::Other,
    }
}

/// The fields of an RTP header that we use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpHeader {
    /// Marker bit.
    pub marker: bool,
    /// 0-127.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// In ticks of the payload's clock.
    pub timestamp: u32,
    /// Synchronization source.
    pub ssrc: u32,
}

/// Parses an RTP packet and returns header and payload; CSRCs, extension and padding are skipped. `None` if it is not
/// one.
#[must_use]
pub fn parse(data: &[u8]) -> Option<(RtpHeader, &[u8])> {
    let packet = RtpPacket::parse(data).ok()?;
    let header = RtpHeader {
        marker: packet.marker_bit(),
        payload_type: packet.payload_type(),
        sequence: packet.sequence_number(),
        timestamp: packet.timestamp(),
        ssrc: packet.ssrc(),
    };
    let padding = usize::from(packet.padding().unwrap_or(0));
    let payload = data.get(packet.payload_offset()..data.len().checked_sub(padding)?)?;
    Some((header, payload))
}

/// The fixed header alone, which SRTP leaves in the clear.
#[must_use]
pub(crate) fn fixed_header(data: &[u8]) -> Option<RtpHeader> {
    let &[first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = data.first_chunk::<HEADER_BYTES>()?;
    (first >> 6 == 2).then_some(RtpHeader {
        marker: second & 0x80 != 0,
        payload_type: second & 0x7f,
        sequence: u16::from_be_bytes([s0, s1]),
        timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
        ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
    })
}

/// Where the payload of an RTP packet begins, whether or not its padding makes sense (it is still encrypted).
#[must_use]
pub(crate) fn payload_offset(data: &[u8]) -> Option<usize> {
    let first = *data.first()?;
    let extension_at = HEADER_BYTES + 4 * usize::from(first & 0x0f);
    let offset = match first & 0x10 {
        0 => extension_at,
        _ => {
            let words = data.get(extension_at + 2..extension_at + 4)?;
            extension_at + 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]))
        }
    };
    (first >> 6 == 2 && offset <= data.len()).then_some(offset)
}

/// Writes an RTP packet whose payload is `head` and then `body`.
#[must_use]
pub fn write(header: &RtpHeader, head: &[u8], body: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(HEADER_BYTES + head.len() + body.len());
    out.put_u8(0x80);
    out.put_u8(u8::from(header.marker) << 7 | header.payload_type & 0x7f);
    out.put_u16(header.sequence);
    out.put_u32(header.timestamp);
    out.put_u32(header.ssrc);
    out.put_slice(head);
    out.put_slice(body);
    out.freeze()
}

/// Makes 64-bit sequence numbers of 16-bit ones, taking each as the nearest to the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SeqNo(Option<i64>);

impl SeqNo {
    /// The full number of `sequence`; starts one cycle up, so that what came before the first is not negative.
    pub fn unwrap(&mut self, sequence: u16) -> i64 {
        let full = self.peek(sequence);
        self.0 = Some(full);
        full
    }

    /// The same without remembering it.
    #[must_use]
    pub fn peek(self, sequence: u16) -> i64 {
        match self.0 {
            None => (1 << 16) + i64::from(sequence),
            Some(last) => last + i64::from(sequence.wrapping_sub(last as u16) as i16),
        }
    }
}

/// The same for 32-bit timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Timestamp(Option<i64>);

impl Timestamp {
    /// The full number of `timestamp`.
    pub fn unwrap(&mut self, timestamp: u32) -> i64 {
        let full = self.peek(timestamp);
        self.0 = Some(full);
        full
    }

    /// The same without remembering it.
    #[must_use]
    pub fn peek(self, timestamp: u32) -> i64 {
        match self.0 {
            None => (1 << 32) + i64::from(timestamp),
            Some(last) => last + i64::from(timestamp.wrapping_sub(last as u32) as i32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: RtpHeader = RtpHeader {
        marker: true,
        payload_type: 97,
        sequence: 0xfffe,
        timestamp: 0xdead_beef,
        ssrc: 0x0102_0304,
    };

    #[test]
    fn a_packet_reads_as_it_was_written() {
        let data = write(&HEADER, b"he", b"ad");
        assert_eq!(parse(&data), Some((HEADER, b"head".as_slice())));
        assert_eq!(kind(&data), Kind::Rtp);
        assert_eq!(payload_offset(&data), Some(12));
    }

    #[test]
    fn csrcs_extension_and_padding_are_skipped() {
        // given two CSRCs, an extension of one word, and three bytes of padding
        let mut data = vec![0b1011_0010, 97, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        data.extend([0; 8]);
        data.extend([0xbe, 0xde, 0, 1, 9, 9, 9, 9]);
        data.extend(*b"body");
        data.extend([0, 0, 3]);
        // then only the body is payload
        let (header, payload) = parse(&data).unwrap();
        assert_eq!((header.sequence, payload), (1, b"body".as_slice()));
        assert_eq!(payload_offset(&data), Some(28));
    }

    #[test]
    fn padding_longer_than_the_packet_is_refused() {
        let mut data = write(&HEADER, b"", &[200]).to_vec();
        data[0] |= 0x20;
        assert_eq!(parse(&data), None);
        data[12] = 0;
        assert_eq!(parse(&data), None);
    }

    #[test]
    fn rtcp_is_told_from_rtp_by_its_packet_type() {
        assert_eq!(kind(&[0x80, 200]), Kind::Rtcp);
        assert_eq!(kind(&[0x81, 206]), Kind::Rtcp);
        assert_eq!(kind(&[0x80, 0x80 | 97]), Kind::Rtp);
        assert_eq!(kind(&[0x00, 1]), Kind::Other);
        assert_eq!(kind(&[22]), Kind::Other);
    }

    #[test]
    fn sequence_numbers_go_on_over_the_wrap_in_both_directions() {
        let mut seq = SeqNo::default();
        let first = seq.unwrap(65_534);
        assert_eq!(seq.unwrap(65_535), first + 1);
        assert_eq!(seq.unwrap(1), first + 3);
        assert_eq!(seq.peek(65_535), first + 1);
        assert_eq!(seq.unwrap(2), first + 4);
    }

    #[test]
    fn timestamps_go_on_over_the_wrap() {
        let mut ts = Timestamp::default();
        let first = ts.unwrap(u32::MAX - 79);
        assert_eq!(ts.unwrap(80), first + 160);
        assert_eq!(ts.unwrap(u32::MAX - 79), first);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(data in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = (parse(&data), kind(&data), payload_offset(&data));
        }

        #[test]
        fn unwrapped_numbers_keep_their_low_bits(seqs in proptest::collection::vec(any::<u16>(), 1..50)) {
            let mut seq = SeqNo::default();
            for s in seqs {
                prop_assert_eq!(seq.unwrap(s) as u16, s);
            }
        }
    }
}
