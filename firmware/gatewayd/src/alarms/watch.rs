//! What the box shows of itself: certificates and tokens with their ends, disk, clock, sensors, and why it was restarted.

use super::Places;
use crate::licences::now;
use crate::notify::Node;
use domain::alarm::{AlarmInput, CertificateState, Fact, Family, Health, Warmth};
use domain::appliance::instant::UnixTime;
use domain::config::{CertificateFiles, Config, Connector};
use domain::licence::{Licence, Licences};
use hal::sensors::{Quantity, Reading, Sensors, Verdict};
use linux::clock::{self, Sync};
use linux::hwmon::Hwmon;
use nix::sys::statvfs::statvfs;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use snmp::usm::{EngineId, NODE_OCTETS};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// Largest file of reasons that is read, in bytes; the console keeps it below 256 KiB.
const REASONS_BYTES: u64 = 1024 * 1024;
/// What may run out, and is told of by the shards.
pub(crate) const MEDIA_PORTS: &str = "media ports";
/// What makes the name of the SNMP engine of the machine's id, which is not to be shown (machine-id(5)).
const ENGINE_SALT: &[u8] = b"gantry snmp engine";

/// What the gateway token that was uploaded is called.
pub(crate) const GATEWAY_TOKEN: &str = "this gateway's";

/// Looks at the box.
pub(super) struct Watch {
    config: Arc<Config>,
    places: Places,
    sensors: Hwmon,
    /// The licences in force; until it is known which, nothing is said of them.
    licences: Option<Arc<Licences>>,
}

/// What was seen.
pub(super) struct Facts {
    pub(super) list: Vec<Fact>,
    /// The time of the last reason in it, if there was a new one.
    pub(super) seen: Option<String>,
}

/// A line of the file of reasons: what of it matters here.
#[derive(Deserialize)]
struct Reason {
    at: String,
    word: String,
    text: String,
    #[serde(default)]
    what: String,
    #[serde(default)]
    fell_back_from: Option<String>,
}

impl Watch {
    pub(super) fn new(config: &Arc<Config>, places: Places) -> Self {
        let sensors = Hwmon::new(&places.sys);
        Self { config: Arc::clone(config), places, sensors, licences: None }
    }

    /// Looks at what `config` names from now on.
    pub(super) fn configure(&mut self, config: Arc<Config>) {
        self.config = config;
    }

    /// Looks at these licences from now on.
    pub(super) fn license(&mut self, licences: Arc<Licences>) {
        self.licences = Some(licences);
    }

    /// What there is to be told of, so that alarms about what was taken out of the configuration end.
    pub(super) fn subjects(&self) -> Vec<AlarmInput> {
        let of = |family, names: Vec<String>| AlarmInput::Subjects(family, BTreeSet::from_iter(names));
        let connectors = || self.config.connectors.iter().map(|connector| connector.name.clone());
        let disk = self.places.disk.iter().map(|folder| folder.display().to_string());
        let mut subjects = vec![
            // What was uploaded to the box is told of by those names too.
            of(Family::Certificate, vec![self.domain()]),
            of(Family::GatewayToken, connectors().chain([GATEWAY_TOKEN.to_owned()]).collect()),
            of(Family::MeetingService, connectors().collect()),
            of(Family::Capacity, vec![MEDIA_PORTS.to_owned()]),
            of(Family::Disk, disk.collect()),
            of(Family::Theme, self.config.themes.iter().map(|theme| theme.name.clone()).collect()),
            of(Family::Delivery, self.config.notify.iter().map(|sink| sink.name.clone()).collect()),
        ];
        // One that was renewed, or removed, is no subject any more.
        let lost =
            |licences: &Arc<Licences>| licences.lost(now()).map(|licence| licence.id().to_owned()).collect();
        subjects.extend(self.licences.as_ref().map(|licences| of(Family::LicenceEnd, lost(licences))));
        subjects
    }

