//! Causes on the wire: one table from [`base::Cause`] to SIP status, reason phrase and Q.850 cause, and back
//! (RFC 3261 21, RFC 3326, RFC 3398 7.2, ITU-T Q.850 table 1).
//!
//! A refused INVITE is answered with status and phrase; a BYE or CANCEL of ours holds `Reason: SIP;cause=...` and
//! `Reason: Q.850;cause=...`, and those of a peer are read back. Each pair of status and Q.850 cause stands once in the
//! table, so a cause that one of our own boxes told comes back as the same kind.

use crate::headers::{Headers, Reason};
use base::{Cause, Fault, Kind};

/// What a cause is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnWire {
    /// Status of the final response to an INVITE, and `SIP;cause=` of a Reason.
    pub status: u16,
    /// Reason phrase, and the text of a Reason.
    pub phrase: &'static str,
    /// `Q.850;cause=` of a Reason.
    pub q850: u16,
    /// Retry-After in seconds that goes with the response.
    pub retry_after: Option<u32>,
}

struct Row {
    kind: Kind,
    wire: OnWire,
}

const fn row(kind: Kind, status: u16, phrase: &'static str, q850: u16) -> Row {
    Row { kind, wire: OnWire { status, phrase, q850, retry_after: None } }
}

const fn later(kind: Kind, status: u16, phrase: &'static str, q850: u16, seconds: u32) -> Row {
    Row { kind, wire: OnWire { status, phrase, q850, retry_after: Some(seconds) } }
}

const TABLE: [Row; 24] = [
    row(Kind::HungUp, 603, "Decline", 16),
    row(Kind::Cancelled, 487, "Request Terminated", 16),
    row(Kind::NoRoute, 404, "No routing rule takes this alias", 3),
    row(Kind::NothingKeyed, 484, "No meeting id was keyed", 28),
    row(Kind::MeetingNotFound, 404, "Meeting not found", 1),
    row(Kind::BadToken, 403, "Access token refused", 57),
    row(Kind::TokenUnreadable, 503, "Access token must be entered anew", 63),
    // P11: rooms and their logs look for these words.
    row(Kind::CallRejected, 480, "Call rejected", 21),
    row(Kind::LobbyTimeout, 480, "Nobody admitted the caller in time", 19),
    row(Kind::InteropDisabled, 403, "Interoperability is off for this meeting", 29),
    row(Kind::MeetingFull, 486, "Meeting is full", 17),
    row(Kind::MeetingEnded, 410, "Meeting ended", 31),
    later(Kind::Unreachable, 503, "Conference unreachable", 38, 30),
    row(Kind::ConnectionLost, 503, "Connection lost", 41),
    row(Kind::MediaTimeout, 408, "No media received", 27),
    row(Kind::SessionExpired, 408, "Session timer expired", 102),
    row(Kind::SignallingTimeout, 408, "Request Timeout", 18),
    row(Kind::NotAcceptable, 488, "Not Acceptable Here", 65),
    row(Kind::ProtocolError, 400, "Bad Request", 111),
    row(Kind::Unauthorized, 403, "Authentication failed", 21),
    later(Kind::NoCapacity, 503, "Gateway is full", 34, 60),
    // P15: another gateway may have one, and 503 sends a caller there (RFC 3261 21.5.4).
    later(Kind::NoLicence, 503, "No call licence is free", 47, 60),
    later(Kind::Draining, 503, "Gateway is shutting down", 42, 120),
    row(Kind::InternalError, 500, "Server Internal Error", 127),
];

/// What `cause` is on the wire.
#[must_use]
pub fn on_wire(cause: Cause) -> OnWire {
    let internal = OnWire { status: 500, phrase: "Server Internal Error", q850: 127, retry_after: None };
    TABLE.iter().find(|row| row.kind == cause.kind).map_or(internal, |row| row.wire)
}

/// The Reason headers of a BYE or CANCEL that ends a call for `cause`. An ordinary hang-up has no SIP status, only
/// Q.850's "normal clearing".
#[must_use]
pub fn reasons(cause: Cause) -> Vec<Reason> {
    let wire = on_wire(cause);
    let reason = |protocol: &str, code: u16, text: &str| Reason {
        protocol: protocol.to_owned(),
        cause: Some(code),
        text: Some(text.to_owned()),
    };
    match cause.kind {
        Kind::HungUp => vec![reason("Q.850", wire.q850, "Normal call clearing")],
        _ => vec![reason("SIP", wire.status, wire.phrase), reason("Q.850", wire.q850, wire.phrase)],
    }
}

