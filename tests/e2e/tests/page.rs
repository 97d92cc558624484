//! The admin page in a real browser: what an administrator sees of a call, and does to the configuration, by mouse and by keyboard alone.

use anyhow::{Context, Result, ensure};
use e2e::gateway::{ADMIN, DOMAIN, MEETING, alias};
use e2e::page::{NAME, Page, Screen};
use e2e::room::{Room, RoomConfig};
use e2e::scene::{Ground, PATIENCE, Scene, SceneConfig, TOKEN};
use e2e::sipp::{self, Sipp};
use serde_json::{Value, json};
use std::time::Duration;

/// Every screen, by its address.
const SCREENS: [&str; 38] = [
    "live",
    "alarms",
    "calls",
    "blocked-sources",
    "call-routing-rules",
    "call-routing-rules/meetings",
    "meeting-processing-rules",
    "meeting-processing-rules/",
    "settings/one-touch-join",
    "access-tokens",
    "access-tokens/test",
    "connectors",
    "connectors/meet",
    "locations/",
    "registrar-devices/",
    "sip-proxies",
    "h323-gatekeepers",
    "turn-servers/",
    "dns-plan",
    "firewall-plan",
    "start",
    "settings/gateway",
    "settings/sip",
    "settings/defence",
    "system",
    "box",
    "box/settings",
    "box/network",
    "virtual-receptions/",
    "themes",
    "phonebook-entries/",
    "settings/phonebook",
    "certificates",
    "licences",
    "alarm-receivers/",
    "users",
    "api-tokens",
    "audit",
];

/// A gateway that is administered, and its page.
async fn set(name: &str, browser: Option<(u32, u32)>) -> Result<(Scene, Page)> {
    let gateway = vec![(ADMIN.0, ADMIN.1.to_owned())];
    let config = SceneConfig { gateway, browser, ground: Ground::Box, ..SceneConfig::default() };
    let scene = Scene::set(name, config).await?;
    let page = Page::open(&scene.lab, &scene.gateway)?;
    Ok((scene, page))
}

