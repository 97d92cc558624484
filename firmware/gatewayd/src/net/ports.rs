//! The box's port ranges: media 40000-49999, signalling 33000-39999 unless configured otherwise (K4).
//!
//! The pool walks its range in a circle, so a port that was just given back is used again last and late packets of an
//! ended call find nobody. It knows what is out, so that a test can see every port come back and a full range is refused
//! without asking the kernel for each port.

use super::udp::Udp;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::rc::Rc;

/// A range of ports on one address. Cloning shares the pool.
#[derive(Debug, Clone)]
pub struct Ports {
    inner: Rc<Inner>,
}

#[derive(Debug)]
struct Inner {
    address: IpAddr,
    first: u16,
    count: u32,
    next: Cell<u32>,
    /// Which ports are out, the first of the range first.
    out: RefCell<Vec<bool>>,
}

/// A UDP socket out of the pool; dropping it gives the port back.
#[derive(Debug)]
pub struct PooledUdp {
    /// The socket.
    pub udp: Udp,
    pool: Rc<Inner>,
}

impl Drop for PooledUdp {
    fn drop(&mut self) {
        self.pool.mark(self.udp.local().port(), false);
    }
}

impl Ports {
    /// The ports `range` of `address`, beginning at a place that `start` picks.
    #[must_use]
    pub fn new(address: IpAddr, range: &RangeInclusive<u16>, start: u32) -> Self {
        let first = *range.start();
        let count = u32::from(*range.end()).saturating_sub(u32::from(first)) + 1;
        let out = RefCell::new(vec![false; count as usize]);
        Self { inner: Rc::new(Inner { address, first, count, next: Cell::new(start % count), out }) }
    }

    /// How many ports are out.
    #[must_use]
    pub fn out(&self) -> usize {
        self.inner.out.borrow().iter().filter(|out| **out).count()
    }

    /// One socket.
    ///
    /// # Errors
    /// `AddrInUse` when no port of the range is free, or what the kernel says of the address.
    pub fn single(&self) -> io::Result<PooledUdp> {
        self.search(1, |port| self.bind(port))
    }

    /// Two sockets on an even port and the one above it, for RTP and RTCP (RFC 3550 11).
    ///
    /// # Errors
    /// As [`single`](Self::single).
    pub fn pair(&self) -> io::Result<(PooledUdp, PooledUdp)> {
        self.search(2, |port| {
            let above =
                port.checked_add(1).filter(|_| port.is_multiple_of(2)).ok_or(io::ErrorKind::AddrInUse)?;
            Ok((self.bind(port)?, self.bind(above)?))
        })
    }

    fn bind(&self, port: u16) -> io::Result<PooledUdp> {
        if !self.inner.is_free(port) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let udp = Udp::bind(SocketAddr::new(self.inner.address, port))?;
        self.inner.mark(port, true);
        Ok(PooledUdp { udp, pool: Rc::clone(&self.inner) })
    }

    fn search<T>(&self, width: u32, mut take: impl FnMut(u16) -> io::Result<T>) -> io::Result<T> {
        let start = self.inner.next.get();
        for offset in 0..self.inner.count {
            let at = (start + offset) % self.inner.count;
            let Ok(port) = u16::try_from(u32::from(self.inner.first) + at) else { continue };
            match take(port) {
                Ok(taken) => {
                    self.inner.next.set((at + width) % self.inner.count);
                    return Ok(taken);
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!(
                "no free port in {}-{}",
                self.inner.first,
                u32::from(self.inner.first) + self.inner.count - 1
            ),
        ))
    }
}

impl Inner {
    fn index(&self, port: u16) -> Option<usize> {
        port.checked_sub(self.first).map(usize::from)
    }

    /// Whether it is of the range, and not out.
    fn is_free(&self, port: u16) -> bool {
        let out = self.out.borrow();
        self.index(port).and_then(|at| out.get(at)).is_some_and(|out| !out)
    }

    fn mark(&self, port: u16, is_out: bool) {
        let mut out = self.out.borrow_mut();
        if let Some(place) = self.index(port).and_then(|at| out.get_mut(at)) {
            *place = is_out;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(width: u16) -> Ports {
        // The kernel says where a free stretch begins; the search below copes with neighbours taken meanwhile.
        let probe = Udp::bind("127.0.0.1:0".parse().expect("address")).expect("a port");
        let first = probe.local().port().min(60_000);
        Ports::new("127.0.0.1".parse().expect("address"), &(first..=first + width), 0)
    }

    #[test]
    fn a_pair_is_an_even_port_and_the_next() {
        let ports = pool(200);
        let (rtp, rtcp) = ports.pair().expect("a free pair");
        assert_eq!(rtp.udp.local().port() % 2, 0);
        assert_eq!(rtcp.udp.local().port(), rtp.udp.local().port() + 1);
    }

    #[test]
    fn a_pair_does_not_reach_out_of_its_range() {
        let ports = pool(0);
        let first = ports.inner.first;
        ports.pair().expect_err("one port is no pair");
        assert_eq!((ports.out(), ports.inner.is_free(first + 1)), (0, false));
    }

    #[test]
    fn every_port_comes_back_and_the_last_used_is_taken_last() {
        let ports = pool(200);
        let (first, _) = ports.pair().expect("a free pair");
        let used = first.udp.local();
        drop(first);
        let next = ports.single().expect("a free port");
        assert_ne!(next.udp.local(), used);
        assert_eq!(ports.out(), 1);
        drop(next);
        assert_eq!(ports.out(), 0);
    }

    #[test]
    fn k4_a_full_range_is_refused_by_name() {
        let ports = pool(1);
        let held: Vec<_> = std::iter::from_fn(|| ports.single().ok()).collect();
        let error = ports.single().expect_err("the range is full");
        assert!(error.to_string().contains("no free port in"), "{error}");
        drop(held);
    }
}
