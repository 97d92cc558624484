//! One-Touch Join (P6): default processing and the meeting processing rules.

use super::read::{Document, Section};
use super::sections::{NameOf, Names};
use super::values;
use crate::otj::{DefaultProcessing, Domain, MAX_RULES, Rule, Rules, TYPES, Written};
use crate::routing::{PRIORITIES, RuleState, Search};
use std::collections::HashMap;
use toml::de::DeValue;

/// Both, if nothing is wrong with them; what was compiled for the rules `before` is taken again.
pub(super) fn read(
    document: &Document<'_>,
    root: &Section<'_, '_>,
    before: Option<&Rules>,
    names: &mut Names,
) -> Option<Rules> {
    let searches = before.into_iter().flat_map(Rules::rules).filter_map(|rule| rule.kind.search());
    let known: HashMap<&str, &Search> = searches.map(|search| (search.as_str(), search)).collect();
    let default = default_processing(&root.section("otj"));
    let count = root.length("otj_rules");
    if count > MAX_RULES {
        root.wrong("otj_rules", format!("has {count} rules; at most {MAX_RULES} are taken"));
        return None;
    }
    let sections = root.sections("otj_rules");
    let rules = sections.iter().filter_map(|s| rule(document, s, &known, names)).collect();
    // Too many and twice the same name are told above, each where it stands.
    Rules::new(rules, default).ok()
}

fn default_processing(s: &Section<'_, '_>) -> DefaultProcessing {
    let guest_domain = s.take("guest_domain", domain);
    match s.take("default_processing", values::boolean) {
        Some(false) => DefaultProcessing::Off,
        Some(true) | None => DefaultProcessing::On { guest_domain },
    }
}

fn domain(value: &DeValue<'_>) -> Result<Domain, String> {
    Domain::parse(&values::text(value)?)
}

