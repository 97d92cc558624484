//! Forms: what is asked one after another, and what is done with the answers.
//!
//! ```text
//!  answers so far, asks done ─step─▶ Question ─answer─▶ ... ─▶ Ask ─done─▶ Question or End
//! ```
//! [`step`] looks at what is answered and done already and says what comes next; it keeps nothing itself. So the serial
//! console, the panel and the command line run the same forms, and going back is forgetting the last answer.

use super::Reach;
use super::question::{Kind, Question};
use crate::protocol::{Ask, Facts, Hidden, Purpose, Reply, Row, Stage};
use domain::appliance::request::{Haste, Tier};
use domain::appliance::{Field, Of};
use std::net::Ipv4Addr;

/// A form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormKind {
    /// Claim the box.
    Claim,
    /// Log in.
    Login,
    /// Set a lost password anew, by the label's code.
    Recover,
    /// The same, by keys that were held.
    RecoverHeld,
    /// Let the panel change things.
    Unlock,
    /// The first set-up, step by step.
    Wizard,
    /// One field of the settings.
    Field(String),
    /// Put the change in force.
    Apply,
    /// Change the password.
    Password,
    /// Forget settings, or everything.
    Reset(Tier),
    /// Restart the box.
    Reboot,
    /// Switch it off.
    PowerOff,
    /// Take no new calls.
    Drain,
    /// Put a support bundle together.
    Bundle,
}

/// What was answered so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers(pub Vec<(&'static str, Hidden)>);

/// What comes next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// This is asked.
    Question(Box<Question>),
    /// This is done.
    Ask(Ask),
    /// The last answers won't do: forget those of these questions, and say why.
    Again(&'static [&'static str], String),
    /// Nothing; this is told, and perhaps another form follows.
    End(Vec<Row>, Option<FormKind>),
}

impl Answers {
    /// The answer to the question `id`.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == id).map(|(_, Hidden(text))| text.as_str())
    }

    fn hidden(&self, id: &str) -> Hidden {
        Hidden(self.get(id).unwrap_or_default().to_owned())
    }
}

/// What comes next in `kind`, after these answers, `done` asks of which the last one brought `last`.
#[must_use]
pub fn step(
    kind: &FormKind,
    answers: &Answers,
    done: usize,
    last: &Reply,
    facts: &Facts,
    reach: Reach,
) -> Step {
    match kind {
        FormKind::Claim => claim(answers, done, last, facts, reach),
        FormKind::Recover => own(answers, done, last, Purpose::Recover, facts, reach),
        FormKind::RecoverHeld => held(answers, done, last),
        FormKind::Login => match answers.get("password") {
            None => ask(Question::new("password", "Password", "Password", Kind::Password)),
            Some(_) if done == 0 => Step::Ask(Ask::Login { password: answers.hidden("password") }),
            Some(_) => Step::End(Vec::new(), None),
        },
        FormKind::Unlock => match answers.get("code") {
            None => ask(code(facts.panel_digits, reach, "Unlock: the code's last digits")),
            Some(_) if done == 0 => {
                Step::Ask(Ask::Prove { purpose: Purpose::Unlock, code: answers.hidden("code") })
            }
            Some(_) => Step::End(Vec::new(), None),
        },
        FormKind::Wizard => wizard(answers, done, facts, reach),
        FormKind::Field(name) => field(name, answers, done, facts, reach),
        FormKind::Apply => apply(answers, done, 0, facts),
        FormKind::Password => password(answers, done, last),
        FormKind::Reset(tier) => reset(*tier, answers, done, last, reach),
        FormKind::Reboot => {
            going_down(answers, done, last, "Restart the box", "Restart?", |haste| Ask::Reboot { haste })
        }
        FormKind::PowerOff => going_down(answers, done, last, "Switch the box off", "Power off?", |haste| {
            Ask::PowerOff { haste }
        }),
        FormKind::Drain => match answers.get("sure") {
            None => {
                let rows = vec![Row::text(
                    "No new calls are taken; those that stand may end. Resume takes calls again.",
                )];
                ask(Question::words("sure", "Drain", "Drain?", &[("no", "No"), ("yes", "Yes")]).after(rows))
            }
            Some("yes") if done == 0 => Step::Ask(Ask::Drain),
            Some("yes") => Step::End(last.rows.clone(), None),
            Some(_) => Step::End(Vec::new(), None),
        },
        FormKind::Bundle => match answers.get("file") {
            None => {
                let offer = format!("{}-support.tar", facts.host_name);
                ask(Question::new("file", "File, in /data/support", "File", Kind::Text { offer }))
            }
            Some(file) if done == 0 => Step::Ask(Ask::Bundle { file: file.to_owned() }),
            Some(_) => Step::End(last.rows.clone(), None),
        },
    }
}

