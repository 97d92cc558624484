//! The way to the router: does it answer a ping, and is it at least there by ARP.

use super::{Step, Went, milliseconds};
use crate::files;
use crate::places::Places;
use crate::protocol::Nic;
use crate::world::World;
use nix::errno::Errno;
use nix::sys::socket::sockopt::ReceiveTimeout;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, recv, sendto, setsockopt, socket,
};
use nix::sys::time::{TimeVal, TimeValLike};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Pings that are sent before a host counts as silent.
const PINGS: u16 = 3;
/// Longest wait for each.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tries the way to every router, or to one address.
pub(super) fn test(to: Option<&str>, world: &World, places: &Places) -> Vec<Step> {
    if let Some(to) = to {
        return vec![match domain::appliance::values::gateway4(to) {
            Ok(address) => one("Host", address, places),
            Err(why) => Step::new("Host", Went::Badly, why),
        }];
    }
    let mut steps: Vec<_> = world.nics.iter().filter_map(|nic| of_nic(nic, places)).collect();
    if !world.nics.iter().any(|nic| nic.gateway.is_some()) {
        steps.push(Step::new(
            "Gateway",
            Went::Badly,
            "the box has none; set one, or ask the network's DHCP server why it gives none",
        ));
    }
    steps
}

fn of_nic(nic: &Nic, places: &Places) -> Option<Step> {
    match nic.gateway {
        Some(_) if nic.link == "down" => Some(Step::new(
            nic.name.as_str(),
            Went::Badly,
            "there is no link; look at the cable and the switch's port",
        )),
        Some(gateway) => Some(one(&nic.name, gateway, places)),
        None => None,
    }
}

fn one(what: &str, address: Ipv4Addr, places: &Places) -> Step {
    let answered = ping(address);
    let neighbour =
        arp(&files::of_kernel(&places.at("/proc/net/arp"), 256 * 1024).unwrap_or_default(), address);
    let (went, said) = judge(address, &answered, neighbour.as_deref());
    Step::new(what, went, said)
}

/// What to make of it.
fn judge(
    address: Ipv4Addr,
    answered: &Result<Option<Duration>, Errno>,
    neighbour: Option<&str>,
) -> (Went, String) {
    let at = neighbour.map_or(String::new(), |mac| format!(" ({mac})"));
    match (answered, neighbour) {
        (Ok(Some(time)), _) => (Went::Well, format!("{address} answers in {}{at}", milliseconds(*time))),
        (Ok(None), Some(mac)) => {
            (Went::Well, format!("{address} is there ({mac}), but does not answer pings, as some routers do"))
        }
        (Ok(None), None) => (
            Went::Badly,
            format!("{address} does not answer, nor is it there by ARP; look at address, VLAN and cable"),
        ),
        (Err(Errno::ENETUNREACH | Errno::EHOSTUNREACH), _) => (
            Went::Badly,
            format!("{address} is not reached by any interface; look at address and prefix length"),
        ),
        (Err(errno), _) => (Went::Unknown, format!("{address}: the box may not send pings ({errno})")),
    }
}

/// Sends pings until one is answered; `None` if none is.
fn ping(address: Ipv4Addr) -> Result<Option<Duration>, Errno> {
    let socket = Pinger::open()?;
    let begun = Instant::now();
    for number in 1..=PINGS {
        let sent = Instant::now();
        socket.send(address, number)?;
        while sent.elapsed() < PATIENCE {
            match socket.answer(number)? {
                Answer::Ours => return Ok(Some(sent.elapsed())),
                Answer::Others if begun.elapsed() < PATIENCE * u32::from(PINGS) => {}
                Answer::Others | Answer::None => break,
            }
        }
    }
    Ok(None)
}

/// A socket for pings: a datagram one, which any user may have where the system lets it, or a raw one.
struct Pinger {
    socket: OwnedFd,
    kind: SockType,
    id: u16,
}

enum Answer {
    Ours,
    Others,
    None,
}

impl Pinger {
    fn open() -> Result<Self, Errno> {
        let open = |kind| socket(AddressFamily::Inet, kind, SockFlag::SOCK_CLOEXEC, Some(SockProtocol::Icmp));
        let (socket, kind) = match open(SockType::Datagram) {
            Ok(socket) => (socket, SockType::Datagram),
            Err(Errno::EACCES | Errno::EPERM | Errno::EPROTONOSUPPORT) => {
                (open(SockType::Raw)?, SockType::Raw)
            }
            Err(errno) => return Err(errno),
        };
        let patience = i64::try_from(PATIENCE.as_micros()).unwrap_or(i64::MAX);
        setsockopt(&socket, ReceiveTimeout, &TimeVal::microseconds(patience))?;
        let id = u16::from_le_bytes([crate::store::seed().0[0], crate::store::seed().0[1]]);
        Ok(Self { socket, kind, id })
    }

    fn send(&self, address: Ipv4Addr, number: u16) -> Result<(), Errno> {
        let packet = echo(self.id, number);
        let to = SockaddrIn::from(SocketAddrV4::new(address, 0));
        sendto(self.socket.as_raw_fd(), &packet, &to, MsgFlags::empty()).map(drop)
    }

