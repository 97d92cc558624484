//! `recvmmsg` and `sendmmsg`: many datagrams for one system call.
//!
//! Own headers rather than nix's `MultiHeaders`, which leaves `msg_controllen` and `msg_namelen` as the kernel shortened
//! them: after one packet without a stamp every later one would lose its stamp.

use nix::libc;
use nix::sys::socket::TimestampingFlag;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;
use std::{io, ptr};

/// Datagrams taken or sent by one system call.
pub const BATCH: usize = 32;
const CONTROL_BYTES: usize = 128;

/// Room for one batch of received datagrams; used again for every call. The default has no room.
#[derive(Default)]
pub struct Receiver {
    /// Longest datagram taken.
    bytes: usize,
    data: Vec<u8>,
    slots: Vec<Slot>,
    received: usize,
}

/// What the kernel says of one datagram.
#[derive(Clone, Copy)]
struct Slot {
    control: Control,
    control_length: usize,
    name: libc::sockaddr_storage,
    /// `None` if it was longer than there was room.
    length: Option<usize>,
}

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

/// One received datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Who sent it.
    pub from: SocketAddr,
    /// All of it.
    pub data: &'a [u8],
    /// When the kernel or the card saw it, since the Unix epoch.
    pub stamp: Option<Duration>,
}

impl Receiver {
    /// Room for `count` datagrams, at most [`BATCH`], of at most `bytes` each. Memory that no datagram needed is not touched.
    #[must_use]
    pub fn new(count: usize, bytes: usize) -> Self {
        let count = count.min(BATCH);
        // SAFETY: sockaddr_storage is plain data; all zeroes is a valid value of it (AF_UNSPEC).
        let name: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        let slot = Slot { control: Control([0; CONTROL_BYTES]), control_length: 0, name, length: None };
        Self { bytes, data: vec![0; count * bytes], slots: vec![slot; count], received: 0 }
    }

    /// How many datagrams it takes at once.
    #[must_use]
    pub fn room(&self) -> usize {
        self.slots.len()
    }

    /// Takes what waits on the socket, as far as there is room, without blocking.
    ///
    /// # Errors
    /// `WouldBlock` when nothing waits; what else the kernel says, such as `ConnectionRefused` after an ICMP error.
    pub fn receive(&mut self, fd: BorrowedFd<'_>) -> io::Result<usize> {
        self.received = 0;
        let mut iovs = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH];
        let mut headers: [MaybeUninit<libc::mmsghdr>; BATCH] = [const { MaybeUninit::zeroed() }; BATCH];
        let places = self.data.chunks_exact_mut(self.bytes.max(1)).zip(&mut self.slots);
        let mut count = 0;
        for ((data, slot), (iov, header)) in places.zip(iovs.iter_mut().zip(&mut headers)) {
            *iov = libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: data.len() };
            // SAFETY: mmsghdr is plain data; zeroed above, which is valid for it.
            let message = unsafe { &mut header.assume_init_mut().msg_hdr };
            message.msg_name = (&raw mut slot.name).cast();
            message.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            message.msg_iov = iov;
            message.msg_iovlen = 1;
            message.msg_control = (&raw mut slot.control).cast();
            message.msg_controllen = CONTROL_BYTES as _;
            count += 1;
        }
        // SAFETY: each of the first `count` headers points at buffers of the lengths it states, which outlive the call.
        let received = unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                headers.as_mut_ptr().cast(),
                count,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        for (slot, header) in self.slots.iter_mut().zip(&headers).take(received) {
            // SAFETY: zeroed at the start and filled in by the kernel.
            let header = unsafe { header.assume_init_ref() };
            let whole = header.msg_hdr.msg_flags & libc::MSG_TRUNC == 0;
            slot.length = whole.then(|| (header.msg_len as usize).min(self.bytes));
            slot.control_length = header.msg_hdr.msg_controllen.min(CONTROL_BYTES);
        }
        self.received = received;
        Ok(received)
    }

    /// What the last [`receive`](Self::receive) took, without what was too long.
    pub fn datagrams(&self) -> impl Iterator<Item = Datagram<'_>> {
        let places = self.data.chunks_exact(self.bytes.max(1)).zip(&self.slots).take(self.received);
        places.filter_map(|(data, slot)| {
            Some(Datagram {
                from: address(&slot.name)?,
                data: data.get(..slot.length?)?,
                stamp: stamp(slot.control.0.get(..slot.control_length)?),
            })
        })
    }
}

