//! The server's side: makes challenges, checks answers, lets no answer count twice.
//!
//! ```text
//!  no credentials ──▶ Challenge        nonce unknown, too old, or used up ──▶ Stale (the device asks again by itself)
//!  response right, nc new ──▶ Granted  response wrong ──▶ Wrong
//! ```
//! A nonce is `<milliseconds><number><tag>` with a keyed tag, so those never answered cost no memory.

use super::{Algorithm, Inputs, Qop, algorithm_of, same_in_constant_time};
use crate::headers::{AuthScheme, Challenge, Credentials};
use crate::message::{Request, lex};
use crate::uri::Params;
use base::{Secret, Seed};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a nonce may be used.
const NONCE_LIFETIME: Duration = Duration::from_secs(300);
/// Most nonces whose use is remembered; when there are more, the oldest count as stale.
const NONCES: usize = 4096;
/// How far back of the highest nonce count one may still come in: requests overtake each other on UDP.
const COUNT_WINDOW: u32 = 64;

/// Which pair of headers is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A registrar or UAS: 401, WWW-Authenticate, Authorization.
    Server,
    /// A proxy: 407, Proxy-Authenticate, Proxy-Authorization.
    Proxy,
}

/// What came of checking a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// This user sent it.
    Granted(String),
    /// It holds no credentials for our realm: challenge it.
    Challenge,
    /// The nonce is too old or used up: challenge it with `stale=true`.
    Stale,
    /// User name or password are wrong, or the credentials are malformed: challenge it again, or answer 403.
    Wrong,
}

/// The realm of a server, and which nonces were used.
pub struct DigestServer {
    realm: String,
    role: Role,
    algorithms: Vec<Algorithm>,
    key: [u8; 32],
    started: Instant,
    issued: u64,
    used: VecDeque<Used>,
    /// Nonces up to this number are forgotten, so they count as stale.
    forgotten: u64,
}

/// Which counts of a nonce came in.
struct Used {
    number: u64,
    highest: u32,
    /// Bit `n`: the count `highest - n` came in.
    seen: u64,
}

/// What is written in a nonce of ours.
struct Nonce {
    issued_ms: u64,
    number: u64,
}

impl DigestServer {
    /// A server of `realm` that challenges with each of `algorithms`, the preferred first (RFC 8760 2.3).
    #[must_use]
    pub fn new(realm: &str, role: Role, algorithms: &[Algorithm], seed: Seed, now: Instant) -> Self {
        Self {
            realm: realm.to_owned(),
            role,
            algorithms: algorithms.to_vec(),
            key: seed.0,
            started: now,
            issued: 0,
            used: VecDeque::new(),
            forgotten: 0,
        }
    }

