//! Settings as the files that systemd's own programs read: networkd and timesyncd. The resolver learns its servers from
//! networkd, interface by interface.
//!
//! Each file is a name and a text. What is in them is described in systemd.network(5), systemd.netdev(5) and
//! timesyncd.conf(5); every value was checked when it was read, so nothing can end a line early.

use super::settings::{Interface, Ipv4, Ipv6, Settings};
use std::fmt::Write;

/// A file for another program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name within its folder.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// What the name of each of our files begins with, so that old ones are found.
pub const OURS: &str = "10-gantry-";

/// The name of the clock's file, here and on the image.
pub const TIME: &str = "50-gantry.conf";

const HEAD: &str = "# Written by gantry from the box's settings.\n";

/// The files of `/run/systemd/network`: for each interface one, for each VLAN two more.
#[must_use]
pub fn network(settings: &Settings) -> Vec<File> {
    settings.interfaces.iter().flat_map(|interface| one(settings, interface)).collect()
}

fn one(settings: &Settings, interface: &Interface) -> Vec<File> {
    let name = &interface.name;
    let link = mtu(interface);
    let Some(vlan) = interface.vlan else {
        let text = format!("{HEAD}[Match]\nName={name}\n{link}{}", addresses(settings, interface));
        return vec![File { name: format!("{OURS}{name}.network"), text }];
    };
    let device = interface.device();
    let bare = "LinkLocalAddressing=no\nIPv6AcceptRA=no\nLLDP=no\nEmitLLDP=no\n";
    let parent = format!("{HEAD}[Match]\nName={name}\n{link}\n[Network]\nVLAN={device}\n{bare}");
    let netdev = format!("{HEAD}[NetDev]\nName={device}\nKind=vlan\n\n[VLAN]\nId={vlan}\n");
    let tagged = format!("{HEAD}[Match]\nName={device}\n{link}{}", addresses(settings, interface));
    vec![
        File { name: format!("{OURS}{name}.network"), text: parent },
        File { name: format!("{OURS}{device}.netdev"), text: netdev },
        File { name: format!("{OURS}{device}.network"), text: tagged },
    ]
}

fn mtu(interface: &Interface) -> String {
    interface.mtu.map_or_else(String::new, |mtu| format!("\n[Link]\nMTUBytes={mtu}\n"))
}

/// The `[Network]` section and those that belong to it.
fn addresses(settings: &Settings, interface: &Interface) -> String {
    let mut text = String::from("\n[Network]\n");
    let mut line = |written: std::fmt::Arguments<'_>| {
        // Writing to a string cannot fail.
        let _ = text.write_fmt(written);
    };
    let dhcp = match (interface.ipv4, interface.ipv6) {
        (Ipv4::Dhcp, Ipv6::Dhcp) => "yes",
        (Ipv4::Dhcp, _) => "ipv4",
        (_, Ipv6::Dhcp) => "ipv6",
        _ => "no",
    };
    let ipv6 = if interface.ipv6 == Ipv6::Off { "no" } else { "ipv6" };
    let routers = if matches!(interface.ipv6, Ipv6::Auto | Ipv6::Dhcp) { "yes" } else { "no" };
    line(format_args!("DHCP={dhcp}\nLinkLocalAddressing={ipv6}\nIPv6AcceptRA={routers}\n"));
    line(format_args!("LLMNR=no\nMulticastDNS=no\nLLDP=no\nEmitLLDP=no\nIPForward=no\n"));
    if let Ipv4::Static(net) = interface.ipv4 {
        line(format_args!("Address={net}\n"));
    }
    if let Some(gateway) = interface.ipv4_gateway {
        line(format_args!("Gateway={gateway}\n"));
    }
    if let Ipv6::Static(net) = interface.ipv6 {
        line(format_args!("Address={net}\n"));
    }
    if let Some(gateway) = interface.ipv6_gateway {
        line(format_args!("Gateway={gateway}\n"));
    }
    if interface.is_off() {
        line(format_args!("\n[Link]\nRequiredForOnline=no\n"));
        return text;
    }
    settings.dns.iter().for_each(|server| line(format_args!("DNS={server}\n")));
    settings.time.iter().for_each(|server| line(format_args!("NTP={server}\n")));
    if !settings.search.is_empty() {
        let domains: Vec<_> = settings.search.iter().map(ToString::to_string).collect();
        line(format_args!("Domains={}\n", domains.join(" ")));
    }
    // The host name and the time servers set here are stronger than what a network says.
    let (hostname, ntp) =
        ("UseHostname=no", if settings.time.is_empty() { "UseNTP=yes" } else { "UseNTP=no" });
    if interface.ipv4 == Ipv4::Dhcp {
        line(format_args!(
            "\n[DHCPv4]\n{hostname}\nSendHostname=yes\nHostname={}\n{ntp}\n",
            settings.host_name
        ));
        line(format_args!("UseDNS={}\n", if settings.dns.is_empty() { "yes" } else { "no" }));
    }
    if matches!(interface.ipv6, Ipv6::Auto | Ipv6::Dhcp) {
        let client = if interface.ipv6 == Ipv6::Dhcp { "always" } else { "yes" };
        let solicit = if interface.ipv6 == Ipv6::Dhcp { "WithoutRA=solicit\n" } else { "" };
        let dns = if settings.dns.is_empty() { "yes" } else { "no" };
        line(format_args!("\n[DHCPv6]\n{hostname}\n{ntp}\nUseDNS={dns}\n{solicit}"));
        line(format_args!("\n[IPv6AcceptRA]\nDHCPv6Client={client}\nUseDNS={dns}\n"));
    }
    text
}

