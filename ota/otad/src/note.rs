//! What the updater writes down of this start, for whoever asks at the next one why it ended: `/var/lib/gantry/otad/life.json`,
//! `{"boot":"<boot id>","reached":"well"}` or `"gave_up":["sip"]` (`gantry record-start` reads it).

use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

#[derive(Serialize)]
struct Life<'a> {
    boot: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reached: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gave_up: Option<Vec<&'static str>>,
}

/// The gate passed.
///
/// # Errors
/// If it cannot be written.
pub fn well(root: &Path, boot: &str) -> io::Result<()> {
    write(root, &Life { boot, reached: Some("well"), gave_up: None })
}

/// The gate did not pass, and the slot is given up for these checks.
///
/// # Errors
/// If it cannot be written.
pub fn gave_up(root: &Path, boot: &str, checks: Vec<&'static str>) -> io::Result<()> {
    write(root, &Life { boot, reached: None, gave_up: Some(checks) })
}

fn write(root: &Path, life: &Life<'_>) -> io::Result<()> {
    let text = serde_json::to_string(life)?;
    replace(&root.join("var/lib/gantry/otad"), "life.json", &text)
}

/// Writes a file anew beside the old one and puts it in its place, on the disk when it returns.
///
/// # Errors
/// If the disk fails; the old file is still there then.
pub fn replace(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    let beside = folder.join(format!(".{name}.otad"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, folder.join(name))?;
    File::open(folder)?.sync_all()
}
