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
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// A journal longer than this is replaced by a snapshot, in bytes: replaying it takes a few milliseconds.
const JOURNAL_BYTES: u64 = 1024 * 1024;
/// The folder of the index.
const LIVE: &str = "live";

/// The store of a box. Writers take turns; readers never wait for the disk.
#[derive(Debug)]
pub struct Store {
    truth: Mutex<Truth<Folder>>,
    live: Live,
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
        let (live, index) = Live::open(&folder.join(format!("v{schema}")).join(LIVE), truth.documents())?;
        Ok((Self { truth: Mutex::new(truth), live }, Opened { found, index, lineage }))
    }

    /// The document at `key`.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn get(&self, key: &Key) -> io::Result<Option<Document>> {
        self.live.get(key)
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
        self.live.list(collection, after, limit)
    }

    /// Hears of every change of `collection` from now on.
    #[must_use]
    pub fn watch(&self, collection: &str) -> Watcher {
        self.live.watch(collection)
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
        // The change stands, whatever the index does: that is made anew at the next start.
        if let Err(error) = self.live.apply(made.revision, edits) {
            made.trouble.get_or_insert(error);
        }
        Ok((made, checked))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Truth<Folder>> {
        // A check that panicked changed nothing.
        self.truth.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
