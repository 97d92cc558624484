//! Which way a session's requests go (RFC 3261 12.2.1.1, RFC 3581, RFC 5923).
//!
//! A room behind a NAT names a Contact that nobody can reach; the way its own requests come works. So requests go
//! back on that way as long as it leads to the hop that the dialog names, or the room shows that it expects it.

use crate::dialog::Dialog;
use crate::endpoint::core::Core;
use crate::endpoint::flow::{Flow, Hop, Transport};
use crate::endpoint::{Config, flow};
use crate::headers::{Headers, NameAddr, Rport, Via};
use crate::message::Request;
use crate::uri::{Scheme, Uri};

/// The way of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    /// What the session began on; `None` until an outgoing call has found one.
    pub flow: Option<Flow>,
    /// Whether the flow is to be used back.
    pub back: Back,
    /// What was called: `sips` asks for `sips` in our Contact (12.1.1).
    pub scheme: Scheme,
}

/// Whether a datagram flow is used back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Back {
    /// The peer asked for `rport`, or it is a device's registered flow.
    Symmetric,
    /// It may listen elsewhere than it sends from.
    ByContact,
}

impl Path {
    /// The way an INVITE came.
    pub fn of_request(flow: Flow, via: &Via, called: &Uri) -> Self {
        // An address in sent-by that is not the source's is one behind a NAT.
        let natted = via.host.ip().is_some_and(|ip| ip != flow.remote.ip());
        let back = match via.rport() {
            Rport::Absent if !natted => Back::ByContact,
            Rport::Absent | Rport::Asked | Rport::Port(_) => Back::Symmetric,
        };
        Self { flow: Some(flow), back, scheme: called.scheme.clone() }
    }

    /// The peer sent something in the dialog by this way: a new connection, or a new address of its NAT.
    pub fn follow(&mut self, flow: Flow, request: &Request) {
        if let Ok(via) = request.headers.top_via() {
            let back = Self::of_request(flow, &via, &request.uri).back;
            (self.flow, self.back) = (Some(flow), back);
        }
    }

    /// Where the next request of `dialog` goes.
    pub fn hop(&self, core: &Core, dialog: &Dialog) -> Hop {
        let next = dialog.next_hop();
        let by_uri = Hop::Uri(next.clone());
        let Some(flow) = self.flow.filter(|flow| core.is_open(*flow)) else { return by_uri };
        let same_address = flow::literal_target(next).is_some_and(|target| target.remote == flow.remote);
        let same_host = next.host.ip().is_none_or(|ip| ip == flow.remote.ip());
        match (flow.transport, dialog.is_routed(), self.back) {
            (Transport::Tcp | Transport::Tls, false, _) => Hop::Flow(flow),
            (Transport::Tcp | Transport::Tls, true, _) if same_host => Hop::Flow(flow),
            (Transport::Udp, false, Back::Symmetric) => Hop::Flow(flow),
            // Names in Contact are seldom ones that the world's DNS knows.
            (Transport::Udp, false, Back::ByContact) if next.host.ip().is_none() => Hop::Flow(flow),
            (Transport::Udp, _, _) if same_address => Hop::Flow(flow),
            (Transport::Tcp | Transport::Tls | Transport::Udp, _, _) => by_uri,
        }
    }

    /// Our Contact as seen over this way.
    pub fn add_contact(&self, core: &Core, headers: &mut Headers) {
        let listen = self.flow.and_then(|flow| core.config.listen_of(flow));
        if let Some(listen) = listen {
            headers.push("Contact", NameAddr::new(Config::contact(listen, &self.scheme)));
        }
    }
}
