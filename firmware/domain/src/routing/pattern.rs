//! The two texts of a rule that administrators write: what an alias must look like, and what becomes of it.
//!
//! A pattern is a regular expression in the syntax of the `regex` crate, matched against the *whole* alias, as if it
//! stood between `^` and `$`. Letters and digits are ASCII's and `.` is one octet, unless `(?u)` says otherwise; so
//! that `\d{13}` stays small. There are no look-arounds and no back-references, so a match takes time linear in the
//! alias, whatever an administrator writes and a caller dials.
//!
//! A replace string is text with groups of the pattern in it: `\1` (also `$1`, `${1}`), `\g<name>` (also `${name}`),
//! `\0` for the whole alias; `\\` and `$$` stand for themselves.
//!
//! A [`Search`] is the same syntax, looked for anywhere in a text, such as that of an invitation.

use regex::bytes::{Captures, Regex, RegexBuilder, RegexSet, RegexSetBuilder};
use std::fmt;

/// Longest pattern or replace string taken, in bytes.
pub const MAX_BYTES: usize = 250;
/// Largest compiled pattern, in bytes.
const COMPILED_BYTES: usize = 256 * 1024;
/// Largest compiled search, in bytes: it goes through far longer texts than a pattern.
const SEARCH_BYTES: usize = 64 * 1024;
/// Parts that all patterns are searched in: a change of one pattern puts one part together anew, and each part is one search more.
const PARTS: usize = 8;
/// Largest compiled part, in bytes; parts are about equal, so that all together have about half as much as eight such.
const PART_BYTES: usize = 16 * 1024 * 1024;
/// Most memory one thread's search of a part may cache, in bytes.
const PART_CACHE_BYTES: usize = 2 * 1024 * 1024;

/// What an alias must look like, whole.
#[derive(Clone)]
pub struct Pattern {
    source: String,
    regex: Regex,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing there.
    #[error("is empty; `.*` takes every alias")]
    Empty,
    /// More than 250 bytes.
    #[error("has {0} bytes; at most {MAX_BYTES} are taken, split the rule")]
    TooLong(usize),
    /// Not in the syntax.
    #[error("does not compile: {0}; regular expressions here are those of docs.rs/regex")]
    Syntax(String),
    /// It compiles to too large a program.
    #[error("is too large when compiled; use smaller repetitions")]
    TooLarge,
}

impl Pattern {
    /// Compiles `source`.
    ///
    /// # Errors
    /// [`PatternError`] if it is empty, too long, not in the syntax, or too large.
    pub fn parse(source: &str) -> Result<Self, PatternError> {
        if source.is_empty() {
            return Err(PatternError::Empty);
        }
        if source.len() > MAX_BYTES {
            return Err(PatternError::TooLong(source.len()));
        }
        // Alone first: `a)(b` is good only between our parentheses. Reading it takes far less than compiling it, whose words for what is wrong
        // are clearer.
        if regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(source).is_err() {
            compile(source)?;
        }
        Ok(Self { source: source.to_owned(), regex: compile(&anchored(source))? })
    }

    /// A meeting id of `digits` digits, group 1, at one of `hosts`, in upper or lower case.
    #[must_use]
    pub fn of_meetings(digits: u8, hosts: impl Iterator<Item = String>) -> Self {
        let hosts: Vec<_> = hosts.map(|host| regex::escape(&host)).collect();
        let source = format!("(?i)([0-9]{{{digits}}})@(?:{})", hosts.join("|"));
        let regex = compile(&anchored(&source)).expect("an escaped text of a few hundred bytes compiles");
        Self { source, regex }
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Whether the whole of `text` looks so.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text.as_bytes())
    }

    /// What the group `name` took of `text`, if the whole of it matches and the group took part.
    #[must_use]
    pub fn group(&self, text: &str, name: &str) -> Option<String> {
        let found = self.regex.captures(text.as_bytes())?.name(name)?.as_bytes().to_vec();
        String::from_utf8(found).ok()
    }

    /// `template` filled from `text`; `None` if `text` does not match, or a group cut a character in two.
    #[must_use]
    pub fn replace(&self, text: &str, template: &Template) -> Option<String> {
        template.filled(&self.regex.captures(text.as_bytes())?)
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.source, f)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

/// What is looked for in a longer text: not the whole of it must look so. `^` and `$` are the ends of a line.
#[derive(Debug, Clone, PartialEq)]
pub struct Search(Pattern);

