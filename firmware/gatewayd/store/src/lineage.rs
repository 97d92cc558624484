//! One folder for each schema of documents (A6): a release that finds none of its own makes one of another's, and leaves that as it is.
//!
//! ```text
//!  v1  ──read, migrated──▶  v2.new  ──written, synced──▶  renamed to v2        a power cut leaves no v2, or the whole
//!   │                                                       │ store/origin: schema 1, revision 17
//!   └─ what the other slot goes on with                     └─ what this one goes on with
//!
//!  v1 was changed later (the box had fallen back)   ─▶  v2 is renamed to v2.before and made anew of v1
//!  v2 was changed, and the box falls back to v1     ─▶  v1 is used as it is, and told that v2 has more
//! ```
//! The settings that a box runs with next are those that were changed last, as far as the release that runs can read them. Only what
//! somebody asked for counts as a change: an audit line of a log-in makes nothing stale.

use crate::disk::Folders;
use crate::document::{Document, Documents, Key, Revision};
use crate::truth::{self, Found, OpenError, Truth};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where a copy keeps what it was made of.
const ORIGIN: (&str, &str) = ("store", "origin");
/// Most documents that are named of a folder.
const NAMED: usize = 20;

/// What documents say, by key.
pub type Bodies = BTreeMap<Key, Arc<[u8]>>;

/// Who knows what documents mean.
pub trait Meaning {
    /// What `documents` of schema `from` say in the schema that is wanted.
    ///
    /// # Errors
    /// If there is no way, in words.
    fn migrate(&self, from: u32, documents: &Documents) -> Result<Bodies, String>;

    /// The last change that somebody asked for.
    fn last_change(&self, documents: &Documents) -> Revision;

    /// Whether a document is one that somebody wrote, and not the box's own book-keeping.
    fn is_written(&self, key: &Key) -> bool;
}

/// Where the documents of a store come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lineage {
    /// What the folder was made of, now or at an earlier start.
    pub origin: Option<Origin>,
    /// It was made now.
    pub migrated: bool,
    /// A folder that held changes of its own and was put aside, because its origin was changed after them.
    pub put_aside: Option<Changes>,
    /// Folders that were made of this one and changed since: what they say does not hold here.
    pub elsewhere: Vec<Changes>,
}

/// What a copy was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The schema of what it was made of.
    pub schema: u32,
    /// The last change that is in it.
    pub revision: Revision,
}

/// Changes that are in a folder and nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The folder's name.
    pub folder: String,
    /// The schema of its documents.
    pub schema: u32,
    /// Documents that were written there, by key; the first of them, and those that were removed are not known.
    pub written: Vec<String>,
}

/// A folder as it was read.
struct Seen {
    schema: u32,
    revision: Revision,
    documents: Documents,
}

impl Seen {
    fn origin(&self) -> Option<(Revision, Origin)> {
        let document = self.documents.get(&origin_key()?)?;
        Some((document.revision, Origin::read(&document.body)?))
    }

    /// What was changed since it was made.
    fn changes(&self, meaning: &impl Meaning, folder: &str) -> Option<Changes> {
        let (made, _) = self.origin()?;
        if meaning.last_change(&self.documents) <= made {
            return None;
        }
        let since = self.documents.iter().filter(|(_, document)| document.revision > made);
        let written = since.filter(|(key, _)| meaning.is_written(key)).map(|(key, _)| key.to_string());
        Some(Changes {
            folder: folder.to_owned(),
            schema: self.schema,
            written: written.take(NAMED).collect(),
        })
    }
}

impl Origin {
    fn write(self) -> String {
        format!("{} {}", self.schema, self.revision)
    }

    fn read(body: &[u8]) -> Option<Self> {
        let (schema, revision) = std::str::from_utf8(body).ok()?.split_once(' ')?;
        Some(Self { schema: schema.parse().ok()?, revision: Revision(revision.parse().ok()?) })
    }
}

/// Opens the folder of `schema`, makes it of another one's documents, or begins it.
///
/// # Errors
/// If the disk fails, what is there is not whole, or there is no way from what is there to `schema`.
pub fn open<F: Folders>(
    folders: &mut F,
    schema: u32,
    journal_bytes: u64,
    meaning: &impl Meaning,
) -> Result<(Truth<F::Disk>, Found, Lineage), OpenError> {
    let others = others(folders, schema)?;
    let own = look(folders, schema)?;
    let from = match &own {
        Some(own) => overtaken_by(folders, own, meaning),
        None => nearest(folders, &others, meaning)?,
    };
    let mut lineage = Lineage::default();
    if let Some(from) = from {
        let put_aside = name(schema, Name::PutAside);
        lineage.put_aside = own.and_then(|own| own.changes(meaning, &put_aside));
        make(folders, schema, &from, meaning)?;
        lineage.migrated = true;
    }
    lineage.elsewhere = elsewhere(folders, schema, &others, meaning);
    let (truth, found) = Truth::open(folders.take(&name(schema, Name::Own))?, schema, journal_bytes)?;
    let kept = origin_key().and_then(|key| truth.documents().get(&key).cloned());
    lineage.origin = kept.and_then(|document| Origin::read(&document.body));
    Ok((truth, found, lineage))
}

