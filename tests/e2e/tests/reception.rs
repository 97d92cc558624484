//! A Virtual Reception, dialled by real peers: seen, heard, keyed in every way SIP has, and left into the meeting or politely.

use anyhow::{Context, Result, ensure};
use e2e::browser::BROWSER_HZ;
use e2e::gateway::{DOMAIN, MEETING};
use e2e::keypad;
use e2e::pattern::Luma;
use e2e::picture;
use e2e::process::eventually;
use e2e::referee::{Capture, Evidence};
use e2e::room::{ROOM_HZ, Room, RoomConfig};
use e2e::scene::{PATIENCE, Scene, SceneConfig};
use e2e::signalling::{self, SipMessage, first};
use e2e::sipp::{self, Sipp, in_dialog, with_description};
use e2e::sound::{Sound, tone};
use e2e::wire;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The general alias.
const ALIAS: &str = "sip:gmeet@example.com";
const HERE: &str = "[local_ip]";

fn reception(more: &str) -> Vec<(&'static str, String)> {
    vec![("[[receptions]]", format!("name = \"front desk\"\naliases = [\"gmeet@example.com\"]\n{more}"))]
}

/// A scene with a reception; `token` is the gateway's.
async fn scene(name: &str, more: &str, config: SceneConfig) -> Result<Scene> {
    Scene::set(name, SceneConfig { gateway: reception(more), ..config }).await
}

/// A built-in picture as baresip's snapshots show it: with video's black of 16 and white of 235.
fn built_in(prompt: &str) -> Result<Luma> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the workspace")?;
    let picture = picture::read_png(&workspace.join(format!("firmware/gatewayd/prompts/{prompt}.png")))?;
    let pixels = picture.pixels.iter().map(|pixel| (16 + u16::from(*pixel) * 219 / 255) as u8).collect();
    Ok(Luma { pixels, ..picture })
}

/// Mean difference of two pictures of one size, in steps of brightness; the field of the keys left out.
fn difference(a: &Luma, b: &Luma) -> f64 {
    if (a.width, a.height) != (b.width, b.height) {
        return f64::INFINITY;
    }
    let field = |at: usize| (480 * a.height / 720..600 * a.height / 720).contains(&(at / a.width));
    let pairs = a.pixels.iter().zip(&b.pixels).enumerate().filter(|(at, _)| !field(*at));
    let (count, sum) =
        pairs.fold((0_u32, 0.0), |(n, sum), (_, (a, b))| (n + 1, sum + f64::from(a.abs_diff(*b))));
    sum / f64::from(count.max(1))
}

/// Bright pixels in the field of the keys.
fn keyed(seen: &Luma) -> usize {
    let rows =
        seen.pixels.chunks_exact(seen.width).take(586 * seen.height / 720).skip(490 * seen.height / 720);
    rows.flatten().filter(|pixel| **pixel > 170).count()
}

/// Waits until the room sees this prompt, and what was keyed in it covers at least `least` pixels.
async fn sees(scene: &Scene, room: &mut Room, prompt: &str, least: usize) -> Result<()> {
    let (wanted, deadline, mut nearest) = (built_in(prompt)?, Instant::now() + PATIENCE, f64::INFINITY);
    while Instant::now() < deadline {
        let Ok((seen, path)) = room.snapshot().await else { continue };
        std::fs::copy(&path, scene.lab.artefact(&format!("{prompt}.png")))?;
        nearest = nearest.min(difference(&seen, &wanted));
        if difference(&seen, &wanted) < 3.0 && keyed(&seen) >= least {
            return Ok(());
        }
    }
    anyhow::bail!("the room does not see {prompt:?}; the nearest it saw was {nearest} away")
}

/// Loudness of a part of a sound, as root of the mean square.
fn loudness(sound: &Sound, from: f32, to: f32) -> f32 {
    let index = |at: f32| ((at * sound.rate as f32) as usize).min(sound.samples.len());
    let part = &sound.samples[index(from)..index(to)];
    (part.iter().map(|sample| sample * sample).sum::<f32>() / part.len().max(1) as f32).sqrt()
}

