//! The sorts of resources: where each is kept, what of a configuration file it is, and which of its fields are secret.

use super::resource::{
    AccessToken, AlarmReceiver, CallRoutingRule, Connector, ExternalSystem, MeetingProcessingRule,
    NamedLocation, PhonebookEntry, RegistrarDevice, Theme, VirtualReception,
};
use super::settings::{
    AdminSettings, DefenceSettings, GatewaySettings, LogSettings, MediaSettings, OneTouchJoinSettings,
    PhonebookSettings, SignallingSettings, SipSettings,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The collection of the settings there is one of each.
pub const SETTINGS: &str = "settings";

/// A sort of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The gateway itself.
    Gateway,
    /// Signalling with SIP callers.
    Sip,
    /// Media.
    Media,
    /// Connections of the box's own.
    Signalling,
    /// The administration by HTTPS.
    Admin,
    /// How rooms look others up.
    Phonebook,
    /// The defence against break-ins.
    Defence,
    /// What is logged.
    Log,
    /// Access tokens.
    AccessTokens,
    /// Conference connectors.
    Connectors,
    /// SIP proxies.
    SipProxies,
    /// H.323 gatekeepers.
    H323Gatekeepers,
    /// TURN servers.
    TurnServers,
    /// Locations.
    Locations,
    /// Devices that may register.
    RegistrarDevices,
    /// Whom rooms can look up.
    PhonebookEntries,
    /// Whom alarms are told to.
    AlarmReceivers,
    /// Themes: pictures and voices for prompts.
    Themes,
    /// Virtual Receptions.
    Receptions,
    /// Call Routing Rules.
    CallRoutingRules,
    /// How invitations become aliases where no rule says it.
    OneTouchJoin,
    /// Meeting processing rules.
    MeetingProcessingRules,
}

/// A body that does not look like its resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {message}")]
pub struct Misshapen {
    /// The field, such as `match.calls[0]`; empty for the body itself.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl Kind {
    /// All of them, in the order they stand in a configuration file.
    pub const ALL: [Self; 22] = [
        Self::Gateway,
        Self::Sip,
        Self::Media,
        Self::Signalling,
        Self::Admin,
        Self::Phonebook,
        Self::Defence,
        Self::Log,
        Self::AccessTokens,
        Self::Connectors,
        Self::SipProxies,
        Self::H323Gatekeepers,
        Self::TurnServers,
        Self::Locations,
        Self::RegistrarDevices,
        Self::PhonebookEntries,
        Self::AlarmReceivers,
        Self::Themes,
        Self::Receptions,
        Self::CallRoutingRules,
        Self::OneTouchJoin,
        Self::MeetingProcessingRules,
    ];

