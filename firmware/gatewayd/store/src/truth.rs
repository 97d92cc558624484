//! The one place where the configuration is true: two snapshots written in turn, each with a journal of the changes since.
//!
//! ```text
//!             side A                         side B
//!  config.a @ 10  journal.a 11 12 13    config.b @ 5  journal.b 6 7 8 9 10      A is newer: its journal grows
//!                          │ the journal is long: a checkpoint
//!                          ▼
//!  config.a @ 10  journal.a 11 12 13    config.b @ 13  journal.b (empty)        now B is newer
//! ```
//! A change is one record, written and synced before anybody hears that it was taken. A checkpoint writes over what is older, so at
//! every moment one snapshot with the records after it is whole. Should the newer snapshot be damaged, the older one and both journals
//! still say everything.
//!
//! ```text
//!  Sound ── a record is not known to be on the disk (EIO, ENOSPC) ──▶ Doubtful
//!    ▲                                                                   │
//!    └── a checkpoint without it is on the disk ◀── the next change ─────┘   until then no change is taken
//! ```
//! After a failed fsync nobody knows what is on the disk, and a second one proves nothing (the kernel forgets what it could not write);
//! so what failed is never asked for again: the number of the change is given up, and a snapshot beyond it goes into other files.

use crate::disk::{Disk, File, Side};
use crate::document::{Documents, Edit, Refused, Revision, admit, edit};
use crate::journal::{self, Journal, Tail};
use crate::snapshot::{self, Snapshot};
use std::io;

/// The store's documents and the disk that they are on.
#[derive(Debug)]
pub struct Truth<D> {
    disk: D,
    schema: u32,
    /// A journal longer than this makes a checkpoint due.
    journal_bytes: u64,
    documents: Documents,
    revision: Revision,
    /// The newer snapshot's, whose journal grows.
    side: Side,
    tail: Tail,
    standing: Standing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// What was acknowledged is on the disk, and nothing else.
    Sound,
    /// One more change may be on the disk.
    Doubtful,
}

/// What was found when the store was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// There was nothing: a new box, or one that forgot everything.
    pub new: bool,
    /// Changes that were read from journals.
    pub replayed: usize,
    /// Bytes at a journal's end that are no record: the power went while a change was written that nobody was told of.
    pub torn: usize,
    /// Snapshots that are not whole or can't be read, though what they said is known: after a power cut, the one that was being written.
    pub damaged: Vec<&'static str>,
    /// Why what was found could not be made to last: no change is taken until it can.
    pub trouble: Option<String>,
}

/// A store that can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The disk failed.
    #[error("the configuration's disk can't be used: {0}")]
    Disk(#[from] io::Error),
    /// Nothing whole is left.
    #[error("neither of the configuration's copies is whole ({0}): restore a backup, or reset the box")]
    Damaged(String),
    /// It was written by another version.
    #[error("the configuration is of schema {found}, and this program reads schema {wanted}")]
    Schema {
        /// What it is.
        found: u32,
        /// What it should be.
        wanted: u32,
    },
    /// There are only documents of another schema, and they can't be made into ours.
    #[error(
        "the configuration is there in schema {found} alone, and can't be made into schema {wanted}: {why}"
    )]
    NoWay {
        /// What it is.
        found: u32,
        /// What it should be.
        wanted: u32,
        /// Why it can't.
        why: String,
    },
}

/// A change that was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// It can't be made.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The disk failed. After a restart the change may stand, or not.
    #[error("the change could not be written: {0}; everything before it is kept")]
    Disk(#[from] io::Error),
}

/// A change that is on the disk.
#[derive(Debug)]
pub struct Made {
    /// Its number.
    pub revision: Revision,
    /// Why the journal could not be shortened after it, or why there is no index; either is tried again with the next one.
    pub trouble: Option<io::Error>,
}

impl<D: Disk> Truth<D> {
    /// Reads what is there, or begins anew where nothing is.
    ///
    /// # Errors
    /// If the disk fails, or what is there is not whole, or of another schema.
    pub fn open(disk: D, schema: u32, journal_bytes: u64) -> Result<(Self, Found), OpenError> {
        let Loaded { documents, revision, side, goes_on, mut found } = load(&disk, schema)?;
        let (_, tail) = journal::begin(revision);
        let standing = Standing::Sound;
        let mut truth = Self { disk, schema, journal_bytes, documents, revision, side, tail, standing };
        if let Err(error) = truth.settle(goes_on) {
            truth.standing = Standing::Doubtful;
            found.trouble = Some(error.to_string());
        }
        Ok((truth, found))
    }

