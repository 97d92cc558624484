//! Copying, scaling and filling of pictures by the system's libyuv.
//!
//! libyuv picks SSSE3, AVX2 or NEON rows at run time. Down-scaling averages all of the source's pixels (box filter),
//! up-scaling is bilinear; libyuv takes the cheaper of the two where they agree.

use crate::picture::{I420, View, ViewMut};
use std::ffi::c_int;

/// `kFilterBox`: highest quality, reduced by libyuv itself where a cheaper filter gives the same.
const FILTER_BOX: c_int = 3;

unsafe extern "C" {
    fn I420Scale(
        src_y: *const u8,
        src_stride_y: c_int,
        src_u: *const u8,
        src_stride_u: c_int,
        src_v: *const u8,
        src_stride_v: c_int,
        src_width: c_int,
        src_height: c_int,
        dst_y: *mut u8,
        dst_stride_y: c_int,
        dst_u: *mut u8,
        dst_stride_u: c_int,
        dst_v: *mut u8,
        dst_stride_v: c_int,
        dst_width: c_int,
        dst_height: c_int,
        filtering: c_int,
    ) -> c_int;
    fn CopyPlane(
        src: *const u8,
        src_stride: c_int,
        dst: *mut u8,
        dst_stride: c_int,
        width: c_int,
        height: c_int,
    );
    fn SetPlane(dst: *mut u8, dst_stride: c_int, width: c_int, height: c_int, value: u32);
}

/// Scales all of `from` to all of `to`, without regard to their shapes.
pub fn scale(from: &View<'_>, to: &mut ViewMut<'_>) {
    if (from.width(), from.height()) == (to.width(), to.height()) {
        return copy(from, to);
    }
    let [from_y_stride, from_c_stride] = from.strides().map(int);
    let [to_y_stride, to_c_stride] = to.strides().map(int);
    let (width, height) = (int(to.width() as usize), int(to.height() as usize));
    let [from_y, from_u, from_v] = from.planes().map(<[u8]>::as_ptr);
    let [to_y, to_u, to_v] = to.planes().map(<[u8]>::as_mut_ptr);
    // SAFETY: a view's planes hold `height` rows of `stride` bytes (the last row `width`), chroma half of both rounded
    // up, which is what libyuv reads and writes; sides are at most 1920x1088 so nothing overflows an int; the planes
    // of a `ViewMut` are borrowed alone, so they overlap nothing.
    let status = unsafe {
        I420Scale(
            from_y,
            from_y_stride,
            from_u,
            from_c_stride,
            from_v,
            from_c_stride,
            int(from.width() as usize),
            int(from.height() as usize),
            to_y,
            to_y_stride,
            to_u,
            to_c_stride,
            to_v,
            to_c_stride,
            width,
            height,
            FILTER_BOX,
        )
    };
    debug_assert_eq!(status, 0, "libyuv refuses null planes and empty sizes only");
}

/// Copies what both have in common, from the top left corner.
pub fn copy(from: &View<'_>, to: &mut ViewMut<'_>) {
    let (width, height) = (from.width().min(to.width()) as usize, from.height().min(to.height()) as usize);
    let sizes =
        [(width, height), (width.div_ceil(2), height.div_ceil(2)), (width.div_ceil(2), height.div_ceil(2))];
    let ([fy, fc], [ty, tc]) = (from.strides(), to.strides());
    let strides = [(fy, ty), (fc, tc), (fc, tc)];
    for (((from, to), (w, h)), (from_stride, to_stride)) in
        from.planes().into_iter().zip(to.planes()).zip(sizes).zip(strides)
    {
        // SAFETY: both planes hold `h` rows of `w` bytes at their strides, by the views' invariant, and `to` is borrowed
        // alone.
        unsafe {
            CopyPlane(from.as_ptr(), int(from_stride), to.as_mut_ptr(), int(to_stride), int(w), int(h))
        };
    }
}

