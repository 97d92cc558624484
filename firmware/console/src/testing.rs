//! A box in virtual time, and people who stand at its serial console and its panel, for tests.

use crate::desk::{Answer, Desk, Job, Outside, Peer, SessionId};
use crate::menu::cells::Cells;
use crate::menu::question::Editor;
use crate::menu::{Body, Key, Page, Reach, Walk};
use crate::protocol::{Ask, Facts, Nic, Reply, Row, Where};
use crate::view;
use crate::world::{
    Clock, Configured, Disk, Gateway, GatewayState, Identity, ReasonLine, Sensor, Sync, World,
};
use base::{Secret, Seed};
use domain::appliance::access::{Access, PasswordHash, Verifier, WINDOW};
use domain::appliance::audit::{Act, Chain};
use domain::appliance::commit::{Begin, Record};
use domain::appliance::instant::UnixTime;
use domain::appliance::record::Kept;
use domain::appliance::request::Request;
use domain::appliance::values::InterfaceName;
use domain::appliance::{Draft, Settings};
use hal::slots::{Slot, SlotState, SlotStatus, Slots};
use std::time::{Duration, Instant};

/// The code on the box's label.
pub const CODE: &str = "4711-0815";
/// A password that will do.
pub const PASSWORD: &str = "correct horse battery";

/// What the box's disk, log and those who act for it have seen.
#[derive(Clone, Default)]
pub struct Seen {
    /// What is on the disk of the settings.
    pub disk: Option<Record>,
    /// What is on the disk of the owner.
    pub owner: Option<PasswordHash>,
    /// What was asked for, in order.
    pub requests: Vec<Request>,
    /// The audit log.
    pub log: String,
    chain: Chain,
    /// Whether the disk takes anything.
    pub disk_is_full: bool,
}

impl Outside for Seen {
    fn keep_settings(&mut self, record: &Record) -> Result<(), String> {
        if self.disk_is_full {
            return Err("no space left".to_owned());
        }
        self.disk = Some(record.clone());
        Ok(())
    }

    fn keep_owner(&mut self, hash: &PasswordHash) -> Result<(), String> {
        if self.disk_is_full {
            return Err("no space left".to_owned());
        }
        self.owner = Some(hash.clone());
        Ok(())
    }

    fn request(&mut self, request: &Request) -> Result<(), String> {
        self.requests.push(request.clone());
        Ok(())
    }

    fn audit(&mut self, act: &Act) {
        self.log.push_str(&self.chain.append(UnixTime(1_795_165_098), act));
    }

    fn hash(&mut self, password: &Secret<String>) -> Result<PasswordHash, String> {
        PasswordHash::new(format!(
            "$argon2id$test${:x}",
            password.expose().bytes().fold(7_u64, |sum, b| sum.wrapping_mul(31) + u64::from(b))
        ))
    }

    fn matches(&mut self, password: &Secret<String>, hash: &PasswordHash) -> bool {
        self.hash(password).is_ok_and(|made| made == *hash)
    }

    fn seed(&mut self) -> Seed {
        Seed(std::array::from_fn(|index| u8::try_from(index * 7 + 3).unwrap()))
    }
}

/// A box.
#[derive(Clone)]
pub struct Rig {
    pub desk: Desk,
    pub world: World,
    pub seen: Seen,
    pub now: Instant,
}

fn settings() -> Settings {
    let names = ["lan0", "lan1"].map(|name| InterfaceName::parse(name).unwrap());
    Draft::delivered(&names, Some("GW-00-4711")).settle().unwrap()
}

