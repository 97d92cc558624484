//! A6: documents of another schema are migrated on a copy, and wherever the power goes, every acknowledged change is there.
//!
//! The documents of these tests say their schema before what they say: `2:hello`. Keys under `book` are nobody's settings.

use crate::sim::Left;
use crate::sim::home::{Drawer, Home, Images};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use std::collections::BTreeMap;
use store::{
    Bodies, Changes, Documents, Edit, Expected, Key, Lineage, Meaning, OpenError, Revision, Truth,
    open_lineage,
};

const JOURNAL_BYTES: u64 = 8 * 1024;
/// Changes that are tried with each cut.
const VARIANTS: usize = 12;

/// Knows schemas up to this one.
struct Prefixed {
    to: u32,
    newest: u32,
}

impl Meaning for Prefixed {
    fn migrate(&self, from: u32, documents: &Documents) -> Result<Bodies, String> {
        if from > self.newest {
            return Err(format!("this release knows schemas up to {}", self.newest));
        }
        let said = |body: &[u8]| String::from_utf8_lossy(body).split_once(':').unwrap().1.to_owned();
        let migrated = documents.iter().filter(|(key, _)| key.collection() != "store");
        let body = |(key, document): (&Key, &store::Document)| {
            (key.clone(), format!("{}:{}", self.to, said(&document.body)).into_bytes().into())
        };
        Ok(migrated.map(body).collect())
    }

    fn last_change(&self, documents: &Documents) -> Revision {
        let written = documents.iter().filter(|(key, _)| self.is_written(key));
        written.map(|(_, document)| document.revision).max().unwrap_or_default()
    }

    fn is_written(&self, key: &Key) -> bool {
        key.collection() == "rules"
    }
}

type Opened = (Truth<Drawer>, Lineage);

fn start(home: &Home, schema: u32) -> Result<Opened, OpenError> {
    let meaning = Prefixed { to: schema, newest: 4.max(schema) };
    open_lineage(&mut home.clone(), schema, JOURNAL_BYTES, &meaning)
        .map(|(truth, _, lineage)| (truth, lineage))
}

fn key(id: &str) -> Key {
    Key::new("rules", id).unwrap()
}

fn write(truth: &mut Truth<Drawer>, schema: u32, id: &str, said: &str) {
    let body = format!("{schema}:{said}");
    truth.change(&[Edit::put(key(id), Expected::Anything, body.as_bytes())]).unwrap();
}

fn note(truth: &mut Truth<Drawer>, schema: u32) {
    let key = Key::new("book", "keeping").unwrap();
    truth.change(&[Edit::put(key, Expected::Anything, format!("{schema}:x").as_bytes())]).unwrap();
}

/// What the rules say, each by the schema that is open.
fn said(truth: &Truth<Drawer>, schema: u32) -> BTreeMap<String, String> {
    let rules = truth.documents().iter().filter(|(key, _)| key.collection() == "rules");
    let said = |body: &[u8]| {
        let text = String::from_utf8(body.to_vec()).unwrap();
        text.strip_prefix(&format!("{schema}:"))
            .unwrap_or_else(|| panic!("{text:?} in schema {schema}"))
            .to_owned()
    };
    rules.map(|(key, document)| (key.id().to_owned(), said(&document.body))).collect()
}

fn as_said(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(id, said)| ((*id).to_owned(), (*said).to_owned())).collect()
}

/// A box of schema 1 with two rules, the second of them in the journal alone.
fn of_schema_1() -> Images {
    let home = Home::of(&Images::new(), None);
    let (mut truth, _) = start(&home, 1).unwrap();
    write(&mut truth, 1, "guests", "one");
    write(&mut truth, 1, "staff", "two");
    whole(&home)
}

/// Everything that is on the disk if the power goes now, at the worst.
fn whole(home: &Home) -> Images {
    home.cut(Left::Nothing, &mut SmallRng::seed_from_u64(1))
}

#[test]
fn a6_a_release_that_finds_none_of_its_schema_takes_the_nearest_older_one_and_leaves_it_as_it_is() {
    let before = of_schema_1();
    let home = Home::of(&before, None);
    let (mut truth, lineage) = start(&home, 3).unwrap();
    assert_eq!(said(&truth, 3), as_said(&[("guests", "one"), ("staff", "two")]));
    assert!(lineage.migrated && lineage.put_aside.is_none() && lineage.elsewhere.is_empty(), "{lineage:?}");
    assert_eq!(lineage.origin.map(|origin| (origin.schema, origin.revision)), Some((1, Revision(2))));
    write(&mut truth, 3, "guests", "three");
    drop(truth);
    assert_eq!(whole(&home)["v1"], before["v1"], "what the other slot goes on with");
    // And a later start goes on with its own.
    let (truth, lineage) = start(&home, 3).unwrap();
    assert_eq!(said(&truth, 3), as_said(&[("guests", "three"), ("staff", "two")]));
    assert!(!lineage.migrated);
    // A third schema takes the nearer of the two.
    let (truth, lineage) = start(&home, 4).unwrap();
    assert_eq!((said(&truth, 4)["guests"].as_str(), lineage.origin.unwrap().schema), ("three", 3));
}

