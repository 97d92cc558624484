//! Offers in the shapes that rooms and soft phones make, and what they are answered with.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use base::{Codec, MediaKind, Secret, Size};
use sdp::*;
use std::time::Duration;

/// Takes the suite every room has.
struct TestKeys;

impl Keys for TestKeys {
    fn answer(&mut self, _line: usize, offered: &str) -> Option<Secret<String>> {
        let mut words = offered.split(' ');
        let (tag, suite) = (words.next()?, words.next()?);
        (suite == "AES_CM_128_HMAC_SHA1_80").then(|| Secret::new(format!("{tag} {suite} inline:ours")))
    }

    fn offer(&mut self, line: usize) -> Vec<Secret<String>> {
        vec![Secret::new(format!("1 AES_CM_128_HMAC_SHA1_80 inline:line{line}"))]
    }
}

fn ports(rtp: &str, rtcp: &str) -> LocalPorts {
    LocalPorts { rtp: rtp.parse().unwrap(), rtcp: rtcp.parse().unwrap() }
}

fn local() -> Local {
    Local {
        audio: ports("203.0.113.5:40000", "203.0.113.5:40001"),
        video: ports("203.0.113.5:40002", "203.0.113.5:40003"),
    }
}

fn gateway(encryption: Encryption) -> Negotiator {
    Negotiator::new(Capabilities { encryption, ..Capabilities::default() }, local(), 7777)
}

fn description(text: &str) -> SessionDescription {
    SessionDescription::parse(text.replace('\n', "\r\n").as_bytes()).unwrap()
}

fn answered(text: &str) -> (SessionDescription, Negotiated) {
    gateway(Encryption::BestEffort).answer(&description(text), &mut TestKeys).unwrap()
}

fn refused(encryption: Encryption, text: &str) -> Refusal {
    gateway(encryption).answer(&description(text), &mut TestKeys).unwrap_err()
}

fn ports_of(description: &SessionDescription) -> Vec<u16> {
    description.media.iter().map(|media| media.port).collect()
}

fn text(description: &SessionDescription) -> String {
    String::from_utf8(description.to_bytes()).unwrap()
}

const CISCO: &str = "v=0
o=tandberg 1 3 IN IP4 192.0.2.10
s=-
c=IN IP4 192.0.2.10
b=AS:6000
t=0 0
m=audio 16384 RTP/AVP 108 104 105 9 15 18 8 0 101
b=TIAS:128000
a=rtpmap:108 MP4A-LATM/90000
a=fmtp:108 profile-level-id=24;object=23;bitrate=64000
a=rtpmap:104 G7221/16000
a=fmtp:104 bitrate=32000
a=rtpmap:105 G7221/16000
a=rtpmap:9 G722/8000
a=rtpmap:15 G728/8000
a=rtpmap:18 G729/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=sendrecv
m=video 16386 RTP/AVP 97 126 96 34 31
b=TIAS:6000000
a=rtpmap:97 H264/90000
a=fmtp:97 packetization-mode=0;profile-level-id=428016;max-br=5000;max-mbps=245000;max-fs=9000;max-smbps=245000;max-fps=6000
a=rtpmap:126 H264/90000
a=fmtp:126 packetization-mode=1;profile-level-id=428016;max-br=5000;max-mbps=245000;max-fs=9000;max-smbps=245000;max-fps=6000;max-rcmd-nalu-size=3456000
a=rtpmap:96 H263-1998/90000
a=fmtp:96 custom=1280,768,3;CIF4=1
a=rtpmap:34 H263/90000
a=rtpmap:31 H261/90000
a=rtcp-fb:* nack pli
a=rtcp-fb:* ccm fir
a=rtcp-fb:* ccm tmmbr
a=content:main
a=label:11
a=answer:full
a=sendrecv
m=application 5070 UDP/BFCP *
a=floorctrl:c-s
a=confid:1
a=floorid:2 mstrm:12
a=userid:1
a=setup:actpass
a=connection:new
m=video 16388 RTP/AVP 97 126
a=rtpmap:97 H264/90000
a=fmtp:97 packetization-mode=0;profile-level-id=428014
a=rtpmap:126 H264/90000
a=fmtp:126 packetization-mode=1;profile-level-id=428014
a=content:slides
a=label:12
a=sendrecv
m=application 16390 RTP/AVP 107
a=rtpmap:107 H224/4800
a=sendrecv
";

