//! Folders of disks whose power can go at any moment: their names change in the order they were asked for, and some of the last may be lost.

use super::{Image, Left, Moments, Shared, cut};
use rand::RngExt;
use rand::rngs::SmallRng;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use store::{Disk, File, Folders};

/// Which disk has which name.
type Names = BTreeMap<String, usize>;

#[derive(Debug, Default)]
struct State {
    disks: Vec<Shared>,
    /// The names that last, then those after each change of one since.
    names: Vec<Names>,
    calls: usize,
    /// After so many calls the power goes: there are no more.
    dead_after: Option<usize>,
}

/// The folders.
#[derive(Debug, Clone)]
pub struct Home(Rc<RefCell<State>>);

/// A folder.
#[derive(Debug, Clone)]
pub struct Drawer {
    home: Home,
    disk: Option<Shared>,
}

/// What is left of all of them.
pub type Images = BTreeMap<String, Image>;

impl Home {
    /// Folders with these files.
    pub fn of(images: &Images, dead_after: Option<usize>) -> Self {
        let disks =
            images.values().map(|image| Shared(Rc::new(RefCell::new(super::Sim::of(image))))).collect();
        let names = images.keys().cloned().enumerate().map(|(index, name)| (name, index)).collect();
        Self(Rc::new(RefCell::new(State { disks, names: vec![names], calls: 0, dead_after })))
    }

    /// Calls that change something, so far.
    pub fn calls(&self) -> usize {
        self.0.borrow().calls
    }

    fn spend(&self) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        if state.dead_after.is_some_and(|calls| state.calls >= calls) {
            return Err(io::Error::other("the power is gone"));
        }
        state.calls += 1;
        Ok(())
    }

    fn named(&self, name: &str) -> Option<Shared> {
        let state = self.0.borrow();
        state.names.last()?.get(name).map(|index| state.disks[*index].clone())
    }

    fn change(&self, change: impl FnOnce(&mut Names)) -> io::Result<()> {
        self.spend()?;
        let mut state = self.0.borrow_mut();
        let mut names = state.names.last().cloned().unwrap_or_default();
        change(&mut names);
        state.names.push(names);
        Ok(())
    }

    /// What is left when the power goes now.
    pub fn cut(&self, left: Left, dice: &mut SmallRng) -> Images {
        let state = self.0.borrow();
        let last = state.names.len() - 1;
        let names = match left {
            Left::Everything => last,
            Left::Nothing => 0,
            Left::Some => dice.random_range(0..=last),
        };
        let image = |index: &usize, dice: &mut SmallRng| {
            let moments: Moments = state.disks[*index].0.borrow().moment();
            cut(&moments, left, dice)
        };
        state.names[names].iter().map(|(name, index)| (name.clone(), image(index, dice))).collect()
    }
}

impl Folders for Home {
    type Disk = Drawer;

    fn list(&self) -> io::Result<Vec<String>> {
        let state = self.0.borrow();
        let holds = |index: &usize| state.disks[*index].0.borrow().files.iter().any(Option::is_some);
        let names = state.names.last().into_iter().flatten();
        Ok(names.filter(|(_, index)| holds(index)).map(|(name, _)| name.clone()).collect())
    }

    fn take(&mut self, name: &str) -> io::Result<Drawer> {
        if self.named(name).is_none() {
            let index = self.0.borrow().disks.len();
            self.0.borrow_mut().disks.push(Shared::default());
            self.change(|names| {
                names.insert(name.to_owned(), index);
            })?;
            self.sync()?;
        }
        self.look(name)
    }

    fn look(&self, name: &str) -> io::Result<Drawer> {
        Ok(Drawer { home: self.clone(), disk: self.named(name) })
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        assert!(self.named(to).is_none(), "{to} is there already");
        self.change(|names| {
            let index = names.remove(from).unwrap();
            names.insert(to.to_owned(), index);
        })
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.change(|names| {
            names.remove(name);
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.spend()?;
        let mut state = self.0.borrow_mut();
        let last = state.names.pop();
        state.names = last.into_iter().collect();
        Ok(())
    }
}

impl Drawer {
    fn disk(&mut self) -> io::Result<&mut Shared> {
        self.home.spend()?;
        self.disk.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }
}

impl Disk for Drawer {
    fn read(&self, file: File, limit: u64) -> io::Result<Option<Vec<u8>>> {
        self.disk.as_ref().map_or(Ok(None), |disk| disk.read(file, limit))
    }

    fn write(&mut self, file: File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk()?.write(file, offset, bytes)
    }

    fn cut(&mut self, file: File, length: u64) -> io::Result<()> {
        self.disk()?.cut(file, length)
    }

    fn sync(&mut self, file: File) -> io::Result<()> {
        self.disk()?.sync(file)
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        self.disk()?.sync_folder()
    }
}
