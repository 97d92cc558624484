//! The box under a gateway: a made tree of files in place of a real one's, and the box's own set-up (`gantry serve`) on it.

use crate::lab::Lab;
use crate::process::{Process, built};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The code on the label.
const CODE: &str = "4711-0815";
/// The password of the box's administrator.
pub const PASSWORD: &str = "correct horse battery";

/// A box that has an owner, and its set-up.
pub struct SetUp {
    root: PathBuf,
    _serve: Process,
}

impl SetUp {
    /// Makes the box, starts its set-up, and claims it.
    ///
    /// # Errors
    /// If a part of it fails.
    pub fn start(lab: &Lab) -> Result<Self> {
        let root = lab.path("box");
        make(&root)?;
        let gantry = built("gantry")?;
        let status = Command::new(&gantry).arg("--root").arg(&root).args(["apply", "boot"]).status()?;
        ensure!(status.success(), "gantry apply boot: {status}");
        let serve = Process::start(&gantry, |command| {
            command.arg("--root").arg(&root).arg("serve");
        })?;
        serve.wait_for("\"ready\":true", Duration::from_secs(20))?;
        let mut claim = Command::new(&gantry)
            .arg("--root")
            .arg(&root)
            .arg("claim")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        // The questions of the first set-up that follow are not answered; the claim itself is done.
        let answers = format!("{CODE}\n{PASSWORD}\n{PASSWORD}\n");
        claim.stdin.take().context("no input")?.write_all(answers.as_bytes())?;
        claim.wait()?;
        ensure!(root.join("var/lib/gantry/console/owner").exists(), "the box could not be claimed");
        Ok(Self { root, _serve: serve })
    }

    /// Where the set-up is asked.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.root.join("run/gantry/console.sock")
    }

    /// A file of the box.
    #[must_use]
    pub fn file(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

/// As it is delivered, with two interfaces of which one has a link.
fn make(root: &Path) -> Result<()> {
    let put = |path: &str, text: &str| -> Result<PathBuf> {
        let path = root.join(path);
        fs::create_dir_all(path.parent().context("a folder")?)?;
        fs::write(&path, text)?;
        Ok(path)
    };
    for nic in ["lan0", "lan1"] {
        put(&format!("sys/class/net/{nic}/device/vendor"), "")?;
        put(&format!("sys/class/net/{nic}/address"), "52:54:00:12:34:56\n")?;
    }
    put("sys/class/net/lan0/carrier", "1\n")?;
    put("sys/class/net/lan0/speed", "1000\n")?;
    put("sys/class/dmi/id/product_serial", "GW-00-4711\n")?;
    put("proc/uptime", "20.00 10.00\n")?;
    put("proc/sys/kernel/random/boot_id", "b0071e55-0000-4000-8000-000000000001\n")?;
    put("var/lib/gantry/identity/claim", CODE)?;
    put("usr/share/gantry/gantry.toml", "gateway.domains = ['meet.example.com']\n")?;
    for folder in ["data", "var/lib/gantry/gatewayd", "run/gantry/apply", "run/gantry/notes"] {
        fs::create_dir_all(root.join(folder))?;
    }
    for program in ["systemctl", "networkctl"] {
        let path = put(&format!("usr/bin/{program}"), "#!/bin/sh\nexit 0\n")?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
