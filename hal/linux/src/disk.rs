//! Whole disks: what the kernel says of them, and the two things it must be told when one was written anew (linux/fs.h).

use crate::files;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// Where the kernel shows whole disks.
const BLOCK: &str = "block";
/// The unit in which the kernel tells sizes, whatever a disk's sectors are.
const UNIT: u64 = 512;

nix::ioctl_none! {
    /// `BLKRRPART`.
    blkrrpart, 0x12, 95
}
nix::ioctl_none! {
    /// `BLKFLSBUF`.
    blkflsbuf, 0x12, 97
}

/// A disk as the kernel shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Its name, such as `nvme0n1`.
    pub name: String,
    /// Its own serial number.
    pub serial: Option<String>,
    /// Where it is plugged in: the PCI function that it hangs on, such as `pci-0000:00:17.0`.
    pub path: Option<String>,
    /// Its size.
    pub bytes: u64,
    /// Bytes of its sectors.
    pub sector: u64,
    /// Whether it can be written.
    pub writable: bool,
}

impl Disk {
    /// Its node.
    #[must_use]
    pub fn node(&self) -> PathBuf {
        Path::new("/dev").join(&self.name)
    }
}

/// The disks that `sys` shows, by their names: what is a device and holds something, so no loops and no empty drives.
///
/// # Errors
/// If it shows no disks at all.
pub fn disks(sys: &Path) -> io::Result<Vec<Disk>> {
    let folder = sys.join(BLOCK);
    let mut disks = Vec::new();
    for shown in std::fs::read_dir(&folder)? {
        let shown = shown?.path();
        let name = shown.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let number = |file: &str| files::attribute(&shown.join(file)).and_then(|text| text.parse().ok());
        let bytes = number("size").unwrap_or(0u64).saturating_mul(UNIT);
        // sr: what reads discs, which is no disk.
        if bytes == 0 || !shown.join("device").exists() || name.starts_with("sr") {
            continue;
        }
        let path = std::fs::canonicalize(&shown).ok().and_then(|real| function(&real));
        disks.push(Disk {
            serial: serial(&shown),
            path,
            bytes,
            sector: number("queue/logical_block_size").unwrap_or(UNIT),
            writable: number("ro") == Some(0),
            name,
        });
    }
    disks.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(disks)
}

/// virtio shows it at the disk, NVMe at the controller, SCSI and ATA as a page of vital product data (SPC-4, 7.8.15).
fn serial(shown: &Path) -> Option<String> {
    let plain = ["serial", "device/serial"].into_iter().find_map(|file| files::attribute(&shown.join(file)));
    let page = || {
        let page = std::fs::read(shown.join("device/vpd_pg80")).ok()?;
        Some(String::from_utf8_lossy(page.get(4..)?).into_owned())
    };
    let text = plain.or_else(page)?;
    let text = text.trim_matches(|letter: char| letter.is_whitespace() || letter.is_control());
    (!text.is_empty()).then(|| text.to_owned())
}

/// The last PCI function on the way to a device.
fn function(real: &Path) -> Option<String> {
    let is = |name: &str| {
        let lengths: Vec<_> = name.split([':', '.']).map(str::len).collect();
        lengths == [4, 2, 2, 1] && name.bytes().all(|b| b.is_ascii_hexdigit() || b == b':' || b == b'.')
    };
    let names = real.iter().filter_map(|name| name.to_str());
    names.rev().find(|name| is(name)).map(|name| format!("pci-{name}"))
}

/// Forgets what memory holds of a disk, so that the next read is from the disk itself.
///
/// # Errors
/// If the kernel refuses: `disk` is none.
pub fn forget(disk: &File) -> io::Result<()> {
    // SAFETY: the request takes no argument and changes no memory of ours.
    unsafe { blkflsbuf(disk.as_raw_fd()) }.map(drop).map_err(io::Error::from)
}

/// Has the kernel read a disk's table anew.
///
/// # Errors
/// If one of its partitions is in use, or `disk` is none.
pub fn read_table(disk: &File) -> io::Result<()> {
    // SAFETY: the request takes no argument and changes no memory of ours.
    unsafe { blkrrpart(disk.as_raw_fd()) }.map(drop).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn disks_are_told_with_their_size_serial_number_and_place() {
        let sys = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &[u8]| {
            let path = sys.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let real = "devices/pci0000:00/0000:00:1d.0/0000:02:00.0/nvme/nvme0/nvme0n1";
        put(&format!("{real}/size"), b"2097152\n");
        put(&format!("{real}/ro"), b"0\n");
        put(&format!("{real}/queue/logical_block_size"), b"4096\n");
        put(&format!("{real}/device/serial"), b"S4EV  \n");
        std::fs::create_dir_all(sys.path().join("block")).unwrap();
        symlink(sys.path().join(real), sys.path().join("block/nvme0n1")).unwrap();
        put("block/sda/size", b"8\n");
        put("block/sda/ro", b"1\n");
        put("block/sda/device/vpd_pg80", b"\0\x80\0\x08 WD-0001");
        put("block/sr0/size", b"8\n");
        put("block/sr0/device/x", b"");
        put("block/loop0/size", b"8\n");
        put("block/sdb/size", b"0\n");
        put("block/sdb/device/x", b"");

        let found = disks(sys.path()).unwrap();

        let nvme = Disk {
            name: "nvme0n1".into(),
            serial: Some("S4EV".into()),
            path: Some("pci-0000:02:00.0".into()),
            bytes: 1 << 30,
            sector: 4096,
            writable: true,
        };
        let sda = Disk {
            name: "sda".into(),
            serial: Some("WD-0001".into()),
            path: None,
            bytes: 4096,
            sector: 512,
            writable: false,
        };
        assert_eq!(found, [nvme, sda]);
    }

    #[test]
    fn what_is_no_disk_is_told_nothing() {
        let file = tempfile::tempfile().unwrap();
        forget(&file).unwrap_err();
        read_table(&file).unwrap_err();
        assert!(disks(Path::new("/nowhere")).is_err());
    }
}
