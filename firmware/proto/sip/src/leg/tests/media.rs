//! Two legs talk to each other: what one is given as frames comes out of the other.

use super::super::*;
use super::rig::*;
use crate::endpoint::Transport;
use base::Codec;
use base::leg::{Leg as _, Port, Transmit};
use sdp::Encryption;
use std::net::SocketAddr;
use std::time::Duration;

/// Two legs, each being the other's peer.
struct Pair {
    a: Rig,
    b: Rig,
    time: Duration,
    /// Called for each datagram; `false` loses it.
    passes: fn(&Transmit) -> bool,
}

const TICK: Duration = Duration::from_millis(5);

impl Pair {
    /// `a` is called without an offer, so that its own goes to `b`, whose answer comes back.
    fn new(a: Policy, b: Policy) -> Self {
        let with = |policy, host| Rig::new(Config { policy, ..config(host) });
        let (mut a, mut b) = (with(a, "192.0.2.1"), with(b, "192.0.2.2"));
        a.invite(None);
        a.command(LegCommand::Accept);
        b.tell(SessionEvent::Invite {
            dialled: dialled(),
            offer: Some(description(&mut a)),
            transport: Transport::Udp,
        });
        b.command(LegCommand::Accept);
        a.tell(SessionEvent::Answer(description(&mut b)));
        a.tell(SessionEvent::Confirmed);
        b.tell(SessionEvent::Confirmed);
        b.now = a.now;
        Self { a, b, time: Duration::ZERO, passes: |_| true }
    }

    fn plain() -> Self {
        let policy = || Policy { encryption: Encryption::Off, audio: vec![Codec::Pcma], ..Policy::default() };
        Self::new(policy(), policy())
    }

    /// Lets `time` pass in small steps; each side sends what `feed` gives it.
    fn run(&mut self, time: Duration, mut feed: impl FnMut(Duration, &mut Rig, &mut Rig)) {
        let end = self.time + time;
        while self.time < end {
            feed(self.time, &mut self.a, &mut self.b);
            self.carry();
            self.a.pass(TICK);
            self.b.pass(TICK);
            self.time += TICK;
            self.carry();
        }
    }

    fn carry(&mut self) {
        let deliver = |from: &mut Rig, host: &str, to: &mut Rig, passes: fn(&Transmit) -> bool| {
            for transmit in from.transmits().iter().filter(|transmit| passes(transmit)) {
                let source = SocketAddr::new(host.parse().unwrap(), 40_000 + u16::from(transmit.port.0));
                let port = u8::try_from(transmit.to.port() - 40_000).unwrap();
                to.packet(port, &source.to_string(), &transmit.data);
            }
        };
        deliver(&mut self.a, "192.0.2.1", &mut self.b, self.passes);
        deliver(&mut self.b, "192.0.2.2", &mut self.a, self.passes);
    }
}

fn description(rig: &mut Rig) -> Bytes {
    rig.description().to_bytes().into()
}

/// Packet types in a compound RTCP packet (RFC 3550 6.1).
fn rtcp_types(mut data: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    while let [_, packet_type, high, low, ..] = data {
        types.push(*packet_type);
        let bytes = 4 * (usize::from(u16::from_be_bytes([*high, *low])) + 1);
        data = data.get(bytes..).unwrap_or_default();
    }
    types
}

/// Sound every 20 ms and a picture every 30 ms, from both.
fn both_talk(at: Duration, a: &mut Rig, b: &mut Rig) {
    for rig in [a, b] {
        if at.as_millis().is_multiple_of(20) {
            rig.frame(AUDIO, &sound(at));
        }
        if at.as_millis().is_multiple_of(30) {
            rig.frame(VIDEO, &picture(at, 3_000));
        }
    }
}

fn count(frames: &[(StreamId, base::EncodedFrame)], stream: StreamId) -> usize {
    frames.iter().filter(|(id, frame)| *id == stream && !frame.data.is_empty()).count()
}

