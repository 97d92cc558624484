//! Every screen of the menu, walked in each skin and held against its picture; and how many keys a set-up takes.

use super::cells::Cells;
use super::question::Editor;
use super::{Body, Item, Key, Page, Reach, entries};
use crate::protocol::{Authority, Facts, Stage, Where};
use crate::skin::{dumb, lcd, vt100, wide};
use crate::testing::{CODE, PASSWORD, Person, Rig, golden};
use crate::words::{self, Command};
use hal::panel::Geometry;
use std::collections::BTreeSet;
use std::time::Duration;

/// A skin: where somebody stands, and how a scene is drawn.
#[derive(Clone, Copy)]
struct Skin {
    name: &'static str,
    at: Where,
    reach: Reach,
    page: Page,
    draw: fn(&Person) -> String,
}

fn skins() -> [Skin; 4] {
    let lcd = |name, geometry, draw| Skin {
        name,
        at: Where::Panel,
        reach: Reach::FourKeys,
        page: lcd::page(geometry),
        draw,
    };
    [
        Skin {
            name: "serial",
            at: Where::Serial,
            reach: Reach::Keyboard,
            page: wide::PAGE,
            draw: |person| {
                let grid = wide::draw(&person.walk.scene(), person.walk.known());
                let cursor =
                    grid.cursor.map_or(String::new(), |(row, column)| format!("cursor {row}:{column}\n"));
                format!("{}{cursor}", grid.text())
            },
        },
        Skin {
            name: "dumb",
            at: Where::Serial,
            reach: Reach::Keyboard,
            page: dumb::PAGE,
            draw: |person| {
                let (text, prompt) = dumb::print(&person.walk.scene());
                format!("{text}{prompt}\n")
            },
        },
        lcd("lcd16x2", Geometry::Small16x2, |person| on_display(person, Geometry::Small16x2)),
        lcd("lcd20x4", Geometry::Large20x4, |person| on_display(person, Geometry::Large20x4)),
    ]
}

fn on_display(person: &Person, geometry: Geometry) -> String {
    let screen = lcd::draw(&person.walk.scene(), person.walk.known().stage, geometry);
    let cursor =
        screen.cursor().map_or(String::new(), |cell| format!("cursor {}:{}\n", cell.row, cell.column));
    format!("{screen}{cursor}")
}

/// Draws screens one below the other, each under its name.
struct Pictures {
    skin: Skin,
    text: String,
    count: usize,
}

impl Pictures {
    fn take(&mut self, name: &str, person: &Person) {
        self.text.push_str(&format!("### {name}\n{}", (self.skin.draw)(person)));
        self.count += 1;
    }
}

/// What is answered to the questions of all forms, so that each goes through to its end.
fn answer(id: &str, reach: Reach) -> Option<&'static str> {
    Some(match (id, reach) {
        ("host-name", Reach::Keyboard) => "rack-7",
        ("nic", _) => "lan0",
        ("apply", _) => "now",
        ("confirm", _) => "confirm",
        ("how", _) => "drained",
        ("sure", _) => "yes",
        ("mode", Reach::FourKeys) => "set",
        ("more" | "again", Reach::FourKeys) => "yes",
        ("address", _) => "192.168.1.50",
        ("ipv4", Reach::FourKeys) => "static",
        ("ipv4", Reach::Keyboard) => "192.168.1.50/24",
        ("gateway", _) => "192.168.1.1",
        ("dns" | "time" | "first", _) => "192.168.1.53",
        ("second", _) => "192.168.1.54",
        ("third", _) => "192.168.1.55",
        ("old", _) => PASSWORD,
        ("new" | "again", Reach::Keyboard) => "another horse battery",
        ("code", Reach::Keyboard) => CODE,
        _ => return None,
    })
}