impl Search {
    /// Compiles `source`.
    ///
    /// # Errors
    /// [`PatternError`] if it is empty, too long, not in the syntax, or too large.
    pub fn parse(source: &str) -> Result<Self, PatternError> {
        if source.is_empty() {
            return Err(PatternError::Empty);
        }
        if source.len() > MAX_BYTES {
            return Err(PatternError::TooLong(source.len()));
        }
        let mut builder = RegexBuilder::new(source);
        builder.unicode(false).multi_line(true).size_limit(SEARCH_BYTES);
        let regex = builder.build().map_err(refusal)?;
        Ok(Self(Pattern { source: source.to_owned(), regex }))
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.source
    }

    /// Parses a replace string for its groups.
    ///
    /// # Errors
    /// [`TemplateError`] if it is too long or names a group that is not there.
    pub fn template(&self, source: &str) -> Result<Template, TemplateError> {
        Template::parse(source, &self.0)
    }

    /// Whether it has a group of this name.
    #[must_use]
    pub fn has_group(&self, name: &str) -> bool {
        self.0.regex.capture_names().any(|group| group == Some(name))
    }

    /// Its groups, as messages list them.
    #[must_use]
    pub fn groups(&self) -> String {
        self.0.groups()
    }

    /// `template` filled from each place in `text` that looks so, at most `most` of them; each costs time linear in the
    /// text. A group that cut a character in two gives nothing.
    pub fn replaced(&self, text: &str, template: &Template, most: usize) -> Vec<String> {
        self.places(text, most).filter_map(|groups| template.filled(&groups)).collect()
    }

    /// What the named groups took at each such place; a group that took no part is missing.
    pub fn named(&self, text: &str, most: usize) -> Vec<Vec<(String, String)>> {
        let names: Vec<_> = self.0.regex.capture_names().flatten().collect();
        let of = |groups: Captures<'_>| {
            let group = |name: &&str| {
                let found = groups.name(name)?.as_bytes();
                Some(((*name).to_owned(), String::from_utf8_lossy(found).into_owned()))
            };
            names.iter().filter_map(group).collect()
        };
        self.places(text, most).map(of).collect()
    }

    fn places<'t>(&self, text: &'t str, most: usize) -> impl Iterator<Item = Captures<'t>> {
        self.0.regex.captures_iter(text.as_bytes()).take(most)
    }
}

/// What becomes of an alias that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Group(usize),
}

/// Why a text is no replace string.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// More than 250 bytes.
    #[error("has {0} bytes; at most {MAX_BYTES} are taken")]
    TooLong(usize),
    /// The pattern has no such group.
    #[error("names group {0}, which the regex has not; it has {1}")]
    NoSuchGroup(String, String),
    /// A `\` or `$` before something that is no group.
    #[error(
        "has {0:?} where a group should be; write \\1 or \\g<name>, and \\\\ or $$ for the character itself"
    )]
    BadReference(String),
}

impl Template {
    /// Parses `source` for the groups of `pattern`.
    ///
    /// # Errors
    /// [`TemplateError`] if it is too long or names a group that `pattern` has not.
    pub fn parse(source: &str, pattern: &Pattern) -> Result<Self, TemplateError> {
        if source.len() > MAX_BYTES {
            return Err(TemplateError::TooLong(source.len()));
        }
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            if !matches!(c, '\\' | '$') {
                text.push(c);
            } else if let Some(after) = rest.strip_prefix(c) {
                text.push(c);
                rest = after;
            } else {
                let (reference, after) = reference(c, rest)
                    .ok_or_else(|| TemplateError::BadReference(format!("{c}{}", first_char(rest))))?;
                pieces.push(Piece::Text(std::mem::take(&mut text)));
                pieces.push(Piece::Group(pattern.group_index(reference)?));
                rest = after;
            }
        }
        pieces.push(Piece::Text(text));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Ok(Self { pieces })
    }

    /// The alias as it came.
    #[must_use]
    pub fn whole() -> Self {
        Self { pieces: vec![Piece::Group(0)] }
    }

    fn filled(&self, groups: &Captures<'_>) -> Option<String> {
        let mut out = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Group(group) => {
                    out.extend_from_slice(groups.get(*group).map_or(b"", |m| m.as_bytes()))
                }
            }
        }
        String::from_utf8(out).ok()
    }
}

impl Pattern {
    fn group_index(&self, name: &str) -> Result<usize, TemplateError> {
        let found = match name.parse::<usize>() {
            Ok(number) => (number < self.regex.captures_len()).then_some(number),
            Err(_) => self.regex.capture_names().position(|group| group == Some(name)),
        };
        found.ok_or_else(|| TemplateError::NoSuchGroup(name.to_owned(), self.groups()))
    }

