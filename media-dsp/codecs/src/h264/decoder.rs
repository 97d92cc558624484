//! The decoder: OpenH264 with concealment by copying lost slices from the picture before.

use super::{QUIET, nal_units, option, sps};
use crate::foreign::Foreign;
use crate::{DecodeError, Decoded, MAX_PICTURE_BYTES, VideoDecoder};
use kernels::{MAX_HEIGHT, MAX_WIDTH, View};
use openh264_sys2 as sys;
use std::ptr::{NonNull, null_mut};

/// NAL unit types (H.264 table 7-1).
const SPS: u8 = 7;

/// An H.264 decoder of one stream.
#[derive(Debug)]
pub struct Decoder {
    raw: Raw,
    /// Lies in the library's memory, which the next call to decode may write to.
    shown: Option<Foreign>,
}

impl Decoder {
    /// A decoder that has seen nothing yet.
    ///
    /// # Errors
    /// [`DecodeError::Broken`] with the library's code if there is no memory for one.
    pub fn new() -> Result<Self, DecodeError> {
        Ok(Self { raw: Raw::new()?, shown: None })
    }
}

impl VideoDecoder for Decoder {
    fn decode(&mut self, frame: &[u8]) -> Result<Decoded, DecodeError> {
        if frame.len() > MAX_PICTURE_BYTES {
            return Err(DecodeError::TooLong(frame.len()));
        }
        check_sizes(frame)?;
        self.shown = None;
        let (state, shown) = self.raw.decode(frame);
        self.shown = shown?;
        if self.shown.is_some() {
            let concealed = state != sys::dsErrorFree;
            return Ok(if concealed { Decoded::Concealed } else { Decoded::Whole });
        }
        match state {
            sys::dsErrorFree | sys::dsFramePending => Ok(Decoded::Nothing),
            state if state & sys::dsNoParamSets != 0 => Err(DecodeError::NeedsKey),
            state => Err(DecodeError::Broken(state)),
        }
    }

    fn picture(&self) -> Option<View<'_>> {
        // SAFETY: the library's planes hold as many rows as it says (its buffers are padded beyond that) and stay as they are until it is
        // given a frame or dropped, both of which need `self` mutably and forget the picture first.
        self.shown.and_then(|shown| unsafe { shown.view() })
    }

    fn flush(&mut self) {
        self.shown = None;
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

    /// The library's state, and where the picture is if there is one.
    fn decode(&mut self, frame: &[u8]) -> (sys::DECODING_STATE, Result<Option<Foreign>, DecodeError>) {
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
        let side = |n: i32| u32::try_from(n).unwrap_or(0);
        let shown = Foreign::new(planes, buffer.iStride, side(buffer.iWidth), side(buffer.iHeight));
        (state, shown.map(Some))
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
