//! A session description as types: what RFC 8866 lines and the attributes this gateway speaks say.

use crate::payload::Payload;
use base::{MediaKind, Secret};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A whole session description. What the session says for all its media is already said in each [`Media`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionDescription {
    /// `o=`.
    pub origin: Origin,
    /// `s=`.
    pub name: String,
    /// `b=` of the session.
    pub bandwidth: Bandwidth,
    /// The `m=` sections in order, at most [`limits::SDP_MEDIA`](base::limits::SDP_MEDIA).
    pub media: Vec<Media>,
}

/// `o=`, who made the description and which version it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Session id, a number as text because some peers' do not fit 64 bits.
    pub id: String,
    /// Goes up by one with each change.
    pub version: u64,
    /// Where it was made.
    pub addr: IpAddr,
}

impl Default for Origin {
    fn default() -> Self {
        Self { id: "0".to_owned(), version: 0, addr: IpAddr::V4(Ipv4Addr::UNSPECIFIED) }
    }
}

/// One `m=` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// `audio`, `video`, `application`, or anything.
    pub name: String,
    /// Where the writer wants RTP; 0 says the stream is off.
    pub port: u16,
    /// Transport.
    pub proto: Proto,
    /// The format list as written.
    pub fmt: String,
    /// The same as RTP payload types, best first; empty for other transports. At most
    /// [`limits::SDP_FORMATS`](base::limits::SDP_FORMATS).
    pub formats: Vec<Format>,
    /// `c=`, its own or the session's; `None` if there is none or it is a host name.
    pub addr: Option<IpAddr>,
    /// `a=rtcp` (RFC 3605).
    pub rtcp: Option<Rtcp>,
    /// `a=rtcp-mux` (RFC 5761).
    pub rtcp_mux: bool,
    /// `a=sendrecv` and its kin, seen from the writer.
    pub direction: Direction,
    /// Values of `a=crypto` (RFC 4568), best first.
    pub crypto: Vec<Secret<String>>,
    /// `b=`.
    pub bandwidth: Bandwidth,
    /// `a=ptime` in milliseconds.
    pub ptime: Option<u32>,
    /// `a=maxptime` in milliseconds.
    pub max_ptime: Option<u32>,
    /// `a=content` (RFC 4796), first value, lower case.
    pub content: Option<String>,
    /// `a=label` (RFC 4574).
    pub label: Option<String>,
}

/// Transport of an `m=` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proto {
    /// RTP without encryption (RFC 3551).
    RtpAvp,
    /// The same with early feedback (RFC 4585).
    RtpAvpf,
    /// RTP with encryption (RFC 3711).
    RtpSavp,
    /// Both (RFC 5124).
    RtpSavpf,
    /// Anything else: `UDP/BFCP`, `UDP/TLS/RTP/SAVPF`, `udptl`.
    Other(String),
}

/// `a=rtcp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rtcp {
    /// Port.
    pub port: u16,
    /// Address, if it differs from RTP's.
    pub addr: Option<IpAddr>,
}

/// Which way a stream flows, seen from whoever wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// From the writer only; also how a peer holds us.
    SendOnly,
    /// To the writer only.
    RecvOnly,
    /// Neither.
    Inactive,
}

/// `b=` lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bandwidth {
    /// `AS`, or `CT` of a session: kbit/s with IP, UDP and RTP headers.
    pub as_kbps: Option<u64>,
    /// `TIAS` (RFC 3890): bit/s without headers.
    pub tias_bps: Option<u64>,
}

/// One RTP payload type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    /// Its number, 0-127.
    pub pt: u8,
    /// What it is.
    pub payload: Payload,
    /// Encoding name as written; empty for a static type without `a=rtpmap` that is none of ours.
    pub name: String,
    /// RTP clock in Hz.
    pub clock: u32,
    /// Channels, where written.
    pub channels: Option<u8>,
    /// Value of `a=fmtp` as written.
    pub fmtp: Option<String>,
    /// `a=rtcp-fb` of it and of `*`.
    pub feedback: Feedback,
}

