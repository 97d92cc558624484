//! The API as its clients see it: who may, what is refused and why, and that its document is what it does.

mod dns;
mod invitations;
mod kept;
mod licences;
mod themes;

use super::*;
use crate::alarms::{self, Places};
use crate::certificates::{Credentials, DataKey};
use crate::configuration::Secrets;
use crate::configuration::tests::FIRST;
use crate::net::dns::live::LiveDns;
use crate::net::testing::Authority;
use axum::body::Body;
use axum::http::{Request as HttpRequest, Response, StatusCode};
use base::{Secret, Seed};
use domain::alarm::Fact;
use domain::licence::Licences;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

/// The document as it is in the tree; `GANTRY_WRITE_OPENAPI=1 cargo nextest run -p gatewayd -E 'test(the_document)'` writes it anew.
const DOCUMENT: &str = include_str!("../../openapi.json");

/// A device besides.
const DEVICE: &str = "[[devices]]\nalias = \"board@meet.example.com\"\npassword = \"PLANTED-PASSWORD\"\n";

/// An administration without sockets.
pub(super) struct Bench {
    folder: TempDir,
    admin: Arc<Admin>,
    router: Router,
    document: Value,
    events: mpsc::Receiver<Event>,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    response: Response<()>,
    pub(super) body: Value,
    pub(super) text: String,
    pub(super) bytes: bytes::Bytes,
}

/// Who asks, and where from.
#[derive(Clone)]
pub(super) struct Caller {
    cookie: Option<String>,
    csrf: Option<String>,
    token: Option<String>,
    from: SocketAddr,
}

