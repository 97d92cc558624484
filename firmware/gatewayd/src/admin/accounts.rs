//! Users and API tokens: who may log in, and what they may. Kept in the store; passwords as argon2id, tokens as digests.

use super::Admin;
use super::access::{From, Look, Role, TOKEN_PREFIX, Who, cookie, digest, random};
use super::body::{Body, Query, Segment};
use super::book::{Book, Media, Method, Operation, Schema};
use super::problem::{Problem, Sort};
use super::resources::Page;
use crate::configuration::{Configuration, now};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base::{Secret, Seed};
use domain::appliance::access::{PASSWORD_CHARS, PasswordHash};
use domain::appliance::{hex, password};
use domain::defence::Offence;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;
use store::{Edit, Expected, Key, Revision};
use utoipa::ToSchema;

const USERS: &str = "users";
const TOKENS: &str = "api-tokens";
/// Most users, and most API tokens.
const MOST: usize = 256;
/// Longest name, in characters.
const NAME_CHARS: usize = 64;
/// What an unknown user's password is held against, so that it takes as long as a known one's.
pub(super) const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5bm9ib2R5$YYzPKv0JBlwGmOmKpW3zJqvVqyZ3mJvE1cJd0eGx2mQ";
/// Passwords that are hashed at a time: each takes 19 MiB and a processor.
const HASHERS: usize = 2;

/// The accounts of the box.
pub struct Accounts {
    hashers: tokio::sync::Semaphore,
}

#[derive(Serialize, Deserialize)]
struct UserDocument {
    role: Role,
    password: String,
}

#[derive(Serialize, Deserialize)]
struct TokenDocument {
    role: Role,
    digest: String,
    made: String,
    by: String,
}

/// A user. The password is written and never read.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// What they log in as.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// What they may.
    role: Role,
    /// Never shown; left out in a change, it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(write_only, min_length = 10, max_length = 128)]
    password: Option<Hidden>,
}

/// A password on its way in.
#[derive(Deserialize, ToSchema)]
#[schema(value_type = String)]
pub struct Hidden(String);

/// Never its content: the field is there to be described and read, and what is answered leaves it out.
impl Serialize for Hidden {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_none()
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

/// An API token to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewToken {
    /// What it is called.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// What it may.
    role: Role,
}

/// An API token.
#[derive(Debug, Serialize, ToSchema)]
struct ApiToken {
    /// What it is called.
    name: String,
    /// What it may.
    role: Role,
    /// When it was made.
    made: String,
    /// By whom.
    by: String,
    /// The token itself, once: when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

/// Somebody who wants in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    /// The user's name.
    name: String,
    /// The user's password.
    password: Hidden,
}

/// A session.
#[derive(Debug, Serialize, ToSchema)]
struct SessionInfo {
    /// Whose it is.
    name: String,
    /// What they may.
    role: Role,
    /// To be sent as X-CSRF-Token with what changes something; nothing for API tokens, which need none.
    csrf: Option<String>,
}

impl Accounts {
    /// All of them are in the store.
    #[must_use]
    pub fn new() -> Self {
        Self { hashers: tokio::sync::Semaphore::new(HASHERS) }
    }

    /// The API token that this is, and what it may.
    pub fn token(&self, configuration: &Configuration, token: &str) -> Option<(String, Role)> {
        let digest = hex(&digest(token.strip_prefix(TOKEN_PREFIX)?));
        let all = configuration.list(TOKENS, None, MOST).ok()?;
        all.into_iter().find_map(|(name, _, body)| {
            let kept: TokenDocument = serde_json::from_value(body).ok()?;
            (kept.digest == digest).then_some((name, kept.role))
        })
    }

    /// What a user may, and the digest of the password's hash.
    pub fn user(&self, configuration: &Configuration, name: &str) -> Option<(Role, [u8; 32])> {
        let (_, body) = configuration.read(USERS, name).ok()??;
        let kept: UserDocument = serde_json::from_value(body).ok()?;
        Some((kept.role, digest(&kept.password)))
    }

    /// Whether there is a user at all.
    pub fn any(&self, configuration: &Configuration) -> bool {
        configuration.list(USERS, None, 1).is_ok_and(|users| !users.is_empty())
    }
}

