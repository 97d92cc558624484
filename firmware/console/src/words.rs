//! The command line: its words, what they ask, and how the reply is written. One table serves `gantry <command>`, the
//! serial console's prompt, and the help of both.

use crate::menu::form::FormKind;
use crate::menu::lay::{self, Page};
use crate::protocol::{Ask, Path, Reply, Row, View};
use domain::appliance::request::{Haste, Tier};
use domain::appliance::values::shown;

/// Longest command, in words.
const WORDS: usize = 64;

/// How a reply is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// For programs: one JSON object.
    Json,
}

/// What a command means.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// This is asked.
    Ask(Ask, Form),
    /// This is filled in.
    Form(FormKind),
    /// This is said.
    Say(String),
    /// The prompt is left.
    Leave,
}

/// A command.
pub struct Word {
    /// Its name.
    pub name: &'static str,
    /// What stands behind it.
    pub usage: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// What more there is to know.
    pub more: &'static str,
    reads: fn(&[&str], Form) -> Option<Command>,
}

fn show(view: View) -> impl Fn(&[&str], Form) -> Option<Command> {
    move |rest, form| rest.is_empty().then_some(Command::Ask(Ask::Show { view }, form))
}

/// A reader of a command that only shows.
macro_rules! shows {
    ($view:expr) => {
        |rest, form| show($view)(rest, form)
    };
}

/// All commands of the box, in the order of the help.
pub const COMMANDS: &[Word] = &[
    Word {
        name: "status",
        usage: "",
        about: "how the box is: calls, addresses, clock, alarms",
        more: "",
        reads: shows!(View::Status),
    },
    Word {
        name: "network",
        usage: "show | settings | changes | set <field>=<value>... | apply | confirm | revert | discard",
        about: "addresses, VLAN, gateway, DNS: show, change, and let stand",
        more: "A change is written down by set, put in force on trial by apply, and taken back by itself unless\n\
               confirmed within 120 s. Fields: host-name, dns, search, time, panel, recovery, idle-minutes and, of each\n\
               interface, vlan, ipv4, ipv4-gateway, ipv6, ipv6-gateway, mtu.\n\
               Example: network set eth0.ipv4=192.0.2.10/24 eth0.ipv4-gateway=192.0.2.1 dns=192.0.2.53",
        reads: network,
    },
    Word {
        name: "host-name",
        usage: "[<name>]",
        about: "the box's name: show it, or write a new one down",
        more: "",
        reads: host_name,
    },
    Word {
        name: "time",
        usage: "[<server>... | none]",
        about: "the clock and its servers: show them, or write new ones down",
        more: "",
        reads: time,
    },
    Word {
        name: "slots",
        usage: "",
        about: "which release runs, which comes next",
        more: "",
        reads: shows!(View::Slots),
    },
    Word {
        name: "reasons",
        usage: "",
        about: "why the box or a service restarted",
        more: "",
        reads: shows!(View::Reasons),
    },
    Word {
        name: "identity",
        usage: "",
        about: "serial number, hardware addresses, release",
        more: "",
        reads: shows!(View::Identity),
    },
    Word {
        name: "sensors",
        usage: "",
        about: "temperatures, fans, voltages",
        more: "",
        reads: shows!(View::Sensors),
    },
    Word { name: "audit", usage: "", about: "who did what", more: "", reads: shows!(View::Audit) },
    Word {
        name: "dns-plan",
        usage: "",
        about: "the records the gateway's domain needs",
        more: "",
        reads: shows!(View::DnsPlan),
    },
    Word {
        name: "test",
        usage: "gateway | dns | ntp | conference [<where>]",
        about: "try a way: to the router, the names, the time, the conference",
        more: "<where> is another address, domain, server or URL than the configured one.",
        reads: test,
    },
    Word {
        name: "support-bundle",
        usage: "<file>",
        about: "put everything for support into a tar file, without secrets",
        more: "The file is written to /data/support.",
        reads: |rest, form| match rest {
            [file] => Some(Command::Ask(Ask::Bundle { file: (*file).to_owned() }, form)),
            [] => Some(Command::Form(FormKind::Bundle)),
            _ => None,
        },
    },
    Word {
        name: "drain",
        usage: "",
        about: "take no new calls; those that stand may end",
        more: "",
        reads: |rest, form| rest.is_empty().then_some(Command::Ask(Ask::Drain, form)),
    },
    Word {
        name: "resume",
        usage: "",
        about: "take calls again",
        more: "",
        reads: |rest, form| rest.is_empty().then_some(Command::Ask(Ask::Resume, form)),
    },
    Word {
        name: "forgive",
        usage: "<address>",
        about: "hear an address again that the gateway blocked",
        more: "status lists who is blocked. A network that must never be blocked is allowed in the configuration ([defence] allow).",
        reads: |rest, form| match rest {
            [address] => Some(Command::Ask(Ask::Forgive { address: address.parse().ok()? }, form)),
            _ => None,
        },
    },
    Word {
        name: "reboot",
        usage: "[--now]",
        about: "restart, after calls had time to end or at once",
        more: "",
        reads: |rest, form| going_down(rest, form, |haste| Ask::Reboot { haste }),
    },
    Word {
        name: "power-off",
        usage: "[--now]",
        about: "switch off, after calls had time to end or at once",
        more: "",
        reads: |rest, form| going_down(rest, form, |haste| Ask::PowerOff { haste }),
    },
    Word {
        name: "locate",
        usage: "on | off",
        about: "blink, so that somebody finds the box",
        more: "It ends by itself after 15 minutes.",
        reads: |rest, form| match rest {
            ["on"] => Some(Command::Ask(Ask::Locate { minutes: 15 }, form)),
            ["off"] => Some(Command::Ask(Ask::Locate { minutes: 0 }, form)),
            _ => None,
        },
    },
    Word {
        name: "password",
        usage: "",
        about: "change the administrator's password",
        more: "",
        reads: |rest, _| rest.is_empty().then_some(Command::Form(FormKind::Password)),
    },
    Word {
        name: "claim",
        usage: "",
        about: "make the box yours, with the code on its label",
        more: "",
        reads: |rest, _| rest.is_empty().then_some(Command::Form(FormKind::Claim)),
    },
    Word {
        name: "reset",
        usage: "settings | everything",
        about: "as delivered: the settings, or all the box ever learned",
        more: "Asks for the words to type and for the whole code on the label.",
        reads: |rest, _| match rest {
            ["settings"] => Some(Command::Form(FormKind::Reset(Tier::Settings))),
            ["everything"] => Some(Command::Form(FormKind::Reset(Tier::Everything))),
            _ => None,
        },
    },
];

