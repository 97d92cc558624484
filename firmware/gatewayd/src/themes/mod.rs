//! Themes (P5): an administrator's pictures and voices in place of the built-in ones. What is uploaded holds at once, what is put in a
//! folder within a minute; a gateway without a store reads its folders once, at the start.
//!
//! ```text
//!  store: theme-files/<theme>/<file> ─▶ a digest ─▶ themes/<digest> ─┐
//!  folder of a theme ────────────────────────────────────────────────┴▶ Reader ─ThemesRead─▶ shards, alarms, the page
//! ```
//! A file that can't be used is told of, and the built-in stands for it: a picture that is gone costs nobody a call. Reading takes its time,
//! so a start does not wait for it: callers of its first moments have what is built in.

mod reader;
mod uploads;

pub use reader::{Origin, Reader, ThemesRead, Used};
pub use uploads::{Kept, Moves, NotKept, Uploads};

use crate::alarms::Teller;
use crate::configuration::{Change, Configuration};
use crate::engine::event::Event;
use anyhow::Result;
use domain::theme::File;
use reader::{Decoded, digest};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, watch};

/// The themes of a box whose configuration is kept in a store.
pub struct Themes {
    configuration: Arc<Configuration>,
    uploads: Uploads,
    reader: Mutex<Reader>,
    read: watch::Sender<Arc<ThemesRead>>,
}

impl Themes {
    /// Those of `configuration`, nothing of them read yet; what is uploaded lies in `folder`.
    ///
    /// # Errors
    /// If the build is broken.
    pub fn open(configuration: Arc<Configuration>, folder: &Path) -> Result<Self> {
        let uploads = Uploads::open(Arc::clone(&configuration), folder);
        let reader = Reader::new()?;
        let read = watch::Sender::new(Arc::new(reader.nothing()));
        Ok(Self { configuration, uploads, reader: Mutex::new(reader), read })
    }

    /// What was read of them last.
    #[must_use]
    pub fn now(&self) -> Arc<ThemesRead> {
        Arc::clone(&self.read.borrow())
    }

    /// Reads them anew. What is decoded already and has not changed is not decoded again.
    pub fn read_all(&self) -> Arc<ThemesRead> {
        let mut reader = self.reader();
        let read = Arc::new(reader.read(&self.configuration.now().themes, Some(&self.uploads)));
        self.read.send_replace(Arc::clone(&read));
        read
    }

    /// Whether files may change without anybody telling: those of folders, and those that could not be read.
    #[must_use]
    pub fn want_another_look(&self) -> bool {
        self.now().has_trouble() || self.configuration.now().themes.iter().any(|theme| theme.folder.is_some())
    }

    /// Whether there is a theme of this name.
    #[must_use]
    pub fn has(&self, theme: &str) -> bool {
        self.configuration.now().themes.iter().any(|one| one.name == theme)
    }

    /// Checks a file and keeps it for `by`. When this returns, it is on the disk.
    ///
    /// # Errors
    /// If it is none that can be shown or said, or there is no room for it.
    pub fn put(&self, by: &str, theme: &str, file: File, bytes: &[u8]) -> Result<(), NotKept> {
        let decoded = Decoded::of(file, bytes)?;
        let kept = Kept { digest: digest(bytes), bytes: bytes.len(), about: decoded.about() };
        self.uploads.put(by, theme, file, &kept, bytes)?;
        self.reader().remember(file, kept.digest, decoded);
        Ok(())
    }

    /// Takes an uploaded file away for `by`.
    ///
    /// # Errors
    /// If it was not uploaded, or the disk fails.
    pub fn remove(&self, by: &str, theme: &str, file: File) -> Result<(), NotKept> {
        self.uploads.remove(by, theme, file)
    }

    /// A file as it was uploaded, or lies in the theme's folder; `None` where the built-in stands.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn file(&self, theme: &str, file: File) -> io::Result<Option<Vec<u8>>> {
        if let Some(kept) = self.uploads.of(theme)?.get(&file) {
            return self.uploads.read(kept).map(Some);
        }
        let config = self.configuration.now();
        let folder = config.themes.iter().find(|one| one.name == theme).and_then(|one| one.folder.as_deref());
        folder.map_or(Ok(None), |folder| reader::in_folder(folder, file))
    }

    /// What becomes of uploaded files where `changes` rename or remove their themes.
    ///
    /// # Errors
    /// If the store can't be read.
    pub fn follow(&self, changes: &[Change]) -> io::Result<Moves<'_>> {
        self.uploads.follow(changes)
    }

    fn reader(&self) -> MutexGuard<'_, Reader> {
        // What it remembers is only what need not be decoded again.
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Has the shards show and say what was read, and the alarms know how it stands.
pub async fn show(read: &ThemesRead, shards: &[mpsc::Sender<Event>], alarms: &Teller) {
    for shard in shards {
        // A shard that is gone shows nothing.
        drop(shard.send(Event::Prompts(read.prompts.clone())).await);
    }
    read.facts().for_each(|fact| alarms.tell(fact));
}

#[cfg(test)]
pub(crate) mod tests;