    fn answer(&self, number: u16) -> Result<Answer, Errno> {
        let mut packet = [0; 256];
        match recv(self.socket.as_raw_fd(), &mut packet, MsgFlags::empty()) {
            Ok(count) => {
                let id = (self.kind == SockType::Raw).then_some(self.id);
                let ours = is_answer(&packet[..count], self.kind, id, number);
                Ok(if ours { Answer::Ours } else { Answer::Others })
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(Answer::None),
            // An earlier ping was answered by "unreachable".
            Err(Errno::EHOSTUNREACH | Errno::ENETUNREACH | Errno::ECONNREFUSED) => Ok(Answer::None),
            Err(errno) => Err(errno),
        }
    }
}

/// An ICMP echo request (RFC 792). A datagram socket's kernel fills in its own identifier and the checksum.
fn echo(id: u16, number: u16) -> [u8; 16] {
    let mut packet = [0; 16];
    packet[0] = 8;
    packet[4..6].copy_from_slice(&id.to_be_bytes());
    packet[6..8].copy_from_slice(&number.to_be_bytes());
    packet[8..].copy_from_slice(b"gantry!!");
    let sum = packet
        .chunks_exact(2)
        .fold(0_u32, |sum, pair| sum + u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or(0);
    packet[2..4].copy_from_slice(&checksum.to_be_bytes());
    packet
}

/// Whether a packet answers ping `number`. A raw socket's packets have the IP header before them, and are those of every
/// ping of this machine.
fn is_answer(packet: &[u8], kind: SockType, id: Option<u16>, number: u16) -> bool {
    let header = if kind == SockType::Raw {
        packet.first().map_or(0, |first| usize::from(first & 0xf) * 4)
    } else {
        0
    };
    let Some(icmp) = packet.get(header..).filter(|icmp| icmp.len() >= 8) else { return false };
    let field = |at: usize| u16::from_be_bytes([icmp[at], icmp[at + 1]]);
    icmp[0] == 0 && field(6) == number && id.is_none_or(|id| field(4) == id)
}

/// The hardware address that `/proc/net/arp` knows for `address`, if it was resolved.
fn arp(table: &str, address: Ipv4Addr) -> Option<String> {
    let wanted = address.to_string();
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let [ip, _, flags, mac, ..] = fields[..] else { return None };
        // ATF_COM: the entry is complete.
        let complete =
            u32::from_str_radix(flags.trim_start_matches("0x"), 16).is_ok_and(|flags| flags & 2 != 0);
        (ip == wanted && complete && mac != "00:00:00:00:00:00").then(|| mac.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_answers_a_ping() {
        match ping(Ipv4Addr::LOCALHOST) {
            Ok(answered) => assert!(answered.is_some_and(|time| time < PATIENCE), "{answered:?}"),
            // Neither kind of socket may be had here: then the sentence says so.
            Err(errno) => {
                assert!(matches!(errno, Errno::EPERM | Errno::EACCES), "{errno}");
                assert_eq!(judge(Ipv4Addr::LOCALHOST, &Err(errno), None).0, Went::Unknown);
            }
        }
    }

    #[test]
    fn each_result_is_a_sentence_that_says_where_to_look() {
        let at = Ipv4Addr::new(192, 0, 2, 1);
        let said = |answered: Result<Option<Duration>, Errno>, mac: Option<&str>| judge(at, &answered, mac);
        let mac = Some("52:54:00:12:34:56");
        assert_eq!(
            said(Ok(Some(Duration::from_millis(2))), mac),
            (Went::Well, "192.0.2.1 answers in 2 ms (52:54:00:12:34:56)".to_owned())
        );
        assert_eq!(said(Ok(None), mac).0, Went::Well);
        assert!(said(Ok(None), None).1.contains("VLAN"));
        assert!(said(Err(Errno::ENETUNREACH), None).1.contains("prefix length"));
    }

    #[test]
    fn an_echo_has_a_right_checksum_and_only_its_own_answer_counts() {
        let packet = echo(0x1234, 7);
        let sum =
            packet.chunks(2).fold(0_u32, |sum, pair| sum + u32::from(u16::from_be_bytes([pair[0], pair[1]])));
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
        let mut answer = packet;
        answer[0] = 0;
        assert!(is_answer(&answer, SockType::Datagram, None, 7));
        assert!(
            !is_answer(&answer, SockType::Datagram, None, 8)
                && !is_answer(&packet, SockType::Datagram, None, 7)
        );
        let mut raw = vec![0x45; 20];
        raw.extend(answer);
        assert!(is_answer(&raw, SockType::Raw, Some(0x1234), 7));
        assert!(!is_answer(&raw, SockType::Raw, Some(0x1235), 7));
        assert!(
            !is_answer(&raw[..25], SockType::Raw, Some(0x1234), 7) && !is_answer(&[], SockType::Raw, None, 1)
        );
    }

    #[test]
    fn neighbours_are_read_and_those_that_never_answered_are_none() {
        let table = "IP address       HW type     Flags       HW address            Mask     Device\n\
                     192.0.2.1        0x1         0x2         52:54:00:12:34:56     *        lan0\n\
                     192.0.2.9        0x1         0x0         00:00:00:00:00:00     *        lan0\n";
        assert_eq!(arp(table, Ipv4Addr::new(192, 0, 2, 1)).as_deref(), Some("52:54:00:12:34:56"));
        assert_eq!(arp(table, Ipv4Addr::new(192, 0, 2, 9)), None);
    }

    #[test]
    fn a_box_without_a_gateway_or_a_link_is_told() {
        let places = Places::below(std::path::Path::new("/nonexistent"));
        let steps = test(None, &World::default(), &places);
        assert!(steps[0].said.contains("the box has none"));
        let nic = Nic {
            name: "lan0".into(),
            link: "down".into(),
            gateway: Some([192, 0, 2, 1].into()),
            ..Nic::default()
        };
        let steps = test(None, &World { nics: vec![nic], ..World::default() }, &places);
        assert!(steps[0].said.contains("no link") && steps.len() == 1);
        assert_eq!(test(Some("x; reboot"), &World::default(), &places)[0].went, Went::Badly);
    }
}
