//! What the Yocto layers take from the boards: for each its disk as wic reads it, its figures, and its files on the root; and the
//! users of every box.

use super::tree::Tree;
use crate::image::{kernel_arguments, users};
use anyhow::{Context, Result, anyhow};
use board::{Board, Content, Filesystem, Partition};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The folder of the layer that holds the boxes.
const LAYER: &str = "yocto/meta-gantry-bsp";
/// The folder of what boards lay into the root.
const FILES: &str = "yocto/meta-gantry-bsp/files/board";
/// The folder of the users.
const ACCOUNTS: &str = "yocto/meta-gantry-distro/files/accounts";
/// Who the users are.
const USERS: &str = "board/rootfs/usr/lib/sysusers.d/gantry.conf";

/// Everything that is written, by its path from the root.
type Wanted = BTreeMap<String, Content>;

/// Writes what the layers take from the boards.
///
/// # Errors
/// If a board cannot be read, or a file not be written.
pub fn write(tree: &Tree) -> Result<()> {
    let (_, wanted) = wanted(tree)?;
    for path in leftovers(tree, &wanted) {
        std::fs::remove_file(tree.root().join(&path)).with_context(|| format!("cannot remove {path}"))?;
        eprintln!("removed: {path}");
    }
    for (path, content) in &wanted {
        match content {
            Content::Text(text) => tree.write(path, text)?,
            Content::Link(to) => tree.link(path, to)?,
        }
    }
    Ok(())
}

/// What in the layers departs from the boards, and how many boards there are.
///
/// # Errors
/// If a board cannot be read.
pub fn check(tree: &Tree) -> Result<(usize, Vec<String>)> {
    let (boards, wanted) = wanted(tree)?;
    let mut problems = Vec::new();
    for (path, content) in &wanted {
        match (tree.found(path), content) {
            (None, _) => problems.push(format!("{path}: is missing; run `cargo xtask yocto layout`")),
            (Some(Content::Text(found)), Content::Text(text)) => {
                problems.extend(first_difference(path, &found, text));
            }
            (Some(found), content) if found != *content => {
                problems.push(format!(
                    "{path}: is {found:?}, its board wants {content:?}; run `cargo xtask yocto layout`"
                ));
            }
            _ => {}
        }
    }
    let unwanted = leftovers(tree, &wanted);
    problems.extend(
        unwanted.iter().map(|path| format!("{path}: no board wants it; run `cargo xtask yocto layout`")),
    );
    Ok((boards, problems))
}

/// Files of boards that no board wants any more.
fn leftovers(tree: &Tree, wanted: &Wanted) -> Vec<String> {
    let found = tree.files(FILES, &[""]).unwrap_or_default();
    found.into_iter().filter(|path| !wanted.contains_key(path)).collect()
}

fn first_difference(path: &str, found: &str, wanted: &str) -> Option<String> {
    if found == wanted {
        return None;
    }
    let lines = found.lines().chain(std::iter::repeat("")).zip(wanted.lines().chain(std::iter::repeat("")));
    let (line, (found, wanted)) = lines
        .zip(1..)
        .map(|(pair, line)| (line, pair))
        .take(found.lines().count().max(wanted.lines().count()))
        .find(|(_, (found, wanted))| found != wanted)
        .unwrap_or((0, ("", "")));
    Some(format!("{path}:{line}: has `{found}`, its board wants `{wanted}`; run `cargo xtask yocto layout`"))
}

fn wanted(tree: &Tree) -> Result<(usize, Wanted)> {
    let mut wanted = Wanted::new();
    let paths = tree.files("board", &["/board.toml"])?;
    for path in &paths {
        let board = Board::parse(&tree.read(path)?).map_err(|problems| anyhow!("{path}:\n{problems}"))?;
        let name = board.name.as_str();
        wanted.insert(format!("{LAYER}/files/wic/gantry-{name}.wks.in"), Content::Text(disk(&board)));
        wanted
            .insert(format!("{LAYER}/conf/machine/include/board-{name}.inc"), Content::Text(figures(&board)));
        wanted.extend(
            board.files().into_iter().map(|file| (format!("{FILES}/{name}/{}", file.path), file.content)),
        );
    }
    let accounts = users::accounts(&tree.read(USERS)?).context(USERS)?;
    wanted.insert(format!("{ACCOUNTS}/passwd"), Content::Text(accounts.passwd));
    wanted.insert(format!("{ACCOUNTS}/group"), Content::Text(accounts.group));
    Ok((paths.len(), wanted))
}

