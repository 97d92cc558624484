//! RTP payloads to access units (RFC 6184 5.4-5.8, 7.1).
//!
//! ```text
//!            packet of a new timestamp / marker
//!  (gathering) ───────────────────────────────▶ Picture, (gathering) the next
//!       │ gap: the NAL unit being put together is dropped, what is whole stays, the picture is not contiguous
//! ```
//!
//! A picture with a hole is handed out if a whole slice of it is left: the decoder conceals the rest.

use super::{FU_A, IDR, PPS, SPS, STAP_A, START_CODE};
use crate::payload::{After, Arrival, Picture};
use base::limits;
use bytes::{Bytes, BytesMut};

/// Most parameter sets of each kind that are remembered; the oldest goes first.
const MAX_SETS: usize = 8;
/// Longest parameter set that is remembered, in bytes.
const MAX_SET_BYTES: usize = 1024;

/// Puts access units together. Bounded by [`limits::VIDEO_FRAME_BYTES`] and [`limits::VIDEO_FRAME_PACKETS`].
#[derive(Debug)]
pub struct Depacketizer {
    unit: Unit,
    sps: Sets,
    pps: Sets,
    /// Something is missing since the last picture that was handed out.
    gap: bool,
}

/// The access unit being gathered.
#[derive(Debug, Default)]
struct Unit {
    timestamp: u32,
    data: BytesMut,
    packets: usize,
    /// Where the NAL unit that FU-As are filling begins.
    fragment: Option<usize>,
    /// Where the first parameter set or slice begins: a missing SPS belongs there.
    first_set: Option<usize>,
    /// Where the first slice begins: a missing PPS belongs there.
    first_slice: Option<usize>,
    has_sps: bool,
    has_pps: bool,
    has_idr: bool,
    /// Something of it is missing.
    damaged: bool,
}

/// Parameter sets by the id in them.
#[derive(Debug, Default)]
struct Sets(Vec<(u32, Bytes)>);

impl Depacketizer {
    /// Starts with the parameter sets that the session description gave.
    #[must_use]
    pub fn new(parameter_sets: &[Bytes]) -> Self {
        let mut this = Self { unit: Unit::default(), sps: Sets::default(), pps: Sets::default(), gap: false };
        for set in parameter_sets {
            this.remember(set);
        }
        this
    }

    /// Takes the next packet's payload; hands out the pictures that it completes.
    pub fn push(&mut self, arrival: Arrival, payload: &[u8], mut sink: impl FnMut(Picture)) {
        if arrival.timestamp != self.unit.timestamp {
            self.finish(&mut sink);
            self.unit.timestamp = arrival.timestamp;
        }
        if arrival.after == After::Gap {
            self.damage();
            self.unit.damaged = self.unit.packets > 0 || !starts_unit(payload);
        }
        self.unit.packets += 1;
        self.take(payload);
        if arrival.marker {
            self.finish(&mut sink);
        }
    }

    /// The stream began anew (another SSRC): what is half done is forgotten, parameter sets stay.
    pub fn reset(&mut self) {
        self.unit = Unit::default();
        self.gap = false;
    }

    fn take(&mut self, payload: &[u8]) {
        let Some((&first, rest)) = payload.split_first() else { return };
        if first & 0x1f != FU_A && self.unit.fragment.is_some() {
            self.damage();
        }
        match first & 0x1f {
            1..=23 => self.whole(payload),
            STAP_A => self.aggregate(rest),
            FU_A => self.fragment(first, rest),
            _ => self.damage(),
        }
    }

    fn aggregate(&mut self, mut rest: &[u8]) {
        while let Some((size, after)) = rest.split_first_chunk::<2>() {
            let size = usize::from(u16::from_be_bytes(*size));
            let Some((nal, after)) = after.split_at_checked(size) else { return self.damage() };
            if nal.first().is_some_and(|first| matches!(first & 0x1f, 1..=23)) {
                self.whole(nal);
            }
            rest = after;
        }
    }

    fn fragment(&mut self, indicator: u8, rest: &[u8]) {
        let Some((&header, body)) = rest.split_first() else { return self.damage() };
        let (start, end) = (header & 0x80 != 0, header & 0x40 != 0);
        if start {
            if self.unit.fragment.is_some() {
                self.damage();
            }
            self.unit.fragment = Some(self.begin(indicator & 0xe0 | header & 0x1f));
        }
        let Some(begun) = self.unit.fragment else { return self.damage() };
        self.append(body);
        if end && self.unit.fragment.take().is_some() {
            self.end(begun);
        }
    }

