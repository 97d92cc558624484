//! One connection: requests in, answers out, one operation at a time.
//!
//! ```text
//!            bytes                 a request                      its answer
//!  reading ───────▶ waiting (≤ 16) ──────────▶ working ──────────────────────▶ waiting
//!     │                                        │    ▲ a slice of a search
//!     │ unbind, no LDAP, too much waits        └────┘ (wakes at once)
//!     └──────────────────────────────────────────────────────────▶ closed
//! ```
//! An abandon is taken as it comes, also while a search goes on. Whoever turns the machine writes what a step gives before it takes the next: so a
//! peer that does not read is not written to, and no more than a slice is held for it.

use crate::answer::{self, Identity};
use crate::ber::Writer;
use crate::controls::Controls;
use crate::message::{self, Authentication, BIND, COMPARE, EXTENDED, Message, Request, SEARCH_DONE, Search};
use crate::result::{Outcome, ResultCode};
use crate::search::{Running, Slice};
use crate::tree::{Scope, Tree};
use base::{Machine, Output, Secret};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// Longest message taken, in octets.
pub const MAX_FRAME: usize = 64 * 1024;
/// Most requests that wait behind a search, and [`MAX_FRAME`] octets of them twice.
pub const MAX_WAITING: usize = 16;

/// Whom a server serves, and as whom.
#[derive(Debug, Clone)]
pub struct Service {
    /// Whether entries are shown to those who give no name.
    pub anonymous: Anonymous,
    /// Who may log in; `None` for nobody.
    pub login: Option<Login>,
}

/// What those who give no name may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anonymous {
    /// Search.
    Allowed,
    /// Read the root DSE, by which clients find out how to log in.
    Refused,
}

/// The user that rooms are set up with.
#[derive(Debug, Clone)]
pub struct Login {
    /// Its name: any text, also a whole distinguished name.
    pub user: String,
    /// Its password.
    pub password: Secret<String>,
}

/// What comes.
#[derive(Debug)]
pub enum Input<'a> {
    /// Octets from the peer.
    Received(&'a [u8]),
    /// The directory is another from now on; a search that goes on keeps its own.
    Directory(Arc<Tree>),
    /// The time has come that was asked for.
    Timeout,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Write this to the peer.
    Send(Bytes),
    /// Close the connection, after what was sent is written.
    Close,
}

/// What is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Somebody showed that it is the user.
    LoggedIn,
    /// Somebody gave a wrong name or password.
    WrongLogin,
    /// A search ended.
    Searched {
        /// How.
        code: ResultCode,
        /// Entries sent, in earlier pages too.
        entries: u32,
    },
    /// What came is no LDAP, or breaks it.
    Malformed(&'static str),
}

/// The machine.
#[derive(Debug)]
pub struct Connection {
    service: Arc<Service>,
    tree: Arc<Tree>,
    identity: Identity,
    buffer: BytesMut,
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    running: Option<Running>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closed,
}

/// Collects what a step gives.
struct Outbox<F: FnMut(Output<Effect, Event>)> {
    sink: F,
    writer: Writer,
}

impl<F: FnMut(Output<Effect, Event>)> Outbox<F> {
    fn tell(&mut self, event: Event) {
        (self.sink)(Output::Event(event));
    }

    fn plain(&mut self, id: i32, tag: u8, outcome: &Outcome) {
        answer::plain(&mut self.writer, id, tag, outcome);
    }

    fn flush(&mut self) {
        if !self.writer.is_empty() {
            let bytes = std::mem::take(&mut self.writer).into_bytes();
            (self.sink)(Output::Effect(Effect::Send(bytes.into())));
        }
    }
}

impl Machine for Connection {
    type Input<'a> = Input<'a>;
    type Effect = Effect;
    type Event = Event;

