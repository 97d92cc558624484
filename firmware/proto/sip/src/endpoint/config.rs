//! What the endpoint is told when it is made, and what it counts.

use super::flow::{Flow, Transport};
use crate::uri::{Host, Scheme, Uri};
use base::Secret;
use std::collections::HashMap;
use std::net::SocketAddr;

/// The endpoint's settings.
#[derive(Debug, Clone)]
pub struct Config {
    /// The sockets it is reached by, best first. At least one.
    pub listen: Vec<Listen>,
    /// What the box calls itself in Server and User-Agent.
    pub product: String,
    /// The realm of its challenges: the gateway's domain.
    pub realm: String,
    /// Whom it asks for a password.
    pub challenge: Policy,
    /// The devices that may register, with their passwords.
    pub devices: HashMap<String, Secret<String>>,
    /// The INFO bodies taken, as media types in lower case; others get 415.
    pub info_types: Vec<&'static str>,
}

/// One socket, and how peers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// How.
    pub transport: Transport,
    /// The address it is bound to, as it stands in [`Flow::local`].
    pub local: SocketAddr,
    /// The host in Via and Contact: the public address or name.
    pub host: Host,
    /// The port in Via and Contact.
    pub port: u16,
}

/// Whom the endpoint challenges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Nobody: anybody may register.
    Open,
    /// Whoever claims to be a configured device, by REGISTER or as the caller of an INVITE; nobody else may register.
    Devices,
}

/// Names and passwords for the challenges of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// User name.
    pub user: String,
    /// Password.
    pub password: Secret<String>,
}

impl Config {
    /// The socket that speaks `transport` to addresses like `remote`.
    pub(super) fn listen_for(&self, transport: Transport, remote: SocketAddr) -> Option<&Listen> {
        let speaks = |listen: &&Listen| listen.transport == transport;
        let same_family = |listen: &&Listen| listen.local.is_ipv4() == remote.is_ipv4();
        self.listen.iter().filter(speaks).find(same_family).or_else(|| self.listen.iter().find(speaks))
    }

    /// The socket that `flow` uses: bound to its very address, else the one that speaks its transport.
    pub(super) fn listen_of(&self, flow: Flow) -> Option<&Listen> {
        let own = |listen: &&Listen| listen.transport == flow.transport && listen.local == flow.local;
        self.listen.iter().find(own).or_else(|| self.listen_for(flow.transport, flow.remote))
    }

    /// Whether a Via with this sent-by is one of ours (18.1.2).
    pub(super) fn is_ours(&self, host: &Host, port: u16) -> bool {
        self.listen.iter().any(|listen| listen.host.same(host) && listen.port == port)
    }

    /// Our Contact over `listen`, for a dialog with a peer or target of this scheme: `sips` implies its transport.
    pub(super) fn contact(listen: &Listen, scheme: &Scheme) -> Uri {
        let mut uri = Uri::sip(None, listen.host.clone(), Some(listen.port));
        if *scheme == Scheme::Sips {
            uri.scheme = Scheme::Sips;
        } else if listen.transport != Transport::Udp {
            uri.params.set("transport", Some(listen.transport.param()));
        }
        uri
    }
}

/// What happened so far. Every number counts up from the start of the endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests that began a server transaction.
    pub requests: u64,
    /// Responses that belonged to a client transaction.
    pub responses: u64,
    /// Requests that came again.
    pub retransmissions_in: u64,
    /// Messages we sent again.
    pub retransmissions_out: u64,
    /// Bytes that were no message.
    pub malformed: u64,
    /// Responses and ACKs that belonged to nothing.
    pub stray: u64,
    /// Requests answered 503 because the tables were full or the box drains.
    pub refused: u64,
    /// Client transactions that nobody answered.
    pub timed_out: u64,
    /// Messages that could not be delivered.
    pub undeliverable: u64,
    /// Challenges sent.
    pub challenged: u64,
    /// Sessions begun, both ways.
    pub sessions: u64,
}

/// How much is open now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Server transactions.
    pub server_transactions: usize,
    /// Client transactions.
    pub client_transactions: usize,
    /// Sessions, those that end included.
    pub sessions: usize,
    /// Dialogs, early ones included.
    pub dialogs: usize,
    /// Devices registered.
    pub devices: usize,
}
