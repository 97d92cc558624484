//! Media workers are processes that can do nothing but code: what crashes or stands still costs its streams a moment, and no call.

use anyhow::{Context, Result, ensure};
use e2e::gateway::{MEETING, alias};
use e2e::process::{eventually, signal};
use e2e::room::{ROOM_HZ, Room, RoomConfig};
use e2e::scene::{PATIENCE, Scene};
use meet_sim::ParticipantInfo;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The longest hole in the picture that the death of a worker may leave, in milliseconds.
const HOLE: f64 = 1_000.0;

/// The gateway's worker processes by their names.
fn workers(scene: &Scene) -> Result<BTreeMap<String, u32>> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", scene.gateway.process().id()))?;
    let children = tasks.flatten().map(|task| Ok(std::fs::read_to_string(task.path().join("children"))?));
    let children = children.collect::<Result<Vec<_>>>()?.join(" ");
    let named = |pid: &str| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm"))?;
        Ok((name.trim().to_owned(), pid.parse()?))
    };
    children.split_whitespace().map(named).collect()
}

async fn in_a_call(name: &str) -> Result<(Scene, Room, ParticipantInfo)> {
    let scene = Scene::with_person(name).await?;
    let mut room = Room::start(&scene.lab, "room", &RoomConfig::new(scene.gateway.udp))?;
    room.dial(&alias(MEETING))?;
    room.wait_connected(PATIENCE)?;
    let in_meeting = scene.room_in_meeting().await?;
    scene.person_sees_and_hears(&in_meeting, ROOM_HZ, 60).await?;
    Ok((scene, room, in_meeting))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_holds_nothing_but_its_pipe_and_can_call_almost_nothing_of_the_kernel() -> Result<()> {
    let (scene, ..) = in_a_call("confined").await?;
    let workers = workers(&scene)?;
    ensure!(workers.len() >= 2 && workers.contains_key("sound"), "the workers are {workers:?}");
    for (name, pid) in &workers {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        for line in ["Seccomp:\t2", "NoNewPrivs:\t1", "Threads:\t1"] {
            ensure!(status.contains(line), "{name} lacks {line:?}:\n{status}");
        }
        let links = std::fs::read_dir(format!("/proc/{pid}/fd"))?.flatten();
        let open: Vec<PathBuf> = links.map(|fd| std::fs::read_link(fd.path())).collect::<Result<_, _>>()?;
        let sockets = open.iter().filter(|file| file.to_string_lossy().starts_with("socket:"));
        ensure!(open.len() == 4 && sockets.count() == 2, "{name} has open {open:?}");
        let environment = std::fs::read(format!("/proc/{pid}/environ"))?;
        ensure!(environment.is_empty(), "{name} has an environment");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_crashes_or_stands_still_costs_a_moment_of_picture_and_no_call() -> Result<()> {
    let (scene, mut room, in_meeting) = in_a_call("worker-dies").await?;
    let before = workers(&scene)?;

    // One that crashes, as a codec does that writes past its end: with it goes what the room sends, or what it sees.
    for (name, pid) in before.iter().filter(|(name, _)| name.starts_with("pictures")) {
        let seen = scene.probe_of(&in_meeting).context("the person lost the room")?.frames;
        let seen = seen.last().context("the person sees nothing")?.at;
        signal(*pid, "ABRT")?;
        let hole = eventually("thirty more pictures of the room", PATIENCE, || {
            let frames = scene.probe_of(&in_meeting)?.frames;
            let times: Vec<f64> = frames.iter().map(|frame| frame.at).filter(|at| *at >= seen).collect();
            let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
            (times.len() > 30).then(|| gaps.fold(0.0, f64::max))
        })
        .await?;
        println!("{name} was killed: {hole:.0} ms without a picture for the person");
        ensure!(hole < HOLE, "{name} was killed, and the person saw nothing for {hole:.0} ms");
        scene.room_sees_person(&mut room, &format!("room-sees-after-{name}.png")).await?;
    }

    // One that stands still is found out and ended.
    signal(before["sound"], "STOP")?;
    eventually("another worker for sound", PATIENCE, || {
        workers(&scene).ok()?.get("sound").filter(|pid| **pid != before["sound"]).copied()
    })
    .await?;
    let heard = scene.probe_of(&in_meeting).context("the person lost the room")?.pitches;
    let heard = heard.last().context("the person hears nothing")?.at;
    eventually("the room is heard again", PATIENCE, || {
        let pitches = scene.probe_of(&in_meeting)?.pitches;
        let fresh = pitches.iter().filter(|pitch| pitch.at > heard && (pitch.hz - ROOM_HZ).abs() < 25.0);
        (fresh.count() >= 5).then_some(())
    })
    .await?;

    let after = workers(&scene)?;
    ensure!(after.keys().eq(before.keys()), "{before:?} became {after:?}");
    ensure!(after.values().all(|pid| !before.values().any(|old| old == pid)), "one was not replaced");
    room.command("hangup")?;
    let cause = scene.gateway.last_cause(PATIENCE).await?;
    ensure!(cause == "Caller/HungUp", "the call ended with {cause}");
    scene.gateway.wait_idle(Duration::from_secs(5)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_end_with_a_gateway_that_is_killed() -> Result<()> {
    let scene = Scene::set("killed", e2e::scene::SceneConfig::default()).await?;
    let orphans: Vec<u32> = workers(&scene)?.into_values().collect();
    ensure!(orphans.len() >= 2, "the workers are {orphans:?}");
    scene.gateway.process().signal("KILL")?;
    eventually("the workers are gone", PATIENCE, || {
        let runs = |pid: &u32| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            status.contains("State:") && !status.contains("State:\tZ")
        };
        (!orphans.iter().any(runs)).then_some(())
    })
    .await
}
