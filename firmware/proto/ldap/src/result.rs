//! Results (RFC 4511 4.1.9) and how they are written.

use crate::ber::{ENUMERATED, INTEGER, OCTETS, SEQUENCE, Tag, Writer};

/// How an operation ended (RFC 4511 appendix A), as far as it is used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultCode {
    /// It is done.
    Success = 0,
    /// What came breaks the protocol.
    ProtocolError = 2,
    /// Took too long.
    TimeLimitExceeded = 3,
    /// There is more than was asked for.
    SizeLimitExceeded = 4,
    /// Not so.
    CompareFalse = 5,
    /// So it is.
    CompareTrue = 6,
    /// Only simple binds are taken.
    AuthMethodNotSupported = 7,
    /// Log in first.
    StrongerAuthRequired = 8,
    /// A critical control is not known.
    UnavailableCriticalExtension = 12,
    /// The entry has no such attribute.
    NoSuchAttribute = 16,
    /// There is no attribute of this name.
    UndefinedAttributeType = 17,
    /// There is no entry of this name.
    NoSuchObject = 32,
    /// The name is none.
    InvalidDnSyntax = 34,
    /// Nobody may be without a name.
    InappropriateAuthentication = 48,
    /// A wrong name or password.
    InvalidCredentials = 49,
    /// Too many requests wait.
    Busy = 51,
    /// It is read only.
    UnwillingToPerform = 53,
}

/// How an operation ended, and what is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub code: ResultCode,
    /// The lowest entry there is above the one that was asked for.
    pub matched: String,
    pub text: &'static str,
}

impl Outcome {
    pub(crate) const fn new(code: ResultCode, text: &'static str) -> Self {
        Self { code, matched: String::new(), text }
    }

    /// The three fields that every result has.
    fn write(&self, writer: &mut Writer) {
        writer.integer(ENUMERATED, self.code as i32);
        writer.octets(OCTETS, self.matched.as_bytes());
        writer.octets(OCTETS, self.text.as_bytes());
    }
}

/// A whole response: `tag` says to what; `more` are its own fields, `controls` what goes beside it.
pub(crate) fn response(
    writer: &mut Writer,
    id: i32,
    tag: Tag,
    outcome: &Outcome,
    more: impl FnOnce(&mut Writer),
    controls: impl FnOnce(&mut Writer),
) {
    writer.group(SEQUENCE, |w| {
        w.integer(INTEGER, id);
        w.group(tag, |w| {
            outcome.write(w);
            more(w);
        });
        controls(w);
    });
}