    /// Makes sure that what was read is on the disk: a process that was killed may have left it in memory only.
    fn settle(&mut self, goes_on: Option<Tail>) -> io::Result<()> {
        let Some(tail) = goes_on else {
            // The newer snapshot has no journal yet, or the last changes stand in the older one's.
            return self.checkpoint();
        };
        self.tail = tail;
        self.disk.sync(File::Snapshot(self.side))?;
        self.disk.sync(File::Journal(self.side))?;
        self.disk.sync_folder()
    }

    /// All documents.
    #[must_use]
    pub fn documents(&self) -> &Documents {
        &self.documents
    }

    /// The last change's number.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// What all documents would be after `edits`.
    ///
    /// # Errors
    /// If the change can't be made.
    pub fn after(&self, edits: &[Edit]) -> Result<Documents, Refused> {
        admit(&self.documents, edits)?;
        let mut documents = self.documents.clone();
        edit(&mut documents, Revision(self.revision.0 + 1), edits);
        Ok(documents)
    }

    /// Makes a change; when this returns, it is on the disk.
    ///
    /// # Errors
    /// If the change can't be made or the disk fails; nothing is changed then.
    pub fn change(&mut self, edits: &[Edit]) -> Result<Made, ChangeError> {
        admit(&self.documents, edits)?;
        // A journal that could not be shortened for long would not be read to its end.
        if self.standing == Standing::Doubtful || self.tail.length > journal::MAX_BYTES / 2 {
            self.checkpoint()?;
        }
        let revision = Revision(self.revision.0 + 1);
        let (record, tail) = journal::record(self.tail, revision, edits);
        let file = File::Journal(self.side);
        let written = self.disk.write(file, self.tail.length, &record).and_then(|()| self.disk.sync(file));
        self.revision = revision;
        if let Err(error) = written {
            self.standing = Standing::Doubtful;
            return Err(error.into());
        }
        self.tail = tail;
        edit(&mut self.documents, revision, edits);
        let long = self.tail.length > self.journal_bytes;
        let trouble = if long { self.checkpoint().err() } else { None };
        Ok(Made { revision, trouble })
    }

    /// Writes a snapshot over the older one and begins a journal after it.
    fn checkpoint(&mut self) -> io::Result<()> {
        let side = self.side.other();
        let (snapshot, journal) = (File::Snapshot(side), File::Journal(side));
        let bytes = snapshot::write(self.schema, self.revision, &self.documents);
        self.disk.write(snapshot, 0, &bytes)?;
        // Readers don't need the end cut off, nor the journal emptied; but what was removed, perhaps a secret, is not left behind.
        self.disk.cut(snapshot, bytes.len() as u64)?;
        self.disk.sync(snapshot)?;
        let (head, tail) = journal::begin(self.revision);
        self.disk.cut(journal, 0)?;
        self.disk.write(journal, 0, &head)?;
        // The head lasts from the first record's sync on; without one it says nothing.
        self.disk.sync_folder()?;
        (self.side, self.tail, self.standing) = (side, tail, Standing::Sound);
        Ok(())
    }
}

/// What a disk says.
struct Loaded {
    documents: Documents,
    revision: Revision,
    /// The newer snapshot's.
    side: Side,
    /// Where its journal goes on, if that holds the last change.
    goes_on: Option<Tail>,
    found: Found,
}

/// All documents that `disk` has, with the last change's number; `None` if there is nothing. Nothing is written.
///
/// # Errors
/// As [`Truth::open`].
pub(crate) fn read<D: Disk>(disk: &D, schema: u32) -> Result<Option<(Revision, Documents)>, OpenError> {
    let Loaded { documents, revision, found, .. } = load(disk, schema)?;
    Ok((!found.new).then_some((revision, documents)))
}

/// Makes `documents` all that `disk` has, which had nothing. When this returns, they last.
///
/// # Errors
/// If the disk fails; then nobody may open it.
pub(crate) fn write<D: Disk>(
    disk: &mut D,
    schema: u32,
    revision: Revision,
    documents: &Documents,
) -> io::Result<()> {
    let (snapshot, journal) = (File::Snapshot(Side::A), File::Journal(Side::A));
    disk.write(snapshot, 0, &snapshot::write(schema, revision, documents))?;
    disk.sync(snapshot)?;
    disk.write(journal, 0, &journal::begin(revision).0)?;
    disk.sync(journal)?;
    disk.sync_folder()
}

