//! Sends a packet through a network card and waits for the stamp it left with (`SO_TIMESTAMPING`,
//! Documentation/networking/timestamping.rst section 1.3): some cards say that they stamp and never do.
//!
//! The probe is a datagram to the discard port of all hosts on the link (224.0.0.1, port 9). It needs no address and no route,
//! and no router passes it on.

use nix::cmsg_space;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::{BindToDevice, Timestamping};
use nix::sys::socket::{
    ControlMessageOwned, MsgFlags, SockaddrStorage, TimestampingFlag, Timestamps, recvmsg, setsockopt,
};
use nix::sys::time::TimeSpec;
use std::ffi::OsString;
use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

/// Longest wait for the stamp of a probe, over all its packets.
pub const PROBE_PATIENCE: Duration = Duration::from_millis(600);
/// Probes sent: a card stamps one packet at a time, and may be busy with another's.
const PROBES: u32 = 3;
const TO: (Ipv4Addr, u16) = (Ipv4Addr::new(224, 0, 0, 1), 9);
const PAYLOAD: &[u8] = b"gantry: does this card stamp what it sends?";

/// Who is asked for the stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamper {
    /// The card.
    Card,
    /// The kernel.
    Kernel,
}

/// A stamp that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamped {
    /// What it says: the card's clock, or the system's since the Unix epoch.
    pub stamp: Duration,
    /// How long after the probe was sent it came.
    pub after: Duration,
}

/// Sends probes through the card `nic` and waits for a stamp of `stamper`; `None` if none came in time.
///
/// # Errors
/// If no probe could be sent: no such card, no link, no right to.
pub fn stamp_of_probe(nic: &str, stamper: Stamper, patience: Duration) -> io::Result<Option<Stamped>> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_nonblocking(true)?;
    socket.set_multicast_ttl_v4(1)?;
    socket.set_multicast_loop_v4(false)?;
    setsockopt(&socket, BindToDevice, &OsString::from(nic))?;
    let generated = match stamper {
        Stamper::Card => {
            TimestampingFlag::SOF_TIMESTAMPING_TX_HARDWARE | TimestampingFlag::SOF_TIMESTAMPING_RAW_HARDWARE
        }
        Stamper::Kernel => {
            TimestampingFlag::SOF_TIMESTAMPING_TX_SOFTWARE | TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE
        }
    };
    setsockopt(&socket, Timestamping, &(generated | TimestampingFlag::SOF_TIMESTAMPING_OPT_TSONLY))?;
    for _ in 0..PROBES {
        let sent = Instant::now();
        socket.send_to(PAYLOAD, TO)?;
        if let Some(stamp) = stamp_within(&socket, stamper, patience / PROBES)? {
            return Ok(Some(Stamped { stamp, after: sent.elapsed() }));
        }
    }
    Ok(None)
}

/// Stamps come back on the socket's error queue, which is always waited for.
fn stamp_within(socket: &UdpSocket, stamper: Stamper, patience: Duration) -> io::Result<Option<Duration>> {
    let end = Instant::now() + patience;
    loop {
        if let Some(stamp) = next_stamp(socket, stamper)? {
            return Ok(Some(stamp));
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        let mut fds = [PollFd::new(socket.as_fd(), PollFlags::empty())];
        let millis = u16::try_from(left.as_millis().saturating_add(1)).unwrap_or(u16::MAX);
        match poll(&mut fds, PollTimeout::from(millis)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// What the error queue holds, up to the first stamp of `stamper`.
fn next_stamp(socket: &UdpSocket, stamper: Stamper) -> io::Result<Option<Duration>> {
    loop {
        let mut data = [0; 256];
        let mut iov = [IoSliceMut::new(&mut data)];
        let mut control = cmsg_space!(Timestamps, [u8; 128]);
        let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
        let message =
            match recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut iov, Some(&mut control), flags) {
                Ok(message) => message,
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
            };
        for control in message.cmsgs()? {
            if let ControlMessageOwned::ScmTimestampsns(stamps) = control {
                let stamp = match stamper {
                    Stamper::Card => stamps.hw_raw,
                    Stamper::Kernel => stamps.system,
                };
                // The kernel fills the stamps that it does not have with zeroes.
                if let Some(stamp) = positive(stamp) {
                    return Ok(Some(stamp));
                }
            }
        }
    }
}

fn positive(stamp: TimeSpec) -> Option<Duration> {
    let seconds = u64::try_from(stamp.tv_sec()).ok()?;
    let nanos = u32::try_from(stamp.tv_nsec()).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(seconds, nanos)).filter(|stamp| !stamp.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn the_kernel_stamps_a_probe_on_the_loopback_and_the_card_that_is_none_does_not() {
        let patience = Duration::from_secs(5);
        let stamped = stamp_of_probe("lo", Stamper::Kernel, patience).unwrap().unwrap();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let age = now.abs_diff(stamped.stamp);
        assert!(age < Duration::from_secs(5), "the stamp is {age:?} off");
        assert!(stamped.after < patience);

        let short = Duration::from_millis(60);
        let begun = Instant::now();
        assert_eq!(stamp_of_probe("lo", Stamper::Card, short).unwrap(), None);
        assert!(begun.elapsed() >= short, "it waited");
    }

    #[test]
    fn a_probe_through_no_card_is_an_error() {
        assert!(stamp_of_probe("nosuch0", Stamper::Kernel, PROBE_PATIENCE).is_err());
    }

    #[test]
    fn a_stamp_of_zero_or_nonsense_is_none() {
        assert_eq!(positive(TimeSpec::new(0, 0)), None);
        assert_eq!(positive(TimeSpec::new(-1, 5)), None);
        assert_eq!(positive(TimeSpec::new(1, 5)), Some(Duration::new(1, 5)));
    }
}
