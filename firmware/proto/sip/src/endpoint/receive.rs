//! What comes in: matching, the checks every request must pass, and who takes it (RFC 3261 8.2, 9.2, 17.2.3, 18.2.1).
//!
//! ```text
//!  request ─▶ note source in Via ─▶ known transaction? ─▶ again / ACK
//!                                       │ no
//!                                       ▼
//!             ACK ─▶ dialog     CANCEL ─▶ its INVITE     room? ─no─▶ 503, no memory
//!                                       ▼
//!     tag: 481?   merged: 482   method: 405   scheme: 416   Require: 420   ─▶ dialog's session, or a new one
//! ```

use super::core::{Core, allow};
use super::flow::Flow;
use super::port::{Event, Offence};
use super::server::{AckFor, ServerId};
use super::session::Session;
use super::{Endpoint, MAX_SESSIONS, Policy, body, not_taken, options};
use crate::dialog::DialogId;
use crate::digest::Access;
use crate::headers::{Challenge, NameAddr, Via};
use crate::message::{Message, Method, ParseError, Request, Response};
use crate::quirks;
use crate::registrar::{Change, MIN_EXPIRES, Refusal};
use crate::transaction::{MergeKey, ServerInput, ServerKey};
use crate::uri::{Scheme, Uri};
use base::ids::SessionId;
use base::leg::{Dialled, Protocol};
use base::limits::NAME_CHARS;
use base::{Alias, Cause, Fault, Kind, Pii};

/// The option tags a request may insist on.
const KNOWN_EXTENSIONS: [&str; 2] = ["100rel", "timer"];

