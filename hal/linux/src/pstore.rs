//! What the kernel left in pstore (`/sys/fs/pstore`) when it panicked: Documentation/admin-guide/pstore-blk.rst.
//!
//! A log is cut into parts, a file each: `dmesg-erst-7358371233` begins with the line `Panic#1 Part3`. Part 1 is the end of
//! the log, so parts are put together from the highest down.

use crate::files;
use hal::DeviceError;
use hal::reason::{DUMP_BYTES, KernelDump};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Most parts that are looked at.
const PARTS: usize = 256;

/// The number of a log and what began it: `Panic#1`.
type Log = (u64, String);
/// The number of a part of a log, and its text.
type Part<Text> = (u64, Text);

/// Where pstore is mounted.
#[derive(Debug, Clone)]
pub struct Pstore {
    folder: PathBuf,
}

impl Pstore {
    /// The one that `sys` (`/sys`) shows.
    #[must_use]
    pub fn new(sys: &Path) -> Self {
        Self { folder: sys.join("fs/pstore") }
    }

    /// What it keeps, the oldest first; a kernel without pstore keeps nothing.
    ///
    /// # Errors
    /// If it cannot be listed.
    pub fn dumps(&self) -> Result<Vec<KernelDump>, DeviceError> {
        let mut logs: BTreeMap<Log, Vec<Part<Vec<u8>>>> = BTreeMap::new();
        for path in self.files()? {
            // A part that cannot be read any more is missing, as one that was never written.
            let Ok(bytes) = files::read(&path, DUMP_BYTES) else { continue };
            let (log, (part, text)) = parted(files::name(&path), &bytes);
            logs.entry(log).or_default().push((part, text.to_vec()));
        }
        let joined = |mut parts: Vec<Part<Vec<u8>>>| {
            parts.sort_by_key(|(part, _)| std::cmp::Reverse(*part));
            let log: Vec<u8> = parts.into_iter().flat_map(|(_, text)| text).collect();
            KernelDump::new(&log)
        };
        Ok(logs.into_values().map(joined).collect())
    }

    /// Removes what it keeps: there is little room, and the next panic needs it. Call it when the dumps are written down.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn clear(&self) -> Result<(), DeviceError> {
        for path in self.files()? {
            let removed = std::fs::remove_file(&path);
            removed.map_err(|error| DeviceError::new(path.display().to_string(), "remove", error))?;
        }
        Ok(())
    }

    fn files(&self) -> Result<Vec<PathBuf>, DeviceError> {
        match files::entries(&self.folder) {
            Ok(paths) => {
                let kept = |path: &PathBuf| files::name(path).starts_with("dmesg-");
                Ok(paths.into_iter().filter(kept).take(PARTS).collect())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(DeviceError::new(self.folder.display().to_string(), "list", error)),
        }
    }
}

/// Which log a file belongs to, its part of it, and its text: from a first line such as `Panic#1 Part3`. A file without
/// such a line is a log of its own.
fn parted<'a>(name: &str, bytes: &'a [u8]) -> (Log, Part<&'a [u8]>) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (first, text) = bytes.split_at(end);
    let read = || {
        let (log, part) = std::str::from_utf8(first).ok()?.split_once(" Part")?;
        let (began, count) = log.split_once('#')?;
        Some(((count.parse().ok()?, began.to_owned()), part.trim().parse().ok()?))
    };
    match read() {
        Some((log, part)) => (log, (part, text.get(1..).unwrap_or_default())),
        None => ((0, name.to_owned()), (1, bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hal::reason::About;
    use std::fs;
    use tempfile::TempDir;

    fn made(files: &[(&str, &str)]) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("fs/pstore")).unwrap();
        for (name, text) in files {
            fs::write(root.path().join("fs/pstore").join(name), text).unwrap();
        }
        root
    }

    #[test]
    fn parts_of_a_log_are_put_together_from_the_highest_down() {
        let root = made(&[
            (
                "dmesg-erst-1",
                "Panic#2 Part1\n corrupted\n<0>Kernel panic - not syncing: Attempted to kill init!\n",
            ),
            ("dmesg-erst-2", "Panic#2 Part2\n<3>device-mapper: verity: 254:2: data block 7 is"),
            ("dmesg-erst-3", "Oops#1 Part1\n<0>Kernel panic - not syncing: sysrq triggered crash\n"),
            ("console-ramoops-0", "Kernel panic - not syncing: something else\n"),
        ]);
        let dumps = Pstore::new(root.path()).dumps().unwrap();
        let about: Vec<_> = dumps.iter().map(|dump| dump.panic().unwrap().about).collect();
        assert_eq!(about, [About::Other, About::Root]);
    }

    #[test]
    fn a_file_without_its_line_is_a_log_of_its_own() {
        let root = made(&[
            ("dmesg-ramoops-0", "<0>Kernel panic - not syncing: one\n"),
            ("dmesg-ramoops-1", "Panic#x Part\n<0>Kernel panic - not syncing: two\n"),
            ("dmesg-ramoops-2", ""),
        ]);
        let dumps = Pstore::new(root.path()).dumps().unwrap();
        let said: Vec<_> =
            dumps.iter().filter_map(KernelDump::panic).map(|panic| panic.message.to_string()).collect();
        assert_eq!(said, ["one", "two"]);
    }

    #[test]
    fn what_was_read_can_be_removed() {
        let root = made(&[("dmesg-erst-1", "Panic#1 Part1\nx"), ("console-ramoops-0", "x")]);
        let pstore = Pstore::new(root.path());
        pstore.clear().unwrap();
        assert!(pstore.dumps().unwrap().is_empty());
        assert!(root.path().join("fs/pstore/console-ramoops-0").exists());
    }

    #[test]
    fn a_kernel_without_pstore_keeps_nothing() {
        let bare = tempfile::tempdir().unwrap();
        assert!(Pstore::new(bare.path()).dumps().unwrap().is_empty());
        Pstore::new(bare.path()).clear().unwrap();
    }
}
