//! The gateways' interface: sections 1 and 2 of the `interop` protocol (firmware/proto/meet/PROTOCOL.md).

use crate::conference::{Join, Refusal};
use crate::config::Trust;
use crate::jwt::Expected;
use crate::report::{ClientKind, LeaveReason, Stage};
use crate::simulator::{Shared, locked};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, post};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Largest join body, in octets.
const BODY_BYTES: usize = 64 * 1024;
/// Largest offer, in octets.
const OFFER_BYTES: usize = 48 * 1024;

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/interop/v1/meetings/{meeting_join}", post(join))
        .route("/interop/v1/sessions/{session}", delete(leave))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .with_state(shared)
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct JoinBody {
    version: u32,
    call_id: String,
    display_name: String,
    access_token: String,
    pin: Option<String>,
    trust: Asked,
    max_bitrate: u64,
    sdp_offer: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Asked {
    Trusted,
    Untrusted,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct JoinReply {
    participant: String,
    session: String,
    sdp_answer: String,
    state: Stage,
    #[serde(skip_serializing_if = "Option::is_none")]
    lobby_deadline_seconds: Option<u64>,
}

/// A refusal in the manner of RFC 9457.
#[derive(Debug, Serialize)]
struct Problem {
    status: u16,
    code: &'static str,
    detail: String,
}

impl Problem {
    fn new(status: u16, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into().chars().take(1_024).collect() }
    }

    fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(400, "BAD_REQUEST", detail)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (code, status) = refusal.code();
        let detail = match refusal {
            Refusal::UnknownMeeting => "no meeting has this number".to_owned(),
            Refusal::Ended => "the meeting is over".to_owned(),
            Refusal::BadPin => "the PIN is missing or wrong".to_owned(),
            Refusal::InteropOff => "interoperability is off".to_owned(),
            Refusal::VideoLocked => "the host has turned participants' video off".to_owned(),
            Refusal::Full => "no place left".to_owned(),
            Refusal::BadOffer(why) => why,
        };
        Self::new(status, code, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, "application/problem+json")], axum::Json(self)).into_response()
    }
}

async fn join(
    State(shared): State<Arc<Shared>>,
    Path(meeting_join): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let Some(meeting) = meeting_join.strip_suffix(":join") else {
        return Ok(StatusCode::NOT_FOUND.into_response());
    };
    let host = host_of(&uri, &headers);
    let result = try_join(&shared, meeting, &host, &headers, &body);
    if let Err(problem) = &result {
        shared.refused(meeting, problem.code);
    }
    result.map(|reply| axum::Json(reply).into_response())
}

fn try_join(
    shared: &Shared,
    meeting: &str,
    host: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<JoinReply, Problem> {
    let version = serde_json::from_slice::<serde_json::Value>(body)
        .map_err(|error| Problem::bad_request(format!("the body is no JSON: {error}")))?;
    if version.get("version").is_some_and(|version| version != 1) {
        return Err(Problem::new(400, "UNSUPPORTED_VERSION", "this is version 1"));
    }
    let body: JoinBody = serde_json::from_value(version)
        .map_err(|error| Problem::bad_request(format!("the body: {error}")))?;
    check_limits(meeting, &body)?;
    let token = check_token(shared, &body)?;
    check_jwt(shared, meeting, host, headers, &body)?;
    let trust = match (token, body.trust) {
        (Trust::Trusted, Asked::Trusted) => Trust::Trusted,
        _ => Trust::Untrusted,
    };
    let lobby = shared.with(|conference, _| conference.config().lobby);
    let join = Join {
        meeting: meeting.to_owned(),
        pin: body.pin,
        name: body.display_name,
        kind: ClientKind::Gateway,
        call_id: Some(body.call_id),
        trust,
        offer: body.sdp_offer,
    };
    let joined = shared.with(|conference, now| conference.join(now, join))?;
    Ok(JoinReply {
        participant: joined.device,
        session: format!("/interop/v1/sessions/{}", joined.session),
        sdp_answer: joined.answer,
        lobby_deadline_seconds: (joined.stage == Stage::Lobby).then_some(lobby.as_secs()),
        state: joined.stage,
    })
}

fn check_limits(meeting: &str, body: &JoinBody) -> Result<(), Problem> {
    let is_id = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let between = |text: &str, most: usize| (1..=most).contains(&text.chars().count());
    let wrong = if body.version != 1 {
        "version"
    } else if !between(meeting, 64) || !meeting.chars().all(is_id) {
        "meeting id"
    } else if !between(&body.call_id, 64) {
        "callId"
    } else if !between(&body.display_name, 128) {
        "displayName"
    } else if !between(&body.access_token, 256) {
        "accessToken"
    } else if body.pin.as_deref().is_some_and(|pin| !between(pin, 32)) {
        "pin"
    } else if body.max_bitrate == 0 || body.max_bitrate > 2_000_000 {
        "maxBitrate"
    } else if body.sdp_offer.len() > OFFER_BYTES {
        "sdpOffer"
    } else {
        return Ok(());
    };
    Err(Problem::bad_request(format!("{wrong} is outside its limits")))
}

fn check_token(shared: &Shared, body: &JoinBody) -> Result<Trust, Problem> {
    shared
        .with(|conference, _| {
            let mut tokens = conference.config().tokens.iter();
            tokens.find(|token| token.value == body.access_token).map(|token| token.trust)
        })
        .ok_or_else(|| Problem::new(403, "BAD_TOKEN", "the access token is unknown"))
}

fn check_jwt(
    shared: &Shared,
    meeting: &str,
    host: &str,
    headers: &HeaderMap,
    body: &JoinBody,
) -> Result<(), Problem> {
    let Some(verifier) = &shared.verifier else { return Ok(()) };
    // Without a JWT the access token alone decides.
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(()) };
    let bad = |detail: String| Problem::new(401, "BAD_JWT", detail);
    let token = value.to_str().ok().and_then(|value| value.strip_prefix("Bearer "));
    let token = token.ok_or_else(|| bad("Authorization is no bearer token".to_owned()))?;
    let expected = Expected { host, meeting, call_id: &body.call_id };
    let gateway =
        locked(verifier).check(token, expected).map_err(|error| bad(format!("the JWT: {error:#}")))?;
    shared.proven(gateway, &body.call_id);
    Ok(())
}

/// Where the request was sent to: HTTP/2 puts it into the URI, HTTP/1.1 into a header.
fn host_of(uri: &Uri, headers: &HeaderMap) -> String {
    let in_uri = uri.authority().map(|authority| authority.as_str());
    let in_header = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    in_uri.or(in_header).unwrap_or_default().to_owned()
}

async fn leave(State(shared): State<Arc<Shared>>, Path(session): Path<String>) -> StatusCode {
    let left = shared.with(|conference, now| match conference.session(&session) {
        Some((device, _)) => conference.expel(now, &device, LeaveReason::Left),
        None => false,
    });
    if left { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}
