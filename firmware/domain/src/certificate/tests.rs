//! Uploads, good and bad, and what an administrator is told of each.

mod pki;

use super::*;
use crate::appliance::instant::UnixTime;
use pki::{DOMAIN, NOW, Party, Pki, authority, leaf, params, self_signed, signed, with_uris};
use proptest::prelude::*;
use rcgen::{BasicConstraints, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd};

const SHA_1: &str = include_str!("fixtures/sha-1.pem");
const SHA_1_DER: &[u8] = include_bytes!("fixtures/sha-1.der");

fn check_at(upload: &[u8], key: &KeyId, domains: &[&str], now: UnixTime) -> Result<CheckedChain, Refused> {
    let domains: Vec<_> = domains.iter().map(|domain| (*domain).to_owned()).collect();
    let keys = [KeyId::of(b"another key of the box"), key.clone()];
    check(upload, &Expected { keys: &keys, purpose: Purpose::Domains(&domains), now })
}

fn checked(upload: &str, party: &Party) -> CheckedChain {
    check_at(upload.as_bytes(), &party.key_id(), &[DOMAIN], NOW).unwrap_or_else(|refused| panic!("{refused}"))
}

fn refused_for(upload: &[u8], key: &KeyId) -> Vec<Problem> {
    check_at(upload, key, &[DOMAIN], NOW).expect_err("it is no good").problems
}

fn refused(upload: impl AsRef<[u8]>, party: &Party) -> Vec<Problem> {
    refused_for(upload.as_ref(), &party.key_id())
}

fn codes(problems: &[Problem]) -> Vec<&'static str> {
    problems.iter().map(Problem::code).collect()
}

fn warnings(checked: &CheckedChain) -> Vec<&'static str> {
    checked.warnings().iter().map(Warning::code).collect()
}

/// K2
#[test]
fn a_good_chain_is_taken_whatever_its_order_and_shown_leaf_first_without_its_root() {
    let Pki { root, intermediate, leaf } = Pki::new();
    let parts = [leaf.pem(), intermediate.pem(), root.pem()];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let upload: String = order.iter().map(|at| parts[*at].as_str()).collect();
        let checked = checked(&upload, &leaf);
        let wanted = [leaf.certificate.der().to_vec(), intermediate.certificate.der().to_vec()];
        assert_eq!(checked.chain().certificates(), wanted);
        assert_eq!((warnings(&checked), checked.chain().key()), (vec![], &leaf.key_id()));
    }
}

/// K2
#[test]
fn a_chain_is_recognised_by_its_key_whichever_of_the_boxs_keys_that_is() {
    let (pki, other) = (Pki::new(), KeyId::of(b"other"));
    for keys in [[pki.leaf.key_id(), other.clone()], [other.clone(), pki.leaf.key_id()]] {
        let expected = Expected { keys: &keys, purpose: Purpose::Domains(&[]), now: NOW };
        let checked = check(pki.chain().as_bytes(), &expected).unwrap();
        assert_eq!(checked.chain().key(), &pki.leaf.key_id());
    }
}

#[test]
fn what_people_are_told_of_a_chain_is_what_it_says() {
    let mut params = with_uris(leaf(&[DOMAIN, "192.0.2.1"]), &["sip:meet.example.com"]);
    params.serial_number = Some(vec![0x01, 0xfe].into());
    let pki = Pki::with(params);
    let checked = checked(&pki.chain(), &pki.leaf);
    let leaf = checked.chain().leaf();
    assert_eq!((leaf.subject.as_str(), leaf.issuer.as_str()), ("CN=meet.example.com", "CN=intermediate"));
    assert_eq!(leaf.names, ["meet.example.com", "192.0.2.1", "sip:meet.example.com"]);
    assert_eq!((&leaf.key, leaf.signature.as_str()), (&KeyAlgorithm::P256, "ECDSA with SHA-256"));
    assert_eq!(leaf.not_after.to_string(), "2028-12-31T00:00:00Z");
    assert_eq!((leaf.serial.as_str(), leaf.fingerprint.len()), ("01:FE", 32 * 3 - 1));
    assert_eq!(checked.chain().expiry(NOW).days_left(), 565);
    let shown = serde_json::to_value(&checked).unwrap();
    assert_eq!(shown["chain"]["certificates"][1]["subject"], "CN=intermediate");
    assert_eq!(shown["chain"]["certificates"][0]["key"], "ECDSA P-256");
    assert_eq!(shown["chain"]["not_after"], "2028-12-31T00:00:00Z");
}

