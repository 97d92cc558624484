//! A room on a bad network: the call lives, and the picture recovers within a second after the loss ends.

use anyhow::{Context, Result, ensure};
use e2e::gateway::{MEETING, alias};
use e2e::impair::Relay;
use e2e::process::eventually;
use e2e::room::{ROOM_HZ, Room, RoomConfig};
use e2e::scene::{PATIENCE, Scene};
use std::time::{Duration, Instant};

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
    let heard_in_storm = scene.probe_of(&in_meeting).context("the person lost the room")?;
    relay.weather.set(0, 0);
    let ended = Instant::now();
    let before = heard_in_storm.numbers().last().copied().unwrap_or_default();
    eventually("fresh pictures of the room", Duration::from_secs(5), || {
        let numbers = scene.probe_of(&in_meeting)?.numbers();
        let fresh = numbers.iter().rev().take_while(|number| **number != before).count();
        (fresh > 10).then_some(())
    })
    .await?;
    let recovered = recovery(&scene, &in_meeting).context("no picture after the storm")?;
    scene.room_sees_person(&mut room, "room-sees-after.png").await?;
    scene.keep_person_view(&in_meeting, "person-sees-after.png")?;
    room.command("hangup")?;
    let cause = scene.gateway.last_cause(PATIENCE).await?;
    scene.gateway.wait_idle(Duration::from_secs(5)).await?;

    let (lost, passed) = relay.weather.figures();
    println!(
        "{lost} packets lost, {passed} passed; looked {:?} after the storm; longest gap {recovered:.0} ms",
        ended.elapsed()
    );
    ensure!(lost > 100, "the storm lost only {lost} packets");
    ensure!(cause == "Caller/HungUp", "the call ended with {cause}");
    ensure!(recovered < 1_000.0, "the picture took {recovered:.0} ms to move again after the storm");
    let share = heard_in_storm.share_at(ROOM_HZ, 25.0, 0.0);
    ensure!(share > 0.4, "the room's tone was heard in only {:.0} %", share * 100.0);
    Ok(())
}

/// The longest gap between numbered pictures among the last sixty, in milliseconds of the browser's clock.
fn recovery(scene: &Scene, room: &meet_sim::ParticipantInfo) -> Option<f64> {
    let frames = scene.probe_of(room)?.frames;
    let times: Vec<f64> =
        frames.iter().rev().take(60).filter(|frame| frame.number.is_some()).map(|frame| frame.at).collect();
    times.windows(2).map(|pair| pair[0] - pair[1]).reduce(f64::max)
}