/// A box that is well, with two interfaces of which one has a link.
pub fn world() -> World {
    let nic = |name: &str, link: &str, last: u8| Nic {
        name: name.into(),
        mac: format!("52:54:00:12:34:{last:02x}"),
        link: link.into(),
        addresses: Vec::new(),
        gateway: None,
        stamps: None,
    };
    let known = |state, revision| SlotStatus::Known { state, revision };
    World {
        identity: Identity {
            version: "0.1.0".into(),
            board: Some("qemu-x86_64".into()),
            serial_number: Some("GW-00-4711".into()),
            asset_tag: None,
            uptime: 7_500,
        },
        nics: vec![nic("lan0", "up, 1000 Mbit/s", 0), nic("lan1", "down", 1)],
        dns: Vec::new(),
        gateway: Gateway::Answers(GatewayState::default()),
        configured: Configured {
            domains: vec!["meet.example.com".into()],
            connectors: vec![("meet".into(), "https://conference.example.com".into())],
            ..Configured::default()
        },
        slots: Some(Slots {
            a: known(SlotState::Ok, 3),
            b: known(SlotState::Failed, 0),
            booted: Some(Slot::A),
        }),
        clock: Clock { sync: Sync::InSync, server: Some("192.0.2.123".into()) },
        sensors: vec![Sensor {
            name: "coretemp Package id 0".into(),
            value: "41.5 °C".into(),
            verdict: "normal".into(),
        }],
        disks: vec![Disk { mount: "/data".into(), used: 12 }],
        reasons: vec![ReasonLine {
            at: "2026-11-26T17:12:03Z".into(),
            word: "asked-restart".into(),
            text: "restart was asked for".into(),
            what: "box".into(),
            slot: Some("A".into()),
            fell_back_from: None,
        }],
        failed: Vec::new(),
        remarks: Vec::new(),
    }
}

impl Rig {
    /// A box as delivered, just switched on.
    pub fn unclaimed() -> Self {
        Self::with(None)
    }

    /// A box with an owner, just switched on.
    pub fn claimed() -> Self {
        let hash = Seen::default().hash(&Secret::new(PASSWORD.to_owned())).unwrap();
        Self::with(Some(hash))
    }

    fn with(owner: Option<PasswordHash>) -> Self {
        let now = Instant::now();
        let access = Access::new(Verifier::of(CODE).ok(), owner.clone(), now + WINDOW);
        let record = Record { standing: settings(), trial: None };
        let seen = Seen { disk: Some(record.clone()), owner, ..Seen::default() };
        let mut rig =
            Self { desk: Desk::new(Kept { record, since: None }, access), world: world(), seen, now };
        rig.desk.begin(now, Begin::NewBoot, &mut rig.seen);
        rig
    }

    /// The box restarts.
    pub fn restart(&mut self) {
        let record = self.seen.disk.clone().unwrap();
        let access = Access::new(Verifier::of(CODE).ok(), self.seen.owner.clone(), self.now + WINDOW);
        self.desk = Desk::new(Kept { record, since: None }, access);
        self.desk.begin(self.now, Begin::NewBoot, &mut self.seen);
    }

    /// Time passes; the box is turned when it wants to be.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(wake) = self.desk.wake().filter(|wake| *wake <= end) {
            self.now = self.now.max(wake);
            self.desk.tick(self.now, &mut self.seen);
        }
        self.now = end;
    }

    pub fn open(&mut self, id: u64, peer: Peer, at: Where) -> SessionId {
        self.desk.open(self.now, SessionId(id), peer).unwrap();
        assert!(self.ask(SessionId(id), Ask::Hello { at }).is_done());
        SessionId(id)
    }

    pub fn ask(&mut self, id: SessionId, ask: Ask) -> Reply {
        match self.desk.handle(self.now, id, ask, &self.world, &mut self.seen) {
            Answer::Reply(reply) => reply,
            Answer::Job(Job::Show(view)) => view::make(view, &self.world, &self.seen.log),
            Answer::Job(Job::Test(which, to)) => Reply {
                rows: vec![Row::new(
                    format!("{which:?}"),
                    to.unwrap_or_else(|| "192.0.2.1 answers in 2 ms".into()),
                )],
                ..Reply::default()
            },
            Answer::Job(Job::Bundle(file)) => Reply::said(format!("/data/support/{file} is written")),
            Answer::Job(Job::Forgive(address)) => Reply::said(format!("{address} is heard again")),
            Answer::Job(Job::Drain) => Reply::said("no new calls are taken"),
        }
    }

    pub fn facts(&mut self, id: SessionId) -> Facts {
        serde_json::from_value(self.ask(id, Ask::Facts).data).unwrap()
    }

    /// What is in force of the host name, as the last request for it says.
    pub fn host_name(&self) -> String {
        let named = self.seen.requests.iter().rev().find_map(|request| match request {
            Request::HostName(settings) => Some(settings.host_name.to_string()),
            _ => None,
        });
        named.unwrap_or_default()
    }
}