    /// The kind whose documents are `id` of `collection`.
    #[must_use]
    pub fn of(collection: &str, id: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.collection() == collection && kind.only().is_none_or(|only| only == id))
    }

    /// Where its documents are kept; also what its path is called.
    #[must_use]
    pub const fn collection(self) -> &'static str {
        match self {
            Self::AccessTokens => "access-tokens",
            Self::Connectors => "connectors",
            Self::SipProxies => "sip-proxies",
            Self::H323Gatekeepers => "h323-gatekeepers",
            Self::TurnServers => "turn-servers",
            Self::Locations => "locations",
            Self::RegistrarDevices => "registrar-devices",
            Self::PhonebookEntries => "phonebook-entries",
            Self::AlarmReceivers => "alarm-receivers",
            Self::Themes => "themes",
            Self::Receptions => "virtual-receptions",
            Self::CallRoutingRules => "call-routing-rules",
            Self::MeetingProcessingRules => "meeting-processing-rules",
            Self::Gateway
            | Self::Sip
            | Self::Media
            | Self::Signalling
            | Self::Admin
            | Self::Phonebook
            | Self::Defence
            | Self::OneTouchJoin
            | Self::Log => SETTINGS,
        }
    }

    /// The id of its document, if there is only one.
    #[must_use]
    pub const fn only(self) -> Option<&'static str> {
        match self {
            Self::Gateway => Some("gateway"),
            Self::Sip => Some("sip"),
            Self::Media => Some("media"),
            Self::Signalling => Some("signalling"),
            Self::Admin => Some("admin"),
            Self::Phonebook => Some("phonebook"),
            Self::Defence => Some("defence"),
            Self::Log => Some("log"),
            Self::OneTouchJoin => Some("one-touch-join"),
            _ => None,
        }
    }

    /// What it is called in a configuration file.
    #[must_use]
    pub const fn section(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Sip => "sip",
            Self::Media => "media",
            Self::Signalling => "signalling",
            Self::Admin => "admin",
            Self::Phonebook => "phonebook",
            Self::Defence => "defence",
            Self::Log => "log",
            Self::AccessTokens => "tokens",
            Self::Connectors => "connectors",
            Self::SipProxies | Self::H323Gatekeepers | Self::TurnServers => "systems",
            Self::Locations => "locations",
            Self::RegistrarDevices => "devices",
            Self::PhonebookEntries => "phonebook_entries",
            Self::AlarmReceivers => "notify",
            Self::Themes => "themes",
            Self::Receptions => "receptions",
            Self::CallRoutingRules => "rules",
            Self::OneTouchJoin => "otj",
            Self::MeetingProcessingRules => "otj_rules",
        }
    }

    /// What a configuration file says besides of one that shares its section.
    #[must_use]
    pub const fn mark(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::SipProxies => Some(("kind", "sip-proxy")),
            Self::H323Gatekeepers => Some(("kind", "h323-gatekeeper")),
            Self::TurnServers => Some(("kind", "turn-server")),
            _ => None,
        }
    }

    /// The id of the document that says `body`: its name, and where names are each group's own, its group before it. What ends the group
    /// stands in none ([`schema`](crate::config::schema) 2).
    #[must_use]
    pub fn id(self, body: &Value) -> Option<String> {
        let text = |field: &str| body.get(field).and_then(Value::as_str);
        let name = text(self.named_by())?;
        if self != Self::PhonebookEntries {
            return Some(name.to_owned());
        }
        let encoded = |text: &str| text.replace('%', "%25").replace('/', "%2F");
        Some(match text("group") {
            Some(group) => format!("{}/{name}", encoded(group)),
            None => encoded(name),
        })
    }

    /// The field that its document is called by.
    #[must_use]
    pub const fn named_by(self) -> &'static str {
        match self {
            Self::RegistrarDevices => "alias",
            _ => "name",
        }
    }

    /// The fields that are never shown.
    #[must_use]
    pub const fn secrets(self) -> &'static [&'static str] {
        match self {
            Self::AccessTokens => &["value"],
            Self::RegistrarDevices | Self::Phonebook => &["password"],
            Self::AlarmReceivers => &["community", "auth_password", "privacy_password", "secret"],
            _ => &[],
        }
    }

    /// `body` as a document: with its known fields alone, in their order.
    ///
    /// # Errors
    /// If it does not look like one of this kind.
    pub fn shape(self, body: &Value) -> Result<Value, Misshapen> {
        match self {
            Self::Gateway => shaped::<GatewaySettings>(body),
            Self::Sip => shaped::<SipSettings>(body),
            Self::Media => shaped::<MediaSettings>(body),
            Self::Signalling => shaped::<SignallingSettings>(body),
            Self::Admin => shaped::<AdminSettings>(body),
            Self::Phonebook => shaped::<PhonebookSettings>(body),
            Self::Defence => shaped::<DefenceSettings>(body),
            Self::Log => shaped::<LogSettings>(body),
            Self::AccessTokens => shaped::<AccessToken>(body),
            Self::Connectors => shaped::<Connector>(body),
            Self::SipProxies | Self::H323Gatekeepers | Self::TurnServers => shaped::<ExternalSystem>(body),
            Self::Locations => shaped::<NamedLocation>(body),
            Self::RegistrarDevices => shaped::<RegistrarDevice>(body),
            Self::PhonebookEntries => shaped::<PhonebookEntry>(body),
            Self::AlarmReceivers => shaped::<AlarmReceiver>(body),
            Self::Themes => shaped::<Theme>(body),
            Self::Receptions => shaped::<VirtualReception>(body),
            Self::CallRoutingRules => shaped::<CallRoutingRule>(body),
            Self::OneTouchJoin => shaped::<OneTouchJoinSettings>(body),
            Self::MeetingProcessingRules => shaped::<MeetingProcessingRule>(body),
        }
    }
}

fn shaped<T: Serialize + DeserializeOwned>(body: &Value) -> Result<Value, Misshapen> {
    let read: T = serde_path_to_error::deserialize(body).map_err(|error| Misshapen {
        field: if error.path().iter().next().is_none() { String::new() } else { error.path().to_string() },
        message: error.inner().to_string(),
    })?;
    let shaped = serde_json::to_value(read)
        .map_err(|error| Misshapen { field: String::new(), message: error.to_string() })?;
    objects(body, &shaped, "")?;
    Ok(shaped)
}

/// serde takes a list for an object's fields in their order; a resource is written with their names.
fn objects(body: &Value, shaped: &Value, field: &str) -> Result<(), Misshapen> {
    match (body, shaped) {
        (Value::Object(fields), Value::Object(known)) => known.iter().try_for_each(|(name, known)| {
            let dot = if field.is_empty() { "" } else { "." };
            fields.get(name).map_or(Ok(()), |value| objects(value, known, &format!("{field}{dot}{name}")))
        }),
        (_, Value::Object(_)) => {
            Err(Misshapen { field: field.to_owned(), message: "must be an object".to_owned() })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_list_is_no_object_however_its_items_are() {
        let rule = json!({ "name": "r", "priority": 1, "match": [null, null, null, null, null, "1@x"] });
        let misshapen = Kind::CallRoutingRules.shape(&rule).unwrap_err();
        assert_eq!(misshapen.to_string(), "match must be an object");
        assert!(Kind::Locations.shape(&json!(["a", []])).is_err());
        assert!(Kind::CallRoutingRules.shape(&json!({ "name": "r", "priority": 1, "match": {} })).is_ok());
    }

    #[test]
    fn every_kind_is_found_by_where_it_is_kept() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of(kind.collection(), kind.only().unwrap_or("any")), Some(kind));
        }
        assert_eq!(Kind::of("settings", "nothing"), None);
        assert_eq!(Kind::of("audit", "1"), None);
    }
}