fn ask(question: Question) -> Step {
    Step::Question(Box::new(question))
}

fn code(panel_digits: Option<usize>, reach: Reach, label: &str) -> Question {
    let whole = domain::appliance::access::CODE_DIGITS;
    let digits = match reach {
        Reach::Keyboard => whole,
        Reach::FourKeys => panel_digits.unwrap_or(whole),
    };
    let short = if digits == whole { "Label code".to_owned() } else { format!("Code, last {digits}") };
    Question::new("code", label, short, Kind::Code { digits })
}

fn claim(answers: &Answers, done: usize, last: &Reply, facts: &Facts, reach: Reach) -> Step {
    if facts.panel_digits.is_none() && answers.get("code").is_none() {
        let rows = vec![Row::text("This box has no claim code; give it one with the flashing tool.")];
        return ask(Question::new("none", "No claim code", "No claim code", Kind::Read).after(rows));
    }
    own(answers, done, last, Purpose::Claim, facts, reach)
}

/// The code, then a password: typed twice, or made up and shown.
fn own(answers: &Answers, done: usize, last: &Reply, purpose: Purpose, facts: &Facts, reach: Reach) -> Step {
    let (label, then) = match purpose {
        Purpose::Claim => ("This box is not claimed. The code on its label", Some(FormKind::Wizard)),
        Purpose::Recover | Purpose::Unlock => ("Set a new password. The code on the box's label", None),
    };
    match (answers.get("code"), done) {
        (None, _) => ask(code(facts.panel_digits, reach, label)),
        (Some(_), 0) => Step::Ask(Ask::Prove { purpose, code: answers.hidden("code") }),
        (Some(_), 1) => match reach {
            Reach::Keyboard => new_password(answers, |password| Ask::Own { password: Some(password) }),
            Reach::FourKeys => Step::Ask(Ask::Own { password: None }),
        },
        (Some(_), _) => match (reach, answers.get("noted")) {
            (Reach::FourKeys, None) => noted(last),
            _ => Step::End(Vec::new(), then),
        },
    }
}

fn held(answers: &Answers, done: usize, last: &Reply) -> Step {
    match (done, answers.get("noted")) {
        (0, _) => Step::Ask(Ask::Held),
        (1, _) => Step::Ask(Ask::Own { password: None }),
        (_, None) => noted(last),
        (_, Some(_)) => Step::End(Vec::new(), None),
    }
}

/// A password that was made up is shown until somebody says that it is written down.
fn noted(last: &Reply) -> Step {
    let rows = last.rows.clone();
    ask(Question::new("noted", "Write this password down; it is shown once", "Note password", Kind::Read)
        .after(rows))
}

fn new_password(answers: &Answers, then: impl Fn(Hidden) -> Ask) -> Step {
    match (answers.get("new"), answers.get("again")) {
        (None, _) => ask(Question::new("new", "New administrator password", "New password", Kind::Password)),
        (Some(_), None) => ask(Question::new("again", "The same again", "Again", Kind::Password)),
        (Some(new), Some(again)) if new != again => {
            Step::Again(&["new", "again"], "the two passwords differ; type them again".to_owned())
        }
        (Some(_), Some(_)) => Step::Ask(then(answers.hidden("new"))),
    }
}

fn password(answers: &Answers, done: usize, last: &Reply) -> Step {
    match (answers.get("old"), done) {
        (None, _) => ask(Question::new("old", "Password until now", "Old password", Kind::Password)),
        (Some(_), 0) => new_password(answers, |new| Ask::Password { old: answers.hidden("old"), new }),
        (Some(_), _) => Step::End(last.rows.clone(), None),
    }
}

