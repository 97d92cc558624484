//! `cargo xtask image <board>`: a disk that boots, composed from pinned Debian packages and our programs.
//!
//! ```text
//!  board/<name>/board.toml ─┐
//!  packages.lock ─▶ mirror ─┼─▶ root (tree) ─▶ squashfs + verity ─┬──────────────▶ ROOT-A, ROOT-B, RECOVERY ─┐
//!  board/rootfs ────────────┤                       root hash ▼                                              ├─▶ disk.img
//!  our programs ────────────┘   kernel + initrd + command line ─▶ a.efi, b.efi ──▶ BOOT-A, BOOT-B, ESP ──────┘
//! ```
//! It needs neither root nor a loop device, and two builds are alike bit for bit: `--check-reproducible` builds again from a copy of
//! the sources in another folder and compares every artefact.

mod boot;
mod deb;
mod disk;
mod elf;
mod initrd;
mod installer;
mod kernel;
mod mirror;
mod packages;
mod programs;
mod reproduce;
mod root;
mod sbom;
mod tree;
#[cfg(test)]
mod units;
pub mod users;

pub use boot::arguments as kernel_arguments;

use crate::setup;
use crate::shell::{Program, root as workspace, target};
use anyhow::{Context, Result, bail};
use board::{Arch, Board, Role};
use boot::{Loader, Slot};
use kernel::Kernel;
use mirror::Mirror;
use packages::{Lock, Wanted};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Goal for a slot's root, in bytes.
const ROOT_GOAL: u64 = 64 << 20;
/// How often a root should fit into its slot, so that it may grow for years.
const ROOM: u64 = 4;

const HELP: &str = "\
cargo xtask image <board> [--debug] [--sign <key.pem> <certificate.pem>]   compose target/image/<board>/disk.img
                          [--programs <folder>]                            with programs that were built before
cargo xtask image <board> --installer [--order <install.toml>] [--as-is]   and a stick that installs it, installer.img;
                                                                           --as-is: of the image that is there
cargo xtask image <board> --check-reproducible [--programs <folder>]       build again elsewhere and compare
cargo xtask image --refresh-lock <board>                                   pin the mirror's newest packages
";

/// With a shell or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flavour {
    Release,
    Debug,
}

/// What a build is called, and when it is said to have been made.
struct Release {
    /// The workspace's version.
    version: String,
    /// The commit.
    build: String,
    /// Seconds since 1970: the commit's time.
    epoch: u64,
}

/// What the command line asks for.
enum Wish {
    Compose {
        board: String,
        flavour: Flavour,
        sign: Option<(PathBuf, PathBuf)>,
        built: Option<PathBuf>,
        stick: Stick,
    },
    Compare {
        board: String,
        built: Option<PathBuf>,
    },
    Refresh {
        board: String,
    },
    Help,
}

/// Whether a stick is made as well.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stick {
    /// The disk only.
    None,
    /// Disk and stick, with this order.
    Also(Option<PathBuf>),
    /// The stick only, of the disk that is there.
    Only(Option<PathBuf>),
}

/// `image ...`.
///
/// # Errors
/// If the command line is wrong or a part is missing; the message says which.
pub fn command(arguments: &[String]) -> Result<()> {
    match wish(arguments)? {
        Wish::Help => print!("{HELP}"),
        Wish::Refresh { board } => refresh(&board)?,
        Wish::Compose { board, flavour, sign, built, stick } => {
            setup::install(&[setup::BUILD, setup::IMAGE])?;
            let folder = match flavour {
                Flavour::Release => board.clone(),
                Flavour::Debug => format!("{board}-debug"),
            };
            let out = target().join("image").join(folder);
            if !matches!(stick, Stick::Only(_)) {
                compose(&board, flavour, built.as_deref(), &out)?;
                if let Some((key, certificate)) = &sign {
                    signed(&board, &out, key, certificate)?;
                }
            }
            if let Stick::Also(order) | Stick::Only(order) = stick {
                installer::make(&board, &out, &installer::Wish { order, sign, built })?;
            }
        }
        Wish::Compare { board, built } => {
            setup::install(&[setup::BUILD, setup::IMAGE])?;
            let out = target().join("image").join(&board);
            compose(&board, Flavour::Release, built.as_deref(), &out)?;
            reproduce::check(&board, &out, built.as_deref(), &Release::now()?)?;
        }
    }
    Ok(())
}

