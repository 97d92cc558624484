//! What is written for networkd, read by networkd itself: in a network and mount namespace of its own, it must find no fault.

#![allow(clippy::unwrap_used, reason = "a test that can't be set up has failed")]

use domain::appliance::values::InterfaceName;
use domain::appliance::{Draft, Settings, networkd};
use std::fs;
use std::path::Path;
use std::process::Command;

const NETWORKD: &str = "/lib/systemd/systemd-networkd";

/// Runs networkd over the files of `folder` for two seconds, and hands back what it says of them.
fn said(folder: &Path) -> Option<String> {
    if !Path::new(NETWORKD).exists() {
        eprintln!("this machine has no networkd; nothing is checked");
        return None;
    }
    let script = format!(
        "mount -t tmpfs none /run && mkdir -p /run/systemd/network && cp {}/* /run/systemd/network/ && \
         for folder in netif netif/links netif/leases netif/lldp; do \
         install -d -o systemd-network -g systemd-network /run/systemd/$folder; done; \
         ip link add lan0 type dummy; ip link add lan1 type dummy; \
         SYSTEMD_LOG_LEVEL=debug timeout 2 {NETWORKD}; true",
        folder.display()
    );
    let output = Command::new("unshare").args(["--net", "--mount", "sh", "-c", &script]).output().ok()?;
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if !text.contains("Enumeration completed") {
        eprintln!("networkd could not be run here; nothing is checked:\n{text}");
        return None;
    }
    Some(text)
}

fn write(folder: &Path, settings: &Settings) {
    for file in networkd::network(settings) {
        fs::write(folder.join(file.name), file.text).unwrap();
    }
}

fn settings(changes: &[(&str, &str)]) -> Settings {
    let names = ["lan0", "lan1"].map(|name| InterfaceName::parse(name).unwrap());
    let mut draft = Draft::delivered(&names, Some("4711"));
    draft.set_all(changes.iter().copied()).unwrap();
    draft.settle().unwrap()
}

#[test]
fn networkd_reads_what_is_written_for_it_without_a_complaint() {
    let every_kind: [&[(&str, &str)]; 4] = [
        &[],
        &[
            ("lan0.ipv6", "dhcp"),
            ("lan1.ipv4", "off"),
            ("lan1.ipv6", "off"),
            ("time", "192.0.2.1"),
            ("dns", "192.0.2.1"),
        ],
        &[
            ("lan0.vlan", "20"),
            ("lan0.mtu", "1400"),
            ("lan0.ipv4", "192.0.2.10/24"),
            ("lan0.ipv4-gateway", "192.0.2.1"),
            ("lan0.ipv6", "2001:db8::10/64"),
            ("lan0.ipv6-gateway", "fe80::1"),
            ("dns", "192.0.2.53 2001:db8::53"),
            ("search", "example.com corp.example.com"),
            ("time", "192.0.2.123 ntp.example.com"),
        ],
        &[("lan0.ipv4", "10.0.0.2/31"), ("lan0.ipv6", "off"), ("lan1.ipv4", "dhcp"), ("lan1.ipv6", "dhcp")],
    ];
    for changes in every_kind {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &settings(changes));
        let Some(said) = said(folder.path()) else { return };
        let complaints: Vec<_> = said.lines().filter(|line| line.contains("/run/systemd/network/")).collect();
        assert_eq!(complaints, Vec::<&str>::new(), "{changes:?}");
    }
}

#[test]
fn a_fault_that_is_planted_is_found() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &settings(&[]));
    let path = folder.path().join("10-gantry-lan0.network");
    let planted = fs::read_to_string(&path).unwrap().replace("DHCP=ipv4", "DHPC=ipv4");
    fs::write(&path, planted).unwrap();
    let Some(said) = said(folder.path()) else { return };
    assert!(said.contains("10-gantry-lan0.network") && said.contains("DHPC"), "{said}");
}
