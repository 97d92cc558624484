//! What is told to the alarms, and what follows from it at a given time.
//!
//! Most facts are levels: how things stand. They may be told as often as one likes, and whoever tells of something that ends on a day
//! tells it again as days go by. Moments are told once each.

use super::kind::{AlarmKind, Family, Level};
use crate::appliance::instant::UnixTime;
use crate::licence::{Allowance, NoLicence, Stock};
use std::time::Duration;

/// What ends within so long is told of (P3): 30 days.
pub const SOON: Duration = Duration::from_secs(30 * 86_400);
/// A disk that is so full is told of, in percent.
pub const DISK_NEARLY_FULL: u8 = 90;
/// A disk that is so full may stop the box from writing, in percent.
pub const DISK_FULL: u8 = 97;

/// How something stands, or what happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A gateway token ends (P3).
    GatewayToken {
        /// Which.
        name: String,
        /// When; nothing if there is none.
        ends: Option<UnixTime>,
    },
    /// How a certificate stands.
    Certificate {
        /// Which.
        name: String,
        /// How.
        state: CertificateState,
    },
    /// How many access tokens there are, and how many there may be (P15).
    AccessTokens {
        /// There are.
        held: u32,
        /// There may be.
        licensed: Allowance,
    },
    /// How many call licences are left (P15).
    Licences(Stock),
    /// A licence ends whose end costs the box something.
    LicenceEnd {
        /// Which.
        name: String,
        /// When.
        ends: UnixTime,
    },
    /// Whether the clock is in sync (K7); the reason says with whom it should be.
    Clock(Health),
    /// Whether a conference's servers answer.
    MeetingService {
        /// The connector's name.
        connector: String,
        /// Whether they do.
        health: Health,
    },
    /// Whether there is room for one more call.
    Capacity {
        /// Of what: `media ports`.
        what: String,
        /// Whether there is.
        health: Health,
    },
    /// How full a disk is.
    Disk {
        /// Where it is mounted.
        mount: String,
        /// In percent.
        used: u8,
    },
    /// Whether a store is sound.
    Store {
        /// Which.
        name: String,
        /// Whether it is.
        health: Health,
    },
    /// What was mended of a store when it was opened; nothing was lost.
    StoreMended {
        /// Which.
        name: String,
        /// What of it, and how.
        what: String,
    },
    /// Whether what is sealed can be opened.
    Secrets {
        /// Whose.
        name: String,
        /// Whether it can.
        health: Health,
    },
    /// Settings that another release wrote do not hold here (A6).
    SettingsLeftBehind {
        /// Where they are.
        place: String,
        /// Which, and why.
        why: String,
    },
    /// What a sensor says.
    Temperature {
        /// Its chip and name.
        sensor: String,
        /// What it reads, with its unit.
        reading: String,
        /// What to make of it.
        warmth: Warmth,
    },
    /// Whether one of those that alarms are told to takes them.
    Delivery {
        /// Its name.
        sink: String,
        /// Whether it does.
        health: Health,
    },
    /// Whether all files of a theme can be used (P5).
    Theme {
        /// Its name.
        name: String,
        /// Whether they can.
        health: Health,
    },
    /// A source is not heard for a while.
    ScannerBlocked {
        /// Who.
        source: String,
        /// For what.
        why: String,
    },
    /// An update could not be installed.
    UpdateFailed {
        /// Which release.
        release: String,
        /// Why.
        why: String,
    },
    /// The box fell back to the slot before.
    SlotRolledBack {
        /// From which.
        slot: String,
        /// Why.
        why: String,
    },
    /// A watchdog reset the box.
    WatchdogReset {
        /// Whose: `box`, or a service.
        what: String,
        /// As the box found out.
        why: String,
    },
    /// A bug of ours.
    InternalError {
        /// Where.
        part: String,
        /// What it said.
        why: String,
    },
}

/// Whether something is as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It is.
    Good,
    /// It is not.
    Bad {
        /// Why, for people.
        why: String,
    },
}

