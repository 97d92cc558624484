//! How the configuration is kept, as the alarms are told: whether the disk takes changes, what can't be opened, what a start found.

use super::{Configuration, SecretPlace};
use domain::alarm::{Fact, Health};
use domain::config::schema::SCHEMA;
use std::collections::BTreeSet;
use store::{Changes, Index, Opened};
use tokio::sync::watch;

/// What the store is called where it is told of.
const NAME: &str = "configuration";
/// What its index is.
const INDEX: &str = "configuration index";
/// What the audit log is.
const AUDIT: &str = "audit log";
/// Secrets that an alarm names.
const NAMED: usize = 5;

/// How it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Whether the disk took the last change.
    pub disk: Health,
    /// What is sealed and can't be opened.
    pub unreadable: BTreeSet<SecretPlace>,
}

impl Configuration {
    /// How it stands: levels, to be told as often as one likes.
    #[must_use]
    pub fn facts(&self) -> Vec<Fact> {
        let Standing { disk, unreadable } = self.standing.borrow().clone();
        let audit = self.audit_trouble().map_or(Health::Good, |why| Health::Bad {
            why: format!("{why}; who could write the store? export the log and look into it"),
        });
        vec![
            Fact::Store { name: NAME.to_owned(), health: disk },
            Fact::Store { name: AUDIT.to_owned(), health: audit },
            Fact::Secrets { name: NAME.to_owned(), health: unread(&unreadable) },
        ]
    }

    /// What the start found: moments, to be told once.
    #[must_use]
    pub fn found(&self) -> &[Fact] {
        &self.found
    }

    /// How it stands now.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// Hears when it stands otherwise.
    #[must_use]
    pub fn watch_standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// The fields of a resource whose secrets are kept and can't be opened.
    #[must_use]
    pub fn unreadable(&self, kind: domain::api::Kind, id: &str) -> Vec<&'static str> {
        let standing = self.standing.borrow();
        let mine = standing.unreadable.iter().filter(|place| place.kind == kind && place.name == id);
        mine.map(|place| place.field).collect()
    }

    /// The disk took a change, or not.
    pub(super) fn disk(&self, health: Health) {
        self.standing.send_if_modified(|standing| {
            let changed = standing.disk != health;
            standing.disk = health;
            changed
        });
    }

    /// These can't be opened.
    pub(super) fn unread(&self, unreadable: BTreeSet<SecretPlace>) {
        self.standing.send_if_modified(|standing| {
            let changed = standing.unreadable != unreadable;
            standing.unreadable = unreadable;
            changed
        });
    }
}

/// How the disk is right after the store was opened.
pub(super) fn disk_of(opened: &Opened) -> Health {
    match (&opened.found.trouble, &opened.index) {
        (Some(why), _) => Health::Bad { why: format!("no change can be kept: {why}") },
        (None, Index::Missing(why)) => Health::Bad { why: format!("it has no index: {why}") },
        (None, Index::Kept | Index::Made(_)) => Health::Good,
    }
}

fn unread(unreadable: &BTreeSet<SecretPlace>) -> Health {
    if unreadable.is_empty() {
        return Health::Good;
    }
    let some: Vec<_> = unreadable.iter().take(NAMED).map(ToString::to_string).collect();
    let more = unreadable.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let why =
        format!("sealed by a key that is not here any more: {}{more}; enter them anew", some.join(", "));
    Health::Bad { why }
}

/// What is to be told of an opening, and of what a migration could not say.
pub(super) fn found(opened: &Opened, unsaid: &[String]) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mended = |name: &str, what| Fact::StoreMended { name: name.to_owned(), what };
    if !opened.found.damaged.is_empty() {
        let which = opened.found.damaged.join(", ");
        facts.push(mended(
            NAME,
            format!("{which} was not whole; the other copy and the journals had everything"),
        ));
    }
    // A store that is new, or was just made of another one's documents, has no index yet.
    if let (Index::Made(why), false, false) = (&opened.index, opened.found.new, opened.lineage.migrated) {
        facts.push(mended(INDEX, format!("it was made anew: {why}")));
    }
    let left = |place: &str, why: String| Fact::SettingsLeftBehind { place: place.to_owned(), why };
    if let Some(changes) = &opened.lineage.put_aside {
        let why = "settings were changed under an older release after these, and hold now";
        facts.push(left(&changes.folder, format!("{why}; those here do not: {}", named(changes))));
    }
    for changes in &opened.lineage.elsewhere {
        let why = "changed under another release, and not in force under this one";
        facts.push(left(&changes.folder, format!("{why}: {}", named(changes))));
    }
    if let Some(first) = unsaid.first() {
        let why = format!("schema {SCHEMA} can't say everything: {first}; the audit log has it all");
        facts.push(left(&format!("v{SCHEMA}"), why));
    }
    facts
}

fn named(changes: &Changes) -> String {
    match changes.written.as_slice() {
        [] => "some were removed".to_owned(),
        written => written.join(", "),
    }
}
