//! The box that this gateway runs on: how it is, what it is set to, and what is done to it. All of it is the set-up's
//! ([`crate::console`]); here it gets its routes.
//!
//! What changes something takes the password of the box's administrator, whoever is logged in: neither a session that was left open nor
//! an API token restarts a box.

#[cfg(test)]
mod tests;

use super::Admin;
use super::access::{Role, Who};
use super::body::{Body, Segment};
use super::book::{Book, Media, Method, Operation};
use super::problem::{FieldError, Problem, Sort};
use crate::console::{Reply, Unanswered};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use base::Secret;
use domain::defence::Offence;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use utoipa::ToSchema;

/// What can be shown in full.
const VIEWS: [&str; 9] =
    ["status", "network", "settings", "changes", "slots", "reasons", "identity", "sensors", "clock"];
/// Largest support bundle that is handed out, in bytes.
const BUNDLE_BYTES: u64 = 256 * 1024 * 1024;

/// The box.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct BoxFacts {
    /// The release.
    version: String,
    /// Its name in force.
    host_name: String,
    /// Its serial number.
    serial_number: Option<String>,
    /// The slot that runs.
    slot: Option<String>,
    /// How it is, in a few words.
    summary: String,
    /// What somebody should look at.
    alarms: Vec<String>,
    /// Where a change of its settings is: `standing`, `staged`, or `on-trial` for so many seconds more.
    #[schema(value_type = Object)]
    stage: Value,
    /// What is changed, line by line.
    difference: Vec<String>,
    /// Each setting, as it would be applied.
    #[serde(rename(deserialize = "fields"))]
    settings: Vec<BoxSetting>,
    /// Its network cards.
    interfaces: Vec<BoxInterface>,
    /// The DNS servers in force.
    dns: Vec<String>,
    /// Whether its locate lamp blinks: `on` or `off`.
    locate: String,
}

/// A setting.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(from = "(String, String)")]
struct BoxSetting {
    /// Its name, such as `lan0.ipv4`.
    name: String,
    /// What it is set to, as text.
    text: String,
}

impl From<(String, String)> for BoxSetting {
    fn from((name, text): (String, String)) -> Self {
        Self { name, text }
    }
}

/// A network card as it is.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct BoxInterface {
    /// Its name.
    name: String,
    /// Its hardware address.
    mac: String,
    /// Its link.
    link: String,
    /// Its addresses, with prefix lengths.
    addresses: Vec<String>,
    /// Its IPv4 gateway.
    gateway: Option<String>,
    /// Who stamps its packets, and why.
    stamps: Option<String>,
}

/// Lines for people.
#[derive(Debug, Serialize, ToSchema)]
struct BoxLines {
    /// Each line.
    rows: Vec<BoxLine>,
}

/// A line: what, and how it is.
#[derive(Debug, Serialize, ToSchema)]
struct BoxLine {
    /// What; may be empty.
    label: String,
    /// How it is.
    value: String,
}

/// On the administrator's word.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OnMyWord {
    /// The password of the box's administrator: the console's.
    #[schema(write_only, min_length = 1, max_length = 1024)]
    password: String,
}

/// Settings that are to be other ones.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BoxChange {
    /// The password of the box's administrator: the console's.
    #[schema(write_only, min_length = 1, max_length = 1024)]
    password: String,
    /// Names and texts, as [`BoxFacts`] has them.
    changes: BTreeMap<String, String>,
}

/// How the box is to go down.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GoDown {
    /// The password of the box's administrator: the console's.
    #[schema(write_only, min_length = 1, max_length = 1024)]
    password: String,
    /// Whether calls may end first.
    haste: HowSoon,
}

/// Whether calls may end first.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum HowSoon {
    /// They may.
    Drained,
    /// They are cut off.
    Now,
}

/// For how long the box blinks.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Blink {
    /// The password of the box's administrator: the console's.
    #[schema(write_only, min_length = 1, max_length = 1024)]
    password: String,
    /// Minutes; 0 ends it.
    #[schema(maximum = 720)]
    minutes: u16,
}

