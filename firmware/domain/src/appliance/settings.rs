//! What the box itself is set to: its name, its network, its clock's source, and who may use its panel.
//!
//! ```text
//!  typed, keyed, read ─▶ Draft (each value right) ──settle──▶ Settings (right as a whole)
//!                          ▲                                     │
//!                          └────────────────edit─────────────────┘
//! ```
//! A [`Draft`] is what an administrator works on, value by value, in any order; only [`Draft::settle`] asks whether the
//! values fit one another, and tells everything at once. Everything that acts on settings takes [`Settings`].

use super::values::{DomainName, HostName, InterfaceName, Ipv4Net, Ipv6Net, Mtu, Server, VlanId};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Deref;

/// Most interfaces of a box.
pub const INTERFACES: usize = 16;
/// Most DNS servers: resolvers ask three (`resolv.conf(5)`, MAXNS).
pub const DNS_SERVERS: usize = 3;
/// Most search domains.
pub const SEARCH_DOMAINS: usize = 6;
/// Most time servers.
pub const TIME_SERVERS: usize = 4;
/// How long a session may stand idle, in minutes.
pub const IDLE_MINUTES: std::ops::RangeInclusive<u16> = 1..=60;

/// Settings whose values are each right, but perhaps do not fit one another yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The box's name.
    pub host_name: HostName,
    /// Who is asked for names, in this order.
    pub dns: Vec<IpAddr>,
    /// Domains tried after a name that has no dot.
    pub search: Vec<DomainName>,
    /// Who is asked for the time.
    pub time: Vec<Server>,
    /// Every interface, by name.
    pub interfaces: Vec<Interface>,
    /// What the front panel may do.
    pub panel: PanelUse,
    /// Whether who stands before the box may set a new password.
    pub recovery: Recovery,
    /// How long a session may stand idle before it is locked.
    pub idle_minutes: u16,
}

/// Settings that are right as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings(Draft);

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: InterfaceName,
    /// The VLAN it is in, where the switch sends it tagged.
    pub vlan: Option<VlanId>,
    /// Its largest packet, where it is not as the link or the network says.
    pub mtu: Option<Mtu>,
    /// Its IPv4 address.
    pub ipv4: Ipv4,
    /// Where IPv4 for elsewhere is sent, with a static address.
    pub ipv4_gateway: Option<Ipv4Addr>,
    /// Its IPv6 address.
    pub ipv6: Ipv6,
    /// Where IPv6 for elsewhere is sent, with a static address.
    pub ipv6_gateway: Option<Ipv6Addr>,
}

/// Where an interface has its IPv4 address from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ipv4 {
    /// It has none.
    Off,
    /// From a server (RFC 2131).
    Dhcp,
    /// From here.
    Static(Ipv4Net),
}

/// Where an interface has its IPv6 addresses from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ipv6 {
    /// It has none.
    Off,
    /// From what routers announce (RFC 4862), and from a server where they say so.
    Auto,
    /// From a server (RFC 8415), whatever routers say.
    Dhcp,
    /// From here.
    Static(Ipv6Net),
}

/// What the front panel may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PanelUse {
    /// Show, and change after the code of the label.
    Full,
    /// Show.
    View,
    /// Show that the box runs, and nothing else.
    Off,
}

/// Whether who stands before the box may set a new password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// In the first minute after power-on.
    Allowed,
    /// Never; a lost password then means a new flash.
    Disabled,
}

/// Something that does not fit, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The field, as it is written in commands: `eth0.ipv4-gateway`.
    pub field: String,
    /// What is wrong with it and the way out; follows the field's name in a sentence.
    pub message: String,
}

/// Everything that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Interface {
    /// The interface `name`, without any address.
    #[must_use]
    pub fn off(name: InterfaceName) -> Self {
        Self {
            name,
            vlan: None,
            mtu: None,
            ipv4: Ipv4::Off,
            ipv4_gateway: None,
            ipv6: Ipv6::Off,
            ipv6_gateway: None,
        }
    }

    /// What carries its addresses: itself, or its VLAN, which is called `eth0.20`.
    #[must_use]
    pub fn device(&self) -> String {
        self.vlan.map_or_else(|| self.name.to_string(), |vlan| format!("{}.{vlan}", self.name))
    }

    /// Whether it has no address of any kind.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.ipv4 == Ipv4::Off && self.ipv6 == Ipv6::Off
    }
}

