//! The resources of the configuration: listed, read, made, replaced, changed, removed, each kind in the same way.

use super::Admin;
use super::access::{Role, Who};
use super::body::{Body, Limit, MOST_ITEMS, Query, Segment};
use super::book::{Book, Media, Method, Operation, Schema};
use super::problem::{Problem, Sort};
use crate::configuration::{Change, Done, NotDone};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use domain::api::resource::{
    AccessToken, AlarmReceiver, CallRoutingRule, Connector, ExternalSystem, MeetingProcessingRule,
    NamedLocation, PhonebookEntry, RegistrarDevice, Theme, VirtualReception,
};
use domain::api::settings::{
    AdminSettings, DefenceSettings, GatewaySettings, LogSettings, MediaSettings, OneTouchJoinSettings,
    PhonebookSettings, SignallingSettings, SipSettings,
};
use domain::api::{Kind, Misshapen};
use domain::config::Config;
use domain::config::documents::Wrong;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use store::{Expected, Revision};

/// What a change has to say besides: a header, words with commas between.
const RESTART: HeaderName = HeaderName::from_static("gantry-restart-needed-for");

/// Fields of a resource whose secret can't be opened any more and has to be entered anew, with commas between.
const UNREADABLE: HeaderName = HeaderName::from_static("gantry-secret-needed-for");

/// Where a list begins, and how long it is.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Page {
    after: Option<String>,
    #[serde(default)]
    limit: Limit,
}

impl Page {
    /// How many items it has at most.
    pub fn limit(&self) -> usize {
        self.limit.or_usual()
    }

    /// What it comes after.
    pub fn after(&self) -> Option<&str> {
        self.after.as_deref().filter(|after| !after.is_empty())
    }

    /// Its parameters.
    pub fn describe(operation: Operation) -> Operation {
        operation.with("query", "after", json!({ "type": "string" }), "The `next` of the page before.").with(
            "query",
            "limit",
            json!({ "type": "integer", "minimum": 1, "maximum": MOST_ITEMS }),
            "Most items of the page.",
        )
    }
}

/// Adds the routes of every kind.
pub fn add(book: &mut Book) {
    for kind in Kind::ALL {
        match kind.only() {
            Some(only) => settings(book, kind, only),
            None => collection(book, kind),
        }
    }
}

fn schema(kind: Kind) -> Schema {
    match kind {
        Kind::Gateway => Schema::of::<GatewaySettings>(),
        Kind::Sip => Schema::of::<SipSettings>(),
        Kind::Media => Schema::of::<MediaSettings>(),
        Kind::Signalling => Schema::of::<SignallingSettings>(),
        Kind::Admin => Schema::of::<AdminSettings>(),
        Kind::Phonebook => Schema::of::<PhonebookSettings>(),
        Kind::Defence => Schema::of::<DefenceSettings>(),
        Kind::Log => Schema::of::<LogSettings>(),
        Kind::AccessTokens => Schema::of::<AccessToken>(),
        Kind::Connectors => Schema::of::<Connector>(),
        Kind::SipProxies | Kind::H323Gatekeepers | Kind::TurnServers => Schema::of::<ExternalSystem>(),
        Kind::Locations => Schema::of::<NamedLocation>(),
        Kind::RegistrarDevices => Schema::of::<RegistrarDevice>(),
        Kind::PhonebookEntries => Schema::of::<PhonebookEntry>(),
        Kind::AlarmReceivers => Schema::of::<AlarmReceiver>(),
        Kind::Themes => Schema::of::<Theme>(),
        Kind::Receptions => Schema::of::<VirtualReception>(),
        Kind::CallRoutingRules => Schema::of::<CallRoutingRule>(),
        Kind::OneTouchJoin => Schema::of::<OneTouchJoinSettings>(),
        Kind::MeetingProcessingRules => Schema::of::<MeetingProcessingRule>(),
    }
}

/// The settings there is one of.
fn settings(book: &mut Book, kind: Kind, only: &'static str) {
    let path = format!("/settings/{only}");
    let of = |method, what: &str| {
        Operation::new(method, path.clone(), "settings", format!("{what} the {only} settings"))
    };
    let json = || Media::Json(schema(kind));
    book.add(
        of(Method::Get, "Reads").role(Role::Viewer).gives_media(200, json()),
        move |State(admin): State<Arc<Admin>>| async move { get(&admin, kind, only) },
    );
    let put = Operation { takes: json(), ..matching(of(Method::Put, "Replaces")) };
    book.add(
        put.gives_media(200, json()).problems(&[Sort::Precondition, Sort::Conflict]),
        move |State(admin): State<Arc<Admin>>,
              Extension(who): Extension<Who>,
              headers: HeaderMap,
              Body(body): Body<Value>| async move {
            put_one(admin, who, kind, only.to_owned(), headers, body, Upsert::Yes).await
        },
    );
}

