//! Typed readings of [`Headers`]: each header as the type its RFC says it is.

use super::{
    Challenge, Credentials, HeaderError, Headers, MediaType, NameAddr, RAck, Reason, Replaces,
    SessionExpires, Via,
};
use crate::message::{Method, lex};
use std::fmt;

/// CSeq: a request's number in its dialog and its method (RFC 3261 20.16).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CSeq {
    /// The number, below 2^31 when we make it; up to 2^32 - 1 is taken.
    pub seq: u32,
    /// The method.
    pub method: Method,
}

impl CSeq {
    fn parse(text: &str) -> Result<Self, HeaderError> {
        let error = |problem| HeaderError::new("CSeq", text, problem);
        let mut parts = text.split_ascii_whitespace();
        let (Some(seq), Some(method), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(error("not <number> <method>"));
        };
        Ok(Self {
            seq: lex::number(seq).ok_or_else(|| error("the number is none up to 4294967295"))?,
            method: Method::parse(method).ok_or_else(|| error("the method is no token"))?,
        })
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.seq, self.method)
    }
}

/// Headers every message has. Each is an error if it is missing, there twice, or malformed.
impl Headers {
    /// The newest Via.
    ///
    /// # Errors
    /// [`HeaderError`] if there is none or it is malformed.
    pub fn top_via(&self) -> Result<Via, HeaderError> {
        Via::parse(self.get("Via").ok_or_else(|| HeaderError::new("Via", "", MISSING))?)
    }

    /// Every Via, newest first.
    ///
    /// # Errors
    /// [`HeaderError`] if one is malformed.
    pub fn via(&self) -> Result<Vec<Via>, HeaderError> {
        self.all("Via").map(Via::parse).collect()
    }

    /// From.
    ///
    /// # Errors
    /// [`HeaderError`]
    pub fn from(&self) -> Result<NameAddr, HeaderError> {
        NameAddr::parse("From", self.only("From")?)
    }

    /// To.
    ///
    /// # Errors
    /// [`HeaderError`]
    pub fn to(&self) -> Result<NameAddr, HeaderError> {
        NameAddr::parse("To", self.only("To")?)
    }

    /// Call-ID.
    ///
    /// # Errors
    /// [`HeaderError`] if it is missing, there twice, empty, or has white space inside.
    pub fn call_id(&self) -> Result<&str, HeaderError> {
        match self.only("Call-ID")? {
            id if id.is_empty() || id.bytes().any(lex::is_lws) => {
                Err(HeaderError::new("Call-ID", id, "not one word"))
            }
            id => Ok(id),
        }
    }

    /// CSeq.
    ///
    /// # Errors
    /// [`HeaderError`]
    pub fn cseq(&self) -> Result<CSeq, HeaderError> {
        CSeq::parse(self.only("CSeq")?)
    }
}

/// Headers a message may have. Each is `None` or empty if it is missing.
impl Headers {
    /// Max-Forwards.
    ///
    /// # Errors
    /// [`HeaderError`] if it is no number up to 255, or there twice.
    pub fn max_forwards(&self) -> Result<Option<u8>, HeaderError> {
        self.number("Max-Forwards")
    }

    /// Content-Length in octets.
    ///
    /// # Errors
    /// [`HeaderError`] if it is no number, or there twice.
    pub fn content_length(&self) -> Result<Option<usize>, HeaderError> {
        Ok(self.number::<u64>("Content-Length")?.map(|n| usize::try_from(n).unwrap_or(usize::MAX)))
    }

    /// Content-Type.
    ///
    /// # Errors
    /// [`HeaderError`]
    pub fn content_type(&self) -> Result<Option<MediaType>, HeaderError> {
        self.single("Content-Type")?.map(MediaType::parse).transpose()
    }

    /// Every Contact; empty for `*` too, see [`is_star_contact`](Headers::is_star_contact).
    ///
    /// # Errors
    /// [`HeaderError`] if one is malformed.
    pub fn contacts(&self) -> Result<Vec<NameAddr>, HeaderError> {
        if self.is_star_contact() {
            return Ok(Vec::new());
        }
        self.addresses("Contact")
    }

    /// Whether Contact is `*`: remove every registration (RFC 3261 10.2.2).
    #[must_use]
    pub fn is_star_contact(&self) -> bool {
        let mut contacts = self.all("Contact");
        contacts.next() == Some("*") && contacts.next().is_none()
    }

    /// Every Route, next hop first.
    ///
    /// # Errors
    /// [`HeaderError`] if one is malformed.
    pub fn route(&self) -> Result<Vec<NameAddr>, HeaderError> {
        self.addresses("Route")
    }

