//! A6: a configuration of another schema, with what is sealed in it: migrated on a copy, fallen back to, imported.

use super::*;
use crate::configuration::migration::Migration;
use domain::alarm::Fact;
use domain::config::schema::{Content, Documents as All, Place, SCHEMA, STEPS};
use std::path::Path;
use store::{Bodies, Documents, Edit, Meaning, OpenError, Revision};

const ENTRY: &str = "\n[[phonebook_entries]]\nname = \"A/V Room\"\naliases = [\"sip:av@example.com\"]\n";

/// A release of schema 1, as far as a store is concerned.
struct Older;

impl Meaning for Older {
    fn migrate(&self, from: u32, _: &Documents) -> Result<Bodies, String> {
        Err(format!("schema {from} was not known then"))
    }

    fn last_change(&self, documents: &Documents) -> Revision {
        documents.values().map(|document| document.revision).max().unwrap_or_default()
    }

    fn is_written(&self, _: &Key) -> bool {
        true
    }
}

fn older(folder: &Path) -> store::Store {
    store::Store::open(folder, 1, &Older).unwrap().0
}

fn put(store: &store::Store, collection: &str, id: &str, body: &[u8]) {
    let edit = Edit::put(Key::new(collection, id).unwrap(), Expected::Anything, body);
    store.change(&[edit], |_| Ok::<_, std::convert::Infallible>(())).unwrap();
}

/// A box whose store a release of schema 1 has written, and its key.
fn of_schema_1() -> TempDir {
    let (from, configuration) = {
        let folder = tempfile::tempdir().unwrap();
        let configuration = opened(&folder, Some(&format!("{FIRST}{ENTRY}")));
        (folder, configuration)
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(from.path().join("data.key"), folder.path().join("data.key")).unwrap();
    let (_, documents) = configuration.store.all();
    let place = |key: &Key| Place::new(key.collection(), key.id());
    let json = |body: &[u8]| serde_json::from_slice(body).unwrap();
    let mut all = All::default();
    for (key, document) in documents.iter().filter(|(key, _)| key.collection() != "secrets") {
        all.0.insert(place(key), Content::Json(json(&document.body)));
    }
    assert!(STEPS.migrate(SCHEMA, 1, &mut all).unwrap().is_empty());
    let store = older(folder.path());
    for (place, content) in all.0 {
        let Content::Json(body) = content else { panic!("{place}") };
        // A line of the audit log is what it is to the byte.
        let same = documents.get(&Key::new(&place.collection, &place.id).unwrap());
        let body = same.map_or_else(|| body.to_string().into_bytes(), |document| document.body.to_vec());
        put(&store, &place.collection, &place.id, &body);
    }
    let sealed = documents.iter().filter(|(key, _)| key.collection() == "secrets");
    sealed.for_each(|(key, document)| put(&store, "secrets", key.id(), &document.body));
    folder
}

fn left_behind(configuration: &Configuration) -> Vec<String> {
    let left = |fact: &Fact| match fact {
        Fact::SettingsLeftBehind { place, why } => Some(format!("{place}: {why}")),
        _ => None,
    };
    configuration.found().iter().filter_map(left).collect()
}

#[test]
fn a6_a_store_of_the_schema_before_is_migrated_with_its_secrets_and_stays_as_it_is() {
    let folder = of_schema_1();
    let before = bytes(&folder.path().join("v1"));
    let configuration = opened(&folder, None);
    assert_eq!(configuration.now().token("tenant a").unwrap().value.expose(), "PLANTED-VALUE");
    assert!(configuration.get(Kind::PhonebookEntries, "A%2FV Room").unwrap().is_some());
    assert!(configuration.get(Kind::PhonebookEntries, "A/V Room").unwrap().is_none());
    // It is in the log, whose chain goes on.
    let line = &configuration.audit(None, 1)[0];
    assert_eq!((line.act.as_str(), line.detail[0].as_str()), ("migrate", "from schema 1 to schema 2"));
    assert_eq!(configuration.audit_trouble(), None);
    assert!(configuration.found().is_empty(), "{:?}", configuration.found());
    configuration.change("ann", &[location()]).unwrap();
    assert_eq!(bytes(&folder.path().join("v1")), before);
    drop(configuration);
    assert!(opened(&folder, None).get(Kind::Locations, "head office").unwrap().is_some());
}

#[test]
fn a6_what_was_changed_under_the_older_release_later_holds_and_what_is_left_behind_is_told() {
    let folder = of_schema_1();
    let configuration = opened(&folder, None);
    configuration.change("ann", &[location()]).unwrap();
    drop(configuration);
    // When the box falls back, and somebody goes on there.
    put(&older(folder.path()), "locations", "branch", br#"{"name":"branch","networks":["10.2.0.0/16"]}"#);
    let configuration = opened(&folder, None);
    assert!(configuration.get(Kind::Locations, "branch").unwrap().is_some());
    assert!(configuration.get(Kind::Locations, "head office").unwrap().is_none());
    let left = left_behind(&configuration);
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].starts_with("v2.before: ") && left[0].contains("locations/head office"), "{left:?}");
}

