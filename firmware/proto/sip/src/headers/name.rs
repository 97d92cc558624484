//! Header names: their spelling, compact forms, and which headers are lists.

use crate::message::{Text, lex};
use std::fmt;

/// A header's name. Known ones are held in RFC 3261's spelling, others as written; all compare without regard to case.
#[derive(Clone)]
pub struct Name(Spelling);

#[derive(Clone)]
enum Spelling {
    Known(&'static str),
    Other(Text),
}

/// Whether one line of a header may hold several elements, separated by commas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One value a line.
    Single,
    /// A comma-separated list (RFC 3261 7.3.1).
    List,
}

use Shape::{List, Single};

/// Every header known here: its name, its compact form (IANA registry), whether it is a list.
const KNOWN: &[(&str, &str, Shape)] = &[
    ("Via", "v", List),
    ("From", "f", Single),
    ("To", "t", Single),
    ("Call-ID", "i", Single),
    ("CSeq", "", Single),
    ("Contact", "m", List),
    ("Max-Forwards", "", Single),
    ("Content-Length", "l", Single),
    ("Content-Type", "c", Single),
    ("Route", "", List),
    ("Record-Route", "", List),
    ("Supported", "k", List),
    ("Require", "", List),
    ("Allow", "", List),
    ("User-Agent", "", Single),
    ("Server", "", Single),
    ("Accept", "", List),
    ("Accept-Contact", "a", List),
    ("Accept-Encoding", "", List),
    ("Accept-Language", "", List),
    ("Alert-Info", "", List),
    ("Allow-Events", "u", List),
    ("Authentication-Info", "", Single),
    ("Authorization", "", Single),
    ("Call-Info", "", List),
    ("Content-Disposition", "", Single),
    ("Content-Encoding", "e", List),
    ("Content-Language", "", List),
    ("Date", "", Single),
    ("Diversion", "", List),
    ("Error-Info", "", List),
    ("Event", "o", Single),
    ("Expires", "", Single),
    ("History-Info", "", List),
    ("Identity", "y", Single),
    ("In-Reply-To", "", List),
    ("Min-Expires", "", Single),
    ("Min-SE", "", Single),
    ("MIME-Version", "", Single),
    ("Organization", "", Single),
    ("P-Asserted-Identity", "", List),
    ("P-Preferred-Identity", "", List),
    ("Path", "", List),
    ("Priority", "", Single),
    ("Privacy", "", Single),
    ("Proxy-Authenticate", "", Single),
    ("Proxy-Authentication-Info", "", Single),
    ("Proxy-Authorization", "", Single),
    ("Proxy-Require", "", List),
    ("RAck", "", Single),
    ("Reason", "", List),
    ("Refer-To", "r", Single),
    ("Referred-By", "b", Single),
    ("Reject-Contact", "j", List),
    ("Remote-Party-ID", "", List),
    ("Replaces", "", Single),
    ("Reply-To", "", Single),
    ("Request-Disposition", "d", List),
    ("Retry-After", "", Single),
    ("RSeq", "", Single),
    ("Service-Route", "", List),
    ("Session-Expires", "x", Single),
    ("Session-ID", "", Single),
    ("SIP-ETag", "", Single),
    ("SIP-If-Match", "", Single),
    ("Subject", "s", Single),
    ("Subscription-State", "", Single),
    ("Timestamp", "", Single),
    ("Unsupported", "", List),
    ("Warning", "", List),
    ("WWW-Authenticate", "", Single),
];

impl Name {
    /// Reads a name, compact or long; `None` if it is no token. `block` is what `text` was cut from, to share it.
    pub(crate) fn parse(text: &str, block: Option<&Text>) -> Option<(Self, Shape)> {
        let same = |(long, compact, _): &&(&str, &str, Shape)| {
            long.eq_ignore_ascii_case(text) || (text.len() == 1 && compact.eq_ignore_ascii_case(text))
        };
        match KNOWN.iter().find(same) {
            Some((long, _, shape)) => Some((Self(Spelling::Known(long)), *shape)),
            None if lex::is_token(text) => {
                let name = block.map_or_else(|| Text::from(text), |block| block.slice(text));
                Some((Self(Spelling::Other(name)), Single))
            }
            None => None,
        }
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Spelling::Known(name) => name,
            Spelling::Other(name) => name,
        }
    }

    /// Whether it is `name`, without regard to case.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.as_str().eq_ignore_ascii_case(name)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.is(other.as_str())
    }
}

impl Eq for Name {}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_names_read_as_their_long_form() {
        for (compact, long) in [
            ("v", "Via"),
            ("F", "From"),
            ("t", "To"),
            ("i", "Call-ID"),
            ("L", "Content-Length"),
            ("m", "Contact"),
            ("c", "Content-Type"),
            ("k", "Supported"),
            ("x", "Session-Expires"),
            ("r", "Refer-To"),
        ] {
            let (name, _) = Name::parse(compact, None).unwrap();
            assert_eq!(name.as_str(), long);
        }
    }

    #[test]
    fn an_unknown_name_is_kept_as_written_and_compares_without_case() {
        let (name, shape) = Name::parse("X-Cisco-Thing", None).unwrap();
        assert_eq!((name.as_str(), shape), ("X-Cisco-Thing", Single));
        assert!(name.is("x-cisco-thing"));
        assert!(Name::parse("Bad Name", None).is_none());
    }
}
