//! What is kept: the audit log, and the configuration as an archive to keep elsewhere.

use super::Admin;
use super::access::Who;
use super::body::{Body, Limit, MOST_ITEMS, Query};
use super::book::{Book, Media, Method, Operation, Schema};
use super::problem::{Problem, Sort};
use crate::configuration::{ARCHIVE_BYTES, Archive, ArchiveError};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base::Secret;
use domain::config::Config;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::ToSchema;

/// Largest body of an import, in bytes.
const IMPORT_BYTES: usize = ARCHIVE_BYTES + 4_096;

/// Which part of the audit log.
#[derive(Debug, Default, Deserialize)]
struct Part {
    before: Option<u64>,
    #[serde(default)]
    limit: Limit,
}

/// A line of the audit log: `sum` is over the line, `before` the sum of the line before it.
#[derive(Debug, Serialize, ToSchema)]
struct AuditLine {
    /// Its number.
    seq: u64,
    /// When.
    at: String,
    /// Who.
    by: String,
    /// What.
    act: String,
    /// What came of it.
    outcome: String,
    /// What exactly.
    detail: Vec<String>,
    /// The sum of the line before.
    before: String,
    /// The sum of this one.
    sum: String,
}

/// What an archive is to be made with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Export {
    /// Encrypts it, with everything that is secret in it; without one, nothing secret is.
    #[serde(default)]
    #[schema(write_only, min_length = 10)]
    passphrase: Option<String>,
}

/// An archive that is to be the configuration.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Import {
    /// The archive, as it was exported.
    #[schema(value_type = Object)]
    archive: Value,
    /// What it was encrypted with.
    #[serde(default)]
    #[schema(write_only)]
    passphrase: Option<String>,
    /// The key of another box whose archives are taken.
    #[serde(default)]
    trusted_signer: Option<String>,
}

/// What came of an import.
#[derive(Debug, Serialize, ToSchema)]
struct Imported {
    /// The change that it was.
    revision: u64,
    /// What waits for a restart.
    restart_needed_for: Vec<&'static str>,
}

/// Adds the routes.
pub fn add(book: &mut Book) {
    let audit = Operation::new(Method::Get, "/audit", "audit", "Who did what, the newest first")
        .with("query", "before", json!({ "type": "integer", "minimum": 0 }), "Lines before this number.")
        .with(
            "query",
            "limit",
            json!({ "type": "integer", "minimum": 1, "maximum": MOST_ITEMS }),
            "Most lines.",
        );
    book.add(audit.gives_media(200, Media::Json(Schema::of::<AuditLine>().listed())), audit_listed);
    let archive = Media::Json(Schema::plain(json!({ "type": "object" })));
    book.add(
        Operation::new(Method::Post, "/backup:export", "backup", "The configuration as a signed archive")
            .takes::<Export>()
            .gives_media(200, archive),
        export,
    );
    let importing = Operation::new(
        Method::Post,
        "/backup:import",
        "backup",
        "Makes the configuration what an archive holds",
    );
    let importing = importing.takes::<Import>().gives::<Imported>().problems(&[Sort::Conflict]);
    book.add(Operation { body_bytes: IMPORT_BYTES, ..importing }, import);
}

async fn audit_listed(State(admin): State<Arc<Admin>>, Query(part): Query<Part>) -> Response {
    let limit = part.limit.or_usual();
    let lines = admin.configuration.audit(part.before, limit);
    let next = lines.last().filter(|_| lines.len() == limit).map(|line| line.seq.to_string());
    let shown = lines.into_iter().map(|line| AuditLine {
        seq: line.seq,
        at: line.at,
        by: line.by,
        act: line.act,
        outcome: line.outcome,
        detail: line.detail,
        before: line.before,
        sum: line.sum,
    });
    Json(json!({ "items": shown.collect::<Vec<_>>(), "next": next })).into_response()
}

async fn export(
    State(admin): State<Arc<Admin>>,
    Extension(who): Extension<Who>,
    Body(export): Body<Export>,
) -> Result<Response, Problem> {
    let (with, worker) = (export.passphrase.is_some(), Arc::clone(&admin));
    let made = tokio::task::spawn_blocking(move || {
        worker.configuration.export(export.passphrase.map(Secret::new).as_ref())
    });
    let archive = made.await.map_err(|_| Sort::Failed.because("no archive was made"))??;
    let what = if with { "with secrets" } else { "without secrets" };
    admin.note(&who.name, "export", vec![what.to_owned()]).await;
    let headers = [(header::CONTENT_DISPOSITION, "attachment; filename=\"gantry-configuration.json\"")];
    Ok((StatusCode::OK, headers, Json(archive)).into_response())
}

async fn import(
    State(admin): State<Arc<Admin>>,
    Extension(who): Extension<Who>,
    Body(import): Body<Import>,
) -> Result<Json<Imported>, Problem> {
    let made = tokio::task::spawn_blocking(move || {
        let Import { archive, passphrase, trusted_signer } = import;
        let archive = Archive::parse(archive.to_string().as_bytes())?;
        let passphrase = passphrase.map(Secret::new);
        let (passphrase, trusted) = (passphrase.as_ref(), trusted_signer.as_deref());
        let bounds = |before: &Config, after: &Config| admin.licensing.bounds(before, after);
        admin.configuration.import_within(&who.name, &archive, passphrase, trusted, &bounds)
    });
    let done = made.await.map_err(|_| Sort::Failed.because("nothing was imported"))??;
    Ok(Json(Imported { revision: done.revision.0, restart_needed_for: done.restart }))
}

impl From<ArchiveError> for Problem {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::NotDone(not_done) => not_done.into(),
            ArchiveError::Make(_) => Sort::Failed.because(error.to_string()),
            other => Sort::Invalid.because(other.to_string()),
        }
    }
}
