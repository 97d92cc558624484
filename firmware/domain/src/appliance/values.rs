//! Single values of the box's settings: text in, a type that cannot be wrong out.
//!
//! The same readers serve the settings file, the serial console, the front panel and the command line. Each error is the
//! rest of a sentence that begins with the field's name, shows the value as far as it is printable, and ends with a way out.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest text that is looked at for one value, in bytes; nothing right is longer.
pub const VALUE_BYTES: usize = 512;
/// Longest name of a network interface (the kernel's `IFNAMSIZ` less its end).
const INTERFACE_BYTES: usize = 15;

/// What was typed, cut and made printable, for a message.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(40).flat_map(char::escape_debug).collect();
    if text.chars().count() > 40 {
        shown.push_str("...");
    }
    format!("\"{shown}\"")
}

/// The box's name in its network: one label (RFC 1123 2.1), lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostName(String);

/// A DNS name of one label or more, lower case, without a dot at its end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainName(String);

/// Name of a network interface, such as `eth0`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InterfaceName(String);

/// An IEEE 802.1Q VLAN, 1 to 4094.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct VlanId(u16);

/// Largest packet of an interface in bytes, 576 to 9216.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mtu(u16);

/// An IPv4 address of the box and the length of its network's prefix: `192.0.2.10/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv4Net {
    address: Ipv4Addr,
    prefix: u8,
}

/// An IPv6 address of the box and the length of its network's prefix: `2001:db8::10/64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ipv6Net {
    address: Ipv6Addr,
    prefix: u8,
}

/// A server that is asked for the time: a name or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// By name.
    Name(DomainName),
    /// By address.
    Address(IpAddr),
}

fn label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

impl HostName {
    /// Reads a host name.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let name = text.trim().to_ascii_lowercase();
        let number = name.bytes().all(|b| b.is_ascii_digit());
        if !label(&name) || number || name == "localhost" {
            let way_out = "write 1 to 63 letters, digits and hyphens, such as gantry-1";
            return Err(format!("{} is no host name; {way_out}", shown(text)));
        }
        Ok(Self(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl DomainName {
    /// Reads a DNS name.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let name = text.trim().trim_end_matches('.').to_ascii_lowercase();
        let last = name.rsplit('.').next().unwrap_or_default();
        let address = last.bytes().all(|b| b.is_ascii_digit());
        if name.len() > 253 || !name.split('.').all(label) || address {
            return Err(format!("{} is no name; write one such as example.com", shown(text)));
        }
        Ok(Self(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl InterfaceName {
    /// Reads the name of an interface.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let name = text.trim();
        let good = (1..=INTERFACE_BYTES).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && name.as_bytes()[0].is_ascii_alphabetic()
            && name != "lo";
        good.then(|| Self(name.to_owned()))
            .ok_or_else(|| format!("{} is no network interface; write one such as eth0", shown(text)))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl VlanId {
    /// Reads a VLAN's number.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let number = whole(text).and_then(|number| u16::try_from(number).ok());
        number
            .filter(|number| (1..=4094).contains(number))
            .map(Self)
            .ok_or_else(|| format!("{} is no VLAN; write a number from 1 to 4094, or none", shown(text)))
    }

    /// Its number.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }
}

impl Mtu {
    /// Least MTU of a link that carries IPv6 (RFC 8200 5).
    pub const IPV6_LEAST: u16 = 1280;

    /// Reads an MTU.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let number = whole(text).and_then(|number| u16::try_from(number).ok());
        number
            .filter(|number| (576..=9216).contains(number))
            .map(Self)
            .ok_or_else(|| format!("{} is no MTU; write a number from 576 to 9216, or auto", shown(text)))
    }

    /// In bytes.
    #[must_use]
    pub fn get(self) -> u16 {
        self.0
    }
}

/// A whole number without sign.
fn whole(text: &str) -> Option<u32> {
    let text = text.trim();
    let digits = !text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// An IPv4 address as people write it on a panel too: `192.168.001.010` is 192.168.1.10, never octal.
///
/// # Errors
/// What is wrong with it.
pub fn ipv4(text: &str) -> Result<Ipv4Addr, String> {
    let octet = |part: &str| {
        let digits = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse::<u16>().ok()).flatten().and_then(|number| u8::try_from(number).ok())
    };
    let octets: Option<Vec<u8>> = text.trim().split('.').map(octet).collect();
    octets
        .and_then(|octets| <[u8; 4]>::try_from(octets).ok())
        .map(Ipv4Addr::from)
        .ok_or_else(|| format!("{} is no IPv4 address; write one such as 192.0.2.10", shown(text)))
}

fn ipv6(text: &str) -> Result<Ipv6Addr, String> {
    let text = text.trim();
    text.parse().map_err(|_| format!("{} is no IPv6 address; write one such as 2001:db8::10", shown(text)))
}

/// An address of either family that a server can have.
///
/// # Errors
/// What is wrong with it.
pub fn server_address(text: &str) -> Result<IpAddr, String> {
    let address = if text.contains(':') { ipv6(text)?.into() } else { ipv4(text)?.into() };
    reachable(address).map(|()| address).map_err(|why| format!("{} {why}", shown(text)))
}

/// An address that the box can send to as its gateway.
///
/// # Errors
/// What is wrong with it.
pub fn gateway4(text: &str) -> Result<Ipv4Addr, String> {
    let address = ipv4(text)?;
    reachable(address.into()).map(|()| address).map_err(|why| format!("{} {why}", shown(text)))
}

/// As [`gateway4`], for IPv6; a link-local one is as good.
///
/// # Errors
/// What is wrong with it.
pub fn gateway6(text: &str) -> Result<Ipv6Addr, String> {
    let address = ipv6(text)?;
    reachable(address.into()).map(|()| address).map_err(|why| format!("{} {why}", shown(text)))
}

fn reachable(address: IpAddr) -> Result<(), &'static str> {
    let class_e = matches!(address, IpAddr::V4(v4) if v4.octets()[0] >= 240 || v4.octets()[0] == 0);
    if address.is_unspecified() || address.is_multicast() || class_e {
        return Err("is no host's address; write the one it has");
    }
    if address.is_loopback() {
        return Err("is the box itself; write another host's address");
    }
    Ok(())
}

impl Ipv4Net {
    /// Reads `192.0.2.10/24`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((address, prefix)) = text.split_once('/') else {
            return Err(format!("{} has no prefix length; write one such as 192.0.2.10/24", shown(text)));
        };
        let prefix = prefix_of(text, prefix, 32)?;
        Self::new(ipv4(address)?, prefix).map_err(|why| format!("{} {why}", shown(text)))
    }

    /// `address` in a network of `prefix` bits.
    ///
    /// # Errors
    /// Why the box can't have it.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Result<Self, String> {
        reachable(address.into())?;
        if !(1..=32).contains(&prefix) {
            return Err("has no possible prefix length; take one from 1 to 32".to_owned());
        }
        let net = Self { address, prefix };
        if prefix <= 30 && (address == net.network() || address == net.broadcast()) {
            return Err(format!(
                "is the network's own or broadcast address; take one of {} to {}",
                Ipv4Addr::from(u32::from(net.network()) + 1),
                Ipv4Addr::from(u32::from(net.broadcast()) - 1),
            ));
        }
        Ok(net)
    }

    /// The address.
    #[must_use]
    pub fn address(self) -> Ipv4Addr {
        self.address
    }

    /// The length of the prefix, 1 to 32.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    fn mask(self) -> u32 {
        u32::MAX << (32 - self.prefix)
    }