/// Answers the question before `person`, whatever it is.
fn go_on(person: &mut Person, rig: &mut Rig, reach: Reach, field: &str) {
    let Some(id) = person.asked() else { return };
    let Some(editor) = person.editor() else { return };
    match editor {
        Editor::Read => person.press(rig, Key::Select),
        Editor::Cells(cells) => {
            let wanted = match (&cells, id) {
                (Cells::Digits(_), "code") => {
                    let digits = cells.shown().0.len();
                    let whole = CODE.replace('-', "");
                    whole[whole.len() - digits..].to_owned()
                }
                (Cells::Digits(_), _) if field.ends_with("mtu") => "1400".to_owned(),
                (Cells::Digits(digits), _) => {
                    "0020"[4 - Cells::Digits(digits.clone()).shown().0.len()..].to_owned()
                }
                // A gateway by itself would need a static address first.
                (Cells::Choice(_), "mode") if field.ends_with("gateway") => "none".to_owned(),
                (Cells::Choice(choice), "phrase") => choice.options[1].0.clone(),
                (Cells::Choice(choice), _) => {
                    let known = answer(id, reach)
                        .filter(|wanted| choice.options.iter().any(|(value, _)| value == wanted));
                    known.map_or_else(|| choice.options.last().unwrap().0.clone(), str::to_owned)
                }
                (Cells::Letters(_), "value") if field.ends_with("ipv6") => "2001:db8::10/64".to_owned(),
                (Cells::Letters(_), "value") if field == "search" => "example.com".to_owned(),
                (Cells::Letters(_), _) => "rack-7".to_owned(),
                (Cells::Address(_), _) => answer(id, reach).unwrap_or("192.168.1.1").to_owned(),
            };
            person.key_in(rig, &wanted);
        }
        Editor::Line(line) => {
            let wanted = match id {
                "phrase" => match person.walk.scene().title {
                    title if title.contains("everything") => "reset everything".to_owned(),
                    _ => "reset settings".to_owned(),
                },
                "value" => match field.rsplit('.').next().unwrap_or_default() {
                    "ipv4" => "192.168.1.50/24",
                    "ipv4-gateway" => "none",
                    "ipv6" => "2001:db8::10/64",
                    "ipv6-gateway" => "none",
                    "vlan" => "20",
                    "mtu" => "1400",
                    "dns" | "time" => "192.168.1.53 192.168.1.54",
                    "search" => "example.com",
                    "host-name" => "rack-7",
                    _ => "5",
                }
                .to_owned(),
                _ => answer(id, reach).map_or_else(|| line.text(), str::to_owned),
            };
            person.press(rig, Key::KillLine);
            person.type_line(rig, &wanted);
        }
    }
}

/// Goes through a form to its end, drawing each question.
fn through(person: &mut Person, rig: &mut Rig, skin: Skin, name: &str, field: &str, pictures: &mut Pictures) {
    for _ in 0..14 {
        let Some(id) = person.asked() else { break };
        pictures.take(&format!("{name} > {id}"), person);
        go_on(person, rig, skin.reach, field);
        if let Body::Question { note: Some(note), question, .. } = person.walk.scene().body {
            panic!("{name}: {} was not taken: {note}", question.id);
        }
    }
    assert_eq!(person.asked(), None, "{name} has no end");
    if matches!(person.walk.scene().body, Body::Lines { .. }) {
        pictures.take(&format!("{name} > end"), person);
    }
}

fn explore(person: &Person, rig: &Rig, skin: Skin, name: &str, pictures: &mut Pictures) {
    pictures.take(name, person);
    let Body::Entries { entries: shown, .. } = person.walk.scene().body else { panic!("{name} is no menu") };
    for (title, short, _) in &shown {
        let (mut person, mut rig) = (person.clone(), rig.clone());
        person.choose(&mut rig, short);
        let name = format!("{name} > {title}");
        match person.walk.scene().body {
            Body::Entries { .. } if person.walk.scene().title == "Main menu" => pictures.take(&name, &person),
            Body::Entries { .. } => explore(&person, &rig, skin, &name, pictures),
            // Logged out, somebody stands before the door.
            Body::Question { .. }
                if skin.reach == Reach::Keyboard && person.walk.known().authority == Authority::Nobody =>
            {
                pictures.take(&name, &person);
            }
            Body::Question { question, .. } => {
                let field = match &question.kind {
                    super::Kind::Field { field, .. } => field.to_string(),
                    _ => field_of(&name),
                };
                through(&mut person, &mut rig, skin, &name, &field, pictures);
            }
            Body::Lines { .. } | Body::Prompt { .. } => pictures.take(&name, &person),
        }
    }
}

