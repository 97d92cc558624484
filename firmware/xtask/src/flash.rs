//! `cargo xtask flash <board> <device or file>`: puts an image on a disk, reads it back, and gives the box who it is.
//!
//! ```text
//!  disk.img ─▶ write ─▶ sync ─▶ read back, from the disk and not from memory ─▶ serial number, claim code ─▶ label
//! ```
//! The claim code is on the label only; the box keeps a digest of it, on STATE, where not even a reset of everything takes it away.

use crate::setup;
use crate::shell::{Program, target};
use anyhow::{Context, Result, bail, ensure};
use domain::appliance::access::{CODE_DIGITS, Verifier};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

const HELP: &str = "\
cargo xtask flash <board> <device or file> [--image <disk.img>] [--serial <number>] [--label <folder>]

  Writes the board's image, reads it back, gives the box its serial number and claim code, and leaves label.txt and
  label.svg in the folder (default: beside the image). A disk that is in use is never written.
";

/// Bytes that are written or compared at a time.
const CHUNK: usize = 4 << 20;
/// The group `gantry`, whose programs read the digest.
const GROUP: u32 = 800;

/// What the command line asks for.
struct Wish {
    board: String,
    to: PathBuf,
    image: Option<PathBuf>,
    serial: Option<String>,
    label: Option<PathBuf>,
}

/// Who a box is.
struct Identity {
    serial: String,
    code: String,
}

/// `flash ...`.
///
/// # Errors
/// If the disk is in use, too small, or does not give back what was written.
pub fn command(arguments: &[String]) -> Result<()> {
    let Some(wish) = wish(arguments)? else {
        print!("{HELP}");
        return Ok(());
    };
    setup::install(&[setup::IMAGE])?;
    let image = wish.image.unwrap_or_else(|| target().join("image").join(&wish.board).join("disk.img"));
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
    let who = Identity { serial: wish.serial.map_or_else(serial, Ok)?, code: code()? };
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
            "--serial" => serial = Some(good_serial(value()?)?),
            "--label" => label = Some(PathBuf::from(value()?)),
            "--help" | "-h" => return Ok(None),
            other if other.starts_with('-') => bail!("there is no option {other:?}\n{HELP}"),
            other => plain.push(other.to_owned()),
        }
    }
    let [board, to] = &plain[..] else { bail!("name a board and where it goes\n{HELP}") };
    Ok(Some(Wish { board: board.clone(), to: std::path::absolute(to)?, image, serial, label }))
}

/// A serial number as a label and a firmware table hold it.
fn good_serial(text: &str) -> Result<String> {
    let good = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    ensure!(good, "{text:?} is no serial number; write 1 to 32 letters, digits and hyphens");
    Ok(text.to_owned())
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

/// Writes the image, holes too: what was on the disk before must not shine through. The bytes written come back.
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
    let mut chunk = vec![0; CHUNK];
    let mut done = 0;
    loop {
        let read = from.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        disk.write_all(&chunk[..read])
            .with_context(|| format!("cannot write {} at byte {done}", to.display()))?;
        done += read as u64;
    }
    disk.sync_all()?;
    println!("written: {done} bytes to {}", to.display());
    Ok(done)
}

