//! A gateway token's life: asked for, signed, held, renewed, taken out.

use super::*;
use crate::net::testing::Authority;
use domain::certificate::KeyKind;
use domain::certificate::request::{Draft, SubjectDraft, Usage};
use tempfile::TempDir;

const NOW: UnixTime = UnixTime(1_813_017_600);

struct Bench {
    authority: Authority,
    folder: TempDir,
}

impl Bench {
    fn open(&self) -> (TokenHolder, HeldToken) {
        let (held, folder) = (HeldToken::default(), self.folder.path());
        let data_key = Arc::new(DataKey::load(&folder.join("data.key")).expect("a data key"));
        let holder = TokenHolder::open(&folder.join("gateway-token"), data_key, held.clone());
        (holder.expect("a holder"), held)
    }
}

fn bench() -> Bench {
    Bench { authority: Authority::new(), folder: tempfile::tempdir().expect("a folder") }
}

fn request(name: &str, kind: KeyKind) -> CsrRequest {
    let subject = SubjectDraft { common_name: name.to_owned(), ..SubjectDraft::default() };
    let draft = Draft { names: vec![], key: Some(kind), subject };
    CsrRequest::new(&draft, Usage::GatewayToken).expect("a good request")
}

/// Who signs, as it prints itself.
fn signer(held: &HeldToken) -> String {
    format!("{:?}", held.current())
}

/// P3
#[test]
fn a_request_is_signed_and_the_token_that_comes_back_signs_joins_after_a_restart_too() {
    for (kind, algorithm) in [(KeyKind::EcdsaP256, "ES256"), (KeyKind::Rsa2048, "RS256")] {
        let bench = bench();
        let (mut holder, held) = bench.open();
        let asked = holder.request(&request("gateway-1", kind)).expect("a request");
        assert!(held.current().is_none() && asked.contains("BEGIN CERTIFICATE REQUEST"));
        holder.upload(bench.authority.sign(&asked).as_bytes(), NOW).expect("a good token");
        for held in [held, bench.open().1] {
            let signer = signer(&held);
            assert!(signer.contains("gateway-1") && signer.contains(algorithm), "{signer}");
            assert!(signer.contains("certificates: 1"), "{signer}");
        }
    }
}

/// P3
#[test]
fn asking_again_before_the_token_came_asks_with_the_same_key() {
    let bench = bench();
    let (mut holder, _held) = bench.open();
    let first = holder.request(&request("gateway-1", KeyKind::EcdsaP256)).expect("a request");
    holder.request(&request("gateway-1", KeyKind::EcdsaP256)).expect("a request");
    holder.upload(bench.authority.sign(&first).as_bytes(), NOW).expect("the first one's token is good");
}

/// P3
#[test]
fn a_request_uploaded_for_a_token_is_refused_by_name_and_the_token_stays() {
    let bench = bench();
    let (mut holder, held) = bench.open();
    let asked = holder.request(&request("gateway-1", KeyKind::EcdsaP256)).expect("a request");
    holder.upload(bench.authority.sign(&asked).as_bytes(), NOW).expect("a good token");
    let renewal = holder.request(&request("gateway-2", KeyKind::EcdsaP256)).expect("a request");
    let refused = holder.upload(renewal.as_bytes(), NOW).expect_err("a request").to_string();
    assert!(refused.contains("certificate request (CSR)"), "{refused}");
    assert!(signer(&held).contains("gateway-1"));
}

/// P3
#[test]
fn only_one_token_is_held_and_a_new_one_signs_from_the_next_join_on() {
    let bench = bench();
    let (mut holder, held) = bench.open();
    for name in ["gateway-1", "gateway-2"] {
        let asked = holder.request(&request(name, KeyKind::EcdsaP256)).expect("a request");
        holder.upload(bench.authority.sign(&asked).as_bytes(), NOW).expect("a good token");
        assert!(signer(&held).contains(name));
    }
    let status = serde_json::to_value(holder.status(NOW)).expect("an object");
    assert_eq!(status["current"]["chain"]["certificates"][0]["subject"], "CN=gateway-2");
    holder.remove().expect("taken out");
    assert!(held.current().is_none() && bench.open().1.current().is_none());
    assert!(holder.status(NOW).current.is_none());
}

/// P3
#[test]
fn a_token_for_another_boxs_key_is_refused() {
    let (bench, other) = (bench(), bench());
    let (mut holder, held) = bench.open();
    holder.request(&request("gateway-1", KeyKind::EcdsaP256)).expect("a request");
    let theirs = other.open().0.request(&request("gateway-1", KeyKind::EcdsaP256)).expect("a request");
    let refused = holder.upload(bench.authority.sign(&theirs).as_bytes(), NOW).expect_err("not ours");
    assert!(refused.to_string().contains("no certificate of the upload belongs to a key of this box"));
    holder.discard_request().expect("given up");
    assert!(held.current().is_none());
}
