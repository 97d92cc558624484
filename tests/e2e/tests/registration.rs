//! Devices of the gateway's own: they register with their password, and who calls as one of them has to prove it.

use anyhow::{Result, ensure};
use e2e::gateway::{DOMAIN, MEETING, alias};
use e2e::referee::Capture;
use e2e::room::{Audio, Login, Room, RoomConfig};
use e2e::scene::{PATIENCE, Scene, SceneConfig};
use e2e::signalling::{self, SipMessage, first, nth};
use e2e::sipp::{self, Sipp};

const PASSWORD: &str = "correct-horse";
const BOARDROOM: Login = Login { user: "boardroom", password: PASSWORD, registers: true };

/// A scene whose gateway knows the board room, and takes calls to `members-<meeting>` from devices that registered alone.
async fn scene(name: &str) -> Result<(Scene, Capture)> {
    let device = format!("alias = \"boardroom@{DOMAIN}\"\npassword = \"{PASSWORD}\"");
    let rule = "name = \"members\"\npriority = 10\nreplace = '\\1'\n\
         match = { regex = 'members-(\\d{13})@.*', registered_only = true }";
    let gateway = vec![("[[devices]]", device), ("[[rules]]", rule.to_owned())];
    let scene = Scene::set(name, SceneConfig { gateway, ..SceneConfig::default() }).await?;
    let capture = Capture::start(&scene.lab, "wire.pcapng", "udp")?;
    Ok((scene, capture))
}

fn room(scene: &Scene, login: Login) -> Result<Room> {
    let config = RoomConfig {
        login: Some(login),
        audio: Audio::Pcmu,
        video: false,
        ..RoomConfig::new(scene.gateway.udp)
    };
    Room::start(&scene.lab, "room", &config)
}

fn messages(scene: &Scene, capture: Capture) -> Result<Vec<SipMessage>> {
    signalling::messages(&capture.stop()?, scene.gateway.udp.port())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_registers_with_its_password_and_leaves_when_it_goes() -> Result<()> {
    let (scene, capture) = scene("register").await?;
    let mut room = room(&scene, BOARDROOM)?;
    room.process().wait_for("200 OK", PATIENCE)?;
    room.command("quit")?;
    scene.gateway.process().wait_for("Unregistered", PATIENCE)?;
    let messages = messages(&scene, capture)?;

    let challenge = first(&messages, "401 REGISTER")?;
    ensure!(challenge.header("WWW-Authenticate").is_some(), "{}", challenge.text);
    let (proof, granted) = (nth(&messages, "REGISTER", 1)?, first(&messages, "200 REGISTER")?);
    let credentials = proof.header("Authorization").unwrap_or_default();
    ensure!(
        credentials.contains("username=\"boardroom\"") && !proof.text.contains(PASSWORD),
        "{}",
        proof.text
    );
    let contact = granted.header("Contact").unwrap_or_default();
    ensure!(
        contact.contains(&format!("127.0.0.1:{}", proof.from)) && contact.contains("expires="),
        "{contact}"
    );
    let gone = messages.iter().rfind(|message| message.name() == "200 REGISTER");
    ensure!(gone.is_some_and(|gone| gone.header("Contact").is_none()), "still registered: {gone:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_does_not_register_and_neither_does_an_unknown_device() -> Result<()> {
    let (scene, capture) = scene("register-wrong").await?;
    let guessing = room(&scene, Login { password: "guess", ..BOARDROOM })?;
    guessing.process().wait_for("401 Unauthorized", PATIENCE)?;
    drop(guessing);
    let stranger = room(&scene, Login { user: "stranger", ..BOARDROOM })?;
    stranger.process().wait_for("403 Forbidden", PATIENCE)?;
    drop(stranger);
    let messages = messages(&scene, capture)?;
    ensure!(nth(&messages, "401 REGISTER", 1).is_ok(), "the guess was not challenged again");
    ensure!(first(&messages, "200 REGISTER").is_err(), "somebody registered");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_calls_as_a_device_is_challenged_and_known_once_it_has_proved_it() -> Result<()> {
    let (scene, capture) = scene("call-as-device").await?;
    let members = format!("members-{MEETING}");
    let impostor = sipp::invite_with(&members, DOMAIN, "Supported: timer", &sipp::offer(""));
    let impostor =
        impostor.replace("<sip:script@[local_ip]:[local_port]>;tag", "<sip:boardroom@meet.example.com>;tag");
    let ack = sipp::ack_to_failure(&members, DOMAIN);
    let ack = ack.replace("<sip:script@[local_ip]:[local_port]>;tag", "<sip:boardroom@meet.example.com>;tag");
    let script = sipp::scenario(&[impostor, sipp::expect_final(401), ack]);
    Sipp::start(&scene.lab, "script", &script, scene.gateway.udp, &[])?.finish(PATIENCE)?;

    // Only a rule for devices takes this number, so who gets in was believed to be one.
    let mut stranger = Room::start(
        &scene.lab,
        "stranger",
        &RoomConfig { audio: Audio::Pcmu, video: false, ..RoomConfig::new(scene.gateway.udp) },
    )?;
    stranger.dial(&alias(&members))?;
    ensure!(stranger.wait_closed(PATIENCE)?.contains("404"), "a stranger got in");
    let mut device = room(&scene, Login { registers: false, ..BOARDROOM })?;
    device.dial(&alias(&members))?;
    device.wait_connected(PATIENCE)?;
    scene.room_in_meeting().await?;
    device.command("hangup")?;
    let cause = scene.gateway.wait_status("the call is over", PATIENCE, |status| {
        status["ended"]
            .as_array()
            .is_some_and(|ended| ended.last().is_some_and(|last| last["cause"] == "Caller/HungUp"))
    });
    cause.await?;

    let messages = messages(&scene, capture)?;
    let refused = first(&messages, "401 INVITE")?;
    ensure!(refused.headers("WWW-Authenticate").count() > 0, "{}", refused.text);
    let proof = messages
        .iter()
        .find(|message| message.name() == "INVITE" && message.header("Authorization").is_some());
    ensure!(
        proof.is_some_and(|proof| proof.text.contains("username=\"boardroom\"")),
        "nobody proved anything"
    );
    Ok(())
}
