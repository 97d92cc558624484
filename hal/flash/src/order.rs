//! `install.toml` on an installer's stick: which disk of the box is written, and what comes after.
//!
//! All lines of `[disk]` must hold, and for exactly one disk: a stick that names none, or one that fits two, writes nothing.

use crate::identity::serial_number;
use serde::Deserialize;
use std::fmt;

/// What a stick is made with: it names no disk.
pub const TEMPLATE: &str = "\
# What this stick does in the box that it starts. As it is, it writes nothing: it shows the box's disks and stops.

# Which disk is written. All lines must hold, and for exactly one disk.
[disk]
# serial = \"S4EVNX0R12345\"      # its own serial number
# path = \"pci-0000:00:17.0\"     # where it is plugged in
# at_least_gib = 8              # how large it is
# at_most_gib = 64

[install]
# existing = \"refuse\"           # or \"overwrite\": a disk that has something on it
# serial_number = \"GX-2026-1\"   # of this one box; without, its firmware's, or one that is made up
# then = \"power-off\"            # or \"restart\"
";

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Which disk.
    pub rule: Rule,
    /// What of a disk that has something on it.
    pub existing: Existing,
    /// The box's serial number, if not its firmware's.
    pub serial: Option<String>,
    /// What comes after.
    pub then: Then,
}

/// Which disk. What is left out holds for every disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its own serial number.
    pub serial: Option<String>,
    /// Where it is plugged in.
    pub path: Option<String>,
    /// Its least size in GiB.
    pub at_least_gib: Option<u64>,
    /// Its greatest size in GiB.
    pub at_most_gib: Option<u64>,
}

/// What of a disk that has something on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Existing {
    /// It is left as it is.
    #[default]
    Refuse,
    /// It is written.
    Overwrite,
}

/// What comes after.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// The box goes off, so that the stick can be taken out.
    #[default]
    PowerOff,
    /// The box starts anew; its firmware should prefer the disk.
    Restart,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    disk: Rule,
    #[serde(default)]
    install: Install,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Install {
    existing: Existing,
    serial_number: Option<String>,
    then: Then,
}

/// Everything wrong with an order, at least one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("install.toml: {}", .0.join("; "))]
pub struct Wrong(pub Vec<String>);

/// A disk of the box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// What the kernel calls it.
    pub name: String,
    /// Its own serial number.
    pub serial: Option<String>,
    /// Where it is plugged in, such as `pci-0000:00:17.0`.
    pub path: Option<String>,
    /// Its size.
    pub bytes: u64,
    /// Bytes of its sectors.
    pub sector: u64,
    /// What it is to us.
    pub state: State,
}

/// What a disk is to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing is on it where a table or a file system would begin.
    Blank,
    /// Something is on it.
    Used,
    /// It can't be written.
    ReadOnly,
    /// The stick itself.
    Stick,
}

/// Why no disk is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The order names no disk.
    #[error("install.toml names no disk; write [disk] serial, path, at_least_gib or at_most_gib")]
    NoRule,
    /// None fits.
    #[error("no disk of this box is the one that install.toml names")]
    NoneFits,
    /// More than one fits.
    #[error("install.toml fits {}; name one more exactly", .0.join(" and "))]
    Several(Vec<String>),
    /// It has something on it.
    #[error("{0} has something on it; blank it, or write existing = \"overwrite\" if it may be lost")]
    Used(String),
    /// It can't be written.
    #[error("{0} is read-only")]
    ReadOnly(String),
    /// It is too small.
    #[error("{name} has {bytes} bytes and the image {image}; take a larger disk")]
    TooSmall {
        /// The disk.
        name: String,
        /// Its size.
        bytes: u64,
        /// What it should hold.
        image: u64,
    },
    /// Its sectors are not the image's.
    #[error("{0} has sectors of {1} bytes and the image those of 512; format it for 512, or take another")]
    Sectors(String, u64),
}

