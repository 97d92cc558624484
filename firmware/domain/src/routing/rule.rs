//! A Call Routing Rule (P4), as the router takes it: already checked, so that nothing in it can be wrong.

use super::pattern::{Pattern, Template};
use base::leg::{Protocol, Trust};
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

/// Lowest and highest priority; the lowest is asked first.
pub const PRIORITIES: std::ops::RangeInclusive<u8> = 1..=200;
/// Lowest and highest call rate a rule may set, in kbit/s.
pub const CALL_RATES_KBPS: std::ops::RangeInclusive<u32> = 128..=8192;

/// Which calls a rule takes and what becomes of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Unique among the rules.
    pub name: String,
    /// For people.
    pub description: String,
    /// For service records: told with each call the rule takes.
    pub tag: String,
    /// Whether it takes calls at all.
    pub state: RuleState,
    /// One of [`PRIORITIES`]; rules of the same priority are asked in the order they were written.
    pub priority: u8,
    /// Which calls.
    pub matches: Match,
    /// What becomes of the alias.
    pub replace: Template,
    /// Where the call goes.
    pub target: Target,
    /// Whether the caller joins directly although the token alone would not let it.
    pub treat_as: Trust,
    /// Which media flow.
    pub call_type: CallType,
    /// Whether media are encrypted, where the rule says so.
    pub encryption: Option<Encryption>,
    /// Most bits per second received from the caller.
    pub max_in_bps: Option<u64>,
    /// Most bits per second sent to the caller.
    pub max_out_bps: Option<u64>,
    /// The set of pictures and prompts the caller meets.
    pub theme: Option<String>,
}

/// Whether a rule takes calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleState {
    /// It does.
    Enabled,
    /// It is kept but takes none.
    Disabled,
}

/// Which calls a rule takes: all of these must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// Which way the call goes.
    pub directions: BTreeSet<Direction>,
    /// Who may call.
    pub callers: Callers,
    /// Which protocols; never empty.
    pub protocols: BTreeSet<Protocol>,
    /// The caller's signalling comes from one of these; empty for anywhere.
    pub locations: BTreeSet<String>,
    /// Which form of the alias the pattern sees.
    pub form: AliasForm,
    /// What the alias looks like.
    pub pattern: Pattern,
}

/// Which way a call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// A device calls the gateway.
    Incoming,
    /// A conference calls out through the gateway.
    Outgoing,
}

/// Who may call by a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Callers {
    /// Anybody.
    Any,
    /// Devices registered here.
    Registered,
}

/// Which form of an alias a pattern sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AliasForm {
    /// `1234@meet.example.com`
    Alias,
    /// `sip:1234@meet.example.com`
    FullUri,
}

/// Where a call goes.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// Into a Meet conference, whose id is what the alias became.
    Conference {
        /// Through which connector.
        connector: String,
        /// The access token it joins by.
        token: String,
    },
    /// To a device registered here.
    Device {
        /// What speaks to it.
        protocol: Protocol,
    },
    /// To another system.
    External {
        /// What speaks to it.
        protocol: Protocol,
        /// The SIP proxy it goes through.
        sip_proxy: Option<String>,
        /// The H.323 gatekeeper it goes through.
        h323_gatekeeper: Option<String>,
        /// The TURN server its media go through.
        turn_server: Option<String>,
    },
}

/// Which media flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallType {
    /// Sound only.
    Audio,
    /// Sound and picture.
    Video,
    /// Whatever both sides can.
    Auto,
}

/// Whether media are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// Yes, or the call is refused.
    On,
    /// No, or the call is refused.
    Off,
    /// If the other side can.
    BestEffort,
}

/// Where calls come from: a name for some networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Unique among the locations.
    pub name: String,
    /// Its networks.
    pub networks: Vec<Network>,
}

/// An IP network: `10.1.0.0/16`, `2001:db8::/32`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Parses `10.1.0.0/16`, or one address; bits after the prefix must be zero.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address.parse().ok()?, Some(prefix.parse().ok()?)),
            None => (text.parse().ok()?, None),
        };
        let prefix = prefix.unwrap_or(width(address));
        let network = Self { address, prefix };
        (prefix <= width(address) && bits(address) & !network.mask() == 0).then_some(network)
    }

    /// Whether `address` lies in it; an IPv4 address written as IPv6 counts as what it is.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        width(address) == width(self.address) && bits(address) & self.mask() == bits(self.address)
    }

    fn mask(&self) -> u128 {
        let host = u32::from(width(self.address)) - u32::from(self.prefix);
        let all = u128::MAX >> (128 - u32::from(width(self.address)));
        all & u128::MAX.checked_shl(host).unwrap_or(0)
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        let inside = |network: &str, address: &str| {
            Network::parse(network).unwrap().contains(address.parse().unwrap())
        };
        assert!(inside("10.1.0.0/16", "10.1.255.1"));
        assert!(!inside("10.1.0.0/16", "10.2.0.1"));
        assert!(inside("10.1.0.0/16", "::ffff:10.1.0.1"));
        assert!(inside("2001:db8::/32", "2001:db8:1::1"));
        assert!(!inside("2001:db8::/32", "10.1.0.1"));
        assert!(inside("0.0.0.0/0", "192.0.2.1"));
        assert!(!inside("0.0.0.0/0", "::1"));
        assert!(inside("192.0.2.7", "192.0.2.7"));
        assert!(inside("::/0", "::1"));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["10.1.0.0/33", "10.1.0.1/16", "10.1/16", "::/129", "", "/8", "a/8"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}
