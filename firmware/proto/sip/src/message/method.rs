//! What a request asks for (RFC 3261 7.1 and the extensions that added methods).

use super::lex;
use std::fmt;

/// A request method. Methods are case-sensitive tokens (RFC 3261 7.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Method {
    /// RFC 3261.
    Invite,
    /// RFC 3261.
    Ack,
    /// RFC 3261.
    Bye,
    /// RFC 3261.
    Cancel,
    /// RFC 3261.
    Options,
    /// RFC 3261.
    Register,
    /// RFC 3262.
    Prack,
    /// RFC 3311.
    Update,
    /// RFC 6086.
    Info,
    /// RFC 3515.
    Refer,
    /// RFC 6665.
    Subscribe,
    /// RFC 6665.
    Notify,
    /// RFC 3428.
    Message,
    /// RFC 3903.
    Publish,
    /// Any other token, such as `BENOTIFY` or `SERVICE`.
    Other(String),
}

const KNOWN: [(Method, &str); 14] = [
    (Method::Invite, "INVITE"),
    (Method::Ack, "ACK"),
    (Method::Bye, "BYE"),
    (Method::Cancel, "CANCEL"),
    (Method::Options, "OPTIONS"),
    (Method::Register, "REGISTER"),
    (Method::Prack, "PRACK"),
    (Method::Update, "UPDATE"),
    (Method::Info, "INFO"),
    (Method::Refer, "REFER"),
    (Method::Subscribe, "SUBSCRIBE"),
    (Method::Notify, "NOTIFY"),
    (Method::Message, "MESSAGE"),
    (Method::Publish, "PUBLISH"),
];

impl Method {
    /// Reads a method; `None` if `text` is no token.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match KNOWN.iter().find(|(_, name)| *name == text) {
            Some((method, _)) => Some(method.clone()),
            None => lex::is_token(text).then(|| Self::Other(text.to_owned())),
        }
    }

    /// As it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(name) => name,
            known => KNOWN.iter().find(|(method, _)| method == known).map_or("", |(_, name)| name),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// rsip's methods are those of RFC 3261 and its extensions, so each is one of ours.
impl From<rsip::Method> for Method {
    fn from(method: rsip::Method) -> Self {
        match method {
            rsip::Method::Ack => Self::Ack,
            rsip::Method::Bye => Self::Bye,
            rsip::Method::Cancel => Self::Cancel,
            rsip::Method::Info => Self::Info,
            rsip::Method::Invite => Self::Invite,
            rsip::Method::Message => Self::Message,
            rsip::Method::Notify => Self::Notify,
            rsip::Method::Options => Self::Options,
            rsip::Method::PRack => Self::Prack,
            rsip::Method::Publish => Self::Publish,
            rsip::Method::Refer => Self::Refer,
            rsip::Method::Register => Self::Register,
            rsip::Method::Subscribe => Self::Subscribe,
            rsip::Method::Update => Self::Update,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_rsip_knows_reads_back_as_ours() {
        for theirs in rsip::Method::all() {
            assert_eq!(Method::parse(&theirs.to_string()), Some(Method::from(theirs)));
        }
    }

    #[test]
    fn methods_are_case_sensitive_and_any_token_is_one() {
        assert_eq!(Method::parse("invite"), Some(Method::Other("invite".into())));
        assert_eq!(Method::parse("BENOTIFY").unwrap().as_str(), "BENOTIFY");
        assert_eq!(Method::parse(""), None);
        assert_eq!(Method::parse("IN VITE"), None);
    }
}
