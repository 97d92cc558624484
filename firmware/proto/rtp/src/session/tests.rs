//! Two sessions against each other in virtual time, over a network of chosen faults.

mod rig;

use super::*;
use crate::packet::{self, RtpHeader};
use crate::session::config::{DtmfFormat, H264Mode, KeyframeRequests, RtcpTransport, SendFormat};
use crate::srtp::{CryptoAttribute, CryptoSuite};
use base::MediaTime;
use proptest::prelude::*;
use rig::{End, Network, Rig, address, sound_config, video_config};

const LOSSY: Network = Network { delay_ms: 20, jitter_ms: 100, loss_percent: 10 };
const FAST: Network = Network { delay_ms: 20, jitter_ms: 0, loss_percent: 0 };
const SECOND: Duration = Duration::from_secs(1);

fn keys() -> (SrtpKeys, SrtpKeys) {
    let mut rng = ChaCha12Rng::from_seed([7; 32]);
    let a = CryptoAttribute::generate(1, CryptoSuite::AesCm128Sha1_80, &mut rng);
    let b = CryptoAttribute::generate(1, CryptoSuite::AesCm128Sha1_80, &mut rng);
    (SrtpKeys { send: a.clone(), recv: b.clone() }, SrtpKeys { send: b, recv: a })
}

#[test]
fn sound_over_a_lossy_jittering_reordering_network_stays_in_order_and_steady() {
    let (here, there) = keys();
    let config = |srtp| Config { srtp: Some(srtp), ..sound_config(Codec::Opus) };
    let mut rig = Rig::new(config(here), config(there), LOSSY);
    rig.talk(30 * SECOND);
    let heard = &rig.frames[End::B as usize];
    assert!(heard.windows(2).all(|two| two[1].at - two[0].at == Duration::from_millis(20)));
    let concealed = heard.iter().filter(|heard| heard.frame.data.is_empty()).count();
    assert!((80..300).contains(&concealed), "{concealed} of {}", heard.len());
    let whole: Vec<_> = heard.iter().filter(|heard| !heard.frame.data.is_empty()).collect();
    assert!(whole.windows(2).all(|two| two[0].number() < two[1].number()));
    assert!(whole.len() > 1200, "{}", whole.len());
    assert_eq!(rig.session(End::B).stats().unauthentic, 0);
}

#[test]
fn pictures_survive_100_ms_of_jitter_and_reordering_without_any_loss() {
    for codec in [Codec::H264, Codec::Vp8] {
        let network = Network { loss_percent: 0, ..LOSSY };
        let mut rig = Rig::new(video_config(codec), video_config(codec), network);
        rig.show(20 * SECOND);
        let seen = rig.numbers(End::B);
        let gaps = rig.frames[End::B as usize].iter().filter(|seen| !seen.frame.contiguous).count();
        assert!(seen.windows(2).all(|two| two[0] < two[1]));
        assert!(seen.len() > 590 && gaps <= 2, "{codec}: {} seen, {gaps} gaps", seen.len());
    }
}

#[test]
fn the_picture_recovers_within_a_second_after_loss_jitter_and_reordering_end() {
    for codec in [Codec::H264, Codec::Vp8] {
        let mut rig = Rig::new(video_config(codec), video_config(codec), LOSSY);
        rig.show(10 * SECOND);
        assert!(rig.keyframes_asked[End::A as usize] > 3);
        rig.network = FAST;
        let quiet = rig.now();
        rig.show(2 * SECOND);
        // then within a second a keyframe came, and no picture is missing from there on
        let after: Vec<_> = rig.frames[End::B as usize].iter().filter(|seen| seen.at >= quiet).collect();
        let key = after.iter().position(|seen| seen.frame.key).expect("a keyframe");
        assert!(after[key].at - quiet < SECOND, "{codec}: {:?}", after[key].at - quiet);
        assert!(after[key + 1..].iter().all(|seen| seen.frame.contiguous), "{codec}");
        assert!(after.len() - key > 25);
        // and nobody asks any more, once the report of it has come
        rig.show(6 * SECOND);
        let asked = rig.keyframes_asked[End::A as usize];
        rig.show(3 * SECOND);
        assert_eq!(rig.keyframes_asked[End::A as usize], asked);
    }
}

#[test]
fn the_first_picture_is_asked_for_if_it_does_not_stand_alone() {
    let mut rig = Rig::new(video_config(Codec::H264), video_config(Codec::H264), FAST);
    rig.key_next = false;
    rig.show(SECOND / 2);
    assert_eq!(rig.keyframes_asked[End::A as usize], 1);
    assert!(rig.frames[End::B as usize].iter().any(|seen| seen.frame.key));
}

