//! What rooms ask of SIP besides a plain call: asked by scripts, judged on the wire.

use anyhow::{Context, Result, ensure};
use e2e::gateway::{DOMAIN, MEETING};
use e2e::referee::{Capture, Evidence, RtpPacket};
use e2e::room::ROOM_HZ;
use e2e::scene::{PATIENCE, Scene, SceneConfig};
use e2e::signalling::{self, SipMessage, first, nth};
use e2e::sipp::{self, Sipp, in_dialog, with_description};
use e2e::sound::tone;
use e2e::wire;
use std::net::{SocketAddr, UdpSocket};

/// A scene with nobody in the meeting, and what the wire carries in it.
struct Bench {
    scene: Scene,
    capture: Capture,
}

/// What the wire carried.
struct Wire {
    evidence: Evidence,
    messages: Vec<SipMessage>,
}

impl Bench {
    async fn new(name: &str) -> Result<Self> {
        Self::with(name, SceneConfig::default()).await
    }

    async fn with(name: &str, config: SceneConfig) -> Result<Self> {
        let scene = Scene::set(name, config).await?;
        let capture = Capture::start(&scene.lab, "wire.pcapng", "udp")?;
        Ok(Self { scene, capture })
    }

    fn script(&self, steps: &[String], more: &[&str]) -> Result<Sipp> {
        Sipp::start(&self.scene.lab, "script", &sipp::scenario(steps), self.scene.gateway.udp, more)
    }

    /// Runs the script to its end and gives what was on the wire.
    async fn play(self, steps: &[String]) -> Result<Wire> {
        self.script(steps, &[])?.finish(PATIENCE)?;
        self.end()
    }

    fn end(self) -> Result<Wire> {
        let port = self.scene.gateway.udp.port();
        let evidence = self.capture.stop()?;
        let messages = signalling::messages(&evidence, port)?;
        Ok(Wire { evidence, messages })
    }
}

impl Wire {
    /// What the gateway sent from its port `from` after the message at `after` and before that at `before`.
    fn sent(&self, from: u16, after: &SipMessage, before: &SipMessage) -> Result<Vec<RtpPacket>> {
        let packets = self.evidence.rtp(from)?.into_iter();
        Ok(packets.filter(|p| p.from == from && p.at > after.at && p.at < before.at).collect())
    }
}

fn ack() -> String {
    in_dialog("ACK", 1, &with_description(""))
}

fn invite(body: &str) -> String {
    sipp::invite_with(MEETING, DOMAIN, "Supported: timer", body)
}

