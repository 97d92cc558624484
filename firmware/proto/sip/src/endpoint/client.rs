//! The client transactions of the endpoint: requests we send, the ways tried for them, and their responses
//! (RFC 3261 17.1, 18.1, RFC 3263 4.3).
//!
//! ```text
//!  request ─▶ seek a way ─▶ launch: Via, Contact, branch ─▶ transaction ─▶ response ─▶ session
//!                 ▲                                            │ no answer, 503, connection lost
//!                 └────────────── next target ◀────────────────┘
//! ```

use super::core::{Core, Cue, EXTENSIONS, Heard, Outcome, Wake, allow};
use super::flow::{Flow, Hop, Target};
use super::route::Parcel;
use crate::headers::{NameAddr, Via};
use crate::message::{Method, Request, Response};
use crate::status;
use crate::transaction::client_invite::ClientInvite;
use crate::transaction::client_non_invite::ClientNonInvite;
use crate::transaction::{Class, Client, ClientAction, ClientInput, ClientKey};
use base::Cause;
use base::ids::SessionId;
use base::machine::earliest;
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a request may stay without final response. A transaction for INVITE has no timer of its own once a
/// provisional response came (17.1.1.2); sessions give up before this.
const ANSWER_LIMIT: Duration = Duration::from_secs(300);
/// Most further targets kept for one request.
const MAX_TARGETS: usize = 16;

/// Names a client transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ClientId(pub u64);

/// What a session sent a request for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The INVITE that begins it.
    Invite,
    /// A change or refresh, by re-INVITE.
    Reinvite,
    /// A change or refresh, by UPDATE.
    Update,
    /// The end.
    Bye,
    /// An INFO.
    Info,
    /// PRACK, CANCEL, and the BYE of a fork: nobody waits for the answer.
    Aside,
}

pub(super) struct ClientEntry {
    /// `None` until there is a way.
    machine: Option<Client>,
    /// Without Via and Contact, which depend on the way.
    request: Request,
    key: Option<ClientKey>,
    via: Option<Via>,
    wire: Bytes,
    flow: Option<Flow>,
    targets: VecDeque<Target>,
    heard: bool,
    give_up_at: Instant,
    session: SessionId,
    purpose: Purpose,
}

impl Core {
    /// Sends `request` towards `hop`. What comes of it is told to the session, even if there is no room for it.
    pub fn request(&mut self, session: SessionId, purpose: Purpose, request: Request, hop: Hop) -> ClientId {
        let id = ClientId(self.next_id());
        if !self.has_room() {
            self.counters.refused += 1;
            let result = Outcome::Undeliverable;
            let heard = Heard { session, purpose, client: id, request: None, result };
            self.cues.push_back(Cue::Heard(heard));
            return id;
        }
        let entry = ClientEntry {
            machine: None,
            request,
            key: None,
            via: None,
            wire: Bytes::new(),
            flow: None,
            targets: VecDeque::new(),
            heard: false,
            give_up_at: self.now + ANSWER_LIMIT,
            session,
            purpose,
        };
        self.clients.insert(id, entry);
        self.travel(Parcel::Client(id), hop);
        id
    }

    /// Sends CANCEL for the INVITE of `invite` (9.1): same branch, same way. Nothing if that has no way yet.
    pub fn cancel(&mut self, invite: ClientId, why: Cause) {
        let Some(entry) = self.clients.get(&invite) else { return };
        let (Some(via), Some(flow)) = (entry.via.clone(), entry.flow) else { return };
        let Ok(cseq) = entry.request.headers.cseq() else { return };
        let session = entry.session;
        let mut request = Request::new(Method::Cancel, entry.request.uri.clone());
        for name in ["Route", "Max-Forwards", "From", "To", "Call-ID"] {
            request.headers.copy(name, &entry.request.headers);
        }
        request.headers.push("CSeq", format_args!("{} CANCEL", cseq.seq));
        for reason in status::reasons(why) {
            request.headers.push("Reason", reason);
        }
        let id = ClientId(self.next_id());
        let entry = ClientEntry {
            machine: None,
            request,
            key: None,
            via: Some(via),
            wire: Bytes::new(),
            flow: None,
            targets: VecDeque::new(),
            heard: false,
            give_up_at: self.now + ANSWER_LIMIT,
            session,
            purpose: Purpose::Aside,
        };
        self.clients.insert(id, entry);
        self.launch(id, flow);
    }

    /// Whether a request has no way yet.
    pub fn is_seeking(&self, id: ClientId) -> bool {
        self.clients.get(&id).is_some_and(|entry| entry.machine.is_none())
    }

