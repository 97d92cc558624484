//! A disk whose power can go at any moment, and that fails when it is told to.
//!
//! What was not synced is kept, dropped or torn, sector by sector; lengths and names change in the order they were asked for, as a
//! journalling file system has it (ext4, data=ordered). What a failed sync was to write is in limbo: a later sync doesn't write it.

pub mod home;

use rand::RngExt;
use rand::rngs::SmallRng;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use store::{Disk, File};

/// What a disk writes whole or not at all, in bytes.
const SECTOR: usize = 512;

#[derive(Debug, Clone)]
enum What {
    Write { offset: usize, bytes: Vec<u8> },
    Cut(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lasts {
    Yes,
    AfterSync,
    Perhaps,
}

/// A file: what lasts, and what was done since.
#[derive(Debug, Clone, Default)]
pub struct Content {
    lasting: Vec<u8>,
    since: Vec<(What, Lasts)>,
    now: Vec<u8>,
    named: bool,
}

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The disk is broken (EIO). A write may have been done.
    Broken,
    /// The disk is full (ENOSPC). A part of a write was done.
    Full,
}

/// The disk.
#[derive(Debug, Clone, Default)]
pub struct Sim {
    pub files: [Option<Content>; 4],
    /// Calls that change something, so far.
    pub calls: usize,
    /// The disk after each call, if asked for.
    pub moments: Option<Vec<Moments>>,
    /// The calls that fail.
    pub faults: Vec<(usize, Fault)>,
    /// After so many calls the process is killed: it makes no more.
    pub dead_after: Option<usize>,
}

/// A handle on it.
#[derive(Debug, Clone, Default)]
pub struct Shared(pub Rc<RefCell<Sim>>);

/// A file at the moment of a cut.
#[derive(Debug, Clone)]
pub struct Moment(Content);

/// All files at the moment of a cut.
pub type Moments = [Option<Moment>; 4];

/// What is left of a disk's files.
pub type Image = [Option<Vec<u8>>; 4];

impl Sim {
    /// A disk with these files.
    pub fn of(image: &Image) -> Self {
        let content = |bytes: &Vec<u8>| Content {
            lasting: bytes.clone(),
            since: Vec::new(),
            now: bytes.clone(),
            named: true,
        };
        Self { files: image.each_ref().map(|bytes| bytes.as_ref().map(content)), ..Self::default() }
    }

    fn place(file: File) -> usize {
        File::ALL.iter().position(|other| *other == file).unwrap()
    }

    fn content(&mut self, file: File) -> &mut Content {
        self.files[Self::place(file)].get_or_insert_default()
    }

    /// The fault that the next call has; one that is not made at all is an error.
    fn fault(&mut self) -> io::Result<Option<Fault>> {
        if self.dead_after.is_some_and(|calls| self.calls >= calls) {
            return Err(io::Error::other("killed"));
        }
        self.calls += 1;
        let calls = self.calls;
        Ok(self.faults.iter().find(|(call, _)| *call == calls).map(|(_, fault)| *fault))
    }

    fn done(&mut self) {
        let moment = self.moment();
        if let Some(moments) = &mut self.moments {
            moments.push(moment);
        }
    }

    /// All files as they are now.
    pub fn moment(&self) -> Moments {
        self.files.clone().map(|file| file.map(Moment))
    }
}

impl Fault {
    fn error(self) -> io::Error {
        match self {
            Self::Broken => io::Error::from_raw_os_error(5),
            Self::Full => io::Error::from_raw_os_error(28),
        }
    }
}

impl Content {
    fn add(&mut self, what: What, lasts: Lasts) {
        apply(&mut self.now, &what);
        self.since.push((what, lasts));
    }
}

fn apply(bytes: &mut Vec<u8>, what: &What) {
    match what {
        What::Write { offset, bytes: written } => {
            bytes.resize(bytes.len().max(offset + written.len()), 0);
            bytes[*offset..offset + written.len()].copy_from_slice(written);
        }
        What::Cut(length) => bytes.resize(*length, 0),
    }
}

impl Disk for Sim {
    fn read(&self, file: File, limit: u64) -> io::Result<Option<Vec<u8>>> {
        let content = &self.files[Self::place(file)];
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(content.as_ref().map(|content| content.now[..content.now.len().min(limit)].to_vec()))
    }

