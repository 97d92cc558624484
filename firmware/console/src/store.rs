//! What the console keeps on the disk, and what it asks of those that may act: the desk's [`Outside`] on a real box.

use crate::desk::Outside;
use crate::files::{self, Copies};
use crate::places::Places;
use base::{Secret, Seed};
use domain::appliance::access::{PasswordHash, Verifier};
use domain::appliance::audit::{Act, Chain};
use domain::appliance::commit::Record;
use domain::appliance::copies::Newest;
use domain::appliance::instant::UnixTime;
use domain::appliance::password;
use domain::appliance::record::{Kept, Since};
use domain::appliance::request::Request;
use domain::appliance::text::SETTINGS_BYTES;
use domain::appliance::values::InterfaceName;
use domain::appliance::{Draft, Settings};
use std::io::{self, Read};
use std::time::{Duration, SystemTime};

/// Largest file of the administrator's hash, in bytes.
const OWNER_BYTES: usize = 1024;

/// Largest file of settings: what stands and what is on trial, each with its head.
const KEPT_BYTES: usize = 2 * SETTINGS_BYTES + 1024;
/// From here on the audit log is put aside, and the one put aside before is gone; the journal has its own copy.
const AUDIT_BYTES: u64 = 1024 * 1024;

/// What the console keeps.
pub struct Store {
    places: Places,
    settings: Copies,
    owner: Copies,
    chain: Chain,
    requests: u64,
    /// What was found to be wrong when it was opened, or since.
    pub remarks: Vec<String>,
}

/// What the disk said.
pub struct Found {
    /// The settings.
    pub kept: Kept,
    /// The administrator's hash.
    pub owner: Option<PasswordHash>,
    /// What is known of the claim code.
    pub verifier: Option<Verifier>,
}

impl Store {
    /// Opens what is kept in `places`. `delivered` is what a box without settings of its own begins with.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn open(places: Places, delivered: Draft) -> io::Result<(Self, Found)> {
        std::fs::create_dir_all(places.state())?;
        let mut remarks = Vec::new();
        let (settings, newest) = Copies::open(places.settings(), KEPT_BYTES);
        damaged("settings", &newest, &mut remarks);
        let kept = kept(&newest, delivered, &mut remarks);
        let (owner, newest) = Copies::open(places.owner(), OWNER_BYTES);
        damaged("administrator's password", &newest, &mut remarks);
        let hash = newest.text.and_then(|text| PasswordHash::new(text.trim().to_owned()).ok());
        let chain = chain(&places, &mut remarks);
        let verifier = verifier(&places);
        let requests = now_unix().0;
        Ok((
            Self { places, settings, owner, chain, requests, remarks },
            Found { kept, owner: hash, verifier },
        ))
    }

    /// The administrator's hash as it is on the disk.
    #[must_use]
    pub fn owner(places: &Places) -> Option<PasswordHash> {
        let (_, newest) = Copies::open(places.owner(), OWNER_BYTES);
        newest.text.and_then(|text| PasswordHash::new(text.trim().to_owned()).ok())
    }

    /// The audit log's text: this file and the one before it.
    #[must_use]
    pub fn audit_text(places: &Places) -> String {
        let [new, old] =
            places.audit().map(|path| files::read(&path, 4 * AUDIT_BYTES as usize).unwrap_or_default());
        old + &new
    }

    fn write_audit(&mut self, act: &Act) -> io::Result<()> {
        let [log, old] = self.places.audit();
        if std::fs::metadata(&log).is_ok_and(|found| found.len() > AUDIT_BYTES) {
            std::fs::rename(&log, &old)?;
        }
        let mut chain = self.chain.clone();
        let line = chain.append(now_unix(), act);
        files::append(&log, &line, 0o640)?;
        self.chain = chain;
        // The journal has a copy that no one here can edit.
        eprint!("audit {line}");
        Ok(())
    }
}

fn damaged(what: &str, newest: &Newest, remarks: &mut Vec<String>) {
    match (newest.damaged.len(), &newest.text) {
        (0, _) => {}
        (_, Some(_)) => remarks.push(format!("one copy of the {what} is damaged; the other one holds")),
        (_, None) => {
            remarks.push(format!("both copies of the {what} are damaged; the box begins anew with them"))
        }
    }
}