impl Caller {
    fn nobody() -> Self {
        Self { cookie: None, csrf: None, token: None, from: "192.0.2.7:4000".parse().unwrap() }
    }
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::of(tempfile::tempdir().unwrap())
    }

    /// Over what is kept in `folder`.
    fn of(folder: TempDir) -> Self {
        Self::licensed(folder, Licences::unmetered())
    }

    /// With what is in `folder`, and what the vendor's keys and a folder of licences say.
    fn licensed(folder: TempDir, licences: Licences) -> Self {
        Self::made(folder, licences, Checks::default(), Console::default())
    }

    /// Whose DNS plan is checked by these name servers.
    fn checking(servers: LiveDns) -> Self {
        let dns = Checks::by(servers);
        Self::made(tempfile::tempdir().unwrap(), Licences::unmetered(), dns, Console::default())
    }

    /// On a box with this set-up.
    pub(super) fn on(console: Console) -> Self {
        Self::made(tempfile::tempdir().unwrap(), Licences::unmetered(), Checks::default(), console)
    }

    fn made(folder: TempDir, licences: Licences, dns: Checks, console: Console) -> Self {
        let key = Arc::new(DataKey::load(&folder.path().join("data.key")).unwrap());
        let trust = Trust::open(folder.path(), &key, Credentials::default()).unwrap();
        let opened = Configuration::open(
            folder.path(),
            Secrets::new(key),
            Some(("gantry.toml", &format!("{FIRST}{DEVICE}"))),
        );
        let configuration = Arc::new(opened.map_err(|error| error.to_string()).unwrap().0);
        let (shard, events) = mpsc::channel(64);
        let (_, live) = watch::channel(Arc::default());
        let alarms = alarms::start(&configuration.now(), Places::system(None), Seed([7; 32])).unwrap();
        let licensing = Licensing::open(Arc::clone(&configuration), licences);
        let themes = Themes::open(Arc::clone(&configuration), &folder.path().join("themes")).unwrap();
        let history = History::open(folder.path());
        let shards = vec![shard];
        let parts =
            Parts { configuration, shards, history, trust, licensing, themes, alarms, live, dns, console };
        let admin = Arc::new(Admin::new(parts));
        let (router, document) = routes(&admin);
        Self { folder, admin, router, document, events }
    }

    /// The folder, once nobody has it.
    fn closed(self) -> TempDir {
        self.folder
    }

    pub(super) async fn ask(&self, caller: &Caller, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.ask_with(caller, method, path, body, &[]).await
    }

    async fn ask_with(
        &self,
        caller: &Caller,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let json = [("content-type", "application/json")];
        let (body, json) = body.map_or((Body::empty(), &[][..]), |body| (body.to_string().into(), &json));
        self.send(caller, method, path, body, &[headers, json].concat()).await
    }

    async fn send(
        &self,
        caller: &Caller,
        method: &str,
        path: &str,
        body: Body,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = HttpRequest::builder().method(method).uri(format!("{ROOT}{path}"));
        request = request.extension(access::From(caller.from));
        if let Some(cookie) = &caller.cookie {
            request = request.header("cookie", cookie);
        }
        if let Some(csrf) = &caller.csrf {
            request = request.header("x-csrf-token", csrf);
        }
        if let Some(token) = &caller.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status: parts.status, response: Response::from_parts(parts, ()), body, text, bytes }
    }

    /// Somebody with a role, logged in.
    pub(super) async fn logged_in(&self, name: &str, role: access::Role) -> Caller {
        let configuration = Arc::clone(&self.admin.configuration);
        let hash = hashed(&Secret::new("correct horse battery".to_owned()));
        let set = hash.and_then(|hash| set_user(&configuration, "console", name, &hash, role));
        set.map_err(|problem| problem.detail).unwrap();
        let body = json!({ "name": name, "password": "correct horse battery" });
        let answer = self.ask(&Caller::nobody(), "POST", "/session", Some(body)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
        Caller {
            cookie: Some(cookie),
            csrf: answer.body["csrf"].as_str().map(str::to_owned),
            ..Caller::nobody()
        }
    }

    pub(super) async fn administrator(&self) -> Caller {
        self.logged_in("ann", access::Role::Administrator).await
    }
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> &str {
        self.response.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub(super) fn is(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

pub(super) fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

fn rule(name: &str, priority: u8) -> Value {
    json!({ "name": name, "priority": priority, "match": { "regex": format!("{name}@.*") } })
}

#[test]
fn the_document_in_the_tree_is_what_the_routes_are() {
    let made = serde_json::to_string_pretty(&Bench::new().document).unwrap() + "\n";
    if std::env::var_os("GANTRY_WRITE_OPENAPI").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json"), &made).unwrap();
        return;
    }
    assert!(
        made == DOCUMENT,
        "firmware/gatewayd/openapi.json is old; write it anew as said above the constant DOCUMENT"
    );
}

#[test]
fn nothing_but_logging_in_is_for_whoever_is_not_logged_in() {
    run(async {
        let bench = Bench::new();
        let paths = bench.document["paths"].as_object().unwrap().clone();
        for (path, methods) in paths {
            for (method, operation) in methods.as_object().unwrap() {
                let open = operation.get("security").is_none();
                assert_eq!(open, path == "/session" && method == "post", "{method} {path}");
                if !open {
                    let asked = path
                        .replace("{id}", "1")
                        .replace("{address}", "::1")
                        .replace("{action}", "mute")
                        .replace("{file}", "full.png");
                    let answer =
                        bench.ask(&Caller::nobody(), &method.to_uppercase(), &asked, Some(json!({}))).await;
                    answer.is(401);
                    assert_eq!(answer.header("content-type"), "application/problem+json");
                }
            }
        }
    });
}

#[test]
fn a_role_may_what_the_document_says_and_no_more() {
    run(async {
        let bench = Bench::new();
        let viewer = bench.logged_in("vic", access::Role::Viewer).await;
        let operator = bench.logged_in("otto", access::Role::Operator).await;
        bench.ask(&viewer, "GET", "/live", None).await.is(200);
        let refused = bench.ask(&viewer, "POST", "/call-routing-rules", Some(rule("r", 1))).await;
        assert_eq!(
            refused.is(403).body["detail"],
            "\"vic\" is a viewer and this is for the role administrator"
        );
        bench.ask(&viewer, "DELETE", "/blocked-sources/192.0.2.1", None).await.is(403);
        bench.ask(&operator, "DELETE", "/blocked-sources/192.0.2.1", None).await.is(204);
        bench.ask(&operator, "DELETE", "/call-routing-rules/meetings", None).await.is(403);
        bench.ask(&operator, "GET", "/audit", None).await.is(403);
    });
}

#[test]
fn a_change_by_a_session_needs_its_csrf_value() {
    run(async {
        let bench = Bench::new();
        let ann = bench.administrator().await;
        for csrf in [None, Some(String::new()), Some("another".to_owned())] {
            let caller = Caller { csrf, ..ann.clone() };
            bench.ask(&caller, "POST", "/call-routing-rules", Some(rule("r", 1))).await.is(403);
        }
        bench.ask(&ann, "POST", "/call-routing-rules", Some(rule("r", 1))).await.is(201);
    });
}

#[test]
fn a_session_ends_by_logging_out_and_with_its_user() {
    run(async {
        let bench = Bench::new();
        let (ann, vic) = (bench.administrator().await, bench.logged_in("vic", access::Role::Viewer).await);
        bench.ask(&vic, "GET", "/session", None).await.is(200);
        bench.ask(&ann, "DELETE", "/users/vic", None).await.is(204);
        bench.ask(&vic, "GET", "/session", None).await.is(401);
        bench.ask(&ann, "DELETE", "/session", None).await.is(204);
        bench.ask(&ann, "GET", "/session", None).await.is(401);
    });
}

#[test]
fn who_guesses_passwords_is_blocked_and_others_are_not() {
    run(async {
        let bench = Bench::new();
        bench.administrator().await;
        let guess = json!({ "name": "ann", "password": "password123" });
        let (guesser, honest) =
            (Caller::nobody(), Caller { from: "192.0.2.8:1".parse().unwrap(), ..Caller::nobody() });
        for _ in 0..10 {
            assert!(bench.admin.hears(guesser.from));
            bench.ask(&guesser, "POST", "/session", Some(guess.clone())).await.is(401);
        }
        assert!(!bench.admin.hears(guesser.from), "it is hung up on from now on");
        assert!(bench.admin.hears(honest.from));
        // An API token is guessed in vain too.
        let caller = Caller {
            token: Some("gantry_guess".to_owned()),
            from: "192.0.2.9:1".parse().unwrap(),
            ..Caller::nobody()
        };
        for _ in 0..10 {
            bench.ask(&caller, "GET", "/live", None).await.is(401);
        }
        assert!(!bench.admin.hears(caller.from));
    });
}

#[test]
fn an_unknown_user_and_a_wrong_password_are_told_alike() {
    run(async {
        let bench = Bench::new();
        bench.administrator().await;
        let ask = async |name: &str| {
            let body = json!({ "name": name, "password": "wrong horse battery" });
            bench.ask(&Caller::nobody(), "POST", "/session", Some(body)).await.text
        };
        assert_eq!(ask("ann").await, ask("nobody").await);
    });
}

#[test]
fn an_unknown_users_password_is_hashed_as_long_as_a_known_ones() {
    // One that can't be read would be refused at once, and tell who is known.
    let nobody = argon2::PasswordHash::new(accounts::NOBODY).unwrap();
    let made =
        hashed(&Secret::new("correct horse battery".to_owned())).map_err(|problem| problem.detail).unwrap();
    let known = argon2::PasswordHash::new(made.expose()).unwrap();
    assert_eq!((nobody.algorithm, nobody.params), (known.algorithm, known.params));
    assert_eq!(nobody.hash.unwrap().len(), known.hash.unwrap().len());
}

#[test]
fn an_api_token_is_shown_once_and_may_what_its_role_may() {
    run(async {
        let bench = Bench::new();
        let ann = bench.administrator().await;
        let made = bench
            .ask(&ann, "POST", "/api-tokens", Some(json!({ "name": "grafana", "role": "viewer" })))
            .await;
        let token = made.is(201).body["value"].as_str().unwrap().to_owned();
        let caller = Caller { token: Some(token.clone()), ..Caller::nobody() };
        let metrics = bench.ask(&caller, "GET", "/metrics", None).await;
        assert!(metrics.is(200).text.contains("\ngantry_calls 0\n"), "{}", metrics.text);
        bench.ask(&caller, "POST", "/call-routing-rules", Some(rule("r", 1))).await.is(403);
        let listed = bench.ask(&ann, "GET", "/api-tokens", None).await;
        assert!(listed.is(200).text.contains("grafana") && !listed.text.contains(&token));
        bench.ask(&ann, "DELETE", "/api-tokens/grafana", None).await.is(204);
        bench.ask(&caller, "GET", "/metrics", None).await.is(401);
    });
}

#[test]
fn p2_a_token_in_use_is_not_removed_and_its_users_are_named() {
    run(async {
        let bench = Bench::new();
        let ann = bench.administrator().await;
        let refused = bench.ask(&ann, "DELETE", "/access-tokens/tenant%20a", None).await;
        let errors = refused.is(422).body["errors"].clone();
        assert_eq!(errors[0]["resource"], "call-routing-rules/meetings");
        assert_eq!(errors[0]["field"], "token");
        bench.ask(&ann, "GET", "/access-tokens/tenant%20a", None).await.is(200);
    });
}

#[test]
fn p2_what_is_planted_as_a_secret_is_in_no_answer() {
    run(async {
        let bench = Bench::new();
        let ann = bench.administrator().await;
        bench
            .ask(
                &ann,
                "PATCH",
                "/registrar-devices/board%40meet.example.com",
                Some(json!({ "user": "board" })),
            )
            .await
            .is(200);
        let paths = bench.document["paths"].as_object().unwrap().clone();
        let read = paths.iter().filter(|(path, methods)| methods.get("get").is_some() && *path != "/events");
        for (path, _) in read {
            let answer = bench.ask(&ann, "GET", &path.replace("{id}", "tenant%20a"), None).await;
            assert!(!answer.text.contains("PLANTED"), "{path}: {}", answer.text);
        }
        let export = bench.ask(&ann, "POST", "/backup:export", Some(json!({}))).await;
        let archive = crate::configuration::Archive::parse(export.is(200).text.as_bytes()).unwrap();
        let contents = serde_json::to_string(&archive.open(None).unwrap()).unwrap();
        assert!(contents.contains("board@meet.example.com") && !contents.contains("PLANTED"), "{contents}");
    });
}

#[test]
fn a_rule_is_made_read_changed_renamed_and_removed() {
    run(async {
        let bench = Bench::new();
        let ann = bench.administrator().await;
        let made = bench.ask(&ann, "POST", "/call-routing-rules", Some(rule("guests in", 20))).await;
        assert_eq!(made.is(201).header("location"), "/api/v1/call-routing-rules/guests%20in");
        bench.ask(&ann, "POST", "/call-routing-rules", Some(rule("guests in", 21))).await.is(409);
        let (path, tag) = ("/call-routing-rules/guests%20in", made.header("etag"));
        // A change of somebody who has not seen the last one is refused.
        let patched =
            bench.ask_with(&ann, "PATCH", path, Some(json!({ "tag": "x" })), &[("if-match", tag)]).await;
        assert_eq!(patched.is(200).body["tag"], "x");
        bench.ask_with(&ann, "PATCH", path, Some(json!({ "tag": "y" })), &[("if-match", tag)]).await.is(412);
        let seen = patched.header("etag");
        let (weak, listed) = (format!("W/{seen}"), format!("\"a,b\", {seen}"));
        let no_tags = ["7", "\"7", "\"7\" \"8\"", ",", ""].map(|tag| (tag, 400));
        for (tag, status) in no_tags.into_iter().chain([(&*weak, 412), (&*listed, 200)]) {
            let asked = bench.ask_with(&ann, "PATCH", path, Some(json!({})), &[("if-match", tag)]).await;
            asked.is(status);
        }
        // Renamed, it is under its new name alone.
        let renamed = bench.ask(&ann, "PATCH", path, Some(json!({ "name": "visitors", "tag": null }))).await;
        assert_eq!(renamed.is(200).body["name"], "visitors");
        bench.ask(&ann, "GET", path, None).await.is(404);
        let read = bench.ask(&ann, "GET", "/call-routing-rules/visitors", None).await;
        assert!(read.is(200).body.get("tag").is_none());
        bench.ask(&ann, "DELETE", "/call-routing-rules/visitors", None).await.is(204);
        bench.ask(&ann, "DELETE", "/call-routing-rules/visitors", None).await.is(404);
    });
}

#[test]
fn a_wrong_rule_is_told_with_every_field_at_once() {
    run(async {
        let bench = Bench::new();
        let ann = bench.administrator().await;
        let wrong = json!({ "name": "r", "priority": 0, "token": "none", "match": { "regex": "(" } });
        let answer = bench.ask(&ann, "POST", "/call-routing-rules", Some(wrong)).await;
        let fields: Vec<_> = answer.is(422).body["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["field"].as_str().unwrap())
            .collect();
        assert_eq!(fields, ["priority", "token", "match.regex"]);
        let answer = bench.ask(&ann, "POST", "/call-routing-rules", Some(json!({ "name": "r" }))).await;
        assert!(answer.is(422).text.contains("priority"), "{}", answer.text);
    });
}

#[test]
fn settings_are_read_and_replaced_and_say_what_waits_for_a_restart() {
    run(async {
        let bench = Bench::new();
        let ann = bench.administrator().await;
        assert_eq!(bench.ask(&ann, "GET", "/settings/sip", None).await.is(200).body, json!({}));
        let put = bench.ask(&ann, "PUT", "/settings/sip", Some(json!({ "udp": ["0.0.0.0:5070"] }))).await;
        assert_eq!(put.is(200).header("gantry-restart-needed-for"), "where SIP is listened on");
        let health = bench.ask(&ann, "GET", "/health", None).await;
        assert_eq!(health.body["restart_needed_for"], json!(["where SIP is listened on"]));
    });
}

#[test]
fn lists_are_read_page_by_page() {
    run(async {
        let bench = Bench::new();
        let ann = bench.administrator().await;
        for name in ["a", "b", "c"] {
            bench.ask(&ann, "POST", "/call-routing-rules", Some(rule(name, 1))).await.is(201);
        }
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page =
                bench.ask(&ann, "GET", &format!("/call-routing-rules?limit=2&after={after}"), None).await;
            let items = page.is(200).body["items"].as_array().unwrap().clone();
            seen.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
            match page.body["next"].as_str() {
                Some(next) => next.clone_into(&mut after),
                None => break,
            }
        }
        assert_eq!(seen, ["a", "b", "c", "meetings"]);
    });
}

#[test]
fn p4_the_dry_run_says_which_rule_takes_an_alias_and_why_others_do_not() {
    run(async {
        let bench = Bench::new();
        let ann = bench.administrator().await;
        bench.ask(&ann, "POST", "/call-routing-rules", Some(rule("first", 1))).await.is(201);
        let run = json!({ "alias": "1234567890123@meet.example.com" });
        let answer = bench.ask(&ann, "POST", "/call-routing-rules:dry-run", Some(run)).await;
        assert_eq!(answer.is(200).body["rule"], "meetings");
        assert_eq!(answer.body["becomes"], "1234567890123");
        assert_eq!(answer.body["verdicts"][0]["rule"], "first");
        assert!(
            answer.body["verdicts"][0]["why"].as_str().unwrap().contains("does not match"),
            "{}",
            answer.text
        );
        bench.ask(&ann, "POST", "/call-routing-rules:dry-run", Some(json!({ "alias": "" }))).await.is(422);
    });
}

#[test]
fn k3_k4_plans_are_told_to_be_copied() {
    run(async {
        let bench = Bench::new();
        let ann = bench.administrator().await;
        let dns = bench.ask(&ann, "GET", "/dns-plan", None).await;
        let names: Vec<_> = dns.is(200).body["records"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["name"].as_str().unwrap())
            .collect();
        assert!(names.contains(&"_sips._tcp.meet.example.com"), "{names:?}");
        let firewall = bench.ask(&ann, "GET", "/firewall-plan", None).await;
        assert!(firewall.is(200).body["table"].as_str().unwrap().contains("40000-49999"));
        assert!(firewall.body["nftables"].as_str().unwrap().contains("udp dport"));
    });
}

#[test]
fn k6_rooms_fetch_the_phonebook_by_https_with_its_own_password() {
    run(async {
        let bench = Bench::new();
        let ann = bench.administrator().await;
        let settings = json!({ "https": "/phonebook", "user": "rooms", "password": "PLANTED-LOOKUP" });
        bench.ask(&ann, "PUT", "/settings/phonebook", Some(settings)).await.is(200);
        let entry = json!({ "name": "Board", "group": "Berlin", "aliases": ["sip:board@meet.example.com"] });
        let made = bench.ask(&ann, "POST", "/phonebook-entries", Some(entry)).await;
        assert_eq!(made.is(201).header("location"), "/api/v1/phonebook-entries/Berlin%2FBoard");
        bench.ask(&ann, "GET", "/phonebook-entries/Berlin%2FBoard", None).await.is(200);
        let fetch = async |authorization: Option<&str>| {
            let mut request = HttpRequest::builder().uri("/phonebook?q=board");
            request = request.extension(access::From("192.0.2.20:1".parse().unwrap()));
            if let Some(authorization) = authorization {
                request = request.header("authorization", authorization);
            }
            let response = bench.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            let (parts, body) = response.into_parts();
            (parts.status, String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap())
        };
        assert_eq!(fetch(None).await.0, 401);
        assert_eq!(fetch(Some("Basic cm9vbXM6d3Jvbmc=")).await.0, 401);
        // rooms:PLANTED-LOOKUP
        let (status, text) = fetch(Some("Basic cm9vbXM6UExBTlRFRC1MT09LVVA=")).await;
        assert!(status == 200 && text.contains("sip:board@meet.example.com"), "{status} {text}");
        // And without user and password, everybody may.
        bench
            .ask(&ann, "PUT", "/settings/phonebook", Some(json!({ "https": "/phonebook", "password": "" })))
            .await
            .is(200);
        assert_eq!(fetch(None).await.0, 200);
    });
}

#[test]
fn k2_a_certificate_is_requested_uploaded_and_watched_and_a_request_in_its_place_is_refused_by_name() {
    run(async {
        let bench = Bench::new();
        let ann = bench.administrator().await;
        let request = json!({ "names": ["meet.example.com"], "key": "ecdsa-p256" });
        let requested = bench.ask(&ann, "POST", "/tls-certificate:request", Some(request)).await;
        let csr = requested.is(200).body["csr"].as_str().unwrap().to_owned();
        // Pasted back by mistake, nothing changes.
        let refused = bench.ask(&ann, "PUT", "/tls-certificate", Some(json!({ "pem": csr }))).await;
        let said = refused.is(422).body["errors"][0]["message"].as_str().unwrap().to_owned();
        assert!(said.contains("request"), "{said}");
        let is_end =
            |fact: &Fact| matches!(fact, Fact::Certificate { .. } | Fact::GatewayToken { ends: Some(_), .. });
        assert_eq!(bench.admin.trust.facts("meet.example.com").filter(is_end).count(), 0);
        // That there is no gateway token is told too, or the alarm of one that was taken out of use would stand for ever.
        let is_none = |fact: Fact| matches!(fact, Fact::GatewayToken { ends: None, .. });
        assert!(bench.admin.trust.facts("meet.example.com").any(is_none));
        // Signed, it is in use at once, and the alarms know when it ends.
        let chain = Authority::new().sign(&csr);
        let uploaded = bench.ask(&ann, "PUT", "/tls-certificate", Some(json!({ "pem": chain }))).await;
        assert_eq!(uploaded.is(200).body["current"]["names"], json!(["meet.example.com"]));
        assert!(bench.admin.trust.credentials().tls.current().is_some());
        assert_eq!(bench.admin.trust.facts("meet.example.com").filter(is_end).count(), 1);
        let status = bench.ask(&ann, "GET", "/tls-certificate", None).await;
        assert!(
            status.is(200).body["pending_key"].is_null() && !status.text.contains("PRIVATE"),
            "{}",
            status.text
        );
    });
}

#[test]
fn the_last_administrator_stays_one() {
    run(async {
        let bench = Bench::new();
        let ann = bench.administrator().await;
        bench.ask(&ann, "DELETE", "/users/ann", None).await.is(409);
        bench.ask(&ann, "PUT", "/users/ann", Some(json!({ "name": "ann", "role": "viewer" }))).await.is(409);
        let ben = json!({ "name": "ben", "role": "administrator", "password": "correct horse battery" });
        let made = bench.ask(&ann, "PUT", "/users/ben", Some(ben)).await;
        assert!(!made.is(200).text.contains("password"), "{}", made.text);
        bench.ask(&ann, "DELETE", "/users/ann", None).await.is(204);
    });
}

#[test]
fn a_user_needs_a_password_that_is_long_enough() {
    run(async {
        let bench = Bench::new();
        let ann = bench.administrator().await;
        for body in [
            json!({ "name": "ben", "role": "viewer" }),
            json!({ "name": "ben", "role": "viewer", "password": "short" }),
        ] {
            bench.ask(&ann, "PUT", "/users/ben", Some(body)).await.is(422);
        }
        bench
            .ask(&ann, "PUT", "/users/other", Some(json!({ "name": "ben", "role": "viewer" })))
            .await
            .is(422);
    });
}

#[test]
fn what_is_no_json_or_too_large_or_nowhere_is_told_as_a_problem() {
    run(async {
        let bench = Bench::new();
        let ann = bench.administrator().await;
        let answer = bench.ask_with(&ann, "POST", "/call-routing-rules", None, &[]).await;
        answer.is(415);
        let large = json!({ "name": "x".repeat(2 * 1024 * 1024) });
        bench.ask(&ann, "POST", "/call-routing-rules", Some(large)).await.is(413);
        for (method, path, status) in [
            ("GET", "/nowhere", 404),
            ("PUT", "/live", 405),
            ("GET", "/calls/one", 400),
            ("GET", "/audit?limit=0", 400),
        ] {
            let answer = bench.ask(&ann, method, path, Some(json!({}))).await;
            answer.is(status);
        }
        assert_eq!(
            bench.ask(&ann, "GET", "/nowhere", None).await.header("content-type"),
            "application/problem+json"
        );
    });
}

#[test]
fn every_answer_forbids_the_page_to_load_anything_from_elsewhere() {
    run(async {
        let bench = Bench::new();
        let answer = bench.ask(&Caller::nobody(), "GET", "/live", None).await;
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"));
        assert_eq!(answer.header("cache-control"), "no-store");
    });
}

#[test]
fn a_call_that_does_not_stand_cannot_be_ended() {
    run(async {
        let mut bench = Bench::new();
        let ann = bench.administrator().await;
        bench.ask(&ann, "DELETE", "/calls/7", None).await.is(404);
        assert!(bench.events.try_recv().is_err(), "no shard was bothered");
    });
}
