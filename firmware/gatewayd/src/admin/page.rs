//! The admin page: files of `firmware/web`, embedded, with headers that let it load nothing from anywhere else.

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Nothing but the page's own files runs, is shown or is spoken to, and nobody frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A file of the page.
struct Embedded {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

/// Makes the table of files.
macro_rules! files {
    ($($name:literal => $kind:literal),* $(,)?) => {
        &[$(Embedded { name: $name, kind: $kind, bytes: include_bytes!(concat!("../../../web/", $name)) }),*]
    };
}

const FILES: &[Embedded] = files! {
    "index.html" => "text/html; charset=utf-8",
    "api.js" => "text/javascript; charset=utf-8",
    "call.js" => "text/javascript; charset=utf-8",
    "dom.js" => "text/javascript; charset=utf-8",
    "form.js" => "text/javascript; charset=utf-8",
    "format.js" => "text/javascript; charset=utf-8",
    "graph.js" => "text/javascript; charset=utf-8",
    "icon.svg" => "image/svg+xml",
    "inputs.js" => "text/javascript; charset=utf-8",
    "login.js" => "text/javascript; charset=utf-8",
    "main.js" => "text/javascript; charset=utf-8",
    "notices.js" => "text/javascript; charset=utf-8",
    "resource.js" => "text/javascript; charset=utf-8",
    "schema.js" => "text/javascript; charset=utf-8",
    "streams.js" => "text/javascript; charset=utf-8",
    "style.css" => "text/css; charset=utf-8",
    "screens/audit.js" => "text/javascript; charset=utf-8",
    "screens/blocked.js" => "text/javascript; charset=utf-8",
    "screens/calls.js" => "text/javascript; charset=utf-8",
    "screens/dns.js" => "text/javascript; charset=utf-8",
    "screens/firewall.js" => "text/javascript; charset=utf-8",
    "screens/index.js" => "text/javascript; charset=utf-8",
    "screens/live.js" => "text/javascript; charset=utf-8",
    "screens/resources.js" => "text/javascript; charset=utf-8",
    "screens/routing.js" => "text/javascript; charset=utf-8",
    "screens/settings.js" => "text/javascript; charset=utf-8",
    "screens/start.js" => "text/javascript; charset=utf-8",
    "screens/system.js" => "text/javascript; charset=utf-8",
    "screens/tokens.js" => "text/javascript; charset=utf-8",
    "screens/users.js" => "text/javascript; charset=utf-8",
};

/// `/`.
pub async fn index(headers: HeaderMap) -> Response {
    file("index.html", &headers)
}

/// `/web/<name>`, where a name may have a folder before it.
pub async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    file(&name, &headers)
}

fn file(name: &str, headers: &HeaderMap) -> Response {
    let Some(Embedded { kind, bytes, .. }) = FILES.iter().find(|file| file.name == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    let tag: String = digest.as_ref().iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let known =
        headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()) == Some(tag.as_str());
    let headers = [
        (header::CONTENT_TYPE, (*kind).to_owned()),
        (header::ETAG, tag),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
    ];
    if known {
        (StatusCode::NOT_MODIFIED, headers).into_response()
    } else {
        (headers, *bytes).into_response()
    }
}

/// What every answer says besides.
#[must_use]
pub fn secured(mut response: Response) -> Response {
    let always: [(HeaderName, &str); 6] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    let headers = response.headers_mut();
    for (name, value) in always {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What the API says is for whoever asked, now.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
