//! A room that sends H.264 in packetization-mode 1, parameter sets in STAP-A and slices in FU-A.

use anyhow::{Context, Result, ensure};
use e2e::gateway::{DOMAIN, MEETING};
use e2e::referee::Capture;
use e2e::room::ROOM_HZ;
use e2e::scene::{PATIENCE, Scene};
use e2e::sipp::{self, Sipp};
use e2e::wire;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_room_with_packetization_mode_1_is_seen_and_sees() -> Result<()> {
    let scene = Scene::with_person("mode-1").await?;
    let folder = scene.lab.folder("script")?;
    sipp::make_captures(&folder, (1280, 720), 14)?;
    let capture = Capture::start(&scene.lab, "mode-1.pcapng", "udp")?;
    let script = sipp::scenario(&[
        sipp::invite(MEETING, DOMAIN),
        sipp::expect_final(200),
        sipp::in_dialog("ACK", 1, "Content-Length: 0\n"),
        sipp::play().to_owned(),
        sipp::pause(13_000),
        sipp::in_dialog("BYE", 2, "Content-Length: 0\n"),
        sipp::expect(200),
    ]);

    let room = Sipp::start(&scene.lab, "script", &script, scene.gateway.udp, &[])?;
    let (sound_port, picture_port) = (room.media_port, room.media_port + 2);
    let in_meeting = scene.room_in_meeting().await?;
    let seen = scene.person_sees_and_hears(&in_meeting, ROOM_HZ, 90).await?;
    scene.keep_person_view(&in_meeting, "person-sees.png")?;
    room.finish(Duration::from_secs(40))?;
    let cause = scene.gateway.last_cause(PATIENCE).await?;
    scene.gateway.wait_idle(Duration::from_secs(5)).await?;
    let evidence = capture.stop()?;

    ensure!(cause == "Caller/HungUp", "the call ended with {cause}");
    ensure!(seen.numbers().len() >= 90);
    let sent: Vec<_> =
        evidence.rtp(picture_port)?.into_iter().filter(|packet| packet.to == picture_port).collect();
    let kinds = |packets: &[e2e::referee::RtpPacket]| -> std::collections::BTreeSet<u8> {
        packets.iter().filter_map(|packet| packet.payload.first()).map(|header| header & 0x1f).collect()
    };
    let received: Vec<_> =
        evidence.rtp(picture_port)?.into_iter().filter(|packet| packet.from == picture_port).collect();
    ensure!(kinds(&received).is_superset(&[24, 28].into()), "the room sent {:?}", kinds(&received));
    let pictures = wire::h264_pictures(&sent)?;
    let numbers: Vec<_> = pictures.iter().filter_map(|picture| Some(picture.reading()?.number)).collect();
    ensure!(
        numbers.len() > 60,
        "the room was sent {} numbered pictures of {}",
        numbers.len(),
        pictures.len()
    );
    let last = pictures.last().context("no picture")?;
    e2e::picture::write_png(&last.picture, &scene.lab.artefact("room-sees.png"))?;
    let sound: Vec<_> =
        evidence.rtp(sound_port)?.into_iter().filter(|packet| packet.to == sound_port).collect();
    let sound = wire::raw_sound(&sound, "mulaw", 8_000)?;
    let share = sound.share_with(e2e::browser::BROWSER_HZ, 2.0);
    ensure!(share > 0.7, "the person's tone was sent in {:.0} % of the time", share * 100.0);
    Ok(())
}