#[test]
fn a6_where_there_is_only_a_newer_one_that_is_taken_if_the_way_down_is_known() {
    let home = Home::of(&Images::new(), None);
    let (mut truth, _) = start(&home, 2).unwrap();
    write(&mut truth, 2, "guests", "one");
    let (truth, lineage) = start(&home, 1).unwrap();
    assert_eq!((said(&truth, 1), lineage.migrated), (as_said(&[("guests", "one")]), true));
    // And where it is not known, nothing is begun in its place.
    let home = Home::of(&Images::new(), None);
    write(&mut start(&home, 9).unwrap().0, 9, "guests", "one");
    let error = start(&home, 2).map(drop).unwrap_err().to_string();
    assert!(error.contains("in schema 9 alone") && error.contains("schemas up to 4"), "{error}");
    assert_eq!(whole(&home).keys().collect::<Vec<_>>(), ["v9"]);
}

#[test]
fn a6_a_slot_that_is_fallen_back_to_goes_on_with_its_own_and_hears_what_it_does_not_have() {
    let home = Home::of(&of_schema_1(), None);
    let (mut truth, _) = start(&home, 2).unwrap();
    let (_, lineage) = start(&home, 1).unwrap();
    assert!(lineage.elsewhere.is_empty(), "nothing was changed yet");
    write(&mut truth, 2, "guests", "of schema 2");
    note(&mut truth, 2);
    let (truth, lineage) = start(&home, 1).unwrap();
    assert_eq!(said(&truth, 1), as_said(&[("guests", "one"), ("staff", "two")]));
    let changes = Changes { folder: "v2".into(), schema: 2, written: vec!["rules/guests".into()] };
    assert_eq!(lineage.elsewhere, [changes]);
    assert_eq!(lineage.origin, None);
}

#[test]
fn a6_what_was_changed_last_holds_and_what_was_there_is_put_aside() {
    let home = Home::of(&of_schema_1(), None);
    write(&mut start(&home, 2).unwrap().0, 2, "guests", "of schema 2");
    // When the box falls back, and somebody goes on there.
    let (mut truth, _) = start(&home, 1).unwrap();
    note(&mut truth, 1);
    assert!(start(&home, 2).unwrap().1.put_aside.is_none(), "what nobody asked for makes nothing stale");
    write(&mut truth, 1, "staff", "later");
    // Then the newer release goes on with that, and says what it does not have any more.
    let (truth, lineage) = start(&home, 2).unwrap();
    assert_eq!(said(&truth, 2), as_said(&[("guests", "one"), ("staff", "later")]));
    let changes = Changes { folder: "v2.before".into(), schema: 2, written: vec!["rules/guests".into()] };
    assert_eq!((lineage.put_aside, lineage.migrated), (Some(changes), true));
    drop(truth);
    let left = whole(&home);
    assert_eq!(left.keys().collect::<Vec<_>>(), ["v1", "v2", "v2.before"]);
    // Once.
    assert!(!start(&home, 2).unwrap().1.migrated);
}

#[test]
fn a6_what_was_changed_last_holds_over_a_chain_of_copies_too() {
    let home = Home::of(&of_schema_1(), None);
    drop(start(&home, 2).unwrap());
    drop(start(&home, 3).unwrap());
    write(&mut start(&home, 1).unwrap().0, 1, "staff", "later");
    let (truth, lineage) = start(&home, 3).unwrap();
    assert_eq!((said(&truth, 3)["staff"].as_str(), lineage.origin.unwrap().schema), ("later", 1));
    // A release that has never run here doesn't take the copy that was overtaken either.
    let (truth, _) = start(&home, 4).unwrap();
    assert_eq!(said(&truth, 4)["staff"], "later");
    assert!(!start(&home, 3).unwrap().1.migrated);
}

#[test]
fn a6_an_older_one_that_was_lost_and_made_anew_overtakes_nothing_until_it_is_changed() {
    let mut images = of_schema_1();
    let home = Home::of(&images, None);
    let (mut truth, _) = start(&home, 2).unwrap();
    (0..9).for_each(|number| write(&mut truth, 2, "guests", &number.to_string()));
    images = whole(&home);
    images.remove("v1");
    let home = Home::of(&images, None);
    let (mut truth, _) = start(&home, 1).unwrap();
    assert_eq!(said(&truth, 1)["guests"], "8");
    assert!(!start(&home, 2).unwrap().1.migrated);
    write(&mut truth, 1, "guests", "later");
    assert_eq!(said(&start(&home, 2).unwrap().0, 2)["guests"], "later");
}