    /// Forgets a request that was never sent, or whose CANCEL nobody answers (9.1).
    pub fn abandon(&mut self, id: ClientId) {
        self.close_client(id);
    }

    /// The flow a request went out over.
    pub fn flow_of(&self, id: ClientId) -> Option<Flow> {
        self.clients.get(&id)?.flow
    }

    /// Further targets, should the one at hand fail.
    pub fn keep_targets(&mut self, id: ClientId, targets: impl IntoIterator<Item = Target>) {
        if let Some(entry) = self.clients.get_mut(&id) {
            entry.targets = targets.into_iter().take(MAX_TARGETS).collect();
        }
    }

    /// A way was found: the request goes out.
    pub fn launch(&mut self, id: ClientId, flow: Flow) {
        let fresh = format!("{}{}", crate::transaction::MAGIC_COOKIE, self.token());
        let Some(listen) = self.config.listen_of(flow).cloned() else {
            return self.lost(id);
        };
        let Some(entry) = self.clients.get_mut(&id) else { return };
        // CANCEL brings its INVITE's Via along.
        let cancel = (entry.request.method == Method::Cancel).then(|| entry.via.clone()).flatten();
        let via = cancel.unwrap_or_else(|| {
            Via::new(flow.transport.via(), listen.host.clone(), Some(listen.port), &fresh)
        });
        let mut request = entry.request.clone();
        request.headers.push_front("Via", &via);
        if matches!(request.method, Method::Invite | Method::Update) {
            request
                .headers
                .push("Contact", NameAddr::new(super::Config::contact(&listen, &request.uri.scheme)));
            request.headers.push("Allow", allow());
            request.headers.push("Supported", EXTENSIONS);
        }
        request.headers.push("User-Agent", &self.config.product);
        let key = ClientKey::new(via.branch().unwrap_or_default(), request.method.clone());
        let reliability = flow.transport.reliability();
        let machine = match request.method {
            Method::Invite => Client::Invite(ClientInvite::new(self.now, reliability)),
            _ => Client::NonInvite(ClientNonInvite::new(self.now, reliability)),
        };
        let wake = machine.wake();
        entry.machine = Some(machine);
        entry.wire = request.to_bytes();
        entry.flow = Some(flow);
        entry.via = Some(via);
        entry.key = Some(key.clone());
        let wire = entry.wire.clone();
        self.client_keys.insert(key, id);
        if flow.connection != 0 {
            self.clients_of.entry(flow.connection).or_default().insert(id);
        }
        self.schedule.set(Wake::Client(id), wake);
        self.send(flow, wire);
    }

    /// No way was found, or the one there was is gone: the next target, or the end of it.
    pub fn lost(&mut self, id: ClientId) {
        if !self.try_next(id) {
            self.counters.undeliverable += 1;
            self.conclude(id, Outcome::Undeliverable);
            self.close_client(id);
        }
    }

    /// A response came in: it belongs to one of our transactions, or to nothing (8.1.3.3, 18.1.2).
    pub fn take_response(&mut self, response: Response) {
        let Some(id) = self.client_of(&response) else {
            self.counters.stray += 1;
            return;
        };
        self.counters.responses += 1;
        self.step_client(id, ClientInput::Response(Class::of(response.status)), Some(response));
    }

    fn client_of(&self, response: &Response) -> Option<ClientId> {
        if response.headers.all("Via").count() != 1 {
            return None;
        }
        let via = response.headers.top_via().ok()?;
        if !self.config.is_ours(&via.host, via.port_or_default()) {
            return None;
        }
        let method = response.headers.cseq().ok()?.method;
        self.client_keys.get(&ClientKey::new(via.branch()?, method)).copied()
    }

    /// A connection is gone, and with it the requests that had no answer yet.
    pub fn fail_clients_of(&mut self, connection: u64) {
        for id in self.clients_of.remove(&connection).unwrap_or_default() {
            self.step_client(id, ClientInput::TransportError, None);
        }
    }

