//! The units of `board/rootfs`, as systemd itself reads them. Only tests live here.

use crate::shell::root;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where systemd's own units are on a machine that has it.
const SYSTEM: &str = "/lib/systemd/system";
/// Highest exposure that `systemd-analyze security` may see in a service of ours: 10 is none at all, 0 is nothing left.
const EXPOSURE: &[(&str, f32)] = &[
    ("gatewayd.service", 2.0),
    ("otad.service", 2.5),
    ("gantry-serial@ttyS0.service", 2.5),
    ("gantry-panel.service", 2.5),
    ("gantry-serve.service", 2.5),
    ("gantry-record.service", 2.5),
    ("gantry-firewall-rules.service", 1.5),
    ("gantry-firewall.service", 3.0),
    ("gantry-firewall-again.service", 3.0),
    ("gantry-apply@network.service", 5.5),
    ("gantry-settings.service", 5.5),
    ("gantry-data-key.service", 2.0),
    ("gantry-forget.service", 2.5),
    ("gantry-forget-data.service", 2.5),
    ("gantry-stamping.service", 3.0),
];

fn units() -> PathBuf {
    root().join("board/rootfs/usr/lib/systemd/system")
}

/// Units of ours, as files.
fn names() -> Vec<String> {
    let entries = std::fs::read_dir(units()).unwrap().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().unwrap().is_file());
    let mut names: Vec<_> = files.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn text(name: &str) -> String {
    std::fs::read_to_string(units().join(name)).unwrap()
}

/// A folder with our units, systemd's, and an empty file for every program they start: the machine that tests has none of ours.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Option<Self> {
        if !Path::new("/usr/bin/systemd-analyze").exists() || !Path::new(SYSTEM).exists() {
            eprintln!("this machine has no systemd; nothing is checked");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("usr/lib/systemd/system");
        std::fs::create_dir_all(&below).unwrap();
        for from in [SYSTEM.into(), units()] {
            assert!(
                Command::new("cp")
                    .args(["-a".into(), from.join("."), below.clone()])
                    .status()
                    .unwrap()
                    .success()
            );
        }
        for name in names() {
            for program in text(&name).lines().filter_map(program) {
                let at = folder.path().join(program.trim_start_matches('/'));
                std::fs::create_dir_all(at.parent().unwrap()).unwrap();
                std::fs::copy("/bin/true", at).unwrap();
            }
        }
        for (old, new) in [("lib", "usr/lib"), ("bin", "usr/bin"), ("sbin", "usr/sbin")] {
            std::fs::create_dir_all(folder.path().join(new)).unwrap();
            std::os::unix::fs::symlink(new, folder.path().join(old)).unwrap();
        }
        Some(Self(folder))
    }

    fn analyze(&self, arguments: &[&str]) -> (bool, String) {
        let output = Command::new("systemd-analyze")
            .arg(format!("--root={}", self.0.path().display()))
            .args(arguments)
            .env("SYSTEMD_COLORS", "0")
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }
}

/// The program of an `Exec` line.
fn program(line: &str) -> Option<String> {
    let (name, value) = line.split_once('=')?;
    let program = value.split(' ').next()?.trim_start_matches(['-', '+', '@', '!', ':']);
    (name.starts_with("Exec") && program.starts_with('/')).then(|| program.to_owned())
}

#[test]
fn systemd_finds_no_fault_in_any_unit() {
    let Some(place) = Place::new() else { return };
    let ours: Vec<_> = names().into_iter().map(|name| name.replace("@.", "@x.")).collect();
    let mut arguments = vec!["verify", "--man=no", "--recursive-errors=no"];
    arguments.extend(ours.iter().map(String::as_str));
    let (good, said) = place.analyze(&arguments);
    let told = said
        .lines()
        .filter(|line| names().iter().any(|name| line.contains(name.trim_end_matches(".service"))));
    let told: Vec<_> = told.collect();
    assert!(good && told.is_empty(), "{said}");
}

#[test]
fn no_service_may_do_more_than_it_must() {
    let Some(place) = Place::new() else { return };
    for (unit, most) in EXPOSURE {
        let (_, said) = place.analyze(&["security", "--offline=yes", "--no-pager", unit]);
        let line = said
            .lines()
            .find(|line| line.contains("Overall exposure level"))
            .unwrap_or_else(|| panic!("{unit}: {said}"));
        let level: f32 = line.split_ascii_whitespace().find_map(|word| word.parse().ok()).unwrap();
        println!("{unit}: {level}");
        assert!(level <= *most, "{unit} may do too much ({level}, at most {most}):\n{said}");
    }
}

#[test]
fn every_service_of_ours_is_weighed() {
    let weighed: BTreeSet<_> =
        EXPOSURE.iter().map(|(unit, _)| unit.split(['@', '.']).next().unwrap()).collect();
    // A file system is made by systemd's own tool, folders too; the last one only starts the box anew.
    let plain = ["gantry-makefs", "gantry-grow", "gantry-data", "emergency"];
    for name in names().iter().filter(|name| name.ends_with(".service")) {
        let stem = name.split(['@', '.']).next().unwrap();
        assert!(weighed.contains(stem) || plain.contains(&stem), "{name} has no line in EXPOSURE");
    }
}

#[test]
fn every_link_among_the_units_leads_to_a_unit_of_ours_or_of_debian() {
    let debian = std::fs::read_to_string(root().join("board/debian.toml")).unwrap();
    for entry in std::fs::read_dir(units()).unwrap().map(Result::unwrap) {
        let folder = entry.file_name().into_string().unwrap();
        if !folder.ends_with(".wants") {
            continue;
        }
        for link in std::fs::read_dir(entry.path()).unwrap().map(Result::unwrap) {
            let target = std::fs::read_link(link.path()).unwrap();
            let name = target.file_name().unwrap().to_str().unwrap().to_owned();
            let known =
                names().contains(&name) || debian.contains(&format!("usr/lib/systemd/system/{name}\""));
            assert!(known, "{folder} wants {name}, which is nowhere; name it in board/debian.toml");
        }
    }
}

#[test]
fn every_user_that_a_unit_or_folder_names_is_an_account() {
    let users = std::fs::read_to_string(root().join("board/rootfs/usr/lib/sysusers.d/gantry.conf")).unwrap();
    let accounts = super::users::accounts(&users).unwrap();
    let is_user = |name: &str| accounts.passwd.lines().any(|line| line.starts_with(&format!("{name}:")));
    let is_group = |name: &str| accounts.group.lines().any(|line| line.starts_with(&format!("{name}:")));
    for name in names() {
        for line in text(&name).lines() {
            match line.split_once('=') {
                Some(("User", user)) => assert!(is_user(user), "{name}: no user {user}"),
                Some(("Group", group)) => assert!(is_group(group), "{name}: no group {group}"),
                Some(("SupplementaryGroups", groups)) => {
                    groups.split(' ').for_each(|group| assert!(is_group(group), "{name}: no group {group}"));
                }
                _ => {}
            }
        }
    }
    for file in ["usr/lib/tmpfiles.d/gantry.conf", "usr/share/gantry/data.conf"] {
        let lines = std::fs::read_to_string(root().join("board/rootfs").join(file)).unwrap();
        for line in lines.lines().filter(|line| !line.starts_with('#')) {
            let words: Vec<_> = line.split_ascii_whitespace().collect();
            let [_, _, _, user, group, ..] = words[..] else { panic!("{file}: {line}") };
            assert!(user == "-" || is_user(user), "{file}: no user {user}");
            assert!(group == "-" || is_group(group), "{file}: no group {group}");
        }
    }
}
