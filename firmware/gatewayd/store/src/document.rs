//! What is kept: documents by key, each with the revision of the change that wrote it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Largest document, in bytes.
pub const MAX_BODY: usize = 1024 * 1024;
/// Most bytes that one change may write, keys included.
pub const MAX_CHANGE: usize = 16 * 1024 * 1024;
/// Most bytes of all documents together, keys included.
pub const MAX_TOTAL: usize = 64 * 1024 * 1024;
/// Longest name of a collection, in bytes.
const MAX_COLLECTION: usize = 64;
/// Longest id, in bytes.
const MAX_ID: usize = 1024;

/// All documents, by key.
pub type Documents = BTreeMap<Key, Document>;

/// Where a document is: `rules/guests with a pin`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

/// A key that can't be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// The collection's name.
    #[error("collection {0:?} is not of 1 to {MAX_COLLECTION} small letters, digits and hyphens")]
    Collection(String),
    /// The id.
    #[error("id {0:?} is not of 1 to {MAX_ID} bytes without control characters")]
    Id(String),
}

impl Key {
    /// The document called `id` of `collection`.
    ///
    /// # Errors
    /// If one of them is empty, too long, or has characters that names don't have.
    pub fn new(collection: &str, id: &str) -> Result<Self, BadKey> {
        let fits = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if !(1..=MAX_COLLECTION).contains(&collection.len()) || !collection.bytes().all(fits) {
            return Err(BadKey::Collection(collection.chars().take(MAX_COLLECTION).collect()));
        }
        if !(1..=MAX_ID).contains(&id.len()) || id.chars().any(char::is_control) {
            return Err(BadKey::Id(id.chars().take(MAX_COLLECTION).collect()));
        }
        Ok(Self(format!("{collection}/{id}").into()))
    }

    /// A key as it is written.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let (collection, id) = std::str::from_utf8(bytes).ok()?.split_once('/')?;
        Self::new(collection, id).ok()
    }

    /// What it is one of.
    #[must_use]
    pub fn collection(&self) -> &str {
        self.0.split_once('/').map_or("", |(collection, _)| collection)
    }

    /// Its name there.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.split_once('/').map_or("", |(_, id)| id)
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of a change; each is greater than all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A document as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The change that wrote it.
    pub revision: Revision,
    /// What it says.
    pub body: Arc<[u8]>,
}

/// What has to be true of a document for a change of it to be taken: nobody overwrites what they have not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Anything,
    /// It is not there.
    Absent,
    /// It is there, and was last written by this change.
    At(Revision),
}

/// One document's part in a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Which document.
    pub key: Key,
    /// What must be true of it before.
    pub expected: Expected,
    /// What it says afterwards; `None` removes it.
    pub body: Option<Arc<[u8]>>,
}

impl Edit {
    /// Writes `body`, if the document is as `expected`.
    #[must_use]
    pub fn put(key: Key, expected: Expected, body: &[u8]) -> Self {
        Self { key, expected, body: Some(body.into()) }
    }

    /// Removes the document, if it is as `expected`.
    #[must_use]
    pub fn remove(key: Key, expected: Expected) -> Self {
        Self { key, expected, body: None }
    }

    /// Bytes that it takes.
    pub(crate) fn size(&self) -> usize {
        self.key.as_str().len() + self.body.as_ref().map_or(0, |body| body.len())
    }
}

/// A change that can't be taken as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Somebody else was there first.
    #[error("{key} {}: read it again and change that", found.map_or_else(|| "is not there any more".to_owned(), |at| format!("was changed meanwhile (revision {at})")))]
    Conflict {
        /// Which document.
        key: Key,
        /// What it is now; `None` if it is not there.
        found: Option<Revision>,
    },
    /// One document is too large.
    #[error("{key} has {bytes} bytes; at most {MAX_BODY} are kept in one document")]
    Body {
        /// Which document.
        key: Key,
        /// How large it is.
        bytes: usize,
    },
    /// The change is too large, or nothing.
    #[error("the change writes {0} bytes; between 1 and {MAX_CHANGE} are taken at once")]
    Change(usize),
    /// All documents together would be too large.
    #[error("all documents together would have {0} bytes; at most {MAX_TOTAL} are kept: remove some first")]
    Total(usize),
}

/// `documents` after `edits` by the change `revision`.
pub(crate) fn edit(documents: &mut Documents, revision: Revision, edits: &[Edit]) {
    for Edit { key, body, .. } in edits {
        match body {
            Some(body) => drop(documents.insert(key.clone(), Document { revision, body: Arc::clone(body) })),
            None => drop(documents.remove(key)),
        }
    }
}

/// Whether `edits` may be made to `documents`.
pub(crate) fn admit(documents: &Documents, edits: &[Edit]) -> Result<(), Refused> {
    let written: usize = edits.iter().map(Edit::size).sum();
    if !(1..=MAX_CHANGE).contains(&written) {
        return Err(Refused::Change(written));
    }
    for Edit { key, expected, body } in edits {
        let found = documents.get(key).map(|document| document.revision);
        let as_expected = match expected {
            Expected::Anything => true,
            Expected::Absent => found.is_none(),
            Expected::At(revision) => found == Some(*revision),
        };
        if !as_expected {
            return Err(Refused::Conflict { key: key.clone(), found });
        }
        if let Some(body) = body.as_ref().filter(|body| body.len() > MAX_BODY) {
            return Err(Refused::Body { key: key.clone(), bytes: body.len() });
        }
    }
    let total: usize = documents.iter().map(|(key, document)| key.as_str().len() + document.body.len()).sum();
    // What is replaced is counted twice; the bound is far above what a box has.
    if total + written > MAX_TOTAL {
        return Err(Refused::Total(total + written));
    }
    Ok(())
}
