//! What rooms ask of SIP besides a plain call: asked by scripts, judged on the wire.

use anyhow::{Result, ensure};
use e2e::gateway::{DOMAIN, MEETING};
use e2e::process::eventually;
use e2e::referee::{Capture, Evidence, RtpPacket};
use e2e::scene::{PATIENCE, Scene, SceneConfig};
use e2e::signalling::{self, SipMessage, first, nth};
use e2e::sipp::{self, Sipp, in_dialog, with_description};

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

/// Whether the header's list holds all of these.
fn lists(message: &SipMessage, header: &str, items: &[&str]) -> bool {
    let found: Vec<&str> = message.headers(header).flat_map(|list| list.split(',')).map(str::trim).collect();
    items.iter().all(|item| found.contains(item))
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