    /// The network's lowest address.
    #[must_use]
    pub fn network(self) -> Ipv4Addr {
        (u32::from(self.address) & self.mask()).into()
    }

    /// The network's highest address.
    #[must_use]
    pub fn broadcast(self) -> Ipv4Addr {
        (u32::from(self.address) | !self.mask()).into()
    }

    /// Whether `other` is on the same network.
    #[must_use]
    pub fn contains(self, other: Ipv4Addr) -> bool {
        u32::from(other) & self.mask() == u32::from(self.network())
    }
}

impl Ipv6Net {
    /// Reads `2001:db8::10/64`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some((address, prefix)) = text.split_once('/') else {
            return Err(format!("{} has no prefix length; write one such as 2001:db8::10/64", shown(text)));
        };
        let prefix = prefix_of(text, prefix, 128)?;
        let address = ipv6(address)?;
        reachable(address.into()).map_err(|why| format!("{} {why}", shown(text)))?;
        if address.is_unicast_link_local() {
            return Err(format!(
                "{} is link-local, which every interface has anyway; write a routed one",
                shown(text)
            ));
        }
        Ok(Self { address, prefix })
    }

    /// The address.
    #[must_use]
    pub fn address(self) -> Ipv6Addr {
        self.address
    }

    /// The length of the prefix, 1 to 128.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Whether `other` is on the same network.
    #[must_use]
    pub fn contains(self, other: Ipv6Addr) -> bool {
        let mask = u128::MAX << (128 - u32::from(self.prefix));
        u128::from(self.address) & mask == u128::from(other) & mask
    }
}

fn prefix_of(whole_text: &str, text: &str, most: u8) -> Result<u8, String> {
    whole(text)
        .and_then(|number| u8::try_from(number).ok())
        .filter(|number| (1..=most).contains(number))
        .ok_or_else(|| {
            format!("{} has no possible prefix length; take one from 1 to {most}", shown(whole_text))
        })
}

impl Server {
    /// Reads a server's name or address.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let numeric = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        if text.contains(':') || numeric {
            return server_address(text).map(Self::Address);
        }
        let wrong =
            |_| format!("{} is no server; write a name or an address such as ntp.example.com", shown(text));
        DomainName::parse(text).map(Self::Name).map_err(wrong)
    }
}

