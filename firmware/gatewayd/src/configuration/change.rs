//! Changes of the configuration: shaped, joined with all the rest, checked, written and told.

use super::secrets::Parted;
use super::{BOX, CHANGED, Configuration, SecretPlace, joined, named, now, secrets};
use crate::engine::join::connectors;
use crate::net::https::LocalPorts;
use domain::alarm::Health;
use domain::api::Kind;
use domain::appliance::audit::Act;
use domain::config::Config;
use domain::config::documents::{Document, Wrong};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use store::{ChangeError, Edit, Expected, Key, Refused, Revision, Unchanged};

/// One resource's part in a change.
#[derive(Debug, Clone)]
pub struct Change {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub id: String,
    /// What must be true of it before.
    pub expected: Expected,
    /// What it says afterwards, secrets included if they change; `None` removes it.
    pub body: Option<Value>,
}

/// A change that is on the disk and holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Its number.
    pub revision: Revision,
    /// What is allowed now but hardly meant.
    pub warnings: Vec<Wrong>,
    /// What waits for a restart, in words.
    pub restart: Vec<&'static str>,
}

/// A change that was not made.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// The configuration would be wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Wrong(Vec<Wrong>),
    /// The store does not take it: somebody else was there first, or it is too large.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The disk failed.
    #[error("the disk failed: {0}")]
    Disk(std::io::Error),
}

/// What a change is held to besides what a configuration must be: the configuration before, and the one after.
pub type Bounds<'b> = &'b (dyn Fn(&Config, &Config) -> Result<(), Vec<Wrong>> + Send + Sync);

/// What the store's check says of a change.
enum Checked {
    /// It does not touch the configuration.
    Same,
    /// It makes this of it.
    Config(Box<Made>),
}

/// What a change makes of the configuration.
struct Made {
    config: Config,
    warnings: Vec<Wrong>,
    /// All documents, secrets included, for the copy.
    documents: Vec<Document>,
    /// Secrets that can't be opened.
    unreadable: BTreeSet<SecretPlace>,
}

impl Configuration {
    /// Makes `changes` as one, for `by`. When this returns, they are on the disk, and the engine is told.
    ///
    /// # Errors
    /// Everything that is wrong, at once; nothing is changed then.
    pub fn change(&self, by: &str, changes: &[Change]) -> Result<Done, NotDone> {
        self.change_within(by, changes, Vec::new(), &|_, _| Ok(()))
    }

    /// As [`change`](Self::change) with what goes `along` with it in the same write, if `bounds` allow it too.
    ///
    /// # Errors
    /// As [`change`](Self::change), and what is out of bounds.
    pub fn change_within(
        &self,
        by: &str,
        changes: &[Change],
        along: Vec<Edit>,
        bounds: Bounds<'_>,
    ) -> Result<Done, NotDone> {
        let (mut edits, mut detail, mut wrong) = (along, Vec::new(), Vec::new());
        for change in changes {
            match self.edits(change) {
                Ok(made) => edits.extend(made),
                Err(problem) => wrong.push(problem),
            }
            let verb = if change.body.is_some() { "write" } else { "remove" };
            detail.push(format!("{verb} {}/{}", change.kind.collection(), change.id));
        }
        if !wrong.is_empty() {
            return Err(NotDone::Wrong(wrong));
        }
        self.commit_within(by, "configure", detail, edits, bounds)
    }

    /// Makes `edits` with their line in the audit log.
    ///
    /// # Errors
    /// As [`change`](Self::change).
    pub fn commit(
        &self,
        by: &str,
        act: &str,
        detail: Vec<String>,
        edits: Vec<Edit>,
    ) -> Result<Done, NotDone> {
        self.commit_within(by, act, detail, edits, &|_, _| Ok(()))
    }

