//! `gantry apply <what>`: the programs that may. Each runs as root for a moment, reads one request with suspicion, acts, and
//! says what came of it. Nothing of the request is ever run or named; it only chooses.

use crate::files;
use crate::life;
use crate::look;
use crate::places::Places;
use crate::store::boot;
use anyhow::{Context, Result, bail, ensure};
use domain::appliance::networkd::{self, OURS, TIME};
use domain::appliance::record::Kept;
use domain::appliance::request::{Answer, Haste, REQUEST_BYTES, Request, Tier, What};
use domain::appliance::text::SETTINGS_BYTES;
use domain::appliance::{Draft, Settings};
use hal::identity::{Claim, Identified, Identity};
use hal::reason::{Act, End};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// A configuration that an image brings is far smaller.
const CONFIGURATION_BYTES: usize = 256 * 1024;

/// Whether services are restarted that read what was written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Restart {
    Yes,
    /// They have not started yet.
    No,
}

/// Does what the request called `what` asks for.
///
/// # Errors
/// If there is no such request, or it could not be done. What came of it is written down either way.
pub fn request(what: What, places: &Places) -> Result<()> {
    let path = places.requests().join(what.name());
    let read = files::read(&path, REQUEST_BYTES);
    // It is taken away first: a request that makes this program fail is not tried for ever.
    drop(std::fs::remove_file(&path));
    let text = read.with_context(|| format!("no request at {}", path.display()))?;
    let (id, done) = match Request::parse(what, &text) {
        Ok((id, request)) => (id, act(&request, places)),
        Err(why) => (0, Err(anyhow::anyhow!(why))),
    };
    let error = done.as_ref().err().map_or(String::new(), |error| format!("{error:#}"));
    answer(places, what, &Answer { id, error })?;
    done
}

fn answer(places: &Places, what: What, answer: &Answer) -> Result<()> {
    std::fs::create_dir_all(places.answers())?;
    let text = serde_json::to_string(answer)?;
    files::replace(&places.answers().join(format!("{what}.json")), &text, 0o644)
        .context("the answer cannot be written")
}

fn act(request: &Request, places: &Places) -> Result<()> {
    match request {
        Request::Network(settings) => network(settings, places, Restart::Yes),
        Request::Time(settings) => time(settings, places, Restart::Yes),
        Request::HostName(settings) => host_name(settings, places),
        Request::Reboot(haste) => go_down(places, Act::Restart, "reboot", *haste),
        Request::PowerOff(haste) => go_down(places, Act::PowerOff, "poweroff", *haste),
        Request::FactoryReset(tier) => reset(*tier, places),
        Request::Resume => systemctl(places, &["restart", "gatewayd.service"]),
    }
}

/// `gantry apply boot`: puts what stands in force before any service reads it, and writes down which box this is.
///
/// # Errors
/// If something could not be written; the rest is done all the same.
pub fn at_boot(places: &Places) -> Result<()> {
    let identified = identify(places);
    let told = tell_identity(&identified, places);
    let texts = places.settings().map(|path| files::read(&path, 2 * SETTINGS_BYTES + 1024).ok());
    let newest = domain::appliance::copies::newest(texts[0].as_deref(), texts[1].as_deref());
    // A trial does not outlast a restart: what stands is put in force.
    let standing = newest.text.and_then(|text| Kept::parse(&text).ok()).map(|kept| kept.record.standing);
    let done = match standing {
        Some(settings) => [
            host_name(&settings, places),
            network(&settings, places, Restart::No),
            time(&settings, places, Restart::No),
        ]
        .into_iter()
        .collect::<Result<()>>(),
        // A new box has a name of its own and takes what the network offers, as the image says.
        None => {
            let serial = identified.serial.as_ref().map(ToString::to_string);
            let draft = Draft::delivered(&[], serial.as_deref());
            set_name(draft.host_name.as_str(), places)
        }
    };
    told.and(done).and(begin_with_delivered(places))
}

