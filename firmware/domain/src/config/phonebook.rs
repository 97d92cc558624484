//! The phonebook's sections: who may look it up and where, and its entries.

use super::read::{Document, Mark, Section};
use super::sections::listeners;
use super::{Gateway, PortRange, Problem, Sip, values};
use crate::phonebook::{
    BaseName, Directory, Entry, Login, MAX_ALIASES, MAX_ENTRIES, MAX_TAGS, PhoneAlias, Phonebook, Strangers,
};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use toml::de::DeValue;

/// Longest path, in bytes.
const PATH_BYTES: usize = 100;
/// Paths that are the box's own.
const OWN_PATHS: &[&str] = &["/api", "/admin"];

/// The base where neither the phonebook nor a domain gives one; nothing runs with it.
const NO_DOMAIN: &str = "invalid";

/// Both sections, and what is allowed but hardly meant.
pub(super) fn phonebook(
    document: &Document<'_>,
    root: &Section<'_, '_>,
    gateway: &Gateway,
    sip: &Sip,
    (media, signalling): (PortRange, PortRange),
) -> (Phonebook, Vec<Problem>) {
    let s = root.section("phonebook");
    let ldap = s.list("ldap", values::listen).unwrap_or_default();
    let ldaps = s.list("ldaps", values::listen).unwrap_or_default();
    let taken: Vec<SocketAddr> = sip.tcp.iter().chain(&sip.tls).copied().collect();
    listeners(&s, "ldap", &ldap, &taken, media, signalling);
    let taken: Vec<SocketAddr> = taken.into_iter().chain(ldap.iter().copied()).collect();
    listeners(&s, "ldaps", &ldaps, &taken, media, signalling);
    let base = s.take("base_dn", base_name);
    let domain = gateway.domains.first().map_or(NO_DOMAIN, String::as_str);
    let login = login(&s);
    let phonebook = Phonebook {
        ldap,
        ldaps,
        https: s.take("https", http_path),
        base: base.unwrap_or_else(|| BaseName::of_domain(domain)),
        strangers: strangers(&s, login.as_ref()),
        login,
        directory: Arc::new(directory(document, root)),
    };
    let warnings = unseen(document, root, &phonebook).into_iter().collect();
    (phonebook, warnings)
}

fn login(s: &Section<'_, '_>) -> Option<Login> {
    let (user, password) = (s.take("user", values::name), s.take("password", values::secret));
    match (s.has("user"), s.has("password")) {
        (true, false) => s.wrong("user", "has no password beside it; add password = \"...\""),
        (false, true) => s.wrong("password", "has no user beside it; add user = \"...\""),
        (true, true) | (false, false) => {}
    }
    Some(Login { user: user?, password: password? })
}

/// Everybody looks where there is no user to be.
fn strangers(s: &Section<'_, '_>, login: Option<&Login>) -> Strangers {
    let usual = if login.is_some() { Strangers::Refused } else { Strangers::Served };
    match s.take("anonymous", values::boolean) {
        Some(true) => Strangers::Served,
        Some(false) => {
            if login.is_none() && !s.has("user") && !s.has("password") {
                s.wrong(
                    "anonymous",
                    "is false and there is no user: nobody could look; add user and password",
                );
            }
            Strangers::Refused
        }
        None => usual,
    }
}

fn base_name(value: &DeValue<'_>) -> Result<BaseName, String> {
    BaseName::parse(&values::text(value)?)
}

/// The path of an HTTP resource.
fn http_path(value: &DeValue<'_>) -> Result<String, String> {
    let text = values::text(value)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let segment = |segment: &str| {
        !segment.is_empty()
            && segment.chars().all(plain)
            && segment.chars().any(|c| c.is_ascii_alphanumeric())
    };
    let good =
        text.len() <= PATH_BYTES && text.strip_prefix('/').is_some_and(|path| path.split('/').all(segment));
    if !good {
        return Err(format!(
            "{text:?} is no path; write such as \"/phonebook\", of letters, digits, - _ . and /"
        ));
    }
    let own = OWN_PATHS.iter().find(|own| text == **own || text.starts_with(&format!("{own}/")));
    match own {
        Some(own) => Err(format!("{text:?} is within {own}, which is the administration's; take another")),
        None => Ok(text),
    }
}

