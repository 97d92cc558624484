//! Which UDP sockets have something to read: one epoll set per shard, itself watched by tokio.
//!
//! A task per socket would cost an allocation and a wake-up per packet; this way one wake-up of the shard serves every
//! socket that became readable meanwhile, and each is then read in batches. Room to write is waited for only where the kernel had
//! none: each packet that leaves makes room, and would wake the shard for nothing.

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Sockets looked at in one turn; more wait for the next, which follows at once.
const READY: usize = 256;

/// Names a socket in the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

/// The set.
pub struct Poller {
    epoll: AsyncFd<Arc<OwnEpoll>>,
    ready: Vec<EpollEvent>,
}

struct OwnEpoll(Epoll);

/// A socket's place in the set.
pub struct Watch {
    set: Arc<OwnEpoll>,
    token: Token,
}

/// What a socket waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// Nothing.
    Nothing,
    /// Something to read.
    Packets,
    /// Room to write.
    Room,
    /// Either.
    PacketsOrRoom,
}

impl Awaited {
    fn event(self, token: Token) -> EpollEvent {
        let flags = match self {
            Self::Nothing => EpollFlags::empty(),
            Self::Packets => EpollFlags::EPOLLIN,
            Self::Room => EpollFlags::EPOLLOUT,
            Self::PacketsOrRoom => EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT,
        };
        EpollEvent::new(flags | EpollFlags::EPOLLET, token.0)
    }
}

impl Watch {
    /// Waits for `awaited` from now on.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn wait_for(&self, fd: impl AsFd, awaited: Awaited) -> io::Result<()> {
        Ok(self.set.0.modify(fd, &mut awaited.event(self.token))?)
    }
}

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
        let epoll = unsafe { AsyncFd::register_with_interest(Arc::new(OwnEpoll(epoll)), Interest::READABLE) };
        let epoll = epoll.map_err(io::Error::from)?;
        Ok(Self { epoll, ready: vec![EpollEvent::empty(); READY] })
    }

    /// Watches `fd` from now on, until it is closed, for something to read. Edge-triggered: read until nothing waits.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn add(&self, fd: impl AsFd, token: Token) -> io::Result<Watch> {
        let set = Arc::clone(self.epoll.get_ref());
        set.0.add(fd, Awaited::Packets.event(token))?;
        Ok(Watch { set, token })
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::time::Duration;

    async fn next(poller: &mut Poller) -> Option<Vec<Ready>> {
        let ready = tokio::time::timeout(Duration::from_millis(50), poller.wait()).await.ok()?;
        Some(ready.expect("the kernel answers"))
    }

    #[tokio::test]
    async fn room_to_write_wakes_only_who_waits_for_it() {
        let (mut poller, socket) = (Poller::new().unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let watch = poller.add(&socket, Token(7)).unwrap();
        assert_eq!(next(&mut poller).await, None, "there is room, but nobody asked");
        watch.wait_for(&socket, Awaited::PacketsOrRoom).unwrap();
        let told = Ready { token: Token(7), readable: false, writable: true };
        assert_eq!(next(&mut poller).await, Some(vec![told]));
        watch.wait_for(&socket, Awaited::Packets).unwrap();
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        let told = Ready { token: Token(7), readable: true, writable: false };
        assert_eq!(next(&mut poller).await, Some(vec![told]));
        assert_eq!(next(&mut poller).await, None, "each edge is told once");
    }
}