/// What a box begins with; what the administrator changed stays. A file that is empty was being made when power was lost.
fn begin_with_delivered(places: &Places) -> Result<()> {
    let path = places.configuration();
    let given = if std::fs::symlink_metadata(&path).is_ok_and(|found| found.len() > 0) {
        files::give_to_folder(&path)
    } else {
        let text = files::read(&places.delivered_configuration(), CONFIGURATION_BYTES)
            .context("the image has no configuration to begin with")?;
        files::replace_for_folder(&path, &text, 0o640)
    };
    given.with_context(|| format!("{} cannot be given to the gateway", path.display()))
}

fn identify(places: &Places) -> Identified {
    let sys = places.at("/sys");
    let mut fields = linux::identity::Fields::default();
    let mut identified = Identified::default();
    if let Some(board) = look::board(places) {
        if let board::Identity::Smbios { serial_number, asset_tag } = &board.identity {
            fields.serial = serial_number.file().to_owned();
            fields.asset_tag = asset_tag.file().to_owned();
        }
        if let board::Identity::Eeprom { adapter, address } = &board.identity {
            identified = eeprom(&sys, adapter, address.number());
        }
        identified.board = identified.board.or_else(|| hal::Label::sanitised(board.name.as_str()));
    }
    let smbios = linux::identity::Smbios::new(&sys, fields).read();
    identified.or(smbios.map_err(|error| eprintln!("identity: {error}")).unwrap_or_default())
}

/// What the EEPROM says that the kernel drives on the adapter of this name.
fn eeprom(sys: &Path, adapter: &str, address: u8) -> Identified {
    let Some(bus) = linux::panel::bus_of(sys, adapter) else { return Identified::default() };
    let said = linux::identity::Eeprom::new(sys, bus, address).read();
    said.map_err(|error| eprintln!("identity: {error}")).unwrap_or_default()
}

fn tell_identity(identified: &Identified, places: &Places) -> Result<()> {
    std::fs::create_dir_all(places.answers())?;
    let text = |label: &Option<hal::Label>| label.as_ref().map(ToString::to_string);
    let told = serde_json::json!({
        "serial_number": text(&identified.serial), "board": text(&identified.board), "asset_tag": text(&identified.asset_tag),
    });
    files::replace(&places.answers().join("identity.json"), &told.to_string(), 0o644)?;
    if let Claim::Present(digest) = &identified.claim {
        let verifier = domain::appliance::access::Verifier::of_digest(*digest.expose());
        let path = places.answers().join("claim");
        files::replace(&path, &verifier.to_text(), 0o400)?;
        // Only the console need know it.
        let owner = std::fs::metadata(places.requests()).context("the folder of requests")?;
        std::os::unix::fs::chown(&path, Some(std::os::unix::fs::MetadataExt::uid(&owner)), None)?;
    }
    Ok(())
}

fn network(settings: &Settings, places: &Places, restart: Restart) -> Result<()> {
    let folder = places.at("/run/systemd/network");
    let wanted: BTreeMap<_, _> =
        networkd::network(settings).into_iter().map(|file| (file.name, file.text)).collect();
    let changed = sync_folder(&folder, OURS, &wanted)?;
    if restart == Restart::Yes && changed {
        for device in stale_vlans(settings, places) {
            // The service manager's tool makes devices and never takes any away.
            tool(places, "/usr/bin/networkctl", &["delete", &device])
                .unwrap_or_else(|error| eprintln!("{error:#}"));
        }
        systemctl(places, &["restart", "systemd-networkd.service"])?;
    }
    Ok(())
}

/// Makes the files of `folder` whose names begin with `ours` those of `wanted`; whether anything was changed.
fn sync_folder(folder: &Path, ours: &str, wanted: &BTreeMap<String, String>) -> Result<bool> {
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let mut changed = false;
    for entry in std::fs::read_dir(folder)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(ours) && !wanted.contains_key(&name) {
            std::fs::remove_file(entry.path())?;
            changed = true;
        }
    }
    for (name, text) in wanted {
        let path = folder.join(name);
        if files::read(&path, 64 * 1024).is_ok_and(|now| now == *text) {
            continue;
        }
        files::replace(&path, text, 0o644)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        changed = true;
    }
    Ok(changed)
}

