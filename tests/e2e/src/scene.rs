//! A whole scene: the conference simulator, the gateway, and the person in a browser who waits in the meeting.

use crate::browser::Browser;
use crate::gateway::{Gateway, GatewayConfig, MEETING};
use crate::lab::Lab;
use crate::pattern;
use crate::process::eventually;
use crate::room::Room;
use crate::set_up::SetUp;
use anyhow::{Context, Result, ensure};
use meet_sim::probe::RemoteProbe;
use meet_sim::{Config, MeetingConfig, ParticipantInfo, Simulator, TokenConfig};
use std::time::Duration;

/// The token the gateway joins with.
pub const TOKEN: &str = "token-of-the-tests";
/// Longest anything may take to come up on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How a scene is set.
#[derive(Debug, Clone, Default)]
pub struct SceneConfig {
    /// The gateway's token, if not the one the simulator takes.
    pub token: Option<String>,
    /// More lines of the gateway's configuration.
    pub gateway: Vec<(&'static str, String)>,
    /// Keys by which the gateway checks licences; without any, nothing is metered.
    pub vendor_keys: Option<String>,
    /// Whether the gateway takes SIP over TLS.
    pub tls: bool,
    /// The browser's picture.
    pub browser: Option<(u32, u32)>,
    /// What the gateway runs on.
    pub ground: Ground,
}

/// What a gateway runs on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Ground {
    /// Anything.
    #[default]
    Anything,
    /// A box, which has a set-up.
    Box,
}

/// What every end-to-end test begins with.
pub struct Scene {
    /// Folders.
    pub lab: Lab,
    /// The conference; `None` once a test has stopped it.
    pub simulator: Option<Simulator>,
    /// The gateway.
    pub gateway: Gateway,
    /// The person in the meeting.
    pub browser: Option<Browser>,
    /// The box under the gateway, where there is one.
    pub set_up: Option<SetUp>,
    /// The CA of the gateway's certificate, where there is one.
    pub sip_ca: Option<std::path::PathBuf>,
}

/// The person's name.
pub const PERSON: &str = "Ada";

impl Scene {
    /// Sets the scene of the test `name`, with a person in the meeting.
    ///
    /// # Errors
    /// If a part does not come up.
    pub async fn with_person(name: &str) -> Result<Self> {
        let config = SceneConfig { browser: Some((640, 360)), ..SceneConfig::default() };
        Self::set(name, config).await
    }

    /// Sets a scene.
    ///
    /// # Errors
    /// If a part does not come up.
    pub async fn set(name: &str, config: SceneConfig) -> Result<Self> {
        let lab = Lab::new(name)?;
        let simulator = simulator()?;
        let ca = lab.path("conference-ca.pem");
        std::fs::write(&ca, simulator.ca_pem())?;
        let (certificate, sip_ca) = if config.tls { sip_certificate(&lab)? } else { (None, None) };
        let set_up = (config.ground == Ground::Box).then(|| SetUp::start(&lab)).transpose()?;
        let gateway = Gateway::start(
            &lab,
            &GatewayConfig {
                conference: simulator.https_url(),
                ca,
                token: config.token.clone().unwrap_or_else(|| TOKEN.to_owned()),
                certificate,
                extra: config.gateway.clone(),
                console: set_up.as_ref().map(SetUp::socket),
                vendor_keys: config.vendor_keys.clone(),
            },
        )?;
        let mut scene = Self { lab, simulator: Some(simulator), gateway, browser: None, set_up, sip_ca };
        if let Some(size) = config.browser {
            scene.admit_person(size).await?;
        }
        Ok(scene)
    }

    async fn admit_person(&mut self, (width, height): (u32, u32)) -> Result<()> {
        let url = self.simulator().probe_url(MEETING, PERSON);
        let url = format!("{url}&source=pattern&size={width}x{height}");
        self.browser = Some(Browser::open(&self.lab, "browser", &url)?);
        eventually("the browser's picture reaches the conference", PATIENCE, || {
            let person = self.simulator().participant_named(MEETING, PERSON)?;
            person.sends.iter().any(|stream| stream.size.is_some() && stream.alive).then_some(())
        })
        .await
        .with_context(|| {
            format!(
                "the browser printed:\n{}",
                self.browser.as_ref().map(Browser::printed).unwrap_or_default()
            )
        })
    }

    /// The conference.
    ///
    /// # Panics
    /// If the test has stopped it.
    #[must_use]
    pub fn simulator(&self) -> &Simulator {
        self.simulator.as_ref().expect("the simulator is running")
    }