fn reset(tier: Tier, answers: &Answers, done: usize, last: &Reply, reach: Reach) -> Step {
    let phrase = match (answers.get("phrase"), reach) {
        (None, Reach::Keyboard) => {
            let rows = tier.consequences().iter().map(|line| Row::text(*line)).collect();
            let label = format!("Type \"{}\"", tier.phrase());
            return ask(
                Question::new("phrase", label, "Sure?", Kind::Text { offer: String::new() }).after(rows)
            );
        }
        // On a panel the whole code is keyed, which nobody does by mistake.
        (None, Reach::FourKeys) => {
            let rows = tier.consequences().iter().map(|line| Row::text(*line)).collect();
            let words = [("no", "No"), (tier.phrase(), "Yes, reset")];
            return ask(Question::words("phrase", "Factory reset", "Reset?", &words).after(rows));
        }
        (Some("no"), _) => return Step::End(Vec::new(), None),
        (Some(phrase), _) => phrase,
    };
    match (answers.get("code"), done) {
        (None, _) => match tier.confirm(phrase) {
            Err(why) => Step::Again(&["phrase"], why),
            Ok(()) => ask(code(None, reach, "The whole code on the box's label")),
        },
        (Some(_), 0) => {
            Step::Ask(Ask::Reset { tier, phrase: phrase.to_owned(), code: answers.hidden("code") })
        }
        (Some(_), _) => Step::End(last.rows.clone(), None),
    }
}

fn going_down(
    answers: &Answers,
    done: usize,
    last: &Reply,
    label: &str,
    short: &str,
    then: impl Fn(Haste) -> Ask,
) -> Step {
    match answers.get("how") {
        None => {
            let words = [("no", "No"), ("drained", "When calls ended"), ("now", "At once")];
            ask(Question::words("how", label, short, &words))
        }
        Some("drained") if done == 0 => Step::Ask(then(Haste::Drained)),
        Some("now") if done == 0 => Step::Ask(then(Haste::Now)),
        Some("no") => Step::End(Vec::new(), None),
        Some(_) => Step::End(last.rows.clone(), None),
    }
}

/// Apply, and then confirm while it can be seen that the box is still there. `before` asks were done for other things.
fn apply(answers: &Answers, done: usize, before: usize, facts: &Facts) -> Step {
    let difference = || facts.difference.iter().map(|line| Row::text(line.as_str())).collect::<Vec<_>>();
    match (answers.get("apply"), done - before, answers.get("confirm")) {
        (None, ..) => {
            let words = [("now", "Apply now"), ("later", "Not yet")];
            ask(Question::words("apply", "What is changed", "Change", &words).after(difference()))
        }
        (Some("now"), 0, _) => Step::Ask(Ask::Apply),
        (Some("now"), 1, None) => {
            let words = [("confirm", "Confirm"), ("back", "Take it back"), ("later", "Decide later")];
            let left = match facts.stage {
                Stage::OnTrial(left) => left,
                Stage::Standing | Stage::Staged => 0,
            };
            let rows = vec![
                Row::text("In force, on trial. Unless confirmed it is taken back by itself."),
                Row::new("Seconds left", left),
            ];
            ask(Question::words("confirm", "Does it work?", "Does it work?", &words).after(rows))
        }
        (Some("now"), 1, Some("confirm")) => Step::Ask(Ask::Confirm),
        (Some("now"), 1, Some("back")) => Step::Ask(Ask::TakeBack),
        (Some("now"), _, Some("confirm")) => Step::End(vec![Row::text("The change stands.")], None),
        (Some("now"), _, Some("back")) => {
            Step::End(vec![Row::text("The settings before are in force again.")], None)
        }
        _ => Step::End(Vec::new(), None),
    }
}

/// The interfaces there are, by name.
#[must_use]
pub fn interfaces(facts: &Facts) -> Vec<String> {
    facts.fields.iter().filter_map(|(field, _)| field.strip_suffix(".ipv4").map(str::to_owned)).collect()
}

