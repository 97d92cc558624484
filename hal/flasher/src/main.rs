//! What `cargo xtask flash <board> <device or file>` starts: puts an image on a disk, reads it back, and gives the box who it is.
//! It also reads the orders of installers' sticks. A program of its own, so that `xtask` need not wait for what it is made of.
//!
//! ```text
//!  disk.img ─▶ write ─▶ sync ─▶ read back, from the disk and not from memory ─▶ serial number, claim code ─▶ label
//! ```
//! The claim code is on the label only; the box keeps a digest of it, on STATE, where not even a reset of everything takes it away.

use anyhow::{Context, Result, bail, ensure};
use flash::identity::{FOLDER, GROUP, Identity, serial_number};
use flash::label::Label;
use flash::order::{Order, TEMPLATE};
use flash::{copy, table};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const HELP: &str = "\
cargo xtask flash <board> <device or file> [--image <disk.img>] [--serial <number>] [--label <folder>]

  Writes the board's image, reads it back, gives the box its serial number and claim code, and leaves label.txt and
  label.svg in the folder (default: beside the image). A disk that is in use is never written.

As a program: flasher write <folder of images> <the same>
              flasher order [<install.toml>]   prints the order if it is one; without a file, the one that names no disk
";

/// What the command line asks for.
struct Wish {
    board: String,
    to: PathBuf,
    image: Option<PathBuf>,
    serial: Option<String>,
    label: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["order"] => print!("{TEMPLATE}"),
        ["order", file] => print!("{}", order(Path::new(file))?),
        ["write", images, ..] => match wish(&arguments[2..])? {
            Some(wish) => flash(Path::new(images), wish)?,
            None => print!("{HELP}"),
        },
        ["--help" | "-h"] => print!("{HELP}"),
        other => bail!("flasher does not know {other:?}\n{HELP}"),
    }
    Ok(())
}

/// What the file says, if it is an order.
fn order(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Order::parse(&text).with_context(|| format!("{} is wrong", file.display()))?;
    Ok(text)
}

/// All of it; images of boards are in `images`.
fn flash(images: &Path, wish: Wish) -> Result<()> {
    let image = wish.image.unwrap_or_else(|| images.join(&wish.board).join("disk.img"));
    let about = image.with_file_name("image.json");
    let about = std::fs::read(&about).with_context(|| {
        format!("cannot read {}; make the image by `cargo xtask image {}`", about.display(), wish.board)
    })?;
    let about: serde_json::Value = serde_json::from_slice(&about).context("image.json")?;
    ensure!(
        about["board"] == wish.board.as_str(),
        "{} is an image of {}, not of {}",
        image.display(),
        about["board"],
        wish.board
    );
    let state =
        about["partitions"].as_array().and_then(|all| all.iter().find(|part| part["name"] == "STATE"));
    let state = state.and_then(|part| part["start"].as_u64()).context("image.json names no STATE")?;
    free(&wish.to)?;
    let written = write(&image, &wish.to)?;
    verify(&image, &wish.to, written)?;
    grow(&wish.to)?;
    let mut random = File::open("/dev/urandom").context("the system's randomness")?;
    let who = Identity::new(wish.serial, &mut random)?;
    identify(&wish.to, state, &who)?;
    let folder = wish.label.unwrap_or_else(|| image.parent().unwrap_or(Path::new(".")).to_owned());
    label(&folder, &wish.board, &who, about["version"].as_str().unwrap_or_default())
}

fn wish(arguments: &[String]) -> Result<Option<Wish>> {
    let (mut plain, mut image, mut serial, mut label) = (Vec::new(), None, None, None);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} wants a value\n{HELP}"));
        match word.as_str() {
            "--image" => image = Some(PathBuf::from(value()?)),
            "--serial" => serial = Some(serial_number(value()?).map_err(anyhow::Error::msg)?),
            "--label" => label = Some(PathBuf::from(value()?)),
            "--help" | "-h" => return Ok(None),
            other if other.starts_with('-') => bail!("there is no option {other:?}\n{HELP}"),
            other => plain.push(other.to_owned()),
        }
    }
    let [board, to] = &plain[..] else { bail!("name a board and where it goes\n{HELP}") };
    Ok(Some(Wish { board: board.clone(), to: std::path::absolute(to)?, image, serial, label }))
}