#[test]
fn a_kept_chain_is_read_again_as_it_was() {
    let pki = Pki::new();
    let chain = checked(&pki.chain(), &pki.leaf).chain().clone();
    assert_eq!(Chain::read_kept(chain.pem().as_bytes()).unwrap(), chain);
    assert!(chain.pem().lines().all(|line| line.len() <= 64));
    let damaged = chain.pem().replacen("MII", "MIJ", 1);
    assert_eq!(codes(&Chain::read_kept(damaged.as_bytes()).unwrap_err().problems), ["damaged"]);
    assert_eq!(codes(&Chain::read_kept(b"").unwrap_err().problems), ["empty"]);
}

/// K2, P3
#[test]
fn what_is_no_certificate_is_refused_by_its_name() {
    let pki = Pki::new();
    let request = leaf(&[DOMAIN]).serialize_request(&pki.leaf.key).unwrap().pem().unwrap();
    let rsa = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    for (upload, code, word) in [
        (&b""[..], "empty", "is empty"),
        (b" \n\t", "empty", "is empty"),
        (b"hello", "no-certificate", "is no certificate"),
        (b"\x30\x03abc", "no-certificate", "is no certificate"),
        (request.as_bytes(), "request", "certificate request (CSR)"),
        (include_bytes!("fixtures/request.der"), "request", "certificate request (CSR)"),
        (pki.leaf.key.serialize_pem().as_bytes(), "private-key", "holds a private key"),
        (&pki.leaf.key.serialize_der(), "private-key", "holds a private key"),
        (&rsa.serialize_der(), "private-key", "holds a private key"),
        (include_bytes!("fixtures/chain.p7b"), "pkcs7", "PKCS #7"),
        (include_bytes!("fixtures/chain-der.p7b"), "pkcs7", "PKCS #7"),
        (include_bytes!("fixtures/bundle.p12"), "pkcs12", "PKCS #12"),
        (b"-----BEGIN X509 CRL-----\nAA==\n-----END X509 CRL-----\n", "block", "\"X509 CRL\""),
    ] {
        let problems = refused(upload, &pki.leaf);
        assert_eq!(codes(&problems), [code]);
        assert!(problems[0].to_string().contains(word), "{}", problems[0]);
    }
}

/// K2
#[test]
fn a_key_beside_a_good_chain_is_refused_and_is_in_no_sentence() {
    let pki = Pki::new();
    let key = pki.leaf.key.serialize_pem();
    let problems = refused(pki.chain() + &key, &pki.leaf);
    assert_eq!(codes(&problems), ["private-key"]);
    let secret = key.lines().nth(1).unwrap();
    assert!(!format!("{problems:?} {}", problems[0]).contains(secret));
}

#[test]
fn uploads_that_are_too_large_or_too_many_are_refused_unread() {
    let pki = Pki::new();
    let large = pki.chain() + &" ".repeat(UPLOAD_BYTES);
    assert_eq!(codes(&refused(large, &pki.leaf)), ["too-large"]);
    let just = pki.chain();
    let just = just.clone() + &" ".repeat(UPLOAD_BYTES - just.len());
    checked(&just, &pki.leaf);
    let others: String = (0..9).map(|n| self_signed(authority(&n.to_string())).pem()).collect();
    assert_eq!(codes(&refused(pki.chain() + &others, &pki.leaf)), ["too-many"]);
}

