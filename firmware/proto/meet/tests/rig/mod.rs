//! A leg, a conference and a network between them, all in virtual time.

use base::ids::{CallId, ParticipantId, StreamId};
use base::leg::{
    HttpFailure, HttpReply, HttpRequest, HttpResponse, Join, LegCommand, LegEffect, LegEvent, LegInput, Port,
    Trust,
};
use base::{Cause, Codec, EncodedFrame, Machine, MediaTime, Output, Pii, Secret, Seed};
use bytes::Bytes;
use meet::interop::{BaseUrl, Config, Leg, Timeouts};
use meet::{ConnectorContext, Effect, Input};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use webrtc::testing::{FarSide, Heard, HeardFrame, Link};

/// How long an HTTP answer takes.
const HTTP_DELAY: Duration = Duration::from_millis(20);

/// How the conference answers a join.
#[derive(Debug, Clone)]
pub enum Conference {
    /// It is let in.
    Admits,
    /// It waits.
    Lobby,
    /// It is refused with this status and body.
    Refuses(u16, String),
    /// There is no answer: this is what the HTTP client says in the end.
    Fails(HttpFailure),
    /// The HTTP client never says anything.
    Silent,
}

pub struct World {
    pub epoch: Instant,
    pub now: Instant,
    pub leg: Leg,
    pub far: Option<FarSide>,
    pub up: Link,
    pub down: Link,
    pub conference: Conference,
    pub answers_delete: bool,
    pub events: Vec<(Instant, LegEvent)>,
    pub frames: Vec<(StreamId, EncodedFrame)>,
    pub requests: Vec<HttpRequest>,
    pub heard: Vec<(Instant, Heard)>,
    /// When and how many bytes left, UDP, IP and Ethernet headers included.
    pub sent: Vec<(Instant, usize)>,
    wake: Option<Instant>,
    replies: Vec<(Instant, HttpReply)>,
}

pub fn gateway() -> SocketAddr {
    "192.0.2.10:40000".parse().unwrap()
}

pub fn conference() -> SocketAddr {
    "198.51.100.20:19302".parse().unwrap()
}

pub const ME: &str = "spaces/1234567890123/devices/5";

pub fn device(number: u32) -> ParticipantId {
    ParticipantId(format!("spaces/1234567890123/devices/{number}"))
}

pub fn config() -> Config {
    Config {
        base_url: BaseUrl::parse("https://meet.example.com").unwrap(),
        gateway_token: None,
        timeouts: Timeouts::default(),
    }
}

pub fn join(trust: Trust) -> Join {
    Join {
        call: CallId(7),
        meeting: "1234567890123".to_owned(),
        pin: None,
        display_name: Pii::new("Boardroom"),
        trust,
        access_token: Secret::new("tok-1".to_owned()),
        max_bps: 2_000_000,
    }
}

impl World {
    pub fn new(conference: Conference) -> Self {
        Self::with(conference, &config(), join(Trust::Trusted))
    }

    pub fn with(conference: Conference, config: &Config, join: Join) -> Self {
        let epoch = Instant::now();
        let now = epoch + Duration::from_secs(100);
        let context = ConnectorContext {
            bound: gateway(),
            public: None,
            epoch,
            unix_at_epoch: Duration::from_secs(1_700_000_000),
            seed: Seed([7; 32]),
        };
        let mut world = Self {
            epoch,
            now,
            leg: Leg::new(now, config, join, context).unwrap(),
            far: None,
            up: Link::new(Duration::from_millis(15)),
            down: Link::new(Duration::from_millis(15)),
            conference,
            answers_delete: true,
            events: Vec::new(),
            frames: Vec::new(),
            requests: Vec::new(),
            heard: Vec::new(),
            sent: Vec::new(),
            wake: None,
            replies: Vec::new(),
        };
        world.step(Input::Leg(LegInput::Timeout));
        world
    }

