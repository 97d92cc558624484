//! Licences (P15): which there are and what they are worth, what is used of them and what is missing; uploads and removals, which hold at once.

use super::Admin;
use super::access::{Role, Who};
use super::body::{Body, Segment};
use super::book::{Book, Method, Operation};
use super::problem::{FieldError, Problem, Sort};
use crate::licences::{Held, NotChanged, now};
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use domain::licence::{Allowance, Early, FILE_BYTES, Licence, LicenceError, Standing};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::sync::Arc;
use utoipa::ToSchema;

/// Whether anybody counts.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Metering {
    /// The box knows a vendor's key: calls and access tokens need licences.
    Metered,
    /// It knows none: there may be any number of both.
    Unmetered,
}

/// How something stands that licences allow.
#[derive(Debug, Serialize, ToSchema)]
struct Counted {
    /// So many are allowed now; nothing if nobody counts.
    licensed: Option<u64>,
    /// So many are used.
    used: u64,
    /// So many are free; nothing if nobody counts.
    free: Option<u64>,
    /// So many are used beyond what is allowed: of licences that ended, or were removed.
    missing: u64,
}

/// What a licence is worth now.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Worth {
    /// It counts.
    Counts,
    /// It counts, and ends within 30 days.
    EndsSoon,
    /// Its first day is yet to come.
    Later,
    /// Its last day is over.
    Over,
    /// This box can't take it any more.
    Unusable,
}

/// Where a licence comes from.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum CameBy {
    /// It was uploaded, and may be removed.
    Upload,
    /// It is a file in the folder of licences.
    Folder,
}

/// A licence. Of one that is unusable only the id is known.
#[derive(Debug, Serialize, ToSchema)]
struct ShownLicence {
    /// Its name, unique among the vendor's.
    id: String,
    /// Whose it is.
    holder: Option<String>,
    /// How many call licences it gives; each call takes two.
    calls: Option<u32>,
    /// How many access tokens may exist by it.
    access_tokens: Option<u32>,
    /// Its first second.
    not_before: Option<String>,
    /// Its last second.
    not_after: Option<String>,
    /// The serial number of the box it is bound to.
    serial: Option<String>,
    /// What it is worth now.
    worth: Worth,
    /// Why it is unusable.
    why: Option<String>,
    /// Where it comes from.
    came_by: CameBy,
}

/// The licences of the box, and what is used of them.
#[derive(Debug, Serialize, ToSchema)]
struct LicenceStatus {
    /// Whether anybody counts.
    metering: Metering,
    /// The same in a sentence.
    text: String,
    /// Whose licences this box takes.
    vendors: Vec<String>,
    /// Its serial number, which a licence may be bound to.
    serial: Option<String>,
    /// Call licences.
    calls: Counted,
    /// Calls refused for want of licences since the gateway was started.
    calls_refused: u64,
    /// Access tokens.
    access_tokens: Counted,
    /// When a licence begins or ends next.
    changes_at: Option<String>,
    /// Every licence.
    items: Vec<ShownLicence>,
}

/// What becomes of a licence whose first day is yet to come.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum IfEarly {
    /// It is refused.
    #[default]
    Refuse,
    /// It is kept, and counts from that day on.
    Keep,
}

/// A licence file.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LicenceUpload {
    /// It, from BEGIN to END.
    #[schema(min_length = 1, max_length = 16_384)]
    file: String,
    /// What becomes of one whose first day is yet to come; it is refused if left out.
    #[serde(default)]
    early: IfEarly,
}

/// Adds the routes.
pub fn add(book: &mut Book) {
    let licences = |method, path, what: &str| Operation::new(method, path, "licences", what);
    book.add(
        licences(Method::Get, "/licences", "The licences, what is used of them and what is missing")
            .role(Role::Viewer)
            .gives::<LicenceStatus>(),
        status,
    );
    book.add(
        licences(
            Method::Post,
            "/licences",
            "Checks a licence and takes it into use at once; calls that stand go on",
        )
        .takes::<LicenceUpload>()
        .gives::<LicenceStatus>()
        .problems(&[Sort::Conflict]),
        upload,
    );
    book.add(
        licences(
            Method::Delete,
            "/licences/{id}",
            "Removes a licence that was uploaded; calls that stand go on",
        )
        .with("path", "id", json!({ "type": "string", "minLength": 1 }), "The licence's id.")
        .problems(&[Sort::NotFound, Sort::Conflict]),
        remove,
    );
}

async fn status(State(admin): State<Arc<Admin>>) -> Json<LicenceStatus> {
    Json(shown(&admin))
}

