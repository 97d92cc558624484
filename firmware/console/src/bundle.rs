//! Puts a support bundle together: everything that helps to find a fault, and no secret (see `domain::appliance::bundle`).

use crate::files;
use crate::places::Places;
use crate::protocol::{Path as Way, Reply, View};
use crate::store::{Store, now_unix};
use crate::world::World;
use crate::{paths, view, words};
use domain::appliance::bundle::{Part, Redactor, newest, tar};
use domain::appliance::values::Server;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

/// Most bundles that are kept; the oldest goes.
const KEPT: usize = 5;
/// Largest file that is taken in, in bytes.
const FILE_BYTES: usize = 32 * 1024 * 1024;
/// Lines of the journal.
const JOURNAL_LINES: &str = "20000";
/// Columns of the texts.
const COLUMNS: usize = 100;

/// Writes the bundle called `file`, and says where it is.
#[must_use]
pub fn write(file: &str, world: &World, time: &[Server], places: &Places) -> Reply {
    let folder = places.bundles();
    let path = folder.join(file);
    let archive = gather(file.trim_end_matches(".tar"), world, time, places);
    let written = std::fs::create_dir_all(&folder).and_then(|()| {
        make_room(&folder)?;
        std::fs::write(&path, &archive)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640))
    });
    match written {
        Ok(()) => {
            let said =
                format!("{} is written, {} KiB, without secrets", path.display(), archive.len() / 1024);
            Reply { data: serde_json::json!({ "file": path, "bytes": archive.len() }), ..Reply::said(said) }
        }
        Err(error) => Reply::refused([format!("{} cannot be written: {error}", path.display())]),
    }
}