/// Somebody who walks through the menu.
#[derive(Clone)]
pub struct Person {
    pub id: SessionId,
    pub walk: Walk,
    /// How many keys were pressed.
    pub pressed: usize,
}

impl Person {
    pub fn arrives(rig: &mut Rig, id: u64, at: Where, reach: Reach, page: Page) -> Self {
        let id = rig.open(id, Peer::Trusted, at);
        let walk = Walk::new(reach, page, rig.facts(id));
        Self { id, walk, pressed: 0 }
    }

    /// Presses a key, and has done what it asks for.
    pub fn press(&mut self, rig: &mut Rig, key: Key) {
        self.pressed += 1;
        let ask = self.walk.key(key);
        self.follow(rig, ask);
    }

    pub fn follow(&mut self, rig: &mut Rig, mut ask: Option<Ask>) {
        while let Some(asked) = ask {
            let reply = rig.ask(self.id, asked);
            self.walk.facts(rig.facts(self.id));
            ask = self.walk.reply(reply);
        }
        self.walk.facts(rig.facts(self.id));
    }

    pub fn type_line(&mut self, rig: &mut Rig, text: &str) {
        text.chars().for_each(|c| self.press(rig, Key::Char(c)));
        self.press(rig, Key::Select);
    }

    /// The editor before whoever walks.
    pub fn editor(&self) -> Option<Editor> {
        match self.walk.scene().body {
            Body::Question { editor, .. } => Some(editor),
            _ => None,
        }
    }

    /// The id of the question that is asked.
    pub fn asked(&self) -> Option<&'static str> {
        match self.walk.scene().body {
            Body::Question { question, .. } => Some(question.id),
            _ => None,
        }
    }

    /// Chooses the entry whose short title is `short`, at the panel or on a keyboard.
    pub fn choose(&mut self, rig: &mut Rig, short: &str) {
        let Body::Entries { entries, at } = self.walk.scene().body else {
            panic!("no menu: {:?}", self.walk.scene())
        };
        let wanted = entries.iter().position(|(_, known, _)| known == short);
        let wanted = wanted.unwrap_or_else(|| panic!("{short} is not in {entries:?}"));
        let count = entries.len();
        let down = (wanted + count - at) % count;
        let key = if down <= count / 2 { Key::Down } else { Key::Up };
        (0..down.min(count - down)).for_each(|_| self.press(rig, key));
        self.press(rig, Key::Select);
    }

    /// Answers the question with four keys, by what is seen, as a person would.
    pub fn key_in(&mut self, rig: &mut Rig, wanted: &str) {
        let asked = self.asked();
        for _ in 0..200 {
            let Some(Editor::Cells(cells)) = self.editor() else {
                panic!("nothing to key {wanted:?} into: {:?}", self.walk.scene())
            };
            match next_key(&cells, wanted) {
                Next::Key(key) => self.press(rig, key),
                Next::Take => return self.press(rig, Key::Select),
            }
            if self.asked() != asked {
                return;
            }
        }
        panic!("{wanted} cannot be keyed in: {:?}", self.walk.scene());
    }
}