#[test]
fn sound_and_picture_flow_both_ways_whole_and_in_step() {
    let mut pair = Pair::plain();
    pair.run(Duration::from_secs(2), both_talk);
    for rig in [&mut pair.a, &mut pair.b] {
        let frames = rig.frames();
        assert!(count(&frames, AUDIO) > 85, "{}", count(&frames, AUDIO));
        assert!(count(&frames, VIDEO) > 55, "{}", count(&frames, VIDEO));
        let pictures = frames.iter().filter(|(id, _)| *id == VIDEO);
        assert!(
            pictures
                .clone()
                .all(|(_, frame)| frame.key && frame.codec == Codec::H264 && frame.data.len() > 3_000)
        );
    }
}

#[test]
fn media_is_encrypted_where_both_have_keys_and_flows_all_the_same() {
    let policy = |encryption| Policy { encryption, audio: vec![Codec::Pcma], ..Policy::default() };
    for (a, b) in [(Encryption::On, Encryption::On), (Encryption::BestEffort, Encryption::On)] {
        let mut pair = Pair::new(policy(a), policy(b));
        pair.passes = |transmit| {
            // A-law silence would show as it is in a plain packet.
            assert!(!transmit.data.windows(16).any(|window| window == [0xd5; 16]));
            true
        };
        pair.run(Duration::from_secs(1), both_talk);
        let frames = pair.b.frames();
        assert!(count(&frames, AUDIO) > 35 && count(&frames, VIDEO) > 25);
    }
}

#[test]
fn a_wanted_picture_is_asked_for_by_rtcp_and_told_on_the_other_side() {
    let mut pair = Pair::plain();
    pair.run(Duration::from_millis(200), both_talk);
    pair.a.events();
    pair.b.events();
    pair.a.command(LegCommand::RequestKeyframe(VIDEO));
    pair.run(Duration::from_millis(50), |_, _, _| {});
    assert!(pair.b.events().contains(&LegEvent::KeyframeWanted(VIDEO)));
    assert!(!pair.a.events().contains(&LegEvent::KeyframeWanted(VIDEO)));
}

#[test]
fn a_room_without_rtcp_feedback_is_asked_for_a_picture_by_rfc_5168() {
    let mut rig = up_with(config("203.0.113.5"), &OFFER.replace("a=rtcp-fb:* nack pli\n", ""));
    rig.commands();
    rig.command(LegCommand::RequestKeyframe(VIDEO));
    let commands = rig.commands();
    let [SessionCommand::Info { content_type, body }] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!(*content_type, "application/media_control+xml");
    assert!(body.windows(19).any(|window| window == b"picture_fast_update"));
}

#[test]
fn a_key_pressed_by_rfc_4733_is_told_once_and_its_twin_by_info_not_again() {
    let mut pair = Pair::plain();
    pair.run(Duration::from_millis(200), both_talk);
    pair.a.command(LegCommand::Dtmf('5'));
    pair.run(Duration::from_millis(500), both_talk);
    let keys =
        |rig: &mut Rig| rig.events().into_iter().filter(|event| matches!(event, LegEvent::Dtmf(_))).count();
    assert_eq!(keys(&mut pair.b), 1);
    let info =
        || SessionEvent::Info { content_type: "application/dtmf-relay".into(), body: "Signal=5".into() };
    pair.b.tell(info());
    assert_eq!(keys(&mut pair.b), 0);
    pair.b.tell(info());
    assert_eq!(keys(&mut pair.b), 1);
}