/// VLAN devices of the box's interfaces that the settings do not have any more.
fn stale_vlans(settings: &Settings, places: &Places) -> Vec<String> {
    let wanted = networkd::vlan_devices(settings);
    let devices = std::fs::read_dir(places.at("/sys/class/net")).into_iter().flatten().flatten();
    let names = devices.filter_map(|device| device.file_name().into_string().ok());
    let vlan = |name: &String| {
        let of = name.split_once('.');
        of.is_some_and(|(nic, id)| {
            settings.interfaces.iter().any(|interface| interface.name.as_str() == nic)
                && id.parse::<u16>().is_ok()
        })
    };
    names.filter(|name| vlan(name) && !wanted.contains(name)).collect()
}

fn time(settings: &Settings, places: &Places, restart: Restart) -> Result<()> {
    let folder = places.at("/run/systemd/timesyncd.conf.d");
    let wanted: BTreeMap<_, _> =
        networkd::timesyncd(settings).into_iter().map(|file| (file.name, file.text)).collect();
    if sync_folder(&folder, TIME, &wanted)? && restart == Restart::Yes {
        systemctl(places, &["restart", "systemd-timesyncd.service"])?;
    }
    Ok(())
}

fn host_name(settings: &Settings, places: &Places) -> Result<()> {
    set_name(settings.host_name.as_str(), places)
}

fn set_name(name: &str, places: &Places) -> Result<()> {
    if *places == Places::default() {
        return nix::unistd::sethostname(name).context("the kernel does not take the host name");
    }
    // A made tree: the machine that tests keeps its name.
    let path = places.at("/proc/sys/kernel/hostname");
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    Ok(std::fs::write(path, name)?)
}

fn go_down(places: &Places, asked: Act, verb: &str, haste: Haste) -> Result<()> {
    life::ends(places, &End::Asked(asked));
    match haste {
        // The gateway is told to end, and given the time its configuration lets calls have.
        Haste::Drained => systemctl(places, &[verb]),
        Haste::Now => systemctl(places, &[verb, "--force"]),
    }
}

fn reset(tier: Tier, places: &Places) -> Result<()> {
    match tier {
        Tier::Settings => {
            for path in places.settings() {
                match std::fs::remove_file(&path) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(error).with_context(|| format!("{} cannot be removed", path.display()));
                    }
                    _ => {}
                }
            }
        }
        // The next start does it, before anything that is to be forgotten is in use.
        Tier::Everything => {
            files::replace(&places.forget(), "everything\n", 0o600).context("the mark cannot be set")?
        }
    }
    go_down(places, Act::FactoryReset, "reboot", Haste::Drained)
}

/// `gantry apply forget`: removes all settings and records that the box ever made but its identity, if a reset of everything is
/// marked. It runs before any service; when the power goes meanwhile, the next start goes on.
///
/// # Errors
/// If something cannot be removed; the mark stays then.
pub fn forget(places: &Places) -> Result<()> {
    let (mark, data) = (places.forget(), places.forget_data());
    if !mark.exists() {
        return Ok(());
    }
    let (state, keep) = (places.at("/var/lib/gantry"), places.identity());
    ensure!(keep.starts_with(&state), "the identity must stand below the state");
    empty(&state, &[keep, mark.clone(), data.clone()])?;
    files::replace(&data, "everything\n", 0o600).context("the mark for DATA cannot be set")?;
    std::fs::remove_file(&mark)?;
    println!("all settings and records but the box's identity are forgotten");
    Ok(())
}

