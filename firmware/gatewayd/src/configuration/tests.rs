//! The configuration in its store: what stays over a restart, what is refused whole, and what is secret.

mod keys;
mod schemas;

use super::*;
use crate::certificates::DataKey;
use base::Secret;
use serde_json::json;
use tempfile::TempDir;

/// What a store of tests begins with.
pub(crate) const FIRST: &str = r#"
[gateway]
domains = ["meet.example.com"]

[[tokens]]
name = "tenant a"
value = "PLANTED-VALUE"
trust = "trusted"

[[connectors]]
name = "meet"
kind = "interop"
url = "https://conference.example.com"

[[rules]]
name = "meetings"
priority = 100
token = "tenant a"
"#;

fn opened(folder: &TempDir, first: Option<&str>) -> Configuration {
    let key = Arc::new(DataKey::load(&folder.path().join("data.key")).unwrap());
    let first = first.map(|text| ("gantry.toml", text));
    Configuration::open(folder.path(), Secrets::new(key), first)
        .map(|(configuration, _)| configuration)
        .unwrap()
}

fn begun() -> (TempDir, Configuration) {
    let folder = tempfile::tempdir().unwrap();
    let configuration = opened(&folder, Some(FIRST));
    (folder, configuration)
}

fn change(kind: Kind, id: &str, body: Option<Value>) -> Change {
    Change { kind, id: id.to_owned(), expected: Expected::Anything, body }
}

fn location() -> Change {
    change(
        Kind::Locations,
        "head office",
        Some(json!({ "name": "head office", "networks": ["10.1.0.0/16"] })),
    )
}

fn said(not_done: NotDone) -> Vec<String> {
    match not_done {
        NotDone::Wrong(wrong) => wrong.iter().map(ToString::to_string).collect(),
        other => panic!("{other}"),
    }
}

/// Every byte that is kept, of every file.
fn bytes(folder: &std::path::Path) -> Vec<u8> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { bytes(&path) } else { std::fs::read(path).unwrap() }).collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn a6_a_new_store_begins_with_a_file_and_from_then_on_the_store_is_the_truth() {
    let (folder, configuration) = begun();
    assert_eq!(configuration.now().token("tenant a").unwrap().value, Secret::new("PLANTED-VALUE".to_owned()));
    configuration.change("ann", &[location()]).unwrap();
    drop(configuration);
    // When it is opened anew, with a file that says something else.
    let again = opened(&folder, Some("[gateway]\ndomains = [\"other.example.com\"]\n"));
    // Then what was changed is there, and the file is not asked.
    assert_eq!(again.now().gateway.domains, ["meet.example.com"]);
    assert!(again.get(Kind::Locations, "head office").unwrap().is_some());
}

#[test]
fn a_store_without_anything_says_what_to_begin_with() {
    let folder = tempfile::tempdir().unwrap();
    let key = Arc::new(DataKey::load(&folder.path().join("data.key")).unwrap());
    let error = Configuration::open(folder.path(), Secrets::new(key), None).err().unwrap();
    assert_eq!(
        error.to_string(),
        "the store is empty, and there is no file to begin with; name one with --config"
    );
}

#[test]
fn a_change_that_is_wrong_says_everything_at_once_and_changes_nothing() {
    let (_folder, configuration) = begun();
    let before = configuration.revision();
    let rule = json!({ "name": "r", "priority": 300, "match": { "regex": "([0-9" } });
    let wrong = said(
        configuration
            .change("ann", &[location(), change(Kind::CallRoutingRules, "r", Some(rule))])
            .unwrap_err(),
    );
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong.iter().all(|line| line.starts_with("call-routing-rules/r: ")), "{wrong:?}");
    assert_eq!(configuration.revision(), before);
    assert!(configuration.get(Kind::Locations, "head office").unwrap().is_none());
    assert_eq!(configuration.audit(None, 10).len(), 1, "what was not done is in no log of what was");
}

