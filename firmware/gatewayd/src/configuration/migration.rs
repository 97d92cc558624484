//! What documents of another schema say in this one (A6): `domain::config::schema` knows, this does the sealing and writes it down.
//!
//! A secret is bound to its place, so one whose place changes is opened and sealed anew. One that can't be opened stays sealed as it is: it
//! is told of like any other that can't.

use super::audit::Trail;
use super::{BOX, CHANGED, Contents, Secrets, now, secrets};
use domain::api::Kind;
use domain::appliance::audit::Act;
use domain::config::schema::{self, Content, Place, SCHEMA, STEPS, Unsaid};
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use store::{Bodies, Documents, Edit, Key, Meaning, Revision};

/// Collections that are the box's own book-keeping: what is in them is nobody's setting.
const KEEPING: &[&str] = &["audit", "box", "store"];
/// Where the box's own secrets begin, under `secrets`.
const OWN_SECRETS: &str = "box/";
/// Most lines that the audit log has of a migration.
const LINES: usize = 50;

/// Migrates by the steps of this release, and remembers what could not be said.
pub(super) struct Migration<'a> {
    secrets: &'a Secrets,
    unsaid: Mutex<Vec<Unsaid>>,
}

impl<'a> Migration<'a> {
    pub(super) const fn new(secrets: &'a Secrets) -> Self {
        Self { secrets, unsaid: Mutex::new(Vec::new()) }
    }

    /// What could not be said, in words.
    pub(super) fn unsaid(self) -> Vec<String> {
        let unsaid = self.unsaid.into_inner().unwrap_or_else(PoisonError::into_inner);
        unsaid.iter().map(ToString::to_string).collect()
    }

    /// What the store keeps of `content` at `place`.
    pub(super) fn body(
        &self,
        place: &Place,
        content: Content,
        before: &Documents,
    ) -> Result<Arc<[u8]>, String> {
        let was =
            |place: &Place| Key::new(&place.collection, &place.id).ok().and_then(|key| before.get(&key));
        match content {
            Content::Json(body) => {
                // What says the same stays the same to the byte: the audit log is a chain of digests.
                let same = was(place)
                    .filter(|was| serde_json::from_slice(&was.body).is_ok_and(|was: Value| was == body));
                Ok(same.map_or_else(|| body.to_string().into_bytes().into(), |was| Arc::clone(&was.body)))
            }
            Content::Opaque(from) => {
                let was = was(&from).map(|was| Arc::clone(&was.body)).unwrap_or_default();
                let moved = from != *place && place.collection == secrets::COLLECTION;
                let Some(plain) = self.secrets.open(&from.id, &was).filter(|_| moved) else { return Ok(was) };
                let sealed =
                    self.secrets.seal(&place.id, &plain).map_err(|error| format!("{place}: {error}"))?;
                Ok(sealed.into())
            }
        }
    }

    /// The audit log's line of it.
    fn line(from: u32, unsaid: &[Unsaid], before: &Documents) -> Edit {
        let mut detail = vec![format!("from schema {from} to schema {SCHEMA}")];
        detail.extend(unsaid.iter().take(LINES).map(ToString::to_string));
        let act = Act { by: BOX.to_owned(), act: "migrate".to_owned(), outcome: "done".to_owned(), detail };
        Trail::read(before).line(now(), &act).1
    }
}

impl Meaning for Migration<'_> {
    fn migrate(&self, from: u32, documents: &Documents) -> Result<Bodies, String> {
        let content = |(key, document): (&Key, &store::Document)| {
            let place = Place::new(key.collection(), key.id());
            let json = serde_json::from_slice(&document.body).ok();
            let json = json.filter(|_| key.collection() != secrets::COLLECTION);
            let content = json.map_or_else(|| Content::Opaque(place.clone()), Content::Json);
            (place, content)
        };
        let mut all = schema::Documents(documents.iter().map(content).collect());
        let unsaid = STEPS.migrate(from, SCHEMA, &mut all).map_err(|error| error.to_string())?;
        let mut bodies = Bodies::new();
        for (place, content) in all.0 {
            let key = Key::new(&place.collection, &place.id).map_err(|error| error.to_string())?;
            let body = self.body(&place, content, documents)?;
            bodies.insert(key, body);
        }
        let Edit { key, body, .. } = Self::line(from, &unsaid, documents);
        bodies.extend(body.map(|body| (key, body)));
        self.unsaid.lock().unwrap_or_else(PoisonError::into_inner).extend(unsaid);
        Ok(bodies)
    }

    fn last_change(&self, documents: &Documents) -> Revision {
        last_change(documents)
    }

    fn is_written(&self, key: &Key) -> bool {
        is_written(key)
    }
}

/// The last change that somebody asked for.
fn last_change(documents: &Documents) -> Revision {
    let marked = Key::new(CHANGED.0, CHANGED.1).ok().and_then(|key| documents.get(&key));
    let written = documents.iter().filter(|(key, _)| is_written(key)).map(|(_, document)| document.revision);
    // A store of a release that made no such mark.
    marked.map_or_else(|| written.max().unwrap_or_default(), |document| document.revision)
}

fn is_written(key: &Key) -> bool {
    let own = key.collection() == secrets::COLLECTION && key.id().starts_with(OWN_SECRETS);
    !own && !KEEPING.contains(&key.collection())
}

impl Contents {
    /// What an archive of schema `from` says in this one, and what it can't say.
    ///
    /// # Errors
    /// If the schema is not known.
    pub(super) fn migrated(self, from: u32) -> Result<(Self, Vec<Unsaid>), schema::Unknown> {
        let mut all = schema::Documents::default();
        for (collection, documents) in self.documents {
            let place = |id: String| Place { collection: collection.clone(), id };
            all.0.extend(documents.into_iter().map(|(id, body)| (place(id), Content::Json(body))));
        }
        for id in self.secrets.keys() {
            let place = Place::new(secrets::COLLECTION, id);
            all.0.insert(place.clone(), Content::Opaque(place));
        }
        let unsaid = STEPS.migrate(from, SCHEMA, &mut all)?;
        let mut contents = Self::default();
        for (Place { collection, id }, content) in all.0 {
            match content {
                Content::Json(body) => {
                    drop(contents.documents.entry(collection).or_default().insert(id, body))
                }
                Content::Opaque(from) => {
                    contents.secrets.extend(self.secrets.get(&from.id).map(|plain| (id, plain.clone())));
                }
            }
        }
        Ok((contents, unsaid))
    }
}

/// Whether these are documents of somebody's configuration.
pub(super) fn has_configuration(documents: &Documents) -> bool {
    documents.keys().any(|key| Kind::of(key.collection(), key.id()).is_some())
}
