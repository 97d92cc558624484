//! Every pair of schemas, up and down: the real ones, and four of the test's own, with fields and secrets that go elsewhere.

use super::*;
use crate::api::Kind;
use proptest::prelude::*;
use serde_json::json;

fn json_at(documents: &Documents, collection: &str, id: &str) -> Option<Value> {
    match documents.0.get(&Place::new(collection, id)) {
        Some(Content::Json(body)) => Some(body.clone()),
        _ => None,
    }
}

fn documents(bodies: &[(&str, &str, Value)]) -> Documents {
    let content = |(collection, id, body): &(&str, &str, Value)| {
        (Place::new(collection, id), Content::Json(body.clone()))
    };
    Documents(bodies.iter().map(content).collect())
}

fn seal(documents: &mut Documents, id: &str) {
    let place = Place::new(SECRETS, id);
    documents.0.insert(place.clone(), Content::Opaque(place));
}

/// As schema 1 keeps them: one in each place.
fn phonebook(entries: &[(Option<String>, String)]) -> Documents {
    let mut documents = documents(&[("settings", "gateway", json!({ "domains": ["meet.example.com"] }))]);
    for (group, name) in entries {
        let id = group.as_ref().map_or_else(|| name.clone(), |group| format!("{group}/{name}"));
        let mut body = json!({ "name": name, "aliases": ["sip:a@example.com"] });
        if let Some(group) = group {
            body["group"] = json!(group);
        }
        documents.0.insert(Place::new("phonebook-entries", &id), Content::Json(body));
    }
    documents
}

fn entry(group: Option<&str>, name: &str) -> (Option<String>, String) {
    (group.map(str::to_owned), name.to_owned())
}

/// A6
#[test]
fn two_entries_that_schema_1_could_not_tell_apart_have_ids_of_their_own() {
    let mut documents =
        phonebook(&[entry(None, "A/V Room"), entry(Some("Berlin"), "Board"), entry(None, "100%")]);
    let before = documents.clone();
    assert_eq!(STEPS.migrate(1, 2, &mut documents), Ok(vec![]));
    for id in ["A%2FV Room", "Berlin/Board", "100%25"] {
        assert!(json_at(&documents, "phonebook-entries", id).is_some(), "{id}: {documents:?}");
    }
    // There is room for the other one now, and the way down says that there is not.
    let other = json!({ "name": "V Room", "group": "A", "aliases": [] });
    documents.0.insert(Place::new("phonebook-entries", "A/V Room"), Content::Json(other.clone()));
    let unsaid = STEPS.migrate(2, 1, &mut documents).unwrap();
    assert_eq!(unsaid.len(), 1, "{unsaid:?}");
    assert_eq!(unsaid[0].place, Place::new("phonebook-entries", "A%2FV Room"));
    assert_eq!(documents.0.len(), before.0.len() + 1, "nothing is lost");
    assert_eq!(json_at(&documents, "phonebook-entries", "A/V Room"), Some(other));
}

#[test]
fn the_newest_schema_is_the_one_that_this_release_writes() {
    assert_eq!(STEPS.newest(), SCHEMA);
    // And what a step makes of an id is what a resource is called today.
    let body = json!({ "name": "Room/1", "group": "50%/A", "aliases": [] });
    let mut documents = phonebook(&[entry(Some("50%/A"), "Room/1")]);
    STEPS.migrate(1, SCHEMA, &mut documents).unwrap();
    let id = Kind::PhonebookEntries.id(&body).unwrap();
    assert!(json_at(&documents, "phonebook-entries", &id).is_some(), "{id}: {documents:?}");
}

#[test]
fn a_schema_that_is_not_known_changes_nothing_and_is_named() {
    let mut documents = phonebook(&[entry(None, "a/b")]);
    let before = documents.clone();
    for (from, to, asked) in [(0, 1, 0), (1, 3, 3), (9, 1, 9), (u32::MAX, 2, u32::MAX)] {
        assert_eq!(STEPS.migrate(from, to, &mut documents), Err(Unknown { asked, newest: 2 }));
    }
    assert_eq!(documents, before);
}

/// Schemas of the test's own: 2 calls a secret field otherwise, 3 gives documents other ids, 4 has a field that nobody had before.
const OWN: Steps = Steps(&[
    Step {
        up: |documents| rename_field(documents, "value", "token"),
        down: |documents| {
            rename_field(documents, "token", "value");
            Vec::new()
        },
    },
    Step {
        up: |documents| {
            let ids = ids(documents, |id| Some(format!("t-{id}")));
            documents.rename("tokens", ids);
        },
        down: |documents| {
            let ids = ids(documents, |id| id.strip_prefix("t-").map(str::to_owned));
            documents.rename("tokens", ids);
            Vec::new()
        },
    },
    Step {
        up: |_| {},
        down: |documents| {
            let mut unsaid = Vec::new();
            for (place, content) in &mut documents.0 {
                let Content::Json(Value::Object(fields)) = content else { continue };
                if place.collection == "tokens" && fields.remove("colour").is_some() {
                    unsaid.push(Unsaid { place: place.clone(), what: "its colour is left out".to_owned() });
                }
            }
            unsaid
        },
    },
]);

