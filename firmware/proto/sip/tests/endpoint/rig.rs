//! Two endpoints and the wire between them, turned in virtual time; and one endpoint with a hand-written peer.

use base::ids::SessionId;
use base::machine::Output;
use base::{Machine, Secret, Seed};
use bytes::Bytes;
use sip::endpoint::{
    Config, Effect, Endpoint, Event, Flow, Input, Listen, Login, Outgoing, Policy, Transport,
};
use sip::headers::NameAddr;
use sip::message::{Message, Request, Response};
use sip::session::{SessionCommand, SessionEvent};
use sip::uri::Uri;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What the wire does with one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives after this long.
    Arrives(Duration),
    /// It is lost.
    Lost,
    /// It arrives twice, after these times.
    Twice(Duration, Duration),
}

/// What a packet is between the two, and what a test decides by it.
pub type Wire = Box<dyn FnMut(Side, &Message) -> Fate>;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    A,
    B,
}

impl Side {
    pub fn other(self) -> Self {
        match self {
            Side::A => Side::B,
            Side::B => Side::A,
        }
    }

    pub fn address(self) -> SocketAddr {
        match self {
            Side::A => SocketAddr::from(([192, 0, 2, 1], 5060)),
            Side::B => SocketAddr::from(([192, 0, 2, 2], 5060)),
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

pub fn config(address: SocketAddr) -> Config {
    let listen = |transport, local: SocketAddr| Listen {
        transport,
        local,
        host: local.ip().into(),
        port: local.port(),
    };
    Config {
        listen: vec![listen(Transport::Udp, address), listen(Transport::Tcp, address)],
        product: "box/1".into(),
        realm: "box.example.com".into(),
        challenge: Policy::Devices,
        devices: HashMap::from([("room".to_owned(), Secret::new("secret".to_owned()))]),
        info_types: vec!["application/media_control+xml"],
    }
}

/// Two endpoints and the wire between them.
pub struct World {
    pub start: Instant,
    pub now: Instant,
    ends: [Endpoint; 2],
    wakes: [Option<Instant>; 2],
    events: [Vec<Event>; 2],
    wire: Wire,
    air: BTreeMap<(Instant, u64), (Side, Flow, Bytes)>,
    pub log: Vec<(Instant, Side, Message)>,
    next: u64,
}

pub const LATENCY: Duration = Duration::from_millis(10);

impl World {
    /// A wire that loses nothing and takes [`LATENCY`].
    pub fn new() -> Self {
        Self::with_wire(Box::new(|_, _| Fate::Arrives(LATENCY)))
    }

    pub fn with_wire(wire: Wire) -> Self {
        let start = Instant::now();
        let end = |side: Side, seed| Endpoint::new(config(side.address()), Seed([seed; 32]), start);
        Self {
            start,
            now: start,
            ends: [end(Side::A, 1), end(Side::B, 2)],
            wakes: [None; 2],
            events: [Vec::new(), Vec::new()],
            wire,
            air: BTreeMap::new(),
            log: Vec::new(),
            next: 0,
        }
    }

    pub fn end(&self, side: Side) -> &Endpoint {
        &self.ends[side.index()]
    }

    pub fn input(&mut self, side: Side, input: Input<'_>) {
        let mut outputs = Vec::new();
        let wake = self.ends[side.index()].step(self.now, input, |output| outputs.push(output));
        self.wakes[side.index()] = wake;
        for output in outputs {
            match output {
                Output::Event(event) => self.events[side.index()].push(event),
                Output::Effect(effect) => self.effect(side, effect),
            }
        }
    }

    fn effect(&mut self, side: Side, effect: Effect) {
        match effect {
            Effect::Send { flow, data } => self.transmit(side, flow, data),
            Effect::Lookup { id, .. } => self.input(side, Input::Resolved { id, targets: Vec::new() }),
            Effect::Connect { id, target } => {
                self.next += 1;
                let local = SocketAddr::new(side.address().ip(), 40_000);
                let flow =
                    Flow { transport: target.transport, local, remote: target.remote, connection: self.next };
                self.input(side, Input::Connected { id, flow: Some(flow) });
            }
        }
    }

    fn transmit(&mut self, side: Side, flow: Flow, data: Bytes) {
        let message = Message::parse(&data).expect("the endpoint writes what it can read");
        self.log.push((self.now, side, message.clone()));
        let there = Flow { local: flow.remote, remote: flow.local, ..flow };
        let mut put = |after| {
            self.next += 1;
            self.air.insert((self.now + after, self.next), (side.other(), there, data.clone()));
        };
        match (self.wire)(side, &message) {
            Fate::Arrives(after) => put(after),
            Fate::Twice(first, second) => {
                put(first);
                put(second);
            }
            Fate::Lost => {}
        }
    }

    fn next_moment(&self) -> Option<Instant> {
        let arrival = self.air.first_key_value().map(|((at, _), _)| *at);
        [arrival, self.wakes[0], self.wakes[1]].into_iter().flatten().min()
    }

    /// Lets `time` pass; `react` sees each event as it comes and gives commands.
    pub fn run_with(
        &mut self,
        time: Duration,
        mut react: impl FnMut(Side, &Event) -> Vec<(SessionId, SessionCommand)>,
    ) {
        let end = self.now + time;
        let mut seen = [self.events[0].len(), self.events[1].len()];
        loop {
            for side in [Side::A, Side::B] {
                while let Some(event) = self.events[side.index()].get(seen[side.index()]).cloned() {
                    seen[side.index()] += 1;
                    for (id, command) in react(side, &event) {
                        self.input(side, Input::Session { id, command });
                    }
                }
            }
            let Some(moment) = self.next_moment().filter(|moment| *moment <= end) else { break };
            self.now = self.now.max(moment);
            self.advance();
        }
        self.now = end;
    }

    fn advance(&mut self) {
        if let Some(entry) = self.air.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (side, flow, data) = entry.remove();
            return self.input(side, Input::Received { flow, data: &data });
        }
        for side in [Side::A, Side::B] {
            if self.wakes[side.index()].is_some_and(|wake| wake <= self.now) {
                self.input(side, Input::Timeout);
            }
        }
    }

    pub fn run(&mut self, time: Duration) {
        self.run_with(time, |_, _| Vec::new());
    }

    pub fn command(&mut self, side: Side, id: SessionId, command: SessionCommand) {
        self.input(side, Input::Session { id, command });
    }

    /// A calls B.
    pub fn call(&mut self, to: &str) -> SessionId {
        self.call_as(to, "sip:guest@192.0.2.1", None)
    }

    pub fn call_as(&mut self, to: &str, from: &str, login: Option<Login>) -> SessionId {
        let id = self.ends[0].allocate();
        let outgoing = Outgoing {
            id,
            to: Uri::parse(to).unwrap(),
            from: NameAddr::new(Uri::parse(from).unwrap()),
            offer: sdp("offer"),
            proxy: None,
            login,
        };
        self.input(Side::A, Input::Call(Box::new(outgoing)));
        id
    }

    /// The events of `side` since the last look.
    pub fn take_events(&mut self, side: Side) -> Vec<Event> {
        std::mem::take(&mut self.events[side.index()])
    }

    pub fn events(&self, side: Side) -> &[Event] {
        &self.events[side.index()]
    }

    /// The session events of `side` since the last look.
    pub fn session_events(&mut self, side: Side) -> Vec<SessionEvent> {
        let only = |event| match event {
            Event::Session { event, .. } => Some(event),
            _ => None,
        };
        self.take_events(side).into_iter().filter_map(only).collect()
    }

    /// The session that came in at `side` last.
    pub fn incoming(&self, side: Side) -> SessionId {
        let id = |event: &Event| match event {
            Event::Session { id, event: SessionEvent::Invite { .. } } => Some(*id),
            _ => None,
        };
        self.events[side.index()].iter().rev().find_map(id).expect("a call came in")
    }

    /// A call from A to B that stands, its events taken; the two sessions.
    pub fn established(&mut self) -> (SessionId, SessionId) {
        let a = self.call("sip:meeting@192.0.2.2");
        self.run(Duration::from_millis(100));
        let b = self.incoming(Side::B);
        self.command(Side::B, b, SessionCommand::Accept(sdp("answer")));
        self.run(Duration::from_millis(100));
        assert_eq!(
            self.session_events(Side::A),
            [SessionEvent::Answer(sdp("answer")), SessionEvent::Confirmed]
        );
        assert_eq!(self.session_events(Side::B).last(), Some(&SessionEvent::Confirmed));
        (a, b)
    }

    /// How often `side` sent what `what` says, such as `INVITE` or `200 INVITE`.
    pub fn sent(&self, side: Side, what: &str) -> usize {
        self.log.iter().filter(|(_, from, message)| *from == side && label(message) == what).count()
    }

    /// When `side` sent what `what` says, in milliseconds since the start.
    pub fn sent_at(&self, side: Side, what: &str) -> Vec<u128> {
        let of = |(_, from, message): &&(Instant, Side, Message)| *from == side && label(message) == what;
        self.log.iter().filter(of).map(|(at, ..)| (*at - self.start).as_millis()).collect()
    }

    pub fn assert_idle(&self) {
        for side in [Side::A, Side::B] {
            assert!(self.end(side).is_idle(), "{side:?}: {:?}", self.end(side).gauges());
        }
    }
}

/// `INVITE`, or `200 INVITE`.
pub fn label(message: &Message) -> String {
    match message {
        Message::Request(request) => request.method.to_string(),
        Message::Response(response) => {
            format!("{} {}", response.status, response.headers.cseq().unwrap().method)
        }
    }
}

/// A stand-in for a session description: the endpoint never reads it.
pub fn sdp(text: &str) -> Bytes {
    Bytes::from(format!("v=0 {text}\r\n"))
}

/// One endpoint, and a peer whose messages the test writes by hand.
pub struct Lone {
    pub now: Instant,
    pub endpoint: Endpoint,
    pub flow: Flow,
    pub wake: Option<Instant>,
    pub effects: Vec<Effect>,
    pub events: Vec<Event>,
    /// The sessions that came in.
    pub ids: Vec<SessionId>,
}

pub const PEER: &str = "198.51.100.9:5060";

impl Lone {
    pub fn new() -> Self {
        Self::over(Transport::Udp)
    }

    pub fn over(transport: Transport) -> Self {
        Self::with(transport, |_| {})
    }

    pub fn with(transport: Transport, change: impl FnOnce(&mut Config)) -> Self {
        let now = Instant::now();
        let local = Side::A.address();
        let mut config = config(local);
        change(&mut config);
        let connection = u64::from(transport != Transport::Udp);
        Self {
            now,
            endpoint: Endpoint::new(config, Seed([9; 32]), now),
            flow: Flow { transport, local, remote: PEER.parse().unwrap(), connection },
            wake: None,
            effects: Vec::new(),
            events: Vec::new(),
            ids: Vec::new(),
        }
    }

    pub fn input(&mut self, input: Input<'_>) {
        let (effects, events, ids) = (&mut self.effects, &mut self.events, &mut self.ids);
        self.wake = self.endpoint.step(self.now, input, |output| match output {
            Output::Effect(effect) => effects.push(effect),
            Output::Event(event) => {
                if let Event::Session { id, event: SessionEvent::Invite { .. } } = &event {
                    ids.push(*id);
                }
                events.push(event);
            }
        });
    }

    pub fn receive(&mut self, text: &str) {
        let flow = self.flow;
        self.input(Input::Received { flow, data: text.as_bytes() });
    }

    pub fn command(&mut self, id: SessionId, command: SessionCommand) {
        self.input(Input::Session { id, command });
    }

    /// Lets `time` pass, waking when asked to.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(wake) = self.wake.filter(|wake| *wake <= end) {
            self.now = self.now.max(wake);
            self.input(Input::Timeout);
        }
        self.now = end;
    }