#[test]
fn a_body_of_another_shape_is_told_with_its_field() {
    let (_folder, configuration) = begun();
    let rule = json!({ "name": "r", "priority": 1, "match": { "calls": ["sideways"] } });
    let wrong =
        said(configuration.change("ann", &[change(Kind::CallRoutingRules, "r", Some(rule))]).unwrap_err());
    assert!(
        wrong[0].starts_with("call-routing-rules/r: match.calls[0] unknown variant `sideways`"),
        "{wrong:?}"
    );
}

#[test]
fn nobody_overwrites_what_they_have_not_seen() {
    let (_folder, configuration) = begun();
    let (seen, body) = configuration.get(Kind::CallRoutingRules, "meetings").unwrap().unwrap();
    let edit = |priority: u8| {
        let mut body = body.clone();
        body["priority"] = json!(priority);
        Change { expected: Expected::At(seen), ..change(Kind::CallRoutingRules, "meetings", Some(body)) }
    };
    configuration.change("ann", &[edit(1)]).unwrap();
    let refused = configuration.change("ben", &[edit(2)]).unwrap_err();
    assert!(matches!(refused, NotDone::Refused(store::Refused::Conflict { .. })), "{refused}");
    assert_eq!(configuration.now().router.rules()[0].priority, 1);
}

#[test]
fn p2_a_tokens_value_is_sealed_on_the_disk_and_stays_where_a_change_leaves_it_out() {
    let (folder, configuration) = begun();
    assert!(!holds(&bytes(folder.path()), "PLANTED-VALUE"));
    // When the token's trust is changed without its value.
    let body = json!({ "name": "tenant a", "trust": "untrusted" });
    configuration.change("ann", &[change(Kind::AccessTokens, "tenant a", Some(body))]).unwrap();
    assert_eq!(configuration.now().token("tenant a").unwrap().value.expose(), "PLANTED-VALUE");
    // And when it is given another.
    let body = json!({ "name": "tenant a", "trust": "untrusted", "value": "ANOTHER-VALUE" });
    configuration.change("ann", &[change(Kind::AccessTokens, "tenant a", Some(body))]).unwrap();
    assert_eq!(configuration.now().token("tenant a").unwrap().value.expose(), "ANOTHER-VALUE");
    assert!(!holds(&bytes(folder.path()), "ANOTHER-VALUE"));
    drop(configuration);
    assert_eq!(opened(&folder, None).now().token("tenant a").unwrap().value.expose(), "ANOTHER-VALUE");
}

#[test]
fn a_secret_goes_with_its_resource() {
    let (_folder, configuration) = begun();
    let token = |value| json!({ "name": "b", "trust": "trusted", "value": value });
    configuration.change("ann", &[change(Kind::AccessTokens, "b", Some(token("OLD")))]).unwrap();
    configuration.change("ann", &[change(Kind::AccessTokens, "b", None)]).unwrap();
    // A new one of the same name has no value until it is given one.
    let wrong = said(
        configuration
            .change(
                "ann",
                &[change(Kind::AccessTokens, "b", Some(json!({ "name": "b", "trust": "trusted" })))],
            )
            .unwrap_err(),
    );
    assert!(wrong[0].starts_with("access-tokens/b: value is missing"), "{wrong:?}");
}

#[test]
fn every_change_is_in_the_audit_log_and_a_line_that_was_edited_is_seen() {
    let (folder, configuration) = begun();
    configuration.change("ann", &[location()]).unwrap();
    configuration.change("ben", &[change(Kind::Locations, "head office", None)]).unwrap();
    let log: Vec<_> =
        configuration.audit(None, 10).into_iter().map(|line| (line.seq, line.by, line.detail)).collect();
    assert_eq!(log[0], (3, "ben".to_owned(), vec!["remove locations/head office".to_owned()]));
    assert_eq!(log[1], (2, "ann".to_owned(), vec!["write locations/head office".to_owned()]));
    assert_eq!(configuration.audit_trouble(), None);
    // When somebody who can write the store makes it look as if another had done it.
    let key = Key::new("audit", &format!("{:020}", 2)).unwrap();
    let kept = configuration.store.get(&key).unwrap().unwrap();
    let forged = String::from_utf8(kept.body.to_vec()).unwrap().replace("ann", "eve");
    let edit = store::Edit::put(key, Expected::Anything, forged.as_bytes());
    configuration.store.change(&[edit], |_| Ok::<_, std::convert::Infallible>(())).unwrap();
    drop(configuration);
    // Then the next start says so, and the log goes on.
    let again = opened(&folder, None);
    let trouble = again.audit_trouble().unwrap();
    assert!(trouble.contains("line 2 of the audit log"), "{trouble}");
    again.change("ann", &[location()]).unwrap();
    assert_eq!(again.audit(None, 1)[0].seq, 4);
}

