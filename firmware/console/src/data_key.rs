//! `gantry apply data-key`: the key over the gateway's secrets. Where the box has a TPM, the disk holds it only sealed by that.
//!
//! ```text
//!  32 random bytes ─TPM seals─▶ /var/lib/gantry/data-key.sealed       once
//!                                  └─TPM opens─▶ /run/gantry-keys/gantry.data-key ─service manager─▶ gatewayd      at each start
//! ```
//! It is bound to the TPM and to nothing that is measured at a start: what the firmware measures changes with each of its updates, and a box
//! that forgets its tokens is one that somebody must drive to. That nothing but a signed release asks the TPM is Secure Boot's and verity's part.
//!
//! A TPM that is broken or was changed makes this fail, and the sealed key stays as it is; the gateway starts without it and tells of it.

use crate::files;
use crate::places::Places;
use anyhow::{Context, Result, bail, ensure};
use domain::appliance::hex;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What the key is called where it is given to the gateway; a key that was sealed under another name does not open.
const NAME: &str = "gantry.data-key";
/// The register (PCR) it is bound to: 16 is for debugging, and nothing measures into it (TCG PC Client Platform Firmware Profile 3.3.4). Systemd 252
/// seals to no register at all, but does not open that again.
const REGISTER: &str = "16";
/// Most of a sealed key, in bytes.
const SEALED_BYTES: usize = 16 * 1024;
/// Longest wait for the kernel's driver once firmware says that there is a TPM.
const DRIVER: Duration = Duration::from_secs(5);
/// Whether the driver is there is looked at so often.
const LOOK: Duration = Duration::from_millis(20);

/// Makes the key if there is none, and opens it for the gateway. Without a TPM there is nothing to do.
///
/// # Errors
/// If the TPM does not seal or open, or the disk fails.
pub fn ready(places: &Places) -> Result<()> {
    if !has_tpm(places) {
        ensure!(
            !places.sealed_data_key().exists(),
            "a data key was sealed by a TPM, and firmware shows none; switch it on in the firmware's settings"
        );
        return Ok(());
    }
    await_driver(places)?;
    let sealed = match files::read(&places.sealed_data_key(), SEALED_BYTES) {
        Ok(sealed) => sealed,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => make(places)?,
        Err(error) => return Err(error).context("the sealed data key"),
    };
    let key = creds(places, "decrypt", &sealed).context("the TPM does not open the data key")?;
    files::replace(&places.data_key(), key.trim_end(), 0o400).context("the opened data key")
}

/// As firmware says, or as a driver is there already.
fn has_tpm(places: &Places) -> bool {
    places.at("/sys/firmware/acpi/tables/TPM2").exists() || driver(places)
}

fn driver(places: &Places) -> bool {
    places.at("/dev/tpmrm0").exists()
}

/// This runs early: udev may still be loading the driver.
fn await_driver(places: &Places) -> Result<()> {
    let until = Instant::now() + DRIVER;
    while !driver(places) {
        ensure!(Instant::now() < until, "firmware shows a TPM, and no driver of the kernel takes it");
        std::thread::park_timeout(LOOK);
    }
    Ok(())
}

/// A new key; it is on the disk only once it is known to open again.
fn make(places: &Places) -> Result<String> {
    let key = hex(&crate::store::seed().0);
    let sealed = creds(places, "encrypt", &key).context("the TPM does not seal a data key")?;
    ensure!(creds(places, "decrypt", &sealed)?.trim_end() == key, "the TPM opens another key than it sealed");
    files::replace(&places.sealed_data_key(), &sealed, 0o400).context("the sealed data key")?;
    Ok(sealed)
}

