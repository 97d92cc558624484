//! Reading one TOML document and collecting everything that is wrong with it, each with its line and field.
//!
//! A [`Section`] remembers which fields were asked for, so that what nobody asked for is an error too, with the
//! nearest known name beside it. Values are never printed here: a field may hold a secret.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// Something wrong in a configuration, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Line in the text, from 1.
    pub line: usize,
    /// The field, such as `rules[2].match.regex`; empty for the document itself.
    pub field: String,
    /// What is wrong and the way out; follows the field's name in a sentence.
    pub message: String,
}

/// Everything wrong in a configuration, by line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems {
    /// What the text is called, such as `gantry.toml`.
    pub file: String,
    /// In the order of the lines, at least one.
    pub list: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{}:{problem}", self.file)?;
        }
        Ok(())
    }
}

/// `14: rules[2].match.regex "([0-9{6,}" does not compile ...`, to stand behind the file's name and a colon.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { line, field, message } = self;
        let gap = if field.is_empty() { "" } else { " " };
        write!(f, "{line}: {field}{gap}{message}")
    }
}

impl std::error::Error for Problems {}

/// The document being read.
pub(crate) struct Document<'a> {
    text: &'a str,
    problems: RefCell<Vec<Problem>>,
    syntax: Syntax,
    nothing: DeTable<'a>,
    /// Where each line ends; made when the first problem is told.
    line_ends: OnceCell<Vec<usize>>,
}

/// Whether the text is TOML. If it is not, what seems to be missing may only stand in a line that was not understood.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Syntax {
    Good,
    Broken,
}

impl<'a> Document<'a> {
    /// Parses `text`; its syntax errors are the first problems.
    pub(crate) fn parse(text: &'a str) -> (Self, DeTable<'a>) {
        let (table, errors) = DeTable::parse_recoverable(text);
        let syntax = if errors.is_empty() { Syntax::Good } else { Syntax::Broken };
        let document = Self {
            text,
            problems: RefCell::default(),
            syntax,
            nothing: DeTable::new(),
            line_ends: OnceCell::new(),
        };
        for error in &errors {
            let message = format!("not TOML: {}", error.message().replace('\n', ", "));
            document.report(error.span().unwrap_or_default().start, String::new(), message);
        }
        (document, table.into_inner())
    }

    /// The whole document as a section.
    pub(crate) fn root<'t>(&'t self, table: &'t DeTable<'a>) -> Section<'t, 'a> {
        Section { document: self, table, path: String::new(), start: 0, asked: RefCell::default() }
    }

    /// Notes that `field` at byte `at` is wrong.
    pub(crate) fn report(&self, at: usize, field: String, message: String) {
        let line = self.line(at);
        self.problems.borrow_mut().push(Problem { line, field, message });
    }

    /// As [`report`](Self::report), for what may follow only from a line that was not understood.
    pub(crate) fn suspect(&self, at: usize, field: String, message: String) {
        if self.syntax == Syntax::Good {
            self.report(at, field, message);
        }
    }

    /// Everything wrong, by line.
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort();
        problems.dedup();
        problems
    }

    fn line(&self, at: usize) -> usize {
        let ends = || self.text.match_indices('\n').map(|(end, _)| end).collect();
        1 + self.line_ends.get_or_init(ends).partition_point(|end| *end < at)
    }
}

/// A table of the document.
pub(crate) struct Section<'t, 'a> {
    document: &'t Document<'a>,
    table: &'t DeTable<'a>,
    path: String,
    start: usize,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'t, 'a> Section<'t, 'a> {
    /// The field `key` through `parse`, or `None` if it is not there or wrong.
    pub(crate) fn take<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&DeValue<'a>) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.find(key)?;
        match parse(value.get_ref()) {
            Ok(parsed) => Some(parsed),
            Err(message) => {
                self.document.report(value.span().start, self.field(key), message);
                None
            }
        }
    }