    fn whole(&mut self, nal: &[u8]) {
        let Some((&header, body)) = nal.split_first() else { return };
        let begun = self.begin(header);
        self.unit.fragment = Some(begun);
        self.append(body);
        if self.unit.fragment.take().is_some() {
            self.end(begun);
        }
    }

    /// Starts a NAL unit and says where.
    fn begin(&mut self, header: u8) -> usize {
        let at = self.unit.data.len();
        if matches!(header & 0x1f, 1..=5 | SPS | PPS) {
            self.unit.first_set.get_or_insert(at);
        }
        if matches!(header & 0x1f, 1..=5) {
            self.unit.first_slice.get_or_insert(at);
        }
        self.unit.data.extend_from_slice(&START_CODE);
        self.unit.data.extend_from_slice(&[header]);
        at
    }

    /// The NAL unit that began at `begun` is whole.
    fn end(&mut self, begun: usize) {
        let nal = self.unit.data.get(begun + START_CODE.len()..).unwrap_or_default();
        match nal.first().map(|first| first & 0x1f) {
            Some(IDR) => self.unit.has_idr = true,
            Some(SPS) => self.unit.has_sps = true,
            Some(PPS) => self.unit.has_pps = true,
            _ => return,
        }
        if matches!(nal.first(), Some(first) if first & 0x1f != IDR) && nal.len() <= MAX_SET_BYTES {
            let nal = nal.to_vec();
            self.remember(&nal);
        }
    }

    /// Goes on with the NAL unit at hand; past the bounds it is dropped.
    fn append(&mut self, bytes: &[u8]) {
        let full = self.unit.data.len() + bytes.len() > limits::VIDEO_FRAME_BYTES;
        if full || self.unit.packets > limits::VIDEO_FRAME_PACKETS {
            return self.damage();
        }
        self.unit.data.extend_from_slice(bytes);
    }

    /// Something is missing here: forget the NAL unit that is half done.
    fn damage(&mut self) {
        self.gap = true;
        self.unit.damaged = true;
        if let Some(begun) = self.unit.fragment.take() {
            self.unit.data.truncate(begun);
            self.unit.first_set = self.unit.first_set.filter(|at| *at < begun);
            self.unit.first_slice = self.unit.first_slice.filter(|at| *at < begun);
        }
    }

    fn finish(&mut self, sink: &mut impl FnMut(Picture)) {
        if self.unit.fragment.is_some() {
            self.damage();
        }
        let unit = std::mem::take(&mut self.unit);
        self.unit.timestamp = unit.timestamp;
        // parameter sets that travel alone are remembered; they are no picture
        let Some(first_slice) = unit.first_slice else { return };
        let contiguous = !std::mem::take(&mut self.gap);
        let (timestamp, key) = (unit.timestamp, unit.has_idr && !unit.damaged);
        let complete = !unit.has_idr || unit.has_sps && unit.has_pps;
        let data = if complete { unit.data.freeze() } else { self.with_sets(&unit, first_slice) };
        sink(Picture { data, timestamp, key, contiguous });
    }

    /// A picture that stands alone needs its parameter sets with it, even if they travelled apart or before.
    fn with_sets(&self, unit: &Unit, first_slice: usize) -> Bytes {
        let sps = if unit.has_sps { &[][..] } else { &self.sps.0 };
        let pps = if unit.has_pps { &[][..] } else { &self.pps.0 };
        let (before, from_sets) = unit.data.split_at(unit.first_set.unwrap_or(first_slice));
        let (sets, slices) = from_sets.split_at(first_slice - before.len());
        let extra: usize = sps.iter().chain(pps).map(|(_, set)| set.len() + START_CODE.len()).sum();
        let mut out = BytesMut::with_capacity(unit.data.len() + extra);
        out.extend_from_slice(before);
        sps.iter().for_each(|(_, set)| put_nal(&mut out, set));
        out.extend_from_slice(sets);
        pps.iter().for_each(|(_, set)| put_nal(&mut out, set));
        out.extend_from_slice(slices);
        out.freeze()
    }

    fn remember(&mut self, nal: &[u8]) {
        match nal {
            [first, rest @ ..] if first & 0x1f == SPS => self.sps.put(rest.get(3..), nal),
            [first, rest @ ..] if first & 0x1f == PPS => self.pps.put(Some(rest), nal),
            _ => {}
        }
    }
}

