//! What the firmware starts: EFI Boot Guard, its two environments, and a unified kernel image for each slot.

use super::Release;
use super::deb;
use super::disk::{FatFile, Verified, fat};
use super::initrd::{self, Modules};
use super::kernel::Kernel;
use super::tree::Kind;
use crate::shell::Program;
use anyhow::{Context, Result, bail};
use board::{Board, Boot, Role};
use std::path::{Path, PathBuf};

/// The file of a slot's kernel image on its boot partition.
const KERNEL: &str = "gantry.efi";
/// What the first process uses on every board: a slot's record, the firmware's variables, and what a panic left.
const ALWAYS: [&str; 5] = ["vfat", "nls_cp437", "nls_ascii", "efivarfs", "efi-pstore"];
/// Longest time between a panic and the start that follows, in seconds.
const PANIC: u32 = 5;

/// A slot, or the recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
    /// The one that is never written in the field.
    Recovery,
}

impl Slot {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::A, Self::B, Self::Recovery];

    /// As the kernel's command line and file names have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
            Self::Recovery => "recovery",
        }
    }

    /// The partition of its root.
    pub fn root(self) -> Role {
        match self {
            Self::A => Role::RootA,
            Self::B => Role::RootB,
            Self::Recovery => Role::Recovery,
        }
    }

    /// The partition of its kernel image, and its environment's revision: the highest is started.
    fn boot(self) -> Option<(Role, u32)> {
        match self {
            Self::A => Some((Role::BootA, 2)),
            Self::B => Some((Role::BootB, 1)),
            Self::Recovery => None,
        }
    }
}

/// EFI programs of EFI Boot Guard's package.
pub struct Loader {
    /// The loader itself.
    pub guard: PathBuf,
    /// What a kernel image begins with.
    stub: PathBuf,
}

impl Loader {
    /// Takes them out of the package `deb` into `folder`.
    ///
    /// # Errors
    /// If they are not in it.
    pub fn unpack(deb: &Path, board: &Board, folder: &Path) -> Result<Self> {
        let (below, efi) = (format!("usr/lib/{}/efibootguard", board.arch.multiarch()), board.arch.efi());
        let files = deb::read(deb, "efibootguard", |path| path.starts_with(&below))?;
        let take = |name: String| -> Result<PathBuf> {
            let node = files.get(&format!("{below}/{name}"));
            let Some(Kind::File(content)) = node.map(|node| &node.kind) else {
                bail!("efibootguard has no {name}")
            };
            let file = folder.join(name);
            std::fs::write(&file, content)?;
            Ok(file)
        };
        Ok(Self {
            guard: take(format!("efibootguard{efi}.efi"))?,
            stub: take(format!("kernel-stub{efi}.efi"))?,
        })
    }
}

/// Writes the initrd of a board.
///
/// # Errors
/// If a module is unknown.
pub fn initrd(file: &Path, board: &Board, kernel: &Kernel, init: &[u8]) -> Result<()> {
    let is_watchdog = |name: &&board::Name| board.watchdogs.iter().any(|watchdog| watchdog.driver == **name);
    let (late, early): (Vec<_>, Vec<_>) = board.kernel.initrd.iter().partition(is_watchdog);
    let names = |names: &[&board::Name]| -> Result<Vec<(String, Vec<u8>)>> {
        kernel.ordered(&names.iter().map(|name| name.as_str()).collect::<Vec<_>>())
    };
    let mut first = names(&early)?;
    first.extend(kernel.ordered(&ALWAYS)?);
    initrd::write(file, init, &Modules { early: first, late: names(&late)? })
}

/// Writes the initrd of an installer: what reaches the board's disk, and `more` in this order; no watchdog, which nobody would feed.
///
/// # Errors
/// If a module is unknown.
pub fn installer_initrd(
    file: &Path,
    board: &Board,
    kernel: &Kernel,
    init: &[u8],
    more: &[&str],
) -> Result<()> {
    let is_watchdog = |name: &str| board.watchdogs.iter().any(|watchdog| watchdog.driver.as_str() == name);
    let names = board.kernel.initrd.iter().map(board::Name::as_str).filter(|name| !is_watchdog(name));
    let early = kernel.ordered(&names.chain(more.iter().copied()).collect::<Vec<_>>())?;
    initrd::write(file, init, &Modules { early, late: Vec::new() })
}

