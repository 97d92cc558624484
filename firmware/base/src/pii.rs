//! What names a person: redacted in logs unless a log is asked for the whole.

use std::fmt;

/// A value that names or locates a person. `Debug` and `Display` show its first letter and its length only.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pii(String);

impl Pii {
    /// Wraps `value`.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The whole value, for the wire and for pages whose reader may see it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Pii {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.chars().next() {
            Some(first) => write!(f, "{first}…({})", self.0.chars().count()),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Pii {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_redacted_when_printed_and_whole_when_revealed() {
        let name = Pii::new("Émilie");
        assert_eq!(format!("{name} {name:?}"), "É…(6) É…(6)");
        assert_eq!(name.reveal(), "Émilie");
        assert_eq!(Pii::new("").to_string(), "");
    }
}
