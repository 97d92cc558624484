//! A client that is a machine, too: it writes requests, turns the server and reads what it answers.

use base::{Machine, Output, Secret};
use ldap::ber::{BOOLEAN, ENUMERATED, INTEGER, OCTETS, Reader, SEQUENCE, SET, Writer};
use ldap::{Anonymous, Connection, Contact, Effect, Event, Input, Login, Service, Tree};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub const BASE: &str = "dc=meet,dc=example,dc=com";
pub const PAGED: &str = "1.2.840.113556.1.4.319";

/// What the server said: the response's tag, its fields, and a page's cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub id: i32,
    pub tag: u8,
    pub code: i32,
    pub text: String,
    pub matched: String,
    pub cookie: Option<Vec<u8>>,
    /// An extended response's name or value.
    pub extended: Option<String>,
}

/// An entry: its name, its attributes and their values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub dn: String,
    pub attributes: Vec<(String, Vec<String>)>,
}

pub struct Client {
    pub server: Connection,
    pub now: Instant,
    pub said: Vec<Said>,
    pub found: Vec<Found>,
    pub events: Vec<Event>,
    pub closed: bool,
    pub wake: Option<Instant>,
    next: i32,
}

/// A search as its fields are; the filter as text (RFC 4515, without escapes).
pub struct Search<'a> {
    pub base: &'a str,
    pub scope: i32,
    pub size: i32,
    pub time: i32,
    pub types_only: bool,
    pub filter: &'a str,
    pub attributes: &'a [&'a str],
}

impl Default for Search<'_> {
    fn default() -> Self {
        let (base, filter) = (BASE, "(objectClass=*)");
        Self { base, scope: 2, size: 0, time: 0, types_only: false, filter, attributes: &["1.1"] }
    }
}

pub fn contact(group: &str, name: &str) -> Contact {
    let user = name.to_lowercase().replace(' ', ".");
    Contact {
        name: name.to_owned(),
        group: Some(group.to_owned()),
        description: format!("{name} in {group}"),
        uuid: "6ba7b810-9dad-11d1-80b4-00c04fd430c8".to_owned(),
        sip: vec![format!("sip:{user}@example.com")],
        h323: vec![user],
        numbers: vec!["+49 30 1234".to_owned()],
    }
}

pub fn tree(contacts: Vec<Contact>) -> Arc<Tree> {
    Arc::new(Tree::new(BASE, "1.0", contacts).expect("a tree"))
}

pub fn rooms() -> Vec<Contact> {
    [("Berlin", "Board Room"), ("Berlin", "Huddle"), ("Rome", "Abbey"), ("Rome", "Able")]
        .map(|(group, name)| contact(group, name))
        .into()
}

pub fn service(anonymous: Anonymous) -> Arc<Service> {
    let login = Login { user: "rooms".to_owned(), password: Secret::new("open sesame".to_owned()) };
    Arc::new(Service { anonymous, login: Some(login) })
}

impl Client {
    /// Of a server that serves everybody.
    pub fn new() -> Self {
        Self::of(Anonymous::Allowed, tree(rooms()))
    }

    pub fn of(anonymous: Anonymous, tree: Arc<Tree>) -> Self {
        let server = Connection::new(service(anonymous), tree);
        let (now, wake, next) = (Instant::now(), None, 0);
        let (said, found, events) = (Vec::new(), Vec::new(), Vec::new());
        Self { server, now, said, found, events, closed: false, wake, next }
    }

    /// One step, without those that it asks for.
    pub fn step(&mut self, input: Input<'_>) {
        let mut outputs = Vec::new();
        self.wake = self.server.step(self.now, input, |output| outputs.push(output));
        for output in outputs {
            match output {
                Output::Event(event) => self.events.push(event),
                Output::Effect(Effect::Close) => self.closed = true,
                Output::Effect(Effect::Send(bytes)) => self.read(&bytes),
            }
        }
    }

    /// Sends octets and turns the server until it is done.
    pub fn send(&mut self, octets: &[u8]) {
        self.step(Input::Received(octets));
        self.rest();
    }