#[test]
fn cisco_gets_g722_and_h264_mode_1_and_the_rest_is_declined_in_its_place() {
    let (answer, negotiated) = answered(CISCO);
    assert_eq!(ports_of(&answer), [40_000, 40_002, 0, 0, 0]);
    assert_eq!(answer.media[2].proto, Proto::Other("UDP/BFCP".into()));
    assert_eq!(answer.media[2].fmt, "*");
    assert_eq!(answer.media[4].fmt, "107");

    let audio = negotiated.audio.unwrap();
    assert_eq!((audio.codec, audio.send_pt), (Codec::G722, 9));
    assert_eq!(audio.dtmf, Some(Dtmf { send_pt: 101, recv_pt: 101, clock: 8_000 }));
    assert_eq!(audio.remote_rtcp, Some("192.0.2.10:16385".parse().unwrap()));

    let video = negotiated.video.unwrap();
    assert_eq!((video.codec, video.send_pt, video.recv), (Codec::H264, 126, vec![(126, Codec::H264)]));
    assert_eq!((video.max_size, video.max_fps), (Size::HD720, 30));
    assert_eq!(video.max_bps, 2_000_000);
    let feedback = Feedback { pli: true, fir: true, tmmbr: true, ..Feedback::default() };
    assert_eq!(video.feedback, feedback);
    assert_eq!(answer.media[1].fmt, "126");
    assert_eq!(
        answer.media[1].formats[0].fmtp.as_deref(),
        Some("profile-level-id=428016;packetization-mode=1;max-mbps=108000;max-fs=3600")
    );
}

#[test]
fn poly_gets_baseline_though_high_stands_first_and_unknown_sound_is_passed_over() {
    let (answer, negotiated) = answered(
        "v=0
o=Group 1 0 IN IP4 198.51.100.20
s=-
c=IN IP4 198.51.100.20
b=AS:1920
t=0 0
m=audio 49170 RTP/AVP 118 119 115 114 113 9 0 8 120
a=rtpmap:118 SIREN22/48000/1
a=fmtp:118 bitrate=48000
a=rtpmap:119 G719/48000
a=rtpmap:115 G7221/32000
a=rtpmap:114 SirenLPR/48000
a=rtpmap:113 SirenLPR/16000
a=rtpmap:120 telephone-event/8000
m=video 49172 RTP/AVP 109 110 111 96
b=TIAS:1800000
a=rtpmap:109 H264/90000
a=fmtp:109 profile-level-id=640020; max-mbps=245760; max-fs=8192; packetization-mode=1; sar=13
a=rtpmap:110 H264/90000
a=fmtp:110 profile-level-id=42801f; max-mbps=108000; packetization-mode=0
a=rtpmap:111 H264/90000
a=fmtp:111 profile-level-id=42801f; packetization-mode=1
a=rtpmap:96 H263-1998/90000
a=rtcp-fb:* ccm fir tmmbr
",
    );
    let (audio, video) = (negotiated.audio.unwrap(), negotiated.video.unwrap());
    assert_eq!((audio.codec, audio.send_pt, audio.dtmf.unwrap().send_pt), (Codec::G722, 9, 120));
    assert_eq!((video.send_pt, video.max_bps), (111, 1_800_000));
    assert_eq!(answer.media[0].fmt, "9 120");
}

#[test]
fn a_room_with_high_profile_only_still_gets_a_picture() {
    let (_, negotiated) = answered(
        "v=0
c=IN IP4 198.51.100.20
m=video 49172 RTP/AVP 109
a=rtpmap:109 H264/90000
a=fmtp:109 profile-level-id=640028;packetization-mode=1
",
    );
    assert_eq!(negotiated.video.unwrap().send_pt, 109);
    assert_eq!(negotiated.audio, None);
}