/// Whether the time at which a packet leaves is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamping {
    /// Of the first packet, from the kernel and from the card: [`stamps`] tells.
    First,
    /// Of none.
    None,
}

/// When a packet left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// Its driver got it, since the Unix epoch.
    Software(Duration),
    /// The card sent it, since the card's own epoch.
    Hardware(Duration),
}

/// Sends the first of `packets`, at most [`BATCH`], in order, and returns how many the kernel took; fewer than there were
/// means that its buffer is full.
///
/// # Errors
/// What the kernel says of the first packet.
pub fn send<'a>(
    fd: BorrowedFd<'_>,
    packets: impl Iterator<Item = (SocketAddr, &'a [u8])>,
    stamping: Stamping,
) -> io::Result<usize> {
    let mut ask = stamp_request();
    let mut names: [MaybeUninit<libc::sockaddr_storage>; BATCH] = [const { MaybeUninit::uninit() }; BATCH];
    let mut iovs = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH];
    let mut headers: [MaybeUninit<libc::mmsghdr>; BATCH] = [const { MaybeUninit::zeroed() }; BATCH];
    let mut count = 0;
    let places = names.iter_mut().zip(iovs.iter_mut().zip(&mut headers));
    for ((to, data), (name, (iov, header))) in packets.zip(places) {
        *iov = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
        // SAFETY: mmsghdr is plain data; zeroed above, which is valid for it.
        let message = unsafe { &mut header.assume_init_mut().msg_hdr };
        message.msg_namelen = write_address(to, name);
        message.msg_name = name.as_mut_ptr().cast();
        message.msg_iov = iov;
        message.msg_iovlen = 1;
        if count == 0 && stamping == Stamping::First {
            message.msg_control = (&raw mut ask).cast();
            message.msg_controllen = size_of::<StampRequest>() as _;
        }
        count += 1;
    }
    // SAFETY: `count` headers are set up; the kernel only reads the buffers they point at, which outlive the call.
    let sent = unsafe {
        libc::sendmmsg(fd.as_raw_fd(), headers.as_mut_ptr().cast(), count, libc::MSG_DONTWAIT as _)
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// What a socket reports: when what came was there, and of what is sent with [`Stamping::First`] when it left, the kernel's stamp and
/// the card's each by itself and without the packet.
pub fn stamps_wanted() -> TimestampingFlag {
    TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE
        | TimestampingFlag::SOF_TIMESTAMPING_RAW_HARDWARE
        | TimestampingFlag::SOF_TIMESTAMPING_OPT_TSONLY
        | TimestampingFlag::from_bits_retain(libc::SOF_TIMESTAMPING_OPT_TX_SWHW)
}

/// A control message that asks for a packet's stamps (`SO_TIMESTAMPING` for one packet, since Linux 4.7).
#[repr(C)]
struct StampRequest {
    header: libc::cmsghdr,
    flags: u32,
    /// Control messages end where the next could begin.
    _padding: u32,
}

fn stamp_request() -> StampRequest {
    // SAFETY: cmsghdr is plain data; all zeroes is a valid value of it.
    let mut header: libc::cmsghdr = unsafe { std::mem::zeroed() };
    header.cmsg_len = (size_of::<libc::cmsghdr>() + size_of::<u32>()) as _;
    header.cmsg_level = libc::SOL_SOCKET;
    header.cmsg_type = libc::SO_TIMESTAMPING;
    StampRequest {
        header,
        flags: libc::SOF_TIMESTAMPING_TX_SOFTWARE | libc::SOF_TIMESTAMPING_TX_HARDWARE,
        _padding: 0,
    }
}

/// Takes the stamps of packets sent that wait on the socket's error queue, at most [`BATCH`].
pub fn stamps(fd: BorrowedFd<'_>, mut tell: impl FnMut(Sent)) {
    for _ in 0..BATCH {
        let mut control = Control([0; CONTROL_BYTES]);
        // SAFETY: msghdr is plain data; all zeroes is a valid value of it.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_control = (&raw mut control).cast();
        message.msg_controllen = CONTROL_BYTES as _;
        // SAFETY: the header points at a buffer of the length it states, which outlives the call.
        let got =
            unsafe { libc::recvmsg(fd.as_raw_fd(), &mut message, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT) };
        if got < 0 {
            return;
        }
        let control = control.0.get(..message.msg_controllen.min(CONTROL_BYTES)).unwrap_or_default();
        stamp_at(control, 0).map(Sent::Software).into_iter().for_each(&mut tell);
        stamp_at(control, 2).map(Sent::Hardware).into_iter().for_each(&mut tell);
    }
}

fn address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the kernel wrote a sockaddr_in, and the storage is large enough for one.
            let v4 = unsafe { &*ptr::from_ref(storage).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddr::new(IpAddr::V4(ip), u16::from_be(v4.sin_port)))
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that the kernel wrote a sockaddr_in6, and the storage is large enough for one.
            let v6 = unsafe { &*ptr::from_ref(storage).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            Some(SocketAddr::new(ip.to_canonical(), u16::from_be(v6.sin6_port)))
        }
        _ => None,
    }
}

