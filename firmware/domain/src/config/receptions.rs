//! Virtual Receptions (P5) and the themes that they and rules name.

use super::read::{Document, Section};
use super::sections::{ENCRYPTIONS, NameOf, Names};
use super::{Gateway, Theme, values};
use crate::reception::{Desk, FIRST_KEY, NEXT_KEY, TRIES};
use crate::routing::{Pattern, Template};
use base::Alias;
use std::collections::BTreeSet;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// Most aliases of one reception.
const MAX_ALIASES: usize = 64;
/// Most keys that count as an id where no regex is written; fewer than a caller may key.
const ANY_ID: &str = "([0-9]{1,32})";

/// A theme: a name for files, which are uploaded to the box or lie in a folder.
pub(super) fn theme(document: &Document<'_>, s: &Section<'_, '_>, names: &mut Names) -> Option<Theme> {
    let name = s.need("name", values::name, "rules and receptions name themes by it");
    let folder = s.take("folder", values::path);
    Some(Theme { name: names.enter(document, NameOf::Theme, s.mark("name"), name?), folder })
}

/// A reception.
pub(super) fn desk(
    document: &Document<'_>,
    s: &Section<'_, '_>,
    gateway: &Gateway,
    names: &mut Names,
) -> Option<Desk> {
    let name = s.need("name", values::name, "the logs name receptions by it");
    let aliases = aliases(document, s, gateway, names);
    let matched = matched(&s.section("match"));
    s.has("replace");
    let replace = matched.as_ref().and_then(|pattern| replace(s, pattern, gateway));
    let theme = s.take("theme", values::name);
    if let Some(theme) = &theme {
        names.used(document, NameOf::Theme, &s.mark("theme"), theme);
    }
    let desk = Desk {
        name: String::new(),
        aliases,
        tries: s.take("tries", values::number(1..=10)).unwrap_or(TRIES),
        first_key: s.take("first_key", values::duration(5 * SECOND..=120 * SECOND)).unwrap_or(FIRST_KEY),
        next_key: s.take("next_key", values::duration(2 * SECOND..=60 * SECOND)).unwrap_or(NEXT_KEY),
        encryption: s.take("encryption", values::word(ENCRYPTIONS)),
        theme,
        pattern: matched?,
        replace: replace?,
    };
    let name = names.enter(document, NameOf::Reception, s.mark("name"), name?);
    Some(Desk { name, ..desk })
}

/// What is dialled; an alias without a domain is at each of the gateway's.
fn aliases(
    document: &Document<'_>,
    s: &Section<'_, '_>,
    gateway: &Gateway,
    names: &mut Names,
) -> Vec<String> {
    let written = s.list("aliases", values::name).unwrap_or_default();
    if !s.has("aliases") {
        s.lacks("aliases", "is missing; write what callers dial, such as aliases = [\"gmeet@example.com\"]");
    } else if written.is_empty() {
        s.wrong("aliases", "is empty: nobody could reach it; write what callers dial");
    } else if written.len() > MAX_ALIASES {
        s.wrong("aliases", format!("has {} aliases; at most {MAX_ALIASES} are taken", written.len()));
    }
    let mut aliases = BTreeSet::new();
    for text in written.iter().take(MAX_ALIASES) {
        match Alias::parse(text, "sip") {
            Ok(alias) if alias.domain().is_some() => drop(aliases.insert(alias.short().to_ascii_lowercase())),
            Ok(alias) => {
                let hosts =
                    gateway.domains.iter().cloned().chain(gateway.public_address.map(|ip| ip.to_string()));
                aliases.extend(hosts.map(|host| format!("{}@{host}", alias.short()).to_ascii_lowercase()));
            }
            Err(error) => s.wrong("aliases", format!("{text:?} cannot be dialled: {error}")),
        }
    }
    for alias in &aliases {
        names.enter(document, NameOf::ReceptionAlias, s.mark("aliases"), alias.clone());
    }
    aliases.into_iter().collect()
}

fn matched(s: &Section<'_, '_>) -> Option<Pattern> {
    if !s.has("regex") {
        return Pattern::parse(ANY_ID).ok();
    }
    let text = s.take("regex", values::text)?;
    Pattern::parse(&text).map_err(|error| s.wrong("regex", format!("{text:?} {error}"))).ok()
}

/// Where none is written, what was keyed is dialled at the gateway's first domain.
fn replace(s: &Section<'_, '_>, pattern: &Pattern, gateway: &Gateway) -> Option<Template> {
    let unsaid = || format!(r"\0@{}", gateway.domains.first().map_or("", String::as_str));
    let text = if s.has("replace") { s.take("replace", values::text)? } else { unsaid() };
    Template::parse(&text, pattern).map_err(|error| s.wrong("replace", format!("{text:?} {error}"))).ok()
}
