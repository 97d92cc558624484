//! From packets to sound at 48 kHz: a decoder, and a resampler where it gives less.
//!
//! Opus comes out as wide as its widest listener hears it. Where somebody comes who hears more, another decoder takes its place without a seam:
//! it is first given the last few packets, on which its predictions build, and stays as late as the one before. One that gives more than it
//! must is kept.

use super::sound::RATE;
use base::Codec;
use bytes::Bytes;
use codecs::{AudioDecoder, DecodeError, g711, g722, opus};
use kernels::Resampler;
use std::collections::VecDeque;

/// The least that Opus is decoded to, in samples per second.
const NARROWEST: u32 = 8_000;
/// Packets that a decoder which takes another's place is given first: half of what the transform coder's levels are off at its first packet is left
/// after each.
const WARMING: usize = 4;

/// How one stream is heard.
pub(super) struct Voice {
    codec: Codec,
    decoder: Box<dyn AudioDecoder>,
    resampler: Resampler,
    /// The last packets, oldest first, while more may be wanted than it gives.
    recent: VecDeque<Bytes>,
    /// What it holds back to be as late as the one whose place it took.
    held: Vec<f32>,
}

impl Voice {
    /// One for a listener who hears `rate` samples per second; for all that there is to hear if nobody listens yet.
    ///
    /// # Errors
    /// [`DecodeError`] if there is no such decoder.
    pub fn new(codec: Codec, rate: u32) -> Result<Self, DecodeError> {
        let rate = if rate == 0 { RATE } else { rate.clamp(NARROWEST, RATE) };
        let decoder: Box<dyn AudioDecoder> = match codec {
            Codec::Opus => Box::new(opus::Decoder::new(rate)?),
            Codec::G722 => Box::new(g722::Decoder::default()),
            Codec::Pcma => Box::new(g711::Decoder::new(g711::Law::A)),
            Codec::Pcmu => Box::new(g711::Decoder::new(g711::Law::Mu)),
            Codec::H264 | Codec::Vp8 => return Err(DecodeError::Broken(0)),
        };
        let resampler = Resampler::new(decoder.rate(), RATE).ok_or(DecodeError::Broken(0))?;
        Ok(Self { codec, decoder, resampler, recent: VecDeque::new(), held: Vec::new() })
    }

    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Samples per second of what is decoded.
    pub fn rate(&self) -> u32 {
        self.decoder.rate()
    }

    /// Samples per second of what the sender may send: there is nothing to hear above half of that.
    pub fn source_rate(&self) -> u32 {
        if self.codec == Codec::Opus { opus::RATE } else { self.decoder.rate() }
    }

    /// How much later a sound is at 48 kHz than it was decoded, in samples of that.
    pub fn delay(&self) -> usize {
        self.resampler.delay() + self.held.len()
    }

    /// Gives at least `rate` from now on, as far as the codec has it.
    ///
    /// # Errors
    /// [`DecodeError`] if there is no memory for another decoder; it goes on as it is.
    pub fn widen(&mut self, rate: u32) -> Result<(), DecodeError> {
        if self.codec != Codec::Opus || self.decoder.rate() >= rate.min(RATE) {
            return Ok(());
        }
        let mut wider = Self::new(self.codec, rate)?;
        let mut track = vec![0.0; self.delay()];
        for packet in &self.recent {
            let mut block = Vec::new();
            // one that is refused was refused before, too
            if wider.decode(packet, &mut block).is_ok() {
                wider.resample(&block, &mut track);
            }
        }
        let earlier = self.delay().saturating_sub(wider.delay());
        wider.held = track.split_off(track.len() - earlier);
        *self = wider;
        Ok(())
    }

    /// Appends what a packet holds, at [`rate`](Self::rate).
    ///
    /// # Errors
    /// [`DecodeError`]; it takes the next packet all the same.
    pub fn decode(&mut self, packet: &Bytes, block: &mut Vec<f32>) -> Result<(), DecodeError> {
        self.decoder.decode(packet, block)?;
        if self.codec == Codec::Opus && self.decoder.rate() < RATE {
            self.recent.push_back(packet.clone());
            self.recent.drain(..self.recent.len().saturating_sub(WARMING));
        }
        Ok(())
    }

    /// Appends `samples` in place of a lost packet, from the one after it if that is at hand.
    pub fn make_up(&mut self, next: Option<&[u8]>, samples: usize, block: &mut Vec<f32>) {
        match next {
            Some(next) => self.decoder.recover(next, samples, block),
            None => self.decoder.conceal(samples, block),
        }
    }

    /// Appends to a track of 48 kHz what was decoded or made up.
    pub fn resample(&mut self, block: &[f32], track: &mut Vec<f32>) {
        track.extend_from_slice(&self.held);
        self.resampler.process(block, track);
        self.held = track.split_off(track.len() - self.held.len());
    }
}
