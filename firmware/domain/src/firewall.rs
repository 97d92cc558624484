//! The firewall plan (K4): which ports a box is reached by and leaves by, and why. Printed as a table for whoever keeps the
//! site's firewall, and as rules for the box's own packet filter, which opens what is served and nothing else.
//!
//! ```text
//!  Config ─▶ Served ─┐
//!  Config ───────────┴▶ Plan ─▶ table (for people), nftables rules (for the box)
//! ```

use crate::config::notify::{Destination, Snmp, Syslog, SyslogTransport, Webhook};
use crate::config::{Config, PortRange};
use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;

/// Signalling of H.323 by TCP (H.225.0).
const H323_CALLS: u16 = 1720;
/// Registration of H.323 by UDP (H.225.0 RAS).
const H323_RAS: u16 = 1719;
/// H.460.18/.19: media through NAT, RTP and RTCP on one port each.
const H460: PortRange = PortRange { first: 2776, last: 2777 };
/// STUN and TURN (RFC 8489, RFC 8656).
const STUN: u16 = 3478;
/// Names (RFC 1035).
const DNS: u16 = 53;
/// Time (RFC 5905).
const NTP: u16 = 123;
/// HTTP, which only leads on to HTTPS.
const HTTP: u16 = 80;
/// HTTPS.
const HTTPS: u16 = 443;
/// SIP under TLS, where the configuration does not say otherwise.
const SIPS: u16 = 5061;
/// Media of the conference.
const CONFERENCE_MEDIA: PortRange = PortRange { first: 19_302, last: 19_309 };
/// Where endpoints behind NAT send media from.
const NAT_MEDIA: PortRange = PortRange { first: 20_000, last: 65_535 };
/// Where other endpoints send media from.
const ENDPOINT_MEDIA: PortRange = PortRange { first: 1024, last: 65_535 };

/// What a box serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// SIP rooms.
    Sip,
    /// H.323 rooms.
    H323,
    /// Skype for Business.
    MsSip,
    /// Callers in a browser.
    WebRtc,
    /// The administration page and what rooms fetch by HTTPS.
    Web,
    /// The phonebook by LDAP.
    Ldap,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Sip, Self::H323, Self::MsSip, Self::WebRtc, Self::Web, Self::Ldap];
}

/// What this configuration makes a box serve.
#[must_use]
pub fn served(config: &Config) -> BTreeSet<Service> {
    let sip = [&config.sip.udp, &config.sip.tcp, &config.sip.tls];
    let listens = sip.iter().any(|addresses| outward(addresses).next().is_some());
    let web = outward(&config.admin.listen).next().is_some();
    let phonebook = [&config.phonebook.ldap, &config.phonebook.ldaps];
    let looked_up = phonebook.iter().any(|addresses| outward(addresses).next().is_some());
    let served = [(listens, Service::Sip), (web, Service::Web), (looked_up, Service::Ldap)];
    served.into_iter().filter(|(serves, _)| *serves).map(|(_, service)| service).collect()
}

/// TCP or UDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// Who opens a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// The other side, to the box.
    In,
    /// The box.
    Out,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::In => "in",
            Self::Out => "out",
        })
    }
}

/// Who is on the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// Rooms behind NAT.
    NatEndpoints,
    /// Rooms that are reached as they are.
    Endpoints,
    /// Skype for Business.
    Skype,
    /// Browsers.
    Browsers,
    /// The conference.
    Conference,
    /// Servers of the site.
    Servers,
    /// Whoever administers the box.
    Administrators,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NatEndpoints => "endpoints behind NAT",
            Self::Endpoints => "endpoints without NAT",
            Self::Skype => "Skype for Business",
            Self::Browsers => "browsers",
            Self::Conference => "conference",
            Self::Servers => "servers of the site",
            Self::Administrators => "administrators",
        })
    }
}

/// One line of the plan. Whoever opens the flow sends from `from` to `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Flow {
    /// Who is on the other side.
    pub peer: Peer,
    /// Who opens it.
    pub way: Way,
    /// How.
    pub transport: Transport,
    /// Ports it comes from; `None` for any.
    pub from: Option<PortRange>,
    /// Ports it goes to.
    pub to: PortRange,
    /// What for.
    pub why: &'static str,
}

