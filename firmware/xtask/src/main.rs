//! `cargo xtask`: every command of the project, the same on a laptop and in CI.
//!
//! This program is built before anything is installed, so it depends on nothing that needs a system library: it installs
//! what is missing (and says so), then builds and starts the real programs.

mod flash;
mod fuzz;
mod image;
mod rig;
mod setup;
mod shell;
mod yocto;

use anyhow::{Context, Result, bail};
use shell::{Beside, Cargo};

const HELP: &str = "\
cargo xtask <command>

  run [--no-demo] [--for 20s]   start the gateway and a conference simulator, place a real call, leave pictures
  test [filter]                 everything: check, unit tests, end-to-end calls with real peers, the Yocto gate, the box in QEMU (smoke),
                                a minute of each fuzz target
  check                         format, lints, the structure of the house
  e2e [filter]                  only the end-to-end calls
  fuzz [target] [--for 60s]     fuzz one target or all; without a target each gets the time; --build only compiles them
  bench [filter]                measure against named peers; writes target/bench/latest.json
  prompts                       make the built-in prompts of the Virtual Reception anew, pictures and voices
  deny                          licences and sources of all dependencies (cargo-deny)
  yocto <command>               the Yocto layers: crates, layout, check, faults (`yocto help` says more)
  image <board>                 compose a disk that boots, or a stick that installs it (`image --help` says more)
  flash <board> <disk>          write an image, verify it, give the box its serial number and claim code, print its label
  rig <rig> [suite]...          the box in QEMU or on a bench: smoke, console, faults, slots, security, nic, installer, arm64
  setup [image|rig]             install what is missing (for images, for the virtual rig), and nothing else
";

fn main() -> Result<()> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if fuzz::is_compiler_wrapper() {
        return fuzz::wrap_compiler(&arguments);
    }
    if arguments.is_empty() {
        print!("{HELP}");
        return Ok(());
    }
    let command = arguments.remove(0);
    match command.as_str() {
        "run" => run(&arguments),
        "test" => test(&arguments),
        "check" => check(),
        "e2e" => e2e(&arguments),
        "fuzz" => fuzz::command(&arguments),
        "bench" => bench(&arguments),
        "prompts" => prompts(),
        "deny" => deny(),
        "image" => image::command(&arguments),
        "flash" => flash::command(&arguments),
        "rig" => rig::command(&arguments),
        "yocto" => yocto::command(&arguments),
        "setup" => match arguments.first().map(String::as_str) {
            None => setup::install(&[setup::BUILD, setup::PEERS, setup::BENCH]),
            Some("rig") => setup::rig(),
            Some("image") => setup::install(&[setup::BUILD, setup::IMAGE]),
            Some(other) => {
                bail!("there is nothing to set up called {other:?}; there are rig, image, or nothing")
            }
        },
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => bail!("there is no command {other:?}; `cargo xtask help` lists them"),
    }
}

fn run(arguments: &[String]) -> Result<()> {
    setup::install(&[setup::BUILD, setup::PEERS])?;
    build_calls()?;
    shell::Program::built("demo").args(arguments).run()
}

fn test(arguments: &[String]) -> Result<()> {
    setup::install(&[setup::BUILD, setup::PEERS, setup::IMAGE])?;
    setup::nextest()?;
    if arguments.is_empty() {
        check()?;
    }
    Cargo::new("nextest")
        .args(["run", "--workspace", "-E", &format!("not ({CALLS})"), "--no-tests", "pass"])
        .args(arguments)
        .run()?;
    // Calls leave a processor time while they wait for something: what comes after them is compiled in it.
    let later = ["image qemu-x86_64", "fuzz --build"];
    let beside = arguments.is_empty().then(|| Beside::start(&later)).transpose()?;
    e2e(arguments)?;
    if let Some(beside) = beside {
        yocto::test()?;
        beside.finish()?;
        rig::command(&["qemu", "smoke"].map(str::to_owned))?;
        fuzz::command(&[])?;
    }
    Ok(())
}

/// End-to-end tests share the machine's two cores with browsers and encoders, so they run one after the other, but for those that
/// mostly wait (`.config/nextest.toml`).
fn e2e(arguments: &[String]) -> Result<()> {
    setup::install(&[setup::BUILD, setup::PEERS])?;
    setup::nextest()?;
    let pins = shell::root().join("tests/e2e/requirements.txt");
    setup::python("trying the API: schemathesis", &pins, &shell::target().join("e2e/python"))?;
    build_calls()?;
    Cargo::new("nextest")
        .args(["run", "--workspace"])
        .args(call_tests()?)
        .args(["-E", CALLS, "--test-threads", "2", "--no-tests", "pass"])
        .args(arguments)
        .run()
}

/// The end-to-end tests, for nextest.
const CALLS: &str = "package(e2e) & kind(test)";

/// Builds the programs that end-to-end calls go through.
fn build_calls() -> Result<()> {
    let programs = ["gatewayd", "gantry", "meet-sim", "demo"].into_iter().flat_map(|name| ["--bin", name]);
    Cargo::build_as_for_tests().args(programs).run()
}

/// How cargo is told of the end-to-end tests alone.
fn call_tests() -> Result<Vec<String>> {
    let folder = shell::root().join("tests/e2e/tests");
    let files = std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names: Vec<_> = files.flatten().map(|file| file.path()).collect();
    names.retain(|file| file.extension().is_some_and(|is| is == "rs"));
    names.sort();
    let stems = names.iter().filter_map(|file| file.file_stem()?.to_str());
    Ok(stems.flat_map(|name| ["--test".to_owned(), name.to_owned()]).collect())
}

fn check() -> Result<()> {
    setup::install(&[setup::BUILD])?;
    Cargo::new("fmt").args(["--all", "--check"]).run()?;
    Cargo::new("clippy").args(["--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]).run()?;
    Cargo::new("test").args(["--quiet", "--workspace", "--test", "house"]).run()
}

fn prompts() -> Result<()> {
    setup::install(&[setup::BUILD, setup::PROMPTS])?;
    Cargo::new("run").args(["-p", "gatewayd", "--example", "prompts"]).run()
}

fn bench(arguments: &[String]) -> Result<()> {
    setup::install(&[setup::BUILD, setup::PEERS, setup::BENCH])?;
    Cargo::new("build").args(["--release", "-p", "gatewayd", "-p", "meet-sim", "-p", "bench"]).run()?;
    shell::Program::released("bench").args(arguments).run()
}

fn deny() -> Result<()> {
    setup::cargo_tool("cargo-deny", "deny")?;
    Cargo::new("deny")
        .args(["--offline", "--config", ".deny.toml", "check", "licenses", "bans", "sources"])
        .run()
}
