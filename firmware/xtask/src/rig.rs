//! `cargo xtask rig <rig> [suite]...`: the box's suites, in a virtual box or on a bench.
//!
//! ```text
//!  image (if stale) ─▶ flash ─▶ target/hil/<rig>/release, debug ─┐
//!  venv (pinned) ────────────────────────────────────────────────┼─▶ pytest and labgrid, a suite after the other ─▶ <suite>.xml
//!  conference, front panel ──────────────────────────────────────┘
//! ```
//! What a suite needs is made by this command; the suites themselves stand under `hil/`.

use crate::shell::{Cargo, Program, root, target};
use crate::{flash, image, setup};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

const HELP: &str = "\
cargo xtask rig <rig> [suite]... [--as-is] [-- <pytest's options>]

  rigs     qemu (x86-64), qemu-aarch64, bench (hil/env/bench.yaml says what stands there)
  suites   smoke, control, console, faults, slots, security, nic, installer, arm64, or all; default smoke
  --as-is  with the image that is there, even if the sources are newer
";

/// The serial number of the rig's box, as its firmware tells it too.
const SERIAL: &str = "GX0001";

/// The suite that needs a stick beside the image.
const INSTALLER: &str = "installer";

/// A suite.
struct Suite {
    name: &'static str,
    /// Whether it causes faults through the shell that only debug images have.
    debug: bool,
}

const SUITES: [Suite; 9] = [
    Suite { name: "smoke", debug: false },
    Suite { name: "control", debug: false },
    Suite { name: "console", debug: false },
    Suite { name: "faults", debug: true },
    Suite { name: "slots", debug: true },
    Suite { name: "security", debug: true },
    Suite { name: "nic", debug: true },
    Suite { name: INSTALLER, debug: false },
    Suite { name: "arm64", debug: false },
];

/// What the command line asks for.
struct Wish {
    environment: String,
    board: String,
    suites: Vec<&'static Suite>,
    as_is: bool,
    pytest: Vec<String>,
}

/// `rig ...`.
///
/// # Errors
/// If something is missing and can't be made, or a suite is red.
pub fn command(arguments: &[String]) -> Result<()> {
    let Some(wish) = wish(arguments)? else {
        print!("{HELP}");
        return Ok(());
    };
    setup::install(&[setup::BUILD, setup::IMAGE])?;
    setup::rig()?;
    let rig = target().join("hil").join(&wish.environment);
    let sockets = rig.join("box");
    fs::create_dir_all(&sockets)?;
    let longest = sockets.join("labgrid.sock").as_os_str().len();
    ensure!(longest < 100, "{} is too long for a socket's name; set CARGO_TARGET_DIR", sockets.display());

    let debug = wish.suites.iter().any(|suite| suite.debug);
    prepare(&wish, "release", &rig)?;
    if debug {
        prepare(&wish, "debug", &rig)?;
    }
    if wish.suites.iter().any(|suite| suite.name == INSTALLER) {
        let words = [wish.board.as_str(), "--installer", "--as-is"].map(str::to_owned);
        image::command(&words)?;
    }
    Cargo::build_as_for_tests().args(["--quiet", "--bin", "meet-sim", "--example", "front_panel"]).run()?;
    let python = python()?;
    let hil = root().join("hil");
    Program::new(&python).args(["-m", "ruff", "check", "-q", "."]).within(&hil).run()?;

    let mut red = Vec::new();
    let mut lines = Vec::new();
    for suite in &wish.suites {
        let begun = Instant::now();
        let done = pytest(&python, &wish, suite, &rig, &hil);
        let colour = if done.is_ok() { "green" } else { "RED" };
        lines.push(format!("{:<10} {colour:<6} {}", suite.name, shown(begun.elapsed())));
        if done.is_err() {
            red.push(suite.name);
        }
    }
    println!("\n{}\nreports: {}", lines.join("\n"), rig.join("<suite>.xml").display());
    ensure!(red.is_empty(), "red: {}", red.join(", "));
    Ok(())
}

fn wish(arguments: &[String]) -> Result<Option<Wish>> {
    let ours = arguments.split(|word| word == "--").next().unwrap_or_default();
    let pytest = arguments.get(ours.len() + 1..).unwrap_or_default().to_vec();
    if ours.iter().any(|word| word == "--help" || word == "-h") {
        return Ok(None);
    }
    let (options, plain): (Vec<_>, Vec<_>) = ours.iter().partition(|word| word.starts_with('-'));
    if let Some(unknown) = options.iter().find(|option| **option != "--as-is") {
        bail!("there is no option {unknown:?}\n{HELP}");
    }
    let [rig, named @ ..] = &plain[..] else { bail!("name a rig\n{HELP}") };
    let environment = match rig.as_str() {
        "qemu" => "qemu-x86_64",
        known @ ("qemu-x86_64" | "qemu-aarch64" | "bench") => known,
        other => bail!("there is no rig {other:?}\n{HELP}"),
    };
    let board = match environment {
        "bench" => std::env::var("GANTRY_BOARD").unwrap_or_else(|_| "x86-rack".to_owned()),
        virtual_box => virtual_box.to_owned(),
    };
    Ok(Some(Wish {
        environment: environment.to_owned(),
        board,
        suites: suites(named)?,
        as_is: !options.is_empty(),
        pytest,
    }))
}