    /// The gateway's participant in the meeting, once it is there.
    ///
    /// # Errors
    /// If it does not come.
    pub async fn room_in_meeting(&self) -> Result<ParticipantInfo> {
        eventually("the room is in the meeting", PATIENCE, || {
            let participants = self.simulator().participants(MEETING);
            participants.into_iter().find(|one| one.call_id.is_some() && one.connected)
        })
        .await
    }

    /// How the person sees and hears the room so far.
    #[must_use]
    pub fn probe_of(&self, room: &ParticipantInfo) -> Option<RemoteProbe> {
        let person = self.simulator().participant_named(MEETING, PERSON)?;
        self.simulator().probe(&person.device)?.remotes.remove(&room.device)
    }

    /// Waits until the person has seen at least `frames` numbered pictures of the room, in order, and heard its tone.
    ///
    /// # Errors
    /// If that does not come.
    pub async fn person_sees_and_hears(
        &self,
        room: &ParticipantInfo,
        hz: f32,
        frames: usize,
    ) -> Result<RemoteProbe> {
        let mut last = None;
        let result = eventually("the person sees and hears the room", PATIENCE, || {
            let probe = self.probe_of(room)?;
            let good = probe.numbers().len() >= frames && heard(&probe, hz);
            last = Some(probe);
            if good { last.take() } else { None }
        })
        .await;
        result.with_context(|| format!("what the browser measured: {}", summary(last.as_ref())))
    }

    /// Waits until the room sees the person's pattern move.
    ///
    /// # Errors
    /// If it does not.
    pub async fn room_sees_person(&self, room: &mut Room, artefact: &str) -> Result<()> {
        let (mut first, deadline) = (None, std::time::Instant::now() + PATIENCE);
        loop {
            ensure!(std::time::Instant::now() < deadline, "the room does not see the person's pattern move");
            let Ok((picture, path)) = room.snapshot().await else { continue };
            std::fs::copy(&path, self.lab.artefact(artefact))?;
            match (first, pattern::read(&picture)) {
                (None, Some(reading)) => first = Some(reading.number),
                (Some(first), Some(reading)) if reading.number > first => return Ok(()),
                _ => {}
            }
        }
    }

    /// Keeps the person's newest picture of the room as an artefact.
    ///
    /// # Errors
    /// If there is none.
    pub fn keep_person_view(&self, room: &ParticipantInfo, artefact: &str) -> Result<()> {
        let person = self.simulator().participant_named(MEETING, PERSON).context("the person is gone")?;
        let png =
            self.simulator().snapshot(&person.device, &room.device).context("the person sees nothing")?;
        std::fs::write(self.lab.artefact(artefact), png).context("cannot keep the picture")
    }
}

/// Whether the tone of `hz` was strongest in at least half of what was heard; the rest are beeps and gaps between reports.
fn heard(probe: &RemoteProbe, hz: f32) -> bool {
    probe.pitches.len() > 20 && probe.share_at(hz, 25.0, 0.0) > 0.5
}

fn summary(probe: Option<&RemoteProbe>) -> String {
    let Some(probe) = probe else { return "nothing".to_owned() };
    let last: Vec<_> = probe.pitches.iter().rev().take(5).map(|pitch| pitch.hz).collect();
    format!("{} pictures, {} numbered, last pitches {last:?}", probe.frames.len(), probe.numbers().len())
}

fn simulator() -> Result<Simulator> {
    let config = Config {
        meetings: vec![MeetingConfig::new(MEETING)],
        tokens: vec![TokenConfig::trusted("tests", TOKEN), TokenConfig::untrusted("guests", "guest-token")],
        ..Config::default()
    };
    Simulator::start(config)
}

type Certificate = (Option<(std::path::PathBuf, std::path::PathBuf)>, Option<std::path::PathBuf>);

/// A CA and a certificate for the gateway's SIP over TLS.
fn sip_certificate(lab: &Lab) -> Result<Certificate> {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let ca_key = KeyPair::generate()?;
    let mut ca_params = CertificateParams::new(Vec::new())?;
    ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca_params.distinguished_name.push(rcgen::DnType::CommonName, "tests");
    let ca = ca_params.self_signed(&ca_key)?;
    let key = KeyPair::generate()?;
    let names = vec![crate::gateway::DOMAIN.to_owned(), "127.0.0.1".to_owned()];
    let leaf = CertificateParams::new(names)?.signed_by(&key, &Issuer::from_params(&ca_params, &ca_key))?;
    let (chain, key_file, ca_file) = (lab.path("sip.pem"), lab.path("sip.key"), lab.path("sip-ca.pem"));
    std::fs::write(&chain, leaf.pem())?;
    std::fs::write(&key_file, key.serialize_pem())?;
    std::fs::write(&ca_file, ca.pem())?;
    Ok((Some((chain, key_file)), Some(ca_file)))
}
