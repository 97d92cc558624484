//! The gateway's JWT, checked: section 2 of the `interop` protocol (RFC 7519).

use crate::authority::Authority;
use crate::config::GatewayTrust;
use anyhow::{Context, Result, ensure};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// Longest life of a token, in seconds.
const LIFE: u64 = 300;
/// Clock error allowed, in seconds.
const LEEWAY: u64 = 60;

/// Checks tokens against one public key or one authority, and remembers which came before.
pub struct Verifier {
    trust: Trust,
    seen: BTreeMap<String, u64>,
}

enum Trust {
    Key(DecodingKey, Algorithm),
    Authority(Authority),
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
    /// A verifier for those whom `trust` names.
    ///
    /// # Errors
    /// If its key is neither EC P-256 nor RSA, or its root no certificate.
    pub fn new(trust: &GatewayTrust) -> Result<Self> {
        let trust = match trust {
            GatewayTrust::Authority(pem) => Trust::Authority(Authority::new(pem)?),
            GatewayTrust::Key(pem) => {
                let ec = DecodingKey::from_ec_pem(pem.as_bytes()).map(|key| (key, Algorithm::ES256));
                let rsa = || DecodingKey::from_rsa_pem(pem.as_bytes()).map(|key| (key, Algorithm::RS256));
                let (key, algorithm) =
                    ec.or_else(|_| rsa()).context("gateway key is no EC or RSA public key in PEM")?;
                Trust::Key(key, algorithm)
            }
        };
        Ok(Self { trust, seen: BTreeMap::new() })
    }

    /// Checks `token`, and says which gateway it is by.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&mut self, token: &str, expected: Expected<'_>) -> Result<String> {
        let header = decode_header(token).context("it is no JWT")?;
        ensure!(header.typ.as_deref() == Some("JWT"), "its typ is {:?}, not JWT", header.typ);
        let (key, algorithm, name) = match &self.trust {
            Trust::Key(key, algorithm) => (key.clone(), *algorithm, None),
            Trust::Authority(authority) => {
                let leaf = authority.judge(header.x5c.as_deref().unwrap_or_default())?;
                (leaf.key, leaf.algorithm, Some(leaf.name))
            }
        };
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY;
        validation.set_audience(&[format!("https://{}/interop/v1", expected.host)]);
        validation.set_required_spec_claims(&["exp", "aud"]);
        let claims = decode::<Claims>(token, &key, &validation).context("it is refused")?.claims;
        let now =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        ensure!(claims.iss == claims.sub, "iss {:?} is not sub {:?}", claims.iss, claims.sub);
        if let Some(name) = name {
            ensure!(claims.iss == name, "iss {:?} is not the token's subject {name:?}", claims.iss);
        }
        ensure!(claims.iat <= now + LEEWAY, "it was made in the future");
        ensure!(claims.exp.saturating_sub(claims.iat) <= LIFE, "it lives longer than {LIFE} s");
        ensure!(claims.meeting == expected.meeting, "it is for meeting {:?}", claims.meeting);
        ensure!(claims.call_id == expected.call_id, "it is for call {:?}", claims.call_id);
        ensure!(claims.jti.len() >= 32, "its jti holds less than 128 bits");
        self.seen.retain(|_, exp| *exp + LEEWAY >= now);
        ensure!(self.seen.insert(claims.jti, claims.exp).is_none(), "it was used before");
        Ok(claims.iss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuer::TokenIssuer;
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
        (Verifier::new(&GatewayTrust::Key(key.public_key_pem())).unwrap(), signing)
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

    /// A gateway's token by an example issuer, and what signs with it.
    fn token(issuer: &TokenIssuer, name: &str, key: &rcgen::KeyPair) -> (EncodingKey, Header) {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let request = params.serialize_request(key).unwrap().pem().unwrap();
        let pem = issuer.sign(&request, 1).unwrap();
        let blocks = pem.split("-----BEGIN CERTIFICATE-----").skip(1);
        let body = |block: &str| block.split("-----END").next().unwrap().split_whitespace().collect();
        let mut header = Header::new(Algorithm::ES256);
        header.x5c = Some(blocks.map(body).collect());
        (EncodingKey::from_ec_pem(key.serialize_pem().as_bytes()).unwrap(), header)
    }

    #[test]
    fn with_an_authority_the_chain_decides_and_the_name_is_the_chains() {
        let (issuer, stranger) = (TokenIssuer::generate().unwrap(), TokenIssuer::generate().unwrap());
        let trust = GatewayTrust::Authority(issuer.root_pem().to_owned());
        let mut verifier = Verifier::new(&trust).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let mut try_with = |(signing, header): (EncodingKey, Header)| {
            let token = encode(&header, &claims(), &signing).unwrap();
            verifier.check(&token, EXPECTED).map_err(|error| format!("{error:#}"))
        };
        assert_eq!(try_with(token(&issuer, "gateway", &key)), Ok("gateway".to_owned()));
        assert!(
            try_with(token(&issuer, "another", &key)).unwrap_err().contains("is not the token's subject")
        );
        assert!(
            try_with(token(&stranger, "gateway", &key)).unwrap_err().contains("no authority that is known")
        );
        let (_, header) = token(&issuer, "gateway", &rcgen::KeyPair::generate().unwrap());
        let (signing, _) = token(&issuer, "gateway", &key);
        assert!(
            try_with((signing.clone(), header)).unwrap_err().contains("it is refused"),
            "another's chain"
        );
        assert!(try_with((signing, Header::new(Algorithm::ES256))).unwrap_err().contains("0 certificates"));
    }
}
