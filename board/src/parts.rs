//! The parts of a board, as they are written.

use crate::values::{I2cAddress, Name, Seconds, Speed};
use serde::Deserialize;
use std::fmt;
use std::net::SocketAddr;

/// What a processor runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum Arch {
    /// 64-bit x86.
    #[serde(rename = "x86_64")]
    X86_64,
    /// 64-bit ARM.
    #[serde(rename = "aarch64")]
    Aarch64,
}

impl Arch {
    /// As Debian calls it.
    #[must_use]
    pub fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// The compiler's target.
    #[must_use]
    pub fn target(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-gnu",
            Self::Aarch64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// The folder of its shared libraries.
    #[must_use]
    pub fn multiarch(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-linux-gnu",
            Self::Aarch64 => "aarch64-linux-gnu",
        }
    }

    /// As UEFI's default file names have it: `BOOTX64.EFI`.
    #[must_use]
    pub fn efi(self) -> &'static str {
        match self {
            Self::X86_64 => "x64",
            Self::Aarch64 => "aa64",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        })
    }
}

/// Where a box learns who it is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "source", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Identity {
    /// From the tables of its firmware (SMBIOS 3.7), as the kernel shows them under `/sys/class/dmi/id`.
    Smbios {
        /// Where its serial number stands.
        serial_number: IdentityField,
        /// Where the tag stands that its owner gave it.
        asset_tag: IdentityField,
    },
    /// From an EEPROM on an I2C bus, laid out as IPMI FRU (Platform Management FRU 1.0).
    Eeprom {
        /// The adapter it is on, by the name the kernel gives it.
        adapter: String,
        /// Its address.
        address: I2cAddress,
    },
}

/// A file under `/sys/class/dmi/id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentityField {
    /// Type 1, offset 07h.
    ProductSerial,
    /// Type 2, offset 07h.
    BoardSerial,
    /// Type 2, offset 08h.
    BoardAssetTag,
    /// Type 3, offset 07h.
    ChassisSerial,
    /// Type 3, offset 08h.
    ChassisAssetTag,
}

impl IdentityField {
    /// The file's name.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::ProductSerial => "product_serial",
            Self::BoardSerial => "board_serial",
            Self::BoardAssetTag => "board_asset_tag",
            Self::ChassisSerial => "chassis_serial",
            Self::ChassisAssetTag => "chassis_asset_tag",
        }
    }
}

/// The port that a technician plugs into.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Serial {
    /// Its device, such as `ttyS0`.
    pub device: Name,
    /// Its speed.
    pub speed: Speed,
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nic {
    /// What the box calls it.
    pub name: Name,
    /// What it is for.
    pub role: NicRole,
    /// Where it is, as udev's `ID_PATH` has it: the name follows the socket, not the order of discovery.
    pub path: Name,
    /// Its driver.
    pub driver: Name,
    /// What stamps are to be expected of it; what it really delivers is proven at start.
    pub timestamping: Timestamping,
}

/// What a network interface is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NicRole {
    /// Calls, and everything else where there is no other.
    Service,
    /// Administration only.
    Management,
}

/// Where a packet's time is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Timestamping {
    /// In the interface, both ways.
    Hardware,
    /// In the interface for what is sent, in the kernel for what is received.
    HardwareTransmit,
    /// In the kernel, whatever the driver claims.
    Software,
}

/// What resets a box that hangs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watchdog {
    /// Its driver.
    pub driver: Name,
    /// Who feeds it.
    pub keeper: Keeper,
    /// How long it waits for food.
    pub timeout: Seconds,
    /// How long before that it asks the kernel to say what hangs; left out where the device can't.
    pub pretimeout: Option<Seconds>,
}

/// Who feeds a watchdog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keeper {
    /// The service manager: kernel and process 1 are then known to live.
    Systemd,
    /// The updater: the services are then known to live.
    Otad,
}

/// A front panel.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Panel {
    /// There is none.
    None,
    /// A character display (HD44780) behind a port expander (PCF8574), LEDs and keys on lines of a GPIO chip.
    I2cHd44780 {
        /// The adapter it is on, by the name the kernel gives it.
        adapter: String,
        /// The expander's address.
        address: I2cAddress,
        /// Characters in a row.
        columns: u8,
        /// Rows.
        rows: u8,
        /// LEDs and keys.
        lines: PanelLines,
    },
    /// A panel that an LCDproc server drives.
    Lcdproc {
        /// Where the server listens.
        server: SocketAddr,
    },
    /// As `i2c-hd44780`, behind a USB bridge (CP2112) that the rig makes of `/dev/uhid`.
    Uhid {
        /// The expander's address.
        address: I2cAddress,
        /// Characters in a row.
        columns: u8,
        /// Rows.
        rows: u8,
        /// LEDs and keys.
        lines: PanelLines,
    },
}

/// The LEDs and keys of a panel.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PanelLines {
    /// The GPIO chip, by its label.
    pub chip: String,
    /// LED: the box is in service.
    pub led_ready: Line,
    /// LED: something is wrong.
    pub led_alarm: Line,
    /// LED: somebody looks for this box.
    pub led_locate: Line,
    /// Key.
    pub key_up: Line,
    /// Key.
    pub key_down: Line,
    /// Key.
    pub key_back: Line,
    /// Key.
    pub key_enter: Line,
}

impl PanelLines {
    /// Each line with its field's name.
    #[must_use]
    pub fn all(&self) -> [(&'static str, Line); 7] {
        [
            ("led_ready", self.led_ready),
            ("led_alarm", self.led_alarm),
            ("led_locate", self.led_locate),
            ("key_up", self.key_up),
            ("key_down", self.key_down),
            ("key_back", self.key_back),
            ("key_enter", self.key_enter),
        ]
    }
}

/// A line of a GPIO chip, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub struct Line(pub u32);

/// Something a box measures about itself, as the kernel's hwmon shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sensor {
    /// What it is called in alarms.
    pub name: Name,
    /// The chip's name.
    pub chip: Name,
    /// Which of the chip's inputs, such as `temp1` or `fan2`.
    pub input: Name,
    /// What it measures.
    pub quantity: Quantity,
    /// From here on something is wrong: above for a temperature, below for a fan. °C or turns a minute.
    pub alarm: u32,
}

/// What a sensor measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// In °C.
    Temperature,
    /// In turns a minute.
    Fan,
}

impl Quantity {
    /// How hwmon's names of such inputs begin.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Temperature => "temp",
            Self::Fan => "fan",
        }
    }
}

/// A kernel.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kernel {
    /// The Debian package that depends on the newest of its line.
    pub package: Name,
    /// Modules that are needed to reach the root: the initrd holds them, and loads them in this order.
    pub initrd: Vec<Name>,
    /// Modules that may be loaded later. What one of them needs comes with it.
    pub modules: Vec<Name>,
}

/// How a box starts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "loader", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Boot {
    /// EFI Boot Guard.
    EfiBootGuard {
        /// How long a start may take, from the loader to the service manager: the loader arms the watchdog with it.
        timeout: Seconds,
        /// What is added to the kernel's command line.
        arguments: Vec<String>,
    },
}