/// Paints all of `to` in one colour.
pub fn fill(to: &mut ViewMut<'_>, y: u8, u: u8, v: u8) {
    let (width, height) = (to.width() as usize, to.height() as usize);
    if width == 0 || height == 0 {
        return;
    }
    let [y_stride, c_stride] = to.strides();
    let half = (width.div_ceil(2), height.div_ceil(2), c_stride);
    let sizes = [(width, height, y_stride), half, half];
    for ((plane, (w, h, stride)), value) in to.planes().into_iter().zip(sizes).zip([y, u, v]) {
        // SAFETY: the plane holds `h` rows of `w` bytes at `stride`, by the view's invariant.
        unsafe { SetPlane(plane.as_mut_ptr(), int(stride), int(w), int(h), u32::from(value)) };
    }
}

impl I420 {
    /// Takes the size and the content of `from`.
    pub fn copy_from(&mut self, from: &View<'_>) {
        // a view's size was checked when it was made
        if self.resize(from.width(), from.height()).is_ok() {
            copy(from, &mut self.view_mut());
        }
    }
}

/// Sides and strides come from a picture of at most 1920x1088, or a decoder's buffer for one.
fn int(n: usize) -> c_int {
    c_int::try_from(n).unwrap_or(c_int::MAX)
}

#[cfg(test)]
mod tests {
    //! Each operation against a scalar version, over random sizes with odd tails, between guard bytes.

    use super::*;
    use proptest::prelude::*;

    const GUARD: u8 = 0xA5;

    /// One plane of a picture inside a larger one whose every other byte is a guard.
    struct Guarded {
        picture: I420,
        at: (u32, u32, u32, u32),
    }

    impl Guarded {
        fn new(width: u32, height: u32) -> Self {
            let mut picture = I420::new(width + 8, height + 8).unwrap();
            picture.view_mut().fill(GUARD, GUARD, GUARD);
            Self { picture, at: (4, 4, width, height) }
        }

        fn inner(&mut self) -> ViewMut<'_> {
            let (x, y, w, h) = self.at;
            self.picture.view_mut().part(x, y, w, h).unwrap()
        }