#[test]
fn lifesize_gets_mode_0_where_there_is_no_mode_1() {
    let (answer, negotiated) = answered(
        "v=0
o=LifeSize 1 1 IN IP4 192.0.2.30
s=-
c=IN IP4 192.0.2.30
b=AS:1152
t=0 0
m=audio 60000 RTP/AVP 9 0
a=rtpmap:9 G722/8000
m=video 60002 RTP/AVP 109
a=rtpmap:109 H264/90000
a=fmtp:109 profile-level-id=42800d; max-mbps=40500; max-fs=1344
",
    );
    let video = negotiated.video.unwrap();
    assert_eq!((video.max_size, video.max_fps), (Size::new(768, 432), 30));
    assert_eq!(video.max_bps, 768_000);
    assert_eq!(video.feedback, Feedback::default());
    assert!(
        text(&answer)
            .contains("profile-level-id=42800d;packetization-mode=0;max-mbps=108000;max-fs=3600;max-br=2000")
    );
}

#[test]
fn linphone_gets_opus_with_events_of_its_clock_and_vp8_by_feedback() {
    let (answer, negotiated) = answered(
        "v=0
o=room 3214 1210 IN IP4 192.168.1.7
s=Talk
c=IN IP4 192.168.1.7
t=0 0
a=ice-pwd:0123456789abcdef01234567
a=ice-ufrag:abcd
a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics
a=group:BUNDLE as vs
m=audio 7078 RTP/AVPF 96 97 98 0 8 101 99
a=mid:as
a=rtpmap:96 opus/48000/2
a=fmtp:96 useinbandfec=1;maxaveragebitrate=36000
a=rtpmap:97 speex/16000
a=rtpmap:98 speex/8000
a=rtpmap:101 telephone-event/8000
a=rtpmap:99 telephone-event/48000
a=rtcp-mux
a=candidate:1 1 UDP 2130706303 192.168.1.7 7078 typ host
a=rtcp-fb:* trr-int 5000
m=video 9078 RTP/AVPF 96
a=mid:vs
a=rtpmap:96 VP8/90000
a=rtcp-mux
a=rtcp-fb:96 nack pli
a=rtcp-fb:96 nack sli
a=rtcp-fb:96 ccm fir
",
    );
    let (audio, video) = (negotiated.audio.unwrap(), negotiated.video.unwrap());
    assert_eq!((audio.codec, audio.max_bps), (Codec::Opus, 36_000));
    assert_eq!(audio.dtmf, Some(Dtmf { send_pt: 99, recv_pt: 99, clock: 48_000 }));
    assert!(audio.rtcp_mux && video.rtcp_mux);
    assert_eq!((video.codec, video.max_size), (Codec::Vp8, Size::HD720));
    assert!(video.feedback.pli && video.feedback.fir && !video.feedback.nack);
    assert!(
        !text(&answer).contains("ice-")
            && !text(&answer).contains("candidate")
            && !text(&answer).contains("group")
    );
    assert_eq!(answer.media[1].proto, Proto::RtpAvpf);
}

#[test]
fn baresip_gets_h264_mode_0_and_its_bandwidth() {
    let (_, negotiated) = answered(
        "v=0
o=- 1466 8272 IN IP4 10.77.0.1
s=-
c=IN IP4 10.77.0.1
t=0 0
a=tool:baresip 1.0.0
m=audio 16100 RTP/AVP 96 97
b=AS:128
a=rtpmap:96 opus/48000/2
a=fmtp:96 stereo=0;sprop-stereo=0
a=rtpmap:97 telephone-event/8000
a=fmtp:97 0-15
a=rtcp:16101
a=sendrecv
a=label:1
a=rtcp-rsize
a=ssrc:1 cname:sip:b@10.77.0.1
a=ptime:20
m=video 16102 RTP/AVP 99
b=AS:512
a=rtpmap:99 H264/90000
a=fmtp:99 packetization-mode=0;profile-level-id=42e01f
a=rtcp:16103
a=sendrecv
a=label:2
a=framerate:30.00
a=rtcp-fb:* nack pli
",
    );
    let (audio, video) = (negotiated.audio.unwrap(), negotiated.video.unwrap());
    assert_eq!((audio.codec, audio.ptime), (Codec::Opus, Duration::from_millis(20)));
    assert_eq!(audio.dtmf, Some(Dtmf { send_pt: 97, recv_pt: 97, clock: 8_000 }));
    assert_eq!(
        (video.max_bps, video.h264.unwrap().packetization_mode),
        (512_000, h264::PacketizationMode::SingleNal)
    );
    assert_eq!(video.remote_rtcp, Some("10.77.0.1:16103".parse().unwrap()));
}

