//! Small typed headers of session handling: Session-Expires and Min-SE (RFC 4028), RAck (RFC 3262), Reason (RFC 3326),
//! Replaces (RFC 3891), Content-Type.

use super::HeaderError;
use crate::message::{Method, lex};
use crate::uri::Params;
use std::fmt;

/// Who refreshes a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresher {
    /// The side that sent the request which set the timer.
    Uac,
    /// The side that answered it.
    Uas,
}

/// Session-Expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionExpires {
    /// Seconds.
    pub seconds: u32,
    /// Who refreshes, if it is said.
    pub refresher: Option<Refresher>,
}

/// RAck: which reliable provisional response a PRACK acknowledges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RAck {
    /// The response's RSeq.
    pub rseq: u32,
    /// The number of the request it answers.
    pub cseq: u32,
    /// The method of the request it answers.
    pub method: Method,
}

/// One Reason: why a request was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// `SIP`, `Q.850` or another.
    pub protocol: String,
    /// The SIP status or Q.850 cause.
    pub cause: Option<u16>,
    /// What it says to a person.
    pub text: Option<String>,
}

/// Replaces: the dialog a call takes the place of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaces {
    /// That dialog's Call-ID.
    pub call_id: String,
    /// The To tag as the receiver of the header sees it: its own.
    pub to_tag: String,
    /// The From tag: the other side's.
    pub from_tag: String,
    /// Only if that dialog is not confirmed yet.
    pub early_only: bool,
}

/// A media type such as `application/sdp`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType {
    /// Type and subtype, lower case, `application/sdp`.
    pub essence: String,
    /// `charset`, `boundary` ...
    pub params: Params,
}

impl SessionExpires {
    pub(super) fn parse(text: &str) -> Result<Self, HeaderError> {
        let error = |problem| HeaderError::new("Session-Expires", text, problem);
        let (seconds, params) = with_params(text).map_err(error)?;
        let seconds = lex::number(seconds).ok_or_else(|| error("no number of seconds"))?;
        let refresher = match params.get("refresher") {
            Some(who) if who.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            Some(who) if who.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            _ => None,
        };
        Ok(Self { seconds, refresher })
    }
}

impl fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seconds)?;
        match self.refresher {
            Some(Refresher::Uac) => f.write_str(";refresher=uac"),
            Some(Refresher::Uas) => f.write_str(";refresher=uas"),
            None => Ok(()),
        }
    }
}

impl RAck {
    pub(super) fn parse(text: &str) -> Result<Self, HeaderError> {
        let mut parts = text.split_ascii_whitespace();
        let read = |parts: &mut std::str::SplitAsciiWhitespace<'_>| {
            let rseq = lex::number(parts.next()?)?;
            let cseq = lex::number(parts.next()?)?;
            let method = Method::parse(parts.next()?)?;
            parts.next().is_none().then_some(Self { rseq, cseq, method })
        };
        read(&mut parts).ok_or_else(|| HeaderError::new("RAck", text, "not <number> <number> <method>"))
    }
}

impl fmt::Display for RAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.rseq, self.cseq, self.method)
    }
}

impl Reason {
    pub(super) fn parse(text: &str) -> Result<Self, HeaderError> {
        let (protocol, params) =
            with_params(text).map_err(|problem| HeaderError::new("Reason", text, problem))?;
        if !lex::is_token(protocol) {
            return Err(HeaderError::new("Reason", text, "the protocol is no token"));
        }
        Ok(Self {
            protocol: protocol.to_owned(),
            cause: params.get("cause").and_then(lex::number),
            text: params.unquoted("text"),
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.protocol)?;
        if let Some(cause) = self.cause {
            write!(f, ";cause={cause}")?;
        }
        match &self.text {
            Some(text) => write!(f, ";text={}", lex::quote(text)),
            None => Ok(()),
        }
    }
}

impl Replaces {
    pub(super) fn parse(text: &str) -> Result<Self, HeaderError> {
        let error = |problem| HeaderError::new("Replaces", text, problem);
        let (call_id, params) = with_params(text).map_err(error)?;
        let tag = |name| params.get(name).filter(|tag| !tag.is_empty()).map(str::to_owned);
        Ok(Self {
            call_id: call_id.to_owned(),
            to_tag: tag("to-tag").ok_or_else(|| error("no to-tag"))?,
            from_tag: tag("from-tag").ok_or_else(|| error("no from-tag"))?,
            early_only: params.has("early-only"),
        })
    }
}

impl MediaType {
    pub(super) fn parse(text: &str) -> Result<Self, HeaderError> {
        let error = |problem| HeaderError::new("Content-Type", text, problem);
        let (essence, params) = with_params(text).map_err(error)?;
        let (kind, sub) = essence.split_once('/').ok_or_else(|| error("not type/subtype"))?;
        let (kind, sub) = (lex::trim(kind), lex::trim(sub));
        if !lex::is_token(kind) || !lex::is_token(sub) {
            return Err(error("not type/subtype"));
        }
        Ok(Self { essence: format!("{kind}/{sub}").to_ascii_lowercase(), params })
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.essence, self.params)
    }
}

fn with_params(text: &str) -> Result<(&str, Params), &'static str> {
    match text.split_once(';') {
        Some((value, params)) => Ok((lex::trim(value), Params::parse(params)?)),
        None => Ok((lex::trim(text), Params::new())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_written_as_it_was_read() {
        let expires = SessionExpires::parse("1800 ; refresher=UAS").unwrap();
        assert_eq!(expires.to_string(), "1800;refresher=uas");
        assert_eq!(RAck::parse("776656 1 INVITE").unwrap().to_string(), "776656 1 INVITE");
        let reason = Reason::parse(r#"Q.850 ;cause=16 ;text="Terminated, \"ok\"""#).unwrap();
        assert_eq!((reason.cause, reason.text.as_deref()), (Some(16), Some(r#"Terminated, "ok""#)));
        assert_eq!(Reason::parse(&reason.to_string()).unwrap(), reason);
        assert_eq!(MediaType::parse("Application/SDP; charset=utf-8").unwrap().essence, "application/sdp");
    }

    #[test]
    fn what_is_malformed_is_refused() {
        assert!(SessionExpires::parse("soon").is_err());
        assert!(RAck::parse("1 INVITE").is_err());
        assert!(RAck::parse("1 2 INVITE x").is_err());
        assert!(MediaType::parse("sdp").is_err());
        assert!(Replaces::parse("abc;to-tag=1").is_err());
        let replaces =
            Replaces::parse("425928@phone.example.org;to-tag=7743;from-tag=6472;early-only").unwrap();
        assert_eq!((replaces.to_tag.as_str(), replaces.early_only), ("7743", true));
    }
}
