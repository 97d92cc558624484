//! The name that all entries of the phonebook are under, as LDAP writes it: `dc=meet,dc=example,dc=com`.

use std::fmt;

/// Most parts.
const MAX_PARTS: usize = 16;
/// Longest value of a part, in bytes.
const MAX_VALUE: usize = 63;
/// What a part may be of; a country's can't be the first.
const KINDS: [&str; 4] = ["dc", "ou", "o", "c"];

/// A distinguished name (RFC 4514) of parts that need no escapes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseName(String);

impl BaseName {
    /// The name of a domain (RFC 2247): each label a `dc`.
    #[must_use]
    pub fn of_domain(domain: &str) -> Self {
        let parts: Vec<String> = domain.split('.').map(|label| format!("dc={label}")).collect();
        Self(parts.join(","))
    }

    /// Parses `text`.
    ///
    /// # Errors
    /// What is wrong, to follow the field's name in a sentence, and the way out.
    pub fn parse(text: &str) -> Result<Self, String> {
        let way_out = "write such as \"dc=meet,dc=example,dc=com\" or \"ou=Phonebook,o=Example\"";
        let mut parts = Vec::new();
        for part in text.split(',') {
            let (kind, value) = part
                .split_once('=')
                .ok_or_else(|| format!("{text:?} is no distinguished name; {way_out}"))?;
            let (kind, value) = (kind.trim().to_ascii_lowercase(), value.trim());
            if !KINDS.contains(&kind.as_str()) || (parts.is_empty() && kind == "c") {
                return Err(format!(
                    "{text:?} has a part {kind:?}; it begins with dc, ou or o, and goes on with these or c"
                ));
            }
            let plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.');
            if value.is_empty() || value.len() > MAX_VALUE || !value.chars().all(plain) {
                return Err(format!(
                    "{text:?} has a value {value:?}; take up to {MAX_VALUE} letters, digits, spaces, hyphens or dots"
                ));
            }
            if kind == "dc" && !value.is_ascii() {
                return Err(format!(
                    "{text:?} has letters beyond ASCII in a dc; write that label in its xn-- form"
                ));
            }
            parts.push(format!("{kind}={value}"));
        }
        if parts.len() > MAX_PARTS {
            return Err(format!("has {} parts; at most {MAX_PARTS} are taken", parts.len()));
        }
        Ok(Self(parts.join(",")))
    }

    /// As LDAP writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_has_a_name_of_its_labels() {
        let name = BaseName::of_domain("meet.example.com");
        assert_eq!(name.as_str(), "dc=meet,dc=example,dc=com");
        assert_eq!(BaseName::parse(name.as_str()), Ok(name));
    }

    #[test]
    fn a_name_is_tidied_and_what_is_none_is_refused() {
        assert_eq!(
            BaseName::parse(" OU = Phone book , o=Example").unwrap().as_str(),
            "ou=Phone book,o=Example"
        );
        for text in
            ["", "example.com", "cn=x", "c=de", "dc=", "dc=a+b", "o=a\\,b", "dc=m\u{fc}nchen", "dc=a,"]
        {
            assert!(BaseName::parse(text).is_err(), "{text}");
        }
        assert!(BaseName::parse(&["dc=a"; 17].join(",")).is_err());
    }
}