fn hang_up(cseq: u32) -> [String; 2] {
    [in_dialog("BYE", cseq, &with_description("")), sipp::expect(200)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_learns_what_the_gateway_takes_and_what_it_does_not() -> Result<()> {
    let bench = Bench::new("sip-probe").await?;
    let gateway = format!("sip:{DOMAIN}");
    let wire = bench
        .play(&[
            sipp::outside_dialog("OPTIONS", &gateway, 1, ""),
            sipp::expect(200),
            sipp::outside_dialog("JUGGLE", &gateway, 2, ""),
            sipp::expect(405),
            sipp::outside_dialog("INVITE", &gateway, 3, "Require: timer, juggling\n"),
            sipp::expect(420),
            in_dialog("ACK", 3, &with_description("")),
        ])
        .await?;
    let able = first(&wire.messages, "200 OPTIONS")?;
    let methods = ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "UPDATE", "PRACK", "INFO", "REGISTER"];
    ensure!(
        lists(able, "Allow", &methods) && lists(able, "Supported", &["100rel", "timer"]),
        "{}",
        able.text
    );
    ensure!(lists(able, "Accept", &["application/sdp"]), "{}", able.text);
    let refused = first(&wire.messages, "405 JUGGLE")?;
    ensure!(lists(refused, "Allow", &methods), "{}", refused.text);
    ensure!(first(&wire.messages, "420 INVITE")?.header("Unsupported") == Some("juggling"));
    Ok(())
}

/// Whether the header's list, on its first line, holds all of these: some peers read no other.
fn lists(message: &SipMessage, header: &str, items: &[&str]) -> bool {
    let list = message.header(header).unwrap_or_default();
    items.iter().all(|item| list.split(',').any(|found| found.trim() == *item))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_requires_100rel_hears_ringing_reliably() -> Result<()> {
    let config = SceneConfig { token: Some("guest-token".to_owned()), ..SceneConfig::default() };
    let bench = Bench::with("sip-prack", config).await?;
    let ringing = "<recv response=\"100\" optional=\"true\"/><recv response=\"180\" rrs=\"true\"><action>\
         <ereg regexp=\"[0-9]+\" search_in=\"hdr\" header=\"RSeq:\" check_it=\"true\" assign_to=\"rseq\"/>\
         </action></recv>";
    let steps = [
        sipp::invite_with(MEETING, DOMAIN, "Require: 100rel\nSupported: 100rel", &sipp::offer("")),
        ringing.to_owned(),
        // Long enough for the 180 to come again.
        sipp::pause(700),
        in_dialog("PRACK", 2, "RAck: [$rseq] 1 INVITE\nContent-Length: 0\n"),
        sipp::expect(200),
        in_dialog("PRACK", 3, "RAck: 4711 1 INVITE\nContent-Length: 0\n"),
        sipp::expect(481),
        sipp::mark("acknowledged"),
        sipp::expect(200),
        ack(),
    ];
    let script = bench.script(&[&steps[..], &hang_up(4)[..]].concat(), &[])?;
    script.reached("acknowledged", PATIENCE).await?;
    let waiting = bench.scene.simulator().participants(MEETING);
    ensure!(waiting.iter().all(|room| bench.scene.simulator().admit(&room.device)) && waiting.len() == 1);
    script.finish(PATIENCE)?;
    let wire = bench.end()?;

    let (ringing, again) = (first(&wire.messages, "180 INVITE")?, nth(&wire.messages, "180 INVITE", 1)?);
    ensure!(ringing.header("Require") == Some("100rel") && ringing.header("Contact").is_some());
    ensure!(again.text == ringing.text, "the 180 that came again differs");
    let acknowledged = first(&wire.messages, "200 PRACK")?;
    let late = |message: &&SipMessage| message.name() == "180 INVITE" && message.at > acknowledged.at;
    ensure!(!wire.messages.iter().any(|message| late(&message)), "180 came again after its PRACK");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_timer_is_raised_agreed_and_refreshed_both_ways() -> Result<()> {
    let bench = Bench::new("sip-timer").await?;
    let offer = sipp::offer("");
    let timer = |seconds: u32| format!("Supported: timer\nSession-Expires: {seconds};refresher=uac");
    let steps = [
        sipp::invite_with(MEETING, DOMAIN, &timer(60), &offer),
        sipp::expect_final(422),
        sipp::ack_to_failure(MEETING, DOMAIN),
        sipp::invite_with(MEETING, DOMAIN, &timer(90), &offer).replace("CSeq: 1", "CSeq: 2"),
        sipp::expect_final(200),
        in_dialog("ACK", 2, &with_description("")),
        in_dialog("UPDATE", 3, &format!("{}\nContent-Length: 0\n", timer(90))),
        sipp::expect(200),
        in_dialog("INVITE", 4, &format!("{}\n{}", timer(90), with_description(&offer))),
        sipp::expect_final(200),
        in_dialog("ACK", 4, &with_description("")),
    ];
    let wire = bench.play(&[&steps[..], &hang_up(5)[..]].concat()).await?;
    ensure!(first(&wire.messages, "422 INVITE")?.header("Min-SE") == Some("90"));
    let (invited, again) = (nth(&wire.messages, "200 INVITE", 0)?, nth(&wire.messages, "200 INVITE", 1)?);
    let updated = first(&wire.messages, "200 UPDATE")?;
    for message in [invited, updated, again] {
        ensure!(message.header("Session-Expires") == Some("90;refresher=uac"), "{}", message.text);
        ensure!(lists(message, "Require", &["timer"]), "{}", message.text);
    }
    ensure!(invited.body() == again.body(), "a refresh that changes nothing got another description");
    ensure!(updated.body().is_empty());
    Ok(())
}

/// Sound received at `port` of `host`, in `formats`.
fn sound(version: u32, (host, port): (&str, &str), formats: &str, attributes: &str) -> String {
    sipp::sound_only(version, host, port, formats, attributes)
}

const HERE: (&str, &str) = ("[media_ip]", "[media_port]");

/// Long enough for some packets of sound.
fn listen() -> String {
    sipp::pause(400)
}

/// A re-INVITE and its ACK.
fn reinvite(cseq: u32, body: &str) -> [String; 3] {
    let ack = in_dialog("ACK", cseq, &with_description(""));
    [in_dialog("INVITE", cseq, &with_description(body)), sipp::expect_final(200), ack]
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_changes_its_codec_and_moves_as_re_invites_say() -> Result<()> {
    let bench = Bench::new("sip-reinvite").await?;
    let there = ("127.0.0.2", "[media_port+4]");
    let steps = [
        vec![
            invite(&sound(1, HERE, "0 8 9", "")).replace("0 8 9", "0"),
            sipp::expect_final(200),
            ack(),
            listen(),
        ],
        reinvite(2, &sound(2, HERE, "9", "")).to_vec(),
        vec![listen()],
        reinvite(3, &sound(3, there, "8", "")).to_vec(),
        vec![listen()],
        hang_up(4).to_vec(),
    ];
    let wire = bench.play(&steps.concat()).await?;

    let of = |n| nth(&wire.messages, "200 INVITE", n);
    let (port, room) = (of(0)?.media_port(0), of(0)?.to);
    let bye = first(&wire.messages, "BYE")?;
    let mut heard = Vec::new();
    for (from, to) in [(of(0)?, of(1)?), (of(1)?, of(2)?), (of(2)?, bye)] {
        let sent = wire.sent(port, from, to)?;
        ensure!(sent.len() > 5, "{} packets of sound between {} and {}", sent.len(), from.at, to.at);
        // The last one: a packet may be under way while the answer is.
        heard.extend(sent.last().map(|packet| (packet.payload_type, packet.to)));
        ensure!(from.media_port(0) == port, "our own port moved");
    }
    let here = nth(&wire.messages, "INVITE", 0)?.media_port(0);
    ensure!(
        heard == [(0, here), (9, here), (8, here + 4)],
        "payload types and ports: {heard:?}, room {room}"
    );
    let hosts = wire.evidence.fields(&format!("udp.srcport=={port}"), &[], &["ip.dst"])?;
    ensure!(hosts.last() == Some(&vec!["127.0.0.2".to_owned()]), "sound did not follow the address");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_moves_as_an_update_says() -> Result<()> {
    let bench = Bench::new("sip-update").await?;
    let there = ("[media_ip]", "[media_port+4]");
    let steps = [
        invite(&sound(1, HERE, "0", "")),
        sipp::expect_final(200),
        ack(),
        listen(),
        in_dialog("UPDATE", 2, &with_description(&sound(2, there, "0", ""))),
        sipp::expect(200),
        listen(),
    ];
    let wire = bench.play(&[&steps[..], &hang_up(3)[..]].concat()).await?;
    let (answer, updated) = (first(&wire.messages, "200 INVITE")?, first(&wire.messages, "200 UPDATE")?);
    let (port, here) = (answer.media_port(0), first(&wire.messages, "INVITE")?.media_port(0));
    ensure!(updated.media_port(0) == port, "{}", updated.text);
    let before = wire.sent(port, answer, updated)?;
    let after = wire.sent(port, updated, first(&wire.messages, "BYE")?)?;
    ensure!(before.len() > 5 && before.iter().all(|packet| packet.to == here), "before: {}", before.len());
    ensure!(after.len() > 5 && after.iter().skip(1).all(|packet| packet.to == here + 4));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_is_held_by_an_address_of_zeros_and_by_inactive_and_resumed() -> Result<()> {
    let bench = Bench::new("sip-hold").await?;
    let zeros = ("0.0.0.0", "[media_port]");
    let steps = [
        vec![invite(&sound(1, HERE, "0", "")), sipp::expect_final(200), ack(), listen()],
        reinvite(2, &sound(2, HERE, "0", "a=inactive")).to_vec(),
        vec![listen()],
        reinvite(3, &sound(3, HERE, "0", "")).to_vec(),
        vec![listen()],
        reinvite(4, &sound(4, zeros, "0", "")).to_vec(),
        vec![listen()],
        reinvite(5, &sound(5, HERE, "0", "a=sendrecv")).to_vec(),
        vec![listen()],
        hang_up(6).to_vec(),
    ];
    let wire = bench.play(&steps.concat()).await?;

    let of = |n| nth(&wire.messages, "200 INVITE", n);
    let bye = first(&wire.messages, "BYE")?;
    let port = of(0)?.media_port(0);
    let mut packets = Vec::new();
    for (from, to) in [(of(0)?, of(1)?), (of(1)?, of(2)?), (of(2)?, of(3)?), (of(3)?, of(4)?), (of(4)?, bye)]
    {
        packets.push(wire.sent(port, from, to)?.len());
    }
    let [before, inactive, between, zeros, after] = packets[..] else { anyhow::bail!("{packets:?}") };
    ensure!(before > 5 && between > 5 && after > 5, "packets of sound: {packets:?}");
    ensure!(inactive <= 1 && zeros <= 1, "packets of sound: {packets:?}");
    ensure!(of(1)?.media()[0].contains("a=inactive"), "{}", of(1)?.text);
    ensure!(of(3)?.media()[0].contains("a=recvonly"), "{}", of(3)?.text);
    ensure!(of(4)?.media()[0].contains("a=sendrecv"), "{}", of(4)?.text);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_makes_no_offer_gets_ours_and_answers_in_its_ack() -> Result<()> {
    let bench = Bench::new("sip-offerless").await?;
    let answer = |version, port: &str| {
        format!(
            "{}\na=sendrecv\nm=video 0 RTP/AVP 97\n",
            sipp::sound_only(version, "[media_ip]", port, "0", "a=rtcp-mux")
        )
    };
    let steps = [
        vec![
            invite(""),
            sipp::expect_final(200),
            in_dialog("ACK", 1, &with_description(&answer(1, "[media_port]"))),
            listen(),
        ],
        vec![
            in_dialog("INVITE", 2, &with_description("")),
            sipp::expect_final(200),
            in_dialog("ACK", 2, &with_description(&answer(2, "[media_port+4]"))),
            listen(),
        ],
        hang_up(3).to_vec(),
    ];
    let wire = bench.play(&steps.concat()).await?;

    let (offer, again) = (first(&wire.messages, "200 INVITE")?, nth(&wire.messages, "200 INVITE", 1)?);
    let bye = first(&wire.messages, "BYE")?;
    let here = first(&wire.messages, "ACK")?.media_port(0);
    for offer in [offer, again] {
        let media = offer.media();
        ensure!(
            media.len() == 2 && media[0].contains("opus/48000/2") && media[1].contains("H264/90000"),
            "{}",
            offer.text
        );
    }
    let port = offer.media_port(0);
    ensure!(again.media_port(0) == port, "{}", again.text);
    let (first, second) = (wire.sent(port, offer, again)?, wire.sent(port, again, bye)?);
    ensure!(first.len() > 5 && first.iter().all(|packet| (packet.payload_type, packet.to) == (0, here)));
    let moved = second.iter().filter(|packet| packet.to == here + 4).count();
    ensure!(moved > 5, "{moved} of {} packets went where the second answer said", second.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_sound_or_picture_is_declined_in_its_place() -> Result<()> {
    let bench = Bench::new("sip-lines").await?;
    let offer = "v=0
o=script 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=application 40100 UDP/BFCP *
a=floorctrl:c-s
a=confid:1
m=video [media_port+2] RTP/AVP 97
a=rtpmap:97 H264/90000
a=fmtp:97 profile-level-id=42801f;packetization-mode=1
a=content:main
m=audio [media_port] RTP/AVP 0
m=video [media_port+4] RTP/AVP 98
a=rtpmap:98 H264/90000
a=fmtp:98 profile-level-id=42801f;packetization-mode=1
a=content:slides
m=application 40102 RTP/AVP 100
a=rtpmap:100 H224/4800
";
    let steps = [invite(offer), sipp::expect_final(200), ack(), listen()];
    let wire = bench.play(&[&steps[..], &hang_up(2)[..]].concat()).await?;
    let answer = first(&wire.messages, "200 INVITE")?;
    let lines: Vec<_> = answer.media().iter().filter_map(|media| media.lines().next()).collect();
    ensure!(lines.len() == 5, "{lines:?}");
    let starts = [
        "m=application 0 UDP/BFCP *",
        "m=video ",
        "m=audio ",
        "m=video 0 RTP/AVP 98",
        "m=application 0 RTP/AVP 100",
    ];
    let in_order = lines.iter().zip(starts).all(|(line, start)| line.starts_with(start));
    ensure!(in_order && answer.media_port(1) > 0 && answer.media_port(2) > 0, "{lines:?}");
    Ok(())
}

/// What a script does that stays in the call until the gateway ends it.
fn until_hung_up() -> [String; 2] {
    ["<recv request=\"BYE\"/>".to_owned(), sipp::answer_ok()]
}

fn layout(status: &serde_json::Value) -> &str {
    status["live"]["conferences"][0]["calls"][0]["layout"].as_str().unwrap_or_default()
}

/// Calls, presses `*8` by `keys`, and finds the next layout.
async fn presses(name: &str, keys: &[String]) -> Result<Wire> {
    let bench = Bench::new(name).await?;
    let offer = sound(1, HERE, "0 96", "a=rtpmap:96 telephone-event/8000\na=fmtp:96 0-15");
    let begin = [invite(&offer), sipp::expect_final(200), ack()];
    let script = bench.script(&[&begin[..], keys, &until_hung_up()[..]].concat(), &[])?;
    let gateway = &bench.scene.gateway;
    gateway.wait_status("the layout is the next one", PATIENCE, |status| layout(status) == "equal").await?;
    let device = bench.scene.room_in_meeting().await?.device;
    ensure!(bench.scene.simulator().kick(&device), "nobody to remove");
    script.finish(PATIENCE)?;
    bench.end()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_pressed_by_rfc_4733_switch_the_layout() -> Result<()> {
    let keys = ["<nop><action><exec play_dtmf=\"*8\"/></action></nop>".to_owned()];
    let wire = presses("sip-dtmf-rtp", &keys).await?;
    let port = first(&wire.messages, "200 INVITE")?.media_port(0);
    let events = wire.evidence.rtp(port)?.iter().filter(|packet| packet.payload_type == 96).count();
    ensure!(events > 4, "{events} packets of keys");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_pressed_by_info_switch_the_layout() -> Result<()> {
    let press = |cseq, key: &str| {
        let body = format!(
            "Content-Type: application/dtmf-relay\nContent-Length: [len]\n\nSignal={key}\nDuration=160\n"
        );
        [in_dialog("INFO", cseq, &body), sipp::expect(200)]
    };
    let wire = presses("sip-dtmf-info", &[press(2, "*"), press(3, "8")].concat()).await?;
    let bye = first(&wire.messages, "BYE")?;
    let reasons: Vec<&str> = bye.headers("Reason").collect();
    ensure!(reasons.iter().any(|reason| reason.starts_with("Q.850;cause=21")), "{reasons:?}");
    Ok(())
}

/// A room's ports for pictures, held by the test: what the gateway sends can be answered.
struct PicturePorts {
    rtp: UdpSocket,
    rtcp: UdpSocket,
}

impl PicturePorts {
    fn open() -> Result<Self> {
        let (rtp, rtcp) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
        rtp.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { rtp, rtcp })
    }

    /// sipp's keywords for the ports.
    fn keys(&self) -> Result<[String; 6]> {
        let key = |name: &str, socket: &UdpSocket| -> Result<[String; 3]> {
            Ok(["-key".to_owned(), name.to_owned(), socket.local_addr()?.port().to_string()])
        };
        let ([a, b, c], [d, e, f]) = (key("picture", &self.rtp)?, key("feedback", &self.rtcp)?);
        Ok([a, b, c, d, e, f])
    }

    /// Waits for a packet that begins a slice of this kind; its sender and SSRC.
    fn wait(&self, slice: u8) -> Result<(SocketAddr, [u8; 4])> {
        let mut packet = [0; 2_048];
        loop {
            let (length, from) = self.rtp.recv_from(&mut packet).context("the gateway sends no picture")?;
            ensure!(length > 13, "a packet of {length} octets");
            if begins(&packet[12..length]) == Some(slice) {
                return Ok((from, [packet[8], packet[9], packet[10], packet[11]]));
            }
        }
    }
}

/// H.264: a slice of a picture that needs others, and of one that stands alone.
const DELTA: u8 = 1;
const IDR: u8 = 5;

/// The type of the NAL unit that begins in this packet, if one does.
fn begins(payload: &[u8]) -> Option<u8> {
    match payload {
        [header, piece, ..] if header & 0x1f == 28 => (piece & 0x80 != 0).then_some(piece & 0x1f),
        [header, ..] => Some(header & 0x1f),
        [] => None,
    }
}

/// An RTCP compound of an empty receiver report and feedback of `format` about `media` (RFC 4585 6.1).
fn feedback(payload_type: u8, format: u8, media: [u8; 4], more: &[u8]) -> Vec<u8> {
    const SENDER: [u8; 4] = [0, 0, 0, 7];
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(SENDER);
    packet.extend([0x80 | format, payload_type, 0, 2 + (more.len() / 4) as u8]);
    packet.extend(SENDER);
    packet.extend(media);
    packet.extend(more);
    packet
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_asks_for_a_keyframe_by_rtcp_or_info_gets_one_at_once() -> Result<()> {
    let bench = Bench::new("sip-keyframe").await?;
    let ports = PicturePorts::open()?;
    let offer = sipp::offer("a=rtcp:[feedback]\n").replace("[media_port+2]", "[picture]");
    let update = "Content-Type: application/media_control+xml\nContent-Length: [len]\n\n<?xml version=\"1.0\"?>\n\
        <media_control><vc_primitive><to_encoder><picture_fast_update/></to_encoder></vc_primitive></media_control>\n";
    // Nobody is in the meeting: the picture changes once a second, and none of itself stands alone.
    let steps = [
        invite(&offer),
        sipp::expect_final(200),
        ack(),
        sipp::pause(1_500),
        in_dialog("INFO", 2, update),
        sipp::expect(200),
        sipp::mark("informed"),
    ];
    let keys = ports.keys()?;
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let script = bench.script(&[&steps[..], &until_hung_up()[..]].concat(), &keys)?;
    script.reached("informed", PATIENCE).await?;
    ports.rtp.set_nonblocking(true)?;
    while ports.rtp.recv(&mut [0; 2_048]).is_ok() {}
    ports.rtp.set_nonblocking(false)?;

    let (gateway, ssrc) = ports.wait(DELTA)?;
    let control = SocketAddr::new(gateway.ip(), gateway.port() + 1);
    ports.rtcp.send_to(&feedback(206, 1, ssrc, &[]), control)?;
    ports.wait(IDR)?;
    ports.wait(DELTA)?;
    let full_intra_request = [&ssrc[..], &[1, 0, 0, 0]].concat();
    ports.rtcp.send_to(&feedback(206, 4, [0; 4], &full_intra_request), control)?;
    ports.wait(IDR)?;
    ports.wait(DELTA)?;
    let device = bench.scene.room_in_meeting().await?.device;
    ensure!(bench.scene.simulator().kick(&device), "nobody to remove");
    script.finish(PATIENCE)?;
    let wire = bench.end()?;

    let rtcp = ports.rtcp.local_addr()?.port();
    let asked = wire.evidence.fields(&format!("udp.srcport=={rtcp}"), &[], &["frame.time_epoch"])?;
    let mut asked: Vec<f64> = asked.iter().flatten().filter_map(|at| at.parse().ok()).collect();
    asked.push(first(&wire.messages, "INFO")?.at);
    ensure!(asked.len() == 3, "asked at {asked:?}");
    let sent = wire.evidence.rtp(gateway.port())?;
    let alone: Vec<f64> =
        sent.iter().filter(|packet| begins(&packet.payload) == Some(IDR)).map(|packet| packet.at).collect();
    for at in asked {
        let next = alone.iter().find(|idr| **idr > at).context("no picture that stands alone")?;
        ensure!(next - at < 0.5, "a keyframe came {} s after it was asked for", next - at);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_knows_no_rtcp_feedback_is_asked_for_a_keyframe_by_info() -> Result<()> {
    let bench = Bench::new("sip-ask-info").await?;
    let folder = bench.scene.lab.folder("script")?;
    let mut pictures = sipp::make_pictures(&folder, (320, 180), 4)?;
    // The first picture, on which the others stand, is missing.
    pictures.retain(|packet| packet.at > 0.01);
    let tone = wire::pack_pcmu(&tone(8_000, 4.0, ROOM_HZ, false));
    wire::write_pcap(&[tone, pictures], &folder.join(sipp::CAPTURE))?;
    let offer: String = sipp::offer("")
        .lines()
        .filter(|line| !line.contains("rtcp-fb"))
        .map(|line| format!("{line}\n"))
        .collect();
    let steps = [
        invite(&offer),
        sipp::expect_final(200),
        ack(),
        sipp::play().to_owned(),
        "<recv request=\"INFO\"/>".to_owned(),
        sipp::answer_ok(),
        sipp::mark("asked"),
        // It asks again until the next picture that stands alone, which comes with the capture.
        "<label id=\"1\"/><recv request=\"INFO\" optional=\"true\" next=\"2\"/><recv request=\"BYE\" next=\"3\"/>\
         <label id=\"2\"/>"
            .to_owned(),
        sipp::answer_ok().replace("<send", "<send next=\"1\""),
        "<label id=\"3\"/>".to_owned(),
        sipp::answer_ok(),
    ];
    let script = bench.script(&steps, &[])?;
    script.reached("asked", PATIENCE).await?;
    let device = bench.scene.room_in_meeting().await?.device;
    ensure!(bench.scene.simulator().kick(&device), "nobody to remove");
    script.finish(PATIENCE)?;
    let wire = bench.end()?;
    let info = first(&wire.messages, "INFO")?;
    ensure!(info.header("Content-Type") == Some("application/media_control+xml"), "{}", info.text);
    ensure!(info.body().contains("<picture_fast_update/>"), "{}", info.text);
    Ok(())
}

/// A rule that takes `<name>-<meeting>` with this media encryption.
fn rule(name: &str, priority: u8, encryption: &str) -> (&'static str, String) {
    let lines = format!(
        "name = \"{name}\"\npriority = {priority}\nencryption = \"{encryption}\"\nreplace = '\\1'\n\
         match = {{ regex = '{name}-(\\d{{13}})@.*' }}"
    );
    ("[[rules]]", lines)
}

const CRYPTO: &str = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\n";

#[tokio::test(flavor = "multi_thread")]
async fn media_is_encrypted_as_the_rule_of_the_call_says() -> Result<()> {
    let gateway = vec![rule("must", 10, "on"), rule("never", 11, "off"), rule("may", 12, "best-effort")];
    let bench = Bench::with("sip-srtp", SceneConfig { gateway, ..SceneConfig::default() }).await?;
    let plain = sound(1, HERE, "0", "");
    let best_effort = sound(1, HERE, "0", CRYPTO);
    let encrypted = best_effort.replace("RTP/AVP", "RTP/SAVP");
    let cases = [
        ("must", &plain, 488, ""),
        ("must", &encrypted, 200, "RTP/SAVP"),
        ("never", &encrypted, 488, ""),
        ("never", &best_effort, 200, "RTP/AVP"),
        ("may", &plain, 200, "RTP/AVP"),
        ("may", &encrypted, 200, "RTP/SAVP"),
        ("may", &best_effort, 200, "RTP/AVP"),
    ];
    for (rule, offer, status, _) in cases {
        let user = format!("{rule}-{MEETING}");
        let invite =
            [sipp::invite_with(&user, DOMAIN, "Supported: timer", offer), sipp::expect_final(status)];
        let rest = match status {
            200 => [&[ack()], &hang_up(2)[..]].concat(),
            _ => vec![sipp::ack_to_failure(&user, DOMAIN)],
        };
        bench.script(&[&invite[..], &rest].concat(), &[])?.finish(PATIENCE)?;
    }
    let wire = bench.end()?;

    let finals: Vec<&SipMessage> = wire
        .messages
        .iter()
        .filter(|message| ["200 INVITE", "488 INVITE"].contains(&message.name().as_str()))
        .collect();
    ensure!(finals.len() == cases.len(), "{} answers", finals.len());
    for ((rule, offer, status, proto), answer) in cases.into_iter().zip(finals) {
        let what = format!("rule {rule}\n{offer}\n{}", answer.text);
        ensure!(answer.name() == format!("{status} INVITE"), "{what}");
        if status != 200 {
            let reason: Vec<&str> = answer.headers("Reason").collect();
            ensure!(reason.iter().any(|reason| reason.starts_with("Q.850;cause=65")), "{what}");
            continue;
        }
        let encrypted = rule != "never" && offer.contains("a=crypto");
        let line = answer.media()[0];
        ensure!(line.starts_with("m=audio ") && line.contains(&format!(" {proto} ")), "{what}");
        ensure!(line.contains("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:") == encrypted, "{what}");
        ensure!(!line.contains("d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj"), "our key is theirs: {what}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn k5_a_room_behind_nat_is_answered_where_its_packets_come_from() -> Result<()> {
    let bench = Bench::new("sip-nat").await?;
    let folder = bench.scene.lab.folder("script")?;
    sipp::make_sound(&folder, 2)?;
    // The port signalled is not the one that sipp sends from, which it takes from the line of its own.
    let signalled = UdpSocket::bind("127.0.0.1:0")?.local_addr()?.port().to_string();
    let offer = sound(1, ("192.0.2.99", "[signalled]"), "0", "a=x-audio-from:[media_port]\n");
    // Nor does it listen for SIP where its Via and Contact say.
    let natted = |step: String| {
        step.replace("[transport] [local_ip]:[local_port];", "[transport] 192.0.2.99:5099;rport;")
            .replace("Contact: <sip:script@[local_ip]:[local_port];", "Contact: <sip:script@192.0.2.99:5099;")
    };
    let steps = [
        natted(invite(&offer)),
        sipp::expect_final(200),
        natted(ack()),
        sipp::play().to_owned(),
        sipp::pause(1_500),
        sipp::mark("heard"),
    ];
    let script =
        bench.script(&[&steps[..], &until_hung_up()[..]].concat(), &["-key", "signalled", &signalled])?;
    let here = script.media_port;
    script.reached("heard", PATIENCE).await?;
    let device = bench.scene.room_in_meeting().await?.device;
    ensure!(bench.scene.simulator().kick(&device), "nobody to remove");
    script.finish(PATIENCE)?;
    let wire = bench.end()?;

    let (invite, answer) = (first(&wire.messages, "INVITE")?, first(&wire.messages, "200 INVITE")?);
    let bye = first(&wire.messages, "BYE")?;
    ensure!((answer.to, bye.to) == (invite.from, invite.from), "sent to ports {} and {}", answer.to, bye.to);
    let via = answer.header("Via").unwrap_or_default();
    ensure!(via.contains(&format!("rport={}", invite.from)) && via.contains("received=127.0.0.1"), "{via}");
    let sent = wire.sent(answer.media_port(0), answer, bye)?;
    let followed = sent.iter().filter(|packet| packet.to == here).count();
    ensure!(followed > 20, "{followed} of {} packets of sound went where the room's come from", sent.len());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_call_ends_or_is_refused_stands_in_reason_headers() -> Result<()> {
    let bench = Bench::new("sip-reason").await?;
    let refused = [
        sipp::invite_with("nobody", DOMAIN, "Supported: timer", &sound(1, HERE, "0", "")),
        sipp::expect_final(404),
        sipp::ack_to_failure("nobody", DOMAIN),
    ];
    bench.script(&refused, &[])?.finish(PATIENCE)?;
    let ended = [invite(&sound(1, HERE, "0", "")), sipp::expect_final(200), ack()];
    let script = bench.script(&[&ended[..], &until_hung_up()[..]].concat(), &[])?;
    bench.scene.room_in_meeting().await?;
    ensure!(bench.scene.simulator().end_meeting(MEETING), "no meeting");
    script.finish(PATIENCE)?;
    let wire = bench.end()?;

    let reasons = |message: &'static str| -> Result<String> {
        Ok(first(&wire.messages, message)?.headers("Reason").collect::<Vec<_>>().join(", "))
    };
    let refused = reasons("404 INVITE")?;
    ensure!(refused.contains("SIP;cause=404;text=") && refused.contains("Q.850;cause=3;text="), "{refused}");
    let ended = reasons("BYE")?;
    ensure!(ended.contains("SIP;cause=410;text=") && ended.contains("Q.850;cause=31;text="), "{ended}");
    Ok(())
}
