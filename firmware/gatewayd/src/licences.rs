//! Licence files of the box (P15): the vendor's keys, which the image brings, and the licences that an administrator put in a folder.
//!
//! Without keys nothing is metered. A licence that does not count is told of and left; the daemon takes calls by the others.
//! What is uploaded beside them is kept in the store: [`Licensing`].

mod held;

pub use held::{Held, Licensing, NotChanged};

use anyhow::{Context, Result};
use domain::appliance::instant::UnixTime;
use domain::licence::{FILE_BYTES, Licences, MAX_LICENCES, VendorKey};
use serde::Deserialize;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What the console writes down of the box, its serial number among it.
pub const IDENTITY: &str = "/run/gantry/applied/identity.json";
/// How names of licence files end.
const ENDING: &str = "licence";
/// Largest file of keys or identity, in bytes.
const SMALL_BYTES: u64 = 64 * 1024;

#[derive(Deserialize)]
struct Identity {
    serial_number: Option<String>,
}

/// Where licences and what belongs to them are.
#[derive(Debug, Clone)]
pub struct Places {
    /// A file with a vendor key a line, `<name>:<base64>`, `#` for remarks.
    pub keys: PathBuf,
    /// The folder of files `*.licence`.
    pub folder: Option<PathBuf>,
    /// Where the box's serial number is told.
    pub identity: PathBuf,
}

/// The licences, and what is wrong with those that don't count, each with its file's name.
///
/// # Errors
/// If the keys can't be read: a box that lost them must not run without being metered.
pub fn read(places: &Places) -> Result<(Licences, Vec<String>)> {
    let text = text(&places.keys, SMALL_BYTES)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys =
        lines.map(|line| VendorKey::parse(line).map_err(|error| anyhow::anyhow!("vendor key {error}")));
    let keys = keys.collect::<Result<Vec<_>>>().with_context(|| format!("in {}", places.keys.display()))?;
    let mut licences = Licences::new(keys, serial(&places.identity));
    let mut problems = Vec::new();
    for file in files(places.folder.as_deref(), &mut problems) {
        let added = text_of_licence(&file).and_then(|text| Ok(licences.add(&text, now()).map(drop)?));
        if let Err(error) = added {
            problems.push(format!("{}: {error:#}", file.display()));
        }
    }
    Ok((licences, problems))
}

/// One byte more than is taken is read, so that what is too long says so.
fn text_of_licence(file: &Path) -> Result<String> {
    text(file, FILE_BYTES as u64 + 1)
}

fn text(path: &Path, most: u64) -> Result<String> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The licence files, by name; twice as many as may count are looked at.
fn files(folder: Option<&Path>, problems: &mut Vec<String>) -> Vec<PathBuf> {
    let Some(folder) = folder else { return Vec::new() };
    let found = match std::fs::read_dir(folder) {
        Ok(found) => found,
        Err(error) => {
            problems.push(format!("{}: cannot be read: {error}", folder.display()));
            return Vec::new();
        }
    };
    let paths = found.filter_map(|entry| Some(entry.ok()?.path()));
    let named = paths.filter(|path| path.extension().is_some_and(|ending| ending == ENDING));
    let mut files: Vec<_> = named.take(2 * MAX_LICENCES).collect();
    files.sort();
    files
}

/// The serial number, where the box knows it.
fn serial(identity: &Path) -> Option<String> {
    let text = text(identity, SMALL_BYTES).ok()?;
    serde_json::from_str::<Identity>(&text).ok()?.serial_number
}

/// The box's clock; before 1970 it is not set, and no licence counts yet.
#[must_use]
pub fn now() -> UnixTime {
    UnixTime(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use domain::licence::Allowance;
    use ring::signature::{Ed25519KeyPair, KeyPair};
    use serde_json::{Value, json};

    /// A vendor of tests: its key's line, and its licences.
    pub(crate) struct Vendor(Ed25519KeyPair);

    impl Vendor {
        pub(crate) fn new() -> Self {
            Self(Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key"))
        }

        pub(crate) fn key(&self) -> String {
            format!("acme:{}", STANDARD.encode(self.0.public_key()))
        }

        /// From 2020 to the end of `year`.
        pub(crate) fn licence(&self, id: &str, calls: u32, year: &str, serial: Option<&str>) -> String {
            self.sign(json!({
                "id": id, "holder": "test", "counts": {"calls": calls}, "serial": serial,
                "not_before": "2020-01-01", "not_after": format!("{year}-12-31"),
            }))
        }

        pub(crate) fn sign(&self, payload: Value) -> String {
            let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let header = part(json!({"alg": "EdDSA", "kid": "acme", "typ": "gantry-licence"}));
            let payload = part(payload);
            let signed = format!("{header}.{payload}");
            let signature = URL_SAFE_NO_PAD.encode(self.0.sign(signed.as_bytes()));
            format!("{signed}.{signature}")
        }
    }

    fn places(folder: &Path) -> Places {
        let [keys, identity] = ["vendor-keys", "identity.json"].map(|name| folder.join(name));
        Places { keys, folder: Some(folder.to_owned()), identity }
    }

    #[test]
    fn p15_licences_of_a_folder_add_up_and_those_that_do_not_count_are_told_of() {
        let (folder, vendor) = (tempfile::tempdir().expect("a folder"), Vendor::new());
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
        write("vendor-keys", &format!("# who sells these boxes\n\n{}\n", vendor.key()));
        write("identity.json", r#"{"serial_number":"GB-1","board":null}"#);
        write("a.licence", &vendor.licence("a", 4, "9000", None));
        write("b.licence", &vendor.licence("b", 6, "9000", Some("GB-1")));
        write("c.licence", &vendor.licence("a", 8, "9000", None));
        write("d.licence", &vendor.licence("d", 8, "2020", None));
        write("e.licence", &vendor.licence("e", 8, "9000", Some("GB-2")));
        write("f.licence", &"x".repeat(FILE_BYTES + 100));
        write("notes.txt", "no licence");
        let (licences, problems) = read(&places(folder.path())).expect("licences");
        assert_eq!(licences.entitlement(now()).calls, Allowance::Of(10));
        let says = ["is here already", "expired", "is for the box \"GB-2\"", "it has 16385 bytes"];
        assert_eq!(problems.len(), says.len(), "{problems:?}");
        for (problem, says) in problems.iter().zip(says) {
            assert!(problem.contains(says), "{problem}");
        }
    }

    #[test]
    fn p15_a_box_that_lost_its_keys_says_so_instead_of_running_unmetered() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(read(&places(folder.path())).is_err());
        std::fs::write(folder.path().join("vendor-keys"), "acme:AAAA").expect("written");
        let error = format!("{:#}", read(&places(folder.path())).expect_err("no key"));
        assert!(error.contains("\"acme\" is followed by no Ed25519 key"), "{error}");
    }

    #[test]
    fn p15_a_folder_that_is_not_there_is_told_of_and_nothing_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("vendor-keys"), Vendor::new().key()).expect("written");
        let gone = Places { folder: Some(folder.path().join("gone")), ..places(folder.path()) };
        let (licences, problems) = read(&gone).expect("licences");
        assert_eq!((licences.entitlement(now()).calls, problems.len()), (Allowance::Of(0), 1));
    }
}
