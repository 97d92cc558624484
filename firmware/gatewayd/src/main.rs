//! `gatewayd`: reads its configuration, takes calls, drains on SIGTERM.

use anyhow::{Context, Result, bail};
use base::Pulse;
use domain::config::Config;
use domain::firewall::{Plan, served};
use gatewayd::alarms::Places;
use gatewayd::control::Drain;
use gatewayd::{log, start::Gateway};
use linux::vital::{Part, Service};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

const HELP: &str = "\
gatewayd --config <file> [--control <socket>] [--state <folder>]
                                                take calls until SIGTERM, then drain; keep in the folder what must outlive a restart
gatewayd --config <file> --check                say what is wrong with a configuration, and nothing else
gatewayd --config <file> --firewall table|nft   print which ports this configuration needs: for people, or as nftables rules
gatewayd --version

Started by a service manager (sd_notify), it says when it takes calls and keeps its watchdog while every part lives.
";
/// This daemon's unit.
const UNIT: &str = "gatewayd.service";
/// Where services note what they notice.
const NOTES: &str = "/run/gantry/notes";
/// Each vital part comes round twice a second; one that is silent for so long stands still. The daemon gives itself up five seconds
/// later (`linux::vital`), unless the part is back by then.
const SILENT: Duration = Duration::from_secs(2);

/// What the command line asks for.
struct Arguments {
    config: PathBuf,
    control: Option<PathBuf>,
    state: Option<PathBuf>,
    purpose: Purpose,
}

/// What is to be done with the configuration.
#[derive(Clone, Copy)]
enum Purpose {
    Run,
    Check,
    FirewallTable,
    FirewallRules,
}

fn main() -> ExitCode {
    match arguments().and_then(|arguments| arguments.map_or(Ok(()), |arguments| run(&arguments))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gatewayd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `None` when the question was answered already.
fn arguments() -> Result<Option<Arguments>> {
    let (mut config, mut control, mut state, mut purpose) = (None, None, None, Purpose::Run);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--config" => config = words.next().map(PathBuf::from),
            "--control" => control = words.next().map(PathBuf::from),
            "--state" => state = words.next().map(PathBuf::from),
            "--check" => purpose = Purpose::Check,
            "--firewall" => {
                purpose = match words.next().as_deref() {
                    Some("table") => Purpose::FirewallTable,
                    Some("nft") => Purpose::FirewallRules,
                    _ => bail!("--firewall wants table or nft\n{HELP}"),
                }
            }
            "--version" => {
                println!("gatewayd {}", env!("CARGO_PKG_VERSION"));
                return Ok(None);
            }
            "--help" | "-h" => {
                print!("{HELP}");
                return Ok(None);
            }
            other => bail!("there is no option {other:?}\n{HELP}"),
        }
    }
    let config = config.with_context(|| format!("--config <file> is missing\n{HELP}"))?;
    Ok(Some(Arguments { config, control, state, purpose }))
}

fn run(arguments: &Arguments) -> Result<()> {
    let path = &arguments.config;
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let config = Config::parse(&path.display().to_string(), &text)?;
    match arguments.purpose {
        Purpose::Run => {}
        Purpose::Check => {
            config.warnings.iter().for_each(|warning| println!("{}:{warning}", path.display()));
            println!("{}: good", path.display());
            return Ok(());
        }
        Purpose::FirewallTable => return print(&firewall(&config).table()),
        Purpose::FirewallRules => return print(&firewall(&config).nftables()),
    }
    log::start(&config.log);
    config.warnings.iter().for_each(|warning| warn!("{}:{warning}", path.display()));
    let drain = config.gateway.drain;
    let places = Places::system(arguments.state.as_deref());
    let gateway = Gateway::start_in(Arc::new(config), places)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(take_calls(gateway, arguments.control.as_deref(), drain));
    // Where a second signal came, calls still stand and nobody waits for them.
    runtime.shutdown_background();
    result
}

/// The ports that this configuration needs.
fn firewall(config: &Config) -> Plan {
    Plan::new(config, &served(config))
}

/// Prints all of it, or says that it could not.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot print")
}

/// Tells the service manager that calls are taken, and that every part lives as long as it does.
fn is_up(gateway: &Gateway) -> Result<()> {
    let part =
        |(name, pulse): &(String, Pulse)| Part { name: name.clone(), silent: SILENT, pulse: pulse.clone() };
    let parts = gateway.vital.iter().map(part).collect();
    let service = Service { unit: UNIT, notes: PathBuf::from(NOTES) };
    Ok(service.is_up(|name| std::env::var(name).ok(), parts, |line| warn!("{line}"))?)
}

/// Until it is told to end, then until its calls have.
async fn take_calls(mut gateway: Gateway, control: Option<&Path>, drain: Duration) -> Result<()> {
    let asked = Arc::new(Drain::new(drain));
    if let Some(path) = control {
        gateway.control(path, Arc::clone(&asked))?;
    }
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    is_up(&gateway)?;
    println!("{}", serde_json::json!({ "ready": true, "sip": gateway.listening }));
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
        () = gateway.ended() => {
            if !asked.is_asked() {
                gateway.join()?;
                bail!("a shard ended though nobody drained it");
            }
            info!("drained, as asked on the control socket; no calls are taken until this is started anew");
            tokio::select! {
                _ = term.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
    }
    gateway.drain(Instant::now() + drain).await;
    // The control socket still answers while calls end.
    let ended = tokio::task::spawn_blocking(move || gateway.join());
    tokio::select! {
        ended = ended => ended??,
        _ = term.recv() => bail!("told twice to end; calls were cut off"),
        _ = interrupt.recv() => bail!("told twice to end; calls were cut off"),
    }
    info!("drained");
    Ok(())
}
