//! Opus (RFC 6716) by libopus, mono; stereo that comes is mixed down by the library.

use crate::{AudioDecoder, AudioEncoder, DecodeError, EncodeError, MAX_SOUND_BYTES};
use opus::{Application, Bandwidth, Bitrate, Channels, Signal};

/// Samples per second of an encoder, and of a decoder for all that there is to hear.
pub const RATE: u32 = 48_000;
/// From so many bits per second on speech goes by the transform coder (CELT), for which RFC 6716 2.1.1 has 48 to 64 kbit/s even for full-band
/// music in mono. A block of wide-band speech takes it 51 us in place of SILK's 129, or 184 with FEC, which SILK alone knows. Times
/// were measured; nobody has listened.
const TRANSFORM_BPS: i32 = 40_000;

/// An Opus decoder of one stream.
#[derive(Debug)]
pub struct Decoder {
    inner: opus::Decoder,
    rate: u32,
    /// 120 ms, the most there is in a packet (RFC 6716 2.1.4).
    block: Vec<f32>,
    /// Samples in 2.5 ms, the step of concealment.
    step: usize,
}

impl Decoder {
    /// A decoder that has heard nothing yet and gives `rate` samples per second, whatever the sender has: 8, 12, 16, 24 or 48 thousand. A
    /// lower one takes less time: most speech is coded at 16 kHz, and is brought to any other by the library.
    ///
    /// # Errors
    /// [`DecodeError::Broken`] with the library's code if there is no such rate, or no memory for a decoder.
    pub fn new(rate: u32) -> Result<Self, DecodeError> {
        let inner = opus::Decoder::new(rate, Channels::Mono).map_err(broken)?;
        let step = rate as usize / 400;
        Ok(Self { inner, rate, block: vec![0.0; 48 * step], step })
    }
}

fn broken(error: opus::Error) -> DecodeError {
    DecodeError::Broken(error.code() as i32)
}

impl AudioDecoder for Decoder {
    fn rate(&self) -> u32 {
        self.rate
    }

    fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<(), DecodeError> {
        if packet.len() > MAX_SOUND_BYTES {
            return Err(DecodeError::TooLong(packet.len()));
        }
        if packet.is_empty() {
            // to the library this means a lost packet
            return Err(DecodeError::Broken(0));
        }
        let samples = self.inner.decode_float(packet, &mut self.block, false).map_err(broken)?;
        out.extend_from_slice(self.block.get(..samples).unwrap_or_default());
        Ok(())
    }

    fn conceal(&mut self, samples: usize, out: &mut Vec<f32>) {
        let end = out.len() + samples;
        while out.len() < end {
            let wanted = (end - out.len()).next_multiple_of(self.step).min(self.block.len());
            match self.inner.decode_float(&[], &mut self.block[..wanted], false) {
                Ok(made) if made > 0 => out.extend_from_slice(self.block.get(..made).unwrap_or_default()),
                _ => break,
            }
        }
        out.resize(end, 0.0);
    }

    fn recover(&mut self, next: &[u8], samples: usize, out: &mut Vec<f32>) {
        let usable = samples.is_multiple_of(self.step)
            && (self.step..=self.block.len()).contains(&samples)
            && !next.is_empty();
        if usable
            && next.len() <= MAX_SOUND_BYTES
            && let Ok(made) = self.inner.decode_float(next, &mut self.block[..samples], true)
        {
            out.extend_from_slice(self.block.get(..made).unwrap_or_default());
            return;
        }
        self.conceal(samples, out);
    }
}

/// An Opus encoder of one stream: constrained VBR, DTX off, FEC while packets get lost.
#[derive(Debug)]
pub struct Encoder {
    inner: opus::Encoder,
    source_rate: u32,
    bps: i32,
    loss: u8,
    delay: usize,
    packet: Vec<u8>,
}

impl Encoder {
    /// An encoder at `bps` bits per second.
    ///
    /// # Errors
    /// [`EncodeError::Failed`] with the library's code.
    pub fn new(bps: u32) -> Result<Self, EncodeError> {
        let build = || {
            let mut inner = opus::Encoder::new(RATE, Channels::Mono, Application::Voip)?;
            inner.set_complexity(5)?;
            inner.set_inband_fec(true)?;
            inner.set_dtx(false)?;
            inner.set_vbr_constraint(true)?;
            let delay = inner.get_lookahead()?;
            Ok((inner, delay))
        };
        let (inner, delay) =
            build().map_err(|error: opus::Error| EncodeError::Failed(error.code() as i32))?;
        let mut encoder = Self {
            inner,
            source_rate: RATE,
            bps: 0,
            loss: 0,
            delay: usize::try_from(delay).unwrap_or(0),
            packet: vec![0; 1500],
        };
        encoder.set_bitrate(bps);
        Ok(encoder)
    }

    /// Which coder. The library goes over from one to the other without a seam; what it calls music it codes by transform, and speech that
    /// must survive loss by SILK. The range of values is one it always takes.
    fn choose(&mut self) {
        let transform = self.loss == 0 && self.bps >= TRANSFORM_BPS;
        let _ = self.inner.set_signal(if transform { Signal::Music } else { Signal::Auto });
        let _ = self.inner.set_packet_loss_perc(i32::from(self.loss));
    }
}

impl AudioEncoder for Encoder {
    fn rate(&self) -> u32 {
        RATE
    }

    fn delay(&self) -> usize {
        self.delay
    }

    fn encode(&mut self, block: &[f32], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        // 2.5, 5, 10, 20, 40, 60 ms (RFC 6716 2.1.4)
        if !matches!(block.len(), 120 | 240 | 480 | 960 | 1920 | 2880) {
            return Err(EncodeError::Block(block.len()));
        }
        let bytes = self
            .inner
            .encode_float(block, &mut self.packet)
            .map_err(|error| EncodeError::Failed(error.code() as i32))?;
        out.extend_from_slice(self.packet.get(..bytes).unwrap_or_default());
        Ok(())
    }

    fn set_source_rate(&mut self, rate: u32) {
        let bandwidth = match rate {
            0..=8_000 => Bandwidth::Narrowband,
            8_001..=16_000 => Bandwidth::Wideband,
            _ => Bandwidth::Fullband,
        };
        // the library takes each of these
        let _ = self.inner.set_max_bandwidth(bandwidth);
        if rate > std::mem::replace(&mut self.source_rate, rate) {
            // It widens step by step, at pauses; begun anew it is as wide as it may be with the next packet.
            let _ = self.inner.reset_state();
        }
    }

    fn set_expected_loss(&mut self, percent: u8) {
        self.loss = percent.min(100);
        self.choose();
    }

    fn set_bitrate(&mut self, bps: u32) {
        let bps = i32::try_from(bps.clamp(6_000, 256_000)).unwrap_or(32_000);
        // the range above is one the library always takes
        let _ = self.inner.set_bitrate(Bitrate::Bits(bps));
        self.bps = bps;
        self.choose();
    }
}