    /// The status of a challenge.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self.role {
            Role::Server => 401,
            Role::Proxy => 407,
        }
    }

    /// The headers of a challenge: name and value of each. `access` is what [`check`](Self::check) said.
    pub fn challenges(&mut self, now: Instant, access: &Access) -> Vec<(&'static str, Challenge)> {
        let header = match self.role {
            Role::Server => "WWW-Authenticate",
            Role::Proxy => "Proxy-Authenticate",
        };
        let nonce = self.issue(now);
        let challenge = |algorithm: &Algorithm| {
            let mut params = Params::new();
            params.set("realm", Some(&lex::quote(&self.realm)));
            params.set("nonce", Some(&lex::quote(&nonce)));
            params.set("algorithm", Some(&algorithm.to_string()));
            params.set("qop", Some("\"auth,auth-int\""));
            if *access == Access::Stale {
                params.set("stale", Some("true"));
            }
            (header, Challenge { scheme: AuthScheme::Digest, params })
        };
        self.algorithms.iter().map(challenge).collect()
    }

    /// Checks the credentials of `request`; `password` is asked for the password of a user name.
    ///
    /// The `uri` of the credentials is hashed as it stands and not compared with the Request-URI: border controllers
    /// rewrite the latter, and the nonce count already lets an answer through only once.
    pub fn check(
        &mut self,
        now: Instant,
        request: &Request,
        password: impl FnOnce(&str) -> Option<Secret<String>>,
    ) -> Access {
        let all = match self.role {
            Role::Server => request.headers.authorization(),
            Role::Proxy => request.headers.proxy_authorization(),
        };
        let ours = |c: &&Credentials| {
            c.scheme == AuthScheme::Digest && super::realm_of(c).as_deref() == Some(self.realm.as_str())
        };
        match all.iter().find(ours) {
            Some(credentials) => self.check_credentials(now, request, &credentials.params, password),
            None => Access::Challenge,
        }
    }

    fn check_credentials(
        &mut self,
        now: Instant,
        request: &Request,
        params: &Params,
        password: impl FnOnce(&str) -> Option<Secret<String>>,
    ) -> Access {
        let text = |name: &str| params.unquoted(name).unwrap_or_default();
        let (nonce_text, username, uri, cnonce) =
            (text("nonce"), text("username"), text("uri"), text("cnonce"));
        let nc_text = text("nc");
        let Some(nonce) = self.open(&nonce_text) else { return Access::Stale };
        let Some(algorithm) = algorithm_of(params).filter(|a| self.algorithms.contains(a)) else {
            return Access::Wrong;
        };
        let Ok(qop) = params.unquoted("qop").map(|qop| qop.parse::<Qop>()).transpose() else {
            return Access::Wrong;
        };
        let Some(count) = nonce_count(qop.as_ref(), &nc_text) else { return Access::Wrong };
        let known = password(&username);
        let nobody = Secret::new(String::new());
        let expected = Inputs {
            algorithm,
            username: &username,
            realm: &self.realm,
            password: known.as_ref().unwrap_or(&nobody),
            nonce: &nonce_text,
            method: request.method.as_str(),
            uri: &uri,
            body: &request.body,
            qop: qop.as_ref().map(|qop| (qop, nc_text.as_str(), cnonce.as_str())),
            cnonce: &cnonce,
        }
        .response();
        let right = same_in_constant_time(&expected, &text("response").to_ascii_lowercase());
        if known.is_none() || !right {
            return Access::Wrong;
        }
        let age = self.clock(now).saturating_sub(nonce.issued_ms);
        if age > NONCE_LIFETIME.as_millis() as u64 || !self.use_up(nonce.number, count) {
            return Access::Stale;
        }
        Access::Granted(username)
    }

    fn clock(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX)
    }

    fn issue(&mut self, now: Instant) -> String {
        self.issued += 1;
        let head = format!("{:016x}{:016x}", self.clock(now), self.issued);
        let tag = self.tag(&head);
        head + &tag
    }

    /// What the nonce says, if it is one of ours.
    fn open(&self, nonce: &str) -> Option<Nonce> {
        let (head, tag) = nonce.split_at_checked(32)?;
        if !same_in_constant_time(&self.tag(head), tag) {
            return None;
        }
        let (time, number) = head.split_at_checked(16)?;
        let part = |text| u64::from_str_radix(text, 16).ok();
        Some(Nonce { issued_ms: part(time)?, number: part(number)? })
    }

    /// SHA-256 over key, key and head: the inner length is fixed, so nothing can be appended.
    fn tag(&self, head: &str) -> String {
        let inner = Sha256::new().chain_update(self.key).chain_update(head).finalize();
        let outer = Sha256::new().chain_update(self.key).chain_update(inner).finalize();
        super::hex(outer.get(..16).unwrap_or(&[]))
    }

    /// Notes that `count` of this nonce came in; false if it did before, or may have.
    fn use_up(&mut self, number: u64, count: u32) -> bool {
        if let Some(used) = self.used.iter_mut().find(|used| used.number == number) {
            return used.take(count);
        }
        if number <= self.forgotten {
            return false;
        }
        if self.used.len() >= NONCES
            && let Some(oldest) = self.used.pop_front()
        {
            self.forgotten = self.forgotten.max(oldest.number);
        }
        self.used.push_back(Used { number, highest: count, seen: 1 });
        true
    }
}