    /// Every Record-Route, in the order written.
    ///
    /// # Errors
    /// [`HeaderError`] if one is malformed.
    pub fn record_route(&self) -> Result<Vec<NameAddr>, HeaderError> {
        self.addresses("Record-Route")
    }

    /// Every Path (RFC 3327).
    ///
    /// # Errors
    /// [`HeaderError`] if one is malformed.
    pub fn path(&self) -> Result<Vec<NameAddr>, HeaderError> {
        self.addresses("Path")
    }

    /// Refer-To (RFC 3515).
    ///
    /// # Errors
    /// [`HeaderError`] if it is malformed or there twice.
    pub fn refer_to(&self) -> Result<Option<NameAddr>, HeaderError> {
        self.single("Refer-To")?.map(|text| NameAddr::parse("Refer-To", text)).transpose()
    }

    /// The tokens of a list header such as `Require`, without parameters.
    pub fn tokens<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.all(name)
            .map(|value| lex::trim(value.split(';').next().unwrap_or("")))
            .filter(|token| !token.is_empty())
    }

    /// The option tags the peer knows.
    #[must_use]
    pub fn supported(&self) -> Vec<&str> {
        self.tokens("Supported").collect()
    }

    /// The option tags the peer insists on.
    #[must_use]
    pub fn require(&self) -> Vec<&str> {
        self.tokens("Require").collect()
    }

    /// The option tags the peer insists on at proxies.
    #[must_use]
    pub fn proxy_require(&self) -> Vec<&str> {
        self.tokens("Proxy-Require").collect()
    }

    /// The option tags the peer turned down.
    #[must_use]
    pub fn unsupported(&self) -> Vec<&str> {
        self.tokens("Unsupported").collect()
    }

    /// Whether Supported or Require names `option`.
    #[must_use]
    pub fn supports(&self, option: &str) -> bool {
        self.tokens("Supported").chain(self.tokens("Require")).any(|tag| tag.eq_ignore_ascii_case(option))
    }

    /// The methods the peer takes; empty if it does not say.
    #[must_use]
    pub fn allow(&self) -> Vec<Method> {
        self.tokens("Allow").filter_map(Method::parse).collect()
    }

    /// Whether Allow names `method`.
    #[must_use]
    pub fn allows(&self, method: &Method) -> bool {
        self.tokens("Allow").any(|token| token == method.as_str())
    }

    /// Whether the peer takes bodies of `essence` (`application/sdp`): by Accept, or because there is none and it is
    /// SDP (RFC 3261 20.1).
    #[must_use]
    pub fn accepts(&self, essence: &str) -> bool {
        if !self.has("Accept") {
            return essence.eq_ignore_ascii_case("application/sdp");
        }
        let kind = essence.split('/').next().unwrap_or("");
        self.tokens("Accept").any(|range| {
            let range_kind = range.strip_suffix("/*");
            range.eq_ignore_ascii_case(essence)
                || range == "*/*"
                || range_kind.is_some_and(|k| k.eq_ignore_ascii_case(kind))
        })
    }

    /// Session-Expires (RFC 4028).
    ///
    /// # Errors
    /// [`HeaderError`]
    pub fn session_expires(&self) -> Result<Option<SessionExpires>, HeaderError> {
        self.single("Session-Expires")?.map(SessionExpires::parse).transpose()
    }

    /// Min-SE in seconds (RFC 4028).
    ///
    /// # Errors
    /// [`HeaderError`]
    pub fn min_se(&self) -> Result<Option<u32>, HeaderError> {
        self.number("Min-SE")
    }

    /// RSeq (RFC 3262).
    ///
    /// # Errors
    /// [`HeaderError`]
    pub fn rseq(&self) -> Result<Option<u32>, HeaderError> {
        self.number("RSeq")
    }

    /// RAck (RFC 3262).
    ///
    /// # Errors
    /// [`HeaderError`]
    pub fn rack(&self) -> Result<Option<RAck>, HeaderError> {
        self.single("RAck")?.map(RAck::parse).transpose()
    }

    /// Expires in seconds. RFC 3261 10.3: what is malformed counts as 3600, so this is no error.
    #[must_use]
    pub fn expires(&self) -> Option<u32> {
        self.get("Expires").map(|text| lex::number(text).unwrap_or(3600))
    }

    /// Min-Expires in seconds.
    ///
    /// # Errors
    /// [`HeaderError`]
    pub fn min_expires(&self) -> Result<Option<u32>, HeaderError> {
        self.number("Min-Expires")
    }

    /// Retry-After in seconds, its comment and parameters left out.
    #[must_use]
    pub fn retry_after(&self) -> Option<u32> {
        let digits = self.get("Retry-After")?.split([' ', '\t', '(', ';']).next()?;
        lex::number(digits)
    }

    /// Replaces (RFC 3891).
    ///
    /// # Errors
    /// [`HeaderError`]
    pub fn replaces(&self) -> Result<Option<Replaces>, HeaderError> {
        self.single("Replaces")?.map(Replaces::parse).transpose()
    }

    /// Every Reason that can be read (RFC 3326).
    #[must_use]
    pub fn reasons(&self) -> Vec<Reason> {
        self.all("Reason").filter_map(|text| Reason::parse(text).ok()).collect()
    }

    /// What the peer calls itself: User-Agent of a request, Server of a response.
    #[must_use]
    pub fn user_agent(&self) -> Option<&str> {
        self.get("User-Agent").or_else(|| self.get("Server")).filter(|name| !name.is_empty())
    }

    /// Every WWW-Authenticate that can be read.
    #[must_use]
    pub fn www_authenticate(&self) -> Vec<Challenge> {
        self.all("WWW-Authenticate").filter_map(|text| Challenge::parse(text).ok()).collect()
    }

    /// Every Proxy-Authenticate that can be read.
    #[must_use]
    pub fn proxy_authenticate(&self) -> Vec<Challenge> {
        self.all("Proxy-Authenticate").filter_map(|text| Challenge::parse(text).ok()).collect()
    }

    /// Every Authorization that can be read.
    #[must_use]
    pub fn authorization(&self) -> Vec<Credentials> {
        self.all("Authorization").filter_map(|text| Credentials::parse(text).ok()).collect()
    }

    /// Every Proxy-Authorization that can be read.
    #[must_use]
    pub fn proxy_authorization(&self) -> Vec<Credentials> {
        self.all("Proxy-Authorization").filter_map(|text| Credentials::parse(text).ok()).collect()
    }

    fn addresses(&self, name: &'static str) -> Result<Vec<NameAddr>, HeaderError> {
        self.all(name).map(|text| NameAddr::parse(name, text)).collect()
    }

    /// The one value of a header that must be there.
    fn only(&self, name: &'static str) -> Result<&str, HeaderError> {
        self.single(name)?.ok_or_else(|| HeaderError::new(name, "", MISSING))
    }

    /// The one value of a header that may be there once.
    fn single<'a>(&'a self, name: &'static str) -> Result<Option<&'a str>, HeaderError> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (Some(_), Some(second)) => Err(HeaderError::new(name, second, "there more than once")),
            (first, _) => Ok(first),
        }
    }

    fn number<T: TryFrom<u64>>(&self, name: &'static str) -> Result<Option<T>, HeaderError> {
        match self.single(name)? {
            None => Ok(None),
            Some(text) => lex::number(lex::trim(text.split(';').next().unwrap_or("")))
                .map(Some)
                .ok_or_else(|| HeaderError::new(name, text, "no number, or too large")),
        }
    }
}

