//! Reads files that the kernel, or whoever wrote the disk, filled: never more than is asked for, and never for ever.

use hal::Label;
use nix::fcntl::OFlag;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Longest attribute taken; a page is what sysfs gives at most.
const ATTRIBUTE_BYTES: usize = 4096;
/// Most entries of a folder that are looked at.
const ENTRIES: usize = 1024;

/// The first `most` bytes of a regular file.
///
/// # Errors
/// What the system says; `InvalidInput` for what is no regular file (a pipe would be waited for).
pub(crate) fn read(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let file = open(path, OpenOptions::new().read(true))?;
    let mut bytes = Vec::new();
    file.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a regular file, without waiting for anybody.
///
/// # Errors
/// As [`read`].
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = options.custom_flags(OFlag::O_NONBLOCK.bits() | OFlag::O_CLOEXEC.bits()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(file)
}

/// Adds `text` to a file of at most `most` bytes; one that would be longer loses its older half first, by whole lines. A link
/// is not followed: others may write the folder.
///
/// # Errors
/// What the system says.
pub(crate) fn append(path: &Path, text: &str, most: usize) -> io::Result<()> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o640).custom_flags(flags.bits());
    let mut file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    if file.metadata()?.len() + text.len() as u64 > most as u64 {
        let mut old = Vec::new();
        (&file).take(most as u64).read_to_end(&mut old)?;
        let half = old.len() / 2;
        let line = old[half..].iter().position(|byte| *byte == b'\n').map_or(old.len(), |end| half + end + 1);
        file.set_len(0)?;
        file.write_all(&old[line..])?;
    }
    file.write_all(text.as_bytes())
}

/// What an attribute of sysfs says; `None` if it is not there, or does not answer.
pub(crate) fn attribute(path: &Path) -> Option<String> {
    let bytes = read(path, ATTRIBUTE_BYTES).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// An attribute that is a number.
pub(crate) fn number<T: std::str::FromStr>(path: &Path) -> Option<T> {
    attribute(path)?.parse().ok()
}

/// An attribute that is a name.
pub(crate) fn label(path: &Path) -> Option<Label> {
    Label::sanitised(&attribute(path)?)
}

/// What stands in a folder, in the order of the numbers in its names ("hwmon2" before "hwmon10").
///
/// # Errors
/// What the system says.
pub(crate) fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?.take(ENTRIES);
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort_by_cached_key(|path| natural(name(path)));
    Ok(paths)
}

/// The last part of a path, empty where it is no UTF-8.
pub(crate) fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// A key by which names sort as people count: the text before the first number, that number, and the whole.
fn natural(name: &str) -> (String, u64, String) {
    let text: String = name.chars().take_while(|c| !c.is_ascii_digit()).collect();
    let digits: String = name[text.len()..].chars().take_while(char::is_ascii_digit).collect();
    (text, digits.parse().unwrap_or(0), name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::stat::Mode;
    use std::fs;

    #[test]
    fn no_more_is_read_than_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        fs::write(&path, vec![b'x'; 100_000]).unwrap();
        assert_eq!(read(&path, 10).unwrap(), b"xxxxxxxxxx");
        assert_eq!(attribute(&path).unwrap().len(), ATTRIBUTE_BYTES);
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        nix::unistd::mkfifo(&path, Mode::S_IRUSR).unwrap();
        assert_eq!(read(&path, 10).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(read(folder.path(), 10).is_err());
    }

    #[test]
    fn attributes_are_trimmed_and_numbers_are_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("attribute");
        fs::write(&path, " 42\n").unwrap();
        assert_eq!(attribute(&path).as_deref(), Some("42"));
        assert_eq!(number::<u32>(&path), Some(42));
        fs::write(&path, b"\xff\n").unwrap();
        assert_eq!(number::<u32>(&path), None);
        assert_eq!(label(&path).unwrap().as_str(), "?");
        assert_eq!(attribute(&folder.path().join("none")), None);
    }

    #[test]
    fn entries_come_as_people_count() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["hwmon10", "hwmon2", "cooling", "hwmon1"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let found = entries(folder.path()).unwrap();
        let names: Vec<_> = found.iter().map(|path| name(path)).collect();
        assert_eq!(names, ["cooling", "hwmon1", "hwmon2", "hwmon10"]);
    }
}
