//! The gateway itself, as a process with a configuration of the test's, asked through its control socket.

use crate::lab::Lab;
use crate::process::{Process, built, eventually};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// The meeting every test dials.
pub const MEETING: &str = "1234567890123";
/// The gateway's domain.
pub const DOMAIN: &str = "meet.example.com";

/// The section of a gateway that is administered.
pub const ADMIN: (&str, &str) = ("[admin]", "listen = [\"127.0.0.1:0\"]");

/// What a caller dials for `meeting`.
#[must_use]
pub fn alias(meeting: &str) -> String {
    format!("sip:{meeting}@{DOMAIN}")
}

/// What a gateway of a test is told.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// Where the conference is.
    pub conference: String,
    /// Whom to trust about it.
    pub ca: PathBuf,
    /// The access token's value.
    pub token: String,
    /// Chain and key for SIP over TLS.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// More lines of the sections named: `("media", "silence = \"5s\"")`; what is named as `[[devices]]` is a table of its
    /// own. With an [`ADMIN`] section the configuration is kept in a store, and administered.
    pub extra: Vec<(&'static str, String)>,
    /// The socket of the box's set-up, where the gateway runs on a box.
    pub console: Option<PathBuf>,
    /// Keys by which licences are checked, one a line; without any, nothing is metered.
    pub vendor_keys: Option<String>,
}

/// A running gateway.
pub struct Gateway {
    process: Process,
    control: PathBuf,
    /// Where it takes SIP over UDP.
    pub udp: SocketAddr,
    /// Where it takes SIP over TCP.
    pub tcp: SocketAddr,
    /// Where it takes SIP over TLS, if it has a certificate.
    pub tls: Option<SocketAddr>,
    /// Where it is administered, if it is.
    pub admin: Option<SocketAddr>,
}

impl Gateway {
    /// Starts a gateway on free ports and waits until it takes calls.
    ///
    /// # Errors
    /// If it does not come up.
    pub fn start(lab: &Lab, config: &GatewayConfig) -> Result<Self> {
        let file = lab.path("gantry.toml");
        std::fs::write(&file, text(config))?;
        let control = lab.path("control");
        let keys = lab.path("vendor-keys");
        if let Some(lines) = &config.vendor_keys {
            std::fs::write(&keys, lines)?;
        }
        let administered = config.extra.iter().any(|(section, _)| *section == ADMIN.0);
        let process = Process::start(built("gatewayd")?, |command| {
            command.arg("--config").arg(&file).arg("--control").arg(&control);
            if administered {
                command.arg("--store").arg(lab.path("store")).arg("--copy").arg(lab.path("copy.toml"));
            }
            if let Some(socket) = &config.console {
                command.arg("--console").arg(socket);
            }
            if config.vendor_keys.is_some() {
                command.arg("--vendor-keys").arg(&keys);
            }
        })?
        .with_log(lab.artefact("gateway.log"));
        let ready = process.wait_for("\"ready\":true", Duration::from_secs(20))?;
        let ready: Value = serde_json::from_str(&ready).context("the gateway's first line")?;
        let address = |kind: &str| ready["sip"][kind][0].as_str().and_then(|text| text.parse().ok());
        Ok(Self {
            process,
            control,
            udp: address("udp").context("no UDP address")?,
            tcp: address("tcp").context("no TCP address")?,
            tls: address("tls"),
            admin: ready["admin"][0].as_str().and_then(|text| text.parse().ok()),
        })
    }

    /// What it says of itself: calls, streams, what it holds.
    ///
    /// # Errors
    /// If it does not answer.
    pub fn status(&self) -> Result<Value> {
        self.ask(&json!({ "get": "status" })).context("the gateway's status")
    }

    /// Makes an administrator, as the console does.
    ///
    /// # Errors
    /// If it does not answer, or refuses.
    pub fn make_administrator(&self, name: &str, password: &str) -> Result<()> {
        let user = json!({ "name": name, "password": password, "role": "administrator" });
        let answer = self.ask(&json!({ "do": { "user": user } }))?;
        ensure!(answer["done"] == "user", "no administrator was made: {answer}");
        Ok(())
    }

    fn ask(&self, question: &Value) -> Result<Value> {
        let mut stream = UnixStream::connect(&self.control).context("the gateway's control socket")?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(format!("{question}\n").as_bytes())?;
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }

    /// Waits until its status satisfies `check`.
    ///
    /// # Errors
    /// After `limit`; the message holds the last status.
    pub async fn wait_status(
        &self,
        what: &str,
        limit: Duration,
        check: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let result = eventually(what, limit, || self.status().ok().filter(|status| check(status))).await;
        result.with_context(|| format!("last status: {:#}", self.status().unwrap_or_default()))
    }

