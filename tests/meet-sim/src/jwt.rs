//! The gateway's JWT, checked: section 2 of the `interop` protocol (RFC 7519).

use anyhow::{Context, Result, ensure};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// Longest life of a token, in seconds.
const LIFE: u64 = 300;
/// Clock error allowed, in seconds.
const LEEWAY: u64 = 60;

/// Checks tokens against one public key and remembers which came before.
pub struct Verifier {
    key: DecodingKey,
    algorithm: Algorithm,
    seen: BTreeMap<String, u64>,
}

/// What a token must be about.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Host, and port if it is not 443, that the request was sent to.
    pub host: &'a str,
    /// The meeting in the URL.
    pub meeting: &'a str,
    /// The call in the body.
    pub call_id: &'a str,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claims {
    iss: String,
    sub: String,
    iat: u64,
    exp: u64,
    jti: String,
    meeting: String,
    call_id: String,
}

impl Verifier {
    /// A verifier for the gateway whose public key is `pem`, EC P-256 or RSA.
    ///
    /// # Errors
    /// If it is neither.
    pub fn new(pem: &str) -> Result<Self> {
        let ec = DecodingKey::from_ec_pem(pem.as_bytes()).map(|key| (key, Algorithm::ES256));
        let rsa = || DecodingKey::from_rsa_pem(pem.as_bytes()).map(|key| (key, Algorithm::RS256));
        let (key, algorithm) =
            ec.or_else(|_| rsa()).context("gateway key is no EC or RSA public key in PEM")?;
        Ok(Self { key, algorithm, seen: BTreeMap::new() })
    }

    /// Checks `token`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&mut self, token: &str, expected: Expected<'_>) -> Result<()> {
        let header = decode_header(token).context("it is no JWT")?;
        ensure!(header.typ.as_deref() == Some("JWT"), "its typ is {:?}, not JWT", header.typ);
        let mut validation = Validation::new(self.algorithm);
        validation.leeway = LEEWAY;
        validation.set_audience(&[format!("https://{}/interop/v1", expected.host)]);
        validation.set_required_spec_claims(&["exp", "aud"]);
        let claims = decode::<Claims>(token, &self.key, &validation).context("it is refused")?.claims;
        let now =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        ensure!(claims.iss == claims.sub, "iss {:?} is not sub {:?}", claims.iss, claims.sub);
        ensure!(claims.iat <= now + LEEWAY, "it was made in the future");
        ensure!(claims.exp.saturating_sub(claims.iat) <= LIFE, "it lives longer than {LIFE} s");
        ensure!(claims.meeting == expected.meeting, "it is for meeting {:?}", claims.meeting);
        ensure!(claims.call_id == expected.call_id, "it is for call {:?}", claims.call_id);
        ensure!(claims.jti.len() >= 32, "its jti holds less than 128 bits");
        self.seen.retain(|_, exp| *exp + LEEWAY >= now);
        ensure!(self.seen.insert(claims.jti, claims.exp).is_none(), "it was used before");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::{Value, json};

    const EXPECTED: Expected<'_> = Expected { host: "127.0.0.1:8443", meeting: "123", call_id: "call-7" };

    fn claims() -> Value {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        json!({
            "iss": "gateway", "sub": "gateway", "aud": "https://127.0.0.1:8443/interop/v1", "iat": now, "exp": now + 60,
            "jti": "0123456789abcdef0123456789abcdef", "meeting": "123", "callId": "call-7",
        })
    }

    fn verifier() -> (Verifier, EncodingKey) {
        let key = rcgen::KeyPair::generate().unwrap();
        let signing = EncodingKey::from_ec_pem(key.serialize_pem().as_bytes()).unwrap();
        (Verifier::new(&key.public_key_pem()).unwrap(), signing)
    }

    fn signed(claims: &Value, key: &EncodingKey) -> String {
        encode(&Header::new(Algorithm::ES256), claims, key).unwrap()
    }

    #[test]
    fn a_good_token_is_taken_once() {
        let (mut verifier, key) = verifier();
        let token = signed(&claims(), &key);
        verifier.check(&token, EXPECTED).unwrap();
        let again = verifier.check(&token, EXPECTED).unwrap_err();
        assert_eq!(again.to_string(), "it was used before");
    }

    #[test]
    fn each_claim_is_checked() {
        let (mut verifier, key) = verifier();
        for (claim, value) in [
            ("aud", json!("https://elsewhere/interop/v1")),
            ("sub", json!("another")),
            ("exp", json!(1)),
            ("exp", json!(u32::MAX)),
            ("iat", json!(u32::MAX - 10)),
            ("jti", json!("1")),
            ("meeting", json!("124")),
            ("callId", json!("call-8")),
        ] {
            let mut claims = claims();
            claims[claim] = value;
            assert!(verifier.check(&signed(&claims, &key), EXPECTED).is_err(), "{claims}");
        }
    }

    #[test]
    fn another_key_or_another_algorithm_is_refused() {
        let (mut verifier, _) = verifier();
        let other =
            EncodingKey::from_ec_pem(rcgen::KeyPair::generate().unwrap().serialize_pem().as_bytes()).unwrap();
        assert!(verifier.check(&signed(&claims(), &other), EXPECTED).is_err());
        let secret = EncodingKey::from_secret(b"secret");
        let token = encode(&Header::new(Algorithm::HS256), &claims(), &secret).unwrap();
        assert!(verifier.check(&token, EXPECTED).is_err());
        assert!(verifier.check("e30.e30.", EXPECTED).is_err());
    }
}
