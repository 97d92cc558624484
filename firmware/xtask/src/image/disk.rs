//! Partitions and the disk: file systems in files, put together without being root and without a loop device.
//!
//! Everything that a tool would choose by chance or by the clock is given to it, so that two builds are alike.

use super::Release;
use super::mirror::hex;
use crate::shell::Program;
use anyhow::{Context, Result, ensure};
use board::{Board, Filesystem, Guid, MiB, Partition, Role};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// Room before the first partition and behind the last, in MiB.
const EDGE: u64 = 1;
/// Sectors of 512 bytes in a MiB.
const SECTORS: u64 = 2048;

/// A file in a FAT partition: its path there, and where it is now.
pub type FatFile = (String, PathBuf);

/// A GUID that is always the same for the same name on the same board.
pub fn guid(board: &Board, name: &str) -> String {
    let hash = Sha256::digest(format!("gantry {} {} {name}", board.name, board.disk.guid));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    // Version 8, as RFC 9562 5.8 has it for GUIDs made in a way of one's own.
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    Guid::new(u128::from_be_bytes(bytes)).to_string()
}

/// Makes a FAT file system of `size` with `files` in it.
///
/// # Errors
/// If they do not fit, or a tool fails.
pub fn fat(
    image: &Path,
    board: &Board,
    partition: &Partition,
    files: &[FatFile],
    release: &Release,
) -> Result<()> {
    let label = partition.name.label();
    let id = &guid(board, label)[..8];
    let sectors = if partition.size_mib.count() >= 512 { "8" } else { "1" };
    drop(std::fs::remove_file(image));
    let blocks = (partition.size_mib.bytes() / 1024).to_string();
    Program::new("mkfs.vfat")
        .args(["--invariant", "-F32", "-s", sectors, "-i", id, "-n", label, "-C"])
        .args([image.as_os_str(), blocks.as_ref()])
        .read()?;
    let mut folders = std::collections::BTreeSet::new();
    for (path, from) in files {
        let parts: Vec<_> = path.split('/').collect();
        for depth in 1..parts.len() {
            let folder = parts[..depth].join("/");
            if folders.insert(folder.clone()) {
                mtools("mmd", image, release).args([format!("::{folder}")]).read()?;
            }
        }
        let size = std::fs::metadata(from)?.len();
        mtools("mcopy", image, release)
            .args([from.display().to_string(), format!("::{path}")])
            .read()
            .with_context(|| {
                format!(
                    "{path} of {size} bytes does not fit {label} of {} MiB; make it larger in board.toml",
                    partition.size_mib.count()
                )
            })?;
    }
    Ok(())
}

/// mtools write times of now; SOURCE_DATE_EPOCH makes that another.
fn mtools(tool: &str, image: &Path, release: &Release) -> Program {
    Program::new(tool)
        .env("TZ", "UTC")
        .env("MTOOLS_SKIP_CHECK", "1")
        .env("SOURCE_DATE_EPOCH", release.epoch.to_string())
        .args(["-i".as_ref(), image.as_os_str()])
}

/// Makes an empty ext4 file system.
///
/// # Errors
/// If a tool fails.
pub fn ext4(image: &Path, board: &Board, partition: &Partition, release: &Release) -> Result<()> {
    let label = partition.name.label();
    let id = guid(board, label);
    let file = File::create(image)?;
    file.set_len(partition.size_mib.bytes())?;
    Program::new("mkfs.ext4")
        .env("E2FSPROGS_FAKE_TIME", release.epoch.to_string())
        .env("MKE2FS_CONFIG", "/dev/null")
        .args(["-q", "-F", "-b", "4096", "-I", "256", "-m", "1", "-L", label, "-U", &id])
        .args(["-O", "has_journal,ext_attr,dir_index,filetype,extent,flex_bg,64bit,sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum,resize_inode"])
        .args(["-E", &format!("hash_seed={id},root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0,nodiscard")])
        .args([image])
        .read()?;
    Ok(())
}

/// A squashfs with its verity tree behind it.
pub struct Verified {
    /// `gantry.verity=` of the kernel's command line.
    pub argument: String,
    /// The root hash.
    pub hash: String,
    /// Bytes of the squashfs alone.
    pub squashfs: u64,
    /// Bytes with the tree.
    pub bytes: u64,
}

/// How much work goes into making a file system small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// As small as can be: a root.
    Tight,
    /// Soon done: an image, most of which is packed already.
    Quick,
}

impl Packing {
    fn level(self) -> &'static str {
        match self {
            Self::Tight => "19",
            Self::Quick => "3",
        }
    }
}

