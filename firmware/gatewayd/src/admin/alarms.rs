//! Alarms (P17): what stands, what stood, and who has seen it; and how those are doing that alarms are told to.

use super::Admin;
use super::access::{Role, Who};
use super::body::Segment;
use super::book::{Book, Media, Method, Operation, Schema};
use super::problem::{Problem, Sort};
use crate::alarms::NotAcknowledged;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use domain::alarm::{Alarm, AlarmId, PastAlarm};
use serde_json::{Value, json};
use std::sync::Arc;

/// Adds the routes.
pub fn add(book: &mut Book) {
    let view = |path: &str, what: &str| Operation::new(Method::Get, path, "alarms", what).role(Role::Viewer);
    let alarms = || Media::Json(alarm().listed());
    book.add(view("/alarms", "Alarms that stand, the oldest first").gives_media(200, alarms()), standing);
    book.add(
        view("/alarm-history", "Alarms that are over, the latest first").gives_media(200, alarms()),
        history,
    );
    let acknowledge = Operation::new(
        Method::Post,
        "/alarms/{id}/acknowledgement",
        "alarms",
        "Says that somebody has seen an alarm",
    );
    let acknowledge =
        acknowledge.with("path", "id", json!({ "type": "integer", "minimum": 0 }), "The alarm's number.");
    book.add(acknowledge.role(Role::Operator).problems(&[Sort::NotFound]), acknowledged);
    let receiver = json!({
        "type": "object",
        "required": ["name", "waiting", "dropped"],
        "properties": {
            "name": { "type": "string" },
            "waiting": { "type": "integer", "description": "Notices that wait." },
            "dropped": { "type": "integer", "description": "Notices that it never got." },
        },
    });
    book.add(
        view("/alarm-deliveries", "How those are doing that alarms are told to")
            .gives_media(200, Media::Json(Schema::plain(receiver).listed())),
        deliveries,
    );
}

/// As `domain::alarm::Shown` is written.
fn alarm() -> Schema {
    let text = |what: &str| json!({ "type": "string", "description": what });
    let maybe = |what: &str| json!({ "type": ["string", "null"], "description": what });
    Schema::plain(json!({
        "type": "object",
        "required": ["id", "identifier", "name", "level", "instance", "details", "time_raised"],
        "properties": {
            "id": { "type": "integer", "description": "Its number." },
            "identifier": text("What sort it is."),
            "name": text("The sort in words."),
            "level": { "type": "string", "enum": ["warning", "minor", "major", "critical"] },
            "instance": text("What it is about."),
            "details": text("What is wrong, and the way out."),
            "times": { "type": "integer", "description": "How often it was told." },
            "time_raised": text("When it was raised."),
            "time_lowered": maybe("When it was over."),
            "acknowledged_by": maybe("Who has seen it."),
            "time_acknowledged": maybe("When."),
        },
    }))
}

async fn standing(State(admin): State<Arc<Admin>>) -> Json<Value> {
    let alarms = admin.alarms.list();
    Json(json!({ "items": alarms.iter().map(Alarm::shown).collect::<Vec<_>>(), "next": null }))
}

async fn history(State(admin): State<Arc<Admin>>) -> Json<Value> {
    let past = admin.alarms.history();
    Json(json!({ "items": past.iter().rev().map(PastAlarm::shown).collect::<Vec<_>>(), "next": null }))
}

async fn acknowledged(
    State(admin): State<Arc<Admin>>,
    Extension(who): Extension<Who>,
    Segment(id): Segment<u64>,
) -> Result<StatusCode, Problem> {
    admin.alarms.acknowledge(AlarmId(id), &who.name).await.map_err(|error| match error {
        NotAcknowledged::Unknown(_) => Sort::NotFound.because(error.to_string()),
        NotAcknowledged::Gone => Sort::Unavailable.because(error.to_string()),
    })?;
    admin.note(&who.name, "acknowledge-alarm", vec![id.to_string()]).await;
    Ok(StatusCode::NO_CONTENT)
}

async fn deliveries(State(admin): State<Arc<Admin>>) -> Json<Value> {
    Json(json!({ "items": admin.alarms.receivers().await, "next": null }))
}