    pub fn rest(&mut self) {
        while self.wake.is_some() {
            self.step(Input::Timeout);
        }
    }

    pub fn number(&mut self) -> i32 {
        self.next += 1;
        self.next
    }

    /// A request and what it was answered.
    pub fn ask(&mut self, operation: impl FnOnce(&mut Writer)) -> Said {
        let id = self.number();
        let bytes = message(id, operation, |_| {});
        self.send(&bytes);
        self.answer(id)
    }

    pub fn answer(&self, id: i32) -> Said {
        self.said.iter().rfind(|said| said.id == id).unwrap_or_else(|| panic!("no answer to {id}")).clone()
    }

    pub fn bind(&mut self, name: &str, password: &str) -> i32 {
        self.ask(bind(3, name, password)).code
    }

    /// A search; the names of what was found are afterwards in `found`.
    pub fn search(&mut self, wanted: &Search<'_>) -> Said {
        self.found.clear();
        self.ask(search(wanted))
    }

    /// The names that a filter finds, without the base.
    pub fn names(&mut self, filter: &str) -> Vec<String> {
        let said = self.search(&Search { filter, ..Search::default() });
        assert_eq!(said.code, 0, "{filter}: {said:?}");
        let suffix = format!(",{BASE}");
        self.found.iter().map(|found| found.dn.trim_end_matches(&*suffix).to_owned()).collect()
    }

    pub fn paged(&mut self, wanted: &Search<'_>, size: i32, cookie: &[u8]) -> Said {
        self.found.clear();
        let id = self.number();
        let value = page(size, cookie);
        let control = control(PAGED, true, Some(&value));
        let bytes = message(id, search(wanted), |w| w.group(0xa0, control));
        self.send(&bytes);
        self.answer(id)
    }

    pub fn later(&mut self, time: Duration) {
        self.now += time;
    }

    fn read(&mut self, bytes: &[u8]) {
        let mut stream = Reader::new(bytes);
        while !stream.is_empty() {
            let mut message = stream.inner(SEQUENCE).expect("a message");
            let id = message.integer(INTEGER).expect("a number");
            let (tag, contents) = message.any().expect("a response");
            let mut fields = Reader::new(contents);
            if tag == 0x64 {
                self.found.push(found(&mut fields));
                continue;
            }
            let said = said(id, tag, &mut fields, &mut message);
            self.said.push(said);
        }
    }
}

fn said(id: i32, tag: u8, fields: &mut Reader<'_>, message: &mut Reader<'_>) -> Said {
    let code = fields.integer(ENUMERATED).expect("a code");
    let matched = fields.text(OCTETS).expect("a name").to_owned();
    let text = fields.text(OCTETS).expect("a text").to_owned();
    let extended = fields.any().ok().map(|(_, value)| String::from_utf8_lossy(value).into_owned());
    let cookie = message.take_if(0xa0).expect("controls").map(|list| {
        let mut control = Reader::new(list).inner(SEQUENCE).expect("a control");
        assert_eq!(control.text(OCTETS), Ok(PAGED));
        let mut value = Reader::new(control.take(OCTETS).expect("a value"));
        let mut value = value.inner(SEQUENCE).expect("a sequence");
        assert_eq!(value.integer(INTEGER), Ok(0), "how many there are is not told");
        value.take(OCTETS).expect("a cookie").to_vec()
    });
    Said { id, tag, code, text, matched, cookie, extended }
}

fn found(fields: &mut Reader<'_>) -> Found {
    let dn = fields.text(OCTETS).expect("a name").to_owned();
    let (mut list, mut attributes) = (fields.inner(SEQUENCE).expect("attributes"), Vec::new());
    while !list.is_empty() {
        let mut one = list.inner(SEQUENCE).expect("an attribute");
        let name = one.text(OCTETS).expect("its name").to_owned();
        let (mut set, mut values) = (one.inner(SET).expect("its values"), Vec::new());
        while !set.is_empty() {
            values.push(set.text(OCTETS).expect("a value").to_owned());
        }
        attributes.push((name, values));
    }
    Found { dn, attributes }
}