    /// As [`take`](Self::take), but the field must be there; if not, `way_out` says what to write.
    pub(crate) fn need<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&DeValue<'a>) -> Result<T, String>,
        way_out: &str,
    ) -> Option<T> {
        if !self.has(key) {
            self.document.suspect(self.start, self.field(key), format!("is missing; {way_out}"));
            return None;
        }
        self.take(key, parse)
    }

    /// The items of the array `key`, each through `parse`; one item may stand without the brackets.
    pub(crate) fn list<T>(
        &self,
        key: &'static str,
        parse: impl Fn(&DeValue<'a>) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let value = self.find(key)?;
        let one = std::slice::from_ref(value);
        let items = value.get_ref().as_array().map_or(one, DeArray::as_ref);
        let mut parsed = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match parse(item.get_ref()) {
                Ok(item) => parsed.push(item),
                Err(message) => {
                    self.document.report(item.span().start, format!("{}[{index}]", self.field(key)), message);
                }
            }
        }
        Some(parsed)
    }

    /// The table `key`; if it is not there, one without fields.
    pub(crate) fn section(&self, key: &'static str) -> Section<'t, 'a> {
        let path = self.field(key);
        let found = self.find(key).and_then(|value| self.enter(value, path.clone()));
        let Section { document, start, .. } = *self;
        found.unwrap_or_else(|| Section {
            document,
            table: &document.nothing,
            path,
            start,
            asked: RefCell::default(),
        })
    }

    /// The tables of the array `key`: `[[rules]]`.
    pub(crate) fn sections(&self, key: &'static str) -> Vec<Section<'t, 'a>> {
        let Some(value) = self.find(key) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            let message = format!("must be an array of tables; write [[{key}]] above each");
            self.document.report(value.span().start, self.field(key), message);
            return Vec::new();
        };
        let each = |(index, item)| self.enter(item, format!("{}[{index}]", self.field(key)));
        items.iter().enumerate().filter_map(each).collect()
    }

    /// How many items the array `key` has.
    pub(crate) fn length(&self, key: &'static str) -> usize {
        self.find(key).and_then(|value| value.get_ref().as_array()).map_or(0, |items| items.len())
    }

    /// Notes that the field `key` is wrong, where the section as a whole shows it.
    pub(crate) fn wrong(&self, key: &'static str, message: impl Into<String>) {
        let at = self.find(key).map_or(self.start, |value| value.span().start);
        self.document.report(at, self.field(key), message.into());
    }

    /// Whether the field `key` is there at all.
    pub(crate) fn has(&self, key: &'static str) -> bool {
        self.find(key).is_some()
    }

    /// A mark by which a problem found later can be told.
    pub(crate) fn mark(&self, key: &'static str) -> Mark {
        Mark { at: self.find(key).map_or(self.start, |value| value.span().start), field: self.field(key) }
    }

    /// As [`wrong`](Self::wrong), for a field that should be there.
    pub(crate) fn lacks(&self, key: &'static str, message: impl Into<String>) {
        self.document.suspect(self.start, self.field(key), message.into());
    }

    fn find(&self, key: &'static str) -> Option<&'t Spanned<DeValue<'a>>> {
        self.asked.borrow_mut().insert(key);
        self.table.get(key)
    }

    fn enter(&self, value: &'t Spanned<DeValue<'a>>, path: String) -> Option<Section<'t, 'a>> {
        let Range { start, .. } = value.span();
        let Some(table) = value.get_ref().as_table() else {
            let message = format!("must be a table, found {}", value.get_ref().type_str());
            self.document.report(start, path, message);
            return None;
        };
        Some(Section { document: self.document, table, path, start, asked: RefCell::default() })
    }

    fn field(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// What nobody asked for is an error.
impl Drop for Section<'_, '_> {
    fn drop(&mut self) {
        let asked = self.asked.borrow();
        for key in self.table.keys() {
            if asked.contains(key.get_ref().as_ref()) {
                continue;
            }
            let message = match nearest(key.get_ref(), &asked) {
                Some(near) => format!("is unknown; did you mean {near:?}?"),
                None => {
                    format!("is unknown; known here: {}", Vec::from_iter(asked.iter().copied()).join(", "))
                }
            };
            self.document.suspect(key.span().start, self.field(&printable(key.get_ref())), message);
        }
    }
}

/// A place in the document.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    at: usize,
    field: String,
}

impl Mark {
    /// Notes that this field is wrong, unless that may follow only from a line that was not understood.
    pub(crate) fn suspect(&self, document: &Document<'_>, message: impl Into<String>) {
        document.suspect(self.at, self.field.clone(), message.into());
    }

    /// What is wrong here, for the record only.
    pub(crate) fn note(&self, document: &Document<'_>, message: impl Into<String>) -> Problem {
        Problem { line: document.line(self.at), field: self.field.clone(), message: message.into() }
    }
}

/// The known name nearest to `name`, if it is near enough to be meant.
pub(crate) fn nearest<'n>(name: &str, known: &BTreeSet<&'n str>) -> Option<&'n str> {
    let name: String = name.chars().take(64).collect::<String>().to_lowercase();
    let near = known.iter().map(|known| (distance(&name, known), *known)).min()?;
    (near.0 <= (name.chars().count() / 3).max(1)).then_some(near.1)
}

/// Levenshtein's distance: how many letters must be put in, taken out or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

fn printable(key: &str) -> String {
    key.chars().take(64).flat_map(char::escape_debug).collect()
}
