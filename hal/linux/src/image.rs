//! Whether a boot image on the disk is whole: a PE file (Microsoft PE/COFF specification 11) all of whose sections are there.
//!
//! It tells a slot whose image cannot be started from one that was started and did not come far. It does not judge
//! signatures; the firmware does.

use crate::files;
use hal::reason::Inspected;
use std::fs::OpenOptions;
use std::io::Read;
use std::path::Path;

/// The headers of a boot image are far shorter.
const HEADER_BYTES: u64 = 64 * 1024;
const SECTION_BYTES: usize = 40;
/// Where the optional header says where the certificates are; by its magic number.
const CERTIFICATES_PE32: usize = 128;
const CERTIFICATES_PE32_PLUS: usize = 144;

/// Whether the boot image at `path` is whole.
#[must_use]
pub fn inspect(path: &Path) -> Inspected {
    let whole = || {
        let file = files::open(path, OpenOptions::new().read(true)).ok()?;
        let length = file.metadata().ok()?.len();
        let mut header = Vec::new();
        file.take(HEADER_BYTES).read_to_end(&mut header).ok()?;
        (end(&header)? <= length).then_some(())
    };
    if whole().is_some() { Inspected::Sound } else { Inspected::ImageDamaged }
}

/// Where the last byte of a PE file must be; `None` if it is none.
fn end(header: &[u8]) -> Option<u64> {
    header.starts_with(b"MZ").then_some(())?;
    let pe = usize::try_from(u32_at(header, 0x3c)?).ok()?;
    (header.get(pe..pe.checked_add(4)?)? == b"PE\0\0").then_some(())?;
    let sections = usize::from(u16_at(header, pe + 6)?);
    let optional = pe + 24;
    let first = optional + usize::from(u16_at(header, pe + 20)?);
    let certificates = match u16_at(header, optional)? {
        0x10b => optional + CERTIFICATES_PE32,
        0x20b => optional + CERTIFICATES_PE32_PLUS,
        _ => return None,
    };
    // Certificates are found by their place in the file, sections too; those that hold only zeroes have no bytes in it.
    let mut end = u64::from(u32_at(header, certificates)?) + u64::from(u32_at(header, certificates + 4)?);
    for section in (0..sections).map(|number| first + number * SECTION_BYTES) {
        let (bytes, at) = (u32_at(header, section + 16)?, u32_at(header, section + 20)?);
        if bytes > 0 {
            end = end.max(u64::from(at) + u64::from(bytes));
        }
    }
    (sections > 0).then_some(end)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    /// The bootloader itself is a real PE file; its Debian package is needed for other tests as well.
    fn real() -> Vec<u8> {
        let paths = [
            "/usr/lib/x86_64-linux-gnu/efibootguard/efibootguardx64.efi",
            "/usr/lib/aarch64-linux-gnu/efibootguard/efibootguardaa64.efi",
        ];
        let found = paths.iter().find_map(|path| fs::read(path).ok());
        found.unwrap_or_else(|| panic!("no image of EFI Boot Guard; apt-get install efibootguard"))
    }

    fn inspected(bytes: &[u8]) -> Inspected {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("GANTRY.EFI");
        fs::write(&path, bytes).unwrap();
        inspect(&path)
    }

    #[test]
    fn a_real_image_is_sound_and_one_that_lacks_its_end_is_not() {
        let image = real();
        assert_eq!(inspected(&image), Inspected::Sound);
        for length in [image.len() / 2, 512, 64, 2, 0] {
            assert_eq!(inspected(&image[..length]), Inspected::ImageDamaged, "{length} bytes");
        }
        let end = usize::try_from(end(&image).unwrap()).unwrap();
        assert_eq!(inspected(&image[..end]), Inspected::Sound);
        assert_eq!(inspected(&image[..end - 1]), Inspected::ImageDamaged);
    }

    #[test]
    fn one_that_is_missing_or_something_else_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(inspect(&folder.path().join("none")), Inspected::ImageDamaged);
        assert_eq!(inspect(folder.path()), Inspected::ImageDamaged);
        assert_eq!(inspected(&[0; 4096]), Inspected::ImageDamaged);
    }

    proptest! {
        #[test]
        fn hostile_headers_do_no_harm(at in 0usize..1024, bytes in prop::collection::vec(any::<u8>(), 1..16)) {
            let mut image = real();
            image.truncate(1024 + 16);
            image[at..at + bytes.len()].copy_from_slice(&bytes);
            let _ = end(&image);
            let _ = end(&bytes);
        }
    }
}
