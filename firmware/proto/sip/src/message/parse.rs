//! From bytes to a message: start line, unfolding, headers, body, and the checks every message must pass.

use super::error::Trouble;
use super::text::Text;
use super::{Answer, Message, Method, ParseError, Request, Response, lex};
use crate::headers::{Headers, LineError, Via};
use crate::quirks;
use crate::uri::Uri;
use base::limits::SIP_MESSAGE_BYTES;
use bytes::Bytes;
use std::sync::Arc;

/// What the first line says.
enum Start {
    Request(Method, Uri),
    Response(u16, String),
}

/// What is known when something is wrong.
#[derive(Default)]
struct Reading {
    method: Option<Method>,
    is_response: bool,
    headers: Headers,
    trouble: Option<Trouble>,
}

pub(super) fn message(bytes: &[u8]) -> Result<Message, ParseError> {
    let mut reading = Reading::default();
    let bytes = skip_empty_lines(bytes);
    let (head, rest) = split_head(bytes);
    let Some((start, lines)) = head_lines(head, &mut reading) else {
        return Err(not_sip("not a SIP message"));
    };
    reading.headers(&lines);
    if rest.is_none() && !quirks::ends_a_line(head) {
        reading.note(Trouble::bad("the headers have no end: an empty line is missing"));
    }
    if bytes.len() > SIP_MESSAGE_BYTES {
        reading
            .note(Trouble { status: 513, problem: format!("message larger than {SIP_MESSAGE_BYTES} bytes") });
    }
    let body = reading.body(rest.unwrap_or(&[]));
    reading.check();
    match (start, reading.trouble.is_some()) {
        (Some(Start::Request(method, uri)), false) => {
            Ok(Message::Request(Request { method, uri, headers: reading.headers, body }))
        }
        (Some(Start::Response(status, reason)), false) => {
            Ok(Message::Response(Response { status, reason, headers: reading.headers, body }))
        }
        _ => Err(reading.into_error()),
    }
}

fn not_sip(problem: &str) -> ParseError {
    ParseError { answer: Answer::Drop, problem: problem.to_owned(), method: None, headers: Headers::new() }
}

/// RFC 3261 7.5: empty lines before the start line are ignored.
pub(crate) fn skip_empty_lines(bytes: &[u8]) -> &[u8] {
    let first = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(bytes.len());
    bytes.get(first..).unwrap_or(&[])
}

/// The header block without the empty line that ends it, and what stands behind that; `None` if there is no end.
pub(crate) fn split_head(bytes: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut from = 0;
    while let Some(at) = bytes.get(from..).and_then(|tail| tail.iter().position(|b| *b == b'\n')) {
        let after = from + at + 1;
        let skip = match (bytes.get(after), bytes.get(after + 1)) {
            (Some(b'\n'), _) => 1,
            (Some(b'\r'), Some(b'\n')) => 2,
            _ => {
                from = after;
                continue;
            }
        };
        return (bytes.get(..after).unwrap_or(&[]), bytes.get(after + skip..));
    }
    (bytes, None)
}

/// Reads the start line; gives it and the header lines behind it. `None` if the first line is no SIP.
fn head_lines(head: &[u8], reading: &mut Reading) -> Option<(Option<Start>, Text)> {
    let whole: Arc<str> = Arc::from(quirks::text(head));
    let (line, rest) = match whole.find('\n') {
        Some(at) => (whole.get(..at)?, at + 1..whole.len()),
        None => (&*whole, whole.len()..whole.len()),
    };
    let line = line.strip_suffix('\r').unwrap_or(line);
    let start = match status_line(line) {
        Some(status) => {
            reading.is_response = true;
            status.map(|(code, reason)| Start::Response(code, reason))
        }
        None => request_line(line, reading)?.map(|(method, uri)| Start::Request(method, uri)),
    };
    let start = start.map_err(|trouble| reading.note(trouble)).ok();
    Some((start, Text::part(&whole, rest)))
}

/// `SIP/2.0 200 OK`; `None` if the line is no status line.
fn status_line(line: &str) -> Option<Result<(u16, String), Trouble>> {
    let (version, rest) = line.split_once(' ')?;
    let number = version.get(..4).filter(|sip| sip.eq_ignore_ascii_case("SIP/")).and(version.get(4..))?;
    if number != "2.0" {
        return Some(Err(wrong_version()));
    }
    let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let status = lex::number(code).filter(|code| code_range(*code));
    Some(
        status
            .map(|code: u16| (code, one_line(reason)))
            .ok_or_else(|| Trouble::bad("status code out of range")),
    )
}

/// A reason phrase, which may hold anything but a line end.
fn one_line(reason: &str) -> String {
    lex::trim(reason).replace('\r', " ")
}

const fn code_range(code: u16) -> bool {
    code >= 100 && code <= 699
}

