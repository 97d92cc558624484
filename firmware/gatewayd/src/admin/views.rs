//! What goes on: the live view, calls and their ends, events as they happen (SSE), health, metrics (Prometheus).

use super::Admin;
use super::access::{Look, Role, Who, cookie};
use super::body::{Limit, MOST_ITEMS, Query, Segment};
use super::book::{Book, Media, Method, Operation, Schema};
use super::problem::{Problem, Sort};
use crate::configuration::SecretPlace;
use crate::control::{BlockedSource, Status, Taking};
use crate::engine::event::Event;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base::ids::CallId;
use domain::history::{COLUMNS, CallRecord};
use domain::status::{Call, Snapshot};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use utoipa::ToSchema;

/// What the live view opens with.
#[derive(Debug, Serialize, ToSchema)]
pub struct Live {
    /// Meetings with their calls, and calls that no rule has taken yet.
    #[serde(flatten)]
    pub live: Snapshot,
    /// Whether new calls are taken.
    pub taking_calls: bool,
    /// Sources that are not heard.
    pub blocked: Vec<BlockedSource>,
    /// Mean time from a picture's arrival to what was made of it, in milliseconds.
    pub picture_latency_ms: Option<f64>,
}

/// How the box is.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    /// Whether it takes calls.
    taking_calls: bool,
    /// Its release.
    version: &'static str,
    /// Seconds since it was started.
    uptime_s: u64,
    /// Calls that stand.
    calls: usize,
    /// The last change of the configuration.
    revision: u64,
    /// What was changed and waits for a restart.
    restart_needed_for: Vec<&'static str>,
    /// Where the audit log was edited or damaged, if it was.
    audit_trouble: Option<String>,
    /// Whether anybody can log in yet.
    has_users: bool,
    /// What guards the key of what is sealed at rest.
    secrets_sealed_by: &'static str,
    /// The same for programs: `tpm2` or `unsealed file`.
    sealed: &'static str,
    /// Secrets that can't be opened any more and have to be entered anew.
    unreadable_secrets: Vec<UnreadableSecret>,
}

/// A secret that can't be opened.
#[derive(Debug, Serialize, ToSchema)]
struct UnreadableSecret {
    /// The resource, such as `access-tokens/tenant a`.
    resource: String,
    /// The field of it.
    field: &'static str,
}

/// Which part of the history.
#[derive(Debug, Default, Deserialize)]
struct Part {
    before: Option<u64>,
    #[serde(default)]
    limit: Limit,
}

impl Live {
    /// Of what all shards say.
    #[must_use]
    pub fn of(status: &Status) -> Self {
        Self {
            live: status.live.clone(),
            taking_calls: status.taking == Taking::Calls,
            blocked: status.blocked.clone(),
            picture_latency_ms: status.picture_latency_ms,
        }
    }
}

