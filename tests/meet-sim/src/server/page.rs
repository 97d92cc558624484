//! The page on which people join with a browser, and what it asks for.
//!
//! ```text
//! GET  /  and the files it loads          the page
//! GET  /page/meetings                     [{id, title, pin}]
//! POST /page/join {meeting, pin?, name, sdpOffer}   {participant, session, sdpAnswer}, or 4xx {code, detail}
//! POST /page/sessions/ID/leave            goodbye (a beacon when the tab is closed)
//! POST /page/sessions/ID/probe            what it measured
//! POST /page/sessions/ID/snapshot?remote=DEVICE     image/png: what it sees
//! ```
//! What the page takes in its URL: `meeting`, `pin`, `name`, `autojoin=1`; `layer=auto|low|mid|high` for all tiles;
//! `simulcast=0` for one layer only; `probe=1` to measure and report; `source=camera|pattern` (the pattern where it probes,
//! else the camera), with `size=1280x720`, `fps=30`, `hz=1000` (tone) and `beep=1800` (beep, sent and listened for).
//! Chromium sends all three layers only of pictures of at least 960x540.
//!
//! A browser needs no token: whoever reaches the page is taken for somebody of the organisation.

use crate::conference::Join;
use crate::config::Trust;
use crate::probe::RemoteProbe;
use crate::report::{ClientKind, LeaveReason};
use crate::simulator::{Shared, locked};
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Largest snapshot or report, in octets.
const UPLOAD_BYTES: usize = 8 * 1024 * 1024;

/// What a browser may take its network to carry at first, in kbit/s.
const START_KBPS: u32 = 2_500;

/// Only what this origin serves may be loaded, run or reached.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; \
     connect-src 'self'; media-src 'self' blob:; worker-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

/// Path, type and content of each file of the page.
const FILES: [(&str, &str, &str); 6] = [
    ("/", "text/html; charset=utf-8", include_str!("../web/index.html")),
    ("/style.css", "text/css; charset=utf-8", include_str!("../web/style.css")),
    ("/app.js", "text/javascript; charset=utf-8", include_str!("../web/app.js")),
    ("/pattern.js", "text/javascript; charset=utf-8", include_str!("../web/pattern.js")),
    ("/probe.js", "text/javascript; charset=utf-8", include_str!("../web/probe.js")),
    ("/listen.js", "text/javascript; charset=utf-8", include_str!("../web/listen.js")),
];

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    let files = FILES.into_iter().fold(Router::new(), |router, (path, kind, content)| {
        router.route(path, get(move || async move { file(kind, content) }))
    });
    let asked = Router::new()
        .route("/page/meetings", get(meetings))
        .route("/page/join", post(join))
        .route("/page/sessions/{session}/leave", post(leave))
        .route("/page/sessions/{session}/probe", post(probe))
        .route("/page/sessions/{session}/snapshot", post(snapshot))
        .layer(DefaultBodyLimit::max(UPLOAD_BYTES))
        .with_state(shared);
    files.merge(asked)
}

fn file(kind: &'static str, content: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, content).into_response()
}

#[derive(Debug, Serialize)]
struct Choice {
    id: String,
    title: String,
    pin: bool,
}

