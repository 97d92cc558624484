//! The copy of the configuration without what is secret, for the packet filter and tools. It is written on a thread of its own, so that a
//! change is acknowledged once the store has it; of changes that come faster than the disk is, only the last is written.

use crate::certificates::files;
use domain::config::documents::{Document, render};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use tracing::error;

/// Packet filter and set-up are of the daemon's group.
const MODE: u32 = 0o640;

/// Keeps the copy; when it is dropped, the last one is written.
pub struct Copy {
    waiting: Arc<Waiting>,
    thread: Option<JoinHandle<()>>,
}

/// What waits to be written.
#[derive(Default)]
struct Waiting {
    next: Mutex<Next>,
    changed: Condvar,
}

#[derive(Default)]
struct Next {
    documents: Option<Vec<Document>>,
    last: Last,
}

/// Whether more may come.
#[derive(Default, PartialEq, Eq)]
enum Last {
    #[default]
    No,
    Yes,
}

impl Copy {
    /// Writes `documents` to `path`, and from then on what [`follow`](Self::follow) is given.
    pub fn new(path: PathBuf, documents: &[Document]) -> Self {
        write(&path, documents);
        let waiting = Arc::new(Waiting::default());
        let theirs = Arc::clone(&waiting);
        let thread = std::thread::Builder::new().name("copy".into()).spawn(move || {
            while let Some(documents) = theirs.take() {
                write(&path, &documents);
            }
        });
        let thread =
            thread.map_err(|error| error!(%error, "the copy of the configuration stays as it is now"));
        Self { waiting, thread: thread.ok() }
    }

    /// The copy is to be of `documents`.
    pub fn follow(&self, documents: Vec<Document>) {
        self.waiting.next().documents = Some(documents);
        self.waiting.changed.notify_one();
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        self.waiting.next().last = Last::Yes;
        self.waiting.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It tells of what fails itself.
            drop(thread.join());
        }
    }
}

impl Waiting {
    fn next(&self) -> MutexGuard<'_, Next> {
        // What waits is replaced whole.
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be written next; nothing once it was the last.
    fn take(&self) -> Option<Vec<Document>> {
        let idle = |next: &mut Next| next.documents.is_none() && next.last == Last::No;
        let next = self.changed.wait_while(self.next(), idle);
        next.unwrap_or_else(PoisonError::into_inner).documents.take()
    }
}

/// Whoever reads the copy sees an old one or a new one, whole; one that says the same stays, so that nobody who watches it is woken.
fn write(path: &Path, documents: &[Document]) {
    let text = render(documents);
    if std::fs::read_to_string(path).is_ok_and(|before| before == text) {
        return;
    }
    if let Err(error) = files::replace_for(path, text.as_bytes(), MODE) {
        error!(%error, path = %path.display(), "the copy of the configuration could not be written; ports stay as they were");
    }
}