/// What a receiver may send back by RTCP (RFC 4585, 5104).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Feedback {
    /// `nack`: lost packets are named.
    pub nack: bool,
    /// `nack pli`: a picture was lost.
    pub pli: bool,
    /// `ccm fir`: a picture that stands alone is wanted.
    pub fir: bool,
    /// `ccm tmmbr`: the rate is to be limited.
    pub tmmbr: bool,
    /// `goog-remb`: the rate the receiver estimates.
    pub remb: bool,
}

impl Media {
    /// A section with RTP `formats`; everything else is empty.
    #[must_use]
    pub fn rtp(name: &str, port: u16, proto: Proto, formats: Vec<Format>) -> Self {
        let numbers: Vec<String> = formats.iter().map(|format| format.pt.to_string()).collect();
        Self { formats, ..Self::bare(name, port, proto, numbers.join(" ")) }
    }

    /// The answer that declines `self`, keeping its place, transport and formats (RFC 3264 6).
    #[must_use]
    pub fn declined(&self) -> Self {
        Self::bare(&self.name, 0, self.proto.clone(), self.fmt.clone())
    }

    pub(crate) fn bare(name: &str, port: u16, proto: Proto, fmt: String) -> Self {
        Self {
            name: name.to_owned(),
            port,
            proto,
            fmt,
            formats: Vec::new(),
            addr: None,
            rtcp: None,
            rtcp_mux: false,
            direction: Direction::SendRecv,
            crypto: Vec::new(),
            bandwidth: Bandwidth::default(),
            ptime: None,
            max_ptime: None,
            content: None,
            label: None,
        }
    }

    /// Sound, people or content; `None` for what is no such thing.
    #[must_use]
    pub fn kind(&self) -> Option<MediaKind> {
        match (&*self.name.to_ascii_lowercase(), self.content.as_deref()) {
            ("audio", _) => Some(MediaKind::Audio),
            ("video", None | Some("main" | "speaker")) => Some(MediaKind::Video),
            ("video", Some(_)) => Some(MediaKind::Content),
            _ => None,
        }
    }

    /// It is put on hold the old way, by an address of zeros (RFC 2543, RFC 3264 8.4).
    #[must_use]
    pub fn on_zero_address(&self) -> bool {
        self.addr.is_some_and(|addr| addr.is_unspecified())
    }

    /// Where its RTP is to be sent, if it can be told, is wanted, and is one host: media for many is not spoken here,
    /// and a broadcast would be a weapon.
    #[must_use]
    pub fn rtp_addr(&self) -> Option<SocketAddr> {
        let addr = self.addr.filter(is_one_host)?;
        (self.port != 0).then(|| SocketAddr::new(addr, self.port))
    }

    /// Where its RTCP is to be sent: `a=rtcp`, or the port after RTP's (RFC 3550 11).
    #[must_use]
    pub fn rtcp_addr(&self) -> Option<SocketAddr> {
        let rtp = self.rtp_addr()?;
        match self.rtcp {
            Some(Rtcp { port, addr }) if port != 0 => {
                Some(SocketAddr::new(addr.filter(is_one_host).unwrap_or(rtp.ip()), port))
            }
            _ => Some(SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?)),
        }
    }
}

impl Format {
    /// A format of ours, spelled as its RFC spells it.
    #[must_use]
    pub fn new(pt: u8, payload: Payload, feedback: Feedback) -> Self {
        let (name, channels) = payload.spelling();
        let clock = payload.codec().map_or(8_000, base::Codec::rtp_clock);
        let fmtp = payload.fmtp();
        Self { pt, payload, name, clock, channels, fmtp, feedback }
    }

    /// The same with another clock, for telephone events beside a codec of that clock (RFC 4733 2.1).
    #[must_use]
    pub fn with_clock(self, clock: u32) -> Self {
        Self { clock, ..self }
    }
}

impl Feedback {
    /// What both sides have.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            nack: self.nack && other.nack,
            pli: self.pli && other.pli,
            fir: self.fir && other.fir,
            tmmbr: self.tmmbr && other.tmmbr,
            remb: self.remb && other.remb,
        }
    }
}

