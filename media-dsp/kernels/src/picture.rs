//! A picture in planar YCbCr 4:2:0 (I420), 8 bits a sample, and borrowed views of all or part of one.
//!
//! ```text
//!  start ▶ Y  height rows of y_stride    U  rows() of c_stride    V  the same
//!          each row begins on a multiple of 64 bytes; odd sizes round chroma up
//! ```

/// Widest picture made or taken.
pub const MAX_WIDTH: u32 = 1920;
/// Highest picture made or taken; 1080 lines rounded up to whole macroblocks.
pub const MAX_HEIGHT: u32 = 1088;

const ALIGN: usize = 64;

/// Why there is no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// A side is zero or longer than [`MAX_WIDTH`] or [`MAX_HEIGHT`].
    #[error("picture of {width}x{height}: sides must be from 1 to {MAX_WIDTH}x{MAX_HEIGHT}")]
    Size {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
}

/// An owned picture whose memory is used again when its size changes.
#[derive(Debug, Default)]
pub struct I420 {
    width: usize,
    height: usize,
    y_stride: usize,
    c_stride: usize,
    start: usize,
    memory: Vec<u8>,
}

impl I420 {
    /// A black picture.
    ///
    /// # Errors
    /// [`PictureError::Size`].
    pub fn new(width: u32, height: u32) -> Result<Self, PictureError> {
        let mut picture = Self::default();
        picture.resize(width, height)?;
        picture.view_mut().fill(16, 128, 128);
        Ok(picture)
    }

    /// Gives the picture another size; what it then shows is undefined. Allocates only to grow.
    ///
    /// # Errors
    /// [`PictureError::Size`]; the picture stays as it was.
    pub fn resize(&mut self, width: u32, height: u32) -> Result<(), PictureError> {
        check(width, height)?;
        let (width, height) = (width as usize, height as usize);
        self.width = width;
        self.height = height;
        self.y_stride = width.next_multiple_of(ALIGN);
        self.c_stride = width.div_ceil(2).next_multiple_of(ALIGN);
        let need = self.y_stride * height + 2 * self.c_stride * height.div_ceil(2) + ALIGN;
        if self.memory.len() < need {
            self.memory.resize(need, 0);
        }
        self.start = self.memory.as_ptr().align_offset(ALIGN).min(ALIGN - 1);
        Ok(())
    }

    /// Pixels across; 0 before the first `resize`.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width as u32
    }

    /// Pixels down; 0 before the first `resize`.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height as u32
    }

    /// All of it, to read.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        let (y, c) = self.plane_bytes();
        let all = self.memory.get(self.start..).unwrap_or_default();
        let (luma, chroma) = all.split_at(y.min(all.len()));
        let (u, v) = chroma.split_at(c.min(chroma.len()));
        View {
            y: luma,
            u,
            v: &v[..c.min(v.len())],
            y_stride: self.y_stride,
            c_stride: self.c_stride,
            width: self.width,
            height: self.height,
        }
    }

    /// All of it, to write.
    pub fn view_mut(&mut self) -> ViewMut<'_> {
        let (y, c) = self.plane_bytes();
        let all = self.memory.get_mut(self.start..).unwrap_or_default();
        let (luma, chroma) = all.split_at_mut(y.min(all.len()));
        let (u, v) = chroma.split_at_mut(c.min(chroma.len()));
        let v_bytes = c.min(v.len());
        ViewMut {
            y: luma,
            u,
            v: &mut v[..v_bytes],
            y_stride: self.y_stride,
            c_stride: self.c_stride,
            width: self.width,
            height: self.height,
        }
    }

    fn plane_bytes(&self) -> (usize, usize) {
        (self.y_stride * self.height, self.c_stride * self.height.div_ceil(2))
    }
}

fn check(width: u32, height: u32) -> Result<(), PictureError> {
    if width == 0 || height == 0 || width > MAX_WIDTH || height > MAX_HEIGHT {
        return Err(PictureError::Size { width, height });
    }
    Ok(())
}

/// A picture or a part of one, to read. Its planes always hold every row it speaks of.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    y: &'a [u8],
    u: &'a [u8],
    v: &'a [u8],
    y_stride: usize,
    c_stride: usize,
    width: usize,
    height: usize,
}

impl<'a> View<'a> {
    /// A picture in somebody else's memory, or `None` if a plane is too short for its size and stride.
    #[must_use]
    pub fn new(planes: [&'a [u8]; 3], strides: [usize; 2], width: u32, height: u32) -> Option<Self> {
        check(width, height).ok()?;
        let [y, u, v] = planes;
        let [y_stride, c_stride] = strides;
        let (width, height) = (width as usize, height as usize);
        let (c_width, c_height) = (width.div_ceil(2), height.div_ceil(2));
        let fits = |plane: &[u8], stride: usize, w: usize, h: usize| {
            stride >= w
                && (h - 1)
                    .checked_mul(stride)
                    .and_then(|n| n.checked_add(w))
                    .is_some_and(|n| n <= plane.len())
        };
        let good = fits(y, y_stride, width, height)
            && fits(u, c_stride, c_width, c_height)
            && fits(v, c_stride, c_width, c_height);
        good.then_some(Self { y, u, v, y_stride, c_stride, width, height })
    }

    /// Pixels across.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width as u32
    }