/// The field that an entry of this name sets, as far as that matters for the answers.
fn field_of(name: &str) -> String {
    let ends = [
        ("MTU", "mtu"),
        ("IPv6 address", "ipv6"),
        ("IPv4 gateway", "gateway"),
        ("IPv6 gateway", "gateway"),
        ("Search domains", "search"),
    ];
    ends.iter().find(|(end, _)| name.ends_with(end)).map_or(String::new(), |(_, field)| (*field).to_owned())
}

fn logged_in(rig: &mut Rig, skin: Skin) -> Person {
    let mut person = Person::arrives(rig, 1, skin.at, skin.reach, skin.page);
    match skin.reach {
        Reach::Keyboard => person.type_line(rig, PASSWORD),
        Reach::FourKeys => {
            person.press(rig, Key::Select);
            person.choose(rig, "Power");
            person.choose(rig, "Resume");
            person.key_in(rig, "0815");
            person.press(rig, Key::Home);
            person.press(rig, Key::Select);
            assert_eq!(person.walk.known().authority, Authority::Unlocked);
        }
    }
    person
}

#[test]
fn every_screen_is_as_in_its_picture() {
    for skin in skins() {
        let mut pictures = Pictures { skin, text: String::new(), count: 0 };
        // The box as delivered, claimed and set up for the first time.
        let mut rig = Rig::unclaimed();
        let mut person = Person::arrives(&mut rig, 1, skin.at, skin.reach, skin.page);
        through(&mut person, &mut rig, skin, "Unclaimed", "", &mut pictures);
        assert_eq!(rig.host_name(), "rack-7".to_owned(), "{}", skin.name);

        // A box with an owner, before and after he shows himself.
        let mut rig = Rig::claimed();
        let person = Person::arrives(&mut rig, 1, skin.at, skin.reach, skin.page);
        pictures.take("Claimed", &person);
        let mut rig = Rig::claimed();
        let person = logged_in(&mut rig, skin);
        explore(&person, &rig, skin, "Main", &mut pictures);

        // With a change written down, and then on trial.
        let mut staged = rig.clone();
        let mut person = person.clone();
        let changes = vec![("host-name".to_owned(), "new".to_owned())];
        assert!(staged.ask(person.id, crate::protocol::Ask::Set { changes }).is_done());
        person.follow(&mut staged, None);
        pictures.take("Main, with a change", &person);
        let mut changes = person.clone();
        changes.choose(&mut staged, "Changes");
        pictures.take("Changes, with a change", &changes);
        assert!(staged.ask(person.id, crate::protocol::Ask::Apply).is_done());
        staged.pass(Duration::from_secs(23));
        person.follow(&mut staged, None);
        pictures.take("Main, on trial", &person);
        changes.follow(&mut staged, None);
        pictures.take("Changes, on trial", &changes);

        assert!(pictures.count > 60, "{} screens only", pictures.count);
        golden(&format!("{}.txt", skin.name), &pictures.text);
    }
}

/// What a site is like, and how many keys it may take.
const SITES: &[(&str, &str, &str, &str, &str)] = &[
    // address, gateway, DNS, time, what is typical of it
    ("192.168.1.50", "192.168.1.1", "192.168.1.1", "192.168.1.1", "a small office: the router does it all"),
    (
        "192.168.100.57",
        "192.168.100.1",
        "192.168.100.53",
        "192.168.100.53",
        "a name and time server of its own",
    ),
    ("10.20.30.40", "10.20.30.1", "10.20.30.10", "10.20.30.10", "a site of a large network"),
    ("172.16.5.20", "172.16.5.1", "172.16.5.2", "172.16.5.2", "the second private range"),
    ("10.0.2.15", "10.0.2.2", "10.0.2.3", "10.0.2.2", "a virtual machine's network"),
];

