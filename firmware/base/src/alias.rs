//! An alias: what a caller dialled, as every protocol can say it.

use std::fmt;

/// Longest alias taken, in bytes.
pub const MAX_BYTES: usize = 250;

/// What was dialled, without the protocol it was dialled in: `1234567890123@meet.example.com`.
///
/// The full form for matching is [`full`](Alias::full), with the scheme in front: `sip:1234567890123@meet.example.com`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Alias {
    scheme: String,
    rest: String,
}

/// Why a text is no alias.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AliasError {
    /// Nothing was dialled.
    #[error("alias is empty; dial <meeting id>@<domain>")]
    Empty,
    /// More than [`MAX_BYTES`].
    #[error("alias has {0} bytes; at most {MAX_BYTES} are taken")]
    TooLong(usize),
    /// A control character or white space.
    #[error("alias {0:?} holds a control character or a space; remove it")]
    BadCharacter(String),
}

impl Alias {
    /// Parses `text`, with or without a scheme; without one it gets `default_scheme`.
    ///
    /// # Errors
    /// [`AliasError`] if it is empty, too long, or holds control characters or white space.
    pub fn parse(text: &str, default_scheme: &str) -> Result<Self, AliasError> {
        if text.len() > MAX_BYTES {
            return Err(AliasError::TooLong(text.len()));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(AliasError::BadCharacter(text.to_owned()));
        }
        let (scheme, rest) = match text.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (scheme.to_ascii_lowercase(), rest),
            _ => (default_scheme.to_owned(), text),
        };
        if rest.is_empty() {
            return Err(AliasError::Empty);
        }
        Ok(Self { scheme, rest: rest.to_owned() })
    }

    /// With the scheme: `sip:1234@meet.example.com`.
    #[must_use]
    pub fn full(&self) -> String {
        format!("{}:{}", self.scheme, self.rest)
    }

    /// Without the scheme: `1234@meet.example.com`.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.rest
    }

    /// What stands before the `@`, or everything if there is none.
    #[must_use]
    pub fn user(&self) -> &str {
        self.rest.split_once('@').map_or(&*self.rest, |(user, _)| user)
    }

    /// What stands after the `@`.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.rest.split_once('@').map(|(_, domain)| domain)
    }
}

fn is_scheme(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "sip" | "sips" | "h323" | "tel" | "rtmp" | "rtmps" | "https")
}

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_is_the_same_with_and_without_its_scheme() {
        let plain = Alias::parse("1234567890123@meet.example.com", "sip").unwrap();
        let full = Alias::parse("SIP:1234567890123@meet.example.com", "h323").unwrap();
        assert_eq!(plain, full);
        assert_eq!(plain.full(), "sip:1234567890123@meet.example.com");
        assert_eq!((plain.user(), plain.domain()), ("1234567890123", Some("meet.example.com")));
    }

    #[test]
    fn a_port_is_not_taken_for_a_scheme() {
        let alias = Alias::parse("room:5060", "sip").unwrap();
        assert_eq!(alias.short(), "room:5060");
    }

    #[test]
    fn what_is_no_alias_is_refused_by_name() {
        assert_eq!(Alias::parse("", "sip"), Err(AliasError::Empty));
        assert_eq!(Alias::parse("sip:", "sip"), Err(AliasError::Empty));
        assert_eq!(Alias::parse("a b", "sip"), Err(AliasError::BadCharacter("a b".into())));
        assert_eq!(Alias::parse(&"1".repeat(251), "sip"), Err(AliasError::TooLong(251)));
    }
}
