//! One-Touch Join as P6 wants it. The bench of real-world shapes is `tests/invitations.rs`.

use super::*;
use proptest::prelude::*;

const MEET: &str = "https://meet.google.com/abc-defg-hij";

fn written(name: &str, priority: u8, kind: &str) -> Written {
    Written { name: name.into(), priority, enabled: true, kind: kind.into(), ..Written::default() }
}

fn on() -> DefaultProcessing {
    DefaultProcessing::On { guest_domain: Some(Domain::parse("Guests.example.com").unwrap()) }
}

fn rules(written: &[Written], default: DefaultProcessing) -> Rules {
    Rules::new(written.iter().map(|rule| rule.check().unwrap()).collect(), default).unwrap()
}

/// What is dialled; the dry run must agree.
fn dialled(rules: &Rules, body: &str) -> Option<String> {
    let invitation = Invitation::read(body.as_bytes());
    let found = rules.alias(&invitation);
    let explained = rules.explain(&invitation).into_iter().find_map(|verdict| match verdict.outcome {
        Outcome::Gives(alias) => Some(Found { alias, by: verdict.by }),
        _ => None,
    });
    assert_eq!(found, explained, "the dry run says what is done");
    assert_eq!(rules.explain(&invitation).len(), rules.rules().len() + 1, "each is told about");
    found.map(|found| found.alias.full())
}

fn given(alias: &str) -> Option<String> {
    Some(format!("sip:{alias}"))
}

#[test]
fn p6_a_sip_uri_in_the_body_comes_first_else_a_meet_link_becomes_a_guest() {
    let rules = rules(&[], on());
    assert_eq!(dialled(&rules, &format!("{MEET} or sip:1@a.example")), given("1@a.example"));
    assert_eq!(dialled(&rules, MEET), given("abc-defg-hij@guests.example.com"));
    assert_eq!(dialled(&rules, "nothing"), None);
}

#[test]
fn p6_without_a_guest_domain_meet_links_are_left_and_without_default_processing_all_is() {
    let no_domain = rules(&[], DefaultProcessing::On { guest_domain: None });
    assert_eq!(dialled(&no_domain, MEET), None);
    assert_eq!(dialled(&no_domain, "sip:1@a.example"), given("1@a.example"));
    assert_eq!(dialled(&rules(&[], DefaultProcessing::Off), "sip:1@a.example"), None);
}

#[test]
fn p6_the_first_rule_by_priority_that_gives_an_alias_wins() {
    let sip = written("sip", 20, "sip-uri");
    let meet =
        Written { domain: Some("g.example".into()), ..written("meet", 10, "google-meet-sip-guest-join") };
    let both = format!("sip:1@a.example {MEET}");
    let by_priority = rules(&[sip.clone(), meet.clone()], on());
    assert_eq!(dialled(&by_priority, &both), given("abc-defg-hij@g.example"));
    assert_eq!(dialled(&by_priority, "sip:1@a.example"), given("1@a.example"));
    let disabled = Written { enabled: false, ..meet };
    assert_eq!(dialled(&rules(&[sip, disabled], on()), &both), given("1@a.example"));
}

#[test]
fn p6_each_type_of_rule_finds_its_own() {
    let one = |rule: Written, body: &str| dialled(&rules(&[rule], DefaultProcessing::Off), body);
    let some = |text: &str| Some(text.to_owned());
    let sip = written("r", 1, "sip-uri");
    assert_eq!(one(sip.clone(), "sip:1@a.example"), given("1@a.example"));
    let at = Written { domain: some("B.example"), ..sip };
    assert_eq!(one(at, "sip:1@a.example sip:2@b.example"), given("2@b.example"));
    let domain = Written { domain: some("a.example"), ..written("r", 1, "domain") };
    assert_eq!(one(domain.clone(), "mailto:bob@a.example, dial 77@A.example"), given("77@a.example"));
    let prefixed = Written { template: some("9${user}@x.${host}"), ..domain };
    assert_eq!(one(prefixed, "77@a.example"), given("977@x.a.example"));
    let regex = Written {
        regex: some(r"(?i)zoom\.example/j/(\d{9,11})"),
        replace: some(r"\1@crc.example"),
        ..written("r", 1, "regex")
    };
    assert_eq!(one(regex, "https://us02.Zoom.example/j/123456789?pwd=x"), given("123456789@crc.example"));
    let custom = Written {
        regex: some(r"(?i)conference id: (?<id>[\d ]+)"),
        template: some("${id:digits}@t.example"),
        ..written("r", 1, "custom")
    };
    assert_eq!(one(custom, "Video Conference ID: 112 345 678 9"), given("1123456789@t.example"));
}

