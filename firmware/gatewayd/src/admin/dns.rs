//! The DNS plan held against live DNS (K3), when an operator asks: one check at a time, and not one after another without a pause.

use super::Admin;
use super::access::Role;
use super::book::{Book, Method, Operation};
use super::plans::planned;
use super::problem::{Problem, Sort};
use crate::configuration::now;
use crate::net::dns::live::LiveDns;
use axum::Json;
use axum::extract::State;
use domain::appliance::dns::{Live, Verdict, Wanted, judge};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use utoipa::ToSchema;

/// Least time between the end of a check and the next one: name servers are others'.
const PAUSE: Duration = Duration::from_secs(5);

/// Checks of the plan.
#[derive(Default)]
pub struct Checks {
    servers: LiveDns,
    /// When the last one ended; held by the one that is under way.
    last: Mutex<Option<Instant>>,
}

/// What live DNS says of a planned record.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum LiveVerdict {
    /// It is as planned.
    AsPlanned,
    /// It is not there.
    Missing,
    /// It says something else.
    Differs,
    /// It could not be asked for.
    NotTold,
}

/// A planned record, and what live DNS says of it.
#[derive(Debug, Serialize, ToSchema)]
struct CheckedRecord {
    /// Its name.
    name: String,
    /// What it is worth.
    verdict: LiveVerdict,
    /// The same in a sentence, with what to change, or why it could not be asked for.
    text: String,
    /// What was found: addresses, or hosts with ports.
    found: Vec<String>,
}

/// The plan held against live DNS.
#[derive(Debug, Serialize, ToSchema)]
struct DnsCheck {
    /// When.
    at: String,
    /// Every record of every gateway domain.
    records: Vec<CheckedRecord>,
}

impl Checks {
    /// Checks that ask these name servers.
    #[must_use]
    pub fn by(servers: LiveDns) -> Self {
        Self { servers, last: Mutex::default() }
    }

    async fn check(&self, wanted: Vec<Wanted>) -> Result<Vec<CheckedRecord>, Problem> {
        let mut last = self.last.try_lock().map_err(|_| {
            Sort::TooMany.because("the name servers are being asked already; wait for what they say")
        })?;
        if last.is_some_and(|last| last.elapsed() < PAUSE) {
            let pause = PAUSE.as_secs();
            return Err(Sort::TooMany.because(format!("the plan was checked just now; wait {pause} s")));
        }
        // Whoever hangs up meanwhile has asked, too.
        *last = Some(Instant::now());
        let told = self.servers.ask(&wanted).await;
        *last = Some(Instant::now());
        Ok(wanted.iter().zip(&told).map(|(wanted, live)| checked(wanted, live)).collect())
    }
}

/// Adds the route.
pub fn add(book: &mut Book) {
    let check =
        Operation::new(Method::Post, "/dns-plan:check", "plans", "Asks live DNS for each record of the plan");
    book.add(check.role(Role::Operator).gives::<DnsCheck>(), check_plan);
}

async fn check_plan(State(admin): State<Arc<Admin>>) -> Result<Json<DnsCheck>, Problem> {
    let wanted = planned(&admin.configuration.now());
    let records = admin.dns.check(wanted).await?;
    Ok(Json(DnsCheck { at: now().to_string(), records }))
}

fn checked(wanted: &Wanted, live: &Live) -> CheckedRecord {
    let (verdict, text) = judge(wanted, live);
    CheckedRecord {
        name: wanted.name.clone(),
        verdict: match verdict {
            Verdict::Good => LiveVerdict::AsPlanned,
            Verdict::Missing => LiveVerdict::Missing,
            Verdict::Wrong => LiveVerdict::Differs,
            Verdict::Unknown => LiveVerdict::NotTold,
        },
        text,
        found: live.listed(),
    }
}