impl Draft {
    /// As a box leaves the factory: every interface asks for an address, and the name is the serial number's.
    #[must_use]
    pub fn delivered(interfaces: &[InterfaceName], serial: Option<&str>) -> Self {
        let own = |name: &InterfaceName| Interface {
            ipv4: Ipv4::Dhcp,
            ipv6: Ipv6::Auto,
            ..Interface::off(name.clone())
        };
        let mut interfaces: Vec<_> = interfaces.iter().take(INTERFACES).map(own).collect();
        interfaces.sort_by(|a, b| a.name.cmp(&b.name));
        interfaces.dedup_by(|a, b| a.name == b.name);
        Self {
            host_name: delivered_name(serial),
            dns: Vec::new(),
            search: Vec::new(),
            time: Vec::new(),
            interfaces,
            panel: PanelUse::Full,
            recovery: Recovery::Allowed,
            idle_minutes: 10,
        }
    }

    /// The interface called `name`.
    #[must_use]
    pub fn interface(&self, name: &InterfaceName) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.name == *name)
    }

    /// The interface called `name`.
    #[must_use]
    pub fn interface_mut(&mut self, name: &InterfaceName) -> Option<&mut Interface> {
        self.interfaces.iter_mut().find(|interface| interface.name == *name)
    }

    /// Adds interfaces that the box has and the settings do not know, without addresses.
    pub fn know(&mut self, interfaces: &[InterfaceName]) {
        for name in interfaces {
            if self.interface(name).is_none() && self.interfaces.len() < INTERFACES {
                self.interfaces.push(Interface::off(name.clone()));
            }
        }
        self.interfaces.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// The settings, if the values fit one another.
    ///
    /// # Errors
    /// Everything that does not fit.
    pub fn settle(self) -> Result<Settings, Problems> {
        let mut problems = Vec::new();
        counts(&self, &mut problems);
        self.interfaces.iter().for_each(|interface| one_interface(interface, &mut problems));
        gateways(&self, &mut problems);
        overlaps(&self, &mut problems);
        if self.interfaces.iter().all(Interface::is_off) {
            let message =
                "have no address at all: nobody could reach the box; give one of them dhcp or an address";
            problems.push(Problem { field: "interfaces".into(), message: message.into() });
        }
        problems.sort();
        if problems.is_empty() { Ok(Settings(self)) } else { Err(Problems(problems)) }
    }

    /// What is allowed but hardly meant.
    #[must_use]
    pub fn warnings(&self) -> Vec<Problem> {
        let learns =
            self.interfaces.iter().any(|i| i.ipv4 == Ipv4::Dhcp || matches!(i.ipv6, Ipv6::Auto | Ipv6::Dhcp));
        let mut warnings = Vec::new();
        let mut warn = |field: &str, message: &str| {
            warnings.push(Problem { field: field.into(), message: message.into() });
        };
        if self.dns.is_empty() && !learns {
            warn("dns", "has no server: names lead nowhere; add one");
        }
        if self.time.is_empty() && !learns {
            warn("time", "has no server: the clock will drift; add one");
        }
        let routed = self.interfaces.iter().any(|i| i.ipv4_gateway.is_some() || i.ipv6_gateway.is_some());
        if !routed && !learns {
            warn("interfaces", "have no gateway: only their own networks are reached");
        }
        warnings
    }
}

/// `gantry-` and the last letters and digits of the serial number.
fn delivered_name(serial: Option<&str>) -> HostName {
    let kept: Vec<char> = serial.unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).collect();
    let tail: String = kept[kept.len().saturating_sub(6)..].iter().collect();
    let named = (!tail.is_empty()).then(|| HostName::parse(&format!("gantry-{tail}")).ok()).flatten();
    named.or_else(|| HostName::parse("gantry").ok()).unwrap_or_else(|| unreachable!("gantry is a host name"))
}

fn counts(draft: &Draft, problems: &mut Vec<Problem>) {
    let mut most = |field: &str, count: usize, most: usize| {
        if count > most {
            let message = format!("has {count} entries; at most {most} are taken");
            problems.push(Problem { field: field.into(), message });
        }
    };
    most("dns", draft.dns.len(), DNS_SERVERS);
    most("search", draft.search.len(), SEARCH_DOMAINS);
    most("time", draft.time.len(), TIME_SERVERS);
    most("interfaces", draft.interfaces.len(), INTERFACES);
}

