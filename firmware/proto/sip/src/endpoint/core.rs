//! What every part of the endpoint shares: tables, time, randomness, and the way out.
//!
//! Sessions borrow the core while they act, so the core never reaches into a session: what a transaction has to tell
//! one waits in [`Core::cues`] until the session that acts now is done.

use super::client::{ClientEntry, ClientId, Purpose};
use super::config::{Config, Counters};
use super::flow::{Flow, Target, Transport};
use super::port::{Effect, Event, RouteId};
use super::route::Journey;
use super::server::{ServerEntry, ServerId};
use super::way_back::WayBack;
use crate::deadlines::Schedule;
use crate::dialog::DialogId;
use crate::message::{Method, Request, Response};
use crate::session::SessionEvent;
use crate::status;
use crate::transaction::{ClientKey, MergeKey, ServerKey};
use base::ids::SessionId;
use base::limits::{SIP_CONNECTIONS, SIP_TRANSACTIONS};
use base::machine::Output;
use base::{Cause, Seed};
use bytes::Bytes;
use rand::rngs::ChaCha12Rng;
use rand::{Rng, SeedableRng};
use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::time::Instant;

/// The methods we take, for Allow.
pub(super) const METHODS: [Method; 9] = [
    Method::Invite,
    Method::Ack,
    Method::Cancel,
    Method::Bye,
    Method::Options,
    Method::Update,
    Method::Prack,
    Method::Info,
    Method::Register,
];

/// The option tags we know, for Supported.
pub(super) const EXTENSIONS: &str = "100rel, timer";

/// Who wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Wake {
    Server(ServerId),
    Client(ClientId),
    Session(SessionId),
    Route(RouteId),
    Registrar,
}

/// What a transaction tells the session it belongs to.
#[derive(Debug)]
pub(super) enum Cue {
    /// Something came of a request.
    Heard(Heard),
    /// The response to the peer's INVITE was never sent: no way led there.
    Undelivered { session: SessionId, tx: ServerId },
}

/// What a client transaction tells the session that sent its request.
#[derive(Debug)]
pub(super) struct Heard {
    pub session: SessionId,
    pub purpose: Purpose,
    pub client: ClientId,
    /// The request, without Via and Contact, if the response challenges it.
    pub request: Option<Box<Request>>,
    pub result: Outcome,
}

/// What came of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// A response.
    Response(Box<Response>),
    /// Nobody answered in time.
    TimedOut,
    /// It could not be delivered.
    Undeliverable,
}

pub(super) struct Core {
    pub config: Config,
    pub now: Instant,
    pub counters: Counters,
    pub draining: bool,
    pub out: Vec<Output<Effect, Event>>,
    pub cues: VecDeque<Cue>,
    pub schedule: Schedule<Wake>,
    pub servers: HashMap<ServerId, ServerEntry>,
    pub server_keys: HashMap<ServerKey, ServerId>,
    pub merges: HashMap<MergeKey, ServerId>,
    pub clients: HashMap<ClientId, ClientEntry>,
    pub client_keys: HashMap<ClientKey, ClientId>,
    pub clients_of: HashMap<u64, HashSet<ClientId>>,
    pub dialogs: HashMap<DialogId, SessionId>,
    pub routes: HashMap<RouteId, Journey>,
    pub ways_back: HashMap<ServerId, WayBack>,
    /// Each stream that stands, and what is reached by it.
    streams: HashMap<u64, Target>,
    streams_to: HashMap<Target, Flow>,
    rng: ChaCha12Rng,
    last_id: u64,
    tag_key: u64,
}

impl Core {
    pub fn new(config: Config, seed: Seed, now: Instant) -> Self {
        let mut rng = ChaCha12Rng::from_seed(seed.0);
        let tag_key = rng.next_u64();
        Self {
            config,
            now,
            counters: Counters::default(),
            draining: false,
            out: Vec::new(),
            cues: VecDeque::new(),
            schedule: Schedule::default(),
            servers: HashMap::new(),
            server_keys: HashMap::new(),
            merges: HashMap::new(),
            clients: HashMap::new(),
            client_keys: HashMap::new(),
            clients_of: HashMap::new(),
            dialogs: HashMap::new(),
            routes: HashMap::new(),
            ways_back: HashMap::new(),
            streams: HashMap::new(),
            streams_to: HashMap::new(),
            rng,
            last_id: 0,
            tag_key,
        }
    }

    /// A number never given before.
    pub fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// 64 random bits as text: tags, branches, Call-IDs.
    pub fn token(&mut self) -> String {
        format!("{:016x}", self.rng.next_u64())
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u32) -> u32 {
        self.rng.next_u32() % bound.max(1)
    }