/// Why a peer ended a call, as its Reason headers say; `None` if there are none that say anything. `peer` is whose
/// doing it is if the table does not know better.
#[must_use]
pub fn cause_of_reasons(headers: &Headers, peer: Fault) -> Option<Cause> {
    let code = |protocol: &str| {
        headers.reasons().iter().find(|r| r.protocol.eq_ignore_ascii_case(protocol)).and_then(|r| r.cause)
    };
    let exact =
        |status: u16, q850: u16| TABLE.iter().find(|row| (row.wire.status, row.wire.q850) == (status, q850));
    match (code("SIP"), code("Q.850")) {
        (Some(status), Some(q850)) => Some(
            exact(status, q850)
                .map_or_else(|| cause_of_status(status, peer), |row| Cause::new(peer, row.kind)),
        ),
        (None, Some(q850)) => Some(cause_of_q850(q850, peer)),
        // 200 in a CANCEL says that another phone took the call (RFC 3326 2).
        (Some(200), None) => Some(Cause::new(peer, Kind::Cancelled)),
        (Some(status), None) => Some(cause_of_status(status, peer)),
        (None, None) => None,
    }
}

/// Why a peer refused a request of ours. `peer` is the side that answered.
#[must_use]
pub const fn cause_of_status(status: u16, peer: Fault) -> Cause {
    match status {
        401 | 407 => Cause::new(Fault::Operator, Kind::Unauthorized),
        403 | 433 | 480 | 486 | 600 | 603 | 607 | 608 => Cause::new(peer, Kind::CallRejected),
        404 | 410 | 416 | 484 | 485 | 604 => Cause::new(peer, Kind::NoRoute),
        482 | 483 => Cause::new(Fault::Network, Kind::NoRoute),
        406 | 415 | 488 | 493 | 580 | 606 => Cause::new(peer, Kind::NotAcceptable),
        408 | 504 => Cause::new(Fault::Network, Kind::SignallingTimeout),
        430 | 481 => Cause::new(peer, Kind::ConnectionLost),
        487 => Cause::new(peer, Kind::Cancelled),
        500 | 502 | 503 => Cause::new(peer, Kind::Unreachable),
        ..=299 => Cause::new(peer, Kind::HungUp),
        300..=399 => Cause::new(peer, Kind::NoRoute),
        _ => Cause::new(peer, Kind::ProtocolError),
    }
}

/// Why a peer ended a call, by Q.850 alone.
const fn cause_of_q850(q850: u16, peer: Fault) -> Cause {
    match q850 {
        1..=3 | 22 | 28 => Cause::new(peer, Kind::NoRoute),
        16 | 31 => Cause::new(peer, Kind::HungUp),
        17 | 20 | 21 | 29 | 50 | 55 | 57 => Cause::new(peer, Kind::CallRejected),
        18 | 19 => Cause::new(peer, Kind::SignallingTimeout),
        27 | 38 | 41 => Cause::new(Fault::Network, Kind::ConnectionLost),
        34 | 42 | 43 | 44 | 47 => Cause::new(peer, Kind::NoCapacity),
        58 | 63 | 65 | 69 | 70 | 79 | 88 => Cause::new(peer, Kind::NotAcceptable),
        102 => Cause::new(Fault::Network, Kind::SessionExpired),
        95..=101 | 111 => Cause::new(peer, Kind::ProtocolError),
        _ => Cause::new(peer, Kind::HungUp),
    }
}

/// The usual reason phrase of `status` (IANA registry), or that of its class.
#[must_use]
pub const fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        199 => "Early Dialog Terminated",
        200 => "OK",
        202 => "Accepted",
        204 => "No Notification",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        305 => "Use Proxy",
        380 => "Alternative Service",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        412 => "Conditional Request Failed",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        417 => "Unknown Resource-Priority",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        424 => "Bad Location Information",
        428 => "Use Identity Header",
        429 => "Provide Referrer Identity",
        430 => "Flow Failed",
        433 => "Anonymity Disallowed",
        439 => "First Hop Lacks Outbound Support",
        469 => "Bad Info Package",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        485 => "Ambiguous",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        493 => "Undecipherable",
        494 => "Security Agreement Required",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        580 => "Precondition Failure",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        607 => "Unwanted",
        608 => "Rejected",
        _ => class_phrase(status / 100),
    }
}

