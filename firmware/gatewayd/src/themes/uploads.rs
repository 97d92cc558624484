//! Uploaded files of themes: each lies in a file that is called after its digest, and a document of the store says which theme has it.
//!
//! ```text
//!  put: file on the disk ─▶ document and line of the audit log, one write ─▶ what nobody names goes when its room is needed
//! ```
//! A power cut between the two leaves a file that nobody names, and never a name without a file. What the configuration of the other slot
//! names stays as long as there is room for it. Like licences, uploads are in no archive, and an import leaves them.

use super::reader::{Digest, Unusable, digest};
use crate::certificates::files;
use crate::configuration::{Change, Configuration, NotDone};
use domain::api::Kind;
use domain::theme::File;
use nix::sys::statvfs::statvfs;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use store::{Edit, Expected, Key};
use tracing::warn;

/// Where the store has which theme has which file.
const COLLECTION: &str = "theme-files";
/// Most files of all themes: 8 whole ones.
pub const MOST_FILES: usize = 176;
/// Most bytes of all files.
pub const MOST_BYTES: u64 = 24 * 1024 * 1024;
/// So much of the disk is left to what is kept there besides, in bytes: no picture keeps the configuration from being changed.
const RESERVE: u64 = 8 * 1024 * 1024;

/// Uploaded files.
pub struct Uploads {
    configuration: Arc<Configuration>,
    folder: PathBuf,
    changing: Mutex<()>,
}

/// Every file, by its theme's name.
type All = BTreeMap<(String, File), Kept>;

/// What is known of an uploaded file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its SHA-256.
    pub digest: Digest,
    /// Its size.
    pub bytes: usize,
    /// What it is: `1280x720`, `4.2 s`.
    pub about: String,
}

/// What becomes of uploaded files where their themes go. Until it is gone itself nothing is kept or taken away, so that a file that comes
/// meanwhile goes where its theme went.
#[derive(Default)]
pub struct Moves<'u> {
    /// To be made in one write with the change of the themes.
    pub edits: Vec<Edit>,
    _still: Option<MutexGuard<'u, ()>>,
}

