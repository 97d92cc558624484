//! Names of things that are many: calls, legs, streams, participants.

use std::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $inner:ty, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
        pub struct $name(pub $inner);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

number!(
    /// A gateway call: two legs joined. Never used twice while the daemon lives.
    CallId, u64, "call-"
);
number!(
    /// A media stream of one leg in one direction; the leg chooses it and never uses it for another.
    StreamId, u32, "stream-"
);
number!(
    /// A dialog's session inside the SIP endpoint.
    SessionId, u64, "session-"
);

/// Somebody in a conference, by the name the conference gives: `spaces/<id>/devices/<id>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParticipantId(pub String);

impl fmt::Display for ParticipantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