/// The routes of a kind there may be many of.
fn collection(book: &mut Book, kind: Kind) {
    let name = kind.collection();
    let all = |method, what: &str| {
        Operation::new(method, format!("/{name}"), name, format!("{what} {}", name.replace('-', " ")))
    };
    let one = |method, what: &str| {
        let operation = Operation::new(
            method,
            format!("/{name}/{{id}}"),
            name,
            format!("{what} one of the {}", name.replace('-', " ")),
        );
        operation.with("path", "id", json!({ "type": "string", "minLength": 1 }), "Its name.")
    };
    let json = || Media::Json(schema(kind));
    book.add(
        Page::describe(all(Method::Get, "Lists")).role(Role::Viewer).gives_media(200, Media::Json(schema(kind).listed())),
        move |State(admin): State<Arc<Admin>>, Query(page): Query<Page>| async move { list(&admin, kind, &page) },
    );
    let post = Operation { takes: json(), ..all(Method::Post, "Makes one of the") };
    book.add(
        post.gives_media(201, json()).problems(&[Sort::Conflict]),
        move |State(admin): State<Arc<Admin>>, Extension(who): Extension<Who>, Body(body): Body<Value>| async move {
            post_one(admin, who, kind, body).await
        },
    );
    book.add(
        one(Method::Get, "Reads").role(Role::Viewer).gives_media(200, json()).problems(&[Sort::NotFound]),
        move |State(admin): State<Arc<Admin>>, Segment(id): Segment<String>| async move { get(&admin, kind, &id) },
    );
    let put = Operation { takes: json(), ..matching(one(Method::Put, "Replaces")) };
    book.add(
        put.gives_media(200, json()).problems(&[Sort::NotFound, Sort::Precondition, Sort::Conflict]),
        move |State(admin): State<Arc<Admin>>,
              Extension(who): Extension<Who>,
              Segment(id): Segment<String>,
              headers: HeaderMap,
              Body(body): Body<Value>| async move {
            put_one(admin, who, kind, id, headers, body, Upsert::No).await
        },
    );
    let patch = Schema::plain(
        json!({ "type": "object", "description": "A merge patch (RFC 7396): what is null is removed." }),
    );
    let patch = Operation { takes: Media::Json(patch), ..matching(one(Method::Patch, "Changes")) };
    book.add(
        patch.gives_media(200, json()).problems(&[Sort::NotFound, Sort::Precondition, Sort::Conflict]),
        move |State(admin): State<Arc<Admin>>,
              Extension(who): Extension<Who>,
              Segment(id): Segment<String>,
              headers: HeaderMap,
              Body(patch): Body<Value>| async move {
            patch_one(admin, who, kind, id, headers, patch).await
        },
    );
    book.add(
        matching(one(Method::Delete, "Removes")).problems(&[
            Sort::NotFound,
            Sort::Precondition,
            Sort::Conflict,
            Sort::Invalid,
        ]),
        move |State(admin): State<Arc<Admin>>,
              Extension(who): Extension<Who>,
              Segment(id): Segment<String>,
              headers: HeaderMap| async move { delete_one(admin, who, kind, id, headers).await },
    );
}

fn matching(operation: Operation) -> Operation {
    operation.with(
        "header",
        "If-Match",
        json!({ "type": "string" }),
        "The ETag that was read; another one is refused with 412.",
    )
}

/// Whether what is not there is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Upsert {
    No,
    Yes,
}

fn failed(error: &std::io::Error) -> Problem {
    Sort::Failed.because(format!("the store can't be read: {error}"))
}

fn get(admin: &Admin, kind: Kind, id: &str) -> Result<Response, Problem> {
    let found = admin.configuration.get(kind, id).map_err(|error| failed(&error))?;
    match (found, kind.only()) {
        (Some((revision, body)), _) => {
            let mut response = shown(StatusCode::OK, revision, &body);
            tell(&mut response, UNREADABLE, &admin.configuration.unreadable(kind, id));
            Ok(response)
        }
        // Settings that nobody has made are the defaults.
        (None, Some(_)) => Ok(shown(StatusCode::OK, Revision(0), &json!({}))),
        (None, None) => Err(missing(kind, id)),
    }
}

fn missing(kind: Kind, id: &str) -> Problem {
    Sort::NotFound.because(format!("there is no {:?} in {}", id, kind.collection()))
}