impl Order {
    /// Reads `install.toml`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Wrong> {
        let document: Document = toml::from_str(text)
            .map_err(|error| Wrong(vec![error.to_string().trim_end().replace('\n', "; ")]))?;
        let Document { disk: rule, install } = document;
        let mut wrong = Vec::new();
        for (name, value) in [("serial", &rule.serial), ("path", &rule.path)] {
            if value.as_ref().is_some_and(|value| value.trim().is_empty()) {
                wrong.push(format!("disk.{name} is empty; take the line out"));
            }
        }
        if let (Some(least), Some(most)) = (rule.at_least_gib, rule.at_most_gib)
            && least > most
        {
            wrong.push(format!("disk.at_least_gib is {least} and disk.at_most_gib {most}; no disk is both"));
        }
        let serial = install.serial_number.map(|text| serial_number(&text)).transpose();
        let serial = serial.unwrap_or_else(|message| {
            wrong.push(format!("install.serial_number: {message}"));
            None
        });
        if !wrong.is_empty() {
            return Err(Wrong(wrong));
        }
        Ok(Self { rule, existing: install.existing, serial, then: install.then })
    }

    /// The one disk that may be written with an image of so many bytes.
    ///
    /// # Errors
    /// If it is none, more than one, or one that is not to be touched.
    pub fn choose<'a>(&self, disks: &'a [Disk], image: u64) -> Result<&'a Disk, Refused> {
        if self.rule == Rule::default() {
            return Err(Refused::NoRule);
        }
        let fits = |disk: &&Disk| disk.state != State::Stick && self.rule.fits(disk);
        let disk = match disks.iter().filter(fits).collect::<Vec<_>>()[..] {
            [] => return Err(Refused::NoneFits),
            [disk] => disk,
            ref several => {
                return Err(Refused::Several(several.iter().map(|disk| disk.name.clone()).collect()));
            }
        };
        let name = || disk.name.clone();
        match (disk.state, self.existing) {
            (State::ReadOnly | State::Stick, _) => Err(Refused::ReadOnly(name())),
            (State::Used, Existing::Refuse) => Err(Refused::Used(name())),
            _ if disk.sector != crate::table::SECTOR => Err(Refused::Sectors(name(), disk.sector)),
            _ if disk.bytes < image => Err(Refused::TooSmall { name: name(), bytes: disk.bytes, image }),
            (State::Blank | State::Used, _) => Ok(disk),
        }
    }
}

impl Rule {
    fn fits(&self, disk: &Disk) -> bool {
        let same = |wanted: &Option<String>, found: &Option<String>| match (wanted, found) {
            (None, _) => true,
            (Some(wanted), Some(found)) => wanted.trim() == found.trim(),
            (Some(_), None) => false,
        };
        let gib = |count: u64| count.saturating_mul(1 << 30);
        same(&self.serial, &disk.serial)
            && same(&self.path, &disk.path)
            && self.at_least_gib.is_none_or(|least| disk.bytes >= gib(least))
            && self.at_most_gib.is_none_or(|most| disk.bytes <= gib(most))
    }
}

