//! The stick: what it carries, and the partition that people write on.

use anyhow::{Context, Result, ensure};
use board::Board;
use initrd::cmdline::Root;
use initrd::devices::{self, Device, Uevents};
use initrd::mapper::{Depth, Verity};
use nix::mount::{MsFlags, mount, umount};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where what the stick carries is put.
const CARRIED: &str = "/root";
/// Where people's partition is put while it is looked at.
const ESP: &str = "/boot";
/// Longest wait for the stick, which hangs on USB.
const PATIENCE: Duration = Duration::from_secs(30);

/// The stick, verified.
pub struct Stick {
    /// Its partition with the image.
    device: Device,
    /// The board that the image is for.
    pub board: Board,
    /// The release of the image.
    pub version: String,
    /// The release's build.
    pub build: String,
}

impl Stick {
    /// Finds the stick that this start is from and verifies every block of it.
    ///
    /// # Errors
    /// If it is damaged, or holds something else.
    pub fn find(uevents: &Uevents) -> Result<Self> {
        let root = Root::parse(&std::fs::read_to_string("/proc/cmdline")?)?;
        println!("installer: verifying this stick");
        let open = |device: &Device| Verity::open(device, &root, Depth::Everything);
        let (device, opened) = devices::wait_for(uevents, &root.partition, PATIENCE, open)?;
        let verity = opened.context("this stick is damaged; write it again")?;
        let flags = MsFlags::MS_RDONLY | MsFlags::MS_NODEV | MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        mount(Some(&verity.path), CARRIED, Some("squashfs"), flags, None::<&str>)
            .context("this stick holds no image")?;
        let read = |name: &str| {
            let file = Path::new(CARRIED).join(name);
            std::fs::read_to_string(&file).with_context(|| format!("this stick has no {name}"))
        };
        let board = Board::parse(&read("board.toml")?).context("this stick's board.toml is wrong")?;
        let about: serde_json::Value = serde_json::from_str(&read("image.json")?)?;
        ensure!(about["board"] == board.name.as_str(), "this stick's image is of another board");
        let word = |name: &str| about[name].as_str().unwrap_or_default().to_owned();
        Ok(Self { device, board, version: word("version"), build: word("build") })
    }

    /// The disk that the stick is.
    ///
    /// # Errors
    /// If it was pulled out.
    pub fn disk(&self) -> Result<PathBuf> {
        devices::disk_of(&self.device)
    }

    /// The image, and its size.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn image(&self) -> Result<(File, u64)> {
        let image = File::open(Path::new(CARRIED).join("disk.img")).context("this stick has no image")?;
        let size = image.metadata()?.len();
        Ok((image, size))
    }

    /// The text of `install.toml`.
    ///
    /// # Errors
    /// If there is none.
    pub fn order(&self) -> Result<String> {
        self.with_esp(|folder| {
            std::fs::read_to_string(folder.join("install.toml")).context("this stick has no install.toml")
        })
    }

    /// Leaves files in a folder of people's partition.
    ///
    /// # Errors
    /// If it is full, or the stick is locked.
    pub fn leave(&self, folder: &str, files: &[(&str, &str)]) -> Result<()> {
        self.with_esp(|esp| {
            let folder = esp.join(folder);
            std::fs::create_dir_all(&folder)?;
            for (name, text) in files {
                std::fs::write(folder.join(name), text)?;
            }
            Ok(())
        })
    }

    fn with_esp<T>(&self, act: impl FnOnce(&Path) -> Result<T>) -> Result<T> {
        let esp = devices::beside(&self.device, "ESP")?;
        let flags = MsFlags::MS_NODEV | MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_SYNCHRONOUS;
        mount(Some(&esp.path), ESP, Some("vfat"), flags, Some("codepage=437,iocharset=ascii"))
            .with_context(|| format!("cannot mount {}", esp.path.display()))?;
        let done = act(Path::new(ESP));
        umount(ESP).context("cannot unmount the stick")?;
        done
    }
}
