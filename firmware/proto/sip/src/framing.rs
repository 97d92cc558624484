//! Where one message ends and the next begins: datagrams and streams (RFC 3261 18.3, RFC 5626 4.4.1).
//!
//! ```text
//!  stream:  between ──CRLF CRLF──▶ Ping        ──CRLF──▶ Pong
//!              ▲  └──byte──▶ in head ──empty line──▶ in body ──Content-Length octets──▶ Message ─┐
//!              └─────────────────────────────────────────────────────────────────────────────────┘
//!           a length that is missing, malformed or too large ──▶ broken: the connection must be closed
//! ```

use crate::message::{Message, ParseError, lex, skip_empty_lines, split_head};
use crate::quirks;
use base::limits::SIP_MESSAGE_BYTES;
use bytes::Bytes;

/// What came out of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The bytes of one whole message, for [`Message::parse`].
    Message(Bytes),
    /// A keep-alive: answer with [`PONG`].
    Ping,
    /// The answer to our keep-alive, or a stray empty line.
    Pong,
}

/// What a client sends to keep a stream alive (RFC 5626 3.5.1).
pub const PING: &[u8] = b"\r\n\r\n";
/// What is answered to [`PING`].
pub const PONG: &[u8] = b"\r\n";

/// Why a stream cannot be read any further; the connection must be closed (RFC 4475 3.1.2.3).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// Content-Length is no number.
    #[error("content-length {0:?} is no number; the stream cannot be read any further")]
    BadLength(String),
    /// There are two of them.
    #[error("more than one content-length; the stream cannot be read any further")]
    TwoLengths,
    /// There is a body and no Content-Length.
    #[error("a body without content-length; on a stream it must be there")]
    NoLength,
    /// The message would be larger than [`SIP_MESSAGE_BYTES`].
    #[error("a message of {0} bytes; at most {SIP_MESSAGE_BYTES} are taken")]
    TooLarge(u64),
}

/// Reads one datagram; `None` if it is a keep-alive, to which nothing is answered.
///
/// # Errors
/// [`ParseError`], which says what to answer.
pub fn datagram(bytes: &[u8]) -> Result<Option<Message>, ParseError> {
    if quirks::is_keep_alive(bytes) {
        return Ok(None);
    }
    Message::parse(bytes).map(Some)
}

/// Cuts a byte stream into messages. Holds at most one unfinished message, so at most [`SIP_MESSAGE_BYTES`].
#[derive(Debug, Default)]
pub struct StreamFramer {
    pending: Vec<u8>,
    /// How much of `pending` is known to hold no end of the head.
    searched: usize,
    /// Size of head and body together, once the head is complete.
    wanted: Option<usize>,
    /// One CRLF came alone; a second one right behind it makes them a ping.
    half_ping: bool,
    broken: Option<FramingError>,
}