fn network(rest: &[&str], form: Form) -> Option<Command> {
    let ask = |ask| Some(Command::Ask(ask, form));
    match rest {
        ["show"] | [] => ask(Ask::Show { view: View::Network }),
        ["settings"] => ask(Ask::Show { view: View::Settings }),
        ["changes"] => ask(Ask::Show { view: View::Changes }),
        ["apply"] => ask(Ask::Apply),
        ["confirm"] => ask(Ask::Confirm),
        ["revert"] => ask(Ask::TakeBack),
        ["discard"] => ask(Ask::Discard),
        ["set", field, value] if !field.contains('=') => ask(Ask::Set { changes: vec![pair(field, value)] }),
        ["set", changes @ ..] if !changes.is_empty() => {
            let changes: Option<Vec<_>> = changes
                .iter()
                .map(|change| change.split_once('=').map(|(field, value)| pair(field, value)))
                .collect();
            ask(Ask::Set { changes: changes? })
        }
        _ => None,
    }
}

fn pair(field: &str, value: &str) -> (String, String) {
    (field.to_owned(), value.to_owned())
}

fn host_name(rest: &[&str], form: Form) -> Option<Command> {
    match rest {
        [] => Some(Command::Ask(Ask::Show { view: View::Identity }, form)),
        [name] => Some(Command::Ask(Ask::Set { changes: vec![pair("host-name", name)] }, form)),
        _ => None,
    }
}

fn time(rest: &[&str], form: Form) -> Option<Command> {
    match rest {
        [] => Some(Command::Ask(Ask::Show { view: View::Clock }, form)),
        servers => Some(Command::Ask(Ask::Set { changes: vec![pair("time", &servers.join(" "))] }, form)),
    }
}

/// The paths that can be tried, by name.
const PATHS: [(&str, Path); 4] =
    [("gateway", Path::Gateway), ("dns", Path::Dns), ("ntp", Path::Ntp), ("conference", Path::Conference)];

