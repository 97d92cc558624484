//! Looks at the box: interfaces, routes, names, clock, disks, slots, sensors, the gateway, and what was written down.
//!
//! Nothing found is an error: what cannot be read is unknown, and the menus say so.

use crate::files;
use crate::gateway;
use crate::places::Places;
use crate::protocol::Nic;
use crate::stamping;
use crate::world::{Clock, Configured, Disk, Gateway, Identity, PortRange, ReasonLine, Sensor, Sync, World};
use board::Board;
use domain::appliance::request::{Answer, What};
use domain::appliance::values::InterfaceName;
use domain::config::Config;
use hal::sensors::{Reading, Sensors, Verdict};
use hal::slots::{BootControl, Slot, Slots};
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{AddressFamily, SockaddrLike, SockaddrStorage};
use nix::sys::statvfs::statvfs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

/// Most interfaces, addresses and servers that are shown.
const SHOWN: usize = 32;
/// Largest file of the kernel's or of our own that is read, in bytes.
const FILE_BYTES: usize = 256 * 1024;
/// Most of the reasons that are kept in mind.
const REASONS: usize = 100;

/// The disks that are watched.
const DISKS: [&str; 2] = ["/data", "/var/lib/gantry"];

/// Looks at all of it.
#[must_use]
pub fn world(places: &Places) -> World {
    let configured = configured(places);
    World {
        identity: identity(places),
        nics: nics(places),
        dns: dns(places),
        gateway: gateway::state(&places.gateway()).map_or(Gateway::Silent, Gateway::Answers),
        configured,
        slots: slots(places),
        clock: clock(places),
        sensors: sensors(places),
        disks: disks(places),
        reasons: reasons(places),
        failed: failed(places),
        remarks: Vec::new(),
    }
}

/// The board's description that the image holds.
#[must_use]
pub fn board(places: &Places) -> Option<Board> {
    let text = files::read(&places.at("/usr/share/gantry/board.toml"), FILE_BYTES).ok()?;
    Board::parse(&text).map_err(|problems| eprintln!("board.toml: {problems}")).ok()
}

/// Which box it is: what `gantry apply boot` wrote down, as only root may read serial numbers.
fn identity(places: &Places) -> Identity {
    let (_, uptime) = crate::store::boot(places);
    let told = files::read(&places.answers().join("identity.json"), FILE_BYTES).unwrap_or_default();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap_or_default();
    let text = |key: &str| told.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
    Identity {
        version: release(places),
        board: text("board"),
        serial_number: text("serial_number"),
        asset_tag: text("asset_tag"),
        uptime: uptime.as_secs(),
    }
}

/// The release of the image, or of this program where there is no image.
#[must_use]
pub fn release(places: &Places) -> String {
    let text = files::of_kernel(&places.at("/etc/os-release"), FILE_BYTES).unwrap_or_default();
    let version = text.lines().find_map(|line| line.strip_prefix("IMAGE_VERSION="));
    version
        .map_or_else(|| env!("CARGO_PKG_VERSION").to_owned(), |version| version.trim_matches('"').to_owned())
}

/// The names of the interfaces that are hardware.
#[must_use]
pub fn interface_names(places: &Places) -> Vec<InterfaceName> {
    let class = places.at("/sys/class/net");
    let entries = std::fs::read_dir(&class).into_iter().flatten().flatten();
    let real = entries.filter(|entry| entry.path().join("device").exists());
    let mut names: Vec<_> =
        real.filter_map(|entry| InterfaceName::parse(entry.file_name().to_str()?).ok()).take(SHOWN).collect();
    names.sort();
    names
}

