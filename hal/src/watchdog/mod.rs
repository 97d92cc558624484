//! A watchdog: what resets the box, or restarts a service, when it is no longer fed.
//!
//! ```text
//!  Watchdog ──arm(Config)──▶ Armed ──feed──▶ Armed
//!      ▲                       │ └──dropped, process dead──▶ still running: it bites
//!      └──────disarm───────────┘      disarm refused ("no way out"): Armed comes back
//! ```
//!
//! A device (`/dev/watchdogN`) and the service manager's watchdog are both backends of it. Whoever holds an [`Armed`] has
//! [`crate::keeper`] say when to feed.

mod fake;

pub use fake::{Doing, FakeWatchdog};

use crate::{DeviceError, Label};
use std::time::Duration;

/// A watchdog that does not run yet, as far as its holder is concerned.
pub trait Watchdog: Send {
    /// What it is and what it can do.
    fn info(&self) -> &Info;

    /// What it says of the last reset.
    fn last_reset(&self) -> ResetCause;

    /// Starts it. From here on it bites unless it is fed within the time-out.
    ///
    /// The device may round the times; [`Armed::actual`] says what it took.
    ///
    /// # Errors
    /// If it cannot do what `config` asks, or does not answer. A watchdog that could not be armed as asked is
    /// stopped again where it lets itself be stopped.
    fn arm(self: Box<Self>, config: Config) -> Result<Box<dyn Armed>, ArmError>;
}

/// A watchdog that runs.
///
/// Dropping it **never** stops it: a process that dies or forgets it is what a watchdog is there for.
pub trait Armed: Send {
    /// Starts its time anew.
    ///
    /// # Errors
    /// If it does not answer; it will bite.
    fn feed(&mut self) -> Result<(), DeviceError>;

    /// What is left until it bites; `None` if it cannot tell.
    fn time_left(&mut self) -> Option<Duration>;

    /// The times it really took, read back from it.
    fn actual(&self) -> Config;

    /// Stops it.
    ///
    /// # Errors
    /// If it has no way out, or does not answer. It then still runs, and comes back inside the error so that it can be fed.
    fn disarm(self: Box<Self>) -> Result<(), CannotDisarm>;
}

/// When a watchdog bites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Longest time between two feeds.
    pub timeout: Duration,
    /// How long before it bites it gives warning (the kernel then panics, so that there is a record); `None` for no warning.
    pub pretimeout: Option<Duration>,
}

/// What a watchdog is and can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// What it calls itself: "i6300ESB timer", "service manager".
    pub identity: Label,
    /// Shortest time-out it takes.
    pub shortest: Duration,
    /// Longest time-out it takes; `None` if it does not say.
    pub longest: Option<Duration>,
    /// Whether it can warn before it bites.
    pub pretimeout: Pretimeout,
    /// Whether it can be stopped once it runs.
    pub way_out: WayOut,
}

/// Whether a watchdog can warn before it bites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pretimeout {
    /// It can.
    Offered,
    /// It cannot.
    NotOffered,
}

/// Whether a watchdog can be stopped once it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WayOut {
    /// It can be stopped.
    Stoppable,
    /// Once armed it runs until the box restarts ("nowayout").
    None,
    /// It does not say; whoever disarms it will see.
    NotTold,
}

/// What a watchdog says of the last reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResetCause {
    /// It made the reset: nobody fed it.
    Watchdog,
    /// The box was too hot.
    Overheated,
    /// A fan stood still.
    FanFailed,
    /// A supply voltage was too low.
    PowerLow,
    /// A supply voltage was too high.
    PowerHigh,
    /// A line from outside asked for it.
    External,
    /// It does not know of any cause: power on, a reboot that was asked for, or a device that cannot tell.
    #[default]
    NotTold,
}

/// Why a watchdog was not armed.
#[derive(Debug, thiserror::Error)]
pub enum ArmError {
    /// The time-out is outside of what the device takes.
    #[error("watchdog {identity}: time-out {asked:?} is not within {shortest:?} to {longest}; ask for one that is", longest = .longest.map_or_else(|| "any".to_owned(), |longest| format!("{longest:?}")))]
    Timeout {
        /// Which watchdog.
        identity: Label,
        /// What was asked for.
        asked: Duration,
        /// Shortest it takes.
        shortest: Duration,
        /// Longest it takes.
        longest: Option<Duration>,
    },
    /// The warning would not come before the bite.
    #[error(
        "watchdog {identity}: a warning {pretimeout:?} before the end needs a time-out longer than {timeout:?}; ask for a shorter warning"
    )]
    PretimeoutTooLong {
        /// Which watchdog.
        identity: Label,
        /// What was asked for.
        pretimeout: Duration,
        /// The time-out it was asked for with.
        timeout: Duration,
    },
    /// It cannot warn.
    #[error("watchdog {identity} cannot warn before it bites; arm it without a pre-timeout")]
    NoPretimeout {
        /// Which watchdog.
        identity: Label,
    },
    /// It would stop when its holder dies, and then nothing guards the box.
    #[error("watchdog {identity} would stop when its holder dies; load its driver with nowayout=1")]
    StopsWhenClosed {
        /// Which watchdog.
        identity: Label,
    },
    /// It does not answer, or somebody else holds it.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// A watchdog that would not be stopped.
#[derive(thiserror::Error)]
#[error("{why}")]
pub struct CannotDisarm {
    /// Still running; feed it.
    pub still_armed: Box<dyn Armed>,
    /// Why.
    pub why: CannotDisarmWhy,
}

/// Why a watchdog would not be stopped.
#[derive(Debug, thiserror::Error)]
pub enum CannotDisarmWhy {
    /// It was built to run until the box restarts.
    #[error("watchdog {0} has no way out; it must be fed until the box restarts")]
    NoWayOut(Label),
    /// It does not answer.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

impl std::fmt::Debug for CannotDisarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("CannotDisarm").field(&self.why).finish()
    }
}

impl Info {
    /// Whether a watchdog like this can do what `config` asks; backends ask before they touch the device.
    ///
    /// # Errors
    /// What it cannot do.
    pub fn check(&self, config: Config) -> Result<(), ArmError> {
        let Config { timeout, pretimeout } = config;
        let identity = || self.identity.clone();
        if timeout < self.shortest || self.longest.is_some_and(|longest| timeout > longest) {
            let (shortest, longest) = (self.shortest, self.longest);
            return Err(ArmError::Timeout { identity: identity(), asked: timeout, shortest, longest });
        }
        match (pretimeout, self.pretimeout) {
            (Some(_), Pretimeout::NotOffered) => Err(ArmError::NoPretimeout { identity: identity() }),
            (Some(pretimeout), Pretimeout::Offered) if pretimeout >= timeout => {
                Err(ArmError::PretimeoutTooLong { identity: identity(), pretimeout, timeout })
            }
            _ => Ok(()),
        }
    }
}