#[test]
fn packets_go_to_where_the_peers_come_from_whatever_it_said() {
    let mut pair = Pair::plain();
    pair.run(Duration::from_millis(200), both_talk);
    let mut rig = up_with(
        Config {
            policy: Policy { audio: vec![Codec::Pcma], video: Vec::new(), ..Policy::default() },
            ..config("192.0.2.2")
        },
        "v=0\nc=IN IP4 192.168.1.7\nm=audio 4000 RTP/AVP 8\n",
    );
    rig.frame(AUDIO, &sound(Duration::ZERO));
    rig.pass(Duration::from_millis(20));
    let told = rig.transmits();
    assert!(told.iter().all(|transmit| transmit.to.ip().to_string() == "192.168.1.7"), "{told:?}");
    // Behind a NAT: plain RTP from another address, then ours goes there.
    let mut rtp = vec![0x80, 8, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4];
    rtp.resize(172, 0xd5);
    rig.packet(0, "198.51.100.77:61000", &rtp);
    rig.frame(AUDIO, &sound(Duration::from_millis(20)));
    rig.pass(Duration::from_millis(20));
    let learnt = rig.transmits();
    let sound = learnt.iter().find(|transmit| transmit.port == Port(0)).expect("nothing sent");
    assert_eq!(sound.to, "198.51.100.77:61000".parse().unwrap());
}

#[test]
fn a_room_that_dies_silently_is_given_up_and_one_that_sends_is_not() {
    let mut pair = Pair::plain();
    pair.run(Duration::from_secs(35), |at, a, _| {
        if at.as_millis().is_multiple_of(1_000) {
            a.frame(AUDIO, &sound(at));
        }
    });
    assert!(pair.b.commands().is_empty(), "b hears a");
    pair.passes = |_| false;
    pair.run(base::limits::MEDIA_SILENCE + Duration::from_secs(6), |_, _, _| {});
    let ended = [SessionCommand::End(Cause::new(Fault::Network, Kind::MediaTimeout))];
    assert_eq!(pair.a.commands(), ended);
    assert_eq!(pair.b.commands(), ended);
}

#[test]
fn the_end_says_goodbye_by_rtcp_on_every_line() {
    let mut pair = Pair::plain();
    pair.run(Duration::from_millis(200), both_talk);
    pair.a.transmits();
    pair.a.command(LegCommand::End(Cause::CALLER_HUNG_UP));
    let goodbyes = pair.a.transmits();
    assert!(goodbyes.iter().all(|transmit| rtcp_types(&transmit.data).contains(&203)), "{goodbyes:?}");
    let ports: Vec<Port> = goodbyes.iter().map(|transmit| transmit.port).collect();
    // Both agreed on rtcp-mux, so RTCP leaves by the ports of RTP.
    assert_eq!(ports, [Port(0), Port(2)]);
}

#[test]
fn figures_are_of_both_directions_of_each_stream() {
    let mut pair = Pair::plain();
    pair.run(Duration::from_secs(1), both_talk);
    let stats = pair.a.leg.stats();
    let seen: Vec<_> = stats.iter().map(|stats| (stats.stream, stats.direction)).collect();
    use Direction::{Receive, Send};
    assert_eq!(seen, [(AUDIO, Send), (AUDIO, Receive), (VIDEO, Send), (VIDEO, Receive)]);
    assert!(stats.iter().all(|stats| stats.packets > 20 && stats.lost == 0), "{stats:?}");
}

#[test]
fn held_and_resumed_the_streams_go_on() {
    let mut pair = Pair::plain();
    pair.run(Duration::from_millis(500), both_talk);
    pair.b.tell(SessionEvent::OfferWanted);
    let offer = pair.b.description();
    let mut held = offer.clone();
    for media in &mut held.media {
        media.direction = sdp::Direction::SendOnly;
    }
    pair.a.tell(SessionEvent::Offer(held.to_bytes().into()));
    let answer = description(&mut pair.a);
    pair.b.tell(SessionEvent::Answer(answer));
    pair.a.transmits();
    pair.a.frame(VIDEO, &picture(pair.time, 3_000));
    assert!(pair.a.transmits().is_empty(), "a is held and sends nothing");

    pair.a.frames();
    pair.b.frames();
    pair.b.tell(SessionEvent::OfferWanted);
    let offer = description(&mut pair.b);
    pair.a.tell(SessionEvent::Offer(offer));
    let answer = description(&mut pair.a);
    pair.b.tell(SessionEvent::Answer(answer));
    pair.run(Duration::from_secs(1), both_talk);
    assert!(count(&pair.b.frames(), VIDEO) > 20 && count(&pair.a.frames(), AUDIO) > 30);
}
