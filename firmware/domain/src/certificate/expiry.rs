//! How long something is good for, as an administrator is told and as alarms go by (P3, P17).

use crate::appliance::instant::UnixTime;
use serde::Serialize;

/// From so many days before its end on, whoever has to renew something is told.
pub const WARNING_DAYS: u64 = 30;
const DAY: u64 = 86_400;

/// Where a certificate or token stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ExpiryState {
    /// Longer than [`WARNING_DAYS`].
    Good {
        /// Whole days left.
        days: u64,
    },
    /// Not longer: an alarm stands.
    Soon {
        /// Whole days left; none on the last one.
        days: u64,
    },
    /// It is over.
    Expired,
}

impl ExpiryState {
    /// Where something stands at `now` that is good until `not_after`, that second included (RFC 5280 4.1.2.5).
    #[must_use]
    pub const fn of(not_after: UnixTime, now: UnixTime) -> Self {
        let Some(left) = not_after.0.checked_sub(now.0) else { return Self::Expired };
        let days = left / DAY;
        if left > WARNING_DAYS * DAY { Self::Good { days } } else { Self::Soon { days } }
    }

    /// Whole days left; none when it is over.
    #[must_use]
    pub const fn days_left(self) -> u64 {
        match self {
            Self::Good { days } | Self::Soon { days } => days,
            Self::Expired => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P3
    #[test]
    fn an_alarm_stands_from_thirty_days_before_the_end_on() {
        let end = UnixTime(1_000 * DAY);
        let at = |seconds_before: u64| ExpiryState::of(end, UnixTime(end.0 - seconds_before));
        assert_eq!(at(31 * DAY), ExpiryState::Good { days: 31 });
        assert_eq!(at(30 * DAY + 1), ExpiryState::Good { days: 30 });
        assert_eq!(at(30 * DAY), ExpiryState::Soon { days: 30 });
        assert_eq!(at(DAY - 1), ExpiryState::Soon { days: 0 });
        assert_eq!(at(0), ExpiryState::Soon { days: 0 }, "the last second is in");
        assert_eq!(ExpiryState::of(end, UnixTime(end.0 + 1)), ExpiryState::Expired);
        assert_eq!((at(31 * DAY).days_left(), ExpiryState::Expired.days_left()), (31, 0));
    }

    #[test]
    fn an_api_shows_the_state_and_the_days() {
        let shown = serde_json::to_string(&ExpiryState::Soon { days: 3 }).unwrap();
        assert_eq!(shown, r#"{"state":"soon","days":3}"#);
    }
}
