//! The configuration as it stands: kept in the store, read as a whole, handed out as `Arc<Config>`.
//!
//! ```text
//!  Change ─▶ shaped ─▶ edits + a line of the audit log ─▶ Store: all documents joined and checked ─▶ on the disk ─▶ Arc<Config> to all
//!                                                              └─ what is wrong, each with its document and field
//! ```
//! What is secret lies in documents of its own, sealed, under `secrets/<collection>/<id>#<field>`; what is shown never holds it. Every change and
//! its line in the audit log are one write: there is none without the other.

mod archive;
mod audit;
mod change;
mod copy;
mod migration;
mod secrets;
mod standing;
#[cfg(test)]
pub(crate) mod tests;

pub use archive::{ARCHIVE_BYTES, Archive, ArchiveError, Contents};
pub use audit::AUDIT_KEPT;
pub use change::{Bounds, Change, Done, NotDone};
pub use secrets::{SecretPlace, Secrets};
pub use standing::Standing;

use copy::Copy;
use migration::Migration;
use secrets::Parted;

use crate::configuration::audit::Trail;
use domain::alarm::Fact;
use domain::api::Kind;
use domain::appliance::audit::{Act, Line};
use domain::appliance::instant::UnixTime;
use domain::config::documents::{Document, Wrong, is_copy, split};
use domain::config::schema::SCHEMA;
use domain::config::{Config, Problems};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;
use store::{Documents, Expected, Key, Opened, Revision, Store};
use tokio::sync::watch;

/// Marks the last change that somebody asked for; the box's own book-keeping is none (A6, `migration`).
const CHANGED: (&str, &str) = ("box", "changed");
/// Who does what nobody asked for.
pub const BOX: &str = "box";

/// The configuration and its keeping.
pub struct Configuration {
    store: Store,
    secrets: Secrets,
    trail: Mutex<Trail>,
    current: watch::Sender<Arc<Config>>,
    /// What the daemon was started with.
    started: Arc<Config>,
    /// Where a copy without secrets is written after each change, for the packet filter and tools.
    copy: Option<Copy>,
    standing: watch::Sender<Standing>,
    /// What there was to be told when it was opened.
    found: Vec<Fact>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum NoConfiguration {
    /// The folder can't be used.
    #[error("cannot use {0}: {1}")]
    Folder(String, std::io::Error),
    /// The store won't open.
    #[error("the store of the configuration: {0}")]
    Store(#[from] store::OpenError),
    /// It is empty, and there is no file to begin with.
    #[error("the store is empty, and there is no file to begin with; name one with --config")]
    Nothing,
    /// The file to begin with is wrong.
    #[error("{0}")]
    First(#[from] Problems),
    /// The file to begin with is what a store wrote, and has no secrets.
    #[error(
        "{0} is the copy of a store that is gone, without its secrets; put the store back, or remove the file to begin anew and import a backup"
    )]
    Copy(String),
    /// What is kept is no configuration for this release.
    #[error("what the store holds is no configuration of this release:\n{}", lines(.0))]
    Wrong(Vec<Wrong>),
    /// The first documents could not be written.
    #[error("the store could not be filled: {0}")]
    Fill(String),
}

fn lines(wrong: &[Wrong]) -> String {
    wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl Configuration {
    /// Opens what is kept in `folder`. Where nothing is, it begins with `first`: the name and the text of a file.
    ///
    /// # Errors
    /// If there is nothing to go on with; the message says what to do.
    pub fn open(
        folder: &Path,
        secrets: Secrets,
        first: Option<(&str, &str)>,
    ) -> Result<(Self, Opened), NoConfiguration> {
        std::fs::create_dir_all(folder)
            .map_err(|error| NoConfiguration::Folder(folder.display().to_string(), error))?;
        let migration = Migration::new(&secrets);
        let (store, opened) = Store::open(folder, SCHEMA, &migration)?;
        let unsaid = migration.unsaid();
        let (_, documents) = store.all();
        if !migration::has_configuration(&documents) {
            let (file, text) = first.ok_or(NoConfiguration::Nothing)?;
            fill(&store, &secrets, file, text)?;
        }
        if let Err(error) = reseal(&store, &secrets) {
            tracing::error!(%error, "secrets stay sealed by the key in the file");
        }
        let (_, documents) = store.all();
        let (joined, unreadable) = joined(&documents, &secrets);
        let (mut config, _) = Config::join(&joined, None).map_err(NoConfiguration::Wrong)?;
        config.unreadable = named(&unreadable);
        let config = Arc::new(config);
        let trail = Trail::read(&documents);
        let current = watch::Sender::new(Arc::clone(&config));
        let standing = watch::Sender::new(Standing { disk: standing::disk_of(&opened), unreadable });
        let found = standing::found(&opened, &unsaid);
        let trail = Mutex::new(trail);
        let configuration =
            Self { store, secrets, trail, current, started: config, copy: None, standing, found };
        Ok((configuration, opened))
    }

    /// Writes a copy without secrets to `path`, now and after each change.
    #[must_use]
    pub fn with_copy(mut self, path: PathBuf) -> Self {
        let (_, documents) = self.store.all();
        self.copy = Some(Copy::new(path, &joined(&documents, &self.secrets).0));
        self
    }

    /// Whether something in `folder`, where the stores of all releases are, may be sealed by the key before: in the store of this release,
    /// or in that of the other slot, which is left as it is.
    ///
    /// # Errors
    /// If the folder can't be read.
    pub fn needs_key_before(&self, folder: &Path) -> std::io::Result<bool> {
        let (_, documents) = self.store.all();
        let mut sealed = documents.iter().filter(|(key, _)| key.collection() == secrets::COLLECTION);
        if sealed.any(|(key, document)| self.secrets.reseal(key.id(), &document.body).is_some()) {
            return Ok(true);
        }
        let is_other = |name: &str| {
            let schema = name.strip_prefix('v').and_then(|number| number.parse::<u32>().ok());
            schema.is_some_and(|schema| schema != SCHEMA)
        };
        let mut names = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name()));
        names.try_fold(false, |found, name: std::io::Result<_>| {
            Ok(found || name?.to_str().is_some_and(is_other))
        })
    }

