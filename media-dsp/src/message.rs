//! What crosses the rings between the engine and a media worker. Plain data only.
//!
//! The engine names sources and sinks with numbers of its own choosing, unique in the worker and never used twice.
//! A source is what one peer sends (a [`RecvStream`](base::leg::RecvStream)), a sink what is made for one or more
//! peers (a [`SendStream`](base::leg::SendStream)). Steps may name a source before it is added: it is silent and black
//! until then, so the order in which two legs come up does not matter.

use crate::queue::Item;
use crate::wire::{self, CodecForm, FrameForm, SizeForm};
use crate::{Clip, Still};
use base::{Codec, EncodedFrame, MediaKind, Size};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Most sources of one worker.
pub const MAX_SOURCES: usize = 1024;
/// Most sinks of one worker.
pub const MAX_SINKS: usize = 1024;
/// Most tiles on one canvas.
pub const MAX_TILES: usize = 16;
/// Most sounds in one mix.
pub const MAX_INPUTS: usize = 32;
/// Most layers of one ladder.
pub const MAX_LAYERS: usize = 4;
/// How long a main tile may be silent before the other tiles drive the canvas.
pub const MAIN_SILENT: Duration = Duration::from_millis(67);
/// How often a canvas on which nothing moves is encoded again, so that who joins late sees it.
pub const IDLE_PICTURE: Duration = Duration::from_secs(1);
/// How often a picture that stands alone is asked for until it comes.
pub const KEYFRAME_RETRY: Duration = Duration::from_millis(500);
/// How often a source's loudness is told.
pub const LEVEL_TIME: Duration = Duration::from_millis(100);
/// How often figures are told.
pub const STATS_TIME: Duration = Duration::from_secs(1);
/// Fewest bits per second a picture encoder is set to; less than that and above zero becomes this.
pub const MIN_PICTURE_BPS: u32 = 30_000;

/// What a peer sends, decoded once whoever reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceId(pub u64);

/// What is encoded for one or more peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SinkId(pub u64);

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "source-{}", self.0)
    }
}

impl fmt::Display for SinkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sink-{}", self.0)
    }
}

/// What the engine tells a worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// Change what is decoded, mixed and composed, in this order. A step that can't be taken is told as
    /// [`Report::Failed`]; the others are taken.
    Apply(Vec<Step>),
    /// A frame came for a source. Frames of sources that are not there are dropped and counted.
    Frame {
        /// Whose.
        source: SourceId,
        /// It. Its own codec is the truth: a source that changes codec changes its decoder.
        #[serde(with = "FrameForm")]
        frame: EncodedFrame,
    },
    /// The next picture of this sink must stand alone; the canvas is encoded at once even if no source moves. A
    /// ladder's other layers are left alone.
    ForceKey {
        /// Which.
        sink: SinkId,
    },
    /// How many bits per second this sink may take from now on. Zero stops a picture sink until it gets some.
    Bitrate {
        /// Which.
        sink: SinkId,
        /// Bits per second of encoded media, without packet headers.
        bps: u32,
    },
}

/// One change of the graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// Frames of this source will come.
    AddSource {
        /// Its name.
        source: SourceId,
        /// Sound or picture.
        kind: SourceKind,
    },
    /// This picture source shows this from now on, until a frame or another comes.
    Show {
        /// Which.
        source: SourceId,
        /// It.
        still: Still,
    },
    /// This sound source says this from now on, in place of what it was saying. At its end comes [`Report::Played`].
    Play {
        /// Which.
        source: SourceId,
        /// It.
        clip: Clip,
    },
    /// Whether keys are listened for in this sound source (ITU-T Q.23). Each comes as [`Report::Key`].
    Listen {
        /// Which.
        source: SourceId,
        /// From now on.
        keys: Listening,
    },
    /// No more frames of this source; sinks that still name it show background and hear silence.
    RemoveSource(SourceId),
    /// Compose a picture and encode it.
    AddPicture(PictureSink),
    /// Another arrangement of a picture sink. Takes effect at once, with a picture of its own. A canvas of another
    /// size begins with a picture that stands alone.
    SetLayout {
        /// Which picture sink.
        sink: SinkId,
        /// The picture's size.
        #[serde(with = "SizeForm")]
        canvas: Size,
        /// Its tiles, the main one first.
        tiles: Vec<Tile>,
    },
    /// Encode one source's picture in several sizes, smallest first or not. See [`Layer`].
    AddLadder {
        /// Which source; each of its pictures is encoded when it comes.
        source: SourceId,
        /// How; VP8 or H.264.
        #[serde(with = "CodecForm")]
        codec: Codec,
        /// Most pictures per second.
        max_fps: u32,
        /// At most [`MAX_LAYERS`].
        layers: Vec<Layer>,
    },
    /// Mix sounds and encode them.
    AddMix(Mix),
    /// Other inputs of a mix.
    SetMix {
        /// Which mix.
        sink: SinkId,
        /// What is heard, at most [`MAX_INPUTS`].
        inputs: Vec<SourceId>,
    },
    /// So much of a mix's frames is to be expected to get lost: a codec that can prepare for it does, and one that need not saves
    /// the bits and the work.
    ExpectLoss {
        /// Which mix.
        sink: SinkId,
        /// Percent.
        percent: u8,
    },
    /// No more frames of this sink, be it a picture, a mix or one layer of a ladder.
    RemoveSink(SinkId),
}