#[test]
fn a_box_is_set_up_at_the_panel_with_at_most_60_key_presses() {
    for (address, gateway, dns, time, about) in SITES {
        let mut rig = Rig::unclaimed();
        let page = lcd::page(Geometry::Small16x2);
        let mut person = Person::arrives(&mut rig, 1, Where::Panel, Reach::FourKeys, page);
        let mut ids = Vec::new();
        while let Some(id) = person.asked() {
            ids.push(id);
            match id {
                "code" => person.key_in(&mut rig, "0815"),
                "noted" => person.press(&mut rig, Key::Select),
                "nic" => person.key_in(&mut rig, "lan0"),
                "ipv4" => person.key_in(&mut rig, "static"),
                "address" => person.key_in(&mut rig, address),
                "prefix" => person.key_in(&mut rig, "24"),
                "gateway" => person.key_in(&mut rig, gateway),
                "dns" => person.key_in(&mut rig, dns),
                "time" => person.key_in(&mut rig, time),
                "host-name" => person.key_in(&mut rig, "gantry-004711"),
                "apply" => person.key_in(&mut rig, "now"),
                "confirm" => person.key_in(&mut rig, "confirm"),
                other => panic!("{other}"),
            }
        }
        assert!(ids.contains(&"confirm"), "{about}: {ids:?}");
        println!("{} key presses: {about} ({address})", person.pressed);
        assert!(person.pressed <= 60, "{about}: {} key presses", person.pressed);
        assert_eq!(person.walk.known().stage, Stage::Standing);
        let kept = rig.seen.disk.clone().unwrap();
        assert_eq!(kept.trial, None);
        let text = |field: &str| kept.standing.get(&domain::appliance::Field::parse(field).unwrap()).unwrap();
        assert_eq!(text("lan0.ipv4"), format!("{address}/24"));
        assert_eq!(text("lan0.ipv4-gateway"), *gateway);
        assert_eq!((text("dns"), text("time")), ((*dns).to_owned(), (*time).to_owned()));
        assert_eq!(text("host-name"), "gantry-004711");
    }
}

#[test]
fn what_the_menu_does_the_command_line_does_too() {
    // Every ask and form of the menu's entries is that of some command.
    let commands: Vec<Command> = [
        "status",
        "network show",
        "network settings",
        "network changes",
        "network apply",
        "network confirm",
        "network revert",
        "network discard",
        "slots",
        "reasons",
        "identity",
        "sensors",
        "time",
        "audit",
        "dns-plan",
        "test gateway",
        "test dns",
        "test ntp",
        "test conference",
        "support-bundle",
        "drain",
        "resume",
        "forgive 192.0.2.1",
        "reboot",
        "power-off",
        "locate on",
        "locate off",
        "password",
        "reset settings",
        "reset everything",
        "claim",
    ]
    .iter()
    .map(|line| words::parse_line(line).unwrap().unwrap())
    .collect();
    let asks = |item: &Item| {
        commands.iter().any(|command| match (command, item) {
            (Command::Ask(ask, _), Item::Ask(wanted)) => ask == wanted,
            (Command::Ask(crate::protocol::Ask::Show { view }, _), Item::View(wanted)) => view == wanted,
            (Command::Form(kind), Item::Form(wanted)) => kind == wanted,
            _ => false,
        })
    };
    for stage in [Stage::Standing, Stage::Staged, Stage::OnTrial(9)] {
        let mut rig = Rig::claimed();
        let id = rig.open(1, crate::desk::Peer::Trusted, Where::Command);
        let facts = Facts { stage, ..rig.facts(id) };
        let mut open = vec![super::Menu::Main];
        while let Some(menu) = open.pop() {
            for entry in entries(&menu, &facts, Reach::Keyboard) {
                match &entry.item {
                    Item::Menu(next) => open.push(next.clone()),
                    // Fields are set by `network set`; the wizard and the dialogue round Apply are made of those.
                    Item::Form(
                        super::FormKind::Field(_) | super::FormKind::Wizard | super::FormKind::Apply,
                    ) => {}
                    Item::CommandLine | Item::Ask(crate::protocol::Ask::Logout) => {}
                    // These ask a question of the menu's first; the command says it in words.
                    Item::Form(
                        super::FormKind::Drain | super::FormKind::Reboot | super::FormKind::PowerOff,
                    ) => {}
                    item => assert!(asks(item), "no command for {}: {item:?}", entry.title),
                }
            }
        }
    }
}

