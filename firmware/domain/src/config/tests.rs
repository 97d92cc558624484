//! Configurations as operators write them, rightly and wrongly.

use super::*;
use crate::routing::{Direction, Target};
use base::leg::{Dialled, Protocol};
use base::{Alias, Pii};
use proptest::prelude::*;

const EXAMPLE: &str = include_str!("../../examples/gantry.toml");

const SMALL: &str = r#"
[gateway]
domains = ["meet.example.com"]

[[tokens]]
name = "tenant"
value = "s3cret-value"
trust = "trusted"

[[connectors]]
name = "meet"
kind = "interop"
url = "https://conference.example.com"

[[rules]]
name = "meetings"
priority = 100
"#;

fn dialled(alias: &str) -> Dialled {
    Dialled {
        alias: Alias::parse(alias, "sip").unwrap(),
        caller: Alias::parse("room@example.com", "sip").unwrap(),
        display_name: Pii::new("Room"),
        protocol: Protocol::Sip,
        source: "10.1.2.3:5060".parse().unwrap(),
        registered: false,
        user_agent: None,
    }
}

/// What is wrong with `text`, one line each.
fn wrong(text: &str) -> Vec<String> {
    let problems = Config::parse("gantry.toml", text).expect_err("it should be refused").to_string();
    problems.lines().map(str::to_owned).collect()
}

/// What is wrong with the small configuration and `more` after it, without file and line.
fn wrong_with(more: &str) -> Vec<String> {
    let lines = wrong(&format!("{SMALL}{more}"));
    lines.iter().map(|line| line.splitn(3, ':').nth(2).unwrap_or(line).trim().to_owned()).collect()
}

