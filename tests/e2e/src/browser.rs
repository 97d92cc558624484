//! A person in a browser: headless Chromium on the simulator's page, which draws the test pattern, sounds a tone, and
//! measures what it sees and hears.

use crate::lab::Lab;
use crate::process::Process;
use anyhow::Result;
use meet_sim::browser::FLAGS;

/// Pitch of the browser's own tone in Hz.
pub const BROWSER_HZ: f32 = 1_000.0;

/// A running browser.
pub struct Browser {
    process: Process,
}

impl Browser {
    /// Opens `url` in a browser with a fresh profile.
    ///
    /// # Errors
    /// If Chromium cannot be started.
    pub fn open(lab: &Lab, name: &str, url: &str) -> Result<Self> {
        let profile = lab.folder(name)?;
        let process = Process::start("chromium", |command| {
            command
                .arg(format!("--user-data-dir={}", profile.display()))
                .args(FLAGS)
                .arg("--enable-logging=stderr")
                .arg(url);
        })?;
        Ok(Self { process })
    }

    /// What it printed.
    #[must_use]
    pub fn printed(&self) -> String {
        self.process.printed()
    }
}
