//! Finding a partition by its name, and waiting until the kernel has found its disk.

use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Where the kernel shows block devices.
const BLOCK: &str = "/sys/class/block";

/// How often there may be news while devices settle.
const SETTLING: u32 = 1000;

/// The kernel's news of devices.
pub struct Uevents(OwnedFd);

impl Uevents {
    /// Begins to listen.
    ///
    /// # Errors
    /// If the kernel gives no socket.
    pub fn listen() -> Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let protocol = SockProtocol::NetlinkKObjectUEvent;
        let socket = socket(AddressFamily::Netlink, SockType::Datagram, flags, protocol)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, 1))?;
        Ok(Self(socket))
    }

    /// Waits until there was no news for `quiet`: every device that is there has been found. It ends even where news never does.
    pub fn settle(&self, quiet: Duration) {
        let _ = (0..SETTLING).find(|_| !more(self, quiet));
    }

    /// Waits until there is news, at most so long.
    fn wait(&self, longest: Duration) {
        let timeout = PollTimeout::try_from(longest).unwrap_or(PollTimeout::MAX);
        // Nothing can be done about an error but to look again.
        let _ = poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], timeout);
        let mut news = [0; 8192];
        while recv(self.0.as_raw_fd(), &mut news, MsgFlags::empty()).is_ok() {}
    }
}

/// Lets time pass.
pub fn pause(time: Duration) {
    let _ = poll(&mut [], PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX));
}

/// The first partition called `name` that `open` takes, or else the last one that it did not take, with the reason. More than
/// one disk may have one: only a disk of this release is taken.
///
/// # Errors
/// If there is none at all after `patience`.
pub fn wait_for<T>(
    uevents: &Uevents,
    name: &str,
    patience: Duration,
    open: impl Fn(&Device) -> Result<T>,
) -> Result<(Device, Result<T>)> {
    let deadline = Instant::now() + patience;
    let mut refused = Vec::new();
    loop {
        for device in named(Path::new(BLOCK), name) {
            if refused.iter().any(|(known, _)| *known == device) {
                continue;
            }
            match open(&device) {
                Ok(opened) => return Ok((device, Ok(opened))),
                Err(error) => {
                    eprintln!("init: {name} on {} is not this slot's root: {error:#}", device.path.display());
                    refused.push((device, error));
                }
            }
        }
        let left = deadline.saturating_duration_since(Instant::now());
        // A disk that is there but wrong does not get better; another one may still come, but not for long.
        let left = if refused.is_empty() { left } else { left.min(Duration::from_secs(2)) };
        if left.is_zero() || (!refused.is_empty() && !more(uevents, left)) {
            break;
        }
        if refused.is_empty() {
            uevents.wait(left.min(Duration::from_secs(1)));
        }
    }
    match refused.pop() {
        Some((device, error)) => Ok((device, Err(error))),
        None => bail!("no disk has a partition {name}; waited {} s", patience.as_secs()),
    }
}

/// Whether there is news within `time`.
fn more(uevents: &Uevents, time: Duration) -> bool {
    let timeout = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
    let news =
        poll(&mut [PollFd::new(uevents.0.as_fd(), PollFlags::POLLIN)], timeout).is_ok_and(|count| count > 0);
    if news {
        uevents.wait(Duration::ZERO);
    }
    news
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its node.
    pub path: PathBuf,
    /// Major and minor number, as device mapper takes them.
    pub numbers: String,
}

/// The name of the disk that a partition is on.
fn disk_name(device: &Device) -> Result<String> {
    let shown = Path::new(BLOCK).join(device.path.file_name().unwrap_or_default());
    let shown = std::fs::canonicalize(&shown).with_context(|| format!("{} is gone", shown.display()))?;
    let disk = shown.parent().and_then(Path::file_name).context("a partition is of a disk")?;
    Ok(disk.to_string_lossy().into_owned())
}

/// The disk that a partition is on.
///
/// # Errors
/// If it is gone.
pub fn disk_of(device: &Device) -> Result<PathBuf> {
    Ok(Path::new("/dev").join(disk_name(device)?))
}

/// The partition called `name` on the same disk.
///
/// # Errors
/// If there is none.
pub fn beside(device: &Device, name: &str) -> Result<Device> {
    let disk = disk_name(device)?;
    let same = |other: &Device| disk_name(other).is_ok_and(|other| other == disk);
    let found = named(Path::new(BLOCK), name).into_iter().find(same);
    found.with_context(|| format!("{disk} has no partition {name}"))
}

/// Tells udev to name the partitions of this disk `/dev/gantry/<name>`: another disk may have some of the same names.
///
/// # Errors
/// If udev's rule cannot be written.
pub fn name_partitions(device: &Device, run: &Path) -> Result<()> {
    let folder = run.join("udev/rules.d");
    std::fs::create_dir_all(&folder)?;
    let disk = disk_name(device)?;
    let rule = format!(
        "SUBSYSTEM==\"block\", ENV{{DEVTYPE}}==\"partition\", KERNELS==\"{disk}\", ENV{{PARTNAME}}==\"?*\", \
         SYMLINK+=\"gantry/$env{{PARTNAME}}\"\n"
    );
    std::fs::write(folder.join("90-gantry.rules"), rule).context("cannot name the partitions")
}

/// The partitions called `name` that `class` shows, by the names of their devices.
fn named(class: &Path, name: &str) -> Vec<Device> {
    let wanted = format!("PARTNAME={name}");
    let mut found: Vec<_> = std::fs::read_dir(class)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let shown = entry.path();
            let uevent = std::fs::read_to_string(shown.join("uevent")).ok()?;
            let numbers = std::fs::read_to_string(shown.join("dev")).ok()?.trim().to_owned();
            let is = uevent.lines().any(|line| line == wanted);
            is.then(|| Device { path: Path::new("/dev").join(entry.file_name()), numbers })
        })
        .collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_found_by_their_whole_name() {
        let class = std::env::temp_dir().join(format!("gantry-init-{}", std::process::id()));
        for (device, partition) in
            [("vda1", "ESP"), ("vda4", "ROOT-A"), ("vda5", "ROOT-AB"), ("sda4", "ROOT-A")]
        {
            let shown = class.join(device);
            std::fs::create_dir_all(&shown).unwrap();
            std::fs::write(shown.join("uevent"), format!("MAJOR=254\nPARTNAME={partition}\n")).unwrap();
            std::fs::write(shown.join("dev"), "254:4\n").unwrap();
        }
        let found: Vec<_> = named(&class, "ROOT-A").into_iter().map(|device| device.path).collect();
        std::fs::remove_dir_all(&class).unwrap();
        assert_eq!(found, [Path::new("/dev/sda4"), Path::new("/dev/vda4")]);
    }

    #[test]
    fn a_partition_that_never_comes_is_named_when_patience_ends() {
        let Ok(uevents) = Uevents::listen() else { return };
        let error = wait_for(&uevents, "NO-SUCH", Duration::from_millis(10), |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains("NO-SUCH"), "{error}");
    }
}
