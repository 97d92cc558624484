//! Session timers (RFC 4028): a call that nobody refreshes is dead.
//!
//! ```text
//!             agreed                       half the interval: send a refresh
//!  [off] ───────────────▶ [we refresh] ───────────────────────────────────┐
//!    │                         ▲  └──────── refreshed ◀───────────────────┘
//!    └──▶ [peer refreshes] ────┘  interval - min(32 s, interval/3): expired, BYE
//! ```

use crate::headers::{Headers, Refresher, SessionExpires};
use std::time::{Duration, Instant};

/// Smallest interval taken, in seconds: the least RFC 4028 allows.
pub const MIN_SE: u32 = 90;
/// Interval we ask for, in seconds.
pub const SESSION_EXPIRES: u32 = 1800;
/// Longest interval kept, in seconds: one day. A peer may name up to 2^32.
const LONGEST: u32 = 86_400;

/// Who keeps the session alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    /// We send refreshes.
    Us,
    /// The peer does.
    Peer,
}

/// What both sides agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreed {
    /// The interval in seconds.
    pub seconds: u32,
    /// Who refreshes.
    pub keeper: Keeper,
}

/// What the timer wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Send a refresh.
    Refresh,
    /// Nobody refreshed: send BYE.
    Expired,
}

/// The peer's interval is below [`MIN_SE`]: answer 422 with Min-SE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("session-expires {0} is below {MIN_SE}")]
pub struct TooSmall(pub u32);

/// The session timer of one session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionTimer {
    agreed: Option<Agreed>,
    refresh_at: Option<Instant>,
    expires_at: Option<Instant>,
    /// Largest Min-SE heard, by 422 or in a request.
    min_se: u32,
}

impl SessionTimer {
    /// Reads a session refresh request of the peer (INVITE, UPDATE): what we will agree to, if anything (section 9).
    ///
    /// # Errors
    /// [`TooSmall`] if its interval must be refused with 422.
    pub fn propose(&mut self, request: &Headers) -> Result<Option<Agreed>, TooSmall> {
        let peer_knows = request.supports("timer");
        let floor = request.min_se().ok().flatten().unwrap_or(MIN_SE).clamp(MIN_SE, LONGEST);
        self.min_se = self.min_se.max(floor);
        let Some(asked) = request.session_expires().ok().flatten() else {
            let ours = Agreed { seconds: SESSION_EXPIRES.max(floor), keeper: Keeper::Peer };
            return Ok(peer_knows.then_some(ours));
        };
        if asked.seconds < MIN_SE {
            return Err(TooSmall(asked.seconds));
        }
        let seconds = asked.seconds.min(SESSION_EXPIRES).max(floor);
        let keeper = match asked.refresher {
            _ if !peer_knows => Keeper::Us,
            Some(Refresher::Uas) => Keeper::Us,
            Some(Refresher::Uac) | None => Keeper::Peer,
        };
        Ok(Some(Agreed { seconds, keeper }))
    }

    /// Writes the answer into a 2xx of ours, and starts.
    pub fn accept(&mut self, now: Instant, agreed: Option<Agreed>, response: &mut Headers) {
        let Some(agreed) = agreed else { return self.stop() };
        let refresher = match agreed.keeper {
            Keeper::Us => Refresher::Uas,
            Keeper::Peer => Refresher::Uac,
        };
        response
            .set("Session-Expires", SessionExpires { seconds: agreed.seconds, refresher: Some(refresher) });
        if agreed.keeper == Keeper::Peer {
            response.push("Require", "timer");
        }
        self.start(now, agreed);
    }

    /// Writes our wish into a session refresh request (section 7): in a running session who refreshes stays.
    pub fn ask(&self, request: &mut Headers) {
        let seconds = self.agreed.map_or(SESSION_EXPIRES, |agreed| agreed.seconds).max(self.min_se);
        let refresher = self.agreed.map(|agreed| match agreed.keeper {
            Keeper::Us => Refresher::Uac,
            Keeper::Peer => Refresher::Uas,
        });
        request.set("Session-Expires", SessionExpires { seconds, refresher });
        if self.min_se > MIN_SE {
            request.set("Min-SE", self.min_se);
        }
    }

    /// Reads a 2xx to our session refresh request, and starts or stops (section 7.2).
    pub fn answered(&mut self, now: Instant, response: &Headers) {
        match response.session_expires().ok().flatten() {
            Some(granted) => {
                let keeper = match granted.refresher {
                    Some(Refresher::Uas) => Keeper::Peer,
                    Some(Refresher::Uac) | None => Keeper::Us,
                };
                self.start(now, Agreed { seconds: granted.seconds.clamp(MIN_SE, LONGEST), keeper });
            }
            // A peer that does not know timers keeps none; we keep what ran before, if anything.
            None => self.touch(now),
        }
    }

    /// Reads a 422: asks for at least its Min-SE from now on. False if it asks for nothing new.
    pub fn raise(&mut self, response: &Headers) -> bool {
        let wanted = response.min_se().ok().flatten().unwrap_or(0).min(LONGEST);
        let grew = wanted > self.min_se.max(MIN_SE) || (self.min_se == 0 && wanted > 0);
        self.min_se = self.min_se.max(wanted);
        if let Some(agreed) = &mut self.agreed {
            agreed.seconds = agreed.seconds.max(self.min_se);
        }
        grew
    }

