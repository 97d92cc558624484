//! What services notice while they run, for whoever asks later why one stopped: a line each, in a file of each service's own.
//!
//! A note is `{"at_ms":..,"what":"starved","unit":"gatewayd.service","part":"shard-1"}`, or `recovered`, `disk-full` with
//! `mount`, `clock-jumped` with `direction` (`forward`, `back`) and `by_s`.

use crate::files;
use hal::Label;
use hal::reason::{Direction, Jump, Note, Noted};
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// From here on a file of notes loses its older half; they lie in memory.
pub const NOTES_BYTES: usize = 64 * 1024;
/// Most files of notes that are read.
const FILES: usize = 32;

#[derive(Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
enum Written {
    Starved { at_ms: u64, unit: String, part: String },
    Recovered { at_ms: u64, unit: String, part: String },
    DiskFull { at_ms: u64, mount: String },
    ClockJumped { at_ms: u64, direction: String, by_s: u64 },
}

/// The wall clock, since 1970.
#[must_use]
pub fn wall() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

fn written(note: &Note) -> Written {
    let at_ms = u64::try_from(note.at.as_millis()).unwrap_or(u64::MAX);
    match &note.what {
        Noted::Starved { unit, part } => {
            Written::Starved { at_ms, unit: unit.to_string(), part: part.to_string() }
        }
        Noted::Recovered { unit, part } => {
            Written::Recovered { at_ms, unit: unit.to_string(), part: part.to_string() }
        }
        Noted::DiskFull { mount } => Written::DiskFull { at_ms, mount: mount.to_string() },
        Noted::ClockJumped(Jump { direction, by }) => {
            let direction = if *direction == Direction::Forward { "forward" } else { "back" };
            Written::ClockJumped { at_ms, direction: direction.to_owned(), by_s: by.as_secs() }
        }
    }
}

fn read_line(line: &str) -> Option<Note> {
    let label = |text: &str| Label::sanitised(text);
    let note = |at_ms, what| Some(Note { at: Duration::from_millis(at_ms), what });
    match serde_json::from_str(line).ok()? {
        Written::Starved { at_ms, unit, part } => {
            note(at_ms, Noted::Starved { unit: label(&unit)?, part: label(&part)? })
        }
        Written::Recovered { at_ms, unit, part } => {
            note(at_ms, Noted::Recovered { unit: label(&unit)?, part: label(&part)? })
        }
        Written::DiskFull { at_ms, mount } => note(at_ms, Noted::DiskFull { mount: label(&mount)? }),
        Written::ClockJumped { at_ms, direction, by_s } => {
            let direction = if direction == "forward" { Direction::Forward } else { Direction::Back };
            note(at_ms, Noted::ClockJumped(Jump { direction, by: Duration::from_secs(by_s) }))
        }
    }
}

/// Adds a note to the file called `by` in `folder`.
///
/// # Errors
/// If it cannot be written.
pub fn add(folder: &Path, by: &str, note: &Note) -> io::Result<()> {
    let path = folder.join(format!("{by}.jsonl"));
    let line = serde_json::to_string(&written(note)).unwrap_or_default();
    files::append(&path, &format!("{line}\n"), NOTES_BYTES)
}

/// Takes away the file called `by` in `folder`: what a service noted before it was started again says nothing of it any more.
pub fn forget(folder: &Path, by: &str) {
    // As a rule there is none.
    drop(std::fs::remove_file(folder.join(format!("{by}.jsonl"))));
}

/// All notes in `folder`, in the order they were made.
#[must_use]
pub fn all(folder: &Path) -> Vec<Note> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().take(FILES);
    let texts = entries.filter_map(|entry| files::read(&entry.path(), 2 * NOTES_BYTES).ok());
    let mut notes: Vec<Note> = Vec::new();
    for text in texts {
        notes.extend(String::from_utf8_lossy(&text).lines().filter_map(read_line));
    }
    notes.sort_by_key(|note| note.at);
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(text: &str) -> Label {
        Label::sanitised(text).unwrap()
    }

    #[test]
    fn notes_of_all_kinds_read_back_and_garbage_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let notes = [
            Noted::Recovered { unit: label("otad.service"), part: label("slots") },
            Noted::DiskFull { mount: label("/data") },
            Noted::ClockJumped(Jump { direction: Direction::Back, by: Duration::from_secs(3_600) }),
            Noted::Starved { unit: label("gatewayd.service"), part: label("shard-1") },
        ];
        for (index, what) in notes.iter().enumerate() {
            let note = Note { at: Duration::from_secs(index as u64), what: what.clone() };
            add(folder.path(), ["x", "y"][index % 2], &note).unwrap();
        }
        std::fs::write(folder.path().join("evil.jsonl"), "{\"what\":\"starved\"}\nnonsense\n\u{0}\n")
            .unwrap();
        std::os::unix::fs::symlink("/dev/zero", folder.path().join("endless.jsonl")).unwrap();
        let read: Vec<_> = all(folder.path()).into_iter().map(|note| note.what).collect();
        assert_eq!(read, notes);
    }

    #[test]
    fn a_service_that_notes_without_end_keeps_only_what_is_newest() {
        let folder = tempfile::tempdir().unwrap();
        let note = |at| Note { at: Duration::from_secs(at), what: Noted::DiskFull { mount: label("/data") } };
        for at in 0..3_000 {
            add(folder.path(), "x", &note(at)).unwrap();
        }
        let length = std::fs::metadata(folder.path().join("x.jsonl")).unwrap().len();
        assert!(length <= NOTES_BYTES as u64, "{length}");
        assert_eq!(all(folder.path()).last().map(|note| note.at), Some(Duration::from_secs(2_999)));
    }

    #[test]
    fn a_link_in_place_of_a_file_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("x.jsonl"));
        std::fs::write(&target, "mine").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let what = Noted::DiskFull { mount: label("/data") };
        assert!(add(folder.path(), "x", &Note { at: Duration::ZERO, what }).is_err());
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "mine");
    }
}