const MISSING: &str = "missing";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_may_be_there_once_is_an_error_when_it_is_there_twice() {
        let mut headers = Headers::new();
        headers.push("CSeq", "1 INVITE");
        assert_eq!(headers.cseq().unwrap().to_string(), "1 INVITE");
        headers.push("CSeq", "2 INVITE");
        assert_eq!(headers.cseq().unwrap_err().problem, "there more than once");
        assert_eq!(headers.from().unwrap_err().problem, MISSING);
    }

    #[test]
    fn option_tags_and_methods_are_lists_and_empty_ones_are_none() {
        let mut headers = Headers::new();
        headers.push("k", "timer, 100rel ,");
        headers.push("Allow", "INVITE, ACK,BENOTIFY");
        assert_eq!(headers.supported(), ["timer", "100rel"]);
        assert!(headers.supports("TIMER") && !headers.supports("path"));
        assert_eq!(headers.allow(), [Method::Invite, Method::Ack, Method::Other("BENOTIFY".into())]);
    }

    #[test]
    fn accept_says_which_bodies_are_taken() {
        let mut headers = Headers::new();
        assert!(headers.accepts("application/sdp") && !headers.accepts("text/plain"));
        headers.push("Accept", "text/*;q=0.1");
        assert!(headers.accepts("text/plain") && !headers.accepts("application/sdp"));
    }
}