fn wish(arguments: &[String]) -> Result<Wish> {
    let (mut boards, mut flavour, mut sign, mut refresh, mut compare) =
        (Vec::new(), Flavour::Release, None, false, false);
    let (mut built, mut install, mut order, mut as_is) = (None, false, None, false);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--debug" => flavour = Flavour::Debug,
            "--check-reproducible" => compare = true,
            "--refresh-lock" => refresh = true,
            "--installer" => install = true,
            "--as-is" => as_is = true,
            "--order" => {
                let file = words.next().context("--order wants an install.toml")?;
                order = Some(std::path::absolute(file)?);
            }
            "--programs" => {
                let folder = words.next().context("--programs wants the folder they are in")?;
                built = Some(
                    std::fs::canonicalize(folder).with_context(|| format!("there is no folder {folder}"))?,
                );
            }
            "--sign" => {
                let (key, certificate) = (words.next(), words.next());
                let (Some(key), Some(certificate)) = (key, certificate) else {
                    bail!("--sign wants a key and a certificate, both PEM")
                };
                sign = Some((PathBuf::from(key), PathBuf::from(certificate)));
            }
            "--help" | "-h" => return Ok(Wish::Help),
            other if other.starts_with('-') => bail!("there is no option {other:?}\n{HELP}"),
            name => boards.push(name.to_owned()),
        }
    }
    let [board] = &boards[..] else {
        bail!("name one board: {}\n{HELP}", board_names()?.join(", "));
    };
    let board = board.clone();
    if !install && (as_is || order.is_some()) {
        bail!("--order and --as-is go with --installer\n{HELP}");
    }
    let stick = match (install, as_is) {
        (false, _) => Stick::None,
        (true, false) => Stick::Also(order),
        (true, true) => Stick::Only(order),
    };
    Ok(match (refresh, compare) {
        (true, _) => Wish::Refresh { board },
        (false, true) => Wish::Compare { board, built },
        (false, false) => Wish::Compose { board, flavour, sign, built, stick },
    })
}