    /// Gives `input` to the transaction.
    pub fn step_client(&mut self, id: ClientId, input: ClientInput, response: Option<Response>) {
        let Some(entry) = self.clients.get_mut(&id) else { return };
        let Some(machine) = &mut entry.machine else { return };
        let mut actions = Vec::with_capacity(3);
        machine.step(self.now, input, |action| actions.push(action));
        let unanswered = !machine.is_answered();
        if unanswered && entry.give_up_at <= self.now {
            self.give_up(id, ClientAction::TimedOut);
            return self.close_client(id);
        }
        let wake = earliest(machine.wake(), unanswered.then_some(entry.give_up_at));
        self.schedule.set(Wake::Client(id), wake);
        let mut response = response;
        for action in actions {
            match action {
                ClientAction::Send => self.send_again(id),
                ClientAction::Ack => self.acknowledge_failure(id, response.as_ref()),
                ClientAction::Pass => {
                    if let Some(response) = response.take()
                        && self.pass(id, response) == Passed::ElsewhereNow
                    {
                        return;
                    }
                }
                ClientAction::TransportFailed | ClientAction::TimedOut => {
                    if self.try_next(id) {
                        return;
                    }
                    self.give_up(id, action);
                }
                ClientAction::Terminated => self.close_client(id),
            }
        }
    }

    fn give_up(&mut self, id: ClientId, why: ClientAction) {
        if why == ClientAction::TimedOut {
            self.counters.timed_out += 1;
            self.conclude(id, Outcome::TimedOut);
        } else {
            self.counters.undeliverable += 1;
            self.conclude(id, Outcome::Undeliverable);
        }
    }

    /// A 503 sends the request to the next target, if there is one (RFC 3263 4.3); everything else is told.
    fn pass(&mut self, id: ClientId, response: Response) -> Passed {
        if response.status == 503 && self.try_next(id) {
            return Passed::ElsewhereNow;
        }
        if let Some(entry) = self.clients.get_mut(&id) {
            entry.heard = true;
        }
        self.conclude(id, Outcome::Response(Box::new(response)));
        Passed::Told
    }

    fn conclude(&mut self, client: ClientId, result: Outcome) {
        if let Some(entry) = self.clients.get(&client) {
            let (session, purpose) = (entry.session, entry.purpose);
            let challenged = matches!(&result, Outcome::Response(r) if matches!(r.status, 401 | 407));
            let request = challenged.then(|| Box::new(entry.request.clone()));
            self.cues.push_back(Cue::Heard(Heard { session, purpose, client, request, result }));
        }
    }

    /// Tries the next target with a new transaction, unless somebody already answered.
    fn try_next(&mut self, id: ClientId) -> bool {
        let Some(entry) = self.clients.get_mut(&id) else { return false };
        if entry.heard {
            return false;
        }
        let Some(target) = entry.targets.pop_front() else { return false };
        entry.machine = None;
        let (key, flow) = (entry.key.take(), entry.flow.take());
        self.forget_way(id, key, flow);
        self.schedule.set(Wake::Client(id), None);
        self.go(Parcel::Client(id), target);
        true
    }

    fn send_again(&mut self, id: ClientId) {
        let Some(entry) = self.clients.get(&id) else { return };
        let (Some(flow), wire) = (entry.flow, entry.wire.clone()) else { return };
        self.counters.retransmissions_out += 1;
        self.send(flow, wire);
    }

    /// The ACK for a failure is the transaction's own (17.1.1.3).
    fn acknowledge_failure(&mut self, id: ClientId, response: Option<&Response>) {
        let (Some(entry), Some(response)) = (self.clients.get(&id), response) else { return };
        let (Some(flow), Some(via), Ok(cseq)) = (entry.flow, &entry.via, entry.request.headers.cseq()) else {
            return;
        };
        let mut ack = Request::new(Method::Ack, entry.request.uri.clone());
        ack.headers.push("Via", via);
        for name in ["Route", "Max-Forwards", "From"] {
            ack.headers.copy(name, &entry.request.headers);
        }
        ack.headers.copy("To", &response.headers);
        ack.headers.copy("Call-ID", &entry.request.headers);
        ack.headers.push("CSeq", format_args!("{} ACK", cseq.seq));
        self.send(flow, ack.to_bytes());
    }

    /// Forgets the transaction.
    fn close_client(&mut self, id: ClientId) {
        let Some(entry) = self.clients.remove(&id) else { return };
        self.schedule.set(Wake::Client(id), None);
        self.forget_way(id, entry.key, entry.flow);
    }

    fn forget_way(&mut self, id: ClientId, key: Option<ClientKey>, flow: Option<Flow>) {
        if let Some(key) = key {
            self.client_keys.remove(&key);
        }
        let Some(connection) = flow.map(|flow| flow.connection) else { return };
        if let Some(clients) = self.clients_of.get_mut(&connection) {
            clients.remove(&id);
            if clients.is_empty() {
                self.clients_of.remove(&connection);
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passed {
    Told,
    ElsewhereNow,
}