fn kept(newest: &Newest, delivered: Draft, remarks: &mut Vec<String>) -> Kept {
    let read = newest.text.as_ref().map(|text| Kept::parse(text));
    match read {
        Some(Ok(kept)) => return kept,
        Some(Err(problems)) => {
            remarks.push(format!("the settings that were kept are wrong, and not used: {problems}"))
        }
        None => {}
    }
    let standing =
        delivered.settle().or_else(|_| fallback()).unwrap_or_else(|_| unreachable!("lan0 by DHCP fits"));
    Kept { record: Record { standing, trial: None }, since: None }
}

/// Settings of a box that shows no interface at all.
fn fallback() -> Result<Settings, domain::appliance::settings::Problems> {
    let names: Vec<_> = InterfaceName::parse("lan0").into_iter().collect();
    Draft::delivered(&names, None).settle()
}

fn chain(places: &Places, remarks: &mut Vec<String>) -> Chain {
    let text = Store::audit_text(places);
    match Chain::verify(&text) {
        Ok(chain) => chain,
        Err(broken) => {
            remarks.push(broken.to_string());
            // It goes on behind the last line that can be read, so that what comes is not lost.
            let whole: String = text.lines().take(broken.line - 1).map(|line| format!("{line}\n")).collect();
            let [log, _] = places.audit();
            let aside = log.with_extension("damaged.log");
            drop(std::fs::rename(&log, aside));
            Chain::verify(&whole).unwrap_or_default()
        }
    }
}

/// What is known of the claim code: from the service manager's credentials, from the flasher's file, from the board's
/// EEPROM, in this order.
fn verifier(places: &Places) -> Option<Verifier> {
    let credential = std::env::var_os("CREDENTIALS_DIRECTORY")
        .and_then(|folder| files::read(&std::path::Path::new(&folder).join("gantry.claim-code"), 256).ok());
    let flashed = || files::read(&places.identity().join("claim"), 256).ok();
    let board = || files::read(&places.answers().join("claim"), 256).ok();
    credential.or_else(flashed).or_else(board).and_then(|text| Verifier::parse(&text))
}

