//! What is fuzzed: each function takes any bytes at all, turns the parser or machine behind it, and checks what must hold
//! whatever came. `cargo xtask fuzz` runs them under libFuzzer; the tests below run them over the seeds.
//!
//! Panics, more than 512 MiB, an allocation of more than 64 MiB at once and inputs that take longer than five seconds are
//! found by libFuzzer itself.

use base::frame::{Codec, MediaKind};
use base::{Machine, Output, Secret, Seed};
use rtp::payload::{After, Arrival, audio, h264, vp8};
use rtp::{
    Channel, Config, CryptoAttribute, Format, H264Mode, Incoming, KeyframeRequests, RecvFormat, Remote,
    RtcpTransport, RtpSession, SendFormat,
};
use sdp::{Capabilities, Local, LocalPorts, Negotiator, NoKeys, SessionDescription};
use sip::endpoint::{self, Endpoint, Flow, Listen, Policy, Transport};
use sip::framing::{self, Frame, StreamFramer};
use sip::message::Message;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

const US: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5060);
const PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 5070);

/// SIP: as a datagram, as a stream in two pieces, and at the endpoint.
pub fn sip(data: &[u8]) {
    if let Ok(Some(message)) = framing::datagram(data) {
        let again = Message::parse(&message.to_bytes());
        assert_eq!(again.as_ref(), Ok(&message), "a message is read back as it was written");
    }
    let (mut framer, mut frames) = (StreamFramer::new(), Vec::new());
    let (first, second) = data.split_at(data.len() / 2);
    if framer.push(first, |frame| frames.push(frame)).is_ok() {
        drop(framer.push(second, |frame| frames.push(frame)));
    }
    let cut: usize =
        frames.iter().map(|frame| if let Frame::Message(data) = frame { data.len() } else { 0 }).sum();
    assert!(cut <= data.len(), "more came out of a stream than went in");
    at_endpoint(data);
}

fn at_endpoint(data: &[u8]) {
    let mut now = Instant::now();
    let listen = Listen { transport: Transport::Udp, local: US, host: US.ip().into(), port: US.port() };
    let config = endpoint::Config {
        listen: vec![listen],
        product: "fuzz".to_owned(),
        realm: "meet.example.com".to_owned(),
        challenge: Policy::Devices,
        devices: HashMap::new(),
        info_types: Vec::new(),
    };
    let mut endpoint = Endpoint::new(config, Seed([7; 32]), now);
    let flow = Flow { transport: Transport::Udp, local: US, remote: PEER, connection: 0 };
    let mut wake = endpoint.step(now, endpoint::Input::Received { flow, data }, |_| ());
    for _ in 0..64 {
        let Some(at) = wake else { break };
        now = now.max(at);
        wake = endpoint.step(now, endpoint::Input::Timeout, |_| ());
    }
}

/// SDP: an offer is read, answered, and the answer is valid against it.
pub fn sdp(data: &[u8]) {
    let Ok(offer) = SessionDescription::parse(data) else { return };
    let ports =
        |port| LocalPorts { rtp: SocketAddr::new(US.ip(), port), rtcp: SocketAddr::new(US.ip(), port + 1) };
    let local = Local { audio: ports(40_000), video: ports(40_002) };
    let mut negotiator = Negotiator::new(Capabilities::default(), local, 1);
    let Ok((answer, _)) = negotiator.answer(&offer, &mut NoKeys) else { return };
    assert_eq!(answer.media.len(), offer.media.len(), "an answer has the lines of its offer");
    let again = SessionDescription::parse(&answer.to_bytes()).expect("our own answer can be read");
    assert_eq!(again.media.len(), answer.media.len());
}

/// RTP: a session takes packets, each behind its length in one octet and a time step in another.
pub fn rtp(data: &[u8]) {
    session(data, MediaKind::Video, Codec::H264, Channel::Rtp);
    session(data, MediaKind::Audio, Codec::Opus, Channel::Rtp);
}

/// RTCP: compound packets by themselves, and at a session.
pub fn rtcp(data: &[u8]) {
    let mut count = 0;
    rtp::rtcp::parse(data, |_| count += 1);
    assert!(count <= rtp::rtcp::MAX_MESSAGES, "{count} messages of one compound");
    session(data, MediaKind::Video, Codec::Vp8, Channel::Rtcp);
}

/// Payload formats, keys and SDES attributes.
pub fn payload(data: &[u8]) {
    let (mut avc, mut vp8) = (h264::Depacketizer::new(&[]), vp8::Depacketizer::default());
    for (i, piece) in pieces(data).enumerate() {
        let flags = piece.first().copied().unwrap_or(0);
        let after = if flags & 1 == 0 { After::Neighbour } else { After::Gap };
        let arrival = Arrival { timestamp: u32::from(flags >> 2), marker: flags & 2 != 0, after };
        let payload = piece.get(1..).unwrap_or_default();
        let bounded =
            |picture: rtp::payload::Picture| assert!(picture.data.len() <= base::limits::VIDEO_FRAME_BYTES);
        avc.push(arrival, payload, bounded);
        vp8.push(arrival, payload, bounded);
        if i % 16 == 15 {
            avc.reset();
            vp8.reset();
        }
        let codecs = [Codec::Opus, Codec::G722, Codec::Pcma];
        let _ = (codecs.map(|codec| audio::ticks(codec, payload)), rtp::dtmf::parse(payload));
    }
    if let Ok(text) = std::str::from_utf8(data) {
        drop(CryptoAttribute::parse(text));
        drop(h264::sprop(text));
    }
}

