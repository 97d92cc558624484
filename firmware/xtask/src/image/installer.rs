//! The installer's stick: it starts a box, writes the image onto the one disk that `install.toml` names, and gives the box who it is.
//!
//! ```text
//!  disk.img, image.json, board.toml ─▶ squashfs + verity ────────────────────▶ INSTALL ─┐
//!                                              root hash ▼                              ├─▶ installer.img
//!  kernel + initrd (installer) + command line ─▶ BOOTX64.EFI, install.toml ──▶ ESP ─────┘
//! ```

use super::boot::{self, Loader};
use super::disk::{self, Laid, Packing};
use super::kernel::Kernel;
use super::mirror::Mirror;
use super::packages::Lock;
use super::{Release, programs, read_board};
use crate::flash;
use anyhow::{Context, Result};
use board::{Guid, MiB, Role};
use std::path::{Path, PathBuf};

/// What a stick hangs on, and what is written by more than blocks, beside what the board's own disk needs.
const MODULES: [&str; 9] =
    ["xhci-pci", "ehci-pci", "usb-storage", "uas", "sd_mod", "crc32c_generic", "ext4", "vfat", "nls_cp437"];
/// The text of a FAT's short names.
const NAMES: &str = "nls_ascii";
/// Room on the ESP beside the installer, for labels.
const LABELS: u64 = 16 << 20;
/// The type of a partition that only the installer reads (UAPI Group, Discoverable Partitions Specification, "Linux generic data").
const DATA: Guid = Guid::new(0x0fc6_3daf_8483_4772_8e79_3d69_d847_7de4);

/// What a stick is made with.
pub struct Wish {
    /// Its `install.toml`; without, it writes nothing until somebody has filled it in.
    pub order: Option<PathBuf>,
    /// Key and certificate for Secure Boot.
    pub sign: Option<(PathBuf, PathBuf)>,
    /// The folder of programs that were built before.
    pub built: Option<PathBuf>,
}

/// Makes `installer.img` beside the image that is in `out`.
///
/// # Errors
/// If there is no image, the order is wrong, or a tool fails.
pub fn make(name: &str, out: &Path, wish: &Wish) -> Result<()> {
    let (board, folder) = read_board(name)?;
    let order = flash::order(wish.order.as_deref())?;
    let (lock, mirror, release) = (Lock::read(&folder, name)?, Mirror::find()?, Release::now()?);
    let scratch = out.join("installer");
    drop(std::fs::remove_dir_all(&scratch));
    let payload = scratch.join("payload");
    std::fs::create_dir_all(&payload)?;
    let init = match &wish.built {
        Some(folder) => programs::read_init(&folder.join("installer"))?,
        None => programs::installer(board.arch, release.epoch)?,
    };

    let image = if wish.sign.is_some() { out.join("signed/disk.img") } else { out.join("disk.img") };
    std::fs::hard_link(&image, payload.join("disk.img"))
        .with_context(|| format!("there is no {}; compose the image first", image.display()))?;
    std::fs::copy(out.join("image.json"), payload.join("image.json"))?;
    std::fs::copy(folder.join("board.toml"), payload.join("board.toml"))?;
    let carried = scratch.join("INSTALL.img");
    let root = disk::squashfs(&carried, &payload, &release, Packing::Quick)?;

    let pinned = lock.package(&lock.kernel)?;
    let kernel = Kernel::unpack(&mirror.fetch(pinned, name)?, pinned)?;
    let loader = Loader::unpack(&mirror.fetch(lock.package("efibootguard")?, name)?, &board, &scratch)?;
    let (initrd, efi) = (scratch.join("initrd.zst"), scratch.join("installer.efi"));
    let modules: Vec<_> = MODULES.into_iter().chain([NAMES]).collect();
    boot::installer_initrd(&initrd, &board, &kernel, &init, &modules)?;
    let line = format!("{} gantry.root=INSTALL gantry.verity={}", boot::arguments(&board), root.argument);
    boot::unified(&efi, &loader, &kernel.image, &initrd, &line)?;
    if let Some((key, certificate)) = &wish.sign {
        let signed = scratch.join("signed.efi");
        boot::sign(&efi, &signed, key, certificate)?;
        std::fs::rename(&signed, &efi)?;
    }

    let text = scratch.join("install.toml");
    std::fs::write(&text, order)?;
    let mut esp = board.disk.partition(Role::Esp).context("a board has an ESP")?.clone();
    esp.size_mib = mib(std::fs::metadata(&efi)?.len() + LABELS)?;
    let files = [
        (format!("EFI/BOOT/BOOT{}.EFI", board.arch.efi().to_ascii_uppercase()), efi),
        ("install.toml".to_owned(), text),
    ];
    let start = scratch.join("ESP.img");
    disk::fat(&start, &board, &esp, &files, &release)?;
    let stick = out.join("installer.img");
    let laid = |name: &str, kind: Guid, size: MiB, from: &Path| Laid {
        name: name.to_owned(),
        kind,
        guid: disk::guid(&board, &format!("installer {name}")),
        size,
        from: from.to_owned(),
    };
    let parts =
        [laid("ESP", esp.kind, esp.size_mib, &start), laid("INSTALL", DATA, mib(root.bytes)?, &carried)];
    disk::lay(&stick, &disk::guid(&board, "installer"), &parts)?;
    std::fs::remove_dir_all(&scratch)?;
    println!("{}", stick.display());
    let size = std::fs::metadata(&stick)?.len();
    println!(
        "  a stick of {} MiB; write it with dd, then fill in install.toml on its first partition",
        size >> 20
    );
    Ok(())
}

/// Whole MiB that hold so many bytes, at least what a FAT32 needs.
fn mib(bytes: u64) -> Result<MiB> {
    let count = bytes.div_ceil(1 << 20).max(48);
    u32::try_from(count)
        .ok()
        .and_then(|count| MiB::try_from(count).ok())
        .with_context(|| format!("{bytes} bytes are too much for a stick"))
}
