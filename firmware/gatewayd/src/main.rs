//! `gatewayd`: reads its configuration, takes calls, drains on SIGTERM.

use anyhow::{Context, Result, bail};
use base::Pulse;
use domain::config::Config;
use domain::firewall::{Plan, served};
use domain::licence::Licences;
use gatewayd::admin::Trust;
use gatewayd::alarms::Places;
use gatewayd::certificates::{Credentials, DataKey};
use gatewayd::configuration::{Configuration, Secrets};
use gatewayd::console::Console;
use gatewayd::control::Drain;
use gatewayd::licences::{self, Licensing};
use gatewayd::media::{Isolation, confined};
use gatewayd::themes::{self, Reader, Themes};
use gatewayd::{log, start::Gateway};
use linux::vital::{Part, Service};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use store::Index;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

const HELP: &str = "\
gatewayd --config <file> [--control <socket>]   take calls until SIGTERM, then drain
gatewayd --store <folder> [--config <file>] [--copy <file>] [--control <socket>]
                                                the same, with the configuration that is kept in a folder; a new one begins with the
                                                file; a copy without secrets is written after each change, for --firewall and tools
  [--vendor-keys <file> [--licences <folder>]]  with either: calls need licences that one of these keys signed; they are in the
                                                folder, or were uploaded to the store
  [--console <socket>]                          with --store: the set-up of the box (gantry serve), for what the page shows and does of it
  [--state <folder>]                            with either: keep in the folder what must outlive a restart
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
    config: Option<PathBuf>,
    store: Option<PathBuf>,
    copy: Option<PathBuf>,
    control: Option<PathBuf>,
    /// Without vendor keys nothing is metered.
    licences: Option<licences::Places>,
    state: Option<PathBuf>,
    console: Option<PathBuf>,
    purpose: Purpose,
}

/// Where the configuration is.
enum Kept {
    /// It was read from a file, and stays as it is.
    File(Arc<Config>, Licences),
    /// It is kept in a folder, and may change.
    Store(Box<Stored>),
}

