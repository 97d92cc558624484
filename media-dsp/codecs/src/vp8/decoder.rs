//! The decoder. Sizes are checked in the key frame's header; a broken frame is told and the next one taken.

use super::{Context, is_key, key_size, ok, sys};
use crate::foreign::Foreign;
use crate::{DecodeError, Decoded, MAX_PICTURE_BYTES, VideoDecoder};
use kernels::{MAX_HEIGHT, MAX_WIDTH, View};
use std::ptr::{null, null_mut};

/// A VP8 decoder of one stream.
#[derive(Debug)]
pub struct Decoder {
    context: Context,
    started: bool,
    /// Lies in the context's memory, which the next call to decode may write to.
    shown: Option<Foreign>,
}

impl Decoder {
    /// A decoder that has seen nothing yet.
    ///
    /// # Errors
    /// [`DecodeError::Broken`] with the library's code if there is no memory for one.
    pub fn new() -> Result<Self, DecodeError> {
        Ok(Self { context: open().map_err(DecodeError::Broken)?, started: false, shown: None })
    }

    fn next_picture(&mut self) -> Result<Option<Foreign>, DecodeError> {
        let mut iterator = null();
        // SAFETY: the context is alive; the iterator begins null, as the library wants.
        let image = unsafe { sys::vpx_codec_get_frame(&mut *self.context.0, &mut iterator) };
        if image.is_null() {
            return Ok(None);
        }
        // SAFETY: not null, so it is the library's image.
        let image = unsafe { &*image };
        let (width, height) = (image.d_w, image.d_h);
        if image.fmt != sys::vpx_img_fmt::VPX_IMG_FMT_I420 || image.stride[1] != image.stride[2] {
            return Err(DecodeError::Size { width, height });
        }
        let planes = [image.planes[0], image.planes[1], image.planes[2]];
        Foreign::new(planes, [image.stride[0], image.stride[1]], width, height).map(Some)
    }

    /// Whether what the last frame was decoded from had errors or was missing.
    fn is_corrupted(&mut self) -> bool {
        let mut corrupted = 0_i32;
        let id = sys::vp8_dec_control_id::VP8D_GET_FRAME_CORRUPTED as i32;
        // SAFETY: the context is alive; this control takes a pointer to an int.
        let code =
            unsafe { sys::vpx_codec_control_(&mut *self.context.0, id, std::ptr::from_mut(&mut corrupted)) };
        ok(code).is_err() || corrupted != 0
    }
}

impl VideoDecoder for Decoder {
    fn decode(&mut self, frame: &[u8]) -> Result<Decoded, DecodeError> {
        if frame.len() > MAX_PICTURE_BYTES {
            return Err(DecodeError::TooLong(frame.len()));
        }
        if is_key(frame) {
            let (width, height) = key_size(frame).ok_or(DecodeError::Broken(0))?;
            if width == 0 || height == 0 || width > MAX_WIDTH || height > MAX_HEIGHT {
                return Err(DecodeError::Size { width, height });
            }
        } else if !self.started {
            return Err(DecodeError::NeedsKey);
        } else if frame.is_empty() {
            // to the library this means that the last reference is lost, which would taint all that follows
            return Err(DecodeError::Broken(0));
        }
        self.shown = None;
        // SAFETY: the context is alive; `frame` holds as many bytes as are told and at most `MAX_PICTURE_BYTES`.
        let code = unsafe {
            sys::vpx_codec_decode(&mut *self.context.0, frame.as_ptr(), frame.len() as u32, null_mut(), 0)
        };
        if let Err(code) = ok(code) {
            // what the library still holds of this frame must not come out with the next
            let _ = self.next_picture();
            return Err(DecodeError::Broken(code));
        }
        self.started |= is_key(frame);
        self.shown = self.next_picture()?;
        if self.shown.is_none() {
            return Ok(Decoded::Nothing);
        }
        Ok(if self.is_corrupted() { Decoded::Concealed } else { Decoded::Whole })
    }

    fn picture(&self) -> Option<View<'_>> {
        // SAFETY: the library's planes hold `d_h` rows of their stride and a border, and stay as they are until it is given a frame, which
        // needs `self` mutably and forgets the picture first.
        self.shown.and_then(|shown| unsafe { shown.view() })
    }

    fn flush(&mut self) {
        self.started = false;
    }
}

fn open() -> Result<Context, i32> {
    let mut context = Context(Box::default());
    let settings = sys::vpx_codec_dec_cfg_t { threads: 1, w: 0, h: 0 };
    // SAFETY: the context is zeroed memory of the right size, at its final address; the settings are copied.
    ok(unsafe {
        sys::vpx_codec_dec_init_ver(
            &mut *context.0,
            sys::vpx_codec_vp8_dx(),
            &settings,
            0,
            sys::VPX_DECODER_ABI_VERSION as i32,
        )
    })?;
    Ok(context)
}
