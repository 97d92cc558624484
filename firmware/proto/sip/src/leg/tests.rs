//! The leg in virtual time: against a hand-made peer, and against another leg.

mod media;
mod order;
mod rig;

use super::*;
use base::leg::Leg as _;
use base::{Codec, Size};
use rig::*;
use sdp::Encryption;
use std::time::Duration;

#[test]
fn a_call_comes_in_rings_is_taken_and_ends_once() {
    let mut rig = Rig::new(config("203.0.113.5"));
    rig.invite(Some(OFFER));
    assert_eq!(rig.events(), [LegEvent::Incoming(dialled())]);
    rig.command(LegCommand::Ring);
    assert_eq!(rig.commands(), [SessionCommand::Ring]);

    rig.command(LegCommand::Accept);
    let answer = rig.description();
    assert_eq!(answer.media[0].rtp_addr(), Some("203.0.113.5:40000".parse().unwrap()));
    assert_eq!(answer.media[1].rtp_addr(), Some("203.0.113.5:40002".parse().unwrap()));
    let events = rig.events();
    assert_eq!(events[0], LegEvent::Connected);
    let LegEvent::Media(media) = &events[1] else { panic!("{events:?}") };
    assert_eq!(ids(&media.send), [AUDIO, VIDEO]);
    assert_eq!(media.recv.iter().map(|stream| stream.codec).collect::<Vec<_>>(), [Codec::Pcma, Codec::H264]);
    let video = &media.send[1];
    assert_eq!(
        (video.codec, video.max_size, video.max_fps, video.max_nal_bytes),
        (Codec::H264, Size::HD720, 30, None)
    );
    assert_eq!(events[2..], [LegEvent::Bandwidth(2_064_000)]);

    rig.tell(SessionEvent::Confirmed);
    assert_eq!(rig.events(), [LegEvent::KeyframeWanted(VIDEO)]);
    rig.command(LegCommand::End(HUNG_UP));
    assert_eq!(rig.commands(), [SessionCommand::End(HUNG_UP)]);
    assert_eq!(rig.events(), []);
    rig.command(LegCommand::End(HUNG_UP));
    rig.tell(SessionEvent::Ended(HUNG_UP));
    rig.tell(SessionEvent::Ended(HUNG_UP));
    rig.command(LegCommand::End(HUNG_UP));
    assert_eq!((rig.events(), rig.commands()), (vec![LegEvent::Ended(HUNG_UP)], vec![]));
    assert_eq!(rig.wake, None);
}

#[test]
fn a_call_that_the_room_cancels_ends_with_the_sessions_cause() {
    let mut rig = Rig::new(config("203.0.113.5"));
    rig.invite(Some(OFFER));
    let cancelled = Cause::new(Fault::Caller, Kind::Cancelled);
    rig.tell(SessionEvent::Ended(cancelled));
    rig.command(LegCommand::Accept);
    assert_eq!(rig.events().last(), Some(&LegEvent::Ended(cancelled)));
    assert_eq!(rig.commands(), []);
}

#[test]
fn a_leg_that_was_never_called_ends_at_once() {
    let mut rig = Rig::new(config("203.0.113.5"));
    rig.command(LegCommand::End(HUNG_UP));
    assert_eq!((rig.events(), rig.commands()), (vec![LegEvent::Ended(HUNG_UP)], vec![]));
}

#[test]
fn no_codec_in_common_is_known_when_it_should_ring_and_refuses_the_call() {
    let refused = SessionCommand::End(Cause::new(Fault::Caller, Kind::NotAcceptable));
    for command in [LegCommand::Ring, LegCommand::Accept] {
        let mut rig = Rig::new(config("203.0.113.5"));
        rig.invite(Some("v=0\nc=IN IP4 192.0.2.9\nm=audio 4000 RTP/AVP 18\n"));
        rig.command(command);
        assert_eq!(rig.commands(), std::slice::from_ref(&refused));
    }
}

#[test]
fn a_broken_description_refuses_the_call_and_leaves_a_standing_one_alone() {
    let mut rig = Rig::new(config("203.0.113.5"));
    rig.invite(Some("nonsense"));
    rig.command(LegCommand::Accept);
    assert_eq!(rig.commands(), [SessionCommand::End(Cause::new(Fault::Caller, Kind::ProtocolError))]);

    let mut rig = up();
    rig.commands();
    rig.events();
    rig.tell(SessionEvent::Offer(body("nonsense")));
    rig.tell(SessionEvent::Offer(body("v=0\nm=audio 4000 RTP/AVP 18\nm=video 0 RTP/AVP 97\n")));
    assert_eq!(rig.commands(), [SessionCommand::RefuseOffer, SessionCommand::RefuseOffer]);
    assert_eq!(rig.events(), []);
}

