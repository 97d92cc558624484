//! What is noticed while the box runs, and why its services stop: lines that each service may add to, and the file that
//! people read.
//!
//! ```text
//!  keepers, gantry serve ─▶ /run/gantry/notes/*.jsonl ─┐
//!  ExecStopPost= ─────────▶ gantry record-stop ◀───────┴──▶ /var/lib/gantry/reasons.jsonl ─▶ menus, gantry reasons
//! ```
//! A note is `{"at_ms":..,"what":"starved","unit":"gatewayd.service","part":"shard-1"}`, or `recovered`, `disk-full` with
//! `mount`, `clock-jumped` with `direction` (`forward`, `back`) and `by_s`.

use crate::files;
use crate::places::Places;
use crate::world::ReasonLine;
use domain::appliance::instant::UnixTime;
use hal::Label;
use hal::reason::{Direction, FellBack, Jump, Note, Noted, Reason, StopRecord, Why, why_stopped};
use serde::{Deserialize, Serialize};
use std::io;
use std::time::{Duration, SystemTime};

/// Largest file of notes that is read, in bytes; its end counts.
const NOTES_BYTES: usize = 256 * 1024;
/// Most files of notes.
const FILES: usize = 32;
/// From here on the file of reasons loses its older half.
const REASONS_BYTES: usize = 256 * 1024;

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

/// Adds a note to the file called `by`.
///
/// # Errors
/// If it cannot be written.
pub fn add(places: &Places, by: &str, note: &Note) -> io::Result<()> {
    let path = places.notes().join(format!("{by}.jsonl"));
    let line = serde_json::to_string(&written(note)).unwrap_or_default();
    files::append(&path, &format!("{line}\n"), 0o640)
}

/// All notes, in the order they were made.
#[must_use]
pub fn all(places: &Places) -> Vec<Note> {
    let entries = std::fs::read_dir(places.notes()).into_iter().flatten().flatten().take(FILES);
    let texts = entries.filter_map(|entry| files::read(&entry.path(), NOTES_BYTES).ok());
    let mut notes: Vec<Note> =
        texts.flat_map(|text| text.lines().filter_map(read_line).collect::<Vec<_>>()).collect();
    notes.sort_by_key(|note| note.at);
    notes
}

