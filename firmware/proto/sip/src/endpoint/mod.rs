//! The whole SIP side of the box as one machine (RFC 3261).
//!
//! ```text
//!  Received ─▶ parse ─▶ [receive] ─┬─ response ─▶ client transaction ─▶ session
//!                                  ├─ known ────▶ server transaction ─▶ (again, ACK)
//!                                  └─ new ─▶ checks of 8.2 ─▶ dialog? ─▶ session
//!                                                        └─▶ INVITE, OPTIONS, REGISTER, refusals
//!  Session, Call ─▶ session ─▶ request ─▶ [route]: Lookup, Connect ─▶ client transaction ─▶ Send
//!                      └─▶ response ─▶ server transaction ─▶ Send, or by [way_back] and [route] if its stream is gone
//! ```
//! The tables are bounded by [`limits::SIP_TRANSACTIONS`](base::limits::SIP_TRANSACTIONS); a request that finds no
//! room is answered 503 without memory of it. A step costs no more the more calls there are.
//!
//! Deliberately absent: proxying, forking, 3xx recursion, REFER, event packages. Requests of more than 1300 octets go by
//! UDP all the same where the peer's URI says so (against 18.1.1): rooms that speak UDP alone could not be called else.

mod body;
mod client;
mod config;
mod core;
mod flow;
mod port;
mod receive;
mod route;
mod server;
mod session;
mod way_back;

pub use config::{Config, Counters, Gauges, Listen, Login, Policy};
pub use flow::{Flow, Target, Transport};
pub use port::{Effect, Event, Input, Offence, Outgoing, RouteId};

use self::core::{Core, Cue, Wake, allow};
use crate::digest::{Algorithm, DigestServer, Role};
use crate::message::Request;
use crate::registrar::Registrar;
use crate::session::{SessionCommand, SessionEvent};
use crate::transaction::{ClientInput, ServerInput};
use base::ids::SessionId;
use base::machine::Output;
use base::{Cause, Fault, Kind, Machine, Seed};
use server::ServerId;
use session::Session;
use std::collections::HashMap;
use std::time::Instant;

/// Most sessions at a time.
pub const MAX_SESSIONS: usize = 4096;
/// The hashes offered in challenges, best first.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::SHA256, Algorithm::MD5];

/// The endpoint.
pub struct Endpoint {
    core: Core,
    sessions: HashMap<SessionId, Session>,
    registrar: Registrar,
    digest: DigestServer,
}

impl Endpoint {
    /// An endpoint that nobody has called yet.
    #[must_use]
    pub fn new(config: Config, seed: Seed, now: Instant) -> Self {
        let mut core = Core::new(config, seed, now);
        let seed = core.seed();
        let digest = DigestServer::new(&core.config.realm, Role::Server, &ALGORITHMS, seed, now);
        Self { core, sessions: HashMap::new(), registrar: Registrar::default(), digest }
    }

    /// A name for an outgoing call, to be given in [`Outgoing::id`].
    pub fn allocate(&mut self) -> SessionId {
        SessionId(self.core.next_id())
    }