    /// A world in which the leg has joined and its channel is open.
    pub fn joined() -> Self {
        let mut world = Self::new(Conference::Admits);
        world.run(Duration::from_secs(2));
        assert!(world.is_connected(), "{:?}", world.events);
        world.say(r#"{"type":"state","state":"joined"}"#);
        world
    }

    pub fn step(&mut self, input: Input<'_>) {
        let now = self.now;
        let mut out = Vec::new();
        self.wake = self.leg.step(now, input, |output| out.push(output));
        for output in out {
            match output {
                Output::Effect(Effect::Leg(LegEffect::Transmit(transmit))) => {
                    assert_eq!((transmit.port, transmit.to), (Port(0), conference()));
                    self.sent.push((now, transmit.data.len() + 42));
                    self.up.send(now, gateway(), transmit.data.to_vec());
                }
                Output::Effect(Effect::Leg(LegEffect::Frame { stream, frame })) => {
                    self.frames.push((stream, frame))
                }
                Output::Effect(Effect::Http(request)) => self.request(request),
                Output::Event(event) => {
                    assert!(self.cause().is_none(), "{event:?} after the end");
                    self.events.push((now, event));
                }
            }
        }
    }

    pub fn command(&mut self, command: LegCommand) {
        self.step(Input::Leg(LegInput::Command(command)));
    }

    /// Sends a frame captured `ago`.
    pub fn send(&mut self, stream: u32, codec: Codec, ago: Duration, key: bool, data: Vec<u8>) {
        let captured = MediaTime::at(self.epoch, self.now - ago);
        let data = Bytes::from(data);
        let frame = EncodedFrame { codec, captured, arrived: captured, key, contiguous: true, data };
        self.step(Input::Leg(LegInput::Frame { stream: StreamId(stream), frame: &frame }));
    }

    /// Lets the conference say something on the data channel.
    pub fn say(&mut self, text: &str) {
        assert!(self.far.as_mut().unwrap().say(text), "the channel is not open");
        self.turn_far();
        self.run(Duration::from_millis(100));
    }

    pub fn turn_far(&mut self) {
        let now = self.now;
        let Some(far) = &mut self.far else { return };
        let mut heard = Vec::new();
        far.turn(now, |what| heard.push(what));
        for what in heard {
            match what {
                Heard::Transmit(to, data) => {
                    assert_eq!(to, gateway());
                    self.down.send(now, conference(), data);
                }
                what => self.heard.push((now, what)),
            }
        }
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let far = self.far.as_ref().map(|far| far.wake);
            let reply = self.replies.iter().map(|(at, _)| *at).min();
            let next = [self.wake, far, self.up.next(), self.down.next(), reply].into_iter().flatten().min();
            let Some(next) = next.filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            self.happen();
        }
        self.now = end;
    }

    fn happen(&mut self) {
        while let Some((from, data)) = self.up.arrived(self.now) {
            if let Some(far) = &mut self.far {
                far.receive(self.now, from, &data);
            }
            self.turn_far();
        }
        while let Some((from, data)) = self.down.arrived(self.now) {
            self.step(Input::Leg(LegInput::Packet { port: Port(0), from, data: &data }));
        }
        if let Some(at) = self.replies.iter().position(|(at, _)| *at <= self.now) {
            let (_, reply) = self.replies.remove(at);
            self.step(Input::Http(reply));
        }
        if self.far.as_ref().is_some_and(|far| far.wake <= self.now) {
            self.turn_far();
        }
        if self.wake.is_some_and(|at| at <= self.now) {
            self.step(Input::Leg(LegInput::Timeout));
        }
    }

    fn request(&mut self, request: HttpRequest) {
        let result = match (request.method, self.conference.clone()) {
            ("DELETE", _) if self.answers_delete => Ok(HttpResponse { status: 204, body: Bytes::new() }),
            ("DELETE", _) | (_, Conference::Silent) => {
                self.requests.push(request);
                return;
            }
            (_, Conference::Admits) => Ok(self.admit(&request, "joined")),
            (_, Conference::Lobby) => Ok(self.admit(&request, "lobby")),
            (_, Conference::Refuses(status, body)) => Ok(HttpResponse { status, body: body.into() }),
            (_, Conference::Fails(failure)) => Err(failure),
        };
        let reply = HttpReply { id: request.id, result };
        self.requests.push(request);
        self.replies.push((self.now + HTTP_DELAY, reply));
    }

    fn admit(&mut self, request: &HttpRequest, state: &str) -> HttpResponse {
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let offer = body["sdpOffer"].as_str().unwrap();
        let (far, answer) = FarSide::answer(self.now, conference(), offer).unwrap();
        self.far = Some(far);
        self.turn_far();
        let reply = serde_json::json!({
            "participant": ME,
            "session": "/interop/v1/sessions/9f86d081884c7d65",
            "sdpAnswer": answer,
            "state": state,
            "lobbyDeadlineSeconds": 60,
        });
        HttpResponse { status: 200, body: reply.to_string().into() }
    }

    pub fn is_connected(&self) -> bool {
        self.events.iter().any(|(_, event)| *event == LegEvent::Connected)
    }

    pub fn cause(&self) -> Option<Cause> {
        self.events.iter().find_map(|(_, event)| match event {
            LegEvent::Ended(cause) => Some(*cause),
            _ => None,
        })
    }

    pub fn ended_at(&self) -> Option<Instant> {
        self.events.iter().find(|(_, event)| matches!(event, LegEvent::Ended(_))).map(|(at, _)| *at)
    }

    pub fn heard_frames(&self) -> impl Iterator<Item = (Instant, &HeardFrame)> {
        self.heard.iter().filter_map(|(at, heard)| match heard {
            Heard::Frame(frame) => Some((*at, frame)),
            _ => None,
        })
    }

    pub fn heard_texts(&self) -> Vec<&str> {
        let texts = self.heard.iter().filter_map(|(_, heard)| match heard {
            Heard::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    /// The most bytes that left in any second.
    pub fn fullest_second(&self) -> usize {
        let (mut from, mut sum, mut most) = (0, 0, 0);
        for (at, bytes) in &self.sent {
            sum += bytes;
            while *at - self.sent[from].0 > Duration::from_secs(1) {
                sum -= self.sent[from].1;
                from += 1;
            }
            most = most.max(sum);
        }
        most
    }
}
