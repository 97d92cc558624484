//! Sound in RTP: Opus (RFC 7587), G.722 and G.711 (RFC 3551 4.5). The payload is the frame.

use base::Codec;

/// How many ticks of the RTP clock a packet of sound lasts; `None` if it is no packet of that codec.
///
/// G.722 has two samples in each octet and, by a historical slip, one tick (RFC 3551 4.5.2).
#[must_use]
pub fn ticks(codec: Codec, payload: &[u8]) -> Option<u32> {
    match codec {
        Codec::Opus => opus_ticks(payload),
        Codec::G722 | Codec::Pcma | Codec::Pcmu => {
            u32::try_from(payload.len()).ok().filter(|ticks| *ticks > 0)
        }
        Codec::H264 | Codec::Vp8 => None,
    }
}

/// RFC 6716 3.1 and 3.2: frame size by the configuration, times the frames in the packet; at most 120 ms.
fn opus_ticks(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let frame = match toc >> 3 {
        config @ 0..=11 => [480, 960, 1920, 2880][usize::from(config & 3)],
        config @ 12..=15 => [480, 960][usize::from(config & 1)],
        config => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    Some(frame * frames).filter(|ticks| (1..=5760).contains(ticks))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn twenty_milliseconds_are_160_ticks_of_g7xx_and_960_of_opus() {
        assert_eq!(ticks(Codec::G722, &[0; 160]), Some(160));
        assert_eq!(ticks(Codec::Pcmu, &[0; 160]), Some(160));
        // fullband CELT 20 ms, one frame; SILK 20 ms, two frames; hybrid 10 ms, three frames
        assert_eq!(ticks(Codec::Opus, &[31 << 3]), Some(960));
        assert_eq!(ticks(Codec::Opus, &[1 << 3 | 1]), Some(1920));
        assert_eq!(ticks(Codec::Opus, &[12 << 3 | 3, 3]), Some(1440));
    }

    #[test]
    fn what_lasts_no_time_or_too_long_is_no_packet() {
        assert_eq!(ticks(Codec::Opus, &[]), None);
        assert_eq!(ticks(Codec::Opus, &[3]), None);
        assert_eq!(ticks(Codec::Opus, &[3 << 3 | 3, 3]), None);
        assert_eq!(ticks(Codec::Pcma, &[]), None);
        assert_eq!(ticks(Codec::H264, &[1]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(data in proptest::collection::vec(any::<u8>(), 0..6)) {
            for codec in [Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu] {
                let _ = ticks(codec, &data);
            }
        }
    }
}
