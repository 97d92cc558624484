//! The offer/answer machine (RFC 3264, RFC 6337): what we can do and what the peer says give what both do.
//!
//! ```text
//!            answer()                        take_answer(), withdraw()
//!          ┌────────┐                       ┌────────────────────────┐
//!          ▼        │                       ▼                        │
//!  ──────▶ Stable ──┘         offer() ── Stable ──────────────▶ Offered (answer() is refused: glare)
//! ```
//! One line of each kind carries the call: the first acceptable one, an encrypted one before a plain one where
//! encryption is wanted. All others, and what is no RTP, are answered with port 0 in their place.

mod accept;
mod keys;
mod propose;
mod stream;

pub use keys::{Crypto, Keys, NoKeys};
pub use stream::{Dtmf, Negotiated, Stream};

use crate::description::{Media, Origin, SessionDescription};
use base::{Codec, MediaKind, Size};
use std::net::{IpAddr, SocketAddr};

/// What the gateway can do, and how it prefers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Sound codecs, best first; empty for a call without sound.
    pub audio: Vec<Codec>,
    /// Picture codecs, best first; empty for a call without picture.
    pub video: Vec<Codec>,
    /// Whether media is encrypted.
    pub encryption: Encryption,
    /// Most bits per second of sound, where the codec leaves a choice.
    pub audio_bps: u64,
    /// Most bits per second of picture, each way.
    pub video_bps: u64,
    /// Largest picture, each way.
    pub max_size: Size,
    /// Most pictures per second, each way.
    pub max_fps: u32,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            audio: vec![Codec::Opus, Codec::G722, Codec::Pcma, Codec::Pcmu],
            video: vec![Codec::H264, Codec::Vp8],
            encryption: Encryption::BestEffort,
            audio_bps: 64_000,
            video_bps: 2_000_000,
            max_size: Size::HD720,
            max_fps: 30,
        }
    }
}

/// Policy of media encryption (P4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Encryption {
    /// Never.
    Off,
    /// Always; a line without is declined.
    On,
    /// Where the peer has it. Our own offers say RTP/AVP with `a=crypto`, which a peer without it ignores.
    #[default]
    BestEffort,
}

/// Where we receive, as the peer shall see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    /// Sound.
    pub audio: LocalPorts,
    /// Picture.
    pub video: LocalPorts,
}

/// The two addresses of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalPorts {
    /// RTP.
    pub rtp: SocketAddr,
    /// RTCP, if not multiplexed.
    pub rtcp: SocketAddr,
}

/// Why there is no agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No line holds a format we have.
    #[error("no codec in common; allow one of the peer's in the rule")]
    Codec,
    /// Encryption is a must here and missing there, or the other way round.
    #[error("no encryption in common; set media encryption to best effort")]
    Encryption,
    /// IPv4 here and IPv6 there, or the other way round.
    #[error("no address family in common; give the box an address of the peer's family")]
    AddressFamily,
    /// No line of sound or picture is on.
    #[error("no sound and no picture offered")]
    NoMedia,
    /// Our own offer is under way.
    #[error("an offer of ours is not answered yet")]
    OfferPending,
    /// An answer to nothing.
    #[error("an answer without an offer")]
    NoOffer,
}

/// One session's offers and answers, for both roles.
#[derive(Debug)]
pub struct Negotiator {
    caps: Capabilities,
    local: Local,
    origin: Origin,
    sent: Option<SessionDescription>,
    pending: Option<SessionDescription>,
    /// What each side last said: ours for its place and numbers, theirs for its numbers.
    agreed: Option<(SessionDescription, SessionDescription)>,
}

impl Negotiator {
    /// A session of `session_id`, which must differ between sessions of one box (RFC 8866 5.2).
    #[must_use]
    pub fn new(caps: Capabilities, local: Local, session_id: u64) -> Self {
        // Some peers read the id as a signed 32 or 64 bit number.
        let id = (session_id >> 2).to_string();
        let origin = Origin { id, version: 1, addr: local.audio.rtp.ip() };
        Self { caps, local, origin, sent: None, pending: None, agreed: None }
    }

