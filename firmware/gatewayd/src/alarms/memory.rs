//! What the alarms keep over a restart: one file of JSON, replaced whole.

use anyhow::{Context, Result};
use domain::alarm::Saved;
use domain::appliance::instant::UnixTime;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use tracing::warn;

/// Its name in the state folder.
const FILE: &str = "alarms.json";
/// Largest file that is read, in bytes: all alarms and all history, with the longest texts.
const FILE_BYTES: u64 = 8 * 1024 * 1024;
/// Greatest `snmpEngineBoots` (RFC 3414 2.2.2).
const MOST_BOOTS: u32 = 0x7fff_ffff;

/// The file, and what is in it beside the alarms.
pub(super) struct Memory {
    path: Option<PathBuf>,
    boots: u32,
    seen: String,
    last: Saved,
}

#[derive(Default, Serialize, Deserialize)]
struct Written {
    /// Starts of the SNMP engine.
    boots: u32,
    /// The time of the last reason for a stop that was told of.
    seen: String,
    alarms: Saved,
}

impl Memory {
    /// Reads what is in `folder`; nothing if there is no folder, or no good file in it.
    pub(super) fn open(folder: Option<&Path>) -> (Self, Saved) {
        let path = folder.map(|folder| folder.join(FILE));
        let read = path.as_deref().map_or_else(|| Ok(Written::default()), read);
        let Written { boots, seen, alarms } = read.unwrap_or_else(|error| {
            warn!(%error, "the alarms of before are lost");
            Written::default()
        });
        (Self { path, boots, seen, last: alarms.clone() }, alarms)
    }

    /// Counts one more start of the SNMP engine, at `now`. Stations refuse a number that is not greater than the one before, so it is at
    /// least the minutes since 1970: a box that has lost its memory goes on above what it was.
    pub(super) fn boots(&mut self, now: UnixTime) -> u32 {
        let minutes = u32::try_from(now.0 / 60).unwrap_or(MOST_BOOTS);
        self.boots = self.boots.saturating_add(1).max(minutes).min(MOST_BOOTS);
        if let Err(error) = self.store() {
            warn!(%error, "the number of this start is not kept");
        }
        self.boots
    }

    /// The time of the last reason that was told of; `None` if it could not be remembered.
    pub(super) fn seen(&self) -> Option<&str> {
        self.path.is_some().then_some(&*self.seen)
    }

    /// Reasons up to this time were told of.
    pub(super) fn set_seen(&mut self, seen: String) {
        self.seen = seen;
        if let Err(error) = self.store() {
            warn!(%error, "which reasons were told of is not kept");
        }
    }

    /// Writes it all.
    pub(super) fn write(&mut self, alarms: &Saved) -> Result<()> {
        self.last = alarms.clone();
        self.store()
    }

    /// The old file stays whole until the new one is on the disk.
    fn store(&self) -> Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let written = Written { boots: self.boots, seen: self.seen.clone(), alarms: self.last.clone() };
        let text = serde_json::to_vec(&written)?;
        let next = path.with_extension("json.new");
        let result = (|| {
            let mut file = File::create(&next)?;
            file.write_all(&text)?;
            file.sync_all()?;
            std::fs::rename(&next, path)?;
            path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
        })();
        result.with_context(|| format!("cannot write {}", path.display()))
    }
}

fn read(path: &Path) -> Result<Written> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Written::default()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let mut text = Vec::new();
    file.take(FILE_BYTES)
        .read_to_end(&mut text)
        .with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_780_000_000);

    #[test]
    fn each_start_has_a_greater_number_even_when_the_memory_or_the_clock_is_lost() {
        let folder = tempfile::tempdir().expect("a folder");
        let start = |now| Memory::open(Some(folder.path())).0.boots(now);
        let first = start(NOW);
        assert_eq!(first, 29_666_666);
        assert_eq!(start(NOW), first + 1, "twice in a minute");
        assert_eq!(start(UnixTime(0)), first + 2, "the clock is not set yet");
        std::fs::write(folder.path().join(FILE), "{").expect("written");
        assert_eq!(start(UnixTime(NOW.0 + 600)), first + 10, "the memory is damaged");
        assert_eq!(start(UnixTime(u64::MAX)), MOST_BOOTS);
    }

    #[test]
    fn what_is_written_is_read_back_and_without_a_folder_nothing_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut memory, saved) = Memory::open(Some(folder.path()));
        assert_eq!((saved, memory.seen()), (Saved::default(), Some("")));
        let saved = Saved { sequence: 7, ..Saved::default() };
        memory.write(&saved).expect("written");
        memory.set_seen("2026-01-01T00:00:00Z".into());
        let (memory, again) = Memory::open(Some(folder.path()));
        assert_eq!((again, memory.seen()), (saved.clone(), Some("2026-01-01T00:00:00Z")));

        let (mut memory, _) = Memory::open(None);
        memory.write(&saved).expect("nothing is written");
        assert_eq!(memory.seen(), None);
        let (mut memory, _) = Memory::open(Some(&folder.path().join("nowhere")));
        let error = format!("{:#}", memory.write(&saved).expect_err("there is no folder"));
        assert!(error.contains("nowhere"), "{error}");
    }
}
