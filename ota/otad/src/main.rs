//! `otad`: says whether this start of the box was a good one, and keeps the second watchdog. Updates come later.
//!
//! ```text
//!  gateway's control socket ─┐
//!  SIP OPTIONS on loopback ──┼─▶ ota::gate ─┬─ Good ─▶ the slot's record: OK
//!  the service manager's units ┘            └─ Bad ──▶ the slot's record: FAILED, what failed noted, restart
//! ```
//! One thread comes round each second; no check takes longer than two. It is nobody of importance: it may write the slots' records,
//! its own notes, and the request for a restart, which the box's own service carries out.

mod checks;
mod hardware;
mod note;
mod watch;

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
otad [--root <folder>]   until it is ended; the service manager starts it, and hears when it is up (sd_notify)
otad --version
";

fn main() -> ExitCode {
    match arguments().and_then(|root| root.map_or(Ok(()), |root| watch::run(&root))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("otad: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Where the box's files begin; `None` when the question was answered already.
fn arguments() -> Result<Option<PathBuf>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => Ok(Some(PathBuf::from("/"))),
        // A made tree, for tests.
        ["--root", root] => Ok(Some(Path::new(root).to_owned())),
        ["--version"] => {
            println!("otad {}", env!("CARGO_PKG_VERSION"));
            Ok(None)
        }
        ["--help" | "-h"] => {
            print!("{HELP}");
            Ok(None)
        }
        _ => bail!("there is no such option\n{HELP}"),
    }
}
