//! A room on a bad network: the call lives, and the picture recovers within a second after the loss ends.

use anyhow::{Context, Result, ensure};
use e2e::gateway::{MEETING, alias};
use e2e::impair::Relay;
use e2e::process::eventually;
use e2e::room::{ROOM_HZ, Room, RoomConfig};
use e2e::scene::{PATIENCE, Scene};
use meet_sim::ParticipantInfo;
use meet_sim::probe::RemoteProbe;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn with_10_percent_loss_100_ms_jitter_and_reordering_the_call_lives_and_the_picture_recovers_within_a_second()
-> Result<()> {
    let scene = Scene::with_person("bad-network").await?;
    let relay = Relay::start(scene.gateway.udp).await?;
    let mut room = Room::start(&scene.lab, "room", &RoomConfig::new(relay.sip))?;
    room.dial(&alias(MEETING))?;
    room.wait_connected(PATIENCE)?;
    let in_meeting = scene.room_in_meeting().await?;
    scene.person_sees_and_hears(&in_meeting, ROOM_HZ, 60).await?;

    relay.weather.set(100, 100);
    let (_, passed) = relay.weather.figures();
    eventually("bad weather for 2000 packets", PATIENCE, || {
        (relay.weather.figures().1 > passed + 2_000).then_some(())
    })
    .await?;
    let heard_in_storm = fresh_report(&scene, &in_meeting).await?;
    relay.weather.set(0, 0);
    // The browser's clock at the end of the storm, to a tenth of a second: its newest report has just come.
    let ended = heard_in_storm.pitches.last().context("the browser reports no sound")?.at;
    let recovered = eventually("fresh pictures of the room", Duration::from_secs(10), || {
        recovered_at(&scene.probe_of(&in_meeting)?, ended)
    })
    .await?
        - ended;
    scene.room_sees_person(&mut room, "room-sees-after.png").await?;
    scene.keep_person_view(&in_meeting, "person-sees-after.png")?;
    room.command("hangup")?;
    let cause = scene.gateway.last_cause(PATIENCE).await?;
    scene.gateway.wait_idle(Duration::from_secs(5)).await?;

    let (lost, passed) = relay.weather.figures();
    println!("{lost} packets lost, {passed} passed; the picture was back {recovered:.0} ms after the storm");
    ensure!(lost > 100, "the storm lost only {lost} packets");
    ensure!(cause == "Caller/HungUp", "the call ended with {cause}");
    ensure!(recovered < 1_100.0, "the picture took {recovered:.0} ms to move again after the storm");
    let share = heard_in_storm.share_at(ROOM_HZ, 25.0, 0.0);
    ensure!(share > 0.4, "the room's tone was heard in only {:.0} %", share * 100.0);
    Ok(())
}

/// What the browser measured, right after it reported.
async fn fresh_report(scene: &Scene, room: &ParticipantInfo) -> Result<RemoteProbe> {
    let known = scene.probe_of(room).context("the person lost the room")?.pitches.len();
    eventually("a report of the browser", Duration::from_secs(5), || {
        scene.probe_of(room).filter(|probe| probe.pitches.len() > known)
    })
    .await
}

/// When the room's pictures moved on again after `ended`: the first of ten numbered ones without a long gap, in
/// milliseconds of the browser's clock.
fn recovered_at(probe: &RemoteProbe, ended: f64) -> Option<f64> {
    let numbered = probe.frames.iter().filter(|frame| frame.number.is_some() && frame.at >= ended);
    let times: Vec<f64> = numbered.map(|frame| frame.at).collect();
    let steady = |run: &&[f64]| run.windows(2).all(|pair| pair[1] - pair[0] < 250.0);
    times.windows(10).find(steady).map(|run| run[0])
}