/// The interface that is most likely meant: the first with a link.
fn by_likelihood(facts: &Facts) -> Vec<String> {
    let mut names = interfaces(facts);
    let up =
        |name: &String| facts.interfaces.iter().any(|nic| nic.name == *name && nic.link.starts_with("up"));
    names.sort_by_key(|name| !up(name));
    names
}

fn nic_of(answers: &Answers, facts: &Facts) -> String {
    let only = || interfaces(facts).into_iter().next().unwrap_or_default();
    answers.get("nic").map_or_else(only, str::to_owned)
}

fn wizard(answers: &Answers, done: usize, facts: &Facts, reach: Reach) -> Step {
    if done > 0 {
        return apply(answers, done, 1, facts);
    }
    let names = by_likelihood(facts);
    if names.len() > 1 && answers.get("nic").is_none() {
        let shown = |name: &String| {
            let link =
                facts.interfaces.iter().find(|nic| nic.name == *name).map_or("?", |nic| nic.link.as_str());
            (name.clone(), format!("{name} {link}"))
        };
        let options = names.iter().map(shown).collect();
        return ask(Question::new("nic", "Which interface", "Interface", Kind::Choice(options)));
    }
    if names.is_empty() {
        return Step::End(vec![Row::text("This box has no network interface.")], None);
    }
    let nic = nic_of(answers, facts);
    let asked = match reach {
        Reach::Keyboard => typed_steps(answers, facts, &nic),
        Reach::FourKeys => keyed_steps(answers, facts, &nic),
    };
    if let Some(question) = asked {
        return ask(question);
    }
    let text = |id: &str| answers.get(id).unwrap_or_default().to_owned();
    let mut changes = vec![(format!("{nic}.ipv4"), ipv4_text(answers))];
    if let Some(gateway) = answers.get("gateway") {
        changes.push((format!("{nic}.ipv4-gateway"), gateway.to_owned()));
    }
    changes.extend(["dns", "time", "host-name"].map(|id| (id.to_owned(), text(id))));
    Step::Ask(Ask::Set { changes })
}

/// `dhcp`, or what address and prefix make together.
fn ipv4_text(answers: &Answers) -> String {
    match (answers.get("ipv4"), answers.get("address"), answers.get("prefix")) {
        (Some("static") | None, Some(address), Some(prefix)) => format!("{address}/{prefix}"),
        (Some(text), ..) => text.to_owned(),
        _ => String::new(),
    }
}

fn field_question(
    id: &'static str,
    label: String,
    short: &str,
    field: &str,
    facts: &Facts,
    offer: Option<String>,
) -> Option<Question> {
    let parsed = Field::parse(field).ok()?;
    let offer = offer.or_else(|| facts.field(field).map(str::to_owned)).unwrap_or_default();
    Some(Question::new(id, label, short, Kind::Field { field: parsed, offer }))
}

fn typed_steps(answers: &Answers, facts: &Facts, nic: &str) -> Option<Question> {
    let ipv4 = answers.get("ipv4");
    if ipv4.is_none() {
        return field_question(
            "ipv4",
            format!("IPv4 address of {nic}"),
            "IPv4",
            &format!("{nic}.ipv4"),
            facts,
            None,
        );
    }
    let fixed = ipv4.is_some_and(|text| text.contains('/'));
    if fixed && answers.get("gateway").is_none() {
        let (address, prefix) = fixed_net(ipv4.unwrap_or_default());
        let now = facts.field(&format!("{nic}.ipv4-gateway")).filter(|now| *now != "none").map(str::to_owned);
        let offer = now.or_else(|| guess_gateway(address, prefix).map(|guess| guess.to_string()));
        return field_question(
            "gateway",
            "Gateway".into(),
            "Gateway",
            &format!("{nic}.ipv4-gateway"),
            facts,
            offer,
        );
    }
    let set = |id: &'static str, label: &str, short: &str, offer: Option<String>| {
        answers
            .get(id)
            .is_none()
            .then(|| field_question(id, label.to_owned(), short, id, facts, offer))
            .flatten()
    };
    let dns_now = facts.field("dns").filter(|now| *now != "none").map(str::to_owned);
    set("dns", "DNS servers", "DNS", dns_now)
        .or_else(|| set("time", "Time servers", "Time", None))
        .or_else(|| set("host-name", "Host name", "Host name", None))
}

