//! Schema 1 to 2: the id of a phonebook entry says which part of it is the group.
//!
//! ```text
//!  group    name      1             2
//!  Berlin   Board     Berlin/Board  Berlin/Board
//!  -        Board     Board         Board
//!  -        A/V Room  A/V Room      A%2FV Room       in schema 1 the same as that of
//!  A        V Room    A/V Room      A/V Room         this one, so only one of them could be kept
//! ```
//! In schema 2 a `/` or `%` of the group, or of a name without one, is percent-encoded (RFC 3986 2.1); so the first `/` ends the group.

use super::{Documents, Unsaid};
use serde_json::Value;
use std::collections::BTreeMap;

const COLLECTION: &str = "phonebook-entries";

pub(super) fn up(documents: &mut Documents) {
    let moves = moves(documents, old, new);
    // What stays is found by its body all the same; only the way to it is the old one.
    documents.rename(COLLECTION, moves);
}

pub(super) fn down(documents: &mut Documents) -> Vec<Unsaid> {
    let moves = moves(documents, new, old);
    let told = |id: String| Unsaid {
        place: super::Place::new(COLLECTION, &id),
        what: "another entry has the id that it would have in schema 1; it keeps this one".to_owned(),
    };
    documents.rename(COLLECTION, moves).into_iter().map(told).collect()
}

/// The ids of entries that stand where `is` has them and belong where `to` has them.
fn moves(
    documents: &Documents,
    is: fn(Option<&str>, &str) -> String,
    to: fn(Option<&str>, &str) -> String,
) -> BTreeMap<String, String> {
    let other = |(id, body): (&str, &Value)| {
        let (group, name) = names(body)?;
        let (is, to) = (is(group, name), to(group, name));
        (is == id && to != id).then_some((is, to))
    };
    documents.of(COLLECTION).filter_map(other).collect()
}

fn names(body: &Value) -> Option<(Option<&str>, &str)> {
    let text = |field: &str| body.get(field).and_then(Value::as_str);
    Some((text("group"), text("name")?))
}

fn old(group: Option<&str>, name: &str) -> String {
    group.map_or_else(|| name.to_owned(), |group| format!("{group}/{name}"))
}

fn new(group: Option<&str>, name: &str) -> String {
    let encoded = |text: &str| text.replace('%', "%25").replace('/', "%2F");
    group.map_or_else(|| encoded(name), |group| format!("{}/{name}", encoded(group)))
}