fn test(rest: &[&str], form: Form) -> Option<Command> {
    let (name, to) = match rest {
        [name] => (name, None),
        [name, to] => (name, Some((*to).to_owned())),
        _ => return None,
    };
    let (_, which) = *PATHS.iter().find(|(known, _)| known == name)?;
    Some(Command::Ask(Ask::Test { which, to }, form))
}

fn going_down(rest: &[&str], form: Form, ask: fn(Haste) -> Ask) -> Option<Command> {
    match rest {
        [] => Some(Command::Ask(ask(Haste::Drained), form)),
        ["--now"] => Some(Command::Ask(ask(Haste::Now), form)),
        _ => None,
    }
}

/// Reads a line that was typed at a prompt; `None` for an empty one. `gantry` before the command may be left out.
///
/// # Errors
/// What can be typed.
pub fn parse_line(line: &str) -> Result<Option<Command>, String> {
    let words: Vec<&str> = line.split_ascii_whitespace().take(WORDS + 1).collect();
    let words = words.strip_prefix(&["gantry"]).unwrap_or(&words);
    match words {
        [] => Ok(None),
        ["exit" | "quit" | "logout"] => Ok(Some(Command::Leave)),
        words => parse(words).map(Some),
    }
}

/// Reads a command.
///
/// # Errors
/// What can be typed.
pub fn parse(words: &[&str]) -> Result<Command, String> {
    if words.len() > WORDS {
        return Err(format!("that has more than {WORDS} words"));
    }
    let form = if words.contains(&"--json") { Form::Json } else { Form::Text };
    let plain: Vec<&str> = words.iter().copied().filter(|word| *word != "--json").collect();
    let Some((name, rest)) = plain.split_first() else { return Ok(Command::Say(help())) };
    if matches!(*name, "help" | "--help" | "-h") {
        return match rest {
            [] => Ok(Command::Say(help())),
            [name, ..] => find(name).map(|word| Command::Say(word.help())),
        };
    }
    let word = find(name)?;
    if rest.iter().any(|word| matches!(*word, "--help" | "-h")) {
        return Ok(Command::Say(word.help()));
    }
    (word.reads)(rest, form).ok_or_else(|| {
        format!("{} takes: {}", word.name, if word.usage.is_empty() { "nothing" } else { word.usage })
    })
}

fn find(name: &str) -> Result<&'static Word, String> {
    let found = COMMANDS.iter().find(|word| word.name == name);
    found.ok_or_else(|| format!("there is no command {}; help lists them", shown(name)))
}

impl Word {
    /// All there is to know of it.
    #[must_use]
    pub fn help(&self) -> String {
        let Self { name, usage, about, more, .. } = self;
        let gap = if usage.is_empty() { "" } else { " " };
        let more = if more.is_empty() { String::new() } else { format!("\n{more}") };
        format!("{name}{gap}{usage}\n{about}{more}\n--json writes the reply for programs, --help this.")
    }
}

/// The list of commands.
#[must_use]
pub fn help() -> String {
    let line = |word: &Word| format!("{:<15} {}", word.name, word.about);
    let mut lines: Vec<_> = COMMANDS.iter().map(line).collect();
    lines.push("help <command> tells more. --json writes a reply for programs.".to_owned());
    lines.join("\n")
}

/// A longer line, if only one command begins like this one.
#[must_use]
pub fn complete(line: &str) -> Option<String> {
    let begun = line.trim_start();
    if begun.is_empty() || begun.contains(' ') {
        return None;
    }
    let mut fitting = COMMANDS.iter().filter(|word| word.name.starts_with(begun));
    let only = fitting.next().filter(|_| fitting.next().is_none())?;
    Some(format!("{} ", only.name))
}

/// A reply as lines of at most `columns` characters.
#[must_use]
pub fn written(reply: &Reply, form: Form, columns: usize) -> Vec<String> {
    if form == Form::Json {
        return vec![json(reply)];
    }
    let rows: Vec<Row> = if reply.is_done() {
        reply.rows.clone()
    } else {
        reply.problems.iter().map(|why| Row::text(why.as_str())).collect()
    };
    lay::lines(&rows, Page { columns, lines: usize::MAX })
}

