//! A room system: baresip, fed with the test pattern and a tone, its far side recorded.

use crate::gateway::DOMAIN;
use crate::lab::{Lab, free_port};
use crate::pattern::Luma;
use crate::picture;
use crate::process::{Process, eventually};
use crate::sound::{self, Sound};
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Pitch of the room's own tone in Hz.
pub const ROOM_HZ: f32 = 440.0;
const SECONDS: u16 = 60;
const FPS: u16 = 30;

/// How a room signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// SIP over UDP.
    Udp,
    /// SIP over TCP.
    Tcp,
    /// SIP over TLS.
    Tls,
}

/// What a room sounds like on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audio {
    /// RFC 7587.
    Opus,
    /// RFC 3551, 16 kHz.
    G722,
    /// G.711 µ-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
}

impl Audio {
    const fn baresip(self) -> (&'static str, u32) {
        match self {
            Audio::Opus => ("opus/48000/1", 48_000),
            Audio::G722 => ("G722/16000/1", 16_000),
            Audio::Pcmu => ("PCMU/8000/1", 8_000),
            Audio::Pcma => ("PCMA/8000/1", 8_000),
        }
    }
}

/// How a room is set up.
#[derive(Debug, Clone)]
pub struct RoomConfig {
    /// How it signals.
    pub transport: Transport,
    /// Its only sound codec.
    pub audio: Audio,
    /// Whether it has a camera (H.264).
    pub video: bool,
    /// SDES-SRTP, mandatory.
    pub srtp: bool,
    /// CA that it trusts, for TLS.
    pub ca: Option<PathBuf>,
    /// Size of its camera's picture.
    pub size: (usize, usize),
    /// Where it sends its calls: the gateway's address for its transport.
    pub proxy: SocketAddr,
    /// As whom it registers, if at all.
    pub login: Option<Login>,
}

/// Name and password of a configured device.
#[derive(Debug, Clone)]
pub struct Login {
    /// The user part of its address.
    pub user: &'static str,
    /// Its password.
    pub password: &'static str,
    /// Whether it registers; else it only answers challenges.
    pub registers: bool,
}

impl RoomConfig {
    /// A room with camera, Opus and UDP that calls through `proxy`.
    #[must_use]
    pub const fn new(proxy: SocketAddr) -> Self {
        Self {
            proxy,
            transport: Transport::Udp,
            audio: Audio::Opus,
            video: true,
            srtp: false,
            ca: None,
            size: (1280, 720),
            login: None,
        }
    }
}

/// A running room.
pub struct Room {
    process: Process,
    folder: PathBuf,
    port: u16,
    snapshots: u32,
}

impl Room {
    /// Starts a room that answers nobody and dials nobody yet.
    ///
    /// # Errors
    /// If its media cannot be made or baresip does not come up.
    pub fn start(lab: &Lab, name: &str, config: &RoomConfig) -> Result<Self> {
        let folder = lab.folder(name)?;
        let port = free_port()?;
        let (_, rate) = config.audio.baresip();
        sound::tone(rate, f32::from(SECONDS), ROOM_HZ, true).write_wav(&folder.join("tone.wav"), 1)?;
        let mut camera = None;
        if config.video {
            let (width, height) = config.size;
            let name = format!("camera-{width}x{height}.mp4");
            camera = Some(lab.cached(&name, |path| make_camera(path, config.size))?);
        }
        std::fs::write(folder.join("config"), settings(&folder, port, camera.as_deref(), config)?)?;
        std::fs::write(folder.join("accounts"), account(port, config))?;
        std::fs::write(folder.join("contacts"), "")?;
        let process = Process::start("baresip", |command| {
            command.arg("-f").arg(&folder);
        })?
        .with_log(lab.artefact(&format!("{name}.log")));
        process.wait_for("baresip is ready", Duration::from_secs(20))?;
        Ok(Self { process, folder, port, snapshots: 0 })
    }

    /// Dials `uri`.
    ///
    /// # Errors
    /// If baresip has ended.
    pub fn dial(&mut self, uri: &str) -> Result<()> {
        self.process.say(&format!("/dial {uri}"))
    }

    /// Waits until the far side answered and its sound comes.
    ///
    /// # Errors
    /// After `limit`.
    pub fn wait_connected(&self, limit: Duration) -> Result<()> {
        self.process.wait_for("Set audio decoder", limit).map(drop)
    }

    /// Waits until the call is over and returns baresip's line about it.
    ///
    /// # Errors
    /// After `limit`.
    pub fn wait_closed(&self, limit: Duration) -> Result<String> {
        self.process.wait_for("session closed", limit)
    }