#[test]
fn a_copy_goes_on_when_its_origin_is_damaged_and_a_release_without_one_does_not_pass_over_it() {
    // So many changes that both sides have a snapshot.
    let home = Home::of(&of_schema_1(), None);
    let (mut truth, _) = start(&home, 1).unwrap();
    (0..40).for_each(|number| write(&mut truth, 1, "long", &format!("{number} ").repeat(300)));
    drop(start(&home, 2).unwrap());
    let mut images = whole(&home);
    for snapshot in images.get_mut("v1").unwrap()[..2].iter_mut().flatten() {
        snapshot[40] ^= 1;
    }
    let home = Home::of(&images, None);
    assert_eq!(said(&start(&home, 2).unwrap().0, 2)["guests"], "one");
    images.remove("v2");
    let error = start(&Home::of(&images, None), 2).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::Damaged(_)), "{error}");
}

/// Starts `schema` on `images` with the power going after each call in turn; what is left is started again, and is `wanted`.
fn cut_everywhere(images: &Images, schema: u32, wanted: &BTreeMap<String, String>) -> usize {
    let home = Home::of(images, None);
    assert_eq!(&said(&start(&home, schema).unwrap().0, schema), wanted);
    let calls = home.calls();
    let mut dice = SmallRng::seed_from_u64(u64::from(schema));
    for dead_after in 0..=calls {
        for variant in 0..VARIANTS {
            let home = Home::of(images, Some(dead_after));
            drop(start(&home, schema));
            let left = match variant {
                0 => Left::Everything,
                1 => Left::Nothing,
                _ => Left::Some,
            };
            let images_left = home.cut(left, &mut dice);
            let told = format!("schema {schema}, after call {dead_after}, variant {variant}");
            // What the other slot goes on with.
            assert_eq!(images_left["v1"], images["v1"], "{told}");
            let again = Home::of(&images_left, None);
            let (mut truth, _) = start(&again, schema).unwrap_or_else(|error| panic!("{told}: {error}"));
            assert_eq!(&said(&truth, schema), wanted, "{told}");
            // It goes on, and what was acknowledged then is there after one more cut.
            write(&mut truth, schema, "guests", "after");
            let last = Home::of(&whole(&again), None);
            assert_eq!(said(&start(&last, schema).unwrap().0, schema)["guests"], "after", "{told}");
        }
    }
    calls
}

#[test]
fn a6_wherever_the_power_goes_while_a_copy_is_migrated_it_opens_with_every_acknowledged_change() {
    let calls = cut_everywhere(&of_schema_1(), 2, &as_said(&[("guests", "one"), ("staff", "two")]));
    assert!(calls > 8, "{calls} calls");
    // The same where a copy is made anew of what was changed later.
    let home = Home::of(&of_schema_1(), None);
    write(&mut start(&home, 2).unwrap().0, 2, "guests", "of schema 2");
    write(&mut start(&home, 1).unwrap().0, 1, "staff", "later");
    cut_everywhere(&whole(&home), 2, &as_said(&[("guests", "one"), ("staff", "later")]));
}

#[test]
fn a6_what_an_earlier_start_left_half_made_is_no_part_of_the_copy() {
    // A copy that was written whole, and had no name yet when the power went; its origin was changed since.
    let home = Home::of(&Images::new(), None);
    let (mut truth, _) = start(&home, 2).unwrap();
    (0..40).for_each(|number| write(&mut truth, 2, "long", &format!("{number} ").repeat(300)));
    let mut images = of_schema_1();
    images.insert("v2.new".into(), whole(&home)["v2"].clone());
    let home = Home::of(&images, None);
    let (truth, _) = start(&home, 2).unwrap();
    assert_eq!(said(&truth, 2), as_said(&[("guests", "one"), ("staff", "two")]));
    assert!(!whole(&home).contains_key("v2.new"));
}

#[test]
fn a6_every_pair_of_schemas_migrates_up_and_down() {
    for (first, second) in (1..=4).flat_map(|first| (1..=4).map(move |second| (first, second))) {
        let home = Home::of(&Images::new(), None);
        write(&mut start(&home, first).unwrap().0, first, "guests", "one");
        let (truth, lineage) = start(&home, second).unwrap();
        assert_eq!(said(&truth, second), as_said(&[("guests", "one")]));
        assert_eq!(lineage.migrated, first != second);
    }
}
