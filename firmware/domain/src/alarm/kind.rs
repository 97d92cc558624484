//! What an alarm may be about: a closed list, each kind with its words, its weight and its patience.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// How grave an alarm is, after ITU-T X.733 8.1.2.3; a later one is graver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It will trouble callers if nobody does anything.
    Warning,
    /// It troubles whoever runs the box.
    Minor,
    /// It troubles some callers.
    Major,
    /// It troubles every caller.
    Critical,
}

/// What an alarm is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlarmKind {
    /// The gateway token ends within [`SOON`](super::SOON) (P3).
    GatewayTokenExpiring,
    /// The gateway token has ended.
    GatewayTokenExpired,
    /// A certificate ends within [`SOON`](super::SOON).
    CertificateExpiring,
    /// A certificate has ended.
    CertificateExpired,
    /// A certificate that is wanted is not there or cannot be read.
    CertificateMissing,
    /// There are more access tokens than the licence allows (P15).
    AccessTokensOverLicence,
    /// Few call licences are left (P15).
    LicencesNearlyExhausted,
    /// No call licence is left; callers are refused (P15).
    LicencesExhausted,
    /// Licences end within [`SOON`](super::SOON), or have ended.
    LicencesExpiring,
    /// The clock is not in sync (K7).
    ClockNotInSync,
    /// A conference's servers cannot be reached.
    MeetingServiceUnreachable,
    /// A caller was refused because the box is full.
    CapacityReached,
    /// A source guessed too often or is a scanner, and is not heard for a while.
    ScannerBlocked,
    /// A disk is nearly full.
    Disk,
    /// The store is in trouble.
    Store,
    /// A part of the store was damaged and was made anew at a start; nothing was lost.
    StoreMended,
    /// Sealed secrets can't be opened: their key is lost or another one.
    SecretsUnreadable,
    /// Settings that were changed under another release do not hold here (A6).
    SettingsLeftBehind,
    /// A sensor is out of its limits.
    Temperature,
    /// An update could not be installed.
    UpdateFailed,
    /// The box fell back to the slot before.
    SlotRolledBack,
    /// A watchdog reset the box.
    WatchdogReset,
    /// A bug of ours ended a call or a worker.
    InternalError,
    /// Alarms do not reach one of those they are told to.
    DeliveryFailing,
    /// A theme's file can't be used; callers see and hear what is built in.
    ThemeIncomplete,
}

/// What facts of one family say of one thing: at most one of the family's kinds at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// Gateway tokens, by name.
    GatewayToken,
    /// Certificates, by name.
    Certificate,
    /// Access tokens, all together.
    AccessTokens,
    /// Call licences, all together.
    Licences,
    /// Licences that end, by name.
    LicenceEnd,
    /// The clock.
    Clock,
    /// Conferences, by connector.
    MeetingService,
    /// What the box may run out of, by name.
    Capacity,
    /// Disks, by where they are mounted.
    Disk,
    /// Stores, by name.
    Store,
    /// What is sealed, by whose it is.
    Secrets,
    /// Sensors, by name.
    Temperature,
    /// Those that alarms are told to, by name.
    Delivery,
    /// Themes, by name.
    Theme,
}

/// How an alarm ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// It ends with what it is about.
    Condition,
    /// It happened and is over; it stays until somebody has seen it.
    Moment,
}

const MINUTE: Duration = Duration::from_secs(60);

impl Level {
    /// All, the lightest first.
    pub const ALL: [Self; 4] = [Self::Warning, Self::Minor, Self::Major, Self::Critical];

    /// One word for machines to read; it never changes.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Minor => "minor",
            Self::Major => "major",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl AlarmKind {
    /// All there are.
    pub const ALL: [Self; 25] = [
        Self::GatewayTokenExpiring,
        Self::GatewayTokenExpired,
        Self::CertificateExpiring,
        Self::CertificateExpired,
        Self::CertificateMissing,
        Self::AccessTokensOverLicence,
        Self::LicencesNearlyExhausted,
        Self::LicencesExhausted,
        Self::LicencesExpiring,
        Self::ClockNotInSync,
        Self::MeetingServiceUnreachable,
        Self::CapacityReached,
        Self::ScannerBlocked,
        Self::Disk,
        Self::Store,
        Self::StoreMended,
        Self::SecretsUnreadable,
        Self::SettingsLeftBehind,
        Self::Temperature,
        Self::UpdateFailed,
        Self::SlotRolledBack,
        Self::WatchdogReset,
        Self::InternalError,
        Self::DeliveryFailing,
        Self::ThemeIncomplete,
    ];

    /// One word for machines to read, as it is serialised; it never changes.
    #[must_use]
    pub const fn identifier(self) -> &'static str {
        self.words().0
    }