    /// The messages sent since the last look.
    pub fn sent(&mut self) -> Vec<Message> {
        let message = |effect| match effect {
            Effect::Send { data, .. } => Some(Message::parse(&data).unwrap()),
            Effect::Lookup { .. } | Effect::Connect { .. } => None,
        };
        std::mem::take(&mut self.effects).into_iter().filter_map(message).collect()
    }

    /// The responses sent since the last look.
    pub fn responses(&mut self) -> Vec<Response> {
        let only = |message| match message {
            Message::Response(response) => Some(response),
            Message::Request(_) => None,
        };
        self.sent().into_iter().filter_map(only).collect()
    }

    /// The status codes sent since the last look, of answers to what is no message, too.
    pub fn statuses(&mut self) -> Vec<u16> {
        let status = |effect| match effect {
            Effect::Send { data, .. } => String::from_utf8_lossy(&data).split(' ').nth(1)?.parse().ok(),
            Effect::Lookup { .. } | Effect::Connect { .. } => None,
        };
        std::mem::take(&mut self.effects).into_iter().filter_map(status).collect()
    }

    /// The requests sent since the last look.
    pub fn requests(&mut self) -> Vec<Request> {
        let only = |message| match message {
            Message::Request(request) => Some(request),
            Message::Response(_) => None,
        };
        self.sent().into_iter().filter_map(only).collect()
    }