/// Runs systemd's sealer; what goes in and out never stands on a command line.
fn creds(places: &Places, verb: &str, given: &str) -> Result<String> {
    let program = places.at("/usr/bin/systemd-creds");
    let mut command = Command::new(&program);
    command.arg(verb).arg(format!("--name={NAME}"));
    if verb == "encrypt" {
        command.arg("--with-key=tpm2").arg(format!("--tpm2-pcrs={REGISTER}"));
    }
    command.args(["-", "-"]).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| program.display().to_string())?;
    // One that ends without reading says why.
    let wrote = child.stdin.take().map(|mut into| into.write_all(given.as_bytes()));
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let said: String = String::from_utf8_lossy(&output.stderr).chars().take(300).collect();
        bail!("{} {verb}: {}", program.display(), said.trim());
    }
    wrote.transpose()?;
    String::from_utf8(output.stdout).context("systemd-creds wrote no text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    /// A box with this sealer.
    fn box_with(sealer: &str, tpm: &[&str]) -> (tempfile::TempDir, Places) {
        let folder = tempfile::tempdir().unwrap();
        let places = Places::below(folder.path());
        let parents =
            ["/usr/bin", "/var/lib/gantry", "/run/gantry-keys", "/dev", "/sys/firmware/acpi/tables"];
        parents.iter().for_each(|path| std::fs::create_dir_all(places.at(path)).unwrap());
        tpm.iter().for_each(|path| std::fs::write(places.at(path), "").unwrap());
        let program = places.at("/usr/bin/systemd-creds");
        std::fs::write(&program, format!("#!/bin/sh\n{sealer}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        (folder, places)
    }

    const TPM: [&str; 2] = ["/sys/firmware/acpi/tables/TPM2", "/dev/tpmrm0"];
    /// Whoever opens what this sealed has another text.
    const SPOILS: &str = "/usr/bin/cat; echo 0";
    /// Whoever turns the digits twice has the first text again.
    const TURNS: &str = "/usr/bin/tr 0123456789abcdef fedcba9876543210";

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_box_without_a_tpm_has_no_sealed_key() {
        let (_folder, places) = box_with("exit 1", &[]);
        ready(&places).unwrap();
        assert!(!places.sealed_data_key().exists() && !places.data_key().exists());
    }

    #[test]
    fn a_key_is_made_once_and_opened_at_each_start() {
        let (_folder, places) = box_with(TURNS, &TPM);
        ready(&places).unwrap();
        let (sealed, key) = (
            std::fs::read_to_string(places.sealed_data_key()).unwrap(),
            std::fs::read_to_string(places.data_key()).unwrap(),
        );
        assert_ne!(sealed, key);
        assert_eq!(key.len(), 64);
        assert_eq!((mode(&places.sealed_data_key()), mode(&places.data_key())), (0o400, 0o400));
        std::fs::remove_file(places.data_key()).unwrap();
        ready(&places).unwrap();
        assert_eq!(std::fs::read_to_string(places.data_key()).unwrap(), key);
    }

    #[test]
    fn a_tpm_that_fails_leaves_the_sealed_key_as_it_is() {
        let (_folder, places) = box_with("echo 'TPM2 is locked' >&2; exit 1", &TPM);
        std::fs::write(places.sealed_data_key(), "sealed before").unwrap();
        let told = format!("{:#}", ready(&places).unwrap_err());
        assert!(told.contains("does not open the data key") && told.contains("TPM2 is locked"), "{told}");
        assert_eq!(std::fs::read_to_string(places.sealed_data_key()).unwrap(), "sealed before");
        assert!(!places.data_key().exists());
    }

    #[test]
    fn what_does_not_open_as_it_was_sealed_is_never_used() {
        let (_folder, places) = box_with(SPOILS, &TPM);
        let told = format!("{:#}", ready(&places).unwrap_err());
        assert!(told.contains("opens another key"), "{told}");
        assert!(!places.sealed_data_key().exists() && !places.data_key().exists());
    }

    #[test]
    fn a_tpm_that_was_switched_off_is_told() {
        let (_folder, places) = box_with(TURNS, &[]);
        std::fs::write(places.sealed_data_key(), "sealed before").unwrap();
        assert!(ready(&places).unwrap_err().to_string().contains("switch it on"));
    }
}
