//! The gateway's API as a script sees it: asked by curl, with an API token.

use crate::gateway::{DOMAIN, Gateway};
use crate::lab::Lab;
use crate::page::{NAME, PASSWORD};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

/// The API of a gateway.
pub struct Api {
    at: SocketAddr,
    /// The certificate that the box signed itself.
    pub certificate: PathBuf,
    /// An API token of an administrator.
    pub token: String,
}

impl Api {
    /// The API of `gateway`, where an administrator and a token are made.
    ///
    /// # Errors
    /// If it refuses.
    pub fn open(lab: &Lab, gateway: &Gateway) -> Result<Self> {
        gateway.make_administrator(NAME, PASSWORD)?;
        let at = gateway.admin.context("the gateway is not administered: it has no [admin] section")?;
        let certificate = lab.path("store").join("own-certificate.pem");
        let mut api = Self { at, certificate, token: String::new() };
        let jar = lab.path("cookies");
        let jar = jar.to_str().context("a path")?;
        let session =
            api.curl(&["-c", jar], "POST", "/session", Some(&json!({ "name": NAME, "password": PASSWORD })))?;
        let csrf = format!("X-CSRF-Token: {}", session["csrf"].as_str().context("a session")?);
        let wanted = json!({ "name": "tests", "role": "administrator" });
        let made = api.curl(&["-b", jar, "-H", &csrf], "POST", "/api-tokens", Some(&wanted))?;
        api.token = made["value"].as_str().context("a token")?.to_owned();
        Ok(api)
    }

    /// Where the API is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{DOMAIN}:{}/api/v1", self.at.port())
    }

    /// Asks, and hands back the answer's JSON; nothing for an empty one.
    ///
    /// # Errors
    /// If it refuses; the message holds the answer.
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let token = format!("Authorization: Bearer {}", self.token);
        self.curl(&["-H", &token], method, path, body)
    }

    /// Asks for a file, which is kept at `to`.
    ///
    /// # Errors
    /// If it refuses.
    pub fn file(&self, path: &str, body: &Value, to: &std::path::Path) -> Result<()> {
        let token = format!("Authorization: Bearer {}", self.token);
        let to = to.to_str().context("a path")?;
        self.curl(&["-H", &token, "--output", to], "POST", path, Some(body)).map(drop)
    }

    fn curl(&self, more: &[&str], method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let mut command = Command::new("curl");
        command.args([
            "--silent",
            "--show-error",
            "--max-time",
            "30",
            "--request",
            method,
            "--write-out",
            "\n%{http_code}",
        ]);
        command.arg("--cacert").arg(&self.certificate);
        command.arg("--resolve").arg(format!("{DOMAIN}:{}:{}", self.at.port(), self.at.ip()));
        if let Some(body) = body {
            command.args(["-H", "Content-Type: application/json", "--data-binary", &body.to_string()]);
        }
        let output = command.args(more).arg(format!("{}{path}", self.url())).output();
        let output = output.context("curl; `cargo xtask setup` installs it")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').context("no status")?;
        ensure!(
            status.starts_with('2'),
            "{method} {path}: {status} {body} {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(serde_json::from_str(body).unwrap_or(Value::Null))
    }
}
