//! Which UDP sockets have something to read: one epoll set per shard, itself watched by tokio.
//!
//! A task per socket would cost an allocation and a wake-up per packet; this way one wake-up of the shard serves every
//! socket that became readable meanwhile, and each is then read in batches.

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Sockets looked at in one turn; more wait for the next, which follows at once.
const READY: usize = 256;

/// Names a socket in the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

/// The set.
pub struct Poller {
    epoll: AsyncFd<OwnEpoll>,
    ready: Vec<EpollEvent>,
}

struct OwnEpoll(Epoll);

impl AsRawFd for OwnEpoll {
    fn as_raw_fd(&self) -> RawFd {
        self.0.0.as_raw_fd()
    }
}

/// What a socket is ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// Which.
    pub token: Token,
    /// It can be read.
    pub readable: bool,
    /// Its kernel buffer takes packets again.
    pub writable: bool,
}

impl Poller {
    /// An empty set. Must be made inside a tokio runtime.
    ///
    /// # Errors
    /// If the kernel gives no descriptor.
    pub fn new() -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        // SAFETY: OwnEpoll owns the descriptor it names, always names the same, and lives as long as the AsyncFd.
        let epoll = unsafe { AsyncFd::register_with_interest(OwnEpoll(epoll), Interest::READABLE) };
        let epoll = epoll.map_err(io::Error::from)?;
        Ok(Self { epoll, ready: vec![EpollEvent::empty(); READY] })
    }

    /// Watches `fd` from now on, until it is closed. Edge-triggered: read until nothing waits.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn add(&self, fd: impl AsFd, token: Token) -> io::Result<()> {
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
        Ok(self.epoll.get_ref().0.add(fd, EpollEvent::new(flags, token.0))?)
    }

    /// Waits until some socket is ready.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub async fn wait(&mut self) -> io::Result<Vec<Ready>> {
        loop {
            let mut guard = self.epoll.readable().await?;
            let count = self.epoll.get_ref().0.wait(&mut self.ready, EpollTimeout::ZERO)?;
            if count < READY {
                guard.clear_ready();
            }
            if count > 0 {
                return Ok(self.ready[..count].iter().map(ready).collect());
            }
        }
    }
}

fn ready(event: &EpollEvent) -> Ready {
    let flags = event.events();
    let readable = flags.intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLERR | EpollFlags::EPOLLHUP);
    Ready { token: Token(event.data()), readable, writable: flags.contains(EpollFlags::EPOLLOUT) }
}