/// Every flow of a box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// By peer, way, transport and ports.
    pub flows: Vec<Flow>,
}

/// One port.
const fn one(port: u16) -> PortRange {
    PortRange { first: port, last: port }
}

/// Addresses that others than the box itself can reach.
fn outward(addresses: &[SocketAddr]) -> impl Iterator<Item = u16> + '_ {
    addresses.iter().filter(|address| !address.ip().is_loopback()).map(SocketAddr::port)
}

/// Collects flows.
struct Sheet {
    flows: Vec<Flow>,
}

impl Sheet {
    fn inward(&mut self, peer: Peer, transport: Transport, to: PortRange, why: &'static str) {
        self.flows.push(Flow { peer, way: Way::In, transport, from: None, to, why });
    }

    fn media(&mut self, peer: Peer, transport: Transport, from: Option<PortRange>, to: PortRange) {
        self.flows.push(Flow { peer, way: Way::In, transport, from, to, why: "media" });
    }

    fn outward(
        &mut self,
        peer: Peer,
        transport: Transport,
        from: Option<PortRange>,
        to: PortRange,
        why: &'static str,
    ) {
        self.flows.push(Flow { peer, way: Way::Out, transport, from, to, why });
    }
}

impl Plan {
    /// The plan of a box with this configuration that serves `services`.
    #[must_use]
    pub fn new(config: &Config, services: &BTreeSet<Service>) -> Self {
        let mut sheet = Sheet { flows: Vec::new() };
        let serves = |service| services.contains(&service);
        if serves(Service::Sip) {
            sip(&mut sheet, config);
        }
        if serves(Service::H323) {
            h323(&mut sheet, config);
        }
        if serves(Service::MsSip) {
            skype(&mut sheet, config);
        }
        if serves(Service::WebRtc) {
            browsers(&mut sheet, config);
        }
        if serves(Service::Ldap) {
            phonebook(&mut sheet, config);
        }
        if serves(Service::Web) {
            let mut listening: Vec<_> = outward(&config.admin.listen).collect();
            if listening.is_empty() {
                listening.push(HTTPS);
            }
            let rooms = config.phonebook.https.is_some().then_some([Peer::NatEndpoints, Peer::Endpoints]);
            for port in listening {
                sheet.inward(Peer::Administrators, Transport::Tcp, one(port), "administration");
                for peer in rooms.into_iter().flatten() {
                    sheet.inward(peer, Transport::Tcp, one(port), "phonebook");
                }
            }
        }
        conference(&mut sheet, config);
        config.notify.iter().for_each(|sink| alarms(&mut sheet, config, &sink.to));
        sheet.outward(Peer::Servers, Transport::Udp, None, one(DNS), "names");
        sheet.outward(Peer::Servers, Transport::Tcp, None, one(DNS), "names");
        sheet.outward(Peer::Servers, Transport::Udp, None, one(NTP), "time");
        let mut flows = sheet.flows;
        flows.sort();
        flows.dedup();
        Self { flows }
    }

    /// The ports that the box's own filter opens for others, by TCP or UDP; neighbours made one.
    #[must_use]
    pub fn open(&self, transport: Transport) -> Vec<PortRange> {
        let inward = self.flows.iter().filter(|flow| flow.way == Way::In && flow.transport == transport);
        let mut ranges: Vec<_> = inward.map(|flow| (flow.to.first, flow.to.last)).collect();
        ranges.sort_unstable();
        let mut merged: Vec<PortRange> = Vec::new();
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(open) if u32::from(first) <= u32::from(open.last) + 1 => open.last = open.last.max(last),
                _ => merged.push(PortRange { first, last }),
            }
        }
        merged
    }

    /// Every flow, in the order of the table.
    #[must_use]
    pub fn flows(&self) -> &[Flow] {
        &self.flows
    }

    /// The plan as people read it.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = format!(
            "{:<22} {:<4} {:<4} {:<12} {:<12} {}\n",
            "with", "way", "by", "from ports", "to ports", "what for"
        );
        for Flow { peer, way, transport, from, to, why } in &self.flows {
            let from = from.map_or_else(|| "any".to_owned(), |ports| ports.to_string());
            table += &format!("{peer:<22} {way:<4} {transport:<4} {from:<12} {:<12} {why}\n", to.to_string());
        }
        table
    }

    /// The rules of the box's own filter for `nft -f`: one transaction that replaces what was there.
    #[must_use]
    pub fn nftables(&self) -> String {
        let mut accept = String::new();
        for transport in [Transport::Tcp, Transport::Udp] {
            let open: Vec<_> = self.open(transport).into_iter().map(|ports| ports.to_string()).collect();
            if !open.is_empty() {
                accept += &format!("        {transport} dport {{ {} }} accept\n", open.join(", "));
            }
        }
        format!("{HEAD}{accept}{TAIL}")
    }
}

