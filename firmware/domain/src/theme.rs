//! What may replace a prompt: a WAV file for its voice, a PNG file for its picture, checked before they are taken (P5).
//!
//! WAV: RIFF, PCM (format 1, or extensible with PCM inside), 16 bit, one or two channels, 8 to 48 kHz. PNG: any of the format's
//! colours, not interlaced or interlaced. What is checked is decoded whole, so what is taken can be shown and said.

mod picture;
mod voice;

pub use picture::{MAX_HEIGHT, MAX_PNG_BYTES, MAX_WIDTH, MIN_SIDE, Picture, PictureError};
pub use voice::{MAX_SECONDS, MAX_WAV_BYTES, RATES, Voice, VoiceError};

use crate::prompt::Prompt;
use std::fmt;
use std::str::FromStr;

/// A file that a theme may have, called `welcome.png` or `welcome.wav`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct File {
    /// What it is for.
    pub prompt: Prompt,
    /// Which part of that.
    pub kind: FileKind,
}

/// Which part of a prompt a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FileKind {
    /// What is seen: PNG.
    Picture,
    /// What is heard: WAV.
    Voice,
}

/// A file for a prompt, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Its voice.
    Voice(Voice),
    /// Its picture.
    Picture(Picture),
}

/// Why a file is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not called as a prompt's file is.
    #[error(
        "{0:?} is no prompt's file; call it after one, such as welcome.wav or welcome.png; there are {1}"
    )]
    Name(String, String),
    /// A voice that is none.
    #[error("{0} {1}")]
    Voice(File, VoiceError),
    /// A picture that is none.
    #[error("{0} {1}")]
    Picture(File, PictureError),
}

impl FileKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Picture, Self::Voice];

    /// How names of such files end.
    #[must_use]
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Picture => "png",
            Self::Voice => "wav",
        }
    }

    /// The media type of such a file (RFC 2046; `audio/wav` is what everybody says).
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Picture => "image/png",
            Self::Voice => "audio/wav",
        }
    }

    /// The largest that is taken, in bytes.
    #[must_use]
    pub const fn max_bytes(self) -> usize {
        match self {
            Self::Picture => MAX_PNG_BYTES,
            Self::Voice => MAX_WAV_BYTES,
        }
    }
}

impl File {
    /// All that a theme may have, picture and voice of one prompt after the other.
    pub fn all() -> impl Iterator<Item = Self> {
        Prompt::ALL.into_iter().flat_map(|prompt| FileKind::ALL.map(|kind| Self { prompt, kind }))
    }

    /// Reads what is in it.
    ///
    /// # Errors
    /// [`Refused`], which names the file and the way out.
    pub fn check(self, bytes: &[u8]) -> Result<Part, Refused> {
        match self.kind {
            FileKind::Picture => {
                Picture::parse(bytes).map(Part::Picture).map_err(|error| Refused::Picture(self, error))
            }
            FileKind::Voice => {
                Voice::parse(bytes).map(Part::Voice).map_err(|error| Refused::Voice(self, error))
            }
        }
    }
}

impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.prompt.name(), self.kind.ending())
    }
}

impl FromStr for File {
    type Err = Refused;

    fn from_str(name: &str) -> Result<Self, Refused> {
        let known = || Prompt::ALL.map(Prompt::name).join(", ");
        let found = Self::all().find(|file| file.to_string() == name);
        found.ok_or_else(|| Refused::Name(name.chars().take(64).collect(), known()))
    }
}

#[cfg(test)]
mod tests;
