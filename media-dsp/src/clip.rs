//! Sound that the box itself says: Opus packets of 20 ms, whole in memory, played by a sound source.
//!
//! ```text
//!  file: "GCLIP1\n", then for each packet its length (two octets, most significant first) and itself
//! ```

use crate::graph::RATE;
use base::Codec;
use bytes::Bytes;
use codecs::{AudioEncoder, opus};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How much sound one packet holds.
pub const PACKET: Duration = Duration::from_millis(20);
/// Longest clip: a minute, and the silence behind it.
pub const MAX_PACKETS: usize = 61 * 50;
/// What a clip is encoded in.
pub const CODEC: Codec = Codec::Opus;

const MAGIC: &[u8] = b"GCLIP1\n";
/// Bits per second; speech is clear from about half of it.
const BPS: u32 = 32_000;
/// Longest packet (RFC 6716 3.4, R2).
const MAX_PACKET_BYTES: usize = 1_275;
/// Silence behind the sound, so that its end is out of every buffer when the clip is over.
const TAIL: Duration = Duration::from_millis(400);
/// Taps on each side, and places between two samples, of the filter that brings any rate to 48 kHz.
const SIDE: usize = 16;
const PLACES: usize = 512;

/// A sound, encoded. A copy shares its memory.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Bytes>", into = "Vec<Bytes>")]
pub struct Clip {
    packets: Vec<Bytes>,
}

/// Why there is no clip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClipError {
    /// Not what [`Clip::to_bytes`] makes.
    Broken,
    /// Longer than [`MAX_PACKETS`], or nothing at all.
    Length(usize),
    /// Not sampled at 8 to 48 kHz.
    Rate(u32),
    /// The encoder failed.
    Encoder,
}

impl std::fmt::Display for ClipError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ClipError::Broken => f.write_str("no clip: its packets are not whole"),
            ClipError::Length(packets) => {
                write!(f, "a clip of {packets} packets; there may be 1 to {MAX_PACKETS}")
            }
            ClipError::Rate(rate) => write!(f, "sound at {rate} Hz; 8000 to 48000 are taken"),
            ClipError::Encoder => f.write_str("the Opus encoder failed"),
        }
    }
}

impl std::error::Error for ClipError {}

impl Clip {
    /// Encodes `samples`, of one channel at `rate` Hz. A minute takes about half a second.
    ///
    /// # Errors
    /// [`ClipError`].
    pub fn from_pcm(rate: u32, samples: &[i16]) -> Result<Self, ClipError> {
        if !(8_000..=RATE).contains(&rate) {
            return Err(ClipError::Rate(rate));
        }
        let block = RATE as usize / 50;
        let mut sound = resampled(rate, samples);
        sound.resize(
            (sound.len() + RATE as usize * TAIL.as_millis() as usize / 1_000).next_multiple_of(block),
            0.0,
        );
        let count = sound.len() / block;
        if samples.is_empty() || count > MAX_PACKETS {
            return Err(ClipError::Length(count));
        }
        let mut encoder = opus::Encoder::new(BPS).map_err(|_| ClipError::Encoder)?;
        let mut packet = |block: &[f32]| {
            let mut data = Vec::new();
            encoder.encode(block, &mut data).map(|()| Bytes::from(data)).map_err(|_| ClipError::Encoder)
        };
        Ok(Self { packets: sound.chunks_exact(block).map(&mut packet).collect::<Result<_, _>>()? })
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`ClipError::Broken`] or [`ClipError::Length`].
    pub fn from_bytes(mut bytes: Bytes) -> Result<Self, ClipError> {
        if !bytes.starts_with(MAGIC) {
            return Err(ClipError::Broken);
        }
        let (mut rest, mut packets) = (bytes.split_off(MAGIC.len()), Vec::new());
        while !rest.is_empty() {
            let length = rest.first_chunk().map(|two| usize::from(u16::from_be_bytes(*two)));
            let good =
                length.filter(|length| (1..=MAX_PACKET_BYTES).contains(length) && length + 2 <= rest.len());
            let mut after = rest.split_off(2.min(rest.len()));
            rest = after.split_off(good.ok_or(ClipError::Broken)?);
            packets.push(after);
        }
        Self::try_from(packets)
    }

    /// As it is kept in a file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for packet in &self.packets {
            // A packet has at most 1275 octets.
            bytes.extend_from_slice(&(packet.len() as u16).to_be_bytes());
            bytes.extend_from_slice(packet);
        }
        bytes
    }

    /// How long it lasts.
    #[must_use]
    pub fn duration(&self) -> Duration {
        PACKET * self.packets.len() as u32
    }

    /// Its packets.
    #[must_use]
    pub fn packets(&self) -> &[Bytes] {
        &self.packets
    }
}

impl TryFrom<Vec<Bytes>> for Clip {
    type Error = ClipError;