#[test]
fn a_call_without_offer_gets_ours_and_is_connected_by_the_answer_in_the_ack() {
    let mut rig = Rig::new(config("203.0.113.5"));
    rig.invite(None);
    rig.command(LegCommand::Ring);
    rig.command(LegCommand::Accept);
    assert_eq!(rig.events(), [LegEvent::Incoming(dialled())]);
    let SessionCommand::Accept(offer) = rig.commands().pop().unwrap() else { panic!("no offer") };
    assert_eq!(SessionDescription::parse(&offer).unwrap().media.len(), 2);

    rig.tell(SessionEvent::Confirmed);
    rig.tell(SessionEvent::Answer(body(OFFER)));
    assert_eq!(rig.events.front(), Some(&LegEvent::Connected));
    assert_eq!(ids(&rig.media().send), [AUDIO, VIDEO]);
}

#[test]
fn an_answer_with_nothing_in_it_ends_a_call_that_had_no_media_yet() {
    let mut rig = Rig::new(config("203.0.113.5"));
    rig.invite(None);
    rig.command(LegCommand::Accept);
    rig.commands();
    rig.tell(SessionEvent::Answer(body("v=0\nm=audio 0 RTP/AVP 8\nm=video 0 RTP/AVP 97\n")));
    assert_eq!(rig.commands(), [SessionCommand::End(Cause::new(Fault::Caller, Kind::NotAcceptable))]);
}

#[test]
fn an_ack_without_the_answer_ends_the_call_by_silence() {
    let mut rig = Rig::new(config("203.0.113.5"));
    rig.invite(None);
    rig.command(LegCommand::Accept);
    rig.tell(SessionEvent::Confirmed);
    rig.commands();
    rig.pass(base::limits::MEDIA_SILENCE);
    assert_eq!(rig.commands(), [SessionCommand::End(Cause::new(Fault::Network, Kind::MediaTimeout))]);
}

#[test]
fn hold_stops_what_we_send_and_resume_brings_it_back_with_a_fresh_picture() {
    for hold in ["a=sendonly", "a=inactive", "c=IN IP4 0.0.0.0"] {
        let mut rig = up();
        rig.events();
        rig.commands();
        let held = match hold.split_once('=') {
            Some(("c", _)) => OFFER.replace("c=IN IP4 192.0.2.9", hold),
            _ => OFFER.replace("t=0 0", &format!("t=0 0\n{hold}")),
        };
        rig.tell(SessionEvent::Offer(body(&held)));
        let answer = rig.description();
        assert!(answer.media.iter().all(|media| !media.direction.sends()), "{hold}");
        assert_eq!(rig.media().send, [], "{hold}");

        rig.tell(SessionEvent::Offer(body(OFFER)));
        assert!(rig.description().media.iter().all(|media| media.direction == sdp::Direction::SendRecv));
        assert!(rig.events.contains(&LegEvent::KeyframeWanted(VIDEO)));
        assert_eq!(ids(&rig.media().send), [AUDIO, VIDEO]);
    }
}

#[test]
fn a_refresh_that_changes_nothing_is_answered_and_not_told() {
    let mut rig = up();
    rig.events();
    let first = rig.description();
    rig.tell(SessionEvent::Offer(body(OFFER)));
    assert_eq!(rig.description(), first);
    assert_eq!(rig.events(), []);
}

#[test]
fn a_re_invite_may_change_the_codec_and_drop_the_picture() {
    let mut rig = up();
    rig.events();
    let other = OFFER.replace("RTP/AVP 8 101", "RTP/AVP 9 101").replace("m=video 4002", "m=video 0");
    rig.tell(SessionEvent::Offer(body(&other)));
    let media = rig.media();
    assert_eq!((ids(&media.send), media.send[0].codec), (vec![AUDIO], Codec::G722));
    rig.tell(SessionEvent::Offer(body(OFFER)));
    assert_eq!(ids(&rig.media().send), [AUDIO, VIDEO]);
}

#[test]
fn an_offer_that_is_wanted_again_is_answered_and_a_refused_one_leaves_the_call() {
    let mut rig = up();
    rig.commands();
    rig.events();
    rig.tell(SessionEvent::OfferWanted);
    let offer = rig.description();
    assert_eq!(offer.media.len(), 2);
    assert_eq!(offer.media[1].formats[0].pt, 97);
    rig.tell(SessionEvent::Offer(body(OFFER)));
    assert_eq!(rig.commands(), [SessionCommand::RefuseOffer]);
    rig.tell(SessionEvent::Answer(body(&OFFER.replace("m=video 4002", "m=video 0"))));
    assert_eq!(ids(&rig.media().send), [AUDIO]);

    rig.tell(SessionEvent::OfferWanted);
    rig.commands();
    rig.tell(SessionEvent::OfferRefused(488));
    rig.tell(SessionEvent::Offer(body(OFFER)));
    assert!(matches!(rig.commands()[..], [SessionCommand::Answer(_)]));
}

