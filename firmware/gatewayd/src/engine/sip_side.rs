//! The SIP endpoint with its sockets: messages in, messages out, sessions told to the shard. Who is blocked (`domain::defence`) is dropped
//! here, before anything is read of what it sends.

#[cfg(test)]
mod tests;

use super::event::Event;
use crate::alarms::Teller;
use crate::net::batch::Receiver;
use crate::net::clock::ClockPair;
use crate::net::connection::{Connection, Connections};
use crate::net::departure::Departures;
use crate::net::dns::Names;
use crate::net::https::LocalPorts;
use crate::net::poller::{Poller, Token};
use crate::net::udp::{Udp, Waiting};
use base::ids::SessionId;
use base::machine::Output;
use base::{Machine, limits};
use bytes::Bytes;
use domain::alarm::Fact;
use domain::api::Kind as Resource;
use domain::config::Config;
use domain::defence::{Blocked, Defence, Offence, Path};
use sip::endpoint::{Effect, Endpoint, Flow, Input, Listen, Policy, RouteId, Target, Transport};
use sip::session::SessionEvent;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tracing::{debug, info, warn};

/// Longest that opening a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// SIP messages read at once. Few, because each may be large and takes far longer than a media packet.
const MESSAGES: usize = 16;

/// What it takes to open connections of our own.
#[derive(Clone)]
pub struct Dialer {
    /// Numbers and counts them.
    pub connections: Connections,
    /// Our trust in others.
    pub tls: TlsConnector,
    /// The ports we leave by.
    pub ports: Arc<LocalPorts>,
    /// Looks up names.
    pub names: Names,
    /// Where answers go.
    pub events: mpsc::Sender<Event>,
}

/// The endpoint and its ways to the world.
pub struct SipSide {
    endpoint: Endpoint,
    udp: Vec<Udp>,
    writers: HashMap<Flow, mpsc::Sender<Bytes>>,
    dialer: Dialer,
    receiver: Receiver,
    defence: Defence,
    alarms: Teller,
    departures: Departures,
    wake: Option<Instant>,
    wrong_credentials: Wrong,
}

/// Whose fault wrong credentials are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    /// A guesser's.
    TheirFault,
    /// The box has lost what it would hold them against.
    OurFault,
}

impl SipSide {
    /// Puts `endpoint` on its UDP sockets, which are watched by `poller` under the tokens 0, 1 and so on. Who is blocked is told as an
    /// alarm.
    ///
    /// # Errors
    /// If a socket cannot be watched.
    pub fn new(
        endpoint: Endpoint,
        mut udp: Vec<Udp>,
        dialer: Dialer,
        (defence, alarms): (Defence, Teller),
        poller: &Poller,
    ) -> std::io::Result<Self> {
        for (i, socket) in udp.iter_mut().enumerate() {
            socket.watch(poller, Token(i as u64))?;
        }
        let receiver = Receiver::new(MESSAGES, limits::SIP_MESSAGE_BYTES);
        let departures = Departures::default();
        let writers = HashMap::new();
        let wrong_credentials = Wrong::TheirFault;
        Ok(Self {
            endpoint,
            udp,
            writers,
            dialer,
            receiver,
            defence,
            alarms,
            departures,
            wake: None,
            wrong_credentials,
        })
    }

    /// Whether this token is one of the UDP sockets'.
    #[must_use]
    pub fn owns(&self, token: Token) -> bool {
        token.0 < self.udp.len() as u64
    }

    /// Whether this connection stands and may be written to.
    #[must_use]
    pub fn is_connected(&self, flow: Flow) -> bool {
        self.writers.contains_key(&flow)
    }

    /// When the endpoint wants to be turned next.
    #[must_use]
    pub const fn wake(&self) -> Option<Instant> {
        self.wake
    }

    /// When its packets left.
    #[must_use]
    pub const fn departures(&self) -> Departures {
        self.departures
    }

