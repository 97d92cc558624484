//! A message as bytes: long header names, one element a line, Content-Length last.

use super::{Request, Response};
use crate::headers::Headers;
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
    for header in headers.iter().filter(|header| !header.name.is("Content-Length")) {
        out.extend_from_slice(header.name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(header.value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    let _ = write!(out, "Content-Length: {}\r\n\r\n", body.len());
    out.extend_from_slice(body);
    Bytes::from(out)
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
