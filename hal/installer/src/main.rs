//! The first process of an installer's stick: it writes the image that it carries onto the one disk it was told of, and nothing else.
//!
//! ```text
//!  stick verified ─▶ board right? ─▶ install.toml ─▶ the one disk ─▶ written ─▶ read back ─▶ identity ─▶ label ─▶ off
//!        └───────────────┴──────────────┴──────────────┴── refused: nothing is written, and the box's disks are shown
//! ```
//! The stick's partition INSTALL (squashfs with a verity tree) holds the image and its board's description; its root hash stands
//! on the command line, so on a signed stick nothing else is ever written. Everything is said on the serial console.

mod payload;
mod run;
mod target;

use anyhow::Result;
use nix::sys::reboot::{RebootMode, reboot};
use run::Done;
use std::time::Duration;

/// How often a refusal is said again, for whoever plugs in later.
const AGAIN: Duration = Duration::from_secs(60);

fn main() {
    let outcome = run::install();
    let then = match outcome {
        Ok(Done { then, .. }) => then,
        Err(error) => loop {
            eprintln!("installer: {error:#}");
            initrd::devices::pause(AGAIN);
        },
    };
    // The console's last characters are still on their way.
    initrd::devices::pause(Duration::from_secs(2));
    let Err(error) = end(then);
    eprintln!("installer: {error:#}; switch the box off");
    loop {
        initrd::devices::pause(AGAIN);
    }
}

fn end(then: flash::order::Then) -> Result<std::convert::Infallible> {
    let mode = match then {
        flash::order::Then::PowerOff => RebootMode::RB_POWER_OFF,
        flash::order::Then::Restart => RebootMode::RB_AUTOBOOT,
    };
    Ok(reboot(mode)?)
}
