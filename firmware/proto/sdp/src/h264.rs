//! What an H.264 payload format declares (RFC 6184 8.1) and what follows from it (ITU-T H.264 annex A).

use crate::payload::{number, params};
use crate::picture::{PictureLimits, macroblocks};
use base::Size;
use std::fmt;

/// Parameters of one H.264 payload type, as its receiver declares them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct H264Params {
    /// `profile_idc`, `profile_iop` and `level_idc`; `42000A` if not declared.
    pub profile_level_id: [u8; 3],
    /// How NAL units lie in packets.
    pub packetization_mode: PacketizationMode,
    /// The level may differ by direction.
    pub level_asymmetry_allowed: bool,
    /// Macroblocks per second above the level's.
    pub max_mbps: Option<u32>,
    /// Macroblocks per picture above the level's.
    pub max_fs: Option<u32>,
    /// Bit rate above the level's, in 1000 bit/s.
    pub max_br: Option<u32>,
    /// Hundredths of pictures per second, as Cisco rooms write it (H.241 `MaxFPS`).
    pub max_fps: Option<u32>,
}

/// How NAL units lie in packets (RFC 6184 5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PacketizationMode {
    /// 0: one whole NAL unit in each packet.
    SingleNal,
    /// 1: also several (STAP-A) or a part (FU-A).
    NonInterleaved,
    /// 2, and whatever else is written: not spoken here.
    Other(u8),
}

/// Profiles by what a bit stream of theirs may hold (RFC 6184 table 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Profile {
    /// What our encoder makes; every other decoder here takes it too.
    ConstrainedBaseline,
    /// With error-resilience tools that no room uses.
    Baseline,
    /// With CABAC, B pictures, interlace.
    Main,
    /// With 8x8 transform.
    High,
    /// Anything else.
    Other,
}

impl H264Params {
    /// Reads the value of `a=fmtp` after the payload type; what is missing or broken has its default.
    #[must_use]
    pub fn read(fmtp: &str) -> Self {
        let mut read = Self::default();
        for (key, value) in params(fmtp) {
            match &*key.to_ascii_lowercase() {
                "profile-level-id" => read.profile_level_id = hex3(value).unwrap_or(DEFAULT_PROFILE_LEVEL_ID),
                "packetization-mode" => read.packetization_mode = PacketizationMode::read(value),
                "level-asymmetry-allowed" => read.level_asymmetry_allowed = value == "1",
                "max-mbps" | "max-smbps" => read.max_mbps = read.max_mbps.max(number(value)),
                "max-fs" => read.max_fs = number(value),
                "max-br" => read.max_br = number(value),
                "max-fps" => read.max_fps = number(value),
                _ => {}
            }
        }
        read
    }

    /// What we declare for receiving pictures up to `size` at `fps` and `bps`, in constrained baseline.
    #[must_use]
    pub fn receiver(size: Size, fps: u32, bps: u64, packetization_mode: PacketizationMode) -> Self {
        let level = level_for(size, fps);
        Self {
            profile_level_id: [0x42, 0xe0, level.idc],
            packetization_mode,
            level_asymmetry_allowed: true,
            ..Self::default()
        }
        .raised_to(size, fps, bps)
    }

    /// Our side of the payload type that the peer offered as `self` (RFC 6184 8.2.2): its profile and mode, and
    /// our level, which is not above the peer's unless both allow asymmetry. What the level then lacks for
    /// `size`, `fps` and `bps` is declared by `max-*`.
    #[must_use]
    pub fn answer(&self, size: Size, fps: u32, bps: u64) -> Self {
        let ours = level_for(size, fps);
        let theirs = self.level();
        let [profile, constraints, idc] = self.profile_level_id;
        let keep_theirs = !self.level_asymmetry_allowed && theirs.max_mbps < ours.max_mbps;
        let profile_level_id = match keep_theirs {
            true => [profile, constraints, idc],
            false => [profile, constraints & !LEVEL_1B, ours.idc],
        };
        Self {
            profile_level_id,
            packetization_mode: self.packetization_mode,
            level_asymmetry_allowed: self.level_asymmetry_allowed,
            ..Self::default()
        }
        .raised_to(size, fps, bps)
    }

    /// The profile.
    #[must_use]
    pub const fn profile(&self) -> Profile {
        let [profile, constraints, _] = self.profile_level_id;
        match (profile, constraints & 0x80 != 0, constraints & 0x40 != 0) {
            (0x42, _, true) | (0x4d, true, _) | (0x58, true, true) => Profile::ConstrainedBaseline,
            (0x42, _, false) | (0x58, true, false) => Profile::Baseline,
            (0x4d, false, _) => Profile::Main,
            (0x64, ..) => Profile::High,
            _ => Profile::Other,
        }
    }

