//! The admin page as somebody uses it in a browser: seen by its words, worked by mouse or by keyboard alone, kept as pictures.

use crate::devtools::Tab;
use crate::gateway::Gateway;
use crate::lab::Lab;
use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::path::PathBuf;

/// The administrator of the tests.
pub const NAME: &str = "ada";
/// Their password.
pub const PASSWORD: &str = "correct horse battery";
/// How long anything may take to show, in milliseconds: the machine may be busy.
const PATIENCE_MS: u32 = 30_000;

/// What the page is shown on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Screen {
    /// 1280 by 800.
    Desk,
    /// 390 by 844, touched.
    Phone,
}

/// The admin page, open.
pub struct Page {
    /// The browser.
    pub tab: Tab,
    url: String,
    pictures: PathBuf,
}

/// Text as JavaScript writes it.
fn quoted(text: &str) -> Value {
    json!(text)
}

impl Page {
    /// Opens the page of `gateway`, where the administrator [`NAME`] is made.
    ///
    /// # Errors
    /// If it does not come.
    pub fn open(lab: &Lab, gateway: &Gateway) -> Result<Self> {
        gateway.make_administrator(NAME, PASSWORD)?;
        let admin = gateway.admin.context("the gateway is not administered: it has no [admin] section")?;
        let url = format!("https://{admin}/");
        let mut page = Self { tab: Tab::open(lab, "page")?, url, pictures: lab.artefact("") };
        page.show_on(Screen::Desk)?;
        page.load()?;
        Ok(page)
    }

    /// Loads it anew, as it opens.
    ///
    /// # Errors
    /// If it does not come.
    pub fn load(&mut self) -> Result<()> {
        let answer = self.tab.call("Page.navigate", &json!({ "url": self.url.clone() }))?;
        ensure!(answer["errorText"].is_null(), "{}: {}", self.url, answer["errorText"]);
        self.wait("the page has something to say", "document.querySelector('main h1')").map(drop)
    }

    /// Logs the administrator in.
    ///
    /// # Errors
    /// If that fails.
    pub fn log_in(&mut self) -> Result<()> {
        self.log_in_as(NAME, PASSWORD)
    }

    /// Logs somebody in.
    ///
    /// # Errors
    /// If that fails.
    pub fn log_in_as(&mut self, name: &str, password: &str) -> Result<()> {
        self.fill("Name", name)?;
        self.fill("Password", password)?;
        self.click("button", "Log in")?;
        self.wait(
            "the screens are listed",
            "document.querySelector('#nav a') && !document.querySelector('.login')",
        )
        .map(drop)
    }

    /// Goes to a screen by its address.
    ///
    /// # Errors
    /// If it does not come.
    pub fn go(&mut self, route: &str) -> Result<()> {
        let hash = format!("#/{route}");
        // A screen is painted when it is complete; the heading of the one before goes with it.
        self.tab.evaluate("document.querySelector('main h1')?.setAttribute('data-old', '')")?;
        // Where the page is there already, it is shown anew.
        let go = "if (location.hash === hash) window.dispatchEvent(new Event('hashchange')); else location.hash = hash;";
        self.tab.evaluate(&format!("((hash) => {{ {go} }})({})", quoted(&hash)))?;
        self.wait(&format!("the screen {route}"), "document.querySelector('main h1:not([data-old])')")
            .map(drop)
    }

