//! The live index: what the truth says, in sled, for those who ask and those who watch.
//!
//! sled's `flush()` proves nothing about a disk (0.34 calls `sync_file_range`, upstream issue 1452), and a damaged tree may lose keys
//! without a word; so it is held against the truth at each start and made anew from it where it differs. It is never the only copy.

use crate::document::{Document, Documents, Edit, Key, Revision};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

/// Memory that sled may keep pages in, in bytes.
const CACHE: u64 = 8 * 1024 * 1024;
/// The documents' tree.
const TREE: &str = "documents";

/// What became of the index at a start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Index {
    /// It says what the truth says.
    Kept,
    /// It was made from the truth, for this reason.
    Made(String),
    /// It could not be, for this reason; the documents are read without one until the next change.
    Missing(String),
}

/// The index.
#[derive(Debug)]
pub(crate) struct Live {
    tree: sled::Tree,
    _db: sled::Db,
}

impl Live {
    /// Opens the index at `path`; one that can't be opened or says something else is made anew.
    pub(crate) fn open(path: &Path, documents: &Documents) -> io::Result<(Self, Index)> {
        let why = match open(path) {
            Ok(live) => match live.differs(documents) {
                None => return Ok((live, Index::Kept)),
                Some(difference) => difference,
            },
            Err(error) => error.to_string(),
        };
        if path.exists() {
            std::fs::remove_dir_all(path)?;
        }
        let live = open(path)?;
        live.fill(documents)?;
        Ok((live, Index::Made(why)))
    }

    /// The first difference to `documents`, in words.
    fn differs(&self, documents: &Documents) -> Option<String> {
        let mut wanted = documents.iter();
        let mut found = self.tree.iter();
        loop {
            match (wanted.next(), found.next()) {
                (None, None) => return None,
                (_, Some(Err(error))) => return Some(error.to_string()),
                (Some((key, _)), None) => return Some(format!("{key} is missing")),
                (None, Some(Ok(_))) => return Some("it has a document too many".to_owned()),
                (Some((key, document)), Some(Ok((name, value)))) => {
                    if name != key.as_str().as_bytes() || value != seal(document) {
                        return Some(format!("{key} differs"));
                    }
                }
            }
        }
    }

    fn fill(&self, documents: &Documents) -> io::Result<()> {
        let mut batch = sled::Batch::default();
        documents.iter().for_each(|(key, document)| batch.insert(key.as_str(), seal(document)));
        Ok(self.tree.apply_batch(batch)?)
    }

    /// What a change made of the truth, at once: nobody sees half of it.
    pub(crate) fn apply(&self, revision: Revision, edits: &[Edit]) -> io::Result<()> {
        let mut batch = sled::Batch::default();
        for Edit { key, body, .. } in edits {
            match body {
                Some(body) => {
                    batch.insert(key.as_str(), seal(&Document { revision, body: body.clone() }));
                }
                None => batch.remove(key.as_str()),
            }
        }
        Ok(self.tree.apply_batch(batch)?)
    }

    pub(crate) fn get(&self, key: &Key) -> io::Result<Option<Document>> {
        Ok(self.tree.get(key.as_str())?.and_then(|value| unseal(&value)))
    }

    /// Up to `limit` documents of `collection` whose ids come after `after`, in order.
    pub(crate) fn list(
        &self,
        collection: &str,
        after: Option<&str>,
        limit: usize,
    ) -> io::Result<Vec<(Key, Document)>> {
        let prefix = format!("{collection}/");
        let first = format!("{prefix}{}", after.unwrap_or_default());
        let of_collection = self
            .tree
            .range(first.as_str()..)
            .take_while(|entry| entry.as_ref().map_or(true, |(name, _)| name.starts_with(prefix.as_bytes())));
        let mut list = Vec::new();
        for entry in of_collection {
            let (name, value) = entry?;
            if name == first.as_bytes() {
                continue;
            }
            list.extend(Key::read(&name).zip(unseal(&value)));
            if list.len() == limit {
                break;
            }
        }
        Ok(list)
    }

    pub(crate) fn watch(&self, collection: &str) -> Watcher {
        Watcher(self.tree.watch_prefix(format!("{collection}/")))
    }
}

/// A document of which something changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Which.
    pub key: Key,
    /// What it is now; `None` if it was removed.
    pub document: Option<Document>,
}

/// Hears of every change of a collection, in their order, from the moment it was made.
pub struct Watcher(sled::Subscriber);

impl Watcher {
    /// The next change that comes before `timeout` is over.
    #[must_use]
    pub fn next(&mut self, timeout: Duration) -> Option<Changed> {
        let until = Instant::now() + timeout;
        loop {
            let event = self.0.next_timeout(until.saturating_duration_since(Instant::now())).ok()?;
            let changed = match event {
                sled::Event::Insert { key, value } => Key::read(&key)
                    .zip(unseal(&value))
                    .map(|(key, document)| Changed { key, document: Some(document) }),
                sled::Event::Remove { key } => Key::read(&key).map(|key| Changed { key, document: None }),
            };
            if changed.is_some() {
                return changed;
            }
        }
    }
}

/// sled has panicked on damaged files before (upstream issue 1509); that is a file to be made anew, not the end of the daemon.
fn open(path: &Path) -> io::Result<Live> {
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let db = sled::Config::new().path(path).cache_capacity(CACHE).open()?;
        let tree = db.open_tree(TREE)?;
        Ok::<_, sled::Error>(Live { tree, _db: db })
    }));
    match opened {
        Ok(live) => Ok(live?),
        Err(_) => Err(io::Error::other("it can't be opened: sled gave up")),
    }
}

/// A document as it stands in the index.
fn seal(document: &Document) -> Vec<u8> {
    [document.revision.0.to_be_bytes().as_slice(), &document.body].concat()
}

fn unseal(value: &[u8]) -> Option<Document> {
    let (revision, body) = value.split_first_chunk()?;
    Some(Document { revision: Revision(u64::from_be_bytes(*revision)), body: body.into() })
}
