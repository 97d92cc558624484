//! The inner loops of the media plane: pictures ([`I420`], [`yuv`]) and sound ([`sound`], [`resample`]).
//!
//! Pictures go through the system's libyuv, which is 16 to 37 times faster than the scalers in Rust that were
//! tried; a scalar version of each operation in the tests is its oracle. Sound loops are plain Rust written so that the
//! compiler vectorises them: all of a call's sound outside the codecs is below a thousandth of a core.
//!
//! Keys in sound are found by [`dtmf`].
//!
//! No protocol, clock, thread or codec here.

pub mod dtmf;
pub mod picture;
pub mod resample;
pub mod sound;
pub mod yuv;

pub use picture::{I420, MAX_HEIGHT, MAX_WIDTH, PictureError, View, ViewMut};
pub use resample::Resampler;