    /// How everything stands. Reasons are told from those after `seen` on, or not at all if that is unknown.
    pub(super) fn facts(&mut self, seen: Option<&str>) -> Facts {
        let mut list = Vec::new();
        list.extend(self.config.sip.certificate.as_ref().map(|files| self.certificate(files)));
        list.extend(self.config.connectors.iter().map(gateway_token));
        list.extend(self.places.disk.as_deref().and_then(disk));
        list.extend(self.licences.iter().flat_map(|licences| licensed(licences, self.config.tokens.len())));
        list.push(Fact::Clock(match clock::sync(&self.places.run, SystemTime::now()) {
            Sync::InSync => Health::Good,
            Sync::NotInSync { why } => Health::Bad { why },
        }));
        // A box whose sensors cannot be listed has none.
        let readings = self.sensors.read().unwrap_or_default();
        list.extend(readings.iter().filter_map(temperature));
        let reasons = seen.map(|seen| reasons(&self.places.reasons, seen)).unwrap_or_default();
        let last = reasons.last().map(|reason| reason.at.clone());
        list.extend(reasons.into_iter().filter_map(restarted));
        Facts { list, seen: last }
    }

    fn domain(&self) -> String {
        self.config.gateway.domains.first().cloned().unwrap_or_default()
    }

    fn certificate(&self, files: &CertificateFiles) -> Fact {
        let state = match first_end(&files.chain) {
            Ok(Some(ends)) => CertificateState::Ends(ends),
            Ok(None) => CertificateState::Missing { why: format!("{} holds none", files.chain.display()) },
            Err(why) => CertificateState::Missing { why },
        };
        Fact::Certificate { name: self.domain(), state }
    }
}

/// P15: which licences end to the box's loss, and how many access tokens there are.
fn licensed(licences: &Licences, tokens: usize) -> Vec<Fact> {
    let end = |licence: &Licence| Fact::LicenceEnd {
        name: licence.id().to_owned(),
        ends: UnixTime(licence.not_after().0 + 1),
    };
    let held = u32::try_from(tokens).unwrap_or(u32::MAX);
    let tokens = Fact::AccessTokens { held, licensed: licences.entitlement(now()).gateway_tokens };
    licences.lost(now()).map(end).chain([tokens]).collect()
}

/// Who this box is to others, at its start number `boots`.
pub(super) fn node(boots: u32) -> Node {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let machine = std::fs::read("/etc/machine-id").unwrap_or_default();
    let digest = Sha256::new().chain_update(ENGINE_SALT).chain_update(machine.trim_ascii()).finalize();
    let mut octets = [0; NODE_OCTETS];
    octets.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    Node {
        name: name.filter(|name| !name.is_empty()).unwrap_or_else(|| "gantry".to_owned()),
        engine: EngineId::of_node(octets),
        boots,
        started: Instant::now(),
    }
}

/// When the first certificate of a PEM file ends, of all in it: a chain is as good as its shortest; `None` if there is none.
fn first_end(path: &Path) -> Result<Option<UnixTime>, String> {
    let broken = |error: &dyn std::fmt::Display| format!("cannot read {}: {error}", path.display());
    let mut first = None;
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| broken(&error))? {
        let certificate = certificate.map_err(|error| broken(&error))?;
        let (_, parsed) =
            x509_parser::parse_x509_certificate(&certificate).map_err(|error| broken(&error))?;
        let ends = UnixTime(u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0));
        first = Some(first.map_or(ends, |first: UnixTime| first.min(ends)));
    }
    Ok(first)
}

/// The end of the token that a connector's key file holds beside the key, if there is one (P3). That a key is not there at all keeps the
/// gateway from starting.
fn gateway_token(connector: &Connector) -> Fact {
    let ends = connector.gateway_key_file.as_deref().and_then(|file| first_end(file).ok().flatten());
    Fact::GatewayToken { name: connector.name.clone(), ends }
}

fn disk(folder: &Path) -> Option<Fact> {
    let stat = statvfs(folder).ok()?;
    // As df(1) counts it: what is kept for root is neither used nor free, and a part of a percent is one.
    let used = stat.blocks().saturating_sub(stat.blocks_free());
    let ours = used + stat.blocks_available();
    let used = (used * 100 + ours.saturating_sub(1)).checked_div(ours)?;
    Some(Fact::Disk { mount: folder.display().to_string(), used: u8::try_from(used).unwrap_or(100) })
}

/// What a thermometer says; one that does not answer says nothing.
fn temperature(reading: &Reading) -> Option<Fact> {
    if reading.quantity != Quantity::Temperature {
        return None;
    }
    let warmth = match reading.verdict() {
        Verdict::Silent => return None,
        Verdict::Normal => Warmth::Normal,
        Verdict::Warning => Warmth::Warm,
        Verdict::Critical => Warmth::Hot,
    };
    let sensor = format!("{} {}", reading.chip, reading.label);
    Some(Fact::Temperature { sensor, reading: reading.to_string(), warmth })
}

