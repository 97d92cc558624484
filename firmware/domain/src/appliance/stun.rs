//! One STUN question and its answer (RFC 8489): whether UDP comes through, and from where we are seen.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// RFC 8489 5.
const COOKIE: u32 = 0x2112_a442;
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;
const MAPPED_ADDRESS: u16 = 0x0001;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

/// Length of a question.
pub const QUESTION_BYTES: usize = 20;

/// A question and what makes its answer its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    transaction: [u8; 12],
}

/// What somebody answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// So we are seen.
    SeenFrom(SocketAddr),
    /// It answered, but not that.
    Refused,
}

impl Question {
    /// With random bytes.
    #[must_use]
    pub fn new(transaction: [u8; 12]) -> Self {
        Self { transaction }
    }

    /// As a packet: a Binding request without attributes.
    #[must_use]
    pub fn packet(&self) -> [u8; QUESTION_BYTES] {
        let mut packet = [0; QUESTION_BYTES];
        packet[..2].copy_from_slice(&BINDING_REQUEST.to_be_bytes());
        packet[4..8].copy_from_slice(&COOKIE.to_be_bytes());
        packet[8..].copy_from_slice(&self.transaction);
        packet
    }

    /// Reads a packet; `None` if it is no answer to this question.
    #[must_use]
    pub fn read(&self, packet: &[u8]) -> Option<Answer> {
        let header = packet.first_chunk::<QUESTION_BYTES>()?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let ours = header[4..8] == COOKIE.to_be_bytes() && header[8..] == self.transaction;
        let attributes = packet.get(QUESTION_BYTES..QUESTION_BYTES + length)?;
        match (ours, u16::from_be_bytes([header[0], header[1]])) {
            (true, BINDING_SUCCESS) => {
                Some(self.address(attributes).map_or(Answer::Refused, Answer::SeenFrom))
            }
            (true, BINDING_ERROR) => Some(Answer::Refused),
            _ => None,
        }
    }

    fn address(&self, mut attributes: &[u8]) -> Option<SocketAddr> {
        let mut plain = None;
        while let Some((head, rest)) = attributes.split_first_chunk::<4>() {
            let kind = u16::from_be_bytes([head[0], head[1]]);
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let value = rest.get(..length)?;
            match kind {
                XOR_MAPPED_ADDRESS => return self.mapped(value, true),
                MAPPED_ADDRESS => plain = self.mapped(value, false),
                _ => {}
            }
            attributes = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        plain
    }

    fn mapped(&self, value: &[u8], masked: bool) -> Option<SocketAddr> {
        let (head, address) = value.split_first_chunk::<4>()?;
        let mut mask = [0; 16];
        if masked {
            mask[..4].copy_from_slice(&COOKIE.to_be_bytes());
            mask[4..].copy_from_slice(&self.transaction);
        }
        let port = u16::from_be_bytes([head[2] ^ mask[0], head[3] ^ mask[1]]);
        let clear: Vec<u8> = address.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect();
        let ip = match head[1] {
            1 => IpAddr::V4(Ipv4Addr::from(*clear.first_chunk::<4>()?)),
            2 => IpAddr::V6(Ipv6Addr::from(*clear.first_chunk::<16>()?)),
            _ => return None,
        };
        Some(SocketAddr::new(ip, port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 5769 2.2, the attributes before MESSAGE-INTEGRITY.
    const SAMPLE: [u8; 48] = [
        0x01, 0x01, 0x00, 0x1c, 0x21, 0x12, 0xa4, 0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa,
        0x87, 0xdf, 0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65, 0x63, 0x74, 0x6f,
        0x72, 0x20, 0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43,
    ];
    const TRANSACTION: [u8; 12] = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

    #[test]
    fn the_answer_of_rfc_5769_is_read() {
        let seen = "192.0.2.1:32853".parse().unwrap();
        assert_eq!(Question::new(TRANSACTION).read(&SAMPLE), Some(Answer::SeenFrom(seen)));
        assert_eq!(Question::new([0; 12]).read(&SAMPLE), None, "to another question");
        assert_eq!(Question::new(TRANSACTION).read(&SAMPLE[..47]), None, "cut off");
    }

    #[test]
    fn an_error_is_an_answer_too() {
        let mut packet = Question::new(TRANSACTION).packet();
        packet[..2].copy_from_slice(&BINDING_ERROR.to_be_bytes());
        assert_eq!(Question::new(TRANSACTION).read(&packet), Some(Answer::Refused));
    }

    proptest! {
        #[test]
        fn no_packet_makes_it_panic(mut packet in prop::collection::vec(any::<u8>(), 0..80)) {
            if packet.len() >= 20 {
                packet[..20].copy_from_slice(&SAMPLE[..20]);
                packet[3] = u8::try_from(packet.len() - 20).unwrap();
            }
            let _ = Question::new(TRANSACTION).read(&packet);
        }
    }
}
