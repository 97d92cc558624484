//! How much each stream we send may take, so that all of them together stay below the limit (P12).
//!
//! At 2 Mbit/s: 48 kbit/s of sound, layers of 120, 350 and 950 kbit/s. Packet headers add about 150 kbit/s and RTCP 30; the
//! third of a megabit that is left takes key frames and retransmissions. `webrtc` enforces the limit itself; these
//! numbers see to it that it need not.

use base::ids::StreamId;
use base::leg::SendStream;
use base::{Codec, MediaKind, Size};
use std::time::Duration;
use webrtc::{Layer, SendTrack};

/// Bits per second of encoded sound.
const SOUND_BPS: u64 = 48_000;
/// How much sound one packet holds.
const SOUND_FRAME: Duration = Duration::from_millis(20);

/// The layers at the full limit, smallest first.
const LAYERS: [Layer; 3] = [
    Layer { rid: "q", size: Size::P180, max_bps: 120_000, max_fps: 30 },
    Layer { rid: "h", size: Size::P360, max_bps: 350_000, max_fps: 30 },
    Layer { rid: "f", size: Size::HD720, max_bps: 950_000, max_fps: 30 },
];
/// A layer with less than this part of its full rate, in hundredths, is not worth sending: its size is left out.
const WORTH: u64 = 45;

/// The layers that fit in `max_bps` on the wire; always at least the smallest.
pub(crate) fn layers(max_bps: u64) -> Vec<Layer> {
    let mut left = webrtc::media_bps(max_bps).saturating_sub(SOUND_BPS);
    let mut fit = Vec::new();
    for layer in LAYERS {
        let share = layer.max_bps.min(left);
        if !fit.is_empty() && share * 100 < layer.max_bps * WORTH {
            break;
        }
        left -= share;
        fit.push(Layer { max_bps: share, ..layer });
    }
    fit
}

/// The name of a stream we send: 0 is the sound, then the layers.
pub(crate) fn stream(track: SendTrack) -> StreamId {
    match track {
        SendTrack::Sound => StreamId(0),
        SendTrack::Layer(layer) => StreamId(1 + u32::from(layer)),
    }
}

/// The stream with this name.
pub(crate) fn track(stream: StreamId, layers: usize) -> Option<SendTrack> {
    match stream.0.checked_sub(1) {
        None => Some(SendTrack::Sound),
        Some(layer) => {
            u8::try_from(layer).ok().filter(|layer| usize::from(*layer) < layers).map(SendTrack::Layer)
        }
    }
}

/// All that may be sent, as the media plane needs it.
pub(crate) fn send_streams(layers: &[Layer]) -> Vec<SendStream> {
    let sound = SendStream {
        id: stream(SendTrack::Sound),
        kind: MediaKind::Audio,
        codec: Codec::Opus,
        max_bps: SOUND_BPS,
        max_size: Size::new(0, 0),
        max_fps: 0,
        max_nal_bytes: None,
        frame_time: SOUND_FRAME,
    };
    let pictures = (0_u8..).zip(layers).map(|(at, layer)| SendStream {
        id: stream(SendTrack::Layer(at)),
        kind: MediaKind::Video,
        codec: Codec::Vp8,
        max_bps: layer.max_bps,
        max_size: layer.size,
        max_fps: layer.max_fps,
        ..sound.clone()
    });
    std::iter::once(sound.clone()).chain(pictures).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p12_the_streams_together_stay_below_the_limit_with_headers() {
        for max_bps in [150_000_u64, 300_000, 700_000, 1_200_000, 2_000_000] {
            let sum: u64 = send_streams(&layers(max_bps)).iter().map(|stream| stream.max_bps).sum();
            assert!(sum <= webrtc::media_bps(max_bps).max(SOUND_BPS), "{sum} of {max_bps}");
        }
        assert_eq!(layers(2_000_000), LAYERS);
    }

    #[test]
    fn a_small_limit_leaves_the_large_layers_out() {
        assert_eq!(layers(800_000).len(), 2);
        assert_eq!(layers(100_000).len(), 1);
    }
}