fn one_interface(interface: &Interface, problems: &mut Vec<Problem>) {
    let Interface { name, mtu, ipv4, ipv4_gateway, ipv6, ipv6_gateway, .. } = interface;
    let mut wrong = |field: &str, message: String| {
        problems.push(Problem { field: format!("{name}.{field}"), message });
    };
    match (ipv4, ipv4_gateway) {
        (Ipv4::Static(net), Some(gateway)) if *gateway == net.address() => {
            wrong("ipv4-gateway", format!("{gateway} is the box itself; write the router's address"));
        }
        (Ipv4::Static(net), Some(gateway)) if !net.contains(*gateway) => {
            wrong("ipv4-gateway", format!("{gateway} is not in {net}; write an address of that network"));
        }
        (Ipv4::Static(net), Some(gateway))
            if net.prefix() <= 30 && (*gateway == net.network() || *gateway == net.broadcast()) =>
        {
            wrong(
                "ipv4-gateway",
                format!("{gateway} is the network's own or broadcast address; write the router's"),
            );
        }
        (Ipv4::Static(_), _) | (_, None) => {}
        (Ipv4::Off | Ipv4::Dhcp, Some(gateway)) => {
            let message =
                format!("{gateway} needs a static address; set ipv4 to one, or the gateway to none");
            wrong("ipv4-gateway", message);
        }
    }
    match (ipv6, ipv6_gateway) {
        (Ipv6::Static(net), Some(gateway)) if *gateway == net.address() => {
            wrong("ipv6-gateway", format!("{gateway} is the box itself; write the router's address"));
        }
        (Ipv6::Static(net), Some(gateway)) if !net.contains(*gateway) && !gateway.is_unicast_link_local() => {
            let message =
                format!("{gateway} is not in {net}; write an address of that network, or a link-local one");
            wrong("ipv6-gateway", message);
        }
        (Ipv6::Static(_), _) | (_, None) => {}
        (Ipv6::Off | Ipv6::Auto | Ipv6::Dhcp, Some(gateway)) => {
            let message =
                format!("{gateway} needs a static address; set ipv6 to one, or the gateway to none");
            wrong("ipv6-gateway", message);
        }
    }
    if let Some(mtu) = mtu.filter(|mtu| mtu.get() < Mtu::IPV6_LEAST && *ipv6 != Ipv6::Off) {
        let least = Mtu::IPV6_LEAST;
        wrong("mtu", format!("{mtu} is too small for IPv6; take {least} or more, or set ipv6 to off"));
    }
    if interface.device().len() > 15 {
        let device = interface.device();
        wrong(
            "vlan",
            format!("makes the name {device}, which is too long for the kernel; use another interface"),
        );
    }
}

fn gateways(draft: &Draft, problems: &mut Vec<Problem>) {
    for (field, has) in [
        ("ipv4-gateway", (|i: &Interface| i.ipv4_gateway.is_some()) as fn(&Interface) -> bool),
        ("ipv6-gateway", |i: &Interface| i.ipv6_gateway.is_some()),
    ] {
        let mut with = draft.interfaces.iter().filter(|interface| has(interface));
        let Some(first) = with.next() else { continue };
        for other in with {
            let message =
                format!("is a second way out beside that of {}; set one of them to none", first.name);
            problems.push(Problem { field: format!("{}.{field}", other.name), message });
        }
    }
}

fn overlaps(draft: &Draft, problems: &mut Vec<Problem>) {
    for (index, one) in draft.interfaces.iter().enumerate() {
        for other in &draft.interfaces[..index] {
            if one.name == other.name {
                let message = "is there twice; remove one".to_owned();
                problems.push(Problem { field: one.name.to_string(), message });
                continue;
            }
            if let (Ipv4::Static(a), Ipv4::Static(b)) = (one.ipv4, other.ipv4)
                && (a.contains(b.address()) || b.contains(a.address()))
            {
                let message = format!("{a} overlaps {b} of {}; give each its own network", other.name);
                problems.push(Problem { field: format!("{}.ipv4", one.name), message });
            }
            if let (Ipv6::Static(a), Ipv6::Static(b)) = (one.ipv6, other.ipv6)
                && (a.contains(b.address()) || b.contains(a.address()))
            {
                let message = format!("{a} overlaps {b} of {}; give each its own network", other.name);
                problems.push(Problem { field: format!("{}.ipv6", one.name), message });
            }
        }
    }
}

impl Settings {
    /// To be worked on.
    #[must_use]
    pub fn edit(&self) -> Draft {
        self.0.clone()
    }
}

impl Deref for Settings {
    type Target = Draft;

    fn deref(&self) -> &Draft {
        &self.0
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, message } = self;
        let gap = if field.is_empty() { "" } else { " " };
        write!(f, "{field}{gap}{message}")
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> InterfaceName {
        InterfaceName::parse(text).unwrap()
    }

    fn two() -> Draft {
        Draft::delivered(&[name("eth1"), name("eth0")], Some("GW-00-4711"))
    }