/// The address and the prefix of `192.0.2.10/24`, as far as they can be read.
fn fixed_net(text: &str) -> (Option<Ipv4Addr>, u8) {
    let (address, prefix) = text.split_once('/').unwrap_or((text, ""));
    (domain::appliance::values::ipv4(address).ok(), prefix.trim().parse().unwrap_or(24))
}

/// The first address of the network, where routers mostly are; the second if the box has the first.
fn guess_gateway(address: Option<Ipv4Addr>, prefix: u8) -> Option<Ipv4Addr> {
    let address = address?;
    let mask = u32::MAX.checked_shl(32_u32.saturating_sub(u32::from(prefix))).unwrap_or(0);
    let first = (u32::from(address) & mask).checked_add(1)?;
    let guess = if first == u32::from(address) { first.checked_add(1)? } else { first };
    (prefix <= 30).then(|| guess.into())
}

fn keyed_steps(answers: &Answers, facts: &Facts, nic: &str) -> Option<Question> {
    let leased = facts.interfaces.iter().find(|known| known.name == nic);
    let lease = leased.and_then(|nic| nic.addresses.iter().find(|address| !address.contains(':')));
    if answers.get("ipv4").is_none() {
        // Where no server gave an address, none is likely to.
        let words: &[(&str, &str)] = if lease.is_some() {
            &[("dhcp", "By DHCP"), ("static", "Fixed")]
        } else {
            &[("static", "Fixed"), ("dhcp", "By DHCP")]
        };
        return Some(Question::words("ipv4", "Address", &format!("{nic} address"), words));
    }
    let fixed = answers.get("ipv4") == Some("static");
    if fixed && let Some(question) = keyed_address(answers, leased, lease) {
        return Some(question);
    }
    let learned = facts.dns.iter().find_map(|server| server.parse::<Ipv4Addr>().ok());
    let gateway = answers.get("gateway").and_then(|text| text.parse().ok());
    let (_, prefix) = fixed_net(&ipv4_text(answers));
    let server = |id: &'static str, label: &str, short: &str, offer: Option<Ipv4Addr>| {
        if fixed {
            return Question::new(id, label, short, Kind::Address { offer, prefix });
        }
        let known = facts
            .field(id)
            .filter(|known| *known != "none")
            .map(|known| (known.to_owned(), known.to_owned()));
        let network = ("none".to_owned(), "By the network".to_owned());
        Question::new(id, label, short, Kind::Choice(std::iter::once(network).chain(known).collect()))
    };
    if answers.get("dns").is_none() {
        return Some(server("dns", "DNS server", "DNS server", learned.or(gateway)));
    }
    if answers.get("time").is_none() {
        let same = answers.get("dns").and_then(|text| text.parse().ok());
        return Some(server("time", "Time server", "Time server", same));
    }
    if answers.get("host-name").is_none() {
        return field_question("host-name", "Host name".into(), "Host name", "host-name", facts, None);
    }
    None
}

fn keyed_address(
    answers: &Answers,
    nic: Option<&crate::protocol::Nic>,
    lease: Option<&String>,
) -> Option<Question> {
    let (leased, lease_prefix) = lease.map_or((None, 24), |lease| fixed_net(lease));
    if answers.get("address").is_none() {
        let kind = Kind::Address { offer: leased, prefix: lease_prefix };
        return Some(Question::new("address", "Address", "Address", kind));
    }
    if answers.get("prefix").is_none() {
        return Some(prefix_question(lease_prefix));
    }
    if answers.get("gateway").is_none() {
        let (address, prefix) = fixed_net(&ipv4_text(answers));
        let known = nic.and_then(|nic| nic.gateway).filter(|_| address == leased);
        let kind = Kind::Address { offer: known.or_else(|| guess_gateway(address, prefix)), prefix };
        return Some(Question::new("gateway", "Gateway", "Gateway", kind));
    }
    None
}