fn nics(places: &Places) -> Vec<Nic> {
    let addresses = addresses();
    let gateways = gateways(&files::of_kernel(&places.at("/proc/net/route"), FILE_BYTES).unwrap_or_default());
    interface_names(places)
        .into_iter()
        .map(|name| {
            let folder = places.at("/sys/class/net").join(name.as_str());
            // A VLAN's addresses and gateway are those of its interface.
            let of = |device: &str| {
                device == name.as_str()
                    || device.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('.'))
            };
            let own = addresses.iter().filter(|(device, _)| of(device)).map(|(_, address)| address.clone());
            Nic {
                mac: attribute(&folder, "address").unwrap_or_default(),
                link: link(&folder),
                addresses: own.take(SHOWN).collect(),
                gateway: gateways.iter().find(|(device, _)| of(device)).map(|(_, gateway)| *gateway),
                stamps: stamping::found(places, name.as_str()),
                name: name.to_string(),
            }
        })
        .collect()
}

fn attribute(folder: &Path, name: &str) -> Option<String> {
    files::of_kernel(&folder.join(name), 4_096).ok().map(|text| text.trim().to_owned())
}

fn link(folder: &Path) -> String {
    // The carrier of an interface that is switched off cannot be read.
    if attribute(folder, "carrier").as_deref() != Some("1") {
        return "down".to_owned();
    }
    match attribute(folder, "speed").and_then(|speed| speed.parse::<i32>().ok()).filter(|speed| *speed > 0) {
        Some(speed) => format!("up, {speed} Mbit/s"),
        None => "up".to_owned(),
    }
}

/// Devices and their addresses with prefix lengths; those that the kernel gives each interface by itself come last.
fn addresses() -> Vec<(String, String)> {
    let Ok(all) = getifaddrs() else { return Vec::new() };
    let mut found: Vec<(bool, String, String)> = all
        .filter_map(|one| {
            let address = ip(one.address.as_ref()?)?;
            let prefix = one.netmask.as_ref().and_then(ip).map_or(0, ones);
            let by_itself = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
            Some((by_itself, one.interface_name, format!("{address}/{prefix}")))
        })
        .collect();
    found.sort_by_key(|(by_itself, ..)| *by_itself);
    found.into_iter().map(|(_, device, address)| (device, address)).collect()
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    match address.family()? {
        AddressFamily::Inet => address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip())),
        AddressFamily::Inet6 => address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())),
        _ => None,
    }
}

fn ones(mask: IpAddr) -> u32 {
    match mask {
        IpAddr::V4(v4) => u32::from(v4).count_ones(),
        IpAddr::V6(v6) => u128::from(v6).count_ones(),
    }
}

/// The IPv4 gateways of `/proc/net/route`: addresses there are hexadecimal, in the machine's byte order.
fn gateways(routes: &str) -> Vec<(String, Ipv4Addr)> {
    let default = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (device, destination, gateway) = (fields.next()?, fields.next()?, fields.next()?);
        let gateway = u32::from_str_radix(gateway, 16).ok()?;
        (destination == "00000000" && gateway != 0)
            .then(|| (device.to_owned(), Ipv4Addr::from(gateway.to_ne_bytes())))
    };
    routes.lines().skip(1).filter_map(default).take(SHOWN).collect()
}

/// The name servers in force: the resolver's own, or those of `resolv.conf` where there is none.
fn dns(places: &Places) -> Vec<String> {
    let upstream = files::of_kernel(&places.at("/run/systemd/resolve/resolv.conf"), FILE_BYTES);
    let text = upstream
        .or_else(|_| files::of_kernel(&places.at("/etc/resolv.conf"), FILE_BYTES))
        .unwrap_or_default();
    let servers = text.lines().filter_map(|line| line.strip_prefix("nameserver ")).map(str::trim);
    let real = servers.filter(|server| server.parse::<IpAddr>().is_ok_and(|address| !address.is_loopback()));
    real.take(3).map(str::to_owned).collect()
}

/// What the gateway's configuration says that matters here.
fn configured(places: &Places) -> Configured {
    let Ok(text) = files::read(&places.configuration(), domain::config::MAX_BYTES) else {
        return Configured::default();
    };
    let Ok(config) = Config::parse("gantry.toml", &text) else { return Configured::default() };
    let range = |ports: domain::config::PortRange| PortRange { first: ports.first, last: ports.last };
    Configured {
        domains: config.gateway.domains,
        public_address: config.gateway.public_address,
        connectors: config.connectors.into_iter().map(|connector| (connector.name, connector.url)).collect(),
        signalling: range(config.signalling_ports),
        media: range(config.media.ports),
    }
}