    /// The endpoint, to be read.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Signalling connections that are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.writers.len()
    }

    /// Reads one batch of what waits on a UDP socket. What sessions have to tell goes to `told`.
    pub fn readable(&mut self, token: Token, told: &mut impl Extend<(SessionId, SessionEvent)>) -> Waiting {
        let Some(socket) = usize::try_from(token.0).ok().and_then(|index| self.udp.get_mut(index)) else {
            return Waiting::Nothing;
        };
        self.departures.add(socket.departures());
        let (local, waiting, clocks) =
            (socket.local(), socket.receive(&mut self.receiver), ClockPair::read());
        let receiver = std::mem::take(&mut self.receiver);
        for datagram in receiver.datagrams() {
            if !self.defence.hears(clocks.now(), datagram.from, Path::Datagrams) {
                continue;
            }
            let flow = Flow { transport: Transport::Udp, local, remote: datagram.from, connection: 0 };
            let input = Input::Received { flow, data: datagram.data };
            told.extend(self.step(clocks.arrival(datagram.stamp), input));
        }
        self.receiver = receiver;
        waiting
    }

    /// A UDP socket takes packets again.
    pub fn writable(&mut self, token: Token) {
        if let Some(socket) = usize::try_from(token.0).ok().and_then(|index| self.udp.get_mut(index)) {
            socket.flush();
        }
    }

    /// A connection is up. One of somebody who is blocked is closed: nothing keeps its writer.
    pub fn opened(&mut self, now: Instant, connection: Connection) {
        if self.defence.hears(now, connection.flow.remote, Path::Connection) {
            self.writers.insert(connection.flow, connection.writer);
        }
    }

    /// A whole message came on a connection. Returns what sessions have to tell.
    pub fn message(&mut self, now: Instant, flow: Flow, data: &[u8]) -> Vec<(SessionId, SessionEvent)> {
        if !self.defence.hears(now, flow.remote, Path::Connection) {
            self.writers.remove(&flow);
            return Vec::new();
        }
        self.step(now, Input::Received { flow, data })
    }

    /// A caller did what honest ones seldom do.
    pub fn offended(&mut self, now: Instant, remote: SocketAddr, by: Transport, offence: Offence) {
        let path = if by == Transport::Udp { Path::Datagrams } else { Path::Connection };
        if let Some(source) = self.defence.note(now, remote, path, offence) {
            warn!(%source, why = offence.text(), "blocked: it is not heard for a while");
            self.alarms.tell(Fact::ScannerBlocked {
                source: source.to_string(),
                why: format!("blocked for {}; to hear it again: gantry forgive <address>", offence.text()),
            });
        }
    }

    /// A call of `remote` stands: it is heard, whatever others do.
    pub fn call_began(&mut self, remote: SocketAddr) {
        self.defence.call_began(remote);
    }

    /// A call that stood is over.
    pub fn call_ended(&mut self, remote: SocketAddr) {
        self.defence.call_ended(remote);
    }

    /// Rooms whose passwords the box can't read any more are wrong through no fault of theirs.
    pub fn excuse(&mut self, config: &Config) {
        let mut unreadable = config.unreadable.iter();
        let any = unreadable.any(|(kind, _)| *kind == Resource::RegistrarDevices);
        self.wrong_credentials = if any { Wrong::OurFault } else { Wrong::TheirFault };
    }

    /// Goes on by another configuration: who may register, the realm, who is blocked. Sessions stand.
    pub fn configure(&mut self, now: Instant, config: &Config) -> Vec<(SessionId, SessionEvent)> {
        self.excuse(config);
        self.defence.set_policy(config.defence.clone());
        let listen = self.endpoint.config().listen.clone();
        self.step(now, Input::Configure(Box::new(endpoint_config(config, listen))))
    }

    /// Forgets what is held against `address`.
    pub fn forgive(&mut self, address: IpAddr) -> bool {
        self.defence.forgive(address)
    }

    /// Who is blocked, and how many messages and connections were dropped so far.
    #[must_use]
    pub fn blocked(&self, now: Instant) -> (Vec<Blocked>, u64) {
        (self.defence.blocked(now), self.defence.dropped())
    }

    /// A connection is gone.
    pub fn closed(&mut self, now: Instant, flow: Flow) -> Vec<(SessionId, SessionEvent)> {
        self.writers.remove(&flow);
        self.step(now, Input::FlowClosed(flow))
    }

    /// Turns the endpoint. Returns what sessions have to tell.
    pub fn step(&mut self, now: Instant, input: Input<'_>) -> Vec<(SessionId, SessionEvent)> {
        let (mut told, mut effects, mut offences) = (Vec::new(), Vec::new(), Vec::new());
        self.wake = self.endpoint.step(now, input, |output| match output {
            Output::Effect(effect) => effects.push(effect),
            Output::Event(sip::endpoint::Event::Session { id, event }) => told.push((id, event)),
            Output::Event(sip::endpoint::Event::Malformed { flow, problem }) => {
                debug!(remote = %flow.remote, problem, "malformed SIP message");
            }
            Output::Event(sip::endpoint::Event::Offence { flow, what }) => offences.push((flow, what)),
            Output::Event(event) => info!(?event, "SIP endpoint"),
        });
        for (flow, what) in offences {
            let offence = match (what, self.wrong_credentials) {
                (sip::endpoint::Offence::Scanner, _) => Offence::Scanner,
                (sip::endpoint::Offence::WrongCredentials, Wrong::TheirFault) => Offence::WrongCredentials,
                (sip::endpoint::Offence::WrongCredentials, Wrong::OurFault) => continue,
            };
            self.offended(now, flow.remote, flow.transport, offence);
        }
        effects.into_iter().for_each(|effect| self.take(effect));
        told
    }

    fn take(&mut self, effect: Effect) {
        match effect {
            Effect::Send { flow, data } => self.send(flow, data),
            Effect::Lookup { id, uri } => {
                let dialer = self.dialer.clone();
                tokio::task::spawn_local(async move {
                    let targets = dialer.names.locate(uri).await;
                    drop(dialer.events.send(Event::Resolved { id, targets }).await);
                });
            }
            Effect::Connect { id, target } => {
                let dialer = self.dialer.clone();
                tokio::task::spawn_local(async move { dialer.connect(id, target).await });
            }
        }
    }

    fn send(&mut self, flow: Flow, data: Bytes) {
        if flow.transport == Transport::Udp {
            if let Some(socket) = self.udp.iter_mut().find(|socket| socket.local() == flow.local) {
                socket.queue(flow.remote, data);
                socket.flush();
            }
            return;
        }
        // A peer that does not read loses its connection: the writer's end closes it, and the endpoint hears of it.
        if let Some(writer) = self.writers.get(&flow)
            && writer.try_send(data).is_err()
        {
            self.writers.remove(&flow);
        }
    }
}

