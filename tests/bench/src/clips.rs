//! The clips: made from Debian packages when they are first needed, kept under `target/bench/clips`.
//!
//! | file | what |
//! |---|---|
//! | `room.h264` | people walking, 1280x720, as a room system sends it |
//! | `main.ivf`, `small1.ivf` to `small7.ivf` | what the conference sends: one large picture, seven small ones |
//! | `room-code.h264`, `main-code.ivf` | the same with a number in each picture, for delays |
//! | `voice0.opus` to `voice2.opus`, `room.g722` | speech, 60 s; `room-clip.g722` its first 10 s |
//!
//! Settings are those of a room system (x264 baseline, constant rate, slices of 1200 bytes) and of libwebrtc (VP8 in real
//! time at speed -6).

use crate::barcode;
use crate::settings::{FRAMES, HEIGHT, ROOM_BPS, TILES, VOICES, WIDTH};
use crate::streams;
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Goes up when a clip is made in another way, so that old ones are not used.
const VERSION: &str = "2";
/// Where the `opencv-doc` package has its clip.
const VTEST: &str = "/usr/share/doc/opencv-doc/examples/data/vtest.avi";
/// Where `asterisk-core-sounds-en-g722` has its speech.
const SPEECH: &str = "/usr/share/asterisk/sounds/en_US_f_Allison";
/// One voice each.
const PROMPTS: [&str; VOICES] = ["demo-instruct", "demo-congrats", "conf-adminmenu-162"];
/// Bytes of a minute of G.722.
const MINUTE: usize = 60 * 8_000;
/// Bytes of one picture in I420.
const PICTURE: usize = (WIDTH * HEIGHT * 3 / 2) as usize;

/// A folder with all clips in it.
#[derive(Debug, Clone)]
pub struct Clips {
    folder: PathBuf,
}

impl Clips {
    /// The clips under `cache`; makes those that are not there.
    ///
    /// # Errors
    /// If a package is missing or a program fails.
    pub fn prepare(cache: &Path) -> Result<Self> {
        let clips = Self { folder: cache.join(format!("clips/{VERSION}")) };
        std::fs::create_dir_all(&clips.folder)
            .with_context(|| format!("cannot make {}", clips.folder.display()))?;
        if clips.path("complete").is_file() {
            return Ok(clips);
        }
        eprintln!("making the clips in {} (once)", clips.folder.display());
        clips.make_pictures()?;
        clips.make_sound()?;
        std::fs::write(clips.path("complete"), "")?;
        Ok(clips)
    }

