//! What an entry of the phonebook is dialled by: a SIP URI, an H.323 identifier or a number.

use std::fmt;
use thiserror::Error;

/// Longest alias, in bytes.
const MAX_BYTES: usize = base::alias::MAX_BYTES;
/// Most digits of a number.
const MAX_DIGITS: usize = 32;

/// An alias, by who can dial it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PhoneAlias {
    /// A SIP URI with its scheme: `sip:room@example.com`.
    Sip(String),
    /// An H.323 identifier, in ASCII (H.350.1 writes it as IA5String): `room` or `room@example.com`.
    H323(String),
    /// A number: digits, `*` and `#`, with a plus before it or not.
    Number(String),
}

/// Why a text is no alias; each follows the text itself in a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AliasError {
    /// Nothing was written.
    #[error("is empty; write \"sip:room@example.com\", \"h323:room\" or \"+49301234\"")]
    Empty,
    /// More than 250 bytes.
    #[error("has more than {MAX_BYTES} bytes; shorten it")]
    TooLong,
    /// A control character or white space.
    #[error("holds a control character or a space; remove it")]
    BadCharacter,
    /// A SIP URI without a user or a host.
    #[error("is no SIP URI; write \"sip:room@example.com\"")]
    NoUri,
    /// An H.323 identifier beyond ASCII.
    #[error("holds letters beyond ASCII, which H.350 has no place for in an H.323 identifier; write another")]
    BeyondAscii,
    /// Something else than a number.
    #[error("is no number; write up to {MAX_DIGITS} digits, such as \"tel:+49301234\"")]
    NoNumber,
}

impl PhoneAlias {
    /// Parses `text`, with or without a scheme. Without one it is a number if it looks like one, a SIP URI if it has an `@`, and else an
    /// H.323 identifier.
    ///
    /// # Errors
    /// [`AliasError`] if it is none of them.
    pub fn parse(text: &str) -> Result<Self, AliasError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(AliasError::Empty);
        }
        if text.len() > MAX_BYTES {
            return Err(AliasError::TooLong);
        }
        let scheme = text.split_once(':').map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
        match scheme.as_ref().map(|(scheme, rest)| (scheme.as_str(), *rest)) {
            Some((scheme @ ("sip" | "sips"), rest)) => sip(scheme, rest),
            Some(("h323", rest)) => h323(rest),
            Some(("tel", rest)) => number(rest).ok_or(AliasError::NoNumber),
            Some(_) | None => match number(text) {
                Some(number) => Ok(number),
                None if text.contains('@') => sip("sip", text),
                None => h323(text),
            },
        }
    }
}

/// With the scheme: `sip:room@example.com`, `h323:room`, `tel:+49301234`.
impl fmt::Display for PhoneAlias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sip(uri) => f.write_str(uri),
            Self::H323(id) => write!(f, "h323:{id}"),
            Self::Number(number) => write!(f, "tel:{number}"),
        }
    }
}

fn is_odd(c: char) -> bool {
    c.is_control() || c.is_whitespace()
}

fn sip(scheme: &str, rest: &str) -> Result<PhoneAlias, AliasError> {
    if rest.contains(is_odd) {
        return Err(AliasError::BadCharacter);
    }
    let good = rest.split_once('@').is_some_and(|(user, host)| {
        !user.is_empty() && !host.is_empty() && !host.contains('@') && !rest.contains(['<', '>', '"'])
    });
    if good { Ok(PhoneAlias::Sip(format!("{scheme}:{rest}"))) } else { Err(AliasError::NoUri) }
}

fn h323(id: &str) -> Result<PhoneAlias, AliasError> {
    match id {
        "" => Err(AliasError::Empty),
        id if id.contains(is_odd) => Err(AliasError::BadCharacter),
        id if !id.is_ascii() => Err(AliasError::BeyondAscii),
        id => Ok(PhoneAlias::H323(id.to_owned())),
    }
}

/// `+49 (30) 12-34`, without what is there for the eye (RFC 3966 5.1.1).
fn number(text: &str) -> Option<PhoneAlias> {
    let digits: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')')).collect();
    let dialled = digits.strip_prefix('+').unwrap_or(&digits);
    let good = (1..=MAX_DIGITS).contains(&dialled.len())
        && dialled.starts_with(|c: char| c.is_ascii_digit() || c == '*' || c == '#')
        && dialled.chars().all(|c| c.is_ascii_digit() || matches!(c, '*' | '#'));
    good.then_some(PhoneAlias::Number(digits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> Result<String, AliasError> {
        PhoneAlias::parse(text).map(|alias| alias.to_string())
    }

    #[test]
    fn an_alias_is_told_by_its_scheme_or_by_what_it_looks_like() {
        for (text, wanted) in [
            ("SIP:room@example.com", "sip:room@example.com"),
            ("sips:room@example.com;transport=tls", "sips:room@example.com;transport=tls"),
            ("1234@example.com", "sip:1234@example.com"),
            ("h323:room@example.com", "h323:room@example.com"),
            ("boardroom", "h323:boardroom"),
            ("10.1.2.3", "h323:10.1.2.3"),
            ("+49 (30) 12-34", "tel:+49301234"),
            ("tel:1234#", "tel:1234#"),
            ("1234567890123", "tel:1234567890123"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_alias_is_refused_with_the_way_out() {
        for (text, error) in [
            (" ", AliasError::Empty),
            ("h323:", AliasError::Empty),
            ("sip:room", AliasError::NoUri),
            ("sip:@example.com", AliasError::NoUri),
            ("a@b@c", AliasError::NoUri),
            ("board room", AliasError::BadCharacter),
            ("a b@example.com", AliasError::BadCharacter),
            ("Stra\u{df}e", AliasError::BeyondAscii),
            ("tel:room", AliasError::NoNumber),
            ("tel:+", AliasError::NoNumber),
        ] {
            assert_eq!(shown(text), Err(error), "{text}");
        }
        assert_eq!(shown(&"a".repeat(251)), Err(AliasError::TooLong));
    }

    proptest! {
        /// An alias that is written out is the same when it is read again.
        #[test]
        fn an_alias_is_read_as_it_is_written(text in "(sip:|h323:|tel:|)[ -~]{0,20}") {
            if let Ok(alias) = PhoneAlias::parse(&text) {
                prop_assert_eq!(PhoneAlias::parse(&alias.to_string()), Ok(alias));
            }
        }
    }
}