/// The lengths a prefix may have, beginning with the likely one, longer ones first.
fn prefix_question(likely: u8) -> Question {
    let likely = likely.clamp(8, 31);
    let lengths = (likely..=31).chain(8..likely);
    let shown = |length: u8| {
        let mask = Ipv4Addr::from(u32::MAX << (32 - u32::from(length)));
        (length.to_string(), mask.to_string())
    };
    Question::new("prefix", "Network mask", "Network mask", Kind::Choice(lengths.map(shown).collect()))
}

/// One field of the settings.
fn field(name: &str, answers: &Answers, done: usize, facts: &Facts, reach: Reach) -> Step {
    if done > 0 {
        let text = "Written down. Apply it in the menu Changes.";
        return Step::End(vec![Row::text(text)], None);
    }
    let Ok(parsed) = Field::parse(name) else {
        return Step::End(vec![Row::text("That setting is not there.")], None);
    };
    let now = facts.field(name).unwrap_or_default();
    let question = match (reach, &parsed) {
        (_, Field::Panel) => Some(choice(now, "Front panel", &["full", "view", "off"])),
        (_, Field::Recovery) => Some(choice(now, "Lost password", &["allowed", "disabled"])),
        (Reach::Keyboard, _) => Some(Question::new(
            "value",
            name,
            name,
            Kind::Field { field: parsed.clone(), offer: now.to_owned() },
        )),
        (Reach::FourKeys, Field::Of(_, of)) => keyed_field(*of, now, answers, facts, name),
        (Reach::FourKeys, Field::Idle) => Some(Question::new(
            "value",
            "Idle minutes",
            "Idle minutes",
            Kind::Number { offer: now.parse().unwrap_or(10), digits: 2 },
        )),
        (Reach::FourKeys, Field::Dns | Field::Time) => keyed_servers(name, now, answers),
        (Reach::FourKeys, Field::HostName | Field::Search) => {
            let short = if parsed == Field::HostName { "Host name" } else { "Search domain" };
            let offer = if now == "none" { String::new() } else { now.to_owned() };
            Some(Question::new("value", short, short, Kind::Field { field: parsed.clone(), offer }))
        }
    };
    match question.filter(|question| answers.get(question.id).is_none()) {
        Some(question) => ask(question),
        None => Step::Ask(Ask::Set { changes: vec![(name.to_owned(), value_of(&parsed, answers))] }),
    }
}

fn choice(now: &str, short: &str, words: &[&str]) -> Question {
    let mut words: Vec<_> = words.iter().map(|word| ((*word).to_owned(), (*word).to_owned())).collect();
    words.sort_by_key(|(word, _)| word != now);
    Question::new("value", short, short, Kind::Choice(words))
}

/// A field's text out of the answers that four keys gave for it.
fn value_of(field: &Field, answers: &Answers) -> String {
    let plain = || answers.get("value").unwrap_or_default().to_owned();
    match field {
        Field::Of(_, Of::Ipv4) if answers.get("address").is_some() => {
            let text = |id| answers.get(id).unwrap_or_default();
            format!("{}/{}", text("address"), text("prefix"))
        }
        Field::Of(_, of) => match (of, answers.get("mode"), answers.get("value")) {
            (Of::Vlan | Of::Mtu, Some("set"), Some(value)) => value.trim_start_matches('0').to_owned(),
            (_, Some("set") | None, Some(value)) => value.to_owned(),
            (_, Some(mode), _) => mode.to_owned(),
            (_, None, None) => String::new(),
        },
        Field::Dns | Field::Time if answers.get("value").is_none() => match answers.get("mode") {
            Some("none") => "none".to_owned(),
            _ => ["first", "second", "third"]
                .iter()
                .filter_map(|id| answers.get(id))
                .collect::<Vec<_>>()
                .join(" "),
        },
        Field::Search | Field::HostName if plain().is_empty() => "none".to_owned(),
        _ => plain(),
    }
}

