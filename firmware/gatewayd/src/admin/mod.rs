//! The administration by HTTPS: the API under `/api/v1` and the page. It has a thread of its own, so that nothing it waits for holds up a call.
//!
//! ```text
//!  TCP ─▶ heard? ─▶ TLS ─▶ HTTP/1.1 ─▶ not too fast? ─▶ who, and may they? (access) ─▶ resources, accounts, views, plans, keeping
//!                                                                                        └─▶ Configuration, shards
//! ```
//! [`book`] holds every route once: the router and the OpenAPI document are made of it.

pub mod access;
mod accounts;
mod alarms;
mod appliance;
mod body;
mod book;
mod dns;
mod history;
mod invitations;
mod keeping;
mod licences;
mod page;
mod phonebook;
mod plans;
mod problem;
mod rate;
mod resources;
mod serve;
#[cfg(test)]
mod tests;
mod themes;
mod trust;
mod views;

pub use accounts::{hashed, set_user};
pub use dns::Checks;
pub use history::History;
pub use problem::{FieldError, Problem, Sort};
pub use serve::{Listeners, bind, certificate};
pub use trust::Trust;

use crate::alarms::AlarmsHandle;
use crate::configuration::Configuration;
use crate::console::Console;
use crate::control::{Asked, Status};
use crate::engine::event::Event;
use crate::licences::Licensing;
use crate::phonebook::Shelf;
use crate::themes::{self as kept_themes, Themes};
use access::Sessions;
use accounts::Accounts;
use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::get;
use book::{Book, ROOT};
use domain::config::Config;
use domain::defence::{Defence, Offence, Path};
use domain::history::CallRecord;
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use store::Edit;
use tokio::sync::{Notify, mpsc, watch};
use tracing::warn;

/// When what was uploaded ends is told to the alarms so often.
const ROUND: Duration = Duration::from_secs(60);
/// The live view is taken so often.
const LIVE: Duration = Duration::from_secs(1);

/// Everything the routes work with.
pub struct Admin {
    configuration: Arc<Configuration>,
    shards: Vec<mpsc::Sender<Event>>,
    sessions: Sessions,
    accounts: Accounts,
    logins: Mutex<Defence>,
    rate: rate::Rate,
    history: History,
    trust: Trust,
    licensing: Licensing,
    themes: Themes,
    /// Held by whoever tells the shards which licences count, so that the last they hear is the latest.
    relicensing: tokio::sync::Mutex<()>,
    /// The same for what is shown and said.
    showing: tokio::sync::Mutex<()>,
    alarms: AlarmsHandle,
    live: watch::Receiver<Arc<Status>>,
    console: Console,
    dns: Checks,
    started: Instant,
}

/// What the administration is made of.
pub struct Parts {
    /// The configuration that is administered.
    pub configuration: Arc<Configuration>,
    /// Where what is asked of the shards goes.
    pub shards: Vec<mpsc::Sender<Event>>,
    /// Calls that are over.
    pub history: History,
    /// Keys and chains.
    pub trust: Trust,
    /// Licences.
    pub licensing: Licensing,
    /// Pictures and voices.
    pub themes: Themes,
    /// What is wrong with the box.
    pub alarms: AlarmsHandle,
    /// How the shards are.
    pub live: watch::Receiver<Arc<Status>>,
    /// Asks live DNS.
    pub dns: Checks,
    /// The set-up of the box under the gateway.
    pub console: Console,
}

impl Admin {
    /// Made of `parts`.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { configuration, shards, history, trust, licensing, themes, alarms, live, dns, console } =
            parts;
        let logins = Mutex::new(Defence::new(configuration.now().defence.clone()));
        Self {
            configuration,
            shards,
            sessions: Sessions::default(),
            accounts: Accounts::new(),
            logins,
            rate: rate::Rate::default(),
            history,
            trust,
            licensing,
            themes,
            relicensing: tokio::sync::Mutex::default(),
            showing: tokio::sync::Mutex::default(),
            alarms,
            live,
            console,
            dns,
            started: Instant::now(),
        }
    }

    /// The session of this cookie and what its user may, if both are still there and the password is the same.
    fn session(&self, cookie: &str, look: access::Look) -> Option<(access::Found, access::Role)> {
        let found = self.sessions.find(Instant::now(), cookie, look)?;
        let (role, proof) = self.accounts.user(&self.configuration, &found.user)?;
        (proof == found.proof).then_some((found, role))
    }

    fn logins(&self) -> std::sync::MutexGuard<'_, Defence> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what comes from there is heard at all.
    fn hears(&self, from: SocketAddr) -> bool {
        self.logins().hears(Instant::now(), from, Path::Connection)
    }

    /// Somebody gave what is no password or token of this box.
    fn offended(&self, from: SocketAddr, offence: Offence) {
        if let Some(source) = self.logins().note(Instant::now(), from, Path::Connection, offence) {
            warn!(%source, why = offence.text(), "blocked: it may not log in for a while");
        }
    }

    /// A log-in failed. The name is not told: people write passwords there.
    fn failed_login(&self, from: SocketAddr) {
        warn!(source = %from.ip(), "a log-in failed");
    }

    fn forgive(&self, address: IpAddr) {
        self.logins().forgive(address);
    }

    fn configured(&self, config: &Config) {
        self.logins().set_policy(config.defence.clone());
    }

    /// Has the shards and the alarms go by the licences that are held now.
    async fn relicense(&self) {
        let _alone = self.relicensing.lock().await;
        let licences = self.licensing.licences();
        for shard in &self.shards {
            // A shard that is gone takes no call.
            drop(shard.send(Event::Licences(Arc::clone(&licences))).await);
        }
        self.alarms.license(licences).await;
    }

    /// Does `work` away from the loop that serves others: the disk may take its time, and so do keys and pictures.
    async fn away<T, E>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        E: Send + 'static,
        Problem: From<E>,
    {
        let admin = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&admin)).await;
        Ok(done.map_err(|_| Sort::Failed.because("it was not done"))??)
    }

    /// Tells the alarms how long what proves the box is good for.
    fn tell_trust(&self) {
        let alarms = self.alarms.teller();
        let domain = self.configuration.now().gateway.domains.first().cloned().unwrap_or_default();
        self.trust.facts(&domain).for_each(|fact| alarms.tell(fact));
    }

    /// Reads the themes anew, and has callers see and hear them.
    async fn show_themes(self: &Arc<Self>) {
        let _alone = self.showing.lock().await;
        let admin = Arc::clone(self);
        match tokio::task::spawn_blocking(move || admin.themes.read_all()).await {
            Ok(read) => kept_themes::show(&read, &self.shards, &self.alarms.teller()).await,
            Err(error) => warn!(%error, "the themes could not be read; callers see and hear what they did"),
        }
    }

    /// Makes `edits`, away from the loop that serves others.
    async fn commit(
        self: &Arc<Self>,
        by: &str,
        act: &'static str,
        detail: Vec<String>,
        edits: Vec<Edit>,
    ) -> Result<(), Problem> {
        let by = by.to_owned();
        self.away(move |admin| admin.configuration.commit(&by, act, detail, edits)).await.map(drop)
    }

    /// Notes in the audit log what changes no document.
    async fn note(self: &Arc<Self>, by: &str, act: &'static str, detail: Vec<String>) {
        let (admin, by) = (Arc::clone(self), by.to_owned());
        // It is told where it can't be written.
        drop(tokio::task::spawn_blocking(move || admin.configuration.note(&by, act, detail)).await);
    }
}

