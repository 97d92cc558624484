//! What the box writes down of its life between two starts, and why it restarted.
//!
//! ```text
//!  gantry record-start: the last life, watchdogs, pstore, slots ─▶ why_restarted ─▶ reasons.jsonl; a new life begins
//!  gantry apply reboot, otad, gantry record-end: the life's end is noted
//! ```
//! The updater notes in a file of its own how far this start came: `/var/lib/gantry/otad/life.json` with
//! `{"boot":"<boot id>","reached":"well"}`, or `"gave_up":["sip"]`, and `"staged":"B"`.

use crate::files;
use crate::look;
use crate::notes;
use crate::places::Places;
use crate::store::boot;
use crate::world::ReasonLine;
use anyhow::Result;
use hal::Label;
use hal::reason::{Act, End, Evidence, Life, Reached, why_restarted};
use hal::slots::{BootControl, Slot};
use hal::watchdog::Watchdog;
use serde::{Deserialize, Serialize};

/// Largest file that is read, in bytes.
const FILE_BYTES: usize = 64 * 1024;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    boot: String,
    #[serde(default)]
    slot: Option<String>,
    #[serde(default)]
    end: Option<String>,
}

/// What the updater noted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct Updater {
    boot: String,
    #[serde(default)]
    reached: Option<String>,
    #[serde(default)]
    staged: Option<String>,
    #[serde(default)]
    gave_up: Option<Vec<String>>,
    #[serde(default)]
    asked: Option<String>,
}

fn slot(text: &str) -> Option<Slot> {
    match text {
        "A" => Some(Slot::A),
        "B" => Some(Slot::B),
        _ => None,
    }
}

fn act(word: &str) -> Option<Act> {
    Act::ALL.into_iter().find(|act| act.word() == word)
}

fn load<T: for<'de> Deserialize<'de>>(path: &std::path::Path) -> Option<T> {
    serde_json::from_str(&files::read(path, FILE_BYTES).ok()?).ok()
}

fn save(places: &Places, written: &Written) -> std::io::Result<()> {
    files::replace(&places.life(), &serde_json::to_string(written).unwrap_or_default(), 0o644)
}

/// The life that was written down last.
#[must_use]
pub fn read(places: &Places) -> Option<Life> {
    let written: Written = load(&places.life())?;
    let updater: Option<Updater> = load(&places.at("/var/lib/gantry/otad/life.json"));
    let updater = updater.filter(|updater| updater.boot == written.boot).unwrap_or_default();
    let gave_up = updater.gave_up.as_ref().map(|checks| End::GaveUp {
        checks: checks.iter().take(32).filter_map(|check| Label::sanitised(check)).collect(),
    });
    let asked = written.end.as_deref().or(updater.asked.as_deref()).and_then(act).map(End::Asked);
    Some(Life {
        slot: written.slot.as_deref().and_then(slot),
        reached: if updater.reached.as_deref() == Some("well") { Reached::Well } else { Reached::Started },
        staged: updater.staged.as_deref().and_then(slot),
        end: gave_up.or(asked),
    })
}

/// Notes that this life ends, and why. An end that was noted already stays.
pub fn ends(places: &Places, end: &End) {
    let mut written: Written = load(&places.life()).unwrap_or_default();
    if let End::Asked(act) = end {
        written.end = Some(act.word().to_owned());
    }
    if let Err(error) = save(places, &written) {
        eprintln!("the end could not be noted: {error}");
    }
}

/// `gantry record-start`: writes down why the box restarted, and begins a new life.
///
/// # Errors
/// If it cannot be written.
pub fn start(places: &Places) -> Result<ReasonLine> {
    let (id, _) = boot(places);
    if let Some(written) = load::<Written>(&places.life())
        && written.boot == id
        && !id.is_empty()
        && let Some(line) = look::reasons(places).into_iter().rev().find(|line| line.what == "box")
    {
        // Only this program was started again, not the box.
        return Ok(line);
    }
    notes::trim(places)?;
    let reason = why_restarted(&evidence(places));
    let line = notes::of_box(&reason);
    notes::record(places, &line)?;
    let slot = look::booted(places).map(|slot| slot.to_string());
    save(places, &Written { boot: id, slot, end: None })?;
    Ok(line)
}

/// `gantry record-end`: the services are told to end in good order. Who asked for it has noted why; if nobody has, it was a
/// restart.
pub fn end(places: &Places) {
    let noted = read(places).is_some_and(|life| life.end.is_some());
    if !noted {
        ends(places, &End::Asked(Act::Restart));
    }
}

