//! A slot that cannot start is not started again: its record on the disk says FAILED from then on, and the loader takes the other.
//!
//! ```text
//!  root does not open ──────────────┐
//!  after a panic: root not whole ───┼─▶ mark the slot failed ─▶ start anew ─▶ the other slot
//!  recovery: next slot not whole ───┘
//! ```
//! The loader itself gives up a slot only while it is on trial. A slot that was good for years and whose disk wears out, or
//! whose kernel image can't be loaded any more, is given up here. Without evidence no slot is.

use anyhow::{Context, Result, ensure};
use hal::reason::Inspected;
use hal::slots::{BootControl, Slot};
use initrd::cmdline::Root;
use initrd::devices::{self, Device};
use initrd::mapper::{Depth, Verity};
use linux::ebg::{EfiBootGuard, LOADER_TIMEOUT, Place, Recipe};
use nix::mount::{MsFlags, mount, umount};
use std::path::{Path, PathBuf};

/// A slot's kernel image on its boot partition.
const KERNEL: &str = "gantry.efi";

/// The boot partitions of the disk that `part` is on, mounted for as long as `act` runs.
fn with_boot<T>(
    part: &Device,
    booted: Option<Slot>,
    act: impl FnOnce(&mut EfiBootGuard) -> Result<T>,
) -> Result<T> {
    let mut mounted = Vec::new();
    let result = (|| {
        for slot in [Slot::A, Slot::B] {
            let device = devices::beside(part, label(slot))?;
            let at = folder(slot);
            std::fs::create_dir_all(&at)?;
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_SYNCHRONOUS;
            mount(Some(&device.path), &at, Some("vfat"), flags, Some("codepage=437,iocharset=ascii"))
                .with_context(|| format!("cannot mount {}", device.path.display()))?;
            mounted.push(at);
        }
        act(&mut EfiBootGuard::new(place(Slot::A), place(Slot::B), booted))
    })();
    for at in mounted {
        umount(&at).with_context(|| format!("cannot unmount {}", at.display()))?;
    }
    result
}

fn label(slot: Slot) -> &'static str {
    match slot {
        Slot::A => "BOOT-A",
        Slot::B => "BOOT-B",
    }
}

fn folder(slot: Slot) -> PathBuf {
    Path::new("/boot").join(label(slot))
}

fn place(slot: Slot) -> Place {
    Place {
        folder: folder(slot),
        recipe: Recipe { kernel: format!("C:{}:{KERNEL}", label(slot)), watchdog: LOADER_TIMEOUT },
    }
}

/// The slot that runs is not to be started again, if the other can be.
///
/// # Errors
/// If the other can't be, or nothing can be written.
pub fn give_up(part: &Device, slot: Slot) -> Result<()> {
    with_boot(part, Some(slot), |loader| {
        loader.mark_failed(slot).with_context(|| format!("cannot mark slot {slot:?} failed"))?;
        eprintln!("init: slot {slot:?} is marked failed");
        Ok(())
    })
}

/// From the recovery: looks whether the slot that the loader would take next is whole, and marks it failed if it is not. Says
/// whether it did, so that a new start is worth trying.
///
/// # Errors
/// If no slot can be started, or nothing can be read.
pub fn look_after(part: &Device) -> Result<Verdict> {
    with_boot(part, None, |loader| {
        let next = loader.slots()?.next().context("neither slot can be started")?;
        match inspect(part, next) {
            Ok(()) => Ok(Verdict::Whole),
            Err(error) => {
                eprintln!("init: slot {next:?} is not whole: {error:#}");
                loader.mark_failed(next).with_context(|| format!("cannot mark slot {next:?} failed"))?;
                Ok(Verdict::GivenUp)
            }
        }
    })
}

/// What the recovery found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The next slot is whole; whatever is wrong with it is for a person to find.
    Whole,
    /// The next slot was not whole; the loader takes the other one now.
    GivenUp,
}

/// Whether a slot's kernel image and its root are whole.
fn inspect(part: &Device, slot: Slot) -> Result<()> {
    let image = folder(slot).join(KERNEL);
    ensure!(linux::image::inspect(&image) == Inspected::Sound, "its kernel image is damaged");
    let root = Root::of_image(&std::fs::read(&image)?)?;
    let device = devices::beside(part, &root.partition)?;
    Verity::open(&device, &root, Depth::Everything)?.close()
}
