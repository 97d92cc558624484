//! Where a response goes when the stream its request came on is gone (RFC 3261 18.2.2, RFC 3263 section 5).
//!
//! ```text
//!  [Source] connect to the source's address, port of sent-by ──────────────▶ stream
//!     │ failed                                                                ▲ ▲
//!     ├─ sent-by is an address ────────────────────────────▶ [Targets] ───────┘ │ each in turn
//!     └─ sent-by is a name ─▶ [SentBy] SRV, A, AAAA ──found──▶ [Targets] ───────┘
//!                                 │ failed                        │ none left
//!                                 └───────────────▶ lost ◀────────┘
//! ```
//! A Via is the peer's to write, so it is believed no further than this; whose Via is followed at all,
//! [`Core::let_in`] says.
//!
//! - The address that 18.2.2 calls `received` is the one that the stream had, proven by TCP's handshake, and never what
//!   stands in the Via: a peer may write a `received` of its own. `maddr` is for datagrams and is not read.
//! - Sent-by may lead to nothing narrower than the source: who called from the world is not answered at an address of
//!   this box, its link or its site, be that written in sent-by or in the peer's own DNS. It would mean a host behind the
//!   peer's NAT, and here it is another one, that would be connected to at the peer's will and read the description.
//!   A peer in the site may lead to others in it: the own requests of a call that stands do no less by its Contact.
//! - The transport stays the request's. With TLS the certificate must bear sent-by's host at every address, the
//!   source's included: no other name says whom the request wants its responses to reach.
//! - One look-up and a handful of connections, one after the other, are all that a transaction gets.

use super::core::Core;
use super::flow::{Flow, Target, Transport, literal_target};
use super::route::Parcel;
use super::server::ServerId;
use crate::headers::Via;
use crate::uri::Uri;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Most addresses that sent-by may lead to.
const MAX_TARGETS: usize = 4;

/// A response on the search for a stream.
#[derive(Debug)]
pub(super) struct WayBack {
    source: SocketAddr,
    transport: Transport,
    sent_by: Uri,
    state: State,
}

/// What is being tried.
#[derive(Debug)]
enum State {
    /// The source's address at the port of sent-by (18.2.2).
    Source,
    /// The look-up of sent-by.
    SentBy,
    /// One address of sent-by; these are left.
    Targets(VecDeque<Target>),
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tried {
    /// Nothing.
    Failed,
    /// The look-up found these.
    Found(Vec<Target>),
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Go there.
    Go(Target),
    /// Ask where this leads.
    LookUp(Uri),
    /// Give up.
    Lost,
}

impl WayBack {
    /// The search for a request with this topmost Via that came on `gone`; its first step.
    pub fn begin(gone: Flow, via: &Via) -> (Self, Next) {
        let mut sent_by = Uri::sip(None, via.host.clone(), via.port);
        sent_by.params.set("transport", Some(gone.transport.param()));
        let port = via.port.unwrap_or(gone.transport.default_port());
        let source = SocketAddr::new(gone.remote.ip(), port);
        let first = Target { transport: gone.transport, remote: source, tls_name: via.host.certified() };
        (Self { source, transport: gone.transport, sent_by, state: State::Source }, Next::Go(first))
    }

    /// The step after one that led to no stream.
    pub fn step(&mut self, tried: Tried) -> Next {
        match (&mut self.state, tried) {
            (State::Source, Tried::Failed | Tried::Found(_)) => match literal_target(&self.sent_by) {
                Some(target) => self.go_through(vec![target]),
                None => {
                    self.state = State::SentBy;
                    Next::LookUp(self.sent_by.clone())
                }
            },
            (State::SentBy, Tried::Found(targets)) => self.go_through(targets),
            (State::SentBy, Tried::Failed) => Next::Lost,
            (State::Targets(left), Tried::Failed | Tried::Found(_)) => {
                left.pop_front().map_or(Next::Lost, Next::Go)
            }
        }
    }

    fn go_through(&mut self, targets: Vec<Target>) -> Next {
        let mut left: VecDeque<Target> =
            targets.into_iter().filter(|target| self.may_go(target)).take(MAX_TARGETS).collect();
        let first = left.pop_front();
        self.state = State::Targets(left);
        first.map_or(Next::Lost, Next::Go)
    }

    fn may_go(&self, target: &Target) -> bool {
        target.transport == self.transport
            && target.remote != self.source
            && scope(target.remote.ip()) >= scope(self.source.ip())
    }
}

/// How far an address means the same host, the narrowest first (RFC 6890).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    /// No single host: unspecified, multicast, reserved.
    Nowhere,
    /// This box.
    Host,
    /// One link.
    Link,
    /// One site: private and shared addresses.
    Site,
    /// Everywhere.
    World,
}

fn scope(ip: IpAddr) -> Scope {
    match ip.to_canonical() {
        IpAddr::V4(ip) => scope_v4(ip),
        IpAddr::V6(ip) if ip.is_unspecified() || ip.is_multicast() => Scope::Nowhere,
        IpAddr::V6(ip) if ip.is_loopback() => Scope::Host,
        IpAddr::V6(ip) if ip.is_unicast_link_local() => Scope::Link,
        IpAddr::V6(ip) if ip.is_unique_local() => Scope::Site,
        IpAddr::V6(_) => Scope::World,
    }
}

fn scope_v4(ip: Ipv4Addr) -> Scope {
    match ip.octets() {
        [0 | 224..=255, ..] => Scope::Nowhere,
        [127, ..] => Scope::Host,
        [169, 254, ..] => Scope::Link,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Scope::Site,
        _ => Scope::World,
    }
}

impl Core {
    /// The step after one that led to no stream.
    pub fn way_back_tried(&mut self, id: ServerId, tried: Tried) {
        if let Some(way) = self.ways_back.get_mut(&id) {
            let next = way.step(tried);
            self.take_way_back(id, next);
        }
    }

    /// Does what a search wants.
    pub fn take_way_back(&mut self, id: ServerId, next: Next) {
        match next {
            Next::Go(target) => self.go(Parcel::Response(id), target),
            Next::LookUp(uri) => self.look_up(Parcel::Response(id), uri),
            Next::Lost => self.way_back_lost(id),
        }
    }
}
