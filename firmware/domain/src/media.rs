//! What a call wants of the media plane, as a whole: who is decoded, mixed, composed and encoded for whom.
//!
//! A plan is a snapshot. Whoever carries it out compares it with the one before ([`PartialEq`]) and makes the
//! difference; a plan that equals the last one changes nothing. Streams are named by the leg they belong to: `up` takes
//! what the caller sends and makes what the conference gets, `down` the other way.
//!
//! ```text
//!  caller ─sound, picture──▶ up:   one sound, one ladder of up to three sizes ──▶ conference
//!  caller ◀─sound, picture── down: one mix, one composed picture ◀─up to eight of each─┘
//!                                  or a prompt
//! ```

use crate::layout::Tile;
use crate::prompt::Showing;
use base::frame::{Codec, Size};
use base::ids::StreamId;
use std::time::Duration;

/// One of the two legs of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// The room that called.
    Caller,
    /// The conference.
    Conference,
}

impl Side {
    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Side::Caller => Side::Conference,
            Side::Conference => Side::Caller,
        }
    }
}

/// Everything that flows in a call. The default is nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MediaPlan {
    /// From the caller to the conference.
    pub up: Up,
    /// From the conference to the caller.
    pub down: Down,
    /// What the caller sees and hears instead of the conference.
    pub prompt: Option<Showing>,
    /// The caller's sound in which keys are listened for (ITU-T Q.23).
    pub keys: Option<StreamId>,
}

/// From the caller to the conference.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Up {
    /// The caller's sound.
    pub sound: Option<Sound>,
    /// The caller's picture, in each size the conference takes.
    pub picture: Option<Ladder>,
}

/// From the conference to the caller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Down {
    /// All participants, mixed.
    pub sound: Option<Sound>,
    /// Up to eight participants, composed (P9).
    pub picture: Option<Composition>,
}

/// Sounds mixed into one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sound {
    /// Receive streams of the one leg.
    pub inputs: Vec<StreamId>,
    /// Send stream of the other.
    pub sink: StreamId,
    /// How it is encoded.
    pub codec: Codec,
    /// Bits per second, for codecs that have a choice.
    pub bps: u32,
    /// How much of it is to be expected to get lost on its way, in percent.
    pub expected_loss: u8,
    /// How much sound one frame holds.
    pub frame_time: Duration,
}

/// One picture in several sizes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ladder {
    /// Receive stream of the caller.
    pub source: StreamId,
    /// How it is encoded.
    pub codec: Codec,
    /// Most pictures per second.
    pub max_fps: u32,
    /// The sizes, smallest first.
    pub layers: Vec<Layer>,
}

/// One size of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Send stream of the conference.
    pub sink: StreamId,
    /// Largest size.
    pub size: Size,
    /// Bits per second, 0 while there is no room for it.
    pub bps: u32,
}

/// Pictures composed into one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composition {
    /// Send stream of the caller.
    pub sink: StreamId,
    /// How it is encoded.
    pub codec: Codec,
    /// The picture's size, even.
    pub canvas: Size,
    /// Most pictures per second.
    pub max_fps: u32,
    /// Bits per second.
    pub bps: u32,
    /// Longest NAL unit in bytes where packets can't split one.
    pub max_nal_bytes: Option<usize>,
    /// Who is where; the main one first.
    pub tiles: Vec<Tile>,
    /// What the picture must tell besides (P13).
    pub indicators: Indicators,
}

/// Whether the meeting is being recorded or streamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Indicators {
    /// Being recorded.
    pub recording: bool,
    /// Being streamed.
    pub streaming: bool,
}

impl MediaPlan {
    /// Whether something is sent on this stream of this leg.
    #[must_use]
    pub fn feeds(&self, side: Side, stream: StreamId) -> bool {
        let is = |sink: StreamId| sink == stream;
        match side {
            Side::Conference => {
                self.up.sound.as_ref().is_some_and(|sound| is(sound.sink))
                    || self.up.picture.iter().flat_map(|ladder| &ladder.layers).any(|layer| is(layer.sink))
            }
            Side::Caller => {
                self.down.sound.as_ref().is_some_and(|sound| is(sound.sink))
                    || self.down.picture.as_ref().is_some_and(|picture| is(picture.sink))
            }
        }
    }
}
