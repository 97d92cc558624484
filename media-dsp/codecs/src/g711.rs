//! G.711 A-law and µ-law (ITU-T G.711), 8 kHz, one octet a sample; loss is concealed by [`Concealer`].

use crate::conceal::Concealer;
use crate::{AudioDecoder, AudioEncoder, DecodeError, EncodeError, MAX_SOUND_BYTES};
use audio_codec_algorithms as laws;

/// Samples per second.
pub const RATE: u32 = 8_000;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Law {
    /// A-law (PCMA).
    A,
    /// µ-law (PCMU).
    Mu,
}

/// A G.711 decoder of one stream.
#[derive(Debug)]
pub struct Decoder {
    law: Law,
    concealer: Concealer,
}

impl Decoder {
    /// A decoder for `law`.
    #[must_use]
    pub fn new(law: Law) -> Self {
        Self { law, concealer: Concealer::new(RATE) }
    }
}

impl AudioDecoder for Decoder {
    fn rate(&self) -> u32 {
        RATE
    }

    fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<(), DecodeError> {
        if packet.len() > MAX_SOUND_BYTES {
            return Err(DecodeError::TooLong(packet.len()));
        }
        let from = out.len();
        let linear = |octet: &u8| match self.law {
            Law::A => laws::decode_alaw(*octet),
            Law::Mu => laws::decode_ulaw(*octet),
        };
        out.extend(packet.iter().map(|octet| f32::from(linear(octet)) / 32_768.0));
        self.concealer.heard(&mut out[from..]);
        Ok(())
    }

    fn conceal(&mut self, samples: usize, out: &mut Vec<f32>) {
        self.concealer.conceal(samples, out);
    }
}

/// A G.711 encoder of one stream.
#[derive(Debug)]
pub struct Encoder(Law);

impl Encoder {
    /// An encoder for `law`.
    #[must_use]
    pub fn new(law: Law) -> Self {
        Self(law)
    }
}

impl AudioEncoder for Encoder {
    fn rate(&self) -> u32 {
        RATE
    }

    fn encode(&mut self, block: &[f32], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.extend(block.iter().map(|sample| {
            let linear = (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16;
            match self.0 {
                Law::A => laws::encode_alaw(linear),
                Law::Mu => laws::encode_ulaw(linear),
            }
        }));
        Ok(())
    }
}
