//! A snapshot of the phonebook, and how it is searched: one text of all that entries are found by, without case.
//!
//! ```text
//!  text   board room\nberlin\nsip:board@…\0huddle\nberlin\n…\0…
//!  ends                                    ▲                 ▲   one for each entry
//! ```
//! A word is looked for in the whole text at once, which is two or three megabytes at most and takes milliseconds; a hit's place tells the entry.

use super::{Entry, MAX_ENTRIES, folded};
use std::collections::HashSet;
use thiserror::Error;

/// Most words of a query that are looked for.
const MAX_WORDS: usize = 8;

/// All entries, by name.
#[derive(Debug, Default)]
pub struct Directory {
    entries: Vec<Entry>,
    text: String,
    ends: Vec<usize>,
}

/// Why entries are no directory.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DirectoryError {
    /// More than [`MAX_ENTRIES`].
    #[error("{0} entries are too many; at most {MAX_ENTRIES} are taken")]
    TooMany(usize),
    /// Two of one name in one group.
    #[error("{0:?} is twice in its group; give each its own name")]
    Twice(String),
}

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Query<'a> {
    /// Words that all must be somewhere in an entry: its name, group, description, aliases or tags.
    pub words: &'a str,
    /// Only this group, whatever its case.
    pub group: Option<&'a str>,
    /// Only entries with this tag, whatever its case.
    pub tag: Option<&'a str>,
    /// How many of those found are left out at the beginning.
    pub skip: usize,
    /// How many are told at most.
    pub most: usize,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<'a> {
    /// How many there are in all.
    pub total: usize,
    /// Those that were asked for, by name.
    pub entries: Vec<&'a Entry>,
}

impl Directory {
    /// Takes these entries.
    ///
    /// # Errors
    /// [`DirectoryError`] if they are too many, or one is there twice.
    pub fn new(mut entries: Vec<Entry>) -> Result<Self, DirectoryError> {
        if entries.len() > MAX_ENTRIES {
            return Err(DirectoryError::TooMany(entries.len()));
        }
        entries.sort_by_cached_key(|entry| (folded(&entry.name), entry.group.as_deref().map(folded)));
        let mut seen = HashSet::with_capacity(entries.len());
        if let Some(twice) = entries.iter().find(|entry| !seen.insert(entry.key())) {
            return Err(DirectoryError::Twice(twice.name.clone()));
        }
        let mut directory = Self { text: String::new(), ends: Vec::with_capacity(entries.len()), entries };
        for entry in &directory.entries {
            let text = &mut directory.text;
            let aliases: Vec<String> = entry.aliases.iter().map(ToString::to_string).collect();
            let texts = [&entry.name, &entry.description].into_iter().chain(&entry.group);
            for part in texts.chain(&aliases).chain(&entry.tags) {
                text.push_str(&folded(part));
                text.push('\n');
            }
            directory.ends.push(text.len());
        }
        Ok(directory)
    }

    /// All of them, by name.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The groups, as they are written first, by name.
    #[must_use]
    pub fn groups(&self) -> Vec<&str> {
        let mut seen = HashSet::new();
        let mut groups: Vec<&str> = self.entries.iter().filter_map(|entry| entry.group.as_deref()).collect();
        groups.retain(|group| seen.insert(folded(group)));
        groups.sort_by_cached_key(|group| folded(group));
        groups
    }

    /// Searches.
    #[must_use]
    pub fn find(&self, query: Query<'_>) -> Found<'_> {
        let text = folded(query.words);
        let mut words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).take(MAX_WORDS).collect();
        // The longest is the rarest, as a rule.
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        let (first, others) = words.split_first().map_or(("", &[][..]), |(first, others)| (*first, others));
        let (group, tag) = (query.group.map(folded), query.tag.map(folded));
        let fits = |place: &usize| {
            let entry = &self.entries[*place];
            others.iter().all(|word| self.text_of(*place).contains(word))
                && group
                    .as_ref()
                    .is_none_or(|group| entry.group.as_deref().map(folded).as_ref() == Some(group))
                && tag.as_ref().is_none_or(|tag| entry.tags.iter().any(|own| folded(own) == *tag))
        };
        let (mut total, mut entries) = (0, Vec::new());
        for place in self.holding(first).filter(fits) {
            if total >= query.skip && entries.len() < query.most {
                entries.push(&self.entries[place]);
            }
            total += 1;
        }
        Found { total, entries }
    }

