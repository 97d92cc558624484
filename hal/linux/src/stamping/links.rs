//! Hears of links that come up or go down (rtnetlink(7)).

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

/// `RTMGRP_LINK` of linux/rtnetlink.h.
const LINKS: u32 = 1;

/// Hears of links from when it was made.
#[derive(Debug)]
pub struct Links(OwnedFd);

impl Links {
    /// # Errors
    /// If the kernel gives no such socket.
    pub fn watch() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (family, protocol) = (AddressFamily::Netlink, SockProtocol::NetlinkRoute);
        let watched = socket(family, SockType::Raw, flags, protocol)?;
        bind(watched.as_raw_fd(), &NetlinkAddr::new(0, LINKS))?;
        Ok(Self(watched))
    }

    /// Waits until something of a link changed, at most for `patience`. What it was is for the reader to look at.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn wait(&self, patience: Duration) -> io::Result<()> {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX))?;
        let mut told = [0; 4096];
        while recv(self.0.as_raw_fd(), &mut told, MsgFlags::MSG_DONTWAIT).is_ok() {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_changes_the_wait_ends_all_the_same() {
        Links::watch().unwrap().wait(Duration::from_millis(1)).unwrap();
    }
}
