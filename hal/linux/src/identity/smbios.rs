//! What SMBIOS says of the box (`/sys/class/dmi/id`), and the addresses of its network cards (`/sys/class/net`).
//!
//! The kernel lets only root read serial numbers.

use crate::files;
use hal::Label;
use hal::identity::{Claim, Identified, Identity, IdentityError, Mac, NICS};
use std::path::{Path, PathBuf};

/// Which field of SMBIOS holds what, as board descriptions say it: `product_serial`, `chassis_asset_tag`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    /// Serial number of the box.
    pub serial: String,
    /// Name of the board.
    pub board: String,
    /// What its owner calls it.
    pub asset_tag: String,
}

impl Default for Fields {
    fn default() -> Self {
        let [serial, board, asset_tag] =
            ["product_serial", "board_name", "chassis_asset_tag"].map(str::to_owned);
        Self { serial, board, asset_tag }
    }
}

/// SMBIOS and the network cards, as a sysfs tells of them.
#[derive(Debug, Clone)]
pub struct Smbios {
    sys: PathBuf,
    fields: Fields,
}

impl Smbios {
    /// What `sys` (`/sys`) says, in these fields.
    #[must_use]
    pub fn new(sys: &Path, fields: Fields) -> Self {
        Self { sys: sys.to_owned(), fields }
    }

    fn field(&self, name: &str) -> Option<Label> {
        let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let path = self.sys.join("class/dmi/id").join(name);
        Label::filled_in(&files::attribute(&path).filter(|_| plain)?)
    }

    /// The addresses of the cards that are really there: bridges, VLANs and tunnels have no device.
    fn macs(&self) -> Vec<Mac> {
        let class = self.sys.join("class/net");
        let cards = files::entries(&class).unwrap_or_default();
        let real = cards.iter().filter(|card| card.join("device").exists());
        real.filter_map(|card| Mac::parse(&files::attribute(&card.join("address"))?)).take(NICS).collect()
    }
}

impl Identity for Smbios {
    fn read(&mut self) -> Result<Identified, IdentityError> {
        Ok(Identified {
            serial: self.field(&self.fields.serial),
            board: self.field(&self.fields.board),
            asset_tag: self.field(&self.fields.asset_tag),
            macs: self.macs(),
            claim: Claim::Absent,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    fn made(files: &[(&str, &str)]) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join("class").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn read(root: &TempDir, fields: Fields) -> Identified {
        Smbios::new(root.path(), fields).read().unwrap()
    }

    #[test]
    fn what_smbios_and_the_cards_say_is_told() {
        let root = made(&[
            ("dmi/id/product_serial", "GW-0042\n"),
            ("dmi/id/board_name", "X11 SDV\u{7}\n"),
            ("dmi/id/chassis_asset_tag", "Default string\n"),
            ("net/lan10/address", "52:54:00:00:00:10\n"),
            ("net/lan10/device/vendor", "x"),
            ("net/lan2/address", "52:54:00:00:00:02\n"),
            ("net/lan2/device/vendor", "x"),
            ("net/lo/address", "00:00:00:00:00:00\n"),
            ("net/vlan5/address", "52:54:00:00:00:02\n"),
        ]);
        let who = read(&root, Fields::default());
        assert_eq!(who.serial.unwrap().as_str(), "GW-0042");
        assert_eq!(who.board.unwrap().as_str(), "X11 SDV?");
        assert_eq!(who.asset_tag, None, "the maker left it");
        let macs: Vec<_> = who.macs.iter().map(Mac::to_string).collect();
        assert_eq!(macs, ["52:54:00:00:00:02", "52:54:00:00:00:10"]);
    }

    #[test]
    fn a_field_is_a_name_and_not_a_path() {
        let root = made(&[("dmi/id/board_serial", "B7"), ("dmi/secret", "x")]);
        let other = Fields {
            serial: "board_serial".to_owned(),
            board: "../secret".to_owned(),
            asset_tag: String::new(),
        };
        let who = read(&root, other);
        assert_eq!(who.serial.unwrap().as_str(), "B7");
        assert_eq!((who.board, who.asset_tag), (None, None));
    }

    #[test]
    fn a_box_without_smbios_says_nothing() {
        assert_eq!(read(&tempfile::tempdir().unwrap(), Fields::default()), Identified::default());
    }
}