#[test]
fn a_damaged_block_is_named_by_its_place() {
    let pki = Pki::new();
    for (wrong, why) in [
        (pki.intermediate.pem().replace("-----END", "-----EN"), "its line END is missing"),
        (pki.intermediate.pem().replace("END CERT", "END CRET"), "do not say the same"),
        (pki.intermediate.pem().replacen("MII", "M*I", 1), "no base64"),
        (pki.intermediate.pem().replacen("MII", "MIJ", 1), "no X.509 certificate"),
    ] {
        let problems = refused(pki.leaf.pem() + &wrong, &pki.leaf);
        let told = problems[0].to_string();
        assert!(told.starts_with("certificate 2 is damaged: ") && told.contains(why), "{told}");
    }
}

/// K2
#[test]
fn a_chain_for_another_key_is_refused_and_what_else_is_wrong_is_told_as_well() {
    let mut params = leaf(&["other.example.com"]);
    params.not_after = date_time_ymd(2027, 2, 1);
    let (pki, stranger) = (Pki::with(params), Pki::new());
    let problems = refused(pki.chain(), &stranger.leaf);
    assert_eq!(codes(&problems), ["not-our-key", "expired", "not-named"]);
    let told = Refused { problems }.to_string();
    assert!(told.contains("expired at 2027-02-01T00:00:00Z, and it is 2027-06-15T00:00:00Z"), "{told}");
    assert!(told.contains("not issued for meet.example.com, but for other.example.com"), "{told}");
}

/// K2
#[test]
fn each_domain_must_be_named_and_a_wildcard_names_none_in_sip() {
    type Texts = &'static [&'static str];
    let cases: [(Texts, Texts, Texts, Texts); 7] = [
        (&["meet.example.com", "a.example.com"], &[], &[], &[]),
        (&["meet.example.com"], &[], &["not-named"], &[]),
        (&["*.example.com"], &[], &["only-by-wildcard", "only-by-wildcard"], &[]),
        (&["*.example.com", "meet.example.com"], &[], &["only-by-wildcard"], &[]),
        (&["meet.example.com", "a.example.com"], &["sip:meet.example.com"], &["not-for-sip"], &[]),
        (&["meet.example.com"], &["sip:meet.example.com", "sip:a.example.com"], &[], &["not-for-browsers"]),
        (&[], &[], &["no-names", "no-names"], &[]),
    ];
    for (dns, uris, problems, told) in cases {
        let pki = Pki::with(with_uris(leaf(dns), uris));
        let key = pki.leaf.key_id();
        match check_at(pki.chain().as_bytes(), &key, &["meet.example.com", "a.example.com"], NOW) {
            Ok(checked) => assert_eq!((problems, warnings(&checked).as_slice()), (&[][..], told), "{dns:?}"),
            Err(refused) => assert_eq!(codes(&refused.problems), problems, "{dns:?}"),
        }
    }
}

/// K2
#[test]
fn dates_count_for_every_certificate_to_the_second() {
    let Pki { root, leaf: own, .. } = Pki::new();
    let mut early = authority("intermediate");
    early.not_after = date_time_ymd(2027, 12, 31);
    let intermediate = signed(early, &root);
    let own = signed(leaf(&[DOMAIN]), &intermediate).pem() + &intermediate.pem() + &own.pem();
    let key = |at: &str| {
        let chain = Chain::read_kept(at.as_bytes()).unwrap();
        (chain.key().clone(), chain.not_after())
    };
    let ((key, _), (_, end)) = (key(&own), key(&intermediate.pem()));
    let at = |now: UnixTime| check_at(own.as_bytes(), &key, &[DOMAIN], now);
    let begin = UnixTime(1_798_761_600);
    assert_eq!(codes(&at(UnixTime(begin.0 - 1)).unwrap_err().problems), ["not-yet-valid", "not-yet-valid"]);
    let good = at(begin).unwrap();
    assert_eq!(good.chain().not_after(), end, "the first to expire ends the chain");
    assert_eq!(warnings(&at(end).unwrap()), ["stray", "expires-soon"]);
    let over = at(UnixTime(end.0 + 1)).unwrap_err();
    assert_eq!(codes(&over.problems), ["expired"]);
    assert!(over.to_string().starts_with("certificate 2 (\"CN=intermediate\") has expired"), "{over}");
}

