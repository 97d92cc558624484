//! The boards there are, and what is said of broken ones.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "the boards are files, and a test that lacks one has failed"
)]

use board::{Board, Problem, Role};
use proptest::prelude::*;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Every board's folder name and description.
fn boards() -> Vec<(String, String)> {
    let mut boards = Vec::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if let Ok(text) = std::fs::read_to_string(path.join("board.toml")) {
            boards.push((path.file_name().unwrap().to_string_lossy().into_owned(), text));
        }
    }
    boards.sort();
    boards
}

fn text(name: &str) -> String {
    boards().into_iter().find(|(folder, _)| folder == name).unwrap().1
}

/// What is said of the virtual box after `from` became `to`.
fn broken(changes: &[(&str, &str)]) -> Vec<Problem> {
    let mut text = text("qemu-x86_64");
    for (from, to) in changes {
        assert!(text.contains(from), "{from} is not in the description");
        text = text.replacen(from, to, 1);
    }
    Board::parse(&text).expect_err("it is broken").0
}

fn said(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn the_four_boards_are_good_and_named_as_their_folders() {
    let boards = boards();
    let names: Vec<_> = boards.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["arm-rack", "qemu-aarch64", "qemu-x86_64", "x86-rack"]);
    for (name, text) in boards {
        let board = Board::parse(&text).unwrap_or_else(|problems| panic!("{name}:\n{problems}"));
        assert_eq!(board.name.as_str(), name);
    }
}

#[test]
fn every_board_has_a_kernel_fragment_that_turns_its_modules_on() {
    for (name, _) in boards() {
        let fragment = std::fs::read_to_string(folder().join(&name).join("kernel.cfg")).unwrap();
        for needed in ["CONFIG_DM_VERITY=", "CONFIG_SQUASHFS_ZSTD=", "CONFIG_WATCHDOG_HANDLE_BOOT_ENABLED=y"]
        {
            assert!(fragment.contains(needed), "{name}/kernel.cfg lacks {needed}");
        }
    }
}

#[test]
fn no_two_boards_have_the_same_disk() {
    let mut guids: Vec<_> =
        boards().iter().map(|(_, text)| Board::parse(text).unwrap().disk.guid.to_string()).collect();
    guids.sort();
    let count = guids.len();
    guids.dedup();
    assert_eq!(guids.len(), count);
}

#[test]
fn every_wrong_field_is_told_at_once_with_its_place_and_a_way_out() {
    let problems = broken(&[
        ("speed = 115200", "speed = 115201"),
        ("device = \"ttyS0\"", "device = \"../ttyS0\""),
        ("role = \"management\"", "role = \"manager\""),
        ("path = \"pci-0000:03:00.0\"\n", ""),
        ("arch = \"x86_64\"", "arch = \"x86_64\"\ncolour = \"red\""),
        ("size_mib = 64, ", "size_mib = 0, "),
        ("timeout = 30", "timeout = \"30s\""),
    ]);
    let said = said(&problems);
    for (field, way_out) in [
        ("serial.speed", "115200"),
        ("serial.device", "letters, digits"),
        ("nics[1].role", "`service`"),
        ("nics[2].path", "is missing"),
        ("board.colour", "expected one of `name`, `title`, `product`, `arch`"),
        ("disk.partitions[0].size_mib", "1 to 16777216"),
        ("watchdogs[0].timeout", "expected u16"),
    ] {
        assert!(
            said.iter().any(|line| line.starts_with(field) && line.contains(way_out)),
            "{field} with {way_out} is missing in {said:#?}"
        );
    }
    assert_eq!(said.len(), 7, "{said:#?}");
}

#[test]
fn parts_that_contradict_each_other_are_all_told() {
    let problems = broken(&[
        ("name = \"lan1\"", "name = \"lan0\""),
        ("name = \"lan2\"", "name = \"eth2\""),
        ("timestamping = \"software\"", "timestamping = \"hardware\""),
        ("\"e1000e\", ", ""),
        ("keeper = \"systemd\"", "keeper = \"otad\""),
        ("key_back = 5", "key_back = 4"),
        ("columns = 20", "columns = 21"),
        ("\"dm-verity\", ", ""),
        ("linux-image-6.12-amd64", "linux-image-6.12-arm64"),
        ("arguments = [\"cryptomgr.notests\"]", "arguments = [\"root=/dev/sda1\", \"a b\"]"),
    ]);
    let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
    for field in [
        "nics[1].name",
        "nics[2].name",
        "nics[2].timestamping",
        "nics[2].driver",
        "watchdogs",
        "panel.lines.key_back",
        "panel",
        "kernel.initrd",
        "kernel.package",
        "boot.arguments[0]",
        "boot.arguments[1]",
    ] {
        assert!(fields.contains(&field), "{field} is missing in {fields:?}");
    }
    assert_eq!(fields.len(), 11, "{fields:?}");
}

#[test]
fn a_disk_without_its_eight_partitions_in_order_is_refused() {
    let problems = broken(&[("name = \"STATE\"", "name = \"DATA\"")]);
    assert!(said(&problems)[0].contains("ESP, BOOT-A, BOOT-B, ROOT-A, ROOT-B, RECOVERY, STATE, DATA"));
}

#[test]
fn a_partition_of_a_type_by_which_nobody_finds_it_is_refused() {
    let problems =
        broken(&[("4f68bce3-e8cd-4db1-96e7-fbcaf984b709", "b921b045-1df0-41c3-af44-4c6f280d3fae")]);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].message.contains("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"));
}

#[test]
fn slots_of_different_size_are_refused() {
    let problems = broken(&[("\"ROOT-B\",   size_mib = 256", "\"ROOT-B\",   size_mib = 255")]);
    assert!(problems[0].message.contains("ROOT-A and ROOT-B differ"));
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    let problems = broken(&[("[serial]", "[serial")]);
    assert!(problems[0].message.starts_with("not TOML"), "{problems:?}");
    assert!(problems[0].message.contains("line "), "{problems:?}");
}

#[test]
fn slots_have_their_partitions_on_every_board() {
    for (name, text) in boards() {
        let board = Board::parse(&text).unwrap();
        for role in Role::ALL {
            assert!(board.disk.partition(role).is_some(), "{name} has no {role}");
        }
    }
}

proptest! {
    /// A description that was cut or scribbled over is refused or good, never a panic, and always ends.
    #[test]
    fn scribbled_descriptions_are_answered(at in 0usize..3000, length in 0usize..40, put in "[a-z0-9\\[\\]=\" \n.]{0,8}") {
        let mut text = text("x86-rack");
        let boundary = |mut at: usize| { at = at.min(text.len()); while !text.is_char_boundary(at) { at -= 1; } at };
        let (from, to) = (boundary(at), boundary(at + length));
        text.replace_range(from..to, &put);
        if let Err(problems) = Board::parse(&text) {
            prop_assert!(!problems.0.is_empty());
        }
    }
}
