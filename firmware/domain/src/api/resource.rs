//! The resources an administrator works with, as they go over the wire: the same fields as in a configuration file.
//!
//! These types say what a body may look like; what it may *say* is for [`crate::config`], which reads all resources together.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Which way a call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Calls {
    /// From a room into a conference.
    Incoming,
    /// From a conference.
    Outgoing,
}

/// What callers and systems speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SpokenProtocol {
    /// RFC 3261.
    Sip,
    /// ITU-T H.323.
    H323,
    /// SIP as Skype for Business speaks it.
    MsSip,
    /// A browser.
    #[serde(rename = "webrtc")]
    WebRtc,
    /// RTMP.
    Rtmp,
    /// Microsoft Teams.
    Teams,
}

/// What a conference grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TokenTrust {
    /// Callers join directly.
    Trusted,
    /// Callers wait in the lobby.
    Untrusted,
}

/// What of an alias a rule's regex sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SeenAlias {
    /// `1234@meet.example.com`.
    Alias,
    /// `sip:1234@meet.example.com`.
    FullUri,
}

/// Where a rule sends a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CallTarget {
    /// Into a conference.
    Conference,
    /// To a registered device.
    Device,
    /// To an external system.
    External,
}

/// Which media a call has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CallMedia {
    /// Sound alone.
    Audio,
    /// Sound and picture.
    Video,
    /// What the caller has.
    Auto,
}

/// Whether media are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MediaEncryption {
    /// Always; others are refused.
    On,
    /// Never.
    Off,
    /// Where the caller can.
    BestEffort,
}

/// How a conference speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Speaks {
    /// Gantry's own documented protocol.
    Interop,
}

/// What a Call Routing Rule looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleMatch {
    /// Which way the call goes; incoming if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<Vec<Calls>>,
    /// What the caller speaks; anything if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocols: Option<Vec<SpokenProtocol>>,
    /// Registered devices only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered_only: Option<bool>,
    /// Names of locations the caller must be in; anywhere if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locations: Option<Vec<String>>,
    /// What the regex sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<SeenAlias>,
    /// Matches the whole alias; without one, a meeting id at one of the gateway's domains. A group named `pin` goes to the conference
    /// apart from the id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1000)]
    pub regex: Option<String>,
}

/// A Call Routing Rule. The first that matches, lowest priority first, takes the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallRoutingRule {
    /// What it is called.
    #[schema(min_length = 1, max_length = 64)]
    pub name: String,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1000)]
    pub description: Option<String>,
    /// Told with each call it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1000)]
    pub tag: Option<String>,
    /// Whether it takes calls; it does if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// From 1 to 200; the lowest is asked first.
    #[schema(minimum = 1, maximum = 200)]
    pub priority: i64,
    /// What the alias becomes: `\1` or `$1` for a group, `\0` for the whole alias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1000)]
    pub replace: Option<String>,
    /// Where the call goes; into a conference if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<CallTarget>,
    /// The conference connector; may be left out if there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connector: Option<String>,
    /// The access token; may be left out if there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Whether the caller counts as trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub treat_as_trusted: Option<bool>,
    /// Which media the call has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_type: Option<CallMedia>,
    /// Whether media with the caller are encrypted; as in the SIP settings if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<MediaEncryption>,
    /// Most that is received of the caller, in kbit/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 128, maximum = 8192)]
    pub max_in_kbps: Option<i64>,
    /// Most that is sent to the caller, in kbit/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 128, maximum = 8192)]
    pub max_out_kbps: Option<i64>,
    /// The theme of what the caller sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 64)]
    pub theme: Option<String>,
    /// What an external system is spoken to by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outgoing_protocol: Option<SpokenProtocol>,
    /// The SIP proxy that calls to an external system go through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sip_proxy: Option<String>,
    /// The H.323 gatekeeper that calls to an external system go through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub h323_gatekeeper: Option<String>,
    /// The TURN server that media to an external system go through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_server: Option<String>,
    /// What it looks at.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "match")]
    pub matches: Option<RuleMatch>,
}

/// An access token. Its value is written and never read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccessToken {
    /// What rules name it by.
    #[schema(min_length = 1, max_length = 64)]
    pub name: String,
    /// What the conference's administrator gave. Never shown again; left out in a change, it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(write_only, min_length = 1, max_length = 4096)]
    pub value: Option<String>,
    /// What the conference grants it.
    pub trust: TokenTrust,
}

/// A conference that can be joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Connector {
    /// What rules name it by.
    #[schema(min_length = 1, max_length = 64)]
    pub name: String,
    /// How it speaks.
    pub kind: Speaks,
    /// Where it is: an absolute https URL.
    pub url: String,
    /// PEM file of the authorities its certificate is checked against; the public ones if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// PEM file of the key that signs what is shown to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_key_file: Option<String>,
}

/// A system that rules send calls or media through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExternalSystem {
    /// What rules name it by.
    #[schema(min_length = 1, max_length = 64)]
    pub name: String,
    /// Its host and perhaps a port.
    pub address: String,
}

/// Where callers are, by their addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NamedLocation {
    /// What rules name it by.
    #[schema(min_length = 1, max_length = 64)]
    pub name: String,
    /// Its networks: `10.1.0.0/16`.
    pub networks: Vec<String>,
}

