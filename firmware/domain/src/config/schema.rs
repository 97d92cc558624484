//! The schemas that documents are written by, and the steps between neighbours, up and down (A6).
//!
//! ```text
//!  1 ──up──▶ 2      2: the id of a phonebook entry says which part of it is the group (`phonebook_ids`)
//!    ◀─down──
//! ```
//! A step is a pure function over all documents, whatever they say: what does not look like a document of its schema stays as it is. Going
//! up and down again loses nothing that the older schema can say; what it can't say is told, and stays where the newer one has it.
//!
//! A new schema is one more step at the end of [`STEPS`]. A step is never changed once a release has it, so it knows nothing of what
//! resources look like today.

mod phonebook_ids;
#[cfg(test)]
mod tests;

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The schema of this release.
pub const SCHEMA: u32 = 2;
/// From the first schema on, each to the next.
pub const STEPS: Steps = Steps(&[Step { up: phonebook_ids::up, down: phonebook_ids::down }]);
/// Where sealed secrets are kept: `secrets/<collection>/<id>#<field>`, each sealed for its place.
pub const SECRETS: &str = "secrets";
/// Longest id, in bytes, as the store has it.
const ID_BYTES: usize = 1024;

/// Where a document is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// What it is one of.
    pub collection: String,
    /// Its name there.
    pub id: String,
}

/// What a document says.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// This.
    Json(Value),
    /// What was at this place before: it is sealed, or no JSON. Where it ends up at another place, it is sealed for that anew.
    Opaque(Place),
}

/// Something that the older schema can't say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsaid {
    /// Where it is.
    pub place: Place,
    /// What of it, and what became of that.
    pub what: String,
}

/// All documents of a store or an archive.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Documents(pub BTreeMap<Place, Content>);

/// From one schema to the next, and back.
#[derive(Clone, Copy)]
pub struct Step {
    up: fn(&mut Documents),
    down: fn(&mut Documents) -> Vec<Unsaid>,
}

/// The steps from schema 1 on, in their order.
#[derive(Clone, Copy)]
pub struct Steps(&'static [Step]);

/// There is no way from a schema to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this release knows schemas 1 to {newest}, and nothing of {asked}; start the release that wrote it, or a later one"
)]
pub struct Unknown {
    /// The one that is not known.
    pub asked: u32,
    /// The newest that is.
    pub newest: u32,
}

impl Place {
    /// `id` of `collection`.
    #[must_use]
    pub fn new(collection: &str, id: &str) -> Self {
        Self { collection: collection.to_owned(), id: id.to_owned() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.collection, self.id)
    }
}

impl fmt::Display for Unsaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl Steps {
    /// The newest schema that there is a step to.
    #[must_use]
    pub fn newest(self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// Makes `documents` of schema `from` documents of schema `to`, step by step. Says what `to` can't say.
    ///
    /// # Errors
    /// If one of them is not known; nothing is changed then.
    pub fn migrate(self, from: u32, to: u32, documents: &mut Documents) -> Result<Vec<Unsaid>, Unknown> {
        let newest = self.newest();
        if let Some(asked) = [from, to].into_iter().find(|schema| !(1..=newest).contains(schema)) {
            return Err(Unknown { asked, newest });
        }
        // Step 0 leads from schema 1 to 2.
        let between = |low: u32, high: u32| &self.0[low as usize - 1..high as usize - 1];
        if from <= to {
            between(from, to).iter().for_each(|step| (step.up)(documents));
            return Ok(Vec::new());
        }
        Ok(between(to, from).iter().rev().flat_map(|step| (step.down)(documents)).collect())
    }
}

/// A document with its secrets on its way: each from where it is to where it goes.
type Move = Vec<(Place, Place)>;

impl Documents {
    /// Gives documents of `collection` other ids, all at once; their secrets go with them. What would end up where another one stays, stays
    /// too; the ids of those are returned.
    fn rename(&mut self, collection: &str, ids: BTreeMap<String, String>) -> Vec<String> {
        let mut moves: BTreeMap<String, Move> = ids
            .into_iter()
            .map(|(from, to)| (from.clone(), self.with_secrets(collection, &from, &to)))
            .collect();
        let mut stayed = Vec::new();
        loop {
            let leaving: BTreeSet<&Place> = moves.values().flatten().map(|(from, _)| from).collect();
            let mut taken = BTreeSet::new();
            let free = |to: &Place| !self.0.contains_key(to) || leaving.contains(to);
            // Secrets that nobody's document goes with would be taken for those of whoever comes there.
            let lone = |to: &Place| {
                let mut there = self.with_secrets(collection, &to.id, "").into_iter().skip(1);
                to.collection == collection && there.any(|(secret, _)| !leaving.contains(&secret))
            };
            let blocked = moves.iter().find(|(_, group)| {
                let fits = |to: &Place| free(to) && !lone(to) && to.id.len() <= ID_BYTES;
                !group.iter().all(|(_, to)| fits(to) && taken.insert(to.clone()))
            });
            let Some(blocked) = blocked.map(|(id, _)| id.clone()) else { break };
            // Whoever stays may be in the way of others.
            moves.remove(&blocked);
            stayed.push(blocked);
        }
        let moved = moves.into_values().flatten();
        let moved: Vec<_> = moved.filter_map(|(from, to)| Some((to, self.0.remove(&from)?))).collect();
        self.0.extend(moved);
        stayed
    }

    /// A document and its secrets.
    fn with_secrets(&self, collection: &str, from: &str, to: &str) -> Move {
        let first = Place::new(SECRETS, &format!("{collection}/{from}#"));
        let field = |place: &Place| {
            let field = place.id.strip_prefix(&first.id).filter(|_| place.collection == SECRETS)?;
            // No field has such a sign, but another id may.
            (!field.contains('#')).then(|| field.to_owned())
        };
        let after = self.0.range(first.clone()..);
        let beside = after.take_while(|(place, _)| place.id.starts_with(&first.id));
        let secrets = beside.filter_map(|(place, _)| {
            let field = field(place)?;
            Some((place.clone(), Place::new(SECRETS, &format!("{collection}/{to}#{field}"))))
        });
        std::iter::once((Place::new(collection, from), Place::new(collection, to))).chain(secrets).collect()
    }

    /// The documents of `collection` that are JSON, by id.
    fn of<'a>(&'a self, collection: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        let after = self.0.range(Place::new(collection, "")..);
        let mine = after.take_while(move |(place, _)| place.collection == collection);
        mine.filter_map(|(place, content)| match content {
            Content::Json(body) => Some((place.id.as_str(), body)),
            Content::Opaque(_) => None,
        })
    }
}