/// In how many of the tenths of a second between `from` and `to` somebody speaks.
fn spoken(sound: &Sound, from: f32, to: f32) -> usize {
    let tenth = |i: usize| from + i as f32 * 0.1;
    let count = ((to.min(sound.seconds()) - from) / 0.1).max(0.0) as usize;
    (0..count).filter(|i| loudness(sound, tenth(*i), tenth(i + 1)) > 0.01).count()
}

/// P5
#[tokio::test(flavor = "multi_thread")]
async fn p5_a_room_sees_and_hears_the_reception_keys_the_id_and_meets_the_person() -> Result<()> {
    let config = SceneConfig { browser: Some((640, 360)), ..SceneConfig::default() };
    let scene = scene("reception-room", "", config).await?;
    let capture =
        Capture::start(&scene.lab, "wire.pcapng", &format!("udp port {}", scene.gateway.udp.port()))?;
    let mut room = Room::start(&scene.lab, "room", &RoomConfig::new(scene.gateway.udp))?;
    room.dial(ALIAS)?;
    room.wait_connected(PATIENCE)?;
    sees(&scene, &mut room, "welcome", 0).await?;
    let prompted = scene.gateway.status()?;
    ensure!(prompted["live"]["unrouted"][0]["state"] == "in the reception", "{prompted:#}");
    ensure!(scene.simulator().participants(MEETING).len() == 1, "nobody but the person is in the meeting");
    // The voice lasts about eight seconds; half of it, in packets of 20 ms, is heard before a key cuts it short.
    scene.gateway.wait_spoken(200, PATIENCE).await?;
    keys(&scene, &mut room, MEETING).await?;
    sees(&scene, &mut room, "welcome", 4_000).await?;
    room.press("#")?;

    let in_meeting = scene.room_in_meeting().await?;
    scene.person_sees_and_hears(&in_meeting, ROOM_HZ, 60).await?;
    scene.room_sees_person(&mut room, "room-sees.png").await?;
    room.command("hangup")?;
    let cause = scene.gateway.last_cause(PATIENCE).await?;
    scene.gateway.wait_idle(Duration::from_secs(5)).await?;
    let heard = room.stop()?;
    ensure!(cause == "Caller/HungUp", "the call ended with {cause}");
    ensure!(spoken(&heard, 0.0, 4.0) > 15, "the prompt is not heard: {} tenths", spoken(&heard, 0.0, 4.0));
    ensure!(heard.level(BROWSER_HZ, 0.0, 3.0) < 0.02, "the meeting is heard in the reception");
    let late = heard.seconds() - 3.0;
    ensure!(heard.share_with(BROWSER_HZ, late) > 0.6, "the person is not heard after the reception");
    let messages = signalling::messages(&capture.stop()?, scene.gateway.udp.port())?;
    let invites = messages.iter().filter(|message| message.name() == "INVITE").count();
    ensure!(invites == 1, "{invites} INVITEs: the hand-over wants no other");
    Ok(())
}

