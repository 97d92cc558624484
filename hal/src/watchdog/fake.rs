//! A watchdog in virtual time.

use super::{
    ArmError, Armed, CannotDisarm, CannotDisarmWhy, Config, Info, Pretimeout, ResetCause, Watchdog, WayOut,
};
use crate::{DeviceError, Label};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The tester's side of a watchdog; clones are the same one.
#[derive(Debug, Clone)]
pub struct FakeWatchdog {
    info: Info,
    inside: Arc<Mutex<Inside>>,
}

/// What a fake watchdog does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// It does not run.
    Idle,
    /// It runs, and bites when so much time has passed.
    Running {
        /// Until it bites.
        left: Duration,
    },
    /// It runs and has given its warning.
    Warned {
        /// Until it bites.
        left: Duration,
    },
    /// It has bitten: the box, or the service, has restarted.
    Bitten,
}

#[derive(Debug)]
struct Inside {
    doing: Doing,
    config: Config,
    /// It takes only multiples of this.
    granularity: Duration,
    last_reset: ResetCause,
    feeds: usize,
}

impl FakeWatchdog {
    /// One that takes time-outs of 1 s to 10 min, can warn, and can be stopped unless `way_out` says otherwise.
    #[must_use]
    pub fn new(way_out: WayOut) -> Self {
        let info = Info {
            identity: Label::sanitised("fake").unwrap_or_else(|| unreachable!("it is printable")),
            shortest: Duration::from_secs(1),
            longest: Some(Duration::from_secs(600)),
            pretimeout: Pretimeout::Offered,
            way_out,
        };
        let inside = Inside {
            doing: Doing::Idle,
            config: Config { timeout: Duration::ZERO, pretimeout: None },
            granularity: Duration::from_secs(1),
            last_reset: ResetCause::NotTold,
            feeds: 0,
        };
        Self { info, inside: Arc::new(Mutex::new(inside)) }
    }

    /// From now on it rounds time-outs up to multiples of `granularity`, as real ones do.
    pub fn round_to(&self, granularity: Duration) {
        self.inside().granularity = granularity.max(Duration::from_nanos(1));
    }

    /// What it will say of the last reset.
    pub fn last_reset_was(&self, cause: ResetCause) {
        self.inside().last_reset = cause;
    }

    /// The program's side of it.
    #[must_use]
    pub fn watchdog(&self) -> Box<dyn Watchdog> {
        Box::new(self.clone())
    }

    /// Lets time pass.
    pub fn advance(&self, by: Duration) {
        let mut inside = self.inside();
        let pretimeout = inside.config.pretimeout.unwrap_or(Duration::ZERO);
        inside.doing = match inside.doing {
            Doing::Running { left } | Doing::Warned { left } if by >= left => {
                inside.last_reset = ResetCause::Watchdog;
                Doing::Bitten
            }
            Doing::Running { left } if left - by > pretimeout => Doing::Running { left: left - by },
            Doing::Running { left } | Doing::Warned { left } => Doing::Warned { left: left - by },
            doing @ (Doing::Idle | Doing::Bitten) => doing,
        };
    }

    /// What it does.
    #[must_use]
    pub fn doing(&self) -> Doing {
        self.inside().doing
    }

    /// How often it was fed.
    #[must_use]
    pub fn feeds(&self) -> usize {
        self.inside().feeds
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watchdog for FakeWatchdog {
    fn info(&self) -> &Info {
        &self.info
    }

    fn last_reset(&self) -> ResetCause {
        self.inside().last_reset
    }

    fn arm(self: Box<Self>, config: Config) -> Result<Box<dyn Armed>, ArmError> {
        self.info.check(config)?;
        {
            let mut inside = self.inside();
            let steps = config.timeout.as_nanos().div_ceil(inside.granularity.as_nanos());
            let timeout = inside.granularity.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX));
            inside.config = Config { timeout, ..config };
            inside.doing = Doing::Running { left: timeout };
        }
        Ok(self)
    }
}

impl Armed for FakeWatchdog {
    fn feed(&mut self) -> Result<(), DeviceError> {
        let mut inside = self.inside();
        if inside.doing == Doing::Bitten {
            return Err(DeviceError::new("fake watchdog", "feed", std::io::ErrorKind::NotConnected));
        }
        inside.doing = Doing::Running { left: inside.config.timeout };
        inside.feeds += 1;
        Ok(())
    }

