//! What is measured, each group in a file of its own.

pub mod audio;
pub mod call;
pub mod kept;
pub mod latency;
pub mod memory;
pub mod setup;

use crate::clips::Clips;
use crate::load::meeting::Role;
use crate::load::room::Program;
use crate::noise::Noise;
use crate::report::Metric;
use crate::settings::{Effort, VOICES};
use anyhow::Result;
use std::path::PathBuf;
use std::sync::Arc;

/// What every measurement needs.
pub struct Bench {
    /// The clips.
    pub clips: Clips,
    /// A folder for what peers write.
    pub work: PathBuf,
    /// How much is measured.
    pub effort: Effort,
    /// The machine's noise.
    pub noise: Noise,
}

/// A group of figures.
pub type Group = fn(&mut Bench) -> Result<Vec<Metric>>;

/// All groups, by the beginning of their figures' names.
pub const GROUPS: [(&str, Group); 8] = [
    ("cpu.call", call::measure),
    ("latency", latency::measure),
    ("cpu.audio", audio::measure),
    ("setup", setup::measure),
    ("memory", memory::measure),
    ("store", kept::store),
    ("api", kept::api),
    ("routing", kept::routing),
];

/// How loud somebody is who speaks, in dBov.
const SPEAKS: i8 = -10;
/// How loud the others are who are heard.
const MURMURS: i8 = -35;

impl Bench {
    /// Eight people: the first speaks and sends a large picture (the clip `main`), seven send small ones; as many as are
    /// heard at once have a microphone.
    ///
    /// # Errors
    /// If a clip cannot be read.
    pub fn people(&self, main: &str) -> Result<Vec<Role>> {
        let mut voices = self.clips.voices()?.into_iter();
        let role = |(n, pictures): (usize, Vec<Vec<u8>>)| Role::Plays {
            pictures: Some(Arc::new(pictures)),
            sound: voices.next().map(|voice| (Arc::new(voice), if n == 0 { SPEAKS } else { MURMURS })),
        };
        Ok(self.clips.conference(main)?.into_iter().enumerate().map(role).collect())
    }

    /// As many people as are heard at once, without cameras.
    ///
    /// # Errors
    /// If a clip cannot be read.
    pub fn voices(&self) -> Result<Vec<Role>> {
        let role = |(n, voice): (usize, Vec<Vec<u8>>)| Role::Plays {
            pictures: None,
            sound: Some((Arc::new(voice), if n == 0 { SPEAKS } else { MURMURS })),
        };
        Ok(self.clips.voices()?.into_iter().take(VOICES).enumerate().map(role).collect())
    }

    /// A room that plays `clip` and speaks.
    ///
    /// # Errors
    /// If a clip cannot be read.
    pub fn room(&self, clip: &str) -> Result<Program> {
        Ok(Program { pictures: Arc::new(self.clips.room(clip)?), sound: Arc::new(self.clips.room_sound()?) })
    }

    /// A room that only speaks.
    ///
    /// # Errors
    /// If a clip cannot be read.
    pub fn telephone(&self) -> Result<Program> {
        Ok(Program { pictures: Arc::default(), sound: Arc::new(self.clips.room_sound()?) })
    }
}