fn ids(documents: &Documents, other: impl Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
    let other = |id: &str| Some((id.to_owned(), other(id)?));
    documents.of("tokens").filter_map(|(id, _)| other(id)).collect()
}

/// A secret lies at another place then.
fn rename_field(documents: &mut Documents, from: &str, to: &str) {
    let end = format!("#{from}");
    let place = |place: &Place| {
        let id = place.id.strip_suffix(&end).filter(|_| place.collection == SECRETS)?;
        Some((place.clone(), Place::new(SECRETS, &format!("{id}#{to}"))))
    };
    let moves: Vec<_> = documents.0.keys().filter_map(place).collect();
    for (from, to) in moves {
        if let Some(content) = documents.0.remove(&from) {
            documents.0.insert(to, content);
        }
    }
}

/// A6
#[test]
fn a_secret_goes_with_its_document_and_its_field_and_knows_where_it_was_sealed_for() {
    let mut all = documents(&[("tokens", "a", json!({})), ("tokens", "a#b", json!({}))]);
    seal(&mut all, "tokens/a#value");
    seal(&mut all, "tokens/a#b#value");
    OWN.migrate(1, 4, &mut all).unwrap();
    for (id, was) in [("tokens/t-a#token", "tokens/a#value"), ("tokens/t-a#b#token", "tokens/a#b#value")] {
        let content = all.0.get(&Place::new(SECRETS, id));
        assert_eq!(content, Some(&Content::Opaque(Place::new(SECRETS, was))), "{all:?}");
    }
}

/// A6
#[test]
fn every_pair_of_schemas_migrates_up_and_down_and_what_can_not_be_said_is_told() {
    let schemas = 1..=OWN.newest();
    for (from, to) in schemas.clone().flat_map(|from| schemas.clone().map(move |to| (from, to))) {
        let mut all = documents(&[("tokens", "a", json!({ "trust": "trusted" }))]);
        seal(&mut all, "tokens/a#value");
        OWN.migrate(1, from, &mut all).unwrap();
        let before = all.clone();
        assert_eq!(OWN.migrate(from, to, &mut all).unwrap(), vec![], "{from} to {to}");
        OWN.migrate(to, from, &mut all).unwrap();
        assert_eq!(all, before, "{from} to {to} and back");
        if from == 4 && to < 4 {
            for (place, content) in &mut all.0 {
                if let (Content::Json(body), "tokens") = (content, place.collection.as_str()) {
                    body["colour"] = json!("red");
                }
            }
            assert_eq!(OWN.migrate(from, to, &mut all).unwrap().len(), 1, "{from} to {to}");
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any_id().prop_map(Value::from)
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("name|group|aliases|value|t", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect()))
        ]
    })
}

/// Few different ones, so that they meet.
fn any_id() -> impl Strategy<Value = String> {
    "[ab/%]{0,3}|[ab]%2F[ab]|a%25|t-[ab]"
}

/// Whatever a store may hold, and a body that stands where it says as often as one that does not.
fn hostile() -> impl Strategy<Value = Documents> {
    let entry = (proptest::option::of(any_id()), any_id()).prop_map(|(group, name)| {
        let documents = phonebook(&[(group, name)]);
        documents.0.into_iter().next().unwrap()
    });
    let collection = prop_oneof![Just("phonebook-entries"), Just("tokens"), Just("audit")];
    let any_body = (collection, any_id(), any_json())
        .prop_map(|(collection, id, body)| (Place::new(collection, &id), Content::Json(body)));
    let sealed = (any_id(), "value|token").prop_map(|(id, field)| {
        let place = Place::new(SECRETS, &format!("phonebook-entries/{id}#{field}"));
        (place.clone(), Content::Opaque(place))
    });
    let any = prop_oneof![3 => entry, 2 => any_body, 1 => sealed];
    proptest::collection::vec(any, 0..12).prop_map(|all| Documents(all.into_iter().collect()))
}

proptest! {
    /// A6
    #[test]
    fn up_and_down_again_loses_nothing_whatever_the_documents_say(before in hostile()) {
        let mut documents = before.clone();
        STEPS.migrate(1, SCHEMA, &mut documents).unwrap();
        prop_assert_eq!(documents.0.len(), before.0.len());
        STEPS.migrate(SCHEMA, 1, &mut documents).unwrap();
        prop_assert_eq!(documents, before);
    }

    #[test]
    fn down_loses_no_document_and_up_again_brings_every_entry_to_its_id(before in hostile()) {
        let mut documents = before.clone();
        STEPS.migrate(SCHEMA, 1, &mut documents).unwrap();
        prop_assert_eq!(documents.0.len(), before.0.len());
        STEPS.migrate(1, SCHEMA, &mut documents).unwrap();
        prop_assert_eq!(documents.0.len(), before.0.len());
    }

    #[test]
    fn a_phonebook_that_schema_1_can_say_is_found_by_its_new_ids(
        entries in proptest::collection::vec((proptest::option::of("[ab/%]{1,3}"), "[ab/%]{1,3}"), 0..8),
    ) {
        let mut documents = phonebook(&entries);
        STEPS.migrate(1, 2, &mut documents).unwrap();
        for (id, body) in documents.of("phonebook-entries") {
            prop_assert_eq!(Some(id.to_owned()), Kind::PhonebookEntries.id(body));
        }
    }
}
