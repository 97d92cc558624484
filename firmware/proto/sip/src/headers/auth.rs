//! Challenges and credentials (RFC 3261 20.7, 20.44; RFC 7616; [MS-SIPAE] for NTLM and Kerberos).

use super::HeaderError;
use crate::message::lex;
use crate::uri::Params;
use std::fmt;

/// How somebody is to prove who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scheme {
    /// Digest (RFC 7616).
    Digest,
    /// Any other: `NTLM`, `Kerberos`, `TLS-DSK`, `Bearer` ...
    Other(String),
}

/// A challenge: WWW-Authenticate or Proxy-Authenticate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme.
    pub scheme: Scheme,
    /// `realm`, `nonce`, `qop` ..., quotes kept; [`Params::unquoted`] takes them off.
    pub params: Params,
}

/// Credentials: Authorization or Proxy-Authorization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The scheme.
    pub scheme: Scheme,
    /// `username`, `realm`, `response` ..., quotes kept.
    pub params: Params,
}

impl Challenge {
    /// Reads a challenge of any scheme.
    ///
    /// # Errors
    /// [`HeaderError`] if it has no scheme or its parameters are malformed.
    pub fn parse(text: &str) -> Result<Self, HeaderError> {
        let (scheme, params) =
            read(text).map_err(|problem| HeaderError::new("WWW-Authenticate", text, problem))?;
        Ok(Self { scheme, params })
    }
}

impl Credentials {
    /// Reads credentials of any scheme.
    ///
    /// # Errors
    /// [`HeaderError`] if they have no scheme or their parameters are malformed.
    pub fn parse(text: &str) -> Result<Self, HeaderError> {
        let (scheme, params) =
            read(text).map_err(|problem| HeaderError::new("Authorization", text, problem))?;
        Ok(Self { scheme, params })
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Digest => "Digest",
            Self::Other(name) => name,
        })
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, &self.scheme, &self.params)
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, &self.scheme, &self.params)
    }
}

fn read(text: &str) -> Result<(Scheme, Params), &'static str> {
    let (scheme, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    if !lex::is_token(scheme) {
        return Err("the scheme is no token");
    }
    let scheme = match scheme {
        digest if digest.eq_ignore_ascii_case("Digest") => Scheme::Digest,
        other => Scheme::Other(other.to_owned()),
    };
    let mut params = Params::new();
    for piece in lex::split(rest, b',').filter(|piece| !piece.is_empty()) {
        params.push_piece(piece)?;
    }
    Ok((scheme, params))
}

fn write(f: &mut fmt::Formatter<'_>, scheme: &Scheme, params: &Params) -> fmt::Result {
    write!(f, "{scheme}")?;
    for (at, (name, value)) in params.iter().enumerate() {
        f.write_str(if at == 0 { " " } else { ", " })?;
        match value {
            Some(value) => write!(f, "{name}={value}")?,
            None => f.write_str(name)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_ntlm_and_bare_schemes_are_read() {
        let digest =
            r#"Digest realm="a, b", nonce="x\"y", algorithm=SHA-256, qop="auth,auth-int", stale=FALSE"#;
        let challenge = Challenge::parse(digest).unwrap();
        assert_eq!(challenge.params.unquoted("qop").as_deref(), Some("auth,auth-int"));
        assert_eq!(challenge.params.unquoted("realm").as_deref(), Some("a, b"));
        assert_eq!(challenge.to_string(), digest);

        let ntlm = Challenge::parse(
            r#"NTLM realm="SIP Communications Service", targetname="lync.example.com", version=4"#,
        );
        assert_eq!(ntlm.unwrap().scheme, Scheme::Other("NTLM".into()));
        assert!(Challenge::parse("Negotiate").is_ok());
        assert!(Challenge::parse("").is_err());
        assert!(Challenge::parse(r#"Digest realm="open"#).is_err());
    }
}