/// `gantry apply forget-data`: the other half, which DATA need not be there for when the gateway starts.
///
/// # Errors
/// If something cannot be removed; the mark stays then.
pub fn forget_data(places: &Places) -> Result<()> {
    let mark = places.forget_data();
    if !mark.exists() {
        return Ok(());
    }
    empty(&places.at("/data"), &[])?;
    std::fs::remove_file(&mark)?;
    println!("all on DATA is forgotten");
    Ok(())
}

/// Removes what is in `folder`, but for `keep` and the file system's own.
fn empty(folder: &Path, keep: &[std::path::PathBuf]) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if keep.contains(&path) || path.file_name().is_some_and(|name| name == "lost+found") {
            continue;
        }
        let kind = std::fs::symlink_metadata(&path)?.file_type();
        let removed =
            if kind.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        removed.with_context(|| format!("{} cannot be removed", path.display()))?;
    }
    Ok(())
}

fn systemctl(places: &Places, arguments: &[&str]) -> Result<()> {
    tool(places, "/usr/bin/systemctl", &[&["--no-ask-password", "--no-block"], arguments].concat())
}

fn tool(places: &Places, program: &str, arguments: &[&str]) -> Result<()> {
    let program = places.at(program);
    let mut command = Command::new(&program);
    command.args(arguments).env_clear().stdin(Stdio::null());
    let output = command.output().with_context(|| program.display().to_string())?;
    if !output.status.success() {
        let said: String = String::from_utf8_lossy(&output.stderr).chars().take(300).collect();
        bail!("{} {}: {}", program.display(), arguments.join(" "), said.trim());
    }
    Ok(())
}