    /// Runs one of baresip's long commands, such as `hangup`, `hold`, `resume`.
    ///
    /// # Errors
    /// If baresip has ended.
    pub fn command(&mut self, command: &str) -> Result<()> {
        self.process.say(&format!("/{command}"))
    }

    /// Presses a key in the call.
    ///
    /// # Errors
    /// If baresip has ended.
    pub fn press(&mut self, keys: &str) -> Result<()> {
        self.process.say(keys)
    }

    /// What the room sees now, as it was decoded.
    ///
    /// # Errors
    /// If it sees nothing.
    pub async fn snapshot(&mut self) -> Result<(Luma, PathBuf)> {
        self.snapshots += 1;
        let path = self.folder.join(format!("seen-{}.png", self.snapshots));
        self.process.say(&format!("/snapshot_recv {}", path.display()))?;
        let wrote = format!("wrote {}", path.display());
        eventually("a snapshot of what the room sees", Duration::from_secs(5), || {
            self.process.printed().contains(&wrote).then_some(())
        })
        .await?;
        Ok((picture::read_png(&path)?, path))
    }

    /// What it printed.
    #[must_use]
    pub fn printed(&self) -> String {
        self.process.printed()
    }

    /// The process itself, for signals.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Its SIP port on loopback.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Ends it and returns what it heard.
    ///
    /// # Errors
    /// If it heard nothing at all.
    pub fn stop(mut self) -> Result<Sound> {
        self.process.say("/quit")?;
        self.process.wait(Duration::from_secs(10))?;
        let recordings = std::fs::read_dir(&self.folder)?.filter_map(Result::ok).map(|entry| entry.path());
        let heard = recordings.filter(|path| path.to_string_lossy().ends_with("-dec.wav")).max();
        match heard {
            Some(path) => Sound::read_wav(&path),
            None => bail!("the room recorded nothing; it printed:\n{}", self.process.printed()),
        }
    }
}

fn make_camera(path: &Path, (width, height): (usize, usize)) -> Result<()> {
    let file = path.to_str().context("path is no text")?;
    let output = [
        "-an",
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-qp",
        "18",
        "-bf",
        "0",
        "-pix_fmt",
        "yuv420p",
        file,
    ];
    picture::make_video(width, height, u32::from(FPS), SECONDS * FPS, &output)
}

fn account(port: u16, config: &RoomConfig) -> String {
    let transport = match config.transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        Transport::Tls => "tls",
    };
    let (audio, _) = config.audio.baresip();
    let video = if config.video { ";video_codecs=H264" } else { "" };
    let srtp = if config.srtp { ";mediaenc=srtp-mand" } else { "" };
    let proxy = format!("outbound=\"sip:{};transport={transport}\"", config.proxy);
    let (address, login) = match &config.login {
        Some(Login { user, password, registers }) => {
            let every = if *registers { 600 } else { 0 };
            let login = format!("auth_user={user};auth_pass={password};regint={every}");
            (format!("{user}@{DOMAIN};transport={transport}"), login)
        }
        None => (format!("room@127.0.0.1:{port};transport={transport}"), "regint=0".to_owned()),
    };
    format!("<sip:{address}>;{login};{proxy};audio_codecs={audio}{video}{srtp}\n")
}

fn settings(folder: &Path, port: u16, camera: Option<&Path>, config: &RoomConfig) -> Result<String> {
    let folder = folder.display();
    let (width, height) = config.size;
    let mut text = format!(
        "poll_method epoll\nsip_listen 127.0.0.1:{port}\nnet_interface 127.0.0.1\n\
         module_path /usr/lib/baresip/modules\nsnd_path {folder}\n\
         audio_source aufile,{folder}/tone.wav\n\
         video_size {width}x{height}\nvideo_bitrate 1500000\nvideo_fps {FPS}\n\
         rtp_ports 20000-29999\nrtcp_mux no\nopus_stereo no\njitter_buffer_delay 2-10\nrtp_timeout 0\n"
    );
    if let Some(camera) = camera {
        write!(text, "video_source avformat,{}\nvideo_display fakevideo,\n", camera.display())?;
    }
    if let Some(ca) = &config.ca {
        writeln!(text, "sip_cafile {}", ca.display())?;
    }
    let modules =
        ["stdio", "opus", "g722", "g711", "aufile", "sndfile", "avcodec", "avformat", "fakevideo", "swscale"];
    for module in modules.into_iter().chain(["snapshot", "srtp", "uuid"]) {
        writeln!(text, "module {module}.so")?;
    }
    for module in ["account", "menu", "debug_cmd"] {
        writeln!(text, "module_app {module}.so")?;
    }
    Ok(text)
}