    /// What its receiver decodes.
    #[must_use]
    pub fn picture_limits(&self) -> PictureLimits {
        let level = self.level();
        PictureLimits {
            max_fs: self.max_fs.unwrap_or(0).max(level.max_fs),
            max_mbps: self.max_mbps.unwrap_or(0).max(level.max_mbps),
            max_fps: self.max_fps.map_or(u32::MAX, |hundredths| (hundredths / 100).max(1)),
        }
    }

    /// The largest picture of ours that its receiver decodes, not above `cap`.
    #[must_use]
    pub fn max_size(&self, cap: Size, cap_fps: u32) -> Size {
        self.picture_limits().best(cap, cap_fps).0
    }

    /// Most bits per second its receiver takes.
    #[must_use]
    pub fn max_bps(&self) -> u64 {
        u64::from(self.max_br.unwrap_or(0).max(self.level().max_br)) * 1000
    }

    fn level(&self) -> Level {
        let [profile, constraints, idc] = self.profile_level_id;
        let one_b = (idc == 11 && constraints & LEVEL_1B != 0 && profile != 0x64) || idc == 9;
        if one_b {
            return Level { idc, ..LEVEL_1B_LIMITS };
        }
        LEVELS.iter().rev().find(|level| level.idc <= idc).copied().unwrap_or(LEVELS[0])
    }

    fn raised_to(mut self, size: Size, fps: u32, bps: u64) -> Self {
        let level = self.level();
        let above = |wanted: u32, has: u32| (wanted > has).then_some(wanted);
        self.max_fs = above(macroblocks(size), level.max_fs);
        self.max_mbps = above(macroblocks(size).saturating_mul(fps), level.max_mbps);
        self.max_br = above(u32::try_from(bps / 1000).unwrap_or(u32::MAX), level.max_br);
        self
    }
}

impl Default for H264Params {
    fn default() -> Self {
        Self {
            profile_level_id: DEFAULT_PROFILE_LEVEL_ID,
            packetization_mode: PacketizationMode::SingleNal,
            level_asymmetry_allowed: false,
            max_mbps: None,
            max_fs: None,
            max_br: None,
            max_fps: None,
        }
    }
}

/// As `a=fmtp` writes it.
impl fmt::Display for H264Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [profile, constraints, level] = self.profile_level_id;
        write!(f, "profile-level-id={profile:02x}{constraints:02x}{level:02x}")?;
        write!(f, ";packetization-mode={}", self.packetization_mode.number())?;
        if self.level_asymmetry_allowed {
            f.write_str(";level-asymmetry-allowed=1")?;
        }
        for (key, value) in [
            ("max-mbps", self.max_mbps),
            ("max-fs", self.max_fs),
            ("max-br", self.max_br),
            ("max-fps", self.max_fps),
        ] {
            if let Some(value) = value {
                write!(f, ";{key}={value}")?;
            }
        }
        Ok(())
    }
}

impl PacketizationMode {
    fn read(value: &str) -> Self {
        match value {
            "0" => Self::SingleNal,
            "1" => Self::NonInterleaved,
            _ => Self::Other(value.parse().unwrap_or(u8::MAX)),
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::SingleNal => 0,
            Self::NonInterleaved => 1,
            Self::Other(number) => number,
        }
    }
}

/// RFC 6184 8.1: baseline without constraints at level 1.
const DEFAULT_PROFILE_LEVEL_ID: [u8; 3] = [0x42, 0x00, 0x0a];
/// `constraint_set3_flag` makes level 1.1 mean level 1b (ITU-T H.264 A.3.1).
const LEVEL_1B: u8 = 0x10;

/// A row of ITU-T H.264 table A-1.
#[derive(Debug, Clone, Copy)]
struct Level {
    idc: u8,
    max_mbps: u32,
    max_fs: u32,
    max_br: u32,
}

const LEVEL_1B_LIMITS: Level = row(11, 1_485, 99, 128);

const LEVELS: [Level; 16] = [
    row(10, 1_485, 99, 64),
    row(11, 3_000, 396, 192),
    row(12, 6_000, 396, 384),
    row(13, 11_880, 396, 768),
    row(20, 11_880, 396, 2_000),
    row(21, 19_800, 792, 4_000),
    row(22, 20_250, 1_620, 4_000),
    row(30, 40_500, 1_620, 10_000),
    row(31, 108_000, 3_600, 14_000),
    row(32, 216_000, 5_120, 20_000),
    row(40, 245_760, 8_192, 20_000),
    row(41, 245_760, 8_192, 50_000),
    row(42, 522_240, 8_704, 50_000),
    row(50, 589_824, 22_080, 135_000),
    row(51, 983_040, 36_864, 240_000),
    row(52, 2_073_600, 36_864, 240_000),
];

