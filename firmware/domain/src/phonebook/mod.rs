//! The phonebook (K6): whom a room can look up and dial, and who may look.
//!
//! ```text
//!  config ─▶ Entry (parsed) ─▶ Directory (a snapshot with an index) ─┬─▶ LDAP, LDAPS (the daemon's listeners)
//!                                                                     └─▶ HTTPS
//! ```
//! Nothing here speaks a protocol; [`Entry`] says what each needs to know.

mod alias;
mod base_name;
mod directory;

pub use alias::{AliasError, PhoneAlias};
pub use base_name::BaseName;
pub use directory::{Directory, DirectoryError, Found, Query};

use base::Secret;
use sha2::{Digest, Sha256};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// Most entries of a phonebook.
pub const MAX_ENTRIES: usize = 20_000;
/// Most aliases of an entry.
pub const MAX_ALIASES: usize = 8;
/// Most tags of an entry.
pub const MAX_TAGS: usize = 16;

/// What the operator decides of the phonebook.
#[derive(Debug, Clone)]
pub struct Phonebook {
    /// Where LDAP is listened on; empty by default.
    pub ldap: Vec<SocketAddr>,
    /// Where LDAP under TLS is listened on, with the certificate of SIP.
    pub ldaps: Vec<SocketAddr>,
    /// The path that rooms fetch it by over HTTPS, such as `/phonebook`; `None` if they can't.
    pub https: Option<String>,
    /// The distinguished name that all entries are under.
    pub base: BaseName,
    /// Who may look, where not everybody does.
    pub login: Option<Login>,
    /// Whether those may look that don't log in.
    pub strangers: Strangers,
    /// Whom it holds.
    pub directory: Arc<Directory>,
}

impl Phonebook {
    /// Whether it is served just as `other` is, whatever the two hold.
    #[must_use]
    pub fn is_served_as(&self, other: &Self) -> bool {
        (&self.ldap, &self.ldaps, &self.base) == (&other.ldap, &other.ldaps, &other.base)
            && (&self.login, self.strangers) == (&other.login, other.strangers)
    }
}

/// The user that rooms are set up with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Its name.
    pub user: String,
    /// Its password.
    pub password: Secret<String>,
}

/// What becomes of who doesn't log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strangers {
    /// They are shown entries like anybody.
    Served,
    /// They are shown none.
    Refused,
}

/// Somebody or something that can be dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is called; unique within its group, but for case and spaces.
    pub name: String,
    /// The group it is listed in.
    pub group: Option<String>,
    /// What else is to be said; may be empty.
    pub description: String,
    /// What it is dialled by, the first above all; at least one.
    pub aliases: Vec<PhoneAlias>,
    /// Words it is found by; rooms are not shown them.
    pub tags: Vec<String>,
}

/// What an entry is known by as long as its name and group stay: a UUID of its own make (RFC 9562, version 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryId([u8; 16]);

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, octet) in self.0.iter().enumerate() {
            let hyphen = if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{hyphen}{octet:02x}")?;
        }
        Ok(())
    }
}

impl Entry {
    /// What it is known by.
    #[must_use]
    pub fn id(&self) -> EntryId {
        let (group, name) = self.key();
        let mut hasher = Sha256::new();
        // Neither holds a control character.
        hasher.update(group.unwrap_or_else(|| "\0".to_owned()));
        hasher.update([0]);
        hasher.update(name);
        let digest: [u8; 32] = hasher.finalize().into();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        id[6] = id[6] & 0x0f | 0x80;
        id[8] = id[8] & 0x3f | 0x80;
        EntryId(id)
    }

    /// Group and name as two entries may not have them both.
    pub(crate) fn key(&self) -> (Option<String>, String) {
        (self.group.as_deref().map(folded), folded(&self.name))
    }
}

/// `text` without case, and with one space between its words.
fn folded(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(group: Option<&str>, name: &str) -> Entry {
        Entry {
            name: name.to_owned(),
            group: group.map(str::to_owned),
            description: String::new(),
            aliases: vec![PhoneAlias::parse("1234").unwrap()],
            tags: Vec::new(),
        }
    }

    #[test]
    fn an_entry_keeps_its_id_while_its_name_and_group_stay() {
        let id = |group, name| entry(group, name).id();
        let boardroom = id(Some("Berlin"), "Boardroom");
        assert_eq!(id(Some("berlin"), " BOARDROOM"), boardroom);
        assert_ne!(id(None, "Boardroom"), boardroom);
        assert_ne!(id(Some(""), "Boardroom"), id(None, "Boardroom"));
        assert_ne!(id(Some("Berlin B"), "oardroom"), boardroom);
        assert_eq!(boardroom.to_string().len(), 36);
        assert_eq!(boardroom.to_string().as_bytes()[14], b'8', "the version of RFC 9562");
    }
}