    /// The configuration as it is now.
    #[must_use]
    pub fn now(&self) -> Arc<Config> {
        Arc::clone(&self.current.borrow())
    }

    /// Hears of each configuration from now on.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Config>> {
        self.current.subscribe()
    }

    /// What was changed and waits for a restart, in words.
    #[must_use]
    pub fn waits_for_restart(&self) -> Vec<&'static str> {
        self.now().waits_for_restart(&self.started)
    }

    /// What is sealed, and what it is sealed by.
    #[must_use]
    pub const fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// A document without what is secret, and its revision.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn get(&self, kind: Kind, id: &str) -> std::io::Result<Option<(Revision, Value)>> {
        self.read(kind.collection(), id)
    }

    /// Up to `limit` documents after `after` by id, without what is secret.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn list(
        &self,
        collection: &str,
        after: Option<&str>,
        limit: usize,
    ) -> std::io::Result<Vec<(String, Revision, Value)>> {
        let found = self.store.list(collection, after, limit)?;
        let shown = |(key, document): (Key, store::Document)| {
            Some((key.id().to_owned(), document.revision, serde_json::from_slice(&document.body).ok()?))
        };
        Ok(found.into_iter().filter_map(shown).collect())
    }

    /// A document of any collection.
    ///
    /// # Errors
    /// If the index can't be read.
    pub fn read(&self, collection: &str, id: &str) -> std::io::Result<Option<(Revision, Value)>> {
        let Ok(key) = Key::new(collection, id) else { return Ok(None) };
        let Some(document) = self.store.get(&key)? else { return Ok(None) };
        Ok(serde_json::from_slice(&document.body).ok().map(|body| (document.revision, body)))
    }

    /// The fields of a resource whose secrets are kept.
    #[must_use]
    pub fn sealed(&self, kind: Kind, id: &str) -> Vec<&'static str> {
        let kept = |field: &&&str| self.holds(secrets::COLLECTION, &secrets::id(kind, id, field));
        kind.secrets().iter().filter(kept).copied().collect()
    }

    fn holds(&self, collection: &str, id: &str) -> bool {
        Key::new(collection, id).is_ok_and(|key| self.store.get(&key).is_ok_and(|found| found.is_some()))
    }

    /// The change that was made last.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.store.all().0
    }

    /// The newest lines of the audit log before `before`, the newest first.
    #[must_use]
    pub fn audit(&self, before: Option<u64>, limit: usize) -> Vec<Line> {
        self.trail().lines(before, limit)
    }

    /// Where the audit log was edited or damaged, if it was.
    #[must_use]
    pub fn audit_trouble(&self) -> Option<String> {
        self.trail().trouble().map(str::to_owned)
    }

    fn trail(&self) -> std::sync::MutexGuard<'_, Trail> {
        // Who panicked with it changed nothing: its lines are added after the disk has them.
        self.trail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seals by the key of now what the one before sealed, in one change.
