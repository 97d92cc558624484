//! The admin page: files of `firmware/web`, embedded, with headers that let it load nothing from anywhere else.

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Nothing but the page's own files runs, is shown or is spoken to, and nobody frames it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

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
    "drop.js" => "text/javascript; charset=utf-8",
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
    "screens/alarms.js" => "text/javascript; charset=utf-8",
    "screens/audit.js" => "text/javascript; charset=utf-8",
    "screens/box.js" => "text/javascript; charset=utf-8",
    "screens/blocked.js" => "text/javascript; charset=utf-8",
    "screens/calls.js" => "text/javascript; charset=utf-8",
    "screens/dns.js" => "text/javascript; charset=utf-8",
    "screens/firewall.js" => "text/javascript; charset=utf-8",
    "screens/index.js" => "text/javascript; charset=utf-8",
    "screens/invitations.js" => "text/javascript; charset=utf-8",
    "screens/licences.js" => "text/javascript; charset=utf-8",
    "screens/live.js" => "text/javascript; charset=utf-8",
    "screens/resources.js" => "text/javascript; charset=utf-8",
    "screens/routing.js" => "text/javascript; charset=utf-8",
    "screens/settings.js" => "text/javascript; charset=utf-8",
    "screens/start.js" => "text/javascript; charset=utf-8",
    "screens/system.js" => "text/javascript; charset=utf-8",
    "screens/tokens.js" => "text/javascript; charset=utf-8",
    "screens/themes.js" => "text/javascript; charset=utf-8",
    "screens/trust.js" => "text/javascript; charset=utf-8",
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

#[cfg(test)]
mod tests {
    use super::*;

    fn text(file: &Embedded) -> &str {
        std::str::from_utf8(file.bytes).unwrap()
    }

    /// What stands in quotation marks after each `before`.
    fn quoted<'a>(text: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
        text.split(before).skip(1).filter_map(|rest| rest.split('"').next())
    }

    /// The name of `path`, as `of` imports it.
    fn beside(of: &str, path: &str) -> String {
        let folder = of.rsplit_once('/').map_or("", |(folder, _)| folder);
        match (path.strip_prefix("../"), path.strip_prefix("./")) {
            (Some(above), _) => above.to_owned(),
            (None, Some(beside)) if folder.is_empty() => beside.to_owned(),
            (None, Some(beside)) => format!("{folder}/{beside}"),
            (None, None) => path.trim_start_matches("/web/").to_owned(),
        }
    }

    #[test]
    fn every_file_that_the_page_names_is_embedded_and_the_whole_is_small() {
        let there = |name: &str| FILES.iter().any(|file| file.name == name);
        for file in FILES {
            let imports = quoted(text(file), "from \"").chain(quoted(text(file), "import(\""));
            let named = imports.chain(quoted(text(file), "\"/web/")).map(|path| beside(file.name, path));
            for name in named {
                assert!(there(&name), "{} names {name}, which is not embedded", file.name);
            }
        }
        let bytes: usize = FILES.iter().map(|file| file.bytes.len()).sum();
        assert!(bytes < 150 * 1024, "the page has {bytes} bytes");
    }

    #[test]
    fn what_others_chose_to_be_called_never_becomes_markup() {
        for file in FILES.iter().filter(|file| file.name.ends_with(".js")) {
            for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "setHTML"]
            {
                assert!(!text(file).contains(way), "{} uses {way}", file.name);
            }
            assert!(text(file).starts_with("// "), "{} does not say what it is in its first line", file.name);
        }
    }
}