/// Refuses a disk of which any part is mounted or held by something else.
fn free(to: &Path) -> Result<()> {
    let Ok(about) = std::fs::metadata(to) else { return Ok(()) };
    if !about.file_type().is_block_device() {
        ensure!(about.is_file(), "{} is neither a disk nor a file", to.display());
        return Ok(());
    }
    let disk = std::fs::canonicalize(to)?;
    let name = disk.file_name().and_then(|name| name.to_str()).context("a disk has a name")?;
    let shown = Path::new("/sys/class/block").join(name);
    ensure!(!shown.join("partition").exists(), "{} is a partition; name the whole disk", to.display());
    let parts =
        std::fs::read_dir(&shown)?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let all: Vec<String> = parts.filter(|part| part.starts_with(name)).chain([name.to_owned()]).collect();
    let mounts = std::fs::read_to_string("/proc/mounts")?;
    for part in &all {
        let used = mounts.lines().any(|line| line.starts_with(&format!("/dev/{part} ")));
        ensure!(!used, "/dev/{part} is mounted; this disk is in use and is not touched");
        let held = Path::new("/sys/class/block").join(part).join("holders");
        let held = std::fs::read_dir(held).is_ok_and(|mut holders| holders.next().is_some());
        ensure!(!held, "/dev/{part} is held by another device; this disk is in use and is not touched");
    }
    Ok(())
}

/// Writes the image. The bytes written come back.
fn write(image: &Path, to: &Path) -> Result<u64> {
    let mut from = File::open(image).with_context(|| format!("cannot open {}", image.display()))?;
    let size = from.metadata()?.len();
    let mut disk = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(to)
        .with_context(|| format!("cannot open {}", to.display()))?;
    let room = disk.seek(SeekFrom::End(0))?;
    if disk.metadata()?.file_type().is_block_device() {
        ensure!(room >= size, "{} has {room} bytes and the image {size}; take a larger disk", to.display());
    } else {
        disk.set_len(size.max(room))?;
    }
    disk.seek(SeekFrom::Start(0))?;
    copy::write(&mut from, &mut disk, size, |_| ()).with_context(|| to.display().to_string())?;
    disk.sync_all()?;
    println!("written: {size} bytes to {}", to.display());
    Ok(size)
}

/// Compares what the disk gives back with the image. Its pages are dropped from memory first.
fn verify(image: &Path, to: &Path, size: u64) -> Result<()> {
    read(Command::new("dd").arg(format!("if={}", to.display())).args([
        "iflag=nocache",
        "count=0",
        "status=none",
    ]))?;
    let (mut from, mut disk) = (File::open(image)?, File::open(to)?);
    let hash = copy::verify(&mut from, &mut disk, size, |_| ()).with_context(|| to.display().to_string())?;
    println!("verified: {hash}");
    Ok(())
}

/// Lets the last partition reach to the end of a larger disk.
fn grow(to: &Path) -> Result<()> {
    let mut disk = File::options().read(true).write(true).open(to)?;
    let size = disk.seek(SeekFrom::End(0))?;
    table::grow(&mut disk, size).with_context(|| to.display().to_string())?;
    Ok(disk.sync_all()?)
}

