//! Which UDP sockets have something to read, and whether it is time: one epoll set per shard, itself watched by tokio.
//!
//! A task per socket would cost an allocation and a wake-up per packet; this way one wake-up of the shard serves every
//! socket that became readable meanwhile, and each is then read in batches. Room to write is waited for only where the kernel had
//! none: each packet that leaves makes room, and would wake the shard for nothing. The time is waited for in the same set: a timer of
//! tokio's that is due before all others has its runtime write to a descriptor of its own, and come round once for nothing.

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Sockets looked at in one turn; more wait for the next, which follows at once.
const READY: usize = 256;

/// Names a socket in the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(pub u64);

/// The timer's name in the set.
const TIMER: Token = Token(u64::MAX);
/// A timer that is to go off at once: zero would put it out.
const AT_ONCE: Duration = Duration::from_nanos(1);

/// The set.
pub struct Poller {
    epoll: AsyncFd<Arc<OwnEpoll>>,
    timer: TimerFd,
    /// When the timer goes off.
    set_for: Option<Instant>,
    ready: Vec<EpollEvent>,
}

struct OwnEpoll(Epoll);

/// Adds to the set.
#[derive(Clone)]
pub struct Registry(Arc<OwnEpoll>);

impl Registry {
    /// Watches `fd` from now on, until it is closed, for something to read. Edge-triggered: read until nothing waits.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn add(&self, fd: impl AsFd, token: Token) -> io::Result<Watch> {
        self.0.0.add(fd, Awaited::Packets.event(token))?;
        Ok(Watch { set: Arc::clone(&self.0), token })
    }
}

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
        let timer =
            TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK)?;
        epoll.add(&timer, Awaited::Packets.event(TIMER))?;
        // SAFETY: OwnEpoll owns the descriptor it names, always names the same, and lives as long as the AsyncFd.
        let epoll = unsafe { AsyncFd::register_with_interest(Arc::new(OwnEpoll(epoll)), Interest::READABLE) };
        let epoll = epoll.map_err(io::Error::from)?;
        Ok(Self { epoll, timer, set_for: None, ready: vec![EpollEvent::empty(); READY] })
    }

    /// Watches `fd` from now on, as [`Registry::add`] does.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn add(&self, fd: impl AsFd, token: Token) -> io::Result<Watch> {
        self.registry().add(fd, token)
    }

    /// The way into the set for who has sockets of its own that come and go.
    #[must_use]
    pub fn registry(&self) -> Registry {
        Registry(Arc::clone(self.epoll.get_ref()))
    }

    /// Waits until some socket is ready, or until `until`; then it is none.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub async fn wait(&mut self, until: Instant) -> io::Result<Vec<Ready>> {
        self.set(until)?;
        loop {
            let mut guard = self.epoll.readable().await?;
            let count = self.epoll.get_ref().0.wait(&mut self.ready, EpollTimeout::ZERO)?;
            if count < READY {
                guard.clear_ready();
            }
            if count > 0 {
                let ready: Vec<Ready> = self.ready[..count].iter().map(ready).collect();
                if ready.iter().any(|ready| ready.token == TIMER) {
                    self.set_for = None;
                }
                return Ok(ready.into_iter().filter(|ready| ready.token != TIMER).collect());
            }
        }
    }

    fn set(&mut self, at: Instant) -> io::Result<()> {
        if self.set_for != Some(at) {
            let time = at.saturating_duration_since(Instant::now()).max(AT_ONCE);
            self.timer.set(Expiration::OneShot(TimeSpec::from_duration(time)), TimerSetTimeFlags::empty())?;
            self.set_for = Some(at);
        }
        Ok(())
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

    /// What is ready within 50 ms.
    async fn next(poller: &mut Poller) -> Vec<Ready> {
        poller.wait(Instant::now() + Duration::from_millis(50)).await.expect("the kernel answers")
    }

    #[tokio::test]
    async fn room_to_write_wakes_only_who_waits_for_it() {
        let (mut poller, socket) = (Poller::new().unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let watch = poller.add(&socket, Token(7)).unwrap();
        assert_eq!(next(&mut poller).await, [], "there is room, but nobody asked");
        watch.wait_for(&socket, Awaited::PacketsOrRoom).unwrap();
        let told = Ready { token: Token(7), readable: false, writable: true };
        assert_eq!(next(&mut poller).await, [told]);
        watch.wait_for(&socket, Awaited::Packets).unwrap();
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        let told = Ready { token: Token(7), readable: true, writable: false };
        assert_eq!(next(&mut poller).await, [told]);
        assert_eq!(next(&mut poller).await, [], "each edge is told once");
    }

    #[tokio::test]
    async fn it_waits_no_longer_than_until_the_time_it_was_told_last() {
        let mut poller = Poller::new().unwrap();
        let (far, near) = (Duration::from_secs(600), Duration::from_millis(5));
        // given somebody who waits for long, and is called away
        let began = Instant::now();
        tokio::select! {
            biased;
            _ = poller.wait(began + far) => unreachable!("nothing is ready"),
            () = std::future::ready(()) => {}
        }
        // when the time is nearer, or over, then it ends then, with nothing ready
        for until in [began + near, began, began + near] {
            assert_eq!(poller.wait(until).await.unwrap(), []);
            assert!(Instant::now() >= until);
        }
        assert!(began.elapsed() < far / 2);
    }
}