/// Which of a schema's folders.
#[derive(Clone, Copy)]
enum Name {
    Own,
    New,
    PutAside,
}

fn name(schema: u32, which: Name) -> String {
    match which {
        Name::Own => format!("v{schema}"),
        Name::New => format!("v{schema}.new"),
        Name::PutAside => format!("v{schema}.before"),
    }
}

/// Schemas besides that there are folders of: older ones first, the nearest first, then newer ones.
fn others<F: Folders>(folders: &F, schema: u32) -> Result<Vec<u32>, OpenError> {
    let number = |name: &String| name.strip_prefix('v')?.parse::<u32>().ok();
    let mut others: Vec<_> =
        folders.list()?.iter().filter_map(number).filter(|other| *other != schema).collect();
    others.sort_unstable_by_key(|other| (*other > schema, other.abs_diff(schema)));
    Ok(others)
}

fn look<F: Folders>(folders: &F, schema: u32) -> Result<Option<Seen>, OpenError> {
    let read = truth::read(&folders.look(&name(schema, Name::Own))?, schema)?;
    Ok(read.map(|(revision, documents)| Seen { schema, revision, documents }))
}

/// What a new folder is made of: the nearest that has anything, or what that was overtaken by. One that is damaged is not passed over:
/// what is behind it is older than what was acknowledged.
fn nearest<F: Folders>(
    folders: &F,
    others: &[u32],
    meaning: &impl Meaning,
) -> Result<Option<Seen>, OpenError> {
    for other in others {
        if let Some(seen) = look(folders, *other)? {
            let later = overtaken_by(folders, &seen, meaning);
            return Ok(Some(later.unwrap_or(seen)));
        }
    }
    Ok(None)
}

/// The folder that `seen` was made of, or that this was made of and so on, if somebody changed it after the copy; of several the one
/// farthest back: each start would have taken what is changed later, so nobody started any of the copies since.
fn overtaken_by<F: Folders>(folders: &F, seen: &Seen, meaning: &impl Meaning) -> Option<Seen> {
    let (mut later, mut visited) = (None, vec![seen.schema]);
    let mut next = seen.origin();
    while let Some((_, origin)) = next.filter(|(_, origin)| !visited.contains(&origin.schema)) {
        // A copy needs its origin no more: one that is gone or can't be read stops nobody.
        let Some(parent) = look(folders, origin.schema).ok().flatten() else { break };
        next = parent.origin();
        // Where the origin was lost and is itself a copy of what was made of it, it is changed only by what came after that.
        let made_of_ours = next.filter(|(_, up)| visited.contains(&up.schema)).map(|(made, _)| made);
        visited.push(origin.schema);
        if meaning.last_change(&parent.documents) > made_of_ours.unwrap_or(origin.revision) {
            later = Some(parent);
        }
    }
    later
}

/// Makes the folder of `schema` of `from`, in the place of one that may be there.
fn make<F: Folders>(
    folders: &mut F,
    schema: u32,
    from: &Seen,
    meaning: &impl Meaning,
) -> Result<(), OpenError> {
    let no_way = |why| OpenError::NoWay { found: from.schema, wanted: schema, why };
    let bodies = meaning.migrate(from.schema, &from.documents).map_err(no_way)?;
    let revision = Revision(from.revision.0 + 1);
    let mut documents: Documents = bodies
        .into_iter()
        .map(|(key, body)| {
            let before = from.documents.get(&key).filter(|before| before.body == body);
            let revision = before.map_or(revision, |before| before.revision);
            (key, Document { revision, body })
        })
        .collect();
    if let Some(key) = origin_key() {
        let origin = Origin { schema: from.schema, revision: from.revision };
        documents.insert(key, Document { revision, body: origin.write().into_bytes().into() });
    }
    let [own, new, before] = [Name::Own, Name::New, Name::PutAside].map(|which| name(schema, which));
    folders.remove(&new)?;
    truth::write(&mut folders.take(&new)?, schema, revision, &documents)?;
    if folders.list()?.contains(&own) {
        folders.remove(&before)?;
        folders.rename(&own, &before)?;
    } else {
        // A folder without a store in it: what a start leaves whose power went before anything was written.
        folders.remove(&own)?;
    }
    folders.rename(&new, &own)?;
    Ok(folders.sync()?)
}

/// What was made of the folder of `schema` and changed since. One that can't be read tells nothing.
fn elsewhere<F: Folders>(folders: &F, schema: u32, others: &[u32], meaning: &impl Meaning) -> Vec<Changes> {
    let of_ours = |seen: &Seen| seen.origin().is_some_and(|(_, origin)| origin.schema == schema);
    let seen = others.iter().filter_map(|other| look(folders, *other).ok().flatten()).filter(of_ours);
    seen.filter_map(|seen| seen.changes(meaning, &name(seen.schema, Name::Own))).collect()
}

fn origin_key() -> Option<Key> {
    Key::new(ORIGIN.0, ORIGIN.1).ok()
}
