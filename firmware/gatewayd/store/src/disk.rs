//! The disk as the store needs it: four files that are written at a place, cut, and made to last, in one of several folders.
//!
//! Each function is one system call, so that a test can stand in for the disk and let the power go after any of them.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// One of two: whichever is not written at the moment is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The first.
    A,
    /// The second.
    B,
}

impl Side {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// A file of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum File {
    /// All documents at one moment.
    Snapshot(Side),
    /// The changes since that moment.
    Journal(Side),
}

impl File {
    /// All that there are.
    pub const ALL: [Self; 4] =
        [Self::Snapshot(Side::A), Self::Snapshot(Side::B), Self::Journal(Side::A), Self::Journal(Side::B)];

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Snapshot(Side::A) => "config.a",
            Self::Snapshot(Side::B) => "config.b",
            Self::Journal(Side::A) => "journal.a",
            Self::Journal(Side::B) => "journal.b",
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Snapshot(side) => side as usize,
            Self::Journal(side) => 2 + side as usize,
        }
    }
}

/// Where the files are. What was written lasts through a power cut only after [`sync`](Self::sync), and a file that is new only
/// after [`sync_folder`](Self::sync_folder).
pub trait Disk {
    /// What is in `file`, up to `limit` bytes; `None` if it is not there.
    ///
    /// # Errors
    /// If the disk can't be read.
    fn read(&self, file: File, limit: u64) -> io::Result<Option<Vec<u8>>>;

    /// Puts `bytes` at `offset`. A file that is not there is made.
    ///
    /// # Errors
    /// If they can't be put there; some may have been.
    fn write(&mut self, file: File, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes `file` end at `length`.
    ///
    /// # Errors
    /// If it can't be.
    fn cut(&mut self, file: File, length: u64) -> io::Result<()>;

    /// Returns when what was written lasts.
    ///
    /// # Errors
    /// If it may not: then nobody knows what is on the disk, and asking again proves nothing.
    fn sync(&mut self, file: File) -> io::Result<()>;

    /// Returns when the files' names last.
    ///
    /// # Errors
    /// If they may not.
    fn sync_folder(&mut self) -> io::Result<()>;
}

/// A folder of a real disk, held by one process at a time.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Kept open: an error of writing back is told to those who had the file open then, and to nobody later.
    open: [Option<fs::File>; 4],
    _held: Option<fs::File>,
}

/// Whoever holds it has the folder.
const LOCK: &str = "lock";

fn hold(lock: &fs::File, folder: &Path) -> io::Result<()> {
    lock.try_lock().map_err(|error| {
        let error = io::Error::from(error);
        io::Error::new(error.kind(), format!("{} is in use: {error}", folder.display()))
    })
}

impl Folder {
    /// Takes the folder at `path`, which is made where it is not there.
    ///
    /// # Errors
    /// If it can't be made, or somebody else has it.
    pub fn take(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        let held = OpenOptions::new().write(true).create(true).truncate(false).open(path.join(LOCK))?;
        hold(&held, path)?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::File::open(parent)?.sync_all()?;
        }
        Ok(Self { path: path.to_owned(), open: [const { None }; 4], _held: Some(held) })
    }

    /// The folder at `path` as it is: nothing is made of it, not even the lock of one that nobody has ever taken.
    fn look(path: &Path) -> io::Result<Self> {
        let held = match fs::File::open(path.join(LOCK)) {
            Ok(held) => hold(&held, path).map(|()| Some(held))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(Self { path: path.to_owned(), open: [const { None }; 4], _held: held })
    }

    fn handle(&mut self, file: File) -> io::Result<&fs::File> {
        let slot = &mut self.open[file.index()];
        if slot.is_none() {
            let path = self.path.join(file.name());
            *slot = Some(OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?);
        }
        slot.as_ref().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

/// Folders beside one another, each a disk. A folder's name lasts only after [`sync`](Self::sync).
pub trait Folders {
    /// What a folder is.
    type Disk: Disk;

    /// The names of those that hold any file of a store, in no order.
    ///
    /// # Errors
    /// If the disk can't be read.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Takes the folder `name`, which is made where it is not there.
    ///
    /// # Errors
    /// If it can't be made, or somebody else has it.
    fn take(&mut self, name: &str) -> io::Result<Self::Disk>;

    /// The folder `name`, to be read and nothing else; it need not be there.
    ///
    /// # Errors
    /// If somebody else has it.
    fn look(&self, name: &str) -> io::Result<Self::Disk>;

    /// Gives `from` the name `to`, which nothing has.
    ///
    /// # Errors
    /// If it can't have it.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;

    /// Takes the folder `name` away with all that is in it; it need not be there.
    ///
    /// # Errors
    /// If it can't be, or somebody else has it.
    fn remove(&mut self, name: &str) -> io::Result<()>;

    /// Returns when the folders' names last.
    ///
    /// # Errors
    /// If they may not.
    fn sync(&mut self) -> io::Result<()>;
}

/// The folder that the folders of a real disk are in.
#[derive(Debug)]
pub struct Root(PathBuf);

impl Root {
    /// The one at `path`, which is made where it is not there.
    ///
    /// # Errors
    /// If it can't be made.
    pub fn open(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        Ok(Self(path.to_owned()))
    }
}

impl Folders for Root {
    type Disk = Folder;

    fn list(&self) -> io::Result<Vec<String>> {
        let holds = |path: &Path| File::ALL.iter().any(|file| path.join(file.name()).exists());
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let entry = entry?;
            names.extend(entry.file_name().into_string().ok().filter(|_| holds(&entry.path())));
        }
        Ok(names)
    }

    fn take(&mut self, name: &str) -> io::Result<Folder> {
        Folder::take(&self.0.join(name))
    }

    fn look(&self, name: &str) -> io::Result<Folder> {
        Folder::look(&self.0.join(name))
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let path = self.0.join(name);
        let held = Folder::look(&path)?;
        let removed = match fs::remove_dir_all(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        };
        drop(held);
        removed
    }

    fn sync(&mut self) -> io::Result<()> {
        fs::File::open(&self.0)?.sync_all()
    }
}

impl Disk for Folder {
    fn read(&self, file: File, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let mut opened = match fs::File::open(self.path.join(file.name())) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        opened.seek(SeekFrom::Start(0))?;
        opened.take(limit).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn write(&mut self, file: File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.handle(file)?.write_all_at(bytes, offset)
    }

    fn cut(&mut self, file: File, length: u64) -> io::Result<()> {
        self.handle(file)?.set_len(length)
    }

    fn sync(&mut self, file: File) -> io::Result<()> {
        // The length is data's business too (POSIX: what is needed to read it back).
        self.handle(file)?.sync_data()
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        fs::File::open(&self.path)?.sync_all()
    }
}