/// The reasons after `seen`, in the order they were written down.
fn reasons(path: &Path, seen: &str) -> Vec<Reason> {
    let mut text = Vec::new();
    // A box of which nobody writes down why it stopped has no such file.
    let read = std::fs::File::open(path).and_then(|file| file.take(REASONS_BYTES).read_to_end(&mut text));
    if read.is_err() {
        return Vec::new();
    }
    let lines = String::from_utf8_lossy(&text).into_owned();
    let known = lines.lines().filter_map(|line| serde_json::from_str::<Reason>(line).ok());
    // RFC 3339 in UTC sorts as time does.
    known.filter(|reason| *reason.at > *seen).collect()
}

/// What is an alarm among the reasons: a slot that was given up, and what a watchdog ended.
fn restarted(reason: Reason) -> Option<Fact> {
    if let Some(slot) = reason.fell_back_from {
        return Some(Fact::SlotRolledBack { slot, why: reason.text });
    }
    let by_watchdog = ["system-hung", "hardware", "service-frozen", "service-deadlocked"];
    by_watchdog
        .contains(&&*reason.word)
        .then_some(Fact::WatchdogReset { what: reason.what, why: reason.text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::testing::Authority;

    const REASONS: &str = r#"{"at":"2026-01-01T00:00:00Z","word":"asked-restart","text":"restart was asked for","what":"box"}
{"at":"2026-01-02T00:00:00Z","word":"system-hung","text":"the system hung","what":"box"}
nonsense
{"at":"2026-01-03T00:00:00Z","word":"service-deadlocked","text":"it stood still in shard-1","what":"gatewayd.service"}
{"at":"2026-01-04T00:00:00Z","word":"slot-unhealthy","text":"slot B failed","what":"box","slot":"A","fell_back_from":"B"}
"#;

    fn watch(config: &str, folder: &Path) -> Watch {
        let text = format!("[gateway]\ndomains = [\"meet.example.com\"]\n{config}");
        let config = Arc::new(Config::parse("test", &text).expect("a configuration"));
        let path = |name: &str| folder.join(name);
        let (state, disk) = (Some(folder.to_owned()), Some(folder.to_owned()));
        let (sys, run, reasons) = (path("sys"), path("run"), path("reasons.jsonl"));
        let places = Places { state, disk, sys, run, reasons };
        Watch::new(&config, places)
    }

    fn seen(watch: &mut Watch, seen: &str) -> (Vec<Fact>, Option<String>) {
        let Facts { list, seen } = watch.facts(Some(seen));
        let wanted = |fact: &Fact| matches!(fact, Fact::WatchdogReset { .. } | Fact::SlotRolledBack { .. });
        (list.into_iter().filter(wanted).collect(), seen)
    }

    /// P17
    #[test]
    fn p17_why_the_box_was_restarted_is_told_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut watch = watch("", folder.path());
        assert_eq!(seen(&mut watch, ""), (vec![], None));
        std::fs::write(folder.path().join("reasons.jsonl"), REASONS).expect("written");
        let reset = |what: &str, why: &str| Fact::WatchdogReset { what: what.into(), why: why.into() };
        let rolled = Fact::SlotRolledBack { slot: "B".into(), why: "slot B failed".into() };
        let (facts, last) = seen(&mut watch, "");
        let stood = reset("gatewayd.service", "it stood still in shard-1");
        assert_eq!(facts, [reset("box", "the system hung"), stood, rolled.clone()]);
        assert_eq!(seen(&mut watch, last.as_deref().unwrap_or_default()), (vec![], None));
        assert_eq!(seen(&mut watch, "2026-01-03T00:00:00Z").0, [rolled]);
        assert!(watch.facts(None).seen.is_none(), "who cannot remember tells nothing twice");
    }

    /// P17
    #[test]
    fn p17_certificates_and_tokens_are_told_with_their_ends() {
        let authority = Authority::new();
        let (chain, key) = authority.certify("meet.example.com");
        let folder = tempfile::tempdir().expect("a folder");
        let config = |chain: &Path| {
            format!(
                "[sip]\ncertificate = \"{}\"\nkey = \"{}\"\n[[connectors]]\nname = \"meet\"\nkind = \"interop\"\n\
                 url = \"https://c.example\"\ngateway_key_file = \"{}\"\n",
                chain.display(),
                key.display(),
                chain.display()
            )
        };
        // On the first day of the year 4096, as rcgen makes them.
        let ends = UnixTime(67_090_118_400);
        let facts = watch(&config(&chain), folder.path()).facts(None).list;
        let end_of = |fact: &Fact| match fact {
            Fact::Certificate { state: CertificateState::Ends(ends), .. } => Some(*ends),
            Fact::GatewayToken { ends, .. } => *ends,
            _ => None,
        };
        let found: Vec<_> = facts.iter().filter_map(end_of).collect();
        assert_eq!(found, [ends, ends]);

        let facts = watch(&config(&authority.nowhere()), folder.path()).facts(None).list;
        let missing = facts.iter().find_map(|fact| match fact {
            Fact::Certificate { state: CertificateState::Missing { why }, .. } => Some(why.clone()),
            _ => None,
        });
        assert!(missing.expect("a fact").contains("nowhere"));
    }

    /// P17
    #[test]
    fn p17_a_hot_sensor_and_the_disk_are_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let chip = folder.path().join("sys/class/hwmon/hwmon0");
        std::fs::create_dir_all(&chip).expect("a folder");
        for (file, text) in [
            ("name", "coretemp"),
            ("temp1_input", "99000"),
            ("temp1_crit", "95000"),
            ("fan1_input", "0"),
            ("fan1_min", "600"),
        ] {
            std::fs::write(chip.join(file), text).expect("written");
        }
        let facts = watch("", folder.path()).facts(None).list;
        let hot = Fact::Temperature {
            sensor: "coretemp temp1".into(),
            reading: "coretemp temp1: 99.0 °C".into(),
            warmth: Warmth::Hot,
        };
        assert!(facts.contains(&hot), "{facts:#?}");
        let disk = facts.iter().find_map(|fact| match fact {
            Fact::Disk { mount, used } => Some((mount.clone(), *used)),
            _ => None,
        });
        let (mount, used) = disk.expect("a disk");
        assert!(mount == folder.path().display().to_string() && used <= 100);
    }

    /// P15, P17
    #[test]
    fn p15_licences_that_end_and_tokens_beyond_them_are_told_once_it_is_known_which_licences_there_are() {
        use crate::licences::tests::Vendor;
        use domain::licence::{Allowance, VendorKey};
        let folder = tempfile::tempdir().expect("a folder");
        let token = "[[tokens]]\nname = \"a\"\nvalue = \"v\"\ntrust = \"trusted\"\n";
        let mut watch = watch(token, folder.path());
        let of_licences = |watch: &mut Watch| -> Vec<Fact> {
            let facts = watch.facts(None).list.into_iter();
            facts.filter(|fact| matches!(fact, Fact::LicenceEnd { .. } | Fact::AccessTokens { .. })).collect()
        };
        let subjects = |watch: &Watch| {
            watch.subjects().into_iter().find_map(|input| match input {
                AlarmInput::Subjects(Family::LicenceEnd, names) => Some(Vec::from_iter(names)),
                _ => None,
            })
        };
        assert_eq!((of_licences(&mut watch), subjects(&watch)), (vec![], None), "it is not known yet");
        let vendor = Vendor::new();
        let mut licences = Licences::new(vec![VendorKey::parse(&vendor.key()).expect("a key")], None);
        licences.add(&vendor.licence("L", 4, "9000", None), now()).expect("a licence");
        watch.license(Arc::new(licences));
        // On the first day of the year 9001.
        let end = Fact::LicenceEnd { name: "L".into(), ends: UnixTime(221_876_928_000) };
        let tokens = Fact::AccessTokens { held: 1, licensed: Allowance::Of(0) };
        assert_eq!(of_licences(&mut watch), [end, tokens]);
        assert_eq!(subjects(&watch), Some(vec!["L".to_owned()]));
        watch.license(Arc::new(Licences::unmetered()));
        let tokens = Fact::AccessTokens { held: 1, licensed: Allowance::Unmetered };
        assert_eq!((of_licences(&mut watch), subjects(&watch)), (vec![tokens], Some(vec![])));
    }

    #[test]
    fn a_node_has_a_name_and_an_engine_that_does_not_show_the_machines_id() {
        let (one, two) = (node(1), node(2));
        assert!(!one.name.is_empty());
        assert_eq!(one.engine, two.engine, "it is the same at each start");
        let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
        assert!(machine.trim().is_empty() || !one.engine.to_string().contains(machine.trim()));
    }
}
