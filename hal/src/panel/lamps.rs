//! The lamps (LEDs) of the front panel.

use crate::DeviceError;
use std::time::Duration;

/// A lamp, by what it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lamp {
    /// The box has power.
    Power,
    /// The gateway serves calls.
    Status,
    /// An alarm stands.
    Alarm,
    /// This is the box somebody looks for.
    Locate,
}

/// Whether a lamp shines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lit {
    /// It shines.
    On,
    /// It does not.
    Off,
}

/// How a lamp shines over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blink {
    /// Always.
    On,
    /// Never.
    Off,
    /// A second on, a second off.
    Slow,
    /// Four times a second.
    Fast,
}

/// The lamps of a panel.
pub trait Lamps: Send {
    /// The lamps that are there.
    fn present(&self) -> &[Lamp];

    /// Switches a lamp; does nothing for one that is not there.
    ///
    /// # Errors
    /// If it does not answer.
    fn set(&mut self, lamp: Lamp, lit: Lit) -> Result<(), DeviceError>;
}

impl Lamp {
    /// All there may be.
    pub const ALL: [Self; 4] = [Self::Power, Self::Status, Self::Alarm, Self::Locate];

    /// Its name for machines to read: `power`, `status`, `alarm`, `locate`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Power => "power",
            Self::Status => "status",
            Self::Alarm => "alarm",
            Self::Locate => "locate",
        }
    }
}

impl Blink {
    /// Whether it shines `since` it began to blink, and how long until that changes (`None` for never).
    #[must_use]
    pub fn at(self, since: Duration) -> (Lit, Option<Duration>) {
        let half = match self {
            Self::On => return (Lit::On, None),
            Self::Off => return (Lit::Off, None),
            Self::Slow => Duration::from_secs(1),
            Self::Fast => Duration::from_millis(125),
        };
        let (past, half) = (since.as_nanos(), half.as_nanos());
        let lit = if (past / half).is_multiple_of(2) { Lit::On } else { Lit::Off };
        let left = u64::try_from(half - past % half).unwrap_or(u64::MAX);
        (lit, Some(Duration::from_nanos(left)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lamp_blinks_at_its_pace_and_says_when_it_changes() {
        let at = |blink: Blink, millis| blink.at(Duration::from_millis(millis));
        assert_eq!(at(Blink::On, 7), (Lit::On, None));
        assert_eq!(at(Blink::Off, 7), (Lit::Off, None));
        assert_eq!(at(Blink::Slow, 0), (Lit::On, Some(Duration::from_secs(1))));
        assert_eq!(at(Blink::Slow, 1_250), (Lit::Off, Some(Duration::from_millis(750))));
        let changes = (0..1000).filter(|&ms| at(Blink::Fast, ms).0 != at(Blink::Fast, ms + 1).0).count();
        assert_eq!(changes, 8, "four times on and off in a second");
    }
}