/// A reply for programs: its data, or its problems.
#[must_use]
pub fn json(reply: &Reply) -> String {
    if reply.is_done() {
        reply.data.to_string()
    } else {
        serde_json::json!({ "problems": reply.problems }).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(line: &str) -> Command {
        parse_line(line).unwrap().unwrap()
    }

    #[test]
    fn commands_ask_what_they_say() {
        let ask = |ask| Command::Ask(ask, Form::Text);
        assert_eq!(parsed("status"), ask(Ask::Show { view: View::Status }));
        assert_eq!(
            parsed("gantry status --json"),
            Command::Ask(Ask::Show { view: View::Status }, Form::Json)
        );
        let changes = vec![pair("eth0.ipv4", "192.0.2.10/24"), pair("dns", "192.0.2.53,192.0.2.54")];
        assert_eq!(
            parsed("network set eth0.ipv4=192.0.2.10/24 dns=192.0.2.53,192.0.2.54"),
            ask(Ask::Set { changes })
        );
        assert_eq!(
            parsed("network set eth0.vlan 20"),
            ask(Ask::Set { changes: vec![pair("eth0.vlan", "20")] })
        );
        assert_eq!(parsed("network revert"), ask(Ask::TakeBack));
        assert_eq!(
            parsed("time ntp.example.com 192.0.2.1"),
            ask(Ask::Set { changes: vec![pair("time", "ntp.example.com 192.0.2.1")] })
        );
        assert_eq!(
            parsed("test dns meet.example.com"),
            ask(Ask::Test { which: Path::Dns, to: Some("meet.example.com".into()) })
        );
        assert_eq!(parsed("reboot --now"), ask(Ask::Reboot { haste: Haste::Now }));
        let address = "2001:db8::1".parse().unwrap();
        assert_eq!(parsed("forgive 2001:db8::1"), ask(Ask::Forgive { address }));
        assert_eq!(parsed("locate off"), ask(Ask::Locate { minutes: 0 }));
        assert_eq!(parsed("reset everything"), Command::Form(FormKind::Reset(Tier::Everything)));
        assert_eq!(parsed("exit"), Command::Leave);
        assert_eq!(parse_line("   "), Ok(None));
    }

    #[test]
    fn what_is_no_command_is_told_what_can_be_typed() {
        assert_eq!(parse_line("reboot now").unwrap_err(), "reboot takes: [--now]");
        assert_eq!(parse_line("slots all").unwrap_err(), "slots takes: nothing");
        assert_eq!(
            parse_line("\u{1b}[2J").unwrap_err(),
            "there is no command \"\\u{1b}[2J\"; help lists them"
        );
        assert!(parse_line(&"x ".repeat(99)).is_err());
        for bad in [
            "network set",
            "network set eth0.ipv4",
            "network fly",
            "test",
            "test sip",
            "locate",
            "forgive 192.0.2",
            "reset",
            "time",
        ] {
            assert_eq!(parse_line(bad).is_err(), bad != "time", "{bad}");
        }
    }

    #[test]
    fn every_command_has_help_of_its_own() {
        for word in COMMANDS {
            for line in [format!("{} --help", word.name), format!("help {}", word.name)] {
                let Command::Say(text) = parsed(&line) else { panic!("{line}") };
                assert!(text.starts_with(word.name) && text.contains(word.about), "{text}");
            }
            assert!(help().contains(word.about));
            assert!(format!("{:<15} {}", word.name, word.about).len() <= 78, "{}", word.name);
        }
    }

    #[test]
    fn what_is_begun_is_completed_if_it_can_mean_one_thing() {
        assert_eq!(complete("netw").as_deref(), Some("network "));
        assert_eq!(complete("re"), None, "reasons, resume, reboot, reset");
        assert_eq!(complete("network s"), None);
    }

    #[test]
    fn a_reply_is_written_for_people_or_for_programs() {
        let reply = Reply {
            data: serde_json::json!({"slot": "A"}),
            rows: vec![Row::new("Slot", "A")],
            ..Reply::default()
        };
        assert_eq!(written(&reply, Form::Text, 78), ["Slot  A"]);
        assert_eq!(written(&reply, Form::Json, 78), ["{\"slot\":\"A\"}"]);
        assert_eq!(json(&Reply::refused(["no"])), "{\"problems\":[\"no\"]}");
    }

    proptest! {
        #[test]
        fn nothing_typed_makes_it_panic_or_answer_with_control_characters(line in any::<String>()) {
            if let Err(why) = parse_line(&line) {
                prop_assert!(!why.chars().any(|c| c.is_control()), "{:?}", why);
            }
        }
    }
}