    /// Answers `offer`: the description to send back, and what it means.
    ///
    /// # Errors
    /// [`Refusal`] if no line can be accepted; the session then stands as before.
    pub fn answer(
        &mut self,
        offer: &SessionDescription,
        keys: &mut impl Keys,
    ) -> Result<(SessionDescription, Negotiated), Refusal> {
        if self.pending.is_some() {
            return Err(Refusal::OfferPending);
        }
        let mut media: Vec<Media> = offer.media.iter().map(Media::declined).collect();
        let mut negotiated = Negotiated::default();
        let mut refusal = Refusal::NoMedia;
        for kind in [MediaKind::Audio, MediaKind::Video] {
            match self.first_acceptable(offer, kind, keys) {
                Ok((answer, stream)) => {
                    if let Some(place) = media.get_mut(stream.line) {
                        *place = answer;
                    }
                    negotiated.put(stream);
                }
                Err(Refusal::NoMedia) => {}
                Err(why) if refusal == Refusal::NoMedia => refusal = why,
                Err(_) => {}
            }
        }
        if negotiated.is_empty() {
            return Err(refusal);
        }
        let answer = self.stamped(media);
        self.agreed = Some((answer.clone(), offer.clone()));
        Ok((answer, negotiated))
    }

    /// Offers all we can do, each line in the place it has. Until it is answered or withdrawn nothing else can be
    /// offered or answered.
    ///
    /// # Errors
    /// [`Refusal::OfferPending`] if one is under way.
    pub fn offer(&mut self, keys: &mut impl Keys) -> Result<SessionDescription, Refusal> {
        if self.pending.is_some() {
            return Err(Refusal::OfferPending);
        }
        let media = self.propose(keys);
        let offer = self.stamped(media);
        self.pending = Some(offer.clone());
        Ok(offer)
    }

    /// Takes the peer's answer to our offer.
    ///
    /// # Errors
    /// [`Refusal`] if it accepts nothing that we can do, or there was no offer. The offer is over either way.
    pub fn take_answer(&mut self, answer: &SessionDescription) -> Result<Negotiated, Refusal> {
        let offer = self.pending.take().ok_or(Refusal::NoOffer)?;
        let negotiated = self.settle(&offer, answer)?;
        self.agreed = Some((offer, answer.clone()));
        Ok(negotiated)
    }

    /// The peer refused our offer; the session stands as before.
    pub fn withdraw(&mut self) {
        self.pending = None;
    }

    fn ports(&self, kind: MediaKind) -> LocalPorts {
        match kind {
            MediaKind::Audio => self.local.audio,
            MediaKind::Video | MediaKind::Content => self.local.video,
        }
    }

    fn codecs(&self, kind: MediaKind) -> &[Codec] {
        match kind {
            MediaKind::Audio => &self.caps.audio,
            MediaKind::Video => &self.caps.video,
            MediaKind::Content => &[],
        }
    }

    fn bps(&self, kind: MediaKind) -> u64 {
        match kind {
            MediaKind::Audio => self.caps.audio_bps,
            MediaKind::Video | MediaKind::Content => self.caps.video_bps,
        }
    }

    /// The description of `media`, its version one higher than the last if anything changed (RFC 3264 8).
    fn stamped(&mut self, media: Vec<Media>) -> SessionDescription {
        let unchanged = self.sent.as_ref().is_none_or(|sent| sent.media == media);
        if !unchanged {
            self.origin.version += 1;
        }
        let bandwidth = crate::Bandwidth::default();
        let made = SessionDescription { origin: self.origin.clone(), name: "-".to_owned(), bandwidth, media };
        self.sent = Some(made.clone());
        made
    }
}

/// Whether the peer's `theirs` and our `ours` can reach each other.
fn same_family(theirs: Option<IpAddr>, ours: SocketAddr) -> bool {
    theirs.is_none_or(|theirs| theirs.is_unspecified() || theirs.is_ipv4() == ours.is_ipv4())
}