    fn time_left(&mut self) -> Option<Duration> {
        match self.doing() {
            Doing::Running { left } | Doing::Warned { left } => Some(left),
            Doing::Idle | Doing::Bitten => None,
        }
    }

    fn actual(&self) -> Config {
        self.inside().config
    }

    fn disarm(self: Box<Self>) -> Result<(), CannotDisarm> {
        match self.info.way_out {
            WayOut::None => {
                let why = CannotDisarmWhy::NoWayOut(self.info.identity.clone());
                Err(CannotDisarm { still_armed: self, why })
            }
            WayOut::Stoppable | WayOut::NotTold => {
                self.inside().doing = Doing::Idle;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn armed(fake: &FakeWatchdog, timeout: Duration, pretimeout: Option<Duration>) -> Box<dyn Armed> {
        fake.watchdog().arm(Config { timeout, pretimeout }).unwrap()
    }

    #[test]
    fn one_that_is_fed_does_not_bite_and_one_that_is_not_warns_and_bites() {
        let fake = FakeWatchdog::new(WayOut::Stoppable);
        let mut armed = armed(&fake, 30 * SECOND, Some(10 * SECOND));
        for _ in 0..10 {
            fake.advance(19 * SECOND);
            armed.feed().unwrap();
        }
        assert_eq!(armed.time_left(), Some(30 * SECOND));
        fake.advance(20 * SECOND);
        assert_eq!(fake.doing(), Doing::Warned { left: 10 * SECOND });
        fake.advance(10 * SECOND);
        assert_eq!(fake.doing(), Doing::Bitten);
        assert!(armed.feed().is_err());
        assert_eq!(fake.watchdog().last_reset(), ResetCause::Watchdog);
    }

    #[test]
    fn dropping_an_armed_one_does_not_stop_it() {
        let fake = FakeWatchdog::new(WayOut::Stoppable);
        drop(armed(&fake, 5 * SECOND, None));
        fake.advance(5 * SECOND);
        assert_eq!(fake.doing(), Doing::Bitten);
    }

    #[test]
    fn one_with_a_way_out_can_be_stopped_and_one_without_comes_back_armed() {
        let fake = FakeWatchdog::new(WayOut::Stoppable);
        armed(&fake, 5 * SECOND, None).disarm().unwrap();
        fake.advance(60 * SECOND);
        assert_eq!(fake.doing(), Doing::Idle);

        let fake = FakeWatchdog::new(WayOut::None);
        let refused = armed(&fake, 5 * SECOND, None).disarm().unwrap_err();
        assert_eq!(
            refused.to_string(),
            "watchdog fake has no way out; it must be fed until the box restarts"
        );
        let mut still = refused.still_armed;
        fake.advance(4 * SECOND);
        still.feed().unwrap();
        fake.advance(4 * SECOND);
        assert_eq!(fake.doing(), Doing::Running { left: SECOND });
    }

    #[test]
    fn the_time_out_it_really_took_is_told() {
        let fake = FakeWatchdog::new(WayOut::NotTold);
        fake.round_to(30 * SECOND);
        assert_eq!(armed(&fake, 45 * SECOND, None).actual().timeout, 60 * SECOND);
    }

    #[test]
    fn what_it_cannot_do_is_refused_before_it_runs() {
        let refused = |timeout, pretimeout| {
            let fake = FakeWatchdog::new(WayOut::Stoppable);
            let config = Config { timeout, pretimeout };
            let error = fake.watchdog().arm(config).err().map(|error| error.to_string());
            assert_eq!(fake.doing(), Doing::Idle);
            error.unwrap_or_default()
        };
        assert_eq!(
            refused(Duration::from_millis(500), None),
            "watchdog fake: time-out 500ms is not within 1s to 600s; ask for one that is"
        );
        assert!(refused(601 * SECOND, None).contains("is not within 1s to 600s"));
        assert!(refused(5 * SECOND, Some(5 * SECOND)).contains("ask for a shorter warning"));
    }
}