    /// What people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.words().1
    }

    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::GatewayTokenExpiring => ("gateway_token_expiring", "gateway token expires soon"),
            Self::GatewayTokenExpired => ("gateway_token_expired", "gateway token has expired"),
            Self::CertificateExpiring => ("certificate_expiring", "certificate expires soon"),
            Self::CertificateExpired => ("certificate_expired", "certificate has expired"),
            Self::CertificateMissing => ("certificate_missing", "certificate is missing"),
            Self::AccessTokensOverLicence => {
                ("access_tokens_over_licence", "more access tokens than the licence allows")
            }
            Self::LicencesNearlyExhausted => ("licences_nearly_exhausted", "few call licences are left"),
            Self::LicencesExhausted => ("licences_exhausted", "no call licence is left"),
            Self::LicencesExpiring => ("licences_expiring", "licences expire soon"),
            Self::ClockNotInSync => ("clock_not_in_sync", "clock is not in sync"),
            Self::MeetingServiceUnreachable => {
                ("meeting_service_unreachable", "meeting service cannot be reached")
            }
            Self::CapacityReached => ("capacity_reached", "box is full"),
            Self::ScannerBlocked => ("scanner_blocked", "scanner is blocked"),
            Self::Disk => ("disk", "disk is nearly full"),
            Self::Store => ("store", "store is in trouble"),
            Self::StoreMended => ("store_mended", "store was mended"),
            Self::SecretsUnreadable => ("secrets_unreadable", "secrets can't be opened"),
            Self::SettingsLeftBehind => ("settings_left_behind", "settings of another release do not hold"),
            Self::Temperature => ("temperature", "sensor is out of its limits"),
            Self::UpdateFailed => ("update_failed", "update failed"),
            Self::SlotRolledBack => ("slot_rolled_back", "box fell back to the slot before"),
            Self::WatchdogReset => ("watchdog_reset", "watchdog reset the box"),
            Self::InternalError => ("internal_error", "internal error"),
            Self::DeliveryFailing => ("delivery_failing", "alarms are not delivered"),
            Self::ThemeIncomplete => ("theme_incomplete", "theme's file can't be used"),
        }
    }

    /// How it ends.
    #[must_use]
    pub const fn nature(self) -> Nature {
        match self {
            Self::ScannerBlocked
            | Self::StoreMended
            | Self::SettingsLeftBehind
            | Self::UpdateFailed
            | Self::SlotRolledBack
            | Self::WatchdogReset
            | Self::InternalError => Nature::Moment,
            Self::GatewayTokenExpiring
            | Self::GatewayTokenExpired
            | Self::CertificateExpiring
            | Self::CertificateExpired
            | Self::CertificateMissing
            | Self::AccessTokensOverLicence
            | Self::LicencesNearlyExhausted
            | Self::LicencesExhausted
            | Self::LicencesExpiring
            | Self::ClockNotInSync
            | Self::MeetingServiceUnreachable
            | Self::CapacityReached
            | Self::Disk
            | Self::Store
            | Self::SecretsUnreadable
            | Self::Temperature
            | Self::DeliveryFailing
            | Self::ThemeIncomplete => Nature::Condition,
        }
    }

    /// How long it must be bad before it is raised. The clock of a box that has just started is never in sync yet.
    #[must_use]
    pub const fn patience(self) -> Duration {
        match self {
            Self::ClockNotInSync => MINUTE.saturating_mul(5),
            _ => Duration::ZERO,
        }
    }

    /// How long it must be good before it is cleared. Calls come and go, so what they use up is watched for longer; what a receiver took has
    /// reached it, and whoever tells of failures has tried several times.
    #[must_use]
    pub const fn hold(self) -> Duration {
        match self {
            Self::CapacityReached | Self::LicencesNearlyExhausted | Self::LicencesExhausted => {
                MINUTE.saturating_mul(5)
            }
            // So has a change that the disk took; a secret that was entered can be opened, and a file that was read is there.
            Self::DeliveryFailing | Self::Store | Self::SecretsUnreadable | Self::ThemeIncomplete => {
                Duration::ZERO
            }
            _ => MINUTE,
        }
    }
}

impl fmt::Display for AlarmKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.identifier())
    }
}

impl Family {
    /// The kinds that facts of this family raise and clear.
    #[must_use]
    pub const fn kinds(self) -> &'static [AlarmKind] {
        match self {
            Self::GatewayToken => &[AlarmKind::GatewayTokenExpiring, AlarmKind::GatewayTokenExpired],
            Self::Certificate => &[
                AlarmKind::CertificateExpiring,
                AlarmKind::CertificateExpired,
                AlarmKind::CertificateMissing,
            ],
            Self::AccessTokens => &[AlarmKind::AccessTokensOverLicence],
            Self::Licences => &[AlarmKind::LicencesNearlyExhausted, AlarmKind::LicencesExhausted],
            Self::LicenceEnd => &[AlarmKind::LicencesExpiring],
            Self::Clock => &[AlarmKind::ClockNotInSync],
            Self::MeetingService => &[AlarmKind::MeetingServiceUnreachable],
            Self::Capacity => &[AlarmKind::CapacityReached],
            Self::Disk => &[AlarmKind::Disk],
            Self::Store => &[AlarmKind::Store],
            Self::Secrets => &[AlarmKind::SecretsUnreadable],
            Self::Temperature => &[AlarmKind::Temperature],
            Self::Delivery => &[AlarmKind::DeliveryFailing],
            Self::Theme => &[AlarmKind::ThemeIncomplete],
        }
    }
}
