//! The admin page's licences, invitations and DNS plan in a real browser: what an administrator drops, tries and has checked there.

use anyhow::{Context, Result, ensure};
use e2e::gateway::{ADMIN, DOMAIN, MEETING, alias};
use e2e::page::Page;
use e2e::room::{Room, RoomConfig};
use e2e::scene::{PATIENCE, Scene, SceneConfig};
use serde_json::{Value, json};

/// A vendor's key, and a licence by it: two call licences, two access tokens, from 2020 to 9000, for any box.
const VENDOR: &str = "acme:6kpsY+KcUgq+9VB7Ey7F+ZVHdq6+vnuSQh7qaRRG0iw=";
const LICENCE: &str = "eyJhbGciOiJFZERTQSIsImtpZCI6ImFjbWUiLCJ0eXAiOiJnYW50cnktbGljZW5jZSJ9.\
    eyJpZCI6IkdMLTEiLCJob2xkZXIiOiJFeGFtcGxlIEx0ZCIsImNvdW50cyI6eyJjYWxscyI6MiwiZ2F0ZXdheS10b2tlbnMiOjJ9LCJub3RfYmVmb3JlIjoi\
    MjAyMC0wMS0wMSIsIm5vdF9hZnRlciI6IjkwMDAtMTItMzEifQ.\
    kD8y-sfcOyY120ZKTEvfzE52FNDc30fIrkzxsIq_5J3Q5bgF-ZXgpPBUHYs1cOOsKTKHuET4xInLjuaW96L3Dg";

async fn set(name: &str, vendor_keys: Option<&str>) -> Result<(Scene, Page)> {
    let gateway = vec![(ADMIN.0, ADMIN.1.to_owned())];
    let vendor_keys = vendor_keys.map(str::to_owned);
    let scene = Scene::set(name, SceneConfig { gateway, vendor_keys, ..SceneConfig::default() }).await?;
    let mut page = Page::open(&scene.lab, &scene.gateway)?;
    page.log_in()?;
    Ok((scene, page))
}

/// P15
#[tokio::test(flavor = "multi_thread")]
async fn p15_a_licence_is_dropped_on_the_page_holds_for_the_next_call_and_ends_none_when_it_is_removed()
-> Result<()> {
    const FIELD: &str = "Licence (paste it, or drop the file here)";
    let (scene, mut page) = set("page-licences", Some(VENDOR)).await?;
    page.go("licences")?;
    page.wait_text("0 of 0 used, 0 free")?;
    page.wait_text("1 access token more than are licensed")?;
    page.picture("licences-none")?;
    let mut early = Room::start(&scene.lab, "early", &RoomConfig::new(scene.gateway.udp))?;
    early.dial(&alias(MEETING))?;
    ensure!(scene.gateway.last_cause(PATIENCE).await? == "Operator/NoLicence");

    // What is none says so, and changes nothing.
    page.fill(FIELD, "-----BEGIN CERTIFICATE-----")?;
    page.click("button", "Add this licence")?;
    page.wait_text("this licence can't be read")?;
    page.picture("licence-refused")?;

    page.drop_files(&[("gl-1.licence", LICENCE.as_bytes())])?;
    page.wait_text("read from gl-1.licence")?;
    page.click("button", "Add this licence")?;
    page.wait_text("The licence is taken.")?;
    page.wait_text("0 of 2 used, 2 free")?;
    page.wait_text("1 of 2 used, 1 free")?;
    page.wait_text("9000-12-31")?;
    page.picture("licences")?;

    // The next call goes in, and is counted.
    let mut room = Room::start(&scene.lab, "room", &RoomConfig::new(scene.gateway.udp))?;
    room.dial(&alias(MEETING))?;
    room.wait_connected(PATIENCE)?;
    page.wait_text("2 of 2 used, 0 free")?;
    let token = |name: &str| json!({ "name": name, "value": "v", "trust": "trusted" });
    // A rule that names no token means the only one.
    ensure!(page.api("PATCH", "/call-routing-rules/meetings", &json!({ "token": "test" }))?["status"] == 200);
    ensure!(page.api("POST", "/access-tokens", &token("second"))?["status"] == 201);
    page.go("access-tokens/")?;
    page.fill("Name", "third")?;
    page.fill("Value", "v")?;
    page.click("button", "Save")?;
    page.wait_text("3 access tokens are more than the 2 that gateway-token licences allow")?;
    page.picture("token-beyond-licence")?;

    // Removed, it ends no call.
    page.go("licences")?;
    page.click("button", "Remove licence GL-1")?;
    page.picture("licence-remove")?;
    page.click("dialog button", "Remove")?;
    page.wait_text("Licence GL-1 is removed.")?;
    page.wait_text("2 call licences more than there are")?;
    let calls = scene.gateway.status()?["calls"].as_array().map(Vec::len);
    ensure!(calls == Some(1), "{calls:?} calls stand");
    page.go("alarms")?;
    page.wait_text("no call licence is left")?;
    page.picture("alarms-licences")?;
    page.was_good(&[422])
}