    /// Pixels down.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height as u32
    }

    /// Luma, U and V, each from its first row on.
    #[must_use]
    pub fn planes(&self) -> [&'a [u8]; 3] {
        [self.y, self.u, self.v]
    }

    /// Bytes from one row to the next, of luma and of chroma.
    #[must_use]
    pub fn strides(&self) -> [usize; 2] {
        [self.y_stride, self.c_stride]
    }

    /// Row `row` of luma; empty beyond the last.
    #[must_use]
    pub fn luma_row(&self, row: u32) -> &'a [u8] {
        let from = row as usize * self.y_stride;
        if row as usize >= self.height {
            return &[];
        }
        self.y.get(from..from + self.width).unwrap_or_default()
    }

    /// A part of it. The corner goes down to even pixels; `None` if nothing of the part lies inside.
    #[must_use]
    pub fn part(&self, x: u32, y: u32, width: u32, height: u32) -> Option<Self> {
        let (x, y, width, height) = inside(x, y, width, height, self.width, self.height)?;
        let (luma, chroma) = (y * self.y_stride + x, y / 2 * self.c_stride + x / 2);
        Some(Self {
            y: self.y.get(luma..)?,
            u: self.u.get(chroma..)?,
            v: self.v.get(chroma..)?,
            width,
            height,
            ..*self
        })
    }
}

/// A picture or a part of one, to write. Its planes always hold every row it speaks of.
#[derive(Debug)]
pub struct ViewMut<'a> {
    y: &'a mut [u8],
    u: &'a mut [u8],
    v: &'a mut [u8],
    y_stride: usize,
    c_stride: usize,
    width: usize,
    height: usize,
}

impl<'a> ViewMut<'a> {
    /// Pixels across.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width as u32
    }

    /// Pixels down.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height as u32
    }

    /// Luma, U and V, each from its first row on.
    pub fn planes(&mut self) -> [&mut [u8]; 3] {
        [self.y, self.u, self.v]
    }

    /// Bytes from one row to the next, of luma and of chroma.
    #[must_use]
    pub fn strides(&self) -> [usize; 2] {
        [self.y_stride, self.c_stride]
    }

    /// A part of it. The corner goes down to even pixels; `None` if nothing of the part lies inside.
    #[must_use]
    pub fn part(self, x: u32, y: u32, width: u32, height: u32) -> Option<Self> {
        let (x, y, width, height) = inside(x, y, width, height, self.width, self.height)?;
        let (luma, chroma) = (y * self.y_stride + x, y / 2 * self.c_stride + x / 2);
        Some(Self {
            y: self.y.get_mut(luma..)?,
            u: self.u.get_mut(chroma..)?,
            v: self.v.get_mut(chroma..)?,
            y_stride: self.y_stride,
            c_stride: self.c_stride,
            width,
            height,
        })
    }

    /// Paints all of it in one colour.
    pub fn fill(&mut self, y: u8, u: u8, v: u8) {
        crate::yuv::fill(self, y, u, v);
    }
}

/// `x`, `y` even, and what of `width` by `height` lies inside a picture of `w` by `h`.
fn inside(
    x: u32,
    y: u32,
    width: u32,
    height: u32,
    w: usize,
    h: usize,
) -> Option<(usize, usize, usize, usize)> {
    let (x, y) = (x as usize & !1, y as usize & !1);
    let (width, height) = ((width as usize).min(w.checked_sub(x)?), (height as usize).min(h.checked_sub(y)?));
    (width > 0 && height > 0).then_some((x, y, width, height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_begin_on_64_bytes_whatever_the_size() {
        for (w, h) in [(1, 1), (2, 2), (33, 17), (1280, 720), (1919, 1087)] {
            let picture = I420::new(w, h).unwrap();
            let view = picture.view();
            assert!(view.strides().iter().all(|s| s % 64 == 0));
            assert!(view.planes().iter().all(|p| (p.as_ptr() as usize).is_multiple_of(64)), "{w}x{h}");
            assert!(View::new(view.planes(), view.strides(), w, h).is_some());
        }
    }

    #[test]
    fn a_picture_that_is_empty_or_too_large_is_refused_and_the_old_one_stays() {
        let mut picture = I420::new(64, 32).unwrap();
        for (w, h) in [(0, 8), (8, 0), (1921, 8), (8, 1089), (u32::MAX, u32::MAX)] {
            assert_eq!(picture.resize(w, h), Err(PictureError::Size { width: w, height: h }));
        }
        assert_eq!((picture.width(), picture.height()), (64, 32));
    }

    #[test]
    fn a_part_is_cut_at_the_edge_and_one_outside_is_none() {
        let picture = I420::new(64, 32).unwrap();
        let part = picture.view().part(61, 30, 100, 100).unwrap();
        assert_eq!((part.width(), part.height()), (4, 2));
        assert!(picture.view().part(64, 0, 1, 1).is_none());
        assert!(picture.view().part(u32::MAX, u32::MAX, 1, 1).is_none());
    }

    #[test]
    fn planes_that_are_too_short_make_no_view() {
        let (y, c) = ([0; 64], [0; 16]);
        assert!(View::new([&y, &c, &c], [8, 4], 8, 8).is_some());
        assert!(View::new([&y, &c, &c[..15]], [8, 4], 8, 8).is_none());
        assert!(View::new([&y, &c, &c], [7, 4], 8, 8).is_none());
        assert!(View::new([&y, &c, &c], [usize::MAX, 4], 8, 8).is_none());
    }
}