    /// 32 random octets.
    pub fn seed(&mut self) -> Seed {
        let mut bytes = [0; 32];
        self.rng.fill_bytes(&mut bytes);
        Seed(bytes)
    }

    /// Whether one more transaction has room.
    pub fn has_room(&self) -> bool {
        self.servers.len() + self.clients.len() < SIP_TRANSACTIONS
    }

    pub fn send(&mut self, flow: Flow, data: Bytes) {
        self.out.push(Output::Effect(Effect::Send { flow, data }));
    }

    pub fn tell(&mut self, event: Event) {
        self.out.push(Output::Event(event));
    }

    pub fn tell_session(&mut self, id: SessionId, event: SessionEvent) {
        self.tell(Event::Session { id, event });
    }

    /// A response with our name on it and a To tag that is the same for every copy of the request.
    pub fn answer(&self, request: &Request, status: u16) -> Response {
        let response = Response::to(request, status, "");
        if status == 100 {
            return response;
        }
        response.with_to_tag(&self.tag_of(request)).with("Server", &self.config.product)
    }

    /// The refusal of a call that `why` is on the wire.
    pub fn answer_for(&self, request: &Request, why: Cause) -> Response {
        let wire = status::on_wire(why);
        let mut response = self.answer(request, wire.status);
        response.reason = wire.phrase.to_owned();
        if let Some(seconds) = wire.retry_after {
            response.headers.push("Retry-After", seconds);
        }
        for reason in status::reasons(why) {
            response.headers.push("Reason", reason);
        }
        response
    }

    /// A tag made of the request itself (8.2.7), so that it needs no memory.
    fn tag_of(&self, request: &Request) -> String {
        let mut hasher = DefaultHasher::new();
        self.tag_key.hash(&mut hasher);
        for name in ["Via", "From", "Call-ID", "CSeq"] {
            request.headers.get(name).hash(&mut hasher);
        }
        format!("{:016x}", hasher.finish())
    }

    /// A peer's stream connection stands.
    pub fn stream_came(&mut self, flow: Flow) {
        if flow.transport != Transport::Udp && !self.streams.contains_key(&flow.connection) {
            // Who connects to us over TLS proves no name.
            self.keep_stream(flow, reached(flow.transport, flow.remote, ""));
        }
    }

    /// A stream connection of our own stands, over TLS to somebody who has proven `name`.
    pub fn stream_opened(&mut self, flow: Flow, name: &str) {
        self.stream_closed(flow);
        self.keep_stream(flow, reached(flow.transport, flow.remote, name));
    }

    fn keep_stream(&mut self, flow: Flow, reached: Target) {
        if self.streams.len() < SIP_CONNECTIONS {
            self.streams.insert(flow.connection, reached.clone());
            self.streams_to.insert(reached, flow);
        }
    }

    /// A stream connection is gone.
    pub fn stream_closed(&mut self, flow: Flow) {
        let Some(reached) = self.streams.remove(&flow.connection) else { return };
        if self.streams_to.get(&reached).is_some_and(|known| known.connection == flow.connection) {
            self.streams_to.remove(&reached);
        }
    }

    /// Whether something can be sent over `flow`.
    pub fn is_open(&self, flow: Flow) -> bool {
        flow.transport == Transport::Udp || self.streams.contains_key(&flow.connection)
    }

    /// The stream that stands to `target`; over TLS, one whose peer has proven its name.
    pub fn stream_to(&self, target: &Target) -> Option<Flow> {
        self.streams_to.get(&reached(target.transport, target.remote, &target.tls_name)).copied()
    }

    /// Nothing is open: no transaction, no dialog, no way being sought, and no timer but the registrar's.
    pub fn is_idle(&self) -> bool {
        self.servers.is_empty()
            && self.server_keys.is_empty()
            && self.merges.is_empty()
            && self.clients.is_empty()
            && self.client_keys.is_empty()
            && self.clients_of.is_empty()
            && self.dialogs.is_empty()
            && self.routes.is_empty()
            && self.ways_back.is_empty()
            && self.cues.is_empty()
    }
}

/// What a stream to `remote` reaches: over TCP whoever is there, over TLS whoever has proven `name`.
fn reached(transport: Transport, remote: SocketAddr, name: &str) -> Target {
    let tls_name = if transport == Transport::Tls { name.to_owned() } else { String::new() };
    Target { transport, remote, tls_name }
}

/// Allow, as one line.
pub(super) fn allow() -> String {
    METHODS.iter().map(Method::as_str).collect::<Vec<_>>().join(", ")
}