/// P6
#[tokio::test(flavor = "multi_thread")]
async fn p6_a_meeting_processing_rule_is_made_and_an_invitation_is_tried_with_it() -> Result<()> {
    let (_scene, mut page) = set("page-invitations", None).await?;
    page.go("meeting-processing-rules")?;
    page.wait_text("Meet links are passed over")?;
    page.click("a", "New rule")?;
    page.fill("Name", "our bridge")?;
    page.fill("Priority", "10")?;
    page.choose("Type", "Custom")?;
    page.fill("Regex", "Meeting ID: (?<id>[0-9 ]{9,20}")?;
    page.click("button", "Save")?;
    page.wait("the regex is marked", "document.querySelectorAll('[aria-invalid]').length === 1")?;
    ensure!(page.error_at("Regex")?.contains("unclosed"), "{}", page.error_at("Regex")?);
    page.picture("meeting-rule-errors")?;
    page.fill("Regex", "Meeting ID: (?<id>[0-9 ]{9,20})")?;
    page.fill("Template", &format!("${{id:digits}}@{DOMAIN}"))?;
    page.click("button", "Save")?;
    page.wait_text("Meeting processing rule our bridge is saved.")?;

    let invitation = "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:<b>Plan</b>\r\nDTSTART:20261105T140000Z\r\n\
                      DESCRIPTION:Meeting ID: 123 456 7890 123\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    page.wait("the list", "document.querySelector('.drop')")?;
    page.drop_files(&[("plan.ics", invitation.as_bytes())])?;
    page.wait_text("read from plan.ics")?;
    page.click("button", "Try")?;
    page.wait_text(&format!("Rule our bridge finds {MEETING}@{DOMAIN}."))?;
    page.wait_text(&format!("Rule meetings takes {MEETING}@{DOMAIN}; it becomes {MEETING}."))?;
    page.wait_text("2026-11-05 14:00:00 UTC")?;
    page.picture("invitation-tried")?;

    page.go("meeting-processing-rules")?;
    page.fill("Invitation (paste its text, or drop an .ics file here)", "nothing to dial")?;
    page.click("button", "Try")?;
    page.wait_text("Nobody finds an alias in it")?;
    page.go("settings/one-touch-join")?;
    page.fill("Guest domain", "guests.example.com")?;
    page.click("button", "Save")?;
    page.wait_text("One-Touch Join settings are saved.")?;
    page.go("meeting-processing-rules")?;
    page.wait_text("else the code of a Meet link at guests.example.com")?;
    page.was_good(&[422])
}

/// K3
#[tokio::test(flavor = "multi_thread")]
async fn k3_the_dns_plan_is_checked_by_a_button_and_each_record_says_what_was_found() -> Result<()> {
    let (_scene, mut page) = set("page-dns", None).await?;
    page.go("dns-plan")?;
    page.click("button", "Check live DNS")?;
    page.wait_text("of 6 as planned")?;
    let verdicts = page.tab.evaluate("document.querySelectorAll('tbody td:last-child .badge').length")?;
    ensure!(verdicts == 6, "{verdicts} verdicts");
    page.picture("dns-checked")?;
    page.click("button", "Check live DNS")?;
    page.wait_text("was checked just now")?;
    let planned = page.api("GET", "/dns-plan", &Value::Null)?;
    let count = planned["body"]["records"].as_array().context("records")?.len();
    ensure!(count == 6, "{count} records");
    page.was_good(&[429])
}
