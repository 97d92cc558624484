//! The book of routes: each is written once, with its handler, its role and its types; the router and the OpenAPI document
//! (OpenAPI 3.1) are both made of it.

use super::Admin;
use super::access::{Role, guard};
use super::body::BODY_BYTES;
use super::problem::{Problem, Sort};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::MethodRouter;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::{PartialSchema, ToSchema};

/// Where the API begins.
pub const ROOT: &str = "/api/v1";

/// The methods of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes, or does.
    Post,
    /// Replaces.
    Put,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
}

/// What a body is.
#[derive(Clone)]
pub enum Media {
    /// Nothing.
    Nothing,
    /// JSON of this schema.
    Json(Schema),
    /// Text of this type.
    Text(&'static str),
    /// A file of one of these types.
    Files(&'static [&'static str]),
}

/// A schema, and those it refers to.
#[derive(Clone)]
pub struct Schema {
    value: Value,
    parts: Vec<(String, Value)>,
}

/// One field of a query, or a header.
#[derive(Clone)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// `query`, `path` or `header`.
    pub place: &'static str,
    /// What it is for.
    pub text: &'static str,
    /// Its schema.
    pub schema: Value,
}

/// A route.
#[derive(Clone)]
pub struct Operation {
    /// Its method.
    pub method: Method,
    /// Its path below [`ROOT`], with `{id}` for what varies.
    pub path: String,
    /// The group it stands in.
    pub tag: &'static str,
    /// What it does, in a line.
    pub summary: String,
    /// The least role that may.
    pub role: Option<Role>,
    /// What varies in its path, its query, its headers.
    pub parameters: Vec<Parameter>,
    /// What it takes.
    pub takes: Media,
    /// What it gives, and with which status.
    pub gives: (u16, Media),
    /// Most bytes of its body.
    pub body_bytes: usize,
    /// Problems it may have besides those that all have.
    pub problems: &'static [Sort],
}

/// The book.
pub struct Book {
    admin: Arc<Admin>,
    router: Router<Arc<Admin>>,
    paths: BTreeMap<String, Map<String, Value>>,
    schemas: BTreeMap<String, Value>,
}

impl Schema {
    /// Of a type.
    #[must_use]
    pub fn of<T: ToSchema + PartialSchema>() -> Self {
        let mut parts = Vec::new();
        T::schemas(&mut parts);
        parts.push((T::name().into_owned(), T::schema()));
        let parts = parts.into_iter().map(|(name, schema)| (name, json!(schema))).collect();
        Self { value: json!({ "$ref": format!("#/components/schemas/{}", T::name()) }), parts }
    }

    /// A list with a cursor: `{"items": [...], "next": "..."}`.
    #[must_use]
    pub fn listed(self) -> Self {
        let items = json!({
            "type": "object",
            "required": ["items"],
            "properties": {
                "items": { "type": "array", "items": self.value },
                "next": { "type": ["string", "null"], "description": "Give it as `after` to read on; nothing if this was all." },
            },
        });
        Self { value: items, parts: self.parts }
    }

    /// A schema as it is written.
    #[must_use]
    pub fn plain(value: Value) -> Self {
        Self { value, parts: Vec::new() }
    }
}

impl Method {
    const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }
}

impl Operation {
    /// One that takes nothing and gives nothing (204) yet.
    #[must_use]
    pub fn new(
        method: Method,
        path: impl Into<String>,
        tag: &'static str,
        summary: impl Into<String>,
    ) -> Self {
        Self {
            method,
            path: path.into(),
            tag,
            summary: summary.into(),
            role: Some(Role::Administrator),
            parameters: Vec::new(),
            takes: Media::Nothing,
            gives: (204, Media::Nothing),
            body_bytes: BODY_BYTES,
            problems: &[],
        }
    }

    /// The least role that may.
    #[must_use]
    pub const fn role(mut self, role: Role) -> Self {
        self.role = Some(role);
        self
    }

    /// For everybody, logged in or not.
    #[must_use]
    pub const fn open(mut self) -> Self {
        self.role = None;
        self
    }

    /// What it takes.
    #[must_use]
    pub fn takes<T: ToSchema>(mut self) -> Self {
        self.takes = Media::Json(Schema::of::<T>());
        self
    }

    /// What it gives, with status 200.
    #[must_use]
    pub fn gives<T: ToSchema>(self) -> Self {
        self.gives_media(200, Media::Json(Schema::of::<T>()))
    }

    /// What it gives, with its status.
    #[must_use]
    pub fn gives_media(mut self, status: u16, media: Media) -> Self {
        self.gives = (status, media);
        self
    }

    /// One more parameter.
    #[must_use]
    pub fn with(
        mut self,
        place: &'static str,
        name: &'static str,
        schema: Value,
        text: &'static str,
    ) -> Self {
        self.parameters.push(Parameter { name, place, text, schema });
        self
    }

    /// Problems it may have.
    #[must_use]
    pub const fn problems(mut self, problems: &'static [Sort]) -> Self {
        self.problems = problems;
        self
    }
}

impl Book {
    /// An empty one.
    #[must_use]
    pub fn new(admin: Arc<Admin>) -> Self {
        Self { admin, router: Router::new(), paths: BTreeMap::new(), schemas: BTreeMap::new() }
    }