#[test]
fn whoever_watches_gets_each_configuration_as_a_whole() {
    let (_folder, configuration) = begun();
    let watch = configuration.watch();
    let before = configuration.now();
    configuration.change("ann", &[location()]).unwrap();
    assert!(watch.has_changed().unwrap());
    assert!(!Arc::ptr_eq(&before, &watch.borrow()), "a call that stands keeps the one it began with");
}

#[test]
fn a_copy_without_secrets_follows_each_change() {
    let (folder, configuration) = begun();
    let path = folder.path().join("gantry.toml");
    let configuration = configuration.with_copy(path.clone());
    configuration.change("ann", &[location()]).unwrap();
    // It is written by the way; what is dropped has written its last.
    drop(configuration);
    let copy = std::fs::read_to_string(&path).unwrap();
    assert!(copy.contains("head office") && !copy.contains("PLANTED"), "{copy}");
    let read = Config::parse("gantry.toml", &copy).unwrap();
    assert_eq!(read.router.rules().len(), 1);
}

#[test]
fn a_copy_that_says_the_same_stays_so_that_the_packet_filter_is_not_made_anew() {
    use std::os::unix::fs::MetadataExt;
    let (folder, configuration) = begun();
    let path = folder.path().join("gantry.toml");
    drop(configuration.with_copy(path.clone()));
    let file = std::fs::metadata(&path).unwrap().ino();
    let again = opened(&folder, None).with_copy(path.clone());
    assert_eq!(std::fs::metadata(&path).unwrap().ino(), file);
    again.change("ann", &[location()]).unwrap();
    drop(again);
    assert_ne!(std::fs::metadata(&path).unwrap().ino(), file);
}

#[test]
fn a_copy_is_nothing_to_begin_with() {
    let (folder, configuration) = begun();
    let path = folder.path().join("gantry.toml");
    drop(configuration.with_copy(path.clone()));
    let copy = std::fs::read_to_string(&path).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let key = Arc::new(DataKey::load(&elsewhere.path().join("data.key")).unwrap());
    let refused = Configuration::open(elsewhere.path(), Secrets::new(key), Some(("gantry.toml", &copy)));
    assert!(matches!(refused, Err(NoConfiguration::Copy(file)) if file == "gantry.toml"));
}

#[test]
fn what_waits_for_a_restart_is_named() {
    let (_folder, configuration) = begun();
    let done = configuration.change("ann", &[location()]).unwrap();
    assert!(done.restart.is_empty());
    let sip = json!({ "udp": ["0.0.0.0:5070"] });
    let done = configuration.change("ann", &[change(Kind::Sip, "sip", Some(sip))]).unwrap();
    assert_eq!(done.restart, ["where SIP is listened on"]);
}

#[test]
fn an_archive_without_a_passphrase_holds_no_secret_and_brings_the_rest_back() {
    let (_folder, configuration) = begun();
    let archive = configuration.export(None).unwrap();
    let contents = archive.open(None).unwrap();
    let text = serde_json::to_string(&contents).unwrap();
    assert!(text.contains("tenant a") && !text.contains("PLANTED"), "{text}");
    // When much is changed, and the archive imported.
    configuration.change("ann", &[location()]).unwrap();
    let text = serde_json::to_vec(&archive).unwrap();
    configuration.import("ann", &Archive::parse(&text).unwrap(), None, None).unwrap();
    // Then it is as it was, and the secrets are those that were here.
    assert!(configuration.get(Kind::Locations, "head office").unwrap().is_none());
    assert_eq!(configuration.now().token("tenant a").unwrap().value.expose(), "PLANTED-VALUE");
}

