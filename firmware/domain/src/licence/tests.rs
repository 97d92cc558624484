//! Licences as P15 wants them.

mod files;
mod held;
mod model;

use super::*;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

const SERIAL: &str = "GB-0001";

/// Who signs licences.
struct Vendor {
    name: &'static str,
    pair: Ed25519KeyPair,
}

impl Vendor {
    fn new(name: &'static str, seed: u8) -> Self {
        Self { name, pair: Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap() }
    }

    fn key(&self) -> VendorKey {
        let key = STANDARD.encode(self.pair.public_key().as_ref());
        VendorKey::parse(&format!("{}:{key}", self.name)).unwrap()
    }

    fn sign(&self, payload: &Value) -> String {
        let header = json!({"alg": "EdDSA", "kid": self.name, "typ": "gantry-licence"});
        self.sign_with(&header, payload.to_string().as_bytes())
    }

    fn sign_with(&self, header: &Value, payload: &[u8]) -> String {
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload));
        let signature = URL_SAFE_NO_PAD.encode(self.pair.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

fn acme() -> Vendor {
    Vendor::new("acme", 7)
}

fn payload(id: &str, calls: u32, tokens: u32, days: (&str, &str)) -> Value {
    json!({
        "id": id, "holder": "Example Ltd", "counts": {"calls": calls, "gateway-tokens": tokens},
        "not_before": days.0, "not_after": days.1,
    })
}

fn on(day: &str) -> UnixTime {
    UnixTime::parse(day).unwrap()
}

fn licences() -> Licences {
    Licences::new(vec![acme().key()], Some(SERIAL.to_owned()))
}

#[test]
fn p15_licences_add_up_each_from_its_first_day_to_the_end_of_its_last() {
    let mut licences = licences();
    let year = ("2026-01-01", "2026-12-31");
    licences.add(&acme().sign(&payload("a", 20, 1, year)), on("2026-06-01")).unwrap();
    licences.add(&acme().sign(&payload("b", 4, 0, ("2026-07-01", "2026-07-31"))), on("2026-06-01")).unwrap();
    let at = |moment: &str| {
        let entitlement = licences.entitlement(UnixTime::parse(moment).unwrap());
        let until = entitlement.until.map(|until| until.to_string()).unwrap_or_default();
        (entitlement.calls, entitlement.gateway_tokens, until)
    };
    let of = |calls, tokens, until: &str| (Allowance::Of(calls), Allowance::Of(tokens), until.to_owned());
    assert_eq!(at("2025-12-31T23:59:59Z"), of(0, 0, "2026-01-01T00:00:00Z"));
    assert_eq!(at("2026-01-01T00:00:00Z"), of(20, 1, "2026-07-01T00:00:00Z"));
    assert_eq!(at("2026-07-01T00:00:00Z"), of(24, 1, "2026-08-01T00:00:00Z"));
    assert_eq!(at("2026-07-31T23:59:59Z"), of(24, 1, "2026-08-01T00:00:00Z"));
    assert_eq!(at("2026-08-01T00:00:00Z"), of(20, 1, "2027-01-01T00:00:00Z"));
    assert_eq!(at("2027-01-01T00:00:00Z"), of(0, 0, ""));
}

#[test]
fn p15_a_box_that_knows_no_vendor_is_not_metered_and_one_that_does_carries_nothing_without_a_licence() {
    let now = on("2026-06-01");
    let open = Licences::unmetered().entitlement(now);
    assert_eq!((open.calls, open.gateway_tokens), (Allowance::Unmetered, Allowance::Unmetered));
    let shut = licences().entitlement(now);
    assert_eq!((shut.calls, shut.gateway_tokens), (Allowance::Of(0), Allowance::Of(0)));
    assert!(Seats::default().take(base::ids::CallId(1), shut.calls, |_| ()).is_err());
}

#[test]
fn p15_a_gateway_token_licence_sets_how_many_access_tokens_may_exist() {
    let mut licences = licences();
    licences.add(&acme().sign(&payload("a", 0, 2, ("2026-01-01", "2026-12-31"))), on("2026-06-01")).unwrap();
    let entitlement = licences.entitlement(on("2026-06-01"));
    assert_eq!(entitlement.check_tokens(2), Ok(()));
    assert_eq!(
        entitlement.check_tokens(3).unwrap_err().to_string(),
        "3 access tokens are more than the 2 that gateway-token licences allow; remove one or add a licence"
    );
    assert_eq!(Licences::unmetered().entitlement(on("2026-06-01")).check_tokens(u32::MAX), Ok(()));
}

#[test]
fn p15_licences_that_end_soon_are_known_beforehand() {
    let mut licences = licences();
    for (id, last) in [("soon", "2026-06-30"), ("later", "2026-07-02")] {
        licences.add(&acme().sign(&payload(id, 2, 0, ("2026-01-01", last))), on("2026-02-01")).unwrap();
    }
    let ending = |now: &str| licences.ending(on(now)).map(|l| l.id().to_owned()).collect::<Vec<_>>();
    assert_eq!(ending("2026-05-31"), [""; 0]);
    assert_eq!(ending("2026-06-01"), ["soon"]);
    assert_eq!(ending("2026-07-01"), ["later"]);
}

#[test]
fn a_licence_that_is_removed_counts_no_more_and_may_come_again() {
    let mut licences = licences();
    let (file, now) = (acme().sign(&payload("a", 2, 0, ("2026-01-01", "2026-12-31"))), on("2026-06-01"));
    let kept = licences.add(&file, now).unwrap().compact().to_owned();
    assert_eq!(licences.add(&file, now), Err(LicenceError::SameId("a".into())));
    assert_eq!(licences.remove("a").map(|licence| licence.calls()), Some(2));
    assert_eq!(licences.remove("a"), None);
    assert_eq!(licences.entitlement(now).calls, Allowance::Of(0));
    assert_eq!(licences.add(&kept, now).map(Licence::calls), Ok(2), "what is kept can be read again");
}

#[test]
fn licences_are_bounded() {
    let mut licences = licences();
    for n in 0..=MAX_LICENCES {
        let file = acme().sign(&payload(&n.to_string(), 1, 0, ("2026-01-01", "2026-12-31")));
        let added = licences.add(&file, on("2026-06-01")).map(|_| ());
        assert_eq!(added, if n < MAX_LICENCES { Ok(()) } else { Err(LicenceError::TooMany) });
    }
}