/// K2
#[test]
fn whoever_did_not_sign_is_no_issuer() {
    let pki = Pki::new();
    let impostor = signed(authority("intermediate"), &pki.root);
    assert_eq!(codes(&refused(pki.leaf.pem() + &impostor.pem(), &pki.leaf)), ["bad-signature"]);
    // Beside the true one the impostor is only left out.
    let both = checked(&(pki.leaf.pem() + &impostor.pem() + &pki.intermediate.pem()), &pki.leaf);
    assert_eq!(warnings(&both), ["stray"]);
    let other = self_signed(authority("other"));
    let broken = refused(pki.leaf.pem() + &other.pem(), &pki.leaf);
    assert_eq!(codes(&broken), ["broken"]);
    assert!(broken[0].to_string().contains("issued by \"CN=intermediate\""), "{}", broken[0]);
}

/// K2
#[test]
fn a_certificate_whose_contents_were_changed_is_refused() {
    let pki = Pki::new();
    let mut der = pki.leaf.certificate.der().to_vec();
    let at = der.windows(12).position(|part| part == b"intermediate").unwrap();
    der[at - 40] ^= 1;
    // The serial number or what is beside it has changed; its name and key have not.
    let mut upload = String::from("-----BEGIN CERTIFICATE-----\n");
    upload += &base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der);
    upload += "\n-----END CERTIFICATE-----\n";
    let problems = refused(upload + &pki.intermediate.pem(), &pki.leaf);
    assert!(matches!(codes(&problems)[..], ["bad-signature"] | ["damaged"]), "{problems:?}");
}

#[test]
fn only_an_authority_may_have_signed_and_no_more_of_them_than_the_one_above_allows() {
    let root = self_signed(authority("root"));
    let mut no_authority = authority("intermediate");
    no_authority.is_ca = IsCa::ExplicitNoCa;
    let mut no_signer = authority("intermediate");
    no_signer.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    for wrong in [no_authority, no_signer] {
        let intermediate = signed(wrong, &root);
        let own = signed(leaf(&[DOMAIN]), &intermediate);
        assert_eq!(codes(&refused(own.pem() + &intermediate.pem(), &own)), ["not-authority"]);
    }
    let mut shallow = authority("shallow");
    shallow.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let upper = signed(shallow, &root);
    let lower = signed(authority("lower"), &upper);
    let own = signed(leaf(&[DOMAIN]), &lower);
    assert_eq!(codes(&refused(own.pem() + &lower.pem() + &upper.pem(), &own)), ["too-deep"]);
    let own = signed(leaf(&[DOMAIN]), &upper);
    checked(&(own.pem() + &upper.pem()), &own);
}

/// K2
#[test]
fn a_certificate_must_be_for_servers_and_should_be_for_clients() {
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, ServerAuth};
    let with = |usages: &[ExtendedKeyUsagePurpose], key: &[KeyUsagePurpose]| {
        let mut params = leaf(&[DOMAIN]);
        (params.extended_key_usages, params.key_usages) = (usages.to_vec(), key.to_vec());
        let pki = Pki::with(params);
        check_at(pki.chain().as_bytes(), &pki.leaf.key_id(), &[DOMAIN], NOW)
            .map(|checked| warnings(&checked))
            .map_err(|refused| codes(&refused.problems))
    };
    assert_eq!(with(&[ServerAuth, ClientAuth], &[]), Ok(vec![]));
    assert_eq!(with(&[], &[]), Ok(vec![]), "without the extension it is for all");
    assert_eq!(with(&[Any], &[]), Ok(vec![]));
    assert_eq!(with(&[ServerAuth], &[]), Ok(vec!["not-for-clients"]));
    assert_eq!(with(&[ClientAuth], &[]), Err(vec!["not-for-servers"]));
    assert_eq!(
        with(&[ServerAuth, ClientAuth], &[KeyUsagePurpose::KeyEncipherment]),
        Err(vec!["not-for-signatures"])
    );
}

