//! The slots held against the bootloader's own rule, its own tools, and power cuts between any two sectors.

use super::*;
use hal::slots::SlotState;
use proptest::prelude::*;
use std::fs;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// A disk with two boot partitions.
struct Disk(TempDir);

impl Disk {
    /// A proven with revision 1; B never installed.
    fn new() -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        for slot in Slot::BOTH {
            fs::create_dir(disk.folder(slot)).unwrap();
        }
        let a = Environment::new(&disk.place(Slot::A).recipe).in_state(SlotState::Ok, 1);
        fs::write(disk.file(Slot::A), a.bytes()).unwrap();
        fs::write(disk.file(Slot::B), Environment::new(&disk.place(Slot::B).recipe).bytes()).unwrap();
        disk
    }

    fn folder(&self, slot: Slot) -> PathBuf {
        self.0.path().join(format!("BOOT-{slot}"))
    }

    fn file(&self, slot: Slot) -> PathBuf {
        self.folder(slot).join(FILE)
    }

    fn place(&self, slot: Slot) -> Place {
        let kernel = format!("C:BOOT-{slot}:GANTRY.EFI");
        Place { folder: self.folder(slot), recipe: Recipe { kernel, watchdog: Duration::from_secs(60) } }
    }

    fn control(&self, booted: Option<Slot>) -> EfiBootGuard {
        EfiBootGuard::new(self.place(Slot::A), self.place(Slot::B), booted)
    }

    fn bytes(&self) -> [Vec<u8>; 2] {
        Slot::BOTH.map(|slot| fs::read(self.file(slot)).unwrap())
    }

    /// What the bootloader does at power on.
    fn boot(&self) -> Option<Slot> {
        let mut records = self.bytes();
        let booted = loader(&mut records);
        for (slot, bytes) in Slot::BOTH.into_iter().zip(&records) {
            fs::write(self.file(slot), bytes).unwrap();
        }
        booted
    }
}

/// EFI Boot Guard's rule, as its documentation (docs/UPDATE.md) and `load_config` of version 0.13 have it, written
/// down once more without any code of ours but the reading of records. It changes the records as it would, and
/// returns the slot it boots; `None` where no record has a revision.
fn loader(records: &mut [Vec<u8>; 2]) -> Option<Slot> {
    let valid = records.each_ref().map(|bytes| Environment::parse(bytes).is_some());
    let revision = |bytes: &[u8]| u32::from_le_bytes(bytes[1024..1028].try_into().unwrap());
    let revisions = [0, 1].map(|i| if valid[i] { revision(&records[i]) } else { 0 });
    let latest = usize::from(revisions[1] > revisions[0]);
    let other = 1 - latest;
    let mut current = latest;
    if revisions[latest] > 0 {
        let (in_progress, state) = (records[latest][1020], records[latest][1021]);
        if in_progress == 1 {
            current = other;
        } else if state == 2 {
            save(&mut records[latest], 3, 0);
            current = other;
        } else if state == 1 {
            save(&mut records[latest], 2, revisions[latest]);
        }
    }
    (revisions[current] > 0).then_some([Slot::A, Slot::B][current])
}