#[test]
fn keyframes_are_asked_for_by_what_was_negotiated() {
    let mut fir = video_config(Codec::H264);
    fir.keyframe_requests = KeyframeRequests::Fir;
    let mut rig = Rig::new(fir.clone(), fir, FAST);
    rig.show(SECOND);
    rig.request_keyframe(End::B);
    rig.show(SECOND);
    assert_eq!(rig.keyframes_asked[End::A as usize], 1);

    let mut signalling = video_config(Codec::H264);
    signalling.keyframe_requests = KeyframeRequests::Signalling;
    let mut rig = Rig::new(signalling.clone(), signalling, FAST);
    rig.show(SECOND);
    rig.request_keyframe(End::B);
    assert_eq!((rig.by_signalling, rig.keyframes_asked[End::A as usize]), (1, 0));
}

#[test]
fn a_peer_whose_key_picture_got_lost_gets_another_however_soon_it_asks_again() {
    let mut rig = Rig::new(video_config(Codec::H264), video_config(Codec::H264), FAST);
    rig.show(SECOND);
    let about = rig.session(End::A).ssrc();
    let pli = crate::rtcp::Compound::new(5, None, None, "room").pli(about).finish();
    let ask = |rig: &mut Rig| {
        let from = address(End::B, 1);
        rig.inject(End::A, Incoming { channel: Channel::Rtcp, from, data: &pli });
        rig.keyframes_asked[End::A as usize]
    };
    assert_eq!(ask(&mut rig), 1);
    rig.show(SECOND / 5);
    assert_eq!(ask(&mut rig), 1, "not so soon");
    rig.show(SECOND / 5);
    assert_eq!(rig.keyframes_asked[End::A as usize], 2);
    rig.show(SECOND);
    assert_eq!(rig.keyframes_asked[End::A as usize], 2);
}

#[test]
fn a_peer_that_cannot_ask_for_a_keyframe_gets_one_when_it_reports_loss() {
    let mut signalling = video_config(Codec::H264);
    signalling.keyframe_requests = KeyframeRequests::Signalling;
    let mut rig = Rig::new(signalling.clone(), signalling.clone(), LOSSY);
    rig.show(20 * SECOND);
    assert!(rig.keyframes_asked[End::A as usize] > 1);

    let mut rig = Rig::new(signalling.clone(), signalling, FAST);
    rig.show(20 * SECOND);
    assert_eq!(rig.keyframes_asked[End::A as usize], 0, "nothing was lost");
}

#[test]
fn p8_statistics_loss_jitter_and_round_trip_are_seen_from_both_sides() {
    let mut rig = Rig::new(sound_config(Codec::Pcmu), sound_config(Codec::Pcmu), LOSSY);
    rig.talk(20 * SECOND);
    let (sent, received) = (rig.session(End::A).stats(), rig.session(End::B).stats());
    assert_eq!(sent.sent_packets, 1000);
    assert!((50..150).contains(&received.received_lost), "{received:?}");
    assert!(sent.sent_lost.abs_diff(received.received_lost) < 20, "{sent:?}");
    assert!((20..50).contains(&received.received_jitter.as_millis()), "{received:?}");
    assert!((20..50).contains(&sent.sent_jitter.as_millis()), "{sent:?}");
    let trip = sent.round_trip.unwrap().as_millis();
    assert!((40..=240).contains(&trip), "{trip}");
    let stats = rig.session(End::B).stream_stats(StreamId(4), Direction::Receive).unwrap();
    assert_eq!(
        (stats.codec, stats.lost, stats.packets),
        (Codec::Pcmu, received.received_lost, received.received_packets)
    );
}

#[test]
fn captured_times_of_sound_and_picture_meet_on_the_box() {
    let capture = |codec| {
        let mut rig = match codec {
            Codec::Opus => Rig::new(sound_config(codec), sound_config(codec), FAST),
            _ => Rig::new(video_config(codec), video_config(codec), FAST),
        };
        if codec == Codec::Opus {
            rig.talk(10 * SECOND)
        } else {
            rig.show(10 * SECOND)
        }
        let last = rig.frames[End::B as usize].last().unwrap();
        last.frame.captured.saturating_since(last.sent())
    };
    let (sound, picture) = (capture(Codec::Opus), capture(Codec::H264));
    assert!(sound.abs_diff(picture) < Duration::from_millis(2), "{sound:?} {picture:?}");
}

#[test]
fn loss_that_the_peer_reports_lowers_what_may_be_sent_and_its_end_raises_it() {
    let heavy = Network { loss_percent: 30, ..FAST };
    let mut rig = Rig::new(video_config(Codec::Vp8), video_config(Codec::Vp8), heavy);
    rig.show(20 * SECOND);
    let low = *rig.bandwidth.last().unwrap();
    assert!(low < 1_000_000, "{low}");
    rig.network = FAST;
    rig.show(60 * SECOND);
    assert_eq!(rig.bandwidth.last(), Some(&2_000_000));
}