fn head(board: &Board) -> String {
    format!("# Written by `cargo xtask yocto layout` from board/{}/board.toml; change that.\n", board.name)
}

/// The disk, as wic's kickstart has it.
fn disk(board: &Board) -> String {
    let mut text = format!("# short-description: The disk of {}\n", board.title);
    text.push_str(&head(board));
    text.push_str("bootloader --ptable gpt\n");
    for partition in &board.disk.partitions {
        text.push_str(&part(partition));
    }
    text
}

fn part(partition: &Partition) -> String {
    let name = partition.name.label();
    let content = match partition.filesystem {
        Filesystem::Fat32 => {
            format!("--source rawcopy --sourceparams=\"file=${{GANTRY_SLOTS}}/{name}.vfat\"")
        }
        Filesystem::SquashfsVerity => {
            "--source rawcopy --sourceparams=\"file=${GANTRY_VERITY_IMAGE}.verity\"".to_owned()
        }
        Filesystem::Ext4 => format!("--fstype ext4 --label {name}"),
    };
    format!(
        "part {content} --part-name {name} --part-type {} --align 1024 --fixed-size {}M\n",
        partition.kind,
        partition.size_mib.count()
    )
}

/// Modules of Debian's kernel (6.12) that oe-core's (6.18) has no more: the kernel's own SHA-256 uses the processor's instructions
/// by itself since 6.16.
const WITHIN_THE_KERNEL: &[&str] = &["sha256-ssse3"];