#[test]
fn sipp_with_one_static_codec_is_answered() {
    let (answer, negotiated) = answered(
        "v=0
o=user1 53655765 2353687637 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio 6000 RTP/AVP 8
a=rtpmap:8 PCMA/8000
",
    );
    assert_eq!(negotiated.audio.unwrap().codec, Codec::Pcma);
    assert_eq!(
        text(&answer),
        "v=0\r\no=- 1944 1 IN IP4 203.0.113.5\r\ns=-\r\nc=IN IP4 203.0.113.5\r\nt=0 0\r\n\
         m=audio 40000 RTP/AVP 8\r\nc=IN IP4 203.0.113.5\r\na=rtpmap:8 PCMA/8000\r\na=ptime:20\r\na=sendrecv\r\n"
    );
}

#[test]
fn a_zoom_like_room_gets_one_of_its_many_h264_formats() {
    let (answer, negotiated) = answered(
        "v=0
o=- 9 9 IN IP4 192.0.2.60
s=-
t=0 0
m=audio 20000 RTP/SAVP 99 9 0 101
c=IN IP4 192.0.2.60
a=rtpmap:99 opus/48000/2
a=rtpmap:101 telephone-event/8000
a=crypto:1 AEAD_AES_256_GCM inline:a
a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:b
m=video 20002 RTP/SAVP 100 101 102 103
c=IN IP4 192.0.2.60
a=rtpmap:100 H264/90000
a=fmtp:100 profile-level-id=640c1f;packetization-mode=1
a=rtpmap:101 H264/90000
a=fmtp:101 profile-level-id=4d001f;packetization-mode=1
a=rtpmap:102 H264/90000
a=fmtp:102 profile-level-id=42e01f;packetization-mode=1
a=rtpmap:103 H264/90000
a=fmtp:103 profile-level-id=42e01f;packetization-mode=0
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c
",
    );
    let (audio, video) = (negotiated.audio.unwrap(), negotiated.video.unwrap());
    let crypto = audio.crypto.unwrap();
    assert_eq!(crypto.local.expose(), "2 AES_CM_128_HMAC_SHA1_80 inline:ours");
    assert_eq!(crypto.remote.expose(), "2 AES_CM_128_HMAC_SHA1_80 inline:b");
    assert_eq!(video.send_pt, 102);
    assert_eq!(answer.media[0].proto, Proto::RtpSavp);
    assert!(text(&answer).contains("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:ours"));
}

const PLAIN: &str = "v=0
o=- 1 1 IN IP4 192.0.2.1
s=-
c=IN IP4 192.0.2.1
t=0 0
m=audio 4000 RTP/AVP 0
";

#[test]
fn every_form_of_hold_is_answered_by_not_sending() {
    let direction = |offer: &str| {
        let (answer, negotiated) = answered(offer);
        let stream = negotiated.audio.unwrap();
        assert_eq!(answer.media[0].direction, stream.direction);
        stream.direction
    };
    assert_eq!(direction(PLAIN), Direction::SendRecv);
    assert_eq!(direction(&format!("{PLAIN}a=sendonly\n")), Direction::RecvOnly);
    assert_eq!(direction(&format!("{PLAIN}a=inactive\n")), Direction::Inactive);
    assert_eq!(direction(&format!("{PLAIN}a=recvonly\n")), Direction::SendOnly);
    assert_eq!(direction(&PLAIN.replace("s=-\n", "s=-\na=inactive\n")), Direction::Inactive);
    let zero = PLAIN.replace("c=IN IP4 192.0.2.1", "c=IN IP4 0.0.0.0");
    assert_eq!(direction(&zero), Direction::RecvOnly);
    assert_eq!(answered(&zero).1.audio.unwrap().remote_rtp, None);
}

