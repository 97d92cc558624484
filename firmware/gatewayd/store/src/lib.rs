//! Where the configuration is kept (A6): every change that was acknowledged outlives a power cut.
//!
//! ```text
//!  change ─▶ admitted? ─▶ checked by the caller ─▶ Truth: a record, written and synced ─▶ Live (sled) ─▶ readers, watchers
//!                                                        │
//!                        opened: snapshot + journals ────┘      Live is held against it, and made anew where it differs
//! ```
//! [`truth`] says how the disk is written and why; [`lineage`] where documents of another schema come in; [`document`] what is kept. What a
//! document means is for others to know.

mod disk;
mod document;
mod journal;
mod lineage;
mod live;
mod snapshot;
mod truth;

pub use disk::{Disk, File, Folder, Folders, Root, Side};
pub use document::{
    BadKey, Document, Documents, Edit, Expected, Key, MAX_BODY, MAX_CHANGE, MAX_TOTAL, Refused, Revision,
};
pub use lineage::{Bodies, Changes, Lineage, Meaning, Origin, open as open_lineage};
pub use live::{Changed, Index, Watcher};
pub use truth::{ChangeError, Found, Made, OpenError, Truth};

use live::Live;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, RwLock};

/// A journal longer than this is replaced by a snapshot, in bytes: replaying it takes a few milliseconds.
const JOURNAL_BYTES: u64 = 1024 * 1024;
/// The folder of the index.
const LIVE: &str = "live";

/// The store of a box. Writers take turns; readers never wait for the disk.
#[derive(Debug)]
pub struct Store {
    truth: Mutex<Truth<Folder>>,
    shown: RwLock<Shown>,
    /// Where the index is.
    live: PathBuf,
}

/// What readers see.
#[derive(Debug)]
enum Shown {
    /// The index.
    Index(Live),
    /// The documents themselves: a full disk has broken the index, and there is no room for another one yet.
    Documents(Documents),
}

/// What a store was when it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// What was on the disk.
    pub found: Found,
    /// What became of the index.
    pub index: Index,
    /// Where its documents come from.
    pub lineage: Lineage,
}

/// A change that was not made.
#[derive(Debug, thiserror::Error)]
pub enum Unchanged<E> {
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] ChangeError),
    /// The one who knows what documents mean did not.
    #[error("{0}")]
    Check(E),
}

impl Store {
    /// Opens the store in `folder`, or begins it there. `schema` is what the documents are written by; those of another schema are made
    /// into it by `meaning`, on a copy ([`lineage`]).
    ///
    /// # Errors
    /// If the disk fails, somebody else has it open, nothing whole is left in it, or there is no way to `schema`.
    pub fn open(folder: &Path, schema: u32, meaning: &impl Meaning) -> Result<(Self, Opened), OpenError> {
        let mut root = Root::open(folder)?;
        let (truth, found, lineage) = open_lineage(&mut root, schema, JOURNAL_BYTES, meaning)?;
        let live = folder.join(format!("v{schema}")).join(LIVE);
        let (shown, index) = match Live::open(&live, truth.documents()) {
            Ok((index, how)) => (Shown::Index(index), how),
            Err(error) => (Shown::Documents(truth.documents().clone()), Index::Missing(error.to_string())),
        };
        Ok((
            Self { truth: Mutex::new(truth), shown: RwLock::new(shown), live },
            Opened { found, index, lineage },
        ))
    }

    /// The document at `key`.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn get(&self, key: &Key) -> io::Result<Option<Document>> {
        match &*self.shown() {
            Shown::Index(index) => index.get(key),
            Shown::Documents(documents) => Ok(documents.get(key).cloned()),
        }
    }

    /// Up to `limit` documents of `collection` whose ids come after `after`, by id.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn list(
        &self,
        collection: &str,
        after: Option<&str>,
        limit: usize,
    ) -> io::Result<Vec<(Key, Document)>> {
        match &*self.shown() {
            Shown::Index(index) => index.list(collection, after, limit),
            Shown::Documents(documents) => {
                let mine = documents.iter().filter(|(key, _)| key.collection() == collection);
                let behind = mine.filter(|(key, _)| after.is_none_or(|after| key.id() > after));
                Ok(behind.take(limit).map(|(key, document)| (key.clone(), document.clone())).collect())
            }
        }
    }

    /// Hears of every change of `collection` from now on, for as long as the index is the same; `None` if there is none.
    #[must_use]
    pub fn watch(&self, collection: &str) -> Option<Watcher> {
        match &*self.shown() {
            Shown::Index(index) => Some(index.watch(collection)),
            Shown::Documents(_) => None,
        }
    }

    /// All documents, and the change that they are of.
    #[must_use]
    pub fn all(&self) -> (Revision, Documents) {
        let truth = self.lock();
        (truth.revision(), truth.documents().clone())
    }

    /// Makes a change if `check` takes what all documents would be after it. When this returns, the change is on the disk, and readers
    /// and watchers see it.
    ///
    /// # Errors
    /// If it can't be made, was not taken, or the disk fails; nothing is changed then.
    pub fn change<T, E>(
        &self,
        edits: &[Edit],
        check: impl FnOnce(&Documents) -> Result<T, E>,
    ) -> Result<(Made, T), Unchanged<E>> {
        let mut truth = self.lock();
        let checked = check(&truth.after(edits).map_err(ChangeError::from)?).map_err(Unchanged::Check)?;
        let mut made = truth.change(edits)?;
        // The change stands, whatever the index does.
        if let Err(error) = self.show(made.revision, edits, truth.documents()) {
            made.trouble.get_or_insert(error);
        }
        Ok((made, checked))
    }

    /// Has readers see `documents`, which a change has made. sled takes nothing any more once its disk was full, though there is room
    /// again; then it is made anew, and until it can be, the documents are shown themselves.
    fn show(&self, revision: Revision, edits: &[Edit], documents: &Documents) -> io::Result<()> {
        let mut shown = self.shown.write().unwrap_or_else(PoisonError::into_inner);
        if let Shown::Index(index) = &*shown
            && index.apply(revision, edits).is_ok()
        {
            return Ok(());
        }
        // The old one lets go of its files before there is another.
        *shown = Shown::Documents(documents.clone());
        let (index, _) = Live::open(&self.live, documents)?;
        *shown = Shown::Index(index);
        Ok(())
    }

    fn shown(&self) -> std::sync::RwLockReadGuard<'_, Shown> {
        self.shown.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Truth<Folder>> {
        // A check that panicked changed nothing.
        self.truth.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
