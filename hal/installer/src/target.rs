//! The disk that is written: found among all, written, read back, and told who the box is.

use anyhow::{Context, Result, ensure};
use flash::identity::{FOLDER, GROUP, Identity};
use flash::order::{Disk, State};
use flash::{copy, table};
use initrd::devices::{self, Uevents};
use nix::mount::{MsFlags, mount, umount};
use std::fs::{File, Permissions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

/// Where STATE is put while the box is told who it is.
const STATE: &str = "/run/state";
/// How much of a disk's beginning and end must be blank for the disk to be.
const EDGE: u64 = 1 << 20;
/// `O_EXCL`: on a disk, nobody else may use it or a part of it (open(2)).
const EXCLUSIVE: i32 = 0o200;
/// Longest wait for the partitions of a disk that was written.
const PATIENCE: Duration = Duration::from_secs(30);

/// The disks of this box, of which `stick` is the stick.
///
/// # Errors
/// If the kernel shows none.
pub fn disks(stick: &Path) -> Result<Vec<Disk>> {
    let shown = linux::disk::disks(Path::new("/sys")).context("the kernel shows no disks")?;
    let known = |disk: linux::disk::Disk| {
        let node = disk.node();
        let state = if node == stick {
            State::Stick
        } else if !disk.writable {
            State::ReadOnly
        } else {
            // A disk that can't be read is no blank one.
            blank(&node, disk.bytes).unwrap_or(State::Used)
        };
        let linux::disk::Disk { name, serial, path, bytes, sector, .. } = disk;
        Disk { name, serial, path, bytes, sector, state }
    };
    Ok(shown.into_iter().map(known).collect())
}

fn blank(node: &Path, bytes: u64) -> Result<State> {
    let mut disk = File::open(node)?;
    let length = EDGE.min(bytes);
    for at in [0, bytes - length] {
        disk.seek(SeekFrom::Start(at))?;
        let mut edge = Vec::new();
        Read::by_ref(&mut disk).take(length).read_to_end(&mut edge)?;
        if edge.iter().any(|byte| *byte != 0) {
            return Ok(State::Used);
        }
    }
    Ok(State::Blank)
}

/// Writes the image of `size` bytes and reads it back; says how far it is.
///
/// # Errors
/// If the disk is in use, or does not give back what was written.
pub fn write(node: &Path, bytes: u64, image: &mut File, size: u64) -> Result<()> {
    let mut disk = File::options()
        .read(true)
        .write(true)
        .custom_flags(EXCLUSIVE)
        .open(node)
        .with_context(|| format!("cannot open {}", node.display()))?;
    copy::write(image, &mut disk, size, progress("writing", size))?;
    disk.sync_all()?;
    linux::disk::forget(&disk)?;
    image.seek(SeekFrom::Start(0))?;
    disk.seek(SeekFrom::Start(0))?;
    let hash = copy::verify(image, &mut disk, size, progress("reading back", size))?;
    println!("installer: verified, SHA-256 {hash}");
    let data = table::grow(&mut disk, bytes)?;
    disk.sync_all()?;
    println!("installer: the last partition has {} MiB", data >> 20);
    linux::disk::read_table(&disk).context("the kernel does not take the disk's new table")
}

/// Says each twentieth once.
fn progress(what: &'static str, size: u64) -> impl FnMut(u64) {
    let mut said = 0;
    move |at| {
        let share = at.saturating_mul(100).checked_div(size).unwrap_or(100) / 5 * 5;
        if share > said {
            said = share;
            println!("installer: {what} {share} %");
        }
    }
}

/// Tells the box on the disk `node` who it is.
///
/// # Errors
/// If STATE does not come up, or does not give back what was written.
pub fn identify(uevents: &Uevents, node: &Path, who: &Identity) -> Result<()> {
    let ours = |device: &devices::Device| -> Result<()> {
        ensure!(devices::disk_of(device)? == node, "it is of another disk");
        Ok(())
    };
    let (device, opened) = devices::wait_for(uevents, "STATE", PATIENCE, ours)?;
    opened.context("the disk shows no STATE")?;
    std::fs::create_dir_all(STATE)?;
    let records = who.records().map_err(anyhow::Error::msg)?;
    let at = |flags: MsFlags| {
        let flags = flags | MsFlags::MS_NODEV | MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        mount(Some(&device.path), STATE, Some("ext4"), flags, None::<&str>)
            .with_context(|| format!("cannot mount {}", device.path.display()))
    };
    let folder = Path::new(STATE).join(FOLDER.0);
    at(MsFlags::MS_SYNCHRONOUS)?;
    let written = (|| {
        std::fs::create_dir_all(&folder)?;
        owned(&folder, FOLDER.1)?;
        for record in &records {
            let file = folder.join(record.name);
            std::fs::write(&file, &record.content)?;
            owned(&file, record.mode)?;
            File::open(&file)?.sync_all()?;
        }
        Ok::<_, anyhow::Error>(())
    })();
    umount(STATE)?;
    written.context("cannot write who the box is")?;
    linux::disk::forget(&File::open(&device.path)?)?;
    at(MsFlags::MS_RDONLY)?;
    let same = records.iter().all(|record| {
        std::fs::read_to_string(folder.join(record.name)).is_ok_and(|found| found == record.content)
    });
    umount(STATE)?;
    ensure!(same, "STATE does not give back who the box is; replace this disk");
    Ok(())
}

fn owned(path: &Path, mode: u32) -> Result<()> {
    std::os::unix::fs::chown(path, Some(0), Some(GROUP))?;
    Ok(std::fs::set_permissions(path, Permissions::from_mode(mode))?)
}