#[test]
fn entries_fit_the_smallest_display_and_have_names_of_their_own() {
    let mut rig = Rig::claimed();
    let id = rig.open(1, crate::desk::Peer::Trusted, Where::Command);
    for stage in [Stage::Standing, Stage::Staged, Stage::OnTrial(9)] {
        let facts = Facts { stage, ..rig.facts(id) };
        let mut open = vec![super::Menu::Main];
        while let Some(menu) = open.pop() {
            assert!(menu.title().len() <= 15, "{}", menu.title());
            let list = entries(&menu, &facts, Reach::FourKeys);
            assert!(list.len() <= 15, "{} has {} entries", menu.title(), list.len());
            let names: BTreeSet<_> = list.iter().map(|entry| &entry.short).collect();
            assert_eq!(names.len(), list.len());
            for entry in &list {
                assert!((1..=14).contains(&entry.short.len()), "{}", entry.short);
                if let Item::Menu(next) = &entry.item {
                    open.push(next.clone());
                }
            }
        }
    }
}

#[test]
fn who_stands_idle_is_logged_out_and_sees_the_door_again() {
    let mut rig = Rig::claimed();
    let skin = skins()[0];
    let mut person = logged_in(&mut rig, skin);
    rig.pass(Duration::from_secs(599));
    person.follow(&mut rig, None);
    assert_eq!(person.walk.scene().title, "Main menu");
    rig.pass(Duration::from_secs(2));
    person.follow(&mut rig, None);
    assert_eq!(person.asked(), Some("password"));
    assert!(rig.seen.log.contains("\"act\":\"lock\""));
}

#[test]
fn a_lost_password_is_set_anew_at_either_place() {
    // At the serial console, by the label's code, within the first minute.
    let mut rig = Rig::claimed();
    let skin = skins()[0];
    let mut person = Person::arrives(&mut rig, 1, skin.at, skin.reach, skin.page);
    assert!((skin.draw)(&person).contains("type recover"));
    person.type_line(&mut rig, "recover");
    for line in [CODE, "another horse battery", "another horse battery"] {
        person.type_line(&mut rig, line);
    }
    assert_eq!(person.walk.known().authority, Authority::Administrator);

    // At the panel, by holding keys.
    let mut rig = Rig::claimed();
    let skin = skins()[2];
    let mut person = Person::arrives(&mut rig, 1, skin.at, skin.reach, skin.page);
    let ask = person.walk.held();
    person.follow(&mut rig, ask);
    assert_eq!(person.asked(), Some("noted"));
    let shown = (skin.draw)(&person);
    let password = shown.lines().nth(1).unwrap().trim_matches('|').trim().to_owned();
    assert_eq!(password.len(), 14, "{shown}");
    person.press(&mut rig, Key::Back);
    assert_eq!(person.asked(), Some("noted"), "it is not left by mistake");
    person.press(&mut rig, Key::Select);
    let serial = rig.open(2, crate::desk::Peer::Trusted, Where::Serial);
    let login = crate::protocol::Ask::Login { password: crate::protocol::Hidden(password.clone()) };
    assert!(rig.ask(serial, login).is_done());
    assert!(!rig.seen.log.contains(&password), "the log never has it");

    // After the first minute, nowhere.
    let mut rig = Rig::claimed();
    rig.pass(Duration::from_secs(61));
    let mut person = Person::arrives(&mut rig, 1, skin.at, skin.reach, skin.page);
    assert_eq!(person.walk.held(), None);
    person.press(&mut rig, Key::Select);
    assert_eq!(person.walk.scene().title, "Main menu");
}

