//! A configuration as documents: one for each resource, as the store keeps them and the API shows them.
//!
//! ```text
//!  one text ─▶ split ─▶ documents ─▶ join ─▶ Config
//!                          ▲            └──▶ or what is wrong, each with its document and field
//!                          └── changed one by one
//! ```
//! There is one reader of configurations; joining writes the documents as one text for it, so that a document may say just what a file may.

use super::{Config, MAX_BYTES, Problem, Problems};
use crate::api::Kind;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// What stands in a copy for what is secret.
const SEALED: &str = "(sealed in the store)";
/// What a copy begins with.
const COPY: &str = "# A copy of what the store holds, without what is secret. Changes of it are lost.\n";
/// What a text made of documents is called.
const JOINED: &str = "configuration";

/// A resource of a configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub id: String,
    /// What it says; secrets included.
    pub body: Value,
}

/// Something wrong in a configuration of documents, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wrong {
    /// The document; `None` if it is the whole.
    pub document: Option<(Kind, String)>,
    /// The field in it, such as `match.regex`; empty for the document itself.
    pub field: String,
    /// What is wrong and the way out; follows the field's name in a sentence.
    pub message: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((kind, id)) = &self.document {
            write!(f, "{}/{id}: ", kind.collection())?;
        }
        let gap = if self.field.is_empty() { "" } else { " " };
        write!(f, "{}{gap}{}", self.field, self.message)
    }
}

impl Config {
    /// Reads `documents`, whose order among one kind is the order of a file; faster where much is as it was `before`. What is allowed but
    /// hardly meant comes with its document.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn join(documents: &[Document], before: Option<&Self>) -> Result<(Self, Vec<Wrong>), Vec<Wrong>> {
        let (text, places) = write(documents);
        let wrong = |problem: Problem| places.wrong(problem.field, problem.message);
        match Self::parse_after(before, JOINED, &text) {
            Ok(config) => {
                let warnings = config.warnings.iter().cloned().map(wrong).collect();
                Ok((config, warnings))
            }
            Err(problems) => Err(problems.list.into_iter().map(wrong).collect()),
        }
    }
}

/// The documents of `text`, which is called `file` in messages.
///
/// # Errors
/// [`Problems`]: everything that is wrong with it as a configuration.
pub fn split(file: &str, text: &str) -> Result<Vec<Document>, Problems> {
    Config::parse(file, text)?;
    // It was just read by the one reader of configurations, so it is TOML and each section is what it should be.
    let table: BTreeMap<String, Value> = toml::from_str(text).unwrap_or_default();
    Ok(Kind::ALL.into_iter().flat_map(|kind| of(kind, &table)).collect())
}

/// `documents` as a file, for programs that read no store. What is secret says only that it is: a file may be copied and mailed.
#[must_use]
pub fn render(documents: &[Document]) -> String {
    let open = documents.iter().cloned().map(|mut document| {
        for field in document.kind.secrets() {
            if let Some(secret) = document.body.get_mut(*field) {
                *secret = Value::String(SEALED.to_owned());
            }
        }
        document
    });
    let (text, _) = write(&open.collect::<Vec<_>>());
    format!("{COPY}{text}")
}

/// Whether `text` is what [`render`] makes.
#[must_use]
pub fn is_copy(text: &str) -> bool {
    text.starts_with(COPY)
}

/// The documents of one kind.
fn of(kind: Kind, table: &BTreeMap<String, Value>) -> Vec<Document> {
    let Some(section) = table.get(kind.section()) else { return Vec::new() };
    if let Some(only) = kind.only() {
        return kind
            .shape(section)
            .map(|body| Document { kind, id: only.to_owned(), body })
            .into_iter()
            .collect();
    }
    let items = section.as_array().map_or(&[][..], Vec::as_slice);
    let mine = |item: &&Value| {
        kind.mark().is_none_or(|(key, word)| item.get(key).and_then(Value::as_str) == Some(word))
    };
    let document = |item: &Value| {
        let mut item = item.clone();
        if let (Some((key, _)), Some(fields)) = (kind.mark(), item.as_object_mut()) {
            fields.remove(key);
        }
        let body = kind.shape(&item).ok()?;
        let id = kind.id(&body)?;
        Some(Document { kind, id, body })
    };
    items.iter().filter(mine).filter_map(document).collect()
}

