//! The media plane: takes encoded frames of one leg, decodes, mixes and composes them, and encodes them for another.
//!
//! ```text
//!  EncodedFrame ─▶ source: decode once ─┬─▶ ladder: three sizes of one picture, each encoded
//!                                       ├─▶ picture sink: tiles on a canvas, encoded
//!                                       └─▶ mix: all sounds but the listener's own, encoded ─▶ EncodedFrame
//! ```
//!
//! A source may also be the box's own: a [`Still`] picture that it shows, a [`Clip`] that it says. In what a peer says keys can be
//! listened for.
//!
//! A [`Graph`] is the pure core: it owns sources and sinks, takes a [`Command`] or the passing of time, and hands out
//! [`Report`]s. It has no thread and no clock, so a test turns it in virtual time. The [`worker`] is the thin shell: one
//! loop between bounded queues. What crosses them is plain data, and [`wire`] writes and reads it, so a worker may be a thread or
//! another process.
//!
//! Who reads what is free: any number of sinks read one source, which is decoded once; and the engine may send one
//! sink's frames to any number of peers. Nothing goes from sound to picture inside, so the engine may put a call's
//! sound and its pictures on different workers, and should: a picture takes milliseconds to encode.
//!
//! Start with [`message`], then [`graph`].

pub mod clip;
pub mod graph;
pub mod message;
pub mod queue;
mod ring;
mod still;
pub mod wire;
pub mod worker;

pub use clip::{Clip, ClipError};
pub use graph::Graph;
pub use message::{
    Command, Fit, Layer, Listening, Mix, Opening, PictureSink, Rect, Report, SinkId, SinkStats, SourceId,
    SourceKind, SourceStats, Stage, Stats, Step, Tile,
};
pub use still::Still;
pub use worker::{Link, Taken, Waker, Worker, WorkerHandle, serve};