/// Adds the routes.
pub fn add(book: &mut Book) {
    let view = |path: &str, tag, what: &str| Operation::new(Method::Get, path, tag, what).role(Role::Viewer);
    book.add(
        view("/live", "live", "Meetings, the calls into each, their legs and streams").gives::<Live>(),
        live,
    );
    book.add(
        view(
            "/events",
            "live",
            "The live view each second, and each change of the configuration (SSE: `live`, `changed`)",
        )
        .gives_media(200, Media::Text("text/event-stream")),
        events,
    );
    let calls = Media::Json(Schema::of::<Call>().listed());
    book.add(view("/calls", "calls", "Calls that stand").gives_media(200, calls), calls_listed);
    let id = || json!({ "type": "integer", "minimum": 0 });
    let one = |method, path, what: &str| {
        Operation::new(method, path, "calls", what).with("path", "id", id(), "The call's number.")
    };
    book.add(
        one(Method::Get, "/calls/{id}", "A call that stands")
            .role(Role::Viewer)
            .gives::<Call>()
            .problems(&[Sort::NotFound]),
        call,
    );
    book.add(
        one(Method::Delete, "/calls/{id}", "Ends a call").role(Role::Operator).problems(&[Sort::NotFound]),
        hang_up,
    );
    let participant = Operation::new(
        Method::Post,
        "/calls/{id}/participants/{action}",
        "calls",
        "Refuses: other participants can't be muted, disconnected or transferred from here (P10)",
    );
    let participant = participant.with("path", "id", id(), "The call's number.").with(
        "path",
        "action",
        json!({ "type": "string", "enum": ["mute", "disconnect", "transfer"] }),
        "What is wanted.",
    );
    book.add(participant.role(Role::Operator).problems(&[Sort::NotFound, Sort::Conflict]), others);
    let part = |operation: Operation| {
        operation
            .with(
                "query",
                "before",
                json!({ "type": "integer", "minimum": 0 }),
                "Records before this number.",
            )
            .with(
                "query",
                "limit",
                json!({ "type": "integer", "minimum": 1, "maximum": MOST_ITEMS }),
                "Most records.",
            )
    };
    let records = Media::Json(Schema::of::<CallRecord>().listed());
    book.add(
        part(view("/call-history", "calls", "Calls that are over, the newest first"))
            .gives_media(200, records),
        history,
    );
    book.add(
        part(view("/call-history.csv", "calls", "The same as a table"))
            .gives_media(200, Media::Text("text/csv")),
        history_csv,
    );
    book.add(view("/health", "box", "How the box is").gives::<Health>(), health);
    book.add(
        view("/metrics", "box", "Figures for Prometheus").gives_media(200, Media::Text("text/plain")),
        metrics,
    );
    let forgive =
        Operation::new(Method::Delete, "/blocked-sources/{address}", "defence", "Hears an address again");
    let forgive = forgive.with("path", "address", json!({ "type": "string" }), "An IP address.");
    book.add(forgive.role(Role::Operator).problems(&[Sort::NotFound]), forgiven);
}

async fn live(State(admin): State<Arc<Admin>>) -> Json<Live> {
    Json(Live::of(&admin.live.borrow()))
}

/// One stream for each page that is open; it ends with its session.
async fn events(State(admin): State<Arc<Admin>>, headers: HeaderMap) -> Response {
    let cookie = cookie(&headers).filter(|_| !headers.contains_key(header::AUTHORIZATION)).map(str::to_owned);
    let (live, changes) = (admin.live.clone(), admin.configuration.watch());
    let begun = Box::new((admin, cookie, live, changes));
    let stream = futures_util::stream::unfold(begun, |mut state| async move {
        let (admin, cookie, live, changes) = &mut *state;
        let event = tokio::select! {
            changed = live.changed() => {
                changed.ok()?;
                let live = Live::of(&live.borrow_and_update());
                sse::Event::default().event("live").json_data(live).ok()?
            }
            changed = changes.changed() => {
                changed.ok()?;
                changes.mark_unchanged();
                sse::Event::default().event("changed").data(admin.configuration.revision().to_string())
            }
        };
        let ended = cookie.as_deref().is_some_and(|cookie| admin.session(cookie, Look::Glance).is_none());
        (!ended).then_some((Ok::<_, Infallible>(event), state))
    });
    Sse::new(stream).keep_alive(KeepAlive::default()).into_response()
}

async fn calls_listed(State(admin): State<Arc<Admin>>) -> Response {
    let calls: Vec<_> = admin.live.borrow().live.calls().cloned().collect();
    Json(json!({ "items": calls, "next": null })).into_response()
}

fn standing(admin: &Admin, id: u64) -> Result<Call, Problem> {
    let found = admin.live.borrow().live.calls().find(|call| call.id == id).cloned();
    found.ok_or_else(|| Sort::NotFound.because(format!("no call {id} stands")))
}

async fn call(State(admin): State<Arc<Admin>>, Segment(id): Segment<u64>) -> Result<Json<Call>, Problem> {
    standing(&admin, id).map(Json)
}

async fn hang_up(
    State(admin): State<Arc<Admin>>,
    Extension(who): Extension<Who>,
    Segment(id): Segment<u64>,
) -> Result<StatusCode, Problem> {
    let call = standing(&admin, id)?;
    for shard in &admin.shards {
        // A shard that is gone has no calls.
        drop(shard.send(Event::HangUp(CallId(id))).await);
    }
    let caller = call.caller.unwrap_or_default();
    admin.note(&who.name, "end-call", vec![format!("call {id} of {caller}")]).await;
    Ok(StatusCode::NO_CONTENT)
}

