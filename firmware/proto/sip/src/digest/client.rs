//! The client's side: answers 401 and 407, and sends credentials along before it is asked again.
//!
//! ```text
//!  request ──▶ 401/407 ──challenged──▶ Retry ──authorize──▶ request with credentials ──▶ 2xx
//!                              └─────▶ Refused: wrong password, or no challenge we can answer
//! ```

use super::{Algorithm, Inputs, Qop, algorithm_of, hex, is_digest, realm_of};
use crate::headers::{AuthScheme, Challenge, Credentials};
use crate::message::{Request, Response, lex};
use crate::uri::Params;
use base::{Secret, Seed};
use rand::rngs::ChaCha12Rng;
use rand::{Rng, SeedableRng};

/// Most realms remembered: one server and the proxies before it.
const REALMS: usize = 8;

/// Why no credentials help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The challenge answers fresh credentials: user name or password are wrong.
    #[error("user name or password refused for realm {0:?}; correct them")]
    WrongPassword(String),
    /// No challenge is a Digest with a hash we know.
    #[error("no digest challenge with MD5, SHA-256 or SHA-512-256 among those offered")]
    NoKnownScheme,
}

/// One account's credentials towards the realms that asked for them.
pub struct DigestClient {
    username: String,
    password: Secret<String>,
    random: ChaCha12Rng,
    realms: Vec<Realm>,
}

/// A challenge that is answered in every request from now on.
struct Realm {
    header: &'static str,
    realm: String,
    challenge: Challenge,
    algorithm: Algorithm,
    qop: Option<Qop>,
    cnonce: String,
    count: u32,
}

impl DigestClient {
    /// An account that no server challenged yet.
    #[must_use]
    pub fn new(username: &str, password: Secret<String>, seed: Seed) -> Self {
        Self {
            username: username.to_owned(),
            password,
            random: ChaCha12Rng::from_seed(seed.0),
            realms: Vec::new(),
        }
    }

    /// Takes the challenges of `response` to `request`. If it is `Ok`, send the request anew (with its next CSeq and a
    /// new branch) after [`authorize`](Self::authorize).
    ///
    /// # Errors
    /// [`Refusal`] if trying again is of no use.
    pub fn challenged(&mut self, request: &Request, response: &Response) -> Result<(), Refusal> {
        let www = response.headers.www_authenticate().into_iter().map(|c| ("Authorization", c));
        let proxy = response.headers.proxy_authenticate().into_iter().map(|c| ("Proxy-Authorization", c));
        let mut taken: Vec<(&'static str, String)> = Vec::new();
        for (header, challenge) in www.chain(proxy).filter(|(_, challenge)| is_digest(challenge)) {
            let realm = challenge.params.unquoted("realm").unwrap_or_default();
            // RFC 8760 2.4: of several for one realm the first that is known is answered.
            if taken.iter().any(|(h, r)| *h == header && *r == realm) {
                continue;
            }
            self.take(header, &realm, challenge, request)?;
            taken.push((header, realm));
        }
        if taken.is_empty() { Err(Refusal::NoKnownScheme) } else { Ok(()) }
    }

    /// Puts credentials for every realm known into `request`, in place of those it has.
    pub fn authorize(&mut self, request: &mut Request) {
        request.headers.remove("Authorization");
        request.headers.remove("Proxy-Authorization");
        for realm in &mut self.realms {
            let credentials = realm.credentials(&self.username, &self.password, request);
            request.headers.push(realm.header, credentials);
        }
    }

    fn take(
        &mut self,
        header: &'static str,
        realm: &str,
        challenge: Challenge,
        request: &Request,
    ) -> Result<(), Refusal> {
        let stale =
            challenge.params.unquoted("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true"));
        if !stale && was_fresh(header, realm, request) {
            self.realms.retain(|known| known.header != header || known.realm != realm);
            return Err(Refusal::WrongPassword(realm.to_owned()));
        }
        let mut cnonce = [0; 16];
        self.random.fill_bytes(&mut cnonce);
        let new = Realm {
            header,
            realm: realm.to_owned(),
            algorithm: algorithm_of(&challenge.params).unwrap_or(Algorithm::MD5),
            qop: choose_qop(&challenge.params),
            challenge,
            cnonce: hex(&cnonce),
            count: 0,
        };
        match self.realms.iter_mut().find(|known| known.header == header && known.realm == realm) {
            Some(known) => *known = new,
            None => {
                if self.realms.len() >= REALMS {
                    self.realms.remove(0);
                }
                self.realms.push(new);
            }
        }
        Ok(())
    }
}

/// Whether `request` answered this realm with a nonce it used for the first time: such an answer is only refused for
/// the password's sake, while a nonce used before may just be too old.
fn was_fresh(header: &'static str, realm: &str, request: &Request) -> bool {
    let sent = match header {
        "Authorization" => request.headers.authorization(),
        _ => request.headers.proxy_authorization(),
    };
    sent.iter().any(|credentials| {
        let first = credentials.params.get("nc").is_none_or(|nc| nc == "00000001");
        first && realm_of(credentials).as_deref() == Some(realm)
    })
}

/// `auth` if it is offered, for proxies may change bodies; `auth-int` if that is all; `None` if there is no offer.
fn choose_qop(challenge: &Params) -> Option<Qop> {
    let offered = challenge.unquoted("qop")?;
    let offers = |wanted: &str| lex::split(&offered, b',').any(|option| option.eq_ignore_ascii_case(wanted));
    match (offers("auth"), offers("auth-int")) {
        (true, _) => Some(Qop::Auth),
        (false, true) => Some(Qop::AuthInt),
        (false, false) => None,
    }
}

