//! What is noticed while the box runs, and why its services stop: lines that each service may add to, and the file that
//! people read.
//!
//! ```text
//!  keepers, gantry serve ─▶ /run/gantry/notes/*.jsonl ─┐
//!  ExecStopPost= ─────────▶ gantry record-stop ◀───────┴──▶ /var/lib/gantry/reasons.jsonl ─▶ menus, gantry reasons
//! ```
//! What a note looks like says [`linux::notes`].

use crate::files;
use crate::places::Places;
use crate::world::ReasonLine;
use domain::appliance::instant::UnixTime;
use hal::Label;
use hal::reason::{FellBack, Noted, Reason, StopRecord, Why, why_stopped};
use linux::notes::wall;
use std::io;
use std::time::Duration;

/// A service that fails is told of again after so long.
const SAME: Duration = Duration::from_secs(600);
/// From here on the file of reasons loses its older half.
const REASONS_BYTES: usize = 256 * 1024;

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
    let why = stop.and_then(|stop| why_stopped(&stop, &linux::notes::all(&places.notes())));
    let Some(why) = why else { return Ok(None) };
    let line = of_service(unit, &why);
    if !is_known(places, &line) {
        record(places, &line)?;
    }
    trim(places)?;
    Ok(Some(line))
}

/// Whether the newest reason says the same, and not long ago. A service that cannot start is started again each second: what that
/// says would push out all that came before.
fn is_known(places: &Places, line: &ReasonLine) -> bool {
    let last = crate::look::reasons(places).pop();
    let same = last.is_some_and(|last| {
        (last.word, last.text, last.what) == (line.word.clone(), line.text.clone(), line.what.clone())
    });
    let written = std::fs::metadata(places.reasons()).and_then(|found| found.modified());
    let lately = written.is_ok_and(|at| at.elapsed().is_ok_and(|gone| gone < SAME));
    line.word == "service-failed" && same && lately
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
    use hal::reason::Note;

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
        linux::notes::add(&places.notes(), "gatewayd", &Note { at: wall(), what: starved }).unwrap();
        assert_eq!(stop("watchdog", "ABRT").as_deref(), Some("service-deadlocked"));
        assert_eq!(record_stop(&places, "x", |_| None).unwrap(), None, "nothing was told");
        let lines = crate::look::reasons(&places);
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[3].text, "gatewayd.service stood still in shard-1; its watchdog ended it");
        assert_eq!(lines[3].what, "gatewayd.service");
    }

    #[test]
    fn what_was_noticed_and_stopped_nothing_may_be_a_reason_all_the_same() {
        assert_eq!(of_note(&Noted::DiskFull { mount: label("/data") }).unwrap().text, "disk full: /data");
        assert_eq!(of_note(&Noted::Recovered { unit: label("otad.service"), part: label("slots") }), None);
    }

    #[test]
    fn a_service_that_fails_each_second_is_told_of_once_in_a_while_and_one_that_is_killed_each_time() {
        let (_folder, places) = places();
        for _ in 0..5 {
            record_stop(&places, "gatewayd.service", told("exit-code", "1")).unwrap();
        }
        for _ in 0..2 {
            record_stop(&places, "gatewayd.service", told("signal", "KILL")).unwrap();
        }
        record_stop(&places, "gatewayd.service", told("exit-code", "1")).unwrap();
        let words: Vec<_> = crate::look::reasons(&places).into_iter().map(|line| line.word).collect();
        assert_eq!(words, ["service-failed", "service-killed", "service-killed", "service-failed"]);
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