    fn step(
        &mut self,
        now: Instant,
        input: Input<'_>,
        sink: impl FnMut(Output<Effect, Event>),
    ) -> Option<Instant> {
        if self.state == State::Closed {
            return None;
        }
        let mut out = Outbox { sink, writer: Writer::default() };
        match input {
            Input::Received(data) => {
                self.buffer.extend_from_slice(data);
                self.cut(&mut out);
            }
            Input::Directory(tree) => self.tree = tree,
            Input::Timeout => {}
        }
        self.work(now, &mut out);
        out.flush();
        if self.state == State::Closed {
            (out.sink)(Output::Effect(Effect::Close));
            return None;
        }
        (self.running.is_some() || !self.waiting.is_empty()).then_some(now)
    }
}

impl Connection {
    /// A connection of somebody who has not said a word.
    #[must_use]
    pub fn new(service: Arc<Service>, tree: Arc<Tree>) -> Self {
        Self {
            service,
            tree,
            identity: Identity::Nobody,
            buffer: BytesMut::new(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            running: None,
            state: State::Open,
        }
    }

    /// Whether a message has begun that is not all there.
    #[must_use]
    pub fn is_mid_message(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Whether it has shown who it is.
    #[must_use]
    pub fn is_logged_in(&self) -> bool {
        self.identity == Identity::User
    }

    /// Cuts whole messages out of what has come. What ends an operation is taken at once, all else waits.
    fn cut<F: FnMut(Output<Effect, Event>)>(&mut self, out: &mut Outbox<F>) {
        while self.state == State::Open {
            let length = match message::measure(&self.buffer, MAX_FRAME) {
                Ok(Some(length)) if length <= self.buffer.len() => length,
                Ok(Some(_) | None) => return,
                Err(problem) => return self.disconnect(out, ResultCode::ProtocolError, problem.0),
            };
            let frame = self.buffer.split_to(length).freeze();
            match Message::read(&frame) {
                Err(problem) => return self.disconnect(out, ResultCode::ProtocolError, problem.0),
                Ok(Message { request: Request::Unbind, .. }) => self.state = State::Closed,
                Ok(Message { request: Request::Abandon(id), .. }) => self.abandon(id),
                Ok(_) => self.wait(frame, out),
            }
        }
    }

    fn wait<F: FnMut(Output<Effect, Event>)>(&mut self, frame: Bytes, out: &mut Outbox<F>) {
        if self.waiting.len() >= MAX_WAITING || self.waiting_bytes + frame.len() > 2 * MAX_FRAME {
            return self.disconnect(out, ResultCode::Busy, "too many requests wait");
        }
        self.waiting_bytes += frame.len();
        self.waiting.push_back(frame);
    }

    /// Forgets a search that goes on, or a request that waits (RFC 4511 4.11).
    fn abandon(&mut self, id: i32) {
        self.running.take_if(|running| running.id == id);
        self.waiting.retain(|frame| Message::read(frame).is_ok_and(|message| message.id != id));
        self.waiting_bytes = self.waiting.iter().map(Bytes::len).sum();
    }

    fn disconnect<F: FnMut(Output<Effect, Event>)>(
        &mut self,
        out: &mut Outbox<F>,
        code: ResultCode,
        text: &'static str,
    ) {
        answer::disconnection(&mut out.writer, code, text);
        out.tell(Event::Malformed(text));
        self.state = State::Closed;
    }

    /// One slice of a search, or the next request.
    fn work<F: FnMut(Output<Effect, Event>)>(&mut self, now: Instant, out: &mut Outbox<F>) {
        if self.state == State::Closed {
            return;
        }
        if let Some(mut running) = self.running.take() {
            match running.slice(now, &mut out.writer) {
                Slice::More => self.running = Some(running),
                Slice::Done(code, entries) => out.tell(Event::Searched { code, entries }),
            }
            return;
        }
        let Some(frame) = self.waiting.pop_front() else { return };
        self.waiting_bytes -= frame.len();
        match Message::read(&frame) {
            Ok(message) => self.answer(now, message, out),
            Err(problem) => self.disconnect(out, ResultCode::ProtocolError, problem.0),
        }
    }

    fn answer<F: FnMut(Output<Effect, Event>)>(
        &mut self,
        now: Instant,
        message: Message<'_>,
        out: &mut Outbox<F>,
    ) {
        let Message { id, request, controls } = message;
        if let (Some(tag), Some(refusal)) = (request.answer(), refusal(&request, &controls)) {
            return out.plain(id, tag, &refusal);
        }
        let tree = Arc::clone(&self.tree);
        match request {
            Request::Bind { version, name, authentication } => {
                self.bind(id, version, name, &authentication, out);
            }
            Request::Search(search) => self.search(now, id, *search, &controls, out),
            Request::Compare { name, attribute, value } => {
                let compare = || answer::compare(&tree, name, attribute, value);
                out.plain(id, COMPARE.1, &self.stranger().unwrap_or_else(compare));
            }
            Request::Extended { name } => {
                answer::extended(&mut out.writer, id, name, self.identity, &self.service);
            }
            Request::Write(tag) => {
                let text = "the phonebook is read only; it is kept in the gateway's configuration";
                out.plain(id, tag, &Outcome::new(ResultCode::UnwillingToPerform, text));
            }
            Request::Broken(tag, problem) => {
                out.tell(Event::Malformed(problem.0));
                out.plain(id, tag, &Outcome::new(ResultCode::ProtocolError, problem.0));
            }
            // Taken when they came.
            Request::Unbind | Request::Abandon(_) => {}
        }
    }

    fn bind<F: FnMut(Output<Effect, Event>)>(
        &mut self,
        id: i32,
        version: i32,
        name: &str,
        authentication: &Authentication<'_>,
        out: &mut Outbox<F>,
    ) {
        let (identity, outcome) = answer::bind(&self.service, &self.tree, version, name, authentication);
        self.identity = identity;
        match (identity, outcome.code) {
            (Identity::User, _) => out.tell(Event::LoggedIn),
            (Identity::Nobody, ResultCode::InvalidCredentials) => out.tell(Event::WrongLogin),
            (Identity::Nobody, _) => {}
        }
        out.plain(id, BIND.1, &outcome);
    }

    /// What somebody is told who may not see entries.
    fn stranger(&self) -> Option<Outcome> {
        let strange = self.identity == Identity::Nobody && self.service.anonymous == Anonymous::Refused;
        strange.then(|| Outcome::new(ResultCode::StrongerAuthRequired, "log in first"))
    }

    fn search<F: FnMut(Output<Effect, Event>)>(
        &mut self,
        now: Instant,
        id: i32,
        search: Search<'_>,
        controls: &Controls,
        out: &mut Outbox<F>,
    ) {
        let of_root = search.base.trim_matches(' ').is_empty() && search.scope == Scope::Base;
        let stranger = self.stranger().filter(|_| !of_root);
        let begun = match stranger {
            Some(refusal) => Err(refusal),
            None => Running::begin(now, id, &self.tree, search, controls.paged.as_ref()),
        };
        match begun {
            Ok(running) => {
                self.running = Some(running);
                self.work(now, out);
            }
            Err(outcome) => {
                out.tell(Event::Searched { code: outcome.code, entries: 0 });
                out.plain(id, SEARCH_DONE, &outcome);
            }
        }
    }
}

/// A control that is critical and unknown, or means nothing for this request (RFC 4511 4.1.11).
fn refusal(request: &Request<'_>, controls: &Controls) -> Option<Outcome> {
    let pages = controls.paged.as_ref().is_some_and(|paged| paged.critical);
    let useless = pages && !matches!(request, Request::Search(_) | Request::Broken(..));
    (useless || controls.unknown.is_some()).then(|| {
        Outcome::new(ResultCode::UnavailableCriticalExtension, "a critical control that is not known here")
    })
}

impl Request<'_> {
    /// The tag of its response, if there is one.
    fn answer(&self) -> Option<u8> {
        match self {
            Request::Bind { .. } => Some(BIND.1),
            Request::Search(_) => Some(SEARCH_DONE),
            Request::Compare { .. } => Some(COMPARE.1),
            Request::Extended { .. } => Some(EXTENDED.1),
            Request::Write(tag) | Request::Broken(tag, _) => Some(*tag),
            Request::Unbind | Request::Abandon(_) => None,
        }
    }
}