/// Writes who the box is into the file system STATE, which begins at byte `at` of the disk.
fn identify(to: &Path, at: u64, who: &Identity) -> Result<()> {
    let records = who.records().map_err(anyhow::Error::msg)?;
    let folder = std::env::temp_dir().join(format!("gantry-flash-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let (name, mode) = FOLDER;
    let mut lines = format!("mkdir {name}\nsif {name} mode 04{mode:04o}\nsif {name} gid {GROUP}\n");
    for record in &records {
        let (from, file) = (folder.join(record.name), format!("{name}/{}", record.name));
        std::fs::write(&from, &record.content)?;
        lines += &format!("write {} {file}\nsif {file} mode 010{:04o}\n", from.display(), record.mode);
        lines += &format!("sif {file} uid 0\nsif {file} gid {GROUP}\n");
    }
    let script = folder.join("script");
    std::fs::write(&script, lines)?;
    let disk = format!("{}?offset={at}", to.display());
    let edit = read(Command::new("debugfs").args(["-w", "-f"]).args([script.as_os_str(), disk.as_ref()]));
    std::fs::remove_dir_all(&folder)?;
    edit?;
    for record in &records {
        let said = read(Command::new("debugfs").args(["-R", &format!("cat {name}/{}", record.name), &disk]))?;
        ensure!(said == record.content.as_bytes(), "STATE does not give back {name}/{}", record.name);
    }
    File::open(to)?.sync_all()?;
    Ok(())
}

/// Runs a program, which says nothing unless it fails; what it prints comes back.
fn read(command: &mut Command) -> Result<Vec<u8>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("cannot start {name}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed: {}: {}", output.status, said.trim());
    Ok(output.stdout)
}

/// Leaves the label in `folder`, and shows it.
fn label(folder: &Path, board: &str, who: &Identity, version: &str) -> Result<()> {
    let label = Label::new(board, who, version).map_err(anyhow::Error::msg)?;
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("label.svg"), &label.svg)?;
    std::fs::write(folder.join("label.txt"), &label.text)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}\n{}\nlabel: {}", label.text, label.terminal, folder.join("label.svg").display())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_disk_is_written_from_its_beginning_and_keeps_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let (image, disk) = (folder.path().join("image"), folder.path().join("disk"));
        std::fs::write(&image, vec![7; 3000]).unwrap();
        std::fs::write(&disk, vec![9; 5000]).unwrap();
        let written = write(&image, &disk).unwrap();
        verify(&image, &disk, written).unwrap();
        assert_eq!((written, std::fs::metadata(&disk).unwrap().len()), (3000, 5000));
    }

    /// The judge is util-linux.
    #[test]
    fn a_table_that_was_grown_is_one_that_sfdisk_takes() {
        let folder = tempfile::tempdir().unwrap();
        let (disk, script) = (folder.path().join("disk"), folder.path().join("script"));
        File::create(&disk).unwrap().set_len(16 << 20).unwrap();
        std::fs::write(&script, "label: gpt\n\nsize=2MiB, name=\"A\"\nsize=4MiB, name=\"B\"\n").unwrap();
        read(Command::new("sfdisk").arg("-q").arg(&disk).stdin(File::open(&script).unwrap())).unwrap();
        File::options().write(true).open(&disk).unwrap().set_len(64 << 20).unwrap();
        grow(&disk).unwrap();
        let said = read(Command::new("sfdisk").arg("--verify").arg(&disk)).unwrap();
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains("No errors detected"), "{said}");
        let said = read(Command::new("sfdisk").arg("--dump").arg(&disk)).unwrap();
        let said = String::from_utf8(said).unwrap();
        assert!(said.contains("start=        6144, size=      122880"), "{said}");
    }

    #[test]
    fn a_box_learns_its_serial_number_and_a_digest_of_its_claim_code_but_not_the_code() {
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("disk");
        File::create(&disk).unwrap().set_len(17 << 20).unwrap();
        read(Command::new("mkfs.ext4").args(["-q", "-F", "-E", "offset=1048576"]).arg(&disk).arg("16m"))
            .unwrap();
        let who = Identity { serial: "G000000001".into(), code: "1234-5678".into() };
        identify(&disk, 1 << 20, &who).unwrap();
        let at = format!("{}?offset=1048576", disk.display());
        let said = |what: &str| {
            String::from_utf8(read(Command::new("debugfs").args(["-R", what, &at])).unwrap()).unwrap()
        };
        assert_eq!(said("cat identity/serial"), "G000000001\n");
        let claim = said("cat identity/claim");
        assert_eq!(claim, who.records().unwrap()[0].content);
        let about = said("stat identity/claim");
        assert!(about.contains("Mode:  0640") && about.contains("Group:   800"), "{about}");
    }

    #[test]
    fn an_order_is_read_before_a_stick_is_made_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("install.toml");
        std::fs::write(&file, TEMPLATE).unwrap();
        assert_eq!(order(&file).unwrap(), TEMPLATE, "it names no disk, and may");
        let names_one = "[disk]\nserial = \"S1\"\n";
        std::fs::write(&file, names_one).unwrap();
        assert_eq!(order(&file).unwrap(), names_one);
        std::fs::write(&file, "[disk]\nserail = \"S1\"\n").unwrap();
        let why = format!("{:#}", order(&file).expect_err("a word that is none"));
        assert!(why.contains("install.toml is wrong") && why.contains("serail"), "{why}");
    }

    #[test]
    fn a_disk_in_use_or_a_folder_is_never_written() {
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap();
        let root = mounts.lines().find(|line| line.contains(" / ")).unwrap().split(' ').next().unwrap();
        if root.starts_with("/dev/") && Path::new(root).exists() {
            free(Path::new(root)).expect_err("the machine runs from it");
        }
        free(Path::new("/")).expect_err("a folder is no disk");
        free(Path::new("/nowhere/disk")).unwrap();
    }
}
