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

    /// Modules that no device asks for.
    fn modules(&self) -> BoxFile {
        let mut text = "# Loaded though no device asks for them.\n".to_owned();
        let always = ["i2c-dev", "efi-pstore", "uhid"].into_iter();
        let asked = always.filter(|name| self.kernel.modules.iter().any(|module| module.as_str() == *name));
        let kept = self.watchdogs.iter().filter(|watchdog| watchdog.keeper == Keeper::Otad);
        for module in asked.chain(kept.map(|watchdog| watchdog.driver.as_str())) {
            text += &format!("{module}\n");
        }
        let path = "usr/lib/modules-load.d/board.conf".to_owned();
        BoxFile { path, content: Content::Text(text) }
    }
}