/// What a conference answers and says on its data channel.
pub fn conference(data: &[u8]) {
    use meet::interop::wire;
    drop(wire::parse_join_reply(data));
    drop(wire::parse_problem(data));
    drop(wire::parse_server_message(data));
}

/// LDAP: a connection takes all of it, in pieces as long as the first octet says; its answers are whole messages.
pub fn ldap(data: &[u8]) {
    let Some((piece, data)) = data.split_first() else { return };
    let contact = |group: &str, name: &str| ldap::Contact {
        name: name.to_owned(),
        group: Some(group.to_owned()),
        sip: vec![format!("sip:{name}@example.com")],
        numbers: vec!["+49301234".to_owned()],
        ..ldap::Contact::default()
    };
    let contacts =
        vec![contact("Rome", "Abbey"), contact("Rome", "Able"), contact("Berlin", "Huddle, small")];
    let tree = ldap::Tree::new("dc=meet,dc=example,dc=com", "1", contacts).expect("a base");
    let login = ldap::Login { user: "rooms".to_owned(), password: Secret::new("open sesame".to_owned()) };
    let service = ldap::Service { anonymous: ldap::Anonymous::Allowed, login: Some(login) };
    let mut connection = ldap::Connection::new(Arc::new(service), Arc::new(tree));
    let (now, mut is_closed) = (Instant::now(), false);
    for piece in data.chunks(usize::from(*piece).max(1) * 16) {
        let mut input = ldap::Input::Received(piece);
        // What waits is bounded, and each search over these few entries takes one slice.
        for steps in 0.. {
            assert!(steps <= 2 * ldap::MAX_WAITING + piece.len(), "it never gets done");
            let wake = connection.step(now, input, |output| {
                assert!(!is_closed, "it goes on after its end");
                match output {
                    Output::Effect(ldap::Effect::Close) => is_closed = true,
                    Output::Effect(ldap::Effect::Send(bytes)) => whole_messages(&bytes),
                    Output::Event(_) => {}
                }
            });
            if wake.is_none() {
                break;
            }
            input = ldap::Input::Timeout;
        }
    }
}

fn whole_messages(bytes: &[u8]) {
    let mut reader = ldap::ber::Reader::new(bytes);
    while !reader.is_empty() {
        let mut message = reader.inner(ldap::ber::SEQUENCE).expect("our own messages can be read");
        assert!(message.integer(ldap::ber::INTEGER).is_ok_and(|id| id >= 0) && message.any().is_ok());
    }
}

fn session(data: &[u8], kind: MediaKind, codec: Codec, channel: Channel) {
    let epoch = Instant::now();
    let format =
        |payload_type| RecvFormat { payload_type, format: Format::Media(codec), parameter_sets: Vec::new() };
    let config = Config {
        kind,
        send: Some(SendFormat {
            payload_type: 96,
            codec,
            h264: H264Mode::NonInterleaved,
            frame_time: Duration::from_millis(20),
        }),
        recv: vec![format(96), format(0)],
        dtmf: None,
        remote: Remote { rtp: Some(PEER), rtcp: None },
        rtcp: RtcpTransport::Muxed,
        keyframe_requests: KeyframeRequests::default(),
        srtp: None,
        cname: "fuzz".to_owned(),
        max_bps: 1_000_000,
    };
    let mut session = RtpSession::new(config, epoch, Seed([7; 32])).expect("no keys, no error");
    let mut now = epoch;
    for piece in pieces(data) {
        now += Duration::from_millis(u64::from(piece.first().copied().unwrap_or(0)));
        let incoming = Incoming { channel, from: PEER, data: piece.get(1..).unwrap_or_default() };
        let wake = session.receive(now, incoming, |_| ());
        if wake.is_some_and(|at| at <= now) {
            session.timeout(now, |_| ());
        }
    }
    for _ in 0..64 {
        let Some(at) = session.timeout(now, |_| ()) else { break };
        now = now.max(at);
    }
}

/// The data in pieces, each behind its length in one octet.
fn pieces(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = data.split_first()?;
        let (piece, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        data = rest;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn over_seeds(name: &str, target: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
        let seeds: Vec<_> = std::fs::read_dir(&folder).expect("seeds").filter_map(Result::ok).collect();
        assert!(!seeds.is_empty(), "{} holds no seeds", folder.display());
        for seed in seeds {
            target(&std::fs::read(seed.path()).expect("a seed"));
        }
    }

    #[test]
    fn every_seed_goes_through_its_target() {
        over_seeds("sip", sip);
        over_seeds("sdp", sdp);
        over_seeds("rtp", rtp);
        over_seeds("rtcp", rtcp);
        over_seeds("payload", payload);
        over_seeds("conference", conference);
        over_seeds("ldap", ldap);
    }
}