impl StreamFramer {
    /// A stream of which nothing came yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what came and hands every whole message and keep-alive to `sink`.
    ///
    /// # Errors
    /// [`FramingError`], from then on for ever: close the connection.
    pub fn push(&mut self, bytes: &[u8], mut sink: impl FnMut(Frame)) -> Result<(), FramingError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        self.pending.extend_from_slice(bytes);
        let mut used = 0;
        let result = loop {
            match self.next(used) {
                Ok(Some((frame, size))) => {
                    used += size;
                    (self.searched, self.wanted) = (0, None);
                    sink(frame);
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.pending.drain(..used.min(self.pending.len()));
        if let Err(error) = &result {
            self.broken = Some(error.clone());
            self.pending = Vec::new();
        }
        result
    }

    /// Whether part of a message waits for the rest: the connection should not idle for long like this.
    #[must_use]
    pub fn is_mid_message(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The next frame of what stands from `used` on, and its size in bytes.
    fn next(&mut self, used: usize) -> Result<Option<(Frame, usize)>, FramingError> {
        let rest = self.pending.get(used..).unwrap_or(&[]);
        if let Some(size) = empty_lines(rest, self.half_ping) {
            let frame = if size.ping { Frame::Ping } else { Frame::Pong };
            self.half_ping = !size.ping && size.bytes == rest.len();
            return Ok(Some((frame, size.bytes)));
        }
        if rest.is_empty() || rest == b"\r" {
            return Ok(None);
        }
        self.half_ping = false;
        let wanted = match self.wanted {
            Some(wanted) => wanted,
            None => match message_size(rest, self.searched)? {
                Some(wanted) => *self.wanted.insert(wanted),
                None => {
                    self.searched = rest.len().saturating_sub(3);
                    return Ok(None);
                }
            },
        };
        Ok(rest.get(..wanted).map(|message| (Frame::Message(Bytes::copy_from_slice(message)), wanted)))
    }
}

struct EmptyLines {
    bytes: usize,
    ping: bool,
}

/// The keep-alive that `rest` begins with.
fn empty_lines(rest: &[u8], half_ping: bool) -> Option<EmptyLines> {
    if rest.starts_with(PING) {
        return Some(EmptyLines { bytes: 4, ping: true });
    }
    if rest.starts_with(PONG) {
        // Wait for the fourth byte if it may yet become a ping.
        return (rest != b"\r\n\r").then_some(EmptyLines { bytes: 2, ping: half_ping });
    }
    rest.starts_with(b"\n").then_some(EmptyLines { bytes: 1, ping: false })
}

/// The size of the message that `rest` begins with, once its head is complete.
fn message_size(rest: &[u8], searched: usize) -> Result<Option<usize>, FramingError> {
    let too_large = |size: u64| Err(FramingError::TooLarge(size));
    let tail = rest.get(searched..).unwrap_or(&[]);
    let (_, Some(behind)) = split_head(tail) else {
        return match rest.len() {
            size if size > SIP_MESSAGE_BYTES => too_large(size as u64),
            _ => Ok(None),
        };
    };
    let head = rest.len() - behind.len();
    let length = content_length(rest.get(..head).unwrap_or(&[]))?;
    match length.checked_add(head as u64).map(|size| (size, usize::try_from(size))) {
        Some((size, Ok(bytes))) if size <= SIP_MESSAGE_BYTES as u64 => Ok(Some(bytes)),
        Some((size, _)) => too_large(size),
        None => too_large(u64::MAX),
    }
}

/// Content-Length of a head.
fn content_length(head: &[u8]) -> Result<u64, FramingError> {
    let head = quirks::text(skip_empty_lines(head));
    let mut lines = head.lines().skip(1).peekable();
    let (mut length, mut has_body) = (None, false);
    while let Some(line) = lines.next() {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let name = lex::trim(name);
        if name.eq_ignore_ascii_case("Content-Type") || name.eq_ignore_ascii_case("c") {
            has_body = true;
        }
        if !name.eq_ignore_ascii_case("Content-Length") && !name.eq_ignore_ascii_case("l") {
            continue;
        }
        let folded = lines.next_if(|next| next.starts_with([' ', '\t'])).unwrap_or("");
        let digits = format!("{value} {folded}");
        let digits = lex::trim(&digits);
        let number =
            lex::number(digits).ok_or_else(|| FramingError::BadLength(digits.chars().take(40).collect()))?;
        if length.replace(number).is_some() {
            return Err(FramingError::TwoLengths);
        }
    }
    match (length, has_body) {
        (Some(length), _) => Ok(length),
        (None, true) => Err(FramingError::NoLength),
        (None, false) => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OPTIONS: &str = "OPTIONS sip:a@h SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bKx\r\nl:4\r\n\r\nbody";

    fn frames(pieces: &[&[u8]]) -> Result<Vec<Frame>, FramingError> {
        let (mut framer, mut out) = (StreamFramer::new(), Vec::new());
        for piece in pieces {
            framer.push(piece, |frame| out.push(frame))?;
        }
        Ok(out)
    }

    #[test]
    fn messages_and_keep_alives_are_cut_wherever_the_stream_was_split() {
        let stream = format!("{OPTIONS}\r\n\r\n{OPTIONS}{OPTIONS}\r\n");
        let message = Frame::Message(Bytes::from_static(OPTIONS.as_bytes()));
        let expected = [message.clone(), Frame::Ping, message.clone(), message, Frame::Pong];
        assert_eq!(frames(&[stream.as_bytes()]).unwrap(), expected);
        let single: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        let got = frames(&single).unwrap();
        let messages = |list: &[Frame]| list.iter().filter(|f| matches!(f, Frame::Message(_))).count();
        assert_eq!(messages(&got), 3);
        assert!(got.contains(&Frame::Ping));
    }

    #[test]
    fn a_bad_length_ends_the_stream_with_an_error_that_names_it() {
        let head = "OPTIONS sip:a@h SIP/2.0\r\n";
        let case = |line: &str| frames(&[format!("{head}{line}\r\n\r\n").as_bytes()]).unwrap_err();
        assert_eq!(case("Content-Length: -999"), FramingError::BadLength("-999".into()));
        assert_eq!(case("Content-Length: five"), FramingError::BadLength("five".into()));
        assert_eq!(case("l: 1\r\nContent-Length: 1"), FramingError::TwoLengths);
        assert_eq!(case("Content-Type: application/sdp"), FramingError::NoLength);
        assert_eq!(case("l: 18446744073709551615"), FramingError::TooLarge(u64::MAX));
        assert_eq!(
            case("l: 99999999999999999999999"),
            FramingError::BadLength("99999999999999999999999".into())
        );
        assert!(matches!(case("l: 65536"), FramingError::TooLarge(_)));
        assert!(case("l: x").to_string().starts_with("content-length \"x\""));
    }

    #[test]
    fn a_broken_stream_stays_broken() {
        let mut framer = StreamFramer::new();
        assert!(framer.push(b"X\r\nl:-1\r\n\r\n", |_| ()).is_err());
        assert!(framer.push(OPTIONS.as_bytes(), |_| panic!("nothing more is read")).is_err());
    }

    #[test]
    fn a_head_without_end_is_given_up_at_the_cap() {
        let mut framer = StreamFramer::new();
        let mut result = Ok(());
        for _ in 0..70 {
            result = framer.push(&[b'x'; 1024], |_| ());
        }
        assert!(matches!(result, Err(FramingError::TooLarge(_))));
        assert!(!framer.is_mid_message());
    }

    #[test]
    fn a_datagram_of_line_ends_or_nuls_is_a_keep_alive() {
        assert_eq!(datagram(b"\r\n\r\n"), Ok(None));
        assert_eq!(datagram(&[0, 0, 0, 0]), Ok(None));
    }

    proptest! {
        #[test]
        fn no_stream_panics_and_none_holds_more_than_a_message(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..32)) {
            let mut framer = StreamFramer::new();
            for piece in &pieces {
                let _ = framer.push(piece, |_| ());
                prop_assert!(framer.pending.len() <= SIP_MESSAGE_BYTES);
            }
        }

        #[test]
        fn how_a_stream_is_split_changes_no_message(cut in 0usize..400, count in 1usize..4) {
            let stream = OPTIONS.repeat(count);
            let cut = cut.min(stream.len());
            let (a, b) = stream.as_bytes().split_at(cut);
            prop_assert_eq!(frames(&[a, b]).unwrap().len(), count);
        }
    }
}
