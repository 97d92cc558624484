//! Commands and reports as bytes, for a worker that is another process.
//!
//! ```text
//!  length of the rest: 4 octets, least significant first │ the message, in postcard's form
//! ```
//!
//! Both ends are one build of one program, so nothing says which version this is. A worker eats what strangers send, so what it
//! tells is read as a stranger's: [`Reader`] takes no message that is too long or that holds what can't be.

use crate::message::{Command, MAX_SINKS, MAX_SOURCES, Report};
use crate::queue::Item;
use base::{Codec, EncodedFrame, MediaTime, Size, limits};
use bytes::Bytes;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

/// Longest message: a command with a still picture of 1920x1088 or a minute's clip.
pub const MAX_MESSAGE: usize = 4 * 1024 * 1024;
/// Longest report: an encoded picture of the most bytes there may be, or figures of all that there may be.
const MAX_REPORT: usize = limits::VIDEO_FRAME_BYTES + 256 * 1024;
/// Longest text in a report.
const MAX_WORDS: usize = 4096;
/// What is kept to read into, and grown for a longer message only.
const ROOM: usize = 64 * 1024;
const LENGTH: usize = 4;

/// What crosses.
pub trait Message: Item + Serialize + DeserializeOwned {
    /// The longest that is read, in bytes.
    const MAX: usize;
}

impl Message for Command {
    const MAX: usize = MAX_MESSAGE;
}

impl Message for Report {
    const MAX: usize = MAX_REPORT;
}

/// Why what was read is no message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Malformed {
    /// Longer than any may be.
    #[error("a message of {0} bytes, and none is so long")]
    Length(usize),
    /// Not in its form, or with something in it that can't be.
    #[error("a message of {0} bytes that can't be read: {1}")]
    Form(usize, String),
}

/// Adds `message` to what is written.
///
/// # Errors
/// If it is too long; nothing is added then.
pub fn write<T: Message>(message: &T, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let begin = out.len();
    out.extend([0; LENGTH]);
    let written = postcard::to_io(message, &mut *out).map(|out| out.len() - begin - LENGTH);
    match written {
        Ok(length) if length <= T::MAX => {
            out[begin..begin + LENGTH].copy_from_slice(&(length as u32).to_le_bytes());
            Ok(())
        }
        Ok(length) => {
            out.truncate(begin);
            Err(Malformed::Length(length))
        }
        Err(error) => {
            out.truncate(begin);
            Err(Malformed::Form(0, error.to_string()))
        }
    }
}

/// Cuts what was read into messages.
#[derive(Debug, Default)]
pub struct Reader {
    /// As long as was ever needed; what is between `begin` and `end` was read.
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
}

impl Reader {
    /// Where to read to, never empty; [`filled`](Self::filled) says how much was.
    pub fn room(&mut self) -> &mut [u8] {
        if self.begin == self.end {
            (self.begin, self.end) = (0, 0);
            // A long message was a picture that stands still; few come.
            self.buffer.truncate(ROOM);
            self.buffer.shrink_to(ROOM);
        }
        let wanted = self.length().map_or(LENGTH, |length| LENGTH + length.min(MAX_MESSAGE));
        if self.begin + wanted > self.buffer.len() || self.end == self.buffer.len() {
            self.buffer.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
        }
        self.buffer.resize(self.buffer.len().max(ROOM).max(wanted), 0);
        &mut self.buffer[self.end..]
    }

    /// So many bytes of the room were read to.
    pub fn filled(&mut self, bytes: usize) {
        self.end = (self.end + bytes).min(self.buffer.len());
    }

    /// A whole message is there.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.length().is_some_and(|length| self.end - self.begin >= LENGTH + length)
    }

    /// The next message, if all of it was read.
    ///
    /// # Errors
    /// [`Malformed`]; what follows can't be read either.
    pub fn message<T: Message>(&mut self) -> Result<Option<T>, Malformed> {
        let Some(length) = self.length() else { return Ok(None) };
        if length > T::MAX {
            return Err(Malformed::Length(length));
        }
        let begin = self.begin + LENGTH;
        let Some(body) = self.buffer[..self.end].get(begin..begin + length) else { return Ok(None) };
        let form = |why: &str| Malformed::Form(length, why.to_owned());
        let (message, rest) = postcard::take_from_bytes(body).map_err(|error| form(&error.to_string()))?;
        if !rest.is_empty() {
            return Err(form("something stands behind its end"));
        }
        self.begin = begin + length;
        Ok(Some(message))
    }

    /// How long the next message says that it is.
    fn length(&self) -> Option<usize> {
        let octets = self.buffer[self.begin..self.end].first_chunk::<LENGTH>()?;
        Some(u32::from_le_bytes(*octets) as usize)
    }
}

/// [`Codec`] in serde's form; `base` knows no serde.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Codec")]
pub(crate) enum CodecForm {
    H264,
    Vp8,
    Opus,
    G722,
    Pcma,
    Pcmu,
}

/// [`Size`] in serde's form.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Size")]
pub(crate) struct SizeForm {
    width: u32,
    height: u32,
}

/// [`MediaTime`] in serde's form.
#[derive(Serialize, Deserialize)]
#[serde(remote = "MediaTime")]
struct TimeForm(u64);

/// [`EncodedFrame`] in serde's form, with no more bytes than a frame may have.
#[derive(Serialize, Deserialize)]
#[serde(remote = "EncodedFrame")]
pub(crate) struct FrameForm {
    #[serde(with = "CodecForm")]
    codec: Codec,
    #[serde(with = "TimeForm")]
    captured: MediaTime,
    #[serde(with = "TimeForm")]
    arrived: MediaTime,
    key: bool,
    contiguous: bool,
    #[serde(deserialize_with = "frame_data")]
    data: Bytes,
}

fn frame_data<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
    let data = Bytes::deserialize(from)?;
    if data.len() > limits::VIDEO_FRAME_BYTES {
        return Err(D::Error::custom(format_args!("a frame of {} bytes", data.len())));
    }
    Ok(data)
}

/// One of the sixteen keys.
pub(crate) fn key<'de, D: Deserializer<'de>>(from: D) -> Result<char, D::Error> {
    let key = char::deserialize(from)?;
    if !matches!(key, '0'..='9' | '*' | '#' | 'A'..='D') {
        return Err(D::Error::custom(format_args!("a key {key:?}")));
    }
    Ok(key)
}

/// Figures of as many as there may be.
pub(crate) fn few<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    let figures = Vec::deserialize(from)?;
    if figures.len() > MAX_SOURCES.max(MAX_SINKS) {
        return Err(D::Error::custom(format_args!("figures of {}", figures.len())));
    }
    Ok(figures)
}

/// What is told in words, in one line and not at any length.
pub(crate) fn words<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let words = String::deserialize(from)?;
    if words.len() > MAX_WORDS {
        return Err(D::Error::custom(format_args!("{} bytes of words", words.len())));
    }
    Ok(words.replace(char::is_control, " "))
}

#[cfg(test)]
mod tests;