/// Which document stands where in the text.
struct Places(BTreeMap<&'static str, Vec<(Kind, String)>>);

impl Places {
    /// `rules[2].match.regex` is `match.regex` of the third rule.
    fn wrong(&self, field: String, message: String) -> Wrong {
        let section_ends = field.find(['[', '.']).unwrap_or(field.len());
        let (section, rest) = field.split_at(section_ends);
        let indexed = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let (index, rest) = match indexed {
            Some((index, rest)) => (index.parse().ok(), rest),
            None => (Some(0), rest),
        };
        let document = index.and_then(|index: usize| self.0.get(section)?.get(index)).cloned();
        // Of a list of resources as a whole nothing is known by its first one.
        let document = document.filter(|(kind, _)| indexed.is_some() || kind.only().is_some());
        let single = Kind::ALL.into_iter().find(|kind| kind.section() == section && kind.only().is_some());
        let document =
            document.or_else(|| single.map(|kind| (kind, kind.only().unwrap_or(section).to_owned())));
        match document {
            Some(document) => {
                Wrong { document: Some(document), field: rest.trim_start_matches('.').to_owned(), message }
            }
            None => Wrong { document: None, field, message },
        }
    }
}

/// The documents as one text.
fn write(documents: &[Document]) -> (String, Places) {
    let (mut table, mut places) = (toml::Table::new(), BTreeMap::<_, Vec<_>>::new());
    for kind in Kind::ALL {
        for Document { id, body, .. } in documents.iter().filter(|document| document.kind == kind) {
            let Ok(toml::Value::Table(mut body)) = toml::Value::try_from(body) else { continue };
            places.entry(kind.section()).or_default().push((kind, id.clone()));
            if kind.only().is_some() {
                table.insert(kind.section().to_owned(), body.into());
                continue;
            }
            if let Some((key, word)) = kind.mark() {
                body.insert(key.to_owned(), word.into());
            }
            let items = table.entry(kind.section()).or_insert_with(|| toml::Value::Array(Vec::new()));
            if let toml::Value::Array(items) = items {
                items.push(body.into());
            }
        }
    }
    // Tables of strings, numbers and lists can always be written; the reader says so if that were to change.
    let text = toml::to_string(&table).unwrap_or_else(|error| format!("# {error}"));
    debug_assert!(text.len() <= MAX_BYTES * 2, "bounded by what the store keeps");
    (text, Places(places))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const EXAMPLE: &str = include_str!("../../examples/gantry.toml");

    fn example() -> Vec<Document> {
        split("gantry.toml", EXAMPLE).unwrap()
    }

    fn body<'d>(documents: &'d mut [Document], kind: Kind, id: &str) -> &'d mut Value {
        &mut documents.iter_mut().find(|d| d.kind == kind && d.id == id).unwrap().body
    }

    #[test]
    fn a_configuration_split_and_joined_is_the_same() {
        let whole = Config::parse("gantry.toml", EXAMPLE).unwrap();
        let (joined, _) = Config::join(&example(), None).unwrap();
        // Lines differ, and so do warnings.
        let said = |config: &Config| format!("{:?}", Config { warnings: Vec::new(), ..config.clone() });
        assert_eq!(said(&whole), said(&joined));
        assert_eq!(joined.tokens, whole.tokens);
    }

    #[test]
    fn every_field_of_the_example_is_a_field_of_its_resource() {
        // Given the example, which shows every field.
        let table: BTreeMap<String, Value> = toml::from_str(EXAMPLE).unwrap();
        let count = |value: &Value| {
            fn leaves(value: &Value) -> usize {
                match value {
                    Value::Object(fields) => fields.values().map(leaves).sum(),
                    _ => 1,
                }
            }
            match value {
                Value::Array(items) => items.iter().map(leaves).sum(),
                other => leaves(other),
            }
        };
        let in_file: usize = table.values().map(count).sum();
        // When it is split.
        let marks = example().iter().filter(|d| d.kind.mark().is_some()).count();
        let kept: usize = example().iter().map(|d| count(&d.body)).sum();
        // Then nothing is lost but what a document's place says.
        assert_eq!(kept + marks, in_file);
    }

    #[test]
    fn a_copy_is_a_configuration_without_its_secrets() {
        let copy = render(&example());
        let config = Config::parse("copy.toml", &copy).unwrap();
        assert_eq!(config.tokens.len(), 2);
        assert!(config.tokens.iter().all(|token| token.value.expose() == SEALED));
        assert!(!copy.contains("the device's password"), "{copy}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_document_and_field() {
        let mut documents = example();
        body(&mut documents, Kind::CallRoutingRules, "guests with a pin")["match"]["regex"] =
            json!("([0-9{6,}");
        body(&mut documents, Kind::CallRoutingRules, "meetings")["token"] = json!("tenant b");
        body(&mut documents, Kind::TurnServers, "relay")["address"] = json!("not a host");
        body(&mut documents, Kind::Media, "media")["ports"] = json!("35000-36000");
        let wrong: Vec<_> =
            Config::join(&documents, None).unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(wrong.len(), 4, "{wrong:#?}");
        let starts =
            |start: &str| assert!(wrong.iter().any(|line| line.starts_with(start)), "{start}: {wrong:#?}");
        starts("settings/media: ports overlaps the signalling ports 33000-39999");
        starts("turn-servers/relay: address \"not a host\" is no host");
        starts("call-routing-rules/guests with a pin: match.regex \"([0-9{6,}\" does not compile");
        starts("call-routing-rules/meetings: token \"tenant b\" is no token");
    }

    #[test]
    fn p6_what_is_wrong_with_a_meeting_processing_rule_is_told_of_it_and_of_its_settings() {
        let mut documents = example();
        body(&mut documents, Kind::MeetingProcessingRules, "our bridge")["template"] = json!("${nobody}");
        body(&mut documents, Kind::OneTouchJoin, "one-touch-join")["guest_domain"] = json!("nowhere");
        let wrong: Vec<_> =
            Config::join(&documents, None).unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(wrong.len(), 2, "{wrong:#?}");
        assert!(
            wrong.iter().any(|line| line.starts_with("settings/one-touch-join: guest_domain")),
            "{wrong:#?}"
        );
        let rule = "meeting-processing-rules/our bridge: template names field \"nobody\"";
        assert!(wrong.iter().any(|line| line.starts_with(rule)), "{wrong:#?}");
        // Whatever was compiled before.
        let (before, _) = Config::join(&example(), None).unwrap();
        assert_eq!(Config::join(&documents, Some(&before)).unwrap_err().len(), 2);
        assert_eq!(Config::join(&example(), Some(&before)).unwrap().0.otj, before.otj);
    }

    #[test]
    fn a_configuration_that_was_read_after_another_is_the_same_as_one_that_was_not() {
        let (before, _) = Config::join(&example(), None).unwrap();
        let mut documents = example();
        body(&mut documents, Kind::CallRoutingRules, "meetings")["match"] =
            json!({ "regex": "x([0-9]{6})@.*" });
        let (after, _) = Config::join(&documents, Some(&before)).unwrap();
        let (anew, _) = Config::join(&documents, None).unwrap();
        assert_eq!(format!("{after:?}"), format!("{anew:?}"));
        body(&mut documents, Kind::CallRoutingRules, "meetings")["match"] = json!({ "regex": "x(" });
        assert!(Config::join(&documents, Some(&after)).is_err());
    }

    #[test]
    fn a_whole_that_lacks_something_says_so_of_its_document() {
        let wrong: Vec<_> = Config::join(&[], None).unwrap_err().iter().map(ToString::to_string).collect();
        assert!(wrong[0].starts_with("settings/gateway: domains is missing"), "{wrong:?}");
    }

    #[test]
    fn deleting_what_is_in_use_names_its_users() {
        // P2: deleting a token in use is refused, naming its users.
        let documents: Vec<_> = example().into_iter().filter(|d| d.id != "tenant a, guests").collect();
        let wrong: Vec<_> =
            Config::join(&documents, None).unwrap_err().iter().map(ToString::to_string).collect();
        assert!(
            wrong.iter().any(|line| line.starts_with("call-routing-rules/guests with a pin: token")),
            "{wrong:?}"
        );
    }
}