#[test]
fn a_leaf_alone_is_taken_with_a_warning() {
    let pki = Pki::new();
    let alone = checked(&pki.leaf.pem(), &pki.leaf);
    assert_eq!(warnings(&alone), ["missing-intermediate"]);
    let own = self_signed(leaf(&[DOMAIN]));
    assert_eq!(warnings(&checked(&own.pem(), &own)), ["self-signed"]);
    let mut params = leaf(&[DOMAIN]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let own = self_signed(params);
    let checked = checked(&own.pem(), &own);
    assert_eq!(warnings(&checked), ["self-signed", "authority"]);
    assert_eq!(checked.chain().certificates().len(), 1, "a self-signed leaf is no root to be left out");
    let der = check_at(pki.leaf.certificate.der(), &pki.leaf.key_id(), &[DOMAIN], NOW).unwrap();
    assert_eq!(der.chain(), alone.chain(), "one certificate in DER will do");
}

/// K2
#[test]
fn weak_keys_and_weak_signatures_are_refused() {
    for (pem, code, word) in [
        (include_str!("fixtures/rsa-1024.pem"), "weak-key", "RSA 1024"),
        (include_str!("fixtures/p-521.pem"), "weak-key", "of the kind 1.3.132.0.35"),
        (SHA_1, "weak-signature", "RSA with SHA-1"),
    ] {
        let key = Chain::read_kept(pem.as_bytes()).unwrap().key().clone();
        let problems = refused_for(pem.as_bytes(), &key);
        assert_eq!(codes(&problems), [code]);
        assert!(problems[0].to_string().contains(word), "{}", problems[0]);
    }
    let key = Chain::read_kept(SHA_1.as_bytes()).unwrap().key().clone();
    assert_eq!(codes(&refused_for(SHA_1_DER, &key)), ["weak-signature"]);
}

/// P3
#[test]
fn a_gateway_token_needs_a_name_and_no_domain() {
    let of = |mut params: rcgen::CertificateParams, name: &str| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        if !name.is_empty() {
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
        }
        let pki = Pki::with(params);
        let keys = [pki.leaf.key_id()];
        let expected = Expected { keys: &keys, purpose: Purpose::GatewayToken, now: NOW };
        check(pki.chain().as_bytes(), &expected)
            .map(|checked| checked.chain().common_name().map(str::to_owned))
    };
    assert_eq!(of(params("x", &[]), "gateway-1"), Ok(Some("gateway-1".to_owned())));
    assert_eq!(codes(&of(params("x", &[]), "").unwrap_err().problems), ["no-common-name"]);
}

fn upload() -> impl Strategy<Value = Vec<u8>> {
    let pki = Pki::new();
    let good = (pki.chain() + &pki.root.pem()).into_bytes();
    let der = pki.leaf.certificate.der().to_vec();
    let mangled = |good: Vec<u8>| {
        (
            Just(good),
            prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            any::<prop::sample::Index>(),
        )
            .prop_map(|(mut good, changes, end)| {
                for (at, byte) in changes {
                    let at = at.index(good.len());
                    good[at] = byte;
                }
                good.truncate(end.index(good.len()) + 1);
                good
            })
    };
    prop_oneof![mangled(good), mangled(der), prop::collection::vec(any::<u8>(), 0..512)]
}

proptest! {
    #[test]
    fn whatever_is_uploaded_there_is_an_answer(upload in upload()) {
        let keys = [];
        let domains = [DOMAIN.to_owned()];
        let expected = Expected { keys: &keys, purpose: Purpose::Domains(&domains), now: NOW };
        let refused = check(&upload, &expected).expect_err("it is for no key");
        prop_assert!(!refused.problems.is_empty());
        for problem in refused.problems {
            let told = problem.to_string();
            prop_assert!(!told.ends_with('.') && told.chars().all(|c| !c.is_control()), "{}", told);
        }
    }
}
