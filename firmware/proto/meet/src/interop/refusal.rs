//! One table: what the conference's refusals and ends are as causes of ours.

use base::leg::HttpFailure;
use base::{Cause, Fault, Kind};
use webrtc::Lost;

/// A refusal's `code`, or for an unknown one its HTTP status (PROTOCOL.md section 1).
pub(crate) fn of_join(status: u16, code: Option<&str>) -> Cause {
    match (code, status) {
        (Some("BAD_TOKEN" | "BAD_JWT"), _) => Cause::new(Fault::Gateway, Kind::BadToken),
        (Some("MEETING_NOT_FOUND"), _) => Cause::new(Fault::Callee, Kind::MeetingNotFound),
        (Some("MEETING_FULL"), _) => Cause::new(Fault::Callee, Kind::MeetingFull),
        (Some("MEETING_ENDED"), _) => Cause::new(Fault::Callee, Kind::MeetingEnded),
        (Some("INTEROP_DISABLED"), _) => Cause::new(Fault::Callee, Kind::InteropDisabled),
        (Some("REJECTED" | "VIDEO_LOCKED" | "BAD_PIN"), _) => Cause::new(Fault::Callee, Kind::CallRejected),
        (Some("BAD_OFFER"), _) => Cause::new(Fault::Upstream, Kind::NotAcceptable),
        (Some("UNAVAILABLE" | "TOO_MANY_REQUESTS"), _) => UNREACHABLE,
        (Some("BAD_REQUEST" | "UNSUPPORTED_VERSION"), _) => PROTOCOL_ERROR,
        (_, 404) => Cause::new(Fault::Callee, Kind::MeetingNotFound),
        (_, 401 | 403) => Cause::new(Fault::Gateway, Kind::BadToken),
        (_, 429 | 500..=599) => UNREACHABLE,
        _ => PROTOCOL_ERROR,
    }
}

/// Why no answer came.
pub(crate) const fn of_http(_failure: HttpFailure) -> Cause {
    UNREACHABLE
}

/// The `reason` of `state: ended` (section 4).
pub(crate) fn of_end(reason: Option<&str>) -> Cause {
    match reason {
        Some("REMOVED" | "REJECTED" | "VIDEO_LOCKED") => CALL_REJECTED,
        Some("LOBBY_TIMEOUT") => LOBBY_TIMEOUT,
        Some("INTEROP_DISABLED") => Cause::new(Fault::Callee, Kind::InteropDisabled),
        Some("SERVER_ERROR") => Cause::new(Fault::Upstream, Kind::ConnectionLost),
        _ => Cause::new(Fault::Callee, Kind::MeetingEnded),
    }
}

/// The transport is gone.
pub(crate) const fn of_loss(lost: Lost) -> Cause {
    match lost {
        Lost::NeverConnected => Cause::new(Fault::Network, Kind::Unreachable),
        Lost::PathLost => Cause::new(Fault::Network, Kind::ConnectionLost),
        Lost::Closed => Cause::new(Fault::Upstream, Kind::ConnectionLost),
        Lost::Broken => PROTOCOL_ERROR,
    }
}

pub(crate) const UNREACHABLE: Cause = Cause::new(Fault::Upstream, Kind::Unreachable);
pub(crate) const PROTOCOL_ERROR: Cause = Cause::new(Fault::Upstream, Kind::ProtocolError);
pub(crate) const CALL_REJECTED: Cause = Cause::new(Fault::Callee, Kind::CallRejected);
pub(crate) const LOBBY_TIMEOUT: Cause = Cause::new(Fault::Callee, Kind::LobbyTimeout);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_code_goes_by_its_status() {
        assert_eq!(of_join(404, Some("NEW")).kind, Kind::MeetingNotFound);
        assert_eq!(of_join(403, None).kind, Kind::BadToken);
        assert_eq!(of_join(502, None).kind, Kind::Unreachable);
        assert_eq!(of_join(418, None).kind, Kind::ProtocolError);
    }

    #[test]
    fn a_known_code_goes_before_its_status() {
        assert_eq!(of_join(404, Some("INTEROP_DISABLED")).kind, Kind::InteropDisabled);
        assert_eq!(of_join(500, Some("MEETING_FULL")).kind, Kind::MeetingFull);
    }

    #[test]
    fn p11_a_host_that_locks_video_or_removes_us_rejects_the_call() {
        for reason in ["VIDEO_LOCKED", "REMOVED", "REJECTED"] {
            assert_eq!(of_end(Some(reason)), CALL_REJECTED);
        }
        assert_eq!(of_join(403, Some("VIDEO_LOCKED")), CALL_REJECTED);
    }
}
