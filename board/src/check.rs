//! How the parts of a board go together.

use crate::parts::{Arch, Boot, Keeper, Panel, Timestamping};
use crate::read::Problem;
use crate::{Board, Role};
use std::collections::BTreeSet;

/// Sizes that the characters of an HD44780 come in.
const DISPLAYS: [(u8, u8); 2] = [(16, 2), (20, 4)];
/// Longest kernel command line on x86 (COMMAND_LINE_SIZE), in bytes, less what the builder adds.
const ARGUMENT_BYTES: usize = 1024;
/// What the kernel calls the longest interface (IFNAMSIZ less its end).
const INTERFACE_BYTES: usize = 15;

/// Everything in which `board` contradicts itself.
pub(crate) fn check(board: &Board) -> Vec<Problem> {
    let mut problems = Found::default();
    nics(board, &mut problems);
    watchdogs(board, &mut problems);
    panel(&board.panel, &mut problems);
    sensors(board, &mut problems);
    kernel(board, &mut problems);
    boot(&board.boot, &mut problems);
    disk(board, &mut problems);
    problems.0
}

#[derive(Default)]
struct Found(Vec<Problem>);

impl Found {
    fn add(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { field: field.into(), message: message.into() });
    }
}

/// The indices of those that were there before.
fn twice<T: Ord>(values: impl Iterator<Item = T>) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    values.enumerate().filter_map(|(index, value)| (!seen.insert(value)).then_some(index)).collect()
}

fn nics(board: &Board, problems: &mut Found) {
    if board.nics.is_empty() {
        problems.add("nics", "are missing; a gateway without a network is none, add [[nics]]");
    }
    for index in twice(board.nics.iter().map(|nic| &nic.name)) {
        problems.add(format!("nics[{index}].name"), "is taken by another; give each its own");
    }
    for index in twice(board.nics.iter().map(|nic| &nic.path)) {
        problems.add(format!("nics[{index}].path"), "is that of another; only one interface is at a place");
    }
    for (index, nic) in board.nics.iter().enumerate() {
        let name = nic.name.as_str();
        let from_kernel =
            name.strip_prefix("eth").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
        if name.len() > INTERFACE_BYTES || name.contains([':', '.', '+']) {
            problems.add(
                format!("nics[{index}].name"),
                format!(
                    "{name:?} is no interface's name; write up to {INTERFACE_BYTES} letters, digits, - and _"
                ),
            );
        } else if from_kernel {
            problems.add(
                format!("nics[{index}].name"),
                format!(
                    "{name:?} is a name that the kernel gives by order of discovery; write \"lan{index}\""
                ),
            );
        }
        // QEMU's e1000e claims stamps in hardware and delivers none.
        if nic.driver.as_str() == "e1000e" && nic.timestamping != Timestamping::Software {
            problems.add(
                format!("nics[{index}].timestamping"),
                "e1000e claims stamps that never come where it is emulated; write \"software\"",
            );
        }
    }
    let modules: BTreeSet<_> = board.kernel.modules.iter().collect();
    for (index, nic) in board.nics.iter().enumerate().filter(|(_, nic)| !modules.contains(&nic.driver)) {
        problems.add(
            format!("nics[{index}].driver"),
            format!("{} is not in kernel.modules; add it there", nic.driver),
        );
    }
}

fn watchdogs(board: &Board, problems: &mut Found) {
    let kept = |keeper| board.watchdogs.iter().filter(|watchdog| watchdog.keeper == keeper).count();
    if kept(Keeper::Systemd) != 1 {
        problems.add(
            "watchdogs",
            "need exactly one with keeper = \"systemd\": it resets a box whose kernel hangs",
        );
    }
    if kept(Keeper::Otad) > 1 {
        problems.add("watchdogs", "may have one with keeper = \"otad\"; take the others out");
    }
    let known = |name| board.kernel.modules.iter().chain(&board.kernel.initrd).any(|module| module == name);
    for (index, watchdog) in board.watchdogs.iter().enumerate() {
        if !known(&watchdog.driver) {
            problems.add(
                format!("watchdogs[{index}].driver"),
                format!("{} is not in kernel.modules; add it there", watchdog.driver),
            );
        }
        if watchdog.pretimeout.is_some_and(|pretimeout| pretimeout >= watchdog.timeout) {
            problems.add(
                format!("watchdogs[{index}].pretimeout"),
                format!("does not come before the time-out of {} s; write less", watchdog.timeout.count()),
            );
        }
    }
}