    fn groups(&self) -> String {
        let named: Vec<_> = self.regex.capture_names().flatten().collect();
        match (self.regex.captures_len() - 1, named.is_empty()) {
            (0, _) => "none, put ( ) round what to keep".to_owned(),
            (count, true) => format!("groups 1 to {count}"),
            (count, false) => format!("groups 1 to {count}, named {}", named.join(", ")),
        }
    }
}

/// All patterns at once, so that a thousand rules cost a few searches. Which part a pattern is in and where it stands there follow from
/// itself alone: rules that come, go and change places leave the parts of all others as they are.
#[derive(Debug, Clone)]
pub(super) struct Patterns(Vec<Part>);

#[derive(Debug, Clone)]
struct Part {
    set: RegexSet,
    /// Which pattern of all each one is.
    places: Vec<usize>,
}

impl Patterns {
    /// # Errors
    /// [`PatternError::TooLarge`] if together they are.
    pub(super) fn new<'a>(
        patterns: impl Iterator<Item = &'a Pattern>,
        before: Option<&Self>,
    ) -> Result<Self, PatternError> {
        let mut parts = vec![Vec::new(); PARTS];
        for (place, pattern) in patterns.enumerate() {
            parts[part_of(&pattern.source)].push((anchored(&pattern.source), place));
        }
        let parts = parts.into_iter().enumerate().map(|(index, mut all)| {
            all.sort_unstable();
            let (sources, places): (Vec<_>, Vec<_>) = all.into_iter().unzip();
            let known = before.and_then(|before| before.0.get(index));
            let same = known.filter(|known| known.set.patterns() == sources).map(|known| known.set.clone());
            Ok(Part { set: same.map_or_else(|| set(&sources), Ok)?, places })
        });
        Ok(Self(parts.collect::<Result<_, _>>()?))
    }

    /// Which of them match `text`, in their order.
    pub(super) fn matches(&self, text: &str) -> impl Iterator<Item = usize> + use<> {
        let of = |part: &Part| {
            let matches = part.set.matches(text.as_bytes()).into_iter();
            matches.filter_map(|index| part.places.get(index).copied()).collect::<Vec<_>>()
        };
        let mut places: Vec<_> = self.0.iter().flat_map(of).collect();
        places.sort_unstable();
        places.into_iter()
    }
}

fn set(sources: &[String]) -> Result<RegexSet, PatternError> {
    let mut builder = RegexSetBuilder::new(sources);
    builder.unicode(false).size_limit(PART_BYTES).dfa_size_limit(PART_CACHE_BYTES);
    builder.build().map_err(|_| PatternError::TooLarge)
}

/// FNV-1a: short, and the same in every release and on every box.
fn part_of(source: &str) -> usize {
    let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = source.bytes().fold(0x811c_9dc5, mix);
    (hash >> 16) as usize % PARTS
}

fn anchored(source: &str) -> String {
    format!(r"\A(?:{source})\z")
}

fn compile(source: &str) -> Result<Regex, PatternError> {
    RegexBuilder::new(source).unicode(false).size_limit(COMPILED_BYTES).build().map_err(refusal)
}

fn refusal(error: regex::Error) -> PatternError {
    match error {
        regex::Error::CompiledTooBig(_) => PatternError::TooLarge,
        error => PatternError::Syntax(short(&error.to_string())),
    }
}

/// The crate's message without the drawing of where it is.
fn short(message: &str) -> String {
    let line = message.lines().rev().find_map(|line| line.trim().strip_prefix("error: "));
    line.unwrap_or(message).trim().to_owned()
}

/// The group after a `\` or `$`, and what follows it.
fn reference(sign: char, rest: &str) -> Option<(&str, &str)> {
    let (open, close) = if sign == '$' { ("{", '}') } else { ("g<", '>') };
    if let Some(named) = rest.strip_prefix(open) {
        return named.split_once(close).filter(|(name, _)| !name.is_empty());
    }
    let digits = rest.bytes().take(2).take_while(u8::is_ascii_digit).count();
    (digits > 0).then(|| rest.split_at(digits))
}