impl Endpoint {
    pub(super) fn received(&mut self, flow: Flow, data: &[u8]) {
        self.core.stream_came(flow);
        if data.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return;
        }
        match Message::parse(data) {
            Ok(Message::Request(request)) if request.headers.user_agent().is_some_and(quirks::is_scanner) => {
                self.core.tell(Event::Offence { flow, what: Offence::Scanner });
            }
            Ok(Message::Request(request)) => self.request(flow, request),
            Ok(Message::Response(response)) => self.core.take_response(response),
            Err(error) => self.malformed(flow, &error),
        }
    }

    fn malformed(&mut self, flow: Flow, error: &ParseError) {
        self.core.counters.malformed += 1;
        let tag = self.core.token();
        if let Some(mut response) = error.response(&tag) {
            match response.headers.top_via() {
                Ok(mut via) => {
                    via.set_source(flow.remote);
                    response.headers.remove_first("Via");
                    response.headers.push_front("Via", &via);
                    self.core.reply(flow, &via, &response);
                }
                // The Via is what is wrong: the source is all there is to go by.
                Err(_) => self.core.send(flow, response.to_bytes()),
            }
        }
        self.core.tell(Event::Malformed { flow, problem: error.problem.clone() });
    }

    fn request(&mut self, flow: Flow, mut request: Request) {
        let Ok(mut via) = request.headers.top_via() else { return };
        let Some(key) = ServerKey::of(&request, &via) else { return };
        let invite_key = ServerKey::of_cancelled(&request, &via);
        via.set_source(flow.remote);
        request.headers.remove_first("Via");
        request.headers.push_front("Via", &via);

        let known = self.core.server_keys.get(&key).copied();
        match (&request.method, known) {
            (Method::Ack, Some(id)) => {
                if self.core.step_server(id, ServerInput::Ack) == AckFor::Session {
                    self.ack(&request);
                }
            }
            (Method::Ack, None) => self.ack(&request),
            (_, Some(id)) => {
                self.core.counters.retransmissions_in += 1;
                self.core.came_again(id, flow);
            }
            (_, None) if !self.core.has_room() => self.no_room(flow, &via, &request),
            (Method::Cancel, None) => {
                let invite = invite_key.and_then(|key| self.core.server_keys.get(&key).copied());
                let tx = self.core.open_server(flow, via, key, None, &request.method);
                self.cancel(tx, invite, &request);
            }
            (_, None) => self.new_request(flow, via, key, request),
        }
    }

    fn no_room(&mut self, flow: Flow, via: &Via, request: &Request) {
        self.core.counters.refused += 1;
        let response = self.core.answer_for(request, Cause::new(Fault::Gateway, Kind::NoCapacity));
        self.core.reply(flow, via, &response);
    }

    /// An ACK for a 2xx, which has no transaction of its own (13.3.1.4).
    fn ack(&mut self, request: &Request) {
        let session = DialogId::of_request(request).and_then(|id| self.core.dialogs.get(&id).copied());
        let Some(session) = session else {
            self.core.counters.stray += 1;
            return;
        };
        let body = body::read(&request.headers, &request.body).unwrap_or(body::Body::Nothing);
        self.with_session(session, |session, core| session.ack(core, request, &body));
    }

    /// CANCEL is answered at once and by itself; the INVITE, if it still waits, is answered 487 (9.2).
    fn cancel(&mut self, tx: ServerId, invite: Option<ServerId>, request: &Request) {
        let status = if invite.is_some() { 200 } else { 481 };
        let response = self.core.answer(request, status);
        self.core.respond(tx, &response);
        let Some(invite) = invite.filter(|invite| !self.core.is_answered(*invite)) else { return };
        if let Some(session) = self.core.servers.get(&invite).and_then(|entry| entry.session) {
            self.with_session(session, |session, core| session.cancelled(core, invite, request));
        }
    }

    fn new_request(&mut self, flow: Flow, via: Via, key: ServerKey, request: Request) {
        let dialog = DialogId::of_request(&request);
        let merge = if dialog.is_none() { MergeKey::of(&request) } else { None };
        let merged = merge.as_ref().is_some_and(|merge| self.core.merges.contains_key(merge));
        let merge = merge.filter(|_| !merged);
        let tx = self.core.open_server(flow, via, key, merge, &request.method);
        if let Err(response) = check(&self.core, &request, merged) {
            return self.core.respond(tx, &response);
        }
        // A device that registers again may leave the tag of an earlier response in its To.
        let dialog = dialog.filter(|_| request.method != Method::Register);
        match dialog {
            Some(dialog) => self.in_dialog(flow, tx, &dialog, request),
            None => self.outside_dialog(flow, tx, request),
        }
    }

    fn in_dialog(&mut self, flow: Flow, tx: ServerId, dialog: &DialogId, request: Request) {
        match self.core.dialogs.get(dialog).copied() {
            Some(session) => {
                self.with_session(session, |session, core| session.request(core, tx, flow, request))
            }
            None => self.refuse(tx, &request, 481),
        }
    }

    fn outside_dialog(&mut self, flow: Flow, tx: ServerId, request: Request) {
        match request.method {
            Method::Invite => self.invite(flow, tx, request),
            Method::Register => self.register(flow, tx, &request),
            Method::Options => options(&mut self.core, tx, &request),
            Method::Bye | Method::Update | Method::Prack | Method::Info => self.refuse(tx, &request, 481),
            Method::Ack
            | Method::Cancel
            | Method::Refer
            | Method::Subscribe
            | Method::Notify
            | Method::Message
            | Method::Publish
            | Method::Other(_) => not_taken(&mut self.core, tx, &request),
        }
    }

    fn refuse(&mut self, tx: ServerId, request: &Request, status: u16) {
        let response = self.core.answer(request, status);
        self.core.respond(tx, &response);
    }

    fn refuse_for(&mut self, tx: ServerId, request: &Request, kind: Kind) {
        self.core.counters.refused += 1;
        let response = self.core.answer_for(request, Cause::new(Fault::Gateway, kind));
        self.core.respond(tx, &response);
    }

    fn invite(&mut self, flow: Flow, tx: ServerId, request: Request) {
        if self.core.draining {
            return self.refuse_for(tx, &request, Kind::Draining);
        }
        if self.sessions.len() >= MAX_SESSIONS {
            return self.refuse_for(tx, &request, Kind::NoCapacity);
        }
        let caller = request.headers.from().ok().and_then(|from| from.uri.user_decoded()).unwrap_or_default();
        let device = match self.admit(flow, tx, &request, &caller) {
            Admission::Device => true,
            Admission::Guest => self.registrar.is_behind(self.core.now, &caller, flow),
            Admission::Refused => return,
        };
        let body = match body::read(&request.headers, &request.body) {
            Ok(body) => body,
            Err(refusal) => return self.core.respond(tx, &refusal.answer(&self.core, &request)),
        };
        let Some(dialled) = dialled(&request, flow, device) else { return self.refuse(tx, &request, 404) };
        let id = SessionId(self.core.next_id());
        self.core.own_invite(tx, id);
        match Session::incoming(&mut self.core, id, tx, flow, request, &body, dialled) {
            Ok(session) => self.keep(id, session),
            Err(response) => self.core.respond(tx, &response),
        }
    }

    /// Whether who claims to be `user` is a device of ours; challenges it if need be.
    fn admit(&mut self, flow: Flow, tx: ServerId, request: &Request, user: &str) -> Admission {
        let known = self.core.config.devices.contains_key(user);
        if self.core.config.challenge == Policy::Open || !known {
            return Admission::Guest;
        }
        let devices = &self.core.config.devices;
        let access = self.digest.check(self.core.now, request, |name| devices.get(name).cloned());
        match access {
            Access::Granted(name) if name == user => Admission::Device,
            Access::Granted(_) => {
                self.core.tell(Event::Offence { flow, what: Offence::WrongCredentials });
                self.refuse(tx, request, 403);
                Admission::Refused
            }
            Access::Challenge | Access::Stale | Access::Wrong => {
                if access == Access::Wrong {
                    self.core.tell(Event::Offence { flow, what: Offence::WrongCredentials });
                }
                self.challenge(tx, request, &access);
                Admission::Refused
            }
        }
    }

    fn challenge(&mut self, tx: ServerId, request: &Request, access: &Access) {
        self.core.counters.challenged += 1;
        let mut response = self.core.answer(request, self.digest.status());
        let only_md5 = request.headers.user_agent().is_some_and(quirks::knows_md5_alone);
        let offered = |challenge: &Challenge| !only_md5 || challenge.params.get("algorithm") == Some("MD5");
        let challenges = self.digest.challenges(self.core.now, access).into_iter();
        for (name, challenge) in challenges.filter(|(_, challenge)| offered(challenge)) {
            response.headers.push(name, challenge);
        }
        self.core.respond(tx, &response);
    }

    fn register(&mut self, flow: Flow, tx: ServerId, request: &Request) {
        let address = request.headers.to().ok().map(|to| to.uri);
        let address = address.filter(|uri| matches!(uri.scheme, Scheme::Sip | Scheme::Sips | Scheme::Tel));
        let Some(device) = address.and_then(|uri| uri.user_decoded()) else {
            return self.refuse(tx, request, 400);
        };
        match (self.admit(flow, tx, request, &device), self.core.config.challenge) {
            (Admission::Refused, _) => return,
            (Admission::Guest, Policy::Devices) => {
                self.core.tell(Event::Offence { flow, what: Offence::WrongCredentials });
                return self.refuse(tx, request, 403);
            }
            (Admission::Device, _) | (Admission::Guest, Policy::Open) => {}
        }
        let now = self.core.now;
        let response = match self.registrar.register(now, &device, request, flow) {
            Err(refusal) => self.refusal(request, refusal),
            Ok(change) => {
                self.tell_registration(&device, flow, change);
                self.bindings_of(&device, request)
            }
        };
        self.core.schedule.set(super::Wake::Registrar, self.registrar.wake());
        self.core.respond(tx, &response);
    }

    fn refusal(&self, request: &Request, refusal: Refusal) -> Response {
        match refusal {
            Refusal::Malformed => self.core.answer(request, 400),
            Refusal::TooBrief => self.core.answer(request, 423).with("Min-Expires", MIN_EXPIRES),
            Refusal::OutOfOrder => self.core.answer(request, 500),
            Refusal::Full => self.core.answer_for(request, Cause::new(Fault::Gateway, Kind::NoCapacity)),
        }
    }

    fn tell_registration(&mut self, device: &str, flow: Flow, change: Change) {
        let device = device.to_owned();
        match change {
            Change::Fetched => {}
            Change::Registered(expires) => self.core.tell(Event::Registered { device, flow, expires }),
            Change::Unregistered => self.core.tell(Event::Unregistered { device }),
        }
    }

    fn bindings_of(&self, device: &str, request: &Request) -> Response {
        let mut response = self.core.answer(request, 200);
        for binding in self.registrar.bindings(device) {
            let mut contact: NameAddr = binding.contact.clone();
            contact.params.set("expires", Some(&binding.remaining(self.core.now).to_string()));
            response.headers.push("Contact", contact);
        }
        response
    }
}