    /// What it was last configured with.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.core.config
    }

    /// What happened so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.core.counters
    }

    /// How much is open now.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        Gauges {
            server_transactions: self.core.servers.len(),
            client_transactions: self.core.clients.len(),
            sessions: self.sessions.len(),
            dialogs: self.core.dialogs.len(),
            devices: self.registrar.len(),
        }
    }

    /// Whether nothing is left of any call: no transaction, dialog, session or timer. Registrations may stand.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let only_registrar = self.core.schedule.next() == self.registrar.wake();
        self.sessions.is_empty() && self.core.is_idle() && only_registrar
    }

    fn take(&mut self, input: Input<'_>) {
        match input {
            Input::Received { flow, data } => self.received(flow, data),
            Input::FlowClosed(flow) => {
                self.core.stream_closed(flow);
                self.core.fail_clients_of(flow.connection);
            }
            Input::Session { id, command } => self.command(id, command),
            Input::Call(outgoing) => self.call(*outgoing),
            Input::Resolved { id, targets } => self.core.resolved(id, targets),
            Input::Connected { id, flow } => self.core.connected(id, flow),
            Input::Configure(config) => self.configure(*config),
            Input::Drain => self.core.draining = true,
            Input::Timeout => {}
        }
    }

    fn configure(&mut self, config: Config) {
        if config.realm != self.core.config.realm {
            let seed = self.core.seed();
            self.digest = DigestServer::new(&config.realm, Role::Server, &ALGORITHMS, seed, self.core.now);
        }
        self.core.config = config;
    }

    fn command(&mut self, id: SessionId, command: SessionCommand) {
        self.with_session(id, |session, core| session.command(core, command));
    }

    fn call(&mut self, outgoing: Outgoing) {
        let id = outgoing.id;
        let full = self.sessions.len() >= MAX_SESSIONS || self.sessions.contains_key(&id);
        if full || self.core.draining {
            let kind = if full { Kind::NoCapacity } else { Kind::Draining };
            return self.core.tell_session(id, SessionEvent::Ended(Cause::new(Fault::Gateway, kind)));
        }
        let binding = outgoing.to.user_decoded().and_then(|user| self.registrar.find(self.core.now, &user));
        let known = binding.map(|binding| (binding.contact.clone(), binding.flow));
        let session = Session::call(&mut self.core, outgoing, known);
        self.keep(id, session);
    }

    /// Gives the session the core to act with, and sees to its wake-up afterwards.
    fn with_session(&mut self, id: SessionId, act: impl FnOnce(&mut Session, &mut Core)) {
        if let Some(mut session) = self.sessions.remove(&id) {
            act(&mut session, &mut self.core);
            self.keep(id, session);
        }
    }

    fn keep(&mut self, id: SessionId, session: Session) {
        if session.is_over() {
            self.core.schedule.set(Wake::Session(id), None);
        } else {
            self.core.schedule.set(Wake::Session(id), session.wake());
            self.sessions.insert(id, session);
        }
    }

    /// What transactions have to tell sessions; telling it may make more.
    fn pass_cues(&mut self) {
        while let Some(cue) = self.core.cues.pop_front() {
            match cue {
                Cue::Heard(heard) => {
                    self.with_session(heard.session, |session, core| session.heard(core, heard));
                }
                Cue::Undelivered { session, tx } => {
                    self.with_session(session, |session, core| session.undelivered(core, tx));
                }
            }
        }
    }

    fn wake_due(&mut self) {
        while let Some(wake) = self.core.schedule.take_due(self.core.now) {
            match wake {
                Wake::Server(id) => {
                    self.core.step_server(id, ServerInput::Timeout);
                }
                Wake::Client(id) => self.core.step_client(id, ClientInput::Timeout, None),
                Wake::Session(id) => self.with_session(id, |session, core| session.timeout(core)),
                Wake::Route(id) => self.core.route_timed_out(id),
                Wake::Registrar => self.expire_devices(),
            }
            self.pass_cues();
        }
    }

    fn expire_devices(&mut self) {
        let mut gone = Vec::new();
        self.registrar.expire(self.core.now, |device| gone.push(device.to_owned()));
        for device in gone {
            self.core.tell(Event::Unregistered { device });
        }
        self.core.schedule.set(Wake::Registrar, self.registrar.wake());
    }
}

impl Machine for Endpoint {
    type Input<'a> = Input<'a>;
    type Effect = Effect;
    type Event = Event;

    fn step(
        &mut self,
        now: Instant,
        input: Input<'_>,
        mut sink: impl FnMut(Output<Effect, Event>),
    ) -> Option<Instant> {
        // Time never runs backwards in here, so that no timer is set into the past.
        self.core.now = self.core.now.max(now);
        self.take(input);
        self.pass_cues();
        self.wake_due();
        let mut out = std::mem::take(&mut self.core.out);
        out.drain(..).for_each(&mut sink);
        self.core.out = out;
        self.core.schedule.next()
    }
}

/// 200 to OPTIONS, in a dialog or outside (11.2).
fn options(core: &mut Core, tx: ServerId, request: &Request) {
    let response = core
        .answer(request, 200)
        .with("Allow", allow())
        .with("Accept", accept(core))
        .with("Accept-Encoding", "identity")
        .with("Supported", core::EXTENSIONS);
    core.respond(tx, &response);
}

/// The answer to methods we do not take: 489 for events, else 405 (8.2.1, RFC 6665 4.2.1).
fn not_taken(core: &mut Core, tx: ServerId, request: &Request) {
    use crate::message::Method;
    let status = match request.method {
        Method::Subscribe | Method::Notify => 489,
        _ => 405,
    };
    let response = core.answer(request, status).with("Allow", allow());
    core.respond(tx, &response);
}

fn accept(core: &Core) -> String {
    std::iter::once("application/sdp")
        .chain(core.config.info_types.iter().copied())
        .collect::<Vec<_>>()
        .join(", ")
}
