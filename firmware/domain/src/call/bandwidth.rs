//! How the bits that a leg may send are shared out: sound first, then pictures from the smallest up.
//!
//! The budget counts everything on the wire, headers and repairs included (P12), so what is given to encoders is less.
//! A larger picture begins only when the smaller ones have what they need; when the budget shrinks the largest goes
//! first, and it comes back only with a quarter more than it needs, so that it does not flutter.

use base::frame::Codec;
use base::leg::SendStream;
use std::time::Duration;

/// Headers of one packet in bytes: IPv6 40, UDP 8, RTP 12, extensions 16, SRTP tag 10 (RFC 8200, 768, 3550, 3711).
const PACKET_OVERHEAD: u64 = 86;
/// What pictures cost on the wire for each hundred bits encoded: headers of 1100-byte packets 8 %, and 7 % for
/// retransmissions, RTCP and an encoder's overshoot within a second.
const PICTURE_WIRE_PERCENT: u64 = 115;
/// Least that a picture is sent with at all.
const LEAST_PICTURE_BPS: u64 = 48_000;
/// Steps that bit rates change by, so that not every estimate is a new plan.
const STEP_BPS: u64 = 8_000;
/// Longest packet time reckoned with.
const LEAST_FRAME_TIME: Duration = Duration::from_millis(10);

/// What each stream may be encoded with, in bits per second.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Shares {
    /// For sound.
    pub(super) sound: u32,
    /// For each picture, in the order they were given; 0 for none.
    pub(super) pictures: Vec<u32>,
}

/// Shares `budget` bits per second on the wire between `sound` and `pictures`, the smallest picture first.
/// `before` is what the pictures had until now.
pub(super) fn share(
    budget: u64,
    sound: Option<&SendStream>,
    pictures: &[&SendStream],
    before: &[u32],
) -> Shares {
    let sound_bps = sound.map_or(0, |stream| sound_rate(stream, budget));
    let sound_wire = sound.map_or(0, |stream| sound_bps + headers(stream.frame_time));
    let mut left = budget.saturating_sub(sound_wire) * 100 / PICTURE_WIRE_PERCENT;

    let mut shares = vec![0_u64; pictures.len()];
    for (n, stream) in pictures.iter().enumerate() {
        let least = least(n, stream);
        let was_off = before.get(n).is_none_or(|bps| *bps == 0) && !before.is_empty();
        let wanted = if was_off && n > 0 { least * 5 / 4 } else { least };
        if left < wanted {
            break;
        }
        shares[n] = least;
        left -= least;
    }
    let on = shares.iter().take_while(|share| **share > 0).count();
    for (n, stream) in pictures.iter().enumerate().take(on) {
        raise(&mut shares[n], &mut left, ideal(stream));
    }
    for (n, stream) in pictures.iter().enumerate().take(on).rev() {
        raise(&mut shares[n], &mut left, stream.max_bps);
    }
    Shares {
        sound: bps(sound_bps),
        pictures: shares.into_iter().map(|share| bps(share / STEP_BPS * STEP_BPS)).collect(),
    }
}

fn raise(share: &mut u64, left: &mut u64, to: u64) {
    let more = to.saturating_sub(*share).min(*left);
    *share += more;
    *left -= more;
}

/// Opus has a choice; the others have one rate (RFC 3551).
fn sound_rate(stream: &SendStream, budget: u64) -> u64 {
    match stream.codec {
        Codec::Opus if budget < 150_000 => stream.max_bps.min(20_000),
        Codec::Opus if budget < 500_000 => stream.max_bps.min(32_000),
        Codec::Opus => stream.max_bps.min(48_000),
        Codec::G722 | Codec::Pcma | Codec::Pcmu => 64_000,
        Codec::H264 | Codec::Vp8 => 0,
    }
}

/// What the headers of sound packets cost in bits per second.
fn headers(frame_time: Duration) -> u64 {
    let micros = u64::try_from(frame_time.max(LEAST_FRAME_TIME).as_micros()).unwrap_or(u64::MAX);
    PACKET_OVERHEAD * 8 * 1_000_000 / micros
}

/// Least that the `n`th picture is worth sending with: the smallest at almost any price, larger ones only if they look
/// better than the smaller one scaled up.
fn least(n: usize, stream: &SendStream) -> u64 {
    let by_size = by_size(stream, [48_000, 150_000, 480_000]);
    let least = if n == 0 { LEAST_PICTURE_BPS } else { by_size };
    least.min(stream.max_bps.max(1))
}

/// Where more bits are better spent on a larger picture.
fn ideal(stream: &SendStream) -> u64 {
    by_size(stream, [150_000, 500_000, 1_500_000]).min(stream.max_bps)
}