enum Next {
    Key(Key),
    Take,
}

/// The key that leads nearer to `wanted`.
fn next_key(cells: &Cells, wanted: &str) -> Next {
    let (shown, cursor) = cells.shown();
    match (cells, cursor) {
        (Cells::Choice(choice), _) => {
            if choice.options[choice.at].0 == wanted {
                return Next::Take;
            }
            nearer(
                cells,
                &|cells| matches!(cells, Cells::Choice(choice) if choice.options[choice.at].0 == wanted),
            )
        }
        (Cells::Address(_), None) if shown == wanted => Next::Take,
        (Cells::Address(_), None) if shown.contains('.') && shown.len() < 15 => Next::Key(Key::Up),
        (Cells::Address(_), None) => {
            let padded = padded(wanted);
            let fits = move |cells: &Cells| {
                let shown = cells.shown().0;
                let fixed = match shown.as_str() {
                    "192.168.000.010" => "192.168.",
                    "010.000.000.010" => "010.",
                    "172.016.000.010" => "172.",
                    _ => "",
                };
                padded.starts_with(fixed)
                    && (!fixed.is_empty()
                        || !["192.168.", "010.", "172."].iter().any(|p| padded.starts_with(p)))
            };
            if fits(cells) { Next::Key(Key::Select) } else { nearer(cells, &fits) }
        }
        (Cells::Address(_), Some(at)) => at_cursor(cells, at, &padded(wanted)),
        (Cells::Digits(_), Some(at)) => at_cursor(cells, at, wanted),
        (Cells::Letters(_), None) if shown == wanted => Next::Take,
        (Cells::Letters(_), None) => Next::Key(Key::Up),
        (Cells::Letters(_), Some(at)) => {
            let shown = shown.trim_end_matches('_').to_owned();
            if at >= wanted.len() && shown == wanted { Next::Take } else { at_cursor(cells, at, wanted) }
        }
        (Cells::Digits(_), None) => unreachable!("digits always have a cursor"),
    }
}

fn padded(address: &str) -> String {
    let octets: Vec<_> =
        address.split('.').map(|octet| format!("{:03}", octet.parse::<u8>().unwrap())).collect();
    octets.join(".")
}

fn at_cursor(cells: &Cells, at: usize, wanted: &str) -> Next {
    let is = |cells: &Cells| cells.shown().0.trim_end_matches('_').as_bytes().get(at).copied();
    let goal = wanted.as_bytes().get(at).copied();
    if is(cells) == goal { Next::Key(Key::Select) } else { nearer(cells, &|cells| is(cells) == goal) }
}

/// Up or down, whichever is nearer to what is wanted.
fn nearer(cells: &Cells, is: &dyn Fn(&Cells) -> bool) -> Next {
    let distance = |key: Key| {
        let mut cells = cells.clone();
        (1..60).find(|_| {
            cells.key(key);
            is(&cells)
        })
    };
    match (distance(Key::Up), distance(Key::Down)) {
        (Some(up), Some(down)) if down < up => Next::Key(Key::Down),
        (Some(_), _) => Next::Key(Key::Up),
        (None, Some(_)) => Next::Key(Key::Down),
        (None, None) => panic!("neither way leads there: {cells:?}"),
    }
}

/// Held against a picture of text in tests/golden; `UPDATE_GOLDEN=1` draws it anew.
pub fn golden(name: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let differs =
        expected.lines().zip(text.lines()).position(|(a, b)| a != b).unwrap_or(expected.lines().count());
    let around =
        |text: &str| text.lines().skip(differs.saturating_sub(8)).take(16).collect::<Vec<_>>().join("\n");
    assert!(
        expected == text,
        "{name} differs at line {}; UPDATE_GOLDEN=1 draws it anew\n--- expected\n{}\n--- drawn\n{}",
        differs + 1,
        around(&expected),
        around(text)
    );
}