    /// A refresh of ours was refused: another one half-way to the end, unless that is near.
    pub fn retry(&mut self, now: Instant) {
        let left = self.expires_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        self.refresh_at = (left > Duration::from_secs(10)).then(|| now + left / 2);
    }

    /// Begins the interval anew.
    fn touch(&mut self, now: Instant) {
        if let Some(agreed) = self.agreed {
            self.start(now, agreed);
        }
    }

    /// No timer any more.
    pub fn stop(&mut self) {
        self.agreed = None;
        self.refresh_at = None;
        self.expires_at = None;
    }

    /// What was agreed.
    #[must_use]
    pub const fn agreed(&self) -> Option<Agreed> {
        self.agreed
    }

    /// When it next wants something.
    #[must_use]
    pub fn wake(&self) -> Option<Instant> {
        base::machine::earliest(self.refresh_at, self.expires_at)
    }

    /// Takes what is due at `now`.
    pub fn take_due(&mut self, now: Instant) -> Option<Due> {
        if self.expires_at.is_some_and(|at| at <= now) {
            self.stop();
            return Some(Due::Expired);
        }
        self.refresh_at.take_if(|at| *at <= now).map(|_| Due::Refresh)
    }

    fn start(&mut self, now: Instant, agreed: Agreed) {
        let interval = Duration::from_secs(u64::from(agreed.seconds));
        self.agreed = Some(agreed);
        self.refresh_at = (agreed.keeper == Keeper::Us).then(|| now + interval / 2);
        self.expires_at = Some(now + interval - Duration::from_secs(32).min(interval / 3));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in lines {
            headers.push(name, value);
        }
        headers
    }

    #[test]
    fn the_peer_refreshes_where_it_can_and_a_2xx_says_so() {
        let now = Instant::now();
        let mut timer = SessionTimer::default();
        let request = headers(&[("Supported", "timer"), ("Session-Expires", "600")]);
        let agreed = timer.propose(&request).unwrap();
        assert_eq!(agreed, Some(Agreed { seconds: 600, keeper: Keeper::Peer }));
        let mut response = Headers::new();
        timer.accept(now, agreed, &mut response);
        assert_eq!(response.get("Session-Expires"), Some("600;refresher=uac"));
        assert_eq!(response.require(), ["timer"]);
        assert_eq!(timer.wake(), Some(now + Duration::from_secs(568)));
        assert_eq!(timer.take_due(now + Duration::from_secs(568)), Some(Due::Expired));
    }

    #[test]
    fn a_peer_that_wants_us_to_refresh_gets_a_refresh_at_half_the_interval() {
        let now = Instant::now();
        let mut timer = SessionTimer::default();
        let request = headers(&[("Supported", "timer"), ("Session-Expires", "90;refresher=uas")]);
        let agreed = timer.propose(&request).unwrap();
        timer.accept(now, agreed, &mut Headers::new());
        assert_eq!(timer.wake(), Some(now + Duration::from_secs(45)));
        assert_eq!(timer.take_due(now + Duration::from_secs(45)), Some(Due::Refresh));
        assert_eq!(timer.wake(), Some(now + Duration::from_secs(60)));
    }

    #[test]
    fn a_refused_refresh_is_tried_again_half_way_to_the_end() {
        let now = Instant::now();
        let mut timer = SessionTimer::default();
        timer.answered(now, &headers(&[("Session-Expires", "180;refresher=uac")]));
        let half = now + Duration::from_secs(90);
        assert_eq!(timer.take_due(half), Some(Due::Refresh));
        timer.retry(half);
        assert_eq!(timer.wake(), Some(half + Duration::from_secs(29)));
    }

    #[test]
    fn an_interval_below_90_seconds_is_too_small() {
        let request = headers(&[("Supported", "timer"), ("Session-Expires", "60")]);
        assert_eq!(SessionTimer::default().propose(&request), Err(TooSmall(60)));
    }

    #[test]
    fn a_timer_that_a_proxy_asked_for_is_kept_by_us_if_the_caller_knows_none() {
        let request = headers(&[("Session-Expires", "300")]);
        let agreed = SessionTimer::default().propose(&request).unwrap();
        assert_eq!(agreed, Some(Agreed { seconds: 300, keeper: Keeper::Us }));
        assert_eq!(SessionTimer::default().propose(&Headers::new()), Ok(None));
    }

    #[test]
    fn a_422_raises_what_is_asked_for() {
        let mut timer = SessionTimer::default();
        assert!(timer.raise(&headers(&[("Min-SE", "2000")])));
        let mut request = Headers::new();
        timer.ask(&mut request);
        assert_eq!((request.get("Session-Expires"), request.get("Min-SE")), (Some("2000"), Some("2000")));
        assert!(!timer.raise(&headers(&[("Min-SE", "2000")])));
    }

    #[test]
    fn who_refreshes_stays_the_same_when_we_send_the_next_refresh() {
        let now = Instant::now();
        let mut timer = SessionTimer::default();
        timer.answered(now, &headers(&[("Session-Expires", "1800;refresher=uas")]));
        let mut request = Headers::new();
        timer.ask(&mut request);
        assert_eq!(request.get("Session-Expires"), Some("1800;refresher=uas"));
    }
}
