//! Why bytes are no message, and what a server answers to them.

use super::{Method, Response};
use crate::headers::{HeaderError, Headers};

/// What a UAS does with a message that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Answer the request with this status: 400, 501, 505 or 513.
    Reject(u16),
    /// Say nothing: it is a response, an ACK, or no SIP at all.
    Drop,
}

/// A message that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct ParseError {
    /// What to do.
    pub answer: Answer,
    /// What is wrong, fit for a reason phrase: it repeats nothing the peer sent.
    pub problem: String,
    /// The method, if the start line could be read.
    pub method: Option<Method>,
    /// Every header that could be told apart, for the answer and for logs.
    pub headers: Headers,
}

impl ParseError {
    /// The answer, addressed by what could be read of Via, From, To, Call-ID and CSeq; `None` if the message is to be
    /// dropped, or has no Via to send an answer by.
    #[must_use]
    pub fn response(&self, to_tag: &str) -> Option<Response> {
        match self.answer {
            Answer::Reject(status) if self.headers.has("Via") => {
                let reason = if status == 400 { self.problem.as_str() } else { "" };
                Some(Response::answering(&self.headers, status, reason).with_to_tag(to_tag))
            }
            _ => None,
        }
    }
}

/// What went wrong while reading, before it is known whether it can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) status: u16,
    pub(super) problem: String,
}

impl Trouble {
    pub(super) fn bad(problem: impl Into<String>) -> Self {
        Self { status: 400, problem: problem.into() }
    }
}

impl From<HeaderError> for Trouble {
    fn from(error: HeaderError) -> Self {
        Self::bad(format!("{}: {}", error.header, error.problem))
    }
}
