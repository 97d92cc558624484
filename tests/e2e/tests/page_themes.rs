//! A theme's files on the admin page, in a real browser, and what a room sees and hears of them.

use anyhow::{Context, Result, ensure};
use e2e::gateway::ADMIN;
use e2e::page::{Page, Screen};
use e2e::pattern::Luma;
use e2e::picture;
use e2e::room::{Room, RoomConfig};
use e2e::scene::{PATIENCE, Scene, SceneConfig};
use e2e::sound::tone;
use serde_json::json;
use std::time::Instant;

/// The theme's voice, which no built-in prompt sounds like.
const HZ: f32 = 700.0;
/// Brightness of the theme's picture.
const BRIGHT: u8 = 180;

/// A picture and a voice as an administrator has them.
fn files(scene: &Scene) -> Result<(Vec<u8>, Vec<u8>)> {
    let (png, wav) = (scene.lab.artefact("welcome.png"), scene.lab.artefact("welcome.wav"));
    picture::write_png(&Luma { width: 1_280, height: 720, pixels: vec![BRIGHT; 1_280 * 720] }, &png)?;
    tone(48_000, 6.0, HZ, false).write_wav(&wav, 1)?;
    Ok((std::fs::read(png)?, std::fs::read(wav)?))
}

/// P5
#[tokio::test(flavor = "multi_thread")]
async fn p5_a_themes_picture_and_voice_are_dropped_on_the_page_and_the_next_caller_sees_and_hears_them()
-> Result<()> {
    let reception = "name = \"front desk\"\naliases = [\"gmeet@example.com\"]\n".to_owned();
    let gateway = vec![(ADMIN.0, ADMIN.1.to_owned()), ("[[receptions]]", reception)];
    let scene = Scene::set("page-themes", SceneConfig { gateway, ..SceneConfig::default() }).await?;
    let (png, wav) = files(&scene)?;
    let mut page = Page::open(&scene.lab, &scene.gateway)?;
    page.log_in()?;
    page.go("themes/")?;
    page.fill("Name", "house")?;
    page.click("button", "Save")?;
    page.wait_text("Theme house is saved.")?;
    page.click("a", "house")?;
    page.wait_text("Welcome. Please enter the meeting I D")?;
    page.picture("theme-built-in")?;

    // What can't be taken says why; the rest is taken.
    page.drop_files(&[
        ("goodbye.wav", &wav),
        ("notes.txt", b"a list"),
        ("lobby.wav", b"ID3 and then music"),
        ("welcome.png", &png),
        ("welcome.wav", &wav),
    ])?;
    page.wait_text("welcome.png, welcome.wav: taken. Callers have it from the next prompt on.")?;
    page.wait_text("\"goodbye.wav\" is no prompt's file")?;
    page.wait_text("notes.txt is neither PNG nor WAV")?;
    page.wait_text("lobby.wav is no WAV file; save it as WAV, PCM, 16 bit")?;
    page.wait_text("1280x720")?;
    let shown = "[...document.querySelectorAll('.shown img')].some((img) => img.alt.startsWith('welcome.png') && img.naturalWidth === 1280)";
    page.wait("the picture is shown", shown)?;
    page.picture("theme")?;
    page.show_on(Screen::Phone)?;
    ensure!(page.overhang()? <= 0, "it is wider than a phone");
    page.picture("theme-phone")?;
    page.show_on(Screen::Desk)?;
    // The browser that shows it can say it, too.
    let plays = "(async () => { const audio = document.querySelector('.shown audio'); audio.load();
        await new Promise((good, bad) => { audio.oncanplaythrough = good; audio.onerror = bad; }); return Math.round(audio.duration); })()";
    ensure!(page.tab.evaluate(plays)? == 6, "the voice can't be played");

    let set = page.api("PATCH", "/virtual-receptions/front%20desk", &json!({ "theme": "house" }))?;
    ensure!(set["status"] == 200, "{set}");
    let mut room = Room::start(&scene.lab, "room", &RoomConfig::new(scene.gateway.udp))?;
    room.dial("sip:gmeet@example.com")?;
    room.wait_connected(PATIENCE)?;
    sees(&scene, &mut room).await?;
    scene.gateway.wait_spoken(150, PATIENCE).await?;
    let heard = room.stop()?;
    ensure!(
        heard.share_with(HZ, 0.0) > 0.2,
        "the voice is heard in {} of the call",
        heard.share_with(HZ, 0.0)
    );

    page.click("button", "Remove welcome.png")?;
    page.wait_text("welcome.png is removed.")?;
    let left = page.api("GET", "/themes/house/files", &json!(null))?;
    let uploads = left["body"]["items"].as_array().context("files")?;
    let uploads: Vec<_> = uploads.iter().filter(|item| item["came_by"] == "upload").collect();
    ensure!(uploads.len() == 1 && uploads[0]["file"] == "welcome.wav", "{uploads:?}");
    page.was_good(&[404, 422])
}

async fn sees(scene: &Scene, room: &mut Room) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let Ok((seen, path)) = room.snapshot().await else { continue };
        std::fs::copy(&path, scene.lab.artefact("seen.png"))?;
        let near = seen.pixels.iter().filter(|pixel| pixel.abs_diff(BRIGHT) < 20).count();
        if near > seen.pixels.len() * 9 / 10 {
            return Ok(());
        }
    }
    anyhow::bail!("the room does not see the theme's picture")
}
