//! Chromium driven by the Chrome DevTools Protocol over a pair of pipes (`--remote-debugging-pipe`): JSON messages that end with a zero byte.
//! Everything the page asks for and complains of is noted.

use crate::lab::Lab;
use anyhow::{Context, Result, bail, ensure};
use meet_sim::browser::FLAGS;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Longest wait for an answer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Chromium reads its commands from descriptor 3 and answers on 4, where a shell puts the two pipes.
const LAUNCH: &str = "exec chromium \"$@\" 3<&0 4>&1 </dev/null >&2";

/// A page in a browser of its own.
pub struct Tab {
    child: Child,
    to: Option<ChildStdin>,
    from: Receiver<Value>,
    session: Option<String>,
    last: u64,
    /// What the page asked for: every URL.
    pub requests: Vec<String>,
    /// What the browser has against the page: exceptions, errors and warnings in its console, refusals of the content security policy, `alert`.
    pub complaints: Vec<String>,
}

impl Tab {
    /// Opens an empty page; what the browser prints is kept as `<name>.log`.
    ///
    /// # Errors
    /// If Chromium cannot be started.
    pub fn open(lab: &Lab, name: &str) -> Result<Self> {
        let profile = lab.folder(name)?;
        let mut child = Command::new("sh")
            .args(["-c", LAUNCH, "sh", "--remote-debugging-pipe"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .args(FLAGS)
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(lab.artefact(&format!("{name}.log")))?)
            .spawn()
            .context("cannot start chromium; `cargo xtask setup` installs it")?;
        let to = child.stdin.take();
        let from = messages(child.stdout.take().context("chromium's answers")?);
        let (requests, complaints) = (Vec::new(), Vec::new());
        let mut tab = Self { child, to, from, session: None, last: 0, requests, complaints };
        let target = tab.call("Target.createTarget", &json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = tab.call("Target.attachToTarget", &attach)?;
        tab.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Network", "Log"] {
            tab.call(&format!("{domain}.enable"), &json!({}))?;
        }
        tab.call("Security.setIgnoreCertificateErrors", &json!({ "ignore": true }))?;
        Ok(tab)
    }

    /// Calls a method of the protocol.
    ///
    /// # Errors
    /// If the browser refuses, or does not answer.
    pub fn call(&mut self, method: &str, parameters: &Value) -> Result<Value> {
        self.last += 1;
        let id = self.last;
        let mut message = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let to = self.to.as_mut().context("the browser is closed")?;
        to.write_all(format!("{message}\0").as_bytes()).context("the browser has ended")?;
        to.flush()?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.from.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(answer) if answer["id"] == id => {
                    ensure!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                    return Ok(answer["result"].clone());
                }
                Ok(event) => self.note(&event),
                Err(RecvTimeoutError::Timeout) => bail!("{method}: no answer within {PATIENCE:?}"),
                Err(RecvTimeoutError::Disconnected) => bail!("{method}: the browser has ended"),
            }
        }
    }

    /// What `expression` is in the page; promises are waited for.
    ///
    /// # Errors
    /// If it throws.
    pub fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let parameters = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true, "userGesture": true });
        let answer = self.call("Runtime.evaluate", &parameters)?;
        let thrown = &answer["exceptionDetails"];
        ensure!(thrown.is_null(), "{expression}: {}", thrown["exception"]["description"]);
        Ok(answer["result"]["value"].clone())
    }

    /// Takes what came unasked.
    fn note(&mut self, event: &Value) {
        let parameters = &event["params"];
        match event["method"].as_str().unwrap_or_default() {
            "Network.requestWillBeSent" => {
                self.requests.push(parameters["request"]["url"].as_str().unwrap_or_default().to_owned());
            }
            "Runtime.exceptionThrown" => self.complaints.push(parameters["exceptionDetails"].to_string()),
            "Runtime.consoleAPICalled"
                if matches!(parameters["type"].as_str(), Some("error" | "warning" | "assert")) =>
            {
                self.complaints.push(parameters["args"].to_string());
            }
            // Whatever the page should not do is an entry of level error; what it could do better is not.
            "Log.entryAdded"
                if matches!(parameters["entry"]["level"].as_str(), Some("error" | "warning")) =>
            {
                self.complaints
                    .push(format!("{} {}", parameters["entry"]["text"], parameters["entry"]["url"]));
            }
            "Page.javascriptDialogOpening" => {
                self.complaints.push(format!("a dialog: {}", parameters["message"]))
            }
            _ => {}
        }
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        // A browser whose pipe is closed ends by itself, with its children.
        drop(self.to.take());
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            // Its answers end when it does.
            if matches!(
                self.from.recv_timeout(Duration::from_millis(50)),
                Err(RecvTimeoutError::Disconnected)
            ) {
                break;
            }
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
        }
        drop(self.child.wait());
    }
}

/// What the browser says, message by message.
fn messages(pipe: ChildStdout) -> Receiver<Value> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut message = Vec::new();
        while reader.read_until(0, &mut message).is_ok_and(|read| read > 0) {
            let text = message.strip_suffix(&[0]).unwrap_or(&message);
            if let Ok(value) = serde_json::from_slice(text)
                && sender.send(value).is_err()
            {
                return;
            }
            message.clear();
        }
    });
    receiver
}
