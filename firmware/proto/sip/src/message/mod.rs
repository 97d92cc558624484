//! A SIP message (RFC 3261 section 7): request or response, its headers, its body.
//!
//! ```text
//!  bytes ─▶ start line ─▶ unfold, long names, split lists ─▶ Headers ─▶ check what every message must have ─▶ Message
//!                └──────────────────────── ParseError: answer 400, 505, 513 or drop ◀────────────────┘
//! ```
//! What [`Message::parse`] returns has a readable Via, From, To, Call-ID and CSeq, and no malformed Contact, Route,
//! Content-Type or Max-Forwards.

mod error;
pub(crate) mod lex;
mod method;
mod parse;
pub(crate) mod text;
mod write;

pub use error::{Answer, ParseError};
pub use method::Method;
pub(crate) use parse::{skip_empty_lines, split_head};
pub use text::Text;

use crate::headers::{Headers, NameAddr};
use crate::status;
use crate::uri::Uri;
use bytes::Bytes;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is asked for.
    pub method: Method,
    /// Of whom: the Request-URI.
    pub uri: Uri,
    /// Header fields, without Content-Length: that is checked when read and written from the body.
    pub headers: Headers,
    /// The body, empty for none.
    pub body: Bytes,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Status code, 100 to 699.
    pub status: u16,
    /// Reason phrase, as the peer wrote it.
    pub reason: String,
    /// Header fields, without Content-Length: that is checked when read and written from the body.
    pub headers: Headers,
    /// The body, empty for none.
    pub body: Bytes,
}

/// A SIP message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

impl Request {
    /// `<method> <uri>` with no headers yet.
    #[must_use]
    pub const fn new(method: Method, uri: Uri) -> Self {
        Self { method, uri, headers: Headers::new(), body: Bytes::new() }
    }

    /// With `name: value` at the end of its headers.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.headers.push(name, value);
        self
    }

    /// With this body and its Content-Type.
    #[must_use]
    pub fn with_body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.headers.set("Content-Type", content_type);
        self.body = body.into();
        self
    }

    /// The wire form, Content-Length included.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        write::request(self)
    }
}

impl Response {
    /// The response to `request` with Via, From, To, Call-ID and CSeq of it (RFC 3261 8.2.6.2), and Timestamp if it is
    /// a 100 (8.2.6.1). An empty `reason` is the usual phrase of `status`.
    #[must_use]
    pub fn to(request: &Request, status: u16, reason: &str) -> Self {
        let mut response = Self::answering(&request.headers, status, reason);
        if status == 100 {
            response.headers.copy("Timestamp", &request.headers);
        }
        response
    }

    fn answering(request: &Headers, status: u16, reason: &str) -> Self {
        let reason = if reason.is_empty() { status::phrase(status) } else { reason };
        let mut headers = Headers::with_capacity(16);
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            headers.copy(name, request);
        }
        Self { status, reason: reason.to_owned(), headers, body: Bytes::new() }
    }

    /// With this To tag, unless To has one: every response but 100 needs one (RFC 3261 8.2.6.2).
    #[must_use]
    pub fn with_to_tag(mut self, tag: &str) -> Self {
        if let Ok(to) = self.headers.to()
            && to.tag().is_none()
        {
            self.headers.set("To", NameAddr::with_tag(to, tag));
        }
        self
    }

    /// With `name: value` at the end of its headers.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.headers.push(name, value);
        self
    }

    /// With this body and its Content-Type.
    #[must_use]
    pub fn with_body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.headers.set("Content-Type", content_type);
        self.body = body.into();
        self
    }

    /// 1xx.
    #[must_use]
    pub const fn is_provisional(&self) -> bool {
        self.status < 200
    }

    /// 2xx.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// Anything but 1xx.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        self.status >= 200
    }

    /// The wire form, Content-Length included.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        write::response(self)
    }
}

impl Message {
    /// Reads one message: a datagram, or what [`StreamFramer`](crate::framing::StreamFramer) cut out of a stream.
    ///
    /// Empty lines before it are skipped. Octets beyond its Content-Length are dropped (RFC 3261 18.3); without a
    /// Content-Length everything is body.
    ///
    /// # Errors
    /// [`ParseError`], which says what a UAS answers and holds what could be read for it.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        parse::message(bytes)
    }

    /// The wire form, Content-Length included.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Request(request) => request.to_bytes(),
            Self::Response(response) => response.to_bytes(),
        }
    }

    /// Its headers.
    #[must_use]
    pub const fn headers(&self) -> &Headers {
        match self {
            Self::Request(request) => &request.headers,
            Self::Response(response) => &response.headers,
        }
    }
}

impl From<Request> for Message {
    fn from(request: Request) -> Self {
        Self::Request(request)
    }
}

impl From<Response> for Message {
    fn from(response: Response) -> Self {
        Self::Response(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &str = "INVITE sip:a@h SIP/2.0\r\nVia: SIP/2.0/UDP p;branch=z9hG4bK1, SIP/2.0/UDP h;branch=z9hG4bK2\r\n\
        From: <sip:x@h>;tag=1\r\nTo: <sip:a@h>\r\nCall-ID: c\r\nCSeq: 7 INVITE\r\nTimestamp: 54\r\n\r\n";

    fn invite() -> Request {
        match Message::parse(INVITE.as_bytes()) {
            Ok(Message::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_response_copies_what_rfc_3261_8_2_6_says_and_gets_a_tag_once() {
        let response = Response::to(&invite(), 486, "").with_to_tag("t1").with_to_tag("t2");
        assert_eq!(
            response.to_bytes(),
            "SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP p;branch=z9hG4bK1\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK2\r\n\
             From: <sip:x@h>;tag=1\r\nTo: <sip:a@h>;tag=t1\r\nCall-ID: c\r\nCSeq: 7 INVITE\r\nContent-Length: 0\r\n\r\n"
        );
        let trying = Response::to(&invite(), 100, "");
        assert_eq!((trying.headers.get("Timestamp"), trying.is_provisional()), (Some("54"), true));
    }

    #[test]
    fn a_missing_header_is_named_in_the_answer() {
        let error = Message::parse(INVITE.replace("Call-ID: c\r\n", "").as_bytes()).unwrap_err();
        let answer = error.response("t").unwrap();
        assert_eq!((answer.status, answer.reason.as_str()), (400, "Call-ID: missing"));
        assert_eq!(answer.headers.to().unwrap().tag(), Some("t"));
    }

    #[test]
    fn nothing_is_answered_to_an_ack_a_response_or_what_is_no_sip() {
        let ack = INVITE.replace("INVITE", "ACK").replace("7 ACK", "x ACK");
        for bytes in [ack.as_str(), "SIP/2.0 200 OK\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "x"] {
            let error = Message::parse(bytes.as_bytes()).unwrap_err();
            assert_eq!((error.answer, error.response("t")), (Answer::Drop, None), "{bytes}");
        }
    }

    #[test]
    fn a_reason_phrase_cannot_add_a_line() {
        let bytes = Response::to(&invite(), 480, "a\r\nEvil: 1").to_bytes();
        assert!(bytes.starts_with(b"SIP/2.0 480 a  Evil: 1\r\nVia:"));
    }
}