#[test]
fn a_panel_that_may_only_show_offers_nothing_else() {
    let mut rig = Rig::claimed();
    let root = rig.open(9, crate::desk::Peer::Trusted, Where::Command);
    let set = |rig: &mut Rig, value: &str| {
        let changes = vec![("panel".to_owned(), value.to_owned())];
        for ask in [
            crate::protocol::Ask::Set { changes },
            crate::protocol::Ask::Apply,
            crate::protocol::Ask::Confirm,
        ] {
            assert!(rig.ask(root, ask).is_done());
        }
    };
    set(&mut rig, "view");
    let skin = skins()[3];
    let mut person = Person::arrives(&mut rig, 1, skin.at, skin.reach, skin.page);
    person.press(&mut rig, Key::Select);
    let drawn = entries(&super::Menu::Main, person.walk.known(), Reach::FourKeys);
    let names: Vec<_> = drawn.iter().map(|entry| entry.short.as_str()).collect();
    assert_eq!(names, ["Status", "Network", "Tests", "System"]);
    set(&mut rig, "off");
    person.follow(&mut rig, None);
    person.press(&mut rig, Key::Home);
    person.press(&mut rig, Key::Select);
    assert!((skin.draw)(&person).contains("runs"), "{}", (skin.draw)(&person));
    assert!(!rig.ask(person.id, crate::protocol::Ask::Show { view: crate::protocol::View::Audit }).is_done());
}

#[test]
fn moving_about_the_menu_costs_few_bytes_on_the_line() {
    let mut rig = Rig::claimed();
    let mut person = logged_in(&mut rig, skins()[0]);
    let mut painter = vt100::Painter::default();
    let paint = |painter: &mut vt100::Painter, person: &Person| {
        painter.paint(&wide::draw(&person.walk.scene(), person.walk.known())).len()
    };
    let whole = paint(&mut painter, &person);
    person.press(&mut rig, Key::Down);
    let moved = paint(&mut painter, &person);
    person.choose(&mut rig, "System");
    let another = paint(&mut painter, &person);
    println!(
        "a whole screen {whole} bytes, a move {moved}, another menu {another}; 9600 baud carry 960 a second"
    );
    assert!(whole <= 960, "{whole}");
    assert!(moved <= 24, "{moved}");
    assert!(another <= 700, "{another}");
}

proptest::proptest! {
    /// Whatever is keyed at either place, nothing panics, and every screen can be drawn.
    #[test]
    fn no_keys_lead_anywhere_that_cannot_be_drawn(keys in proptest::collection::vec(0_u8..24, 0..120), which in 0_usize..4) {
        let skin = skins()[which];
        let mut rig = Rig::claimed();
        let mut person = if which == 0 { logged_in(&mut rig, skin) } else { Person::arrives(&mut rig, 1, skin.at, skin.reach, skin.page) };
        for key in keys {
            let key = match (key, skin.reach) {
                (0..=2, _) => Key::Down,
                (3, _) => Key::Up,
                (4..=7, _) => Key::Select,
                (8, _) => Key::Back,
                (9, _) => Key::Accept,
                (10, _) => Key::Home,
                (_, Reach::FourKeys) => Key::Select,
                (11, _) => Key::Tab,
                (12, _) => Key::KillWord,
                (13, _) => Key::Backspace,
                (other, _) => Key::Char(b" :019/.axyz"[usize::from(other) - 14] as char),
            };
            person.press(&mut rig, key);
            let drawn = (skin.draw)(&person);
            let drawable = !drawn.is_empty() && !drawn.contains('\u{1b}');
            proptest::prop_assert!(drawable);
        }
    }
}
