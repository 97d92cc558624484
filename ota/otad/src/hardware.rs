//! The second watchdog, where the board has one that is the updater's to keep (a BMC's, as a rule, which takes the power away).

use board::{Board, Keeper};
use hal::keeper::{Guard, Input, PartId};
use hal::watchdog::{Config, Watchdog};
use linux::watchdog::Device;
use std::path::Path;
use std::time::{Duration, Instant};

/// A watchdog that is armed, and fed while the updater comes round.
pub struct Second {
    guard: Guard,
    own: PartId,
}

impl Second {
    /// The one that the board's description gives to the updater, armed. A box without lives all the same, and so does one whose
    /// watchdog cannot be armed; `log` is told why.
    pub fn of_box(root: &Path, now: Instant, log: impl Fn(&str)) -> Option<Self> {
        let text = std::fs::read_to_string(root.join("usr/share/gantry/board.toml")).ok()?;
        let board = Board::parse(&text).map_err(|problems| log(&format!("board.toml: {problems}"))).ok()?;
        let wanted = board.watchdogs.iter().find(|watchdog| watchdog.keeper == Keeper::Otad)?;
        let seconds = |seconds: board::Seconds| Duration::from_secs(seconds.count().into());
        let timeout = seconds(wanted.timeout);
        let config = Config { timeout, pretimeout: wanted.pretimeout.map(seconds) };
        let found = Device::driven_by(&root.join("sys"), &root.join("dev"), wanted.driver.as_str());
        let device = found.map_err(|error| log(&error.to_string())).ok()?;
        let armed = Box::new(device).arm(config).map_err(|error| log(&error.to_string())).ok()?;
        let mut guard = Guard::new(now, armed);
        let own = guard.keeper().add(now, "otad", timeout / 2);
        Some(Self { guard, own })
    }

    /// The updater has come round.
    pub fn round(&mut self, now: Instant, log: impl Fn(&str)) {
        self.guard.keeper().beat(now, self.own);
        if let Err(error) = self.guard.turn(now, Input::Tick, |event| log(&format!("{event:?}"))) {
            log(&error.to_string());
        }
    }
}
