//! `meet-sim`: a conference on the command line. One line of JSON says where it listens; it ends on SIGINT or SIGTERM.

use anyhow::{Context, Result, bail};
use meet_sim::{Config, GatewayTrust, MeetingConfig, Simulator, TokenConfig};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "meet-sim [--address IP] [--https-port N] [--http-port N] [--udp-port N] [--media-address IP]
         [--name HOST]... [--meeting ID[:PIN]]... [--token NAME:VALUE:trusted|untrusted]... [--gateway-key PEM-FILE | --gateway-ca PEM-FILE] [--lobby SECONDS] [--ca-out FILE]

A conference to join by the interop protocol (HTTPS) or with a browser (HTTP). Ports are chosen where none is given.";

struct Arguments {
    config: Config,
    ca_out: Option<PathBuf>,
}

fn main() -> Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let Some(arguments) = parse(std::env::args().skip(1))? else {
        writeln!(std::io::stdout(), "{USAGE}")?;
        return Ok(());
    };
    let simulator = Simulator::start(arguments.config)?;
    if let Some(path) = &arguments.ca_out {
        std::fs::write(path, simulator.ca_pem()).with_context(|| format!("writing {}", path.display()))?;
    }
    let addresses = simulator.addresses();
    let ready = serde_json::json!({
        "https": simulator.https_url(), "page": simulator.page_url(), "udp": addresses.udp.to_string(),
    });
    writeln!(std::io::stdout(), "{ready}")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        anyhow::Ok(())
    })?;
    simulator.stop();
    Ok(())
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Arguments>> {
    let mut config = Config::default();
    let mut ca_out = None;
    while let Some(flag) = arguments.next() {
        if flag == "--help" {
            return Ok(None);
        }
        let value = arguments.next().with_context(|| format!("{flag}: its value is missing; see --help"))?;
        let number = || value.parse::<u16>().with_context(|| format!("{flag} {value}: write a number"));
        match flag.as_str() {
            "--address" => {
                config.address = value.parse().with_context(|| format!("{flag} {value}: no IP address"))?
            }
            "--https-port" => config.https_port = number()?,
            "--http-port" => config.http_port = number()?,
            "--udp-port" => config.udp_port = number()?,
            "--media-address" => {
                let address = value.parse().with_context(|| format!("{flag} {value}: no IP address"))?;
                config.media_address = Some(address);
            }
            "--name" => config.names.push(value),
            "--meeting" => config.meetings.push(MeetingConfig::parse(&value)?),
            "--token" => config.tokens.push(TokenConfig::parse(&value)?),
            "--gateway-key" => {
                config.gateways = Some(GatewayTrust::Key(read(&value)?));
            }
            "--gateway-ca" => config.gateways = Some(GatewayTrust::Authority(read(&value)?)),
            "--lobby" => config.lobby = Duration::from_secs(number()?.into()),
            "--ca-out" => ca_out = Some(value.into()),
            _ => bail!("{flag} is unknown; see --help"),
        }
    }
    Ok(Some(Arguments { config, ca_out }))
}

fn read(path: &str) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {path}"))
}
