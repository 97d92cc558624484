//! `bench [--quick] [filter]`: measures, prints a table, writes `target/bench/latest.json`.

use anyhow::{Context, Result, bail};
use bench::clips::Clips;
use bench::measure::{Bench, GROUPS};
use bench::noise::Noise;
use bench::report::{self, Metric};
use bench::settings::Effort;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "bench [--quick] [filter]
  --quick   three rounds in place of seven
  filter    only groups whose name holds it: cpu.call latency cpu.audio setup memory store api routing";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let (mut effort, mut filter) = (Effort::FULL, String::new());
    for word in std::env::args().skip(1) {
        match word.as_str() {
            "--quick" => effort = Effort::QUICK,
            "--help" | "-h" => return say(USAGE),
            option if option.starts_with('-') => bail!("there is no option {option:?}\n{USAGE}"),
            name => name.clone_into(&mut filter),
        }
    }
    let groups: Vec<_> = GROUPS.iter().filter(|(name, _)| name.contains(&filter)).collect();
    if groups.is_empty() {
        bail!("no group is named like {filter:?}\n{USAGE}");
    }
    let folder = folder()?;
    let work = folder.join("work");
    std::fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    let mut bench = Bench { clips: Clips::prepare(&folder)?, work, effort, noise: Noise::default() };
    let (mut metrics, mut broken) = (Vec::new(), Vec::new());
    for (name, measure) in groups {
        match measure(&mut bench) {
            Ok(found) => {
                found.iter().try_for_each(|metric| say(&metric.to_string()))?;
                metrics.extend(found);
            }
            // what can't be measured must not hide the rest
            Err(error) => {
                say(&format!("{name}: NOT MEASURED: {error:#}"))?;
                broken.push(*name);
            }
        }
    }
    metrics.extend(bench.noise.metrics());
    show(&metrics, &folder.join("latest.json"))?;
    if !broken.is_empty() {
        bail!("not measured: {}", broken.join(", "));
    }
    Ok(())
}

fn show(metrics: &[Metric], to: &Path) -> Result<()> {
    say("\n     figure, median, (least-most), goal, runs, peer")?;
    metrics.iter().try_for_each(|metric| say(&metric.to_string()))?;
    report::write(metrics, to)?;
    say(&format!("written to {}", to.display()))
}

fn say(line: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{line}").context("cannot print")
}

/// `target/bench`, beside where this program was built.
fn folder() -> Result<PathBuf> {
    let here = std::env::current_exe().context("where am I")?;
    let target = here.ancestors().nth(2).context("this program is not in a target folder")?;
    let folder = target.join("bench");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(folder)
}