#[test]
fn p6_an_alias_from_an_invitation_is_routed_like_one_that_was_dialled() {
    let rules = rules(&[], on());
    let invitation = Invitation::read(b"SIPS:1234567890123@Meet.example.com;transport=tls");
    let alias = rules.alias(&invitation).unwrap().alias;
    assert_eq!(alias, Alias::parse("1234567890123@meet.example.com", "sip").unwrap());
}

#[test]
fn p6_a_place_that_can_not_be_dialled_passes_to_the_next_place() {
    let regex =
        Written { regex: Some("id=(.*)$".into()), replace: Some(r"\1@a".into()), ..written("r", 1, "regex") };
    let rules = rules(&[regex], DefaultProcessing::Off);
    assert_eq!(dialled(&rules, "id=a b\nid=\nid=cd"), given("cd@a"));
}

#[test]
fn p6_a_dry_run_says_for_each_rule_why_it_did_or_did_not() {
    let regex = |name, priority, regex: &str, replace: &str| Written {
        regex: Some(regex.into()),
        replace: Some(replace.into()),
        ..written(name, priority, "regex")
    };
    let all = [
        Written { enabled: false, ..written("off", 1, "sip-uri") },
        written("sip", 2, "sip-uri"),
        Written { domain: Some("a.example".into()), ..written("at", 3, "sip-uri") },
        Written { domain: Some("a.example".into()), ..written("domain", 4, "domain") },
        regex("never", 5, r"\d{13}", r"\0"),
        regex("spaced", 6, "Join (.+)", r"\1"),
        regex("half", 7, "Join", "@a.example"),
        Written { domain: Some("g.example".into()), ..written("meet", 8, "google-meet-sip-guest-join") },
        written("after", 9, "sip-uri"),
    ];
    let rules = rules(&all, on());
    let invitation = Invitation::read(format!("Join us at\nJoin {MEET} now").as_bytes());
    let said: Vec<_> = rules.explain(&invitation).iter().map(Verdict::to_string).collect();
    assert_eq!(
        said,
        [
            r#"rule "off" (priority 1) is disabled"#,
            r#"rule "sip" (priority 2) does not find a sip: URI"#,
            r#"rule "at" (priority 3) does not find a sip: URI at "a.example""#,
            r#"rule "domain" (priority 4) does not find an address at "a.example""#,
            r#"rule "never" (priority 5) does not find what looks like "\\d{13}""#,
            r#"rule "spaced" (priority 6) makes "us at", which can't be dialled: alias "us at" holds a control character or a space; remove it"#,
            r#"rule "half" (priority 7) makes "@a.example", which can't be dialled: half of the address is missing"#,
            r#"rule "meet" (priority 8) gives "abc-defg-hij@g.example""#,
            r#"rule "after" (priority 9) is not asked: one before it gave the alias"#,
            "default processing is not asked: one before it gave the alias",
        ]
    );
}

#[test]
fn p6_everything_wrong_in_a_rule_is_told_at_once() {
    let wrong = Written {
        regex: Some("([0-9{6,}".into()),
        replace: Some(r"\1".into()),
        domain: Some("x".into()),
        priority: 201,
        name: String::new(),
        ..written("", 0, "custom")
    };
    let told: Vec<_> =
        wrong.check().unwrap_err().into_iter().map(|p| format!("{} {}", p.field, p.message)).collect();
    assert_eq!(told.len(), 5, "{told:?}");
    assert_eq!(told[0], "name must have 1 to 64 printable characters");
    assert_eq!(told[1], "priority must be a whole number from 1 to 200");
    assert_eq!(told[2], "replace is not used by type \"custom\"; leave it out");
    assert_eq!(told[3], "domain is not used by type \"custom\"; leave it out");
    assert!(told[4].starts_with("regex \"([0-9{6,}\" does not compile: unclosed"), "{}", told[4]);
    let first = |rule: Written| {
        let problem = rule.check().unwrap_err().remove(0);
        format!("{} {}", problem.field, problem.message)
    };
    assert!(
        first(written("r", 1, "zoom"))
            .starts_with("type \"zoom\" is not known; take \"google-meet-sip-guest-join\"")
    );
    assert!(first(written("r", 1, "domain")).starts_with("domain is missing"));
    assert!(first(written("r", 1, "regex")).starts_with("regex is missing"));
    let custom = Written { regex: Some("(?<id>a)".into()), ..written("r", 1, "custom") };
    assert!(first(custom.clone()).starts_with("template is missing"));
    let unknown = Written { template: Some("${pin}".into()), ..custom };
    assert_eq!(
        first(unknown),
        "template names field \"pin\", which there is not; there are groups 1 to 1, named id"
    );
    let bad_domain = Written { domain: Some("a b".into()), ..written("r", 1, "sip-uri") };
    assert!(first(bad_domain).starts_with("domain \"a b\" is no domain"));
}