async fn meetings(State(shared): State<Arc<Shared>>) -> Json<Vec<Choice>> {
    let known = shared.with(|conference, _| conference.meetings());
    Json(known.into_iter().map(|known| Choice { id: known.id, title: known.title, pin: known.pin }).collect())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct JoinBody {
    meeting: String,
    pin: Option<String>,
    name: String,
    sdp_offer: String,
}

async fn join(State(shared): State<Arc<Shared>>, Json(body): Json<JoinBody>) -> Response {
    let meeting = body.meeting.clone();
    let join = Join {
        meeting: body.meeting,
        pin: body.pin.filter(|pin| !pin.is_empty()),
        name: body.name,
        kind: ClientKind::Browser,
        call_id: None,
        trust: Trust::Trusted,
        offer: body.sdp_offer,
    };
    match shared.with(|conference, now| conference.join(now, join)) {
        Ok(joined) => Json(json!({
            "participant": joined.device,
            "session": joined.session,
            "sdpAnswer": paired(&joined.answer),
        }))
        .into_response(),
        Err(refusal) => {
            let (code, status) = refusal.code();
            shared.refused(&meeting, code);
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
            (status, Json(json!({ "code": code, "detail": format!("{refusal:?}") }))).into_response()
        }
    }
}

/// Names the media streams of an answer so that the n-th sound and the n-th picture sent are one stream: a browser keeps
/// lips and voice together only within a stream (RFC 8830).
fn paired(answer: &str) -> String {
    let mut sections = Vec::new();
    for line in answer.lines() {
        if line.starts_with("m=") || sections.is_empty() {
            sections.push(Vec::new());
        }
        if let Some(section) = sections.last_mut() {
            section.push(line);
        }
    }
    let (mut sounds, mut pictures) = (0, 0);
    let mut out = String::new();
    for section in sections {
        let sends = section.contains(&"a=sendonly") || section.contains(&"a=sendrecv");
        let counter = if section[0].starts_with("m=audio") { &mut sounds } else { &mut pictures };
        let media = section[0].starts_with("m=audio") || section[0].starts_with("m=video");
        let stream = format!("pair{}", *counter);
        if sends && media {
            *counter += 1;
        }
        for line in section {
            out.push_str(&if sends && media { renamed(line, &stream) } else { line.to_owned() });
            out.push_str("\r\n");
            out.push_str(&hint(line));
        }
    }
    out
}

/// Chromium begins at 300 kbit/s and takes half a minute to all its layers unless the answer knows better.
fn hint(line: &str) -> String {
    let pt = line.strip_prefix("a=rtpmap:").and_then(|rest| rest.strip_suffix(" VP8/90000"));
    pt.map(|pt| format!("a=fmtp:{pt} x-google-start-bitrate={START_KBPS}\r\n")).unwrap_or_default()
}

fn renamed(line: &str, stream: &str) -> String {
    let Some((before, value)) = line.split_once("msid:") else { return line.to_owned() };
    match value.split_once(' ') {
        Some((_, track)) if before.starts_with("a=") => format!("{before}msid:{stream} {track}"),
        _ => line.to_owned(),
    }
}

async fn leave(State(shared): State<Arc<Shared>>, Path(session): Path<String>) -> StatusCode {
    let left = shared.with(|conference, now| match conference.session(&session) {
        Some((device, _)) => conference.expel(now, &device, LeaveReason::Left),
        None => false,
    });
    if left { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

async fn probe(
    State(shared): State<Arc<Shared>>,
    Path(session): Path<String>,
    Json(remotes): Json<BTreeMap<String, RemoteProbe>>,
) -> StatusCode {
    let Some((device, _)) = shared.with(|conference, _| conference.session(&session)) else {
        return StatusCode::NOT_FOUND;
    };
    locked(&shared.probes).add(&device, remotes);
    StatusCode::NO_CONTENT
}

#[derive(Debug, Deserialize)]
struct Of {
    remote: String,
}

async fn snapshot(
    State(shared): State<Arc<Shared>>,
    Path(session): Path<String>,
    Query(of): Query<Of>,
    png: Bytes,
) -> StatusCode {
    let Some((device, _)) = shared.with(|conference, _| conference.session(&session)) else {
        return StatusCode::NOT_FOUND;
    };
    locked(&shared.probes).keep_snapshot(&device, &of.remote, png.to_vec());
    StatusCode::NO_CONTENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_sound_and_the_nth_picture_become_one_stream() {
        let answer = "v=0\r\nm=audio 9\r\na=recvonly\r\na=msid:x t0\r\nm=audio 9\r\na=sendonly\r\na=msid:a t1\r\n\
                      a=ssrc:7 msid:a t1\r\nm=video 9\r\na=sendonly\r\na=msid:b t2\r\nm=audio 9\r\na=sendonly\r\na=msid:c t3\r\n";
        let expected = "v=0\r\nm=audio 9\r\na=recvonly\r\na=msid:x t0\r\nm=audio 9\r\na=sendonly\r\na=msid:pair0 t1\r\n\
                        a=ssrc:7 msid:pair0 t1\r\nm=video 9\r\na=sendonly\r\na=msid:pair0 t2\r\nm=audio 9\r\na=sendonly\r\n\
                        a=msid:pair1 t3\r\n";
        assert_eq!(paired(answer), expected);
    }

    #[test]
    fn the_page_loads_nothing_from_outside() {
        for (path, _, content) in FILES {
            for scheme in ["http://", "https://", "//cdn"] {
                assert!(!content.contains(scheme), "{path} holds {scheme}");
            }
        }
    }
}