async fn others(
    State(admin): State<Arc<Admin>>,
    Segment((id, action)): Segment<(u64, String)>,
) -> Result<StatusCode, Problem> {
    standing(&admin, id)?;
    let action: String = action.chars().filter(char::is_ascii_lowercase).take(16).collect();
    let why = "the conference lets its own hosts alone do that; ask the host, or end the room's call itself (DELETE /calls/{id})";
    Err(Sort::Conflict.because(format!("cannot {action} another participant from here: {why}")))
}

async fn history(State(admin): State<Arc<Admin>>, Query(part): Query<Part>) -> Response {
    let limit = part.limit.or_usual();
    let items = admin.history.newest(part.before, limit);
    let next = items.last().filter(|_| items.len() == limit).map(|record| record.seq.to_string());
    Json(json!({ "items": items, "next": next })).into_response()
}

async fn history_csv(State(admin): State<Arc<Admin>>, Query(part): Query<Part>) -> Response {
    let records = admin.history.newest(part.before, part.limit.or_most());
    let table: String =
        std::iter::once(COLUMNS.to_owned()).chain(records.iter().map(|record| record.row())).collect();
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"call-history.csv\""),
    ];
    (headers, table).into_response()
}

async fn health(State(admin): State<Arc<Admin>>) -> Json<Health> {
    let (taking_calls, calls) = {
        let status = admin.live.borrow();
        (status.taking == Taking::Calls, status.live.calls().count())
    };
    let protection = admin.configuration.secrets().protection();
    let standing = admin.configuration.standing();
    let unreadable = |place: &SecretPlace| UnreadableSecret {
        resource: format!("{}/{}", place.kind.collection(), place.name),
        field: place.field,
    };
    Json(Health {
        taking_calls,
        version: env!("CARGO_PKG_VERSION"),
        uptime_s: admin.started.elapsed().as_secs(),
        calls,
        revision: admin.configuration.revision().0,
        restart_needed_for: admin.configuration.waits_for_restart(),
        audit_trouble: admin.configuration.audit_trouble(),
        has_users: admin.accounts.any(&admin.configuration),
        secrets_sealed_by: protection.text(),
        sealed: protection.word(),
        unreadable_secrets: standing.unreadable.iter().map(unreadable).collect(),
    })
}

/// In the text format of Prometheus, version 0.0.4.
async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    let text = {
        let status = admin.live.borrow();
        let mut text = String::new();
        let mut gauge = |name: &str, value: &dyn std::fmt::Display| {
            text += &format!("# TYPE gantry_{name} gauge\ngantry_{name} {value}\n");
        };
        gauge("calls", &status.live.calls().count());
        gauge("meetings", &status.live.conferences.len());
        gauge("taking_calls", &u8::from(status.taking == Taking::Calls));
        gauge("blocked_sources", &status.blocked.len());
        gauge("uptime_seconds", &admin.started.elapsed().as_secs());
        gauge("configuration_revision", &admin.configuration.revision());
        for (name, count) in status.held.iter().chain(&status.lingering) {
            gauge(name, count);
        }
        if let Some(latency) = status.picture_latency_ms {
            gauge("picture_latency_seconds", &(latency / 1_000.0));
        }
        for (name, count) in &status.counters {
            text += &format!("# TYPE gantry_{name}_total counter\ngantry_{name}_total {count}\n");
        }
        text
    };
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}

async fn forgiven(
    State(admin): State<Arc<Admin>>,
    Extension(who): Extension<Who>,
    Segment(address): Segment<String>,
) -> Result<StatusCode, Problem> {
    let address: IpAddr =
        address.parse().map_err(|_| Sort::NotFound.because(format!("{address:?} is no IP address")))?;
    for shard in &admin.shards {
        // A shard that is gone holds nothing against anybody.
        drop(shard.send(Event::Forgive(address)).await);
    }
    admin.forgive(address);
    admin.note(&who.name, "forgive", vec![address.to_string()]).await;
    Ok(StatusCode::NO_CONTENT)
}
