//! Licence files that are good, wrong and hostile: each has its own sentence.

use super::*;
use proptest::prelude::*;

const YEAR: (&str, &str) = ("2026-01-01", "2026-12-31");

fn read(text: &str) -> Result<Licence, LicenceError> {
    Licence::read(text, &[acme().key()], Some(SERIAL))
}

fn refused(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

fn good() -> String {
    acme().sign(&payload("GL-1", 20, 3, YEAR))
}

/// As a vendor's mail has it.
fn armoured(compact: &str) -> String {
    let lines: Vec<_> =
        compact.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let body = lines.join("\r\n  ");
    format!(
        "Dear customer,\r\n-----BEGIN GANTRY LICENCE-----\r\n  {body}\r\n-----END GANTRY LICENCE-----\r\nYours"
    )
}

#[test]
fn p15_a_licence_is_read_however_it_was_pasted() {
    for text in [good(), armoured(&good()), format!("\u{feff}{}\n", good()), good().replace('.', " .\t")] {
        let licence = read(&text).unwrap();
        assert_eq!((licence.id(), licence.holder(), licence.serial()), ("GL-1", "Example Ltd", None));
        assert_eq!((licence.calls(), licence.gateway_tokens()), (20, 3));
        assert_eq!(licence.not_before().to_string(), "2026-01-01T00:00:00Z");
        assert_eq!(licence.not_after().to_string(), "2026-12-31T23:59:59Z");
        assert_eq!(licence.compact(), good());
    }
}

#[test]
fn p15_a_licence_for_this_box_is_taken_and_one_for_another_is_not() {
    let mut bound = payload("GL-1", 2, 0, YEAR);
    bound["serial"] = json!(SERIAL);
    let file = acme().sign(&bound);
    assert_eq!(read(&file).unwrap().serial(), Some(SERIAL));
    let elsewhere = |own| Licence::read(&file, &[acme().key()], own).unwrap_err().to_string();
    assert_eq!(
        elsewhere(Some("GB-0002")),
        "licence \"GL-1\" is for the box \"GB-0001\", and this one is \"GB-0002\""
    );
    assert!(elsewhere(None).ends_with("this one is without a serial number"));
}

#[test]
fn p15_a_licence_whose_time_is_over_or_yet_to_come_says_so() {
    let licence = read(&good()).unwrap();
    let told = |day: &str| licence.check(on(day)).unwrap_err().to_string();
    assert_eq!(
        told("2025-12-31"),
        "licence \"GL-1\" is not valid before 2026-01-01T00:00:00Z; upload it then, or have it kept until then"
    );
    assert!(
        told("2027-01-01").starts_with("licence \"GL-1\" expired: it was valid until 2026-12-31T23:59:59Z")
    );
    let mut licences = licences();
    assert!(matches!(licences.add(&good(), on("2027-01-01")), Err(LicenceError::Expired { .. })));
    assert!(licences.held().is_empty());
    assert!(licences.add(&good(), on("2025-12-31")).is_ok(), "a renewal is taken beforehand");
    assert_eq!(licences.entitlement(on("2025-12-31")).calls, Allowance::Of(0));
}

#[test]
fn p15_a_licence_by_a_stranger_or_with_a_strangers_signature_is_refused() {
    let stranger = Vendor::new("mallory", 8).sign(&payload("GL-1", 20, 3, YEAR));
    assert_eq!(
        refused(&stranger),
        "licence is signed by \"mallory\", whom this box doesn't know; it knows \"acme\""
    );
    let forged = Vendor::new("acme", 8).sign(&payload("GL-1", 20, 3, YEAR));
    assert_eq!(read(&forged), Err(LicenceError::BadSignature("acme".into())));
    let nobody = Licence::read(&good(), &[], None).unwrap_err().to_string();
    assert!(nobody.ends_with("it knows nobody, so nothing is metered"), "{nobody}");
    let file = good();
    let (signed, _) = file.rsplit_once('.').unwrap();
    assert_eq!(read(&format!("{signed}.")), Err(LicenceError::BadSignature("acme".into())));
}

#[test]
fn p15_what_was_changed_after_it_was_signed_is_refused() {
    let (one, more) = (good(), acme().sign(&payload("GL-1", 2000, 3, YEAR)));
    let part = |file: &str, n: usize| file.split('.').nth(n).unwrap().to_owned();
    let spliced = format!("{}.{}.{}", part(&one, 0), part(&more, 1), part(&one, 2));
    assert!(refused(&spliced).starts_with("licence is not as \"acme\" signed it"));
}

#[test]
fn p15_what_is_no_licence_says_what_is_wrong() {
    let cut = armoured(&good()).replace("-----END GANTRY LICENCE-----", "");
    let twice = armoured(&good()).repeat(2);
    let header = |value: Value| acme().sign_with(&value, b"{}");
    let none = header(json!({"alg": "none", "kid": "acme", "typ": "gantry-licence"}));
    let other = header(json!({"alg": "EdDSA", "kid": "acme", "typ": "JWT"}));
    let critical = header(json!({"alg": "EdDSA", "kid": "acme", "typ": "gantry-licence", "crit": ["x"]}));
    for (text, says) in [
        (String::new(), "it is empty"),
        (" \n".to_owned(), "it is empty"),
        ("x".repeat(FILE_BYTES + 1), "it has 16385 bytes"),
        (cut, "cut off before its END"),
        (twice, "two licences in it"),
        ("one two".to_owned(), "1 parts where a licence has three"),
        ("{}.{}.{}".to_owned(), "its header is no base64url"),
        ("e30.e30.e30".to_owned(), "its header is wrong: missing field"),
        (good().replacen("eyJ", "eyj", 1), "its header is wrong"),
        (format!("{}*", good()), "its signature is no base64url"),
        (none, "its header says \"none\""),
        (other, "its header says \"EdDSA\" and \"JWT\""),
        (critical, "its header is wrong: unknown field `crit`"),
    ] {
        let told = refused(&text);
        assert!(told.contains(says), "{says:?} is not in {told:?}");
        assert!(
            told.starts_with("this licence can't be read: ") && told.ends_with("from BEGIN to END"),
            "{told}"
        );
    }
}

#[test]
fn p15_what_is_signed_and_not_understood_is_not_guessed_at() {
    let change = |field: &str, value: Value| {
        let mut changed = payload("GL-1", 2, 1, YEAR);
        changed[field] = value;
        acme().sign(&changed)
    };
    let header = json!({"alg": "EdDSA", "kid": "acme", "typ": "gantry-licence"});
    for (text, says) in [
        (change("only_on_sundays", json!(true)), "unknown field `only_on_sundays`"),
        (change("counts", json!({"calls": 2, "fax": 1})), "unknown field `fax`"),
        (change("counts", json!({})), "counts must give calls or gateway-tokens"),
        (change("counts", json!({"calls": 1_000_001})), "at most 1000000"),
        (change("counts", json!({"calls": -1})), "invalid value"),
        (change("counts", json!({"calls": 4_294_967_296_u64})), "invalid value"),
        (change("not_before", json!("2027-01-01")), "not_after is before not_before"),
        (change("not_after", json!("2026-12-31T23:59:59Z")), "must be days"),
        (change("not_after", json!("2026-02-30")), "must be days"),
        (change("id", json!("")), "id, holder and serial must have 1 to 128"),
        (change("holder", json!("a\nb")), "id, holder and serial must have 1 to 128"),
        (acme().sign_with(&header, b"[]"), "invalid length"),
        (acme().sign_with(&header, b"{\"id\":\"a\",\"id\":\"b\"}"), "duplicate field `id`"),
    ] {
        let told = refused(&text);
        assert!(told.contains(says), "{says:?} is not in {told:?}");
        assert!(told.starts_with("licence is signed, but not one that this release understands: "), "{told}");
    }
}

#[test]
fn a_vendor_key_is_a_name_and_32_bytes() {
    let message = |text: &str| VendorKey::parse(text).unwrap_err().to_string();
    assert!(message("AAAA").starts_with("has no name"));
    assert!(message(":AAAA").starts_with("has no name"));
    assert!(message("acme:AAAA").starts_with("\"acme\" is followed by no Ed25519 key"));
    assert_eq!(acme().key().name(), "acme");
}

proptest! {
    #[test]
    fn no_text_makes_reading_panic_and_none_is_a_licence(text in "\\PC{0,200}") {
        prop_assert!(read(&text).is_err());
    }

    #[test]
    fn one_changed_character_is_never_a_licence(at in 0_usize..400, to in "[A-Za-z0-9_.-]") {
        let file = good();
        let at = at % file.len();
        let changed = format!("{}{to}{}", &file[..at], &file[at + 1..]);
        // The last character of a part may have bits that mean nothing; strict base64 refuses those too.
        prop_assert_eq!(read(&changed).is_ok(), changed == file);
    }
}