/// Writes the kernel image of a slot.
///
/// # Errors
/// If the tool fails.
pub fn kernel_image(
    file: &Path,
    board: &Board,
    loader: &Loader,
    kernel: &Path,
    initrd: &Path,
    root: &Verified,
    slot: Slot,
) -> Result<()> {
    unified(file, loader, kernel, initrd, &command_line(board, root, slot))
}

/// Writes a kernel image that the firmware or its loader starts, with its command line.
///
/// # Errors
/// If the tool fails.
pub fn unified(file: &Path, loader: &Loader, kernel: &Path, initrd: &Path, line: &str) -> Result<()> {
    Program::new("bg_gen_unified_kernel")
        .args(["--cmdline", line, "--initrd"])
        .args([initrd, &loader.stub, kernel, file])
        .read()?;
    Ok(())
}

/// The kernel's command line, which is signed with the image it is in.
fn command_line(board: &Board, root: &Verified, slot: Slot) -> String {
    format!(
        "{} gantry.slot={} gantry.root={} gantry.verity={}",
        arguments(board),
        slot.name(),
        slot.root(),
        root.argument
    )
}

/// What every kernel image of a board is started with, whoever builds it.
pub fn arguments(board: &Board) -> String {
    let Boot::EfiBootGuard { timeout, arguments } = &board.boot;
    let mut line = format!(
        "console={},{} TERM=dumb systemd.show_status=auto ro loglevel=4 panic={PANIC} module.sig_enforce=1 watchdog.open_timeout={}",
        board.serial.device,
        board.serial.speed.bits_per_second(),
        timeout.count()
    );
    for argument in arguments {
        line += " ";
        line += argument;
    }
    line
}

/// Makes the partition that firmware starts from.
///
/// # Errors
/// If a tool fails.
pub fn esp(image: &Path, board: &Board, guard: &Path, recovery: &Path, release: &Release) -> Result<()> {
    let partition = board.disk.partition(Role::Esp).context("a board has an ESP")?;
    let files: [FatFile; 2] = [
        (format!("EFI/BOOT/BOOT{}.EFI", board.arch.efi().to_ascii_uppercase()), guard.to_owned()),
        ("EFI/GANTRY/RECOVERY.EFI".to_owned(), recovery.to_owned()),
    ];
    fat(image, board, partition, &files, release)
}

/// Makes a slot's boot partition; nothing for the recovery, which has none.
///
/// # Errors
/// If a tool fails.
pub fn boot(image: &Path, board: &Board, slot: Slot, kernel: &Path, release: &Release) -> Result<()> {
    let Some((role, revision)) = slot.boot() else { return Ok(()) };
    let partition = board.disk.partition(role).with_context(|| format!("a board has a {role}"))?;
    let (environment, label) = (image.with_extension("BGENV.DAT"), image.with_extension("EFILABEL"));
    drop(std::fs::remove_file(&environment));
    // The loader finds the partition by this file: not every firmware shows a volume's label.
    let name: Vec<u8> = role.label().encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(&label, name)?;
    Program::new("bg_setenv")
        .args(["-f".as_ref(), environment.as_os_str()])
        .args([format!("--revision={revision}"), "--ustate=OK".to_owned()])
        .args([format!("--watchdog={}", board.loader_watchdog()), format!("--kernel=C:{role}:{KERNEL}")])
        .args(["--args="])
        .read()?;
    let files: [FatFile; 3] = [
        ("EFILABEL".to_owned(), label),
        ("BGENV.DAT".to_owned(), environment),
        (KERNEL.to_owned(), kernel.to_owned()),
    ];
    fat(image, board, partition, &files, release)
}

/// Signs an EFI program for Secure Boot. The time of signing is part of it, so no two are alike.
///
/// # Errors
/// If the tool fails.
pub fn sign(from: &Path, to: &Path, key: &Path, certificate: &Path) -> Result<()> {
    Program::new("sbsign")
        .args(["--key".as_ref(), key.as_os_str(), "--cert".as_ref(), certificate.as_os_str()])
        .args(["--output".as_ref(), to.as_os_str(), from.as_os_str()])
        .read()?;
    Ok(())
}
