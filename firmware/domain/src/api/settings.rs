//! The settings there is one of each, as they go over the wire: the same fields as in a configuration file.

use super::resource::MediaEncryption;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The gateway itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewaySettings {
    /// What callers dial after the `@`, 1 to 16 names.
    #[schema(min_items = 1, max_items = 16)]
    pub domains: Vec<String>,
    /// The address callers and conferences see, where it is not the box's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_address: Option<String>,
    /// How many digits a meeting id has; 13 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 4, maximum = 20)]
    pub meeting_digits: Option<i64>,
    /// How many codec workers there are; one for each processor if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 256)]
    pub workers: Option<i64>,
    /// What a caller meets that waits to be admitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lobby: Option<WaitingRoom>,
    /// How long calls may go on after a shutdown was asked for: `30s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain: Option<String>,
}

/// What a caller meets that waits to be admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WaitingRoom {
    /// It hears that it rings.
    Rings,
    /// It sees and hears that it waits.
    Shown,
}

/// Signalling with SIP callers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SipSettings {
    /// Where UDP is listened on: `0.0.0.0:5060`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub udp: Option<Vec<String>>,
    /// Where TCP is listened on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<Vec<String>>,
    /// Where TLS is listened on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Vec<String>>,
    /// PEM file of the certificate chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// PEM file of its private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How long a session may go on without a refresh (RFC 4028): `30m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_timer: Option<String>,
    /// Whether media with callers are encrypted, where no rule says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<MediaEncryption>,
}

/// Media.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MediaSettings {
    /// Ports that media flow by: `40000-49999`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<String>,
    /// Longest silence of all media before a call is given up: `30s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence: Option<String>,
}

/// Connections of the box's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignallingSettings {
    /// Ports they leave by: `33000-39999`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<String>,
}

/// The administration by HTTPS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdminSettings {
    /// Where it is listened on: `0.0.0.0:443`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<Vec<String>>,
}

/// How rooms look others up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PhonebookSettings {
    /// Where LDAP is listened on: `0.0.0.0:389`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ldap: Option<Vec<String>>,
    /// Where LDAP under TLS is listened on: `0.0.0.0:636`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ldaps: Option<Vec<String>>,
    /// The path it is fetched from by HTTPS, beside the administration: `/phonebook`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https: Option<String>,
    /// The base of the directory; of the first domain if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_dn: Option<String>,
    /// Who may look it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Their password. Never shown again; left out in a change, it stays; empty, it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(write_only, max_length = 4096)]
    pub password: Option<String>,
    /// Whether others may look it up too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymous: Option<bool>,
}

/// The defence against break-ins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DefenceSettings {
    /// Whether it is on; it is if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Wrong aliases and credentials that block a source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 5, maximum = 200)]
    pub offences: Option<i64>,
    /// Within how long: `10m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// For how long: `10m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<String>,
    /// Networks that are never blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<String>>,
}

/// How an invitation becomes an alias where no meeting processing rule says it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OneTouchJoinSettings {
    /// Whether a `sip:` URI in an invitation is dialled, else the code of a Meet link at the guest domain; it is if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_processing: Option<bool>,
    /// Where guests of Meet meetings are dialled: `guests.example.com`; without one, Meet links are passed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 253)]
    pub guest_domain: Option<String>,
}

/// The least level logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// What failed.
    Error,
    /// What may fail.
    Warn,
    /// Calls.
    Info,
    /// Decisions inside calls.
    Debug,
    /// Packets.
    Trace,
}

/// Where logs go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LogsTo {
    /// To the journal where there is one, else to standard error.
    Auto,
    /// To the journal.
    Journal,
    /// To standard error.
    Stderr,
}

/// What is logged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// The least level logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<Level>,
    /// Where to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<LogsTo>,
}