/// Makes `name` a user with the password of this hash, or gives one that is there a new one: for whoever may open the control socket.
///
/// # Errors
/// If the name won't do, or the disk fails.
pub fn set_user(
    configuration: &Configuration,
    by: &str,
    name: &str,
    hash: &PasswordHash,
    role: Role,
) -> Result<(), Problem> {
    check_name(name)?;
    let kept = configuration.read(USERS, name).map_err(|error| failed(&error))?;
    let kept = kept.and_then(|(_, body)| serde_json::from_value::<UserDocument>(body).ok());
    if kept.is_some_and(|kept| kept.role == role && kept.password == hash.expose()) {
        return Ok(());
    }
    let body = json!(UserDocument { role, password: hash.expose().to_owned() }).to_string();
    let edit = Edit::put(key(USERS, name)?, Expected::Anything, body.as_bytes());
    configuration.commit(by, "set-user", vec![format!("{name} ({role})")], vec![edit])?;
    Ok(())
}

/// The hash of a new password.
///
/// # Errors
/// If it is too short or too long, or the system has no randomness.
pub fn hashed(password: &Secret<String>) -> Result<PasswordHash, Problem> {
    let chars = password.expose().chars().count();
    if !PASSWORD_CHARS.contains(&chars) {
        let (least, most) = (PASSWORD_CHARS.start(), PASSWORD_CHARS.end());
        return Err(Sort::Invalid.because(format!("the password must have {least} to {most} characters")));
    }
    let mut seed = [0; 32];
    let filled = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut seed);
    filled.map_err(|_| Sort::Failed.because("the system has no randomness"))?;
    password::hash(password, Seed(seed)).map_err(|error| Sort::Failed.because(error))
}

fn check_name(name: &str) -> Result<(), Problem> {
    let good = !name.trim().is_empty()
        && name.chars().count() <= NAME_CHARS
        && !name.chars().any(char::is_control)
        && !name.contains(':');
    if good {
        Ok(())
    } else {
        Err(Sort::Invalid
            .because(format!("the name must have 1 to {NAME_CHARS} printable characters without a colon")))
    }
}

fn key(collection: &str, id: &str) -> Result<Key, Problem> {
    Key::new(collection, id).map_err(|error| Sort::Invalid.because(error.to_string()))
}

fn failed(error: &std::io::Error) -> Problem {
    Sort::Failed.because(format!("the store can't be read: {error}"))
}

/// Adds the routes.
pub fn add(book: &mut Book) {
    let session = |method, what: &str| Operation::new(method, "/session", "session", what);
    book.add(
        session(Method::Post, "Logs in")
            .open()
            .takes::<Credentials>()
            .gives::<SessionInfo>()
            .problems(&[Sort::NotLoggedIn]),
        log_in,
    );
    book.add(
        session(Method::Get, "Says who is logged in").role(Role::Viewer).gives::<SessionInfo>(),
        who_am_i,
    );
    book.add(session(Method::Delete, "Logs out").role(Role::Viewer), log_out);
    let user = |method, what: &str| {
        let operation = Operation::new(method, "/users/{id}", "users", what);
        operation.with("path", "id", json!({ "type": "string", "minLength": 1 }), "The user's name.")
    };
    let users = Media::Json(Schema::of::<User>().listed());
    book.add(
        Page::describe(Operation::new(Method::Get, "/users", "users", "Lists users")).gives_media(200, users),
        users_listed,
    );
    book.add(
        user(Method::Put, "Makes or changes a user")
            .takes::<User>()
            .gives::<User>()
            .problems(&[Sort::Conflict]),
        put_user,
    );
    book.add(user(Method::Delete, "Removes a user").problems(&[Sort::NotFound, Sort::Conflict]), delete_user);
    let tokens = Media::Json(Schema::of::<ApiToken>().listed());
    book.add(
        Page::describe(Operation::new(Method::Get, "/api-tokens", "api-tokens", "Lists API tokens"))
            .gives_media(200, tokens),
        tokens_listed,
    );
    let made = Media::Json(Schema::of::<ApiToken>());
    book.add(
        Operation::new(
            Method::Post,
            "/api-tokens",
            "api-tokens",
            "Makes an API token; its value is shown this once",
        )
        .takes::<NewToken>()
        .gives_media(201, made)
        .problems(&[Sort::Conflict]),
        make_token,
    );
    let token = Operation::new(Method::Delete, "/api-tokens/{id}", "api-tokens", "Removes an API token");
    let token = token.with("path", "id", json!({ "type": "string", "minLength": 1 }), "Its name.");
    book.add(token.problems(&[Sort::NotFound, Sort::Conflict]), delete_token);
}

