//! H.264 in RTP (RFC 6184), packetization modes 0 and 1.
//!
//! ```text
//!  NAL unit type   1-23 single NAL unit   24 STAP-A   28 FU-A   25-27, 29 interleaved mode: never offered, dropped
//! ```
//!
//! Receiving is in [`Depacketizer`], sending in [`packetize`]. Both speak Annex B byte streams on the other side.

mod depacketize;
mod packetize;

pub use depacketize::Depacketizer;
pub use packetize::{NalTooLong, packetize};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

/// Annex B start code, in its long form.
pub const START_CODE: [u8; 4] = [0, 0, 0, 1];

pub(crate) const IDR: u8 = 5;
pub(crate) const SPS: u8 = 7;
pub(crate) const PPS: u8 = 8;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// Most parameter sets read from one `sprop-parameter-sets`.
const MAX_SPROP: usize = 16;

/// The parameter sets in an fmtp's `sprop-parameter-sets` value (RFC 6184 8.1): base64, comma between. What is no
/// parameter set is left out.
#[must_use]
pub fn sprop(value: &str) -> Vec<Bytes> {
    value
        .split(',')
        .take(MAX_SPROP)
        .filter_map(|set| STANDARD.decode(set.trim()).ok())
        .filter(|set| set.first().is_some_and(|first| matches!(first & 0x1f, SPS | PPS)))
        .map(Bytes::from)
        .collect()
}

/// The NAL units of an Annex B byte stream, without start codes and trailing zeros.
pub fn nal_units(stream: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = start_code(stream).map(|(_, after)| &stream[after..]);
    std::iter::from_fn(move || {
        let current = rest?;
        let (end, next) = match start_code(current) {
            Some((at, after)) => (at, Some(&current[after..])),
            None => (current.len(), None),
        };
        rest = next;
        Some(trim_zeros(&current[..end]))
    })
    .filter(|nal| !nal.is_empty())
}

/// Where the next start code begins and ends.
fn start_code(stream: &[u8]) -> Option<(usize, usize)> {
    let mut at = 0;
    // a byte above 1 at the third place rules out a start code at any of the three: most of a picture is skipped so
    while let Some(three) = stream.get(at..at + 3) {
        match three {
            [0, 0, 1] => return Some((at, at + 3)),
            [_, _, 2..=255] => at += 3,
            _ => at += 1,
        }
    }
    None
}

fn trim_zeros(nal: &[u8]) -> &[u8] {
    let end = nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    &nal[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::{After, Arrival};
    use crate::{H264Mode, packet};
    use proptest::prelude::*;

    /// A NAL unit of a type and a length, with no start code in it.
    fn nal(kind: u8, len: usize) -> Vec<u8> {
        let mut nal = vec![0x60 | kind];
        nal.extend((1..len).map(|i| (i % 250 + 1) as u8));
        nal
    }

    fn annex_b(nals: &[Vec<u8>]) -> Vec<u8> {
        nals.iter().flat_map(|nal| [&START_CODE[..], nal].concat()).collect()
    }

    fn packets(stream: &[u8], mode: H264Mode) -> Vec<(Vec<u8>, bool)> {
        let mut out = Vec::new();
        packetize(stream, mode, |head, body, last| out.push(([head, body].concat(), last))).unwrap();
        out
    }

    #[test]
    fn nal_units_are_found_between_start_codes_of_either_length() {
        let stream =
            [&[0, 0, 1, 0x67, 1][..], &[0, 0, 0, 1, 0x68, 2, 0, 0], &[0, 0, 1], &[0, 0, 1, 0x65, 3]].concat();
        let found: Vec<_> = nal_units(&stream).collect();
        assert_eq!(found, [&[0x67, 1][..], &[0x68, 2], &[0x65, 3]]);
        assert_eq!(nal_units(b"no start code").count(), 0);
    }

    #[test]
    fn parameter_sets_are_read_from_the_session_description() {
        let sets = sprop("Z0IACpZTBYmI,aMljiA==,!!!,ZQ==");
        assert_eq!(sets.iter().map(|set| set[0] & 0x1f).collect::<Vec<_>>(), [SPS, PPS]);
    }

    #[test]
    fn mode_1_puts_parameter_sets_into_one_stap_a_and_splits_a_slice_over_fu_a() {
        let stream = annex_b(&[nal(SPS, 12), nal(PPS, 5), nal(IDR, 3000)]);
        let packets = packets(&stream, H264Mode::NonInterleaved);
        let kinds: Vec<_> = packets.iter().map(|(packet, last)| (packet[0] & 0x1f, *last)).collect();
        assert_eq!(kinds, [(STAP_A, false), (FU_A, false), (FU_A, false), (FU_A, true)]);
        assert!(packets.iter().all(|(packet, _)| packet.len() <= packet::MAX_PAYLOAD));
    }

    #[test]
    fn mode_0_sends_each_nal_unit_alone_and_refuses_one_longer_than_a_packet() {
        let sent = packets(&annex_b(&[nal(SPS, 12), nal(PPS, 5), nal(IDR, 1100)]), H264Mode::SingleNal);
        assert_eq!(sent.iter().map(|(packet, _)| packet.len()).collect::<Vec<_>>(), [12, 5, 1100]);
        let mut sent = 0;
        let refused =
            packetize(&annex_b(&[nal(SPS, 12), nal(IDR, 1300)]), H264Mode::SingleNal, |_, _, _| sent += 1);
        assert_eq!((refused, sent), (Err(NalTooLong { bytes: 1300 }), 0));
    }

    proptest! {
        #[test]
        fn what_is_packetised_is_depacketised_the_same(
            nals in proptest::collection::vec((1..=12_u8, 1..4000_usize), 1..12),
        ) {
            let slice = (1, 100);
            let nals = nals.into_iter().chain([slice]).map(|(kind, len)| nal(kind, len));
            let stream = annex_b(&nals.collect::<Vec<_>>());
            let mut depacketizer = Depacketizer::new(&[]);
            let mut out = Vec::new();
            for (packet, marker) in packets(&stream, H264Mode::NonInterleaved) {
                let arrival = Arrival { timestamp: 1, marker, after: After::Neighbour };
                depacketizer.push(arrival, &packet, |picture| out.push(picture));
            }
            prop_assert_eq!(out.len(), 1);
            prop_assert!(out[0].contiguous);
            prop_assert_eq!(&out[0].data[..], &stream[..]);
        }
    }
}
