//! Encoders and decoders behind one safe face each; the only place where codec libraries are called.
//!
//! | codec | by | notes |
//! |---|---|---|
//! | H.264 | OpenH264 (source build, needs nasm) | constrained baseline out; concealed pictures are shown |
//! | VP8 | the system's libvpx | libwebrtc's real-time settings |
//! | Opus | libopus 1.6 | FEC and loss concealment |
//! | G.722 | own, [`g722`] | 64 kbit/s |
//! | G.711 | audio-codec-algorithms | A-law, µ-law |
//!
//! What comes from a peer is hostile. Every picture's size is read from its bitstream and refused above
//! [`kernels::MAX_WIDTH`] by [`kernels::MAX_HEIGHT`] before a decoder sees it, packets are bounded, and whatever a
//! decoder returns is checked before it is believed. A decoder that refused a frame takes the next.

pub mod conceal;
mod foreign;
pub mod g711;
pub mod g722;
pub mod h264;
pub mod opus;
pub mod vp8;

use kernels::View;
use std::time::Duration;

/// Largest encoded picture taken, in bytes.
pub const MAX_PICTURE_BYTES: usize = 1024 * 1024;
/// Largest packet of sound taken, in bytes: 120 ms of the densest codec, G.711, or of Opus at its most.
pub const MAX_SOUND_BYTES: usize = 4096;
/// Longest sound one packet may hold.
pub const MAX_SOUND: Duration = Duration::from_millis(120);

/// Why a frame could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The frame is longer than is taken.
    #[error("encoded frame has {0} bytes, more than is taken")]
    TooLong(usize),
    /// The picture is larger than is taken, or empty.
    #[error("picture of {width}x{height} is refused")]
    Size {
        /// Pixels across, as the bitstream has it.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// Nothing can be decoded before a picture that stands alone.
    #[error("no picture that stands alone came yet")]
    NeedsKey,
    /// The bitstream makes no sense to the decoder; its own code is given.
    #[error("bitstream is broken (code {0})")]
    Broken(i32),
}

/// Why there is no encoder, or it gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The library refused these settings; its own code is given.
    #[error("encoder for {width}x{height} refused (code {code})")]
    Settings {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
        /// The library's code.
        code: i32,
    },
    /// The picture is not of the encoder's size.
    #[error("picture of {width}x{height} is not of the encoder's size")]
    Size {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// A block of sound is not of a length the codec takes.
    #[error("block of {0} samples is not of a length the codec takes")]
    Block(usize),
    /// Encoding failed; the library's code is given.
    #[error("encoding failed (code {0})")]
    Failed(i32),
}

/// What came of a frame given to a [`VideoDecoder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decoded {
    /// No picture yet, and nothing wrong.
    Nothing,
    /// A picture as it was sent.
    Whole,
    /// A picture whose lost parts were made up from those before. Worth showing; worth asking for a new one.
    Concealed,
}

/// Decodes pictures of one stream.
pub trait VideoDecoder: Send {
    /// Decodes one frame (one access unit, one VP8 frame). What it shows is then the decoder's [`picture`](Self::picture).
    ///
    /// # Errors
    /// [`DecodeError`]; the decoder takes the next frame all the same.
    fn decode(&mut self, frame: &[u8]) -> Result<Decoded, DecodeError>;

    /// What the last frame showed, in the decoder's own memory, so that who only reads it copies nothing. `None` if that frame showed
    /// nothing; one that is refused unread, such as VP8's without the key frame it needs, leaves the picture before.
    fn picture(&self) -> Option<View<'_>>;

    /// Forgets all references, as after a gap that can't be bridged. The next frame must stand alone; the picture may go with them.
    fn flush(&mut self);
}

/// How a picture is to be encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Picture {
    /// As the encoder sees fit.
    Any,
    /// So that it stands alone.
    Key,
}

/// What an encoder made of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoded {
    /// Nothing: the encoder left it out to keep its bit rate.
    Skipped,
    /// A frame that needs those before it.
    Delta,
    /// A frame that stands alone.
    Key,
}

/// What a video encoder is set up with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoSettings {
    /// Pixels across, even.
    pub width: u32,
    /// Pixels down, even.
    pub height: u32,
    /// Most pictures per second.
    pub fps: u32,
    /// Bits per second.
    pub bps: u32,
    /// Longest NAL unit in bytes, start code left out; H.264 only. `None` makes one slice of each picture.
    pub max_nal_bytes: Option<usize>,
}

/// Encodes pictures of one stream, all of one size.
pub trait VideoEncoder: Send {
    /// Encodes one picture and appends it to `out`. `at` is its time on any clock that only grows.
    ///
    /// # Errors
    /// [`EncodeError`].
    fn encode(
        &mut self,
        picture: &View<'_>,
        at: Duration,
        how: Picture,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeError>;

    /// Aims at `bps` bits per second from the next picture on, without a new picture that stands alone.
    ///
    /// # Errors
    /// [`EncodeError`]; the rate stays as it was.
    fn set_bitrate(&mut self, bps: u32) -> Result<(), EncodeError>;

    /// Expects `fps` pictures per second from now on.
    ///
    /// # Errors
    /// [`EncodeError`]; the rate stays as it was.
    fn set_frame_rate(&mut self, fps: u32) -> Result<(), EncodeError>;
}

/// Decodes sound of one stream to mono at [`rate`](AudioDecoder::rate).
pub trait AudioDecoder: Send {
    /// Samples per second of what comes out.
    fn rate(&self) -> u32;

    /// Decodes one packet and appends its samples to `out`.
    ///
    /// # Errors
    /// [`DecodeError`]; nothing is appended, and the packet should be concealed.
    fn decode(&mut self, packet: &[u8], out: &mut Vec<f32>) -> Result<(), DecodeError>;

    /// Makes up `samples` samples for a packet that is lost and appends them to `out`.
    fn conceal(&mut self, samples: usize, out: &mut Vec<f32>);

    /// Makes up `samples` samples for a lost packet from what the packet after it says of it, if the codec has such
    /// (Opus in-band FEC); else [`conceal`](AudioDecoder::conceal)s. `next` must then be decoded as well.
    fn recover(&mut self, next: &[u8], samples: usize, out: &mut Vec<f32>) {
        let _ = next;
        self.conceal(samples, out);
    }
}

/// Encodes mono sound at [`rate`](AudioEncoder::rate).
pub trait AudioEncoder: Send {
    /// Samples per second of what goes in.
    fn rate(&self) -> u32;

    /// How much later a sound comes out of the decoder than it went in here, in samples.
    fn delay(&self) -> usize {
        0
    }

    /// Encodes a block of 10, 20, 40 or 60 ms and appends one packet to `out`.
    ///
    /// # Errors
    /// [`EncodeError`].
    fn encode(&mut self, block: &[f32], out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Aims at `bps` bits per second; codecs of one rate ignore it.
    fn set_bitrate(&mut self, bps: u32) {
        let _ = bps;
    }

    /// So many packets in a hundred are to be expected to get lost on their way; codecs that can't prepare for it ignore it.
    fn set_expected_loss(&mut self, percent: u8) {
        let _ = percent;
    }

    /// What goes in was sampled `rate` times a second before it came to [`rate`](AudioEncoder::rate): there is nothing in it above half of
    /// that, and nothing above need be coded.
    fn set_source_rate(&mut self, rate: u32) {
        let _ = rate;
    }
}