/// A caller who calls itself `name`, stays until it is hung up on, and then is gone.
fn caller(scene: &Scene, name: &str) -> Result<Sipp> {
    let script = sipp::scenario(&[
        sipp::invite(MEETING, DOMAIN),
        sipp::expect_final(200),
        sipp::in_dialog("ACK", 1, "Content-Length: 0\n"),
        "<recv request=\"BYE\"/>".to_owned(),
        sipp::answer_ok(),
    ]);
    let script = script.replace("\"Script\"", &format!("\"{name}\""));
    Sipp::start(&scene.lab, "script", &script, scene.gateway.udp, &[])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_live_view_shows_a_call_with_its_streams_and_graphs_that_move() -> Result<()> {
    let (scene, mut page) = set("page-live", Some((640, 360))).await?;
    page.log_in()?;
    page.wait_text("No call stands.")?;
    let mut room = Room::start(&scene.lab, "room", &RoomConfig::new(scene.gateway.udp))?;
    room.dial(&alias(MEETING))?;
    room.wait_connected(PATIENCE)?;
    scene.room_in_meeting().await?;

    // The call comes by itself, with the caller's leg and the conference's, and pictures in both.
    page.wait_text(&format!("Meeting {MEETING}"))?;
    page.wait("it is connected", "document.querySelector('.call .badge.connected')")?;
    let rows = "[...document.querySelectorAll('.leg')].map((leg) => leg.querySelectorAll('.streams tbody tr').length)";
    page.wait(
        "four streams of the room, two and more of the conference",
        &format!("(([room, meet]) => room === 4 && meet >= 2)({rows})"),
    )?;
    page.wait(
        "a picture is measured",
        "/1280×720 at (2|3)\\d\\/s/.test(document.querySelector('.streams').innerText)",
    )?;
    page.wait_text("1 other in the meeting: Ada")?;

    // Its graphs move: each second another line, and more of it.
    let line = "document.querySelector('.graph.bitrate .line').getAttribute('d')";
    for _ in 0..3 {
        let before = page.wait("a line is drawn", line)?;
        page.wait("the line moves", &format!("{line} !== {before}"))?;
    }
    page.wait("ten looks", &format!("{line}.split('L').length > 10"))?;
    page.picture("live")?;
    page.in_colours("dark")?;
    page.picture("live-dark")?;
    page.in_colours("light")?;
    page.show_on(Screen::Phone)?;
    page.picture("live-phone")?;
    ensure!(page.overhang()? == 0, "the live view scrolls sideways on a phone");
    page.show_on(Screen::Desk)?;

    // The first view is there at once: a figure for people, which no test on a busy machine can hold anybody to.
    let first = first_view(&mut page)?;
    println!("the live view with a call was usable {first:.0} ms after it was asked for");

    // It is ended here, once that is confirmed, and then stands in the history.
    page.click("button", "End the call of room@127.0.0.1")?;
    page.picture("live-end")?;
    page.click("dialog button", "End call")?;
    room.wait_closed(PATIENCE)?;
    page.wait_text("No call stands.")?;
    page.go("calls")?;
    page.wait_text("Operator:")?;
    page.click("button", "How the call of room@127.0.0.1 stood")?;
    page.wait("ten streams of its legs", "document.querySelectorAll('dialog tbody tr').length >= 6")?;
    page.picture("calls")?;
    page.was_good(&[])
}

/// How many milliseconds after navigation the live view had its heading and its data.
fn first_view(page: &mut Page) -> Result<f64> {
    let watch = "const look = () => { if (document.querySelector('.meeting .streams tbody tr')) window.firstView = performance.now(); else requestAnimationFrame(look); }; look();";
    page.tab.call("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": watch }))?;
    let mut times = Vec::new();
    for _ in 0..5 {
        page.load()?;
        let time = page.wait("the first view", "window.firstView")?;
        times.push(time.as_f64().context("a time")?);
    }
    println!("each time: {times:.0?} ms");
    times.sort_by(f64::total_cmp);
    Ok(times[2])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_made_with_its_error_at_its_field_and_takes_an_alias_until_it_is_removed() -> Result<()> {
    let (_scene, mut page) = set("page-rules", None).await?;
    page.log_in()?;
    page.go("call-routing-rules")?;
    page.click("a", "New rule")?;
    page.wait_text("New rule")?;

    // Each error stands at its field, and nothing is saved.
    page.fill("Name", "board")?;
    page.fill("Priority", "900")?;
    page.fill("Regex", "board([0-9{6,}")?;
    page.click("button", "Save")?;
    page.wait("both fields are marked", "document.querySelectorAll('[aria-invalid]').length === 2")?;
    let (priority, regex) = (page.error_at("Priority")?, page.error_at("Regex")?);
    ensure!(priority.contains("200"), "at the priority: {priority:?}");
    ensure!(regex.contains("unclosed"), "at the regex: {regex:?}");
    let focused = page.tab.evaluate("document.activeElement.name")?;
    ensure!(focused == "priority" || focused == "match.regex", "the focus is on {focused}");
    page.picture("rule-errors")?;
    ensure!(page.api("GET", "/call-routing-rules/board", &Value::Null)?["status"] == 404);

    // Mended, it is saved and listed by its priority.
    page.fill("Priority", "9")?;
    page.fill("Regex", r"board(\d{13})@.*")?;
    page.fill("Replace", r"\1")?;
    page.choose("Connector", "meet")?;
    page.click("button", "Save")?;
    page.wait_text("Rule board is saved.")?;
    page.wait("it is the first", "document.querySelector('tbody tr').innerText.includes('board')")?;

    // The try box names it, and says why others do not.
    page.fill("Alias", &format!("board{MEETING}@{DOMAIN}"))?;
    page.click("button", "Try")?;
    page.wait_text(&format!("Rule board takes board{MEETING}@{DOMAIN}; it becomes {MEETING}."))?;
    page.fill("Alias", &format!("{MEETING}@{DOMAIN}"))?;
    page.click("button", "Try")?;
    page.wait_text(&format!("Rule meetings takes {MEETING}@{DOMAIN}"))?;
    ensure!(page.text(".verdict tbody tr")?.contains("does not"), "{}", page.text(".verdict")?);
    page.picture("rules-tried")?;
    page.fill("Alias", "")?;
    page.click("button", "Try")?;
    page.wait(
        "what is missing is told at its field",
        "document.querySelector('.try .error').innerText === 'is missing'",
    )?;

    // Removed, once that is confirmed, it is gone.
    page.click("a", "board")?;
    page.click("button", "Delete")?;
    page.wait_text("Delete rule board?")?;
    page.picture("rule-delete")?;
    page.press("Escape")?;
    page.wait("the question is gone", "!document.querySelector('dialog')")?;
    ensure!(page.api("GET", "/call-routing-rules/board", &Value::Null)?["status"] == 200);
    page.click("button", "Delete")?;
    page.click("dialog button", "Delete")?;
    page.wait_text("Rule board is removed.")?;
    ensure!(page.api("GET", "/call-routing-rules/board", &Value::Null)?["status"] == 404);
    page.was_good(&[404, 422])
}

