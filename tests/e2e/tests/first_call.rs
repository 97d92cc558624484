//! A room and a person in a browser see and hear each other, whatever the room signals and sounds like.

use anyhow::{Result, ensure};
use e2e::browser::BROWSER_HZ;
use e2e::gateway::{MEETING, alias};
use e2e::room::{Audio, ROOM_HZ, Room, RoomConfig, Transport};
use e2e::scene::{PATIENCE, Scene, SceneConfig};
use std::time::Duration;

/// Places the call, sees and hears both ways, hangs up, and finds everything given back.
async fn call(name: &str, transport: Transport, audio: Audio, srtp: bool) -> Result<()> {
    let config =
        SceneConfig { tls: transport == Transport::Tls, browser: Some((640, 360)), ..SceneConfig::default() };
    let scene = Scene::set(name, config).await?;
    let proxy = match transport {
        Transport::Udp => scene.gateway.udp,
        Transport::Tcp => scene.gateway.tcp,
        Transport::Tls => scene.gateway.tls.expect("a TLS address"),
    };
    let config = RoomConfig { transport, audio, srtp, ca: scene.sip_ca.clone(), ..RoomConfig::new(proxy) };
    let mut room = Room::start(&scene.lab, "room", &config)?;

    room.dial(&alias(MEETING))?;
    room.wait_connected(PATIENCE)?;
    let in_meeting = scene.room_in_meeting().await?;
    let seen = scene.person_sees_and_hears(&in_meeting, ROOM_HZ, 60).await?;
    scene.room_sees_person(&mut room, "room-sees.png").await?;
    scene.keep_person_view(&in_meeting, "person-sees.png")?;
    room.command("hangup")?;
    let cause = scene.gateway.last_cause(PATIENCE).await?;
    scene.gateway.wait_idle(Duration::from_secs(5)).await?;
    let heard = room.stop()?;

    ensure!(cause == "Caller/HungUp", "the call ended with {cause}");
    let numbers = seen.numbers();
    let moving = numbers.windows(2).filter(|pair| pair[0] < pair[1]).count();
    ensure!(moving * 10 > numbers.len() * 9, "the room's pictures do not move on: {numbers:?}");
    let share = heard.share_with(BROWSER_HZ, 2.0);
    ensure!(share > 0.7, "the room heard the person's tone in {:.0} % of the time", share * 100.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_a_room_over_udp_with_opus_meets_a_person_in_a_browser() -> Result<()> {
    call("udp-opus", Transport::Udp, Audio::Opus, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_a_room_over_tcp_with_g722_meets_a_person_in_a_browser() -> Result<()> {
    call("tcp-g722", Transport::Tcp, Audio::G722, false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_a_room_over_tls_with_srtp_and_g711_meets_a_person_in_a_browser() -> Result<()> {
    call("tls-srtp-pcmu", Transport::Tls, Audio::Pcmu, true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_a_room_with_g711_a_law_meets_a_person_in_a_browser() -> Result<()> {
    call("udp-pcma", Transport::Udp, Audio::Pcma, false).await
}