    fn said(draft: Draft) -> Vec<String> {
        draft.settle().unwrap_err().0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_box_as_delivered_asks_for_its_addresses_and_bears_its_serial_number() {
        let settings = two().settle().unwrap();
        assert_eq!(settings.host_name.as_str(), "gantry-004711");
        assert_eq!(settings.interfaces[0].name.as_str(), "eth0");
        assert!(settings.interfaces.iter().all(|i| i.ipv4 == Ipv4::Dhcp && i.ipv6 == Ipv6::Auto));
        assert_eq!(settings.warnings(), []);
        for (serial, expected) in [
            (None, "gantry"),
            (Some("--"), "gantry"),
            (Some("7"), "gantry-7"),
            (Some("\u{e9}A1"), "gantry-a1"),
        ] {
            assert_eq!(Draft::delivered(&[], serial).host_name.as_str(), expected);
        }
    }

    #[test]
    fn everything_that_does_not_fit_is_told_at_once() {
        let mut draft = two();
        draft.interfaces[0].ipv4 = Ipv4::Static(Ipv4Net::parse("192.0.2.10/24").unwrap());
        draft.interfaces[0].ipv4_gateway = Some(Ipv4Addr::new(198, 51, 100, 1));
        draft.interfaces[0].mtu = Some(Mtu::parse("600").unwrap());
        draft.interfaces[1].ipv4_gateway = Some(Ipv4Addr::new(192, 0, 2, 1));
        draft.dns = vec![IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53)); 4];
        assert_eq!(
            said(draft),
            [
                "dns has 4 entries; at most 3 are taken",
                "eth0.ipv4-gateway 198.51.100.1 is not in 192.0.2.10/24; write an address of that network",
                "eth0.mtu 600 is too small for IPv6; take 1280 or more, or set ipv6 to off",
                "eth1.ipv4-gateway 192.0.2.1 needs a static address; set ipv4 to one, or the gateway to none",
                "eth1.ipv4-gateway is a second way out beside that of eth0; set one of them to none",
            ]
        );
    }

    #[test]
    fn a_box_that_nobody_could_reach_is_refused() {
        let mut draft = two();
        draft.interfaces = draft.interfaces.into_iter().map(|i| Interface::off(i.name)).collect();
        assert!(said(draft)[0].starts_with("interfaces have no address at all"));
        assert!(said(Draft::delivered(&[], None))[0].starts_with("interfaces have no address at all"));
    }

    #[test]
    fn two_interfaces_in_one_network_are_refused() {
        let mut draft = two();
        draft.interfaces[0].ipv4 = Ipv4::Static(Ipv4Net::parse("10.0.0.1/8").unwrap());
        draft.interfaces[1].ipv4 = Ipv4::Static(Ipv4Net::parse("10.1.0.1/16").unwrap());
        draft.interfaces[0].ipv6 = Ipv6::Static(Ipv6Net::parse("2001:db8::1/64").unwrap());
        draft.interfaces[1].ipv6 = Ipv6::Static(Ipv6Net::parse("2001:db8::2/64").unwrap());
        let said = said(draft);
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].starts_with("eth1.ipv4 10.1.0.1/16 overlaps 10.0.0.1/8 of eth0"));
    }

    #[test]
    fn gateways_are_other_hosts_of_the_same_network() {
        let with = |gateway: &str| {
            let mut draft = two();
            draft.interfaces[0].ipv4 = Ipv4::Static(Ipv4Net::parse("192.0.2.10/24").unwrap());
            draft.interfaces[0].ipv4_gateway = Some(gateway.parse().unwrap());
            draft.interfaces[0].ipv6 = Ipv6::Static(Ipv6Net::parse("2001:db8::10/64").unwrap());
            draft.interfaces[0].ipv6_gateway = Some("fe80::1".parse().unwrap());
            draft
        };
        assert!(with("192.0.2.1").settle().is_ok());
        assert!(said(with("192.0.2.10"))[0].contains("the box itself"));
        assert!(said(with("192.0.2.255"))[0].contains("broadcast"));
    }

    #[test]
    fn what_is_hardly_meant_is_warned_of() {
        let mut draft = two();
        draft.interfaces.truncate(1);
        draft.interfaces[0].ipv4 = Ipv4::Static(Ipv4Net::parse("192.0.2.10/24").unwrap());
        draft.interfaces[0].ipv6 = Ipv6::Off;
        let fields: Vec<_> = draft.warnings().into_iter().map(|problem| problem.field).collect();
        assert_eq!(fields, ["dns", "time", "interfaces"]);
        assert!(draft.settle().is_ok());
    }

    #[test]
    fn an_interface_that_was_plugged_in_later_is_known_without_addresses() {
        let mut draft = two();
        draft.know(&[name("eth0"), name("eth2")]);
        assert_eq!(draft.interfaces.len(), 3);
        assert!(draft.interfaces[2].is_off());
    }
}
