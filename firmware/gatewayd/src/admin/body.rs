//! Bodies and queries, read at the edge: JSON of a type, or a problem that names the field.

use super::problem::{FieldError, Problem, Sort};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header;
use axum::http::request::Parts;
use bytes::Bytes;
use serde::de::DeserializeOwned;

/// Largest body of most routes, in bytes.
pub const BODY_BYTES: usize = 1024 * 1024;

/// A body of JSON.
pub struct Body<T>(pub T);

/// The query of a request.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !matches!(kind, "application/json" | "application/merge-patch+json") {
            return Err(Sort::MediaType.because("send application/json"));
        }
        let body = Bytes::from_request(request, state).await.map_err(|rejection| {
            match rejection.status().as_u16() {
                413 => Sort::TooLarge.because("the body is larger than this takes"),
                _ => Sort::BadRequest.because(rejection.body_text()),
            }
        })?;
        read(&body).map(Self)
    }
}

/// Reads JSON.
///
/// # Errors
/// If it is none, or not of this type; the field is named.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
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
