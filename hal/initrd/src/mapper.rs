//! Device mapper's ioctls, as far as dm-verity needs them (linux/dm-ioctl.h).
//!
//! The only unsafe code of these programs.

use crate::cmdline::{OnCorruption, Root};
use crate::devices::Device;
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// Where device mapper is spoken to.
const CONTROL: &str = "/dev/mapper/control";
/// What the root is called.
const NAME: &[u8] = b"gantry-root";
/// Size of `struct dm_ioctl`.
const HEADER: usize = 312;
/// Size of `struct dm_target_spec`.
const TARGET: usize = 40;
/// Bytes of a request: room for a table's line.
const REQUEST: usize = 4096;
/// `DM_READONLY_FLAG`.
const READ_ONLY: u32 = 1;
/// Sectors of 512 bytes in a block of 4096.
const SECTORS: u64 = 8;

nix::ioctl_readwrite! {
    /// `DM_DEV_CREATE`.
    dev_create, 0xfd, 3, [u8; HEADER]
}
nix::ioctl_readwrite! {
    /// `DM_DEV_REMOVE`.
    dev_remove, 0xfd, 4, [u8; HEADER]
}
nix::ioctl_readwrite! {
    /// `DM_DEV_SUSPEND`.
    dev_suspend, 0xfd, 6, [u8; HEADER]
}
nix::ioctl_readwrite! {
    /// `DM_TABLE_LOAD`.
    table_load, 0xfd, 9, [u8; HEADER]
}

/// How much is read before a root is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The first block: the right disk, and a tree that fits it. The rest is verified as it is read.
    FirstBlock,
    /// Every block.
    Everything,
}

/// What is asked of device mapper.
#[derive(Debug, Clone, Copy)]
enum Ask {
    Create,
    Remove,
    Load,
    Resume,
}

/// A verified device.
pub struct Verity {
    /// Its node.
    pub path: PathBuf,
}

impl Verity {
    /// Sets up the root's verification on `device` and sees that so much of it is what was built.
    ///
    /// # Errors
    /// If device mapper refuses, or a block is another; nothing is left behind then.
    pub fn open(device: &Device, root: &Root, depth: Depth) -> Result<Self> {
        let control = File::options().read(true).write(true).open(CONTROL).context(CONTROL)?;
        let created = ask(&control, Ask::Create, None)?;
        let opened = set_up(&control, device, root, depth, created);
        if opened.is_err() {
            drop(ask(&control, Ask::Remove, None));
        }
        opened
    }

    /// Takes the verification away again.
    ///
    /// # Errors
    /// If the device is in use.
    pub fn close(self) -> Result<()> {
        let control = File::options().read(true).write(true).open(CONTROL).context(CONTROL)?;
        ask(&control, Ask::Remove, None).map(drop)
    }
}

/// With errors first, so that a wrong disk is refused; with a panic from then on.
fn set_up(control: &File, device: &Device, root: &Root, depth: Depth, created: u64) -> Result<Verity> {
    let path = PathBuf::from(format!("/dev/dm-{}", minor(created)));
    let sectors = root.blocks * SECTORS;
    for on_corruption in [OnCorruption::Error, OnCorruption::Panic] {
        let table = root.table(&device.numbers, on_corruption);
        ask(control, Ask::Load, Some((sectors, &table)))?;
        ask(control, Ask::Resume, None)?;
        if on_corruption == OnCorruption::Error {
            let mut file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
            file.read_exact(&mut [0; 4096]).context("its first block is not the one that was built")?;
            if depth == Depth::Everything {
                std::io::copy(&mut file, &mut std::io::sink()).context("it is not what was built")?;
            }
        }
    }
    Ok(Verity { path })
}

/// One request; the device's number comes back.
fn ask(control: &File, what: Ask, table: Option<(u64, &str)>) -> Result<u64> {
    let mut request = request(table)?;
    let (fd, at) = (control.as_raw_fd(), request.as_mut_ptr().cast::<[u8; HEADER]>());
    // SAFETY: `at` points to REQUEST bytes, of which the header says so (data_size); the kernel reads and writes no more
    // than that, and the buffer outlives the call.
    let done = unsafe {
        match what {
            Ask::Create => dev_create(fd, at),
            Ask::Remove => dev_remove(fd, at),
            Ask::Load => table_load(fd, at),
            Ask::Resume => dev_suspend(fd, at),
        }
    };
    done.with_context(|| format!("device mapper, {what:?}"))?;
    let mut number = [0; 8];
    number.copy_from_slice(&request[40..48]);
    Ok(u64::from_ne_bytes(number))
}

/// `struct dm_ioctl`, and behind it one `struct dm_target_spec` with its parameters.
fn request(table: Option<(u64, &str)>) -> Result<Vec<u8>> {
    let mut request = vec![0; REQUEST];
    let mut put = |at: usize, bytes: &[u8]| request[at..at + bytes.len()].copy_from_slice(bytes);
    for (index, version) in [4u32, 0, 0].into_iter().enumerate() {
        put(index * 4, &version.to_ne_bytes());
    }
    put(12, &(REQUEST as u32).to_ne_bytes());
    put(16, &(HEADER as u32).to_ne_bytes());
    put(28, &READ_ONLY.to_ne_bytes());
    put(48, NAME);
    if let Some((sectors, parameters)) = table {
        ensure!(HEADER + TARGET + parameters.len() < REQUEST, "the table is too long");
        put(20, &1u32.to_ne_bytes());
        put(HEADER + 8, &sectors.to_ne_bytes());
        put(HEADER + 24, b"verity");
        put(HEADER + TARGET, parameters.as_bytes());
    }
    Ok(request)
}

/// The minor number in a device's number, as the kernel packs it (`huge_encode_dev`).
fn minor(device: u64) -> u64 {
    (device & 0xff) | ((device >> 12) & 0xfff_ff00)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_laid_out_as_the_kernel_reads_it() {
        let request = request(Some((800, "1 254:4"))).unwrap();
        assert_eq!(request[12..16], 4096u32.to_ne_bytes());
        assert_eq!(&request[48..59], NAME);
        assert_eq!(request[312..320], 0u64.to_ne_bytes());
        assert_eq!(request[320..328], 800u64.to_ne_bytes());
        assert_eq!(&request[336..343], b"verity\0");
        assert_eq!(&request[352..360], b"1 254:4\0");
    }

    #[test]
    fn minor_numbers_above_a_byte_are_read() {
        assert_eq!(minor(0xfd05), 5);
        assert_eq!(minor((1 << 20) | (0xfd << 8) | 2), 0x102);
    }

    #[test]
    fn a_table_that_does_not_fit_is_refused() {
        assert!(request(Some((8, &"x".repeat(4096)))).is_err());
    }
}
