//! However a call ends or fails, it ends with its own cause and status, and everything comes back.

use anyhow::{Context, Result, ensure};
use e2e::gateway::{DOMAIN, MEETING, alias};
use e2e::room::{ROOM_HZ, Room, RoomConfig};
use e2e::scene::{PATIENCE, Scene, SceneConfig};
use e2e::sipp::{self, Sipp};
use std::time::Duration;

/// How long a call's ports, threads and buffers may take to come back.
const IDLE: Duration = Duration::from_secs(5);

async fn established(name: &str, extra: Vec<(&'static str, String)>) -> Result<(Scene, Room)> {
    let scene = Scene::set(name, SceneConfig { gateway: extra, ..SceneConfig::default() }).await?;
    let mut room = Room::start(&scene.lab, "room", &RoomConfig::new(scene.gateway.udp))?;
    room.dial(&alias(MEETING))?;
    room.wait_connected(PATIENCE)?;
    scene.room_in_meeting().await?;
    Ok((scene, room))
}

async fn ends_with(scene: &Scene, wanted: &str) -> Result<()> {
    let cause = scene.gateway.last_cause(PATIENCE).await?;
    ensure!(cause == wanted, "the call ended with {cause}, not {wanted}");
    scene.gateway.wait_idle(IDLE).await?;
    Ok(())
}

/// How many threads the gateway has.
fn threads(scene: &Scene) -> Result<usize> {
    let folder = format!("/proc/{}/task", scene.gateway.process().id());
    Ok(std::fs::read_dir(folder)?.count())
}

/// Dials what fails and returns the line in which baresip says why.
async fn refused(scene: &Scene, meeting: &str) -> Result<String> {
    let mut room =
        Room::start(&scene.lab, "room", &RoomConfig { video: false, ..RoomConfig::new(scene.gateway.udp) })?;
    room.dial(&alias(meeting))?;
    room.wait_closed(PATIENCE)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_hangs_up_leaves_the_meeting() -> Result<()> {
    let (scene, mut room) = established("room-hangs-up", vec![]).await?;
    let threads_in_call = threads(&scene)?;
    room.command("hangup")?;
    ends_with(&scene, "Caller/HungUp").await?;
    ensure!(scene.simulator().participants(MEETING).is_empty(), "the room is still in the meeting");
    scene.gateway.wait_forgotten(Duration::from_secs(40)).await?;
    ensure!(threads(&scene)? <= threads_in_call, "threads were started for the call and stayed");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn p11_a_room_that_the_host_removes_is_hung_up_on() -> Result<()> {
    let (scene, room) = established("host-removes", vec![]).await?;
    let device = scene.room_in_meeting().await?.device;
    ensure!(scene.simulator().kick(&device), "nobody to remove");
    room.wait_closed(PATIENCE)?;
    ends_with(&scene, "Callee/CallRejected").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meeting_that_ends_ends_the_call() -> Result<()> {
    let (scene, room) = established("meeting-ends", vec![]).await?;
    ensure!(scene.simulator().end_meeting(MEETING), "no meeting");
    room.wait_closed(PATIENCE)?;
    ends_with(&scene, "Callee/MeetingEnded").await
}

#[tokio::test(flavor = "multi_thread")]
async fn p11_video_locked_by_the_host_refuses_the_call_with_480() -> Result<()> {
    let scene = Scene::set("video-lock", SceneConfig::default()).await?;
    ensure!(scene.simulator().set_video_lock(MEETING, true), "no meeting");
    let line = refused(&scene, MEETING).await?;
    ensure!(line.contains("480"), "baresip said {line}");
    ends_with(&scene, "Callee/CallRejected").await
}

#[tokio::test(flavor = "multi_thread")]
async fn w4_interoperability_switched_off_has_its_own_cause() -> Result<()> {
    let scene = Scene::set("interop-off", SceneConfig::default()).await?;
    ensure!(scene.simulator().set_interop(MEETING, false), "no meeting");
    let line = refused(&scene, MEETING).await?;
    ensure!(line.contains("403"), "baresip said {line}");
    ends_with(&scene, "Callee/InteropDisabled").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meeting_that_does_not_exist_is_404() -> Result<()> {
    let scene = Scene::set("no-meeting", SceneConfig::default()).await?;
    let line = refused(&scene, "9999999999999").await?;
    ensure!(line.contains("404"), "baresip said {line}");
    ends_with(&scene, "Callee/MeetingNotFound").await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_that_no_rule_takes_is_404() -> Result<()> {
    let scene = Scene::set("no-rule", SceneConfig::default()).await?;
    let line = refused(&scene, "nobody").await?;
    ensure!(line.contains("404"), "baresip said {line}");
    ends_with(&scene, "Caller/NoRoute").await
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_a_bad_token_is_403() -> Result<()> {
    let config = SceneConfig { token: Some("stale".to_owned()), ..SceneConfig::default() };
    let scene = Scene::set("bad-token", config).await?;
    let line = refused(&scene, MEETING).await?;
    ensure!(line.contains("403"), "baresip said {line}");
    ensure!(!scene.gateway.log().contains("stale"), "the token stands in the log");
    let cause = scene.gateway.last_cause(PATIENCE).await?;
    ensure!(cause.ends_with("/BadToken"), "the call ended with {cause}");
    scene.gateway.wait_idle(IDLE).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conference_that_is_down_is_503() -> Result<()> {
    let mut scene = Scene::set("conference-down", SceneConfig::default()).await?;
    scene.simulator.take().context("the simulator")?.kill();
    let line = refused(&scene, MEETING).await?;
    ensure!(line.contains("503"), "baresip said {line}");
    ends_with(&scene, "Upstream/Unreachable").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conference_that_dies_in_mid_call_ends_it() -> Result<()> {
    let (mut scene, room) = established("conference-dies", vec![]).await?;
    scene.simulator.take().context("the simulator")?.kill();
    room.wait_closed(Duration::from_secs(60))?;
    ends_with(&scene, "Network/ConnectionLost").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_is_drained_lets_the_call_end_and_goes() -> Result<()> {
    let (scene, room) = established("drained", vec![("gateway", "drain = \"3s\"".to_owned())]).await?;
    let Scene { gateway, simulator, .. } = scene;
    gateway.terminate(Duration::from_secs(60))?;
    room.wait_closed(Duration::from_secs(5))?;
    ensure!(
        simulator.is_some_and(|simulator| simulator.participants(MEETING).is_empty()),
        "the room is still there"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_dies_silently_is_noticed_by_its_media() -> Result<()> {
    let (scene, room) = established("silent-room", vec![("media", "silence = \"5s\"".to_owned())]).await?;
    // A room that dies before its ACK is another story: its 200 would be sent again for 32 s first.
    scene
        .gateway
        .wait_status("the room's media flow", PATIENCE, |status| received_from_caller(status) > 100)
        .await?;
    room.process().signal("STOP")?;
    let cause = scene.gateway.last_cause(PATIENCE).await?;
    ensure!(cause == "Network/MediaTimeout", "the call ended with {cause}");
    // Nobody answers the BYE, so its transaction must first run out (Timer F).
    let ended = scene.gateway.wait_idle(Duration::from_secs(40)).await.map(drop);
    room.process().signal("CONT")?;
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_gives_up_before_the_answer_leaves_nothing() -> Result<()> {
    let config = SceneConfig { token: Some("guest-token".to_owned()), ..SceneConfig::default() };
    let scene = Scene::set("cancel", config).await?;
    let script = sipp::scenario(&[
        sipp::invite(MEETING, DOMAIN),
        "<recv response=\"100\"/><recv response=\"180\"/>".to_owned(),
        sipp::pause(1_500),
        sipp::cancel(MEETING, DOMAIN),
        sipp::expect(200),
        sipp::expect(487),
        sipp::ack_to_failure(MEETING, DOMAIN),
    ]);
    Sipp::start(&scene.lab, "script", &script, scene.gateway.udp, &[])?.finish(PATIENCE)?;
    ends_with(&scene, "Caller/Cancelled").await
}

#[tokio::test(flavor = "multi_thread")]
async fn w1_p6_an_untrusted_caller_waits_in_the_lobby_and_is_turned_away_after_30_seconds() -> Result<()> {
    let config = SceneConfig { token: Some("guest-token".to_owned()), ..SceneConfig::default() };
    let scene = Scene::set("lobby", config).await?;
    let mut room =
        Room::start(&scene.lab, "room", &RoomConfig { video: false, ..RoomConfig::new(scene.gateway.udp) })?;
    let began = std::time::Instant::now();
    room.dial(&alias(MEETING))?;
    let line = room.wait_closed(Duration::from_secs(45))?;
    let waited = began.elapsed();
    ensure!(line.contains("480"), "baresip said {line}");
    ensure!((29.0..36.0).contains(&waited.as_secs_f64()), "it was turned away after {waited:?}");
    ends_with(&scene, "Callee/LobbyTimeout").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_holds_and_resumes() -> Result<()> {
    let scene = Scene::with_person("hold").await?;
    let mut room = Room::start(&scene.lab, "room", &RoomConfig::new(scene.gateway.udp))?;
    room.dial(&alias(MEETING))?;
    room.wait_connected(PATIENCE)?;
    let in_meeting = scene.room_in_meeting().await?;
    scene.person_sees_and_hears(&in_meeting, ROOM_HZ, 30).await?;

    room.command("hold")?;
    let held = |calls: &serde_json::Value| !streams_to_caller(calls);
    scene.gateway.wait_status("nothing is sent to the held room", PATIENCE, held).await?;
    room.command("resume")?;
    scene.gateway.wait_status("media flow again", PATIENCE, streams_to_caller).await?;
    scene.room_sees_person(&mut room, "room-sees-after-hold.png").await?;
    room.command("hangup")?;
    ends_with(&scene, "Caller/HungUp").await
}

/// Whether the gateway sends anything to the caller of its only call.
fn streams_to_caller(status: &serde_json::Value) -> bool {
    let legs = &status["live"]["conferences"][0]["calls"][0]["legs"][0]["streams"];
    legs.as_array().is_some_and(|streams| {
        streams.iter().any(|stream| stream["direction"] == "send" && stream["bps"].as_u64().unwrap_or(0) > 0)
    })
}

/// Packets received from the caller of the gateway's only call.
fn received_from_caller(status: &serde_json::Value) -> u64 {
    let streams =
        status["live"]["conferences"][0]["calls"][0]["legs"][0]["streams"].as_array().into_iter().flatten();
    let received = streams.filter(|stream| stream["direction"] == "receive");
    received.filter_map(|stream| stream["packets"].as_u64()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_lets_its_session_timer_run_out_is_ended() -> Result<()> {
    let extra = vec![("media", "silence = \"10m\"".to_owned())];
    let scene = Scene::set("session-timer", SceneConfig { gateway: extra, ..SceneConfig::default() }).await?;
    let timer = "Session-Expires: 90;refresher=uac\nMin-SE: 90\nContent-Type";
    let script = sipp::scenario(&[
        sipp::invite(MEETING, DOMAIN).replace("Content-Type", timer),
        sipp::expect_final(200),
        sipp::in_dialog("ACK", 1, "Content-Length: 0\n"),
        "<recv request=\"BYE\" timeout=\"120000\"/>".to_owned(),
        sipp::answer_ok(),
    ]);
    Sipp::start(&scene.lab, "script", &script, scene.gateway.udp, &[])?.finish(Duration::from_secs(130))?;
    ends_with(&scene, "Network/SessionExpired").await
}