fn panel(panel: &Panel, problems: &mut Found) {
    let (Panel::I2cHd44780 { columns, rows, lines, .. } | Panel::Uhid { columns, rows, lines, .. }) = panel
    else {
        return;
    };
    if !DISPLAYS.contains(&(*columns, *rows)) {
        problems.add(
            "panel",
            format!("{columns} columns and {rows} rows is no display; write 16 and 2, or 20 and 4"),
        );
    }
    let all = lines.all();
    for index in twice(all.iter().map(|(_, line)| line)) {
        problems.add(format!("panel.lines.{}", all[index].0), "is the line of another; give each its own");
    }
}

fn sensors(board: &Board, problems: &mut Found) {
    for index in twice(board.sensors.iter().map(|sensor| &sensor.name)) {
        problems.add(format!("sensors[{index}].name"), "is taken by another; give each its own");
    }
    for (index, sensor) in board.sensors.iter().enumerate() {
        let prefix = sensor.quantity.prefix();
        let number = sensor.input.as_str().strip_prefix(prefix);
        if !number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())) {
            problems.add(
                format!("sensors[{index}].input"),
                format!("{:?} is not of its quantity; write \"{prefix}1\"", sensor.input.as_str()),
            );
        }
    }
}

fn kernel(board: &Board, problems: &mut Found) {
    for (field, modules) in [("initrd", &board.kernel.initrd), ("modules", &board.kernel.modules)] {
        for index in twice(modules.iter()) {
            problems.add(
                format!("kernel.{field}[{index}]"),
                format!("{} stands twice; remove one", modules[index]),
            );
        }
    }
    for needed in ["dm-verity", "squashfs"] {
        if !board.kernel.initrd.iter().any(|module| module.as_str() == needed) {
            problems
                .add("kernel.initrd", format!("lacks {needed}, without which no root is mounted; add it"));
        }
    }
    let suffix = match board.arch {
        Arch::X86_64 => "-amd64",
        Arch::Aarch64 => "-arm64",
    };
    let package = board.kernel.package.as_str();
    if !package.ends_with(suffix) {
        problems.add(
            "kernel.package",
            format!("{package:?} is not for {}; write \"linux-image-6.12{suffix}\"", board.arch),
        );
    }
}

fn boot(boot: &Boot, problems: &mut Found) {
    let Boot::EfiBootGuard { arguments, .. } = boot;
    let bytes: usize = arguments.iter().map(|argument| argument.len() + 1).sum();
    if bytes > ARGUMENT_BYTES {
        problems.add(
            "boot.arguments",
            format!("are {bytes} bytes; at most {ARGUMENT_BYTES} fit the command line"),
        );
    }
    for (index, argument) in arguments.iter().enumerate() {
        if argument.is_empty() || !argument.bytes().all(|b| b.is_ascii_graphic() && b != b'"') {
            problems.add(
                format!("boot.arguments[{index}]"),
                format!("{argument:?} is no argument; write one word without quotes"),
            );
        } else if ["console=", "gantry.", "root=", "init=", "rdinit="]
            .iter()
            .any(|own| argument.starts_with(own))
        {
            problems.add(
                format!("boot.arguments[{index}]"),
                format!("{argument:?} is for the builder to say; remove it"),
            );
        }
    }
}

fn disk(board: &Board, problems: &mut Found) {
    let partitions = &board.disk.partitions;
    let order: Vec<_> = partitions.iter().map(|partition| partition.name).collect();
    if order != Role::ALL {
        let names: Vec<_> = Role::ALL.iter().map(|role| role.label()).collect();
        problems.add(
            "disk.partitions",
            format!("are not the eight there must be; write, in this order, {}", names.join(", ")),
        );
    }
    for (index, partition) in partitions.iter().enumerate() {
        let (kind, filesystem) = (partition.name.kind(board.arch), partition.name.filesystem());
        if partition.kind != kind {
            problems.add(
                format!("disk.partitions[{index}].type"),
                format!("{} is not what {} is found by; write \"{kind}\"", partition.kind, partition.name),
            );
        }
        if partition.filesystem != filesystem {
            problems.add(
                format!("disk.partitions[{index}].filesystem"),
                format!(
                    "{} is not what {} holds; write \"{filesystem}\"",
                    partition.filesystem, partition.name
                ),
            );
        }
    }
    for [a, b] in [[Role::BootA, Role::BootB], [Role::RootA, Role::RootB], [Role::RootA, Role::Recovery]] {
        let size = |role| board.disk.partition(role).map(|partition| partition.size_mib);
        if size(a) != size(b) {
            problems.add(
                "disk.partitions",
                format!("{a} and {b} differ in size; what fits one must fit the other"),
            );
        }
    }
}