/// Folders that only root writes are made as such.
///
/// # Errors
/// If one cannot be made.
pub fn folders(places: &Places) -> Result<()> {
    std::fs::create_dir_all(places.answers())?;
    std::fs::set_permissions(places.answers(), std::fs::Permissions::from_mode(0o755))?;
    let (id, _) = boot(places);
    ensure!(!id.is_empty(), "the kernel does not say which boot this is");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::appliance::values::InterfaceName;

    /// A made box whose service manager writes down what it is told.
    fn made_box() -> (tempfile::TempDir, Places) {
        let folder = tempfile::tempdir().unwrap();
        let places = Places::below(folder.path());
        for path in [
            "/run/gantry/apply",
            "/usr/bin",
            "/var/lib/gantry/console",
            "/var/lib/gantry/gatewayd",
            "/data",
            "/sys/class/net",
            "/usr/share/gantry",
        ] {
            std::fs::create_dir_all(places.at(path)).unwrap();
        }
        std::fs::write(places.delivered_configuration(), "delivered").unwrap();
        for program in ["systemctl", "networkctl"] {
            let path = places.at("/usr/bin").join(program);
            let log = places.at("/told");
            std::fs::write(&path, format!("#!/bin/sh\necho {program} \"$@\" >> {}\n", log.display()))
                .unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        (folder, places)
    }

    fn told(places: &Places) -> String {
        let text = std::fs::read_to_string(places.at("/told")).unwrap_or_default();
        text.replace(" --no-ask-password --no-block", "")
    }

    fn settings(changes: &[(&str, &str)]) -> Settings {
        let mut draft = Draft::delivered(&[InterfaceName::parse("lan0").unwrap()], None);
        draft.set_all(changes.iter().copied()).unwrap();
        draft.settle().unwrap()
    }

    fn ask(places: &Places, request: &Request) -> Result<()> {
        std::fs::write(places.requests().join(request.what().name()), request.to_text(7)).unwrap();
        super::request(request.what(), places)
    }

    fn answered(places: &Places, what: What) -> Answer {
        let text = files::read(&places.answers().join(format!("{what}.json")), 1_000).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn the_network_is_written_and_networkd_restarted_only_when_something_changed() {
        let (_folder, places) = made_box();
        let vlan = settings(&[("lan0.vlan", "20"), ("lan0.ipv4", "192.0.2.10/24")]);
        ask(&places, &Request::Network(vlan.clone())).unwrap();
        let folder = places.at("/run/systemd/network");
        let text = files::read(&folder.join("10-gantry-lan0.20.network"), 10_000).unwrap();
        assert!(text.contains("Address=192.0.2.10/24"));
        assert_eq!(told(&places), "systemctl restart systemd-networkd.service\n");
        assert_eq!(answered(&places, What::Network), Answer { id: 7, error: String::new() });
        assert!(!places.requests().join("network").exists());

        ask(&places, &Request::Network(vlan)).unwrap();
        assert_eq!(told(&places).lines().count(), 1, "nothing changed");

        std::fs::write(folder.join("80-lan.network"), "the image's").unwrap();
        for device in ["lan0", "lan0.20", "lan1.20"] {
            std::fs::create_dir_all(places.at("/sys/class/net").join(device)).unwrap();
        }
        ask(&places, &Request::Network(settings(&[]))).unwrap();
        assert!(told(&places).contains("networkctl delete lan0.20\nsystemctl restart"), "{}", told(&places));
        assert!(!told(&places).contains("lan1.20"), "that one is not ours");
        let mut left: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["10-gantry-lan0.network", "80-lan.network"]);
    }

    #[test]
    fn clock_and_name_are_set() {
        let (_folder, places) = made_box();
        let settings = settings(&[("time", "192.0.2.123"), ("host-name", "rack-7")]);
        ask(&places, &Request::Time(settings.clone())).unwrap();
        ask(&places, &Request::HostName(settings)).unwrap();
        assert!(
            files::read(&places.at("/run/systemd/timesyncd.conf.d/50-gantry.conf"), 1_000)
                .unwrap()
                .contains("NTP=192.0.2.123")
        );
        assert_eq!(std::fs::read_to_string(places.at("/proc/sys/kernel/hostname")).unwrap(), "rack-7");
        assert_eq!(told(&places), "systemctl restart systemd-timesyncd.service\n");
        ask(&places, &Request::Time(super::tests::settings(&[]))).unwrap();
        assert!(!places.at("/run/systemd/timesyncd.conf.d/50-gantry.conf").exists());
    }

    #[test]
    fn a_box_goes_down_as_it_was_asked_and_notes_it() {
        let (_folder, places) = made_box();
        ask(&places, &Request::Reboot(Haste::Drained)).unwrap();
        ask(&places, &Request::PowerOff(Haste::Now)).unwrap();
        ask(&places, &Request::Resume).unwrap();
        assert_eq!(
            told(&places),
            "systemctl reboot\nsystemctl poweroff --force\nsystemctl restart gatewayd.service\n"
        );
        assert_eq!(life::read(&places).and_then(|life| life.end), Some(End::Asked(Act::PowerOff)));
    }

    #[test]
    fn what_is_no_request_does_nothing_and_is_taken_away() {
        let (_folder, places) = made_box();
        let path = places.requests().join("reboot");
        for text in ["", "{}", "{\"id\":1,\"haste\":\"now\",\"x\":1}", &"x".repeat(REQUEST_BYTES + 1)] {
            std::fs::write(&path, text).unwrap();
            assert!(super::request(What::Reboot, &places).is_err());
            assert!(!path.exists());
        }
        // A link to something that only root can read is not followed, and not read out.
        let secret = places.at("/secret");
        std::fs::write(&secret, "root's own").unwrap();
        std::os::unix::fs::symlink(&secret, &path).unwrap();
        let error = format!("{:#}", super::request(What::Reboot, &places).unwrap_err());
        assert!(!error.contains("root's own") && secret.exists() && !path.exists(), "{error}");
        assert_eq!(told(&places), "");
    }

    #[test]
    fn a_tool_that_fails_is_told() {
        let (_folder, places) = made_box();
        std::fs::write(places.at("/usr/bin/systemctl"), "#!/bin/sh\necho no such unit >&2\nexit 1\n")
            .unwrap();
        assert!(ask(&places, &Request::Resume).is_err());
        assert!(answered(&places, What::Resume).error.contains("no such unit"));
    }

    #[test]
    fn at_boot_what_stands_is_put_in_force_and_never_a_trial() {
        use domain::appliance::commit::Record;
        use domain::appliance::record::Since;
        let (_folder, places) = made_box();
        let record = Record {
            standing: settings(&[("host-name", "old")]),
            trial: Some(settings(&[("host-name", "new")])),
        };
        let since = Some(Since { boot: "b".into(), uptime: std::time::Duration::ZERO });
        let (mut copies, _) = files::Copies::open(places.settings(), 1_000_000);
        copies.write(&Kept { record, since }.to_text()).unwrap();
        std::fs::create_dir_all(places.at("/sys/class/dmi/id")).unwrap();
        std::fs::write(places.at("/sys/class/dmi/id/product_serial"), "GW-00-4711\n").unwrap();
        at_boot(&places).unwrap();
        assert_eq!(std::fs::read_to_string(places.at("/proc/sys/kernel/hostname")).unwrap(), "old");
        assert!(places.at("/run/systemd/network/10-gantry-lan0.network").exists());
        assert_eq!(told(&places), "", "no service runs yet");
        assert!(files::read(&places.answers().join("identity.json"), 1_000).unwrap().contains("GW-00-4711"));
    }

    #[test]
    fn a_new_box_has_its_serial_number_in_its_name_and_takes_what_the_network_offers() {
        let (_folder, places) = made_box();
        std::fs::create_dir_all(places.at("/sys/class/dmi/id")).unwrap();
        std::fs::write(places.at("/sys/class/dmi/id/product_serial"), "GW-00-4711\n").unwrap();
        at_boot(&places).unwrap();
        assert_eq!(std::fs::read_to_string(places.at("/proc/sys/kernel/hostname")).unwrap(), "gantry-004711");
        assert!(!places.at("/run/systemd/network").exists());
    }

    #[test]
    fn a_box_begins_with_the_delivered_configuration_and_keeps_what_was_changed() {
        let (_folder, places) = made_box();
        let now = || std::fs::read_to_string(places.configuration()).unwrap();
        at_boot(&places).unwrap();
        assert_eq!(now(), "delivered");

        // Power was lost while somebody else was making it.
        std::fs::write(places.configuration(), "").unwrap();
        at_boot(&places).unwrap();
        assert_eq!(now(), "delivered");

        std::fs::write(places.configuration(), "changed").unwrap();
        at_boot(&places).unwrap();
        assert_eq!(now(), "changed");
    }

    #[test]
    fn a_reset_of_settings_keeps_all_else_and_one_of_everything_keeps_the_identity_only() {
        let (_folder, places) = made_box();
        let put = |path: std::path::PathBuf| {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        };
        let [a, b] = places.settings();
        [
            a.clone(),
            b,
            places.owner()[0].clone(),
            places.configuration(),
            places.identity().join("claim"),
            places.at("/data/journal/x"),
        ]
        .into_iter()
        .for_each(put);
        ask(&places, &Request::FactoryReset(Tier::Settings)).unwrap();
        assert!(!a.exists() && places.owner()[0].exists() && places.configuration().exists());
        assert_eq!(told(&places), "systemctl reboot\n");

        forget(&places).unwrap();
        forget_data(&places).unwrap();
        assert!(places.owner()[0].exists() && places.at("/data/journal").exists(), "nothing is marked");
        ask(&places, &Request::FactoryReset(Tier::Everything)).unwrap();
        assert!(places.owner()[0].exists(), "it happens at the next start");
        forget(&places).unwrap();
        assert!(places.at("/data/journal").exists(), "its disk need not be there yet");
        forget_data(&places).unwrap();
        assert!(places.identity().join("claim").exists());
        let marks = [places.forget(), places.forget_data()];
        for gone in [places.state(), places.configuration(), places.at("/data/journal")].iter().chain(&marks)
        {
            assert!(!gone.exists(), "{}", gone.display());
        }
    }
}