/// Who sent a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Admission {
    /// A device that proved it.
    Device,
    /// Somebody else.
    Guest,
    /// It is answered already.
    Refused,
}

/// The checks of 8.2 that need no dialog.
fn check(core: &Core, request: &Request, merged: bool) -> Result<(), Response> {
    if merged {
        return Err(core.answer(request, 482));
    }
    if matches!(request.method, Method::Other(_)) {
        return Err(core.answer(request, 405).with("Allow", allow()));
    }
    let schemes = matches!(request.uri.scheme, Scheme::Sip | Scheme::Sips | Scheme::Tel);
    if !schemes {
        return Err(core.answer(request, 416));
    }
    let unknown: Vec<&str> = request
        .headers
        .require()
        .into_iter()
        .filter(|tag| !KNOWN_EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(tag)))
        .collect();
    if !unknown.is_empty() {
        return Err(core.answer(request, 420).with("Unsupported", unknown.join(", ")));
    }
    // Every 2xx to INVITE holds a session description.
    if request.method == Method::Invite && !request.headers.accepts("application/sdp") {
        return Err(core.answer(request, 406));
    }
    Ok(())
}

/// Who calls whom, as the rules will see it.
fn dialled(request: &Request, flow: Flow, registered: bool) -> Option<Dialled> {
    let from = request.headers.from().ok()?;
    let caller = alias_of(&from.uri).or_else(|| Alias::parse("anonymous", "sip").ok())?;
    let name =
        from.display.filter(|name| !name.trim().is_empty()).unwrap_or_else(|| caller.short().to_owned());
    Some(Dialled {
        alias: alias_of(&request.uri)?,
        caller,
        display_name: Pii::new(name.chars().take(NAME_CHARS).collect::<String>()),
        protocol: Protocol::Sip,
        source: flow.remote,
        registered,
        user_agent: request.headers.user_agent().map(|agent| agent.chars().take(NAME_CHARS).collect()),
    })
}

/// A URI without what only routing needs: `sip:user@host`.
fn alias_of(uri: &Uri) -> Option<Alias> {
    let host = uri.host.to_string();
    let rest = match uri.user_decoded() {
        Some(user) if host.is_empty() => user,
        Some(user) => format!("{user}@{host}"),
        None => host,
    };
    Alias::parse(&format!("{}:{rest}", uri.scheme), "sip").ok()
}
