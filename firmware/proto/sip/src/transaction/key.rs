//! Which messages belong to one transaction (RFC 3261 17.1.3, 17.2.3), and which requests are copies of one that
//! came by another way (8.2.2.2).

use crate::headers::Via;
use crate::message::{Method, Request};

/// What the messages of one server transaction have in common. ACK has the key of its INVITE.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerKey(Match);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Match {
    /// RFC 3261: the branch is unique to the client that made it.
    Branch { branch: String, host: String, port: u16, method: Method },
    /// RFC 2543: everything that a retransmission repeats.
    Whole { uri: String, from_tag: String, call_id: String, seq: u32, via: String, method: Method },
}

impl ServerKey {
    /// The key of `request`, whose topmost Via is `via` as it was sent; `None` if From, Call-ID or CSeq can't be read.
    #[must_use]
    pub fn of(request: &Request, via: &Via) -> Option<Self> {
        let method = match request.method {
            Method::Ack => Method::Invite,
            ref other => other.clone(),
        };
        Self::with_method(request, via, method)
    }

    /// The key of the INVITE that the CANCEL `request` is for (9.2).
    #[must_use]
    pub fn of_cancelled(request: &Request, via: &Via) -> Option<Self> {
        Self::with_method(request, via, Method::Invite)
    }

    fn with_method(request: &Request, via: &Via, method: Method) -> Option<Self> {
        let headers = &request.headers;
        Some(Self(match via.rfc3261_branch() {
            Some(branch) => Match::Branch {
                branch: branch.to_owned(),
                host: via.host.to_string().to_ascii_lowercase(),
                port: via.port_or_default(),
                method,
            },
            None => Match::Whole {
                uri: request.uri.to_string(),
                from_tag: headers.from().ok()?.tag().unwrap_or_default().to_owned(),
                call_id: headers.call_id().ok()?.to_owned(),
                seq: headers.cseq().ok()?.seq,
                via: sent_via(via),
                method,
            },
        }))
    }
}

/// A Via as its sender wrote it, without what we noted in it.
fn sent_via(via: &Via) -> String {
    let mut via = via.clone();
    via.params.remove("received");
    via.params.remove("rport");
    via.to_string()
}

/// What the messages of one client transaction have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientKey {
    branch: String,
    method: Method,
}

impl ClientKey {
    /// The transaction that sent `method` with this branch.
    #[must_use]
    pub fn new(branch: &str, method: Method) -> Self {
        Self { branch: branch.to_owned(), method }
    }
}

/// What copies of one request have in common when they come by different ways (8.2.2.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MergeKey {
    call_id: String,
    from_tag: String,
    seq: u32,
    method: Method,
}

impl MergeKey {
    /// The key of `request`, which is outside any dialog; `None` if it has no From tag to compare.
    #[must_use]
    pub fn of(request: &Request) -> Option<Self> {
        let headers = &request.headers;
        let seq = headers.cseq().ok()?.seq;
        Some(Self {
            call_id: headers.call_id().ok()?.to_owned(),
            from_tag: headers.from().ok()?.tag()?.to_owned(),
            seq,
            method: request.method.clone(),
        })
    }
}