#[test]
fn a6_book_keeping_of_the_older_release_makes_nothing_stale() {
    let folder = of_schema_1();
    let configuration = opened(&folder, None);
    configuration.change("ann", &[location()]).unwrap();
    drop(configuration);
    put(&older(folder.path()), "audit", "00000000000000000099", b"somebody looked");
    let configuration = opened(&folder, None);
    assert!(configuration.get(Kind::Locations, "head office").unwrap().is_some());
    assert!(left_behind(&configuration).is_empty());
}

#[test]
fn a6_a_store_of_a_later_release_alone_is_not_taken_for_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let later = store::Store::open(folder.path(), SCHEMA + 1, &Older).unwrap().0;
    put(&later, "settings", "gateway", b"{}");
    drop(later);
    let key = Arc::new(DataKey::load(&folder.path().join("data.key")).unwrap());
    let first = Some(("gantry.toml", FIRST));
    let error = Configuration::open(folder.path(), Secrets::new(key), first).err().unwrap();
    assert!(matches!(&error, NoConfiguration::Store(OpenError::NoWay { found: 3, .. })), "{error}");
    assert!(error.to_string().contains("start the release that wrote it"), "{error}");
}

#[test]
fn a6_a_secret_whose_place_changes_is_sealed_for_its_new_place_and_one_that_can_not_be_opened_stays() {
    let (_folder, configuration) = begun();
    let secrets = configuration.secrets();
    let (was, will) = (Place::new("secrets", "tokens/a#value"), Place::new("secrets", "tokens/b#value"));
    let mut documents = Documents::new();
    let mut keep = |place: &Place, body: &[u8]| {
        let document = store::Document { revision: Revision(1), body: body.into() };
        documents.insert(Key::new(&place.collection, &place.id).unwrap(), document);
    };
    keep(&was, &secrets.seal(&was.id, "PLANTED").unwrap());
    let lost = Place::new("secrets", "tokens/lost#value");
    keep(&lost, b"sealed by a key that is gone");
    let migration = Migration::new(secrets);
    let body = migration.body(&will, Content::Opaque(was.clone()), &documents).unwrap();
    assert_eq!(secrets.open(&will.id, &body).as_deref(), Some("PLANTED"));
    assert_eq!(secrets.open(&was.id, &body), None);
    let body = migration.body(&will, Content::Opaque(lost), &documents).unwrap();
    assert_eq!(&*body, b"sealed by a key that is gone");
}

#[test]
fn a6_an_archive_of_the_schema_before_is_imported_by_the_same_steps() {
    let (_folder, configuration) = begun();
    let entry = json!({ "name": "A/V Room", "aliases": ["sip:av@example.com"] });
    let mut contents = configuration.contents(true);
    contents.documents.entry("phonebook-entries".into()).or_default().insert("A/V Room".into(), entry);
    let (contents, unsaid) = contents.migrated(1).unwrap();
    assert!(unsaid.is_empty(), "{unsaid:?}");
    assert!(contents.documents["phonebook-entries"].contains_key("A%2FV Room"));
    assert_eq!(contents.secrets["access-tokens/tenant a#value"], "PLANTED-VALUE");
    let edits = configuration.replacing(&contents).unwrap();
    configuration.commit("ann", "import", Vec::new(), edits).unwrap();
    assert!(configuration.get(Kind::PhonebookEntries, "A%2FV Room").unwrap().is_some());
}
