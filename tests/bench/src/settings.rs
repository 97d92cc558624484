//! Sizes, rates and places that the gateway and its peers share: a ratio means something only between equals.

/// Pictures per second of every clip.
pub const FPS: u32 = 30;
/// Pictures of every clip: ten seconds, which is how long it takes to play.
pub const FRAMES: usize = 300;
/// Seconds of every clip.
pub const CLIP_SECONDS: f64 = 10.0;
/// RTP ticks between two pictures.
pub const TICKS: u32 = 90_000 / FPS;

/// The room's picture and the composed picture.
pub const WIDTH: u32 = 1280;
/// See [`WIDTH`].
pub const HEIGHT: u32 = 720;

/// A layer towards the conference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Its name on the wire.
    pub rid: &'static str,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Bits per second.
    pub bps: u32,
}

/// The layers, largest first, at the rates that fit in the 2 Mbit/s a gateway may send in all.
pub const LAYERS: [Layer; 3] = [
    Layer { rid: "f", width: 1280, height: 720, bps: 1_000_000 },
    Layer { rid: "h", width: 640, height: 360, bps: 400_000 },
    Layer { rid: "q", width: 320, height: 180, bps: 130_000 },
];

/// What the room sends, and what it asks for, in bits per second.
pub const ROOM_BPS: u32 = 1_728_000;
/// Bits per second of Opus towards the conference.
pub const OPUS_BPS: u32 = 48_000;
/// Pictures seen at once: one large, seven small.
pub const TILES: usize = 8;
/// Voices heard at once.
pub const VOICES: usize = 3;

/// A part of the composed picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// From the left.
    pub x: u32,
    /// From the top.
    pub y: u32,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

/// Where the pictures stand in a 1+7 layout of 1280x720, the large one first.
pub const PLACES: [Place; TILES] = [
    Place { x: 0, y: 0, width: 960, height: 540 },
    small(0, 540),
    small(320, 540),
    small(640, 540),
    small(960, 540),
    small(960, 0),
    small(960, 180),
    small(960, 360),
];

const fn small(x: u32, y: u32) -> Place {
    Place { x, y, width: 320, height: 180 }
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    /// Rounds, each with one run of everybody.
    pub rounds: usize,
    /// Seconds of an audio-only call that are measured.
    pub audio_seconds: u64,
}

impl Effort {
    /// Enough to quote.
    pub const FULL: Self = Self { rounds: 7, audio_seconds: 20 };
    /// Enough to see whether something broke.
    pub const QUICK: Self = Self { rounds: 3, audio_seconds: 10 };
}
