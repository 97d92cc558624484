//! What the first process of every initrd does: what the kernel shows, its modules, disks by the names of their partitions, and
//! what dm-verity vouches for. `init` starts a box with it, `installer` makes one.

pub mod cmdline;
pub mod devices;
pub mod early;
pub mod mapper;
