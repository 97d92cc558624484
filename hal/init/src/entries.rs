//! The firmware's list of what to start (UEFI 2.10, 3.1): behind the loader stands the recovery, so that a kernel image which can't
//! be loaded ends there and not in the firmware's own menu.
//!
//! The entries are looked after at every start: some firmware forgets or reorders them.

use anyhow::{Context, Result};
use initrd::devices::{self, Device};
use nix::mount::{MsFlags, mount, umount};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Where the kernel shows the firmware's variables.
const VARIABLES: &str = "/sys/firmware/efi/efivars";
/// EFI_GLOBAL_VARIABLE.
const GLOBAL: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// Non-volatile, seen while booting and after.
const ATTRIBUTES: [u8; 4] = [7, 0, 0, 0];
/// The number of our entry.
const RECOVERY: u16 = 0x6a1f;
/// What the entry starts.
const FILE: &str = "\\EFI\\GANTRY\\RECOVERY.EFI";
/// What people see.
const TITLE: &str = "Gantry recovery";

/// Sees to it that the recovery is tried after what this start began with. `part` is any partition of the disk.
///
/// # Errors
/// If the firmware shows no variables or takes none; the box runs on without.
pub fn see_to(part: &Device) -> Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("efivarfs"), VARIABLES, Some("efivarfs"), flags, None::<&str>)
        .context("no variables of the firmware")?;
    let seen = entries(part, Path::new(VARIABLES));
    umount(VARIABLES).context("cannot unmount the firmware's variables")?;
    seen
}

fn entries(part: &Device, variables: &Path) -> Result<()> {
    let disk = std::fs::File::open(devices::disk_of(part)?)?;
    let mut table = vec![0; 128 * 128];
    disk.read_exact_at(&mut table, 1024).context("cannot read the disk's table")?;
    let entry = option(&EspPlace::find(&table).context("the disk's table has no ESP")?);
    let variable = |name: &str| variables.join(format!("{name}-{GLOBAL}"));
    let read =
        |name: &str| std::fs::read(variable(name)).ok().and_then(|value| value.get(4..).map(<[u8]>::to_vec));
    let write = |name: &str, value: &[u8]| {
        std::fs::write(variable(name), [&ATTRIBUTES, value].concat())
            .with_context(|| format!("cannot write {name}"))
    };
    let ours = format!("Boot{RECOVERY:04X}");
    if read(&ours).as_deref() != Some(&entry) {
        write(&ours, &entry)?;
    }
    let numbers = |value: Vec<u8>| -> Vec<u16> {
        value.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect()
    };
    let order = read("BootOrder").map(numbers).unwrap_or_default();
    let current = read("BootCurrent").map(numbers).and_then(|numbers| numbers.first().copied());
    let wanted = ordered(&order, current);
    if wanted != order {
        write("BootOrder", &wanted.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>())?;
        eprintln!("init: the firmware tries the recovery after {current:04X?}");
    }
    Ok(())
}

/// The order with the recovery right behind what this start began with; as it is if this start is the recovery's own.
fn ordered(order: &[u16], current: Option<u16>) -> Vec<u16> {
    if current == Some(RECOVERY) {
        return order.to_vec();
    }
    let mut wanted: Vec<_> = order.iter().copied().filter(|number| *number != RECOVERY).collect();
    let behind =
        current.and_then(|current| wanted.iter().position(|number| *number == current)).map(|at| at + 1);
    wanted.insert(behind.unwrap_or(wanted.len()), RECOVERY);
    wanted
}

/// Where the ESP is.
#[derive(Debug, PartialEq, Eq)]
struct EspPlace {
    number: u32,
    first: u64,
    last: u64,
    guid: [u8; 16],
}

impl EspPlace {
    /// Finds it by its name among the entries of a GPT (UEFI 2.10, 5.3.3).
    fn find(table: &[u8]) -> Option<Self> {
        let name: Vec<u8> = "ESP\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let (index, entry) =
            table.chunks_exact(128).enumerate().find(|(_, entry)| entry[56..].starts_with(&name))?;
        let number = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&entry[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        let mut guid = [0; 16];
        guid.copy_from_slice(&entry[16..32]);
        Some(Self { number: u32::try_from(index).ok()? + 1, first: number(32), last: number(40), guid })
    }
}

/// EFI_LOAD_OPTION with the path of a file on a partition (UEFI 2.10, 3.1.3, 10.3.5.1, 10.3.5.4).
fn option(esp: &EspPlace) -> Vec<u8> {
    let wide =
        |text: &str| -> Vec<u8> { text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect() };
    let mut path = vec![4, 1, 42, 0];
    path.extend(esp.number.to_le_bytes());
    path.extend(esp.first.to_le_bytes());
    path.extend((esp.last - esp.first + 1).to_le_bytes());
    path.extend(esp.guid);
    // GPT, found by its GUID.
    path.extend([2, 2]);
    let file = wide(FILE);
    path.extend([4, 4]);
    path.extend((file.len() as u16 + 4).to_le_bytes());
    path.extend(file);
    path.extend([0x7f, 0xff, 4, 0]);
    let mut option = vec![1, 0, 0, 0];
    option.extend((path.len() as u16).to_le_bytes());
    option.extend(wide(TITLE));
    option.extend(path);
    option
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recovery_stands_right_behind_the_loader_whatever_firmware_did() {
        assert_eq!(ordered(&[0, 1, 2], Some(1)), [0, 1, RECOVERY, 2]);
        assert_eq!(ordered(&[RECOVERY, 0, 1], Some(0)), [0, RECOVERY, 1]);
        assert_eq!(ordered(&[0, RECOVERY, 1], Some(0)), [0, RECOVERY, 1]);
        assert_eq!(ordered(&[], None), [RECOVERY]);
        assert_eq!(ordered(&[RECOVERY, 0], Some(RECOVERY)), [RECOVERY, 0]);
    }

    #[test]
    fn an_esp_is_found_by_its_name_and_written_as_firmware_reads_it() {
        let mut table = vec![0; 128 * 128];
        let entry = &mut table[128..256];
        entry[16..32].fill(7);
        entry[32..40].copy_from_slice(&2048u64.to_le_bytes());
        entry[40..48].copy_from_slice(&4095u64.to_le_bytes());
        for (at, byte) in [(56, b'E'), (58, b'S'), (60, b'P')] {
            entry[at] = byte;
        }
        let esp = EspPlace::find(&table).unwrap();
        assert_eq!(esp, EspPlace { number: 2, first: 2048, last: 4095, guid: [7; 16] });
        let option = option(&esp);
        let path = usize::from(u16::from_le_bytes([option[4], option[5]]));
        let title = (TITLE.len() + 1) * 2;
        assert_eq!(option.len(), 6 + title + path);
        assert_eq!(option[6 + title..6 + title + 4], [4, 1, 42, 0]);
        assert_eq!(option[option.len() - 4..], [0x7f, 0xff, 4, 0]);
        assert_eq!(EspPlace::find(&[0; 128 * 128]), None);
    }
}
