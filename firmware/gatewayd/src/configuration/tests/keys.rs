//! What becomes of a configuration whose data key is lost, or sealed to the TPM from now on.

use super::*;
use crate::certificates::Protection;
use domain::alarm::{Fact, Health};
use std::fs;

const MORE: &str = "\n[[tokens]]\nname = \"tenant b\"\nvalue = \"OTHER-VALUE\"\ntrust = \"untrusted\"\n\
    [[devices]]\nalias = \"board@meet.example.com\"\npassword = \"PLANTED-PASSWORD\"\n\
    [[notify]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"https://ops.example.com\"\nsecret = \"PLANTED-SIXTEEN-BYTES\"\n";

/// A box with secrets of every sort, whose key was lost since.
fn without_its_key() -> (TempDir, Configuration) {
    let folder = tempfile::tempdir().unwrap();
    drop(opened(&folder, Some(&format!("{FIRST}{MORE}"))));
    fs::rename(folder.path().join("data.key"), folder.path().join("data.key.lost")).unwrap();
    let configuration = opened(&folder, None);
    (folder, configuration)
}

fn needed(configuration: &Configuration) -> Option<String> {
    configuration.facts().into_iter().find_map(|fact| match fact {
        Fact::Secrets { health: Health::Bad { why }, .. } => Some(why),
        _ => None,
    })
}

fn token(name: &str, value: &str) -> Change {
    let body = json!({ "name": name, "trust": "trusted", "value": value });
    change(Kind::AccessTokens, name, Some(body))
}

#[test]
fn a_lost_data_key_stops_nobody_and_every_secret_that_it_sealed_is_named() {
    let (folder, configuration) = without_its_key();
    let before = bytes(&folder.path().join("v2"));
    let config = configuration.now();
    assert_eq!(config.tokens.len(), 2);
    let resources: Vec<_> = config.unreadable.iter().map(|(kind, id)| (*kind, id.as_str())).collect();
    let wanted = [
        (Kind::AccessTokens, "tenant a"),
        (Kind::AccessTokens, "tenant b"),
        (Kind::RegistrarDevices, "board@meet.example.com"),
        (Kind::AlarmReceivers, "hook"),
    ];
    assert_eq!(resources, wanted);
    let why = needed(&configuration).unwrap();
    assert!(why.contains("value of access-tokens/tenant a") && why.ends_with("enter them anew"), "{why}");
    assert_eq!(configuration.unreadable(Kind::AccessTokens, "tenant a"), ["value"]);
    // What stands for them can't be guessed, nor is it that of another.
    let stand_ins = [
        config.tokens[0].value.expose(),
        config.tokens[1].value.expose(),
        config.devices[0].password.expose(),
    ];
    assert!(stand_ins.iter().all(|secret| secret.len() >= 43), "32 bytes in base64");
    assert!(stand_ins[0] != stand_ins[1] && stand_ins[1] != stand_ins[2]);
    let again = bytes(&folder.path().join("v2"));
    assert_eq!(again.len(), before.len(), "nothing is deleted");
}

#[test]
fn a_secret_that_is_entered_anew_is_sealed_by_the_new_key_until_none_is_missing() {
    let (folder, configuration) = without_its_key();
    let mut standing = configuration.watch_standing();
    // Other changes can be made meanwhile, and make nothing wait for a restart that does not.
    let done = configuration.change("ann", &[location()]).unwrap();
    assert_eq!(done.restart, Vec::<&str>::new());
    assert!(!standing.has_changed().unwrap());
    configuration.change("ann", &[token("tenant a", "NEW-VALUE")]).unwrap();
    assert!(standing.has_changed().unwrap());
    standing.borrow_and_update();
    assert_eq!(configuration.now().token("tenant a").unwrap().value.expose(), "NEW-VALUE");
    assert_eq!(configuration.unreadable(Kind::AccessTokens, "tenant a"), Vec::<&str>::new());
    configuration.change("ann", &[token("tenant b", "NEWER-VALUE")]).unwrap();
    let why = needed(&configuration).unwrap();
    assert!(
        why.contains("password of registrar-devices/board@meet.example.com") && !why.contains("tenant"),
        "{why}"
    );
    let board = json!({ "alias": "board@meet.example.com", "password": "NEW-PASSWORD" });
    configuration
        .change("ann", &[change(Kind::RegistrarDevices, "board@meet.example.com", Some(board))])
        .unwrap();
    configuration.change("ann", &[change(Kind::AlarmReceivers, "hook", None)]).unwrap();
    assert_eq!(needed(&configuration), None);
    assert!(configuration.now().unreadable.is_empty());
    // And it is so after a restart.
    drop(configuration);
    let again = opened(&folder, None);
    assert_eq!(again.now().token("tenant b").unwrap().value.expose(), "NEWER-VALUE");
    assert_eq!(needed(&again), None);
}