/// A script in front of a reception, and what the wire carries.
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
    async fn new(name: &str, more: &str, config: SceneConfig) -> Result<Self> {
        let scene = scene(name, more, config).await?;
        let capture = Capture::start(&scene.lab, "wire.pcapng", "udp")?;
        Ok(Self { scene, capture })
    }

    /// Dials the reception, keys by `keys`, and stays until the gateway hangs up. `sound` is a capture to be played.
    fn dials(
        &self,
        formats: &str,
        attributes: &str,
        keys: &[String],
        sound: Option<&[wire::Played]>,
    ) -> Result<Sipp> {
        if let Some(sound) = sound {
            wire::write_pcap(&[sound.to_vec()], &self.scene.lab.folder("script")?.join(sipp::CAPTURE))?;
        }
        let offer = sipp::sound_only(1, HERE, "[media_port]", formats, attributes);
        let begin = [
            sipp::invite_with("gmeet", "example.com", "Supported: timer", &offer),
            sipp::expect_final(200),
            in_dialog("ACK", 1, &with_description("")),
        ];
        let end = ["<recv request=\"BYE\" timeout=\"90000\"/>".to_owned(), sipp::answer_ok()];
        let steps = [&begin[..], keys, &end[..]].concat();
        Sipp::start(&self.scene.lab, "script", &sipp::scenario(&steps), self.scene.gateway.udp, &[])
    }

    /// Waits until the caller is in the meeting, lets it stay a little, removes it, and gives what was on the wire.
    async fn reaches_the_meeting(self, script: Sipp) -> Result<Wire> {
        let device = self.scene.room_in_meeting().await?.device;
        let connected =
            |status: &serde_json::Value| status["live"]["conferences"][0]["calls"][0]["state"] == "connected";
        self.scene.gateway.wait_status("the call is in its meeting", PATIENCE, connected).await?;
        ensure!(self.scene.simulator().kick(&device), "nobody to remove");
        script.finish(PATIENCE)?;
        let wire = self.end().await?;
        let invites = wire.messages.iter().filter(|message| message.name() == "INVITE").count();
        ensure!(invites == 1, "{invites} INVITEs: the hand-over wants no other");
        Ok(wire)
    }

    async fn end(self) -> Result<Wire> {
        self.scene.gateway.wait_idle(Duration::from_secs(5)).await?;
        let port = self.scene.gateway.udp.port();
        let evidence = self.capture.stop()?;
        let messages = signalling::messages(&evidence, port)?;
        Ok(Wire { evidence, messages })
    }
}

impl Wire {
    /// What a caller with G.711 heard.
    fn heard(&self) -> Result<Sound> {
        let port = first(&self.messages, "200 INVITE")?.media_port(0);
        let sent: Vec<_> =
            self.evidence.rtp(port)?.into_iter().filter(|p| p.from == port && p.payload_type == 0).collect();
        wire::raw_sound(&sent, "mulaw", 8_000)
    }

    fn seconds_between(&self, from: &str, to: &str) -> Result<f64> {
        Ok(first(&self.messages, to)?.at - first(&self.messages, from)?.at)
    }

    fn reason(&self) -> Result<String> {
        Ok(first(&self.messages, "BYE")?.headers("Reason").collect::<Vec<_>>().join(", "))
    }
}

const EVENTS: (&str, &str) = ("0 96", "a=rtpmap:96 telephone-event/8000\na=fmtp:96 0-15");

fn dtmf(keys: &str) -> String {
    format!("<nop><action><exec play_dtmf=\"{keys}\"/></action></nop>")
}

/// P5
#[tokio::test(flavor = "multi_thread")]
async fn p5_digits_by_rfc_4733_reach_the_meeting() -> Result<()> {
    let bench = Bench::new("reception-rfc-4733", "", SceneConfig::default()).await?;
    let keys = [sipp::pause(1_000), dtmf(&format!("{MEETING}#"))];
    let script = bench.dials(EVENTS.0, EVENTS.1, &keys, None)?;
    let wire = bench.reaches_the_meeting(script).await?;
    let heard = wire.heard()?;
    ensure!(spoken(&heard, 0.0, 1.2) > 5, "the greeting is not heard");
    Ok(())
}

/// Keys by INFO, from the second request of the dialog on.
fn informed(keys: &str) -> Vec<String> {
    let press = |(cseq, key): (u32, char)| {
        let body = format!(
            "Content-Type: application/dtmf-relay\nContent-Length: [len]\n\nSignal={key}\nDuration=160\n"
        );
        [in_dialog("INFO", cseq, &body), sipp::expect(200)]
    };
    (2..).zip(keys.chars()).flat_map(press).collect()
}

/// P5
#[tokio::test(flavor = "multi_thread")]
async fn p5_digits_by_info_reach_the_meeting_and_a_star_corrects_them() -> Result<()> {
    let bench = Bench::new("reception-info", "", SceneConfig::default()).await?;
    let wrong_first = format!("{}9*{}#", &MEETING[..4], &MEETING[4..]);
    let keys = informed(&wrong_first);
    let script = bench.dials("0", "a=sendrecv", &keys, None)?;
    bench.reaches_the_meeting(script).await.map(drop)
}