/// One of three: for pictures up to about 320x180, up to about 640x360, and larger.
fn by_size(stream: &SendStream, [small, middle, large]: [u64; 3]) -> u64 {
    match stream.max_size.area() {
        0..=60_000 => small,
        60_001..=250_000 => middle,
        _ => large,
    }
}

fn bps(bps: u64) -> u32 {
    u32::try_from(bps).unwrap_or(u32::MAX)
}

/// What is on the wire for these shares, in bits per second.
#[cfg(test)]
pub(super) fn wire(shares: &Shares, frame_time: Option<Duration>) -> u64 {
    let pictures: u64 = shares.pictures.iter().map(|bps| u64::from(*bps)).sum();
    u64::from(shares.sound) + frame_time.map_or(0, headers) + pictures * PICTURE_WIRE_PERCENT / 100
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::frame::{MediaKind, Size};
    use base::ids::StreamId;
    use base::limits::CONFERENCE_BPS;
    use proptest::prelude::*;

    fn stream(id: u32, codec: Codec, max_size: Size, max_bps: u64) -> SendStream {
        SendStream {
            id: StreamId(id),
            kind: if max_size.area() == 0 { MediaKind::Audio } else { MediaKind::Video },
            codec,
            max_bps,
            max_size,
            max_fps: 30,
            max_nal_bytes: None,
            frame_time: Duration::from_millis(20),
        }
    }

    fn opus() -> SendStream {
        stream(0, Codec::Opus, Size::new(0, 0), 64_000)
    }

    fn three() -> [SendStream; 3] {
        [
            stream(1, Codec::Vp8, Size::P180, 200_000),
            stream(2, Codec::Vp8, Size::P360, 700_000),
            stream(3, Codec::Vp8, Size::HD720, 1_700_000),
        ]
    }

    fn shared(budget: u64, before: &[u32]) -> Shares {
        share(budget, Some(&opus()), &three().each_ref(), before)
    }

    #[test]
    fn p12_all_three_sizes_and_sound_fit_into_two_megabits_with_their_headers() {
        let shares = shared(CONFERENCE_BPS, &[]);
        assert_eq!(shares.sound, 48_000);
        assert_eq!(shares.pictures[..2], [144_000, 496_000], "the small ones have what they need");
        assert!(shares.pictures[2] > 1_000_000, "{shares:?}");
        assert!(wire(&shares, Some(Duration::from_millis(20))) <= CONFERENCE_BPS);
    }

    #[test]
    fn p12_when_bits_are_short_the_largest_picture_goes_first() {
        assert_eq!(shared(700_000, &[]).pictures[2], 0);
        assert!(shared(700_000, &[]).pictures[1] >= 150_000);
        assert_eq!(shared(200_000, &[]).pictures[1..], [0, 0]);
        assert!(shared(200_000, &[]).pictures[0] > 0);
        let starved = shared(50_000, &[]);
        assert_eq!((starved.sound, starved.pictures), (20_000, vec![0, 0, 0]), "sound is never given up");
    }

    #[test]
    fn a_size_that_was_dropped_comes_back_only_with_a_margin() {
        let enough = (0..).map(|n| n * 1000).find(|budget| shared(*budget, &[]).pictures[2] > 0).unwrap();
        assert!(shared(enough, &[1, 1, 1]).pictures[2] > 0, "it stays");
        assert_eq!(shared(enough, &[1, 1, 0]).pictures[2], 0, "it does not come back yet");
        assert!(shared(enough + 150_000, &[1, 1, 0]).pictures[2] > 0);
    }

    #[test]
    fn a_rooms_single_picture_gets_what_is_left_up_to_what_the_room_takes() {
        let g722 = stream(0, Codec::G722, Size::new(0, 0), 64_000);
        let h264 = stream(1, Codec::H264, Size::HD720, 1_500_000);
        let picture = |budget| share(budget, Some(&g722), &[&h264], &[]).pictures[0];
        assert_eq!(picture(10_000_000), 1_496_000);
        assert!((700_000..800_000).contains(&picture(1_000_000)), "{}", picture(1_000_000));
        assert!(picture(200_000) > 0, "a room has one picture only and keeps it");
        assert_eq!(picture(100_000), 0);
    }

    proptest! {
        #[test]
        fn p12_no_budget_is_ever_exceeded(
            budget in 120_000..3_000_000_u64, before in prop::collection::vec(0..2_000_000_u32, 0..4),
            limits in prop::array::uniform3(0..3_000_000_u64),
        ) {
            let mut streams = three();
            for (stream, limit) in streams.iter_mut().zip(limits) {
                stream.max_bps = limit;
            }
            let shares = share(budget, Some(&opus()), &streams.each_ref(), &before);
            prop_assert!(wire(&shares, Some(Duration::from_millis(20))) <= budget, "{shares:?}");
            prop_assert!(shares.pictures.iter().zip(limits).all(|(bps, limit)| u64::from(*bps) <= limit));
        }
    }
}
