//! Bodies and queries, read at the edge: JSON of a type, or a problem that names the field.

use super::problem::{FieldError, Problem, Sort};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header;
use axum::http::request::Parts;
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// Largest body of most routes, in bytes.
pub const BODY_BYTES: usize = 1024 * 1024;

/// A body of JSON.
pub struct Body<T>(pub T);

/// A body that is a file.
pub struct Raw {
    /// What it is said to be.
    pub kind: String,
    /// It.
    pub bytes: Bytes,
}

/// The query of a request.
pub struct Query<T>(pub T);

/// What varies in a path.
pub struct Segment<T>(pub T);

/// How much of a list is wanted; a list is read by parts, so that no answer is without bounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limit(Option<usize>);

/// Most items of one part, and how many there are if nobody says.
pub const MOST_ITEMS: usize = 1_000;
const USUAL_ITEMS: usize = 100;

impl Limit {
    /// It, or as many as usual.
    #[must_use]
    pub fn or_usual(self) -> usize {
        self.0.unwrap_or(USUAL_ITEMS)
    }

    /// It, or as many as there can be.
    #[must_use]
    pub fn or_most(self) -> usize {
        self.0.unwrap_or(MOST_ITEMS)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let limit = usize::deserialize(deserializer)?;
        if (1..=MOST_ITEMS).contains(&limit) {
            return Ok(Self(Some(limit)));
        }
        Err(serde::de::Error::custom(format!("limit must be 1 to {MOST_ITEMS}")))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !matches!(&*kind(&request), "application/json" | "application/merge-patch+json") {
            return Err(Sort::MediaType.because("send application/json"));
        }
        read(&whole(request, state).await?).map(Self)
    }
}

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Ok(Self { kind: kind(&request), bytes: whole(request, state).await? })
    }
}

/// The media type of a body, without its parameters.
fn kind(request: &Request) -> String {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

async fn whole<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status().as_u16() {
        413 => Sort::TooLarge.because("the body is larger than this takes"),
        _ => Sort::BadRequest.because(rejection.body_text()),
    })
}

/// Reads JSON.
///
/// # Errors
/// If it is none, or not of this type; the field is named.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    // serde takes a list for an object's fields in their order.
    if body.trim_ascii_start().first().is_some_and(|first| *first == b'[') {
        return Err(Sort::Invalid.because("the body must be an object"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let field = error.path().to_string();
        let message = error.inner().to_string();
        if error.inner().is_data() {
            let field = if field == "." { String::new() } else { field };
            let error =
                FieldError { resource: String::new(), field: field.clone(), message: message.clone() };
            return Sort::Invalid
                .because(format!("{field} {message}").trim().to_owned())
                .of_fields(vec![error]);
        }
        Sort::BadRequest.because(format!("the body is not JSON: {message}"))
    })?;
    json.end().map_err(|_| Sort::BadRequest.because("there is more behind the JSON"))?;
    Ok(value)
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        query.map(|query| Self(query.0)).map_err(|rejection| Sort::BadRequest.because(rejection.body_text()))
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Segment<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0)).map_err(|rejection| Sort::BadRequest.because(rejection.body_text()))
    }
}
