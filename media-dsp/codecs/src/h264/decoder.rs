//! The decoder: OpenH264 with concealment by copying lost slices from the picture before.

use super::{QUIET, nal_units, option, sps};
use crate::{DecodeError, Decoded, MAX_PICTURE_BYTES, VideoDecoder};
use kernels::{I420, MAX_HEIGHT, MAX_WIDTH, View};
use openh264_sys2 as sys;
use std::ptr::{NonNull, null_mut};

/// NAL unit types (H.264 table 7-1).
const SPS: u8 = 7;

/// An H.264 decoder of one stream.
#[derive(Debug)]
pub struct Decoder {
    raw: Raw,
}

impl Decoder {
    /// A decoder that has seen nothing yet.
    ///
    /// # Errors
    /// [`DecodeError::Broken`] with the library's code if there is no memory for one.
    pub fn new() -> Result<Self, DecodeError> {
        Ok(Self { raw: Raw::new()? })
    }
}

impl VideoDecoder for Decoder {
    fn decode(&mut self, frame: &[u8], picture: &mut I420) -> Result<Decoded, DecodeError> {
        if frame.len() > MAX_PICTURE_BYTES {
            return Err(DecodeError::TooLong(frame.len()));
        }
        check_sizes(frame)?;
        let (state, shown) = self.raw.decode(frame);
        if let Some(view) = shown? {
            picture.copy_from(&view);
            let concealed = state != sys::dsErrorFree;
            return Ok(if concealed { Decoded::Concealed } else { Decoded::Whole });
        }
        match state {
            sys::dsErrorFree | sys::dsFramePending => Ok(Decoded::Nothing),
            state if state & sys::dsNoParamSets != 0 => Err(DecodeError::NeedsKey),
            state => Err(DecodeError::Broken(state)),
        }
    }

    fn flush(&mut self) {
        // the library has no call that forgets its references, so a new one takes its place
        if let Ok(raw) = Raw::new() {
            self.raw = raw;
        }
    }
}

/// Refuses an access unit that announces pictures larger than are taken.
fn check_sizes(frame: &[u8]) -> Result<(), DecodeError> {
    for unit in nal_units(frame).filter(|unit| unit[0] & 0x1f == SPS) {
        let (width, height) =
            sps::coded_size(&unit[1..]).ok_or(DecodeError::Broken(sys::dsBitstreamError))?;
        if width > u64::from(MAX_WIDTH) || height > u64::from(MAX_HEIGHT) {
            let side = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
            return Err(DecodeError::Size { width: side(width), height: side(height) });
        }
    }
    Ok(())
}

/// The library's object; never null, initialised from `new` to `drop`.
#[derive(Debug)]
struct Raw(NonNull<sys::ISVCDecoder>);

// SAFETY: the object is owned alone, holds no thread-local state and starts no thread (its thread count stays 0).
unsafe impl Send for Raw {}

impl Raw {
    fn new() -> Result<Self, DecodeError> {
        let mut raw = null_mut();
        // SAFETY: writes a pointer to a new object, or leaves null and returns a code.
        let code = unsafe { sys::source::APILoader::WelsCreateDecoder(&mut raw) };
        let Some(object) = NonNull::new(raw) else { return Err(DecodeError::Broken(code as i32)) };
        let decoder = Self(object);
        let mut quiet = QUIET;
        let settings = sys::SDecodingParam {
            uiTargetDqLayer: u8::MAX,
            eEcActiveIdc: sys::ERROR_CON_SLICE_COPY,
            sVideoProperty: sys::SVideoProperty {
                size: size_of::<sys::SVideoProperty>() as u32,
                eVideoBsType: sys::VIDEO_BITSTREAM_AVC,
            },
            ..Default::default()
        };
        // SAFETY: the object is alive and its table's entries are set by the library; the option is an int, which is what
        // this one wants; the settings live through the call.
        let code = unsafe {
            let table = &**decoder.0.as_ptr();
            table.SetOption.map(|set| set(raw, sys::DECODER_OPTION_TRACE_LEVEL, option(&mut quiet)));
            table.Initialize.map_or(-1, |initialize| initialize(raw, &settings))
        };
        if code == 0 { Ok(decoder) } else { Err(DecodeError::Broken(code as i32)) }
    }

    /// The library's state, and the picture if there is one, in its memory.
    fn decode(&mut self, frame: &[u8]) -> (sys::DECODING_STATE, Result<Option<View<'_>>, DecodeError>) {
        let mut planes = [null_mut(); 3];
        let mut info = sys::SBufferInfo::default();
        // SAFETY: the object is alive; `frame` is at most `MAX_PICTURE_BYTES` long, so its length fits; `planes` and `info`
        // are what the library fills.
        let state = unsafe {
            let raw = self.0.as_ptr();
            match (**raw).DecodeFrameNoDelay {
                Some(decode) => {
                    decode(raw, frame.as_ptr(), frame.len() as i32, planes.as_mut_ptr(), &mut info)
                }
                None => sys::dsInitialOptExpected,
            }
        };
        if info.iBufferStatus != 1 {
            return (state, Ok(None));
        }
        // SAFETY: the library sets the system buffer whenever the status is 1.
        let buffer = unsafe { info.UsrData.sSystemBuffer };
        (state, self.picture(planes, buffer))
    }

    fn picture(
        &self,
        planes: [*mut u8; 3],
        buffer: sys::SSysMEMBuffer,
    ) -> Result<Option<View<'_>>, DecodeError> {
        let side = |n: i32| u32::try_from(n).unwrap_or(0);
        let (width, height) = (side(buffer.iWidth), side(buffer.iHeight));
        let refused = DecodeError::Size { width, height };
        if width == 0
            || height == 0
            || width > MAX_WIDTH
            || height > MAX_HEIGHT
            || planes.iter().any(|p| p.is_null())
        {
            return Err(refused);
        }
        let strides = buffer.iStride.map(|s| side(s) as usize);
        let (w, h) = (width as usize, height as usize);
        if strides[0] < w || strides[1] < w.div_ceil(2) {
            return Err(refused);
        }
        let (luma, chroma) = ((h - 1) * strides[0] + w, (h.div_ceil(2) - 1) * strides[1] + w.div_ceil(2));
        // SAFETY: the library's planes hold `height` rows of `stride` bytes (its buffers are padded beyond that) and stay
        // untouched until the next call, which needs `self` mutably.
        let planes = unsafe {
            [
                std::slice::from_raw_parts(planes[0], luma),
                std::slice::from_raw_parts(planes[1], chroma),
                std::slice::from_raw_parts(planes[2], chroma),
            ]
        };
        View::new(planes, strides, width, height).map(Some).ok_or(refused)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: the object is alive and used for the last time.
        unsafe {
            let raw = self.0.as_ptr();
            (**raw).Uninitialize.map(|uninitialize| uninitialize(raw));
            sys::source::APILoader::WelsDestroyDecoder(raw);
        }
    }
}