fn write_address(to: SocketAddr, storage: &mut MaybeUninit<libc::sockaddr_storage>) -> libc::socklen_t {
    match to {
        SocketAddr::V4(to) => {
            let v4 = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: to.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*to.ip()).to_be() },
                sin_zero: [0; 8],
            };
            // SAFETY: sockaddr_storage is at least as large and as aligned as sockaddr_in.
            unsafe { storage.as_mut_ptr().cast::<libc::sockaddr_in>().write(v4) };
            size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        SocketAddr::V6(to) => {
            let v6 = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: to.port().to_be(),
                sin6_flowinfo: to.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: to.ip().octets() },
                sin6_scope_id: to.scope_id(),
            };
            // SAFETY: sockaddr_storage is at least as large and as aligned as sockaddr_in6.
            unsafe { storage.as_mut_ptr().cast::<libc::sockaddr_in6>().write(v6) };
            size_of::<libc::sockaddr_in6>() as libc::socklen_t
        }
    }
}

/// The stamp in a control message of `SCM_TIMESTAMPING`: three timespecs, software first, raw hardware last.
/// A hardware stamp is in the card's own clock, so the software one is what maps to ours.
fn stamp(control: &[u8]) -> Option<Duration> {
    stamp_at(control, 0)
}

/// The `nth` timespec; those that the kernel has not are zero.
fn stamp_at(control: &[u8], nth: usize) -> Option<Duration> {
    const HEADER: usize = size_of::<libc::cmsghdr>();
    let header = control.get(..HEADER)?;
    // SAFETY: `header` holds a whole cmsghdr, and read_unaligned takes any alignment.
    let header: libc::cmsghdr = unsafe { ptr::read_unaligned(header.as_ptr().cast()) };
    if header.cmsg_level != libc::SOL_SOCKET || header.cmsg_type != libc::SCM_TIMESTAMPING {
        return None;
    }
    let stamp = control.get(HEADER + nth * size_of::<libc::timespec>()..)?;
    let stamp = stamp.get(..size_of::<libc::timespec>())?;
    // SAFETY: `stamp` holds a whole timespec, and read_unaligned takes any alignment.
    let stamp: libc::timespec = unsafe { ptr::read_unaligned(stamp.as_ptr().cast()) };
    let seconds = u64::try_from(stamp.tv_sec).ok()?;
    let nanos = u32::try_from(stamp.tv_nsec).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(seconds, nanos)).filter(|stamp| !stamp.is_zero())
}
