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
