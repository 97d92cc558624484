//! A prompt's voice, from a WAV file (RIFF; Multimedia Programming Interface and Data Specifications 1.0).

use std::ops::RangeInclusive;

/// Largest file taken, in bytes: the longest voice at the highest rate with two channels, and a little.
pub const MAX_WAV_BYTES: usize = 12 * 1024 * 1024;
/// Longest voice, in seconds.
pub const MAX_SECONDS: u32 = 60;
/// Samples per second.
pub const RATES: RangeInclusive<u32> = 8_000..=48_000;

/// `WAVE_FORMAT_PCM`, and `WAVE_FORMAT_EXTENSIBLE`, whose first two octets of sub-format say what is inside.
const PCM: u16 = 1;
const EXTENSIBLE: u16 = 0xfffe;

/// A voice: one channel of 16 bit samples.
#[derive(Clone, PartialEq, Eq)]
pub struct Voice {
    rate: u32,
    samples: Vec<i16>,
}

/// Why a file is no voice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VoiceError {
    /// Too many bytes.
    #[error("has {0} bytes; at most {MAX_WAV_BYTES} are taken, shorten it")]
    TooLarge(usize),
    /// No RIFF with WAVE in it.
    #[error("is no WAV file; save it as WAV, PCM, 16 bit")]
    NotWav,
    /// It ends in the middle.
    #[error("is cut short: its {0} part is not whole; upload it again")]
    CutShort(&'static str),
    /// Not PCM of 16 bit.
    #[error("holds format {format} with {bits} bits a sample; save it as PCM, 16 bit")]
    Format {
        /// The format tag.
        format: u16,
        /// Bits of one sample.
        bits: u16,
    },
    /// Neither mono nor stereo.
    #[error("has {0} channels; save it in mono or stereo")]
    Channels(u16),
    /// Too slow or too fast.
    #[error("has {0} samples a second; take 8000 to 48000")]
    Rate(u32),
    /// Too long.
    #[error("is longer than {MAX_SECONDS} seconds; shorten it")]
    TooLong,
    /// Nothing in it.
    #[error("holds no sound; record one")]
    Empty,
}

impl Voice {
    /// Reads a WAV file. Of two channels the mean is taken.
    ///
    /// # Errors
    /// [`VoiceError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, VoiceError> {
        if bytes.len() > MAX_WAV_BYTES {
            return Err(VoiceError::TooLarge(bytes.len()));
        }
        let (head, mut rest) = bytes.split_at_checked(12).ok_or(VoiceError::NotWav)?;
        if !head.starts_with(b"RIFF") || !head.ends_with(b"WAVE") {
            return Err(VoiceError::NotWav);
        }
        let mut format = None;
        while let Some((chunk, after)) = rest.split_at_checked(8) {
            let (id, size) = chunk.split_at(4);
            let size = usize::try_from(number(size)).unwrap_or(usize::MAX);
            match id {
                b"fmt " => {
                    format = Some(Format::parse(after.get(..size).ok_or(VoiceError::CutShort("fmt"))?)?)
                }
                b"data" => {
                    let format = format.ok_or(VoiceError::CutShort("fmt"))?;
                    return format.voice(after.get(..size).ok_or(VoiceError::CutShort("data"))?);
                }
                _ => {}
            }
            // Chunks begin at even places.
            rest = after.get(size.saturating_add(size & 1)..).unwrap_or_default();
        }
        Err(VoiceError::CutShort("data"))
    }

    /// Samples per second.
    #[must_use]
    pub const fn rate(&self) -> u32 {
        self.rate
    }

    /// The samples.
    #[must_use]
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }
}

impl std::fmt::Debug for Voice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} samples at {} Hz", self.samples.len(), self.rate)
    }
}

struct Format {
    channels: u16,
    rate: u32,
}

impl Format {
    fn parse(chunk: &[u8]) -> Result<Self, VoiceError> {
        let half = |at: usize| chunk.get(at..at + 2).map(|two| number(two) as u16);
        let cut = || VoiceError::CutShort("fmt");
        let (tag, channels) = (half(0).ok_or_else(cut)?, half(2).ok_or_else(cut)?);
        let rate = number(chunk.get(4..8).ok_or_else(cut)?);
        let bits = half(14).ok_or_else(cut)?;
        let format = if tag == EXTENSIBLE { half(24).ok_or_else(cut)? } else { tag };
        if format != PCM || bits != 16 {
            return Err(VoiceError::Format { format, bits });
        }
        if !(1..=2).contains(&channels) {
            return Err(VoiceError::Channels(channels));
        }
        if !RATES.contains(&rate) {
            return Err(VoiceError::Rate(rate));
        }
        Ok(Self { channels, rate })
    }

    fn voice(&self, data: &[u8]) -> Result<Voice, VoiceError> {
        let frames = data.chunks_exact(2 * usize::from(self.channels));
        if frames.len() == 0 {
            return Err(VoiceError::Empty);
        }
        if frames.len() as u64 > u64::from(self.rate) * u64::from(MAX_SECONDS) {
            return Err(VoiceError::TooLong);
        }
        let mean = |frame: &[u8]| {
            let samples = frame.chunks_exact(2).map(|pair| i32::from(i16::from_le_bytes([pair[0], pair[1]])));
            // The mean of 16 bit samples has 16 bits.
            (samples.sum::<i32>() / i32::from(self.channels)) as i16
        };
        Ok(Voice { rate: self.rate, samples: frames.map(mean).collect() })
    }
}

/// Up to four octets, least first.
fn number(octets: &[u8]) -> u32 {
    octets.iter().take(4).rev().fold(0, |number, octet| number << 8 | u32::from(*octet))
}