/// `INVITE sip:user@host SIP/2.0`; `None` if the line ends in nothing like `SIP/x.y`.
fn request_line(line: &str, reading: &mut Reading) -> Option<Result<(Method, Uri), Trouble>> {
    let (rest, version) = quirks::trim_start_line(line).rsplit_once(' ')?;
    let number = version.get(..4).filter(|sip| sip.eq_ignore_ascii_case("SIP/")).and(version.get(4..))?;
    let (method, uri) = rest.split_once(' ')?;
    let method = Method::parse(method)?;
    reading.method = Some(method.clone());
    if number != "2.0" {
        return Some(Err(wrong_version()));
    }
    let uri = Uri::parse(quirks::trim_start_line(uri))
        .map_err(|error| Trouble::bad(format!("Request-URI: {}", error.problem)));
    Some(uri.map(|uri| (method, uri)))
}

fn wrong_version() -> Trouble {
    Trouble { status: 505, problem: "SIP version is not 2.0".to_owned() }
}

impl Reading {
    /// The first trouble is the one told.
    fn note(&mut self, trouble: Trouble) {
        self.trouble.get_or_insert(trouble);
    }

    /// Takes every header line, folded ones put together (RFC 3261 7.3.1).
    fn headers(&mut self, lines: &Text) {
        self.headers = Headers::with_capacity(32);
        let mut rest = lines.as_str();
        while !rest.is_empty() {
            let (mut line, mut tail) = take_line(rest);
            let mut folded = None;
            while tail.starts_with([' ', '\t']) {
                let (more, next) = take_line(tail);
                let whole = folded.get_or_insert_with(|| line.to_owned());
                whole.truncate(whole.trim_end_matches([' ', '\t']).len());
                whole.push(' ');
                whole.push_str(lex::trim(more));
                tail = next;
            }
            let unfolded = folded.map(Text::from);
            if let Some(text) = &unfolded {
                line = text.as_str();
            }
            self.header(line, unfolded.as_ref().unwrap_or(lines));
            rest = tail;
        }
    }

    fn header(&mut self, line: &str, shared: &Text) {
        let Some((name, value)) = line.split_once(':') else {
            return self.note(Trouble::bad("a header line has no colon"));
        };
        match self.headers.push_line(name.trim_end_matches([' ', '\t']), &shared.slice(value)) {
            Ok(()) => {}
            Err(LineError::BadName) => self.note(Trouble::bad("a header name is no token")),
            Err(LineError::TooMany) => {
                self.note(Trouble { status: 513, problem: "too many header fields".to_owned() });
            }
        }
    }

    /// What of `rest` is the body: as much as Content-Length says (RFC 3261 18.3, 20.14).
    fn body(&mut self, rest: &[u8]) -> Bytes {
        let length = match self.headers.content_length() {
            Ok(length) => length.unwrap_or(rest.len()),
            Err(error) => {
                self.note(error.into());
                0
            }
        };
        self.headers.remove("Content-Length");
        match rest.get(..length) {
            Some(body) => Bytes::copy_from_slice(body),
            None => {
                self.note(Trouble::bad("Content-Length: larger than the body"));
                Bytes::new()
            }
        }
    }

    /// RFC 3261 8.1.1 and 8.2.2: what every message must have, and what must not be malformed if it is there.
    fn check(&mut self) {
        if self.trouble.is_some() {
            return;
        }
        if let Err(trouble) = checked(&self.headers, self.method.as_ref()) {
            self.note(trouble);
        }
    }

    fn into_error(self) -> ParseError {
        let Trouble { status, problem } = self.trouble.unwrap_or_else(|| Trouble::bad("malformed message"));
        let answer = match (self.is_response, &self.method) {
            (true, _) | (_, Some(Method::Ack)) => Answer::Drop,
            _ => Answer::Reject(status),
        };
        ParseError { answer, problem, method: self.method, headers: self.headers }
    }
}

fn checked(headers: &Headers, method: Option<&Method>) -> Result<(), Trouble> {
    headers.top_via()?;
    headers.all("Via").skip(1).try_for_each(|via| Via::parse(via).map(drop))?;
    headers.from()?;
    headers.to()?;
    headers.call_id()?;
    let cseq = headers.cseq()?;
    match method {
        Some(method) if *method == cseq.method => {}
        // RFC 4475 3.1.2.18: 501 keeps better with methods yet to come.
        Some(Method::Other(_)) => return Err(Trouble { status: 501, problem: "unknown method".to_owned() }),
        Some(_) => return Err(Trouble::bad("CSeq: another method than the request's")),
        None => {}
    }
    headers.max_forwards()?;
    headers.contacts()?;
    headers.route()?;
    headers.record_route()?;
    headers.content_type()?;
    Ok(())
}

/// The first line of `text` without its end, and what follows.
fn take_line(text: &str) -> (&str, &str) {
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    (line.strip_suffix('\r').unwrap_or(line), rest)
}