fn rule(
    document: &Document<'_>,
    s: &Section<'_, '_>,
    known: &HashMap<&str, &Search>,
    names: &mut Names,
) -> Option<Rule> {
    let name = s.need("name", values::name, "the dry run names rules by it");
    let priority = s.need("priority", values::number(PRIORITIES), "take 1 to 200; the lowest is asked first");
    let state = match s.take("enabled", values::boolean) {
        Some(false) => RuleState::Disabled,
        Some(true) | None => RuleState::Enabled,
    };
    let types = TYPES.map(|word| format!("{word:?}")).join(", ");
    let kind = s.need("type", values::text, &format!("take one of {types}"));
    let [regex, replace, template, domain] =
        ["regex", "replace", "template", "domain"].map(|field| s.take(field, values::text));
    let written = Written { kind: kind?, regex, replace, template, domain, ..Written::default() };
    let known = |regex: &str| known.get(regex).map(|search| Search::clone(search));
    let kind = written.meant(&known, &mut |field, message| s.wrong(field, message));
    let name = names.enter(document, NameOf::MeetingRule, s.mark("name"), name?);
    Some(Rule { name, priority: priority?, state, kind: kind? })
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::otj::{By, DefaultProcessing, Invitation};

    const GATEWAY: &str = "[gateway]\ndomains = [\"meet.example.com\"]\n";

    fn parsed(more: &str) -> Config {
        Config::parse("test", &format!("{GATEWAY}{more}")).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn wrong(more: &str) -> Vec<String> {
        let problems = Config::parse("test", &format!("{GATEWAY}{more}")).unwrap_err();
        problems.list.iter().map(|problem| format!("{} {}", problem.field, problem.message)).collect()
    }

    fn alias(config: &Config, body: &str) -> Option<(String, String)> {
        let invitation = Invitation::read(body.as_bytes());
        let found = config.otj.alias(&invitation)?;
        let by = match found.by {
            By::Rule { name, .. } => name.to_owned(),
            By::Default => "default".to_owned(),
        };
        Some((found.alias.short().to_owned(), by))
    }

    fn some(alias: &str, by: &str) -> Option<(String, String)> {
        Some((alias.to_owned(), by.to_owned()))
    }

    /// P6
    #[test]
    fn p6_without_rules_a_sip_uri_is_dialled_first_and_a_meet_link_at_the_guest_domain() {
        let bare = parsed("");
        assert_eq!(alias(&bare, "sip:1@a.example"), some("1@a.example", "default"));
        assert_eq!(alias(&bare, "https://meet.google.com/abc-defg-hij"), None, "there is no guest domain");
        let guests = parsed("[otj]\nguest_domain = \"Guests.Example.com\"\n");
        let body = "https://meet.google.com/abc-defg-hij or sip:1@a.example";
        assert_eq!(alias(&guests, body), some("1@a.example", "default"));
        let link = "https://meet.google.com/abc-defg-hij";
        assert_eq!(alias(&guests, link), some("abc-defg-hij@guests.example.com", "default"));
        let off = parsed("[otj]\ndefault_processing = false\n");
        assert_eq!(alias(&off, "sip:1@a.example"), None);
        assert_eq!(off.otj, crate::otj::Rules::new(Vec::new(), DefaultProcessing::Off).unwrap());
    }

    /// P6
    #[test]
    fn p6_rules_are_asked_by_priority_before_default_processing() {
        let config = parsed(
            "[[otj_rules]]\nname = \"last\"\npriority = 20\ntype = \"sip-uri\"\n\
             [[otj_rules]]\nname = \"first\"\npriority = 10\ntype = \"custom\"\nregex = 'ID: (?<id>[0-9 ]+)'\n\
             template = \"${id:digits}@b.example\"\n\
             [[otj_rules]]\nname = \"never\"\npriority = 1\nenabled = false\ntype = \"domain\"\ndomain = \"a.example\"\n",
        );
        assert_eq!(alias(&config, "sip:1@a.example\nID: 12 34"), some("1234@b.example", "first"));
        assert_eq!(alias(&config, "sip:1@a.example"), some("1@a.example", "last"));
    }

    /// P6
    #[test]
    fn p6_everything_that_is_wrong_with_the_rules_is_told_at_once_at_its_field() {
        let told = wrong(
            "[otj]\nguest_domain = \"nowhere\"\n\
             [[otj_rules]]\nname = \"a\"\npriority = 0\ntype = \"custom\"\nregex = \"(\"\n\
             [[otj_rules]]\nname = \"a\"\npriority = 1\ntype = \"sip-uri\"\nreplace = \"x\"\n\
             [[otj_rules]]\npriority = 1\ntype = \"telepathy\"\n\
             [[otj_rules]]\nname = \"b\"\ntype = \"domain\"\ntemplate = \"${code}\"\n",
        );
        let starts = [
            "otj.guest_domain \"nowhere\" is no domain",
            "otj_rules[0].priority must be a whole number from 1 to 200",
            "otj_rules[0].regex \"(\" does not compile",
            "otj_rules[1].name \"a\" is already a meeting processing rule's",
            "otj_rules[1].replace is not used by type \"sip-uri\"",
            "otj_rules[2].name is missing",
            "otj_rules[2].type \"telepathy\" is not known",
            "otj_rules[3].domain is missing; type \"domain\" needs one",
            "otj_rules[3].priority is missing",
            "otj_rules[3].template names field \"code\"",
        ];
        assert_eq!(told.len(), starts.len(), "{told:#?}");
        for start in starts {
            assert!(told.iter().any(|line| line.starts_with(start)), "{start}: {told:#?}");
        }
        let many: String = (0..=crate::otj::MAX_RULES)
            .map(|n| format!("[[otj_rules]]\nname = \"{n}\"\npriority = 1\ntype = \"sip-uri\"\n"))
            .collect();
        assert_eq!(wrong(&many), ["otj_rules has 201 rules; at most 200 are taken"]);
    }
}