#[test]
fn a_data_key_that_is_found_again_opens_what_it_sealed() {
    let (folder, configuration) = without_its_key();
    drop(configuration);
    fs::rename(folder.path().join("data.key.lost"), folder.path().join("data.key")).unwrap();
    let configuration = opened(&folder, None);
    assert_eq!(configuration.now().token("tenant a").unwrap().value.expose(), "PLANTED-VALUE");
    assert_eq!(needed(&configuration), None);
}

#[test]
fn a_box_without_its_key_makes_archives_of_what_it_can_read() {
    let (_folder, one) = begun();
    let by_the_old = one.export(None).unwrap().signer;
    let (_folder, configuration) = without_its_key();
    configuration.change("ann", &[token("tenant a", "NEW-VALUE")]).unwrap();
    let passphrase = Secret::new("correct horse battery".to_owned());
    let archive = configuration.export(Some(&passphrase)).unwrap();
    assert_ne!(archive.signer, by_the_old);
    let secrets = archive.open(Some(&passphrase)).unwrap().secrets;
    assert_eq!(
        secrets.into_iter().collect::<Vec<_>>(),
        [("access-tokens/tenant a#value".into(), "NEW-VALUE".into())]
    );
}

/// Opens as the daemon does, with a credential of the service manager.
fn sealed(folder: &TempDir, credential: &TempDir) -> (Arc<DataKey>, Configuration) {
    let file = folder.path().join("data.key");
    let key = Arc::new(DataKey::of_box(&file, Some(credential.path())).unwrap());
    let configuration = Configuration::open(folder.path(), Secrets::new(Arc::clone(&key)), None).unwrap().0;
    (key, configuration)
}

#[test]
fn a_box_that_was_unsealed_until_now_seals_its_secrets_by_the_tpm_and_takes_the_file_away() {
    let (folder, configuration) = begun();
    configuration.export(None).unwrap();
    let revision = configuration.revision();
    drop(configuration);
    let credential = tempfile::tempdir().unwrap();
    fs::write(credential.path().join("gantry.data-key"), "5a".repeat(32)).unwrap();
    // When it starts with the credential, all are sealed anew in one change.
    let (key, configuration) = sealed(&folder, &credential);
    assert_eq!(configuration.revision().0, revision.0 + 1);
    assert_eq!(configuration.audit(None, 1)[0].act, "reseal");
    assert_eq!(configuration.now().token("tenant a").unwrap().value.expose(), "PLANTED-VALUE");
    assert!(!configuration.needs_key_before(folder.path()).unwrap());
    key.forget_file(&folder.path().join("data.key")).unwrap();
    assert_eq!((key.protection(), key.protection().word()), (Protection::Tpm2, "tpm2"));
    drop(configuration);
    // And from then on the credential alone opens them.
    let (_, configuration) = sealed(&folder, &credential);
    assert_eq!(configuration.now().token("tenant a").unwrap().value.expose(), "PLANTED-VALUE");
    assert_eq!((configuration.revision().0, needed(&configuration)), (revision.0 + 1, None));
    assert_eq!(configuration.audit_trouble(), None);
}

#[test]
fn the_key_in_the_file_stays_while_the_other_slots_store_needs_it() {
    let (folder, configuration) = begun();
    drop(configuration);
    fs::create_dir(folder.path().join("v1")).unwrap();
    let credential = tempfile::tempdir().unwrap();
    fs::write(credential.path().join("gantry.data-key"), [0x5a; 32]).unwrap();
    let (key, configuration) = sealed(&folder, &credential);
    assert!(configuration.needs_key_before(folder.path()).unwrap());
    assert_eq!(key.protection().word(), "tpm2, and an unsealed file");
}