/// The devices that the VLANs of `settings` are, such as `eth0.20`.
#[must_use]
pub fn vlan_devices(settings: &Settings) -> Vec<String> {
    settings.interfaces.iter().filter(|interface| interface.vlan.is_some()).map(Interface::device).collect()
}

/// The file of `/run/systemd/timesyncd.conf.d`, which stands before the image's own of the same name. Without servers of its
/// own there is none: the box then asks those that the network names, and the image's.
#[must_use]
pub fn timesyncd(settings: &Settings) -> Option<File> {
    let servers: Vec<_> = settings.time.iter().map(ToString::to_string).collect();
    let text = format!("{HEAD}[Time]\nNTP={}\nFallbackNTP=\n", servers.join(" "));
    (!servers.is_empty()).then(|| File { name: TIME.to_owned(), text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::Draft;
    use crate::appliance::values::InterfaceName;

    fn settings(changes: &[(&str, &str)]) -> Settings {
        let name = |text| InterfaceName::parse(text).unwrap();
        let mut draft = Draft::delivered(&[name("eth0"), name("eth1")], Some("4711"));
        draft.set_all(changes.iter().copied()).unwrap();
        draft.settle().unwrap()
    }

    /// Holds the files against a picture of them; `UPDATE_GOLDEN=1` draws it anew.
    #[allow(clippy::disallowed_methods, reason = "a picture is drawn anew on request only")]
    fn golden(name: &str, expected: &str, files: &[File]) {
        let text: String = files.iter().map(|file| format!("== {}\n{}", file.name, file.text)).collect();
        if std::env::var("UPDATE_GOLDEN").is_ok() {
            let path = format!("{}/src/appliance/golden/{name}", env!("CARGO_MANIFEST_DIR"));
            std::fs::write(path, &text).unwrap();
        } else {
            assert_eq!(text, expected, "{name}");
        }
    }

    #[test]
    fn a_static_address_on_a_vlan_makes_three_files() {
        let files = network(&settings(&[
            ("eth0.vlan", "20"),
            ("eth0.mtu", "1400"),
            ("eth0.ipv4", "192.0.2.10/24"),
            ("eth0.ipv4-gateway", "192.0.2.1"),
            ("eth0.ipv6", "2001:db8::10/64"),
            ("eth0.ipv6-gateway", "fe80::1"),
            ("eth1.ipv4", "off"),
            ("eth1.ipv6", "off"),
            ("dns", "192.0.2.53 2001:db8::53"),
            ("search", "example.com corp.example.com"),
            ("time", "192.0.2.123 ntp.example.com"),
        ]));
        golden("vlan.txt", include_str!("golden/vlan.txt"), &files);
    }

    #[test]
    fn addresses_from_the_network_bring_its_servers_with_them() {
        let files = network(&settings(&[("eth1.ipv4", "off"), ("eth1.ipv6", "dhcp")]));
        golden("dhcp.txt", include_str!("golden/dhcp.txt"), &files);
    }

    #[test]
    fn the_clock_gets_the_settings_servers() {
        let own = settings(&[("time", "192.0.2.123 ntp.example.com")]);
        let text = format!("{HEAD}[Time]\nNTP=192.0.2.123 ntp.example.com\nFallbackNTP=\n");
        assert_eq!(timesyncd(&own), Some(File { name: "50-gantry.conf".into(), text }));
        assert_eq!(timesyncd(&settings(&[])), None);
    }
}