async fn log_in(
    State(admin): State<Arc<Admin>>,
    Extension(From(from)): Extension<From>,
    Body(wanted): Body<Credentials>,
) -> Result<Response, Problem> {
    let _permit =
        admin.accounts.hashers.acquire().await.map_err(|_| Sort::Unavailable.because("the box is ending"))?;
    let kept = admin.configuration.read(USERS, &wanted.name).map_err(|error| failed(&error))?;
    let kept = kept.and_then(|(_, body)| serde_json::from_value::<UserDocument>(body).ok());
    let hash = kept.as_ref().map_or(NOBODY, |user| &user.password).to_owned();
    let password = Secret::new(wanted.password.0);
    let good = tokio::task::spawn_blocking(move || {
        PasswordHash::new(hash).is_ok_and(|hash| password::matches(&password, &hash))
    });
    let good = good.await.unwrap_or(false);
    let Some(user) = kept.filter(|_| good) else {
        admin.offended(from, Offence::WrongCredentials);
        admin.failed_login(from);
        return Err(Sort::NotLoggedIn.because("wrong name or password"));
    };
    let opened = admin.sessions.open(Instant::now(), &wanted.name, digest(&user.password))?;
    admin.note(&wanted.name, "log-in", vec![from.ip().to_string()]).await;
    let info = SessionInfo { name: wanted.name, role: user.role, csrf: Some(opened.csrf) };
    let cookie = format!(
        "{}={}; Path=/; Secure; HttpOnly; SameSite=Strict",
        super::access::COOKIE,
        opened.cookie.expose()
    );
    let mut response = Json(info).into_response();
    let mut cookie =
        HeaderValue::from_str(&cookie).map_err(|_| Sort::Failed.because("no cookie could be made"))?;
    cookie.set_sensitive(true);
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

async fn who_am_i(
    State(admin): State<Arc<Admin>>,
    Extension(who): Extension<Who>,
    headers: HeaderMap,
) -> Json<SessionInfo> {
    let session = cookie(&headers).filter(|_| !headers.contains_key(header::AUTHORIZATION));
    let csrf = session.and_then(|cookie| admin.session(cookie, Look::Use)).map(|(found, _)| found.csrf);
    Json(SessionInfo { name: who.name, role: who.role, csrf })
}

async fn log_out(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> Response {
    if let Some(cookie) = cookie(&headers) {
        admin.sessions.close(cookie);
    }
    let gone = format!("{}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0", super::access::COOKIE);
    (
        StatusCode::NO_CONTENT,
        [
            (header::SET_COOKIE, gone),
            (HeaderName::from_static("clear-site-data"), "\"cache\", \"storage\"".to_owned()),
        ],
    )
        .into_response()
}

async fn users_listed(
    State(admin): State<Arc<Admin>>,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    let found =
        admin.configuration.list(USERS, page.after(), page.limit()).map_err(|error| failed(&error))?;
    let next = found.last().filter(|_| found.len() == page.limit()).map(|(id, ..)| id.clone());
    let shown = |(name, _, body): (String, Revision, serde_json::Value)| {
        let kept: UserDocument = serde_json::from_value(body).ok()?;
        Some(User { name, role: kept.role, password: None })
    };
    let items: Vec<_> = found.into_iter().filter_map(shown).collect();
    Ok(Json(json!({ "items": items, "next": next })).into_response())
}

async fn put_user(
    State(admin): State<Arc<Admin>>,
    Extension(who): Extension<Who>,
    Segment(id): Segment<String>,
    Body(user): Body<User>,
) -> Result<Json<User>, Problem> {
    if user.name != id {
        return Err(Sort::Invalid.because("the name in the path and in the body differ"));
    }
    check_name(&id)?;
    let kept = admin.configuration.read(USERS, &id).map_err(|error| failed(&error))?;
    let kept = kept
        .and_then(|(revision, body)| Some((revision, serde_json::from_value::<UserDocument>(body).ok()?)));
    if kept.is_none()
        && admin.configuration.list(USERS, None, MOST).map_err(|error| failed(&error))?.len() >= MOST
    {
        return Err(Sort::Conflict.because(format!("there are {MOST} users already; remove one first")));
    }
    let (expected, old) =
        kept.map_or((Expected::Absent, None), |(revision, old)| (Expected::At(revision), Some(old)));
    if old.as_ref().is_some_and(|old| old.role == Role::Administrator) && user.role != Role::Administrator {
        keep_one_administrator(&admin, &id)?;
    }
    let _permit =
        admin.accounts.hashers.acquire().await.map_err(|_| Sort::Unavailable.because("the box is ending"))?;
    let password = match (user.password, old) {
        (Some(Hidden(password)), _) => {
            let hash = tokio::task::spawn_blocking(move || hashed(&Secret::new(password))).await;
            hash.map_err(|_| Sort::Failed.because("the password could not be hashed"))??.expose().to_owned()
        }
        (None, Some(old)) => old.password,
        (None, None) => return Err(Sort::Invalid.because("password is missing; a new user needs one")),
    };
    let body = json!(UserDocument { role: user.role, password }).to_string();
    let edit = Edit::put(key(USERS, &id)?, expected, body.as_bytes());
    admin.commit(&who.name, "set-user", vec![format!("{id} ({})", user.role)], vec![edit]).await?;
    Ok(Json(User { name: id, role: user.role, password: None }))
}

/// Refuses what would leave nobody who may change anything.
fn keep_one_administrator(admin: &Admin, but: &str) -> Result<(), Problem> {
    let all = admin.configuration.list(USERS, None, MOST).map_err(|error| failed(&error))?;
    let is_administrator = |body| {
        serde_json::from_value::<UserDocument>(body).is_ok_and(|user| user.role == Role::Administrator)
    };
    let others = all.into_iter().any(|(name, _, body)| name != but && is_administrator(body));
    if others {
        Ok(())
    } else {
        Err(Sort::Conflict.because(format!("{but:?} is the only administrator; make another one first")))
    }
}

async fn delete_user(
    State(admin): State<Arc<Admin>>,
    Extension(who): Extension<Who>,
    Segment(id): Segment<String>,
) -> Result<StatusCode, Problem> {
    let kept = admin.configuration.read(USERS, &id).map_err(|error| failed(&error))?;
    let (revision, _) = kept.ok_or_else(|| Sort::NotFound.because(format!("there is no user {id:?}")))?;
    keep_one_administrator(&admin, &id)?;
    let edit = Edit::remove(key(USERS, &id)?, Expected::At(revision));
    admin.commit(&who.name, "remove-user", vec![id.clone()], vec![edit]).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn tokens_listed(
    State(admin): State<Arc<Admin>>,
    Query(page): Query<Page>,
) -> Result<Response, Problem> {
    let found =
        admin.configuration.list(TOKENS, page.after(), page.limit()).map_err(|error| failed(&error))?;
    let next = found.last().filter(|_| found.len() == page.limit()).map(|(id, ..)| id.clone());
    let shown = |(name, _, body): (String, Revision, serde_json::Value)| {
        let TokenDocument { role, made, by, .. } = serde_json::from_value(body).ok()?;
        Some(ApiToken { name, role, made, by, value: None })
    };
    let items: Vec<_> = found.into_iter().filter_map(shown).collect();
    Ok(Json(json!({ "items": items, "next": next })).into_response())
}

async fn make_token(
    State(admin): State<Arc<Admin>>,
    Extension(who): Extension<Who>,
    Body(wanted): Body<NewToken>,
) -> Result<Response, Problem> {
    check_name(&wanted.name)?;
    if admin.configuration.list(TOKENS, None, MOST).map_err(|error| failed(&error))?.len() >= MOST {
        return Err(Sort::Conflict.because(format!("there are {MOST} API tokens already; remove one first")));
    }
    let (value, made) = (random()?, now().to_string());
    let kept = TokenDocument {
        role: wanted.role,
        digest: hex(&digest(&value)),
        made: made.clone(),
        by: who.name.clone(),
    };
    let edit = Edit::put(key(TOKENS, &wanted.name)?, Expected::Absent, json!(kept).to_string().as_bytes());
    admin
        .commit(&who.name, "make-api-token", vec![format!("{} ({})", wanted.name, wanted.role)], vec![edit])
        .await?;
    let value = Some(format!("{TOKEN_PREFIX}{value}"));
    let token = ApiToken { name: wanted.name, role: wanted.role, made, by: who.name, value };
    Ok((StatusCode::CREATED, Json(token)).into_response())
}

async fn delete_token(
    State(admin): State<Arc<Admin>>,
    Extension(who): Extension<Who>,
    Segment(id): Segment<String>,
) -> Result<StatusCode, Problem> {
    let kept = admin.configuration.read(TOKENS, &id).map_err(|error| failed(&error))?;
    let (revision, _) =
        kept.ok_or_else(|| Sort::NotFound.because(format!("there is no API token {id:?}")))?;
    let edit = Edit::remove(key(TOKENS, &id)?, Expected::At(revision));
    admin.commit(&who.name, "remove-api-token", vec![id], vec![edit]).await?;
    Ok(StatusCode::NO_CONTENT)
}