/// The box's wall clock.
#[must_use]
pub fn now_unix() -> UnixTime {
    UnixTime(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// Which boot this is, and for how long the box has been up; time asleep counts.
#[must_use]
pub fn boot(places: &Places) -> (String, Duration) {
    let boot = files::of_kernel(&places.at("/proc/sys/kernel/random/boot_id"), 64).unwrap_or_default();
    let uptime = files::of_kernel(&places.at("/proc/uptime"), 128).unwrap_or_default();
    let seconds = uptime.split(' ').next().and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (boot.trim().to_owned(), Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// Randomness of the system.
#[must_use]
pub fn seed() -> Seed {
    let mut seed = [0; 32];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut seed));
    assert!(read.is_ok(), "a box without randomness can make no password: {read:?}");
    Seed(seed)
}

impl Outside for Store {
    fn keep_settings(&mut self, record: &Record) -> Result<(), String> {
        let since = record.trial.is_some().then(|| {
            let (boot, uptime) = boot(&self.places);
            Since { boot, uptime }
        });
        let kept = Kept { record: record.clone(), since };
        self.settings.write(&kept.to_text()).map_err(|error| error.to_string())
    }

    fn keep_owner(&mut self, hash: &PasswordHash) -> Result<(), String> {
        self.owner.write(&format!("{}\n", hash.expose())).map_err(|error| error.to_string())
    }

    fn request(&mut self, request: &Request) -> Result<(), String> {
        self.requests += 1;
        let path = self.places.requests().join(request.what().name());
        let text = request.to_text(self.requests);
        // Whoever waits for the file sees it whole.
        let beside = self.places.requests().join(format!(".{}", request.what().name()));
        let written = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, &path));
        written.map_err(|error| format!("{}: {error}; the box cannot act on it", path.display()))
    }

    fn audit(&mut self, act: &Act) {
        if let Err(error) = self.write_audit(act) {
            eprintln!("audit log: {error}");
            let remark = "the audit log cannot be written".to_owned();
            if !self.remarks.contains(&remark) {
                self.remarks.push(remark);
            }
        }
    }

    fn hash(&mut self, password: &Secret<String>) -> Result<PasswordHash, String> {
        password::hash(password, seed())
    }

    fn matches(&mut self, password: &Secret<String>, hash: &PasswordHash) -> bool {
        password::matches(password, hash)
    }

    fn seed(&mut self) -> Seed {
        seed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::appliance::request::{Haste, What};

    fn delivered() -> Draft {
        Draft::delivered(&[InterfaceName::parse("lan0").unwrap()], Some("4711"))
    }

    fn open(folder: &tempfile::TempDir) -> (Store, Found) {
        let places = Places::below(folder.path());
        std::fs::create_dir_all(places.requests()).unwrap();
        Store::open(places, delivered()).unwrap()
    }

    fn act(what: &str) -> Act {
        Act { by: "serial".into(), act: what.into(), outcome: "done".into(), detail: Vec::new() }
    }

    #[test]
    fn what_is_kept_is_there_again() {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, found) = open(&folder);
        assert_eq!(found.kept.record.standing.host_name.as_str(), "gantry-4711");
        assert!(found.owner.is_none() && found.verifier.is_none() && store.remarks.is_empty());
        let mut draft = delivered();
        draft.set_all([("host-name", "rack-7")]).unwrap();
        let record = Record { standing: delivered().settle().unwrap(), trial: Some(draft.settle().unwrap()) };
        store.keep_settings(&record).unwrap();
        let hash = store.hash(&Secret::new("correct horse battery".to_owned())).unwrap();
        store.keep_owner(&hash).unwrap();
        let identity = Places::below(folder.path()).identity();
        std::fs::create_dir_all(&identity).unwrap();
        std::fs::write(identity.join("claim"), "4711-0815\n").unwrap();

        let (store, found) = open(&folder);
        assert_eq!(found.kept.record, record);
        assert_eq!(found.owner, Some(hash));
        assert_eq!(found.verifier, Verifier::of("47110815").ok());
        assert!(store.remarks.is_empty());
    }

    #[test]
    fn a_damaged_copy_is_told_and_two_of_them_begin_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, found) = open(&folder);
        store.keep_settings(&found.kept.record).unwrap();
        let [a, b] = Places::below(folder.path()).settings();
        std::fs::write(&b, "torn").unwrap();
        assert!(open(&folder).0.remarks[0].contains("one copy of the settings is damaged"));
        std::fs::write(&a, "torn too").unwrap();
        let (store, found) = open(&folder);
        assert!(store.remarks[0].contains("both copies of the settings are damaged"));
        assert_eq!(found.kept.record.standing, delivered().settle().unwrap());
    }

    #[test]
    fn the_audit_log_goes_on_after_a_restart_and_an_edit_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places::below(folder.path());
        let (mut store, _) = open(&folder);
        store.audit(&act("claim"));
        let (mut store, _) = open(&folder);
        store.audit(&act("apply"));
        let text = Store::audit_text(&places);
        assert_eq!(Chain::verify(&text).unwrap().last_number(), 2);
        std::fs::write(&places.audit()[0], text.replace("claim", "clean")).unwrap();
        let (mut store, _) = open(&folder);
        assert!(store.remarks[0].contains("damaged or edited"), "{:?}", store.remarks);
        store.audit(&act("reboot"));
        assert!(Store::audit_text(&places).contains("reboot"));
        assert!(places.state().join("audit.damaged.log").exists(), "the evidence is kept");
    }

    #[test]
    fn a_request_is_a_whole_file_of_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, _) = open(&folder);
        store.request(&Request::Reboot(Haste::Now)).unwrap();
        let path = Places::below(folder.path()).requests().join("reboot");
        let text = files::read(&path, 1_000).unwrap();
        assert_eq!(Request::parse(What::Reboot, &text).unwrap().1, Request::Reboot(Haste::Now));
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
        assert!(store.request(&Request::Resume).unwrap_err().contains("cannot act on it"));
    }

    #[test]
    fn a_full_log_is_put_aside_and_the_chain_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places::below(folder.path());
        let (mut store, _) = open(&folder);
        let long = Act { detail: vec!["x".repeat(199); 64], ..act("set") };
        for _ in 0..100 {
            store.audit(&long);
        }
        let [log, old] = places.audit();
        assert!(std::fs::metadata(&log).unwrap().len() < AUDIT_BYTES + 20_000);
        assert!(old.exists());
        assert_eq!(Chain::verify(&Store::audit_text(&places)).unwrap().last_number(), 100);
    }
}
