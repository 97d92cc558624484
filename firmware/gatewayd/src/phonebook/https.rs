//! The phonebook over HTTPS, as JSON: what is answered and to whom. Who keeps the HTTP server mounts it at the configured path.
//!
//! ```text
//!  GET /phonebook?q=board&group=Berlin&skip=0&limit=100
//!  {"total":1,"skip":0,"groups":["Berlin"],"entries":[{"id":"...","name":"Boardroom","group":"Berlin","description":"",
//!    "aliases":[{"kind":"sip","address":"sip:boardroom@example.com"}]}]}
//! ```
//! Deliberately absent: the SOAP service by which some rooms fetch a phonebook from their own management system, since no public document
//! defines it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::phonebook::{Directory, Entry, Found, PhoneAlias, Phonebook, Query, Strangers};
use serde::{Deserialize, Serialize};

/// Entries told where nobody says how many.
const USUAL: usize = 100;
/// Most entries told at once.
const MOST: usize = 1_000;

/// What is asked, as the query of a URL.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Words that all must be in an entry: its name, group, description, aliases or tags.
    #[serde(default)]
    pub q: String,
    /// Only this group.
    pub group: Option<String>,
    /// Only entries with this tag.
    pub tag: Option<String>,
    /// How many are left out at the beginning.
    #[serde(default)]
    pub skip: usize,
    /// How many are told at most: 100 if it is left out, and never more than 1,000.
    pub limit: Option<usize>,
}

/// What is answered.
#[derive(Debug, Serialize)]
pub struct Answer<'a> {
    /// How many there are in all.
    pub total: usize,
    /// How many were left out at the beginning.
    pub skip: usize,
    /// All groups there are, by name.
    pub groups: Vec<&'a str>,
    /// Entries, by name.
    pub entries: Vec<Shown<'a>>,
}

/// An entry as it is shown; its tags are not.
#[derive(Debug, Serialize)]
pub struct Shown<'a> {
    /// Stays as long as its name and group do.
    pub id: String,
    /// What it is called.
    pub name: &'a str,
    /// Its group, or null.
    pub group: Option<&'a str>,
    /// What else is to be said.
    pub description: &'a str,
    /// What it is dialled by, the first above all.
    pub aliases: Vec<Address>,
}

/// One way to dial it.
#[derive(Debug, Serialize)]
pub struct Address {
    /// `sip`, `h323` or `tel`.
    pub kind: &'static str,
    /// The address with its scheme.
    pub address: String,
}

/// Whether somebody may look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Yes.
    Granted,
    /// It must say who it is: 401, with a challenge for Basic (RFC 7617).
    Unknown,
    /// It gave a wrong name or password: 401, and an offence to tell [`super::Guard::wrong_login`].
    Wrong,
}

/// The answer to what was asked, as one JSON object.
#[must_use]
pub fn answer<'a>(directory: &'a Directory, asked: &Asked) -> Answer<'a> {
    let query = Query {
        words: &asked.q,
        group: asked.group.as_deref(),
        tag: asked.tag.as_deref(),
        skip: asked.skip,
        most: asked.limit.unwrap_or(USUAL).min(MOST),
    };
    let Found { total, entries } = directory.find(query);
    let entries = entries.into_iter().map(shown).collect();
    Answer { total, skip: asked.skip, groups: directory.groups(), entries }
}

/// Whether who sent this `Authorization` field, or none, may look.
#[must_use]
pub fn access(settings: &Phonebook, authorization: Option<&str>) -> Access {
    let given = authorization.and_then(basic);
    match (given, &settings.login, settings.strangers) {
        (Some((user, password)), Some(login), _) => {
            let is_right = login.password.is(password.as_bytes()) & (user == login.user);
            if is_right { Access::Granted } else { Access::Wrong }
        }
        (_, _, Strangers::Served) => Access::Granted,
        (None, _, Strangers::Refused) | (Some(_), None, Strangers::Refused) => Access::Unknown,
    }
}

