//! Routing as P4 and W2 want it.

use super::*;
use base::Pii;
use base::leg::Trust;
use std::collections::BTreeSet;

const ROOM: &str = "room@example.com";

fn dialled(alias: &str) -> Dialled {
    Dialled {
        alias: Alias::parse(alias, "sip").unwrap(),
        caller: Alias::parse(ROOM, "sip").unwrap(),
        display_name: Pii::new("Room"),
        protocol: Protocol::Sip,
        source: "10.1.2.3:5060".parse().unwrap(),
        registered: false,
        user_agent: None,
    }
}

fn rule(name: &str, priority: u8, pattern: &str, replace: &str) -> Rule {
    let pattern = Pattern::parse(pattern).unwrap();
    Rule {
        name: name.into(),
        description: String::new(),
        tag: String::new(),
        state: RuleState::Enabled,
        priority,
        replace: Template::parse(replace, &pattern).unwrap(),
        matches: Match {
            directions: BTreeSet::from([Direction::Incoming]),
            callers: Callers::Any,
            protocols: BTreeSet::from([Protocol::Sip, Protocol::H323]),
            locations: BTreeSet::new(),
            form: AliasForm::Alias,
            pattern,
        },
        target: Target::Conference { connector: "meet".into(), token: "tenant".into() },
        treat_as: Trust::Untrusted,
        call_type: CallType::Auto,
        encryption: None,
        max_in_bps: None,
        max_out_bps: None,
        theme: None,
    }
}

fn router(rules: Vec<Rule>) -> Router {
    let network = |text| vec![Network::parse(text).unwrap()];
    let locations = vec![
        Location { name: "hq".into(), networks: network("10.1.0.0/16") },
        Location { name: "branch".into(), networks: network("10.2.0.0/16") },
    ];
    Router::new(rules, locations).unwrap()
}

/// Who takes `call` and what the alias becomes; the dry run must agree.
fn taken(router: &Router, call: &Dialled) -> Option<(String, String)> {
    let decision = router.route(call, Direction::Incoming);
    let explained = router.explain(call, Direction::Incoming).pop();
    let by_dry_run = explained.and_then(|verdict| match verdict.outcome {
        Outcome::Takes(alias) => Some((verdict.rule, alias)),
        _ => None,
    });
    let routed = decision.map(|decision| (decision.rule.name.clone(), decision.alias));
    assert_eq!(routed, by_dry_run, "the dry run says what routing does");
    routed
}

fn named(name: &str, alias: &str) -> Option<(String, String)> {
    Some((name.to_owned(), alias.to_owned()))
}

#[test]
fn k1_a_meeting_id_at_the_gateways_domain_joins_that_meeting() {
    let router = router(vec![rule("meet", 100, r"(\d{13})@meet\.example\.com", r"\1")]);
    assert_eq!(taken(&router, &dialled("1234567890123@meet.example.com")), named("meet", "1234567890123"));
    assert_eq!(
        taken(&router, &dialled("sip:1234567890123@meet.example.com")),
        named("meet", "1234567890123")
    );
    assert_eq!(taken(&router, &dialled("123@meet.example.com")), None);
}

#[test]
fn p4_the_lowest_priority_wins_and_among_equals_the_first_written() {
    let router = router(vec![
        rule("late", 200, ".*", "9"),
        rule("first of two", 50, "1.*", "1"),
        rule("second of two", 50, ".*", "2"),
    ]);
    assert_eq!(taken(&router, &dialled("1")), named("first of two", "1"));
    assert_eq!(taken(&router, &dialled("3")), named("second of two", "2"));
    let order: Vec<_> = router.rules().iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(order, ["first of two", "second of two", "late"]);
}

#[test]
fn p4_a_rule_may_see_the_full_alias_uri_and_still_stands_in_line_by_priority() {
    let mut h323 = rule("h323 only", 10, r"h323:(\d+)@.*", r"\1");
    h323.matches.form = AliasForm::FullUri;
    let mut any_uri = rule("any uri", 30, r"[a-z0-9]+:(\d+)@.*", r"\1");
    any_uri.matches.form = AliasForm::FullUri;
    let router = router(vec![any_uri, rule("short", 20, r"(\d+)@.*", r"\1"), h323]);
    assert_eq!(taken(&router, &dialled("h323:77@a")), named("h323 only", "77"));
    assert_eq!(taken(&router, &dialled("sip:77@a")), named("short", "77"));
}

#[test]
fn w2_a_pin_prefix_is_stripped_or_handed_on_apart() {
    let router = router(vec![
        rule("apart", 10, r"9(?<pin>\d{4})(\d{13})@.*", r"\2"),
        rule("stripped", 20, r"8\d{4}(\d{13})@.*", r"\1"),
        rule("added", 30, r"(\d{13})@.*", r"0000\1"),
    ]);
    let apart = dialled("947111234567890123@m");
    assert_eq!(taken(&router, &apart), named("apart", "1234567890123"));
    let pin = router.route(&apart, Direction::Incoming).and_then(|decision| decision.pin);
    assert_eq!(pin.map(|pin| pin.expose().clone()).as_deref(), Some("4711"));
    assert_eq!(taken(&router, &dialled("847111234567890123@m")), named("stripped", "1234567890123"));
    assert_eq!(taken(&router, &dialled("1234567890123@m")), named("added", "00001234567890123"));
}

