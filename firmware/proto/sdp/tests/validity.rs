//! Whatever is offered: nothing panics, and the answer is one to that offer (RFC 3264 6).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use proptest::prelude::*;
use sdp::*;

fn gateway() -> Negotiator {
    let ports =
        LocalPorts { rtp: "192.0.2.5:4000".parse().unwrap(), rtcp: "192.0.2.5:4001".parse().unwrap() };
    Negotiator::new(Capabilities::default(), Local { audio: ports, video: ports }, 1)
}

fn media() -> impl Strategy<Value = String> {
    let line = (
        prop::sample::select(vec!["audio", "video", "application", "text", "image"]),
        prop::sample::select(vec![0_u16, 4000, 65_535]),
        prop::sample::select(vec![
            "RTP/AVP",
            "RTP/AVPF",
            "RTP/SAVP",
            "UDP/BFCP",
            "udptl",
            "UDP/TLS/RTP/SAVPF",
        ]),
        prop::collection::vec(0_u8..130, 1..6),
    );
    let names =
        vec!["H264/90000", "VP8/90000", "opus/48000/2", "PCMU/8000", "telephone-event/8000", "x/0", "H264"];
    let maps = prop::collection::vec((0_u8..130, prop::sample::select(names)), 0..6);
    let other = prop::sample::select(vec![
        "a=sendonly",
        "a=inactive",
        "c=IN IP4 0.0.0.0",
        "c=IN IP6 ::1",
        "a=fmtp:96 profile-level-id=ffffff;max-fs=4294967295",
        "a=fmtp:97 profile-level-id=42e0ff;packetization-mode=1;max-mbps=4294967295;max-br=4294967295;max-fps=0",
        "a=ptime:4294967295",
        "a=maxptime:0",
        "a=rtcp:70000",
        "a=rtcp:1 IN IP4",
        "b=AS:18446744073709551615",
        "b=TIAS:0",
        "a=crypto:1",
        "a=content:slides",
        "a=rtcp-mux",
        "a=rtcp-fb:* nack pli",
        "",
    ]);
    (line, maps, prop::collection::vec(other, 0..5)).prop_map(|((name, port, proto, pts), maps, other)| {
        let pts: Vec<String> = pts.iter().map(u8::to_string).collect();
        let maps: Vec<String> = maps.iter().map(|(pt, map)| format!("a=rtpmap:{pt} {map}")).collect();
        format!(
            "m={name} {port} {proto} {}\r\n{}\r\n{}",
            pts.join(" "),
            maps.join("\r\n"),
            other.join("\r\n")
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_answer_has_the_lines_of_its_offer_and_only_offered_formats(sections in prop::collection::vec(media(), 0..6)) {
        let offer = format!("v=0\r\nc=IN IP4 192.0.2.9\r\n{}\r\n", sections.join("\r\n"));
        let offer = SessionDescription::parse(offer.as_bytes()).unwrap();
        let mut gateway = gateway();
        let Ok((answer, negotiated)) = gateway.answer(&offer, &mut NoKeys) else { return Ok(()) };
        let answer = SessionDescription::parse(&answer.to_bytes()).unwrap();
        prop_assert_eq!(answer.media.len(), offer.media.len());
        for (theirs, ours) in offer.media.iter().zip(&answer.media) {
            prop_assert_eq!((&theirs.name, &theirs.proto), (&ours.name, &ours.proto));
            prop_assert!(theirs.port != 0 || ours.port == 0);
            prop_assert!(ours.formats.iter().all(|format| theirs.formats.iter().any(|offered| offered.pt == format.pt)));
            prop_assert!(ours.port == 0 || !ours.direction.sends() || theirs.direction.receives());
            prop_assert!(ours.port == 0 || !ours.direction.receives() || theirs.direction.sends());
        }
        for stream in negotiated.streams() {
            prop_assert!(answer.media[stream.line].port != 0);
            prop_assert!(stream.max_bps > 0 && !stream.ptime.is_zero());
        }
        // The session goes on: an offer of ours keeps every line in its place.
        let next = gateway.offer(&mut NoKeys).unwrap();
        for (ours, next) in answer.media.iter().zip(&next.media) {
            prop_assert_eq!(&ours.name, &next.name);
        }
        let _ = gateway.take_answer(&offer);
    }

    #[test]
    fn any_answer_to_our_offer_is_survived(sections in prop::collection::vec(media(), 0..4)) {
        let answer = format!("v=0\r\nc=IN IP4 192.0.2.9\r\n{}\r\n", sections.join("\r\n"));
        let mut gateway = gateway();
        gateway.offer(&mut NoKeys).unwrap();
        let _ = gateway.take_answer(&SessionDescription::parse(answer.as_bytes()).unwrap());
    }
}