/// Makes a squashfs of the folder `from`, and its verity tree behind it.
///
/// # Errors
/// If a tool fails.
pub fn squashfs(image: &Path, from: &Path, release: &Release, packing: Packing) -> Result<Verified> {
    drop(std::fs::remove_file(image));
    let epoch = release.epoch.to_string();
    // mksquashfs refuses the variable together with the options.
    Program::new("env")
        .args(["-u", "SOURCE_DATE_EPOCH", "mksquashfs"])
        .args([from, image])
        .args([
            "-comp",
            "zstd",
            "-Xcompression-level",
            packing.level(),
            "-b",
            "128K",
            "-all-root",
            "-noappend",
            "-no-xattrs",
        ])
        .args(["-mkfs-time", &epoch, "-all-time", &epoch, "-no-progress", "-quiet"])
        .read()?;
    let squashfs = std::fs::metadata(image)?.len();
    ensure!(squashfs % 4096 == 0, "mksquashfs made no whole blocks");
    let salt = hex(&Sha256::digest(format!("gantry salt {} {}", release.version, release.build)));
    let (blocks, offset) = ((squashfs / 4096).to_string(), squashfs.to_string());
    let made = Program::new("veritysetup")
        .args(["format", "--hash=sha256", "--data-block-size=4096", "--hash-block-size=4096"])
        .args([
            format!("--data-blocks={blocks}"),
            format!("--hash-offset={offset}"),
            format!("--salt={salt}"),
        ])
        .args(["--uuid=6a1f0a7e-3a0c-4a5d-9f5e-7c2d1b8e4aff"])
        .args([image, image])
        .read()?;
    let made = String::from_utf8_lossy(&made).into_owned();
    let hash = made
        .lines()
        .find_map(|line| line.strip_prefix("Root hash:"))
        .context("veritysetup names no root hash")?;
    let hash = hash.trim().to_owned();
    let bytes = std::fs::metadata(image)?.len();
    Ok(Verified { argument: format!("{hash},{salt},{blocks}"), hash, squashfs, bytes })
}

/// A partition to be laid onto a disk.
pub struct Laid {
    /// Its name in the table.
    pub name: String,
    /// Its type.
    pub kind: Guid,
    /// Its own GUID.
    pub guid: String,
    /// Its size.
    pub size: MiB,
    /// What is in it.
    pub from: PathBuf,
}

/// Puts a board's partitions together to its disk.
///
/// # Errors
/// If one does not fit, or the table cannot be written.
pub fn assemble(disk: &Path, board: &Board, image: impl Fn(Role) -> PathBuf) -> Result<()> {
    let laid = board.disk.partitions.iter().map(|partition| Laid {
        name: partition.name.label().to_owned(),
        kind: partition.kind,
        guid: guid(board, partition.name.label()),
        size: partition.size_mib,
        from: image(partition.name),
    });
    lay(disk, &board.disk.guid.to_string(), &laid.collect::<Vec<_>>())
}

/// Puts partitions together to a disk with this GUID, one behind the other.
///
/// # Errors
/// If one does not fit, or the table cannot be written.
pub fn lay(disk: &Path, id: &str, partitions: &[Laid]) -> Result<()> {
    drop(std::fs::remove_file(disk));
    let file = File::create(disk).with_context(|| format!("cannot make {}", disk.display()))?;
    let all: u64 = partitions.iter().map(|partition| partition.size.bytes()).sum();
    file.set_len(all + ((2 * EDGE) << 20))?;
    drop(file);
    let mut script = format!("label: gpt\nlabel-id: {id}\nunit: sectors\nfirst-lba: {SECTORS}\n\n");
    let mut start = EDGE;
    for Laid { name, kind, guid, size, .. } in partitions {
        let (first, sectors) = (start * SECTORS, u64::from(size.count()) * SECTORS);
        writeln!(script, "start={first}, size={sectors}, type={kind}, uuid={guid}, name=\"{name}\"")?;
        start += u64::from(size.count());
    }
    let table = disk.with_extension("sfdisk");
    std::fs::write(&table, script)?;
    Program::new("sfdisk")
        .args(["--quiet", "--no-reread", "--no-tell-kernel"])
        .args([disk])
        .input(File::open(&table)?)
        .read()?;
    std::fs::remove_file(&table)?;
    let mut file = File::options().write(true).open(disk)?;
    let mut start = EDGE << 20;
    for partition in partitions {
        put(&mut file, start, partition)?;
        start += partition.size.bytes();
    }
    file.sync_all()?;
    Ok(())
}

/// Each partition with where it starts, in MiB.
pub fn places(board: &Board) -> Vec<(&Partition, u64)> {
    let mut start = EDGE;
    let mut places = Vec::new();
    for partition in &board.disk.partitions {
        places.push((partition, start));
        start += u64::from(partition.size_mib.count());
    }
    places
}

/// Copies a partition's content to `at`; blocks of nothing stay holes.
fn put(disk: &mut File, at: u64, partition: &Laid) -> Result<()> {
    let from = &partition.from;
    let mut source = File::open(from).with_context(|| format!("cannot open {}", from.display()))?;
    let size = source.metadata()?.len();
    ensure!(
        size <= partition.size.bytes(),
        "{} has {size} bytes and does not fit {} of {} MiB; make it larger in board.toml",
        from.display(),
        partition.name,
        partition.size.count()
    );
    let mut block = vec![0; 1 << 16];
    let mut position = at;
    loop {
        let read = source.read(&mut block)?;
        if read == 0 {
            return Ok(());
        }
        if block[..read].iter().any(|byte| *byte != 0) {
            disk.seek(SeekFrom::Start(position))?;
            disk.write_all(&block[..read])?;
        }
        position += read as u64;
    }
}

/// Makes a partition's file system, other than a slot's.
///
/// # Errors
/// If a tool fails, or a root was asked for.
pub fn empty(image: &Path, board: &Board, role: Role, release: &Release) -> Result<()> {
    let partition = board.disk.partition(role).with_context(|| format!("{} has no {role}", board.name))?;
    ensure!(partition.filesystem == Filesystem::Ext4, "{role} is never empty");
    ext4(image, board, partition, release)
}
