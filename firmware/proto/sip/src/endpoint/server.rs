//! The server transactions of the endpoint: requests that came in, and the way their responses go back
//! (RFC 3261 17.2, 18.2.2, RFC 3581).

use super::core::{Core, Wake};
use super::flow::{Flow, Hop, Transport};
use super::route::Parcel;
use crate::headers::{Rport, Via};
use crate::message::{Method, Response};
use crate::transaction::server_invite::ServerInvite;
use crate::transaction::server_non_invite::ServerNonInvite;
use crate::transaction::{Class, MergeKey, Server, ServerAction, ServerInput, ServerKey};
use crate::uri::{Host, Uri};
use base::ids::SessionId;
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
    /// The session whose INVITE it is.
    pub session: Option<SessionId>,
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
        let mut ack = AckFor::Transaction;
        for action in actions {
            match action {
                ServerAction::Send => self.send_last(id),
                ServerAction::PassAck => ack = AckFor::Session,
                ServerAction::TransportFailed => self.counters.undeliverable += 1,
                ServerAction::TimedOut => self.counters.timed_out += 1,
                ServerAction::Terminated => self.close_server(id),
            }
        }
        ack
    }

    /// Answers a request without a transaction (8.2.7).
    pub fn reply(&mut self, flow: Flow, via: &Via, response: &Response) {
        self.carry_response(flow, via.clone(), response.to_bytes());
    }

    fn send_last(&mut self, id: ServerId) {
        let Some(entry) = self.servers.get_mut(&id) else { return };
        if std::mem::replace(&mut entry.sent_once, true) {
            self.counters.retransmissions_out += 1;
        }
        let (flow, via, data) = (entry.flow, entry.via.clone(), entry.last.clone());
        self.carry_response(flow, via, data);
    }

    fn carry_response(&mut self, flow: Flow, via: Via, data: Bytes) {
        if self.is_open(flow) {
            self.send(response_flow(flow, &via), data);
        } else {
            self.travel(Parcel::Response(data), Hop::Uri(fallback(flow, &via)));
        }
    }

    fn close_server(&mut self, id: ServerId) {
        let Some(entry) = self.servers.remove(&id) else { return };
        self.schedule.set(Wake::Server(id), None);
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

/// Where a response goes when its stream is gone: the source's address at the port of sent-by (18.2.2).
fn fallback(flow: Flow, via: &Via) -> Uri {
    let mut uri = Uri::sip(None, Host::from(flow.remote.ip()), Some(via.port_or_default()));
    uri.params.set("transport", Some(flow.transport.param()));
    uri
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