/// Where the slots' records are on a box.
#[must_use]
pub fn boot_control(places: &Places) -> linux::ebg::EfiBootGuard {
    linux::ebg::EfiBootGuard::of_box(&places.at("/"))
}

fn slots(places: &Places) -> Option<Slots> {
    // Without either record there is no bootloader of ours.
    let there = ["/boot/a", "/boot/b"].iter().any(|folder| places.at(folder).join(linux::ebg::FILE).exists());
    there.then(|| boot_control(places).slots().ok()).flatten()
}

fn clock(places: &Places) -> Clock {
    let set = places.at("/run/systemd/timesync/synchronized").exists();
    Clock { sync: if set { Sync::InSync } else { Sync::NotInSync }, server: None }
}

fn sensors(places: &Places) -> Vec<Sensor> {
    let readings = linux::hwmon::Hwmon::new(&places.at("/sys")).read().unwrap_or_default();
    readings.iter().map(sensor).collect()
}

fn sensor(reading: &Reading) -> Sensor {
    let text = reading.to_string();
    let (name, value) = text.rsplit_once(": ").unwrap_or((&text, ""));
    let verdict = match reading.verdict() {
        Verdict::Normal => "normal",
        Verdict::Silent => "silent",
        Verdict::Warning => "warning",
        Verdict::Critical => "critical",
    };
    Sensor { name: name.to_owned(), value: value.to_owned(), verdict: verdict.to_owned() }
}

fn disks(places: &Places) -> Vec<Disk> {
    let used = |mount: &&str| {
        let stat = statvfs(&places.at(mount)).ok()?;
        let (total, free) = (stat.blocks(), stat.blocks_available());
        let used = 100 - (free.min(total) * 100).checked_div(total)?;
        Some(Disk { mount: (*mount).to_owned(), used: u8::try_from(used).unwrap_or(100) })
    };
    DISKS.iter().filter_map(used).collect()
}

/// Why the box and its services stopped, the newest last.
#[must_use]
pub fn reasons(places: &Places) -> Vec<ReasonLine> {
    let text = files::read(&places.reasons(), 4 * FILE_BYTES).unwrap_or_default();
    let lines: Vec<ReasonLine> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).map(tidy).collect();
    lines[lines.len().saturating_sub(REASONS)..].to_vec()
}

/// A line of the file, fit for a terminal.
fn tidy(line: ReasonLine) -> ReasonLine {
    let text = |text: String| text.chars().take(300).map(|c| if c.is_control() { '?' } else { c }).collect();
    ReasonLine {
        at: text(line.at),
        word: text(line.word),
        text: text(line.text),
        what: text(line.what),
        ..line
    }
}

/// What those who act for the console could not do.
fn failed(places: &Places) -> Vec<String> {
    let answer = |what: &What| {
        let text = files::read(&places.answers().join(format!("{what}.json")), FILE_BYTES).ok()?;
        let answer: Answer = serde_json::from_str(&text).ok()?;
        (!answer.error.is_empty()).then(|| format!("{what}: {}", answer.error))
    };
    What::ALL.iter().filter_map(answer).collect()
}

