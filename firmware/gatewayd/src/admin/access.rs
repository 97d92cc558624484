//! Who asks, and what they may: sessions of the page, API tokens, roles.
//!
//! ```text
//!  name + password ─▶ argon2id ─▶ Session (idle 30 min, at most 12 h) ─▶ cookie, and a CSRF value for what changes something
//!  Authorization: Bearer gantry_... ─▶ its digest ─▶ ApiToken
//! ```
//! Wrong passwords and tokens count against their source (`domain::defence`); who is blocked is hung up on before TLS begins.

use super::Admin;
use super::problem::{Problem, Sort};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::defence::Offence;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;
use utoipa::ToSchema;

/// The cookie of a session. The prefix binds it to this host and to HTTPS.
pub const COOKIE: &str = "__Host-gantry";
/// The header that shows that a change comes from the page itself.
pub const CSRF: &str = "x-csrf-token";
/// What API tokens begin with, so that scanners of leaked secrets know them.
pub const TOKEN_PREFIX: &str = "gantry_";
/// A session that nobody uses ends after so long.
const IDLE: Duration = Duration::from_secs(30 * 60);
/// A session ends after so long.
const LONGEST: Duration = Duration::from_secs(12 * 3600);
/// Most sessions; the one that was unused longest ends for a new one.
const MAX_SESSIONS: usize = 256;

/// What somebody may do; each may what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// May look.
    Viewer,
    /// May end calls, acknowledge alarms, forgive who is blocked.
    Operator,
    /// May change everything.
    Administrator,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Administrator => "administrator",
        })
    }
}

/// Somebody who is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// A user's name, or an API token's with `token:` before it.
    pub name: String,
    /// What they may.
    pub role: Role,
    /// Where they are.
    pub from: SocketAddr,
}

/// Where a request came from.
#[derive(Debug, Clone, Copy)]
pub struct From(pub SocketAddr);

/// A session of the page.
struct Session {
    user: String,
    /// The digest of the password's hash: a session ends when its user gets another password, or goes.
    proof: [u8; 32],
    csrf: String,
    began: Instant,
    used: Instant,
}

/// The sessions, by the digest of their cookies.
#[derive(Default)]
pub struct Sessions(Mutex<HashMap<[u8; 32], Session>>);

/// What a new session is told.
pub struct Opened {
    /// For the cookie.
    pub cookie: Secret<String>,
    /// For [`CSRF`].
    pub csrf: String,
}

/// What a session is.
pub struct Found {
    /// Whose it is.
    pub user: String,
    /// What the user's password was.
    pub proof: [u8; 32],
    /// What its changes must show.
    pub csrf: String,
}

/// Whether looking at a session keeps it alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Somebody does something.
    Use,
    /// A stream goes on by itself.
    Glance,
}

impl Sessions {
    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A session of `user`, whose password is `proof`, from now on.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn open(&self, now: Instant, user: &str, proof: [u8; 32]) -> Result<Opened, Problem> {
        let (cookie, csrf) = (random()?, random()?);
        let mut all = self.all();
        all.retain(|_, session| session.lives(now));
        if all.len() >= MAX_SESSIONS
            && let Some(oldest) = all.iter().min_by_key(|(_, session)| session.used).map(|(key, _)| *key)
        {
            all.remove(&oldest);
        }
        let session = Session { user: user.to_owned(), proof, csrf: csrf.clone(), began: now, used: now };
        all.insert(digest(&cookie), session);
        Ok(Opened { cookie: Secret::new(cookie), csrf })
    }

    /// The session of this cookie, if it lives.
    pub fn find(&self, now: Instant, cookie: &str, look: Look) -> Option<Found> {
        let mut all = self.all();
        let session = all.get_mut(&digest(cookie)).filter(|session| session.lives(now))?;
        if look == Look::Use {
            session.used = now;
        }
        Some(Found { user: session.user.clone(), proof: session.proof, csrf: session.csrf.clone() })
    }

    /// Ends it.
    pub fn close(&self, cookie: &str) {
        self.all().remove(&digest(cookie));
    }
}

impl Session {
    fn lives(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used) < IDLE && now.saturating_duration_since(self.began) < LONGEST
    }
}

/// 256 random bits as text.
///
/// # Errors
/// If the system has none.
pub fn random() -> Result<String, Problem> {
    let mut bytes = [0; 32];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| Sort::Failed.because("the system has no randomness"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// What is kept of something that only its owner knows.
#[must_use]
pub fn digest(text: &str) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.as_ref());
    bytes
}

/// The cookie of this request.
#[must_use]
pub fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

/// Lets a request through if whoever makes it may; notes who it was.
pub async fn guard(
    State((admin, role)): State<(Arc<Admin>, Role)>,
    mut request: Request,
    next: Next,
) -> Response {
    match known(&admin, &request) {
        Ok(who) if who.role >= role => {
            request.extensions_mut().insert(who);
            next.run(request).await
        }
        Ok(who) => Sort::NotAllowed
            .because(format!("{:?} is {} and this is for the role {role}", who.name, article(who.role)))
            .into_response(),
        Err(problem) => problem.into_response(),
    }
}

fn article(role: Role) -> String {
    let article = if role == Role::Viewer { "a" } else { "an" };
    format!("{article} {role}")
}

/// Who makes this request.
fn known(admin: &Admin, request: &Request) -> Result<Who, Problem> {
    let from = request
        .extensions()
        .get::<From>()
        .ok_or_else(|| Sort::Failed.because("the request came from nowhere"))?
        .0;
    let headers = request.headers();
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let token = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
        let found = token.and_then(|token| admin.accounts.token(&admin.configuration, token));
        return match found {
            Some((name, role)) => Ok(Who { name: format!("token:{name}"), role, from }),
            None => {
                admin.offended(from, Offence::WrongCredentials);
                Err(Sort::NotLoggedIn.because("this API token is none of this box"))
            }
        };
    }
    let nobody = || Sort::NotLoggedIn.because("log in, or send an API token");
    let cookie = cookie(headers).ok_or_else(nobody)?;
    let (Found { user: name, csrf, .. }, role) = admin.session(cookie, Look::Use).ok_or_else(nobody)?;
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let shown = headers.get(CSRF).map(|value| value.as_bytes()).unwrap_or_default();
        if !bool::from(shown.ct_eq(csrf.as_bytes())) {
            return Err(Sort::NotAllowed.because("X-CSRF-Token is missing or of another session"));
        }
    }
    Ok(Who { name, role, from })
}