/// Whether a packet after a gap can be the first of its access unit: parameter sets, SEI and the delimiter stand in
/// front, and the first slice begins at macroblock 0, which is a one bit (H.264 7.3.3).
fn starts_unit(payload: &[u8]) -> bool {
    let (kind, rest) = match payload {
        [first, header, rest @ ..] if first & 0x1f == FU_A && header & 0x80 != 0 => (header & 0x1f, rest),
        [first, rest @ ..] => (first & 0x1f, rest),
        [] => return false,
    };
    match kind {
        1 | 2 | IDR => rest.first().is_some_and(|bits| bits & 0x80 != 0),
        6..=9 | STAP_A => true,
        _ => false,
    }
}

fn put_nal(out: &mut BytesMut, nal: &[u8]) {
    out.extend_from_slice(&START_CODE);
    out.extend_from_slice(nal);
}

impl Sets {
    /// `from_id` is what follows up to the id, an Exp-Golomb number.
    fn put(&mut self, from_id: Option<&[u8]>, nal: &[u8]) {
        let Some(id) = from_id.and_then(exp_golomb) else { return };
        if nal.len() > MAX_SET_BYTES {
            return;
        }
        match self.0.iter_mut().find(|(known, _)| *known == id) {
            Some((_, set)) if set == nal => {}
            Some((_, set)) => *set = Bytes::copy_from_slice(nal),
            None => {
                if self.0.len() == MAX_SETS {
                    self.0.remove(0);
                }
                self.0.push((id, Bytes::copy_from_slice(nal)));
            }
        }
    }
}

