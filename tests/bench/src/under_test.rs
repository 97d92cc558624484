//! The gateway and the conference it joins: the real programs, started for one measurement.

use crate::cpu;
use anyhow::{Context, Result};
use e2e::lab::Lab;
use e2e::process::{Process, built};
use meet_sim::{Config, MeetingConfig, ParticipantInfo, Simulator, TokenConfig};
use serde_json::Value;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

/// The gateway's domain.
pub const DOMAIN: &str = "meet.example.com";
const TOKEN: &str = "token-of-the-bench";
/// Longest anything may take to come up on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Meetings of the conference.
pub const MEETINGS: usize = 8;

/// The number of the `n`th meeting.
#[must_use]
pub fn meeting(n: usize) -> String {
    format!("{}", 1_000_000_000_000 + n)
}

/// What to dial for the `n`th meeting.
#[must_use]
pub fn alias(n: usize) -> String {
    format!("{}@{DOMAIN}", meeting(n))
}

/// A running gateway and a running conference.
pub struct UnderTest {
    // ended in this order: first who sends
    process: Process,
    /// The conference.
    pub simulator: Simulator,
    /// Where the gateway takes SIP over UDP.
    pub sip: SocketAddr,
    _lab: Lab,
}

impl UnderTest {
    /// Starts both, the conference with its [`MEETINGS`], and waits until the gateway takes calls.
    ///
    /// # Errors
    /// If one does not come up.
    pub fn start() -> Result<Self> {
        let lab = Lab::new("bench")?;
        let simulator = Simulator::start(Config {
            meetings: (0..MEETINGS).map(|n| MeetingConfig::new(&meeting(n))).collect(),
            tokens: vec![TokenConfig::trusted("bench", TOKEN)],
            ..Config::default()
        })?;
        let (ca, config) = (lab.path("ca.pem"), lab.path("gantry.toml"));
        std::fs::write(&ca, simulator.ca_pem())?;
        let text = format!(
            "[gateway]\ndomains = [\"{DOMAIN}\"]\npublic_address = \"127.0.0.1\"\n\
             [sip]\nudp = [\"127.0.0.1:0\"]\ntcp = [\"127.0.0.1:0\"]\n\
             [log]\nlevel = \"info\"\nto = \"stderr\"\n\
             [[tokens]]\nname = \"bench\"\nvalue = \"{TOKEN}\"\ntrust = \"trusted\"\n\
             [[connectors]]\nname = \"meet\"\nkind = \"interop\"\nurl = \"{}\"\nca_file = \"{}\"\n\
             [[rules]]\nname = \"meetings\"\npriority = 100\n",
            simulator.https_url(),
            ca.display(),
        );
        std::fs::write(&config, text)?;
        let process = Process::start(built("gatewayd")?, |command| {
            command.arg("--config").arg(&config).arg("--control").arg(lab.path("control"));
        })?;
        let ready: Value = serde_json::from_str(&process.wait_for("\"ready\":true", PATIENCE)?)?;
        let udp = ready["sip"]["udp"][0].as_str().and_then(|text| text.parse().ok());
        Ok(Self { process, simulator, sip: udp.context("the gateway has no UDP address")?, _lab: lab })
    }

    /// The gateway's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// CPU seconds of the gateway so far, its workers' included.
    ///
    /// # Errors
    /// If it is gone.
    pub fn cpu(&self) -> Result<Duration> {
        cpu::of_program(self.pid())
            .with_context(|| format!("the gateway ended; it printed:\n{}", self.process.printed()))
    }

    /// CPU seconds of the gateway per second over the next `window`.
    ///
    /// # Errors
    /// If it ends.
    pub fn cores(&self, window: Duration) -> Result<f64> {
        let (began, before) = (Instant::now(), self.cpu()?);
        std::thread::sleep(window);
        Ok((self.cpu()? - before).as_secs_f64() / began.elapsed().as_secs_f64())
    }

    /// Puts the gateway above whatever else the machine does, if that is allowed.
    pub fn put_first(&self) -> bool {
        put_first(self.pid())
    }

    /// The gateway's participant in the `n`th meeting, if it is there.
    #[must_use]
    pub fn participant(&self, n: usize) -> Option<ParticipantInfo> {
        self.simulator
            .participants(&meeting(n))
            .into_iter()
            .find(|one| one.call_id.is_some() && one.connected)
    }

    /// Waits until `check` of the gateway's participant holds.
    ///
    /// # Errors
    /// If that does not come; the message holds what the participant is like.
    pub fn wait_participant(
        &self,
        n: usize,
        what: &str,
        check: impl Fn(&ParticipantInfo) -> bool,
    ) -> Result<ParticipantInfo> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.participant(n);
            if let Some(one) = now.filter(&check) {
                return Ok(one);
            }
            anyhow::ensure!(
                Instant::now() < deadline,
                "{what}: not within {PATIENCE:?}; the participant: {:?}",
                self.participant(n)
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What the gateway logged.
    #[must_use]
    pub fn printed(&self) -> String {
        self.process.printed()
    }
}

/// Gives all threads of a program, its other processes' included, precedence over the rest of the machine; false if that is not allowed. Not a real-time
/// priority: under that a program's own threads could not pass one another.
#[must_use]
pub fn put_first(pid: u32) -> bool {
    let tasks = |pid| std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let threads: Vec<_> = cpu::family(pid).into_iter().flat_map(tasks).map(|task| task.file_name()).collect();
    let done = Command::new("renice").args(["-n", "-15", "-p"]).args(&threads).output();
    !threads.is_empty() && done.is_ok_and(|output| output.status.success())
}

/// All three layers come, at the full rate of pictures.
#[must_use]
pub fn sends_all_layers(one: &ParticipantInfo) -> bool {
    let alive = one.sends.iter().filter(|stream| stream.codec == "VP8" && stream.alive && stream.fps > 25.0);
    alive.count() == 3
}