    fn write(&mut self, file: File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let fault = self.fault()?;
        let done = if fault == Some(Fault::Full) { &bytes[..bytes.len() / 2] } else { bytes };
        let offset = usize::try_from(offset).unwrap();
        self.content(file).add(What::Write { offset, bytes: done.to_vec() }, Lasts::AfterSync);
        self.done();
        fault.map_or(Ok(()), |fault| Err(fault.error()))
    }

    fn cut(&mut self, file: File, length: u64) -> io::Result<()> {
        if let Some(fault) = self.fault()? {
            return Err(fault.error());
        }
        self.content(file).add(What::Cut(usize::try_from(length).unwrap()), Lasts::AfterSync);
        self.done();
        Ok(())
    }

    fn sync(&mut self, file: File) -> io::Result<()> {
        let fault = self.fault()?;
        let lasts = if fault.is_some() { Lasts::Perhaps } else { Lasts::Yes };
        let content = self.content(file);
        for (_, state) in content.since.iter_mut().filter(|(_, state)| *state == Lasts::AfterSync) {
            *state = lasts;
        }
        if content.since.iter().all(|(_, state)| *state == Lasts::Yes) {
            (content.lasting, content.since) = (content.now.clone(), Vec::new());
        }
        self.done();
        fault.map_or(Ok(()), |fault| Err(fault.error()))
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        if let Some(fault) = self.fault()? {
            return Err(fault.error());
        }
        self.files.iter_mut().flatten().for_each(|content| content.named = true);
        self.done();
        Ok(())
    }
}

/// The disk of a store that is at work, seen by the test as well.
impl Disk for Shared {
    fn read(&self, file: File, limit: u64) -> io::Result<Option<Vec<u8>>> {
        self.0.borrow().read(file, limit)
    }

    fn write(&mut self, file: File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.borrow_mut().write(file, offset, bytes)
    }

    fn cut(&mut self, file: File, length: u64) -> io::Result<()> {
        self.0.borrow_mut().cut(file, length)
    }

    fn sync(&mut self, file: File) -> io::Result<()> {
        self.0.borrow_mut().sync(file)
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        self.0.borrow_mut().sync_folder()
    }
}

/// How much of what was not synced is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    Everything,
    Nothing,
    /// Each sector for itself.
    Some,
}

/// What is left when the power goes at `moment`.
pub fn cut(moment: &Moments, left: Left, dice: &mut SmallRng) -> Image {
    moment.each_ref().map(|file| {
        let Moment(content) = file.as_ref()?;
        if !content.named && !coin(left, dice) {
            return None;
        }
        let mut bytes = content.lasting.clone();
        let waiting = content.since.iter().filter(|(_, lasts)| *lasts == Lasts::AfterSync).count();
        // Lengths change in order: the first few have, the rest have not.
        let lengths = match left {
            Left::Everything => waiting,
            Left::Nothing => 0,
            Left::Some => dice.random_range(0..=waiting),
        };
        let mut asked = 0;
        for (what, lasts) in &content.since {
            match lasts {
                Lasts::Yes => apply(&mut bytes, what),
                Lasts::Perhaps => {
                    let length = coin(left, dice);
                    tear(&mut bytes, what, length, left, dice);
                }
                Lasts::AfterSync => {
                    tear(&mut bytes, what, asked < lengths, left, dice);
                    asked += 1;
                }
            }
        }
        Some(bytes)
    })
}

fn coin(left: Left, dice: &mut SmallRng) -> bool {
    match left {
        Left::Everything => true,
        Left::Nothing => false,
        Left::Some => dice.random(),
    }
}

/// What a call that was not synced has left: its length or not, and each of its sectors or not.
fn tear(bytes: &mut Vec<u8>, what: &What, length: bool, left: Left, dice: &mut SmallRng) {
    let What::Write { offset, bytes: written } = what else {
        if length {
            apply(bytes, what);
        }
        return;
    };
    if length {
        bytes.resize(bytes.len().max(offset + written.len()), 0);
    }
    let mut at = *offset;
    while at < offset + written.len() {
        let end = ((at / SECTOR + 1) * SECTOR).min(offset + written.len());
        if coin(left, dice) {
            let kept = end.min(bytes.len());
            if at < kept {
                bytes[at..kept].copy_from_slice(&written[at - offset..kept - offset]);
            }
        }
        at = end;
    }
}