/// A way that is to be tried.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TryWay {
    /// The password of the box's administrator: the console's.
    #[schema(write_only, min_length = 1, max_length = 1024)]
    password: String,
    /// Which.
    which: Way,
    /// Where to, if not as configured.
    #[serde(default)]
    #[schema(max_length = 1024)]
    to: Option<String>,
}

/// A way out of the box.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum Way {
    /// To the gateway of its network.
    Gateway,
    /// To its domain's records.
    Dns,
    /// To the time servers.
    Ntp,
    /// To the conference.
    Conference,
}

/// Adds the routes.
pub fn add(book: &mut Book) {
    let look = |path: &str, what: &str| Operation::new(Method::Get, path, "box", what).role(Role::Viewer);
    let problems = &[Sort::NotFound];
    book.add(look("/box", "How the box is").gives::<BoxFacts>().problems(problems), facts);
    let view = look("/box/views/{id}", "A part of the box in full").gives::<BoxLines>().problems(problems);
    book.add(view.with("path", "id", json!({ "type": "string", "enum": VIEWS }), "The part."), shown);
    let act = |path: &str, what: &str| {
        Operation::new(Method::Post, path, "box", what)
            .gives::<BoxLines>()
            .problems(&[Sort::NotFound, Sort::Conflict])
    };
    book.add(
        act("/box/settings:stage", "Writes settings of the box down; they are not in force yet")
            .takes::<BoxChange>(),
        stage,
    );
    let simple = [
        ("/box/settings:apply", "apply", "Puts what is written down in force, on trial for two minutes"),
        ("/box/settings:confirm", "confirm", "Lets what is on trial stand"),
        ("/box/settings:take-back", "take-back", "Goes back to the settings before the trial"),
        ("/box/settings:discard", "discard", "Forgets what is written down"),
        ("/box:drain", "drain", "Takes no new calls; those that stand may end"),
        ("/box:resume", "resume", "Takes calls again: the gateway starts anew"),
    ];
    for (path, ask, what) in simple {
        let handler = move |State(admin): State<Arc<Admin>>,
                            Extension(who): Extension<Who>,
                            Body(word): Body<OnMyWord>| async move {
            done(&admin, &who, word.password, json!({ "ask": ask })).await
        };
        book.add(act(path, what).takes::<OnMyWord>(), handler);
    }
    for (path, ask, what) in [
        ("/box:restart", "reboot", "Restarts the box"),
        ("/box:power-off", "power-off", "Switches the box off"),
    ] {
        let handler = move |State(admin): State<Arc<Admin>>,
                            Extension(who): Extension<Who>,
                            Body(down): Body<GoDown>| async move {
            done(&admin, &who, down.password, json!({ "ask": ask, "haste": down.haste })).await
        };
        book.add(act(path, what).takes::<GoDown>(), handler);
    }
    book.add(act("/box:locate", "Has the box blink, so that somebody finds it").takes::<Blink>(), locate);
    book.add(act("/box:test", "Tries a way out of the box").takes::<TryWay>(), tested);
    let bundle = Operation::new(
        Method::Post,
        "/box:support-bundle",
        "box",
        "Everything that helps to find a fault, and no secret",
    )
    .takes::<OnMyWord>()
    .gives_media(200, Media::Text("application/x-tar"));
    book.add(bundle.problems(&[Sort::NotFound, Sort::Conflict]), bundled);
}

async fn facts(State(admin): State<Arc<Admin>>) -> Result<Json<BoxFacts>, Problem> {
    let reply = admin.console.look(json!({ "ask": "facts" })).await?;
    let facts = serde_json::from_value(reply.data);
    facts.map(Json).map_err(|error| {
        Sort::Failed.because(format!("what the set-up says of the box can't be read: {error}"))
    })
}

async fn shown(
    State(admin): State<Arc<Admin>>,
    Segment(view): Segment<String>,
) -> Result<Json<BoxLines>, Problem> {
    if !VIEWS.contains(&view.as_str()) {
        return Err(Sort::NotFound
            .because(format!("no part of the box is called that; there are {}", VIEWS.join(", "))));
    }
    Ok(lines(admin.console.look(json!({ "ask": "show", "view": view })).await?))
}