#[tokio::test(flavor = "multi_thread")]
async fn p2_a_tokens_value_is_dropped_as_a_file_and_never_in_the_page_again() -> Result<()> {
    const VALUE: &str = "a-value-that-nobody-may-see";
    let (_scene, mut page) = set("page-tokens", None).await?;
    page.log_in()?;
    // A rule that names no token means the only one; with a second one it has to say which.
    ensure!(page.api("PATCH", "/call-routing-rules/meetings", &json!({ "token": "test" }))?["status"] == 200);
    page.go("access-tokens/")?;
    page.fill("Name", "tenant b")?;
    page.choose("Trust", "Untrusted")?;
    let drop = format!(
        "(() => {{ const data = new DataTransfer(); data.items.add(new File(['{VALUE}\\n'], 'token.txt'));
           const drop = document.querySelector('.drop'); drop.dispatchEvent(new DragEvent('dragover', {{ bubbles: true, cancelable: true, dataTransfer: data }}));
           drop.dispatchEvent(new DragEvent('drop', {{ bubbles: true, cancelable: true, dataTransfer: data }})); }})()"
    );
    page.tab.evaluate(&drop)?;
    page.wait_text("read from token.txt")?;
    page.picture("token-dropped")?;
    page.click("button", "Save")?;
    page.wait("the list", "document.querySelector('main h1').innerText === 'Access tokens'")?;

    // Neither the list, nor its editor, nor the API, nor the audit log shows it again.
    let shown = format!(
        "document.documentElement.outerHTML.includes('{VALUE}') || [...document.querySelectorAll('input, textarea')].some((one) => one.value.includes('{VALUE}'))"
    );
    for route in ["access-tokens", "access-tokens/tenant%20b", "audit"] {
        page.go(route)?;
        ensure!(page.tab.evaluate(&shown)? == false, "{route} shows the value");
    }
    let answer = page.api("GET", "/access-tokens/tenant%20b", &Value::Null)?;
    ensure!(answer["status"] == 200 && !answer.to_string().contains(VALUE), "{answer}");

    // Left empty in a change, it stays; the one that a rule uses is not removed, and the rule is named.
    page.go("access-tokens/tenant%20b")?;
    page.choose("Trust", "Trusted")?;
    page.click("button", "Save")?;
    page.wait("the list again", "document.querySelector('main h1').innerText === 'Access tokens'")?;
    page.go("call-routing-rules/meetings")?;
    page.choose("Token", "tenant b")?;
    page.click("button", "Save")?;
    page.wait("the rules", "document.querySelector('main h1').innerText === 'Call Routing Rules'")?;
    page.go("access-tokens/tenant%20b")?;
    page.click("button", "Delete")?;
    page.click("dialog button", "Delete")?;
    page.wait(
        "the rule is named",
        "document.querySelector('dialog [role=alert] a')?.innerText.includes('meetings')",
    )?;
    page.picture("token-in-use")?;
    page.was_good(&[422])
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_change_is_told_and_not_overwritten_unasked() -> Result<()> {
    let (_scene, mut page) = set("page-meanwhile", None).await?;
    page.log_in()?;
    page.go("call-routing-rules/meetings")?;
    let other = json!({ "description": "theirs", "priority": 42 });
    ensure!(page.api("PATCH", "/call-routing-rules/meetings", &other)?["status"] == 200);
    page.fill("Description", "mine")?;
    page.click("button", "Save")?;
    page.wait_text("It was changed meanwhile")?;
    page.wait_text("description: \"theirs\"")?;
    page.picture("meanwhile")?;
    page.click("dialog button", "Take theirs")?;
    page.wait("theirs is in the form", "document.querySelector('[name=description]').value === 'theirs' && document.querySelector('[name=priority]').value === '42'")?;
    page.fill("Description", "both")?;
    page.click("button", "Save")?;
    page.wait_text("Rule meetings is saved.")?;
    let kept = page.api("GET", "/call-routing-rules/meetings", &Value::Null)?;
    ensure!(kept["body"]["description"] == "both" && kept["body"]["priority"] == 42, "{kept}");
    page.was_good(&[412])
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_logs_in_and_makes_a_rule_by_keyboard_alone() -> Result<()> {
    let (_scene, mut page) = set("page-keyboard", None).await?;
    // The name has the focus already.
    page.wait("the focus is on the name", "document.activeElement.id === 'name'")?;
    page.write(NAME)?;
    page.press("Tab")?;
    page.write("a wrong password")?;
    page.press("Enter")?;
    page.wait_text("Wrong name or password.")?;
    page.wait(
        "the focus is on the password",
        "document.activeElement.id === 'password' && document.activeElement.value === ''",
    )?;
    page.write(e2e::page::PASSWORD)?;
    page.press("Enter")?;
    page.wait("the screens are listed", "document.querySelector('#nav a')")?;
    page.tab_to("Call Routing Rules")?;
    page.press("Enter")?;
    page.wait(
        "the rules, and the focus on their heading",
        "document.activeElement.matches('h1') && document.activeElement.innerText === 'Call Routing Rules'",
    )?;
    page.tab_to("New rule")?;
    let outline = page.tab.evaluate("getComputedStyle(document.activeElement).outlineStyle")?;
    ensure!(outline != "none", "the focus is not seen");
    page.picture("keyboard-focus")?;
    page.press("Enter")?;
    page.wait_text("New rule")?;
    page.tab_to("Name")?;
    page.write("by keyboard")?;
    page.tab_to("Priority")?;
    page.write("7")?;
    page.tab_to("H.323")?;
    page.press(" ")?;
    page.tab_to("Regex")?;
    page.write("7.*")?;
    page.tab_to("Save")?;
    page.press("Enter")?;
    page.wait_text("Rule by keyboard is saved.")?;
    let kept = page.api("GET", "/call-routing-rules/by%20keyboard", &Value::Null)?;
    ensure!(kept["body"]["match"] == json!({ "protocols": ["h323"], "regex": "7.*" }), "{kept}");
    page.was_good(&[401])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_screen_is_there_in_light_and_dark_and_on_a_phone_and_asks_nobody_else() -> Result<()> {
    let (_scene, mut page) = set("page-screens", None).await?;
    page.picture("login")?;
    page.log_in()?;
    for route in SCREENS {
        page.go(route)?;
        let name = route.trim_end_matches('/').replace('/', "-");
        ensure!(
            page.tab.evaluate("document.querySelector('.trouble') === null")? == true,
            "{}",
            page.text("main")?
        );
        page.picture(&name)?;
        page.in_colours("dark")?;
        page.picture(&format!("{name}-dark"))?;
        page.in_colours("light")?;
        page.show_on(Screen::Phone)?;
        page.picture(&format!("{name}-phone"))?;
        let overhang = page.overhang()?;
        ensure!(overhang == 0, "{route} is {overhang} pixels wider than a phone");
        page.show_on(Screen::Desk)?;
    }
    // The menu of a phone unfolds, and folds again where it led somewhere.
    page.show_on(Screen::Phone)?;
    page.click("button", "Menu")?;
    page.picture("menu-phone")?;
    page.click("#nav a", "Settings")?;
    page.wait("the menu is folded", "!document.querySelector('#nav a').checkVisibility()")?;
    page.show_on(Screen::Desk)?;
    // A change that waits for a restart says so.
    page.go("settings/sip")?;
    page.fill("TCP", "127.0.0.1:0\n127.0.0.2:0")?;
    page.click("button", "Save")?;
    page.wait_text("It takes effect once the gateway is restarted")?;
    page.picture("restart-needed")?;
    page.go("system")?;
    page.wait_text("Waits for a restart of the gateway")?;
    page.was_good(&[])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_whose_name_is_markup_is_shown_as_it_calls_itself() -> Result<()> {
    const HOSTILE: &str = "<img src=x onerror=alert(1)>";
    let (scene, mut page) = set("page-hostile", None).await?;
    page.log_in()?;
    let caller = caller(&scene, HOSTILE)?;
    page.wait("the caller", &format!("document.querySelector('.call h3')?.textContent === '{HOSTILE}'"))?;
    page.picture("hostile-live")?;
    page.click("button", &format!("End the call of {HOSTILE}"))?;
    page.wait_text(&format!("End the call of {HOSTILE}?"))?;
    page.click("dialog button", "End call")?;
    caller.finish(PATIENCE)?;
    page.go("calls")?;
    page.wait_text("Operator:")?;
    ensure!(page.text("main")?.contains(HOSTILE), "{}", page.text("main")?);
    page.picture("hostile-calls")?;
    ensure!(page.tab.evaluate("document.querySelector('img') === null")? == true, "it became an element");
    page.was_good(&[])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_box_is_led_from_its_domain_to_a_test_call() -> Result<()> {
    let (scene, mut page) = set("page-start", None).await?;
    page.log_in()?;
    let connector = page.api("GET", "/connectors/meet", &Value::Null)?["body"].clone();
    for path in ["/call-routing-rules/meetings", "/access-tokens/test", "/connectors/meet"] {
        let answer = page.api("DELETE", path, &Value::Null)?;
        ensure!(answer["status"] == 204, "{path}: {answer}");
    }
    page.load()?;
    page.wait_text("First steps: Domain")?;
    page.wait("the domain", &format!("document.querySelector('[name=domains]').value === '{DOMAIN}'"))?;
    page.picture("start-domain")?;
    page.click("button", "Save")?;
    page.wait_text("First steps: Connector")?;
    page.fill("URL", connector["url"].as_str().context("a URL")?)?;
    page.fill("CA file", connector["ca_file"].as_str().context("a file")?)?;
    page.picture("start-connector")?;
    page.click("button", "Save")?;
    page.wait_text("First steps: Access token")?;
    page.fill("Name", "first")?;
    page.fill("Value", TOKEN)?;
    page.picture("start-token")?;
    page.click("button", "Save")?;
    page.wait_text("First steps: Rule")?;
    page.picture("start-rule")?;
    page.click("button", "Save")?;
    page.wait_text("First steps: Test call")?;
    page.wait_text(&format!("<13 digits>@{DOMAIN}"))?;
    page.wait_text("Waiting for a call")?;
    page.picture("start-waiting")?;

    let mut room = Room::start(&scene.lab, "room", &RoomConfig::new(scene.gateway.udp))?;
    room.dial(&alias(MEETING))?;
    room.wait_connected(PATIENCE)?;
    page.wait_text("The gateway works.")?;
    page.picture("start-call")?;
    page.was_good(&[])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_is_made_here_and_sees_everything_but_changes_nothing() -> Result<()> {
    let (_scene, mut page) = set("page-viewer", None).await?;
    page.log_in()?;
    page.go("users/")?;
    page.fill("Name", "grace")?;
    page.choose("Role", "Viewer")?;
    page.fill("Password", "short")?;
    page.click("button", "Save")?;
    page.wait_text("the password must have 10 to")?;
    page.fill("Password", "long enough to keep")?;
    page.picture("user")?;
    page.click("button", "Save")?;
    page.wait_text("User grace is saved")?;
    page.click("button", "Log out")?;
    page.wait_text("You are logged out.")?;

    page.log_in_as("grace", "long enough to keep")?;
    let screens = page.text("#nav")?;
    ensure!(screens.contains("Settings") && !screens.contains("Audit"), "{screens}");
    page.go("call-routing-rules")?;
    ensure!(!page.text("main")?.contains("New rule"));
    page.go("call-routing-rules/meetings")?;
    let may = page
        .tab
        .evaluate("[...document.querySelectorAll('main form button')].map((one) => one.innerText)")?;
    ensure!(may == json!(["Back"]), "{may}");
    page.picture("viewer-rule")?;

    // A session that is over leads back to the log-in, and says so.
    page.tab.call("Network.clearBrowserCookies", &json!({}))?;
    page.tab.evaluate("location.hash = '#/dns-plan'")?;
    page.wait("the log-in", "document.querySelector('.login')")?;
    ensure!(scene_is_quiet(&mut page, Duration::from_secs(1))?, "nothing of the screen stays");
    page.was_good(&[401, 422])
}

/// Whether only the log-in is shown for so long.
fn scene_is_quiet(page: &mut Page, long: Duration) -> Result<bool> {
    let watch = format!(
        "new Promise((done) => {{ const seen = () => document.querySelectorAll('main form').length === 1 && document.querySelector('.login'); let good = true;
           const look = setInterval(() => {{ good &&= Boolean(seen()); }}, 50); setTimeout(() => {{ clearInterval(look); done(good); }}, {}); }})",
        long.as_millis()
    );
    Ok(page.tab.evaluate(&watch)? == true)
}
