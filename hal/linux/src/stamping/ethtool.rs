//! What a network card offers, and switching it on: `SIOCETHTOOL` and `SIOCSHWTSTAMP` (linux/ethtool.h,
//! linux/net_tstamp.h, Documentation/networking/timestamping.rst section 3).

use hal::timestamping::PtpIndex;
use nix::errno::Errno;
use nix::libc::{self, IFNAMSIZ, c_char, c_int, c_short};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

const SIOCGIFFLAGS: libc::c_ulong = 0x8913;
const SIOCETHTOOL: libc::c_ulong = 0x8946;
const SIOCSHWTSTAMP: libc::c_ulong = 0x89b0;
const SIOCGHWTSTAMP: libc::c_ulong = 0x89b1;
const ETHTOOL_GET_TS_INFO: u32 = 0x41;

const TX_HARDWARE: u32 = 1 << 0;
const RAW_HARDWARE: u32 = 1 << 6;
/// Bits of `tx_types`, and values of `tx_type`.
const TX_OFF: c_int = 0;
const TX_ON: c_int = 1;

/// `struct ethtool_ts_info`.
#[repr(C)]
#[derive(Default)]
struct TsInfo {
    command: u32,
    stamping: u32,
    clock: i32,
    tx_types: u32,
    tx_reserved: [u32; 3],
    rx_filters: u32,
    rx_reserved: [u32; 3],
}

/// `struct hwtstamp_config`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct StampConfig {
    flags: c_int,
    tx_type: c_int,
    rx_filter: c_int,
}

/// `struct ifreq`, with flags as its second half.
#[repr(C)]
struct Flags {
    name: [c_char; IFNAMSIZ],
    flags: c_short,
    /// The kernel copies all 40 bytes of its own structure.
    rest: [u8; 22],
}

/// `struct ifreq`, with a pointer as its second half.
#[repr(C)]
struct Request {
    name: [c_char; IFNAMSIZ],
    data: *mut libc::c_void,
    /// The kernel copies all 40 bytes of its own structure.
    rest: [u8; 16],
}

/// A network card, by its name.
pub(super) struct Card {
    name: [c_char; IFNAMSIZ],
    socket: OwnedFd,
}

/// What a card offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    /// It says that it stamps what it sends, by this clock.
    HardwareTransmit(PtpIndex),
    /// It does not.
    Nothing,
}

/// Whether a card has a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// Packets can leave.
    Up,
    /// It is switched off, or nothing is at the other end.
    Down,
}

impl Card {
    /// The card of this name.
    pub(super) fn named(name: &str) -> io::Result<Self> {
        let mut raw = [0; IFNAMSIZ];
        if name.len() >= IFNAMSIZ {
            return Err(Errno::ENODEV.into());
        }
        for (place, byte) in raw.iter_mut().zip(name.bytes()) {
            *place = c_char::from_ne_bytes([byte]);
        }
        let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
        Ok(Self { name: raw, socket })
    }

    /// Whether it has a link.
    pub(super) fn link(&self) -> io::Result<Link> {
        let mut request = Flags { name: self.name, flags: 0, rest: [0; 22] };
        // SAFETY: `request` is as large as the kernel's ifreq, of which the kernel writes the flags.
        let answer = unsafe { libc::ioctl(self.socket.as_raw_fd(), SIOCGIFFLAGS as _, &raw mut request) };
        Errno::result(answer)?;
        let running = libc::c_int::from(request.flags) & libc::IFF_RUNNING != 0;
        Ok(if running { Link::Up } else { Link::Down })
    }

    /// What it says it can.
    pub(super) fn offer(&self) -> io::Result<Offer> {
        let mut info = TsInfo { command: ETHTOOL_GET_TS_INFO, ..TsInfo::default() };
        self.ask(SIOCETHTOOL, &mut info)?;
        let both = TX_HARDWARE | RAW_HARDWARE;
        let on = info.tx_types & (1 << TX_ON) != 0;
        let clock = u32::try_from(info.clock).ok().filter(|_| on && info.stamping & both == both);
        Ok(clock.map_or(Offer::Nothing, |clock| Offer::HardwareTransmit(PtpIndex(clock))))
    }

    /// Switches stamps of what it sends on; returns how it was set up before.
    pub(super) fn switch_on(&self) -> io::Result<StampConfig> {
        let mut before = StampConfig::default();
        match self.ask(SIOCGHWTSTAMP, &mut before) {
            Ok(()) if before.tx_type != TX_OFF => return Ok(before),
            Ok(()) => {}
            // Some drivers cannot tell how they are set up; then nothing was switched on.
            Err(_) => before = StampConfig::default(),
        }
        let mut on = StampConfig { tx_type: TX_ON, ..before };
        self.ask(SIOCSHWTSTAMP, &mut on)?;
        if on.tx_type == TX_OFF { Err(Errno::EOPNOTSUPP.into()) } else { Ok(before) }
    }

    /// Sets it up as it was before.
    pub(super) fn restore(&self, mut before: StampConfig) -> io::Result<()> {
        self.ask(SIOCSHWTSTAMP, &mut before)
    }

    fn ask<T>(&self, what: libc::c_ulong, data: &mut T) -> io::Result<()> {
        let mut request = Request { name: self.name, data: std::ptr::from_mut(data).cast(), rest: [0; 16] };
        // SAFETY: `request` is as large as the kernel's ifreq and names `data`, which is of the layout that `what` asks for
        // (see its two callers' types) and outlives the call.
        let answer = unsafe { libc::ioctl(self.socket.as_raw_fd(), what as _, &raw mut request) };
        Errno::result(answer).map(drop).map_err(io::Error::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_are_as_large_as_the_kernels() {
        assert_eq!(size_of::<TsInfo>(), 44);
        assert_eq!(size_of::<StampConfig>(), 12);
        assert_eq!(size_of::<Request>(), size_of::<libc::ifreq>());
        assert_eq!(size_of::<Flags>(), size_of::<libc::ifreq>());
    }

    #[test]
    fn the_loopback_has_software_stamps_only_and_cannot_be_switched_on() {
        let lo = Card::named("lo").unwrap();
        assert_eq!(lo.link().unwrap(), Link::Up);
        assert_eq!(lo.offer().unwrap(), Offer::Nothing);
        assert!(lo.switch_on().is_err());
    }
}