/// The number `bits` begins with, ue(v) (H.264 9.1); `None` past 510, more than the largest id there is.
fn exp_golomb(bits: &[u8]) -> Option<u32> {
    let word = bits.iter().chain(&[0; 4]).take(4).fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
    let zeros = word.leading_zeros();
    (zeros <= 8).then(|| (word >> (31 - 2 * zeros)) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use After::{Gap, Neighbour};
    use proptest::prelude::*;

    const SPS_0: &[u8] = &[0x67, 0x42, 0xe0, 0x1f, 0x8c, 0x68];
    const PPS_0: &[u8] = &[0x68, 0xce, 0x3c, 0x80];
    const IDR_SLICE: &[u8] = &[0x65, 0x88, 0x11];
    const SLICE: &[u8] = &[0x41, 0x9a, 0x22];

    fn stream(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter().flat_map(|nal| [&START_CODE[..], nal].concat()).collect()
    }

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
    fn an_idr_gets_the_parameter_sets_that_came_in_packets_or_pictures_before() {
        let mut d = Depacketizer::new(&[]);
        assert!(push(&mut d, 1, true, Neighbour, SPS_0).is_empty());
        assert!(push(&mut d, 1, true, Neighbour, PPS_0).is_empty());
        let out = push(&mut d, 2, true, Neighbour, IDR_SLICE);
        assert_eq!(out[0].data, stream(&[SPS_0, PPS_0, IDR_SLICE]));
        assert!(out[0].key && out[0].contiguous);
    }

    #[test]
    fn an_idr_that_brings_its_own_parameter_sets_gets_no_others() {
        let mut d = Depacketizer::new(&[Bytes::from_static(SPS_0), Bytes::from_static(PPS_0)]);
        push(&mut d, 1, false, Neighbour, SPS_0);
        push(&mut d, 1, false, Neighbour, PPS_0);
        let out = push(&mut d, 1, true, Neighbour, IDR_SLICE);
        assert_eq!(out[0].data, stream(&[SPS_0, PPS_0, IDR_SLICE]));
    }

    #[test]
    fn a_missing_pps_is_put_between_sps_and_slice() {
        let mut d = Depacketizer::new(&[Bytes::from_static(PPS_0)]);
        push(&mut d, 1, false, Neighbour, SPS_0);
        let out = push(&mut d, 1, true, Neighbour, IDR_SLICE);
        assert_eq!(out[0].data, stream(&[SPS_0, PPS_0, IDR_SLICE]));
    }

    #[test]
    fn a_picture_ends_with_its_timestamp_when_the_marker_was_lost() {
        let mut d = Depacketizer::new(&[]);
        assert!(push(&mut d, 1, false, Neighbour, SLICE).is_empty());
        let out = push(&mut d, 2, false, Gap, SLICE);
        assert_eq!((out.len(), out[0].timestamp, out[0].contiguous), (1, 1, true));
        let out = push(&mut d, 3, false, Neighbour, SLICE);
        assert_eq!((out[0].timestamp, out[0].contiguous), (2, false));
    }

    #[test]
    fn a_lost_fragment_costs_its_slice_and_marks_what_is_left() {
        let mut d = Depacketizer::new(&[]);
        push(&mut d, 1, false, Neighbour, SLICE);
        push(&mut d, 1, false, Neighbour, &[0x5c, 0x81, 1, 2]);
        push(&mut d, 1, false, Gap, &[0x5c, 0x01, 3, 4]);
        let out = push(&mut d, 1, true, Neighbour, &[0x5c, 0x41, 5, 6]);
        assert_eq!(
            out,
            [Picture { data: stream(&[SLICE]).into(), timestamp: 1, key: false, contiguous: false }]
        );
        // and the next picture follows on that one
        assert!(push(&mut d, 2, true, Neighbour, SLICE)[0].contiguous);
    }

    #[test]
    fn a_picture_that_lost_everything_marks_the_next_one() {
        let mut d = Depacketizer::new(&[]);
        push(&mut d, 1, false, Gap, &[0x5c, 0x01, 3, 4]);
        assert!(push(&mut d, 1, true, Neighbour, &[0x5c, 0x41, 5, 6]).is_empty());
        assert!(!push(&mut d, 2, true, Neighbour, SLICE)[0].contiguous);
        assert!(push(&mut d, 3, true, Neighbour, SLICE)[0].contiguous);
    }

    #[test]
    fn a_keyframe_right_after_a_gap_is_a_keyframe_and_one_with_a_hole_is_not() {
        let mut d = Depacketizer::new(&[]);
        let whole = &push(&mut d, 1, true, Gap, IDR_SLICE)[0];
        assert!(whole.key && !whole.contiguous);
        push(&mut d, 2, false, Neighbour, IDR_SLICE);
        let holed = &push(&mut d, 2, true, Gap, &[0x65, 0x48, 0x11])[0];
        assert!(!holed.key && !holed.contiguous);
        let beheaded = &push(&mut d, 3, true, Gap, &[0x65, 0x48, 0x11])[0];
        assert!(!beheaded.key && !beheaded.contiguous);
    }

    #[test]
    fn interleaved_packets_are_dropped_politely() {
        let mut d = Depacketizer::new(&[]);
        for kind in [25, 26, 27, 29, 30, 31, 0] {
            push(&mut d, 1, false, Neighbour, &[kind, 0, 0, 0, 1, 0x65]);
        }
        let out = push(&mut d, 1, true, Neighbour, SLICE);
        assert_eq!((out.len(), out[0].contiguous), (1, false));
    }

    #[test]
    fn a_picture_never_grows_past_its_bounds() {
        let mut d = Depacketizer::new(&[]);
        let full = limits::VIDEO_FRAME_BYTES + START_CODE.len() + 1;
        push(&mut d, 1, false, Neighbour, &[0x5c, 0x81, 1]);
        for _ in 0..3000 {
            push(&mut d, 1, false, Neighbour, &[&[0x5c, 0x01][..], &[7; 1400]].concat());
            assert!(d.unit.data.len() <= full);
        }
        for _ in 0..3000 {
            push(&mut d, 1, false, Neighbour, &[0x41; 1400]);
            assert!(d.unit.data.len() <= full);
        }
        assert!(push(&mut d, 2, false, Neighbour, SLICE).iter().all(|picture| !picture.contiguous));
    }

    #[test]
    fn parameter_sets_are_kept_by_id_and_only_so_many() {
        let mut d = Depacketizer::new(&[]);
        for id in 0..100_u8 {
            d.remember(&[0x67, 0x42, 0xe0, 0x1f, 0x80 | id, id, 1]);
            d.remember(&[0x68, 0x00, id | 1, 0x80]);
        }
        assert!(d.sps.0.len() <= MAX_SETS && d.pps.0.len() <= MAX_SETS);
        assert_eq!(
            [exp_golomb(&[0x80]), exp_golomb(&[0x40]), exp_golomb(&[0x60])],
            [Some(0), Some(1), Some(2)]
        );
        assert_eq!(exp_golomb(&[]), None);
    }

    proptest! {
        #[test]
        fn no_packets_make_it_panic(
            packets in proptest::collection::vec(
                (0..3_u32, any::<bool>(), any::<bool>(), proptest::collection::vec(any::<u8>(), 0..40)), 0..60),
        ) {
            let mut d = Depacketizer::new(&[]);
            for (timestamp, marker, gap, mut payload) in packets {
                // half of them look like FU-A or STAP-A
                if let Some(first) = payload.first_mut().filter(|first| **first & 0x80 != 0) {
                    *first = 0x60 | if *first & 0x40 != 0 { FU_A } else { STAP_A };
                }
                let after = if gap { Gap } else { Neighbour };
                for picture in push(&mut d, timestamp, marker, after, &payload) {
                    prop_assert!(picture.data.starts_with(&START_CODE));
                }
            }
        }
    }
}
