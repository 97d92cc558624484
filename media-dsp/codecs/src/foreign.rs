//! A picture that stays in a library's memory: where it lies, checked once, and lent as a [`View`].

use crate::DecodeError;
use kernels::{MAX_HEIGHT, MAX_WIDTH, View};
use std::ptr::NonNull;

/// Planes of a picture that a library owns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Foreign {
    planes: [NonNull<u8>; 3],
    strides: [usize; 2],
    width: u32,
    height: u32,
}

// SAFETY: only addresses; who reads what they name promises that it is there (`view`).
unsafe impl Send for Foreign {}

impl Foreign {
    /// The picture that a library says it made. `strides` are those of luma and of both chroma planes.
    ///
    /// # Errors
    /// [`DecodeError::Size`] if it is of no size that is taken, or can't lie in memory like that.
    pub fn new(
        planes: [*mut u8; 3],
        strides: [i32; 2],
        width: u32,
        height: u32,
    ) -> Result<Self, DecodeError> {
        let refused = DecodeError::Size { width, height };
        let strides = strides.map(|stride| usize::try_from(stride).unwrap_or(0));
        let sane = (1..=MAX_WIDTH).contains(&width)
            && (1..=MAX_HEIGHT).contains(&height)
            && strides[0] >= width as usize
            && strides[1] >= (width as usize).div_ceil(2);
        match planes.map(NonNull::new) {
            [Some(y), Some(u), Some(v)] if sane => Ok(Self { planes: [y, u, v], strides, width, height }),
            _ => Err(refused),
        }
    }

    /// It, to read.
    ///
    /// # Safety
    /// The planes hold `height` rows of their stride, chroma half of both rounded up, and nobody writes to them or frees them as long
    /// as `'a`.
    pub unsafe fn view<'a>(&self) -> Option<View<'a>> {
        let (w, h) = (self.width as usize, self.height as usize);
        let luma = (h - 1) * self.strides[0] + w;
        let chroma = (h.div_ceil(2) - 1) * self.strides[1] + w.div_ceil(2);
        let [y, u, v] = self.planes;
        // SAFETY: by the caller's promise; a last row is taken for no longer than it is.
        let planes = unsafe {
            [
                std::slice::from_raw_parts(y.as_ptr(), luma),
                std::slice::from_raw_parts(u.as_ptr(), chroma),
                std::slice::from_raw_parts(v.as_ptr(), chroma),
            ]
        };
        View::new(planes, self.strides, self.width, self.height)
    }
}