/// A device that may register. Its password is written and never read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegistrarDevice {
    /// What it is dialled by: `room@meet.example.com`.
    #[schema(min_length = 1, max_length = 64)]
    pub alias: String,
    /// The user name of its digest; the alias before the `@` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 64)]
    pub user: Option<String>,
    /// The password of its digest. Never shown again; left out in a change, it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(write_only, min_length = 1, max_length = 4096)]
    pub password: Option<String>,
}

/// Somebody whom rooms can look up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PhonebookEntry {
    /// What rooms show; unique within its group.
    #[schema(min_length = 1, max_length = 64)]
    pub name: String,
    /// The group it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 64)]
    pub group: Option<String>,
    /// What else is to be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1000)]
    pub description: Option<String>,
    /// What it is dialled by, the first above all: `sip:board@meet.example.com`, `h323:board`, `+49 30 1234`.
    #[schema(min_items = 1, max_items = 8)]
    pub aliases: Vec<String>,
    /// Words it is found by, which are not shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
}

/// Pictures and voices of one's own for the prompts that callers see and hear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Theme {
    /// What rules and receptions name it by.
    #[schema(min_length = 1, max_length = 64)]
    pub name: String,
    /// A folder on the box with files of its own: `<prompt>.png`, `<prompt>.wav`. What is uploaded comes before them; a prompt that has neither keeps the built-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
}

/// What was keyed, as a reception looks at it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyedMatch {
    /// Matches all that was keyed before `#`; up to 32 digits if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1000)]
    pub regex: Option<String>,
}

/// A Virtual Reception: it answers a call to a general alias, asks for the meeting id, and dials what was keyed by the rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VirtualReception {
    /// What it is called.
    #[schema(min_length = 1, max_length = 64)]
    pub name: String,
    /// What is dialled to reach it: `gmeet@example.com`; without a domain, at each of the gateway's.
    #[schema(min_items = 1, max_items = 64)]
    pub aliases: Vec<String>,
    /// What is dialled of what was keyed: `\1@meet.example.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1000)]
    pub replace: Option<String>,
    /// Wrong entries before it says goodbye; 3 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 10)]
    pub tries: Option<i64>,
    /// Longest wait for the first key: `20s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_key: Option<String>,
    /// A longer pause ends the entry as `#` does: `10s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_key: Option<String>,
    /// Whether media with the caller are encrypted; as in the SIP settings if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<MediaEncryption>,
    /// The theme of what the caller sees and hears.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 64)]
    pub theme: Option<String>,
    /// What was keyed.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "match")]
    pub matches: Option<KeyedMatch>,
}

/// What a meeting processing rule looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MeetingRuleType {
    /// The code of a Meet link, dialled at a guest domain.
    GoogleMeetSipGuestJoin,
    /// A `sip:` or `sips:` URI.
    SipUri,
    /// An address at a domain, whether `sip:` stands before it or not.
    Domain,
    /// What a regex finds, replaced as in a Call Routing Rule.
    Regex,
    /// What a regex with named groups finds, put into a template.
    Custom,
}

/// A meeting processing rule. The first that finds an alias in an invitation, lowest priority first, gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MeetingProcessingRule {
    /// What the dry run names it by.
    #[schema(min_length = 1, max_length = 64)]
    pub name: String,
    /// The lowest is asked first.
    #[schema(minimum = 1, maximum = 200)]
    pub priority: i64,
    /// Whether it is asked; it is if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// What it looks for. Which of the fields below there are follows from it.
    #[serde(rename = "type")]
    pub kind: MeetingRuleType,
    /// Of a Meet link: the guest domain; of a domain: which; of a `sip:` URI: at which alone, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 253)]
    pub domain: Option<String>,
    /// Of a regex and a custom rule: looked for anywhere in the invitation's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 250)]
    pub regex: Option<String>,
    /// Of a regex: what is dialled, with `\1` or `\g<name>` for its groups; what was found if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 250)]
    pub replace: Option<String>,
    /// Of all but a regex: what is dialled, such as `${code}@${domain}`, `${user}@${host}`, `${id:digits}@rooms.example.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 250)]
    pub template: Option<String>,
}

/// What an alarm receiver is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReceiverKind {
    /// A log server (RFC 5424).
    Syslog,
    /// A station for SNMP.
    Snmp,
    /// An https URL that alarms are posted to.
    Webhook,
}

/// Whom alarms are told to. Which fields there are follows from its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AlarmReceiver {
    /// What it is called.
    #[schema(min_length = 1, max_length = 64)]
    pub name: String,
    /// What it is.
    pub kind: ReceiverKind,
    /// The least level told: `warning` (the usual), `minor`, `major`, `critical`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<String>,
    /// Of syslog and SNMP: its host and perhaps a port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Of syslog: `udp` (the usual) or `tls` (RFC 5425).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// Of syslog under TLS and of webhooks: PEM file of authorities beside the public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Of SNMP: `v3` (the usual) or `v2c`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Of SNMP v2c. Never shown again; left out in a change, it stays; empty, it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(write_only)]
    pub community: Option<String>,
    /// Of SNMP v3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Of SNMP v3: `sha-256` (the usual) or `sha-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<String>,
    /// Of SNMP v3: what authenticates. Never shown again; left out in a change, it stays; empty, it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(write_only)]
    pub auth_password: Option<String>,
    /// Of SNMP v3: what encrypts. Never shown again; left out in a change, it stays; empty, it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(write_only)]
    pub privacy_password: Option<String>,
    /// Of webhooks: where to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Of webhooks: signs each post. Never shown again; left out in a change, it stays; empty, it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(write_only)]
    pub secret: Option<String>,
}