/// P5
#[tokio::test(flavor = "multi_thread")]
async fn p5_digits_in_band_reach_the_meeting() -> Result<()> {
    let bench = Bench::new("reception-in-band", "", SceneConfig::default()).await?;
    let sound = wire::pack_pcmu(&keypad::tones(8_000, &format!("{MEETING}#"), 1.0, 40.0));
    let script = bench.dials("0", "a=sendrecv", &[sipp::play().to_owned()], Some(&sound))?;
    bench.reaches_the_meeting(script).await.map(drop)
}

/// P5
#[tokio::test(flavor = "multi_thread")]
async fn p5_an_id_that_no_meeting_has_may_be_keyed_again() -> Result<()> {
    let bench = Bench::new("reception-again", "", SceneConfig::default()).await?;
    let keys = [sipp::pause(500), dtmf("9999999999999#"), sipp::pause(8_000), dtmf(&format!("{MEETING}#"))];
    let script = bench.dials(EVENTS.0, EVENTS.1, &keys, None)?;
    bench.reaches_the_meeting(script).await.map(drop)
}

/// P5
#[tokio::test(flavor = "multi_thread")]
async fn p5_three_wrong_tries_end_politely() -> Result<()> {
    let bench = Bench::new("reception-three-tries", "", SceneConfig::default()).await?;
    let keys = [dtmf("12#"), sipp::pause(3_000), dtmf("34#"), sipp::pause(3_000), dtmf("56#")];
    let script = bench.dials(EVENTS.0, EVENTS.1, &keys, None)?;
    script.finish(Duration::from_secs(60))?;
    let cause = bench.scene.gateway.last_cause(PATIENCE).await?;
    ensure!(cause == "Caller/NoRoute", "the call ended with {cause}");
    ensure!(bench.scene.simulator().participants(MEETING).is_empty());
    let wire = bench.end().await?;
    ensure!(wire.reason()?.contains("Q.850;cause=3"), "{}", wire.reason()?);
    let heard = wire.heard()?;
    // The goodbye lasts six seconds; the call ends when it is over.
    let goodbye = spoken(&heard, heard.seconds() - 6.0, heard.seconds());
    ensure!(goodbye > 30, "the goodbye is heard in {goodbye} tenths of a second");
    Ok(())
}

/// P5: who tries ids without end, call by call, is a guesser.
#[tokio::test(flavor = "multi_thread")]
async fn p5_who_keys_wrong_ids_and_hangs_up_before_its_tries_are_over_is_blocked_as_a_guesser() -> Result<()>
{
    let defence = ("[defence]", "allow = []\noffences = 5\n".to_owned());
    let gateway = [reception(""), vec![defence]].concat();
    let scene = Scene::set("reception-guesser", SceneConfig { gateway, ..SceneConfig::default() }).await?;
    let offer = sipp::sound_only(1, HERE, "[media_port]", "0", "a=sendrecv");
    let blocked = |status: &Value| status["blocked"][0]["why"] == "wrong aliases";
    // Who only hangs up has guessed nothing. Of the others the last call has the fifth wrong id, and is heard no more.
    let calls = [""; 5].into_iter().chain(["12#34#"; 2]).chain(["56#"]);
    for (call, keys) in calls.enumerate() {
        ensure!(!blocked(&scene.gateway.status()?), "blocked before call {call}");
        let begin = [
            sipp::invite_with("gmeet", "example.com", "Supported: timer", &offer),
            sipp::expect_final(200),
            in_dialog("ACK", 1, &with_description("")),
        ];
        let keys = informed(keys);
        let end = [in_dialog("BYE", 9, &with_description(""))];
        let script = sipp::scenario(&[&begin[..], &keys, &end[..]].concat());
        let name = format!("script-{call}");
        Sipp::start(&scene.lab, &name, &script, scene.gateway.udp, &[])?.finish(PATIENCE)?;
    }
    scene.gateway.wait_status("it is blocked", PATIENCE, blocked).await.map(drop)
}