#[test]
fn a_description_without_name_time_and_origin_is_taken() {
    let (_, negotiated) = answered("v=0\nm=audio 4000 RTP/AVP 0\nc=IN IP4 192.0.2.1\n");
    assert_eq!(negotiated.audio.unwrap().remote_rtp, Some("192.0.2.1:4000".parse().unwrap()));
}

#[test]
fn a_host_name_for_an_address_leaves_the_address_to_the_packets() {
    let (_, negotiated) = answered("v=0\nc=IN IP4 room.example.com\nm=audio 4000 RTP/AVP 0\n");
    assert_eq!(negotiated.audio.unwrap().remote_rtp, None);
}

#[test]
fn ipv6_is_spoken_with_ipv6_and_refused_with_ipv4() {
    let offer = PLAIN.replace("IP4 192.0.2.1", "IP6 2001:db8::9");
    assert_eq!(refused(Encryption::Off, &offer), Refusal::AddressFamily);
    let six = ports("[2001:db8::1]:40000", "[2001:db8::1]:40001");
    let mut gateway = Negotiator::new(Capabilities::default(), Local { audio: six, video: six }, 1);
    let (answer, negotiated) = gateway.answer(&description(&offer), &mut TestKeys).unwrap();
    assert!(text(&answer).contains("c=IN IP6 2001:db8::1\r\n"));
    assert_eq!(negotiated.audio.unwrap().remote_rtp, Some("[2001:db8::9]:4000".parse().unwrap()));
}

#[test]
fn p4_media_encryption_on_off_and_best_effort_meet_plain_secure_and_either() {
    let crypto = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\n";
    let secure = format!("{}{crypto}", PLAIN.replace("RTP/AVP", "RTP/SAVP"));
    let either = format!("{PLAIN}{crypto}");
    let encrypted = |encryption, offer: &str| {
        let answer = gateway(encryption).answer(&description(offer), &mut TestKeys).ok()?;
        let crypto = answer.1.audio.unwrap().crypto.is_some();
        assert_eq!(answer.0.media[0].crypto.is_empty(), !crypto);
        Some(crypto)
    };
    assert_eq!(encrypted(Encryption::Off, PLAIN), Some(false));
    assert_eq!(encrypted(Encryption::Off, &secure), None);
    assert_eq!(encrypted(Encryption::Off, &either), Some(false));
    assert_eq!(encrypted(Encryption::On, PLAIN), None);
    assert_eq!(encrypted(Encryption::On, &secure), Some(true));
    assert_eq!(encrypted(Encryption::On, &either), Some(true));
    assert_eq!(encrypted(Encryption::BestEffort, PLAIN), Some(false));
    assert_eq!(encrypted(Encryption::BestEffort, &secure), Some(true));
    assert_eq!(encrypted(Encryption::BestEffort, &either), Some(true));
    let unknown = secure.replace("AES_CM_128_HMAC_SHA1_80", "F8_128_HMAC_SHA1_80");
    assert_eq!(refused(Encryption::BestEffort, &unknown), Refusal::Encryption);
}

#[test]
fn of_a_plain_and_a_secure_line_of_one_kind_the_secure_one_is_taken() {
    let offer = format!(
        "{PLAIN}m=audio 4002 RTP/SAVP 0\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\nm=audio 4004 RTP/AVP 0\n"
    );
    let (answer, negotiated) = answered(&offer);
    assert_eq!(ports_of(&answer), [0, 40_000, 0]);
    assert_eq!(negotiated.audio.unwrap().line, 1);
    let (answer, _) = gateway(Encryption::Off).answer(&description(&offer), &mut TestKeys).unwrap();
    assert_eq!(ports_of(&answer), [40_000, 0, 0]);
}

