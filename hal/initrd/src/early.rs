//! The first steps: what the kernel shows, and the modules that the initrd holds.

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use std::ffi::CString;
use std::fs::File;

/// Modules that reach the disk, one path a line.
pub const EARLY: &str = "/modules/early";
/// Modules that are loaded last: a watchdog's driver may stop what the loader armed, and systemd feeds it from then on.
pub const LATE: &str = "/modules/late";

/// Mounts what the kernel shows, and a place for what the start leaves to systemd.
///
/// # Errors
/// If one can't be mounted.
pub fn mounts() -> Result<()> {
    let plain = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    let (device, sealed) = (MsFlags::MS_NOSUID, plain | MsFlags::MS_NODEV);
    for (what, at, flags, data) in [
        ("proc", "/proc", sealed, None),
        ("sysfs", "/sys", sealed, None),
        ("devtmpfs", "/dev", device, Some("mode=0755")),
        ("tmpfs", "/run", sealed, Some("mode=0755")),
    ] {
        mount(Some(what), at, Some(what), flags, data).with_context(|| format!("cannot mount {at}"))?;
    }
    Ok(())
}

/// Loads the modules that `list` names. One whose device is not there is no fault: boards share an initrd.
///
/// # Errors
/// If the list or one of its files can't be read.
pub fn load(list: &str) -> Result<()> {
    let names = std::fs::read_to_string(list).with_context(|| format!("cannot read {list}"))?;
    for path in names.lines() {
        let file = File::open(path).with_context(|| format!("cannot open {path}"))?;
        match nix::kmod::finit_module(&file, &CString::default(), nix::kmod::ModuleInitFlags::empty()) {
            Ok(()) | Err(nix::Error::EEXIST | nix::Error::ENODEV) => {}
            Err(error) => eprintln!("init: module {path}: {error}"),
        }
    }
    Ok(())
}
