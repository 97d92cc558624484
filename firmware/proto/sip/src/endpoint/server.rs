//! The server transactions of the endpoint: requests that came in, and the way their responses go back
//! (RFC 3261 17.2, 18.2.2, RFC 3581).
//!
//! ```text
//!  response ─┬─ UDP ─────────────▶ maddr, the source, or its address at the port of sent-by
//!            ├─ stream, open ────▶ back on it
//!            └─ stream, gone ─┬─▶ of somebody let in: by [way_back], once, and over the stream found from then on
//!                             └─▶ of anybody else: nowhere, counted
//! ```
//! Nobody tells the endpoint what became of a datagram: the sockets are not connected, so no ICMP error is theirs.
//! A response over UDP has its one way.

use super::core::{Core, Cue, Wake};
use super::flow::{Flow, Transport};
use super::way_back::WayBack;
use crate::headers::{Rport, Via};
use crate::message::{Method, Response};
use crate::transaction::server_invite::ServerInvite;
use crate::transaction::server_non_invite::ServerNonInvite;
use crate::transaction::{Class, MergeKey, Server, ServerAction, ServerInput, ServerKey};
use base::ids::SessionId;
use base::limits::SIP_WAYS_BACK;
use bytes::Bytes;
use std::net::SocketAddr;

/// Names a server transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ServerId(pub u64);

pub(super) struct ServerEntry {
    machine: Server,
    key: ServerKey,
    merge: Option<MergeKey>,
    flow: Flow,
    via: Via,
    /// The response that goes out (again).
    last: Bytes,
    sent_once: bool,
    reach: Reach,
    /// The session whose INVITE it is.
    pub session: Option<SessionId>,
}

/// How far the responses of a transaction go once their stream is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Nowhere: whoever sent the request was not let in.
    Stream,
    /// As far as the Via leads, once.
    Via,
    /// Nowhere any more: that was tried.
    Spent,
}

/// Whether an ACK that a transaction took is for the session, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AckFor {
    Transaction,
    Session,
}

impl Core {
    /// Begins a transaction for a request with this topmost Via.
    pub fn open_server(
        &mut self,
        flow: Flow,
        via: Via,
        key: ServerKey,
        merge: Option<MergeKey>,
        method: &Method,
    ) -> ServerId {
        let id = ServerId(self.next_id());
        let reliability = flow.transport.reliability();
        let machine = match method {
            Method::Invite => Server::Invite(ServerInvite::new(reliability)),
            _ => Server::NonInvite(ServerNonInvite::new(reliability)),
        };
        self.counters.requests += 1;
        self.server_keys.insert(key.clone(), id);
        if let Some(merge) = &merge {
            self.merges.insert(merge.clone(), id);
        }
        let entry = ServerEntry {
            machine,
            key,
            merge,
            flow,
            via,
            last: Bytes::new(),
            sent_once: false,
            reach: Reach::Stream,
            session: None,
        };
        self.servers.insert(id, entry);
        id
    }

    /// Answers the request of `id`.
    pub fn respond(&mut self, id: ServerId, response: &Response) {
        let Some(entry) = self.servers.get_mut(&id) else { return };
        if !entry.machine.is_answered() {
            entry.last = response.to_bytes();
            entry.sent_once = false;
        }
        self.step_server(id, ServerInput::Respond(Class::of(response.status)));
    }

    /// Notes whose INVITE this is, so that a CANCEL finds it.
    pub fn own_invite(&mut self, id: ServerId, session: SessionId) {
        if let Some(entry) = self.servers.get_mut(&id) {
            entry.session = Some(session);
        }
    }

