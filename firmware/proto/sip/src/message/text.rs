//! A text that is a part of a larger one: header values share the one copy made of a message's header block.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A piece of shared text. Cloning and slicing copy no characters; it reads as a `&str`.
///
/// It keeps the whole block it was cut from alive, so what outlives the message (a tag in a dialog, say) should be
/// copied out with `to_owned`.
#[derive(Clone)]
pub struct Text {
    whole: Arc<str>,
    start: u32,
    end: u32,
}

impl Text {
    /// The part of `whole` in `range`, or nothing if the range lies outside or cuts a character.
    pub(crate) fn part(whole: &Arc<str>, range: std::ops::Range<usize>) -> Self {
        let fits = whole.get(range.clone()).is_some();
        match (fits, u32::try_from(range.start), u32::try_from(range.end)) {
            (true, Ok(start), Ok(end)) => Self { whole: Arc::clone(whole), start, end },
            _ => Self { whole: Arc::clone(whole), start: 0, end: 0 },
        }
    }

    /// It as a `&str`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.whole.get(self.start as usize..self.end as usize).unwrap_or("")
    }

    /// `piece`, which must be a part of this text, sharing its memory; copied if it is not.
    pub(crate) fn slice(&self, piece: &str) -> Self {
        let base = self.whole.as_ptr() as usize;
        match (piece.as_ptr() as usize).checked_sub(base) {
            Some(start) if start + piece.len() <= self.whole.len() => {
                Self::part(&self.whole, start..start + piece.len())
            }
            _ => Self::from(piece),
        }
    }
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        let whole: Arc<str> = Arc::from(text);
        let len = whole.len();
        Self::part(&whole, 0..len)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl std::hash::Hash for Text {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_shares_its_memory_and_reads_as_its_own_text() {
        let whole = Text::from("Call-ID: abc");
        let part = whole.slice(&whole[9..]);
        assert_eq!(part, "abc");
        assert!(Arc::ptr_eq(&whole.whole, &part.whole));
    }

    #[test]
    fn a_part_that_is_not_inside_is_copied_and_a_bad_range_is_empty() {
        let whole = Text::from("é");
        assert_eq!(whole.slice("other"), "other");
        assert_eq!(Text::part(&whole.whole, 1..2), "");
        assert_eq!(Text::part(&whole.whole, 0..9), "");
    }
}