/// The slot that runs.
#[must_use]
pub fn booted(places: &Places) -> Option<Slot> {
    linux::ebg::booted(&files::of_kernel(&places.at("/proc/cmdline"), FILE_BYTES).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn box_with(files: &[(&str, &str)]) -> (tempfile::TempDir, Places) {
        let folder = tempfile::tempdir().unwrap();
        let places = Places::below(folder.path());
        for (path, text) in files {
            let path = places.at(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        (folder, places)
    }

    #[test]
    fn interfaces_are_those_of_hardware_with_their_links() {
        let (_folder, places) = box_with(&[
            ("/sys/class/net/lan0/device/vendor", ""),
            ("/sys/class/net/lan0/address", "52:54:00:12:34:56\n"),
            ("/sys/class/net/lan0/carrier", "1\n"),
            ("/sys/class/net/lan0/speed", "1000\n"),
            ("/sys/class/net/lan1/device/vendor", ""),
            ("/sys/class/net/lan1/speed", "-1\n"),
            ("/sys/class/net/lan0.20/address", ""),
            ("/sys/class/net/lo/address", ""),
            (
                "/proc/net/route",
                "Iface\tDestination\tGateway\nlan0.20\t00000000\t010200C0\t0003\nlan0\t000200C0\t00000000\t0001\n",
            ),
        ]);
        let nics = nics(&places);
        let names: Vec<_> = nics.iter().map(|nic| (nic.name.as_str(), nic.link.as_str())).collect();
        assert_eq!(names, [("lan0", "up, 1000 Mbit/s"), ("lan1", "down")]);
        assert_eq!(nics[0].mac, "52:54:00:12:34:56");
        if cfg!(target_endian = "little") {
            assert_eq!(nics[0].gateway, Some(Ipv4Addr::new(192, 0, 2, 1)), "by way of its VLAN");
        }
    }

    #[test]
    fn this_machine_has_an_address_of_its_own() {
        assert!(addresses().iter().any(|(device, address)| device == "lo" && address == "127.0.0.1/8"));
    }

    #[test]
    fn names_clock_disks_and_what_went_wrong_are_seen() {
        let (_folder, places) = box_with(&[
            (
                "/run/systemd/resolve/resolv.conf",
                "# x\nnameserver 192.0.2.53\nnameserver 127.0.0.53\nnameserver nonsense\n",
            ),
            ("/run/systemd/timesync/synchronized", ""),
            ("/data/x", ""),
            ("/run/gantry/applied/network.json", "{\"id\":1,\"error\":\"networkd did not start\"}"),
            ("/run/gantry/applied/time.json", "{\"id\":1,\"error\":\"\"}"),
            ("/run/gantry/applied/reboot.json", "garbage"),
            ("/etc/os-release", "NAME=x\nIMAGE_VERSION=\"0.2.1\"\n"),
            ("/run/gantry/applied/identity.json", "{\"serial_number\":\"GW-1\",\"board\":null}"),
            (
                "/var/lib/gantry/reasons.jsonl",
                "{\"at\":\"t\",\"word\":\"power-lost\",\"text\":\"a\\u001bb\",\"what\":\"box\"}\nnot json\n",
            ),
        ]);
        let world = world(&places);
        assert_eq!(world.dns, ["192.0.2.53"]);
        assert_eq!(world.clock.sync, Sync::InSync);
        assert!(world.disks.iter().any(|disk| disk.mount == "/data"));
        assert_eq!(world.failed, ["network: networkd did not start"]);
        assert_eq!(
            (world.identity.version.as_str(), world.identity.serial_number.as_deref()),
            ("0.2.1", Some("GW-1"))
        );
        assert_eq!(world.reasons.len(), 1);
        assert_eq!(world.reasons[0].text, "a?b");
        assert_eq!(world.gateway, Gateway::Silent);
        assert_eq!(world.slots, None);
    }

    #[test]
    fn the_gateways_configuration_tells_domain_and_conference() {
        let config = "gateway.domains = ['meet.example.com']\n[[tokens]]\nname = 't'\nvalue = 'v'\ntrust = 'trusted'\n\
                      [[connectors]]\nname = 'meet'\nkind = 'interop'\nurl = 'https://c.example:8443/x'\n";
        let (_folder, places) = box_with(&[("/var/lib/gantry/gatewayd/gantry.toml", config)]);
        let configured = configured(&places);
        assert_eq!(configured.domains, ["meet.example.com"]);
        assert_eq!(configured.connectors[0].1, "https://c.example:8443/x");
        assert_eq!(configured.media, PortRange { first: 40_000, last: 49_999 });
    }
}