macro_rules! shown_as_text {
    ($($of:ty),*) => {$(
        impl fmt::Display for $of {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

shown_as_text!(HostName, DomainName, InterfaceName, VlanId, Mtu);

impl fmt::Display for Ipv4Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl fmt::Display for Ipv6Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        let net = Ipv4Net::parse("192.168.001.010/24").unwrap();
        assert_eq!(net.to_string(), "192.168.1.10/24");
        assert_eq!(
            (net.network().to_string(), net.broadcast().to_string()),
            ("192.168.1.0".into(), "192.168.1.255".into())
        );
        assert!(
            net.contains(Ipv4Addr::new(192, 168, 1, 254)) && !net.contains(Ipv4Addr::new(192, 168, 2, 1))
        );
        assert_eq!(Ipv4Net::parse("10.0.0.0/31").unwrap().to_string(), "10.0.0.0/31", "RFC 3021");
        assert_eq!(Ipv6Net::parse("2001:DB8::10/64").unwrap().to_string(), "2001:db8::10/64");
    }

    #[test]
    fn what_the_box_cannot_have_is_refused_with_a_way_out() {
        for (text, part) in [
            ("192.0.2.10", "has no prefix length"),
            ("192.0.2.10/0", "from 1 to 32"),
            ("192.0.2.10/33", "from 1 to 32"),
            ("192.0.2.0/24", "take one of 192.0.2.1 to 192.0.2.254"),
            ("192.0.2.255/24", "broadcast"),
            ("224.0.0.1/24", "no host's address"),
            ("127.0.0.1/8", "the box itself"),
            ("0.1.2.3/8", "no host's address"),
            ("192.0.2.256/24", "no IPv4 address"),
            ("192.0.2/24", "no IPv4 address"),
            ("192.0.2.1.5/24", "no IPv4 address"),
            ("+1.0.2.1/24", "no IPv4 address"),
            ("192.0.2.1/+4", "from 1 to 32"),
        ] {
            let error = Ipv4Net::parse(text).unwrap_err();
            assert!(error.contains(part) && error.contains(';'), "{text}: {error}");
        }
        for text in ["2001:db8::1", "fe80::1/64", "::1/128", "ff02::1/64", "2001:db8::1/129", "::/64", "x/64"]
        {
            assert!(Ipv6Net::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_are_what_dns_takes() {
        assert_eq!(HostName::parse(" Gantry-1 ").unwrap().as_str(), "gantry-1");
        for text in
            ["", "-a", "a-", "a.b", "a_b", "localhost", "1234", &"a".repeat(64), "a\u{e9}", "a b", "a\n"]
        {
            assert_eq!(HostName::parse(text).is_ok(), text == "a\n", "{text:?}");
        }
        assert_eq!(DomainName::parse("Example.COM.").unwrap().as_str(), "example.com");
        for text in ["", ".", "a..b", "10.0.0.1", "a.b.123", "a/b", &"a.".repeat(200)] {
            assert!(DomainName::parse(text).is_err(), "{text}");
        }
        assert!(InterfaceName::parse("enp0s31f6").is_ok());
        for text in ["", "lo", "eth0.20", "../x", "eth 0", "0eth", "sixteen-letters-"] {
            assert!(InterfaceName::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn servers_are_names_or_addresses_and_never_half_of_either() {
        assert_eq!(Server::parse("192.0.2.1"), Ok(Server::Address(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)))));
        assert!(matches!(Server::parse("2001:db8::1"), Ok(Server::Address(IpAddr::V6(_)))));
        assert!(matches!(Server::parse("ntp.example.com"), Ok(Server::Name(_))));
        for text in ["192.0.2", "192.0.2.256", "127.0.0.1", "::", "a b", "", "224.0.1.1"] {
            assert!(Server::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_stay_in_their_range() {
        assert_eq!(VlanId::parse("20").unwrap().get(), 20);
        assert_eq!(Mtu::parse("1500").unwrap().get(), 1500);
        for text in ["0", "4095", "-1", "+1", "1e3", "", "99999999999999"] {
            assert!(VlanId::parse(text).is_err(), "{text}");
        }
        for text in ["575", "9217", "x"] {
            assert!(Mtu::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_reader_panic_and_no_message_carries_control_characters(text in any::<String>()) {
            let said = [
                HostName::parse(&text).err(),
                DomainName::parse(&text).err(),
                InterfaceName::parse(&text).err(),
                VlanId::parse(&text).err(),
                Mtu::parse(&text).err(),
                Ipv4Net::parse(&text).err(),
                Ipv6Net::parse(&text).err(),
                Server::parse(&text).err(),
                server_address(&text).err(),
                gateway6(&text).err(),
            ];
            for message in said.into_iter().flatten() {
                prop_assert!(!message.chars().any(char::is_control), "{message:?}");
                prop_assert!(message.len() < 1000);
            }
        }

        #[test]
        fn what_is_read_is_written_the_same(address in any::<u32>(), prefix in 1_u8..=32) {
            if let Ok(net) = Ipv4Net::new(address.into(), prefix) {
                prop_assert_eq!(Ipv4Net::parse(&net.to_string()), Ok(net));
                prop_assert!(net.contains(net.address()));
            }
        }
    }
}
