//! Slots as EFI Boot Guard keeps them: a `BGENV.DAT` on each of two boot partitions.
//!
//! No moment is unsafe to lose power in:
//!
//! - marking the running slot good changes a single sector, which a disk writes whole or not at all;
//! - staging and failing a slot change two sectors; when one of them is lost the CRC is wrong, and the bootloader does not
//!   boot a slot whose record is damaged, which is what a slot is before it is staged and after it has failed;
//! - nothing is ever written to the record of the slot that the box would fall back to.
//!
//! Whoever gives up a slot notes what it found beside the record, so that the next start can say why. The note comes first and is
//! gone before something is staged.
//!
//! Files are written in place and never grow, so that the file system's own tables do not change. Each act is on the disk when
//! it returns.

mod crc;
mod environment;

pub(crate) use crc::crc32;
pub use environment::{BYTES, Environment, Recipe, TEXT_CHARS};

use crate::files;
use hal::DeviceError;
use hal::reason::Inspected;
use hal::slots::{BootControl, Slot, SlotStatus, Slots, SlotsError};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file's name on each boot partition.
pub const FILE: &str = "BGENV.DAT";
/// Beside it, what was found of a slot that was given up.
pub const FOUND: &str = "FOUND.TXT";
/// A note is one word.
const FOUND_BYTES: usize = 64;
/// How long the loader lets a slot's kernel take, where its record has to be made anew. Its drivers are those of x86 machines: elsewhere
/// it starts nothing if it is given a time.
pub const LOADER_TIMEOUT: Duration = Duration::from_secs(if cfg!(target_arch = "x86_64") { 120 } else { 0 });
/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// Where a slot's record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where its boot partition is mounted, writable when something is to be marked.
    pub folder: PathBuf,
    /// What its record is made of if it is damaged or missing.
    pub recipe: Recipe,
}

/// The two slots of EFI Boot Guard.
#[derive(Debug, Clone)]
pub struct EfiBootGuard {
    a: Place,
    b: Place,
    booted: Option<Slot>,
}

impl EfiBootGuard {
    /// The slots whose records are in these places, one of which runs (see [`booted`]).
    #[must_use]
    pub fn new(a: Place, b: Place, booted: Option<Slot>) -> Self {
        Self { a, b, booted }
    }

    /// Those of a box whose files begin at `root`, as its image mounts them: `/boot/a` and `/boot/b`.
    #[must_use]
    pub fn of_box(root: &Path) -> Self {
        let place = |folder: &str, label: &str| Place {
            folder: root.join(folder),
            recipe: Recipe { kernel: format!("C:{label}:GANTRY.EFI"), watchdog: LOADER_TIMEOUT },
        };
        let command_line = std::fs::read_to_string(root.join("proc/cmdline")).unwrap_or_default();
        Self::new(place("boot/a", "BOOT-A"), place("boot/b", "BOOT-B"), booted(&command_line))
    }

    fn place(&self, slot: Slot) -> &Place {
        match slot {
            Slot::A => &self.a,
            Slot::B => &self.b,
        }
    }

    /// Notes what was found of `slot`, and waits until it is on the disk.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn note(&self, slot: Slot, found: Inspected) -> Result<(), DeviceError> {
        let folder = &self.place(slot).folder;
        let path = folder.join(FOUND);
        let line = format!("{}\n", found.word());
        anew(folder, &path, line.as_bytes()).map_err(|error| failed(&path, "write", error))
    }

    /// What was noted of `slot` since something was staged in it.
    #[must_use]
    pub fn noted(&self, slot: Slot) -> Option<Inspected> {
        let bytes = files::read(&self.place(slot).folder.join(FOUND), FOUND_BYTES).ok()?;
        Inspected::of(std::str::from_utf8(&bytes).ok()?.trim_end())
    }

    fn forget(&self, slot: Slot) -> Result<(), DeviceError> {
        let path = self.place(slot).folder.join(FOUND);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&path, "remove", error)),
            _ => Ok(()),
        }
    }

    /// The record of `slot`; `None` if it is damaged or missing.
    fn read(&self, slot: Slot) -> Result<Option<Environment>, DeviceError> {
        let path = self.place(slot).folder.join(FILE);
        match files::read(&path, BYTES) {
            Ok(bytes) => Ok(Environment::parse(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path, "read", error)),
        }
    }

    fn write(&self, slot: Slot, status: SlotStatus) -> Result<(), SlotsError> {
        let SlotStatus::Known { state, revision } = status else { return Err(SlotsError::Damaged(slot)) };
        let Place { folder, recipe } = self.place(slot);
        let old = self.read(slot)?;
        let new = old.as_ref().map_or_else(|| Environment::new(recipe), Environment::clone);
        let new = new.in_state(state, revision);
        let path = folder.join(FILE);
        let written = match &old {
            Some(old) => in_place(&path, old.bytes(), new.bytes()),
            None => anew(folder, &path, new.bytes()),
        };
        written.map_err(|error| failed(&path, "write", error))?;
        Ok(())
    }
}

impl BootControl for EfiBootGuard {
    fn slots(&mut self) -> Result<Slots, SlotsError> {
        let status = |slot| {
            self.read(slot).map(|read| read.map_or(SlotStatus::Damaged, |environment| environment.status()))
        };
        Ok(Slots { a: status(Slot::A)?, b: status(Slot::B)?, booted: self.booted })
    }

    fn mark_good(&mut self) -> Result<(), SlotsError> {
        match self.slots()?.marked_good()? {
            Some((slot, status)) => self.write(slot, status),
            None => Ok(()),
        }
    }

    fn mark_failed(&mut self, slot: Slot) -> Result<(), SlotsError> {
        let status = self.slots()?.marked_failed(slot)?;
        self.write(slot, status)
    }

    fn stage_other(&mut self) -> Result<Slot, SlotsError> {
        let (slot, status) = self.slots()?.staged_other()?;
        self.forget(slot)?;
        self.write(slot, status)?;
        Ok(slot)
    }
}

/// The slot that runs, from the kernel's command line: `gantry.root=ROOT-A` or `ROOT-B`, which is part of the signed boot
/// image and so cannot be changed from outside.
#[must_use]
pub fn booted(command_line: &str) -> Option<Slot> {
    let mut roots =
        command_line.split_ascii_whitespace().filter_map(|word| word.strip_prefix("gantry.root="));
    match roots.next()? {
        "ROOT-A" => Some(Slot::A),
        "ROOT-B" => Some(Slot::B),
        _ => None,
    }
}

/// Writes the sectors of a record that change, and waits until they are on the disk.
fn in_place(path: &Path, old: &[u8], new: &[u8]) -> io::Result<()> {
    let file = files::open(path, OpenOptions::new().write(true))?;
    for (number, (old, new)) in old.chunks(SECTOR).zip(new.chunks(SECTOR)).enumerate() {
        if old != new {
            file.write_all_at(new, (number * SECTOR) as u64)?;
        }
    }
    file.sync_data()
}

/// Writes a file where there was none that is whole, and waits until it is on the disk.
fn anew(folder: &Path, path: &Path, new: &[u8]) -> io::Result<()> {
    let file = files::open(path, OpenOptions::new().write(true).create(true).truncate(false))?;
    file.write_all_at(new, 0)?;
    file.set_len(new.len() as u64)?;
    file.sync_all()?;
    File::open(folder)?.sync_all()
}

fn failed(path: &Path, act: &'static str, error: io::Error) -> DeviceError {
    DeviceError::new(path.display().to_string(), act, error)
}

#[cfg(test)]
mod tests;
