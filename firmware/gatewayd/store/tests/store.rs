//! The store on a real disk: changes, conflicts, readers, watchers, and an index that is made anew.

#![allow(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

use std::path::Path;
use std::time::Duration;
use store::{
    Bodies, Documents, Edit, Expected, Index, Key, Meaning, Opened, Refused, Revision, Store, Unchanged,
};

const SCHEMA: u32 = 1;
/// A watcher that hears nothing for so long hears nothing.
const SOON: Duration = Duration::from_secs(10);

/// Documents of one schema only.
struct OneSchema;

impl Meaning for OneSchema {
    fn migrate(&self, from: u32, _: &Documents) -> Result<Bodies, String> {
        Err(format!("nobody knows schema {from}"))
    }

    fn last_change(&self, documents: &Documents) -> Revision {
        documents.values().map(|document| document.revision).max().unwrap_or_default()
    }

    fn is_written(&self, _: &Key) -> bool {
        true
    }
}

fn key(id: &str) -> Key {
    Key::new("rules", id).unwrap()
}

fn put(id: &str, expected: Expected, body: &str) -> Edit {
    Edit::put(key(id), expected, body.as_bytes())
}

fn open(folder: &Path) -> (Store, Opened) {
    Store::open(folder, SCHEMA, &OneSchema).unwrap()
}

fn change(store: &Store, edits: &[Edit]) -> Result<Revision, Unchanged<String>> {
    store.change(edits, |_| Ok::<_, String>(())).map(|(made, ())| made.revision)
}

fn read(store: &Store, id: &str) -> Option<String> {
    let document = store.get(&key(id)).unwrap()?;
    Some(String::from_utf8(document.body.to_vec()).unwrap())
}

#[test]
fn what_was_changed_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (store, opened) = open(folder.path());
    assert!(opened.found.new);
    assert_eq!(change(&store, &[put("guests", Expected::Absent, "one")]).unwrap(), Revision(1));
    change(&store, &[put("guests", Expected::At(Revision(1)), "two"), put("staff", Expected::Absent, "x")])
        .unwrap();
    drop(store);
    let (store, opened) = open(folder.path());
    assert_eq!((opened.found.new, opened.found.replayed, &opened.index), (false, 2, &Index::Kept));
    assert_eq!(read(&store, "guests").as_deref(), Some("two"));
    assert_eq!(store.all().0, Revision(2));
}

#[test]
fn nobody_overwrites_what_they_have_not_seen_and_a_change_is_made_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    change(&store, &[put("guests", Expected::Absent, "mine")]).unwrap();
    change(&store, &[put("guests", Expected::At(Revision(1)), "yours")]).unwrap();
    let late = [put("staff", Expected::Absent, "x"), put("guests", Expected::At(Revision(1)), "mine again")];
    let refused = change(&store, &late).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "rules/guests was changed meanwhile (revision 2): read it again and change that"
    );
    assert!(change(&store, &[put("guests", Expected::Absent, "new")]).is_err());
    let gone = change(&store, &[put("nobody", Expected::At(Revision(1)), "x")]).unwrap_err();
    assert!(gone.to_string().contains("is not there any more"), "{gone}");
    assert_eq!((read(&store, "guests").as_deref(), read(&store, "staff")), (Some("yours"), None));
}

#[test]
fn a_change_that_its_check_refuses_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let check = |documents: &Documents| match documents.len() {
        0..=1 => Ok(documents.len()),
        many => Err(format!("{many} are too many")),
    };
    let (made, checked) = store.change(&[put("one", Expected::Anything, "x")], check).unwrap();
    assert_eq!((made.revision, checked), (Revision(1), 1));
    let refused = store.change(&[put("two", Expected::Anything, "x")], check).unwrap_err();
    assert_eq!(refused.to_string(), "2 are too many");
    assert_eq!((read(&store, "two"), store.all().0), (None, Revision(1)));
}

#[test]
fn what_is_too_large_or_nothing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let large = "x".repeat(store::MAX_BODY + 1);
    for edits in [vec![], vec![put("large", Expected::Anything, &large)]] {
        let refused = change(&store, &edits).unwrap_err();
        assert!(matches!(
            refused,
            Unchanged::Store(store::ChangeError::Refused(Refused::Body { .. } | Refused::Change(0)))
        ));
    }
    let many: Vec<_> =
        (0..17).map(|index| put(&format!("{index}"), Expected::Anything, &large[1..])).collect();
    assert!(change(&store, &many).unwrap_err().to_string().contains("are taken at once"));
    assert_eq!(store.all().1.len(), 0);
}