/// P5
#[tokio::test(flavor = "multi_thread")]
async fn p5_who_keys_nothing_is_said_goodbye() -> Result<()> {
    let bench = Bench::new("reception-silent", "first_key = \"5s\"\n", SceneConfig::default()).await?;
    let silence = wire::pack_pcmu(&tone(8_000, 60.0, 300.0, false));
    let script = bench.dials("0", "a=sendrecv", &[sipp::play().to_owned()], Some(&silence))?;
    script.finish(Duration::from_secs(60))?;
    let cause = bench.scene.gateway.last_cause(PATIENCE).await?;
    ensure!(cause == "Caller/NothingKeyed", "the call ended with {cause}");
    let wire = bench.end().await?;
    let lasted = wire.seconds_between("200 INVITE", "BYE")?;
    ensure!((15.0..30.0).contains(&lasted), "it lasted {lasted} s: greeting, five seconds, goodbye");
    Ok(())
}

/// P6, W1
#[tokio::test(flavor = "multi_thread")]
async fn p6_w1_a_guest_sees_that_it_waits_and_is_admitted() -> Result<()> {
    let config = SceneConfig { token: Some("guest-token".to_owned()), ..SceneConfig::default() };
    let scene = scene("reception-lobby", "", config).await?;
    let mut room = keyed_by_room(&scene).await?;
    sees(&scene, &mut room, "lobby", 0).await?;
    let device = eventually("the guest is in the lobby", PATIENCE, || {
        scene.simulator().participants(MEETING).into_iter().find(|one| one.call_id.is_some())
    });
    ensure!(scene.simulator().admit(&device.await?.device), "nobody to admit");
    scene.room_in_meeting().await?;
    let connected =
        |status: &serde_json::Value| status["live"]["conferences"][0]["calls"][0]["state"] == "connected";
    scene.gateway.wait_status("the guest is in", PATIENCE, connected).await?;
    room.command("hangup")?;
    scene.gateway.wait_idle(Duration::from_secs(5)).await.map(drop)
}

/// P6, W1
#[tokio::test(flavor = "multi_thread")]
async fn p6_w1_a_guest_that_nobody_admits_within_30_seconds_is_told_so() -> Result<()> {
    let config = SceneConfig { token: Some("guest-token".to_owned()), ..SceneConfig::default() };
    let scene = scene("reception-not-admitted", "", config).await?;
    let mut room = keyed_by_room(&scene).await?;
    sees(&scene, &mut room, "lobby", 0).await?;
    let began = Instant::now();
    let turned_away = eventually("the guest is turned away", Duration::from_secs(40), || {
        scene.simulator().participants(MEETING).is_empty().then(|| began.elapsed())
    });
    let waited = turned_away.await?.as_secs_f64();
    ensure!((20.0..34.0).contains(&waited), "it waited {waited} s from when it saw so");
    sees(&scene, &mut room, "not-admitted", 0).await?;
    room.wait_closed(PATIENCE)?;
    ends_with(&scene, "Callee/LobbyTimeout").await
}

/// P6, W1
#[tokio::test(flavor = "multi_thread")]
async fn p6_w1_where_lobbies_are_shown_a_guest_who_dialled_the_meeting_sees_it_and_is_admitted() -> Result<()>
{
    let gateway = vec![("gateway", "lobby = \"shown\"".to_owned())];
    let config = SceneConfig { token: Some("guest-token".to_owned()), gateway, ..SceneConfig::default() };
    let scene = Scene::set("lobby-shown", config).await?;
    let mut room = Room::start(&scene.lab, "room", &RoomConfig::new(scene.gateway.udp))?;
    room.dial(&format!("sip:{MEETING}@{DOMAIN}"))?;
    room.wait_connected(PATIENCE)?;
    sees(&scene, &mut room, "lobby", 0).await?;
    let guest = scene.simulator().participants(MEETING).into_iter().find(|one| one.call_id.is_some());
    ensure!(scene.simulator().admit(&guest.context("nobody in the lobby")?.device), "nobody to admit");
    let connected =
        |status: &serde_json::Value| status["live"]["conferences"][0]["calls"][0]["state"] == "connected";
    scene.gateway.wait_status("the guest is in", PATIENCE, connected).await?;
    Ok(())
}

