//! From a key to a chain in use, across restarts, refusals and power cuts.

use super::*;
use crate::net::testing::Authority;
use domain::certificate::request::{Draft, SubjectDraft, Usage};
use rcgen::{CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

const NOW: UnixTime = UnixTime(1_813_017_600);
const DOMAIN: &str = "meet.example.com";

struct Bench {
    authority: Authority,
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { authority: Authority::new(), folder: tempfile::tempdir().expect("a folder") }
    }

    fn keys(&self) -> PathBuf {
        self.folder.path().join("keys")
    }

    /// As the daemon does at its start.
    fn open(&self) -> Result<KeyStore, KeyStoreError> {
        let data_key = DataKey::load(&self.folder.path().join("data.key")).expect("a data key");
        KeyStore::open(&self.keys(), Arc::new(data_key))
    }

    fn opened(&self) -> KeyStore {
        self.open().expect("a store")
    }

    /// Name and bytes of every file.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(self.keys()).expect("a folder").map(|entry| entry.expect("a file"));
        let name = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        entries.map(|entry| (name(&entry), fs::read(entry.path()).expect("read"))).collect()
    }

    /// What is at hand after a power cut.
    fn restore(&self, files: &BTreeMap<String, Vec<u8>>) {
        for name in self.files().keys() {
            fs::remove_file(self.keys().join(name)).expect("removed");
        }
        for (name, bytes) in files {
            fs::write(self.keys().join(name), bytes).expect("written");
        }
    }

    fn signed(&self, store: &KeyStore, id: &KeyId, kind: KeyKind) -> String {
        self.authority.sign(&store.csr(id, &request(kind)).expect("a request"))
    }

    fn uploads(&self, store: &mut KeyStore, id: &KeyId) -> Result<CheckedChain, UploadError> {
        let chain = self.signed(store, id, KeyKind::EcdsaP256);
        store.upload(chain.as_bytes(), Purpose::Domains(&[DOMAIN.to_owned()]), NOW)
    }
}

fn request(kind: KeyKind) -> CsrRequest {
    let subject =
        SubjectDraft { organisation: "Example".into(), country: "ch".into(), ..SubjectDraft::default() };
    let names = vec![DOMAIN.to_owned(), "skype.example.com".to_owned()];
    CsrRequest::new(&Draft { names, key: Some(kind), subject }, Usage::Gateway).expect("a good request")
}

/// The keys in use and in waiting.
fn state(store: &KeyStore) -> (Option<KeyId>, Option<KeyId>) {
    (store.chain().map(|chain| chain.key().clone()), store.pending().cloned())
}

/// K2
#[test]
fn a_key_of_each_kind_is_made_and_serves_with_the_chain_for_its_request_after_a_restart_too() {
    for kind in KeyKind::ALL {
        let bench = Bench::new();
        let mut store = bench.opened();
        let id = store.generate(kind).expect("a key");
        assert!(store.certified().expect("nothing is wrong").is_none());
        let mut store = bench.opened();
        assert_eq!(store.pending(), Some(&id), "a request may be out for weeks");
        let chain = bench.signed(&store, &id, kind);
        store.upload(chain.as_bytes(), Purpose::Domains(&[DOMAIN.to_owned()]), NOW).expect("a good chain");
        for store in [store, bench.opened()] {
            assert_eq!(state(&store), (Some(id.clone()), None));
            store.certified().expect("TLS takes it").expect("it is there");
            let status = serde_json::to_value(store.status(NOW)).expect("an object");
            assert_eq!(status["current"]["key"]["kind"], kind.name());
            assert_eq!(status["current"]["chain"]["certificates"][0]["names"][1], "skype.example.com");
            assert_eq!(
                (&status["current"]["expiry"]["state"], &status["pending"]),
                (&"good".into(), &().into())
            );
            assert_eq!(status["protection"], "unsealed");
        }
    }
}

