//! The first process of a start: from the initrd to the verified root of this slot, then it becomes systemd.
//!
//! ```text
//!  kernel ─▶ modules ─▶ partition of this slot ─▶ dm-verity ─▶ squashfs ─▶ /usr/lib/systemd/systemd
//!               └───────────────┴── anything wrong ──▶ said on the console, and the box starts anew
//! ```
//! A slot that is not whole is given up before that, so that the loader takes the other one ([`slots`]). Which root is right, the kernel's command line says, and that is
//! part of the signed kernel image: `gantry.root=<partition> gantry.verity=<root hash>,<salt>,<data blocks>`.
//!
//! It is one static program, so that the initrd holds nothing else but modules.

mod entries;
mod machine;
mod slots;

use anyhow::{Context, Result};
use initrd::cmdline::Root;
use initrd::early::{EARLY, LATE, load, mounts};
use initrd::{devices, mapper};
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::time::Duration;

/// Where the root is put before it becomes the root.
const NEW_ROOT: &str = "/root";
/// What takes over.
const SYSTEMD: &str = "/usr/lib/systemd/systemd";
/// Longest wait for the disk.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() {
    let Err(error) = start();
    eprintln!("init: {error:#}; starting anew");
    // The console's last characters are still on their way.
    devices::pause(Duration::from_secs(2));
    let Err(error) = reboot(RebootMode::RB_AUTOBOOT);
    // The kernel panics when its first process ends, and starts anew after that.
    eprintln!("init: cannot start anew: {error}");
}

/// Comes back only if something is wrong.
fn start() -> Result<std::convert::Infallible> {
    mounts()?;
    let line = std::fs::read_to_string("/proc/cmdline")?;
    let root = Root::parse(&line)?;
    let uevents = devices::Uevents::listen()?;
    load(EARLY)?;
    let slot = linux::ebg::booted(&line);
    let depth = depth();
    let open = |device: &devices::Device| mapper::Verity::open(device, &root, depth);
    let (device, opened) = devices::wait_for(&uevents, &root.partition, PATIENCE, open)?;
    let verity = match (opened, slot) {
        (Ok(verity), Some(_)) => verity,
        (Ok(verity), None) => {
            look_after(&device)?;
            verity
        }
        (Err(error), Some(slot)) => {
            let error = error.context(format!("{} on {} is broken", root.partition, device.path.display()));
            slots::give_up(&device, slot).with_context(|| format!("{error:#}; and its slot stays"))?;
            return Err(error);
        }
        (Err(error), None) => return Err(error.context("the recovery is broken")),
    };
    if let Err(error) = entries::see_to(&device) {
        eprintln!("init: {error:#}");
    }
    let nothing = None::<&str>;
    mount(Some(&verity.path), NEW_ROOT, Some("squashfs"), MsFlags::MS_RDONLY | MsFlags::MS_NODEV, nothing)
        .with_context(|| format!("cannot mount {} as the root", device.path.display()))?;
    devices::name_partitions(&device, Path::new("/run"))?;
    load(LATE)?;
    machine::identify(Path::new("/run"), &Path::new(NEW_ROOT).join("etc/machine-id"))?;
    become_systemd()
}

/// After a panic the whole root is read before it is trusted: that may have been the reason.
fn depth() -> mapper::Depth {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let mounted = mount(Some("pstore"), "/sys/fs/pstore", Some("pstore"), flags, None::<&str>);
    let dumps = linux::pstore::Pstore::new(Path::new("/sys")).dumps();
    if mounted.is_ok() {
        // systemd mounts it again, and keeps what is in it.
        let _ = nix::mount::umount("/sys/fs/pstore");
    }
    match dumps {
        Ok(dumps) if !dumps.is_empty() => {
            eprintln!("init: the kernel panicked before; the whole root is verified");
            mapper::Depth::Everything
        }
        _ => mapper::Depth::FirstBlock,
    }
}

/// The recovery runs when somebody asked for it, or when a slot's kernel image could not be loaded.
fn look_after(device: &devices::Device) -> Result<()> {
    match slots::look_after(device) {
        Ok(slots::Verdict::GivenUp) => anyhow::bail!("a slot was given up"),
        Ok(slots::Verdict::Whole) => eprintln!("init: recovery: the next slot is whole"),
        Err(error) => eprintln!("init: recovery: {error:#}"),
    }
    Ok(())
}

/// Makes the new root the root and systemd this process.
fn become_systemd() -> Result<std::convert::Infallible> {
    let none = None::<&str>;
    for at in ["/dev", "/proc", "/sys", "/run"] {
        let to = Path::new(NEW_ROOT).join(&at[1..]);
        mount(Some(at), &to, none, MsFlags::MS_MOVE, none).with_context(|| format!("cannot move {at}"))?;
    }
    // What the initrd holds is memory until it is gone.
    for leftover in ["/modules", "/init"] {
        drop(std::fs::remove_dir_all(leftover).or_else(|_| std::fs::remove_file(leftover)));
    }
    std::env::set_current_dir(NEW_ROOT)?;
    mount(Some("."), "/", none, MsFlags::MS_MOVE, none).context("cannot move the root")?;
    nix::unistd::chroot(".").context("cannot enter the root")?;
    std::env::set_current_dir("/")?;
    let error = std::process::Command::new(SYSTEMD).env_clear().exec();
    Err(error).with_context(|| format!("cannot become {SYSTEMD}"))
}
