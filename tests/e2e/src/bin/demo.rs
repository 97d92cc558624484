//! `cargo xtask run`: a gateway, a conference and a real call between a room and a browser, for people to watch.

use anyhow::{Context, Result, bail, ensure};
use e2e::browser::BROWSER_HZ;
use e2e::gateway::{MEETING, alias};
use e2e::pattern;
use e2e::room::{ROOM_HZ, Room, RoomConfig};
use e2e::scene::{PATIENCE, Scene, SceneConfig};
use meet_sim::ParticipantInfo;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const HELP: &str = "\
cargo xtask run [--no-demo] [--for 20s]

  --no-demo   start gateway and conference, and wait for your own calls
  --for 20s   end after this time; exit status 0 only if room and browser saw and heard each other
";

struct Arguments {
    demo: bool,
    limit: Option<Duration>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let result = match arguments() {
        Ok(Some(arguments)) => run(&arguments).await,
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Option<Arguments>> {
    let mut parsed = Arguments { demo: true, limit: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--no-demo" => parsed.demo = false,
            "--for" => {
                let time = words.next().context("--for wants a time, as in --for 20s")?;
                let seconds =
                    time.trim_end_matches('s').parse().with_context(|| format!("--for {time}: no time"))?;
                parsed.limit = Some(Duration::from_secs(seconds));
            }
            "--help" | "-h" => {
                print!("{HELP}");
                return Ok(None);
            }
            other => bail!("there is no option {other:?}\n{HELP}"),
        }
    }
    Ok(Some(parsed))
}

async fn run(arguments: &Arguments) -> Result<()> {
    let browser = arguments.demo.then_some((640, 360));
    let scene = Scene::set("demo", SceneConfig { browser, tls: true, ..SceneConfig::default() }).await?;
    let page = format!("{}/?meeting={MEETING}", scene.simulator().page_url());
    println!("dial   {}  through  {} (UDP), {} (TCP)", alias(MEETING), scene.gateway.udp, scene.gateway.tcp);
    if let Some(tls) = scene.gateway.tls {
        println!("       or {tls} (TLS)");
    }
    println!("watch  {page}");
    let mut demo = if arguments.demo { Some(Demo::start(&scene).await?) } else { None };
    println!("end    with Ctrl-C\n");
    let began = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_secs(2));
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => break,
            _ = tick.tick() => {}
        }
        for call in scene.gateway.status()?["calls"].as_array().into_iter().flatten() {
            println!("{}", call.as_str().unwrap_or_default());
        }
        if let Some(demo) = &mut demo {
            demo.look(&scene).await?;
        }
        if arguments.limit.is_some_and(|limit| began.elapsed() >= limit) {
            break;
        }
    }
    match demo {
        Some(demo) => demo.finish(),
        None => Ok(()),
    }
}

/// The call that is shown, and what was seen and heard in it so far.
struct Demo {
    room: Room,
    in_meeting: ParticipantInfo,
    pictures: PathBuf,
    room_saw: bool,
    person_saw: bool,
    person_heard: bool,
}

impl Demo {
    async fn start(scene: &Scene) -> Result<Self> {
        let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/demo");
        std::fs::create_dir_all(&pictures)?;
        let pictures = pictures.canonicalize()?;
        let mut room = Room::start(&scene.lab, "room", &RoomConfig::new(scene.gateway.udp))?;
        let dialled = Instant::now();
        room.dial(&alias(MEETING))?;
        room.wait_connected(PATIENCE)?;
        println!("room   baresip is in the call after {:.0} ms", dialled.elapsed().as_secs_f64() * 1_000.0);
        let in_meeting = scene.room_in_meeting().await?;
        Ok(Self { room, in_meeting, pictures, room_saw: false, person_saw: false, person_heard: false })
    }

    /// Looks at what both sides see now, and keeps the pictures.
    async fn look(&mut self, scene: &Scene) -> Result<()> {
        if let Ok((picture, path)) = self.room.snapshot().await {
            std::fs::copy(path, self.pictures.join("room-sees.png"))?;
            self.room_saw |= pattern::read(&picture).is_some();
        }
        if let Some(probe) = scene.probe_of(&self.in_meeting) {
            self.person_saw |= probe.numbers().len() > 30;
            self.person_heard |= probe.pitches.len() > 20 && probe.share_at(ROOM_HZ, 25.0, 0.0) > 0.5;
        }
        if let Some(person) = scene.simulator().participant_named(MEETING, e2e::scene::PERSON)
            && let Some(png) = scene.simulator().snapshot(&person.device, &self.in_meeting.device)
        {
            std::fs::write(self.pictures.join("browser-sees.png"), png)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        let heard = self.room.stop()?;
        let room_heard = heard.share_with(BROWSER_HZ, 2.0) > 0.5;
        let say = |done: bool| if done { "yes" } else { "NO" };
        println!("\nroom saw the browser      {}", say(self.room_saw));
        println!("room heard the browser    {}", say(room_heard));
        println!("browser saw the room      {}", say(self.person_saw));
        println!("browser heard the room    {}", say(self.person_heard));
        println!("pictures of both in       {}", self.pictures.display());
        ensure!(
            self.room_saw && room_heard && self.person_saw && self.person_heard,
            "not everybody saw and heard; the longer the call, the more there is to see: --for 20s or more"
        );
        Ok(())
    }
}