/// What is kept in a folder.
struct Stored {
    folder: PathBuf,
    configuration: Arc<Configuration>,
    trust: Trust,
    licensing: Licensing,
    themes: Themes,
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
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match &words[..] {
        // The daemon started this of itself: a worker has no use for anything else here.
        [argument, name, epoch] if argument == confined::ARGUMENT => confined::run(name, epoch),
        _ => arguments(words).and_then(|arguments| arguments.map_or(Ok(()), |arguments| run(&arguments))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gatewayd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `None` when the question was answered already.
fn arguments(words: Vec<String>) -> Result<Option<Arguments>> {
    let (mut config, mut store, mut copy, mut control, mut purpose) = (None, None, None, None, Purpose::Run);
    let (mut keys, mut folder) = (None, None);
    let (mut state, mut console) = (None, None);
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--config" => config = words.next().map(PathBuf::from),
            "--store" => store = words.next().map(PathBuf::from),
            "--copy" => copy = words.next().map(PathBuf::from),
            "--control" => control = words.next().map(PathBuf::from),
            "--vendor-keys" => keys = words.next().map(PathBuf::from),
            "--licences" => folder = words.next().map(PathBuf::from),
            "--console" => console = words.next().map(PathBuf::from),
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
    if folder.is_some() && keys.is_none() {
        bail!("--licences wants --vendor-keys <file>: without a key no licence can be checked\n{HELP}");
    }
    let identity = PathBuf::from(licences::IDENTITY);
    let licences = keys.map(|keys| licences::Places { keys, folder, identity });
    Ok(Some(Arguments { config, store, copy, control, licences, state, console, purpose }))
}

fn run(arguments: &Arguments) -> Result<()> {
    if matches!(arguments.purpose, Purpose::Run)
        && let Some(folder) = &arguments.store
    {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let key_file = folder.join("data.key");
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let key = Arc::new(DataKey::of_box(&key_file, credentials.as_deref())?);
        let mut configuration = open(folder, &key, arguments.config.as_deref())?;
        if let Some(copy) = &arguments.copy {
            configuration = configuration.with_copy(copy.clone());
        }
        let trust = Trust::open(folder, &key, Credentials::default())?;
        if !configuration.needs_key_before(folder)? {
            key.forget_file(&key_file)?;
        }
        info!(sealed = key.protection().word(), "the key of what is secret");
        let configuration = Arc::new(configuration);
        let licensing = Licensing::open(Arc::clone(&configuration), licences(arguments)?);
        let themes = Themes::open(Arc::clone(&configuration), &folder.join("themes"))?;
        let stored = Stored { folder: folder.clone(), configuration, trust, licensing, themes };
        return serve(arguments, Kept::Store(Box::new(stored)));
    }
    let path = arguments.config.as_ref().with_context(|| format!("--config <file> is missing\n{HELP}"))?;
    let config = Config::parse(&path.display().to_string(), &read(path)?)?;
    match arguments.purpose {
        Purpose::Run => {
            log::start(&config.log);
            let licences = licences(arguments)?;
            serve(arguments, Kept::File(Arc::new(config), licences))
        }
        Purpose::Check => {
            config.warnings.iter().for_each(|warning| println!("{}:{warning}", path.display()));
            println!("{}: good", path.display());
            Ok(())
        }
        Purpose::FirewallTable => print(&firewall(&config).table()),
        Purpose::FirewallRules => print(&firewall(&config).nftables()),
    }
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The configuration that is kept in `folder`; a new one begins with the file at `first`.
fn open(folder: &Path, key: &Arc<DataKey>, first: Option<&Path>) -> Result<Configuration> {
    let text =
        first.filter(|path| path.exists()).map(|path| anyhow::Ok((path.display().to_string(), read(path)?)));
    let text = text.transpose()?;
    let first = text.as_ref().map(|(name, text)| (&**name, &**text));
    let (configuration, opened) = Configuration::open(folder, Secrets::new(Arc::clone(key)), first)?;
    log::start(&configuration.now().log);
    if let Index::Made(why) = opened.index {
        info!(why, "the store's index was made from its truth");
    }
    Ok(configuration)
}

/// Takes calls until it is told to end.
fn serve(arguments: &Arguments, kept: Kept) -> Result<()> {
    let config = match &kept {
        Kept::File(config, _) => {
            if !config.sip.tls.is_empty() && config.sip.certificate.is_none() {
                bail!(
                    "sip.tls needs certificate and key; add both, or remove it: without --store none can be uploaded"
                );
            }
            Arc::clone(config)
        }
        Kept::Store(stored) => stored.configuration.now(),
    };
    let (credentials, licences) = match &kept {
        Kept::File(_, licences) => (Credentials::default(), Arc::new(licences.clone())),
        Kept::Store(stored) => (stored.trust.credentials().clone(), stored.licensing.licences()),
    };
    config.warnings.iter().for_each(|warning| warn!("{warning}"));
    let drain = config.gateway.drain;
    let gateway = Gateway::start(
        config,
        credentials,
        Places::system(arguments.state.as_deref().or(arguments.store.as_deref())),
        Isolation::Process,
    )?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        gateway.license(licences).await;
        take_calls(gateway, arguments, kept, drain).await
    });
    // Where a second signal came, calls still stand and nobody waits for them.
    runtime.shutdown_background();
    result
}

/// The vendor's keys and the licences beside them; what does not count is told of. Without keys nothing is metered.
fn licences(arguments: &Arguments) -> Result<Licences> {
    let Some(places) = &arguments.licences else { return Ok(Licences::unmetered()) };
    let (licences, problems) = licences::read(places)?;
    problems.iter().for_each(|problem| warn!("{problem}"));
    Ok(licences)
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

/// Reads the themes of a file's configuration, away from what answers, and has callers see and hear them.
fn show_themes(gateway: &Gateway, config: Arc<Config>) {
    let (shards, alarms) = (gateway.events.clone(), gateway.alarms.teller());
    let read = move || anyhow::Ok(Reader::new()?.read(&config.themes, None));
    tokio::spawn(async move {
        match tokio::task::spawn_blocking(read).await.map_err(anyhow::Error::from).flatten() {
            Ok(read) => themes::show(&read, &shards, &alarms).await,
            Err(error) => warn!(%error, "themes can't be read; callers see and hear what is built in"),
        }
    });
}

/// Until it is told to end, then until its calls have.
async fn take_calls(mut gateway: Gateway, arguments: &Arguments, kept: Kept, drain: Duration) -> Result<()> {
    let asked = Arc::new(Drain::new(drain));
    let configuration = match &kept {
        Kept::File(..) => None,
        Kept::Store(stored) => Some(Arc::clone(&stored.configuration)),
    };
    let questions = gateway.asked(Arc::clone(&asked), configuration);
    let administration = match kept {
        Kept::File(config, _) => {
            show_themes(&gateway, config);
            Vec::new()
        }
        Kept::Store(stored) => {
            let Stored { folder, configuration, trust, licensing, themes } = *stored;
            let console = Console::at(arguments.console.clone());
            let kept = (trust, licensing, themes);
            gateway.administer(&configuration, &folder, kept, questions.clone(), console)?
        }
    };
    if let Some(path) = &arguments.control {
        gateway.control(path, questions)?;
    }
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    is_up(&gateway)?;
    let (sip, phonebook) = (&gateway.listening, &gateway.phonebook.listening);
    let ready =
        serde_json::json!({ "ready": true, "sip": sip, "phonebook": phonebook, "admin": administration });
    println!("{ready}");
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