    /// The one answer to `text`.
    pub fn answer(&mut self, text: &str) -> Response {
        self.responses();
        self.receive(text);
        let mut all = self.responses();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    pub fn session_events(&mut self) -> Vec<SessionEvent> {
        let only = |event| match event {
            Event::Session { event, .. } => Some(event),
            _ => None,
        };
        std::mem::take(&mut self.events).into_iter().filter_map(only).collect()
    }

    /// The session that came in last.
    pub fn session(&self) -> SessionId {
        self.ids.last().copied().expect("a call came in")
    }
}

/// A request from [`PEER`] outside any dialog.
pub fn request(method: &str, branch: &str, lines: &str) -> String {
    in_dialog(method, branch, 1, "", lines, "")
}

/// A request from [`PEER`] in the dialog of `call`, with this To tag and body.
pub fn in_dialog(method: &str, branch: &str, seq: u32, to_tag: &str, lines: &str, body: &str) -> String {
    let to_tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let contact = "Contact: <sip:guest@198.51.100.9:5060>\r\n";
    let contact = if lines.contains("Contact:") || method == "REGISTER" { "" } else { contact };
    format!(
        "{method} sip:meeting@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.9:5060;branch=z9hG4bK{branch};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:guest@198.51.100.9>;tag=peer\r\nTo: <sip:meeting@192.0.2.1>{to_tag}\r\n\
         Call-ID: call\r\nCSeq: {seq} {method}\r\n{contact}{lines}{kind}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