    /// As [`commit`](Self::commit), if `bounds` allow what the configuration becomes.
    ///
    /// # Errors
    /// As [`change_within`](Self::change_within).
    pub fn commit_within(
        &self,
        by: &str,
        act: &str,
        detail: Vec<String>,
        mut edits: Vec<Edit>,
        bounds: Bounds<'_>,
    ) -> Result<Done, NotDone> {
        let act = Act { by: by.to_owned(), act: act.to_owned(), outcome: "done".to_owned(), detail };
        let configures = edits.iter().any(|edit| is_configuration(&edit.key));
        if by != BOX && !edits.is_empty() {
            edits.extend(mark(by));
        }
        // Whoever holds the trail is the only one who writes: each line follows the one before it on the disk too.
        let mut trail = self.trail();
        let (line, put) = trail.line(now(), &act);
        edits.push(put);
        edits.extend(trail.outgrown());
        let before = self.now();
        let made = self.store.change(&edits, |documents| {
            if !configures {
                return Ok(Checked::Same);
            }
            let (documents, unreadable) = joined(documents, &self.secrets);
            let (mut config, warnings) = Config::join(&documents, Some(&before))?;
            config.unreadable = named(&unreadable);
            bounds(&before, &config)?;
            readable(&config)?;
            Ok::<_, Vec<Wrong>>(Checked::Config(Box::new(Made { config, warnings, documents, unreadable })))
        });
        if let Err(Unchanged::Store(ChangeError::Disk(error))) = &made {
            self.disk(Health::Bad { why: format!("the last change could not be kept: {error}") });
        }
        let (made, checked) = made?;
        trail.add(line);
        self.disk(made.trouble.map_or(Health::Good, |trouble| {
            tracing::error!(%trouble, "the store made a change, but not without trouble");
            Health::Bad { why: format!("the last change is kept, but not without trouble: {trouble}") }
        }));
        let warnings = match checked {
            Checked::Same => Vec::new(),
            Checked::Config(made) => {
                let Made { config, warnings, documents, unreadable } = *made;
                self.current.send_replace(Arc::new(config));
                self.unread(unreadable);
                if let Some(copy) = &self.copy {
                    copy.follow(documents);
                }
                warnings
            }
        };
        drop(trail);
        Ok(Done { revision: made.revision, warnings, restart: self.waits_for_restart() })
    }

    /// Notes what somebody did that changes no document.
    pub fn note(&self, by: &str, act: &str, detail: Vec<String>) {
        if let Err(error) = self.commit(by, act, detail, Vec::new()) {
            tracing::error!(%error, by, act, "the audit log could not be written");
        }
    }

    /// What the store has to do.
    fn edits(&self, change: &Change) -> Result<Vec<Edit>, Wrong> {
        let Change { kind, id, expected, body } = change;
        let wrong =
            |field: String, message: String| Wrong { document: Some((*kind, id.clone())), field, message };
        let key = |collection: &str, id: &str| {
            Key::new(collection, id).map_err(|error| wrong(kind.named_by().to_owned(), error.to_string()))
        };
        let place = key(kind.collection(), id)?;
        let Some(body) = body else {
            let mut edits = vec![Edit::remove(place, *expected)];
            for secret in secrets::ids(*kind, id) {
                edits.push(Edit::remove(key(secrets::COLLECTION, &secret)?, Expected::Anything));
            }
            return Ok(edits);
        };
        let body = kind.shape(body).map_err(|error| wrong(error.field, error.message))?;
        let parted = self.secrets.part(*kind, id, body);
        let Parted { body, sealed } = parted.map_err(|error| wrong(String::new(), error.to_string()))?;
        let mut edits = vec![Edit::put(place, *expected, body.to_string().as_bytes())];
        for (id, sealed) in sealed {
            let secret = key(secrets::COLLECTION, &id)?;
            edits.push(match sealed {
                Some(sealed) => Edit::put(secret, Expected::Anything, &sealed),
                None => Edit::remove(secret, Expected::Anything),
            });
        }
        Ok(edits)
    }
}

/// What marks a change as one that somebody asked for.
fn mark(by: &str) -> Option<Edit> {
    let key = Key::new(CHANGED.0, CHANGED.1).ok()?;
    Some(Edit::put(key, Expected::Anything, json!({ "by": by }).to_string().as_bytes()))
}

/// Whether what is written there has a part in the configuration.
fn is_configuration(key: &Key) -> bool {
    key.collection() == secrets::COLLECTION || Kind::of(key.collection(), key.id()).is_some()
}

/// What the engine could not use, though it says what it should: files that are not there, or not what they are named as.
fn readable(config: &Config) -> Result<(), Vec<Wrong>> {
    let ports = config.signalling_ports;
    let ports = Arc::new(LocalPorts::new(ports.first..=ports.last));
    connectors(config, &ports).map(drop).map_err(|error| vec![whole(format!("{error:#}"))])
}

fn whole(message: String) -> Wrong {
    Wrong { document: None, field: String::new(), message }
}

impl From<Unchanged<Vec<Wrong>>> for NotDone {
    fn from(unchanged: Unchanged<Vec<Wrong>>) -> Self {
        match unchanged {
            Unchanged::Check(wrong) => Self::Wrong(wrong),
            Unchanged::Store(ChangeError::Refused(refused)) => Self::Refused(refused),
            Unchanged::Store(ChangeError::Disk(error)) => Self::Disk(error),
        }
    }
}