/// What a room needs to call and be called by SIP.
fn sip(sheet: &mut Sheet, config: &Config) {
    for peer in [Peer::NatEndpoints, Peer::Endpoints] {
        outward(&config.sip.udp).for_each(|port| sheet.inward(peer, Transport::Udp, one(port), "SIP"));
        outward(&config.sip.tcp).for_each(|port| sheet.inward(peer, Transport::Tcp, one(port), "SIP"));
        outward(&config.sip.tls)
            .for_each(|port| sheet.inward(peer, Transport::Tcp, one(port), "SIP under TLS"));
    }
    endpoint_media(sheet, config);
}

/// What rooms look others up by.
fn phonebook(sheet: &mut Sheet, config: &Config) {
    for peer in [Peer::NatEndpoints, Peer::Endpoints] {
        for port in outward(&config.phonebook.ldap).chain(outward(&config.phonebook.ldaps)) {
            sheet.inward(peer, Transport::Tcp, one(port), "phonebook");
        }
    }
}

fn h323(sheet: &mut Sheet, config: &Config) {
    for peer in [Peer::NatEndpoints, Peer::Endpoints] {
        sheet.inward(peer, Transport::Tcp, one(H323_CALLS), "H.323");
        sheet.inward(peer, Transport::Udp, one(H323_RAS), "H.323 registration");
        sheet.inward(peer, Transport::Udp, one(STUN), "STUN and TURN");
    }
    sheet.inward(Peer::NatEndpoints, Transport::Tcp, one(H460.first), "H.460.18");
    sheet.inward(Peer::NatEndpoints, Transport::Udp, H460, "H.460.19 media");
    endpoint_media(sheet, config);
}

fn endpoint_media(sheet: &mut Sheet, config: &Config) {
    sheet.media(Peer::NatEndpoints, Transport::Udp, Some(NAT_MEDIA), config.media.ports);
    sheet.media(Peer::Endpoints, Transport::Udp, Some(ENDPOINT_MEDIA), config.media.ports);
}

fn skype(sheet: &mut Sheet, config: &Config) {
    sheet.media(Peer::Skype, Transport::Tcp, None, config.media.ports);
    sheet.media(Peer::Skype, Transport::Udp, None, config.media.ports);
    sheet.inward(Peer::Skype, Transport::Tcp, one(SIPS), "SIP under TLS");
    sheet.inward(Peer::Skype, Transport::Tcp, one(HTTP), "join page");
    sheet.outward(Peer::Skype, Transport::Tcp, Some(config.signalling_ports), one(SIPS), "SIP under TLS");
}

fn browsers(sheet: &mut Sheet, config: &Config) {
    sheet.media(Peer::Browsers, Transport::Tcp, None, config.media.ports);
    sheet.media(Peer::Browsers, Transport::Udp, None, config.media.ports);
    sheet.inward(Peer::Browsers, Transport::Tcp, one(HTTP), "leads on to 443");
    sheet.inward(Peer::Browsers, Transport::Tcp, one(HTTPS), "join page and signalling");
}

fn conference(sheet: &mut Sheet, config: &Config) {
    let (signalling, media) = (Some(config.signalling_ports), Some(config.media.ports));
    sheet.outward(Peer::Conference, Transport::Tcp, signalling, one(HTTPS), "signalling");
    sheet.outward(Peer::Conference, Transport::Udp, media, CONFERENCE_MEDIA, "media");
}