fn list(admin: &Admin, kind: Kind, page: &Page) -> Result<Response, Problem> {
    let limit = page.limit();
    let found =
        admin.configuration.list(kind.collection(), page.after(), limit).map_err(|error| failed(&error))?;
    let next = found.last().filter(|_| found.len() == limit).map(|(id, ..)| id.clone());
    let items: Vec<_> = found.into_iter().map(|(_, _, body)| body).collect();
    Ok(Json(json!({ "items": items, "next": next })).into_response())
}

fn shown(status: StatusCode, revision: Revision, body: &Value) -> Response {
    (status, [(header::ETAG, format!("\"{revision}\""))], Json(body)).into_response()
}

/// Says `words` in the header `name`, if there are any.
fn tell(response: &mut Response, name: HeaderName, words: &[&str]) {
    if let Ok(value) = words.join(", ").parse()
        && !words.is_empty()
    {
        response.headers_mut().insert(name, value);
    }
}

/// The tags of an `If-Match` (RFC 9110 13.1.1) that may match: weak ones never do. Nothing if it is no list of tags.
fn tags(mut value: &str) -> Option<Vec<&str>> {
    let (mut tags, mut count) = (Vec::new(), 0);
    loop {
        value = value.trim_start_matches([' ', '\t', ',']);
        if value.is_empty() {
            return (count > 0).then_some(tags);
        }
        let (strong, rest) = value.strip_prefix("W/").map_or((true, value), |rest| (false, rest));
        let (tag, rest) = rest.strip_prefix('"')?.split_once('"')?;
        tags.extend(strong.then_some(tag));
        count += 1;
        value = rest.trim_start();
        if !value.is_empty() && !value.starts_with(',') {
            return None;
        }
    }
}

/// What `If-Match` demands; without it, what is there now.
fn expected(headers: &HeaderMap, found: Option<Revision>) -> Result<Expected, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(found.map_or(Expected::Absent, Expected::At));
    };
    let value = value.to_str().unwrap_or_default().trim();
    let stale = || {
        Sort::Precondition.because(format!("it is not at {value} any more; read it again and change that"))
    };
    if value == "*" {
        return found.map(Expected::At).ok_or_else(stale);
    }
    let tags = tags(value).ok_or_else(|| {
        Sort::BadRequest.because(format!(
            "If-Match {value:?} is no ETag; give what was read, in its quotation marks, or *"
        ))
    })?;
    match found {
        Some(found) if tags.contains(&&*found.to_string()) => Ok(Expected::At(found)),
        None if tags.contains(&"0") => Ok(Expected::Absent),
        _ => Err(stale()),
    }
}