#[test]
fn what_has_nothing_in_common_is_refused_with_its_reason() {
    let line = |media: &str| format!("v=0\nc=IN IP4 192.0.2.1\n{media}\n");
    assert_eq!(refused(Encryption::Off, &line("m=audio 4000 RTP/AVP 18 3")), Refusal::Codec);
    assert_eq!(refused(Encryption::Off, &line("m=audio 0 RTP/AVP 0")), Refusal::NoMedia);
    assert_eq!(refused(Encryption::Off, &line("m=audio 4000 UDP/TLS/RTP/SAVPF 0")), Refusal::Codec);
    assert_eq!(refused(Encryption::Off, "v=0\n"), Refusal::NoMedia);
}

#[test]
fn the_version_rises_only_when_the_description_changes() {
    let mut gateway = gateway(Encryption::Off);
    let mut version =
        |offer: &str| gateway.answer(&description(offer), &mut TestKeys).unwrap().0.origin.version;
    assert_eq!(version(PLAIN), 1);
    assert_eq!(version(PLAIN), 1);
    assert_eq!(version(&format!("{PLAIN}a=sendonly\n")), 2);
    assert_eq!(version(PLAIN), 3);
}

#[test]
fn ptime_is_what_the_peer_asks_as_far_as_the_codec_can() {
    let ptime = |attributes: &str, codec: &str| {
        let offer = format!(
            "v=0\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP {codec}\na=rtpmap:111 opus/48000/2\n{attributes}"
        );
        answered(&offer).1.audio.unwrap().ptime.as_millis()
    };
    assert_eq!(ptime("", "0"), 20);
    assert_eq!(ptime("a=ptime:30\n", "0"), 30);
    assert_eq!(ptime("a=ptime:30\n", "111"), 20);
    assert_eq!(ptime("a=ptime:100\n", "8"), 60);
    assert_eq!(ptime("a=ptime:40\na=maxptime:20\n", "8"), 20);
    assert_eq!(ptime("a=ptime:1\na=maxptime:1\n", "8"), 10);
}

#[test]
fn our_offer_and_a_peers_answer_with_its_own_numbers_are_joined() {
    let mut gateway = gateway(Encryption::BestEffort);
    let offer = gateway.offer(&mut TestKeys).unwrap();
    assert_eq!(ports_of(&offer), [40_000, 40_002]);
    assert_eq!(offer.media[0].fmt, "111 9 8 0 101 96");
    assert_eq!(gateway.offer(&mut TestKeys), Err(Refusal::OfferPending));

    let negotiated = gateway
        .take_answer(&description(
            "v=0
c=IN IP4 192.0.2.1
m=audio 4000 RTP/AVP 120 101
a=rtpmap:120 opus/48000/2
a=rtpmap:101 telephone-event/8000
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:peer
m=video 4002 RTP/AVP 107
a=rtpmap:107 H264/90000
a=fmtp:107 profile-level-id=42e014;packetization-mode=0
a=recvonly
",
        ))
        .unwrap();
    let (audio, video) = (negotiated.audio.unwrap(), negotiated.video.unwrap());
    assert_eq!((audio.send_pt, audio.recv), (120, vec![(111, Codec::Opus)]));
    assert_eq!(audio.dtmf, Some(Dtmf { send_pt: 101, recv_pt: 101, clock: 8_000 }));
    assert_eq!(audio.crypto.unwrap().local.expose(), "1 AES_CM_128_HMAC_SHA1_80 inline:line0");
    assert_eq!((video.send_pt, video.direction), (107, Direction::SendOnly));
    let mode_0 = offer.media[1].formats[1].pt;
    assert_eq!(video.recv, vec![(mode_0, Codec::H264)]);
    assert_eq!(video.crypto, None);
}

