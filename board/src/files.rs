//! The files that a board's description makes on its box, the same whoever builds the image.

use crate::Board;
use crate::parts::{Keeper, Panel};

/// A file of the box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoxFile {
    /// Where it stands, without a slash at the beginning.
    pub path: String,
    /// What is in it.
    pub content: Content,
}

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A text.
    Text(String),
    /// A symbolic link to this.
    Link(String),
}

impl Board {
    /// Every file that follows from this description, by path.
    #[must_use]
    pub fn files(&self) -> Vec<BoxFile> {
        let mut files = vec![self.watchdog(), self.console(), self.modules()];
        files.extend(self.front_panel());
        files.extend(self.front_panel_modules());
        files.extend(self.nics.iter().map(|nic| {
            let text = format!(
                "# The name follows the socket.\n[Match]\nPath={}\n\n[Link]\nName={}\nMACAddressPolicy=none\n",
                nic.path, nic.name
            );
            let path = format!("usr/lib/systemd/network/10-{}.link", nic.name);
            BoxFile { path, content: Content::Text(text) }
        }));
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }

    /// The service manager's watchdog.
    fn watchdog(&self) -> BoxFile {
        let mut text = "# A box whose kernel or first process hangs is reset.\n[Manager]\n".to_owned();
        for watchdog in self.watchdogs.iter().filter(|watchdog| watchdog.keeper == Keeper::Systemd) {
            let seconds = watchdog.timeout.count();
            text += &format!("RuntimeWatchdogSec={seconds}\nRebootWatchdogSec=120\n");
            if let Some(pretimeout) = watchdog.pretimeout {
                let pretimeout = pretimeout.count();
                text += &format!("RuntimeWatchdogPreSec={pretimeout}\nRuntimeWatchdogPreGovernor=panic\n");
            }
        }
        let path = "usr/lib/systemd/system.conf.d/50-watchdog.conf".to_owned();
        BoxFile { path, content: Content::Text(text) }
    }

    /// The set-up on the serial port.
    fn console(&self) -> BoxFile {
        let unit = format!("gantry-serial@{}.service", self.serial.device);
        let path = format!("usr/lib/systemd/system/multi-user.target.wants/{unit}");
        BoxFile { path, content: Content::Link("../gantry-serial@.service".to_owned()) }
    }

    /// The set-up on the front panel, where there is one.
    fn front_panel(&self) -> Option<BoxFile> {
        let path = "usr/lib/systemd/system/multi-user.target.wants/gantry-panel.service".to_owned();
        let link = Content::Link("../gantry-panel.service".to_owned());
        (self.panel != Panel::None).then_some(BoxFile { path, content: link })
    }

    /// Modules that only the front panel asks for: they come with it, and it comes after the gateway.
    fn front_panel_modules(&self) -> Option<BoxFile> {
        let units: Vec<_> = self
            .named_modules(&["i2c-dev", "uhid"])
            .map(|module| format!("modprobe@{}.service", module.replace('-', "_")))
            .collect();
        let units = units.join(" ");
        let path = "usr/lib/systemd/system/gantry-panel.service.d/50-modules.conf".to_owned();
        let text = format!("[Unit]\nWants={units}\nAfter={units}\n");
        (self.panel != Panel::None && !units.is_empty())
            .then_some(BoxFile { path, content: Content::Text(text) })
    }

    /// Modules that no device asks for, and that a start can't do without.
    fn modules(&self) -> BoxFile {
        let mut text = "# Loaded though no device asks for them.\n".to_owned();
        let kept = self.watchdogs.iter().filter(|watchdog| watchdog.keeper == Keeper::Otad);
        let kept = kept.map(|watchdog| watchdog.driver.as_str());
        for module in self.named_modules(&["efi-pstore"]).chain(kept) {
            text += &format!("{module}\n");
        }
        let path = "usr/lib/modules-load.d/board.conf".to_owned();
        BoxFile { path, content: Content::Text(text) }
    }

    /// Those of `names` that this board's kernel has as modules.
    fn named_modules<'a>(&'a self, names: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
        names.iter().copied().filter(|name| self.kernel.modules.iter().any(|module| module.as_str() == *name))
    }
}
