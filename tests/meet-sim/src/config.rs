//! What a simulator is started with: addresses, meetings, tokens.

use anyhow::{Context, Result, bail};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Everything a simulator is started with. Ports of 0 are chosen by the system.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens.
    pub address: IpAddr,
    /// TCP port of the gateways' interface (HTTPS).
    pub https_port: u16,
    /// TCP port of the page and of the control interface (HTTP).
    pub http_port: u16,
    /// UDP port of all media.
    pub udp_port: u16,
    /// What those in a meeting are told of where media go, if they reach it by another address than it listens at.
    pub media_address: Option<IpAddr>,
    /// Names beside the address that its certificate is good for.
    pub names: Vec<String>,
    /// The meetings it knows.
    pub meetings: Vec<MeetingConfig>,
    /// The access tokens it takes.
    pub tokens: Vec<TokenConfig>,
    /// What gateways' JWTs are checked with; without it they are not looked at.
    pub gateways: Option<GatewayTrust>,
    /// How long somebody waits in the lobby before being turned away.
    pub lobby: Duration,
    /// How long a connection may be silent before it is taken as lost.
    pub consent: Duration,
}

/// Whose JWTs are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GatewayTrust {
    /// Those of one public key (PEM, EC or RSA).
    Key(String),
    /// Those that bring a chain to this root (PEM).
    Authority(String),
}

/// One meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeetingConfig {
    /// The number that is dialled.
    pub id: String,
    /// Its PIN, if it has one.
    pub pin: Option<String>,
    /// Shown to people.
    pub title: String,
    /// Most participants.
    pub capacity: usize,
    /// Whether gateways may join (W4).
    pub interop: bool,
    /// Whether the host keeps everybody's video off (W5).
    pub video_lock: bool,
}

/// One access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenConfig {
    /// Whose it is.
    pub name: String,
    /// What the gateway sends.
    pub value: String,
    /// Whether its callers join at once or wait in the lobby (W1).
    pub trust: Trust,
}

/// How far the organisation trusts a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trust {
    /// Joins at once.
    Trusted,
    /// Waits in the lobby until somebody admits it.
    Untrusted,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            https_port: 0,
            http_port: 0,
            udp_port: 0,
            media_address: None,
            names: Vec::new(),
            meetings: Vec::new(),
            tokens: Vec::new(),
            gateways: None,
            lobby: Duration::from_secs(30),
            consent: Duration::from_secs(30),
        }
    }
}

impl MeetingConfig {
    /// A meeting `id` with room for fifty, open to gateways.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            pin: None,
            title: format!("Meeting {id}"),
            capacity: 50,
            interop: true,
            video_lock: false,
        }
    }

    /// The same with a PIN.
    #[must_use]
    pub fn with_pin(mut self, pin: &str) -> Self {
        self.pin = Some(pin.to_owned());
        self
    }

    /// Reads `id` or `id:pin`.
    ///
    /// # Errors
    /// If the id is not made of digits.
    pub fn parse(text: &str) -> Result<Self> {
        let (id, pin) = text.split_once(':').map_or((text, None), |(id, pin)| (id, Some(pin)));
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_digit()) {
            bail!("meeting {text:?}: the id is not a number; write 1234567890123 or 1234567890123:pin");
        }
        let meeting = Self::new(id);
        Ok(match pin {
            Some(pin) => meeting.with_pin(pin),
            None => meeting,
        })
    }
}

impl TokenConfig {
    /// A token that joins at once.
    #[must_use]
    pub fn trusted(name: &str, value: &str) -> Self {
        Self { name: name.to_owned(), value: value.to_owned(), trust: Trust::Trusted }
    }

    /// A token whose callers wait in the lobby.
    #[must_use]
    pub fn untrusted(name: &str, value: &str) -> Self {
        Self { trust: Trust::Untrusted, ..Self::trusted(name, value) }
    }

    /// Reads `name:value:trusted` or `name:value:untrusted`.
    ///
    /// # Errors
    /// If it has another shape.
    pub fn parse(text: &str) -> Result<Self> {
        let shape = || format!("token {text:?}: write NAME:VALUE:trusted or NAME:VALUE:untrusted");
        let (name, rest) = text.split_once(':').with_context(shape)?;
        let (value, trust) = rest.rsplit_once(':').with_context(shape)?;
        match trust {
            "trusted" => Ok(Self::trusted(name, value)),
            "untrusted" => Ok(Self::untrusted(name, value)),
            _ => bail!(shape()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meetings_and_tokens_are_read_as_they_are_written_on_the_command_line() {
        let meeting = MeetingConfig::parse("1234567890123:77").unwrap();
        assert_eq!((meeting.id.as_str(), meeting.pin.as_deref()), ("1234567890123", Some("77")));
        assert_eq!(MeetingConfig::parse("1234567890123").unwrap().pin, None);
        let token = TokenConfig::parse("corp:a:b:untrusted").unwrap();
        assert_eq!(token, TokenConfig::untrusted("corp", "a:b"));
    }

    #[test]
    fn what_is_no_meeting_or_token_is_refused_with_the_shape_it_should_have() {
        for text in ["", "abc", ":1"] {
            assert!(MeetingConfig::parse(text).unwrap_err().to_string().contains("1234567890123"), "{text}");
        }
        for text in ["a", "a:b", "a:b:maybe"] {
            assert!(TokenConfig::parse(text).unwrap_err().to_string().contains("trusted"), "{text}");
        }
    }
}