    /// Adds a route with its handler.
    pub fn add<H, T>(&mut self, operation: Operation, handler: H)
    where
        H: Handler<T, Arc<Admin>>,
        T: 'static,
    {
        let routed = match operation.method {
            Method::Get => MethodRouter::new().get(handler),
            Method::Post => MethodRouter::new().post(handler),
            Method::Put => MethodRouter::new().put(handler),
            Method::Patch => MethodRouter::new().patch(handler),
            Method::Delete => MethodRouter::new().delete(handler),
        };
        let routed = routed.layer(DefaultBodyLimit::max(operation.body_bytes));
        let admin = Arc::clone(&self.admin);
        let routed = match operation.role {
            None => routed,
            Some(role) => routed.layer(from_fn_with_state((admin, role), guard)),
        };
        let router = std::mem::take(&mut self.router);
        self.router = router.route(&format!("{ROOT}{}", operation.path), routed);
        self.describe(operation);
    }

    /// The router, and the OpenAPI document.
    pub fn finish(self) -> (Router<Arc<Admin>>, Value) {
        let Self { router, paths, mut schemas, .. } = self;
        let problem = Schema::of::<Problem>();
        schemas.extend(problem.parts);
        let document = json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Gantry",
                "version": env!("CARGO_PKG_VERSION"),
                "description": "The administration of a gateway. Errors are problems (RFC 9457). Lists have cursors. A resource's ETag is its revision; \
                                give it as If-Match, and nobody's change is overwritten.",
                "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            },
            "servers": [{ "url": ROOT }],
            "paths": paths,
            "components": {
                "schemas": schemas,
                "responses": problems(),
                "securitySchemes": {
                    "token": { "type": "http", "scheme": "bearer", "description": "An API token." },
                    "session": {
                        "type": "apiKey", "in": "cookie", "name": "__Host-gantry",
                        "description": "A session of the page. What changes something needs the session's `csrf` in X-CSRF-Token too.",
                    },
                },
            },
        });
        (router, document)
    }

    fn describe(&mut self, operation: Operation) {
        let Operation { method, path, tag, summary, role, parameters, takes, gives, problems, body_bytes: _ } =
            operation;
        let id = format!("{} {path}", method.name()).replace(['{', '}'], "").replace([' ', '/'], "_");
        let mut described = json!({
            "tags": [tag],
            "summary": summary,
            "operationId": id,
            "parameters": parameters.iter().map(Parameter::described).collect::<Vec<_>>(),
            "responses": self.responses(gives, role, problems, (method, &takes)),
        });
        if let Some(role) = role {
            described["security"] = json!([{ "token": [] }, { "session": [] }]);
            described["description"] = json!(format!("For: {role} and above."));
        }
        if let Some(content) = self.content(takes) {
            described["requestBody"] = json!({ "required": true, "content": content });
        }
        self.paths.entry(path).or_default().insert(method.name().to_owned(), described);
    }

    fn responses(
        &mut self,
        (status, media): (u16, Media),
        role: Option<Role>,
        problems: &[Sort],
        (method, takes): (Method, &Media),
    ) -> Value {
        let mut sorts = vec![Sort::BadRequest, Sort::TooMany, Sort::Failed, Sort::Unavailable];
        if role.is_some() {
            sorts.extend([Sort::NotLoggedIn, Sort::NotAllowed]);
        }
        if !matches!(takes, Media::Nothing) {
            sorts.extend([Sort::TooLarge, Sort::MediaType, Sort::Invalid]);
        }
        if method != Method::Get {
            sorts.push(Sort::Full);
        }
        sorts.extend(problems);
        let mut responses = Map::new();
        for sort in sorts {
            let (reference, _) = sort.words();
            let name = reference.trim_start_matches("/problems/");
            let place = format!("#/components/responses/{name}");
            responses.insert(sort.status().as_u16().to_string(), json!({ "$ref": place }));
        }
        let mut good = json!({ "description": "done" });
        if let Some(content) = self.content(media) {
            good["content"] = content;
        }
        responses.insert(status.to_string(), good);
        Value::Object(responses)
    }

    fn content(&mut self, media: Media) -> Option<Value> {
        match media {
            Media::Nothing => None,
            Media::Json(Schema { value, parts }) => {
                self.schemas.extend(parts);
                Some(json!({ "application/json": { "schema": value } }))
            }
            Media::Text(kind) => Some(json!({ kind: { "schema": { "type": "string" } } })),
            Media::Files(kinds) => {
                let file = json!({ "schema": { "type": "string", "format": "binary" } });
                Some(kinds.iter().map(|kind| ((*kind).to_owned(), file.clone())).collect())
            }
        }
    }
}

/// Every sort of problem, once.
fn problems() -> Value {
    let content =
        json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } });
    let described = |sort: Sort| {
        let (reference, title) = sort.words();
        (
            reference.trim_start_matches("/problems/").to_owned(),
            json!({ "description": title, "content": content }),
        )
    };
    Value::Object(Sort::ALL.into_iter().map(described).collect())
}

impl Parameter {
    fn described(&self) -> Value {
        let Self { name, place, text, schema } = self;
        json!({ "name": name, "in": place, "description": text, "schema": schema, "required": *place == "path" })
    }
}