/// Every route, and the OpenAPI document.
pub fn routes(admin: &Arc<Admin>) -> (Router, Value) {
    let mut book = Book::new(Arc::clone(admin));
    accounts::add(&mut book);
    views::add(&mut book);
    resources::add(&mut book);
    plans::add(&mut book);
    dns::add(&mut book);
    invitations::add(&mut book);
    trust::add(&mut book);
    licences::add(&mut book);
    themes::add(&mut book);
    alarms::add(&mut book);
    keeping::add(&mut book);
    appliance::add(&mut book);
    let (router, document) = book.finish();
    let openapi = document.clone();
    let openapi = get(move || async move { axum::Json(openapi) });
    let router = router
        .route(&format!("{ROOT}/openapi.json"), openapi)
        .route("/", get(page::index))
        .route("/web/{*name}", get(page::asset))
        .fallback(phonebook::answer)
        .method_not_allowed_fallback(|| async { Sort::Method.because("this path takes other methods") })
        .layer(from_fn_with_state(Arc::clone(admin), rate::limit))
        .layer(from_fn(secure))
        .with_state(Arc::clone(admin));
    (router, document)
}

async fn secure(request: Request, next: Next) -> impl IntoResponse {
    page::secured(next.run(request).await)
}

/// Takes the live view each second, keeps calls that are over, and follows the configuration, until the shards are gone.
pub async fn follow(
    admin: Arc<Admin>,
    asked: Asked,
    live: watch::Sender<Arc<Status>>,
    mut over: mpsc::Receiver<CallRecord>,
    shelf: Shelf,
) {
    let mut tick = tokio::time::interval(LIVE);
    let mut configured = admin.configuration.watch();
    let (mut round, alarms) = (tokio::time::interval(ROUND), admin.alarms.teller());
    let mut standing = admin.configuration.watch_standing();
    admin.configuration.found().iter().for_each(|fact| alarms.tell(fact.clone()));
    let mut themes = admin.configuration.now().themes.clone();
    // Reading them takes its time, and the live view goes on. Whatever changes meanwhile is read once more, and no more often.
    let bell = Arc::new(Notify::new());
    let (reader, rung) = (Arc::clone(&admin), Arc::clone(&bell));
    tokio::spawn(async move {
        loop {
            rung.notified().await;
            reader.show_themes().await;
        }
    });
    if !themes.is_empty() {
        bell.notify_one();
    }
    loop {
        tokio::select! {
            _ = tick.tick() => drop(live.send_replace(Arc::new(asked.status().await))),
            _ = round.tick() => {
                admin.tell_trust();
                admin.configuration.facts().into_iter().for_each(|fact| alarms.tell(fact));
                if admin.themes.want_another_look() {
                    bell.notify_one();
                }
            }
            changed = standing.changed() => {
                if changed.is_ok() {
                    admin.configuration.facts().into_iter().for_each(|fact| alarms.tell(fact));
                }
            }
            record = over.recv() => match record {
                Some(record) => admin.history.add(record),
                None => return,
            },
            changed = configured.changed() => {
                if changed.is_ok() {
                    let config = Arc::clone(&configured.borrow_and_update());
                    admin.configured(&config);
                    if let Err(error) = shelf.show(&config.phonebook.directory) {
                        warn!(%error, "the phonebook stays as it was");
                    }
                    for shard in &admin.shards {
                        // A shard that is gone takes no calls.
                        drop(shard.send(Event::Configure(Arc::clone(&config))).await);
                    }
                    if std::mem::replace(&mut themes, config.themes.clone()) != config.themes {
                        bell.notify_one();
                    }
                    admin.alarms.configure(config).await;
                }
            }
        }
    }
}