fn evidence(places: &Places) -> Evidence {
    let sys = places.at("/sys");
    let watchdogs = linux::watchdog::Device::all(&sys, &places.at("/dev")).unwrap_or_default();
    let mut control = look::boot_control(places);
    let there = ["/boot/a", "/boot/b"].iter().any(|folder| places.at(folder).join(linux::ebg::FILE).exists());
    let slots = there.then(|| control.slots().ok()).flatten();
    Evidence {
        resets: watchdogs.iter().map(Watchdog::last_reset).collect(),
        dumps: linux::pstore::Pstore::new(&sys).dumps().unwrap_or_default(),
        inspected: slots.and_then(|slots| slots.booted).map(|booted| inspect(places, &control, booted)),
        slots,
        last: read(places),
    }
}

/// What is known of the slot that does not run: what was noted when it was given up, or what its boot image looks like.
fn inspect(places: &Places, control: &linux::ebg::EfiBootGuard, booted: Slot) -> hal::reason::Inspected {
    let folder = match booted {
        Slot::A => "/boot/b",
        Slot::B => "/boot/a",
    };
    let look = || linux::image::inspect(&places.at(folder).join("gantry.efi"));
    control.noted(booted.other()).unwrap_or_else(look)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made_box() -> (tempfile::TempDir, Places) {
        let folder = tempfile::tempdir().unwrap();
        let places = Places::below(folder.path());
        std::fs::create_dir_all(places.state()).unwrap();
        std::fs::create_dir_all(places.at("/var/lib/gantry/otad")).unwrap();
        boots(&places, "boot-1");
        (folder, places)
    }

    fn boots(places: &Places, id: &str) {
        let path = places.at("/proc/sys/kernel/random/boot_id");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("{id}\n")).unwrap();
    }

    #[test]
    fn each_start_tells_why_the_one_before_ended() {
        let (_folder, places) = made_box();
        assert_eq!(start(&places).unwrap().word, "first-start");
        assert_eq!(start(&places).unwrap().word, "first-start", "the program was started again, not the box");
        assert_eq!(look::reasons(&places).len(), 1);

        boots(&places, "boot-2");
        assert_eq!(start(&places).unwrap().word, "power-lost", "nobody saw the end coming");

        ends(&places, &End::Asked(Act::FactoryReset));
        end(&places);
        boots(&places, "boot-3");
        assert_eq!(start(&places).unwrap().word, "asked-factory-reset", "the end that was noted first stays");

        end(&places);
        boots(&places, "boot-4");
        assert_eq!(start(&places).unwrap().word, "asked-restart");
    }

    #[test]
    fn a_panic_that_pstore_kept_is_the_reason() {
        let (_folder, places) = made_box();
        start(&places).unwrap();
        let pstore = places.at("/sys/fs/pstore");
        std::fs::create_dir_all(&pstore).unwrap();
        std::fs::write(
            pstore.join("dmesg-erst-1"),
            "Panic#1 Part1\n<0>[ 1.0] Kernel panic - not syncing: sysrq triggered crash\n",
        )
        .unwrap();
        boots(&places, "boot-2");
        let line = start(&places).unwrap();
        assert_eq!(
            (line.word.as_str(), line.text.as_str()),
            ("kernel-panic", "kernel panic: sysrq triggered crash")
        );
    }

    #[test]
    fn what_the_updater_noted_counts_for_its_own_boot_only() {
        let (_folder, places) = made_box();
        start(&places).unwrap();
        let otad = places.at("/var/lib/gantry/otad/life.json");
        std::fs::write(
            &otad,
            "{\"boot\":\"boot-1\",\"reached\":\"well\",\"staged\":\"B\",\"asked\":\"asked-update\"}",
        )
        .unwrap();
        let life = read(&places).unwrap();
        assert_eq!(
            (life.reached, life.staged, life.end),
            (Reached::Well, Some(Slot::B), Some(End::Asked(Act::Update)))
        );
        std::fs::write(&otad, "{\"boot\":\"boot-0\",\"reached\":\"well\"}").unwrap();
        assert_eq!(read(&places).unwrap().reached, Reached::Started);
        std::fs::write(&otad, "{\"boot\":\"boot-1\",\"gave_up\":[\"sip\",\"\\u0007\"]}").unwrap();
        let End::GaveUp { checks } = read(&places).unwrap().end.unwrap() else { panic!("it gave up") };
        assert_eq!(checks[0].as_str(), "sip");
    }
}
