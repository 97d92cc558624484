//! Files, read with a bound and written so that a power cut leaves the old or the new.

use domain::appliance::copies::{self, Copy, Newest};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The text of a regular file of at most `most` bytes. A link is not followed: whoever may write the folder could point it
/// anywhere.
///
/// # Errors
/// If it is not there, is something else, is longer, or is no UTF-8.
pub fn read(path: &Path, most: usize) -> io::Result<String> {
    let flags = nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK | nix::fcntl::OFlag::O_CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    bounded(file, most)
}

/// The text of a file that the kernel makes while it is read, such as those of `/proc`.
///
/// # Errors
/// As [`read`].
pub fn of_kernel(path: &Path, most: usize) -> io::Result<String> {
    bounded(File::open(path)?, most)
}

fn bounded(file: File, most: usize) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it has more than {most} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is no UTF-8"))
}

/// Writes a file anew beside the old one and puts it in its place, on the disk when it returns.
///
/// # Errors
/// If the disk fails; the old file is still there then.
pub fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    replace_after(path, text, mode, |_| Ok(()))
}

/// The same, for a file that belongs to whom its folder belongs: it is theirs before it is in its place.
///
/// # Errors
/// As [`replace`], or if it can't be given to them.
pub fn replace_for_folder(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    replace_after(path, text, mode, give_to_folder)
}

fn replace_after(
    path: &Path,
    text: &str,
    mode: u32,
    ready: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let beside = path.with_extension("new");
    write_synced(&beside, text, mode)?;
    ready(&beside)?;
    fs::rename(&beside, path)?;
    sync_folder(path)
}

/// Gives a file to whom its folder belongs, on the disk when it returns. What is no plain file with one name is not given: whoever
/// may write the folder could have made it a name for somebody else's.
///
/// # Errors
/// If it is no such file, or the system does not let it.
pub fn give_to_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().map(fs::metadata).transpose()?;
    let Some(folder) = folder else { return Ok(()) };
    let nofollow = nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(nofollow.bits()).open(path)?;
    let now = file.metadata()?;
    if !now.is_file() || now.nlink() != 1 {
        let why = format!("{} is no plain file with one name; move it away", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    if (now.uid(), now.gid()) != (folder.uid(), folder.gid()) {
        std::os::unix::fs::fchown(&file, Some(folder.uid()), Some(folder.gid()))?;
        file.sync_all()?;
    }
    Ok(())
}

fn write_synced(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let nofollow = nix::fcntl::OFlag::O_NOFOLLOW.bits();
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .custom_flags(nofollow)
        .open(path)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Appends to a file, on the disk when it returns.
///
/// # Errors
/// If the disk fails.
pub fn append(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let nofollow = nix::fcntl::OFlag::O_NOFOLLOW.bits();
    let mut file =
        OpenOptions::new().append(true).create(true).mode(mode).custom_flags(nofollow).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_data()
}

/// A text in two copies, written in turn.
#[derive(Debug, Clone)]
pub struct Copies {
    paths: [PathBuf; 2],
    next: Copy,
    number: u64,
}

impl Copies {
    /// Those at `paths`, and what they say; neither need be there.
    #[must_use]
    pub fn open(paths: [PathBuf; 2], most: usize) -> (Self, Newest) {
        let [a, b] = paths.each_ref().map(|path| match read(path, most) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            // What cannot be read counts as damaged, not as missing.
            Err(_) => Some(String::new()),
        });
        let newest = copies::newest(a.as_deref(), b.as_deref());
        (Self { paths, next: newest.next, number: newest.number }, newest)
    }

    /// Writes the copy whose turn it is.
    ///
    /// # Errors
    /// If the disk fails; the other copy still says what it said.
    pub fn write(&mut self, text: &str) -> io::Result<()> {
        let path = match self.next {
            Copy::A => &self.paths[0],
            Copy::B => &self.paths[1],
        };
        write_synced(path, &copies::seal(self.number, text), 0o600)?;
        sync_folder(path)?;
        self.next = self.next.other();
        self.number += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_written_in_turn_and_a_torn_one_does_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a", "b"].map(|name| folder.path().join(name));
        let open = || Copies::open(paths.clone(), 1_000);
        let (mut copies, newest) = open();
        assert_eq!(newest.text, None);
        for text in ["one", "two", "three"] {
            copies.write(text).unwrap();
            assert_eq!(open().1.text.as_deref(), Some(text));
        }
        // The copy that was written last is torn.
        fs::write(&paths[0], "# gantry 1 3 0000").unwrap();
        let (mut copies, newest) = open();
        assert_eq!(newest.text.as_deref(), Some("two"));
        assert_eq!(newest.damaged, [Copy::A]);
        copies.write("four").unwrap();
        assert_eq!(open().1.text.as_deref(), Some("four"));
        let mode = fs::metadata(&paths[1]).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_is_no_regular_file_of_the_right_size_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("fine"), "12345").unwrap();
        assert_eq!(read(&at("fine"), 5).unwrap(), "12345");
        assert!(read(&at("fine"), 4).is_err());
        std::os::unix::fs::symlink(at("fine"), at("link")).unwrap();
        assert!(read(&at("link"), 5).is_err(), "a link is not followed");
        assert!(read(folder.path(), 5).is_err());
        fs::write(at("bytes"), [0xff, 0xfe]).unwrap();
        assert!(read(&at("bytes"), 5).is_err());
        replace(&at("fine"), "new", 0o644).unwrap();
        append(&at("fine"), "er", 0o644).unwrap();
        assert_eq!(read(&at("fine"), 5).unwrap(), "newer");
    }

    #[test]
    fn a_file_is_given_to_whom_its_folder_belongs_unless_it_has_another_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        // Only root may give files away; for others the folder's owner is theirs.
        let owner = if nix::unistd::geteuid().is_root() { 65_534 } else { nix::unistd::geteuid().as_raw() };
        std::os::unix::fs::chown(folder.path(), Some(owner), None).unwrap();
        replace_for_folder(&at("fine"), "text", 0o640).unwrap();
        assert_eq!(fs::metadata(at("fine")).unwrap().uid(), owner);

        fs::write(at("theirs"), "text").unwrap();
        fs::hard_link(at("theirs"), at("second")).unwrap();
        let refused = give_to_folder(&at("second")).unwrap_err();
        assert!(refused.to_string().contains("one name"), "{refused}");
        std::os::unix::fs::symlink(at("fine"), at("link")).unwrap();
        assert!(give_to_folder(&at("link")).is_err(), "a link is not followed");
        assert!(give_to_folder(&at("none")).is_err());
    }
}
