//! The phonebook over HTTPS (K6), at the path of its settings: to rooms, which log in by Basic (RFC 7617).

use super::Admin;
use super::access::From;
use super::body::Query;
use super::problem::{Problem, Sort};
use crate::phonebook::https::{self, Access, Asked};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use domain::defence::Offence;
use std::sync::Arc;

/// Answers what no other route takes.
pub async fn answer(
    State(admin): State<Arc<Admin>>,
    Extension(From(from)): Extension<From>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    asked: Result<Query<Asked>, Problem>,
) -> Result<Response, Problem> {
    let config = admin.configuration.now();
    if config.phonebook.https.as_deref() != Some(uri.path()) || method != Method::GET {
        return Err(Sort::NotFound.because("there is nothing at this path"));
    }
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match https::access(&config.phonebook, authorization) {
        Access::Granted => {
            let Query(asked) = asked?;
            Ok(Json(https::answer(&config.phonebook.directory, &asked)).into_response())
        }
        Access::Unknown => Ok(challenge("log in with the phonebook's user and password")),
        Access::Wrong => {
            admin.offended(from, Offence::WrongCredentials);
            Ok(challenge("wrong user or password"))
        }
    }
}

fn challenge(why: &str) -> Response {
    let mut response = Sort::NotLoggedIn.because(why).into_response();
    let basic = HeaderValue::from_static("Basic realm=\"phonebook\", charset=\"UTF-8\"");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
    response
}