const fn class_phrase(class: u16) -> &'static str {
    match class {
        ..=1 => "Session Progress",
        2 => "OK",
        3 => "Redirection",
        4 => "Request Failure",
        5 => "Server Failure",
        _ => "Global Failure",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 24] = [
        Kind::HungUp,
        Kind::Cancelled,
        Kind::NoRoute,
        Kind::NothingKeyed,
        Kind::MeetingNotFound,
        Kind::BadToken,
        Kind::TokenUnreadable,
        Kind::CallRejected,
        Kind::LobbyTimeout,
        Kind::InteropDisabled,
        Kind::MeetingFull,
        Kind::MeetingEnded,
        Kind::Unreachable,
        Kind::ConnectionLost,
        Kind::MediaTimeout,
        Kind::SessionExpired,
        Kind::SignallingTimeout,
        Kind::NotAcceptable,
        Kind::ProtocolError,
        Kind::Unauthorized,
        Kind::NoCapacity,
        Kind::NoLicence,
        Kind::Draining,
        Kind::InternalError,
    ];

    #[test]
    fn every_kind_stands_in_the_table_once_and_comes_back_from_its_reasons() {
        for kind in KINDS {
            assert_eq!(TABLE.iter().filter(|row| row.kind == kind).count(), 1, "{kind:?}");
            let cause = Cause::new(Fault::Callee, kind);
            let mut headers = Headers::new();
            reasons(cause).iter().for_each(|reason| headers.push("Reason", reason));
            assert_eq!(cause_of_reasons(&headers, Fault::Callee), Some(cause), "{kind:?}");
        }
    }

    #[test]
    fn p11_a_rejected_call_is_480_call_rejected() {
        let wire = on_wire(Cause::new(Fault::Callee, Kind::CallRejected));
        assert_eq!((wire.status, wire.phrase), (480, "Call rejected"));
        let lines: Vec<_> =
            reasons(Cause::new(Fault::Callee, Kind::CallRejected)).iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [r#"SIP;cause=480;text="Call rejected""#, r#"Q.850;cause=21;text="Call rejected""#]
        );
    }

    #[test]
    fn p15_a_call_without_a_licence_is_503_and_says_so() {
        let wire = on_wire(Cause::new(Fault::Operator, Kind::NoLicence));
        assert_eq!((wire.status, wire.phrase, wire.retry_after), (503, "No call licence is free", Some(60)));
    }

    #[test]
    fn only_what_may_pass_says_when_to_try_again() {
        let asks = |kind| on_wire(Cause::new(Fault::Gateway, kind)).retry_after.is_some();
        assert!(asks(Kind::Unreachable) && asks(Kind::Draining) && asks(Kind::NoCapacity));
        assert!(asks(Kind::NoLicence));
        assert!(!asks(Kind::CallRejected) && !asks(Kind::InternalError));
    }

    #[test]
    fn reasons_of_strangers_are_understood() {
        let told = |line: &str| {
            let mut headers = Headers::new();
            headers.push("Reason", line);
            cause_of_reasons(&headers, Fault::Caller)
        };
        assert_eq!(told("Q.850 ;cause=16 ;text=\"Terminated\""), Some(Cause::CALLER_HUNG_UP));
        assert_eq!(
            told("SIP;cause=200;text=\"Call completed elsewhere\"").map(|c| c.kind),
            Some(Kind::Cancelled)
        );
        assert_eq!(told("q.850;cause=88").map(|c| c.kind), Some(Kind::NotAcceptable));
        assert_eq!(told("preemption;cause=1"), None);
        assert_eq!(told("SIP"), None);
    }

    #[test]
    fn a_refusal_of_ours_blames_whoever_it_is_to_blame() {
        assert_eq!(cause_of_status(407, Fault::Callee).fault, Fault::Operator);
        assert_eq!(cause_of_status(408, Fault::Callee), Cause::new(Fault::Network, Kind::SignallingTimeout));
        assert_eq!(cause_of_status(486, Fault::Callee), Cause::new(Fault::Callee, Kind::CallRejected));
        for status in 100..700 {
            assert!(!phrase(status).is_empty());
            let _ = cause_of_status(status, Fault::Callee);
        }
    }
}