#[test]
fn p6_a_rule_is_kept_as_json() {
    let json = r#"{"name":"r","priority":7,"enabled":true,"type":"sip-uri","domain":"a.example"}"#;
    let rule: Written = serde_json::from_str(json).unwrap();
    assert_eq!(serde_json::to_string(&rule).unwrap(), json);
    assert!(serde_json::from_str::<Written>(r#"{"jinja":"x"}"#).is_err());
}

#[test]
fn rules_are_bounded_and_each_has_its_own_name() {
    let rule = written("r", 1, "sip-uri").check().unwrap();
    let same = Rules::new(vec![rule.clone(); 2], on());
    assert_eq!(same, Err(RulesError::SameName("r".into())));
    assert_eq!(Rules::new(vec![rule; MAX_RULES + 1], on()), Err(RulesError::TooMany(MAX_RULES + 1)));
}

/// Pieces that readers stumble over, in any order.
fn piece() -> impl Strategy<Value = String> {
    let pieces = [
        "BEGIN:VCALENDAR\r\n",
        "BEGIN:VEVENT\r\n",
        "END:VEVENT\r\n",
        "BEGIN:VALARM\n",
        "END:VALARM\n",
        "DESCRIPTION:",
        "DESCRIPTION;ALTREP=\"a:b",
        "X-ALT-DESC;FMTTYPE=text/html:",
        "DTSTART:20261105T140000Z\n",
        "DURATION:PT1H\n",
        "DTSTART;TZID=x:20261",
        "SUMMARY:",
        "ENCODING=QUOTED-PRINTABLE:",
        "\r\n ",
        "\n\t",
        "=\r\n",
        "=3D",
        "=C3",
        "\\n",
        "\\",
        "<a href=\"",
        "<a href='",
        "\">",
        "<br>",
        "<!--",
        "-->",
        "<script>",
        "</script",
        "<html>",
        "<",
        ">",
        "&amp;",
        "&#x41;",
        "&#",
        "&",
        ";",
        "https://",
        "https://a.safelinks.protection.outlook.com/?url=https%3A%2F%2F",
        "https://urldefense.com/v3/__",
        "__;",
        "https://urldefense.proofpoint.com/v2/url?u=https-3A__",
        "%",
        "%2F",
        "https://meet.google.com/",
        "abc-defg-hij",
        "sip:",
        "sips://",
        "1234567890123",
        "@",
        "a.example",
        ";gruu",
        " ",
        "\n",
        "> ",
        "\u{200b}",
        "ü",
        "\u{ad}",
        "\0",
    ];
    prop_oneof![9 => proptest::sample::select(pieces.to_vec()).prop_map(str::to_owned), 1 => "\\PC{0,8}"]
}

fn every_kind() -> Rules {
    let some = |text: &str| Some(text.to_owned());
    let all = [
        Written { domain: some("a.example"), ..written("1", 1, "sip-uri") },
        Written { domain: some("a.example"), ..written("2", 2, "domain") },
        Written { domain: some("g.example"), ..written("3", 3, "google-meet-sip-guest-join") },
        Written { regex: some(r"(\d+)(.?)"), replace: some(r"\1\2"), ..written("4", 4, "regex") },
        Written {
            regex: some(r"(?<id>\w+).*$"),
            template: some("${id:digits}@x"),
            ..written("5", 5, "custom")
        },
    ];
    rules(&all, on())
}

proptest! {
    #[test]
    fn no_body_makes_reading_panic(pieces in proptest::collection::vec(piece(), 0..60)) {
        let rules = every_kind();
        let invitation = Invitation::read(pieces.concat().as_bytes());
        let found = rules.alias(&invitation).map(|found| found.alias.full());
        let explained = rules.explain(&invitation);
        prop_assert_eq!(explained.iter().any(|v| matches!(v.outcome, Outcome::Gives(_))), found.is_some());
        let unseen = invitation.text().contains(['\r', '\0', '\u{200b}']);
        prop_assert!(!unseen, "the text is tidy");
    }

    #[test]
    fn no_bytes_make_reading_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = every_kind().alias(&Invitation::read(&body));
    }

    #[test]
    fn a_sip_uri_is_found_whatever_stands_round_it(before in "[^a-zA-Z0-9:<&=@%-]{0,20}", after in "[ ,;)\n][^<&=]{0,20}") {
        let rules = rules(&[], on());
        let body = format!("{before}sip:1234567890123@meet.example.com{after}");
        prop_assume!(!after.contains("gruu"));
        let found = rules.alias(&Invitation::read(body.as_bytes())).map(|found| found.alias.short().to_owned());
        prop_assert_eq!(found.as_deref(), Some("1234567890123@meet.example.com"));
    }
}
