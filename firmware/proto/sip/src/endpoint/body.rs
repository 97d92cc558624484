//! The session description in a message, or why its body can't be taken (RFC 3261 8.2.3, RFC 5621).

use super::core::Core;
use crate::headers::Headers;
use crate::message::{Request, Response};
use base::limits::SDP_BYTES;
use bytes::Bytes;

const SDP: &str = "application/sdp";

/// What a message's body is to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Body {
    /// A session description.
    Description(Bytes),
    /// None, or one that may be ignored.
    Nothing,
}

/// Why a body is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 415, naming the types we take.
    Type,
    /// 415, naming the encodings we take.
    Encoding,
    /// 413: a description of more than [`SDP_BYTES`].
    TooLarge,
    /// 400: a multipart body that does not keep to its boundary.
    Malformed,
}

impl Refusal {
    /// The answer to `request`.
    pub fn answer(self, core: &Core, request: &Request) -> Response {
        match self {
            Refusal::Type => core.answer(request, 415).with("Accept", SDP),
            Refusal::Encoding => core.answer(request, 415).with("Accept-Encoding", "identity"),
            Refusal::TooLarge => core.answer(request, 413),
            Refusal::Malformed => core.answer(request, 400),
        }
    }
}

/// Reads the body of a message whose body may be a session description.
pub(super) fn read(headers: &Headers, body: &Bytes) -> Result<Body, Refusal> {
    if body.is_empty() {
        return Ok(Body::Nothing);
    }
    let optional = headers.get("Content-Disposition").is_some_and(is_optional);
    match find(headers, body) {
        Err(Refusal::Type | Refusal::Encoding) if optional => Ok(Body::Nothing),
        found => found,
    }
}

fn find(headers: &Headers, body: &Bytes) -> Result<Body, Refusal> {
    if headers.get("Content-Encoding").is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(Refusal::Encoding);
    }
    let kind = headers.content_type().ok().flatten().ok_or(Refusal::Type)?;
    match kind.essence.as_str() {
        SDP => sized(body.clone()),
        essence if essence.starts_with("multipart/") => {
            let boundary =
                kind.params.unquoted("boundary").filter(|b| !b.is_empty()).ok_or(Refusal::Malformed)?;
            part(body, boundary.as_bytes())
        }
        _ => Err(Refusal::Type),
    }
}

fn sized(body: Bytes) -> Result<Body, Refusal> {
    if body.len() > SDP_BYTES { Err(Refusal::TooLarge) } else { Ok(Body::Description(body)) }
}

fn is_optional(disposition: &str) -> bool {
    disposition.split(';').any(|param| {
        param.split_once('=').is_some_and(|(name, value)| {
            name.trim().eq_ignore_ascii_case("handling") && value.trim().eq_ignore_ascii_case("optional")
        })
    })
}

/// The first part of a multipart body that is a session description (RFC 2046 5.1).
fn part(body: &Bytes, boundary: &[u8]) -> Result<Body, Refusal> {
    let delimiter = [b"--", boundary].concat();
    let mut starts = find_all(body, &delimiter);
    let Some(mut from) = starts.next() else { return Err(Refusal::Malformed) };
    for to in starts {
        let piece = body.slice((from + delimiter.len()).min(to)..to);
        if let Some(content) = content_of(&piece) {
            return sized(content);
        }
        from = to;
    }
    Err(Refusal::Type)
}

fn find_all<'a>(body: &'a [u8], what: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    body.windows(what.len()).enumerate().filter(move |(_, window)| *window == what).map(|(at, _)| at)
}

/// The content of one part if its Content-Type is SDP, without the line end that belongs to the boundary.
fn content_of(piece: &Bytes) -> Option<Bytes> {
    let gap = find_all(piece, b"\r\n\r\n").next()?;
    let head = std::str::from_utf8(piece.get(..gap)?).ok()?;
    let is_sdp = head.lines().any(|line| {
        line.split_once(':').is_some_and(|(name, value)| {
            let name = name.trim();
            let named = name.eq_ignore_ascii_case("Content-Type") || name.eq_ignore_ascii_case("c");
            let kind = value.split(';').next().unwrap_or("").trim();
            named && kind.eq_ignore_ascii_case(SDP)
        })
    });
    let content = piece.slice(gap + 4..);
    let end = if content.ends_with(b"\r\n") { content.len() - 2 } else { content.len() };
    is_sdp.then(|| content.slice(..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in lines {
            headers.push(name, value);
        }
        headers
    }

    #[test]
    fn a_description_is_found_alone_and_among_other_parts() {
        let sdp = Bytes::from_static(b"v=0\r\n");
        let plain = headers(&[("Content-Type", "application/sdp")]);
        assert_eq!(read(&plain, &sdp), Ok(Body::Description(sdp.clone())));
        let mixed = headers(&[("Content-Type", "multipart/mixed;boundary=\"xx\"")]);
        let body = Bytes::from_static(
            b"--xx\r\nContent-Type: text/plain\r\n\r\nhello\r\n--xx\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--xx--\r\n",
        );
        assert_eq!(read(&mixed, &body), Ok(Body::Description(sdp)));
    }

    #[test]
    fn other_bodies_are_refused_unless_they_may_be_ignored() {
        let body = Bytes::from_static(b"<x/>");
        assert_eq!(read(&headers(&[("Content-Type", "text/xml")]), &body), Err(Refusal::Type));
        let lines = [("Content-Type", "text/xml"), ("Content-Disposition", "session;handling=optional")];
        assert_eq!(read(&headers(&lines), &body), Ok(Body::Nothing));
        let lines = [("Content-Type", "application/sdp"), ("Content-Encoding", "gzip")];
        assert_eq!(read(&headers(&lines), &body), Err(Refusal::Encoding));
        let large = Bytes::from(vec![b'a'; SDP_BYTES + 1]);
        assert_eq!(read(&headers(&[("Content-Type", "application/sdp")]), &large), Err(Refusal::TooLarge));
    }
}