/// The oldest bundles go, so that they never fill the disk.
fn make_room(folder: &std::path::Path) -> std::io::Result<()> {
    let mut found: Vec<_> = std::fs::read_dir(folder)?
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|end| end == "tar"))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    found.sort();
    for (_, path) in found.iter().take(found.len().saturating_sub(KEPT - 1)) {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

/// Every part, redacted, as one archive.
#[must_use]
pub fn gather(name: &str, world: &World, time: &[Server], places: &Places) -> Vec<u8> {
    let configuration = files::read(&places.configuration(), domain::config::MAX_BYTES).unwrap_or_default();
    let redactor = Redactor::new(Redactor::secrets_of(&configuration));
    let parts = Part::ALL.map(|part| {
        let text = match part {
            Part::Configuration => redactor
                .toml(&configuration)
                .unwrap_or_else(|| "left out: it cannot be read, so nobody knows what is in it\n".to_owned()),
            part => redactor.text(newest(&text_of(part, world, time, places))),
        };
        (part.file(), text)
    });
    let files: Vec<(&str, &[u8])> = parts.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    tar(name, &files, now_unix().0)
}

fn text_of(part: Part, world: &World, time: &[Server], places: &Places) -> String {
    let read = |path: std::path::PathBuf| {
        files::read(&path, FILE_BYTES).unwrap_or_else(|error| format!("{error}\n"))
    };
    match part {
        Part::About => about(world),
        Part::Status => view::make(View::Status, world, "").data.to_string(),
        // The newer copy; the checksum in its head says which.
        Part::Settings => places.settings().map(read).join("\n"),
        Part::Configuration => String::new(),
        Part::Network => network(world, places),
        Part::Tests => tests(world, time, places),
        Part::Reasons => read(places.reasons()),
        Part::Audit => Store::audit_text(places),
        Part::Journal => journal(places),
        Part::Kernel => ["meminfo", "loadavg", "uptime", "cpuinfo", "interrupts", "modules", "cmdline"]
            .map(|name| {
                let text = files::of_kernel(&places.at("/proc").join(name), FILE_BYTES).unwrap_or_default();
                format!("== {name}\n{text}")
            })
            .join("\n"),
    }
}

fn about(world: &World) -> String {
    let identity =
        words::written(&view::make(View::Identity, world, ""), words::Form::Text, COLUMNS).join("\n");
    let alarms = world.alarms().join("\n");
    format!("Gantry support bundle, made {}\n\n{identity}\n\nTo look at:\n{alarms}\n", now_unix())
}

fn network(world: &World, places: &Places) -> String {
    let mut text =
        words::written(&view::make(View::Network, world, ""), words::Form::Text, COLUMNS).join("\n");
    for name in ["route", "ipv6_route", "arp", "dev", "snmp", "sockstat"] {
        let table = files::of_kernel(&places.at("/proc/net").join(name), FILE_BYTES).unwrap_or_default();
        text.push_str(&format!("\n== {name}\n{table}"));
    }
    text
}

fn tests(world: &World, time: &[Server], places: &Places) -> String {
    let each = [Way::Gateway, Way::Dns, Way::Ntp, Way::Conference].map(|way| {
        let reply = paths::test(way, None, world, time, places);
        format!("== {way:?}\n{}\n", words::written(&reply, words::Form::Text, COLUMNS).join("\n"))
    });
    each.join("\n")
}

/// The newest lines of the journal, of this boot and the ones before.
fn journal(places: &Places) -> String {
    let program = places.at("/usr/bin/journalctl");
    let arguments = ["--no-pager", "--output=short-iso-precise", "--quiet", "--lines", JOURNAL_LINES];
    let started = Command::new(&program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => return format!("{}: {error}\n", program.display()),
    };
    let mut bytes = Vec::new();
    let read = child.stdout.take().map(|out| out.take(FILE_BYTES as u64).read_to_end(&mut bytes));
    // One that has more to say than is taken is ended.
    drop(child.kill());
    drop(child.wait());
    match read {
        Some(Ok(_)) => String::from_utf8_lossy(&bytes).into_owned(),
        _ => "the journal could not be read\n".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLANTED: [&str; 4] =
        ["token-value-0123456789", "room-password-xyz", "MHcCAQEEIIplanted", "hunter2hunter2"];

    fn box_with_secrets() -> (tempfile::TempDir, Places) {
        let folder = tempfile::tempdir().unwrap();
        let places = Places::below(folder.path());
        let put = |path: std::path::PathBuf, text: &str| {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let config = format!(
            "gateway.domains = ['meet.example.com']\n[[tokens]]\nname = 't'\nvalue = '{}'\ntrust = 'trusted'\n\
             [[devices]]\nalias = 'room@meet.example.com'\npassword = '{}'\n",
            PLANTED[0], PLANTED[1]
        );
        put(places.configuration(), &config);
        put(places.reasons(), &format!("{{\"text\":\"died with {}\"}}\n", PLANTED[0]));
        put(places.settings()[0].clone(), "host-name = \"x\"\n");
        put(places.at("/proc/cmdline"), &format!("quiet password={}\n", PLANTED[3]));
        let journal = format!(
            "#!/bin/sh\necho 'gatewayd: INVITE from room'\necho '-----BEGIN EC PRIVATE KEY-----'\necho '{}'\necho '-----END EC PRIVATE KEY-----'\necho 'auth {}'\n",
            PLANTED[2], PLANTED[1]
        );
        put(places.at("/usr/bin/journalctl"), &journal);
        std::fs::set_permissions(places.at("/usr/bin/journalctl"), std::fs::Permissions::from_mode(0o755))
            .unwrap();
        (folder, places)
    }

    #[test]
    fn no_planted_secret_is_in_the_bundle_and_everything_else_is() {
        let (_folder, places) = box_with_secrets();
        // Nothing is configured to be tried, so nobody outside is asked.
        let world = World { configured: crate::world::Configured::default(), ..crate::testing::world() };
        let reply = write("support.tar", &world, &[], &places);
        assert!(reply.is_done(), "{reply:?}");
        let bytes = std::fs::read(places.bundles().join("support.tar")).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for planted in PLANTED {
            assert!(!text.contains(planted), "{planted} is in the bundle");
        }
        for kept in [
            "support/about.txt",
            "GW-00-4711",
            "meet.example.com",
            "INVITE from room",
            "died with [redacted]",
            "== Conference",
        ] {
            assert!(text.contains(kept), "{kept} is not in the bundle");
        }
    }

    #[test]
    fn a_configuration_that_cannot_be_read_is_left_out() {
        let (_folder, places) = box_with_secrets();
        let broken = format!("[[tokens]\nvalue = '{}'\n", PLANTED[0]);
        std::fs::write(places.configuration(), broken).unwrap();
        let archive = gather("x", &World::default(), &[], &places);
        let text = String::from_utf8_lossy(&archive);
        assert!(text.contains("left out: it cannot be read") && !text.contains(PLANTED[0]));
    }

    #[test]
    fn only_the_newest_bundles_are_kept() {
        let (_folder, places) = box_with_secrets();
        for name in 0..8 {
            assert!(write(&format!("{name}.tar"), &World::default(), &[], &places).is_done());
        }
        assert_eq!(std::fs::read_dir(places.bundles()).unwrap().count(), KEPT);
        assert!(places.bundles().join("7.tar").exists());
    }
}