#[test]
fn an_archive_under_a_passphrase_makes_another_box_the_same_if_its_signer_is_trusted() {
    let (_folder, one) = begun();
    let passphrase = Secret::new("correct horse battery".to_owned());
    let archive = one.export(Some(&passphrase)).unwrap();
    let text = serde_json::to_vec(&archive).unwrap();
    assert!(!holds(&text, "tenant a"), "it is encrypted whole");
    let (_other_folder, other) = begun();
    let token = json!({ "name": "tenant a", "trust": "trusted", "value": "OTHERS" });
    other.change("ann", &[change(Kind::AccessTokens, "tenant a", Some(token))]).unwrap();
    let import = |passphrase, trusted| other.import("ann", &archive, passphrase, trusted);
    assert!(
        matches!(import(Some(&passphrase), None), Err(ArchiveError::Stranger(key)) if key == archive.signer)
    );
    let (trusted, wrong) = (Some(archive.signer.as_str()), Secret::new("wrong horse".to_owned()));
    assert!(matches!(import(None, trusted), Err(ArchiveError::Locked)));
    assert!(matches!(import(Some(&wrong), trusted), Err(ArchiveError::Passphrase)));
    import(Some(&passphrase), trusted).unwrap();
    assert_eq!(other.now().token("tenant a").unwrap().value.expose(), "PLANTED-VALUE");
}

#[test]
fn a_secret_goes_with_its_resource_by_an_import_too() {
    let (_folder, configuration) = begun();
    let archive = configuration.export(None).unwrap();
    let token = |value: Option<&str>| json!({ "name": "b", "trust": "trusted", "value": value });
    configuration.change("ann", &[change(Kind::AccessTokens, "b", Some(token(Some("OLD"))))]).unwrap();
    configuration.import("ann", &archive, None, None).unwrap();
    let new = change(Kind::AccessTokens, "b", Some(json!({ "name": "b", "trust": "trusted" })));
    let wrong = said(configuration.change("ann", &[new]).unwrap_err());
    assert!(wrong[0].starts_with("access-tokens/b: value is missing"), "{wrong:?}");
}

#[test]
fn an_archive_brings_no_secrets_but_those_of_its_resources() {
    let (_folder, configuration) = begun();
    let mut contents = configuration.contents(true);
    contents.secrets.insert("box/archive-key".to_owned(), "a key of others".to_owned());
    let refused = configuration.replacing(&contents).unwrap_err().to_string();
    assert!(refused.ends_with("box/archive-key is no secret of a resource in it"), "{refused}");
}

#[test]
fn an_archive_that_was_changed_is_refused() {
    let (_folder, configuration) = begun();
    let archive = configuration.export(None).unwrap();
    let spoiled = [
        Archive { made: "2020-01-01T00:00:00Z".to_owned(), ..archive.clone() },
        Archive { contents: archive.contents.replacen('A', "B", 1), ..archive.clone() },
        Archive { salt: "AAAA".to_owned(), ..archive.clone() },
        Archive { signer: "AAAA".to_owned(), ..archive.clone() },
    ];
    for spoiled in spoiled {
        let text = serde_json::to_vec(&spoiled).unwrap();
        assert!(matches!(Archive::parse(&text), Err(ArchiveError::Signature)), "{spoiled:?}");
    }
    let newer = serde_json::to_vec(&Archive { schema: 9, ..archive }).unwrap();
    assert!(matches!(Archive::parse(&newer), Err(ArchiveError::Schema(unknown)) if unknown.asked == 9));
    assert!(matches!(Archive::parse(b"{}"), Err(ArchiveError::Unreadable(_))));
}

#[test]
fn a_short_passphrase_makes_no_archive() {
    let (_folder, configuration) = begun();
    assert!(matches!(configuration.export(Some(&Secret::new("short".to_owned()))), Err(ArchiveError::Short)));
}
