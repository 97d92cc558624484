//! What a leg is made with.

use base::{Codec, Size, limits};
use sdp::{Capabilities, Encryption, Local, LocalPorts};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// What a leg is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What the call may use; until it is accepted the rule it is routed by may give another
    /// ([`Leg::set_policy`](super::Leg::set_policy)).
    pub policy: Policy,
    /// The address peers are told to send media to: the box's own, or the public one in front of it.
    pub advertised: IpAddr,
    /// The leg's media sockets: sound RTP and RTCP, picture RTP and RTCP. Only the ports are told to the peer.
    pub sockets: [SocketAddr; 4],
    /// Longest silence of all media, while some is expected, before the call is given up.
    pub silence: Duration,
    /// RTCP's canonical name (RFC 3550 6.5.1), the same for sound and picture; a random one says least.
    pub cname: String,
}

/// What a rule allows a call (P4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Media encryption.
    pub encryption: Encryption,
    /// Sound codecs, best first.
    pub audio: Vec<Codec>,
    /// Picture codecs, best first; empty for a call of type audio.
    pub video: Vec<Codec>,
    /// Most bits per second each way, sound and picture.
    pub max_bps: u64,
    /// Largest picture each way.
    pub max_size: Size,
    /// Most pictures per second each way.
    pub max_fps: u32,
}

impl Default for Policy {
    fn default() -> Self {
        let Capabilities { audio, video, encryption, audio_bps, video_bps, max_size, max_fps } =
            Capabilities::default();
        Self { encryption, audio, video, max_bps: audio_bps + video_bps, max_size, max_fps }
    }
}

impl Config {
    /// A configuration with everything but the addresses and the name at its default.
    #[must_use]
    pub fn new(advertised: IpAddr, sockets: [SocketAddr; 4], cname: String) -> Self {
        Self { policy: Policy::default(), advertised, sockets, silence: limits::MEDIA_SILENCE, cname }
    }

    pub(super) fn capabilities(&self) -> Capabilities {
        let policy = &self.policy;
        let audio_bps = Capabilities::default().audio_bps.min(policy.max_bps);
        Capabilities {
            audio: policy.audio.clone(),
            video: policy.video.clone(),
            encryption: policy.encryption,
            audio_bps,
            video_bps: policy.max_bps.saturating_sub(audio_bps).max(MIN_VIDEO_BPS),
            max_size: policy.max_size,
            max_fps: policy.max_fps,
        }
    }

    pub(super) fn local(&self) -> Local {
        let [audio_rtp, audio_rtcp, video_rtp, video_rtcp] =
            self.sockets.map(|socket| SocketAddr::new(self.advertised, socket.port()));
        Local {
            audio: LocalPorts { rtp: audio_rtp, rtcp: audio_rtcp },
            video: LocalPorts { rtp: video_rtp, rtcp: video_rtcp },
        }
    }
}

/// Below this no picture is worth its name.
const MIN_VIDEO_BPS: u64 = 64_000;