impl Realm {
    fn credentials(&mut self, username: &str, password: &Secret<String>, request: &Request) -> Credentials {
        self.count = self.count.saturating_add(1);
        let nc = format!("{:08x}", self.count);
        let uri = request.uri.to_string();
        let nonce = self.challenge.params.unquoted("nonce").unwrap_or_default();
        let response = Inputs {
            algorithm: self.algorithm,
            username,
            realm: &self.realm,
            password,
            nonce: &nonce,
            method: request.method.as_str(),
            uri: &uri,
            body: &request.body,
            qop: self.qop.as_ref().map(|qop| (qop, nc.as_str(), self.cnonce.as_str())),
            cnonce: &self.cnonce,
        }
        .response();
        let mut params = Params::new();
        let mut quoted = |name: &str, value: &str| params.set(name, Some(&lex::quote(value)));
        quoted("username", username);
        quoted("realm", &self.realm);
        quoted("nonce", &nonce);
        quoted("uri", &uri);
        quoted("response", &response);
        self.finish(&mut params, &nc);
        Credentials { scheme: AuthScheme::Digest, params }
    }

    /// What is not quoted, or only there if the challenge had it (RFC 7616 3.4).
    fn finish(&self, params: &mut Params, nc: &str) {
        if self.challenge.params.has("algorithm") {
            params.set("algorithm", Some(&self.algorithm.to_string()));
        }
        if self.qop.is_some() || self.algorithm.keying == super::Keying::Session {
            params.set("cnonce", Some(&lex::quote(&self.cnonce)));
        }
        if let Some(qop) = &self.qop {
            params.set("qop", Some(&qop.to_string()));
            params.set("nc", Some(nc));
        }
        if let Some(opaque) = self.challenge.params.get("opaque") {
            params.set("opaque", Some(opaque));
        }
    }
}

impl std::fmt::Debug for DigestClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let realms: Vec<_> = self.realms.iter().map(|realm| realm.realm.as_str()).collect();
        f.debug_struct("DigestClient").field("username", &self.username).field("realms", &realms).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Method;
    use crate::uri::Uri;

    fn client() -> DigestClient {
        DigestClient::new("bob", Secret::new("zanzibar".into()), Seed([1; 32]))
    }

    fn register() -> Request {
        Request::new(Method::Register, Uri::parse("sip:biloxi.com").unwrap())
    }

    fn response(status: u16, challenges: &[(&str, &str)]) -> Response {
        challenges.iter().fold(Response::to(&register(), status, ""), |r, (name, value)| r.with(name, *value))
    }

    const SHA: &str =
        r#"Digest realm="biloxi.com", nonce="n1", algorithm=SHA-256, qop="auth,auth-int", opaque="o""#;
    const MD5: &str = r#"Digest realm="biloxi.com", nonce="n1", algorithm=MD5, qop="auth""#;

    #[test]
    fn the_first_known_challenge_of_each_realm_is_answered_and_the_count_rises() {
        let mut client = client();
        let mut request = register();
        let challenges = [
            ("WWW-Authenticate", r#"NTLM realm="SIP", version=4"#),
            ("WWW-Authenticate", SHA),
            ("WWW-Authenticate", MD5),
            ("Proxy-Authenticate", r#"Digest realm="proxy", nonce="p""#),
        ];
        client.challenged(&request, &response(401, &challenges)).unwrap();
        client.authorize(&mut request);
        let sent = request.headers.authorization();
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].params.get("algorithm"), Some("SHA-256"));
        assert_eq!((sent[0].params.get("qop"), sent[0].params.get("nc")), (Some("auth"), Some("00000001")));
        assert_eq!(sent[0].params.unquoted("opaque").as_deref(), Some("o"));
        let proxy = request.headers.proxy_authorization();
        assert_eq!(
            (proxy.len(), proxy[0].params.has("qop"), proxy[0].params.has("algorithm")),
            (1, false, false)
        );

        client.authorize(&mut request);
        assert_eq!(request.headers.authorization()[0].params.get("nc"), Some("00000002"));
        assert_eq!(request.headers.authorization().len(), 1);
    }

    #[test]
    fn a_challenge_to_fresh_credentials_means_a_wrong_password_unless_it_is_stale() {
        let mut client = client();
        let mut request = register();
        client.challenged(&request, &response(401, &[("WWW-Authenticate", MD5)])).unwrap();
        client.authorize(&mut request);
        let stale = format!("{}, stale=TRUE", MD5.replace("n1", "n2"));
        client.challenged(&request, &response(401, &[("WWW-Authenticate", &stale)])).unwrap();
        client.authorize(&mut request);
        let refused = client.challenged(&request, &response(401, &[("WWW-Authenticate", MD5)]));
        assert_eq!(refused, Err(Refusal::WrongPassword("biloxi.com".into())));
    }

    #[test]
    fn a_nonce_used_before_may_have_grown_old_without_the_server_saying_so() {
        let mut client = client();
        let mut request = register();
        client.challenged(&request, &response(401, &[("WWW-Authenticate", MD5)])).unwrap();
        client.authorize(&mut request);
        client.authorize(&mut request);
        assert_eq!(client.challenged(&request, &response(401, &[("WWW-Authenticate", MD5)])), Ok(()));
    }

    #[test]
    fn a_challenge_nobody_here_can_answer_is_refused() {
        let refused =
            client().challenged(&register(), &response(401, &[("WWW-Authenticate", "Kerberos realm=\"x\"")]));
        assert_eq!(refused, Err(Refusal::NoKnownScheme));
        assert_eq!(client().challenged(&register(), &response(401, &[])), Err(Refusal::NoKnownScheme));
    }
}
