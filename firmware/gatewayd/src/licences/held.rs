//! The licences in force: those of the folder, and those that were uploaded, which are kept in the store and taken up at once.
//!
//! ```text
//!  keys, folder ─▶ Licences ─┐
//!  store: licences/<id> ─────┴▶ Licensing ─ Held ─▶ shards, alarms, the administration
//!  upload, remove ─▶ checked ─▶ on the disk, with a line in the audit log ─▶ Held anew
//! ```
//! What was uploaded stays until somebody removes it: over or no longer readable it counts for nothing, and is listed with the reason.

use super::now;
use crate::configuration::{Configuration, NotDone};
use domain::config::Config;
use domain::config::documents::Wrong;
use domain::licence::{Early, Licence, LicenceError, Licences, MAX_LICENCES};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::{Edit, Expected, Key};
use tokio::sync::watch;
use tracing::warn;

/// Where uploaded licences are kept, each by its id.
const COLLECTION: &str = "licences";

/// What is held at a moment.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// All that can be read; which of them count, their days say.
    pub licences: Arc<Licences>,
    /// Those of them that were uploaded; the others are files of the folder.
    pub uploaded: BTreeSet<String>,
    /// Uploaded ones that this box can't take any more, and why.
    pub unusable: BTreeMap<String, String>,
}

/// The licences of a box whose configuration is kept in a store.
pub struct Licensing {
    configuration: Arc<Configuration>,
    held: watch::Sender<Arc<Held>>,
    changing: Mutex<()>,
}

/// An upload that was not taken, or a licence that was not removed; nothing is changed.
#[derive(Debug, thiserror::Error)]
pub enum NotChanged {
    /// It is none that this box takes now.
    #[error(transparent)]
    Refused(#[from] LicenceError),
    /// There is none of this id.
    #[error("there is no licence {0:?}")]
    Missing(String),
    /// It was not uploaded.
    #[error("licence {0:?} is a file in the folder of licences; remove that file and restart the gateway")]
    OfFolder(String),
    /// The store does not take the change.
    #[error(transparent)]
    NotDone(#[from] NotDone),
}

/// As it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    file: String,
}

impl Licensing {
    /// Those of the vendor's keys and the folder, `licences`, and those that were uploaded to the store.
    #[must_use]
    pub fn open(configuration: Arc<Configuration>, mut licences: Licences) -> Self {
        let (mut uploaded, mut unusable) = (BTreeSet::new(), BTreeMap::new());
        let kept = configuration.list(COLLECTION, None, MAX_LICENCES).unwrap_or_else(|error| {
            warn!(%error, "uploaded licences can't be read from the store: they don't count");
            Vec::new()
        });
        for (id, _, body) in kept {
            let restored = serde_json::from_value::<Kept>(body)
                .map_err(|error| format!("it can't be read from the store: {error}"))
                .and_then(|kept| match licences.restore(&kept.file) {
                    Ok(licence) => Ok(licence.id().to_owned()),
                    Err(error) => Err(error.to_string()),
                });
            match restored {
                Ok(id) => drop(uploaded.insert(id)),
                Err(why) => {
                    warn!(id, why, "an uploaded licence does not count");
                    unusable.insert(id, why);
                }
            }
        }
        let held = Held { licences: Arc::new(licences), uploaded, unusable };
        Self { configuration, held: watch::Sender::new(Arc::new(held)), changing: Mutex::default() }
    }

    /// What is held now.
    #[must_use]
    pub fn held(&self) -> Arc<Held> {
        Arc::clone(&self.held.borrow())
    }

    /// The licences in force.
    #[must_use]
    pub fn licences(&self) -> Arc<Licences> {
        Arc::clone(&self.held.borrow().licences)
    }

    /// Takes one more licence for `by`. When this returns, it is on the disk.
    ///
    /// # Errors
    /// If it is none that this box takes, or the disk fails.
    pub fn upload(&self, by: &str, file: &str, early: Early) -> Result<(), NotChanged> {
        let _alone = self.alone();
        let mut held = Held::clone(&self.held());
        let mut licences = Licences::clone(&held.licences);
        let licence = licences.upload(file, now(), early)?;
        let (id, kept, detail) =
            (licence.id().to_owned(), Kept { file: licence.compact().to_owned() }, told(licence));
        let others = held.unusable.keys().filter(|unusable| **unusable != id).count();
        if held.uploaded.len() + others >= MAX_LICENCES {
            return Err(LicenceError::TooMany.into());
        }
        let edit = Edit::put(key(&id)?, Expected::Anything, json!(kept).to_string().as_bytes());
        self.configuration.commit(by, "add-licence", vec![detail], vec![edit])?;
        held.unusable.remove(&id);
        held.uploaded.insert(id);
        held.licences = Arc::new(licences);
        self.held.send_replace(Arc::new(held));
        Ok(())
    }

    /// Takes one away for `by`. When this returns, it is gone from the disk.
    ///
    /// # Errors
    /// If there is none of this id, it was not uploaded, or the disk fails.
    pub fn remove(&self, by: &str, id: &str) -> Result<(), NotChanged> {
        let _alone = self.alone();
        let mut held = Held::clone(&self.held());
        let mut licences = Licences::clone(&held.licences);
        let detail = match (held.uploaded.remove(id), held.unusable.remove(id)) {
            (false, None) if licences.held().iter().any(|one| one.id() == id) => {
                return Err(NotChanged::OfFolder(id.to_owned()));
            }
            (false, None) => return Err(NotChanged::Missing(id.to_owned())),
            (true, _) => licences.remove(id).as_ref().map_or_else(|| id.to_owned(), told),
            (false, Some(why)) => format!("{id}, which did not count: {why}"),
        };
        let edit = Edit::remove(key(id)?, Expected::Anything);
        self.configuration.commit(by, "remove-licence", vec![detail], vec![edit])?;
        held.licences = Arc::new(licences);
        self.held.send_replace(Arc::new(held));
        Ok(())
    }

    /// Whether a change may add the access tokens that it adds: a gateway-token licence says how many may exist.
    ///
    /// # Errors
    /// If it may not; the message says how many there may be.
    pub fn bounds(&self, before: &Config, after: &Config) -> Result<(), Vec<Wrong>> {
        let count = |config: &Config| u32::try_from(config.tokens.len()).unwrap_or(u32::MAX);
        let entitlement = self.licences().entitlement(now());
        entitlement
            .check_more_tokens(count(before), count(after))
            .map_err(|error| vec![Wrong { document: None, field: String::new(), message: error.to_string() }])
    }

    fn alone(&self) -> MutexGuard<'_, ()> {
        // Whoever panicked with it changed nothing here: what is held is replaced whole.
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(id: &str) -> Result<Key, NotChanged> {
    Key::new(COLLECTION, id).map_err(|_| NotChanged::Missing(id.to_owned()))
}

/// For the audit log.
fn told(licence: &Licence) -> String {
    format!(
        "{} of {}: {} calls, {} access tokens, from {} to {}",
        licence.id(),
        licence.holder(),
        licence.calls(),
        licence.gateway_tokens(),
        licence.not_before(),
        licence.not_after()
    )
}