/// K2
#[test]
fn a_request_asks_for_the_names_for_servers_and_for_clients() {
    let bench = Bench::new();
    let mut store = bench.opened();
    let id = store.generate(KeyKind::EcdsaP256).expect("a key");
    let text = store.csr(&id, &request(KeyKind::EcdsaP256)).expect("a request");
    // Reading it also checks that the key signed it.
    let params = CertificateSigningRequestParams::from_pem(&text).expect("a request").params;
    let names: Vec<_> = params.subject_alt_names.iter().map(|name| format!("{name:?}")).collect();
    assert!(names[0].contains(DOMAIN) && names[1].contains("skype.example.com"), "{names:?}");
    let usages = [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    assert_eq!(params.extended_key_usages, usages);
    let subject = |of: DnType| params.distinguished_name.get(&of).map(|value| format!("{value:?}"));
    assert!(subject(DnType::CommonName).is_some_and(|name| name.contains(DOMAIN)));
    assert!(subject(DnType::CountryName).is_some_and(|name| name.contains("CH")));
    let other = store.csr(&id, &request(KeyKind::Rsa2048)).expect_err("another kind").to_string();
    assert!(other.contains("asked for") || other.contains("ask for the same kind"), "{other}");
}

/// K2
#[test]
fn a_key_never_leaves_its_sealed_file_which_is_for_nobody_else_to_read() {
    let bench = Bench::new();
    let mut store = bench.opened();
    let id = store.generate(KeyKind::EcdsaP256).expect("a key");
    let secret = store.pending.as_ref().expect("it waits").pkcs8();
    let part = &secret.expose()[40..60];
    for (name, bytes) in bench.files() {
        assert!(!bytes.windows(part.len()).any(|window| window == part), "{name}");
        let mode = fs::metadata(bench.keys().join(&name)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert!(!format!("{store:?}").contains("PRIVATE"), "{store:?}");
    // Taken for another key it does not open.
    let (name, bytes) = bench.files().into_iter().find(|(name, _)| name.ends_with(".key")).expect("a key");
    let other = "0".repeat(64);
    fs::write(bench.keys().join(name.replace(id.as_str(), &other)), bytes).expect("written");
    fs::write(bench.keys().join(PENDING), &other).expect("written");
    let store = bench.opened();
    assert_eq!(store.pending(), None);
    assert!(store.unreadable().expect("it is told").contains("does not open"));
}

/// K2
#[test]
fn a_bad_chain_is_refused_and_the_old_one_stays() {
    let bench = Bench::new();
    let mut store = bench.opened();
    let first = store.generate(KeyKind::EcdsaP256).expect("a key");
    bench.uploads(&mut store, &first).expect("a good chain");
    let second = store.generate(KeyKind::EcdsaP256).expect("a key");
    let before = (state(&store), bench.files());
    let stranger = Bench::new();
    let mut other = stranger.opened();
    let theirs = other.generate(KeyKind::EcdsaP256).expect("a key");
    let theirs = stranger.signed(&other, &theirs, KeyKind::EcdsaP256);
    let request = store.csr(&second, &request(KeyKind::EcdsaP256)).expect("a request");
    for bad in [theirs.as_str(), request.as_str(), "nonsense", ""] {
        let domains = [DOMAIN.to_owned()];
        let refused = store.upload(bad.as_bytes(), Purpose::Domains(&domains), NOW);
        assert!(matches!(refused, Err(UploadError::Refused(_))), "{bad}");
    }
    assert_eq!((state(&store), bench.files()), before);
    assert_eq!(before.0, (Some(first), Some(second)));
}

/// K2
#[test]
fn the_waiting_key_takes_over_with_its_chain_and_a_renewal_keeps_the_key() {
    let bench = Bench::new();
    let mut store = bench.opened();
    let first = store.generate(KeyKind::EcdsaP256).expect("a key");
    bench.uploads(&mut store, &first).expect("a good chain");
    let renewed = bench.uploads(&mut store, &first).expect("a chain for the same key");
    assert_eq!(store.chain(), Some(renewed.chain()));
    let second = store.generate(KeyKind::EcdsaP256).expect("a key");
    assert!(matches!(store.generate(KeyKind::EcdsaP256), Err(KeyStoreError::Waits(id)) if id == second));
    bench.uploads(&mut store, &first).expect("the one in use can be renewed meanwhile");
    assert_eq!(state(&store), (Some(first.clone()), Some(second.clone())));
    bench.uploads(&mut store, &second).expect("a good chain");
    assert_eq!(state(&store), (Some(second), None));
    assert_eq!(bench.files().len(), 2, "the old key is gone: {:?}", bench.files().keys());
    assert!(matches!(store.csr(&first, &request(KeyKind::EcdsaP256)), Err(KeyStoreError::Unknown(_))));
}

#[test]
fn a_key_that_was_given_up_takes_no_chain_any_more() {
    let bench = Bench::new();
    let mut store = bench.opened();
    let id = store.generate(KeyKind::EcdsaP256).expect("a key");
    let chain = bench.signed(&store, &id, KeyKind::EcdsaP256);
    let checked =
        store.check(chain.as_bytes(), Purpose::Domains(&[DOMAIN.to_owned()]), NOW).expect("a good chain");
    store.discard_pending().expect("given up");
    store.discard_pending().expect("there need not be one");
    assert!(matches!(store.install(&checked), Err(KeyStoreError::Unknown(gone)) if gone == id));
    assert!(bench.files().is_empty());
    store.generate(KeyKind::EcdsaP256).expect("another can be made");
}

/// A6
#[test]
fn a_power_cut_at_any_moment_leaves_the_state_before_or_after() {
    let bench = Bench::new();
    let mut store = bench.opened();
    let first = store.generate(KeyKind::EcdsaP256).expect("a key");
    bench.uploads(&mut store, &first).expect("a good chain");
    let one = bench.files();
    let second = store.generate(KeyKind::EcdsaP256).expect("a key");
    let both = bench.files();
    bench.uploads(&mut store, &second).expect("a good chain");
    let two = bench.files();
    let only = |files: &BTreeMap<String, Vec<u8>>, drop: &[&str]| {
        let mut files = files.clone();
        files.retain(|name, _| !drop.contains(&name.as_str()));
        files
    };
    let swapped = |mut files: BTreeMap<String, Vec<u8>>| {
        files.insert(CURRENT.to_owned(), two[CURRENT].clone());
        files
    };
    let mut half = both.clone();
    half.insert("current.new".to_owned(), two[CURRENT][..100].to_vec());
    for (cut, wanted) in [
        (only(&both, &[PENDING]), (Some(first.clone()), None)),
        (both.clone(), (Some(first.clone()), Some(second.clone()))),
        (half, (Some(first.clone()), Some(second.clone()))),
        (swapped(both.clone()), (Some(second.clone()), None)),
        (swapped(only(&both, &[PENDING])), (Some(second.clone()), None)),
    ] {
        bench.restore(&cut);
        assert_eq!(state(&bench.opened()), wanted, "{:?}", cut.keys());
    }
    assert_eq!(bench.files(), two, "nothing is left over");
    bench.restore(&one);
    assert_eq!(state(&bench.opened()), (Some(first), None));
}

#[test]
fn a_chain_whose_key_is_gone_or_under_another_data_key_is_told_and_nothing_is_thrown_away() {
    let bench = Bench::new();
    let mut store = bench.opened();
    let id = store.generate(KeyKind::EcdsaP256).expect("a key");
    bench.uploads(&mut store, &id).expect("a good chain");
    let data_key = bench.folder.path().join("data.key");
    let files = bench.files();
    fs::write(&data_key, [7; 32]).expect("written");
    let store = bench.opened();
    let told = store.unreadable().expect("it is told").to_owned();
    assert!(told.contains("does not open") && told.contains("make a new key"), "{told}");
    assert!(store.certified().expect("no chain").is_none() && store.chain().is_none());
    assert_eq!(bench.files(), files);
    fs::remove_file(bench.keys().join(file_name(KeyKind::EcdsaP256, &id))).expect("removed");
    let told = bench.open().expect_err("its key is gone").to_string();
    assert!(told.contains("which is gone; make a new key"), "{told}");
    fs::write(bench.keys().join(CURRENT), "nonsense").expect("written");
    assert!(matches!(bench.open(), Err(KeyStoreError::Chain { .. })));
}