    fn try_from(packets: Vec<Bytes>) -> Result<Self, ClipError> {
        match packets.len() {
            _ if packets.iter().any(|packet| !(1..=MAX_PACKET_BYTES).contains(&packet.len())) => {
                Err(ClipError::Broken)
            }
            1..=MAX_PACKETS => Ok(Self { packets }),
            count => Err(ClipError::Length(count)),
        }
    }
}

impl From<Clip> for Vec<Bytes> {
    fn from(clip: Clip) -> Self {
        clip.packets
    }
}

impl std::fmt::Debug for Clip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "clip of {:?}", self.duration())
    }
}

/// At 48 kHz, by a windowed sinc; offline, so that any rate may come.
fn resampled(rate: u32, samples: &[i16]) -> Vec<f32> {
    let filter: Vec<[f32; 2 * SIDE]> = (0..=PLACES).map(|place| taps(place as f64 / PLACES as f64)).collect();
    let count = samples.len() as u64 * u64::from(RATE) / u64::from(rate.max(1));
    let sample = |at: usize| samples.get(at).map_or(0.0, |sample| f32::from(*sample) / 32_768.0);
    let made = |n: u64| {
        let at = n * u64::from(rate);
        let (whole, part) = ((at / u64::from(RATE)) as usize, at % u64::from(RATE));
        let taps = &filter[(part as usize * PLACES + RATE as usize / 2) / RATE as usize];
        let first = (whole + 1).wrapping_sub(SIDE);
        taps.iter().enumerate().map(|(i, tap)| tap * sample(first.wrapping_add(i))).sum()
    };
    (0..count).map(made).collect()
}

/// The filter for a sample that lies `place` of the way from one to the next: a sinc under Hann's window.
fn taps(place: f64) -> [f32; 2 * SIDE] {
    std::array::from_fn(|i| {
        let x = i as f64 + 1.0 - SIDE as f64 - place;
        let angle = std::f64::consts::PI * x;
        let sinc = if angle.abs() < 1e-9 { 1.0 } else { angle.sin() / angle };
        let window = 0.5 + 0.5 * (angle / SIDE as f64).cos();
        if x.abs() >= SIDE as f64 { 0.0 } else { (sinc * window) as f32 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use codecs::AudioDecoder;
    use proptest::prelude::*;

    fn tone(rate: u32, hz: f64, seconds: f64) -> Vec<i16> {
        let count = (f64::from(rate) * seconds) as usize;
        let sample =
            |i: usize| (8_000.0 * (std::f64::consts::TAU * hz * i as f64 / f64::from(rate)).sin()) as i16;
        (0..count).map(sample).collect()
    }

    #[test]
    fn a_clip_of_any_rate_sounds_at_its_pitch_and_lasts_as_long() {
        for rate in [8_000, 11_025, 16_000, 22_050, 44_100, 48_000] {
            let clip = Clip::from_pcm(rate, &tone(rate, 1_000.0, 1.0)).expect("a clip");
            assert_eq!(clip.duration(), Duration::from_millis(1_400), "{rate}");
            let (mut decoder, mut sound) = (opus::Decoder::new(opus::RATE).expect("a decoder"), Vec::new());
            clip.packets().iter().for_each(|packet| decoder.decode(packet, &mut sound).expect("decoded"));
            let heard = kernels::sound::tone(&sound[9_600..43_200], 1_000.0, 48_000.0);
            assert!((heard - 0.244).abs() < 0.02, "{rate}: {heard}");
            let rest = kernels::sound::energy(&sound[9_600..43_200]) - heard * heard / 2.0;
            assert!(rest < 0.001, "{rate}: {rest}");
        }
    }

    #[test]
    fn a_clip_is_read_back_from_its_bytes() {
        let clip = Clip::from_pcm(16_000, &tone(16_000, 440.0, 0.3)).expect("a clip");
        assert_eq!(Clip::from_bytes(clip.to_bytes().into()), Ok(clip.clone()));
        let bytes = clip.to_bytes();
        assert_eq!(
            Clip::from_bytes(Bytes::copy_from_slice(&bytes[..bytes.len() - 1])),
            Err(ClipError::Broken)
        );
        assert_eq!(Clip::from_bytes(Bytes::from_static(MAGIC)), Err(ClipError::Length(0)));
    }

    #[test]
    fn what_is_too_long_or_too_slow_is_no_clip() {
        assert_eq!(Clip::from_pcm(7_999, &[0]), Err(ClipError::Rate(7_999)));
        assert_eq!(Clip::from_pcm(8_000, &vec![0; 8_000 * 61]), Err(ClipError::Length(3_070)));
        assert!(matches!(Clip::from_pcm(8_000, &[]), Err(ClipError::Length(_))));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Clip::from_bytes([MAGIC, &bytes[..]].concat().into());
            let _ = Clip::from_bytes(bytes.into());
        }
    }
}