#[test]
fn a_collection_is_read_page_by_page() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let edits: Vec<_> = (0..25).map(|index| put(&format!("{index:02}"), Expected::Absent, "x")).collect();
    change(&store, &edits).unwrap();
    change(&store, &[Edit::put(Key::new("rules-2", "a").unwrap(), Expected::Absent, b"other")]).unwrap();
    let mut ids = Vec::new();
    loop {
        let page = store.list("rules", ids.last().map(String::as_str), 10).unwrap();
        if page.is_empty() {
            break;
        }
        ids.extend(page.into_iter().map(|(key, _)| key.id().to_owned()));
    }
    assert_eq!(ids, (0..25).map(|index| format!("{index:02}")).collect::<Vec<_>>());
}

#[test]
fn a_watcher_hears_each_change_of_its_collection_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let mut watcher = store.watch("rules").unwrap();
    change(&store, &[put("guests", Expected::Absent, "one")]).unwrap();
    change(&store, &[Edit::put(Key::new("tokens", "a").unwrap(), Expected::Absent, b"t")]).unwrap();
    change(&store, &[Edit::remove(key("guests"), Expected::Anything)]).unwrap();
    let first = watcher.next(SOON).unwrap();
    assert_eq!(
        (first.key, first.document.map(|document| document.revision)),
        (key("guests"), Some(Revision(1)))
    );
    let second = watcher.next(SOON).unwrap();
    assert_eq!((second.key, second.document), (key("guests"), None));
    assert_eq!(watcher.next(Duration::ZERO), None);
}

#[test]
fn an_index_that_is_gone_damaged_or_of_another_time_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let live = folder.path().join("v1/live");
    let (store, _) = open(folder.path());
    change(&store, &[put("guests", Expected::Absent, "one")]).unwrap();
    drop(store);
    let older = tempfile::tempdir().unwrap();
    copy(&live, older.path());
    let (store, _) = open(folder.path());
    change(&store, &[put("guests", Expected::Anything, "two")]).unwrap();
    drop(store);
    let harm: [&dyn Fn(); 4] = [
        &|| std::fs::remove_dir_all(&live).unwrap(),
        &|| std::fs::write(live.join("db"), vec![0x5a; 70_000]).unwrap(),
        &|| std::fs::write(live.join("conf"), "no configuration of sled's").unwrap(),
        &|| {
            std::fs::remove_dir_all(&live).unwrap();
            copy(older.path(), &live);
        },
    ];
    for (which, harm) in harm.iter().enumerate() {
        harm();
        let (store, opened) = open(folder.path());
        assert!(matches!(opened.index, Index::Made(_)), "harm {which}: {:?}", opened.index);
        assert_eq!(read(&store, "guests").as_deref(), Some("two"), "harm {which}");
    }
}

#[test]
fn where_there_can_be_no_index_documents_are_read_without_one_until_there_can() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    change(&store, &[put("a", Expected::Absent, "one"), put("b", Expected::Absent, "two")]).unwrap();
    drop(store);
    // A file stands where the index should, in a folder that nothing can be taken out of.
    let live = folder.path().join("v1/live");
    std::fs::remove_dir_all(&live).unwrap();
    std::fs::write(&live, "no folder").unwrap();
    let (store, opened) = open(folder.path());
    assert!(matches!(opened.index, Index::Missing(_)), "{:?}", opened.index);
    assert_eq!(read(&store, "a").as_deref(), Some("one"));
    let (made, ()) = store.change(&[put("c", Expected::Absent, "three")], |_| Ok::<_, String>(())).unwrap();
    assert!(made.trouble.is_some() && store.watch("rules").is_none());
    let ids = |page: Vec<(Key, store::Document)>| {
        page.into_iter().map(|(key, _)| key.id().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(store.list("rules", Some("a"), 9).unwrap()), ["b", "c"]);
    std::fs::remove_file(&live).unwrap();
    let (made, ()) = store.change(&[put("d", Expected::Absent, "four")], |_| Ok::<_, String>(())).unwrap();
    assert!(made.trouble.is_none() && store.watch("rules").is_some());
    assert_eq!(ids(store.list("rules", None, 2).unwrap()), ["a", "b"]);
    drop(store);
    assert_eq!(open(folder.path()).1.index, Index::Kept);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_store_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open(folder.path());
    let second = Store::open(folder.path(), SCHEMA, &OneSchema).map(drop).unwrap_err();
    assert!(second.to_string().contains("is in use"), "{second}");
    drop(store);
    open(folder.path());
}

#[test]
fn names_that_could_be_taken_for_others_are_none() {
    for (collection, id) in [("", "a"), ("Rules", "a"), ("a/b", "c"), ("rules", ""), ("rules", "a\nb")] {
        assert!(Key::new(collection, id).is_err(), "{collection}/{id}");
    }
    let key = Key::new("rules", "a/b ü").unwrap();
    assert_eq!((key.collection(), key.id(), key.as_str()), ("rules", "a/b ü", "rules/a/b ü"));
}
