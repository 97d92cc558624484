//! A message as bytes: long header names, one element a line but for lists of words, Content-Length last.

use super::{Request, Response};
use crate::headers::{Header, Headers};
use bytes::Bytes;
use std::io::Write;

pub(super) fn request(request: &Request) -> Bytes {
    message(format_args!("{} {} SIP/2.0\r\n", request.method, request.uri), &request.headers, &request.body)
}

pub(super) fn response(response: &Response) -> Bytes {
    let reason = OneLine(&response.reason);
    message(format_args!("SIP/2.0 {} {reason}\r\n", response.status), &response.headers, &response.body)
}

fn message(start: std::fmt::Arguments<'_>, headers: &Headers, body: &[u8]) -> Bytes {
    let size: usize = headers.iter().map(|h| h.name.as_str().len() + h.value.len() + 4).sum();
    let mut out = Vec::with_capacity(size + body.len() + 160);
    // Writing to a Vec cannot fail.
    let _ = out.write_fmt(start);
    let mut last: Option<&Header> = None;
    for header in headers.iter().filter(|header| !header.name.is("Content-Length")) {
        if last.is_some_and(|last| joins(last, header)) {
            out.extend_from_slice(b", ");
        } else {
            out.extend_from_slice(if last.is_some() { b"\r\n" } else { b"" });
            out.extend_from_slice(header.name.as_str().as_bytes());
            out.extend_from_slice(b": ");
        }
        out.extend_from_slice(header.value.as_bytes());
        last = Some(header);
    }
    out.extend_from_slice(if last.is_some() { b"\r\n" } else { b"" });
    let _ = write!(out, "Content-Length: {}\r\n\r\n", body.len());
    out.extend_from_slice(body);
    Bytes::from(out)
}

/// Lists of words, which stand on one line: it saves octets of a datagram, and there are peers that read the first line
/// of them alone (sipp 3.6).
const WORDS: [&str; 7] =
    ["Accept", "Accept-Encoding", "Allow", "Proxy-Require", "Require", "Supported", "Unsupported"];

/// Whether `next` goes on the line of `last`. What holds a quote or a bracket has a line of its own: one that a peer
/// left open would swallow the elements behind it.
fn joins(last: &Header, next: &Header) -> bool {
    let same = last.name == next.name && WORDS.iter().any(|word| next.name.is(word));
    let plain = |header: &Header| !header.value.is_empty() && !header.value.contains(['"', '<', '>']);
    same && plain(last) && plain(next)
}

/// A reason phrase that cannot break its line.
struct OneLine<'a>(&'a str);

impl std::fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.bytes().any(|b| matches!(b, b'\r' | b'\n')) {
            true => f.write_str(&self.0.replace(['\r', '\n'], " ")),
            false => f.write_str(self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_words_stand_on_one_line_and_other_lists_on_several() {
        let mut headers = Headers::new();
        headers.push("Allow", "INVITE, ACK, BYE");
        headers.push("Contact", "<sip:a>, <sip:b>");
        headers.push("Supported", "timer");
        let bytes = message(format_args!("SIP/2.0 200 OK\r\n"), &headers, b"");
        let lines = "Allow: INVITE, ACK, BYE\r\nContact: <sip:a>\r\nContact: <sip:b>\r\nSupported: timer\r\n";
        assert_eq!(bytes, format!("SIP/2.0 200 OK\r\n{lines}Content-Length: 0\r\n\r\n"));
    }

    #[test]
    fn an_element_with_an_open_quote_does_not_swallow_the_next() {
        let mut headers = Headers::new();
        for value in ["application/sdp", "text/\"x", "text/plain", "text/<y", "text/html"] {
            headers.push("Accept", value);
        }
        let bytes = message(format_args!("SIP/2.0 200 OK\r\n"), &headers, b"");
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(text.matches("Accept: ").count(), 5, "{text}");
    }
}