    /// The file of this name.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Access units of a room's stream: `room.h264` or `room-code.h264`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn room(&self, name: &str) -> Result<Vec<Vec<Vec<u8>>>> {
        let path = self.path(name);
        let units = streams::access_units(
            &std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?,
        );
        ensure!(units.len() == FRAMES, "{} has {} pictures, not {FRAMES}", path.display(), units.len());
        Ok(units)
    }

    /// The conference's pictures: the file `main`, then the small ones.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn conference(&self, main: &str) -> Result<Vec<Vec<Vec<u8>>>> {
        self.conference_files(main).iter().map(|path| streams::ivf(path)).collect()
    }

    /// The files of [`conference`](Self::conference).
    #[must_use]
    pub fn conference_files(&self, main: &str) -> Vec<PathBuf> {
        std::iter::once(main.to_owned())
            .chain((1..TILES).map(|n| format!("small{n}.ivf")))
            .map(|name| self.path(&name))
            .collect()
    }

    /// The files of the voices.
    #[must_use]
    pub fn voice_files(&self) -> Vec<PathBuf> {
        (0..VOICES).map(|n| self.path(&format!("voice{n}.opus"))).collect()
    }

    /// The voices' packets of 20 ms.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn voices(&self) -> Result<Vec<Vec<Vec<u8>>>> {
        self.voice_files().iter().map(|path| streams::ogg_opus(path)).collect()
    }

    /// The room's sound, G.722 in packets of 20 ms.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn room_sound(&self) -> Result<Vec<Vec<u8>>> {
        let bytes = std::fs::read(self.path("room.g722")).context("cannot read room.g722")?;
        Ok(bytes.chunks_exact(160).map(<[u8]>::to_vec).collect())
    }

    fn make_pictures(&self) -> Result<()> {
        ensure!(Path::new(VTEST).is_file(), "{VTEST} is not there; install opencv-doc");
        let raw = self.path("vtest.yuv");
        // the clip is played at 30 pictures a second, which makes people walk fast and encoders work
        let large = format!("scale={WIDTH}:-2:flags=lanczos,crop={WIDTH}:{HEIGHT}");
        self.raw(&large, &raw)?;
        let code = self.path("vtest-code.yuv");
        number(&raw, &code)?;
        for (raw, room, main) in [(&raw, "room.h264", "main.ivf"), (&code, "room-code.h264", "main-code.ivf")]
        {
            encode_room(raw, &self.path(room))?;
            encode_vp8(raw, (WIDTH, HEIGHT), 1_500, &self.path(main))?;
        }
        for n in 1..TILES {
            let small = self.path("small.yuv");
            let start = n * 60;
            self.raw(&format!("trim=start_frame={start},scale=320:-2:flags=lanczos,crop=320:180"), &small)?;
            encode_vp8(&small, (320, 180), 150, &self.path(&format!("small{n}.ivf")))?;
            std::fs::remove_file(small)?;
        }
        std::fs::remove_file(raw)?;
        std::fs::remove_file(code)?;
        Ok(())
    }

    fn raw(&self, filter: &str, to: &Path) -> Result<()> {
        let frames = FRAMES.to_string();
        let arguments = ["-v", "error", "-y", "-r", "30", "-i", VTEST, "-vf", filter, "-frames:v", &frames];
        run(Command::new("ffmpeg").args(arguments).args(["-pix_fmt", "yuv420p", "-f", "rawvideo"]).arg(to))
    }

    fn make_sound(&self) -> Result<()> {
        for (n, prompt) in PROMPTS.iter().enumerate() {
            let path = format!("{SPEECH}/{prompt}.g722");
            let prompt = std::fs::read(&path)
                .with_context(|| format!("cannot read {path}; install asterisk-core-sounds-en-g722"))?;
            let minute: Vec<u8> = prompt.iter().copied().cycle().take(MINUTE).collect();
            let (g722, wav) = (self.path(&format!("voice{n}.g722")), self.path(&format!("voice{n}.wav")));
            std::fs::write(&g722, minute)?;
            let decode = ["-v", "error", "-y", "-f", "g722", "-i"];
            run(Command::new("ffmpeg").args(decode).arg(&g722).args(["-ar", "48000"]).arg(&wav))?;
            let settings =
                ["--quiet", "--speech", "--bitrate", "32", "--framesize", "20", "--expect-loss", "10"];
            run(Command::new("opusenc").args(settings).arg(&wav).arg(self.path(&format!("voice{n}.opus"))))?;
            std::fs::remove_file(wav)?;
        }
        let speech = std::fs::read(self.path("voice0.g722"))?;
        std::fs::write(self.path("room-clip.g722"), &speech[..MINUTE / 6])?;
        std::fs::write(self.path("room.g722"), speech).context("cannot write room.g722")
    }
}

/// Copies pictures and writes its number into each.
fn number(from: &Path, to: &Path) -> Result<()> {
    let mut reader = BufReader::new(File::open(from)?);
    let mut writer = BufWriter::new(File::create(to)?);
    let mut picture = vec![0; PICTURE];
    for number in 0..FRAMES as u32 {
        reader.read_exact(&mut picture).context("the clip is too short")?;
        barcode::write(&mut picture[..(WIDTH * HEIGHT) as usize], WIDTH as usize, number);
        writer.write_all(&picture)?;
    }
    writer.flush().context("cannot write the numbered clip")
}

fn encode_room(raw: &Path, to: &Path) -> Result<()> {
    let rate = (ROOM_BPS / 1_000).to_string();
    let buffer = (ROOM_BPS / 2_000).to_string();
    run(Command::new("x264")
        .args(["--quiet", "--input-csp", "i420", "--input-res", "1280x720", "--fps", "30"])
        .args(["--profile", "baseline", "--preset", "fast", "--tune", "zerolatency"])
        .args(["--bitrate", &rate, "--vbv-maxrate", &rate, "--vbv-bufsize", &buffer])
        .args(["--keyint", "900", "--slice-max-size", "1200", "-o"])
        .arg(to)
        .arg(raw))
}

fn encode_vp8(raw: &Path, (width, height): (u32, u32), kbps: u32, to: &Path) -> Result<()> {
    run(Command::new("vpxenc")
        .args(["--quiet", "--codec=vp8", "--i420", "--ivf", "--fps=30/1", "--rt", "--cpu-used=-6", "-t", "1"])
        .args([format!("--width={width}"), format!("--height={height}"), format!("--target-bitrate={kbps}")])
        .args(["--end-usage=cbr", "--lag-in-frames=0", "--error-resilient=1", "--static-thresh=1"])
        .args(["--kf-max-dist=900", "-o"])
        .arg(to)
        .arg(raw))
}

/// Runs a program that must succeed.
///
/// # Errors
/// With what it said, if it does not.
pub fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {name}; `cargo xtask setup` installs it"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed ({}): {}", output.status, said.trim());
    Ok(())
}
