//! The control interface: what tests do with [`Simulator`](crate::Simulator), over HTTP for other processes.
//!
//! ```text
//! GET  /control/meetings                              [MeetingInfo]
//! GET  /control/participants?meeting=ID               [ParticipantInfo]
//! GET  /control/probe?participant=DEVICE              ProbeReport
//! GET  /control/snapshot?participant=DEVICE&remote=D  image/png
//! GET  /control/ca                                    the CA, PEM
//! GET  /control/events?since=N                        {next, events: [SimEvent]}, at once or within 10 s
//! POST /control   {"do":"admit","participant":DEVICE} and the other commands below: 204, or 404 where it does not exist
//! ```

use crate::report::{LeaveReason, MeetingInfo, ParticipantInfo, SimEvent};
use crate::sfu::layers::LayerChoice;
use crate::simulator::{Shared, locked};
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest that a question for events waits.
const POLL: Duration = Duration::from_secs(10);

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/control", axum::routing::post(command))
        .route("/control/meetings", get(meetings))
        .route("/control/participants", get(participants))
        .route("/control/probe", get(probe))
        .route("/control/snapshot", get(snapshot))
        .route("/control/ca", get(ca))
        .route("/control/events", get(events))
        .with_state(shared)
}

#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Command {
    Admit { participant: String },
    Reject { participant: String },
    Kick { participant: String },
    EndMeeting { meeting: String },
    ReopenMeeting { meeting: String },
    SetRecording { meeting: String, on: bool },
    SetInterop { meeting: String, on: bool },
    SetVideoLock { meeting: String, on: bool },
    SetLayer { participant: String, remote: String, layer: LayerChoice },
}

async fn command(State(shared): State<Arc<Shared>>, Json(command): Json<Command>) -> StatusCode {
    let done = shared.with(|conference, now| match command {
        Command::Admit { participant } => conference.admit(now, &participant),
        Command::Reject { participant } => conference.expel(now, &participant, LeaveReason::Rejected),
        Command::Kick { participant } => conference.expel(now, &participant, LeaveReason::Kicked),
        Command::EndMeeting { meeting } => conference.end_meeting(now, &meeting),
        Command::ReopenMeeting { meeting } => conference.reopen(&meeting),
        Command::SetRecording { meeting, on } => conference.set_recording(now, &meeting, on),
        Command::SetInterop { meeting, on } => conference.set_interop(now, &meeting, on),
        Command::SetVideoLock { meeting, on } => conference.set_video_lock(now, &meeting, on),
        Command::SetLayer { participant, remote, layer } => {
            conference.set_layer(now, &participant, &remote, layer)
        }
    });
    if done { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }
}

#[derive(Debug, Deserialize)]
struct OfMeeting {
    meeting: String,
}

#[derive(Debug, Deserialize)]
struct OfParticipant {
    participant: String,
    #[serde(default)]
    remote: String,
}

async fn meetings(State(shared): State<Arc<Shared>>) -> Json<Vec<MeetingInfo>> {
    Json(shared.with(|conference, _| conference.meetings()))
}

async fn participants(
    State(shared): State<Arc<Shared>>,
    Query(of): Query<OfMeeting>,
) -> Json<Vec<ParticipantInfo>> {
    Json(shared.with(|conference, now| conference.participants(now, &of.meeting)))
}

async fn probe(State(shared): State<Arc<Shared>>, Query(of): Query<OfParticipant>) -> Response {
    let report = locked(&shared.probes).report(&of.participant);
    report.map_or_else(|| StatusCode::NOT_FOUND.into_response(), |report| Json(report).into_response())
}

async fn snapshot(State(shared): State<Arc<Shared>>, Query(of): Query<OfParticipant>) -> Response {
    let png = locked(&shared.probes).snapshot(&of.participant, &of.remote);
    let found = |png: Vec<u8>| ([(header::CONTENT_TYPE, "image/png")], png).into_response();
    png.map_or_else(|| StatusCode::NOT_FOUND.into_response(), found)
}

async fn ca(State(shared): State<Arc<Shared>>) -> Response {
    ([(header::CONTENT_TYPE, "application/x-pem-file")], shared.ca_pem.clone()).into_response()
}

#[derive(Debug, Deserialize)]
struct Since {
    #[serde(default)]
    since: u64,
}

#[derive(Debug, Serialize)]
struct Events {
    next: u64,
    events: Vec<SimEvent>,
}

async fn events(State(shared): State<Arc<Shared>>, Query(Since { since }): Query<Since>) -> Json<Events> {
    let deadline = Instant::now() + POLL;
    loop {
        // Before the look, so that what happens in between is not missed.
        let mut listener = shared.events.subscribe();
        let (next, events) = shared.happened(since);
        if !events.is_empty() || Instant::now() >= deadline {
            return Json(Events { next, events });
        }
        // Whatever wakes us, the look tells.
        let _ = tokio::time::timeout_at(deadline.into(), listener.recv()).await;
    }
}