fn load<D: Disk>(disk: &D, schema: u32) -> Result<Loaded, OpenError> {
    let mut found = Found::default();
    let mut unread = None;
    let snapshots = [Side::A, Side::B].map(|side| match read_snapshot(disk, side, &mut found) {
        Ok(snapshot) => snapshot,
        Err(error) => {
            unread = Some(error);
            None
        }
    });
    let journals = [read_journal(disk, Side::A)?, read_journal(disk, Side::B)?];
    let (side, snapshot) = match (newest(snapshots), unread) {
        (Some(newest), _) => newest,
        (None, Some(error)) => return Err(error.into()),
        (None, None) => nothing_whole(schema, &journals, &mut found)?,
    };
    if snapshot.schema != schema {
        return Err(OpenError::Schema { found: snapshot.schema, wanted: schema });
    }
    let Snapshot { revision, documents, .. } = snapshot;
    let mut loaded = Loaded { documents, revision, side, goes_on: None, found };
    loaded.replay(&journals)?;
    Ok(loaded)
}

impl Loaded {
    /// Makes the changes of the journals, the older one's first.
    fn replay(&mut self, journals: &[Option<Journal>; 2]) -> Result<(), OpenError> {
        let base = self.revision;
        let [a, b] = journals;
        let own = if self.side == Side::A { a } else { b };
        let own = own.as_ref().filter(|journal| journal.base == base);
        let mut in_order: Vec<_> = journals.iter().flatten().collect();
        in_order.sort_by_key(|journal| journal.base);
        let mut last_of_own = true;
        for journal in in_order {
            if journal.base > self.revision {
                let gap = format!("changes {} to {} are missing", self.revision.0 + 1, journal.base);
                return Err(OpenError::Damaged(gap));
            }
            for (revision, edits) in &journal.records {
                if *revision > self.revision {
                    edit(&mut self.documents, *revision, edits);
                    self.revision = *revision;
                    self.found.replayed += 1;
                    last_of_own = own == Some(journal);
                }
            }
        }
        self.found.torn = own.map_or(0, |journal| journal.torn);
        self.goes_on = own.filter(|_| last_of_own).map(|journal| journal.tail);
        Ok(())
    }
}

/// `None` if it is not there or not whole, which is noted.
fn read_snapshot<D: Disk>(disk: &D, side: Side, found: &mut Found) -> io::Result<Option<Snapshot>> {
    let file = File::Snapshot(side);
    let snapshot = match disk.read(file, snapshot::MAX_BYTES) {
        Ok(None) => return Ok(None),
        Ok(Some(bytes)) => Ok(snapshot::read(&bytes)),
        Err(error) => Err(error),
    };
    if !matches!(snapshot, Ok(Some(_))) {
        found.damaged.push(file.name());
    }
    snapshot
}

fn read_journal<D: Disk>(disk: &D, side: Side) -> io::Result<Option<Journal>> {
    let bytes = disk.read(File::Journal(side), journal::MAX_BYTES)?;
    Ok(bytes.as_deref().and_then(journal::read))
}

fn newest([a, b]: [Option<Snapshot>; 2]) -> Option<(Side, Snapshot)> {
    match (a, b) {
        (Some(a), Some(b)) if b.revision > a.revision => Some((Side::B, b)),
        (Some(a), _) => Some((Side::A, a)),
        (None, b) => b.map(|b| (Side::B, b)),
    }
}

/// Without a snapshot there is nothing, unless a journal says that there was something. A box that lost its power while its very first
/// snapshot was written has half of that, and no journal; one whose first snapshot was damaged later has all changes in its journal.
fn nothing_whole(
    schema: u32,
    journals: &[Option<Journal>; 2],
    found: &mut Found,
) -> Result<(Side, Snapshot), OpenError> {
    let begun = journals.iter().flatten().any(|journal| journal.base.0 > 0);
    if begun || found.damaged.len() == 2 {
        return Err(OpenError::Damaged(found.damaged.join(", ")));
    }
    if journals.iter().all(Option::is_none) {
        *found = Found { new: true, ..Found::default() };
    }
    // So the first snapshot goes to A.
    Ok((Side::B, Snapshot { schema, revision: Revision(0), documents: Documents::new() }))
}
