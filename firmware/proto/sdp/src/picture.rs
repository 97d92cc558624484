//! How large and how often a picture may be, from the limits a decoder declares in macroblocks.
//!
//! H.264 (ITU-T H.264 table A-1) and VP8 (RFC 7741 6.1) both bound a picture in macroblocks of 16 by 16 pixels; a
//! sender turns that into a size its encoder makes.

use base::Size;

/// What a decoder takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureLimits {
    /// Macroblocks in one picture.
    pub max_fs: u32,
    /// Macroblocks in a second.
    pub max_mbps: u32,
    /// Pictures in a second.
    pub max_fps: u32,
}

/// Below this many pictures a second a smaller picture serves a face better.
const FLUENT_FPS: u32 = 24;

/// The sizes sent, largest first, all 16:9 and even.
const LADDER: [Size; 14] = [
    Size::new(1920, 1080),
    Size::new(1280, 720),
    Size::new(1024, 576),
    Size::new(960, 540),
    Size::new(848, 480),
    Size::new(768, 432),
    Size::new(640, 360),
    Size::new(512, 288),
    Size::new(416, 234),
    Size::new(384, 216),
    Size::new(320, 180),
    Size::new(256, 144),
    Size::new(192, 108),
    Size::new(160, 90),
];

impl PictureLimits {
    /// The largest size of ours within the limits, `cap` and `cap_fps`, and its rate in pictures per second.
    ///
    /// A size counts only if it can be sent fluently; if none can, it is the smallest at the rate that is left.
    #[must_use]
    pub fn best(&self, cap: Size, cap_fps: u32) -> (Size, u32) {
        let cap_fps = cap_fps.min(self.max_fps).max(1);
        let wanted = cap_fps.min(FLUENT_FPS);
        let fits = |size: &&Size| size.width <= cap.width && size.height <= cap.height && self.fits(**size);
        let fluent = LADDER.iter().filter(fits).find(|size| self.rate(**size) >= wanted);
        let smallest = LADDER[LADDER.len() - 1];
        let size = fluent.copied().unwrap_or(smallest);
        (size, self.rate(size).clamp(1, cap_fps))
    }

    fn rate(&self, size: Size) -> u32 {
        self.max_mbps / macroblocks(size).max(1)
    }

    /// Neither side of a picture may exceed `sqrt(8 * MaxFS)` macroblocks (ITU-T H.264 A.3.1).
    fn fits(&self, size: Size) -> bool {
        let side = u64::from(size.width.max(size.height).div_ceil(16));
        macroblocks(size) <= self.max_fs && side * side <= 8 * u64::from(self.max_fs)
    }
}

/// Macroblocks of 16 by 16 pixels that cover `size`.
#[must_use]
pub const fn macroblocks(size: Size) -> u32 {
    size.width.div_ceil(16).saturating_mul(size.height.div_ceil(16))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(max_fs: u32, max_mbps: u32) -> PictureLimits {
        PictureLimits { max_fs, max_mbps, max_fps: 60 }
    }

    #[test]
    fn level_31_carries_720p30_and_the_cap_holds() {
        assert_eq!(limits(3600, 108_000).best(Size::HD720, 30), (Size::HD720, 30));
        assert_eq!(limits(8192, 245_760).best(Size::HD720, 30), (Size::HD720, 30));
        assert_eq!(limits(8192, 245_760).best(Size::P360, 15), (Size::P360, 15));
    }

    #[test]
    fn a_slow_decoder_gets_a_smaller_picture_rather_than_a_slide_show() {
        let (size, fps) = limits(3600, 40_500).best(Size::HD720, 30);
        assert_eq!((size, fps), (Size::new(848, 480), 25));
    }

    #[test]
    fn even_nothing_at_all_gives_a_picture() {
        assert_eq!(limits(0, 0).best(Size::HD720, 30), (Size::new(160, 90), 1));
        assert_eq!(limits(99, 1485).best(Size::HD720, 30), (Size::new(160, 90), 24));
    }
}