/// W4
#[tokio::test(flavor = "multi_thread")]
async fn w4_where_interoperability_is_off_the_room_sees_it_before_the_call_ends() -> Result<()> {
    let scene = scene("reception-interop-off", "", SceneConfig::default()).await?;
    ensure!(scene.simulator().set_interop(MEETING, false), "no meeting");
    let mut room = keyed_by_room(&scene).await?;
    sees(&scene, &mut room, "interop-off", 0).await?;
    room.wait_closed(PATIENCE)?;
    ends_with(&scene, "Callee/InteropDisabled").await
}

/// P5
#[tokio::test(flavor = "multi_thread")]
async fn p5_a_theme_replaces_the_picture_of_the_welcome() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path: PathBuf = folder.path().join("welcome.png");
    let bright = Luma { width: 1_280, height: 720, pixels: vec![180; 1_280 * 720] };
    picture::write_png(&bright, &path)?;
    let themes = format!("name = \"bright\"\nfolder = \"{}\"", folder.path().display());
    let mut gateway = reception("theme = \"bright\"\n");
    gateway.push(("[[themes]]", themes));
    let scene = Scene::set("reception-theme", SceneConfig { gateway, ..SceneConfig::default() }).await?;
    let mut room = Room::start(&scene.lab, "room", &RoomConfig::new(scene.gateway.udp))?;
    room.dial(ALIAS)?;
    room.wait_connected(PATIENCE)?;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let Ok((seen, _)) = room.snapshot().await else { continue };
        if difference(&seen, &bright) < 12.0 {
            return Ok(());
        }
    }
    anyhow::bail!("the room does not see the theme's picture")
}

/// A room that has dialled the reception and keyed the id.
async fn keyed_by_room(scene: &Scene) -> Result<Room> {
    let mut room = Room::start(&scene.lab, "room", &RoomConfig::new(scene.gateway.udp))?;
    room.dial(ALIAS)?;
    room.wait_connected(PATIENCE)?;
    sees(scene, &mut room, "welcome", 0).await?;
    keys(scene, &mut room, MEETING).await?;
    room.press("#")?;
    Ok(room)
}

/// Keys these, each once the reception has taken the one before.
async fn keys(scene: &Scene, room: &mut Room, keys: &str) -> Result<()> {
    for (place, key) in keys.chars().enumerate() {
        room.press(&key.to_string())?;
        let taken = |status: &Value| status["live"]["unrouted"][0]["keyed"] == place + 1;
        scene.gateway.wait_status("a key that is taken", PATIENCE, taken).await?;
    }
    Ok(())
}

async fn ends_with(scene: &Scene, wanted: &str) -> Result<()> {
    let cause = scene.gateway.last_cause(PATIENCE).await?;
    ensure!(cause == wanted, "the call ended with {cause}, not {wanted}");
    scene.gateway.wait_idle(Duration::from_secs(5)).await.map(drop)
}

/// K1: the alias of the reception takes nothing from the rules.
#[tokio::test(flavor = "multi_thread")]
async fn k1_a_meeting_id_is_still_dialled_directly() -> Result<()> {
    let scene = scene("reception-direct", "", SceneConfig::default()).await?;
    let mut room =
        Room::start(&scene.lab, "room", &RoomConfig { video: false, ..RoomConfig::new(scene.gateway.udp) })?;
    room.dial(&format!("sip:{MEETING}@{DOMAIN}"))?;
    room.wait_connected(PATIENCE)?;
    scene.room_in_meeting().await?;
    Ok(())
}