impl Used {
    fn take(&mut self, count: u32) -> bool {
        if let Some(ahead) = count.checked_sub(self.highest).filter(|ahead| *ahead > 0) {
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let behind = self.highest - count;
        let bit = if behind < COUNT_WINDOW { 1u64 << behind } else { return false };
        let new = self.seen & bit == 0;
        self.seen |= bit;
        new
    }
}

/// The nonce count: eight hexadecimal digits with qop; without it there is none, and the nonce counts once.
fn nonce_count(qop: Option<&Qop>, text: &str) -> Option<u32> {
    match qop {
        None => Some(0),
        Some(_) if text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit()) => {
            u32::from_str_radix(text, 16).ok()
        }
        Some(_) => None,
    }
}

impl std::fmt::Debug for DigestServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DigestServer").field("realm", &self.realm).field("nonces", &self.used.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::DigestClient;
    use crate::message::{Method, Response};
    use crate::uri::Uri;

    struct Pair {
        client: DigestClient,
        server: DigestServer,
        now: Instant,
    }

    fn pair(algorithms: &[Algorithm]) -> Pair {
        let now = Instant::now();
        Pair {
            client: DigestClient::new("bob", Secret::new("zanzibar".into()), Seed([1; 32])),
            server: DigestServer::new("gantry", Role::Server, algorithms, Seed([2; 32]), now),
            now,
        }
    }

    fn passwords(user: &str) -> Option<Secret<String>> {
        (user == "bob").then(|| Secret::new("zanzibar".into()))
    }

    impl Pair {
        fn check(&mut self, request: &Request) -> Access {
            self.server.check(self.now, request, passwords)
        }

        fn challenge(&mut self, request: &Request, access: &Access) -> Response {
            let headers = self.server.challenges(self.now, access);
            headers.into_iter().fold(Response::to(request, 401, ""), |r, (name, value)| r.with(name, value))
        }

        /// A request with good credentials.
        fn authorized(&mut self) -> Request {
            let mut request = register();
            let challenge = self.challenge(&request, &Access::Challenge);
            self.client.challenged(&request, &challenge).unwrap();
            self.client.authorize(&mut request);
            request
        }
    }

    fn register() -> Request {
        Request::new(Method::Register, Uri::parse("sip:[2001:db8::1]").unwrap())
            .with_body("text/plain", "hello")
    }

    #[test]
    fn client_and_server_agree_on_every_algorithm() {
        for name in ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"] {
            let mut pair = pair(&[Algorithm::parse(name).unwrap()]);
            assert_eq!(pair.check(&register()), Access::Challenge);
            let request = pair.authorized();
            assert_eq!(pair.check(&request), Access::Granted("bob".into()), "{name}");
        }
    }

    #[test]
    fn an_answer_counts_once_and_the_next_count_counts_again() {
        let mut pair = pair(&[Algorithm::SHA256, Algorithm::MD5]);
        let mut request = pair.authorized();
        let replayed = request.clone();
        assert_eq!(pair.check(&request), Access::Granted("bob".into()));
        assert_eq!(pair.check(&replayed), Access::Stale);
        pair.client.authorize(&mut request);
        assert_eq!(pair.check(&request), Access::Granted("bob".into()));
    }

    #[test]
    fn counts_may_overtake_each_other_but_none_counts_twice() {
        let mut used = Used { number: 1, highest: 1, seen: 1 };
        assert!(used.take(3) && used.take(2) && !used.take(2) && !used.take(3) && !used.take(1));
        assert!(used.take(100) && !used.take(3) && used.take(50) && !used.take(50));
        assert!(used.take(u32::MAX) && !used.take(100));
    }

    #[test]
    fn an_old_nonce_is_stale_and_a_stale_challenge_leads_to_a_new_one() {
        let mut pair = pair(&[Algorithm::MD5]);
        let mut request = pair.authorized();
        pair.now += NONCE_LIFETIME + Duration::from_secs(1);
        assert_eq!(pair.check(&request), Access::Stale);
        let challenge = pair.challenge(&request, &Access::Stale);
        assert!(challenge.headers.get("WWW-Authenticate").unwrap().contains("stale=true"));
        pair.client.challenged(&request, &challenge).unwrap();
        pair.client.authorize(&mut request);
        assert_eq!(pair.check(&request), Access::Granted("bob".into()));
    }

    #[test]
    fn what_is_tampered_with_is_refused() {
        let mut pair = pair(&[Algorithm::MD5]);
        let good = pair.authorized();
        let value = good.headers.get("Authorization").unwrap().to_owned();
        let mut tampered = |from: &str, to: &str| {
            let mut request = good.clone();
            request.headers.set("Authorization", value.replace(from, to));
            pair.check(&request)
        };
        assert_eq!(tampered("\"bob\"", "\"eve\""), Access::Wrong);
        assert_eq!(tampered("nc=00000001", "nc=00000002"), Access::Wrong);
        assert_eq!(tampered("nc=00000001", "nc=+0000001"), Access::Wrong);
        assert_eq!(tampered("algorithm=MD5", "algorithm=SHA-256"), Access::Wrong);
        assert_eq!(tampered("qop=auth", "qop=none"), Access::Wrong);
        assert_eq!(tampered("nonce=\"0", "nonce=\"1"), Access::Stale);
        assert_eq!(tampered("\"gantry\"", "\"other\""), Access::Challenge);
        let mut other_method = good.clone();
        other_method.method = Method::Invite;
        assert_eq!(pair.check(&other_method), Access::Wrong);
        assert_eq!(pair.check(&good), Access::Granted("bob".into()));
    }

    #[test]
    fn auth_int_covers_the_body() {
        let mut pair = pair(&[Algorithm::MD5]);
        let mut request = register();
        let mut challenge = pair.challenge(&request, &Access::Challenge);
        let only_int =
            challenge.headers.get("WWW-Authenticate").unwrap().replace("auth,auth-int", "auth-int");
        challenge.headers.set("WWW-Authenticate", only_int);
        pair.client.challenged(&request, &challenge).unwrap();
        pair.client.authorize(&mut request);
        let mut changed = request.clone();
        changed.body = "other".into();
        assert_eq!(pair.check(&changed), Access::Wrong);
        assert_eq!(pair.check(&request), Access::Granted("bob".into()));
    }

    #[test]
    fn a_device_without_qop_gets_in_once_for_each_nonce() {
        let mut pair = pair(&[Algorithm::MD5]);
        let mut request = register();
        let mut challenge = pair.challenge(&request, &Access::Challenge);
        let old = challenge.headers.get("WWW-Authenticate").unwrap().replace(", qop=\"auth,auth-int\"", "");
        challenge.headers.set("WWW-Authenticate", old);
        pair.client.challenged(&request, &challenge).unwrap();
        pair.client.authorize(&mut request);
        assert_eq!(pair.check(&request), Access::Granted("bob".into()));
        assert_eq!(pair.check(&request), Access::Stale);
    }

    #[test]
    fn the_memory_of_used_nonces_is_bounded_and_forgets_safely() {
        let mut pair = pair(&[Algorithm::MD5]);
        for number in 1..=(NONCES as u64 + 10) {
            assert!(pair.server.use_up(number, 1));
        }
        assert_eq!(pair.server.used.len(), NONCES);
        assert!(!pair.server.use_up(5, 2), "a forgotten nonce is stale, whatever its count");
    }
}