        fn assert_guards(&self) {
            let (x, y, w, h) = self.at;
            let view = self.picture.view();
            let planes = [
                (x, y, w, h),
                (x / 2, y / 2, w.div_ceil(2), h.div_ceil(2)),
                (x / 2, y / 2, w.div_ceil(2), h.div_ceil(2)),
            ];
            let [ys, cs] = view.strides();
            for ((plane, (x, y, w, h)), (stride, width, rows)) in view.planes().into_iter().zip(planes).zip([
                (ys, view.width(), view.height()),
                (cs, view.width().div_ceil(2), view.height().div_ceil(2)),
                (cs, view.width().div_ceil(2), view.height().div_ceil(2)),
            ]) {
                for row in 0..rows {
                    for col in 0..width {
                        let outside = row < y || row >= y + h || col < x || col >= x + w;
                        let byte = plane[row as usize * stride + col as usize];
                        assert!(!outside || byte == GUARD, "guard at {col},{row} was overwritten");
                    }
                }
            }
        }
    }

    fn noise(width: u32, height: u32, seed: u32) -> I420 {
        let mut picture = I420::new(width, height).unwrap();
        let mut state = seed | 1;
        for plane in picture.view_mut().planes() {
            for byte in plane {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = (state >> 24) as u8;
            }
        }
        picture
    }

    fn smooth(width: u32, height: u32) -> I420 {
        let mut picture = I420::new(width, height).unwrap();
        let mut view = picture.view_mut();
        let [stride, _] = view.strides();
        for y in 0..height as usize {
            for x in 0..width as usize {
                view.planes()[0][y * stride + x] =
                    (40.0 + 170.0 * (x as f32 / width as f32) * (y as f32 / height as f32)) as u8;
            }
        }
        picture
    }

    /// The mean of the source area under each target pixel.
    fn area_mean(from: &View<'_>, width: u32, height: u32) -> Vec<f32> {
        let (sx, sy) = (from.width() as f32 / width as f32, from.height() as f32 / height as f32);
        let mut out = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let (x0, x1) =
                    ((x as f32 * sx) as u32, (((x + 1) as f32 * sx).ceil() as u32).min(from.width()));
                let (y0, y1) =
                    ((y as f32 * sy) as u32, (((y + 1) as f32 * sy).ceil() as u32).min(from.height()));
                let mut sum = 0.0;
                for row in y0..y1 {
                    sum += from.luma_row(row)[x0 as usize..x1 as usize]
                        .iter()
                        .map(|&b| f32::from(b))
                        .sum::<f32>();
                }
                out.push(sum / ((x1 - x0) * (y1 - y0)) as f32);
            }
        }
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_copy_is_the_source_and_nothing_beside_it_changes(w in 1_u32..200, h in 1_u32..100, seed: u32) {
            let source = noise(w, h, seed);
            let mut target = Guarded::new(w, h);
            copy(&source.view(), &mut target.inner());
            target.assert_guards();
            let copied = target.picture.view().part(4, 4, w, h).unwrap();
            for row in 0..h {
                prop_assert_eq!(copied.luma_row(row), source.view().luma_row(row));
            }
        }

        #[test]
        fn a_fill_is_even_and_nothing_beside_it_changes(w in 1_u32..200, h in 1_u32..100, y: u8) {
            let mut target = Guarded::new(w, h);
            target.inner().fill(y, 1, 2);
            target.assert_guards();
            let filled = target.picture.view().part(4, 4, w, h).unwrap();
            prop_assert!((0..h).all(|row| filled.luma_row(row).iter().all(|&b| b == y)));
        }

        #[test]
        fn halving_is_the_rounded_mean_of_four(w in 1_u32..160, h in 1_u32..90, seed: u32) {
            let source = noise(w * 2, h * 2, seed);
            let mut target = Guarded::new(w, h);
            scale(&source.view(), &mut target.inner());
            target.assert_guards();
            let got = target.picture.view().part(4, 4, w, h).unwrap();
            for y in 0..h {
                let (a, b) = (source.view().luma_row(2 * y), source.view().luma_row(2 * y + 1));
                for x in 0..w as usize {
                    let sum: u32 = [a[2 * x], a[2 * x + 1], b[2 * x], b[2 * x + 1]].iter().map(|&v| u32::from(v)).sum();
                    let (want, is) = (((sum + 2) / 4) as i32, i32::from(got.luma_row(y)[x]));
                    // libyuv's SIMD averages rows before columns on some widths, which rounds up once more
                    prop_assert!((want - is).abs() <= 1, "{x},{y}: {is}, not {want}");
                }
            }
        }

        #[test]
        fn any_scaling_of_a_smooth_picture_is_near_the_mean_of_the_area(
            sw in 16_u32..300, sh in 16_u32..200, w in 2_u32..300, h in 2_u32..200, seed: u32
        ) {
            let _ = seed;
            let source = smooth(sw, sh);
            let mut target = Guarded::new(w, h);
            scale(&source.view(), &mut target.inner());
            target.assert_guards();
            let got = target.picture.view().part(4, 4, w, h).unwrap();
            let want = area_mean(&source.view(), w, h);
            // half a source pixel of a slope of at most 170 over the picture, and rounding
            let slack = 170.0 * (1.0 / sw.min(w) as f32 + 1.0 / sh.min(h) as f32) + 2.0;
            for y in 0..h {
                for x in 0..w {
                    let (want, is) = (want[(y * w + x) as usize], f32::from(got.luma_row(y)[x as usize]));
                    prop_assert!((want - is).abs() <= slack, "{x},{y}: {is}, not {want}");
                }
            }
        }
    }
}