#[test]
fn p4_each_condition_passes_the_call_on_to_the_next_rule() {
    let passes = |name: &str, change: &dyn Fn(&mut Rule), call: &Dialled| {
        let mut narrow = rule(name, 1, ".*", r"1");
        change(&mut narrow);
        let router = router(vec![narrow, rule("rest", 2, ".*", "2")]);
        taken(&router, call).unwrap().0 == "rest"
    };
    let call = dialled("1@m");
    assert!(!passes("all", &|_| (), &call));
    assert!(passes("disabled", &|rule| rule.state = RuleState::Disabled, &call));
    assert!(passes("outgoing", &|rule| rule.matches.directions = [Direction::Outgoing].into(), &call));
    assert!(passes("registered", &|rule| rule.matches.callers = Callers::Registered, &call));
    let registered = Dialled { registered: true, ..call.clone() };
    assert!(!passes("registered", &|rule| rule.matches.callers = Callers::Registered, &registered));
    assert!(passes("branch", &|rule| rule.matches.locations = ["branch".to_owned()].into(), &call));
    assert!(!passes(
        "hq",
        &|rule| rule.matches.locations = ["branch".to_owned(), "hq".to_owned()].into(),
        &call
    ));
    for protocol in
        [Protocol::Sip, Protocol::H323, Protocol::MsSip, Protocol::WebRtc, Protocol::Rtmp, Protocol::Teams]
    {
        let call = Dialled { protocol, ..call.clone() };
        let mut only = rule("only", 1, ".*", "1");
        only.matches.protocols = [protocol].into();
        let mut others = rule("others", 2, ".*", "2");
        others.matches.protocols.remove(&protocol);
        let alone = router(vec![others, only]);
        assert_eq!(taken(&alone, &call).unwrap().0, "only");
    }
}

#[test]
fn p4_a_dry_run_says_which_rule_takes_an_alias_and_why_the_earlier_ones_did_not() {
    let mut rules = vec![
        rule("off", 1, ".*", "1"),
        rule("out", 2, ".*", "1"),
        rule("own", 3, ".*", "1"),
        rule("web", 4, ".*", "1"),
        rule("elsewhere", 5, ".*", "1"),
        rule("nowhere", 6, ".*", ""),
        rule("long", 7, r"\d{13}@.*", "1"),
        rule("meet", 8, r"(\d+)@.*", r"\1"),
        rule("after", 9, ".*", "1"),
    ];
    rules[0].state = RuleState::Disabled;
    rules[1].matches.directions = [Direction::Outgoing].into();
    rules[2].matches.callers = Callers::Registered;
    rules[3].matches.protocols = [Protocol::WebRtc].into();
    rules[4].matches.locations = ["branch".to_owned()].into();
    let router = router(rules);
    let said: Vec<_> =
        router.explain(&dialled("12@m"), Direction::Incoming).iter().map(Verdict::to_string).collect();
    assert_eq!(
        said,
        [
            r#"rule "off" (priority 1) is disabled"#,
            r#"rule "out" (priority 2) takes outgoing calls only"#,
            r#"rule "own" (priority 3) takes registered devices only, and the caller is none"#,
            r#"rule "web" (priority 4) does not take sip calls"#,
            r#"rule "elsewhere" (priority 5) does not take calls from location "hq""#,
            r#"rule "nowhere" (priority 6) matches, but its replace string makes "", which can't be called"#,
            r#"rule "long" (priority 7) does not match: "12@m" is not "\\d{13}@.*""#,
            r#"rule "meet" (priority 8) takes the call; the alias becomes "12""#,
        ]
    );
}

#[test]
fn what_is_dialled_cannot_smuggle_anything_into_a_meeting_id() {
    let router = router(vec![rule("all", 1, "(.*)@m", r"\1")]);
    for alias in ["a/b@m", "a?x=1@m", "..@m", "%2e@m", "ü@m"] {
        assert_eq!(taken(&router, &dialled(alias)), None, "{alias}");
    }
    assert_eq!(taken(&router, &dialled("abc-defg-hij@m")), named("all", "abc-defg-hij"));
}

#[test]
fn p4_the_last_of_a_thousand_rules_is_found() {
    let mut rules: Vec<_> = (0..999)
        .map(|n| {
            rule(&format!("tenant {n}"), 100, &format!(r"(?i)t{n}-(\d{{9,13}})@meet\.example\.com"), r"\1")
        })
        .collect();
    rules.push(rule("meet", 200, r"(\d{13})@meet\.example\.com", r"\1"));
    let router = router(rules);
    assert_eq!(taken(&router, &dialled("1234567890123@meet.example.com")), named("meet", "1234567890123"));
    assert_eq!(taken(&router, &dialled("T998-123456789@MEET.example.com")), named("tenant 998", "123456789"));
}

#[test]
fn rules_that_change_places_or_patterns_route_as_if_all_were_read_anew() {
    let tenants = |changed: usize, turned: bool| -> Vec<_> {
        let rule = |n: usize| {
            let prefix = if n == changed { "x" } else { "" };
            let priority = u8::try_from(if turned { 200 - n % 200 } else { 1 + n % 200 }).unwrap();
            rule(&format!("tenant {n}"), priority, &format!("{prefix}([0-9]{{6}})@t({n}|all)[.]m"), r"\1")
        };
        (0..300).map(rule).collect()
    };
    let mut before = router(tenants(7, false));
    for (changed, turned) in [(7, true), (8, true), (8, false), (299, false)] {
        let after = Router::after(Some(&before), tenants(changed, turned), Vec::new()).unwrap();
        let anew = router(tenants(changed, turned));
        for alias in
            (0..300).map(|n| format!("123456@t{n}.m")).chain(["123456@tall.m".into(), "x123456@t8.m".into()])
        {
            assert_eq!(taken(&after, &dialled(&alias)), taken(&anew, &dialled(&alias)), "{alias}");
        }
        before = after;
    }
}