/// Whether keys are listened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Listening {
    /// They are.
    On,
    /// They are not.
    Off,
}

/// What a source carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SourceKind {
    /// G.711, G.722 or Opus.
    Sound,
    /// H.264 or VP8.
    Picture,
}

/// A composed picture, encoded: what a room sees.
///
/// It is composed when a picture of its main tile's source comes, not on a clock; the other tiles ride along. If the
/// main source is silent for [`MAIN_SILENT`], any tile's picture drives.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PictureSink {
    /// Its name.
    pub sink: SinkId,
    /// H.264 or VP8.
    #[serde(with = "CodecForm")]
    pub codec: Codec,
    /// The picture's size, even, at most 1920x1088.
    #[serde(with = "SizeForm")]
    pub canvas: Size,
    /// Most pictures per second.
    pub max_fps: u32,
    /// Bits per second.
    pub bps: u32,
    /// Longest NAL unit in bytes where packets can't split one (RFC 6184 packetization-mode 0); otherwise one slice.
    pub max_nal_bytes: Option<usize>,
    /// What is shown, the main tile first; later tiles lie over earlier ones. At most [`MAX_TILES`].
    pub tiles: Vec<Tile>,
}

/// A place on a canvas and the source shown there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tile {
    /// Whose picture.
    pub source: SourceId,
    /// Where; rounded to even pixels and cut at the canvas.
    pub rect: Rect,
    /// How a picture of another shape fills it.
    pub fit: Fit,
}

/// A rectangle in pixels, from the top left corner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rect {
    /// From the left.
    pub x: u32,
    /// From the top.
    pub y: u32,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

impl Rect {
    /// A rectangle whose top left corner is at `x`, `y`.
    #[must_use]
    pub const fn new(x: u32, y: u32, width: u32, height: u32) -> Self {
        Self { x, y, width, height }
    }

    /// All of a canvas.
    #[must_use]
    pub const fn whole(canvas: Size) -> Self {
        Self::new(0, 0, canvas.width, canvas.height)
    }
}

/// How a picture fills a rectangle of another shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Fit {
    /// All of it is seen, with bars in the background's colour.
    #[default]
    Letterbox,
    /// The rectangle is full, and what sticks out is cut off evenly.
    Crop,
}

/// One size of a ladder.
///
/// The picture keeps its shape and fits into `size`; it is never made larger than it came. A layer that would then be
/// no larger than the next smaller one is not encoded, so a 640x360 source fills the 360 and 180 lines layers and
/// leaves the 720 lines layer still, as a browser does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Its name.
    pub sink: SinkId,
    /// Largest size.
    #[serde(with = "SizeForm")]
    pub size: Size,
    /// Bits per second, 0 to leave it still.
    pub bps: u32,
}

/// A mixed sound, encoded: what a room or the conference hears.
///
/// Frames come without a gap from the first on, silent ones when nobody speaks. See [`Opening`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mix {
    /// Its name.
    pub sink: SinkId,
    /// G.711, G.722 or Opus.
    #[serde(with = "CodecForm")]
    pub codec: Codec,
    /// How much sound one frame holds: 10, 20, 40 or 60 ms; others become 20 ms.
    pub frame_time: Duration,
    /// Bits per second; Opus only, the others have one rate.
    pub bps: u32,
    /// How many of its frames are to be expected to get lost, in percent.
    pub expected_loss: u8,
    /// What is heard, at most [`MAX_INPUTS`].
    pub inputs: Vec<SourceId>,
    /// The listener's own sound, left out even where `inputs` lists it: so one list serves all listeners of a meeting.
    pub own: Option<SourceId>,
    /// How it begins while nobody speaks.
    pub opening: Opening,
}

/// How a mix begins while nobody speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Opening {
    /// With silence, at once: a room behind a NAT hears where to send, and takes a call without sound for dead.
    #[default]
    Silence,
    /// With the first word, if one comes within half a second. What begins with sound needs no jump to its first word, and
    /// a browser, which learns a clock from the first packets, learns the right one.
    FirstWord,
}