    /// Lets the responses of this transaction go another way than its request came, should that be gone.
    ///
    /// That makes the box look up names and open connections by a Via, which anybody can write. So it is for the
    /// parties of calls alone: the 2xx with which our side answers a call, and responses in the dialog after it. To
    /// the Contact of these peers our own requests go in just this manner, so their Via gives them nothing new.
    /// Refusals, challenges, registrations, what is said before the answer, and replies without a transaction go back
    /// on their stream or not at all: no scanner and no refused caller makes the box look up or call anybody. A
    /// transaction that found its new stream and lost that, too, seeks no third.
    pub fn let_in(&mut self, id: ServerId) {
        if let Some(entry) = self.servers.get_mut(&id)
            && entry.reach == Reach::Stream
        {
            entry.reach = Reach::Via;
        }
    }

    /// Sends a 2xx to INVITE again (13.3.1.4).
    pub fn resend_success(&mut self, id: ServerId) {
        self.step_server(id, ServerInput::Respond(Class::Success));
    }

    /// Sends a reliable provisional response again (RFC 3262 section 3).
    pub fn resend_provisional(&mut self, id: ServerId) {
        self.step_server(id, ServerInput::Respond(Class::Provisional));
    }

    /// Whether its final response was given.
    pub fn is_answered(&self, id: ServerId) -> bool {
        self.servers.get(&id).is_none_or(|entry| entry.machine.is_answered())
    }

    /// Gives `input` to the transaction; an ACK in its Accepted state is for the session.
    pub fn step_server(&mut self, id: ServerId, input: ServerInput) -> AckFor {
        let Some(entry) = self.servers.get_mut(&id) else { return AckFor::Transaction };
        let mut actions = Vec::with_capacity(2);
        entry.machine.step(self.now, input, |action| actions.push(action));
        let wake = entry.machine.wake();
        self.schedule.set(Wake::Server(id), wake);
        let answers = matches!(input, ServerInput::Respond(_));
        let mut ack = AckFor::Transaction;
        for action in actions {
            match action {
                ServerAction::Send => self.send_last(id),
                ServerAction::PassAck => ack = AckFor::Session,
                ServerAction::TransportFailed => self.undelivered(id),
                ServerAction::TimedOut => self.counters.timed_out += 1,
                // Over a stream J is 0: the response ends the transaction, though it still seeks its way.
                ServerAction::Terminated if answers && self.ways_back.contains_key(&id) => {}
                ServerAction::Terminated => self.close_server(id),
            }
        }
        ack
    }

    /// Answers a request without a transaction (8.2.7).
    pub fn reply(&mut self, flow: Flow, via: &Via, response: &Response) {
        if self.is_open(flow) {
            self.send(response_flow(flow, via), response.to_bytes());
        } else {
            self.counters.undeliverable += 1;
        }
    }

    fn send_last(&mut self, id: ServerId) {
        let Some(entry) = self.servers.get(&id) else { return };
        if self.is_open(entry.flow) {
            self.deliver(id);
        } else {
            self.seek_way_back(id);
        }
    }

    /// Sends the response over the transaction's flow.
    fn deliver(&mut self, id: ServerId) {
        let Some(entry) = self.servers.get_mut(&id) else { return };
        let (flow, data) = (response_flow(entry.flow, &entry.via), entry.last.clone());
        if std::mem::replace(&mut entry.sent_once, true) {
            self.counters.retransmissions_out += 1;
        }
        self.send(flow, data);
    }

    /// The stream is gone: another one is sought, where that may be.
    fn seek_way_back(&mut self, id: ServerId) {
        let Some(entry) = self.servers.get_mut(&id) else { return };
        match entry.reach {
            // Whatever is the last response when a way is found goes by it.
            Reach::Spent if self.ways_back.contains_key(&id) => {}
            Reach::Stream | Reach::Spent => {
                self.step_server(id, ServerInput::TransportError);
            }
            // A 2xx comes here again with its next retransmission.
            Reach::Via if self.ways_back.len() >= SIP_WAYS_BACK => self.counters.undeliverable += 1,
            Reach::Via => {
                entry.reach = Reach::Spent;
                let (way, first) = WayBack::begin(entry.flow, &entry.via);
                self.ways_back.insert(id, way);
                self.take_way_back(id, first);
            }
        }
    }