    /// Waits until the only caller, who is in no meeting yet, was sent so many packets of sound, of 20 ms each.
    ///
    /// # Errors
    /// After `limit`.
    pub async fn wait_spoken(&self, packets: u64, limit: Duration) -> Result<Value> {
        let enough = |status: &Value| {
            let streams =
                status["live"]["unrouted"][0]["legs"][0]["streams"].as_array().into_iter().flatten();
            let mut sound = streams.filter(|one| one["kind"] == "audio" && one["direction"] == "send");
            sound.any(|sound| sound["packets"].as_u64().is_some_and(|sent| sent >= packets))
        };
        self.wait_status("so much of the voice", limit, enough).await
    }

    /// Waits until nothing of any call is left: no ports, dialogs, sessions, sources or sinks.
    ///
    /// # Errors
    /// After `limit`; the message holds what is left.
    pub async fn wait_idle(&self, limit: Duration) -> Result<Value> {
        let idle = |status: &Value| {
            status["calls"].as_array().is_some_and(Vec::is_empty)
                && status["held"].as_object().is_some_and(|held| held.values().all(|count| count == 0))
        };
        self.wait_status("the gateway holds nothing of any call", limit, idle).await
    }

    /// Waits until SIP transactions have gone as well, which absorb what comes late for 32 s.
    ///
    /// # Errors
    /// After `limit`; the message holds what is left.
    pub async fn wait_forgotten(&self, limit: Duration) -> Result<Value> {
        self.wait_idle(limit).await?;
        let gone = |status: &Value| status["lingering"]["transactions"] == 0;
        self.wait_status("the gateway has forgotten every call", limit, gone).await
    }

    /// How its last call ended, as `fault/kind`.
    ///
    /// # Errors
    /// After `limit`, if no call ended.
    pub async fn last_cause(&self, limit: Duration) -> Result<String> {
        let ended = |status: &Value| status["ended"].as_array().is_some_and(|ended| !ended.is_empty());
        let status = self.wait_status("a call ended", limit, ended).await?;
        let last = status["ended"].as_array().and_then(|ended| ended.last()).cloned().unwrap_or_default();
        Ok(last["cause"].as_str().unwrap_or_default().to_owned())
    }

    /// The process, for signals and figures.
    #[must_use]
    pub const fn process(&self) -> &Process {
        &self.process
    }

    /// What it logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.printed()
    }

    /// Waits until it has ended, however.
    ///
    /// # Errors
    /// If it does not end within `limit`.
    pub fn gone(mut self, limit: Duration) -> Result<ExitStatus> {
        self.process.wait(limit)
    }

    /// Asks it to end as systemd does, and waits.
    ///
    /// # Errors
    /// If it does not end within `limit`.
    pub fn terminate(mut self, limit: Duration) -> Result<ExitStatus> {
        self.process.signal("TERM")?;
        let status = self.process.wait(limit)?;
        ensure!(status.success(), "the gateway ended with {status}:\n{}", self.process.printed());
        Ok(status)
    }
}

fn text(config: &GatewayConfig) -> String {
    let more = |section: &str| -> String {
        let lines = config.extra.iter().filter(|(name, _)| *name == section);
        lines.map(|(_, line)| format!("{line}\n")).collect()
    };
    let tables: String = config
        .extra
        .iter()
        .filter(|(name, _)| name.starts_with('['))
        .map(|(name, lines)| format!("{name}\n{lines}\n"))
        .collect();
    let tls = config.certificate.as_ref().map_or_else(String::new, |(chain, key)| {
        format!(
            "tls = [\"127.0.0.1:0\"]\ncertificate = \"{}\"\nkey = \"{}\"\n",
            chain.display(),
            key.display()
        )
    });
    format!(
        "[gateway]\ndomains = [\"{DOMAIN}\"]\npublic_address = \"127.0.0.1\"\n{}\
         [sip]\nudp = [\"127.0.0.1:0\"]\ntcp = [\"127.0.0.1:0\"]\n{tls}{}\
         [media]\n{}[log]\nlevel = \"debug\"\nto = \"stderr\"\n\
         [[tokens]]\nname = \"test\"\nvalue = \"{}\"\ntrust = \"trusted\"\n\
         [[connectors]]\nname = \"meet\"\nkind = \"interop\"\nurl = \"{}\"\nca_file = \"{}\"\n\
         [[rules]]\nname = \"meetings\"\npriority = 100\n{}{tables}",
        more("gateway"),
        more("sip"),
        more("media"),
        config.token,
        config.conference,
        config.ca.display(),
        more("rules"),
    )
}
