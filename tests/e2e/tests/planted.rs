//! P2: what is secret is planted in every place that takes a secret, and looked for in everything that the gateway shows, writes or leaves behind.

use anyhow::{Context, Result, ensure};
use e2e::api::Api;
use e2e::gateway::{ADMIN, MEETING, alias};
use e2e::page::Page;
use e2e::room::{Room, RoomConfig};
use e2e::scene::{Ground, PATIENCE, Scene, SceneConfig, TOKEN};
use e2e::set_up::PASSWORD;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Every secret but the access token, in the form in which it is planted.
const PLANTED: [&str; 7] = [
    "planted-device-password",
    "planted-phonebook-password",
    "planted-webhook-secret",
    "planted-snmp-community",
    "planted-auth-password",
    "planted-privacy-password",
    "planted-user-password",
];

/// Plants them, and the gateway takes each.
fn plant(api: &Api) -> Result<()> {
    let [device, phonebook, webhook, community, auth, privacy, user] = PLANTED;
    let receivers = [
        json!({ "name": "hook", "kind": "webhook", "url": "https://192.0.2.11/alarms", "secret": webhook }),
        json!({ "name": "trap", "kind": "snmp", "version": "v2c", "address": "192.0.2.12", "community": community }),
        json!({ "name": "inform", "kind": "snmp", "address": "192.0.2.13", "user": "gantry", "auth_password": auth,
                "privacy_password": privacy }),
    ];
    for receiver in receivers {
        api.ask("POST", "/alarm-receivers", Some(&receiver)).with_context(|| receiver.to_string())?;
    }
    let board = json!({ "alias": "board@meet.example.com", "user": "board", "password": device });
    api.ask("POST", "/registrar-devices", Some(&board))?;
    let looked_up = json!({ "user": "room", "password": phonebook, "https": "/phonebook" });
    api.ask("PUT", "/settings/phonebook", Some(&looked_up))?;
    api.ask("PUT", "/users/vera", Some(&json!({ "name": "vera", "password": user, "role": "viewer" })))?;
    Ok(())
}

/// Everything below `folder`, as bytes.
fn files(folder: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, found)?;
        } else if path.is_file() {
            let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
            found.push((path, bytes));
        }
    }
    Ok(())
}

fn holds(bytes: &[u8], secret: &str) -> bool {
    bytes.windows(secret.len()).any(|part| part == secret.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_planted_secrets_are_in_no_log_answer_screen_file_bundle_or_export() -> Result<()> {
    // Given a gateway that logs much, with secrets in all places, and a call that used the token.
    let gateway = vec![(ADMIN.0, ADMIN.1.to_owned())];
    let config = SceneConfig { gateway, ground: Ground::Box, ..SceneConfig::default() };
    let scene = Scene::set("planted", config).await?;
    let api = Api::open(&scene.lab, &scene.gateway)?;
    plant(&api)?;
    let mut room = Room::start(&scene.lab, "room", &RoomConfig::new(scene.gateway.udp))?;
    room.dial(&alias(MEETING))?;
    room.wait_connected(PATIENCE)?;
    scene.room_in_meeting().await?;
    let secrets: Vec<&str> = PLANTED.into_iter().chain([TOKEN, PASSWORD, api.token.as_str()]).collect();
    let clean = |what: &str, bytes: &[u8]| -> Result<()> {
        let found = secrets.iter().find(|secret| holds(bytes, secret));
        ensure!(found.is_none(), "{what} holds {:?}", found.unwrap_or(&""));
        Ok(())
    };

    // Then no answer of the API holds one,
    let document = api.ask("GET", "/openapi.json", None)?;
    let read = document["paths"].as_object().context("no paths")?.iter();
    let mut asked = 0;
    for (path, _) in read.filter(|(path, methods)| methods.get("get").is_some() && *path != "/events") {
        for id in ["meetings", "test", "board%40meet.example.com", "hook", "trap", "inform", "vera", "status"]
        {
            if let Ok(answer) = api.ask("GET", &path.replace("{id}", id), None) {
                clean(path, answer.to_string().as_bytes())?;
                asked += 1;
            }
            if !path.contains("{id}") {
                break;
            }
        }
    }
    ensure!(asked >= 40, "{asked} answers were looked at");
    let export = api.ask("POST", "/backup:export", Some(&json!({})))?;
    clean("the export", export.to_string().as_bytes())?;
    // nor the support bundle,
    let set_up = scene.set_up.as_ref().context("a box")?;
    std::fs::copy(scene.lab.path("copy.toml"), set_up.file("/var/lib/gantry/gatewayd/gantry.toml"))?;
    let bundle = scene.lab.artefact("support.tar");
    api.file("/box:support-bundle", &json!({ "password": PASSWORD }), &bundle)?;
    clean("the support bundle", &std::fs::read(&bundle)?)?;
    // nor a screen,
    let mut page = Page::open(&scene.lab, &scene.gateway)?;
    page.log_in()?;
    for route in [
        "live",
        "access-tokens/test",
        "registrar-devices/board%40meet.example.com",
        "settings/phonebook",
        "alarm-receivers/hook",
        "alarm-receivers/trap",
        "alarm-receivers/inform",
        "users",
        "audit",
        "box/settings",
    ] {
        page.go(route)?;
        let held = "document.documentElement.outerHTML + [...document.querySelectorAll('input, textarea')].map((one) => one.value).join(' ')";
        let shown: Value = page.tab.evaluate(held)?;
        clean(route, shown.as_str().context("a screen")?.as_bytes())?;
    }
    // nor what lies on the disk: the store, its copy, the history, the box's own files,
    let mut kept = Vec::new();
    files(&scene.lab.path("store"), &mut kept)?;
    files(&scene.lab.path("box"), &mut kept)?;
    kept.push((scene.lab.path("copy.toml"), std::fs::read(scene.lab.path("copy.toml"))?));
    ensure!(kept.iter().any(|(_, bytes)| holds(bytes, "board@meet.example.com")), "nothing is in the store");
    for (path, bytes) in &kept {
        clean(&path.display().to_string(), bytes)?;
    }
    // nor what was logged,
    let log = scene.gateway.log();
    ensure!(log.contains("meetings") || log.contains(MEETING), "the log says nothing of the call");
    clean("the log", log.as_bytes())
}

/// A core would hold the tokens in use: none is written, whatever the system would have done with it.
#[tokio::test(flavor = "multi_thread")]
async fn p2_a_gateway_that_crashes_leaves_no_core_behind() -> Result<()> {
    let scene = Scene::set("no-core", SceneConfig::default()).await?;
    let process = scene.gateway.process();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.id()))?;
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).context("no limit")?;
    ensure!(core.split_whitespace().filter(|word| *word == "0").count() == 2, "{core}");
    let here = std::fs::canonicalize(format!("/proc/{}/cwd", process.id()))?;
    let id = process.id();
    process.signal("ABRT")?;
    let Scene { gateway, lab, .. } = scene;
    gateway.gone(Duration::from_secs(20))?;
    for folder in [here, lab.artefact("")] {
        let cores = std::fs::read_dir(&folder)?
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned());
        let cores: Vec<_> =
            cores.filter(|name| name == "core" || name.ends_with(&format!(".{id}"))).collect();
        ensure!(cores.is_empty(), "{cores:?} in {}", folder.display());
    }
    Ok(())
}
