//! How a disk is laid out: written once by the flasher, never changed in the field. Which slot starts stands elsewhere
//! (EFI Boot Guard's environments), so a power cut can't take the table.

use crate::parts::Arch;
use crate::values::{Guid, MiB};
use serde::Deserialize;
use std::fmt;

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    /// Its GUID.
    pub guid: Guid,
    /// Its partitions, in their order.
    pub partitions: Vec<Partition>,
}

impl Disk {
    /// The partition of this role. Every board has each role once.
    #[must_use]
    pub fn partition(&self, role: Role) -> Option<&Partition> {
        self.partitions.iter().find(|partition| partition.name == role)
    }
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// Its name in the table, which is its role.
    pub name: Role,
    /// Its size; that of the last one is the least.
    pub size_mib: MiB,
    /// Its type (UAPI Group, Discoverable Partitions Specification).
    #[serde(rename = "type")]
    pub kind: Guid,
    /// What is in it.
    pub filesystem: Filesystem,
}

/// What a partition is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub enum Role {
    /// EFI Boot Guard, hardly ever touched.
    #[serde(rename = "ESP")]
    Esp,
    /// Slot A's kernel and environment.
    #[serde(rename = "BOOT-A")]
    BootA,
    /// Slot B's kernel and environment.
    #[serde(rename = "BOOT-B")]
    BootB,
    /// Slot A's root with its verity tree behind it.
    #[serde(rename = "ROOT-A")]
    RootA,
    /// Slot B's root with its verity tree behind it.
    #[serde(rename = "ROOT-B")]
    RootB,
    /// A root that is never written in the field.
    #[serde(rename = "RECOVERY")]
    Recovery,
    /// Settings and records, at `/var/lib/gantry`.
    #[serde(rename = "STATE")]
    State,
    /// Logs and everything large, at `/data`.
    #[serde(rename = "DATA")]
    Data,
}

impl Role {
    /// All of them, in the order they stand on a disk.
    pub const ALL: [Self; 8] = [
        Self::Esp,
        Self::BootA,
        Self::BootB,
        Self::RootA,
        Self::RootB,
        Self::Recovery,
        Self::State,
        Self::Data,
    ];

    /// The partition's name.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Esp => "ESP",
            Self::BootA => "BOOT-A",
            Self::BootB => "BOOT-B",
            Self::RootA => "ROOT-A",
            Self::RootB => "ROOT-B",
            Self::Recovery => "RECOVERY",
            Self::State => "STATE",
            Self::Data => "DATA",
        }
    }

    /// The type it must have. EFI Boot Guard looks for its environments on partitions of Microsoft's basic data only, so the
    /// boot partitions are of that type.
    #[must_use]
    pub fn kind(self, arch: Arch) -> Guid {
        const ESP: Guid = Guid::new(0xc12a7328_f81f_11d2_ba4b_00a0c93ec93b);
        const BASIC: Guid = Guid::new(0xebd0a0a2_b9e5_4433_87c0_68b6b72699c7);
        const ROOT_X86_64: Guid = Guid::new(0x4f68bce3_e8cd_4db1_96e7_fbcaf984b709);
        const ROOT_ARM64: Guid = Guid::new(0xb921b045_1df0_41c3_af44_4c6f280d3fae);
        const LINUX: Guid = Guid::new(0x0fc63daf_8483_4772_8e79_3d69d8477de4);
        match (self, arch) {
            (Self::Esp, _) => ESP,
            (Self::BootA | Self::BootB, _) => BASIC,
            (Self::RootA | Self::RootB | Self::Recovery, Arch::X86_64) => ROOT_X86_64,
            (Self::RootA | Self::RootB | Self::Recovery, Arch::Aarch64) => ROOT_ARM64,
            (Self::State | Self::Data, _) => LINUX,
        }
    }

    /// What must be in it.
    #[must_use]
    pub fn filesystem(self) -> Filesystem {
        match self {
            Self::Esp | Self::BootA | Self::BootB => Filesystem::Fat32,
            Self::RootA | Self::RootB | Self::Recovery => Filesystem::SquashfsVerity,
            Self::State | Self::Data => Filesystem::Ext4,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// What is in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filesystem {
    /// FAT32, which firmware reads.
    Fat32,
    /// Squashfs, and behind it the hash tree of dm-verity.
    SquashfsVerity,
    /// Ext4.
    Ext4,
}

impl fmt::Display for Filesystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fat32 => "fat32",
            Self::SquashfsVerity => "squashfs-verity",
            Self::Ext4 => "ext4",
        })
    }
}