#[test]
fn sound_that_gets_lost_is_told_to_be_expected_until_it_is_not_lost_for_long() {
    let mut rig = Rig::new(sound_config(Codec::Opus), sound_config(Codec::Opus), FAST);
    rig.talk(20 * SECOND);
    assert_eq!(rig.expected_loss, [], "nothing is lost and nothing expected");
    rig.network = Network { loss_percent: 10, ..FAST };
    rig.talk(30 * SECOND);
    let told = rig.expected_loss.last().copied();
    assert!(told.is_some_and(|percent| percent >= 10), "{told:?}");
    rig.network = FAST;
    rig.talk(120 * SECOND);
    assert_eq!(rig.expected_loss.last(), Some(&0));
}

#[test]
fn a_key_is_told_once_and_the_sound_goes_on_after_it() {
    let config =
        Config { dtmf: Some(DtmfFormat { payload_type: 101, clock: 8_000 }), ..sound_config(Codec::G722) };
    let mut rig = Rig::new(config.clone(), config, LOSSY);
    rig.talk(5 * SECOND);
    for key in ['1', '2', '#', '#'] {
        assert!(rig.press(End::A, key));
    }
    rig.talk(5 * SECOND);
    assert_eq!(rig.keys, "12##");
    let last = rig.frames[End::B as usize].iter().rev().find(|heard| !heard.frame.data.is_empty()).unwrap();
    assert!(rig.now() - last.at < SECOND);
}

#[test]
fn a_peer_without_telephone_event_takes_no_keys() {
    let mut session = RtpSession::new(sound_config(Codec::Pcma), Instant::now(), Seed([1; 32])).unwrap();
    assert!(!session.press(Instant::now(), '1'));
}

#[test]
fn a_held_stream_sends_nothing_and_takes_nothing_and_comes_back() {
    let mut rig = Rig::new(sound_config(Codec::Pcmu), sound_config(Codec::Pcmu), FAST);
    rig.talk(2 * SECOND);
    let held = Config { send: None, recv: Vec::new(), ..sound_config(Codec::Pcmu) };
    rig.reconfigure(End::B, held);
    rig.talk(SECOND);
    let heard = rig.frames[End::B as usize].len();
    rig.talk(2 * SECOND);
    assert_eq!(rig.frames[End::B as usize].len(), heard);
    rig.reconfigure(End::B, sound_config(Codec::Pcmu));
    rig.talk(2 * SECOND);
    assert!(rig.frames[End::B as usize].len() > heard + 90);
    assert!(rig.session(End::B).stats().sent_packets > 190);
}

#[test]
fn a_new_ssrc_of_the_peer_is_followed() {
    let mut rig = Rig::new(sound_config(Codec::Pcmu), sound_config(Codec::Pcmu), FAST);
    rig.talk(2 * SECOND);
    let heard = rig.frames[End::B as usize].len();
    rig.replace(End::A, sound_config(Codec::Pcmu), 9);
    rig.talk(2 * SECOND);
    assert!(rig.frames[End::B as usize].len() > heard + 90);
    assert!(rig.session(End::B).stats().received_packets >= 199);
}

#[test]
fn rtcp_takes_its_own_port_or_that_of_rtp() {
    for (transport, channel, to) in [
        (RtcpTransport::Separate, Channel::Rtcp, address(End::B, 1)),
        (RtcpTransport::Muxed, Channel::Rtp, address(End::B, 0)),
    ] {
        let config = Config { rtcp: transport, ..sound_config(Codec::Pcmu) };
        let mut session = rig::session(End::A, config, 1);
        let mut out = Vec::new();
        session.bye(Instant::now(), |output| out.push(output));
        let [RtpOutput::Packet { channel: by, to: sent_to, data }] = &out[..] else { panic!("{out:?}") };
        assert_eq!((*by, *sent_to, packet::kind(data)), (channel, to, packet::Kind::Rtcp));
    }
}

#[test]
fn the_end_of_the_peers_stream_is_told() {
    let mut rig = Rig::new(sound_config(Codec::Pcmu), sound_config(Codec::Pcmu), FAST);
    rig.talk(SECOND);
    rig.bye(End::A);
    rig.talk(SECOND);
    assert_eq!(rig.byes, 1);
}

#[test]
fn a_slice_that_mode_0_cannot_carry_is_counted_not_sent() {
    let mut config = video_config(Codec::H264);
    config.send = config.send.map(|send| SendFormat { h264: H264Mode::SingleNal, ..send });
    let (mut session, now) = (rig::session(End::A, config, 1), Instant::now());
    let frame = rig::picture(Codec::H264, MediaTime(0), 0, true);
    session.send(now, &frame, |output| panic!("{output:?}"));
    assert_eq!(session.stats().unsendable, 1);
}

