//! A UDP socket of the box: non-blocking, stamped by the kernel, read and written in batches.

use super::batch::{self, Receiver, Stamping};
use super::departure::{Departures, Sampler};
use super::poller::{Awaited, Poller, Token, Watch};
use bytes::Bytes;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{RcvBuf, SndBuf, Timestamping};
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

/// Kernel buffer asked for each way; a burst of a 720p key picture from several rooms fits.
const KERNEL_BUFFER_BYTES: usize = 512 * 1024;
/// Packets kept while the kernel's buffer is full; the oldest goes first.
const BACKLOG: usize = 512;

/// What a read left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// Nothing; the poller tells when something comes.
    Nothing,
    /// Perhaps more: read again.
    More,
}

/// When packets that come are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// As soon as they are there: the poller tells.
    AtOnce,
    /// When the owner next looks, on the beat of sound or so many times as often; the poller tells nothing. Their stamps say when they
    /// came all the same.
    OnTheBeat {
        /// Times in each step of the beat.
        parts: u32,
    },
}

impl Reading {
    /// Into how many parts the beat is divided on which it is read, if it is.
    #[must_use]
    pub const fn parts(self) -> Option<u32> {
        match self {
            Self::AtOnce => None,
            Self::OnTheBeat { parts } => Some(parts),
        }
    }
}

/// A bound UDP socket with its outgoing queue.
pub struct Udp {
    socket: UdpSocket,
    local: SocketAddr,
    queue: VecDeque<(SocketAddr, Bytes)>,
    dropped: u64,
    watch: Option<Watch>,
    reading: Reading,
    awaited: Awaited,
    sampler: Sampler,
}

impl std::fmt::Debug for Udp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UDP socket on {}, {} packets queued", self.local, self.queue.len())
    }
}

impl Udp {
    /// Binds `address` and asks the kernel for stamps of what comes, and of a sample of what leaves.
    ///
    /// # Errors
    /// If the address is taken or not ours.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        setsockopt(&socket, Timestamping, &batch::stamps_wanted())?;
        // The kernel caps both at its own limit; less is slower, not wrong.
        setsockopt(&socket, RcvBuf, &KERNEL_BUFFER_BYTES)?;
        setsockopt(&socket, SndBuf, &KERNEL_BUFFER_BYTES)?;
        let local = socket.local_addr()?;
        let queue = VecDeque::new();
        let (reading, awaited) = (Reading::AtOnce, Awaited::Packets);
        let sampler = Sampler::default();
        Ok(Self { socket, local, queue, dropped: 0, watch: None, reading, awaited, sampler })
    }

    /// Where it is bound.
    #[must_use]
    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    /// Packets given up because the kernel would not take them.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Puts a packet in the outgoing queue; [`flush`](Self::flush) sends it.
    pub fn queue(&mut self, to: SocketAddr, data: Bytes) {
        if self.queue.len() >= BACKLOG {
            self.queue.pop_front();
            self.dropped += 1;
        }
        self.queue.push_back((to, data));
    }

    /// Lets `poller` tell when something comes, and when packets that the kernel had no room for may be tried again.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn watch(&mut self, poller: &Poller, token: Token) -> io::Result<()> {
        self.watch = Some(poller.add(&self.socket, token)?);
        Ok(())
    }

    /// Sends what is queued as far as the kernel takes it; for the rest its room is waited for. A packet that can't be sent at
    /// all is dropped and counted: for the protocols above that is a lost packet.
    pub fn flush(&mut self) {
        self.send();
        self.wait();
    }

    /// When what comes is read from now on.
    pub fn set_reading(&mut self, reading: Reading) {
        self.reading = reading;
        self.wait();
    }

    /// When what comes is read.
    #[must_use]
    pub const fn reading(&self) -> Reading {
        self.reading
    }

    fn wait(&mut self) {
        let awaited = match (self.reading, self.queue.is_empty()) {
            (Reading::AtOnce, true) => Awaited::Packets,
            (Reading::AtOnce, false) => Awaited::PacketsOrRoom,
            (Reading::OnTheBeat { .. }, true) => Awaited::Nothing,
            (Reading::OnTheBeat { .. }, false) => Awaited::Room,
        };
        if awaited != self.awaited
            && let Some(watch) = &self.watch
            && watch.wait_for(&self.socket, awaited).is_ok()
        {
            self.awaited = awaited;
        }
    }

    fn send(&mut self) {
        while !self.queue.is_empty() {
            let packets = self.queue.iter().map(|(to, data)| (*to, &data[..]));
            let stamping = if self.sampler.ask() { Stamping::First } else { Stamping::None };
            match batch::send(self.socket.as_fd(), packets, stamping) {
                Ok(sent) => {
                    self.sampler.sent(sent);
                    self.queue.drain(..sent);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A pending ICMP error is told once, on whatever is sent next; that packet itself was not tried.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
                Err(_) => {
                    self.queue.pop_front();
                    self.dropped += 1;
                }
            }
        }
    }

    /// What became known since it was last asked of when packets left.
    pub fn departures(&mut self) -> Departures {
        self.sampler.collect(self.socket.as_fd())
    }

    /// Reads what waits into `into`, as far as that has room. A batch that is not full was the last: whatever comes later
    /// makes the socket readable anew.
    pub fn receive(&self, into: &mut Receiver) -> Waiting {
        match into.receive(self.socket.as_fd()) {
            Ok(count) if count == into.room() => Waiting::More,
            Ok(_) | Err(_) => Waiting::Nothing,
        }
    }
}

