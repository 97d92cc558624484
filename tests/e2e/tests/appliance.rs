//! The box under the gateway, by its page and its API: a real set-up answers.

use anyhow::{Context, Result, ensure};
use e2e::api::Api;
use e2e::gateway::ADMIN;
use e2e::page::Page;
use e2e::scene::{Ground, Scene, SceneConfig, TOKEN};
use e2e::set_up::PASSWORD;
use serde_json::{Value, json};

async fn set(name: &str) -> Result<Scene> {
    let gateway = vec![(ADMIN.0, ADMIN.1.to_owned())];
    Scene::set(name, SceneConfig { gateway, ground: Ground::Box, ..SceneConfig::default() }).await
}

fn setting(facts: &Value, name: &str) -> Option<String> {
    let all = facts["settings"].as_array()?;
    all.iter().find(|one| one["name"] == name)?["text"].as_str().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_of_the_box_is_changed_on_its_page_on_trial_and_then_stands() -> Result<()> {
    let scene = set("box-settings").await?;
    let mut page = Page::open(&scene.lab, &scene.gateway)?;
    page.log_in()?;
    page.go("box")?;
    page.wait_text("GW-00-4711")?;
    page.picture("box")?;
    // Given a change that is typed, and a password that is wrong.
    page.go("box/settings")?;
    page.fill("host-name", "rack-7")?;
    page.click("button", "Write down")?;
    page.fill("Password of the console", "a guess that is wrong")?;
    page.picture("box-password")?;
    page.click("dialog button", "Write these changes down")?;
    page.wait("it is refused", "document.querySelector('dialog [role=alert]').innerText !== ''")?;
    // When it is the right one, the change waits, is put in force, and is let stand; it is not asked for again.
    page.fill("Password of the console", PASSWORD)?;
    page.click("dialog button", "Write these changes down")?;
    page.wait_text("It is written down, and not in force yet.")?;
    page.picture("box-staged")?;
    page.click("button", "Put it in force, on trial")?;
    page.click("dialog button", "Put it in force")?;
    page.wait_text("It is in force, on trial for")?;
    page.picture("box-on-trial")?;
    page.click("button", "Let it stand")?;
    page.wait("nothing waits", "!document.querySelector('main').innerText.includes('A change waits')")?;
    // Then the box is called so, and its own settings say it.
    let facts = page.api("GET", "/box", &Value::Null)?;
    ensure!(setting(&facts["body"], "host-name").as_deref() == Some("rack-7"), "{facts}");
    let set_up = scene.set_up.as_ref().context("a box")?;
    let kept = std::fs::read_to_string(set_up.file("/var/lib/gantry/console/settings.toml"))?
        + &std::fs::read_to_string(set_up.file("/var/lib/gantry/console/settings.2.toml"))
            .unwrap_or_default();
    ensure!(kept.contains("rack-7"), "{kept}");
    page.was_good(&[403])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_down_is_forgotten_again_and_what_is_wrong_is_told_at_once() -> Result<()> {
    let scene = set("box-refused").await?;
    let api = Api::open(&scene.lab, &scene.gateway)?;
    let stage = |changes: Value| {
        api.ask("POST", "/box/settings:stage", Some(&json!({ "password": PASSWORD, "changes": changes })))
    };
    let wrong =
        stage(json!({ "lan0.ipv4": "300.1.1.1/24", "host-name": "-no-" })).err().context("it was taken")?;
    let told = wrong.to_string();
    ensure!(told.contains("lan0.ipv4") && told.contains("host-name"), "{told}");
    stage(json!({ "host-name": "rack-8" }))?;
    ensure!(api.ask("GET", "/box", None)?["stage"] == "staged");
    api.ask("POST", "/box/settings:discard", Some(&json!({ "password": PASSWORD })))?;
    ensure!(api.ask("GET", "/box", None)?["stage"] == "standing");
    // A restart is asked of the box's own service, and noted.
    api.ask("POST", "/box:restart", Some(&json!({ "password": PASSWORD, "haste": "drained" })))?;
    let set_up = scene.set_up.as_ref().context("a box")?;
    ensure!(set_up.file("/run/gantry/apply/reboot").exists(), "nobody was asked to restart the box");
    Ok(())
}

/// P2: a secret that was planted is in no support bundle, whoever asks for it.
#[tokio::test(flavor = "multi_thread")]
async fn p2_a_support_bundle_is_handed_out_without_the_secrets_of_the_gateway() -> Result<()> {
    let scene = set("box-bundle").await?;
    let api = Api::open(&scene.lab, &scene.gateway)?;
    let set_up = scene.set_up.as_ref().context("a box")?;
    std::fs::copy(scene.lab.path("copy.toml"), set_up.file("/var/lib/gantry/gatewayd/gantry.toml"))?;
    let bundle = scene.lab.artefact("support.tar");
    api.file("/box:support-bundle", &json!({ "password": PASSWORD }), &bundle)?;
    let listed = std::process::Command::new("tar").arg("-tf").arg(&bundle).output()?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    ensure!(listed.lines().count() >= 8 && listed.contains("gantry.toml"), "{listed}");
    let bytes = std::fs::read(&bundle)?;
    let held = |secret: &str| bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
    ensure!(held("meet.example.com"), "the configuration is not in it");
    for secret in [TOKEN, PASSWORD, api.token.as_str()] {
        ensure!(!held(secret), "the bundle holds {secret}");
    }
    Ok(())
}