const fn row(idc: u8, max_mbps: u32, max_fs: u32, max_br: u32) -> Level {
    Level { idc, max_mbps, max_fs, max_br }
}

/// The lowest level that carries `size` at `fps`, the highest if none does.
fn level_for(size: Size, fps: u32) -> Level {
    let fs = macroblocks(size);
    let mbps = fs.saturating_mul(fps);
    let carries = |level: &&Level| level.max_fs >= fs && level.max_mbps >= mbps;
    LEVELS.iter().find(carries).copied().unwrap_or(LEVELS[LEVELS.len() - 1])
}

fn hex3(text: &str) -> Option<[u8; 3]> {
    let well_formed = text.len() == 6 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let number = u32::from_str_radix(text, 16).ok().filter(|_| well_formed)?;
    let [_, profile, constraints, level] = number.to_be_bytes();
    Some([profile, constraints, level])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(fmtp: &str) -> H264Params {
        H264Params::read(fmtp).answer(Size::HD720, 30, 2_000_000)
    }

    #[test]
    fn a_missing_profile_level_id_means_baseline_level_1() {
        let params = H264Params::read("packetization-mode=1");
        assert_eq!(params.profile_level_id, [0x42, 0x00, 0x0a]);
        assert_eq!((params.profile(), params.max_bps()), (Profile::Baseline, 64_000));
        assert_eq!(params.max_size(Size::HD720, 30), Size::new(160, 90));
    }

    #[test]
    fn profiles_are_told_apart_by_their_constraint_flags() {
        let profile = |id: &str| H264Params::read(&format!("profile-level-id={id}")).profile();
        assert_eq!(profile("42e01f"), Profile::ConstrainedBaseline);
        assert_eq!(profile("42C01F"), Profile::ConstrainedBaseline);
        assert_eq!(profile("428014"), Profile::Baseline);
        assert_eq!(profile("42001f"), Profile::Baseline);
        assert_eq!(profile("4d0028"), Profile::Main);
        assert_eq!(profile("4d801f"), Profile::ConstrainedBaseline);
        assert_eq!(profile("640028"), Profile::High);
        assert_eq!(profile("7a0028"), Profile::Other);
    }

    #[test]
    fn max_parameters_raise_a_level_but_never_lower_it() {
        let raised = H264Params::read("profile-level-id=428014; max-mbps=108000; max-fs=3600; max-br=4000");
        assert_eq!(raised.max_size(Size::HD720, 30), Size::HD720);
        assert_eq!(raised.max_bps(), 4_000_000);
        let lowered = H264Params::read("profile-level-id=42e01f;max-fs=1;max-mbps=1;max-br=1");
        assert_eq!(lowered.max_size(Size::HD720, 30), Size::HD720);
        assert_eq!(lowered.max_bps(), 14_000_000);
    }

    #[test]
    fn ciscos_max_fps_is_in_hundredths() {
        let params = H264Params::read("profile-level-id=42801f;max-fps=1500");
        assert_eq!(params.picture_limits().best(Size::HD720, 30), (Size::HD720, 15));
    }

    #[test]
    fn level_1b_is_told_by_constraint_set3() {
        assert_eq!(H264Params::read("profile-level-id=42f00b").max_bps(), 128_000);
        assert_eq!(H264Params::read("profile-level-id=42e00b").max_bps(), 192_000);
    }

    #[test]
    fn an_answer_keeps_profile_and_mode_and_does_not_raise_the_level_without_asymmetry() {
        let ours = answer("profile-level-id=428014;packetization-mode=1");
        assert_eq!(
            ours.to_string(),
            "profile-level-id=428014;packetization-mode=1;max-mbps=108000;max-fs=3600"
        );
        let ours = answer("profile-level-id=428014;packetization-mode=1;level-asymmetry-allowed=1");
        assert_eq!(
            ours.to_string(),
            "profile-level-id=42801f;packetization-mode=1;level-asymmetry-allowed=1"
        );
        let ours = answer("profile-level-id=42e029");
        assert_eq!(ours.to_string(), "profile-level-id=42e01f;packetization-mode=0");
    }

    #[test]
    fn what_is_written_is_read_back() {
        let params = H264Params::receiver(Size::HD720, 30, 20_000_000, PacketizationMode::NonInterleaved);
        assert_eq!(H264Params::read(&params.to_string()), params);
        assert_eq!(params.max_br, Some(20_000));
    }

    #[test]
    fn broken_numbers_have_their_defaults() {
        let params =
            H264Params::read("profile-level-id=+2e01f;packetization-mode=x;max-fs=99999999999;;=;max-br");
        assert_eq!(params.profile_level_id, DEFAULT_PROFILE_LEVEL_ID);
        assert_eq!(params.packetization_mode, PacketizationMode::Other(255));
        assert_eq!((params.max_fs, params.max_br), (None, None));
    }
}