impl AsFd for Udp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::BATCH;
    use super::*;
    use crate::net::clock::ClockPair;
    use std::time::Duration;

    fn loopback() -> Udp {
        Udp::bind("127.0.0.1:0".parse().expect("address")).expect("a port on loopback")
    }

    fn wait_readable(socket: &Udp) {
        let mut fds = [nix::poll::PollFd::new(socket.as_fd(), nix::poll::PollFlags::POLLIN)];
        nix::poll::poll(&mut fds, 5_000_u16).expect("poll");
    }

    /// Two sockets, the second of which gets stamps: the kernel begins to stamp a moment after the first socket asks for it.
    fn stamped() -> (Udp, Udp) {
        let (mut sender, receiver) = (loopback(), loopback());
        let mut batch = Receiver::new(BATCH, 2_048);
        for _ in 0..10_000 {
            sender.queue(receiver.local(), Bytes::from_static(b"x"));
            sender.flush();
            wait_readable(&receiver);
            receiver.receive(&mut batch);
            if batch.datagrams().all(|datagram| datagram.stamp.is_some()) {
                return (sender, receiver);
            }
        }
        panic!("the kernel stamps nothing");
    }

    #[test]
    fn a_batch_arrives_whole_in_order_and_stamped_by_the_kernel() {
        let (mut sender, receiver) = stamped();
        for i in 0..40_u8 {
            sender.queue(receiver.local(), Bytes::from(vec![i; usize::from(i) + 1]));
        }
        let before = ClockPair::read();
        sender.flush();
        let mut seen = Vec::new();
        let mut batch = Receiver::new(BATCH, 2_048);
        while seen.len() < 40 {
            wait_readable(&receiver);
            receiver.receive(&mut batch);
            let clocks = ClockPair::read();
            for datagram in batch.datagrams() {
                assert_eq!(datagram.from, sender.local());
                assert!(datagram.stamp.is_some(), "no stamp on packet {}", seen.len());
                let age = clocks.now() - clocks.arrival(datagram.stamp);
                assert!(age < Duration::from_secs(1));
                assert!(clocks.arrival(datagram.stamp) + Duration::from_millis(1) >= before.now());
                seen.push((datagram.data[0], datagram.data.len()));
            }
        }
        assert_eq!(seen, (0..40).map(|i| (i, usize::from(i) + 1)).collect::<Vec<_>>());
        assert_eq!(receiver.receive(&mut batch), Waiting::Nothing);
        assert_eq!(batch.datagrams().count(), 0, "nothing is left");
    }

    #[test]
    fn the_kernel_tells_when_a_sampled_packet_left() {
        let (mut sender, receiver) = stamped();
        sender.departures();
        // given a socket whose next packet is sampled
        sender.sampler = Sampler::default();
        sender.queue(receiver.local(), Bytes::from_static(b"x"));
        sender.flush();
        wait_readable(&receiver);
        // then the kernel's stamp comes back, and none of a card, as there is none
        let departures = sender.departures();
        assert_eq!((departures.software, departures.hardware), (1, 0));
        assert!(departures.mean_queued().is_some_and(|queued| queued < Duration::from_secs(1)));
        assert_eq!(sender.departures(), Departures::default(), "each is told once");
    }

    #[test]
    fn stamps_survive_a_batch_that_came_without_names() {
        let (mut sender, receiver) = stamped();
        let mut batch = Receiver::new(BATCH, 2_048);
        for _ in 0..3 {
            sender.queue(receiver.local(), Bytes::from_static(b"x"));
            sender.flush();
            wait_readable(&receiver);
            receiver.receive(&mut batch);
            assert_eq!(batch.datagrams().count(), 1);
            assert!(batch.datagrams().all(|d| d.stamp.is_some() && d.from == sender.local()));
        }
    }

    #[test]
    fn a_refused_peer_costs_no_later_packet() {
        let (mut sender, receiver) = (loopback(), loopback());
        let gone = loopback().local();
        for to in [gone, gone, receiver.local()] {
            sender.queue(to, Bytes::from_static(b"x"));
            sender.flush();
        }
        wait_readable(&receiver);
        let mut batch = Receiver::new(BATCH, 2_048);
        receiver.receive(&mut batch);
        assert_eq!(batch.datagrams().count(), 1);
    }

    #[test]
    fn a_full_batch_says_that_more_may_wait() {
        let (mut sender, receiver) = (loopback(), loopback());
        (0..5).for_each(|_| sender.queue(receiver.local(), Bytes::from_static(b"x")));
        sender.flush();
        wait_readable(&receiver);
        let mut batch = Receiver::new(4, 2_048);
        assert_eq!((receiver.receive(&mut batch), batch.datagrams().count()), (Waiting::More, 4));
        assert_eq!((receiver.receive(&mut batch), batch.datagrams().count()), (Waiting::Nothing, 1));
    }

    #[test]
    fn what_is_longer_than_the_room_is_left_out_and_not_cut() {
        let (mut sender, receiver) = (loopback(), loopback());
        for bytes in [8, 9, 7] {
            sender.queue(receiver.local(), Bytes::from(vec![b'x'; bytes]));
        }
        sender.flush();
        wait_readable(&receiver);
        let mut batch = Receiver::new(BATCH, 8);
        receiver.receive(&mut batch);
        let seen: Vec<usize> = batch.datagrams().map(|datagram| datagram.data.len()).collect();
        assert_eq!(seen, [8, 7]);
    }
}
