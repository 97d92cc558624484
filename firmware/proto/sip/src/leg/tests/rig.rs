//! A leg with a clock of its own, and what it put out.

use super::super::*;
use crate::endpoint::Transport;
use base::leg::{Dialled, Port, Protocol, SendStream, Transmit};
use base::{Alias, Codec, EncodedFrame, MediaTime, Pii};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

pub(super) const OFFER: &str = "v=0
o=- 1 1 IN IP4 192.0.2.9
s=-
c=IN IP4 192.0.2.9
t=0 0
m=audio 4000 RTP/AVP 8 101
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000
m=video 4002 RTP/AVP 97
a=rtpmap:97 H264/90000
a=fmtp:97 profile-level-id=42e01f;packetization-mode=1
a=rtcp-fb:* nack pli
";

pub(super) const HUNG_UP: Cause = Cause::CALLER_HUNG_UP;

pub(super) fn config(host: &str) -> Config {
    let socket = |port| SocketAddr::new("10.0.0.1".parse().unwrap(), port);
    let sockets = [socket(40_000), socket(40_001), socket(40_002), socket(40_003)];
    Config::new(host.parse().unwrap(), sockets, "box".to_owned())
}

/// A leg with its clock, and everything it put out and nobody looked at yet.
pub(super) struct Rig {
    pub(super) leg: Leg,
    pub(super) now: Instant,
    pub(super) wake: Option<Instant>,
    pub(super) effects: VecDeque<Effect>,
    pub(super) events: VecDeque<LegEvent>,
}

impl Rig {
    pub(super) fn new(config: Config) -> Self {
        let now = Instant::now();
        let seed = Seed([config.advertised.is_ipv4().into(); 32]);
        let leg = Leg::new(config, now, seed);
        Self { leg, now, wake: None, effects: VecDeque::new(), events: VecDeque::new() }
    }

    pub(super) fn feed(&mut self, input: Input<'_>) {
        let (effects, events) = (&mut self.effects, &mut self.events);
        self.wake = self.leg.step(self.now, input, |output| match output {
            Output::Effect(effect) => effects.push_back(effect),
            Output::Event(event) => events.push_back(event),
        });
    }

    pub(super) fn tell(&mut self, event: SessionEvent) {
        self.feed(Input::Session(event));
    }

    pub(super) fn command(&mut self, command: LegCommand) {
        self.feed(Input::Leg(LegInput::Command(command)));
    }

    pub(super) fn invite(&mut self, offer: Option<&str>) {
        self.tell(SessionEvent::Invite {
            dialled: dialled(),
            offer: offer.map(body),
            transport: Transport::Udp,
        });
    }

    /// Lets `time` pass, waking the leg whenever it wants.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(wake) = self.wake.filter(|wake| *wake <= end) {
            self.now = self.now.max(wake);
            self.feed(Input::Leg(LegInput::Timeout));
        }
        self.now = end;
    }

    /// The session commands so far.
    pub(super) fn commands(&mut self) -> Vec<SessionCommand> {
        let commands = self.effects.iter().filter_map(|effect| match effect {
            Effect::Session(command) => Some(command.clone()),
            Effect::Leg(_) => None,
        });
        let commands = commands.collect();
        self.effects.retain(|effect| matches!(effect, Effect::Leg(_)));
        commands
    }

    pub(super) fn transmits(&mut self) -> Vec<Transmit> {
        let transmits = self.effects.iter().filter_map(|effect| match effect {
            Effect::Leg(LegEffect::Transmit(transmit)) => Some(transmit.clone()),
            _ => None,
        });
        let transmits = transmits.collect();
        self.effects.retain(|effect| !matches!(effect, Effect::Leg(LegEffect::Transmit(_))));
        transmits
    }

    pub(super) fn frames(&mut self) -> Vec<(StreamId, EncodedFrame)> {
        let frames = self.effects.iter().filter_map(|effect| match effect {
            Effect::Leg(LegEffect::Frame { stream, frame }) => Some((*stream, frame.clone())),
            _ => None,
        });
        let frames = frames.collect();
        self.effects.retain(|effect| !matches!(effect, Effect::Leg(LegEffect::Frame { .. })));
        frames
    }

    pub(super) fn events(&mut self) -> Vec<LegEvent> {
        self.events.drain(..).collect()
    }

    pub(super) fn media(&mut self) -> MediaState {
        let told = self.events().into_iter().rev().find_map(|event| match event {
            LegEvent::Media(state) => Some(state),
            _ => None,
        });
        told.expect("no media was told")
    }

    /// The description in the one command that was given.
    pub(super) fn description(&mut self) -> SessionDescription {
        let commands = self.commands();
        let [SessionCommand::Accept(body) | SessionCommand::Answer(body)] = &commands[..] else {
            panic!("no description in {commands:?}")
        };
        SessionDescription::parse(body).unwrap()
    }

    pub(super) fn packet(&mut self, port: u8, from: &str, data: &[u8]) {
        self.feed(Input::Leg(LegInput::Packet { port: Port(port), from: from.parse().unwrap(), data }));
    }

    pub(super) fn frame(&mut self, stream: StreamId, frame: &EncodedFrame) {
        self.feed(Input::Leg(LegInput::Frame { stream, frame }));
    }
}

pub(super) fn up() -> Rig {
    up_with(config("203.0.113.5"), OFFER)
}

pub(super) fn up_with(config: Config, offer: &str) -> Rig {
    let mut rig = Rig::new(config);
    rig.invite(Some(offer));
    rig.command(LegCommand::Accept);
    rig.tell(SessionEvent::Confirmed);
    rig
}

pub(super) fn dialled() -> Dialled {
    Dialled {
        alias: Alias::parse("1234567890123@meet.example.com", "sip").unwrap(),
        caller: Alias::parse("room@example.com", "sip").unwrap(),
        display_name: Pii::new("Room"),
        protocol: Protocol::Sip,
        source: "192.0.2.9:5060".parse().unwrap(),
        registered: false,
        user_agent: None,
    }
}

pub(super) fn body(text: &str) -> Bytes {
    text.replace('\n', "\r\n").into()
}

pub(super) fn ids(streams: &[SendStream]) -> Vec<StreamId> {
    streams.iter().map(|stream| stream.id).collect()
}

pub(super) fn sound(at: Duration) -> EncodedFrame {
    let captured = MediaTime::from_duration(at);
    let data = Bytes::from(vec![0xd5; 160]);
    EncodedFrame { codec: Codec::Pcma, captured, arrived: captured, key: true, contiguous: true, data }
}

pub(super) fn picture(at: Duration, bytes: usize) -> EncodedFrame {
    let captured = MediaTime::from_duration(at);
    let mut data = vec![0, 0, 0, 1, 0x67, 0x42, 0xe0, 0x1f, 0, 0, 0, 1, 0x68, 0xce, 0x3c, 0, 0, 0, 1, 0x65];
    data.resize(data.len() + bytes, 0xab);
    EncodedFrame {
        codec: Codec::H264,
        captured,
        arrived: captured,
        key: true,
        contiguous: true,
        data: data.into(),
    }
}
