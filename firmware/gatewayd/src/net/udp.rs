//! A UDP socket of the box: non-blocking, stamped by the kernel, read and written in batches.

use super::batch::{self, BATCH, Receiver};
use bytes::Bytes;
use nix::sys::socket::sockopt::{RcvBuf, SndBuf, Timestamping};
use nix::sys::socket::{TimestampingFlag, setsockopt};
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

/// Kernel buffer asked for each way; a burst of a 720p key picture from several rooms fits.
const KERNEL_BUFFER_BYTES: usize = 512 * 1024;
/// Packets kept while the kernel's buffer is full; the oldest goes first.
const BACKLOG: usize = 512;

/// A bound UDP socket with its outgoing queue.
#[derive(Debug)]
pub struct Udp {
    socket: UdpSocket,
    local: SocketAddr,
    queue: VecDeque<(SocketAddr, Bytes)>,
    dropped: u64,
}

impl Udp {
    /// Binds `address` and asks the kernel for receive stamps.
    ///
    /// # Errors
    /// If the address is taken or not ours.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        let stamps =
            TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE | TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE;
        setsockopt(&socket, Timestamping, &stamps)?;
        // The kernel caps both at its own limit; less is slower, not wrong.
        setsockopt(&socket, RcvBuf, &KERNEL_BUFFER_BYTES)?;
        setsockopt(&socket, SndBuf, &KERNEL_BUFFER_BYTES)?;
        let local = socket.local_addr()?;
        Ok(Self { socket, local, queue: VecDeque::new(), dropped: 0 })
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

    /// Whether packets wait for the kernel's buffer.
    #[must_use]
    pub fn is_backlogged(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Sends what is queued as far as the kernel takes it. A packet that can't be sent at all is dropped and counted:
    /// for the protocols above that is a lost packet.
    pub fn flush(&mut self) {
        while !self.queue.is_empty() {
            let packets: Vec<(SocketAddr, &[u8])> =
                self.queue.iter().take(BATCH).map(|(to, data)| (*to, &data[..])).collect();
            match batch::send(self.socket.as_fd(), &packets) {
                Ok(sent) => drop(self.queue.drain(..sent)),
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

    /// Reads what waits, up to one batch, into `into`. False when nothing waited.
    pub fn receive(&self, into: &mut Receiver) -> bool {
        matches!(into.receive(self.socket.as_fd()), Ok(count) if count > 0)
    }
}

impl AsFd for Udp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_batch_arrives_whole_in_order_and_stamped_by_the_kernel() {
        let (mut sender, receiver) = (loopback(), loopback());
        for i in 0..40_u8 {
            sender.queue(receiver.local(), Bytes::from(vec![i; usize::from(i) + 1]));
        }
        let before = ClockPair::read();
        sender.flush();
        let mut seen = Vec::new();
        let mut batch = Receiver::default();
        while seen.len() < 40 {
            wait_readable(&receiver);
            assert!(receiver.receive(&mut batch));
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
        assert!(!receiver.receive(&mut batch), "nothing is left");
    }

    #[test]
    fn stamps_survive_a_batch_that_came_without_names() {
        let (mut sender, receiver) = (loopback(), loopback());
        let mut batch = Receiver::default();
        for _ in 0..3 {
            sender.queue(receiver.local(), Bytes::from_static(b"x"));
            sender.flush();
            wait_readable(&receiver);
            assert!(receiver.receive(&mut batch));
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
        assert!(receiver.receive(&mut Receiver::default()));
    }
}