async fn post_one(admin: Arc<Admin>, who: Who, kind: Kind, body: Value) -> Result<Response, Problem> {
    let id = name(kind, &body)?;
    if admin.configuration.get(kind, &id).map_err(|error| failed(&error))?.is_some() {
        return Err(Sort::Conflict.because(format!(
            "{id:?} is there already in {}; change that, or take another name",
            kind.collection()
        )));
    }
    let change = Change { kind, id: id.clone(), expected: Expected::Absent, body: Some(body) };
    let done = make(&admin, who, vec![change]).await?;
    let mut response = answer(&admin, kind, &id, StatusCode::CREATED, &done)?;
    let place = format!("{}/{}/{}", super::book::ROOT, kind.collection(), urlencode(&id));
    if let Ok(place) = place.parse() {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// The body as one of its kind.
fn shaped(kind: Kind, body: &Value) -> Result<Value, Problem> {
    kind.shape(body).map_err(|Misshapen { field, message }| {
        Problem::of_configuration(vec![Wrong { document: None, field, message }])
    })
}

/// What the resource is called.
fn name(kind: Kind, body: &Value) -> Result<String, Problem> {
    let body = shaped(kind, body)?;
    Ok(kind.id(&body).unwrap_or_default())
}

async fn put_one(
    admin: Arc<Admin>,
    who: Who,
    kind: Kind,
    id: String,
    headers: HeaderMap,
    body: Value,
    upsert: Upsert,
) -> Result<Response, Problem> {
    shaped(kind, &body)?;
    let found = admin.configuration.get(kind, &id).map_err(|error| failed(&error))?;
    if found.is_none() && upsert == Upsert::No {
        return Err(missing(kind, &id));
    }
    let expected = expected(&headers, found.map(|(revision, _)| revision))?;
    replace(&admin, who, kind, id, expected, body).await
}

async fn patch_one(
    admin: Arc<Admin>,
    who: Who,
    kind: Kind,
    id: String,
    headers: HeaderMap,
    patch: Value,
) -> Result<Response, Problem> {
    let found = admin.configuration.get(kind, &id).map_err(|error| failed(&error))?;
    let (revision, mut body) = found.ok_or_else(|| missing(kind, &id))?;
    if !patch.is_object() {
        return Err(Sort::Invalid.because("a merge patch must be an object"));
    }
    merge(&mut body, patch);
    shaped(kind, &body)?;
    let expected = expected(&headers, Some(revision))?;
    replace(&admin, who, kind, id, expected, body).await
}

/// Writes what was `id`, which may have another name now.
async fn replace(
    admin: &Arc<Admin>,
    who: Who,
    kind: Kind,
    id: String,
    expected: Expected,
    body: Value,
) -> Result<Response, Problem> {
    let renamed = if kind.only().is_some() { id.clone() } else { name(kind, &body)? };
    let mut changes = Vec::new();
    if renamed == id {
        changes.push(Change { kind, id: id.clone(), expected, body: Some(body) });
    } else {
        // What is secret is sealed under the old name; only whoever knows it can give it the new one.
        let kept = admin.configuration.sealed(kind, &id);
        if let Some(field) = kept.iter().find(|field| body.get(**field).is_none()) {
            return Err(Sort::Invalid.because(format!(
                "{field} must be written anew where the name changes: it is sealed under the old one"
            )));
        }
        changes.push(Change { kind, id: id.clone(), expected, body: None });
        changes.push(Change { kind, id: renamed.clone(), expected: Expected::Absent, body: Some(body) });
    }
    let done = make(admin, who, changes).await?;
    answer(admin, kind, &renamed, StatusCode::OK, &done)
}

async fn delete_one(
    admin: Arc<Admin>,
    who: Who,
    kind: Kind,
    id: String,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = admin.configuration.get(kind, &id).map_err(|error| failed(&error))?;
    let (revision, _) = found.ok_or_else(|| missing(kind, &id))?;
    let expected = expected(&headers, Some(revision))?;
    make(&admin, who, vec![Change { kind, id, expected, body: None }]).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Makes the change, away from the loop that serves others: the disk may take its time.
async fn make(admin: &Arc<Admin>, who: Who, changes: Vec<Change>) -> Result<Done, Problem> {
    let make = move |admin: &Admin| {
        // P15: a gateway-token licence says how many access tokens may exist.
        let bounds = |before: &Config, after: &Config| admin.licensing.bounds(before, after);
        let moves = admin.themes.follow(&changes).map_err(|error| failed(&error))?;
        let edits = moves.edits.clone();
        Ok::<_, Problem>(admin.configuration.change_within(&who.name, &changes, edits, &bounds)?)
    };
    admin.away(make).await
}

fn answer(admin: &Admin, kind: Kind, id: &str, status: StatusCode, done: &Done) -> Result<Response, Problem> {
    let found = admin.configuration.get(kind, id).map_err(|error| failed(&error))?;
    let (revision, body) = found.unwrap_or((done.revision, json!({})));
    let mut response = shown(status, revision, &body);
    tell(&mut response, RESTART, &done.restart);
    Ok(response)
}

/// RFC 7396.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let Some(fields) = target.as_object_mut() else { return };
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(&name);
        } else {
            merge(fields.entry(name).or_insert(Value::Null), value);
        }
    }
}

/// A name as a segment of a path (RFC 3986).
pub fn urlencode(text: &str) -> String {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| if unreserved(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

impl From<NotDone> for Problem {
    fn from(not_done: NotDone) -> Self {
        match not_done {
            NotDone::Wrong(wrong) => Self::of_configuration(wrong),
            NotDone::Refused(refused) => Sort::Conflict.because(refused.to_string()),
            NotDone::Disk(error) => of_disk(&error),
        }
    }
}

/// Nothing was changed, and everything before it is kept.
pub fn of_disk(error: &std::io::Error) -> Problem {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => Sort::Full.because(format!(
            "nothing was changed, because the disk is full ({error}): delete what is old, or reset what fills it, and try again"
        )),
        _ => Sort::Unavailable.because(format!(
            "nothing was changed, because the disk failed ({error}): try again, and have the disk replaced if it stays so"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_changes_what_it_names_and_removes_what_is_null() {
        // RFC 7396, appendix A.
        for (target, patch, result) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!(["a"]), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ] {
            let mut merged = target;
            merge(&mut merged, patch);
            assert_eq!(merged, result);
        }
    }

    #[test]
    fn a_name_is_one_segment_of_a_path() {
        assert_eq!(urlencode("tenant a/b"), "tenant%20a%2Fb");
        assert_eq!(urlencode("Grüße"), "Gr%C3%BC%C3%9Fe");
    }
}
