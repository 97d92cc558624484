//! A picture that stands still: what a picture source shows until it is told another.

use base::Size;
use bytes::Bytes;
use kernels::{MAX_HEIGHT, MAX_WIDTH, View};
use serde::{Deserialize, Serialize};

/// A picture in planar YCbCr 4:2:0, 8 bits, limited range, its planes one after the other without gaps. A copy shares its memory.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(u32, u32, Bytes)", into = "(u32, u32, Bytes)")]
pub struct Still {
    size: Size,
    planes: Bytes,
}

impl Still {
    /// Of `size`, both sides even, at most 1920x1088; `planes` holds Y, U and V. `None` if they don't fit.
    #[must_use]
    pub fn new(size: Size, planes: Bytes) -> Option<Self> {
        let Size { width, height } = size;
        let good = width.is_multiple_of(2) && height.is_multiple_of(2) && width.min(height) > 0;
        let fits =
            good && width <= MAX_WIDTH && height <= MAX_HEIGHT && planes.len() as u64 == size.area() * 3 / 2;
        fits.then_some(Self { size, planes })
    }

    /// From red, green and blue, row by row, of a picture `width` across (ITU-R BT.601). A last odd row or column is left out.
    #[must_use]
    pub fn from_rgb(width: u32, height: u32, rgb: &[u8]) -> Option<Self> {
        let (w, h) = ((width & !1) as usize, (height & !1) as usize);
        let row = width as usize * 3;
        let fits = w > 0 && h > 0 && width <= MAX_WIDTH && height <= MAX_HEIGHT;
        if !fits || rgb.len() < row * height as usize {
            return None;
        }
        let pixel = |x: usize, y: usize| [0, 1, 2].map(|i| i32::from(rgb[y * row + x * 3 + i]));
        let mut planes = Vec::with_capacity(w * h * 3 / 2);
        for y in 0..h {
            planes.extend((0..w).map(|x| luma(pixel(x, y))));
        }
        for weights in [[-38, -74, 112], [112, -94, -18]] {
            for y in (0..h).step_by(2) {
                let mean = |x: usize| {
                    let four = [pixel(x, y), pixel(x + 1, y), pixel(x, y + 1), pixel(x + 1, y + 1)];
                    [0, 1, 2].map(|i| four.iter().map(|pixel| pixel[i]).sum::<i32>() / 4)
                };
                planes.extend((0..w).step_by(2).map(|x| chroma(mean(x), weights)));
            }
        }
        Self::new(Size::new(w as u32, h as u32), planes.into())
    }

    /// Its size.
    #[must_use]
    pub const fn size(&self) -> Size {
        self.size
    }

    /// Y, U and V.
    #[must_use]
    pub fn planes(&self) -> &Bytes {
        &self.planes
    }

    /// As the kernels read it.
    pub(crate) fn view(&self) -> Option<View<'_>> {
        let Size { width, height } = self.size;
        let (luma, chroma) = self.planes.split_at_checked(self.size.area() as usize)?;
        let (u, v) = chroma.split_at(chroma.len() / 2);
        View::new([luma, u, v], [width as usize, width as usize / 2], width, height)
    }
}

impl TryFrom<(u32, u32, Bytes)> for Still {
    type Error = &'static str;

    fn try_from((width, height, planes): (u32, u32, Bytes)) -> Result<Self, Self::Error> {
        Self::new(Size::new(width, height), planes).ok_or("planes that don't fit their picture")
    }
}

impl From<Still> for (u32, u32, Bytes) {
    fn from(still: Still) -> Self {
        (still.size.width, still.size.height, still.planes)
    }
}

impl std::fmt::Debug for Still {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "still picture of {}x{}", self.size.width, self.size.height)
    }
}

/// In 8 bit fixed point; the results lie within 16 to 235.
fn luma([r, g, b]: [i32; 3]) -> u8 {
    (((66 * r + 129 * g + 25 * b + 128) >> 8) + 16) as u8
}

/// As [`luma`], within 16 to 240.
fn chroma([r, g, b]: [i32; 3], [by_r, by_g, by_b]: [i32; 3]) -> u8 {
    (((by_r * r + by_g * g + by_b * b + 128) >> 8) + 128) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_become_what_bt_601_says() {
        let still = |rgb: [u8; 3]| {
            let still = Still::from_rgb(2, 2, &rgb.repeat(4)).expect("a still picture");
            (still.planes[0], still.planes[4], still.planes[5])
        };
        assert_eq!(still([0, 0, 0]), (16, 128, 128));
        assert_eq!(still([255, 255, 255]), (235, 128, 128));
        assert_eq!(still([255, 0, 0]), (82, 90, 240));
        assert_eq!(still([0, 0, 255]), (41, 240, 110));
    }

    #[test]
    fn odd_sides_lose_a_row_and_too_little_is_nothing() {
        let still = Still::from_rgb(65, 67, &[9; 65 * 67 * 3]).expect("a still picture");
        assert_eq!((still.size(), still.planes().len()), (Size::new(64, 66), 64 * 66 * 3 / 2));
        assert_eq!(Still::from_rgb(65, 67, &[9; 65 * 67 * 3 - 1]), None);
        assert_eq!(Still::new(Size::new(4, 4), Bytes::from_static(&[0; 23])), None);
        assert_eq!(Still::new(Size::new(0, 4), Bytes::new()), None);
    }
}
