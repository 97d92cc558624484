//! What went wrong with a request, as RFC 9457 writes it.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::config::documents::Wrong;
use serde::Serialize;
use utoipa::ToSchema;

/// A problem (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// Its sort: a URI reference within this API's documentation.
    #[serde(rename = "type")]
    pub sort: &'static str,
    /// The sort in words.
    pub title: &'static str,
    /// The status of the answer.
    pub status: u16,
    /// What happened, and the way out.
    pub detail: String,
    /// Each field that is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// A field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The resource, such as `call-routing-rules/meetings`; empty for the request's own.
    pub resource: String,
    /// The field in it, such as `match.regex`.
    pub field: String,
    /// What is wrong and the way out; follows the field's name in a sentence.
    pub message: String,
}

/// The sorts of problems, with their statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// The request can't be read.
    BadRequest,
    /// Nobody is logged in.
    NotLoggedIn,
    /// Whoever is logged in may not.
    NotAllowed,
    /// There is no such thing.
    NotFound,
    /// The path takes another method.
    Method,
    /// It is there already, is in use, or was changed meanwhile.
    Conflict,
    /// `If-Match` names another revision.
    Precondition,
    /// The body is too large.
    TooLarge,
    /// The body is not JSON.
    MediaType,
    /// What it says can't be.
    Invalid,
    /// Too many requests.
    TooMany,
    /// The box failed.
    Failed,
    /// The box can't do it now.
    Unavailable,
    /// The disk is full.
    Full,
}

impl Sort {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::BadRequest,
        Self::NotLoggedIn,
        Self::NotAllowed,
        Self::NotFound,
        Self::Method,
        Self::Conflict,
        Self::Precondition,
        Self::TooLarge,
        Self::MediaType,
        Self::Invalid,
        Self::TooMany,
        Self::Failed,
        Self::Unavailable,
        Self::Full,
    ];

    /// Its status.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::BadRequest => StatusCode::BAD_REQUEST,
            Self::NotLoggedIn => StatusCode::UNAUTHORIZED,
            Self::NotAllowed => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict => StatusCode::CONFLICT,
            Self::Precondition => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Full => StatusCode::INSUFFICIENT_STORAGE,
        }
    }

    /// Its name as a reference, and in words.
    #[must_use]
    pub const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::BadRequest => ("/problems/bad-request", "the request can't be read"),
            Self::NotLoggedIn => ("/problems/not-logged-in", "nobody is logged in"),
            Self::NotAllowed => ("/problems/not-allowed", "not allowed"),
            Self::NotFound => ("/problems/not-found", "there is no such thing"),
            Self::Method => ("/problems/method", "another method is needed"),
            Self::Conflict => ("/problems/conflict", "it stands in the way"),
            Self::Precondition => ("/problems/precondition", "it was changed meanwhile"),
            Self::TooLarge => ("/problems/too-large", "the body is too large"),
            Self::MediaType => ("/problems/media-type", "the body is of another type"),
            Self::Invalid => ("/problems/invalid", "what it says can't be"),
            Self::TooMany => ("/problems/too-many", "too many requests"),
            Self::Failed => ("/problems/failed", "the box failed"),
            Self::Unavailable => ("/problems/unavailable", "not now"),
            Self::Full => ("/problems/full", "the disk is full"),
        }
    }

    /// A problem of this sort.
    #[must_use]
    pub fn because(self, detail: impl Into<String>) -> Problem {
        let (sort, title) = self.words();
        Problem { sort, title, status: self.status().as_u16(), detail: detail.into(), errors: Vec::new() }
    }
}

impl Problem {
    /// The same, with the fields that are wrong.
    #[must_use]
    pub fn of_fields(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// What is wrong with a configuration.
    #[must_use]
    pub fn of_configuration(wrong: Vec<Wrong>) -> Self {
        let count = wrong.len();
        let detail = match wrong.first() {
            Some(first) if count == 1 => first.to_string(),
            _ => format!("{count} things are wrong; nothing was changed"),
        };
        Sort::Invalid.because(detail).of_fields(wrong.into_iter().map(FieldError::from).collect())
    }
}

impl From<Wrong> for FieldError {
    fn from(Wrong { document, field, message }: Wrong) -> Self {
        let resource = document.map(|(kind, id)| format!("{}/{id}", kind.collection())).unwrap_or_default();
        Self { resource, field, message }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"gantry\""));
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
        }
        response
    }
}