#[test]
fn without_keys_a_stranger_is_heard_by_nobody_and_with_keys_nothing_unauthentic_is() {
    let header = RtpHeader { marker: false, payload_type: 0, sequence: 7, timestamp: 160, ssrc: 99 };
    let data = packet::write(&header, &[], &[0; 160]);
    let from = SocketAddr::from(([203, 0, 113, 9], 5004));
    let stranger = Incoming { channel: Channel::Rtp, from, data: &data };

    let mut rig = Rig::new(sound_config(Codec::Pcmu), sound_config(Codec::Pcmu), FAST);
    rig.talk(SECOND);
    let before = rig.session(End::B).stats().received_packets;
    rig.inject(End::B, stranger);
    let stats = rig.session(End::B).stats();
    assert_eq!((stats.foreign, stats.received_packets), (1, before));
    assert_eq!(rig.session(End::B).remote(Channel::Rtp), Some(address(End::A, 0)));

    let (here, there) = keys();
    let config = |srtp| Config { srtp: Some(srtp), ..sound_config(Codec::Pcmu) };
    let mut rig = Rig::new(config(here), config(there), FAST);
    rig.inject(End::B, stranger);
    assert_eq!(rig.session(End::B).stats().unauthentic, 1);
    assert_eq!(rig.session(End::B).remote(Channel::Rtp), Some(address(End::A, 0)));
    assert_eq!(rig.session(End::B).last_received(), None);
}

#[test]
fn comfort_noise_is_a_sign_of_life_and_no_loss() {
    let mut rig = Rig::new(sound_config(Codec::Pcmu), sound_config(Codec::Pcmu), FAST);
    rig.talk(SECOND);
    let (before, ssrc) = (rig.session(End::B).stats(), rig.session(End::A).ssrc());
    // given the number after the last, which is still under way
    let sequence = rig.session(End::A).send.sequence;
    let header = RtpHeader { marker: false, payload_type: 13, sequence, timestamp: 0, ssrc };
    let data = packet::write(&header, &[], &[40]);
    rig.inject(End::B, Incoming { channel: Channel::Rtp, from: address(End::A, 0), data: &data });
    let stats = rig.session(End::B).stats();
    assert_eq!(stats.received_packets, before.received_packets + 1);
    assert!(stats.received_lost <= 1, "{stats:?}");
    assert_eq!(rig.session(End::B).last_received().map(|at| rig.since_epoch(at)), Some(rig.now()));
}

#[test]
fn a_bound_that_the_peer_asks_for_is_kept_and_answered() {
    let (mut session, now) = (rig::session(End::A, video_config(Codec::H264), 1), Instant::now());
    let word = (500_000_u32 >> 3 << 9 | 3 << 26 | 40).to_be_bytes();
    let mut data = vec![0x83, 205, 0, 4, 0, 0, 0, 5, 0, 0, 0, 0];
    data.extend(session.ssrc().to_be_bytes());
    data.extend(word);
    let mut out = Vec::new();
    let incoming = Incoming { channel: Channel::Rtcp, from: address(End::B, 1), data: &data };
    session.receive(now, incoming, |output| out.push(output));
    assert!(matches!(out[..], [RtpOutput::Packet { .. }, RtpOutput::Bandwidth(500_000)]), "{out:?}");
}

proptest! {
    #[test]
    fn no_datagrams_make_a_session_panic(
        datagrams in proptest::collection::vec(
            (any::<bool>(), 0..4_u8, 0..300_u64, proptest::collection::vec(any::<u8>(), 0..80)), 0..60),
    ) {
        let now = Instant::now();
        for config in [video_config(Codec::H264), video_config(Codec::Vp8), sound_config(Codec::Opus)] {
            let payload_type = config.recv[0].payload_type;
            let mut session = rig::session(End::A, config, 1);
            let mut at = now;
            for (rtcp, shape, wait, data) in &datagrams {
                at += Duration::from_millis(*wait);
                let mut data = data.clone();
                // most look like RTP or RTCP of one source
                if *shape > 0 && data.len() > 12 {
                    data[0] = 0x80 | data[0] & 1;
                    data[1] = if *rtcp { 200 + data[1] % 8 } else { data[1] & 0x80 | payload_type };
                    let source = data[8] & 1;
                    data[8..12].fill(source);
                    if *rtcp { data[2] = 0; data[3] &= 7; } else { data[2] = 0; data[4] = 0; }
                }
                let channel = if *rtcp { Channel::Rtcp } else { Channel::Rtp };
                let incoming = Incoming { channel, from: address(End::B, 0), data: &data };
                session.receive(at, incoming, |_| ());
                session.timeout(at, |_| ());
            }
        }
    }
}
