//! P6: what a room dials for each of the invitations under tests/vectors/invitations, and that none takes long.
#![allow(
    clippy::disallowed_methods,
    reason = "the invitations are files; only the reader itself may read none"
)]
#![allow(clippy::unwrap_used, reason = "in a test, what cannot be read fails it")]

use domain::otj::{
    BODY_BYTES, By, Clock, DefaultProcessing, Domain, Invitation, Moment, Outcome, Rules, Standing, Written,
};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(Deserialize)]
struct Kept {
    guest_domain: String,
    rules: Vec<Written>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/invitations")
}

fn rules() -> Rules {
    let kept: Kept = serde_json::from_slice(&fs::read(folder().join("rules.json")).unwrap()).unwrap();
    let rules = kept.rules.iter().map(|rule| rule.check().expect(&rule.name)).collect();
    let guest_domain = Some(Domain::parse(&kept.guest_domain).unwrap());
    Rules::new(rules, DefaultProcessing::On { guest_domain }).unwrap()
}

fn read(name: &str) -> Invitation {
    Invitation::read(&fs::read(folder().join(name)).expect(name))
}

/// The columns of the table of expectations: body, alias, by, starts, ends.
fn expected() -> Vec<[String; 5]> {
    let table = fs::read_to_string(folder().join("expect.txt")).unwrap();
    let lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let columns: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            columns.try_into().unwrap_or_else(|_| panic!("not five columns: {line}"))
        })
        .collect()
}

fn moment(moment: Option<Moment>) -> String {
    let Some(Moment { at, clock }) = moment else { return "-".to_owned() };
    let text = at.to_string();
    match clock {
        Clock::Utc => text,
        Clock::Wall => text.replace('Z', "_wall"),
        Clock::Calendar => text.replace("T00:00:00Z", "_day"),
    }
}

/// P6
#[test]
fn p6_every_invitation_gives_the_alias_that_a_person_would_dial() {
    let rules = rules();
    let (mut wrong, expected) = (Vec::new(), expected());
    assert!(expected.len() >= 40, "only {} invitations", expected.len());
    for [name, alias, by, starts, ends] in &expected {
        let invitation = read(name);
        let found = rules.alias(&invitation);
        let told = match &found {
            None => ["-".to_owned(), "-".to_owned()],
            Some(found) => [
                found.alias.short().to_owned(),
                match found.by {
                    By::Rule { name, .. } => name.replace(' ', "_"),
                    By::Default => "default".to_owned(),
                },
            ],
        };
        let when = [moment(invitation.starts), moment(invitation.ends)];
        if told != [alias.clone(), by.clone()] || when != [starts.clone(), ends.clone()] {
            wrong.push(format!("{name}: {told:?} {when:?}, should be {alias} {by} {starts} {ends}"));
        }
        let given = rules.explain(&invitation).iter().any(|v| matches!(v.outcome, Outcome::Gives(_)));
        assert_eq!(given, found.is_some(), "{name}: the dry run says what is done");
    }
    assert!(wrong.is_empty(), "{} of {} wrong:\n{}", wrong.len(), expected.len(), wrong.join("\n"));
}

#[test]
fn every_invitation_stands_in_the_table() {
    let told: BTreeSet<_> = expected().into_iter().map(|[name, ..]| name).collect();
    let names = fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let there: BTreeSet<_> = names.filter(|name| name != "expect.txt" && name != "rules.json").collect();
    assert_eq!(told, there);
}

#[test]
fn a_rooms_button_has_a_subject_and_knows_what_was_called_off() {
    let subject = |name: &str| read(name).subject.reveal().to_owned();
    assert_eq!(subject("google-calendar-en.ics"), "Weekly, planning; all");
    assert_eq!(subject("google-calendar-ja.ics"), "週次の打ち合わせ");
    assert_eq!(subject("folded-inside-the-uri.ics"), "Grüße");
    assert_eq!(subject("vcalendar-1.vcs"), "Grüße");
    assert_eq!(subject("plain-no-video.txt"), "");
    assert_eq!(read("outlook-cancelled.ics").standing, Standing::Cancelled);
    assert_eq!(read("google-calendar-en.ics").standing, Standing::Held);
}

