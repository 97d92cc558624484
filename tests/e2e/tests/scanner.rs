//! Break-in defence: SIPVicious, the scanner that most of them are made of, finds nothing, while a room beside it goes on.

use anyhow::{Context, Result, ensure};
use e2e::gateway::{MEETING, alias};
use e2e::room::{Room, RoomConfig};
use e2e::scene::{PATIENCE, Scene, SceneConfig};
use serde_json::Value;
use std::process::Command;

/// Tools of SIPVicious with what they look for; each is its own break-in.
const SCANS: [&[&str]; 5] = [
    &["svmap", "-m", "OPTIONS"],
    &["svmap", "-m", "INVITE"],
    &["svwar", "-m", "INVITE", "-e100-130"],
    &["svwar", "-m", "REGISTER", "-e100-130"],
    &["svcrack", "-u", "boardroom", "-r1-60"],
];

/// What a tool says when it is done.
fn scan(tool: &[&str], port: u16) -> Result<String> {
    let (program, options) = tool.split_first().context("a tool")?;
    let output = Command::new("timeout")
        .args(["60", program, "-p", &port.to_string()])
        .args(options)
        .arg("127.0.0.1")
        .output()
        .context("SIPVicious; `cargo xtask setup` installs it")?;
    Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn counted(status: &Value, what: &str) -> u64 {
    status["counters"][what].as_u64().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scanner_finds_nothing_and_is_blocked_while_a_room_at_its_very_address_stays_in_its_meeting()
-> Result<()> {
    let device = "alias = \"boardroom@meet.example.com\"\npassword = \"correct-horse\"".to_owned();
    // Loopback is not blocked as delivered; here everybody is on it.
    let gateway = vec![("[[devices]]", device), ("[defence]", "allow = []".to_owned())];
    let scene = Scene::set("scanner", SceneConfig { gateway, ..SceneConfig::default() }).await?;
    let mut room = Room::start(&scene.lab, "room", &RoomConfig::new(scene.gateway.udp))?;
    room.dial(&alias(MEETING))?;
    room.wait_connected(PATIENCE)?;
    scene.room_in_meeting().await?;
    let before = scene.gateway.status()?;

    for tool in SCANS {
        let said = scan(tool, scene.gateway.udp.port())?;
        ensure!(said.contains("found nothing"), "{tool:?}: {said}");
    }

    let after = scene.gateway.status()?;
    ensure!(after["blocked"][0]["source"] == "127.0.0.1 (datagrams)", "{after:#}");
    ensure!(after["blocked"][0]["why"] == "a scanner", "{after:#}");
    // The very first message blocks; of the other tools nothing is heard, and each gives up at its own first question.
    ensure!(counted(&after, "sip_dropped") >= SCANS.len() as u64 - 1, "{after:#}");
    // Nothing of the scans became a transaction: what the room itself sent meanwhile is a session refresh at most.
    ensure!(counted(&after, "sip_requests") - counted(&before, "sip_requests") <= 2, "{after:#}");

    // The room is heard: its call stands, and ends as it wants.
    ensure!(after["calls"].as_array().is_some_and(|calls| calls.len() == 1), "{after:#}");
    room.command("hangup")?;
    let cause = scene.gateway.last_cause(PATIENCE).await?;
    ensure!(cause == "Caller/HungUp", "the call ended with {cause}");
    Ok(())
}