fn parsed(text: &str) -> Config {
    Config::parse("gantry.toml", text).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn k1_a_small_configuration_takes_meeting_ids_at_the_gateways_domain() {
    let config = parsed(SMALL);
    let route = |alias: &str| config.router.route(&dialled(alias), Direction::Incoming).map(|d| d.alias);
    assert_eq!(route("1234567890123@meet.example.com").as_deref(), Some("1234567890123"));
    assert_eq!(route("1234567890123@MEET.example.com").as_deref(), Some("1234567890123"));
    assert_eq!(route("1234567890123@meetxexample.com"), None);
    assert_eq!(route("123456789012@meet.example.com"), None);
    let [rule] = config.router.rules() else { panic!("one rule") };
    assert_eq!(rule.target, Target::Conference { connector: "meet".into(), token: "tenant".into() });
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn k4_ports_have_the_defaults_of_the_firewall_plan() {
    let config = parsed(SMALL);
    assert_eq!(config.media.ports, PortRange { first: 40_000, last: 49_999 });
    assert_eq!(config.signalling_ports, PortRange { first: 33_000, last: 39_999 });
    assert_eq!(config.sip.udp, ["0.0.0.0:5060".parse().unwrap()]);
    assert_eq!(config.sip.tcp, ["0.0.0.0:5060".parse().unwrap()]);
    assert!(config.sip.tls.is_empty(), "no certificate, no TLS");
    let tls = parsed(&format!("{SMALL}[sip]\ncertificate = \"a.pem\"\nkey = \"b.pem\"\n"));
    assert_eq!(tls.sip.tls, ["0.0.0.0:5061".parse().unwrap()]);
}

#[test]
fn the_example_shows_every_field_and_is_right() {
    let config = parsed(EXAMPLE);
    assert_eq!(config.gateway.domains, ["meet.example.com", "rooms.example.com"]);
    assert_eq!(config.gateway.workers, Some(2));
    assert_eq!(config.gateway.drain, Duration::from_secs(60));
    assert_eq!(config.sip.tls.len(), 1);
    assert_eq!(config.systems.len(), 3);
    assert_eq!(config.devices[0].user, "boardroom");
    let desk = &config.receptions[0];
    assert_eq!(
        desk.aliases,
        ["gmeet@example.com", "meet@203.0.113.7", "meet@meet.example.com", "meet@rooms.example.com"]
    );
    assert_eq!((desk.tries, desk.theme.as_deref()), (3, Some("dark")));
    assert_eq!(desk.alias_of("1234567890123").as_deref(), Some("1234567890123@meet.example.com"));
    assert_eq!(config.notify.len(), 4);
    let rule = &config.router.rules()[0];
    assert_eq!(
        (rule.name.as_str(), rule.priority, rule.tag.as_str()),
        ("guests with a pin", 10, "cost-centre-7")
    );
    assert_eq!((rule.max_in_bps, rule.max_out_bps), (Some(2_000_000), Some(4_128_000)));
    assert_eq!(rule.encryption, Some(Encryption::On));
    assert_eq!(rule.theme.as_deref(), Some("dark"));
    let decision =
        config.router.route(&dialled("471112345678901234567@rooms.example.com"), Direction::Incoming);
    assert_eq!(decision, None, "too many digits");
    let decision =
        config.router.route(&dialled("94711-1234567890123@meet.example.com"), Direction::Incoming).unwrap();
    assert_eq!(decision.alias, "1234567890123");
    assert_eq!(decision.pin.map(|pin| pin.expose().clone()).as_deref(), Some("4711"));
}

#[test]
fn everything_wrong_is_told_at_once_with_line_and_field_and_a_way_out() {
    let text = r#"[gateway]
domain = ["meet.example.com"]

[media]
ports = "40000-39000"

[[tokens]]
name = "tenant"
value = "s3cret-value"
trust = "maybe"

[[connectors]]
name = "meet"
kind = "interop"
url = "http://conference.example.com"

[[rules]]
name = "a"
priority = 201
[rules.match]
regex = "([0-9{6,}"

[[rules]]
name = "a"
priority = 1
token = "tennant"
replace = '\2'
"#;
    assert_eq!(
        wrong(text),
        [
            r#"gantry.toml:1: gateway.domains is missing; write the names callers dial, such as domains = ["meet.example.com"]"#,
            r#"gantry.toml:2: gateway.domain is unknown; did you mean "domains"?"#,
            r#"gantry.toml:5: media.ports "40000-39000" ends before it begins; write the lower port first"#,
            r#"gantry.toml:10: tokens[0].trust "maybe" is not known; take "trusted", "untrusted""#,
            r#"gantry.toml:15: connectors[0].url "http://conference.example.com" is no https URL; only https:// is spoken, keys travel on it"#,
            r#"gantry.toml:19: rules[0].priority must be a whole number from 1 to 200"#,
            r#"gantry.toml:21: rules[0].match.regex "([0-9{6,}" does not compile: unclosed character class; regular expressions here are those of docs.rs/regex"#,
            r#"gantry.toml:26: rules[1].token "tennant" is no token; did you mean "tenant"?"#,
            r#"gantry.toml:27: rules[1].replace "\\2" names group 2, which the regex has not; it has groups 1 to 1"#,
        ]
    );
}

#[test]
fn p2_a_secret_never_prints_in_an_error() {
    for text in [
        "[[tokens]]\nname = \"a\"\nvalue = \"hunter2\"\nvalue = \"hunter2\"",
        "[[tokens]]\nname = \"a\"\nvalue = 'hunter2",
        "[[tokens]]\nname = \"a\"\nvalue = [\"hunter2\"]",
        "[[tokens]]\nname = \"a\"\nvaleu = \"hunter2\"",
        "[[tokens]]\nname = \"a\"\nvalue = \"hunter2\\u0007\"",
        "[[tokens]]\nname = \"a\"\nvalue = { x = \"hunter2\" }",
        "[[tokens]]\nname = \"a\"\nvalue = hunter2",
        "[[devices]]\nalias = \"a\"\npassword = \"hunter2\\u0000\"",
        "tokens = \"hunter2\"",
        "[[connectors]]\nname = \"a\"\nkind = \"interop\"\nurl = \"https://me:hunter2@a.b\"",
    ] {
        let problems = Config::parse("gantry.toml", text).unwrap_err();
        assert!(!problems.to_string().contains("hunter2"), "{problems}");
        assert!(!format!("{problems:?}").contains("hunter2"), "{problems:?}");
    }
    assert!(!format!("{:?}", parsed(SMALL)).contains("s3cret-value"));
}

#[test]
fn what_is_no_toml_is_told_alone_and_every_place_of_it() {
    let lines = wrong("[gateway]\ndomains = [\"a.b\"\n[media\nports = \"1\"\n");
    assert!(lines.len() >= 2, "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("not TOML")), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("missing; write")), "{lines:#?}");
}

#[test]
fn names_that_rules_use_must_exist() {
    let rule = "[[rules]]\nname = \"b\"\npriority = 1\n";
    assert_eq!(
        wrong_with(&format!("{rule}connector = \"met\"\n")),
        [r#"rules[1].connector "met" is no connector; did you mean "meet"?"#]
    );
    assert_eq!(
        wrong_with(&format!("{rule}target = \"external\"\nsip_proxy = \"edge\"\n")),
        [r#"rules[1].sip_proxy "edge" is no SIP proxy; there is none yet, add it as [[systems]]"#]
    );
    assert_eq!(
        wrong_with(&format!("{rule}[rules.match]\nlocations = [\"hq\"]\n")),
        [r#"rules[1].match.locations "hq" is no location; there is none yet, add it as [[locations]]"#]
    );
}

#[test]
fn a_token_must_be_named_where_there_are_two() {
    assert_eq!(
        wrong_with("[[tokens]]\nname = \"b\"\nvalue = \"x\"\ntrust = \"untrusted\"\n"),
        ["rules[0].token is missing, and there are 2 of [[tokens]]; name one"]
    );
}

#[test]
fn names_must_not_be_given_twice() {
    assert_eq!(
        wrong_with("[[tokens]]\nname = \"tenant\"\nvalue = \"x\"\ntrust = \"untrusted\"\n"),
        [r#"tokens[1].name "tenant" is already a token's; give each its own"#]
    );
    assert_eq!(
        wrong_with("[[rules]]\nname = \"meetings\"\npriority = 100\n"),
        [r#"rules[1].name "meetings" is already a rule's; give each its own"#]
    );
}

#[test]
fn fields_that_mean_nothing_for_a_target_are_refused() {
    assert_eq!(
        wrong_with("[[rules]]\nname = \"b\"\npriority = 1\noutgoing_protocol = \"sip\"\n"),
        [
            r#"rules[1].outgoing_protocol means nothing for target "conference"; remove it, or change the target"#
        ]
    );
}

#[test]
fn ports_must_not_get_in_each_others_way() {
    assert_eq!(
        wrong_with("[media]\nports = \"30000-34000\"\n"),
        ["media.ports overlaps the signalling ports 33000-39999; move one of them"]
    );
    assert_eq!(
        wrong_with("[sip]\nudp = [\"0.0.0.0:40000\"]\n"),
        ["sip.udp listens on 0.0.0.0:40000, which is one of the media ports; move one of them"]
    );
    assert_eq!(
        wrong_with("[sip]\ntls = [\"0.0.0.0:5060\"]\ncertificate = \"a\"\nkey = \"b\"\n"),
        ["sip.tls listens on 0.0.0.0:5060 twice; remove one"]
    );
    let uploaded = parsed(&format!("{SMALL}[sip]\ntls = [\"0.0.0.0:5061\"]\n"));
    let said: Vec<_> = uploaded.warnings.iter().map(|warning| warning.field.as_str()).collect();
    assert_eq!(said, ["sip.tls"], "a certificate can be uploaded");
    assert_eq!(
        wrong_with("[sip]\nkey = \"b\"\n"),
        ["sip.key has no certificate beside it; add certificate = \"<file>\""]
    );
    assert!(
        parsed(&format!("{SMALL}[sip]\nudp = [\"127.0.0.1:0\"]\ntcp = \"127.0.0.1:0\"\n")).sip.tcp[0].port()
            == 0
    );
}

#[test]
fn what_is_allowed_but_hardly_meant_is_a_warning() {
    let notes = |more: &str| {
        let config = parsed(&format!("{SMALL}{more}"));
        config.warnings.iter().map(|w| format!("{} {}", w.field, w.message)).collect::<Vec<_>>()
    };
    assert_eq!(
        notes("[[locations]]\nname = \"hq\"\nnetworks = \"10.0.0.0/8\"\n"),
        ["locations[0].name is named by no rule"]
    );
    assert_eq!(
        notes("[[rules]]\nname = \"b\"\npriority = 1\ntarget = \"device\"\n"),
        [r#"rules[1].target "device" is kept, but this release refuses the calls it takes (no route)"#]
    );
}

/// P5
#[test]
fn p5_a_small_reception_dials_what_is_keyed_at_the_first_domain() {
    let config =
        parsed(&format!("{SMALL}[[receptions]]\nname = \"desk\"\naliases = \"gmeet@Example.com\"\n"));
    let alias = |text: &str| Alias::parse(text, "sip").unwrap();
    let desk = config.reception(&alias("sip:GMEET@example.com")).expect("the reception");
    assert_eq!(desk.alias_of("123").as_deref(), Some("123@meet.example.com"));
    assert_eq!((desk.alias_of("12A"), desk.tries), (None, 3));
    assert!(config.reception(&alias("gmeet@meet.example.com")).is_none());
}

#[test]
fn everything_wrong_with_a_reception_is_told_with_a_way_out() {
    let desk = "[[receptions]]\nname = \"desk\"\n";
    assert_eq!(
        wrong_with(&format!("{desk}aliases = []\ntries = 0\nnext_key = \"1s\"\ntheme = \"dark\"\n")),
        [
            "receptions[0].aliases is empty: nobody could reach it; write what callers dial",
            "receptions[0].tries must be a whole number from 1 to 10",
            r#"receptions[0].next_key "1s" is out of range; take 2s to 60s"#,
            r#"receptions[0].theme "dark" is no theme; there is none yet, add it as [[themes]]"#,
        ]
    );
    assert_eq!(
        wrong_with(&format!("{desk}match.regex = \"(\"\nreplace = '\\2'\n")),
        [
            r#"receptions[0].aliases is missing; write what callers dial, such as aliases = ["gmeet@example.com"]"#,
            r#"receptions[0].match.regex "(" does not compile: unclosed group; regular expressions here are those of docs.rs/regex"#,
        ]
    );
    assert_eq!(
        wrong_with(&format!("{desk}aliases = \"a@b.c\"\nreplace = '\\2'\n")),
        [r#"receptions[0].replace "\\2" names group 2, which the regex has not; it has groups 1 to 1"#]
    );
    assert_eq!(
        wrong_with(&format!(
            "{desk}aliases = \"a@b.c\"\n[[receptions]]\nname = \"two\"\naliases = \"A@B.c\"\n"
        )),
        [r#"receptions[1].aliases "a@b.c" is already a reception's; give each its own"#]
    );
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC{0,200}") {
        let _ = Config::parse("x", &text);
    }

    #[test]
    fn no_damage_to_the_example_makes_the_reader_panic(at in 0..EXAMPLE.len(), with in "\\PC{0,3}", cut in 0..40_usize) {
        let from = (0..=at).rev().find(|at| EXAMPLE.is_char_boundary(*at)).unwrap_or(0);
        let to = (from + cut..=EXAMPLE.len()).find(|at| EXAMPLE.is_char_boundary(*at)).unwrap_or(EXAMPLE.len());
        let _ = Config::parse("x", &format!("{}{with}{}", &EXAMPLE[..from], &EXAMPLE[to..]));
    }
}
