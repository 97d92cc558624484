//! The `interop` connector: our own protocol over HTTPS, WebRTC and a data channel (PROTOCOL.md in this crate).
//!
//! It is ours and documented as ours; it is not Google's gateway protocol, which is private.

mod layers;
mod leg;
mod refusal;
mod streams;
pub mod token;
pub mod wire;

pub use leg::{Figures, Leg};
pub use token::{GatewayToken, TokenError};

use crate::{ConferenceLeg, Connector, ConnectorContext};
use base::leg::{Caps, Join};
use base::{Cause, limits};
use std::time::{Duration, Instant};

/// How many m-lines receive sound: the loudest participants.
pub const AUDIO_SLOTS: u8 = 3;
/// How many m-lines receive pictures (P9).
#[allow(clippy::cast_possible_truncation, reason = "the limit is eight")]
pub const VIDEO_SLOTS: u8 = limits::CONFERENCE_VIDEOS as u8;

/// What every `interop` leg can do.
pub const CAPS: Caps = Caps {
    send_audio: true,
    send_video_layers: 3,
    recv_audios: AUDIO_SLOTS,
    recv_videos: VIDEO_SLOTS,
    content: false,
    chat: true,
    roster: true,
    lobby: true,
    dtmf_out: true,
};

/// Where the conference is and who we are to it.
#[derive(Debug, Clone)]
pub struct Config {
    /// The conference's address.
    pub base_url: BaseUrl,
    /// What the box proves itself by; without one the access token alone decides.
    pub gateway_token: Option<GatewayToken>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
}

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the answer to the join request.
    pub join: Duration,
    /// In the lobby, at most; the conference may say less.
    pub lobby: Duration,
    /// For the answer to the leave request.
    pub leave: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { join: Duration::from_secs(10), lobby: limits::LOBBY, leave: Duration::from_secs(2) }
    }
}

/// `https://host` or `https://host:port`, nothing after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(String);

/// A text is no [`BaseUrl`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("conference address {0:?} must be https://<host> or https://<host>:<port>, without a path")]
pub struct BadBaseUrl(String);

impl BaseUrl {
    /// Reads `text`; one slash at the end is taken off.
    ///
    /// # Errors
    /// [`BadBaseUrl`] if it is anything else than `https` and an authority.
    pub fn parse(text: &str) -> Result<Self, BadBaseUrl> {
        let bad = || BadBaseUrl(text.to_owned());
        let url = text.strip_suffix('/').unwrap_or(text);
        let authority = url.strip_prefix("https://").ok_or_else(bad)?;
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        if authority.is_empty() || authority.len() > 260 || !authority.chars().all(allowed) {
            return Err(bad());
        }
        Ok(Self(url.to_owned()))
    }

    /// Without a slash at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Connector for Config {
    fn caps(&self) -> Caps {
        CAPS
    }

    fn join(&self, now: Instant, join: Join, context: ConnectorContext) -> Result<ConferenceLeg, Cause> {
        Leg::new(now, self, join, context).map(|leg| ConferenceLeg::Interop(Box::new(leg)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_and_a_host_and_nothing_else() {
        assert_eq!(BaseUrl::parse("https://meet.example.com/").unwrap().as_str(), "https://meet.example.com");
        assert_eq!(
            BaseUrl::parse("https://[2001:db8::1]:8443").unwrap().as_str(),
            "https://[2001:db8::1]:8443"
        );
        for bad in
            ["http://meet.example.com", "https://", "https://a/b", "https://a?b", "https://u@a", "meet"]
        {
            assert!(BaseUrl::parse(bad).is_err(), "{bad}");
        }
    }
}