async fn stage(
    State(admin): State<Arc<Admin>>,
    Extension(who): Extension<Who>,
    Body(change): Body<BoxChange>,
) -> Result<Json<BoxLines>, Problem> {
    let changes: Vec<_> = change.changes.into_iter().collect();
    done(&admin, &who, change.password, json!({ "ask": "set", "changes": changes })).await
}

async fn locate(
    State(admin): State<Arc<Admin>>,
    Extension(who): Extension<Who>,
    Body(blink): Body<Blink>,
) -> Result<Json<BoxLines>, Problem> {
    done(&admin, &who, blink.password, json!({ "ask": "locate", "minutes": blink.minutes })).await
}

async fn tested(
    State(admin): State<Arc<Admin>>,
    Extension(who): Extension<Who>,
    Body(way): Body<TryWay>,
) -> Result<Json<BoxLines>, Problem> {
    let (password, ask) =
        (Secret::new(way.password), json!({ "ask": "test", "which": way.which, "to": way.to }));
    let reply = admin.console.work(&password, ask).await;
    heeded(&admin, &who, reply).map(lines)
}

/// Has the set-up do it, notes who wanted it, and says what came of it.
async fn done(
    admin: &Arc<Admin>,
    who: &Who,
    password: String,
    ask: Value,
) -> Result<Json<BoxLines>, Problem> {
    let what = ask["ask"].as_str().unwrap_or_default().to_owned();
    let reply = admin.console.act(&Secret::new(password), ask).await;
    let reply = heeded(admin, who, reply)?;
    let told = reply.rows.iter().map(|row| row.value.clone());
    admin.note(&who.name, "box", std::iter::once(what).chain(told).collect()).await;
    Ok(lines(reply))
}

/// Whoever guesses the password is not heard for a while.
fn heeded(admin: &Admin, who: &Who, reply: Result<Reply, Unanswered>) -> Result<Reply, Problem> {
    if let Err(Unanswered::Denied(_)) = &reply {
        admin.offended(who.from, Offence::WrongCredentials);
    }
    Ok(reply?)
}

fn lines(reply: Reply) -> Json<BoxLines> {
    let rows = reply.rows.into_iter().map(|row| BoxLine { label: row.label, value: row.value });
    Json(BoxLines { rows: rows.collect() })
}

async fn bundled(
    State(admin): State<Arc<Admin>>,
    Extension(who): Extension<Who>,
    Body(word): Body<OnMyWord>,
) -> Result<Response, Problem> {
    let name = format!("support-{}.tar", crate::configuration::now().0);
    let ask = json!({ "ask": "bundle", "file": name });
    let reply = admin.console.work(&Secret::new(word.password), ask).await;
    let reply = heeded(&admin, &who, reply)?;
    let path = reply.data["file"].as_str().map(PathBuf::from);
    let path = path.ok_or_else(|| Sort::Failed.because("the set-up does not say where the bundle is"))?;
    let failed = |error: std::io::Error| {
        Sort::Failed.because(format!("the bundle at {} can't be read: {error}", path.display()))
    };
    if tokio::fs::metadata(&path).await.map_err(failed)?.len() > BUNDLE_BYTES {
        return Err(Sort::Failed
            .because(format!("the bundle is larger than {BUNDLE_BYTES} bytes; take it from the box")));
    }
    let bundle = tokio::fs::read(&path).await.map_err(failed)?;
    admin.note(&who.name, "box", vec![format!("support bundle {name}")]).await;
    let headers = [
        (header::CONTENT_TYPE, "application/x-tar".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    Ok((StatusCode::OK, headers, bundle).into_response())
}

impl From<Unanswered> for Problem {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::NoBox => Sort::NotFound.because(unanswered.to_string()),
            Unanswered::Silent(_) => Sort::Unavailable.because(unanswered.to_string()),
            Unanswered::Denied(why) => Sort::NotAllowed.because(why),
            Unanswered::Refused(problems) => {
                let error = |message: &String| FieldError {
                    resource: "box".to_owned(),
                    field: String::new(),
                    message: message.clone(),
                };
                let errors = problems.iter().map(error).collect();
                Self { errors, ..Sort::Conflict.because(problems.join("; ")) }
            }
        }
    }
}