fn directory(document: &Document<'_>, root: &Section<'_, '_>) -> Directory {
    let count = root.length("phonebook_entries");
    if count > MAX_ENTRIES {
        root.wrong("phonebook_entries", format!("has {count} entries; at most {MAX_ENTRIES} are taken"));
        return Directory::default();
    }
    let sections = root.sections("phonebook_entries");
    let mut seen = BTreeSet::new();
    let entries = sections.iter().filter_map(|s| entry(s)).filter(|(mark, entry)| {
        let is_new = seen.insert(entry.key());
        if !is_new {
            let group = entry.group.as_deref().unwrap_or("none");
            let message = format!("{:?} is already in the group {group:?}; give each its own", entry.name);
            mark.suspect(document, message);
        }
        is_new
    });
    let entries = entries.map(|(_, entry)| entry).collect();
    // Neither too many nor twice the same.
    Directory::new(entries).unwrap_or_default()
}

fn entry(s: &Section<'_, '_>) -> Option<(Mark, Entry)> {
    let name = s.need("name", values::name, "rooms show it");
    let group = s.take("group", values::name);
    let description = s.take("description", values::text).unwrap_or_default();
    let aliases = s.list("aliases", alias);
    match &aliases {
        None if !s.has("aliases") => s.lacks(
            "aliases",
            "is missing; write what it is dialled by, such as [\"sip:room@example.com\", \"h323:room\", \"+49301234\"]",
        ),
        Some(aliases) if aliases.len() > MAX_ALIASES => {
            s.wrong("aliases", format!("has {}; at most {MAX_ALIASES} are taken", aliases.len()));
        }
        Some(aliases) if aliases.is_empty() => s.wrong("aliases", "holds none that is good; give at least one"),
        Some(_) | None => {}
    }
    let tags = s.list("tags", values::name).unwrap_or_default();
    if tags.len() > MAX_TAGS {
        s.wrong("tags", format!("has {}; at most {MAX_TAGS} are taken", tags.len()));
    }
    let group = if s.has("group") { Some(group?) } else { None };
    Some((s.mark("name"), Entry { name: name?, group, description, aliases: aliases?, tags }))
}

fn alias(value: &DeValue<'_>) -> Result<PhoneAlias, String> {
    let text = values::text(value)?;
    PhoneAlias::parse(&text).map_err(|error| format!("{text:?} {error}"))
}

