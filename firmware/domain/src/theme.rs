//! What may replace a prompt: a WAV file for its voice, a PNG file for its picture, checked before they are taken (P5).
//!
//! WAV: RIFF, PCM (format 1, or extensible with PCM inside), 16 bit, one or two channels, 8 to 48 kHz. PNG: any of the format's
//! colours, not interlaced or interlaced. What is checked is decoded whole, so what is taken can be shown and said.

mod picture;
mod voice;

pub use picture::{MAX_PNG_BYTES, MAX_SIDE, MIN_SIDE, Picture, PictureError};
pub use voice::{MAX_SECONDS, MAX_WAV_BYTES, RATES, Voice, VoiceError};

use crate::prompt::Prompt;

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
    #[error("{0:?} {1}")]
    Voice(String, VoiceError),
    /// A picture that is none.
    #[error("{0:?} {1}")]
    Picture(String, PictureError),
}

/// Checks a file called `name` that is to be part of a theme.
///
/// # Errors
/// [`Refused`], which names the file and the way out.
pub fn check(name: &str, bytes: &[u8]) -> Result<(Prompt, Part), Refused> {
    let known = || Prompt::ALL.map(Prompt::name).join(", ");
    let unknown = || Refused::Name(name.chars().take(64).collect(), known());
    let (stem, kind) = name.rsplit_once('.').ok_or_else(unknown)?;
    let prompt = Prompt::ALL.into_iter().find(|prompt| prompt.name() == stem).ok_or_else(unknown)?;
    let part = match kind {
        "wav" => Part::Voice(Voice::parse(bytes).map_err(|error| Refused::Voice(name.to_owned(), error))?),
        "png" => {
            Part::Picture(Picture::parse(bytes).map_err(|error| Refused::Picture(name.to_owned(), error))?)
        }
        _ => return Err(unknown()),
    };
    Ok((prompt, part))
}

#[cfg(test)]
mod tests;