    /// The request came again. If its response still seeks a way, it goes over a new connection of the same peer.
    pub fn came_again(&mut self, id: ServerId, flow: Flow) {
        let same_peer = |entry: &ServerEntry| {
            entry.flow.transport == flow.transport && entry.flow.remote.ip() == flow.remote.ip()
        };
        if self.ways_back.contains_key(&id) && self.servers.get(&id).is_some_and(same_peer) {
            self.way_back_found(id, flow);
        } else {
            self.step_server(id, ServerInput::Request);
        }
    }

    /// A way was found: the response goes out, and those that follow it.
    pub fn way_back_found(&mut self, id: ServerId, flow: Flow) {
        // The peer may have come back by itself meanwhile.
        if !self.ways_back.contains_key(&id) {
            return;
        }
        let Some(entry) = self.servers.get_mut(&id) else { return };
        entry.flow = flow;
        self.deliver(id);
        self.end_way_back(id);
    }

    /// No way is left. The transaction of an INVITE stays until its timer (RFC 6026 7.1), any other ends here.
    pub fn way_back_lost(&mut self, id: ServerId) {
        self.step_server(id, ServerInput::TransportError);
        self.end_way_back(id);
    }

    fn end_way_back(&mut self, id: ServerId) {
        self.ways_back.remove(&id);
        if self.servers.get(&id).is_some_and(|entry| entry.machine.is_terminated()) {
            self.close_server(id);
        }
    }

    /// Tells the session of a response that was never sent. One that was may have arrived before its stream was lost,
    /// and its ACK may come over a new one of the peer's.
    fn undelivered(&mut self, id: ServerId) {
        self.counters.undeliverable += 1;
        let never_sent = self.servers.get(&id).filter(|entry| !entry.sent_once);
        if let Some(session) = never_sent.and_then(|entry| entry.session) {
            self.cues.push_back(Cue::Undelivered { session, tx: id });
        }
    }

    fn close_server(&mut self, id: ServerId) {
        let Some(entry) = self.servers.remove(&id) else { return };
        self.schedule.set(Wake::Server(id), None);
        self.ways_back.remove(&id);
        self.server_keys.remove(&entry.key);
        if let Some(merge) = entry.merge {
            self.merges.remove(&merge);
        }
    }
}

/// Where a response goes over UDP: `maddr`; the source if `rport` was asked for; else the source's address and the
/// port of sent-by. Over a stream: back on it.
fn response_flow(flow: Flow, via: &Via) -> Flow {
    if flow.transport != Transport::Udp {
        return flow;
    }
    let remote = match (via.maddr().and_then(|host| host.ip()), via.rport()) {
        (Some(ip), _) => SocketAddr::new(ip, via.port_or_default()),
        (None, Rport::Absent) => SocketAddr::new(flow.remote.ip(), via.port_or_default()),
        (None, Rport::Asked | Rport::Port(_)) => flow.remote,
    };
    Flow { remote, ..flow }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn back_to(via: &str) -> String {
        let source = "198.51.100.7:4242".parse().unwrap();
        let local = "192.0.2.1:5060".parse().unwrap();
        let mut via = Via::parse(via).unwrap();
        via.set_source(source);
        response_flow(Flow { transport: Transport::Udp, local, remote: source, connection: 0 }, &via)
            .remote
            .to_string()
    }

    #[test]
    fn a_response_goes_to_rport_if_asked_else_to_the_port_of_sent_by() {
        assert_eq!(back_to("SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bKa;rport"), "198.51.100.7:4242");
        assert_eq!(back_to("SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bKa"), "198.51.100.7:5062");
        assert_eq!(back_to("SIP/2.0/UDP host.example.com;branch=z9hG4bKa"), "198.51.100.7:5060");
        assert_eq!(back_to("SIP/2.0/UDP 10.0.0.1;maddr=203.0.113.9;branch=z9hG4bKa"), "203.0.113.9:5060");
    }
}