/// A file that was not taken, or not taken away; nothing is changed.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// It can't be shown or said.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// There is none.
    #[error("theme {0:?} has no uploaded {1}")]
    Missing(String, File),
    /// There is no such theme any more.
    #[error("there is no theme {0:?}; make it first")]
    NoTheme(String),
    /// There are enough.
    #[error(
        "no room for {0}: themes may have {MOST_FILES} files and {MOST_BYTES} bytes altogether, and leave {RESERVE} of the disk; remove some"
    )]
    NoRoom(File),
    /// The file can't be written.
    #[error("the disk failed: {0}")]
    Disk(#[from] io::Error),
    /// The store does not take the change.
    #[error(transparent)]
    NotDone(#[from] NotDone),
}

impl Uploads {
    /// Those that `configuration` names and `folder` has.
    #[must_use]
    pub fn open(configuration: Arc<Configuration>, folder: &Path) -> Self {
        Self { configuration, folder: folder.to_owned(), changing: Mutex::default() }
    }

    /// What was uploaded of a theme.
    ///
    /// # Errors
    /// If the store can't be read.
    pub fn of(&self, theme: &str) -> io::Result<BTreeMap<File, Kept>> {
        let all = self.all()?.into_iter();
        Ok(all.filter(|(place, _)| place.0 == theme).map(|((_, file), kept)| (file, kept)).collect())
    }

    /// The file itself.
    ///
    /// # Errors
    /// If it can't be read, or is not what was uploaded.
    pub fn read(&self, kept: &Kept) -> io::Result<Vec<u8>> {
        let bytes = std::fs::read(self.folder.join(&kept.digest))?;
        if digest(&bytes) == kept.digest {
            return Ok(bytes);
        }
        Err(io::Error::new(ErrorKind::InvalidData, "it was damaged on the disk"))
    }

    /// Keeps a file for `by`. When this returns, it is on the disk.
    ///
    /// # Errors
    /// If there is no room, or the disk fails.
    pub fn put(&self, by: &str, theme: &str, file: File, kept: &Kept, bytes: &[u8]) -> Result<(), NotKept> {
        let _alone = self.held_still();
        let config = self.configuration.now();
        let is_there = |name: &str| config.themes.iter().any(|theme| theme.name == name);
        if !is_there(theme) {
            return Err(NotKept::NoTheme(theme.to_owned()));
        }
        let all = self.all()?;
        // What an import left without its theme goes.
        let lost = all.keys().filter(|(name, _)| !is_there(name));
        let edits = lost.map(|(name, file)| Ok(Edit::remove(key(name, *file)?, Expected::Anything)));
        let mut edits = edits.collect::<io::Result<Vec<_>>>()?;
        files::folder(&self.folder)?;
        let stays = |(name, other): &(String, File)| is_there(name) && (&**name, *other) != (theme, file);
        let others = all.iter().filter(|(place, _)| stays(place)).map(|(_, kept)| kept);
        self.make_room(&others.collect::<Vec<_>>(), &all, file, kept)?;
        files::replace(&self.folder.join(&kept.digest), bytes)?;
        edits.push(Edit::put(key(theme, file)?, Expected::Anything, json!(kept).to_string().as_bytes()));
        let Kept { digest, bytes, about } = kept;
        let detail = vec![format!("{file} of theme {theme:?}: {about}, {bytes} bytes, sha256 {digest}")];
        self.configuration.commit(by, "upload-theme-file", detail, edits)?;
        Ok(())
    }

    /// Takes an uploaded file away for `by`.
    ///
    /// # Errors
    /// If there is none, or the disk fails.
    pub fn remove(&self, by: &str, theme: &str, file: File) -> Result<(), NotKept> {
        let _alone = self.held_still();
        if !self.of(theme)?.contains_key(&file) {
            return Err(NotKept::Missing(theme.to_owned(), file));
        }
        let edit = Edit::remove(key(theme, file)?, Expected::Anything);
        let detail = vec![format!("{file} of theme {theme:?}")];
        self.configuration.commit(by, "remove-theme-file", detail, vec![edit])?;
        Ok(())
    }

    /// Nothing is kept or taken away for as long as this is held.
    fn held_still(&self) -> MutexGuard<'_, ()> {
        // Each change is one write of the store.
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What becomes of uploaded files where `changes` rename or remove their themes: they go with them.
    ///
    /// # Errors
    /// If the store can't be read.
    pub fn follow(&self, changes: &[Change]) -> io::Result<Moves<'_>> {
        let themes = || changes.iter().filter(|change| change.kind == Kind::Themes);
        let Some(gone) = themes().find(|change| change.body.is_none()) else {
            return Ok(Moves::default());
        };
        let still = self.held_still();
        let renamed = themes().find(|change| change.body.is_some());
        let mut edits = Vec::new();
        for (file, kept) in self.of(&gone.id)? {
            edits.push(Edit::remove(key(&gone.id, file)?, Expected::Anything));
            if let Some(renamed) = renamed {
                let kept = json!(kept).to_string();
                edits.push(Edit::put(key(&renamed.id, file)?, Expected::Anything, kept.as_bytes()));
            }
        }
        Ok(Moves { edits, _still: Some(still) })
    }

    /// Every file, by its theme's name; what is no file of this release is passed over.
    fn all(&self) -> io::Result<All> {
        let found = self.configuration.list(COLLECTION, None, usize::MAX)?;
        let one = |(id, _, body): (String, _, _)| {
            let (theme, file) = id.rsplit_once('/')?;
            Some(((theme.to_owned(), file.parse().ok()?), serde_json::from_value(body).ok()?))
        };
        Ok(found.into_iter().filter_map(one).collect())
    }

    /// Takes files away that nobody names, the oldest first, until there is room for one more beside `others`; what is named now stays.
    fn make_room(&self, others: &[&Kept], named: &All, file: File, kept: &Kept) -> Result<(), NotKept> {
        let others: BTreeMap<&str, u64> =
            others.iter().map(|kept| (&*kept.digest, kept.bytes as u64)).collect();
        let wanted = others.values().sum::<u64>() + kept.bytes as u64;
        if others.len() >= MOST_FILES || wanted > MOST_BYTES {
            return Err(NotKept::NoRoom(file));
        }
        let named: BTreeSet<&str> = named.values().chain([kept]).map(|kept| &*kept.digest).collect();
        let (mut idle, mut held) = (Vec::new(), 0);
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let (name, about) = (entry.file_name(), entry.metadata()?);
            if !name.to_str().is_some_and(|name| named.contains(name)) {
                held += about.len();
                idle.push((about.modified().unwrap_or(SystemTime::UNIX_EPOCH), about.len(), entry.path()));
            }
        }
        idle.sort();
        let mut idle = idle.into_iter();
        while wanted + held > MOST_BYTES || self.left()? < kept.bytes as u64 + RESERVE {
            let (_, bytes, path) = idle.next().ok_or(NotKept::NoRoom(file))?;
            if let Err(error) = files::remove(&path) {
                warn!(%error, path = %path.display(), "a theme's old file stays");
                continue;
            }
            held -= bytes;
        }
        Ok(())
    }

    /// Bytes that the disk has left.
    fn left(&self) -> io::Result<u64> {
        let stat = statvfs(&self.folder)?;
        Ok(stat.blocks_available() * stat.fragment_size())
    }
}

fn key(theme: &str, file: File) -> io::Result<Key> {
    Key::new(COLLECTION, &format!("{theme}/{file}"))
        .map_err(|error| io::Error::new(ErrorKind::InvalidInput, error.to_string()))
}
