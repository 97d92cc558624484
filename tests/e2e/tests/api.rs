//! The API as others use it: schemathesis against its own OpenAPI document, and curl while calls stand.

use anyhow::{Context, Result, ensure};
use e2e::api::Api;
use e2e::gateway::{ADMIN, MEETING, alias};
use e2e::process::eventually;
use e2e::room::{Room, RoomConfig};
use e2e::scene::{PATIENCE, Scene, SceneConfig};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

/// What is held against every answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,negative_data_rejection";
/// What refuses wrong data: an If-Match that matches nothing is refused as that, and a body of another type without being read.
const CONFIG: &str = "[checks]\nnegative_data_rejection.expected-statuses = [400, 404, 412, 415, 422]\n";

/// A gateway that is administered.
async fn set(name: &str) -> Result<(Scene, Api)> {
    let gateway = vec![(ADMIN.0, ADMIN.1.to_owned())];
    let scene = Scene::set(name, SceneConfig { gateway, ..SceneConfig::default() }).await?;
    let api = Api::open(&scene.lab, &scene.gateway)?;
    Ok((scene, api))
}

/// Where `cargo xtask e2e` put schemathesis.
fn schemathesis() -> Result<PathBuf> {
    let here = std::env::current_exe().context("where am I")?;
    let found =
        here.ancestors().map(|folder| folder.join("e2e/python/bin/schemathesis")).find(|path| path.is_file());
    found.context("schemathesis is not there; `cargo xtask e2e` installs it")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_is_what_its_document_says_whatever_is_sent_to_it() -> Result<()> {
    let (scene, api) = set("api").await?;
    let address = scene.gateway.admin.context("an address")?;
    // The host's name is known to nobody here; the certificate is tried by the other tests.
    let document = format!("https://{address}/api/v1/openapi.json");
    let report = scene.lab.artefact("schemathesis.txt");
    let config = scene.lab.artefact("schemathesis.toml");
    std::fs::write(&config, CONFIG)?;
    let output = Command::new("timeout")
        .arg("300")
        .arg(schemathesis()?)
        // What it remembers from one run to the next is kept with the artefacts.
        .current_dir(scene.lab.artefact(""))
        .arg("--config-file")
        .arg(&config)
        .args(["run", &document, "--tls-verify=false", "--no-color", "--seed", "1", "--max-examples", "5"])
        .args(["--phases", "coverage,fuzzing", "--rate-limit", "80/s", "--checks", CHECKS])
        // A stream of events does not end, and one that logs out or removes the token ends the trial.
        .args(["--exclude-path", "/events"])
        .args(["--header", &format!("Authorization: Bearer {}", api.token)])
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    std::fs::write(&report, &said)?;
    ensure!(output.status.success(), "{said}");
    // It really was tried: every operation of the document.
    let tested = said.lines().find(|line| line.trim_start().starts_with("Tested:")).context("no summary")?;
    let tested: usize = tested.split_whitespace().last().context("a number")?.parse()?;
    ensure!(tested >= 80, "{tested} operations were tried");
    Ok(())
}

/// Whether sound and pictures are counted at both ends of a call.
fn both_legs_stream(call: &Value) -> bool {
    (0..2).all(|leg| call["legs"][leg]["streams"].as_array().is_some_and(|all| all.len() >= 2))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_configured_while_calls_stand_holds_for_the_next_call_and_leaves_them_alone() -> Result<()> {
    // Given a room in its meeting.
    let (scene, api) = set("configured").await?;
    let mut room = Room::start(&scene.lab, "room", &RoomConfig::new(scene.gateway.udp))?;
    room.dial(&alias(MEETING))?;
    room.wait_connected(PATIENCE)?;
    scene.room_in_meeting().await?;
    // When the rule that took it is disabled.
    api.ask("PATCH", "/call-routing-rules/meetings", Some(&json!({ "enabled": false })))?;
    // Then the next caller is refused, and the one before is still there.
    let mut late = Room::start(&scene.lab, "late", &RoomConfig::new(scene.gateway.udp))?;
    late.dial(&alias(MEETING))?;
    late.wait_closed(PATIENCE)?;
    // (What is live is looked at each second, and a stream is there when its first packet is.)
    let calls = eventually("the call that stands, with its streams", PATIENCE, || {
        let calls = api.ask("GET", "/calls", None).ok()?;
        (calls["items"].as_array()?.len() == 1 && both_legs_stream(&calls["items"][0])).then_some(calls)
    });
    let calls = calls.await?;
    // And when an operator ends it, it is in the history with the streams of both its legs.
    let id = calls["items"][0]["id"].as_u64().context("a call's number")?;
    api.ask("DELETE", &format!("/calls/{id}"), None)?;
    room.wait_closed(PATIENCE)?;
    let record = eventually("its record", PATIENCE, || {
        let history = api.ask("GET", "/call-history", None).ok()?;
        let mine = |record: &&Value| record["call"]["id"] == id;
        history["items"].as_array()?.iter().find(mine).cloned()
    });
    let record = record.await?;
    ensure!(record["fault"] == "Operator", "{record:#}");
    ensure!(record["call"]["rule"] == "meetings", "{record:#}");
    ensure!(both_legs_stream(&record["call"]), "{record:#}");
    Ok(())
}
