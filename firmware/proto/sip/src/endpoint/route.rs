//! From a destination to a flow: look-ups (RFC 3263) and connections on the way.
//!
//! ```text
//!  Hop::Uri, a name ──Lookup──▶ targets ──UDP─────────────────▶ flow ─▶ sent
//!  Hop::Uri, an address ──────────┘  └──stream──▶ Connect ──▶ flow ─▶ sent
//!  Hop::Flow, open ─────────────────────────────────────────────▲
//! ```
//! Where a parcel goes next when that fails, its transaction knows: [`client`](super::client) for requests,
//! [`way_back`](super::way_back) for responses.

use super::client::ClientId;
use super::core::{Core, Wake};
use super::flow::{Flow, Hop, Target, Transport, literal_target};
use super::port::{Effect, RouteId};
use super::server::ServerId;
use super::way_back::Tried;
use crate::headers::Via;
use crate::locate;
use crate::message::Request;
use crate::transaction::TRANSACTION_LIFE;
use crate::uri::Uri;
use base::limits::SIP_TRANSACTIONS;
use base::machine::Output;

/// What seeks a way.
#[derive(Debug)]
pub(super) enum Parcel {
    /// The request of a client transaction.
    Client(ClientId),
    /// The ACK for a 2xx, which has no transaction.
    Ack(Box<Request>),
    /// The response of a server transaction whose stream is gone.
    Response(ServerId),
}

/// A parcel that waits for an answer from outside.
#[derive(Debug)]
pub(super) struct Journey {
    parcel: Parcel,
    /// Where a connection is awaited to.
    to: Option<Target>,
}

impl Core {
    /// Sends `parcel` towards `hop`.
    pub fn travel(&mut self, parcel: Parcel, hop: Hop) {
        match hop {
            Hop::Flow(flow) if self.is_open(flow) => self.arrive(parcel, flow),
            Hop::Flow(flow) => {
                let tls_name = flow.remote.ip().to_string();
                self.go(parcel, Target { transport: flow.transport, remote: flow.remote, tls_name });
            }
            Hop::Uri(uri) => match literal_target(&uri) {
                Some(target) => self.go(parcel, target),
                None => self.look_up(parcel, uri),
            },
        }
    }

    /// Sends `parcel` to `target`, connecting if there is no connection.
    pub fn go(&mut self, parcel: Parcel, target: Target) {
        if target.transport != Transport::Udp {
            return match self.stream_to(&target) {
                Some(flow) => self.arrive(parcel, flow),
                None => self.connect(parcel, target),
            };
        }
        match self.config.listen_for(Transport::Udp, target.remote).map(|listen| listen.local) {
            Some(local) => {
                let flow = Flow { transport: Transport::Udp, local, remote: target.remote, connection: 0 };
                self.arrive(parcel, flow);
            }
            None => self.stranded(parcel),
        }
    }

    /// Asks where `uri` leads.
    pub fn look_up(&mut self, parcel: Parcel, uri: Uri) {
        self.ask(Journey { parcel, to: None }, |id| Effect::Lookup { id, uri });
    }

    fn connect(&mut self, parcel: Parcel, target: Target) {
        let to = Some(target.clone());
        self.ask(Journey { parcel, to }, |id| Effect::Connect { id, target });
    }

    fn ask(&mut self, journey: Journey, effect: impl FnOnce(RouteId) -> Effect) {
        if self.routes.len() >= SIP_TRANSACTIONS {
            return self.stranded(journey.parcel);
        }
        let id = RouteId(self.next_id());
        self.out.push(Output::Effect(effect(id)));
        self.routes.insert(id, journey);
        self.schedule.set(Wake::Route(id), Some(self.now + TRANSACTION_LIFE));
    }

    /// The answer to a look-up.
    pub fn resolved(&mut self, id: RouteId, targets: Vec<locate::Target>) {
        let Some(journey) = self.take_journey(id) else { return };
        let mut targets = targets.into_iter().filter_map(Target::of_lookup);
        if let Parcel::Response(server) = journey.parcel {
            return self.way_back_tried(server, Tried::Found(targets.collect()));
        }
        let Some(first) = targets.next() else { return self.stranded(journey.parcel) };
        if let Parcel::Client(client) = journey.parcel {
            self.keep_targets(client, targets);
        }
        self.go(journey.parcel, first);
    }

    /// The answer to a connection attempt.
    pub fn connected(&mut self, id: RouteId, flow: Option<Flow>) {
        let journey = self.take_journey(id);
        if let Some(flow) = flow {
            match journey.as_ref().and_then(|journey| journey.to.as_ref()) {
                Some(target) => self.stream_opened(flow, &target.tls_name),
                None => self.stream_came(flow),
            }
        }
        let Some(journey) = journey else { return };
        match flow {
            Some(flow) => self.arrive(journey.parcel, flow),
            None => self.stranded(journey.parcel),
        }
    }

    /// Nobody answered in time.
    pub fn route_timed_out(&mut self, id: RouteId) {
        if let Some(journey) = self.take_journey(id) {
            self.stranded(journey.parcel);
        }
    }

    fn take_journey(&mut self, id: RouteId) -> Option<Journey> {
        self.schedule.set(Wake::Route(id), None);
        self.routes.remove(&id)
    }

    fn arrive(&mut self, parcel: Parcel, flow: Flow) {
        match parcel {
            Parcel::Client(id) => self.launch(id, flow),
            Parcel::Response(id) => self.way_back_found(id, flow),
            Parcel::Ack(ack) => self.send_ack(*ack, flow),
        }
    }

    fn send_ack(&mut self, mut ack: Request, flow: Flow) {
        let Some(listen) = self.config.listen_of(flow).cloned() else { return };
        let branch = format!("{}{}", crate::transaction::MAGIC_COOKIE, self.token());
        ack.headers
            .push_front("Via", Via::new(flow.transport.via(), listen.host, Some(listen.port), &branch));
        ack.headers.push("User-Agent", &self.config.product);
        self.send(flow, ack.to_bytes());
    }

    fn stranded(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Client(id) => self.lost(id),
            Parcel::Response(id) => self.way_back_tried(id, Tried::Failed),
            Parcel::Ack(_) => self.counters.undeliverable += 1,
        }
    }
}
