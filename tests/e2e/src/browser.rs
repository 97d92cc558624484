//! A person in a browser: headless Chromium on the simulator's page, which draws the test pattern, sounds a tone, and
//! measures what it sees and hears.

use crate::lab::Lab;
use crate::process::Process;
use anyhow::Result;

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
            command.arg(format!("--user-data-dir={}", profile.display())).args(FLAGS).arg(url);
        })?;
        Ok(Self { process })
    }

    /// What it printed.
    #[must_use]
    pub fn printed(&self) -> String {
        self.process.printed()
    }
}

/// Headless, with camera and microphone granted, on loopback, and silent towards the outside.
const FLAGS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--autoplay-policy=no-user-gesture-required",
    "--enable-logging=stderr",
];