/// Shapes on which careless readers take time that grows with the square of the body.
const HOSTILE: &[&str] = &[
    "<",
    "<a",
    "<a ",
    "<a href=\"",
    "<a href='x\"",
    "<!--",
    "<!",
    "<script>",
    "<style></",
    "</",
    "<br><",
    "a=\"",
    "&",
    "&#",
    "&amp",
    "=3D",
    "=\r\n",
    "\r\n ",
    "\n",
    ">",
    "> ",
    " ",
    "\u{a0}",
    "\u{200b}",
    "sip:",
    "sip:a",
    "sip:a@",
    "sip:a@b.c ",
    "sip:a@b",
    "a@",
    "1@a.example ",
    "1@vmr.example.com",
    "https://",
    "https://a.safelinks.protection.outlook.com/?url=",
    "https://www.google.com/url?q=",
    "https://urldefense.com/v3/__",
    "https://secure-web.cisco.com/",
    "%25",
    "%",
    "meet.google.com/",
    "meet.google.com/abc-defg-hij",
    "zoom.example.com/j/123456789 ",
    "video id: 1",
    "passcode: ",
    "BEGIN:VEVENT\n",
    "DESCRIPTION:sip:\r\n",
    "DESCRIPTION;X=\"",
    "\\n",
    "\\",
    ";",
    ":",
    "ENCODING=QUOTED-PRINTABLE:=\n",
    "\u{fc}",
    "\u{0}",
    "END:VEVENT\n",
];
/// Longest that a body may take, many times what it does, so that a busy machine is not taken for a fault.
const PATIENCE: Duration = Duration::from_secs(5);

#[test]
fn no_body_of_a_mebibyte_takes_long() {
    let rules = rules();
    let heads = [
        "",
        "<html>",
        "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDESCRIPTION:",
        "BEGIN:VEVENT\nX-ALT-DESC:<p>",
        "BEGIN:VEVENT\nX;",
    ];
    let mut slowest = (Duration::ZERO, String::new());
    for head in heads {
        for shape in HOSTILE {
            let body = format!("{head}{}", shape.repeat(BODY_BYTES / shape.len()));
            let begun = Instant::now();
            let _ = rules.explain(&Invitation::read(body.as_bytes()));
            slowest = slowest.max((begun.elapsed(), format!("{head:?} and {shape:?} over and over")));
        }
    }
    assert!(slowest.0 < PATIENCE, "{slowest:?}");
}

/// Regexes on which engines with backtracking never return, and such as search to the end for each of many places.
const NASTY: &[&str] = &[
    "(a*)*b",
    "(a|aa)+$",
    "(?s).*Z|a",
    "(?s)(.{0,60}a){3}Z|a",
    "(.*)(.*)(.*)(.*)Z|a",
    "(?:a?){100}(?:a){100}Z|a",
    "(?s)a(?:[ab]{0,90}c?){2}Z|a",
];

#[test]
fn no_regex_of_an_administrator_takes_long() {
    for regex in NASTY {
        let rule = Written {
            name: "nasty".to_owned(),
            priority: 1,
            enabled: true,
            kind: "regex".to_owned(),
            regex: Some((*regex).to_owned()),
            replace: Some(" ".to_owned()),
            ..Written::default()
        };
        let rule = rule.check().unwrap_or_else(|problems| panic!("{regex}: {problems:?}"));
        let rules = Rules::new(vec![rule], DefaultProcessing::Off).unwrap();
        for shape in ["a", "ab", "a b\n"] {
            let body = shape.repeat(BODY_BYTES / shape.len());
            let begun = Instant::now();
            let outcome = rules.explain(&Invitation::read(body.as_bytes())).remove(0).outcome;
            let took = begun.elapsed();
            assert!(took < PATIENCE, "{regex} on {shape:?} took {took:?}");
            assert!(!matches!(outcome, Outcome::Gives(_)), "{regex} makes spaces only");
        }
    }
}
