//! VP8 in RTP (RFC 7741).
//!
//! ```text
//!  X R N S R PID | I L T K RSV | M PictureID (7 or 15 bits) | TL0PICIDX | TID Y KEYIDX | payload
//! ```
//!
//! A frame with a hole is dropped whole: the decoder can't use it. The next one is marked.

use super::{After, Arrival, Picture};
use crate::packet::MAX_PAYLOAD;
use base::limits;
use bytes::BytesMut;

/// Descriptor we write: X with I, and a 15 bit PictureID.
const DESCRIPTOR_BYTES: usize = 4;

/// What the payload descriptor says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptor {
    /// S with PID 0: the frame begins here.
    pub begins_frame: bool,
    /// Where the VP8 payload begins.
    pub bytes: usize,
}

/// Reads the payload descriptor (RFC 7741 4.2). `None` if it is cut off.
#[must_use]
pub fn descriptor(payload: &[u8]) -> Option<Descriptor> {
    let first = *payload.first()?;
    let mut bytes = 1;
    if first & 0x80 != 0 {
        let extension = *payload.get(1)?;
        bytes = 2;
        if extension & 0x80 != 0 {
            bytes += if payload.get(bytes)? & 0x80 != 0 { 2 } else { 1 };
        }
        bytes += usize::from(extension & 0x40 != 0);
        bytes += usize::from(extension & 0x30 != 0);
    }
    (bytes <= payload.len()).then_some(Descriptor { begins_frame: first & 0x17 == 0x10, bytes })
}

/// Puts frames together. Bounded by [`limits::VIDEO_FRAME_BYTES`] and [`limits::VIDEO_FRAME_PACKETS`].
#[derive(Debug, Default)]
pub struct Depacketizer {
    timestamp: u32,
    state: State,
    packets: usize,
    gap: bool,
}

#[derive(Debug, Default)]
enum State {
    /// Between frames.
    #[default]
    Idle,
    /// Gathering one.
    Gathering(BytesMut),
    /// The rest of this frame is of no use.
    Spoilt,
}

impl Depacketizer {
    /// Takes the next packet's payload; hands out the pictures that it completes.
    pub fn push(&mut self, arrival: Arrival, payload: &[u8], mut sink: impl FnMut(Picture)) {
        if arrival.timestamp != self.timestamp {
            self.finish(&mut sink);
            self.timestamp = arrival.timestamp;
        }
        if arrival.after == After::Gap {
            self.spoil();
        }
        self.packets += 1;
        self.take(payload);
        if arrival.marker {
            self.finish(&mut sink);
        }
    }

    /// The stream began anew (another SSRC).
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    fn take(&mut self, payload: &[u8]) {
        let Some(descriptor) = descriptor(payload) else { return self.spoil() };
        let body = &payload[descriptor.bytes..];
        if descriptor.begins_frame && !matches!(self.state, State::Gathering(_)) {
            self.state = State::Gathering(BytesMut::new());
        }
        match &mut self.state {
            State::Gathering(data)
                if data.len() + body.len() <= limits::VIDEO_FRAME_BYTES
                    && self.packets <= limits::VIDEO_FRAME_PACKETS =>
            {
                data.extend_from_slice(body);
            }
            State::Idle | State::Gathering(_) | State::Spoilt => self.spoil(),
        }
    }

    fn spoil(&mut self) {
        self.gap = true;
        if let State::Gathering(_) = self.state {
            self.state = State::Spoilt;
        }
    }

    fn finish(&mut self, sink: &mut impl FnMut(Picture)) {
        self.packets = 0;
        let State::Gathering(data) = std::mem::take(&mut self.state) else { return };
        // an empty frame is how some encoders say "nothing changed"
        let Some(first) = data.first() else { return };
        let (key, contiguous) = (first & 1 == 0, !std::mem::take(&mut self.gap));
        sink(Picture { data: data.freeze(), timestamp: self.timestamp, key, contiguous });
    }
}