/// How a certificate stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateState {
    /// It is not there or cannot be read.
    Missing {
        /// Why.
        why: String,
    },
    /// It is there, and ends.
    Ends(UnixTime),
}

/// What to make of a sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warmth {
    /// Within its limits.
    Normal,
    /// Out of them.
    Warm,
    /// Dangerous.
    Hot,
}

/// What follows from a fact.
pub(super) enum Judgement {
    /// Of this family's kinds about `instance`, this one stands and no other.
    Stands { family: Family, instance: String, finding: Option<Finding> },
    /// This happened.
    Happened { instance: String, finding: Finding },
}

/// What an alarm is raised with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) kind: AlarmKind,
    pub(super) level: Level,
    pub(super) details: String,
}

fn finding(kind: AlarmKind, level: Level, details: impl Into<String>) -> Finding {
    Finding { kind, level, details: details.into() }
}

impl Fact {
    /// What follows from it at `at`.
    pub(super) fn judge(self, at: UnixTime) -> Judgement {
        let stands = |family, instance: String, finding| Judgement::Stands { family, instance, finding };
        let happened = |kind, level, instance, why: String| Judgement::Happened {
            instance,
            finding: finding(kind, level, why),
        };
        match self {
            Self::GatewayToken { name, ends } => {
                let found = ends.and_then(|ends| token_end(at, ends));
                stands(Family::GatewayToken, name, found)
            }
            Self::Certificate { name, state } => stands(Family::Certificate, name, certificate(at, state)),
            Self::AccessTokens { held, licensed } => {
                stands(Family::AccessTokens, "all".into(), access_tokens(held, licensed))
            }
            Self::Licences(stock) => stands(Family::Licences, "calls".into(), licences(stock)),
            Self::LicenceEnd { name, ends } => stands(Family::LicenceEnd, name, licence_end(at, ends)),
            Self::Clock(health) => {
                stands(Family::Clock, "box".into(), bad(AlarmKind::ClockNotInSync, Level::Minor, health))
            }
            Self::MeetingService { connector, health } => {
                let found = bad(AlarmKind::MeetingServiceUnreachable, Level::Critical, health);
                stands(Family::MeetingService, connector, found)
            }
            Self::Capacity { what, health } => {
                stands(Family::Capacity, what, bad(AlarmKind::CapacityReached, Level::Major, health))
            }
            Self::Disk { mount, used } => stands(Family::Disk, mount, disk(used)),
            Self::Store { name, health } => {
                stands(Family::Store, name, bad(AlarmKind::Store, Level::Major, health))
            }
            Self::StoreMended { name, what } => happened(AlarmKind::StoreMended, Level::Warning, name, what),
            Self::Secrets { name, health } => {
                stands(Family::Secrets, name, bad(AlarmKind::SecretsUnreadable, Level::Major, health))
            }
            Self::SettingsLeftBehind { place, why } => {
                happened(AlarmKind::SettingsLeftBehind, Level::Minor, place, why)
            }
            Self::Temperature { sensor, reading, warmth } => {
                stands(Family::Temperature, sensor, temperature(reading, warmth))
            }
            Self::Delivery { sink, health } => {
                stands(Family::Delivery, sink, bad(AlarmKind::DeliveryFailing, Level::Minor, health))
            }
            Self::Theme { name, health } => {
                stands(Family::Theme, name, bad(AlarmKind::ThemeIncomplete, Level::Minor, health))
            }
            Self::ScannerBlocked { source, why } => {
                happened(AlarmKind::ScannerBlocked, Level::Warning, source, why)
            }
            Self::UpdateFailed { release, why } => {
                happened(AlarmKind::UpdateFailed, Level::Major, release, why)
            }
            Self::SlotRolledBack { slot, why } => {
                happened(AlarmKind::SlotRolledBack, Level::Major, slot, why)
            }
            Self::WatchdogReset { what, why } => happened(AlarmKind::WatchdogReset, Level::Major, what, why),
            Self::InternalError { part, why } => happened(AlarmKind::InternalError, Level::Major, part, why),
        }
    }
}