/// What it writes back.
fn save(record: &mut [u8], state: u8, revision: u32) {
    record[1021] = state;
    record[1024..1028].copy_from_slice(&revision.to_le_bytes());
    let crc = crc32(&record[..BYTES - 4]);
    record[BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn a_staged_slot_is_tried_once_and_stays_when_it_is_marked_good() {
    let disk = Disk::new();
    assert_eq!(disk.boot(), Some(Slot::A));
    assert_eq!(disk.control(Some(Slot::A)).stage_other().unwrap(), Slot::B);
    assert_eq!(disk.boot(), Some(Slot::B));
    let mut control = disk.control(Some(Slot::B));
    assert_eq!(control.slots().unwrap().b, SlotStatus::Known { state: SlotState::Testing, revision: 2 });
    control.mark_good().unwrap();
    assert_eq!([disk.boot(), disk.boot()], [Some(Slot::B); 2]);
    assert_eq!(disk.control(Some(Slot::B)).stage_other().unwrap(), Slot::A);
    assert_eq!(disk.boot(), Some(Slot::A));
}

#[test]
fn a_staged_slot_that_hangs_has_failed_and_the_old_one_is_back() {
    let disk = Disk::new();
    disk.control(Some(Slot::A)).stage_other().unwrap();
    assert_eq!([disk.boot(), disk.boot(), disk.boot()], [Some(Slot::B), Some(Slot::A), Some(Slot::A)]);
    let slots = disk.control(Some(Slot::A)).slots().unwrap();
    assert_eq!(slots.b, SlotStatus::Known { state: SlotState::Failed, revision: 0 });
}

#[test]
fn a_proven_slot_that_no_longer_starts_is_left_when_the_recovery_system_marks_it() {
    let disk = Disk::new();
    disk.control(Some(Slot::A)).stage_other().unwrap();
    disk.boot();
    disk.control(Some(Slot::B)).mark_good().unwrap();
    assert_eq!(
        [disk.boot(), disk.boot()],
        [Some(Slot::B); 2],
        "the bootloader never leaves an OK slot by itself"
    );
    disk.control(None).mark_failed(Slot::B).unwrap();
    assert_eq!(disk.boot(), Some(Slot::A));
}

#[test]
fn what_was_found_of_a_slot_is_known_until_something_is_staged_in_it() {
    let disk = Disk::new();
    let mut control = disk.control(Some(Slot::A));
    assert_eq!(control.noted(Slot::B), None);

    control.note(Slot::B, Inspected::RootDamaged).unwrap();
    control.note(Slot::B, Inspected::ImageDamaged).unwrap();
    assert_eq!(control.noted(Slot::B), Some(Inspected::ImageDamaged));
    assert_eq!(control.noted(Slot::A), None);

    control.stage_other().unwrap();
    assert_eq!(control.noted(Slot::B), None);
    fs::write(disk.folder(Slot::B).join(FOUND), [0xff; 100]).unwrap();
    assert_eq!(control.noted(Slot::B), None, "what is no word of ours says nothing");
}

#[test]
fn damaged_and_missing_records_are_made_anew() {
    for damage in ["cut", "removed", "zeroed"] {
        let disk = Disk::new();
        match damage {
            "cut" => fs::write(disk.file(Slot::B), b"short").unwrap(),
            "removed" => fs::remove_file(disk.file(Slot::B)).unwrap(),
            _ => fs::write(disk.file(Slot::B), vec![0xff; BYTES + 10]).unwrap(),
        }
        let mut control = disk.control(Some(Slot::A));
        assert_eq!(control.slots().unwrap().b, SlotStatus::Damaged, "{damage}");
        control.stage_other().unwrap();
        let made = Environment::parse(&fs::read(disk.file(Slot::B)).unwrap()).unwrap();
        assert_eq!((made.kernel().as_str(), made.watchdog().as_secs()), ("C:BOOT-B:GANTRY.EFI", 60));
        assert_eq!(disk.boot(), Some(Slot::B), "{damage}");
    }
}

#[test]
fn a_file_that_is_no_file_is_an_error_that_names_it() {
    let disk = Disk::new();
    fs::remove_file(disk.file(Slot::B)).unwrap();
    fs::create_dir(disk.file(Slot::B)).unwrap();
    let error = disk.control(Some(Slot::A)).slots().unwrap_err().to_string();
    assert!(error.contains("BOOT-B/BGENV.DAT: read failed"), "{error}");
}

#[test]
fn the_running_slot_stands_on_the_command_line() {
    assert_eq!(booted("quiet gantry.root=ROOT-A gantry.verity=x"), Some(Slot::A));
    assert_eq!(booted("gantry.root=ROOT-B\n"), Some(Slot::B));
    assert_eq!(booted("gantry.root=RECOVERY"), None);
    assert_eq!(booted("xgantry.root=ROOT-A"), None);
    assert_eq!(booted(""), None);
}

// The bootloader's own tools, on the same files.

fn tool(name: &str, arguments: &[&str]) -> String {
    let output = Command::new(name).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{name}: {error}; apt-get install efibootguard"));
    assert!(output.status.success(), "{name} {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn printed(disk: &Disk, slot: Slot) -> String {
    let file = disk.file(slot);
    tool("bg_printenv", &["--filepath", file.to_str().unwrap(), "--raw"])
}

#[test]
fn what_we_write_the_bootloaders_own_tool_reads() {
    let disk = Disk::new();
    disk.control(Some(Slot::A)).stage_other().unwrap();
    let staged = printed(&disk, Slot::B);
    for line in [
        "IN_PROGRESS=0",
        "REVISION=2",
        "KERNEL=C:BOOT-B:GANTRY.EFI",
        "KERNELARGS=",
        "WATCHDOG_TIMEOUT=60",
        "USTATE=1",
    ] {
        assert!(staged.lines().any(|printed| printed == line), "{line} is not in {staged}");
    }
    disk.boot();
    disk.control(Some(Slot::B)).mark_good().unwrap();
    let good = printed(&disk, Slot::B);
    assert!(
        good.contains("USTATE=0\n") && good.contains("REVISION=2\n") && good.contains("KERNELARGS=\n"),
        "{good}"
    );
    disk.control(Some(Slot::A)).mark_failed(Slot::B).unwrap();
    assert!(printed(&disk, Slot::B).contains("USTATE=3\n"));
}

#[test]
fn what_the_bootloaders_own_tool_writes_we_read_and_keep() {
    let disk = Disk::new();
    let file = disk.file(Slot::B);
    let set = |arguments: &[&str]| {
        let all: Vec<_> = ["--filepath", file.to_str().unwrap(), "--preserve"]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        tool("bg_setenv", &all);
    };
    set(&[
        "-k",
        "C:BOOT-B:OTHER.EFI",
        "-a",
        "quiet x=1",
        "-r",
        "5",
        "-s",
        "TESTING",
        "-w",
        "30",
        "-x",
        "owner=somebody",
    ]);
    let mut control = disk.control(Some(Slot::B));
    assert_eq!(control.slots().unwrap().b, SlotStatus::Known { state: SlotState::Testing, revision: 5 });
    let read = Environment::parse(&fs::read(&file).unwrap()).unwrap();
    assert_eq!((read.kernel().as_str(), read.watchdog().as_secs()), ("C:BOOT-B:OTHER.EFI", 30));
    control.mark_good().unwrap();
    let printed = printed(&disk, Slot::B);
    for line in
        ["USTATE=0", "REVISION=5", "KERNEL=C:BOOT-B:OTHER.EFI", "KERNELARGS=quiet x=1", "owner=somebody"]
    {
        assert!(printed.lines().any(|printed| printed == line), "{line} is not in {printed}");
    }
    set(&["-s", "INSTALLED", "-r", "6"]);
    assert_eq!(control.slots().unwrap().b, SlotStatus::Known { state: SlotState::Installed, revision: 6 });
    set(&["-i", "1"]);
    assert_eq!(control.slots().unwrap().b.revision(), 0, "it is being filled");
}

// Power cuts.

/// Every state in which a power cut may leave a file: each sector that changes is old or new.
fn cuts(old: &[u8], new: &[u8]) -> Vec<Vec<u8>> {
    let changed: Vec<_> =
        (0..old.len().div_ceil(SECTOR)).filter(|n| sector(old, *n) != sector(new, *n)).collect();
    assert!(changed.len() <= 8, "{} sectors change", changed.len());
    let subsets = 0..1u32 << changed.len();
    let cut = |subset: u32| {
        let mut bytes = old.to_vec();
        for (bit, n) in changed.iter().enumerate().filter(|(bit, _)| subset >> bit & 1 == 1) {
            let _ = bit;
            bytes[n * SECTOR..][..sector(new, *n).len()].copy_from_slice(sector(new, *n));
        }
        bytes
    };
    subsets.map(cut).collect()
}

fn sector(bytes: &[u8], number: usize) -> &[u8] {
    let end = bytes.len().min((number + 1) * SECTOR);
    &bytes[number * SECTOR..end]
}

/// What the box boots now and after it, when nothing marks anything.
fn future(records: &[Vec<u8>; 2]) -> [Option<Slot>; 3] {
    let mut records = records.clone();
    [0; 3].map(|_| loader(&mut records))
}

/// Does `act` and holds every cut in its midst against before and after; returns how many cuts there were.
fn cut_in_the_midst(disk: &Disk, booted: Option<Slot>, act: impl Fn(&mut EfiBootGuard)) -> usize {
    let before = disk.bytes();
    act(&mut disk.control(booted));
    let after = disk.bytes();
    let changed: Vec<_> = (0..2).filter(|i| before[*i] != after[*i]).collect();
    assert!(changed.len() <= 1, "an act writes one slot's record only");
    let mut count = 0;
    for i in changed {
        for cut in cuts(&before[i], &after[i]) {
            let mut records = before.clone();
            records[i] = cut;
            let then = future(&records);
            assert!(then == future(&before) || then == future(&after), "neither old nor new: {then:?}");
            assert!(then.iter().all(Option::is_some), "the box boots");
            count += 1;
        }
    }
    count
}

#[test]
fn a_power_cut_at_any_sector_leaves_old_or_new() {
    let disk = Disk::new();
    let mut count = 0;
    for _ in 0..4 {
        let running = disk.boot();
        count += cut_in_the_midst(&disk, running, |control| assert!(control.stage_other().is_ok()));
        let tried = disk.boot();
        assert_eq!(tried, running.map(Slot::other));
        count += cut_in_the_midst(&disk, tried, |control| control.mark_good().unwrap());
        count += cut_in_the_midst(&disk, tried, |control| control.mark_failed(running.unwrap()).unwrap());
    }
    assert!(count >= 4 * (4 + 2 + 4), "only {count} cuts");
}

#[test]
fn a_power_cut_while_a_proven_slot_is_given_up_leaves_old_or_new() {
    let disk = Disk::new();
    disk.control(Some(Slot::A)).stage_other().unwrap();
    disk.boot();
    disk.control(Some(Slot::B)).mark_good().unwrap();
    let count = cut_in_the_midst(&disk, None, |control| control.mark_failed(Slot::B).unwrap());
    assert!(count >= 4, "only {count} cuts");
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Stage,
    Good,
    Failed(Slot),
    Boot,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_files_do_what_the_fake_does(
        acts in prop::collection::vec(
            prop::sample::select(vec![Act::Stage, Act::Good, Act::Failed(Slot::A), Act::Failed(Slot::B), Act::Boot, Act::Boot]), 1..30,
        ),
    ) {
        let disk = Disk::new();
        let mut booted = disk.boot();
        let mut fake = hal::slots::FakeBootControl::new(disk.control(booted).slots().unwrap());
        for act in acts {
            let mut control = disk.control(booted);
            let same = match act {
                Act::Stage => control.stage_other().ok() == fake.stage_other().ok(),
                Act::Good => control.mark_good().is_ok() == fake.mark_good().is_ok(),
                Act::Failed(slot) => control.mark_failed(slot).is_ok() == fake.mark_failed(slot).is_ok(),
                Act::Boot => {
                    booted = disk.boot();
                    booted == fake.restart()
                }
            };
            prop_assert!(same, "{:?}", act);
            prop_assert_eq!(disk.control(booted).slots().unwrap(), fake.slots().unwrap());
        }
    }
}