    fn text_of(&self, place: usize) -> &str {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[place]]
    }

    /// The places of entries whose text holds `word`; all, if that is empty.
    fn holding<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        let mut from = 0;
        std::iter::from_fn(move || {
            let at = from + self.text.get(from..).filter(|rest| !rest.is_empty())?.find(word)?;
            let place = self.ends.partition_point(|end| *end <= at);
            from = *self.ends.get(place)?;
            Some(place)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phonebook::PhoneAlias;
    use proptest::prelude::*;

    fn entry(group: &str, name: &str, tags: &[&str]) -> Entry {
        Entry {
            name: name.to_owned(),
            group: Some(group.to_owned()).filter(|group| !group.is_empty()),
            description: String::new(),
            aliases: vec![PhoneAlias::Sip(format!("sip:{}@example.com", name.replace(' ', ".")))],
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        }
    }

    fn rooms() -> Directory {
        let entries = vec![
            entry("Rome", "Huddle", &["Small"]),
            entry("Berlin", "huddle", &["small", "glass"]),
            entry("Berlin", "Board Room", &[]),
            entry("", "Stra\u{df}e \u{c4}", &[]),
        ];
        Directory::new(entries).unwrap()
    }

    fn names(query: Query<'_>) -> Vec<String> {
        let directory = rooms();
        let found = directory.find(Query { most: 10, ..query });
        assert_eq!(found.total, found.entries.len());
        found.entries.iter().map(|entry| entry.name.clone()).collect()
    }

    #[test]
    fn words_are_found_anywhere_in_an_entry_whatever_their_case() {
        let by = |words| names(Query { words, ..Query::default() });
        assert_eq!(by(""), ["Board Room", "huddle", "Huddle", "Stra\u{df}e \u{c4}"]);
        assert_eq!(by("HUD"), ["huddle", "Huddle"]);
        assert_eq!(by("berlin hud"), ["huddle"]);
        assert_eq!(by("rome"), ["Huddle"]);
        assert_eq!(by("board.room@"), ["Board Room"]);
        assert_eq!(by("glass"), ["huddle"]);
        assert_eq!(by("\u{e4}"), ["Stra\u{df}e \u{c4}"]);
        assert_eq!(by("room\nberlin"), ["Board Room"], "words, not lines of the index");
        assert_eq!(by("nobody"), [""; 0]);
    }

    #[test]
    fn groups_and_tags_narrow_a_search() {
        let by = |group, tag| names(Query { group, tag, ..Query::default() });
        assert_eq!(by(Some("BERLIN"), None), ["Board Room", "huddle"]);
        assert_eq!(by(None, Some("SMALL")), ["huddle", "Huddle"]);
        assert_eq!(by(Some("rome"), Some("glass")), [""; 0]);
        assert_eq!(rooms().groups(), ["Berlin", "Rome"]);
    }

    #[test]
    fn a_part_of_what_is_found_is_told_with_how_many_there_are() {
        let directory = rooms();
        let found = directory.find(Query { skip: 1, most: 2, ..Query::default() });
        let names: Vec<_> = found.entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!((found.total, names), (4, vec!["huddle", "Huddle"]));
    }

    #[test]
    fn a_name_is_once_in_its_group() {
        let twice = Directory::new(vec![entry("Rome", "Huddle", &[]), entry("rome", "HUDDLE ", &[])]);
        assert_eq!(twice.err(), Some(DirectoryError::Twice("HUDDLE ".to_owned())));
        let many = (0..=MAX_ENTRIES).map(|n| entry("", &n.to_string(), &[])).collect();
        assert_eq!(Directory::new(many).err(), Some(DirectoryError::TooMany(MAX_ENTRIES + 1)));
        assert_eq!(Directory::new(Vec::new()).unwrap().find(Query { most: 1, ..Query::default() }).total, 0);
    }

    proptest! {
        /// The index finds what looking at each entry finds.
        #[test]
        fn the_index_finds_what_each_entry_holds(
            names in prop::collection::hash_set("[ab]{1,4}( [ab]{1,3})?", 0..12),
            words in "[ab]{0,3}( [ab]{1,2})?",
        ) {
            let entries: Vec<Entry> = names.iter().map(|name| entry("", name, &[])).collect();
            let holds = |entry: &&Entry| {
                let text = format!("{}\nsip:{}@example.com", entry.name, entry.name.replace(' ', "."));
                words.split(' ').all(|word| text.contains(word))
            };
            let wanted = entries.iter().filter(holds).count();
            let directory = Directory::new(entries.clone()).unwrap();
            prop_assert_eq!(directory.find(Query { words: &words, most: 99, ..Query::default() }).total, wanted);
        }
    }
}
