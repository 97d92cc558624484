//! The machine's id (machine-id(5)): the same at every start, so that the journal of the last one is found.
//!
//! The root is read-only and the same on every box, so the id comes from the hardware: the UUID of its firmware's tables
//! (SMBIOS 3.7, 7.2.1). Where there is none, systemd makes one that lasts until the box is off.

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use std::path::Path;

/// Where the kernel shows the firmware's UUID.
const UUID: &str = "/sys/class/dmi/id/product_uuid";

/// Lays this box's id over the empty file `etc`, if it has one.
///
/// # Errors
/// If the id can't be laid there.
pub fn identify(run: &Path, etc: &Path) -> Result<()> {
    let Some(id) = std::fs::read_to_string(UUID).ok().as_deref().and_then(id) else {
        eprintln!("init: the firmware has no UUID; this start's machine id is made up");
        return Ok(());
    };
    let file = run.join("machine-id");
    std::fs::write(&file, id + "\n").with_context(|| format!("cannot write {}", file.display()))?;
    mount(Some(&file), etc, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .with_context(|| format!("cannot lay {} over {}", file.display(), etc.display()))
}

/// The id that a UUID makes: its digits. UUIDs that firmware shows when it has none make none.
fn id(uuid: &str) -> Option<String> {
    let id = uuid.trim().replace('-', "").to_ascii_lowercase();
    let digits = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let blank = |digit: u8| id.bytes().all(|byte| byte == digit);
    (digits && !blank(b'0') && !blank(b'f')).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_firmwares_uuid_is_the_machines_id() {
        let id = id("6A1F0A7E-3A0C-4A5D-9F5E-7C2D1B8E4A01\n");
        assert_eq!(id.as_deref(), Some("6a1f0a7e3a0c4a5d9f5e7c2d1b8e4a01"));
    }

    #[test]
    fn no_uuid_is_no_id() {
        for uuid in [
            "",
            "Not Settable",
            "00000000-0000-0000-0000-000000000000",
            "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
            "6A1F0A7E-3A0C-4A5D-9F5E-7C2D1B8E4A0",
        ] {
            assert_eq!(id(uuid), None, "{uuid}");
        }
    }
}
