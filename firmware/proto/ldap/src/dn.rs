//! Distinguished names (RFC 4514): read, compared by their parts' matching rules, written with what must be escaped.

use crate::matching::{Place, Rule};
use crate::schema;

/// Most parts of a name.
const MAX_PARTS: usize = 64;

/// A distinguished name in the form that is compared; the root's has no parts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Dn {
    /// From the most special to the root, each `type=value` in normal form.
    parts: Vec<String>,
}

impl Dn {
    /// Reads `text`; `None` if it is no distinguished name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.trim_matches(' ').is_empty() {
            return Some(Self::default());
        }
        let parts: Vec<String> = split(text, ',').map(part).collect::<Option<_>>()?;
        (parts.len() <= MAX_PARTS).then_some(Self { parts })
    }

    /// Whether it is the root's.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.parts.is_empty()
    }

    /// One text for each name, however it was spelled. Values in normal form hold no line feed.
    pub(crate) fn key(&self) -> String {
        self.parts.join("\n")
    }

    /// The name above; the root's is its own.
    pub(crate) fn parent(&self) -> Self {
        Self { parts: self.parts.iter().skip(1).cloned().collect() }
    }
}

/// Type and value of the first part of a name, as they are meant: `("dc", "meet")`.
pub(crate) fn first_value(text: &str) -> Option<(String, String)> {
    let first = split(text, ',').next()?;
    let (name, value) = first.split_once('=')?;
    Some((name.trim_matches(' ').to_ascii_lowercase(), unescaped(value)?))
}

/// `value` as it is written in a name (RFC 4514 2.4): what must be escaped as its octet in hexadecimal, so that whoever splits names at their
/// commas without a thought splits them rightly.
pub(crate) fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (at, c) in value.chars().enumerate() {
        let edge = (at == 0 && matches!(c, ' ' | '#')) || (at == last && c == ' ');
        if edge || matches!(c, '\0' | '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=') {
            // All of them are ASCII.
            text.push_str(&format!("\\{:02X}", u32::from(c)));
        } else {
            text.push(c);
        }
    }
    text
}

/// `text` cut at each `at` that no backslash escapes.
fn split(text: &str, at: char) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut is_escaped = false;
        let end = text.find(|c| {
            let hit = c == at && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            hit
        });
        let (piece, after) = end.map_or((text, None), |end| (&text[..end], Some(&text[end + 1..])));
        rest = after;
        Some(piece)
    })
}

/// One part: `cn=Ada`, or several joined by `+`, in the order of their names.
fn part(text: &str) -> Option<String> {
    let mut pairs: Vec<String> = split(text, '+').map(pair).collect::<Option<_>>()?;
    pairs.sort();
    Some(pairs.join("\t"))
}

fn pair(text: &str) -> Option<String> {
    let (name, value) = text.split_once('=')?;
    let name = name.trim_matches(' ');
    let named =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    let value = unescaped(value)?;
    let (name, rule) = schema::attribute_named(name).map_or((name, Rule::CaseIgnore), |attribute| {
        (attribute.definition().names[0], attribute.definition().rule)
    });
    // A value that its attribute can't have is a name that nothing has.
    let rule = if rule.is_for_strings() { rule } else { Rule::CaseIgnore };
    let value = rule.key(&value, Place::Whole).unwrap_or(value);
    named.then(|| format!("{}={value}", name.to_ascii_lowercase()))
}

/// A value as it is meant: without the spaces round it, and with its escapes resolved.
fn unescaped(text: &str) -> Option<String> {
    let text = text.trim_start_matches(' ');
    let (mut octets, mut kept) = (Vec::with_capacity(text.len()), 0);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            octets.push(byte);
            kept = if byte == b' ' { kept } else { octets.len() };
            continue;
        }
        let next = bytes.next()?;
        octets.push(match hex(next) {
            Some(high) => high << 4 | hex(bytes.next()?)?,
            None if next.is_ascii() => next,
            None => return None,
        });
        kept = octets.len();
    }
    octets.truncate(kept);
    String::from_utf8(octets).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dn(text: &str) -> Dn {
        Dn::parse(text).unwrap_or_else(|| panic!("{text} is a name"))
    }

    #[test]
    fn names_are_the_same_however_they_are_spelled() {
        let plain = dn("cn=Ada Lovelace,ou=Rooms,dc=example,dc=com");
        for text in [
            "CN=ada  lovelace, OU=rooms , DC=Example,DC=COM",
            "commonName=Ada Lovelace,organizationalUnitName=Rooms,dc=example,dc=com",
            "2.5.4.3=\\41da Lovelace\\20,2.5.4.11=Rooms,dc=example,dc=com",
        ] {
            assert_eq!(dn(text), plain, "{text}");
        }
        assert_ne!(dn("cn=AdaLovelace,ou=Rooms,dc=example,dc=com"), plain);
        assert_eq!(dn("cn=a+ou=b"), dn("OU=B + CN=A"));
        assert_eq!(plain.parent(), dn("ou=Rooms,dc=example,dc=com"));
        assert!(dn(" ").is_root());
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in
            ["x", "=a", "cn=a,", ",cn=a", "cn=a\\", "cn=a\\4", "cn=\\ff", "c n=a", &"cn=a,".repeat(99)]
        {
            assert_eq!(Dn::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_first_part_is_told_as_it_is_meant() {
        assert_eq!(first_value("DC= Me\\2Cet ,dc=com"), Some(("dc".into(), "Me,et".into())));
    }

    proptest! {
        /// A value that was escaped stands for itself, and for nothing else.
        #[test]
        fn what_is_escaped_is_read_back(value in "[ -~äß\u{0}]{1,20}", other in "[ -~]{1,5}") {
            let whole = format!("cn={},ou={}", escaped(&value), escaped(&other));
            let (_, read) = first_value(&whole).unwrap();
            prop_assert_eq!(&read, &value);
            prop_assert_eq!(dn(&whole).parent(), dn(&format!("ou={}", escaped(&other))));
        }

        #[test]
        fn no_text_upsets_the_parser(text: String) {
            drop(Dn::parse(&text));
        }
    }
}