fn suites(named: &[&String]) -> Result<Vec<&'static Suite>> {
    let names: Vec<&str> = match named {
        [] => vec!["smoke"],
        [all] if *all == "all" => SUITES.iter().map(|suite| suite.name).collect(),
        named => named.iter().map(|name| name.as_str()).collect(),
    };
    let find = |name: &str| {
        let found = SUITES.iter().find(|suite| suite.name == name);
        found.with_context(|| format!("there is no suite {name:?}\n{HELP}"))
    };
    names.into_iter().map(find).collect()
}

/// An image of this flavour, not older than its sources, and flashed.
fn prepare(wish: &Wish, flavour: &str, rig: &Path) -> Result<()> {
    let board = wish.board.as_str();
    let folder = if flavour == "release" { board.to_owned() } else { format!("{board}-{flavour}") };
    let disk = target().join("image").join(folder).join("disk.img");
    let sources = newest_source()?;
    if !disk.exists() || (!wish.as_is && changed(&disk)? < sources) {
        let flag = if flavour == "debug" { &["--debug"][..] } else { &[] };
        let words = [&[board][..], flag].concat();
        image::command(&words.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    }
    let flashed = rig.join(flavour);
    fs::create_dir_all(&flashed)?;
    let to = flashed.join("disk.img");
    let label = flashed.join("label.txt");
    if label.exists() && changed(&label)? > changed(&disk)? {
        return Ok(());
    }
    let text = |path: &Path| path.display().to_string();
    let words = [board, &text(&to), "--image", &text(&disk), "--serial", SERIAL, "--label", &text(&flashed)]
        .map(str::to_owned);
    flash::command(&words)?;
    // The flasher writes zeros as well; a file need not hold them.
    Program::new("fallocate").args(["--dig-holes"]).args([&to]).run()
}

fn changed(file: &Path) -> Result<SystemTime> {
    fs::metadata(file)?.modified().with_context(|| format!("when {} changed", file.display()))
}

/// When the newest of the sources that an image is made of changed.
fn newest_source() -> Result<SystemTime> {
    let of_image = ["board", "firmware", "hal", "media-dsp", "ota", "Cargo.toml", "Cargo.lock"];
    let listed = Program::new("git").args(["ls-files", "-z", "--"]).args(of_image).read()?;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let files =
        listed.split('\0').filter(|name| !name.is_empty() && !name.starts_with("firmware/xtask/src/rig"));
    let times = files.filter_map(|name| changed(&root().join(name)).ok());
    Ok(times.max().unwrap_or(SystemTime::UNIX_EPOCH))
}

/// The Python that has labgrid.
fn python() -> Result<PathBuf> {
    let pins = root().join("hil/requirements.txt");
    setup::python("the rig: labgrid and pytest", &pins, &target().join("hil").join("python"))
}

fn pytest(python: &Path, wish: &Wish, suite: &Suite, rig: &Path, hil: &Path) -> Result<()> {
    let environment = format!("env/{}.yaml", wish.environment);
    let (file, report) = (format!("suites/test_{}.py", suite.name), rig.join(format!("{}.xml", suite.name)));
    Program::new(python)
        .args(["-m", "pytest", "--lg-env", &environment, "--junit-xml"])
        .args([&report])
        .args(["-v", "-rs", &file])
        .args(&wish.pytest)
        .env("LG_RIG", rig)
        .env("LG_TARGET", target())
        .within(hil)
        .run()
}

fn shown(time: Duration) -> String {
    format!("{} min {:02} s", time.as_secs() / 60, time.as_secs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wished(line: &str) -> Result<Option<Wish>> {
        wish(&line.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_rig_and_its_suites_are_named_in_words() {
        let names = |line: &str| -> Vec<&str> {
            wished(line).unwrap().unwrap().suites.iter().map(|suite| suite.name).collect()
        };
        assert_eq!(names("qemu"), ["smoke"]);
        assert_eq!(names("qemu slots nic"), ["slots", "nic"]);
        assert_eq!(names("qemu-aarch64 all").len(), SUITES.len());
        let wish = wished("qemu smoke --as-is -- -k power").unwrap().unwrap();
        assert_eq!(
            (wish.board.as_str(), wish.as_is, wish.pytest.join(" ")),
            ("qemu-x86_64", true, "-k power".into())
        );
    }

    #[test]
    fn what_is_no_rig_suite_or_option_is_told_with_what_there_is() {
        for line in ["", "toaster", "qemu toast", "qemu --fast"] {
            let error = wished(line).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains("smoke, control, console, faults"), "{line}: {error}");
        }
        assert!(wished("qemu --help").unwrap().is_none());
    }

    #[test]
    fn each_suite_has_its_file() {
        for suite in &SUITES {
            let file = root().join(format!("hil/suites/test_{}.py", suite.name));
            assert!(file.exists(), "{}", file.display());
        }
    }
}