fn reseal(store: &Store, secrets: &Secrets) -> Result<(), store::ChangeError> {
    let (_, documents) = store.all();
    let anew = |(key, document): (&Key, &store::Document)| {
        let sealed = secrets.reseal(key.id(), &document.body)?;
        Some(store::Edit::put(key.clone(), Expected::At(document.revision), &sealed))
    };
    let sealed = documents.iter().filter(|(key, _)| key.collection() == secrets::COLLECTION);
    let mut edits: Vec<_> = sealed.filter_map(anew).collect();
    if edits.is_empty() {
        return Ok(());
    }
    let act = Act {
        by: BOX.to_owned(),
        act: "reseal".to_owned(),
        outcome: "done".to_owned(),
        detail: vec![format!("{} secrets, by the key that is sealed to the TPM", edits.len())],
    };
    edits.push(Trail::read(&documents).line(now(), &act).1);
    match store.change(&edits, |_| Ok::<_, std::convert::Infallible>(())) {
        Ok(_) => Ok(()),
        Err(store::Unchanged::Store(error)) => Err(error),
        Err(store::Unchanged::Check(never)) => match never {},
    }
}

/// Puts the resources of a first file into an empty store.
fn fill(store: &Store, secrets: &Secrets, file: &str, text: &str) -> Result<(), NoConfiguration> {
    if is_copy(text) {
        return Err(NoConfiguration::Copy(file.to_owned()));
    }
    let mut edits = Vec::new();
    for Document { kind, id, body } in split(file, text)? {
        let parted = secrets.part(kind, &id, body);
        let Parted { body, sealed } = parted.map_err(|error| NoConfiguration::Fill(error.to_string()))?;
        let put = |collection: &str, id: &str, body: &[u8]| -> Result<store::Edit, NoConfiguration> {
            let key = Key::new(collection, id).map_err(|error| NoConfiguration::Fill(error.to_string()))?;
            Ok(store::Edit::put(key, Expected::Absent, body))
        };
        edits.push(put(kind.collection(), &id, body.to_string().as_bytes())?);
        for (id, sealed) in sealed {
            edits.extend(sealed.map(|sealed| put(secrets::COLLECTION, &id, &sealed)).transpose()?);
        }
    }
    let act = Act {
        by: BOX.to_owned(),
        act: "import".to_owned(),
        outcome: "done".to_owned(),
        detail: vec![format!("{} documents of {file}", edits.len())],
    };
    edits.push(Trail::default().line(now(), &act).1);
    let taken = store.change(&edits, |_| Ok::<_, std::convert::Infallible>(()));
    taken.map(drop).map_err(|error| NoConfiguration::Fill(error.to_string()))
}

/// All documents that are configuration, with their secrets, and which of those can't be opened.
fn joined(documents: &Documents, secrets: &Secrets) -> (Vec<Document>, BTreeSet<SecretPlace>) {
    let (mut joined, mut unreadable) = (Vec::new(), BTreeSet::new());
    for (key, document) in documents {
        let Some(kind) = Kind::of(key.collection(), key.id()) else { continue };
        let Ok(mut body) = serde_json::from_slice::<Value>(&document.body) else { continue };
        unreadable.extend(secrets.join(kind, key.id(), &mut body, documents));
        joined.push(Document { kind, id: key.id().to_owned(), body });
    }
    (joined, unreadable)
}

/// The resources that secrets are of.
fn named(places: &BTreeSet<SecretPlace>) -> BTreeSet<(Kind, String)> {
    places.iter().map(|place| (place.kind, place.name.clone())).collect()
}

/// The time by the box's clock.
pub(crate) fn now() -> UnixTime {
    UnixTime(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs())
}
