//! What a payload format is, from its `a=rtpmap` and `a=fmtp` (RFC 3551, 4733, 6184, 7587, 7741).

use crate::h264::H264Params;
use crate::picture::PictureLimits;
use base::Codec;

/// A payload format that is known here, with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// RFC 6184.
    H264(H264Params),
    /// RFC 7741.
    Vp8(Vp8Params),
    /// RFC 7587.
    Opus(OpusParams),
    /// RFC 3551 4.5.2.
    G722,
    /// RFC 3551 4.5.14, A-law.
    Pcma,
    /// RFC 3551 4.5.14, µ-law.
    Pcmu,
    /// RFC 4733 named events.
    TelephoneEvent,
    /// Something else: G.719, SIREN, H.263, comfort noise.
    Other,
}

/// What a VP8 receiver declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Vp8Params {
    /// Macroblocks per picture.
    pub max_fs: Option<u32>,
    /// Pictures per second.
    pub max_fr: Option<u32>,
}

/// What an Opus receiver declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpusParams {
    /// It would rather have stereo.
    pub stereo: bool,
    /// It makes use of in-band error correction.
    pub in_band_fec: bool,
    /// Most bits per second.
    pub max_average_bitrate: Option<u32>,
    /// Highest sampling rate it can play, in Hz.
    pub max_playback_rate: Option<u32>,
}

impl Payload {
    /// What `name/clock/channels` with this `fmtp` is.
    #[must_use]
    pub fn read(name: &str, clock: u32, channels: Option<u8>, fmtp: &str) -> Self {
        let mono = matches!(channels, None | Some(1));
        match (&*name.to_ascii_lowercase(), clock) {
            ("h264", 90_000) => Self::H264(H264Params::read(fmtp)),
            ("vp8", 90_000) => Self::Vp8(Vp8Params::read(fmtp)),
            ("opus", 48_000) => Self::Opus(OpusParams::read(fmtp)),
            // 8000 is RFC 3551's historical error; some peers correct it.
            ("g722", 8_000 | 16_000) if mono => Self::G722,
            ("pcma", 8_000) if mono => Self::Pcma,
            ("pcmu", 8_000) if mono => Self::Pcmu,
            ("telephone-event", 1..) => Self::TelephoneEvent,
            _ => Self::Other,
        }
    }

    /// The codec, if it carries sound or pictures we know.
    #[must_use]
    pub const fn codec(&self) -> Option<Codec> {
        match self {
            Self::H264(_) => Some(Codec::H264),
            Self::Vp8(_) => Some(Codec::Vp8),
            Self::Opus(_) => Some(Codec::Opus),
            Self::G722 => Some(Codec::G722),
            Self::Pcma => Some(Codec::Pcma),
            Self::Pcmu => Some(Codec::Pcmu),
            Self::TelephoneEvent | Self::Other => None,
        }
    }

    /// Name and channels as `a=rtpmap` spells them.
    pub(crate) fn spelling(&self) -> (String, Option<u8>) {
        match self {
            Self::Opus(_) => ("opus".to_owned(), Some(2)),
            Self::TelephoneEvent => ("telephone-event".to_owned(), None),
            other => (other.codec().map(|codec| codec.to_string()).unwrap_or_default(), None),
        }
    }

    /// The value of `a=fmtp`, if it needs one.
    pub(crate) fn fmtp(&self) -> Option<String> {
        match self {
            Self::H264(params) => Some(params.to_string()),
            Self::Vp8(params) => params.write(),
            Self::Opus(params) => params.write(),
            Self::TelephoneEvent => Some("0-15".to_owned()),
            Self::G722 | Self::Pcma | Self::Pcmu | Self::Other => None,
        }
    }
}

impl Vp8Params {
    fn read(fmtp: &str) -> Self {
        let mut read = Self::default();
        for (key, value) in params(fmtp) {
            match &*key.to_ascii_lowercase() {
                "max-fs" => read.max_fs = number(value),
                "max-fr" => read.max_fr = number(value),
                _ => {}
            }
        }
        read
    }

    fn write(self) -> Option<String> {
        let fs = self.max_fs.map(|value| format!("max-fs={value}"));
        let fr = self.max_fr.map(|value| format!("max-fr={value}"));
        joined([fs, fr])
    }

    /// What its receiver decodes.
    #[must_use]
    pub fn picture_limits(&self) -> PictureLimits {
        PictureLimits {
            max_fs: self.max_fs.unwrap_or(u32::MAX),
            max_mbps: u32::MAX,
            max_fps: self.max_fr.unwrap_or(u32::MAX),
        }
    }
}

impl OpusParams {
    fn read(fmtp: &str) -> Self {
        let mut read = Self::default();
        for (key, value) in params(fmtp) {
            match &*key.to_ascii_lowercase() {
                "stereo" => read.stereo = value == "1",
                "useinbandfec" => read.in_band_fec = value == "1",
                "maxaveragebitrate" => read.max_average_bitrate = number(value),
                "maxplaybackrate" => read.max_playback_rate = number(value),
                _ => {}
            }
        }
        read
    }

    fn write(self) -> Option<String> {
        let flag = |set: bool, text: &str| set.then(|| text.to_owned());
        joined([
            flag(self.stereo, "stereo=1"),
            flag(self.in_band_fec, "useinbandfec=1"),
            self.max_average_bitrate.map(|value| format!("maxaveragebitrate={value}")),
            self.max_playback_rate.map(|value| format!("maxplaybackrate={value}")),
        ])
    }
}

/// The `key=value` pairs of a format's parameters; a key alone has the value "".
pub(crate) fn params(fmtp: &str) -> impl Iterator<Item = (&str, &str)> {
    fmtp.split(';').map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key.trim(), value.trim())
    })
}

pub(crate) fn number(text: &str) -> Option<u32> {
    text.parse().ok()
}

fn joined<const N: usize>(parts: [Option<String>; N]) -> Option<String> {
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(";"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoding_names_are_read_without_regard_to_case() {
        assert_eq!(Payload::read("pcmu", 8_000, None, ""), Payload::Pcmu);
        assert_eq!(Payload::read("PCMA", 8_000, Some(1), ""), Payload::Pcma);
        assert_eq!(Payload::read("OPUS", 48_000, Some(2), "").codec(), Some(Codec::Opus));
        assert_eq!(Payload::read("G722", 16_000, None, ""), Payload::G722);
    }

    #[test]
    fn what_sounds_like_ours_but_is_not_is_other() {
        assert_eq!(Payload::read("G7221", 32_000, None, ""), Payload::Other);
        assert_eq!(Payload::read("PCMU", 16_000, None, ""), Payload::Other);
        assert_eq!(Payload::read("PCMA", 8_000, Some(2), ""), Payload::Other);
        assert_eq!(Payload::read("H264", 8_000, None, ""), Payload::Other);
    }

    #[test]
    fn opus_parameters_are_read_and_written_back() {
        let text = "stereo=1;useinbandfec=1;maxaveragebitrate=40000;maxplaybackrate=16000";
        let Payload::Opus(params) = Payload::read("opus", 48_000, Some(2), text) else { panic!("not opus") };
        assert_eq!(Payload::Opus(params).fmtp().as_deref(), Some(text));
        assert_eq!(Payload::Opus(OpusParams::default()).fmtp(), None);
    }
}