/// Writes down why a service stopped, as `ExecStopPost=` tells it; nothing if it was meant to.
///
/// # Errors
/// If it cannot be written.
pub fn record_stop(
    places: &Places,
    unit: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> io::Result<Option<ReasonLine>> {
    let (result, status) = (variable("SERVICE_RESULT"), variable("EXIT_STATUS"));
    let stop = StopRecord::from_environment(unit, result.as_deref(), status.as_deref(), wall());
    let why = stop.and_then(|stop| why_stopped(&stop, &all(places)));
    let Some(why) = why else { return Ok(None) };
    let line = of_service(unit, &why);
    record(places, &line)?;
    Ok(Some(line))
}

fn of_service(unit: &str, why: &Why) -> ReasonLine {
    let what = Label::sanitised(unit).map_or_else(String::new, |unit| unit.to_string());
    ReasonLine { what, ..line(why) }
}

fn line(why: &Why) -> ReasonLine {
    ReasonLine {
        at: UnixTime(wall().as_secs()).to_string(),
        word: why.word().to_owned(),
        text: why.to_string(),
        what: "box".to_owned(),
        slot: None,
        fell_back_from: None,
    }
}

/// The line of why the whole box restarted.
#[must_use]
pub fn of_box(reason: &Reason) -> ReasonLine {
    let from = match reason.fell_back {
        FellBack::No => None,
        FellBack::From(slot) => Some(slot.to_string()),
    };
    ReasonLine { slot: reason.slot.map(|slot| slot.to_string()), fell_back_from: from, ..line(&reason.why) }
}

/// The line of something that happened and stopped nothing; `None` for what explains nothing by itself.
#[must_use]
pub fn of_note(noted: &Noted) -> Option<ReasonLine> {
    noted.why().map(|why| ReasonLine { what: "notice".to_owned(), ..line(&why) })
}

/// Adds a line to the reasons.
///
/// # Errors
/// If it cannot be written.
pub fn record(places: &Places, line: &ReasonLine) -> io::Result<()> {
    let text = serde_json::to_string(line).unwrap_or_default();
    files::append(&places.reasons(), &format!("{text}\n"), 0o640)
}

/// Keeps the newer half of the reasons once there are many.
///
/// # Errors
/// If the file cannot be written.
pub fn trim(places: &Places) -> io::Result<()> {
    let path = places.reasons();
    if std::fs::metadata(&path).is_ok_and(|found| found.len() < REASONS_BYTES as u64) {
        return Ok(());
    }
    let Ok(text) = files::read(&path, 64 * REASONS_BYTES) else { return Ok(()) };
    let lines: Vec<&str> = text.lines().collect();
    let newer: String = lines[lines.len() / 2..].iter().map(|line| format!("{line}\n")).collect();
    // In place, so that the file keeps its owner.
    std::fs::write(&path, newer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> (tempfile::TempDir, Places) {
        let folder = tempfile::tempdir().unwrap();
        let places = Places::below(folder.path());
        std::fs::create_dir_all(places.notes()).unwrap();
        std::fs::create_dir_all(places.reasons().parent().unwrap()).unwrap();
        (folder, places)
    }

    fn told<'a>(result: &'a str, status: &'a str) -> impl Fn(&str) -> Option<String> + 'a {
        move |name| match name {
            "SERVICE_RESULT" => Some(result.to_owned()),
            "EXIT_STATUS" => Some(status.to_owned()),
            _ => None,
        }
    }

    fn label(text: &str) -> Label {
        Label::sanitised(text).unwrap()
    }

    #[test]
    fn each_way_a_service_stops_is_told_by_its_true_name() {
        let (_folder, places) = places();
        let stop = |result: &str, status: &str| {
            record_stop(&places, "gatewayd.service", told(result, status)).unwrap().map(|line| line.word)
        };
        assert_eq!(stop("success", "0"), None);
        assert_eq!(stop("signal", "KILL").as_deref(), Some("service-killed"));
        assert_eq!(stop("core-dump", "SEGV").as_deref(), Some("service-crashed"));
        assert_eq!(stop("watchdog", "ABRT").as_deref(), Some("service-frozen"));
        let starved = Noted::Starved { unit: label("gatewayd.service"), part: label("shard-1") };
        add(&places, "gatewayd", &Note { at: wall(), what: starved }).unwrap();
        assert_eq!(stop("watchdog", "ABRT").as_deref(), Some("service-deadlocked"));
        assert_eq!(record_stop(&places, "x", |_| None).unwrap(), None, "nothing was told");
        let lines = crate::look::reasons(&places);
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[3].text, "gatewayd.service stood still in shard-1; its watchdog ended it");
        assert_eq!(lines[3].what, "gatewayd.service");
    }

    #[test]
    fn notes_of_all_kinds_read_back_and_garbage_is_left_out() {
        let (_folder, places) = places();
        let notes = [
            Noted::Recovered { unit: label("otad.service"), part: label("slots") },
            Noted::DiskFull { mount: label("/data") },
            Noted::ClockJumped(Jump { direction: Direction::Back, by: Duration::from_secs(3_600) }),
        ];
        for (index, what) in notes.iter().enumerate() {
            add(&places, "x", &Note { at: Duration::from_secs(index as u64), what: what.clone() }).unwrap();
        }
        std::fs::write(places.notes().join("evil.jsonl"), "{\"what\":\"starved\"}\nnonsense\n\u{0}\n")
            .unwrap();
        let read: Vec<_> = all(&places).into_iter().map(|note| note.what).collect();
        assert_eq!(read, notes);
        assert_eq!(of_note(&notes[1]).unwrap().text, "disk full: /data");
        assert_eq!(of_note(&notes[0]), None);
    }

    #[test]
    fn the_reasons_never_fill_the_disk() {
        let (_folder, places) = places();
        let line = of_note(&Noted::DiskFull { mount: label(&"/x".repeat(30)) }).unwrap();
        while std::fs::metadata(places.reasons()).map_or(0, |found| found.len()) < REASONS_BYTES as u64 {
            let many = format!("{}\n", serde_json::to_string(&line).unwrap()).repeat(500);
            files::append(&places.reasons(), &many, 0o640).unwrap();
        }
        trim(&places).unwrap();
        assert!(std::fs::metadata(places.reasons()).unwrap().len() < REASONS_BYTES as u64);
        assert_eq!(crate::look::reasons(&places).last(), Some(&line));
    }
}