impl Direction {
    /// The same flow seen from the other side.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self::from_flows(self.receives(), self.sends())
    }

    /// The flow in which the viewer sends and receives as told.
    #[must_use]
    pub const fn from_flows(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// The writer sends.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// The writer receives.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The attribute's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

impl Proto {
    /// What `text` names.
    #[must_use]
    pub fn read(text: &str) -> Self {
        match &*text.to_ascii_uppercase() {
            "RTP/AVP" => Self::RtpAvp,
            "RTP/AVPF" => Self::RtpAvpf,
            "RTP/SAVP" => Self::RtpSavp,
            "RTP/SAVPF" => Self::RtpSavpf,
            _ => Self::Other(text.to_owned()),
        }
    }

    /// RTP that this gateway speaks.
    #[must_use]
    pub const fn is_rtp(&self) -> bool {
        !matches!(self, Self::Other(_))
    }

    /// Encryption is not up for choice.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        matches!(self, Self::RtpSavp | Self::RtpSavpf)
    }
}

impl fmt::Display for Proto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RtpAvp => "RTP/AVP",
            Self::RtpAvpf => "RTP/AVPF",
            Self::RtpSavp => "RTP/SAVP",
            Self::RtpSavpf => "RTP/SAVPF",
            Self::Other(text) => text,
        })
    }
}

impl Bandwidth {
    /// `bps` of media, with room for headers in `AS`.
    #[must_use]
    pub const fn of(bps: u64) -> Self {
        Self { as_kbps: Some(bps.div_ceil(1000)), tias_bps: Some(bps) }
    }

    /// Most bits per second of media, if it says; zero says nothing.
    #[must_use]
    pub fn bps(&self) -> Option<u64> {
        let kbps = self.as_kbps.map(|kbps| kbps.saturating_mul(1000));
        self.tias_bps.filter(|bps| *bps > 0).or(kbps.filter(|bps| *bps > 0))
    }
}

fn is_one_host(addr: &IpAddr) -> bool {
    let broadcast = *addr == IpAddr::V4(Ipv4Addr::BROADCAST);
    !addr.is_unspecified() && !addr.is_multicast() && !broadcast
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_seen_twice_from_the_other_side_is_itself() {
        for direction in [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive]
        {
            assert_eq!(direction.reversed().reversed(), direction);
        }
        assert_eq!(Direction::SendOnly.reversed(), Direction::RecvOnly);
    }

    #[test]
    fn rtcp_goes_to_the_next_port_unless_told_otherwise() {
        let addr = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let mut media = Media { addr, ..Media::bare("audio", 4000, Proto::RtpAvp, "0".into()) };
        assert_eq!(media.rtcp_addr(), Some("127.0.0.1:4001".parse().unwrap()));
        media.rtcp = Some(Rtcp { port: 9, addr: Some("10.0.0.1".parse().unwrap()) });
        assert_eq!(media.rtcp_addr(), Some("10.0.0.1:9".parse().unwrap()));
        media.port = 65_535;
        media.rtcp = None;
        assert_eq!(media.rtcp_addr(), None);
    }

    #[test]
    fn nothing_is_sent_to_many() {
        for many in ["224.2.1.1", "255.255.255.255", "ff02::1", "0.0.0.0", "::"] {
            let addr = Some(many.parse().unwrap());
            let media = Media { addr, ..Media::bare("audio", 4000, Proto::RtpAvp, "0".into()) };
            assert_eq!((media.rtp_addr(), media.rtcp_addr()), (None, None), "{many}");
        }
    }

    #[test]
    fn bandwidth_of_zero_says_nothing() {
        assert_eq!(Bandwidth { as_kbps: Some(0), tias_bps: None }.bps(), None);
        assert_eq!(Bandwidth { as_kbps: Some(512), tias_bps: Some(0) }.bps(), Some(512_000));
        assert_eq!(Bandwidth { as_kbps: Some(512), tias_bps: Some(500_000) }.bps(), Some(500_000));
    }
}