/// Compares what the disk gives back with the image. Its pages are dropped from memory first.
fn verify(image: &Path, to: &Path, size: u64) -> Result<()> {
    Program::new("dd")
        .args([format!("if={}", to.display())])
        .args(["iflag=nocache", "count=0", "status=none"])
        .read()?;
    let (mut from, mut disk) = (File::open(image)?, File::open(to)?);
    let (mut wanted, mut found) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut hash = Sha256::new();
    let mut done = 0;
    while done < size {
        let length = CHUNK.min(usize::try_from(size - done).unwrap_or(CHUNK));
        from.read_exact(&mut wanted[..length])?;
        disk.read_exact(&mut found[..length])
            .with_context(|| format!("cannot read {} back", to.display()))?;
        if let Some(at) = wanted[..length].iter().zip(&found[..length]).position(|(a, b)| a != b) {
            bail!(
                "{} does not give back what was written at byte {}; replace this disk",
                to.display(),
                done + at as u64
            );
        }
        hash.update(&found[..length]);
        done += length as u64;
    }
    println!("verified: {}", hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    Ok(())
}

/// Lets the last partition reach to the end of a larger disk. Its file system grows when the box starts.
fn grow(to: &Path) -> Result<()> {
    Program::new("sfdisk")
        .args(["--quiet", "--no-reread", "--no-tell-kernel", "--relocate", "gpt-bak-std"])
        .args([to])
        .read()?;
    let script = std::env::temp_dir().join(format!("gantry-grow-{}", std::process::id()));
    std::fs::write(&script, ", +\n")?;
    let grown = Program::new("sfdisk")
        .args(["--quiet", "--no-reread", "--no-tell-kernel", "-N", "8"])
        .args([to])
        .input(File::open(&script)?)
        .read();
    std::fs::remove_file(&script)?;
    // On a disk of just the image's size there is nothing to grow into, and sfdisk says so.
    drop(grown);
    Ok(())
}

/// Eight digits, each as likely as the other.
fn code() -> Result<String> {
    let digits = random(|byte| (byte < 250).then_some(char::from(b'0' + byte % 10)), CODE_DIGITS)?;
    Ok(format!("{}-{}", &digits[..CODE_DIGITS / 2], &digits[CODE_DIGITS / 2..]))
}

/// A serial number for boxes whose maker gave none: letters and digits that are not taken for one another.
fn serial() -> Result<String> {
    const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    Ok(format!("G{}", random(|byte| Some(char::from(LETTERS[usize::from(byte % 32)])), 9)?))
}

fn random(letter: impl Fn(u8) -> Option<char>, count: usize) -> Result<String> {
    let mut source = File::open("/dev/urandom").context("the system's randomness")?;
    let mut text = String::new();
    let mut byte = [0];
    while text.len() < count {
        source.read_exact(&mut byte)?;
        text.extend(letter(byte[0]));
    }
    Ok(text)
}

/// Writes who the box is into the file system STATE, which begins at byte `at` of the disk.
fn identify(to: &Path, at: u64, who: &Identity) -> Result<()> {
    let verifier = Verifier::of(&who.code).map_err(|error| anyhow::anyhow!(error))?;
    let folder = std::env::temp_dir().join(format!("gantry-flash-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let (claim, serial, script) = (folder.join("claim"), folder.join("serial"), folder.join("script"));
    std::fs::write(&claim, verifier.to_text())?;
    std::fs::write(&serial, format!("{}\n", who.serial))?;
    let mut lines = format!("mkdir identity\nsif identity mode 040750\nsif identity gid {GROUP}\n");
    for (file, path) in [("claim", &claim), ("serial", &serial)] {
        lines += &format!("write {} identity/{file}\nsif identity/{file} mode 0100640\n", path.display());
        lines += &format!("sif identity/{file} uid 0\nsif identity/{file} gid {GROUP}\n");
    }
    std::fs::write(&script, lines)?;
    let disk = format!("{}?offset={at}", to.display());
    let edit = Program::new("debugfs").args(["-w", "-f"]).args([script.as_os_str(), disk.as_ref()]).read();
    let said = Program::new("debugfs").args(["-R", "cat identity/claim", &disk]).read();
    std::fs::remove_dir_all(&folder)?;
    edit?;
    ensure!(said? == verifier.to_text().as_bytes(), "STATE does not give back the claim code's digest");
    File::open(to)?.sync_all()?;
    Ok(())
}

/// The label: for people, and for whoever photographs it.
fn label(folder: &Path, board: &str, who: &Identity, version: &str) -> Result<()> {
    let Identity { serial, code } = who;
    let text = format!("Gantry  {board}\nS/N     {serial}\nClaim   {code}\nRelease {version}\n");
    let quick = qrcode::QrCode::new(format!("GANTRY:SN={serial};CLAIM={code};BOARD={board}"))?;
    std::fs::create_dir_all(folder)?;
    let drawn = quick.render::<qrcode::render::svg::Color<'_>>().min_dimensions(200, 200).build();
    std::fs::write(folder.join("label.svg"), drawn)?;
    std::fs::write(folder.join("label.txt"), &text)?;
    let shown = quick.render::<qrcode::render::unicode::Dense1x2>().build();
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}\n{shown}\nlabel: {}", folder.join("label.svg").display())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_a_bit_that_turned_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let (image, disk) = (folder.path().join("image"), folder.path().join("disk"));
        let mut content = vec![7; CHUNK + 1000];
        content[100..200].fill(0);
        std::fs::write(&image, &content).unwrap();
        // Something longer was there before.
        std::fs::write(&disk, vec![9; 2 * CHUNK]).unwrap();
        let written = write(&image, &disk).unwrap();
        assert_eq!(written, content.len() as u64);
        verify(&image, &disk, written).unwrap();
        let mut bad = File::options().write(true).open(&disk).unwrap();
        bad.seek(SeekFrom::Start(CHUNK as u64 + 5)).unwrap();
        bad.write_all(&[6]).unwrap();
        let error = verify(&image, &disk, written).unwrap_err().to_string();
        assert!(error.contains(&format!("at byte {}", CHUNK + 5)), "{error}");
    }

    #[test]
    fn a_box_learns_its_serial_number_and_a_digest_of_its_claim_code_but_not_the_code() {
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("disk");
        File::create(&disk).unwrap().set_len(17 << 20).unwrap();
        let made = Program::new("mkfs.ext4")
            .args(["-q", "-F", "-E", "offset=1048576"])
            .args([&disk])
            .args(["16m"])
            .read();
        made.unwrap();
        let who = Identity { serial: "G000000001".into(), code: "1234-5678".into() };
        identify(&disk, 1 << 20, &who).unwrap();
        let at = format!("{}?offset=1048576", disk.display());
        let read = |what: &str| {
            String::from_utf8(Program::new("debugfs").args(["-R", what, &at]).read().unwrap()).unwrap()
        };
        assert_eq!(read("cat identity/serial"), "G000000001\n");
        let claim = read("cat identity/claim");
        assert!(!claim.contains("12345678") && !claim.contains("1234-5678"));
        assert!(Verifier::parse(&claim).is_some());
        let about = read("stat identity/claim");
        assert!(about.contains("Mode:  0640") && about.contains("Group:   800"), "{about}");
    }

    #[test]
    fn codes_and_serial_numbers_are_as_the_label_shows_them() {
        for _ in 0..50 {
            assert!(Verifier::of(&code().unwrap()).is_ok());
            assert_eq!(serial().unwrap().len(), 10);
        }
        assert!(good_serial("GX-2026-1").is_ok());
        assert!(good_serial("").is_err() && good_serial("a b").is_err() && good_serial("a/b").is_err());
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