impl fmt::Display for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, serial, path, bytes, state, .. } = self;
        let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let gib = *bytes as f64 / f64::from(1 << 30);
        let state = match state {
            State::Blank => "blank",
            State::Used => "something is on it",
            State::ReadOnly => "read-only",
            State::Stick => "this stick",
        };
        write!(f, "{name}  serial {}  path {}  {gib:.1} GiB  {state}", or(serial), or(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn disk(name: &str, gib: u64) -> Disk {
        Disk {
            name: name.into(),
            serial: Some(format!("S-{name}")),
            path: Some(format!("pci-{name}")),
            bytes: gib << 30,
            sector: 512,
            state: State::Blank,
        }
    }

    fn chosen<'a>(text: &str, disks: &'a [Disk]) -> Result<&'a str, Refused> {
        Order::parse(text).unwrap().choose(disks, 2 << 30).map(|disk| disk.name.as_str())
    }

    #[test]
    fn a_stick_as_it_is_made_writes_nothing() {
        let order = Order::parse(TEMPLATE).unwrap();
        assert_eq!(order.choose(&[disk("sda", 8)], 0), Err(Refused::NoRule));
        assert_eq!((order.existing, order.then), (Existing::Refuse, Then::PowerOff));
    }

    #[test]
    fn the_template_shows_every_field_as_it_is_read() {
        let lines = TEMPLATE.lines().map(|line| match line.strip_prefix("# ") {
            Some(field) if field.contains(" = ") => field,
            _ => line,
        });
        let order = Order::parse(&lines.collect::<Vec<_>>().join("\n")).unwrap();
        let all = [order.rule.serial.is_some(), order.rule.path.is_some(), order.serial.is_some()];
        assert_eq!(all, [true; 3]);
        assert_eq!((order.rule.at_least_gib, order.rule.at_most_gib), (Some(8), Some(64)));
    }

    #[test]
    fn the_disk_is_the_one_of_which_all_lines_hold() {
        let disks = [disk("sda", 8), disk("sdb", 64), disk("sdc", 64)];
        assert_eq!(chosen("[disk]\nserial = \"S-sdb\"", &disks), Ok("sdb"));
        assert_eq!(chosen("[disk]\npath = \"pci-sdc\"", &disks), Ok("sdc"));
        assert_eq!(chosen("[disk]\nat_most_gib = 8", &disks), Ok("sda"));
        assert_eq!(
            chosen("[disk]\nat_least_gib = 9", &disks),
            Err(Refused::Several(vec!["sdb".into(), "sdc".into()]))
        );
        assert_eq!(chosen("[disk]\nat_least_gib = 65", &disks), Err(Refused::NoneFits));
        assert_eq!(chosen("[disk]\nserial = \"S-sdb\"\nat_most_gib = 8", &disks), Err(Refused::NoneFits));
    }

    #[test]
    fn a_disk_that_has_no_serial_number_is_never_the_one_that_was_named_by_it() {
        let nameless = Disk { serial: None, ..disk("sda", 8) };
        assert_eq!(chosen("[disk]\nserial = \"S-sda\"", &[nameless]), Err(Refused::NoneFits));
    }

    #[test]
    fn what_is_on_a_disk_is_lost_only_if_the_order_says_so() {
        let used = [Disk { state: State::Used, ..disk("sda", 8) }];
        let rule = "[disk]\nserial = \"S-sda\"\n[install]\nexisting = ";
        assert_eq!(chosen(&format!("{rule}\"refuse\""), &used), Err(Refused::Used("sda".into())));
        assert_eq!(chosen(&format!("{rule}\"overwrite\""), &used), Ok("sda"));
    }

    #[test]
    fn the_stick_and_what_is_too_small_or_read_only_are_never_written() {
        let rule = "[disk]\nserial = \"S-sda\"\n[install]\nexisting = \"overwrite\"";
        let stick = [Disk { state: State::Stick, ..disk("sda", 8) }];
        assert_eq!(chosen(rule, &stick), Err(Refused::NoneFits));
        let locked = [Disk { state: State::ReadOnly, ..disk("sda", 8) }];
        assert_eq!(chosen(rule, &locked), Err(Refused::ReadOnly("sda".into())));
        let small = chosen(rule, &[disk("sda", 1)]).unwrap_err().to_string();
        assert!(small.contains("take a larger disk"), "{small}");
        let large = [Disk { sector: 4096, ..disk("sda", 8) }];
        assert_eq!(chosen(rule, &large), Err(Refused::Sectors("sda".into(), 4096)));
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let wrong = Order::parse(
            "[disk]\nserial = \"\"\nat_least_gib = 9\nat_most_gib = 8\n[install]\nserial_number = \"a b\"",
        );
        assert_eq!(wrong.unwrap_err().0.len(), 3);
        for text in
            ["[disk]\nserail = \"x\"", "[disk]\nat_least_gib = -1", "[install]\nthen = \"dance\"", "["]
        {
            assert!(Order::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        /// Whatever disks a box has and whatever is named: what is chosen fits the rule, is alone in that, and is not the stick.
        #[test]
        fn what_is_chosen_is_always_the_only_one_that_fits(
            sizes in prop::collection::vec((1u64..5, 0u8..4, 0u8..3), 0..6), wanted in 0u8..4, least in 0u64..5,
        ) {
            let states = [State::Blank, State::Used, State::ReadOnly, State::Stick];
            let disks: Vec<_> = sizes.iter().enumerate().map(|(index, (gib, state, serial))| Disk {
                serial: Some(serial.to_string()), state: states[usize::from(*state)], ..disk(&index.to_string(), *gib)
            }).collect();
            let text = format!("[disk]\nserial = \"{wanted}\"\nat_least_gib = {least}");
            if let Ok(found) = Order::parse(&text).unwrap().choose(&disks, 1 << 30) {
                let fits = |disk: &&Disk| disk.serial == Some(wanted.to_string())
                    && disk.bytes >= least << 30 && disk.state != State::Stick;
                let all: Vec<_> = disks.iter().filter(fits).collect();
                prop_assert_eq!(all, vec![found]);
                prop_assert_eq!(found.state, State::Blank);
            }
        }
    }
}