/// User and password of a Basic `Authorization` field (RFC 7617 2).
fn basic(field: &str) -> Option<(String, String)> {
    let (scheme, token) = field.trim().split_once(' ')?;
    let octets =
        scheme.eq_ignore_ascii_case("basic").then(|| BASE64_STANDARD.decode(token.trim()).ok())??;
    let text = String::from_utf8(octets).ok()?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

fn shown(entry: &Entry) -> Shown<'_> {
    let address = |alias: &PhoneAlias| {
        let kind = match alias {
            PhoneAlias::Sip(_) => "sip",
            PhoneAlias::H323(_) => "h323",
            PhoneAlias::Number(_) => "tel",
        };
        Address { kind, address: alias.to_string() }
    };
    Shown {
        id: entry.id().to_string(),
        name: &entry.name,
        group: entry.group.as_deref(),
        description: &entry.description,
        aliases: entry.aliases.iter().map(address).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::config::Config;

    fn settings(more: &str) -> Phonebook {
        let text = format!(
            "[gateway]\ndomains = [\"meet.example.com\"]\n[phonebook]\nhttps = \"/phonebook\"\n{more}\
             [[phonebook_entries]]\nname = \"Boardroom\"\ngroup = \"Berlin\"\naliases = [\"b@example.com\", \"+4930\"]\n\
             tags = [\"large\"]\n[[phonebook_entries]]\nname = \"Huddle\"\naliases = \"h323:h\"\n"
        );
        Config::parse("gantry.toml", &text).expect("a configuration").phonebook
    }

    #[test]
    fn k6_the_phonebook_is_told_as_json() {
        let settings = settings("");
        let told = |asked: &Asked| serde_json::to_value(answer(&settings.directory, asked)).expect("JSON");
        let board = told(&Asked { q: "LARGE board".into(), ..Asked::default() });
        assert_eq!((&board["total"], &board["groups"][0]), (&1.into(), &"Berlin".into()));
        let entry = &board["entries"][0];
        assert_eq!((&entry["name"], &entry["group"]), (&"Boardroom".into(), &"Berlin".into()));
        assert_eq!(entry["aliases"][0]["address"], "sip:b@example.com");
        assert_eq!(entry["aliases"][1], serde_json::json!({ "kind": "tel", "address": "tel:+4930" }));
        assert!(!board.to_string().contains("large"), "tags are not shown");
        let second = told(&Asked { skip: 1, limit: Some(1), ..Asked::default() });
        assert_eq!((&second["total"], &second["entries"][0]["name"]), (&2.into(), &"Huddle".into()));
        assert_eq!(second["entries"][0]["group"], serde_json::Value::Null);
        assert_eq!(
            told(&Asked { limit: Some(usize::MAX), ..Asked::default() })["entries"][1]["name"],
            "Huddle"
        );
    }

    #[test]
    fn who_may_look_is_told_by_name_and_password() {
        let basic = |text: &str| Some(format!("Basic {}", BASE64_STANDARD.encode(text)));
        let with = |settings: &Phonebook, field: Option<String>| access(settings, field.as_deref());
        let open = settings("");
        assert_eq!(with(&open, None), Access::Granted);
        assert_eq!(with(&open, basic("a:b")), Access::Granted, "there is nobody to be");
        let login = settings("user = \"rooms\"\npassword = \"open:sesame\"\n");
        assert_eq!(with(&login, None), Access::Unknown);
        assert_eq!(with(&login, Some("Bearer x".into())), Access::Unknown);
        assert_eq!(with(&login, Some("Basic !".into())), Access::Unknown);
        assert_eq!(with(&login, basic("rooms:open:sesame")), Access::Granted);
        for wrong in ["rooms:open", "room:open:sesame", "rooms:", ":"] {
            assert_eq!(with(&login, basic(wrong)), Access::Wrong, "{wrong}");
        }
    }
}
