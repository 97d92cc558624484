//! What a box is made of: one `board.toml` for each, read into types that cannot be wrong.
//!
//! A board is described once. The image builder and the Yocto layer lay out the disk, choose the kernel's modules and write
//! the network's link files from it; on the running box it stands at `/usr/share/gantry/board.toml` and tells the programs
//! which panel, watchdogs and sensors to expect.
//!
//! ```text
//!  board/<name>/board.toml ─▶ Board::parse ─▶ Board ─▶ image builder, Yocto layer, console, updater
//!                                   └──────▶ Problems: everything that is wrong, each with its field and a way out
//! ```
//! Start with [`Board`]; the folders beside this crate's sources are the boards there are.

mod check;
mod disk;
mod files;
mod parts;
mod read;
mod values;

pub use disk::{Disk, Filesystem, Partition, Role};
pub use files::{BoxFile, Content};
pub use parts::{
    Arch, Boot, Identity, IdentityField, Keeper, Kernel, Line, Nic, NicRole, Panel, PanelLines, Quantity,
    Sensor, Serial, Timestamping, Watchdog,
};
pub use read::{Problem, Problems};
pub use values::{Guid, I2cAddress, MiB, Name, Seconds, Speed};

/// Everything a box is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Board {
    /// Its name, which is its folder's.
    pub name: Name,
    /// What a person calls it.
    pub title: String,
    /// What its firmware calls it (SMBIOS 3.7, 7.2, product name): an installer writes to no other box.
    pub product: String,
    /// What its processor runs.
    pub arch: Arch,
    /// Where it learns who it is.
    pub identity: Identity,
    /// The port that a technician plugs into.
    pub serial: Serial,
    /// Its network interfaces, in the order of their sockets.
    pub nics: Vec<Nic>,
    /// What resets it when it hangs.
    pub watchdogs: Vec<Watchdog>,
    /// Its front panel.
    pub panel: Panel,
    /// What it measures about itself.
    pub sensors: Vec<Sensor>,
    /// Its kernel.
    pub kernel: Kernel,
    /// How it starts.
    pub boot: Boot,
    /// Its disk.
    pub disk: Disk,
}

impl Board {
    /// What the loader arms the watchdog with, in seconds; 0 for not at all. EFI Boot Guard (0.13) drives watchdogs of x86 machines only,
    /// and starts nothing where it is given a time and finds none; there the kernel's driver is the first to arm one.
    #[must_use]
    pub fn loader_watchdog(&self) -> u16 {
        let Boot::EfiBootGuard { timeout, .. } = &self.boot;
        match self.arch {
            Arch::X86_64 => timeout.count(),
            Arch::Aarch64 => 0,
        }
    }

    /// Reads a board's description.
    ///
    /// # Errors
    /// Everything that is wrong with it at once. What has the wrong shape hides only what would have been said of that very
    /// thing; how parts go together is looked at once all of them have the right shape.
    pub fn parse(text: &str) -> Result<Self, Problems> {
        let board = read::read(text)?;
        let problems = check::check(&board);
        if problems.is_empty() { Ok(board) } else { Err(Problems(problems)) }
    }
}