fn first_char(text: &str) -> String {
    text.chars().take(1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn replaced(pattern: &str, template: &str, text: &str) -> Option<String> {
        let pattern = Pattern::parse(pattern).unwrap();
        let template = Template::parse(template, &pattern).unwrap();
        pattern.replace(text, &template)
    }

    #[test]
    fn p4_a_pattern_must_match_the_whole_alias() {
        let pattern = Pattern::parse("12|123").unwrap();
        assert!(pattern.matches("123"), "the longer branch counts too");
        assert!(!pattern.matches("1234"));
        assert!(!pattern.matches("x12"));
    }

    #[test]
    fn p4_groups_are_replaced_by_number_and_by_name_in_both_spellings() {
        let alias = "9912345@meet.example.com";
        assert_eq!(replaced(r"99(\d+)@.*", r"\1", alias).as_deref(), Some("12345"));
        assert_eq!(
            replaced(r"99(\d+)@(.*)", "$1.x@${2}", alias).as_deref(),
            Some("12345.x@meet.example.com")
        );
        assert_eq!(replaced(r"99(?<id>\d+)@.*", r"\g<id>0", alias).as_deref(), Some("123450"));
        assert_eq!(replaced(r"99(\d+)@.*", r"${1}5", alias).as_deref(), Some("123455"));
        assert_eq!(replaced(r"99(\d+)@.*", r"\\$$\0", alias).as_deref(), Some(r"\$9912345@meet.example.com"));
    }

    #[test]
    fn w2_a_pin_prefix_is_stripped_and_added_by_replace() {
        assert_eq!(
            replaced(r"4711(\d{13})@.*", r"\1", "47111234567890123@m").as_deref(),
            Some("1234567890123")
        );
        assert_eq!(
            replaced(r"(\d{13})@.*", r"4711\1", "1234567890123@m").as_deref(),
            Some("47111234567890123")
        );
    }

    #[test]
    fn a_group_that_took_no_part_is_empty() {
        assert_eq!(replaced(r"(a)?(b)", r"[\1\2]", "b").as_deref(), Some("[b]"));
    }

    #[test]
    fn p4_what_does_not_compile_is_refused_with_the_reason() {
        let message = |source: &str| Pattern::parse(source).unwrap_err().to_string();
        assert!(message("([0-9{6,}").starts_with("does not compile: unclosed"), "{}", message("([0-9{6,}"));
        assert!(message("a)(b").starts_with("does not compile: unopened group"));
        assert!(message("a(?=b)").contains("look-around"));
        assert_eq!(Pattern::parse(""), Err(PatternError::Empty));
        assert_eq!(Pattern::parse(&"a".repeat(251)), Err(PatternError::TooLong(251)));
        assert_eq!(Pattern::parse("((a{100}){100}){100}"), Err(PatternError::TooLarge));
    }

    #[test]
    fn p4_a_replace_string_that_names_a_missing_group_is_refused_naming_what_there_is() {
        let pattern = Pattern::parse(r"(\d+)@(?<where>.*)").unwrap();
        let message = |source: &str| Template::parse(source, &pattern).unwrap_err().to_string();
        assert_eq!(
            message(r"\3"),
            "names group 3, which the regex has not; it has groups 1 to 2, named where"
        );
        assert!(message("${who}").starts_with("names group who"));
        assert!(message("50%$").starts_with("has \"$\""));
        let bare = Pattern::parse("a").unwrap();
        assert!(
            Template::parse(r"\1", &bare).unwrap_err().to_string().ends_with("put ( ) round what to keep")
        );
    }

    #[test]
    fn digits_and_letters_are_ascii() {
        assert!(!Pattern::parse(r"\d").unwrap().matches("٣"));
        assert!(Pattern::parse("grüße@.*").unwrap().matches("grüße@a"));
        assert!(Pattern::parse(".+").unwrap().matches("grüße"));
        assert_eq!(replaced("(.)(.*)", r"\2", "ü"), None, "half a character is no alias");
    }

    proptest! {
        #[test]
        fn no_text_makes_a_pattern_or_a_template_panic(source in "\\PC{0,60}", template in "\\PC{0,60}", alias in "\\PC{0,60}") {
            if let Ok(pattern) = Pattern::parse(&source) {
                let _ = pattern.matches(&alias);
                if let Ok(template) = Template::parse(&template, &pattern) {
                    let _ = pattern.replace(&alias, &template);
                }
            }
        }

        #[test]
        fn the_set_agrees_with_each_pattern_alone(alias in "[ab1@.]{0,8}") {
            let patterns: Vec<_> = ["a+", "[ab]*", r"(\d|a)@.*", "b|bb|.*1"].iter().map(|p| Pattern::parse(p).unwrap()).collect();
            let set = Patterns::new(patterns.iter(), None).unwrap();
            let alone: Vec<_> = (0..patterns.len()).filter(|&i| patterns[i].matches(&alias)).collect();
            prop_assert_eq!(set.matches(&alias).collect::<Vec<_>>(), alone);
        }
    }
}