/// What the endpoint is told of `config`, where it is reached by `listen`.
#[must_use]
pub fn endpoint_config(config: &Config, listen: Vec<Listen>) -> sip::endpoint::Config {
    sip::endpoint::Config {
        listen,
        product: concat!("Gantry/", env!("CARGO_PKG_VERSION")).to_owned(),
        realm: config.gateway.domains.first().cloned().unwrap_or_default(),
        challenge: Policy::Devices,
        devices: config.devices.iter().map(|device| (device.user.clone(), device.password.clone())).collect(),
        info_types: sip::leg::INFO_TYPES.to_vec(),
    }
}

impl Dialer {
    async fn connect(self, id: RouteId, target: Target) {
        let flow = tokio::time::timeout(CONNECT, self.open(target)).await.ok().flatten();
        drop(self.events.send(Event::Connected { id, flow }).await);
    }

    async fn open(&self, target: Target) -> Option<Flow> {
        let stream = self.ports.connect(target.remote).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let local: SocketAddr = stream.local_addr().ok()?;
        match target.transport {
            Transport::Udp => None,
            Transport::Tcp => self.connections.adopt(stream, Transport::Tcp, local, target.remote).await,
            Transport::Tls => {
                let name = rustls_pki_types::ServerName::try_from(target.tls_name).ok()?;
                let stream = self.tls.connect(name, stream).await.ok()?;
                self.connections.adopt(stream, Transport::Tls, local, target.remote).await
            }
        }
    }
}