/// When something ends, seen from a day.
enum End {
    Far,
    Soon,
    Over,
}

fn end(at: UnixTime, ends: UnixTime) -> End {
    match ends.0.checked_sub(at.0) {
        None | Some(0) => End::Over,
        Some(left) if left <= SOON.as_secs() => End::Soon,
        Some(_) => End::Far,
    }
}

fn token_end(at: UnixTime, ends: UnixTime) -> Option<Finding> {
    match end(at, ends) {
        End::Far => None,
        End::Soon => {
            let said = format!("ends on {ends}; make a new request file and have it signed");
            Some(finding(AlarmKind::GatewayTokenExpiring, Level::Warning, said))
        }
        End::Over => {
            let said = format!("ended on {ends}; access tokens alone are used until a new one is uploaded");
            Some(finding(AlarmKind::GatewayTokenExpired, Level::Major, said))
        }
    }
}

fn certificate(at: UnixTime, state: CertificateState) -> Option<Finding> {
    let ends = match state {
        CertificateState::Missing { why } => {
            return Some(finding(AlarmKind::CertificateMissing, Level::Major, why));
        }
        CertificateState::Ends(ends) => ends,
    };
    match end(at, ends) {
        End::Far => None,
        End::Soon => {
            let said = format!("ends on {ends}; have a new one signed and upload its chain");
            Some(finding(AlarmKind::CertificateExpiring, Level::Warning, said))
        }
        End::Over => {
            let said = format!("ended on {ends}; upload the chain of a new one");
            Some(finding(AlarmKind::CertificateExpired, Level::Major, said))
        }
    }
}

fn access_tokens(held: u32, licensed: Allowance) -> Option<Finding> {
    let Allowance::Of(licensed) = licensed else { return None };
    let said =
        || format!("{held} access tokens, and the licence allows {licensed}; delete some or extend it");
    (held > licensed).then(|| finding(AlarmKind::AccessTokensOverLicence, Level::Major, said()))
}

fn licences(stock: Stock) -> Option<Finding> {
    let said = |NoLicence { taken, total }: NoLicence, more: &str| {
        format!("{taken} of {total} call licences are in use; {more}")
    };
    match stock {
        Stock::Plenty => None,
        Stock::Few(so) => {
            let said = said(so, "extend them in time");
            Some(finding(AlarmKind::LicencesNearlyExhausted, Level::Warning, said))
        }
        Stock::None(so) => {
            let said = said(so, "callers are refused; end a call or add a licence");
            Some(finding(AlarmKind::LicencesExhausted, Level::Major, said))
        }
    }
}

fn licence_end(at: UnixTime, ends: UnixTime) -> Option<Finding> {
    let (level, said) = match end(at, ends) {
        End::Far => return None,
        End::Soon => {
            (Level::Warning, format!("ends on {ends}; ask the vendor for a new one and upload it in time"))
        }
        End::Over => (
            Level::Critical,
            format!("ended on {ends}; upload a new one, or remove it if it is not needed any more"),
        ),
    };
    Some(finding(AlarmKind::LicencesExpiring, level, said))
}

fn disk(used: u8) -> Option<Finding> {
    let level = match used {
        0..DISK_NEARLY_FULL => return None,
        DISK_NEARLY_FULL..DISK_FULL => Level::Minor,
        DISK_FULL.. => Level::Critical,
    };
    Some(finding(AlarmKind::Disk, level, format!("{used} % are in use; export and delete what is old")))
}

fn temperature(reading: String, warmth: Warmth) -> Option<Finding> {
    let level = match warmth {
        Warmth::Normal => return None,
        Warmth::Warm => Level::Minor,
        Warmth::Hot => Level::Critical,
    };
    Some(finding(AlarmKind::Temperature, level, reading))
}

fn bad(kind: AlarmKind, level: Level, health: Health) -> Option<Finding> {
    match health {
        Health::Good => None,
        Health::Bad { why } => Some(finding(kind, level, why)),
    }
}