/// What a machine's configuration and the classes ask of a board.
fn figures(board: &Board) -> String {
    let mut text = head(board);
    let mut set = |name: &str, value: &str| {
        let _ = writeln!(text, "{name} = \"{value}\"");
    };
    set("GANTRY_BOARD", board.name.as_str());
    set("GANTRY_EFI_ARCH", board.arch.efi());
    set("GANTRY_EFI_LOADER", &format!("BOOT{}.EFI", board.arch.efi().to_uppercase()));
    set("GANTRY_KERNEL_ARGUMENTS", &kernel_arguments(board));
    // A watchdog's driver may stop what the loader armed, so it is loaded last, just before the service manager feeds it.
    let watchdog = |module: &&board::Name| board.watchdogs.iter().any(|watchdog| watchdog.driver == **module);
    let names =
        |modules: Vec<&board::Name>| modules.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let modules = board.kernel.initrd.iter().filter(|module| !WITHIN_THE_KERNEL.contains(&module.as_str()));
    let (late, early): (Vec<_>, Vec<_>) = modules.partition(watchdog);
    set("GANTRY_MODULES_EARLY", &names(early));
    set("GANTRY_MODULES_LATE", &names(late));
    set("GANTRY_WATCHDOG_TIMEOUT", &board.loader_watchdog().to_string());
    set("GANTRY_DISK_GUID", &board.disk.guid.to_string());
    for partition in &board.disk.partitions {
        set(&format!("GANTRY_PARTITION_MIB[{}]", partition.name), &partition.size_mib.count().to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boards() -> Vec<Board> {
        let tree = Tree::here();
        let paths = tree.files("board", &["/board.toml"]).unwrap();
        paths.iter().map(|path| Board::parse(&tree.read(path).unwrap()).unwrap()).collect()
    }

    fn board(name: &str) -> Board {
        boards().into_iter().find(|board| board.name.as_str() == name).unwrap()
    }

    /// The value after an option in a line of a kickstart.
    fn option<'a>(line: &'a str, name: &str) -> &'a str {
        let words: Vec<_> = line.split(' ').collect();
        let at =
            words.iter().position(|word| *word == name).unwrap_or_else(|| panic!("{name} is not in {line}"));
        words[at + 1]
    }

    #[test]
    fn a_disk_has_its_board_s_partitions_in_their_order_with_their_sizes_and_types() {
        for board in boards() {
            let text = disk(&board);
            let parts: Vec<_> = text.lines().filter(|line| line.starts_with("part ")).collect();

            assert_eq!(parts.len(), board.disk.partitions.len(), "{}", board.name);
            for (line, partition) in parts.iter().zip(&board.disk.partitions) {
                assert_eq!(option(line, "--part-name"), partition.name.label());
                assert_eq!(option(line, "--part-type"), partition.kind.to_string());
                assert_eq!(option(line, "--fixed-size"), format!("{}M", partition.size_mib.count()));
            }
        }
    }

    #[test]
    fn a_kickstart_uses_only_words_that_wic_knows() {
        let known = [
            "--source",
            "--part-name",
            "--part-type",
            "--align",
            "--fixed-size",
            "--fstype",
            "--label",
            "--ptable",
        ];
        for board in boards() {
            for word in
                disk(&board).lines().filter(|line| !line.starts_with('#')).flat_map(|line| line.split(' '))
            {
                let option = word.split('=').next().unwrap_or(word);
                assert!(
                    !option.starts_with("--") || known.contains(&option) || option == "--sourceparams",
                    "{word}"
                );
            }
        }
    }

    #[test]
    fn both_slots_and_the_recovery_hold_the_verified_root_and_each_boot_partition_its_own_files() {
        let text = disk(&board("x86-rack"));

        let verified = "--source rawcopy --sourceparams=\"file=${GANTRY_VERITY_IMAGE}.verity\"";
        for name in ["ROOT-A", "ROOT-B", "RECOVERY"] {
            assert!(text.contains(&format!("part {verified} --part-name {name} ")), "{text}");
        }
        for name in ["ESP", "BOOT-A", "BOOT-B"] {
            let own = format!("--sourceparams=\"file=${{GANTRY_SLOTS}}/{name}.vfat\" --part-name {name} ");
            assert!(text.contains(&own), "{text}");
        }
        assert!(text.contains("part --fstype ext4 --label STATE --part-name STATE "), "{text}");
    }

    #[test]
    fn figures_name_the_console_the_loader_and_the_time_a_start_may_take() {
        let text = figures(&board("qemu-aarch64"));

        assert!(text.contains("GANTRY_EFI_LOADER = \"BOOTAA64.EFI\"\n"), "{text}");
        assert!(text.contains("GANTRY_KERNEL_ARGUMENTS = \"console=ttyAMA0,115200 "), "{text}");
        assert!(text.contains("GANTRY_WATCHDOG_TIMEOUT = \"0\"\n"), "the loader drives none there:\n{text}");
        assert!(text.contains("GANTRY_PARTITION_MIB[BOOT-A] = \"192\"\n"), "{text}");
    }

    #[test]
    fn modules_of_the_initrd_keep_their_order_and_a_watchdog_s_driver_comes_late() {
        let text = figures(&board("x86-rack"));

        let early = "GANTRY_MODULES_EARLY = \"nvme ahci sd_mod dm-mod dm-verity squashfs\"\n";
        assert!(text.contains(early), "{text}");
        assert!(text.contains("GANTRY_MODULES_LATE = \"iTCO_wdt\"\n"), "{text}");
    }

    #[test]
    fn a_difference_is_told_with_its_line_and_both_sides() {
        let said = first_difference("a.wks.in", "one\ntwo\n", "one\n2\nthree\n");
        assert_eq!(
            said.as_deref(),
            Some("a.wks.in:2: has `two`, its board wants `2`; run `cargo xtask yocto layout`")
        );
        assert_eq!(first_difference("a.wks.in", "one\n", "one\n"), None);
    }

    #[test]
    fn the_layer_is_as_the_boards_want_it() {
        let (boards, problems) = check(&Tree::here()).unwrap();
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(boards, 4);
    }
}