/// What telling of alarms needs.
fn alarms(sheet: &mut Sheet, config: &Config, to: &Destination) {
    let ports = Some(config.signalling_ports);
    let (transport, from, port) = match to {
        Destination::Syslog(Syslog { at, transport: SyslogTransport::Udp }) => {
            (Transport::Udp, None, at.port)
        }
        Destination::Syslog(Syslog { at, transport: SyslogTransport::Tls { .. } }) => {
            (Transport::Tcp, ports, at.port)
        }
        Destination::Snmp(Snmp { at, .. }) => (Transport::Udp, None, at.port),
        Destination::Webhook(Webhook { url, .. }) => (Transport::Tcp, ports, url_port(url)),
    };
    sheet.outward(Peer::Servers, transport, from, one(port), "alarms");
}

/// The port of an absolute `https` URL.
fn url_port(url: &str) -> u16 {
    let authority = url.strip_prefix("https://").unwrap_or(url).split('/').next().unwrap_or_default();
    // A colon inside the brackets of an address is none of a port.
    let behind = authority.rsplit_once(']').map_or(authority, |(_, behind)| behind);
    behind.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(HTTPS)
}

/// Answers, errors and neighbours always come in; nothing is ever passed on.
const HEAD: &str = "\
table inet gantry
delete table inet gantry
table inet gantry {
    chain input {
        type filter hook input priority filter; policy drop;
        iif \"lo\" accept
        ct state invalid drop
        ct state established,related accept
        icmp type { echo-request, destination-unreachable, time-exceeded, parameter-problem } \
limit rate 50/second accept
        icmpv6 type { echo-request, destination-unreachable, packet-too-big, time-exceeded, \
parameter-problem, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept
        udp sport 67 udp dport 68 accept
        udp sport 547 udp dport 546 accept
";
const TAIL: &str = "    }
    chain forward {
        type filter hook forward priority filter; policy drop;
    }
}
";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn config(more: &str) -> Config {
        let text = format!("[gateway]\ndomains = [\"meet.example.com\"]\n{more}");
        Config::parse("gantry.toml", &text).unwrap()
    }

    fn everything() -> BTreeSet<Service> {
        Service::ALL.into()
    }

    fn shown(plan: &Plan) -> Vec<String> {
        let line = |flow: &Flow| {
            let from = flow.from.map_or_else(|| "any".to_owned(), |ports| ports.to_string());
            format!("{} {} {} {from}>{}", flow.peer, flow.way, flow.transport, flow.to)
        };
        plan.flows.iter().map(line).collect()
    }

    #[test]
    fn k4_the_plan_of_a_box_that_serves_everything_names_every_port() {
        let config = config(
            "[sip]\ntls = [\"0.0.0.0:5061\"]\ncertificate = \"/c.pem\"\nkey = \"/k.pem\"\n\
             [phonebook]\nldap = \"0.0.0.0:389\"\nldaps = \"0.0.0.0:636\"\nhttps = \"/phonebook\"\n",
        );
        let lines = shown(&Plan::new(&config, &everything()));
        for wanted in [
            "endpoints behind NAT in tcp any>443",
            "endpoints behind NAT in tcp any>1720",
            "endpoints behind NAT in tcp any>2776",
            "endpoints behind NAT in tcp any>5060",
            "endpoints behind NAT in tcp any>5061",
            "endpoints behind NAT in tcp any>389",
            "endpoints behind NAT in tcp any>636",
            "endpoints behind NAT in udp any>1719",
            "endpoints behind NAT in udp any>2776-2777",
            "endpoints behind NAT in udp any>3478",
            "endpoints behind NAT in udp 20000-65535>40000-49999",
            "endpoints without NAT in tcp any>1720",
            "endpoints without NAT in tcp any>5060",
            "endpoints without NAT in tcp any>5061",
            "endpoints without NAT in udp any>1719",
            "endpoints without NAT in udp any>3478",
            "endpoints without NAT in udp 1024-65535>40000-49999",
            "Skype for Business in tcp any>40000-49999",
            "Skype for Business in udp any>40000-49999",
            "Skype for Business in tcp any>5061",
            "Skype for Business in tcp any>80",
            "Skype for Business out tcp 33000-39999>5061",
            "browsers in tcp any>40000-49999",
            "browsers in udp any>40000-49999",
            "browsers in tcp any>80",
            "browsers in tcp any>443",
            "conference out tcp 33000-39999>443",
            "conference out udp 40000-49999>19302-19309",
            "servers of the site out udp any>123",
        ] {
            assert!(lines.iter().any(|line| line == wanted), "{wanted} is missing in {lines:#?}");
        }
    }

    #[test]
    fn k4_media_and_signalling_ranges_are_settings() {
        let config = config("[media]\nports = \"50000-50999\"\n[signalling]\nports = \"30000-30999\"\n");
        let plan = Plan::new(&config, &everything());
        let lines = shown(&plan);
        assert!(lines.iter().any(|line| line == "conference out tcp 30000-30999>443"), "{lines:#?}");
        assert!(lines.iter().any(|line| line == "conference out udp 50000-50999>19302-19309"), "{lines:#?}");
        assert!(plan.nftables().contains("50000-50999"));
        assert!(!plan.nftables().contains("40000"));
    }

    #[test]
    fn k4_whom_alarms_are_told_to_is_in_the_plan() {
        let sink = |number: u8, rest: &str| format!("[[notify]]\nname = \"{number}\"\n{rest}\n");
        let text = [
            sink(1, "kind = \"syslog\"\naddress = \"a.b\""),
            sink(2, "kind = \"syslog\"\naddress = \"a.b\"\ntransport = \"tls\""),
            sink(3, "kind = \"snmp\"\naddress = \"a.b:1162\"\nuser = \"u\""),
            sink(4, "kind = \"webhook\"\nurl = \"https://[::1]/x:1\"\nsecret = \"0123456789abcdef\""),
            sink(5, "kind = \"webhook\"\nurl = \"https://a.b:8443/x\"\nsecret = \"0123456789abcdef\""),
        ];
        let lines = shown(&Plan::new(&config(&text.concat()), &BTreeSet::new()));
        for wanted in [
            "udp any>514",
            "tcp 33000-39999>6514",
            "udp any>1162",
            "tcp 33000-39999>443",
            "tcp 33000-39999>8443",
        ] {
            let wanted = format!("servers of the site out {wanted}");
            assert!(lines.contains(&wanted), "{wanted} is missing in {lines:#?}");
        }
    }

    #[test]
    fn k4_what_is_not_served_is_not_opened() {
        let config = config("");
        let plan = Plan::new(&config, &served(&config));
        assert_eq!(plan.open(Transport::Tcp), [one(5060)]);
        assert_eq!(plan.open(Transport::Udp), [one(5060), PortRange { first: 40_000, last: 49_999 }]);
        assert!(!plan.nftables().contains("1720"));
    }

    #[test]
    fn k4_k6_the_phonebooks_ports_are_opened_where_it_listens() {
        let config = config("[phonebook]\nldap = [\"0.0.0.0:389\", \"127.0.0.1:1389\"]\n");
        let plan = Plan::new(&config, &served(&config));
        assert_eq!(plan.open(Transport::Tcp), [one(389), one(5060)]);
        assert!(plan.table().contains("389          phonebook"), "{}", plan.table());
    }

    #[test]
    fn what_listens_on_the_box_itself_only_is_not_opened() {
        let config = config("[sip]\nudp = [\"127.0.0.1:5060\"]\ntcp = [\"[::1]:5060\"]\n");
        assert_eq!(served(&config), BTreeSet::new());
        let plan = Plan::new(&config, &served(&config));
        assert_eq!(plan.open(Transport::Tcp), []);
        assert!(!plan.nftables().contains("dport {"));
    }

    #[test]
    fn the_table_has_a_line_for_each_flow() {
        let plan = Plan::new(&config(""), &everything());
        let table = plan.table();
        assert_eq!(table.lines().count(), plan.flows.len() + 1);
        assert!(
            table.contains("conference             out  tcp  33000-39999  443          signalling\n"),
            "{table}"
        );
    }

    proptest! {
        /// The filter opens a port if and only if some flow of the plan comes in by it.
        #[test]
        fn the_filter_opens_the_plan_and_nothing_else(bits in 0u8..64, port: u16) {
            let services = Service::ALL.into_iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
            let plan = Plan::new(&config(""), &services.map(|(_, service)| service).collect());
            for transport in [Transport::Tcp, Transport::Udp] {
                let planned = plan.flows.iter().any(|flow| {
                    flow.way == Way::In && flow.transport == transport && flow.to.contains(port)
                });
                let open = plan.open(transport).iter().any(|range| range.contains(port));
                prop_assert_eq!(planned, open);
            }
        }
    }
}