pub fn message(id: i32, operation: impl FnOnce(&mut Writer), controls: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.group(SEQUENCE, |w| {
        w.integer(INTEGER, id);
        operation(w);
        controls(w);
    });
    writer.into_bytes()
}

pub fn bind(version: i32, name: &str, password: &str) -> impl FnOnce(&mut Writer) {
    move |w| {
        w.group(0x60, |w| {
            w.integer(INTEGER, version);
            w.octets(OCTETS, name.as_bytes());
            w.octets(0x80, password.as_bytes());
        });
    }
}

pub fn search(wanted: &Search<'_>) -> impl FnOnce(&mut Writer) {
    move |w| {
        w.group(0x63, |w| {
            w.octets(OCTETS, wanted.base.as_bytes());
            w.integer(ENUMERATED, wanted.scope);
            w.integer(ENUMERATED, 0);
            w.integer(INTEGER, wanted.size);
            w.integer(INTEGER, wanted.time);
            w.boolean(BOOLEAN, wanted.types_only);
            filter(w, wanted.filter);
            w.group(SEQUENCE, |w| {
                wanted.attributes.iter().for_each(|name| w.octets(OCTETS, name.as_bytes()))
            });
        });
    }
}

pub fn control(name: &str, critical: bool, value: Option<&[u8]>) -> impl FnOnce(&mut Writer) {
    move |w| {
        w.group(SEQUENCE, |w| {
            w.octets(OCTETS, name.as_bytes());
            w.boolean(BOOLEAN, critical);
            value.into_iter().for_each(|value| w.octets(OCTETS, value));
        });
    }
}

pub fn page(size: i32, cookie: &[u8]) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.group(SEQUENCE, |w| {
        w.integer(INTEGER, size);
        w.octets(OCTETS, cookie);
    });
    writer.into_bytes()
}

/// Writes the filter at the beginning of `text`, and returns what follows it.
fn filter<'t>(w: &mut Writer, text: &'t str) -> &'t str {
    let inner = text.strip_prefix('(').expect("a filter begins with (");
    let list = |w: &mut Writer, tag, mut rest: &'t str| {
        w.group(tag, |w| {
            while rest.starts_with('(') {
                rest = filter(w, rest);
            }
        });
        rest.strip_prefix(')').expect("a filter ends with )")
    };
    match inner.as_bytes().first() {
        Some(b'&') => return list(w, 0xa0, &inner[1..]),
        Some(b'|') => return list(w, 0xa1, &inner[1..]),
        Some(b'!') => return list(w, 0xa2, &inner[1..]),
        _ => {}
    }
    let (item, rest) = inner.split_once(')').expect("a filter ends with )");
    let (name, value) = item.split_once('=').expect("an item has a =");
    let pair = |w: &mut Writer, tag, name: &str| {
        w.group(tag, |w| {
            w.octets(OCTETS, name.as_bytes());
            w.octets(OCTETS, value.as_bytes());
        });
    };
    match name.as_bytes().last() {
        Some(b'>') => pair(w, 0xa5, &name[..name.len() - 1]),
        Some(b'<') => pair(w, 0xa6, &name[..name.len() - 1]),
        Some(b'~') => pair(w, 0xa8, &name[..name.len() - 1]),
        _ if value == "*" => w.octets(0x87, name.as_bytes()),
        _ if value.contains('*') => w.group(0xa4, |w| {
            w.octets(OCTETS, name.as_bytes());
            w.group(SEQUENCE, |w| pieces(w, value));
        }),
        _ => pair(w, 0xa3, name),
    }
    rest
}

fn pieces(w: &mut Writer, value: &str) {
    let pieces: Vec<&str> = value.split('*').collect();
    for (at, piece) in pieces.iter().enumerate().filter(|(_, piece)| !piece.is_empty()) {
        let tag = if at == 0 {
            0x80
        } else if at + 1 == pieces.len() {
            0x82
        } else {
            0x81
        };
        w.octets(tag, piece.as_bytes());
    }
}
