//! What the kernel's command line says of the root.

use anyhow::{Context, Result, bail};

/// The root of a slot.
#[derive(Debug, PartialEq, Eq)]
pub struct Root {
    /// The partition's name in the disk's table.
    pub partition: String,
    /// Hash of the tree's root, 64 hexadecimal digits.
    pub hash: String,
    /// What every hash begins with, in hexadecimal digits.
    pub salt: String,
    /// Blocks of 4096 bytes that are verified; the tree stands behind them.
    pub blocks: u64,
}

impl Root {
    /// Finds `gantry.root=<partition>` and `gantry.verity=<root hash>,<salt>,<data blocks>`.
    ///
    /// # Errors
    /// If one of them is missing or wrong.
    pub fn parse(line: &str) -> Result<Self> {
        let word = |name: &str| line.split_ascii_whitespace().find_map(|word| word.strip_prefix(name));
        let partition = word("gantry.root=").context("the kernel's command line lacks gantry.root=")?;
        let verity = word("gantry.verity=").context("the kernel's command line lacks gantry.verity=")?;
        let [hash, salt, blocks] = verity.split(',').collect::<Vec<_>>()[..] else {
            bail!("gantry.verity={verity} is not <root hash>,<salt>,<data blocks>");
        };
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if hash.len() != 64 || !digits(hash) || !digits(salt) || salt.len() > 512 {
            bail!("gantry.verity={verity} holds no hash and salt in hexadecimal digits");
        }
        let blocks = blocks.parse().ok().filter(|blocks| (1..=1 << 32).contains(blocks));
        let blocks = blocks.with_context(|| format!("gantry.verity={verity} holds no number of blocks"))?;
        Ok(Self { partition: partition.to_owned(), hash: hash.to_owned(), salt: salt.to_owned(), blocks })
    }

    /// The root that a slot's kernel image names: its section `.cmdline`, in UTF-16 (EFI Boot Guard's unified images).
    ///
    /// # Errors
    /// If the image has no such section, or it names no root.
    pub fn of_image(image: &[u8]) -> Result<Self> {
        let line = section(image, b".cmdline").context("the kernel image has no command line")?;
        let units: Vec<_> = line.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        let end = units.iter().position(|unit| *unit == 0).unwrap_or(units.len());
        Self::parse(&String::from_utf16_lossy(&units[..end]))
    }

    /// dm-verity's table for data and tree on one `device`, as major and minor number. The tree follows the data after one
    /// block that describes it (cryptsetup's on-disk format).
    pub fn table(&self, device: &str, on_corruption: OnCorruption) -> String {
        let Self { hash, salt, blocks, .. } = self;
        let tree = blocks + 1;
        let extra = match on_corruption {
            OnCorruption::Error => "",
            OnCorruption::Panic => " 1 panic_on_corruption",
        };
        format!("1 {device} {device} 4096 4096 {blocks} {tree} sha256 {hash} {salt}{extra}")
    }
}

/// A section of a PE file (Microsoft PE/COFF specification 3 and 4).
fn section<'a>(image: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let number = |at: usize, bytes: usize| -> Option<usize> {
        let digits = image.get(at..at.checked_add(bytes)?)?;
        Some(digits.iter().rev().fold(0, |number, digit| number << 8 | usize::from(*digit)))
    };
    let pe = number(0x3c, 4)?;
    let first = pe + 24 + number(pe + 20, 2)?;
    (0..number(pe + 6, 2)?).map(|index| first + index * 40).find_map(|at| {
        let title = image.get(at..at + 8)?;
        let (size, start) = (number(at + 16, 4)?, number(at + 20, 4)?);
        let same = title.starts_with(name) && title[name.len()..].iter().all(|byte| *byte == 0);
        if same { image.get(start..start.checked_add(size)?) } else { None }
    })
}

/// What happens when a block is not what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnCorruption {
    /// Whoever reads it gets an error.
    Error,
    /// The kernel panics: no program runs on with half of its code.
    Panic,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    #[test]
    fn the_root_is_what_the_command_line_says() {
        let line = format!("console=ttyS0 gantry.root=ROOT-A gantry.verity={HASH},abcd,100 quiet\n");
        let root = Root::parse(&line).unwrap();
        assert_eq!(root.partition, "ROOT-A");
        assert_eq!(
            root.table("254:4", OnCorruption::Panic),
            format!("1 254:4 254:4 4096 4096 100 101 sha256 {HASH} abcd 1 panic_on_corruption")
        );
    }

    #[test]
    fn a_kernel_image_says_which_root_it_is_for() {
        let line = format!("quiet gantry.root=ROOT-B gantry.verity={HASH},abcd,100");
        let text: Vec<u8> = line.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        let mut image = vec![0; 0x200];
        image[0x3c] = 0x40;
        image[0x46] = 1;
        image[0x58..0x60].copy_from_slice(b".cmdline");
        image[0x58 + 16..0x58 + 20].copy_from_slice(&(text.len() as u32).to_le_bytes());
        image[0x58 + 20..0x58 + 24].copy_from_slice(&0x200u32.to_le_bytes());
        image.extend(&text);
        assert_eq!(Root::of_image(&image).unwrap().partition, "ROOT-B");
        for end in 0..image.len() {
            assert!(Root::of_image(&image[..end]).is_err(), "{end} bytes");
        }
    }

    #[test]
    fn a_command_line_without_a_whole_root_is_refused_by_name() {
        for (line, said) in [
            ("quiet".to_owned(), "gantry.root="),
            ("gantry.root=ROOT-A".to_owned(), "gantry.verity="),
            ("gantry.root=ROOT-A gantry.verity=1,2".to_owned(), "<root hash>,<salt>,<data blocks>"),
            ("gantry.root=ROOT-A gantry.verity=zz,2,3".to_owned(), "no hash"),
            (format!("gantry.root=ROOT-A gantry.verity={HASH},,3"), "no hash"),
            (format!("gantry.root=ROOT-A gantry.verity={HASH},aa,0"), "no number of blocks"),
            (format!("gantry.root=ROOT-A gantry.verity={HASH},aa,x"), "no number of blocks"),
        ] {
            let error = Root::parse(&line).unwrap_err().to_string();
            assert!(error.contains(said), "{line}: {error}");
        }
    }
}
