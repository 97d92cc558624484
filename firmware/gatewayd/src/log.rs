//! Where logs go: the journal on the box, standard error off it.

use domain::config::{Log, LogLevel, LogTarget};
use std::io::IsTerminal;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging as the configuration says. A journal that is not there is no reason not to start: it is said once, on
/// standard error, and that is where logs then go.
pub fn start(log: &Log) {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // Libraries are heard from warnings up, whatever our own level is: their packets are not ours to log.
    let filter = tracing_subscriber::filter::Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_targets([("gatewayd", level), ("domain", level), ("media_dsp", level)]);
    let registry = tracing_subscriber::registry().with(filter);
    let journal = match log.to {
        LogTarget::Stderr => None,
        LogTarget::Auto if std::env::var_os("JOURNAL_STREAM").is_none() => None,
        LogTarget::Auto | LogTarget::Journal => match tracing_journald::layer() {
            Ok(layer) => Some(layer),
            Err(error) => {
                eprintln!("no journal ({error}); logging to standard error");
                None
            }
        },
    };
    match journal {
        Some(layer) => registry.with(layer).init(),
        None => {
            let colours = std::io::stderr().is_terminal();
            registry
                .with(tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colours))
                .init();
        }
    }
}
