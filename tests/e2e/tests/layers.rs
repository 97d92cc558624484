//! Three sizes of the room's picture reach the conference, and a browser switches between them (P8).

use anyhow::{Result, ensure};
use e2e::gateway::{MEETING, alias};
use e2e::process::eventually;
use e2e::room::{Room, RoomConfig};
use e2e::scene::{PATIENCE, PERSON, Scene};
use meet_sim::LayerChoice;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn p8_three_vp8_layers_arrive_at_different_sizes_and_the_browser_switches_between_them() -> Result<()> {
    let scene = Scene::with_person("layers").await?;
    let mut room = Room::start(&scene.lab, "room", &RoomConfig::new(scene.gateway.udp))?;
    room.dial(&alias(MEETING))?;
    room.wait_connected(PATIENCE)?;
    let in_meeting = scene.room_in_meeting().await?;

    let sent = eventually("three layers arrive", PATIENCE, || {
        let me = scene
            .simulator()
            .participants(MEETING)
            .into_iter()
            .find(|one| one.device == in_meeting.device)?;
        let layers: Vec<_> =
            me.sends.into_iter().filter(|stream| stream.rid.is_some() && stream.alive).collect();
        (layers.len() == 3 && layers.iter().all(|layer| layer.size.is_some() && layer.frames > 30))
            .then_some(layers)
    })
    .await?;
    let size = |rid: &str| {
        let layer = sent.iter().find(|layer| layer.rid.as_deref() == Some(rid));
        layer.and_then(|layer| layer.size).map(|size| (u32::from(size.width), u32::from(size.height)))
    };
    ensure!(size("q") == Some((320, 180)), "q is {:?}", size("q"));
    ensure!(size("h") == Some((640, 360)), "h is {:?}", size("h"));
    ensure!(size("f") == Some((1280, 720)), "f is {:?}", size("f"));

    let person = scene.simulator().participant_named(MEETING, PERSON).expect("the person is there");
    for (choice, wanted) in
        [(LayerChoice::Low, (320, 180)), (LayerChoice::High, (1280, 720)), (LayerChoice::Mid, (640, 360))]
    {
        ensure!(
            scene.simulator().set_layer(&person.device, &in_meeting.device, choice),
            "no such layer choice"
        );
        eventually(&format!("the browser shows {wanted:?}"), PATIENCE, || {
            (scene.probe_of(&in_meeting)?.last_size()? == wanted).then_some(())
        })
        .await?;
    }
    room.command("hangup")?;
    scene.gateway.wait_idle(Duration::from_secs(5)).await?;
    Ok(())
}
