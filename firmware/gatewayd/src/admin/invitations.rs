//! One-Touch Join (P6), tried: which meeting processing rule finds an alias in an invitation, why the others do not, and where the alias leads.

use super::Admin;
use super::access::Role;
use super::body::Body;
use super::book::{Book, Method, Operation};
use super::plans::{DryRun, DryRunAnswer, dialled, explained, wrong};
use super::problem::{Problem, Sort};
use axum::Json;
use axum::extract::State;
use domain::api::resource::SpokenProtocol;
use domain::config::Config;
use domain::otj::{By, Clock, Invitation, Moment, Outcome, Standing, Verdict};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// Largest invitation that is tried, in bytes; those of real calendars stay below a tenth of it.
const INVITATION_BYTES: usize = 256 * 1024;
/// Largest request: JSON may need six bytes for one.
const REQUEST_BYTES: usize = 6 * INVITATION_BYTES + 4_096;

/// An invitation that nobody acts on, and who would dial what it says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct InvitationRun {
    /// The body of the calendar's event: an iCalendar object, HTML or plain text.
    #[schema(max_length = 262_144)]
    body: String,
    /// Who would dial; nobody in particular if left out.
    #[serde(default)]
    caller: Option<String>,
    /// How; SIP if left out.
    #[serde(default)]
    protocol: Option<SpokenProtocol>,
    /// From which address, for rules of a location.
    #[serde(default)]
    source: Option<String>,
    /// Whether as a registered device.
    #[serde(default)]
    registered: bool,
}

/// A moment of an event.
#[derive(Debug, Serialize, ToSchema)]
struct EventMoment {
    /// As its clock tells it: `2026-11-05T14:00:00`.
    at: String,
    /// Which clock: `utc`, the one on the `wall` where it takes place, or a `calendar` of whole days.
    clock: &'static str,
}

/// What one of those says who were asked for an alias.
#[derive(Debug, Serialize, ToSchema)]
struct MeetingVerdict {
    /// The rule's name; nothing for default processing.
    rule: Option<String>,
    /// Its priority.
    priority: Option<u8>,
    /// Whether it gives the alias.
    gives: bool,
    /// Why, or why not.
    why: String,
}

/// What becomes of an invitation.
#[derive(Debug, Serialize, ToSchema)]
struct InvitationAnswer {
    /// What it is about.
    subject: Option<String>,
    /// When it begins.
    starts: Option<EventMoment>,
    /// When it ends.
    ends: Option<EventMoment>,
    /// Whether it was called off.
    cancelled: bool,
    /// The text that rules search in.
    text: String,
    /// The alias to dial, if anybody finds one.
    alias: Option<String>,
    /// The rule that gives it; nothing if default processing does, or nobody.
    rule: Option<String>,
    /// What each rule says, and default processing last.
    verdicts: Vec<MeetingVerdict>,
    /// What the Call Routing Rules say of the alias.
    routing: Option<DryRunAnswer>,
}

/// Adds the route.
pub fn add(book: &mut Book) {
    let run = Operation::new(
        Method::Post,
        "/meeting-processing-rules:dry-run",
        "meeting-processing-rules",
        "Says which rule finds an alias in an invitation, why others do not, and where the alias leads",
    );
    let run = run.role(Role::Viewer).takes::<InvitationRun>().gives::<InvitationAnswer>();
    book.add(Operation { body_bytes: REQUEST_BYTES, ..run }, dry_run);
}

async fn dry_run(
    State(admin): State<Arc<Admin>>,
    Body(run): Body<InvitationRun>,
) -> Result<Json<InvitationAnswer>, Problem> {
    if run.body.len() > INVITATION_BYTES {
        let bytes = run.body.len();
        return Err(wrong("body", format!("has {bytes} bytes; at most {INVITATION_BYTES} are tried")));
    }
    let config = admin.configuration.now();
    // Two hundred regexes through 64 KiB of text take their time, and others are served meanwhile.
    let told = tokio::task::spawn_blocking(move || answer(&config, run)).await;
    told.map_err(|_| Sort::Failed.because("it was not tried"))?.map(Json)
}

fn answer(config: &Config, run: InvitationRun) -> Result<InvitationAnswer, Problem> {
    let InvitationRun { body, caller, protocol, source, registered } = run;
    // Whoever would dial is checked before it is known what.
    let dials = DryRun { alias: "nobody".to_owned(), caller, protocol, source, registered, calls: None };
    let (mut call, direction) = dialled(&dials)?;
    let invitation = Invitation::read(body.as_bytes());
    let verdicts = config.otj.explain(&invitation);
    let given = verdicts.iter().find_map(|verdict| match &verdict.outcome {
        Outcome::Gives(alias) => Some((alias.clone(), name(&verdict.by))),
        _ => None,
    });
    let (alias, rule) = given.unzip();
    let routing = alias.clone().map(|alias| {
        call.alias = alias;
        explained(config, &call, direction)
    });
    let subject = Some(invitation.subject.reveal().to_owned()).filter(|subject| !subject.is_empty());
    Ok(InvitationAnswer {
        subject,
        starts: invitation.starts.map(moment),
        ends: invitation.ends.map(moment),
        cancelled: invitation.standing == Standing::Cancelled,
        text: invitation.text().to_owned(),
        alias: alias.map(|alias| alias.short().to_owned()),
        rule: rule.flatten(),
        verdicts: verdicts.iter().map(said).collect(),
        routing,
    })
}

fn name(by: &By<'_>) -> Option<String> {
    match by {
        By::Rule { name, .. } => Some((*name).to_owned()),
        By::Default => None,
    }
}

fn said(verdict: &Verdict<'_>) -> MeetingVerdict {
    MeetingVerdict {
        rule: name(&verdict.by),
        priority: match verdict.by {
            By::Rule { priority, .. } => Some(priority),
            By::Default => None,
        },
        gives: matches!(verdict.outcome, Outcome::Gives(_)),
        why: verdict.outcome.to_string(),
    }
}

fn moment(Moment { at, clock }: Moment) -> EventMoment {
    let clock = match clock {
        Clock::Utc => "utc",
        Clock::Wall => "wall",
        Clock::Calendar => "calendar",
    };
    EventMoment { at: at.to_string().trim_end_matches('Z').to_owned(), clock }
}