/// The boards there are.
fn board_names() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(workspace().join("board"))? {
        let entry = entry?;
        if entry.path().join("board.toml").exists() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// A board's description, and its folder.
fn read_board(name: &str) -> Result<(Board, PathBuf)> {
    let folder = workspace().join("board").join(name);
    let file = folder.join("board.toml");
    if !file.exists() {
        bail!("there is no board {name:?}; there are {}", board_names()?.join(", "));
    }
    let text = std::fs::read_to_string(&file)?;
    let board = Board::parse(&text).with_context(|| format!("{} is wrong", file.display()))?;
    Ok((board, folder))
}

/// Pins the newest packages.
fn refresh(name: &str) -> Result<()> {
    setup::install(&[setup::IMAGE])?;
    let (board, folder) = read_board(name)?;
    let wanted = Wanted::read(&workspace().join("board/debian.toml"))?;
    let names: Vec<_> = wanted.packages.iter().map(|package| package.name.as_str()).collect();
    let lock = Mirror::find()?.newest(&names, board.kernel.package.as_str(), board.arch)?;
    let before = Lock::read(&folder, name).unwrap_or_default();
    for package in &lock.packages {
        let old = before.packages.iter().find(|old| old.name == package.name);
        match old {
            None => println!("{} {} is new", package.name, package.version),
            Some(old) if old.sha256 != package.sha256 => {
                println!("{} {} ▶ {}", package.name, old.version, package.version);
            }
            Some(_) => {}
        }
    }
    lock.write(&folder, name)?;
    println!("{} packages are pinned in {}", lock.packages.len(), Lock::file(&folder).display());
    Ok(())
}

/// Composes everything into `out`.
fn compose(name: &str, flavour: Flavour, built: Option<&Path>, out: &Path) -> Result<()> {
    let (board, folder) = read_board(name)?;
    let lock = Lock::read(&folder, name)?;
    if board.arch == Arch::Aarch64 && !cfg!(target_arch = "aarch64") && built.is_none() {
        setup::image_arm64()?;
    }
    let (mirror, release) = (Mirror::find()?, Release::now()?);
    let scratch = out.join("scratch");
    drop(std::fs::remove_dir_all(out));
    std::fs::create_dir_all(&scratch).with_context(|| format!("cannot make {}", scratch.display()))?;

    let mut ours = programs::present()?;
    if flavour == Flavour::Debug {
        ours.extend(programs::HELPERS);
    }
    let (built, init) = match built {
        Some(folder) => (folder.to_owned(), programs::read_init(&folder.join("init"))?),
        None => {
            (programs::build(&ours, board.arch, release.epoch)?, programs::init(board.arch, release.epoch)?)
        }
    };
    let pinned = lock.package(&lock.kernel)?;
    let kernel = Kernel::unpack(&mirror.fetch(pinned, name)?, pinned)?;
    let parts = root::Parts {
        board: &board,
        folder: &folder,
        lock: &lock,
        mirror: &mirror,
        kernel: &kernel,
        programs: (&ours, &built),
        flavour,
        release: &release,
    };
    let tree = root::compose(&parts, &scratch.join("modules"))?;
    tree.write(&scratch.join("root"))?;
    let root = disk::squashfs(&out.join("root.img"), &scratch.join("root"), &release, disk::Packing::Tight)?;
    let initrd = out.join("initrd.zst");
    boot::initrd(&initrd, &board, &kernel, &init)?;
    let guard = lock.package("efibootguard")?;
    let loader = Loader::unpack(&mirror.fetch(guard, name)?, &board, &scratch)?;
    std::fs::copy(&loader.guard, out.join("guard.efi"))?;
    for slot in Slot::ALL {
        let file = out.join(format!("{}.efi", slot.name()));
        boot::kernel_image(&file, &board, &loader, &kernel.image, &initrd, &root, slot)?;
    }
    put_together(&board, out, out, &release)?;

    let bill = sbom::make(&board, &lock, &ours, &tree, &release)?;
    std::fs::write(out.join("sbom.json"), serde_json::to_string_pretty(&bill)? + "\n")?;
    let about = about(&board, &release, &root, flavour);
    std::fs::write(out.join("image.json"), serde_json::to_string_pretty(&about)? + "\n")?;
    std::fs::remove_dir_all(&scratch)?;
    say(&board, out, &root)
}

/// The partitions and the disk, from EFI programs in `efi` and the root in `out`.
fn put_together(board: &Board, out: &Path, efi: &Path, release: &Release) -> Result<()> {
    let parts = efi.join("parts");
    std::fs::create_dir_all(&parts)?;
    let part = |role: Role| parts.join(format!("{}.img", role.label()));
    boot::esp(&part(Role::Esp), board, &efi.join("guard.efi"), &efi.join("recovery.efi"), release)?;
    boot::boot(&part(Role::BootA), board, Slot::A, &efi.join("a.efi"), release)?;
    boot::boot(&part(Role::BootB), board, Slot::B, &efi.join("b.efi"), release)?;
    for role in [Role::State, Role::Data] {
        disk::empty(&part(role), board, role, release)?;
    }
    disk::assemble(&efi.join("disk.img"), board, |role| match role {
        Role::RootA | Role::RootB | Role::Recovery => out.join("root.img"),
        other => part(other),
    })?;
    std::fs::remove_dir_all(&parts)?;
    Ok(())
}

/// The last step: the same disk with EFI programs that Secure Boot takes.
fn signed(name: &str, out: &Path, key: &Path, certificate: &Path) -> Result<()> {
    let (board, _) = read_board(name)?;
    let to = out.join("signed");
    std::fs::create_dir_all(&to)?;
    for file in ["guard.efi", "a.efi", "b.efi", "recovery.efi"] {
        boot::sign(&out.join(file), &to.join(file), key, certificate)?;
    }
    put_together(&board, out, &to, &Release::now()?)?;
    println!("signed: {}", to.join("disk.img").display());
    Ok(())
}

/// What the flasher, the updater's bundles and the rig need to know of an image.
fn about(board: &Board, release: &Release, root: &disk::Verified, flavour: Flavour) -> serde_json::Value {
    let partitions: Vec<_> = disk::places(board)
        .into_iter()
        .map(|(partition, start)| {
            json!({
                "name": partition.name.label(),
                "start": start << 20,
                "size": partition.size_mib.bytes(),
                "guid": disk::guid(board, partition.name.label()),
            })
        })
        .collect();
    json!({
        "board": board.name.as_str(),
        "arch": board.arch.to_string(),
        "version": release.version,
        "build": release.build,
        "flavour": format!("{flavour:?}").to_lowercase(),
        "root": { "hash": root.hash, "bytes": root.bytes, "verity": root.argument },
        "partitions": partitions,
    })
}

fn say(board: &Board, out: &Path, root: &disk::Verified) -> Result<()> {
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    let size = |name: &str| -> Result<u64> { Ok(std::fs::metadata(out.join(name))?.len()) };
    println!("{}", out.join("disk.img").display());
    println!(
        "  root        {} (goal {}), with its tree {}",
        mib(root.squashfs),
        mib(ROOT_GOAL),
        mib(root.bytes)
    );
    println!("  kernel      {} (a slot's kernel image)", mib(size("a.efi")?));
    println!("  initrd      {}", mib(size("initrd.zst")?));
    println!("  disk        {}", mib(size("disk.img")?));
    println!("  root hash   {}", root.hash);
    if root.squashfs > ROOT_GOAL {
        println!("  warning: the root is larger than its goal");
    }
    let slot = board.disk.partition(Role::RootA).map_or(0, |partition| partition.size_mib.bytes());
    if root.bytes * ROOM > slot {
        println!("  warning: the root fits its slot of {} less than {ROOM} times", mib(slot));
    }
    Ok(())
}

impl Release {
    /// Of the sources as they are; `GANTRY_BUILD` and `SOURCE_DATE_EPOCH` say it where there is no git.
    fn now() -> Result<Self> {
        let git = |format: &str| -> Option<String> {
            let said = Program::new("git").args(["log", "-1", &format!("--format={format}")]).read().ok()?;
            Some(String::from_utf8_lossy(&said).trim().to_owned()).filter(|said| !said.is_empty())
        };
        let epoch = std::env::var("SOURCE_DATE_EPOCH").ok().or_else(|| git("%ct"));
        let epoch = epoch.context("neither git nor SOURCE_DATE_EPOCH says when the sources are of")?;
        let epoch =
            epoch.parse().with_context(|| format!("SOURCE_DATE_EPOCH={epoch} is no number of seconds"))?;
        let build =
            std::env::var("GANTRY_BUILD").ok().or_else(|| git("%h")).unwrap_or_else(|| "unknown".to_owned());
        Ok(Self { version: env!("CARGO_PKG_VERSION").to_owned(), build, epoch })
    }

    /// The time as RFC 3339 has it.
    fn time(&self) -> String {
        // Days since 0000-03-01, by Hinnant's algorithm.
        let (days, seconds) = (self.epoch / 86_400 + 719_468, self.epoch % 86_400);
        let (era, day) = (days / 146_097, days % 146_097);
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day + 2) / 153;
        let day = day - (153 * month + 2) / 5 + 1;
        let (month, after) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        let year = era * 400 + year + after;
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_calendars_have_them() {
        for (epoch, time) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
        ] {
            let release = Release { version: String::new(), build: String::new(), epoch };
            assert_eq!(release.time(), time);
        }
    }

    #[test]
    fn a_board_that_is_not_there_is_told_with_those_that_are() {
        let error = read_board("toaster").unwrap_err().to_string();
        assert!(error.contains("toaster") && error.contains("qemu-x86_64"), "{error}");
    }

    #[test]
    fn guids_of_partitions_differ_and_stay() {
        let (board, _) = read_board("qemu-x86_64").unwrap();
        let guids: std::collections::BTreeSet<_> =
            Role::ALL.iter().map(|role| disk::guid(&board, role.label())).collect();
        assert_eq!(guids.len(), Role::ALL.len());
        assert_eq!(disk::guid(&board, "ESP"), disk::guid(&board, "ESP"));
    }
}