/// Cuts a frame into payloads of nearly the same size and hands each to `emit` as head, body and whether it is the
/// last. `picture_id` goes up by one with each frame; its low 15 bits are sent.
pub fn packetize(frame: &[u8], picture_id: u16, mut emit: impl FnMut(&[u8], &[u8], bool)) {
    if frame.is_empty() {
        return;
    }
    let pieces = frame.len().div_ceil(MAX_PAYLOAD - DESCRIPTOR_BYTES);
    let mut chunks = frame.chunks(frame.len().div_ceil(pieces)).enumerate().peekable();
    let [id_high, id_low] = picture_id.to_be_bytes();
    while let Some((at, chunk)) = chunks.next() {
        let begins = u8::from(at == 0) << 4;
        emit(&[0x80 | begins, 0x80, 0x80 | id_high, id_low], chunk, chunks.peek().is_none());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use After::{Gap, Neighbour};
    use proptest::prelude::*;

    fn push(
        d: &mut Depacketizer,
        timestamp: u32,
        marker: bool,
        after: After,
        payload: &[u8],
    ) -> Vec<Picture> {
        let mut out = Vec::new();
        d.push(Arrival { timestamp, marker, after }, payload, |picture| out.push(picture));
        out
    }

    #[test]
    fn descriptors_of_every_form_are_read_over() {
        for (payload, bytes) in [
            (&[0x10, 9][..], 1),
            (&[0x90, 0x80, 0x11, 9], 3),
            (&[0x90, 0x80, 0x81, 0x11, 9], 4),
            (&[0x90, 0xc0, 0x81, 0x11, 7, 9], 5),
            (&[0x90, 0xe0, 0x81, 0x11, 7, 8, 9], 6),
            (&[0x90, 0x10, 7, 9], 3),
        ] {
            assert_eq!(descriptor(payload), Some(Descriptor { begins_frame: true, bytes }));
        }
        assert_eq!(descriptor(&[0x11, 9]).map(|d| d.begins_frame), Some(false));
        assert_eq!(descriptor(&[0x90, 0x80, 0x81]), None);
    }

    #[test]
    fn a_lost_packet_costs_its_frame_and_marks_the_next() {
        let mut d = Depacketizer::default();
        push(&mut d, 1, false, Neighbour, &[0x10, 0x00, 1]);
        assert!(push(&mut d, 1, true, Gap, &[0x00, 2]).is_empty());
        let out = push(&mut d, 2, true, Neighbour, &[0x10, 0x01, 1]);
        assert_eq!((out[0].key, out[0].contiguous), (false, false));
        let out = push(&mut d, 3, true, Neighbour, &[0x10, 0x00, 1]);
        assert_eq!((out[0].key, out[0].contiguous), (true, true));
    }

    #[test]
    fn a_frame_whose_beginning_was_lost_is_not_taken_for_one() {
        let mut d = Depacketizer::default();
        assert!(push(&mut d, 1, true, Gap, &[0x00, 2, 2]).is_empty());
        assert!(!push(&mut d, 2, true, Neighbour, &[0x10, 0x00, 1])[0].contiguous);
    }

    proptest! {
        #[test]
        fn what_is_packetised_is_depacketised_the_same(
            frame in proptest::collection::vec(any::<u8>(), 1..5000), id in any::<u16>(),
        ) {
            let mut d = Depacketizer::default();
            let mut out = Vec::new();
            packetize(&frame, id, |head, body, last| {
                assert!(head.len() + body.len() <= MAX_PAYLOAD);
                out.extend(push(&mut d, 5, last, Neighbour, &[head, body].concat()));
            });
            prop_assert_eq!(out.len(), 1);
            prop_assert_eq!(&out[0].data[..], &frame[..]);
            prop_assert!(out[0].contiguous);
        }

        #[test]
        fn no_packets_make_it_panic(
            packets in proptest::collection::vec(
                (0..3_u32, any::<bool>(), any::<bool>(), proptest::collection::vec(any::<u8>(), 0..12)), 0..60),
        ) {
            let mut d = Depacketizer::default();
            for (timestamp, marker, gap, payload) in packets {
                push(&mut d, timestamp, marker, if gap { Gap } else { Neighbour }, &payload);
            }
        }
    }
}