async fn upload(
    State(admin): State<Arc<Admin>>,
    Extension(who): Extension<Who>,
    Body(upload): Body<LicenceUpload>,
) -> Result<Json<LicenceStatus>, Problem> {
    let early = match upload.early {
        IfEarly::Refuse => Early::Refused,
        IfEarly::Keep => Early::Kept,
    };
    admin.away(move |admin| admin.licensing.upload(&who.name, &upload.file, early)).await?;
    admin.relicense().await;
    Ok(Json(shown(&admin)))
}

async fn remove(
    State(admin): State<Arc<Admin>>,
    Extension(who): Extension<Who>,
    Segment(id): Segment<String>,
) -> Result<StatusCode, Problem> {
    admin.away(move |admin| admin.licensing.remove(&who.name, &id)).await?;
    admin.relicense().await;
    Ok(StatusCode::NO_CONTENT)
}

fn shown(admin: &Admin) -> LicenceStatus {
    let (held, now) = (admin.licensing.held(), now());
    let entitlement = held.licences.entitlement(now);
    let (taken, refused) = {
        let live = admin.live.borrow();
        (live.licences.taken, live.counters.get("calls_without_licence").copied().unwrap_or_default())
    };
    let tokens = admin.configuration.now().tokens.len() as u64;
    let (metering, text) = if held.licences.is_metered() {
        (Metering::Metered, "calls and access tokens need licences")
    } else {
        (
            Metering::Unmetered,
            "this box knows no vendor's key, so nothing is metered: any number of calls and access tokens",
        )
    };
    LicenceStatus {
        metering,
        text: text.to_owned(),
        vendors: held.licences.vendors().map(str::to_owned).collect(),
        serial: held.licences.serial().map(str::to_owned),
        calls: counted(entitlement.calls, taken),
        calls_refused: refused,
        access_tokens: counted(entitlement.gateway_tokens, tokens),
        changes_at: entitlement.until.map(|until| until.to_string()),
        items: items(&held),
    }
}

fn counted(allowed: Allowance, used: u64) -> Counted {
    let licensed = match allowed {
        Allowance::Unmetered => None,
        Allowance::Of(licensed) => Some(u64::from(licensed)),
    };
    Counted {
        licensed,
        used,
        free: licensed.map(|licensed| licensed.saturating_sub(used)),
        missing: licensed.map_or(0, |licensed| used.saturating_sub(licensed)),
    }
}

fn items(held: &Held) -> Vec<ShownLicence> {
    let one = |licence: &Licence| ShownLicence {
        id: licence.id().to_owned(),
        holder: Some(licence.holder().to_owned()),
        calls: Some(licence.calls()),
        access_tokens: Some(licence.gateway_tokens()),
        not_before: Some(licence.not_before().to_string()),
        not_after: Some(licence.not_after().to_string()),
        serial: licence.serial().map(str::to_owned),
        worth: match licence.standing(now()) {
            Standing::Counts => Worth::Counts,
            Standing::EndsSoon => Worth::EndsSoon,
            Standing::Later => Worth::Later,
            Standing::Over => Worth::Over,
        },
        why: None,
        came_by: if held.uploaded.contains(licence.id()) { CameBy::Upload } else { CameBy::Folder },
    };
    let unusable = held.unusable.iter().map(|(id, why)| ShownLicence {
        id: id.clone(),
        holder: None,
        calls: None,
        access_tokens: None,
        not_before: None,
        not_after: None,
        serial: None,
        worth: Worth::Unusable,
        why: Some(why.clone()),
        came_by: CameBy::Upload,
    });
    held.licences.held().iter().map(one).chain(unusable).collect()
}

impl From<NotChanged> for Problem {
    fn from(not_changed: NotChanged) -> Self {
        match not_changed {
            NotChanged::Refused(error @ (LicenceError::SameId(_) | LicenceError::TooMany)) => {
                Sort::Conflict.because(error.to_string())
            }
            NotChanged::Refused(error) => {
                let field = FieldError {
                    resource: String::new(),
                    field: "file".to_owned(),
                    message: error.to_string(),
                };
                Sort::Invalid.because(error.to_string()).of_fields(vec![field])
            }
            NotChanged::Missing(_) => Sort::NotFound.because(not_changed.to_string()),
            NotChanged::OfFolder(_) => Sort::Conflict.because(not_changed.to_string()),
            NotChanged::NotDone(error) => error.into(),
        }
    }
}

// A file that is longer than what is read can't be a licence.
const _: () = assert!(FILE_BYTES == 16_384);
