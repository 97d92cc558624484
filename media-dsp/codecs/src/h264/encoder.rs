//! The encoder: constrained baseline, one thread, bit rate held, a picture that stands alone only when asked.

use super::{QUIET, option};
use crate::{EncodeError, Encoded, Picture, VideoEncoder, VideoSettings};
use kernels::View;
use openh264_sys2 as sys;
use std::ptr::{NonNull, null_mut};
use std::time::Duration;

/// Shortest limit for NAL units: the library wants room for its largest macroblock and a header.
pub const MIN_NAL_BYTES: usize = 500;

/// The library writes a four byte start code before each NAL unit and counts it in.
const START_CODE: usize = 4;

/// An H.264 encoder of one stream.
#[derive(Debug)]
pub struct Encoder {
    raw: Raw,
    settings: VideoSettings,
}

impl Encoder {
    /// An encoder whose first picture stands alone.
    ///
    /// # Errors
    /// [`EncodeError::Settings`] for sizes out of range, or NAL units shorter than [`MIN_NAL_BYTES`].
    pub fn new(settings: VideoSettings) -> Result<Self, EncodeError> {
        let refused = |code| EncodeError::Settings { width: settings.width, height: settings.height, code };
        let in_range = (16..=kernels::MAX_WIDTH).contains(&settings.width)
            && (16..=kernels::MAX_HEIGHT).contains(&settings.height)
            && settings.max_nal_bytes.is_none_or(|n| n >= MIN_NAL_BYTES);
        if !in_range {
            return Err(refused(sys::cmInitParaError));
        }
        let raw = Raw::new().map_err(refused)?;
        raw.initialize(&settings).map_err(refused)?;
        Ok(Self { raw, settings })
    }
}