fn keyed_field(of: Of, now: &str, answers: &Answers, facts: &Facts, name: &str) -> Option<Question> {
    let mode = answers.get("mode");
    let modes = |short: &str, words: &[(&str, &str)]| {
        let mut question = Question::words("mode", short, short, words);
        if let Kind::Choice(options) = &mut question.kind {
            let set = !options.iter().any(|(word, _)| word == now);
            options.sort_by_key(|(word, _)| word != now && !(set && word == "set"));
        }
        question
    };
    let number = |short: &str, offer: u32, digits| {
        let offer = now.parse().unwrap_or(offer);
        Question::new("value", short, short, Kind::Number { offer, digits })
    };
    let nic = name.rsplit_once('.').map_or(name, |(nic, _)| nic);
    match (of, mode) {
        (Of::Vlan, None) => Some(modes("VLAN", &[("none", "None"), ("set", "Tagged")])),
        (Of::Mtu, None) => Some(modes("MTU", &[("auto", "Automatic"), ("set", "Fixed")])),
        (Of::Vlan, Some("set")) => Some(number("VLAN", 1, 4)),
        (Of::Mtu, Some("set")) => Some(number("MTU", 1500, 4)),
        (Of::Ipv4, None) => Some(modes("IPv4", &[("dhcp", "By DHCP"), ("set", "Fixed"), ("off", "Off")])),
        (Of::Ipv4, Some("set")) if answers.get("address").is_none() => {
            let (offer, prefix) = fixed_net(now);
            Some(Question::new("address", "Address", "Address", Kind::Address { offer, prefix }))
        }
        (Of::Ipv4, Some("set")) => Some(prefix_question(fixed_net(now).1)),
        (Of::Ipv4Gateway, None) => Some(modes("IPv4 gateway", &[("none", "None"), ("set", "Fixed")])),
        (Of::Ipv4Gateway, Some("set")) => {
            let (address, prefix) = fixed_net(facts.field(&format!("{nic}.ipv4")).unwrap_or_default());
            let offer = now.parse().ok().or_else(|| guess_gateway(address, prefix));
            Some(Question::new("value", "IPv4 gateway", "IPv4 gateway", Kind::Address { offer, prefix }))
        }
        (Of::Ipv6, None) => Some(modes(
            "IPv6",
            &[("auto", "By routers"), ("dhcp", "By a server"), ("set", "Fixed"), ("off", "Off")],
        )),
        (Of::Ipv6Gateway, None) => Some(modes("IPv6 gateway", &[("none", "None"), ("set", "Fixed")])),
        (Of::Ipv6 | Of::Ipv6Gateway, Some("set")) => {
            let short = if of == Of::Ipv6 { "IPv6 address" } else { "IPv6 gateway" };
            let offer = if now.contains(':') { now.to_owned() } else { String::new() };
            field_question("value", short.to_owned(), short, name, facts, Some(offer))
        }
        _ => None,
    }
}

/// Up to three servers, one after another.
fn keyed_servers(name: &str, now: &str, answers: &Answers) -> Option<Question> {
    let word = if name == "dns" { "DNS" } else { "Time" };
    let known: Vec<&str> = now.split(' ').filter(|known| *known != "none").collect();
    let address = |id: &'static str, number: usize| {
        let offer = known.get(number).and_then(|known| known.parse().ok());
        Question::new(
            id,
            format!("{word} server"),
            format!("{word} server {}", number + 1),
            Kind::Address { offer, prefix: 24 },
        )
    };
    let more =
        |id: &'static str| Question::words(id, "One more?", "One more?", &[("no", "No"), ("yes", "Yes")]);
    let has = |id: &str| answers.get(id).is_some();
    let yes = |id: &str| answers.get(id) == Some("yes");
    if !has("mode") {
        return Some(Question::words(
            "mode",
            word,
            &format!("{word} servers"),
            &[("set", "Fixed"), ("none", "By the network")],
        ));
    }
    if answers.get("mode") == Some("none") {
        return None;
    }
    if !has("first") {
        return Some(address("first", 0));
    }
    if !has("more") {
        return Some(more("more"));
    }
    if yes("more") && !has("second") {
        return Some(address("second", 1));
    }
    if yes("more") && !has("again") {
        return Some(more("again"));
    }
    (yes("more") && yes("again") && !has("third")).then(|| address("third", 2))
}