#[test]
fn two_gateways_agree_with_each_other_in_every_pair_of_policies() {
    for (caller, callee, crypto) in [
        (Encryption::Off, Encryption::Off, Some(false)),
        (Encryption::BestEffort, Encryption::BestEffort, Some(true)),
        (Encryption::BestEffort, Encryption::Off, Some(false)),
        (Encryption::Off, Encryption::BestEffort, Some(false)),
        (Encryption::On, Encryption::BestEffort, Some(true)),
        (Encryption::BestEffort, Encryption::On, Some(true)),
        (Encryption::On, Encryption::Off, None),
        (Encryption::Off, Encryption::On, None),
    ] {
        let (mut caller, mut callee) = (gateway(caller), gateway(callee));
        let offer = SessionDescription::parse(&caller.offer(&mut TestKeys).unwrap().to_bytes()).unwrap();
        let Ok((answer, theirs)) = callee.answer(&offer, &mut TestKeys) else {
            assert_eq!(crypto, None);
            continue;
        };
        let ours = caller.take_answer(&SessionDescription::parse(&answer.to_bytes()).unwrap()).unwrap();
        for (ours, theirs) in ours.streams().zip(theirs.streams()) {
            assert_eq!((ours.codec, ours.send_pt, ours.rtcp_mux), (theirs.codec, theirs.send_pt, true));
            assert_eq!(Some(ours.crypto.is_some()), crypto);
        }
        assert_eq!(ours.video.unwrap().max_size, Size::HD720);
    }
}

#[test]
fn a_re_offer_of_ours_keeps_lines_and_numbers() {
    let mut gateway = gateway(Encryption::Off);
    let (answer, _) = gateway.answer(&description(CISCO), &mut TestKeys).unwrap();
    let offer = gateway.offer(&mut TestKeys).unwrap();
    assert_eq!(ports_of(&offer), [40_000, 40_002, 0, 0, 0]);
    assert_eq!(offer.media[2].fmt, "*");
    let number = |codec| {
        offer.media[0].formats.iter().find(|format| format.payload.codec() == Some(codec)).unwrap().pt
    };
    assert_eq!((number(Codec::G722), number(Codec::Pcma), number(Codec::Opus)), (9, 8, 111));
    assert_eq!(offer.origin.version, answer.origin.version + 1);
    gateway.withdraw();
    assert!(gateway.answer(&description(CISCO), &mut TestKeys).is_ok());
}

#[test]
fn an_offer_of_ours_brings_back_a_picture_the_peer_had_switched_off() {
    let mut gateway = gateway(Encryption::Off);
    let off = format!("{PLAIN}m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n");
    let (answer, _) = gateway.answer(&description(&off), &mut TestKeys).unwrap();
    assert_eq!(ports_of(&answer), [40_000, 0]);
    assert_eq!(ports_of(&gateway.offer(&mut TestKeys).unwrap()), [40_000, 40_002]);
}

#[test]
fn an_answer_that_nobody_asked_for_or_that_takes_nothing_is_refused() {
    let mut gateway = gateway(Encryption::Off);
    assert_eq!(gateway.take_answer(&description(PLAIN)), Err(Refusal::NoOffer));
    gateway.offer(&mut TestKeys).unwrap();
    assert_eq!(gateway.answer(&description(PLAIN), &mut TestKeys).unwrap_err(), Refusal::OfferPending);
    let nothing = description("v=0\nc=IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 18\nm=video 0 RTP/AVP 96\n");
    assert_eq!(gateway.take_answer(&nothing), Err(Refusal::Codec));
    assert_eq!(gateway.take_answer(&nothing), Err(Refusal::NoOffer));
}

#[test]
fn an_audio_only_gateway_declines_the_picture() {
    let caps = Capabilities { video: Vec::new(), ..Capabilities::default() };
    let mut gateway = Negotiator::new(caps, local(), 1);
    let (answer, negotiated) = gateway.answer(&description(CISCO), &mut TestKeys).unwrap();
    assert_eq!(ports_of(&answer), [40_000, 0, 0, 0, 0]);
    assert!(negotiated.streams().all(|stream| stream.kind == MediaKind::Audio));
}

#[test]
fn keys_never_print() {
    let offer = description(&format!("{PLAIN}a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:hunter2\n"));
    assert!(!format!("{offer:?}").contains("hunter2"));
}