/// A phonebook without readers, or one without entries.
fn unseen(document: &Document<'_>, root: &Section<'_, '_>, phonebook: &Phonebook) -> Option<Problem> {
    let Phonebook { ldap, ldaps, https, directory, .. } = phonebook;
    let is_served = !ldap.is_empty() || !ldaps.is_empty() || https.is_some();
    match (directory.entries().is_empty(), is_served) {
        (false, false) => {
            let message = "are shown to nobody; add ldap, ldaps or https to [phonebook]";
            Some(root.mark("phonebook_entries").note(document, message))
        }
        (true, true) => {
            let message = "is served and holds nobody; add [[phonebook_entries]]";
            Some(root.mark("phonebook").note(document, message))
        }
        (true, false) | (false, true) => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::phonebook::{PhoneAlias, Strangers};

    const GATEWAY: &str = "[gateway]\ndomains = [\"meet.example.com\"]\n";

    fn config(more: &str) -> Config {
        Config::parse("gantry.toml", &format!("{GATEWAY}{more}"))
            .unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn wrong(more: &str) -> Vec<String> {
        let problems =
            Config::parse("gantry.toml", &format!("{GATEWAY}{more}")).expect_err("it should be refused");
        problems.list.iter().map(|problem| format!("{} {}", problem.field, problem.message)).collect()
    }

    fn warnings(more: &str) -> Vec<String> {
        let config = config(more);
        let warnings = config.warnings.iter().filter(|warning| warning.field.starts_with("phonebook"));
        warnings.map(|warning| warning.message.clone()).collect()
    }

    #[test]
    fn k6_without_a_word_nobody_is_served_and_the_base_is_the_domains() {
        let phonebook = config("").phonebook;
        assert!(phonebook.ldap.is_empty() && phonebook.ldaps.is_empty() && phonebook.https.is_none());
        assert_eq!(phonebook.base.as_str(), "dc=meet,dc=example,dc=com");
        assert_eq!((phonebook.login, phonebook.strangers), (None, Strangers::Served));
        assert!(phonebook.directory.entries().is_empty());
    }

    #[test]
    fn k6_entries_have_aliases_for_each_kind_of_room() {
        let text = "[phonebook]\nldap = \"0.0.0.0:389\"\n[[phonebook_entries]]\nname = \"Boardroom\"\ngroup = \"Berlin\"\n\
                    aliases = [\"sip:b@example.com\", \"h323:b\", \"+49 30 12\"]\ntags = [\"large\"]\n\
                    [[phonebook_entries]]\nname = \"Reception\"\naliases = \"1234\"\n";
        let phonebook = config(text).phonebook;
        let [boardroom, reception] = phonebook.directory.entries() else { panic!("two entries") };
        assert_eq!(
            boardroom.aliases,
            [
                PhoneAlias::Sip("sip:b@example.com".into()),
                PhoneAlias::H323("b".into()),
                PhoneAlias::Number("+493012".into())
            ]
        );
        assert_eq!((boardroom.group.as_deref(), reception.group.as_deref()), (Some("Berlin"), None));
    }

    #[test]
    fn who_logs_in_is_the_only_one_unless_others_are_let_in() {
        let login = "[phonebook]\nuser = \"rooms\"\npassword = \"s3cret\"\n";
        assert_eq!(config(login).phonebook.strangers, Strangers::Refused);
        assert_eq!(config(&format!("{login}anonymous = true\n")).phonebook.strangers, Strangers::Served);
        assert!(!format!("{:?}", config(login).phonebook).contains("s3cret"));
    }

    #[test]
    fn everything_wrong_in_a_phonebook_is_told_at_once() {
        let text = "[phonebook]\nldap = [\"0.0.0.0:5060\", \"0.0.0.0:40000\"]\nldaps = \"0.0.0.0:636\"\nhttps = \"/api/x\"\n\
                    base_dn = \"cn=x\"\nuser = \"rooms\"\n\
                    [[phonebook_entries]]\nname = \"a\"\naliases = [\"sip:x\"]\n\
                    [[phonebook_entries]]\ngroup = \"g\"\n\
                    [[phonebook_entries]]\nname = \"b\"\naliases = []\ntag = \"x\"\n\
                    [[phonebook_entries]]\nname = \"c\"\naliases = \"1\"\n\
                    [[phonebook_entries]]\nname = \"C \"\naliases = \"2\"\n";
        let told = wrong(text);
        for wanted in [
            "phonebook.ldap listens on 0.0.0.0:5060 twice; remove one",
            "phonebook.ldap listens on 0.0.0.0:40000, which is one of the media ports; move one of them",
            "phonebook.https \"/api/x\" is within /api, which is the administration's; take another",
            "phonebook.base_dn \"cn=x\" has a part \"cn\"; it begins with dc, ou or o, and goes on with these or c",
            "phonebook.user has no password beside it; add password = \"...\"",
            "phonebook_entries[0].aliases[0] \"sip:x\" is no SIP URI; write \"sip:room@example.com\"",
            "phonebook_entries[1].name is missing; rooms show it",
            "phonebook_entries[2].aliases holds none that is good; give at least one",
            "phonebook_entries[2].tag is unknown; did you mean \"tags\"?",
            "phonebook_entries[4].name \"C \" is already in the group \"none\"; give each its own",
        ] {
            assert!(told.iter().any(|one| one == wanted), "{wanted} is missing in {told:#?}");
        }
        assert!(
            told.iter().any(|one| one.starts_with("phonebook_entries[1].aliases is missing")),
            "{told:#?}"
        );
        let nobody = wrong("[phonebook]\nanonymous = false\n");
        assert_eq!(
            nobody,
            ["phonebook.anonymous is false and there is no user: nobody could look; add user and password"]
        );
        for path in ["phonebook", "/", "/a//b", "/../x", "/a b", "/a/"] {
            assert_eq!(wrong(&format!("[phonebook]\nhttps = \"{path}\"\n")).len(), 1, "{path}");
        }
    }

    #[test]
    fn more_entries_than_can_be_searched_are_refused() {
        let one = "[[phonebook_entries]]\nname=\"a\"\naliases=\"1\"\n";
        let told = wrong(&one.repeat(20_001));
        assert_eq!(told, ["phonebook_entries has 20001 entries; at most 20000 are taken"]);
    }

    #[test]
    fn a_phonebook_that_nobody_can_read_or_that_is_empty_is_remarked_upon() {
        let entry = "[[phonebook_entries]]\nname = \"a\"\naliases = \"1\"\n";
        assert_eq!(warnings(entry), ["are shown to nobody; add ldap, ldaps or https to [phonebook]"]);
        let served = "[phonebook]\nhttps = \"/phonebook\"\n";
        assert_eq!(warnings(served), ["is served and holds nobody; add [[phonebook_entries]]"]);
        assert!(warnings(&format!("{served}{entry}")).is_empty() && warnings("").is_empty());
    }
}