#[test]
fn keys_come_by_info_and_a_picture_is_wanted_by_rfc_5168() {
    let mut rig = up();
    rig.events();
    let mut info = |content_type: &str, text: &'static str| {
        rig.tell(SessionEvent::Info { content_type: content_type.to_owned(), body: text.into() });
        rig.events()
    };
    assert_eq!(info("application/dtmf-relay", "Signal=7\r\nDuration=160"), [LegEvent::Dtmf('7')]);
    assert_eq!(info("application/dtmf-relay", "Signal=7\r\nDuration=160"), [LegEvent::Dtmf('7')]);
    assert_eq!(info("application/dtmf", "#"), [LegEvent::Dtmf('#')]);
    assert_eq!(
        info(
            "application/media_control+xml",
            "<media_control><vc_primitive><to_encoder><picture_fast_update/>"
        ),
        [LegEvent::KeyframeWanted(VIDEO)]
    );
    assert_eq!(info("application/octet-stream", "x"), []);
    for content_type in INFO_TYPES {
        assert_eq!(content_type, content_type.to_ascii_lowercase());
    }
}

#[test]
fn a_room_without_telephone_events_gets_keys_by_info() {
    let mut rig = up_with(config("203.0.113.5"), &OFFER.replace("8 101", "8"));
    rig.commands();
    rig.command(LegCommand::Dtmf('5'));
    let body = Bytes::from_static(b"Signal=5\r\nDuration=160\r\n");
    assert_eq!(rig.commands(), [SessionCommand::Info { content_type: "application/dtmf-relay", body }]);
}

#[test]
fn silence_ends_a_call_in_which_media_is_expected_and_hold_does_not_count() {
    let ended = [SessionCommand::End(Cause::new(Fault::Network, Kind::MediaTimeout))];
    let mut rig = up_with(Config { silence: Duration::from_secs(7), ..config("203.0.113.5") }, OFFER);
    rig.commands();
    rig.pass(Duration::from_millis(6_999));
    assert_eq!(rig.commands(), []);
    rig.tell(SessionEvent::Offer(body(&OFFER.replace("t=0 0", "t=0 0\na=sendonly"))));
    rig.commands();
    rig.pass(Duration::from_secs(600));
    assert_eq!(rig.commands(), []);
    rig.tell(SessionEvent::Offer(body(OFFER)));
    rig.commands();
    rig.pass(Duration::from_millis(6_999));
    assert_eq!(rig.commands(), []);
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.commands(), ended);
}

#[test]
fn an_audio_only_room_and_an_audio_only_rule_have_no_picture() {
    let (audio, _) = OFFER.split_once("m=video").unwrap();
    let mut rig = up_with(config("203.0.113.5"), audio);
    assert_eq!(ids(&rig.media().send), [AUDIO]);

    let mut rig = Rig::new(config("203.0.113.5"));
    rig.invite(Some(OFFER));
    rig.leg.set_policy(Policy { video: Vec::new(), ..Policy::default() });
    rig.command(LegCommand::Accept);
    assert_eq!(rig.description().media[1].port, 0);
    assert_eq!(ids(&rig.media().send), [AUDIO]);
    assert_eq!((rig.leg.caps().send_video_layers, rig.leg.caps().send_audio), (0, true));
}

#[test]
fn p4_media_encryption_follows_the_rule_the_call_was_routed_by() {
    for (encryption, accepted) in
        [(Encryption::On, false), (Encryption::BestEffort, true), (Encryption::Off, true)]
    {
        let mut rig = Rig::new(config("203.0.113.5"));
        rig.invite(Some(OFFER));
        rig.leg.set_policy(Policy { encryption, ..Policy::default() });
        rig.command(LegCommand::Accept);
        assert_eq!(matches!(rig.commands()[..], [SessionCommand::Accept(_)]), accepted, "{encryption:?}");
    }
}

#[test]
fn a_room_with_mode_0_is_sent_no_nal_unit_longer_than_a_packet() {
    let offer = OFFER.replace("packetization-mode=1", "packetization-mode=0");
    let mut rig = up_with(config("203.0.113.5"), &offer);
    assert_eq!(rig.media().send[1].max_nal_bytes, Some(rtp::packet::MAX_PAYLOAD));
}

#[test]
fn nothing_is_done_for_packets_frames_and_time_before_and_after_the_call() {
    let mut rig = Rig::new(config("203.0.113.5"));
    rig.packet(0, "192.0.2.9:4000", &[0x80; 20]);
    rig.frame(VIDEO, &picture(Duration::ZERO, 10));
    rig.feed(Input::Leg(LegInput::Timeout));
    assert!(rig.events.is_empty() && rig.effects.is_empty());
    let mut rig = up();
    rig.packet(200, "192.0.2.9:4000", &[0x80; 20]);
    rig.frame(StreamId(99), &sound(Duration::ZERO));
    rig.command(LegCommand::End(HUNG_UP));
    rig.effects.clear();
    rig.packet(0, "192.0.2.9:4000", &[0x80; 20]);
    rig.frame(AUDIO, &sound(Duration::ZERO));
    assert!(rig.effects.is_empty());
}
