//! The gateway token: what the box proves itself by, in a JWT made for each join (PROTOCOL.md section 2, RFC 7519).

use base::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use std::fmt;
use std::time::Duration;

/// How long a JWT is good.
const LIFE: Duration = Duration::from_secs(300);
/// Most certificates in a chain.
const CHAIN: usize = 8;
/// Longest PEM text taken, in bytes.
const PEM_BYTES: usize = 64 * 1024;

/// A private key, with the name and the certificates that belong to it.
#[derive(Clone)]
pub struct GatewayToken {
    issuer: String,
    key: EncodingKey,
    algorithm: Algorithm,
    chain: Vec<String>,
}

/// Why a gateway token is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The key is neither EC nor RSA in PEM.
    #[error("gateway token: key is no P-256 or RSA private key in PEM (PKCS #8, or PKCS #1 for RSA)")]
    Key,
    /// The chain is not what it should be.
    #[error("gateway token: certificate chain is no PEM with 1 to {CHAIN} certificates, leaf first")]
    Chain,
    /// A certificate request was given for a certificate.
    #[error(
        "gateway token: this is a certificate request (CSR); give the signed certificate that came back for it"
    )]
    Request,
    /// It signs nothing.
    #[error("gateway token: key can't sign: {0}")]
    Signature(String),
}

/// What a JWT says.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Claims<'a> {
    pub iss: &'a str,
    pub aud: &'a str,
    pub sub: &'a str,
    pub iat: u64,
    pub exp: u64,
    pub jti: &'a str,
    pub meeting: &'a str,
    #[serde(rename = "callId")]
    pub call_id: &'a str,
}

/// What a JWT is made for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purpose<'a> {
    pub audience: &'a str,
    pub meeting: &'a str,
    pub call_id: &'a str,
    /// 128 random bits in hexadecimal.
    pub id: &'a str,
    /// Since 1970.
    pub now: Duration,
}

impl GatewayToken {
    /// `issuer` is the token's subject; `key_pem` holds its private key; `chain_pem` its certificates, leaf first, if it has
    /// any. Both may be the same text: each takes its own blocks of it.
    ///
    /// # Errors
    /// [`TokenError`] if one of them is not what it should be, or the key signs nothing.
    pub fn new(issuer: &str, key_pem: &Secret<String>, chain_pem: &str) -> Result<Self, TokenError> {
        let pem = private_key(key_pem.expose()).ok_or(TokenError::Key)?.as_bytes();
        let (algorithm, key) = match (EncodingKey::from_ec_pem(pem), EncodingKey::from_rsa_pem(pem)) {
            (Ok(key), _) => (Algorithm::ES256, key),
            (_, Ok(key)) => (Algorithm::RS256, key),
            _ => return Err(TokenError::Key),
        };
        let token = Self { issuer: issuer.to_owned(), key, algorithm, chain: certificates(chain_pem)? };
        let trial = Purpose { audience: "", meeting: "", call_id: "", id: "", now: Duration::ZERO };
        token.sign(&trial).map_err(|error| TokenError::Signature(error.to_string()))?;
        Ok(token)
    }

    /// A JWT for one join.
    pub(crate) fn sign(&self, purpose: &Purpose<'_>) -> Result<Secret<String>, jsonwebtoken::errors::Error> {
        let claims = Claims {
            iss: &self.issuer,
            aud: purpose.audience,
            sub: &self.issuer,
            iat: purpose.now.as_secs(),
            exp: (purpose.now + LIFE).as_secs(),
            jti: purpose.id,
            meeting: purpose.meeting,
            call_id: purpose.call_id,
        };
        let mut header = Header::new(self.algorithm);
        header.x5c = (!self.chain.is_empty()).then(|| self.chain.clone());
        jsonwebtoken::encode(&header, &claims, &self.key).map(Secret::new)
    }
}

impl fmt::Debug for GatewayToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayToken")
            .field("issuer", &self.issuer)
            .field("algorithm", &self.algorithm)
            .field("certificates", &self.chain.len())
            .finish_non_exhaustive()
    }
}

/// The block with the private key.
fn private_key(pem: &str) -> Option<&str> {
    let pem = (pem.len() <= PEM_BYTES).then_some(pem)?;
    let label = pem.find("PRIVATE KEY-----")?;
    let begin = pem.get(..label)?.rfind("-----BEGIN")?;
    let block = pem.get(begin..)?;
    let footer = block.find("-----END")?;
    let end = footer + block.get(footer..)?.find("KEY-----")? + "KEY-----".len();
    block.get(..end)
}

