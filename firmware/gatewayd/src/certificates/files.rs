//! Small private files that are there whole or not at all, whatever happens to the power.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Largest file that is read: an upload is 64 KiB at most, and keys are smaller.
const FILE_BYTES: u64 = 256 * 1024;
/// Readable for nobody but the daemon.
const PRIVATE: u32 = 0o600;
const PRIVATE_FOLDER: u32 = 0o700;

/// Makes `folder` if it is not there, for the daemon alone.
pub(crate) fn folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER).create(folder)?;
    fs::set_permissions(folder, Permissions::from_mode(PRIVATE_FOLDER))
}

/// What is in `path`; `None` if it is not there. What others may read is closed to them first.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(PRIVATE))?;
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than anything that is kept here"));
    }
    Ok(Some(bytes))
}

/// Puts `bytes` in the place of whatever is at `path`; when this returns, they are on the disk.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_for(path, bytes, PRIVATE)
}

/// The same for a file that others may have, as `mode` and the process's mask say.
pub(crate) fn replace_for(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let new = path.with_extension("new");
    // Left by a power cut, perhaps; its mode need not be ours.
    remove(&new)?;
    let written =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&new).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&new, path)
        });
    if let Err(error) = written {
        // On a full disk, what was written of it stands in everybody's way.
        drop(fs::remove_file(&new));
        return Err(error);
    }
    settle(path)
}

/// Takes `path` away, if it is there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.and_then(|()| settle(path)),
    }
}

/// The folder's own record of the name, on the disk as well.
fn settle(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_private_and_replaced_whole() {
        let bench = tempfile::tempdir().expect("a folder");
        let own = bench.path().join("keys");
        folder(&own).expect("made");
        folder(&own).expect("it may be there already");
        let path = own.join("a.key");
        assert_eq!(read(&path).expect("read"), None);
        fs::write(path.with_extension("new"), "half of").expect("what a power cut left");
        replace(&path, b"first").expect("written");
        replace(&path, b"second").expect("written");
        assert_eq!(read(&path).expect("read").as_deref(), Some(&b"second"[..]));
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&own)), (PRIVATE, PRIVATE_FOLDER));
        assert_eq!(fs::read_dir(&own).expect("a folder").count(), 1);
        remove(&path).expect("removed");
        remove(&path).expect("it need not be there");
    }

    #[test]
    fn a_file_that_others_may_read_is_closed_to_them_and_one_that_is_too_large_is_not_read() {
        let bench = tempfile::tempdir().expect("a folder");
        let path = bench.path().join("a.key");
        fs::write(&path, "x").expect("written");
        fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("set");
        read(&path).expect("read");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, PRIVATE);
        let large = vec![0; usize::try_from(FILE_BYTES).expect("small") + 1];
        fs::write(&path, large).expect("written");
        assert_eq!(read(&path).expect_err("too large").kind(), io::ErrorKind::FileTooLarge);
    }
}