    /// Waits until `expression` is true in the page, and returns it.
    ///
    /// # Errors
    /// If it does not become so; the message holds the page's text.
    pub fn wait(&mut self, what: &str, expression: &str) -> Result<Value> {
        let look = format!(
            "new Promise((done) => {{ const end = performance.now() + {PATIENCE_MS}; const look = () => {{
               let seen = null; try {{ seen = ({expression}); }} catch {{ }}
               if (seen) done(seen instanceof Node ? true : seen);
               else if (performance.now() > end) done(null); else setTimeout(look, 30); }}; look(); }})"
        );
        // A page that is left while it is looked at takes the look with it; the next one is of the new page.
        let seen = self.tab.evaluate(&look).or_else(|_| self.tab.evaluate(&look))?;
        if seen.is_null() {
            let text = self.text("body")?;
            let picture = self.picture("failed").is_ok();
            anyhow::bail!(
                "{what}: not within {PATIENCE_MS} ms (picture kept: {picture}); the page says:\n{text}"
            );
        }
        Ok(seen)
    }

    /// Waits until the page says `text`.
    ///
    /// # Errors
    /// If it does not.
    pub fn wait_text(&mut self, text: &str) -> Result<()> {
        let says = format!("document.body.innerText.includes({})", quoted(text));
        self.wait(&format!("{text:?}"), &says).map(drop)
    }

    /// The text that the first element of `selector` shows.
    ///
    /// # Errors
    /// If there is none.
    pub fn text(&mut self, selector: &str) -> Result<String> {
        let text =
            self.tab.evaluate(&format!("document.querySelector({})?.innerText ?? null", quoted(selector)))?;
        text.as_str().map(str::to_owned).with_context(|| format!("there is no {selector}"))
    }

    /// Clicks what is `selector` and says just `text`, or is called so.
    ///
    /// # Errors
    /// If it does not show.
    pub fn click(&mut self, selector: &str, text: &str) -> Result<()> {
        let find = format!(
            "[...document.querySelectorAll({})].findLast((one) => one.checkVisibility() && (one.innerText.trim() === {text} || one.getAttribute('aria-label') === {text}))",
            quoted(selector),
            text = quoted(text),
        );
        // Nothing is clicked that still moves, or has something before it.
        let place = format!(
            "(() => {{ const one = {find}; if (!one) return null; one.scrollIntoView({{ block: 'center' }});
               const {{ x, y, width, height }} = one.getBoundingClientRect(); const at = [x + width / 2, y + height / 2];
               const still = String(one.lastPlace) === String(at); one.lastPlace = at;
               return still && one.contains(document.elementFromPoint(...at)) ? at : null; }})()"
        );
        let at = self.wait(&format!("{selector} {text:?} to click"), &place)?;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1 });
            self.tab.call("Input.dispatchMouseEvent", &event)?;
        }
        Ok(())
    }

    /// Writes `text` into the field of this label, in place of what is there.
    ///
    /// # Errors
    /// If there is no such field.
    pub fn fill(&mut self, label: &str, text: &str) -> Result<()> {
        let find = labelled(label);
        let select = format!(
            "(() => {{ const field = {find}; field.focus(); field.select?.(); if (!{}) field.value = ''; return true; }})()",
            quoted(text)
        );
        self.wait(&format!("the field {label:?}"), &select)?;
        self.write(text)
    }

    /// Chooses the option of this name in the field of this label.
    ///
    /// # Errors
    /// If there is none.
    pub fn choose(&mut self, label: &str, option: &str) -> Result<()> {
        let choose = format!(
            "(() => {{ const field = {}; const option = [...field.options].find((one) => one.text === {});
               field.value = option.value; field.dispatchEvent(new Event('change', {{ bubbles: true }})); return true; }})()",
            labelled(label),
            quoted(option)
        );
        self.wait(&format!("{option:?} of the field {label:?}"), &choose).map(drop)
    }

    /// What stands at the field of this label as wrong; empty if nothing does.
    ///
    /// # Errors
    /// If there is no such field.
    pub fn error_at(&mut self, label: &str) -> Result<String> {
        let error = format!("{}.closest('.field').querySelector('.error').innerText", labelled(label));
        Ok(self.tab.evaluate(&error)?.as_str().unwrap_or_default().trim().to_owned())
    }

    /// Types text where the focus is.
    ///
    /// # Errors
    /// If the browser refuses.
    pub fn write(&mut self, text: &str) -> Result<()> {
        self.tab.call("Input.insertText", &json!({ "text": text })).map(drop)
    }

    /// Presses a key.
    ///
    /// # Errors
    /// If the browser refuses, or the key is not known here.
    pub fn press(&mut self, key: &str) -> Result<()> {
        let (number, text) = match key {
            "Tab" => (9, None),
            "Enter" => (13, Some("\r")),
            "Escape" => (27, None),
            " " => (32, Some(" ")),
            _ => anyhow::bail!("the key {key} is not known here"),
        };
        let mut event = json!({ "type": if text.is_some() { "keyDown" } else { "rawKeyDown" }, "key": key, "windowsVirtualKeyCode": number });
        if let Some(text) = text {
            event["text"] = json!(text);
        }
        self.tab.call("Input.dispatchKeyEvent", &event)?;
        event["type"] = json!("keyUp");
        self.tab.call("Input.dispatchKeyEvent", &event).map(drop)
    }

    /// Goes on with Tab until the focus is on what is called `name`: its label, or what it says.
    ///
    /// # Errors
    /// If the focus does not come there.
    pub fn tab_to(&mut self, name: &str) -> Result<()> {
        let focused = "(() => { const one = document.activeElement; return (one.labels?.[0] ?? one).innerText?.trim() ?? ''; })()";
        let mut passed = Vec::new();
        for _ in 0..120 {
            self.press("Tab")?;
            let at = self.tab.evaluate(focused)?.as_str().unwrap_or_default().to_owned();
            if at == name || at == format!("{name} (needed)") {
                return Ok(());
            }
            passed.push(at);
        }
        anyhow::bail!("Tab does not come to {name:?}; it passed {passed:?}")
    }

    /// Asks the API as the page does; what came of it.
    ///
    /// # Errors
    /// If nobody is logged in.
    pub fn api(&mut self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let body = if body.is_null() { "undefined".to_owned() } else { format!("JSON.stringify({body})") };
        let ask = format!(
            "(async () => {{ const {{ csrf }} = await (await fetch('/api/v1/session')).json();
               const answer = await fetch('/api/v1{path}', {{ method: '{method}', body: {body}, headers: {{ 'Content-Type': 'application/json', 'X-CSRF-Token': csrf }} }});
               const text = await answer.text(); return {{ status: answer.status, body: text && JSON.parse(text) }}; }})()"
        );
        self.tab.evaluate(&ask)
    }

    /// Drops files, of these names and contents, where the page takes them.
    ///
    /// # Errors
    /// If the browser refuses.
    pub fn drop_files(&mut self, files: &[(&str, &[u8])]) -> Result<()> {
        let files: Vec<_> =
            files.iter().map(|(name, content)| json!([name, STANDARD.encode(content)])).collect();
        let script = format!(
            "(() => {{ const data = new DataTransfer();
               for (const [name, content] of {}) data.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name));
               const drop = document.querySelector('.drop'), about = {{ bubbles: true, cancelable: true, dataTransfer: data }};
               for (const event of ['dragover', 'drop']) drop.dispatchEvent(new DragEvent(event, about)); }})()",
            json!(files)
        );
        self.tab.evaluate(&script).map(drop)
    }

    /// Shows the page on another screen from now on.
    ///
    /// # Errors
    /// If the browser refuses.
    pub fn show_on(&mut self, screen: Screen) -> Result<()> {
        let (width, height, mobile) = match screen {
            Screen::Desk => (1280, 800, false),
            Screen::Phone => (390, 844, true),
        };
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
        self.tab.call("Emulation.setDeviceMetricsOverride", &metrics).map(drop)
    }

    /// Shows it as on a system that is set to `light` or `dark`.
    ///
    /// # Errors
    /// If the browser refuses.
    pub fn in_colours(&mut self, scheme: &str) -> Result<()> {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.tab.call("Emulation.setEmulatedMedia", &features).map(drop)
    }

    /// Keeps the whole page as an artefact.
    ///
    /// # Errors
    /// If there is no picture.
    pub fn picture(&mut self, name: &str) -> Result<()> {
        let shot = self
            .tab
            .call("Page.captureScreenshot", &json!({ "format": "png", "captureBeyondViewport": true }))?;
        let png = STANDARD.decode(shot["data"].as_str().unwrap_or_default())?;
        std::fs::write(self.pictures.join(format!("{name}.png")), png).context("cannot keep the picture")
    }

    /// How many pixels the page is wider than its window.
    ///
    /// # Errors
    /// If the browser does not say.
    pub fn overhang(&mut self) -> Result<i64> {
        let wider = self
            .tab
            .evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")?;
        wider.as_i64().context("a width")
    }

    /// That nothing was asked of anybody else, and that the browser has nothing against the page. Browsers complain of each answer that is a
    /// refusal; `refusals` are the statuses of those that the test provoked.
    ///
    /// # Errors
    /// With what there is.
    pub fn was_good(&mut self, refusals: &[u16]) -> Result<()> {
        // What the browser has to say comes before its next answer.
        self.tab.evaluate("1")?;
        // What is written in the page, or is the browser's own, asks nobody.
        let own = [self.url.as_str(), "data:", "about:blank"];
        let foreign = |url: &&String| !own.iter().any(|own| url.starts_with(own));
        let elsewhere: Vec<_> = self.tab.requests.iter().filter(foreign).collect();
        ensure!(elsewhere.is_empty(), "the page asked elsewhere: {elsewhere:?}");
        ensure!(!self.tab.requests.is_empty(), "no request was seen at all");
        let provoked = |text: &String| {
            refusals.iter().any(|status| text.contains(&format!("responded with a status of {status} ")))
        };
        let complaints: Vec<_> = self.tab.complaints.iter().filter(|text| !provoked(text)).collect();
        ensure!(complaints.is_empty(), "the browser complains: {complaints:#?}");
        Ok(())
    }
}

/// The visible field of a label, by what the label says; `(needed)` does not count.
fn labelled(label: &str) -> String {
    format!(
        "[...document.querySelectorAll('label')].filter((one) => one.checkVisibility() && one.innerText.replace(' (needed)', '').trim() === {}).at(-1).control",
        quoted(label)
    )
}