/// What a worker tells the engine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Report {
    /// A frame is ready.
    ///
    /// A picture's `captured` is that of the source frame that drove it. A sound's is that of the loudest input in it,
    /// in even steps that change only in a pause. So sound and picture of whoever is seen and heard keep their distance. Both only grow.
    /// `arrived` is that of the same source frame.
    Frame {
        /// Which sink made it.
        sink: SinkId,
        /// It.
        #[serde(with = "FrameForm")]
        frame: EncodedFrame,
    },
    /// A source can't go on without a picture that stands alone. Told again every
    /// [`KEYFRAME_RETRY`] until one comes, while any frames come.
    KeyframeNeeded {
        /// Which.
        source: SourceId,
    },
    /// How loud a source was over the last [`LEVEL_TIME`].
    Level {
        /// Which.
        source: SourceId,
        /// Decibels relative to overload, 0 loudest, -127 silence (RFC 6464 with its sign).
        dbov: i8,
    },
    /// A key was heard in a source's sound: `0`-`9`, `*`, `#`, `A`-`D`.
    Key {
        /// Which source.
        source: SourceId,
        /// Which key.
        #[serde(deserialize_with = "wire::key")]
        key: char,
    },
    /// A source has said what it was given to its end.
    Played {
        /// Which.
        source: SourceId,
    },
    /// A picture source has another size than before.
    Picture {
        /// Which.
        source: SourceId,
        /// Its size now.
        #[serde(with = "SizeForm")]
        size: Size,
    },
    /// Figures, every [`STATS_TIME`] while there is anything to do.
    Stats(Stats),
    /// A step could not be taken, or an encoder failed. The rest goes on.
    Failed {
        /// Which sink, if one.
        sink: Option<SinkId>,
        /// Which source, if one.
        source: Option<SourceId>,
        /// What, in words.
        #[serde(deserialize_with = "wire::words")]
        why: String,
    },
    /// It lives, though it has nothing else to tell: of a worker that is another process.
    Alive,
    /// The worker is gone with all its sources and sinks; the last report. Start another and apply its steps again.
    Died {
        /// What, in words.
        #[serde(deserialize_with = "wire::words")]
        why: String,
    },
}

/// What a worker did since it began.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stats {
    /// Each source there is.
    #[serde(deserialize_with = "wire::few")]
    pub sources: Vec<SourceStats>,
    /// Each sink there is.
    #[serde(deserialize_with = "wire::few")]
    pub sinks: Vec<SinkStats>,
    /// Frames for sources that are not there.
    pub stray: u64,
    /// Frames dropped because the worker could not keep up, into it and out of it.
    pub dropped: u64,
}

/// How often something was done and how long it took in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stage {
    /// How often.
    pub count: u64,
    /// How long in all.
    pub total: Duration,
    /// How long at most.
    pub longest: Duration,
}

/// What became of one source's frames. Counters run from the start of the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStats {
    /// Which.
    pub source: SourceId,
    /// Frames that came.
    pub frames: u64,
    /// Pictures or frames of sound made up because what came was lost or broken.
    pub concealed: u64,
    /// Frames that could not be decoded.
    pub broken: u64,
    /// The last picture's size, zero for sound.
    #[serde(with = "SizeForm")]
    pub size: Size,
    /// Time spent decoding.
    pub decode: Stage,
}

/// What one sink made. Counters run from the start of the sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkStats {
    /// Which.
    pub sink: SinkId,
    /// Frames made.
    pub frames: u64,
    /// Pictures among them that stand alone.
    pub keys: u64,
    /// Bytes of all frames.
    pub bytes: u64,
    /// Pictures of its source that were not encoded because the worker was too far behind.
    pub shed: u64,
    /// The last picture's size, zero for sound.
    #[serde(with = "SizeForm")]
    pub size: Size,
    /// Time spent scaling and composing, or mixing and resampling.
    pub compose: Stage,
    /// Time spent encoding.
    pub encode: Stage,
    /// From the arrival of the frame that drove it to the report of what was made of it.
    pub latency: Stage,
}

impl Item for Command {
    fn is_frame(&self) -> bool {
        matches!(self, Command::Frame { .. })
    }

    fn follows(&mut self, dropped: &Self) -> bool {
        let (Command::Frame { source, frame }, Command::Frame { source: lost, .. }) = (self, dropped) else {
            return false;
        };
        let same = source == lost;
        frame.contiguous &= !same;
        same
    }
}

impl Report {
    /// A picture is ready.
    pub(crate) fn is_picture(&self) -> bool {
        matches!(self, Report::Frame { frame, .. } if frame.codec.kind() != MediaKind::Audio)
    }
}

impl Item for Report {
    fn is_frame(&self) -> bool {
        matches!(self, Report::Frame { .. })
    }

    fn follows(&mut self, dropped: &Self) -> bool {
        let (Report::Frame { sink, frame }, Report::Frame { sink: lost, .. }) = (self, dropped) else {
            return false;
        };
        let same = sink == lost;
        frame.contiguous &= !same;
        same
    }
}