impl VideoEncoder for Encoder {
    fn encode(
        &mut self,
        picture: &View<'_>,
        at: Duration,
        how: Picture,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, EncodeError> {
        let (width, height) = (picture.width(), picture.height());
        if (width, height) != (self.settings.width, self.settings.height) {
            return Err(EncodeError::Size { width, height });
        }
        if how == Picture::Key {
            self.raw.force_key().map_err(EncodeError::Failed)?;
        }
        self.raw.encode(picture, at, out).map_err(EncodeError::Failed)
    }

    fn set_bitrate(&mut self, bps: u32) -> Result<(), EncodeError> {
        let rate = |bps: u32| sys::SBitrateInfo { iLayer: sys::SPATIAL_LAYER_ALL, iBitrate: clamp(bps) };
        // the ceiling must never be below the target, so it goes up first and down last
        let ceiling = (sys::ENCODER_OPTION_MAX_BITRATE, rate(bps.saturating_mul(2)));
        let target = (sys::ENCODER_OPTION_BITRATE, rate(bps));
        let order = if bps > self.settings.bps { [ceiling, target] } else { [target, ceiling] };
        for (name, mut value) in order {
            self.raw.set(name, &mut value).map_err(EncodeError::Failed)?;
        }
        self.settings.bps = bps;
        Ok(())
    }

    fn set_frame_rate(&mut self, fps: u32) -> Result<(), EncodeError> {
        let mut rate = fps as f32;
        self.raw.set(sys::ENCODER_OPTION_FRAME_RATE, &mut rate).map_err(EncodeError::Failed)?;
        self.settings.fps = fps;
        Ok(())
    }
}

fn clamp(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

/// The library's object; never null.
#[derive(Debug)]
struct Raw(NonNull<sys::ISVCEncoder>);

// SAFETY: the object is owned alone, holds no thread-local state and, set to one thread, starts none.
unsafe impl Send for Raw {}

impl Raw {
    fn new() -> Result<Self, i32> {
        let mut raw = null_mut();
        // SAFETY: writes a pointer to a new object, or leaves null and returns a code.
        let code = unsafe { sys::source::APILoader::WelsCreateSVCEncoder(&mut raw) };
        let encoder = Self(NonNull::new(raw).ok_or(code)?);
        let mut quiet = QUIET;
        encoder.set(sys::ENCODER_OPTION_TRACE_LEVEL, &mut quiet)?;
        Ok(encoder)
    }

    fn initialize(&self, settings: &VideoSettings) -> Result<(), i32> {
        let raw = self.0.as_ptr();
        let mut all = sys::SEncParamExt::default();
        // SAFETY: the object is alive; the library fills the settings.
        let code = unsafe { (**raw).GetDefaultParams.map_or(-1, |get| get(raw, &mut all)) };
        ok(code)?;
        fill(&mut all, settings);
        // SAFETY: the object is alive; the settings live through the call, which copies them.
        ok(unsafe { (**raw).InitializeExt.map_or(-1, |initialize| initialize(raw, &all)) })
    }

    /// Sets an option; `T` must be what the option wants, which is given at each caller.
    fn set<T>(&self, name: sys::ENCODER_OPTION, value: &mut T) -> Result<(), i32> {
        let raw = self.0.as_ptr();
        // SAFETY: the object is alive; callers pass an int for the trace level, a float for the frame rate and a
        // bit rate structure for bit rates, as codec_app_def.h says.
        ok(unsafe { (**raw).SetOption.map_or(-1, |set| set(raw, name, option(value))) })
    }

    fn force_key(&self) -> Result<(), i32> {
        let raw = self.0.as_ptr();
        // SAFETY: the object is alive and initialised.
        ok(unsafe { (**raw).ForceIntraFrame.map_or(-1, |force| force(raw, true)) })
    }

    fn encode(&mut self, picture: &View<'_>, at: Duration, out: &mut Vec<u8>) -> Result<Encoded, i32> {
        let raw = self.0.as_ptr();
        let [y, u, v] = picture.planes().map(|plane| plane.as_ptr().cast_mut());
        let [y_stride, c_stride] = picture.strides().map(|s| s as i32);
        let source = sys::SSourcePicture {
            iColorFormat: sys::videoFormatI420,
            iStride: [y_stride, c_stride, c_stride, 0],
            pData: [y, u, v, null_mut()],
            iPicWidth: picture.width() as i32,
            iPicHeight: picture.height() as i32,
            uiTimeStamp: i64::try_from(at.as_millis()).unwrap_or(i64::MAX),
            ..Default::default()
        };
        let mut info = sys::SFrameBSInfo::default();
        // SAFETY: the object is alive and initialised for this size; the planes hold their rows by the view's invariant and
        // are only read.
        ok(unsafe { (**raw).EncodeFrame.map_or(-1, |encode| encode(raw, &source, &mut info)) })?;
        append(&info, out);
        Ok(match info.eFrameType {
            sys::videoFrameTypeIDR => Encoded::Key,
            sys::videoFrameTypeSkip => Encoded::Skipped,
            sys::videoFrameTypeInvalid => return Err(sys::cmUnknownReason),
            _ => Encoded::Delta,
        })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: the object is alive and used for the last time.
        unsafe {
            let raw = self.0.as_ptr();
            (**raw).Uninitialize.map(|uninitialize| uninitialize(raw));
            sys::source::APILoader::WelsDestroySVCEncoder(raw);
        }
    }
}

fn fill(all: &mut sys::SEncParamExt, settings: &VideoSettings) {
    let (width, height) = (settings.width as i32, settings.height as i32);
    all.iUsageType = sys::CAMERA_VIDEO_REAL_TIME;
    all.iPicWidth = width;
    all.iPicHeight = height;
    all.iTargetBitrate = clamp(settings.bps);
    all.iMaxBitrate = clamp(settings.bps.saturating_mul(2));
    all.iRCMode = sys::RC_BITRATE_MODE;
    all.fMaxFrameRate = settings.fps as f32;
    all.iComplexityMode = sys::LOW_COMPLEXITY;
    all.iMultipleThreadIdc = 1;
    all.uiIntraPeriod = 0;
    all.eSpsPpsIdStrategy = sys::CONSTANT_ID;
    // without it the library does not hold the bit rate in this mode
    all.bEnableFrameSkip = true;
    // a cut in the picture would make a picture that stands alone, and with it a burst, at each change of layout
    all.bEnableSceneChangeDetect = false;
    // it takes slow changes for background and leaves them out: 0.16 dB less for no time saved (720p, people walking)
    all.bEnableBackgroundDetection = false;
    all.iSpatialLayerNum = 1;
    all.iTemporalLayerNum = 1;
    let layer = &mut all.sSpatialLayers[0];
    layer.iVideoWidth = width;
    layer.iVideoHeight = height;
    layer.fFrameRate = settings.fps as f32;
    layer.iSpatialBitrate = all.iTargetBitrate;
    layer.iMaxSpatialBitrate = all.iMaxBitrate;
    layer.uiProfileIdc = sys::PRO_BASELINE;
    match settings.max_nal_bytes {
        Some(bytes) => {
            let bytes = (bytes + START_CODE) as u32;
            all.uiMaxNalSize = bytes;
            layer.sSliceArgument.uiSliceMode = sys::SM_SIZELIMITED_SLICE;
            layer.sSliceArgument.uiSliceSizeConstraint = bytes;
        }
        None => {
            layer.sSliceArgument.uiSliceMode = sys::SM_SINGLE_SLICE;
            layer.sSliceArgument.uiSliceNum = 1;
        }
    }
}

/// Appends the bytes of every layer, which together are one access unit in Annex B format.
fn append(info: &sys::SFrameBSInfo, out: &mut Vec<u8>) {
    let layers = usize::try_from(info.iLayerNum).unwrap_or(0).min(info.sLayerInfo.len());
    for layer in &info.sLayerInfo[..layers] {
        let units = usize::try_from(layer.iNalCount).unwrap_or(0);
        if units == 0 || layer.pNalLengthInByte.is_null() || layer.pBsBuf.is_null() {
            continue;
        }
        // SAFETY: the library gives as many lengths as it counts units, and as many bytes as the lengths add up to; both stay
        // until the next call.
        let bytes = unsafe {
            let lengths = std::slice::from_raw_parts(layer.pNalLengthInByte, units);
            let total = lengths.iter().map(|&n| usize::try_from(n).unwrap_or(0)).sum();
            std::slice::from_raw_parts(layer.pBsBuf, total)
        };
        out.extend_from_slice(bytes);
    }
}

fn ok(code: i32) -> Result<(), i32> {
    if code == 0 { Ok(()) } else { Err(code) }
}