/// The base64 of each certificate's DER, as `x5c` wants it (RFC 7515 4.1.6): the PEM's own, on one line.
fn certificates(pem: &str) -> Result<Vec<String>, TokenError> {
    if pem.contains("CERTIFICATE REQUEST") {
        return Err(TokenError::Request);
    }
    if pem.len() > PEM_BYTES {
        return Err(TokenError::Chain);
    }
    let mut chain = Vec::new();
    for block in pem.split("-----BEGIN CERTIFICATE-----").skip(1) {
        let (body, _) = block.split_once("-----END CERTIFICATE-----").ok_or(TokenError::Chain)?;
        let body: String = body.split_whitespace().collect();
        STANDARD.decode(&body).map_err(|_| TokenError::Chain)?;
        chain.push(body);
    }
    let nonsense = !pem.trim().is_empty() && !pem.contains("-----BEGIN ");
    if nonsense || chain.len() > CHAIN { Err(TokenError::Chain) } else { Ok(chain) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use jsonwebtoken::{DecodingKey, Validation};

    /// A key made for these tests only.
    pub(crate) const KEY: &str = "-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgt6oEJrceckZO4Xet
vwyMun6OtxTOT3ntwaKu9qQ33k2hRANCAATN5yGLuD4Wa5SMZ5hYNPoqCnIaOZME
7YgqgOF01S9+F1YB2+d4NSu9DN7oGADdgoA+gz9hx0wxV7CYWrS7Sldd
-----END PRIVATE KEY-----
";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEzechi7g+FmuUjGeYWDT6KgpyGjmT
BO2IKoDhdNUvfhdWAdvneDUrvQze6BgA3YKAPoM/YcdMMVewmFq0u0pXXQ==
-----END PUBLIC KEY-----
";
    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAQID\nBAUG\n-----END CERTIFICATE-----\n";

    #[test]
    fn a_jwt_says_who_joins_what_and_lives_five_minutes() {
        let token = GatewayToken::new("gateway-1", &Secret::new(KEY.to_owned()), CERTIFICATE).unwrap();
        let purpose = Purpose {
            audience: "https://meet.example.com/interop/v1",
            meeting: "1234567890123",
            call_id: "call-7",
            id: "00ff",
            now: Duration::from_secs(1_700_000_000),
        };
        let jwt = token.sign(&purpose).unwrap();

        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&["https://meet.example.com/interop/v1"]);
        validation.validate_exp = false;
        let key = DecodingKey::from_ec_pem(PUBLIC.as_bytes()).unwrap();
        let read =
            jsonwebtoken::decode::<serde_json::Value>(jwt.expose().as_str(), &key, &validation).unwrap();
        assert_eq!(read.header.x5c, Some(vec!["AQIDBAUG".to_owned()]));
        assert_eq!(read.claims["exp"].as_u64().unwrap() - read.claims["iat"].as_u64().unwrap(), 300);
        assert_eq!((&read.claims["iss"], &read.claims["sub"]), (&"gateway-1".into(), &"gateway-1".into()));
        assert_eq!(
            (&read.claims["meeting"], &read.claims["callId"]),
            (&"1234567890123".into(), &"call-7".into())
        );
        assert_eq!(read.claims["jti"], "00ff");
    }

    #[test]
    fn key_and_chain_may_stand_in_one_text_in_any_order() {
        for text in [format!("{CERTIFICATE}{KEY}"), format!("{KEY}{CERTIFICATE}"), KEY.to_owned()] {
            let token = GatewayToken::new("g", &Secret::new(text.clone()), &text).unwrap();
            assert_eq!(token.chain.len(), text.matches("BEGIN CERTIFICATE").count());
        }
    }

    #[test]
    fn a_token_never_prints_its_key() {
        let token = GatewayToken::new("gateway-1", &Secret::new(KEY.to_owned()), "").unwrap();
        let printed = format!("{token:?}");
        assert!(printed.contains("gateway-1") && !printed.contains("key"), "{printed}");
    }

    #[test]
    fn a_request_pasted_for_a_certificate_is_refused_by_name() {
        let request = "-----BEGIN CERTIFICATE REQUEST-----\nAQID\n-----END CERTIFICATE REQUEST-----\n";
        let refused = GatewayToken::new("g", &Secret::new(KEY.to_owned()), request);
        assert_eq!(refused.err(), Some(TokenError::Request));
    }

    #[test]
    fn what_is_no_key_or_chain_is_refused() {
        let key = |pem: &str| GatewayToken::new("g", &Secret::new(pem.to_owned()), "").err();
        assert_eq!(key("nonsense"), Some(TokenError::Key));
        assert_eq!(key(&KEY.replace('M', "A")), Some(TokenError::Key));
        let chain = |pem: &str| GatewayToken::new("g", &Secret::new(KEY.to_owned()), pem).err();
        assert_eq!(chain("nonsense"), Some(TokenError::Chain));
        assert_eq!(chain(&CERTIFICATE.replace("AQID", "A*ID")), Some(TokenError::Chain));
        assert_eq!(chain(&CERTIFICATE.repeat(9)), Some(TokenError::Chain));
    }
}
