//! The header fields of a message (RFC 3261 section 20): an ordered list, one entry for each list element, and typed
//! readings of it.
//!
//! Names are long and lists are split when an entry comes in, from the wire or from [`Headers::push`], so that
//! `Contact: <a>, <b>` is two entries whichever way it was written.

mod address;
mod auth;
mod name;
mod session;
mod typed;
mod via;

pub use address::NameAddr;
pub use auth::{Challenge, Credentials, Scheme as AuthScheme};
pub use name::Name;
pub use session::{MediaType, RAck, Reason, Refresher, Replaces, SessionExpires};
pub use typed::CSeq;
pub use via::{Rport, Via, ViaTransport};

use crate::message::lex;
use crate::message::text::Text;
use base::limits::SIP_HEADERS;
use name::Shape;

/// One header entry: a name and one element, unfolded and trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: Name,
    /// Its value, one element of it if it is a list.
    pub value: Text,
}

/// The header fields of a message, in order; at most [`SIP_HEADERS`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<Header>);

/// Why a header cannot be read as what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{header}: {problem}: {value:?}")]
pub struct HeaderError {
    /// Which header.
    pub header: &'static str,
    /// Its value, or the first 80 characters of it.
    pub value: String,
    /// What is wrong.
    pub problem: &'static str,
}

impl HeaderError {
    pub(crate) fn new(header: &'static str, value: &str, problem: &'static str) -> Self {
        Self { header, value: value.chars().take(80).collect(), problem }
    }
}

impl Headers {
    /// No headers.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn with_capacity(entries: usize) -> Self {
        Self(Vec::with_capacity(entries.min(SIP_HEADERS)))
    }

    /// Every entry in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Header> + ExactSizeIterator {
        self.0.iter()
    }

    /// The first value of `name` (its long form, any case).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Every value of `name`, in order.
    pub fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.0.iter().filter(move |header| header.name.is(name)).map(|header| header.value.as_str())
    }

    /// Whether there is a `name`.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds `name: value` at the end. Control characters in `value` become spaces, so that no value adds a line of its
    /// own; a name that is no token, and what goes beyond [`SIP_HEADERS`] entries, is left out.
    pub fn push(&mut self, name: &str, value: impl std::fmt::Display) {
        let at = self.0.len();
        self.insert(at, name, &value.to_string());
    }

    /// Adds `name: value` before every other entry: where a new Via or Route goes.
    pub fn push_front(&mut self, name: &str, value: impl std::fmt::Display) {
        self.insert(0, name, &value.to_string());
    }

    /// Makes `value` the only value of `name`, where the first of them stood or else at the end.
    pub fn set(&mut self, name: &str, value: impl std::fmt::Display) {
        let at = self.0.iter().position(|header| header.name.is(name)).unwrap_or(self.0.len());
        self.remove(name);
        self.insert(at, name, &value.to_string());
    }

    /// Takes every `name` out.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|header| !header.name.is(name));
    }

    /// Takes the first `name` out, such as our own Via of a response.
    pub fn remove_first(&mut self, name: &str) {
        if let Some(at) = self.0.iter().position(|header| header.name.is(name)) {
            self.0.remove(at);
        }
    }

    /// Adds every `name` of `other` at the end.
    pub fn copy(&mut self, name: &str, other: &Self) {
        let room = SIP_HEADERS.saturating_sub(self.0.len());
        self.0.extend(other.0.iter().filter(|header| header.name.is(name)).take(room).cloned());
    }

    fn insert(&mut self, at: usize, name: &str, value: &str) {
        let value: String = value.chars().map(|c| if c.is_ascii_control() { ' ' } else { c }).collect();
        let value = Text::from(value);
        let Some((name, shape)) = Name::parse(name, None) else { return };
        let mut at = at;
        let mut put = |piece: &str| {
            if self.0.len() < SIP_HEADERS {
                self.0.insert(at, Header { name: name.clone(), value: value.slice(piece) });
                at += 1;
            }
        };
        match shape {
            Shape::Single => put(lex::trim(&value)),
            Shape::List => lex::split(&value, b',').for_each(put),
        }
    }

    /// Adds a line from the wire: `name` as written, `value` unfolded. False if the name is none or the list is full.
    pub(crate) fn push_line(&mut self, name: &str, value: &Text) -> Result<(), LineError> {
        let (name, shape) = Name::parse(name, Some(value)).ok_or(LineError::BadName)?;
        match shape {
            Shape::Single => self.push_element(&name, value, lex::trim(value)),
            Shape::List => {
                lex::split(value, b',').try_for_each(|piece| self.push_element(&name, value, piece))
            }
        }
    }

    fn push_element(&mut self, name: &Name, line: &Text, piece: &str) -> Result<(), LineError> {
        if self.0.len() >= SIP_HEADERS {
            return Err(LineError::TooMany);
        }
        self.0.push(Header { name: name.clone(), value: line.slice(piece) });
        Ok(())
    }
}

/// Why a line is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineError {
    /// The name is no token.
    BadName,
    /// There are [`SIP_HEADERS`] entries already.
    TooMany,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pushed_list_is_one_entry_for_each_element() {
        let mut headers = Headers::new();
        headers.push("m", r#""a, b" <sip:a>, <sip:b>"#);
        headers.push_front("Route", "<sip:p1;lr>,<sip:p2;lr>");
        let lines: Vec<_> = headers.iter().map(|h| format!("{}: {}", h.name, h.value)).collect();
        assert_eq!(
            lines,
            ["Route: <sip:p1;lr>", "Route: <sip:p2;lr>", r#"Contact: "a, b" <sip:a>"#, "Contact: <sip:b>"]
        );
    }

    #[test]
    fn no_value_can_add_a_line_of_its_own() {
        let mut headers = Headers::new();
        headers.push("Subject", "hello\r\nEvil: 1");
        headers.push("Bad Name", "x");
        assert_eq!(headers.len(), 1);
        assert_eq!(headers.get("subject"), Some("hello  Evil: 1"));
    }

    #[test]
    fn set_replaces_in_place_and_the_list_is_bounded() {
        let mut headers = Headers::new();
        headers.push("To", "a");
        headers.push("From", "b");
        headers.set("to", "c");
        assert_eq!(headers.iter().next().map(|h| h.value.as_str()), Some("c"));
        for _ in 0..1000 {
            headers.push("X", "y");
        }
        assert_eq!(headers.len(), SIP_HEADERS);
    }
}
