//! What a Virtual Reception is set to: whom it answers, and what becomes of what is keyed.

use crate::routing::{Encryption, Pattern, Template};
use base::Alias;
use std::time::Duration;

/// Wrong entries after which a caller is sent away, if not set otherwise.
pub const TRIES: u8 = 3;
/// FIRST_KEY: longest wait for the first key after the prompt, if not set otherwise.
pub const FIRST_KEY: Duration = Duration::from_secs(20);
/// NEXT_KEY: longest pause between keys before what was keyed counts as whole, if not set otherwise.
pub const NEXT_KEY: Duration = Duration::from_secs(10);

/// A Virtual Reception as it was set up (P5).
#[derive(Debug, Clone, PartialEq)]
pub struct Desk {
    /// Unique among the receptions.
    pub name: String,
    /// What is dialled to reach it: `gmeet@example.com`, lower case, never empty.
    pub aliases: Vec<String>,
    /// What must be keyed.
    pub pattern: Pattern,
    /// The alias that is made of it, for the rules.
    pub replace: Template,
    /// Wrong entries after which a caller is sent away; at least one.
    pub tries: u8,
    /// Longest wait for the first key.
    pub first_key: Duration,
    /// Longest pause between keys.
    pub next_key: Duration,
    /// Whether media are encrypted, where it is set.
    pub encryption: Option<Encryption>,
    /// Whose pictures and voices; `None` for the built-in ones.
    pub theme: Option<String>,
}

impl Desk {
    /// Whether this alias leads here; letters in upper or lower case are the same.
    #[must_use]
    pub fn answers(&self, alias: &Alias) -> bool {
        self.aliases.iter().any(|own| own.eq_ignore_ascii_case(alias.short()))
    }

    /// The alias that `keyed` stands for, if it can be one.
    #[must_use]
    pub fn alias_of(&self, keyed: &str) -> Option<String> {
        self.pattern.replace(keyed, &self.replace).filter(|alias| Alias::parse(alias, "sip").is_ok())
    }
}
