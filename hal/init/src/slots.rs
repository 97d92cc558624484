//! A slot that cannot start is not started again: its record on the disk says FAILED from then on, and the loader takes the other.
//!
//! ```text
//!  root does not open ──────────────┐
//!  after a panic: root not whole ───┼─▶ mark the slot failed ─▶ start anew ─▶ the other slot
//!  recovery: next slot not whole ───┘
//! ```
//! The loader itself gives up a slot only while it is on trial. A slot that was good for years and whose disk wears out, or
//! whose kernel image can't be loaded any more, is given up here. Without evidence no slot is.

use anyhow::{Context, Result};
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

/// The slot that runs is not to be started again, if the other can be: its root is damaged.
///
/// # Errors
/// If the other can't be, or nothing can be written.
pub fn give_up(part: &Device, slot: Slot) -> Result<()> {
    with_boot(part, Some(slot), |loader| fail(loader, slot, Inspected::RootDamaged))
}

/// Marks a slot failed, and notes what was found of it for the start of the other.
fn fail(loader: &mut EfiBootGuard, slot: Slot, found: Inspected) -> Result<()> {
    if let Err(error) = loader.note(slot, found) {
        eprintln!("init: {error:#}");
    }
    loader.mark_failed(slot).with_context(|| format!("cannot mark slot {slot:?} failed"))?;
    eprintln!("init: slot {slot:?} is marked failed: {}", found.word());
    Ok(())
}

/// From the recovery: looks whether the slot that the loader would take next is whole, and marks it failed if it is not. Says
/// whether it did, so that a new start is worth trying.
///
/// # Errors
/// If no slot can be started, or nothing can be read.
pub fn look_after(part: &Device) -> Result<Verdict> {
    with_boot(part, None, |loader| {
        let next = loader.slots()?.next().context("neither slot can be started")?;
        match inspect(part, next)? {
            Inspected::Sound => Ok(Verdict::Whole),
            found => fail(loader, next, found).map(|()| Verdict::GivenUp),
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
///
/// # Errors
/// If the disk can't be read; that is no evidence against the slot.
fn inspect(part: &Device, slot: Slot) -> Result<Inspected> {
    let image = folder(slot).join(KERNEL);
    if linux::image::inspect(&image) != Inspected::Sound {
        return Ok(Inspected::ImageDamaged);
    }
    let Ok(root) = Root::of_image(&std::fs::read(&image)?) else { return Ok(Inspected::ImageDamaged) };
    let device = devices::beside(part, &root.partition)?;
    match Verity::open(&device, &root, Depth::Everything) {
        Ok(verity) => verity.close().map(|()| Inspected::Sound),
        Err(error) => {
            eprintln!("init: {} of slot {slot:?}: {error:#}", root.partition);
            Ok(Inspected::RootDamaged)
        }
    }
}
