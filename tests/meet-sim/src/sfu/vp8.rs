//! What a forwarder must know of a VP8 packet: where frames begin, which are keys and how large the picture is.
//!
//! RFC 7741 section 4.2 (payload descriptor) and RFC 6386 section 9.1 (frame header). Nothing is decoded.

use serde::{Deserialize, Serialize};

/// Width and height of a picture in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PictureSize {
    /// Pixels across.
    pub width: u16,
    /// Pixels down.
    pub height: u16,
}

/// One VP8 RTP payload, read as far as a forwarder needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vp8Packet {
    /// This packet holds the first octets of a frame.
    pub starts_frame: bool,
    /// The size of the picture, if this packet begins a key frame.
    pub key: Option<PictureSize>,
}

impl Vp8Packet {
    /// Reads the payload of one RTP packet; `None` if it is no VP8 payload.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let first = *payload.first()?;
        let body = payload.get(descriptor_length(payload)?..)?;
        // S is set and the partition index is 0: RFC 7741 4.2.
        let starts_frame = first & 0x10 != 0 && first & 0x07 == 0 && !body.is_empty();
        let key = if starts_frame { key_frame_size(body) } else { None };
        Some(Self { starts_frame, key })
    }
}

fn descriptor_length(payload: &[u8]) -> Option<usize> {
    let first = *payload.first()?;
    if first & 0x80 == 0 {
        return Some(1);
    }
    let extension = *payload.get(1)?;
    let mut at = 2;
    if extension & 0x80 != 0 {
        at += if *payload.get(at)? & 0x80 != 0 { 2 } else { 1 };
    }
    if extension & 0x40 != 0 {
        at += 1;
    }
    if extension & 0x30 != 0 {
        at += 1;
    }
    Some(at)
}

fn key_frame_size(body: &[u8]) -> Option<PictureSize> {
    let [tag, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..] = *body else { return None };
    // Bit 0 of the frame tag is 0 for key frames; the two upper bits of each size are its scaling hint.
    (tag & 1 == 0).then_some(PictureSize {
        width: u16::from_le_bytes([w0, w1]) & 0x3fff,
        height: u16::from_le_bytes([h0, h1]) & 0x3fff,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_frame(descriptor: &[u8]) -> Vec<u8> {
        [descriptor, &[0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x41]].concat()
    }

    #[test]
    fn a_key_frame_tells_its_size_without_the_scaling_bits() {
        let size = PictureSize { width: 640, height: 360 };
        for descriptor in [&[0x10][..], &[0x90, 0x80, 0x11], &[0x90, 0xe0, 0x81, 0x23, 7, 0x20]] {
            let packet = Vp8Packet::parse(&key_frame(descriptor)).unwrap();
            assert_eq!(packet, Vp8Packet { starts_frame: true, key: Some(size) }, "{descriptor:x?}");
        }
    }

    #[test]
    fn a_later_packet_or_partition_starts_no_frame() {
        for first in [0x00, 0x11] {
            let packet = Vp8Packet::parse(&key_frame(&[first])).unwrap();
            assert_eq!(packet, Vp8Packet { starts_frame: false, key: None });
        }
    }

    #[test]
    fn a_delta_frame_has_no_size() {
        let packet = Vp8Packet::parse(&[0x10, 0x11, 0, 0, 1, 2, 3]).unwrap();
        assert_eq!(packet, Vp8Packet { starts_frame: true, key: None });
    }

    #[test]
    fn a_truncated_payload_is_no_packet() {
        for payload in [&[][..], &[0x90], &[0x90, 0x80], &[0x90, 0x80, 0x81]] {
            assert_eq!(Vp8Packet::parse(payload).filter(|packet| packet.starts_frame), None, "{payload:x?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_payload_panics(payload: Vec<u8>) {
            let _ = Vp8Packet::parse(&payload);
        }
    }
}
