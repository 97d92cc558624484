//! The encoder, set as libwebrtc sets it for a camera: real time, constant bit rate, no look-ahead, error resilient.

use super::stillness::Stillness;
use super::{Context, ok, sys};
use crate::{EncodeError, Encoded, Picture, VideoEncoder, VideoSettings};
use kernels::View;
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};
use std::time::Duration;
use sys::vp8e_enc_control_id as control;

/// Ticks per second of the time stamps given to the encoder.
const CLOCK: u32 = 90_000;
/// Speed, where the negative ones are fixed and do not follow the clock. libwebrtc takes -6, and -4 below CIF. Against that, -8 takes 4 %
/// less time at 720p, 8 % at 360p and 52 % at 180p for 0.07 dB less, as much and 0.26 dB less (people walking, 0.9, 0.35 and
/// 0.12 Mbit/s).
const SPEED: i32 = -8;
/// That of pictures that stand still: no search to quarters of a pixel, and unlikely modes are tried at fewer blocks. 7 % less time for 0.08 dB
/// less at 720p and 360p (people walking), where a picture that moves as a whole loses 0.3 dB. -9 loses as much and takes
/// longer; faster ones cost more than they save.
const QUICK: i32 = -10;
/// Smaller pictures have lost most by [`SPEED`] already, and there is least to win: 0.4 ms of the 6 that three layers take.
const LEAST_HEIGHT: u32 = 360;

/// A VP8 encoder of one stream.
pub struct Encoder {
    context: Context,
    config: Config,
    fps: u32,
    last: Option<i64>,
    /// Watches pictures that are large enough.
    stillness: Option<Stillness>,
    speed: i32,
}

/// The library's configuration, which has a number for everything.
struct Config(Box<sys::vpx_codec_enc_cfg_t>);

// SAFETY: its pointers are those of two-pass statistics, which stay null.
unsafe impl Send for Config {}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VP8 encoder {}x{}", self.config.0.g_w, self.config.0.g_h)
    }
}

impl Encoder {
    /// An encoder whose first picture stands alone.
    ///
    /// # Errors
    /// [`EncodeError::Settings`] for sizes out of range.
    pub fn new(settings: VideoSettings) -> Result<Self, EncodeError> {
        let refused = |code| EncodeError::Settings { width: settings.width, height: settings.height, code };
        let in_range = (2..=kernels::MAX_WIDTH).contains(&settings.width)
            && (2..=kernels::MAX_HEIGHT).contains(&settings.height);
        if !in_range {
            return Err(refused(sys::vpx_codec_err_t::VPX_CODEC_INVALID_PARAM as i32));
        }
        let config = Config(configure(&settings).map_err(refused)?);
        let context = open(&config.0).map_err(refused)?;
        let stillness = (settings.height >= LEAST_HEIGHT).then(Stillness::default);
        let (fps, last, speed) = (settings.fps.max(1), None, SPEED);
        let mut encoder = Self { context, config, fps, last, stillness, speed };
        encoder.set_controls().map_err(refused)?;
        Ok(encoder)
    }

    fn set_controls(&mut self) -> Result<(), i32> {
        self.control(control::VP8E_SET_CPUUSED, self.speed)?;
        self.control(control::VP8E_SET_STATIC_THRESHOLD, 1)?;
        self.control(control::VP8E_SET_NOISE_SENSITIVITY, 0)?;
        self.control(control::VP8E_SET_TOKEN_PARTITIONS, 0)?;
        self.control(control::VP8E_SET_MAX_INTRA_BITRATE_PCT, self.max_key_percent())
    }

    /// Searches as thoroughly as this picture and those before it need.
    fn set_speed(&mut self, picture: &View<'_>) -> Result<(), i32> {
        let Some(stillness) = &mut self.stillness else { return Ok(()) };
        let speed = if stillness.look(picture) { QUICK } else { SPEED };
        if speed != self.speed {
            self.control(control::VP8E_SET_CPUUSED, speed)?;
            self.speed = speed;
        }
        Ok(())
    }

    /// Largest key frame as a share of the mean frame: half of what the buffer aims to hold (as libwebrtc).
    fn max_key_percent(&self) -> i32 {
        let percent = u64::from(self.config.0.rc_buf_optimal_sz) * u64::from(self.fps) / 20;
        i32::try_from(percent.max(300)).unwrap_or(i32::MAX)
    }

    /// Sets a control that takes one int, which is every one used here.
    fn control(&mut self, id: control, value: i32) -> Result<(), i32> {
        // SAFETY: the context is alive; each control named above takes an int (the library's vp8cx.h).
        ok(unsafe { sys::vpx_codec_control_(&mut *self.context.0, id as i32, value) })
    }

    fn reconfigure(&mut self) -> Result<(), EncodeError> {
        // SAFETY: the context is alive; the configuration is the library's own with a new rate.
        ok(unsafe { sys::vpx_codec_enc_config_set(&mut *self.context.0, &*self.config.0) })
            .map_err(EncodeError::Failed)
    }

    /// Appends the packets of the frame just encoded.
    fn collect(&mut self, out: &mut Vec<u8>) -> Encoded {
        let (mut iterator, mut made) = (null(), Encoded::Skipped);
        loop {
            // SAFETY: the context is alive; the iterator begins null and is the library's own afterwards.
            let packet = unsafe { sys::vpx_codec_get_cx_data(&mut *self.context.0, &mut iterator) };
            if packet.is_null() {
                return made;
            }
            // SAFETY: not null, so it is the library's packet until the next call to encode.
            let packet = unsafe { &*packet };
            if packet.kind != sys::vpx_codec_cx_pkt_kind::VPX_CODEC_CX_FRAME_PKT {
                continue;
            }
            // SAFETY: a frame packet's union holds a frame, whose buffer has `sz` bytes.
            let (bytes, flags) = unsafe {
                let frame = &packet.data.frame;
                (std::slice::from_raw_parts(frame.buf.cast::<u8>(), frame.sz as usize), frame.flags)
            };
            out.extend_from_slice(bytes);
            made = if flags & sys::VPX_FRAME_IS_KEY == 0 { Encoded::Delta } else { Encoded::Key };
        }
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
        if (width, height) != (self.config.0.g_w, self.config.0.g_h) {
            return Err(EncodeError::Size { width, height });
        }
        self.set_speed(picture).map_err(EncodeError::Failed)?;
        let frame_time = i64::from(CLOCK / self.fps);
        let ticks = i64::try_from(at.as_nanos() * u128::from(CLOCK) / 1_000_000_000).unwrap_or(i64::MAX / 2);
        // the library wants time to grow
        let pts = self.last.map_or(ticks, |last| ticks.max(last + 1));
        let duration = self.last.map_or(frame_time, |last| (pts - last).clamp(1, i64::from(CLOCK)));
        let flags = if how == Picture::Key { i64::from(sys::VPX_EFLAG_FORCE_KF) } else { 0 };
        let mut image = MaybeUninit::<sys::vpx_image_t>::uninit();
        // SAFETY: the library fills the image (a null image would be refused sizes, which were checked); its planes then
        // point at the view's, which hold their rows by the view's invariant and are only read.
        let code = unsafe {
            let wrapped = sys::vpx_img_wrap(
                image.as_mut_ptr(),
                sys::vpx_img_fmt::VPX_IMG_FMT_I420,
                width,
                height,
                1,
                picture.planes()[0].as_ptr().cast_mut(),
            );
            if wrapped.is_null() {
                return Err(EncodeError::Size { width, height });
            }
            let [y, u, v] = picture.planes().map(|plane| plane.as_ptr().cast_mut());
            let [y_stride, c_stride] = picture.strides().map(|s| s as i32);
            (*wrapped).planes = [y, u, v, null_mut()];
            (*wrapped).stride = [y_stride, c_stride, c_stride, 0];
            sys::vpx_codec_encode(
                &mut *self.context.0,
                wrapped,
                pts,
                duration as _,
                flags as _,
                u64::from(sys::VPX_DL_REALTIME) as _,
            )
        };
        ok(code).map_err(EncodeError::Failed)?;
        self.last = Some(pts);
        Ok(self.collect(out))
    }

    fn set_bitrate(&mut self, bps: u32) -> Result<(), EncodeError> {
        let before = std::mem::replace(&mut self.config.0.rc_target_bitrate, kbps(bps));
        self.reconfigure().inspect_err(|_| self.config.0.rc_target_bitrate = before)
    }

    fn set_frame_rate(&mut self, fps: u32) -> Result<(), EncodeError> {
        self.fps = fps.max(1);
        let percent = self.max_key_percent();
        self.control(control::VP8E_SET_MAX_INTRA_BITRATE_PCT, percent).map_err(EncodeError::Failed)
    }
}

fn kbps(bps: u32) -> u32 {
    bps.div_ceil(1000).max(1)
}

fn configure(settings: &VideoSettings) -> Result<Box<sys::vpx_codec_enc_cfg_t>, i32> {
    let mut config = MaybeUninit::<sys::vpx_codec_enc_cfg_t>::uninit();
    // SAFETY: the library fills the whole structure if it returns OK, and only then is it read.
    let mut config = unsafe {
        ok(sys::vpx_codec_enc_config_default(sys::vpx_codec_vp8_cx(), config.as_mut_ptr(), 0))?;
        Box::new(config.assume_init())
    };
    config.g_w = settings.width;
    config.g_h = settings.height;
    config.g_threads = 1;
    config.g_timebase = sys::vpx_rational { num: 1, den: CLOCK as i32 };
    config.g_error_resilient = 1;
    config.g_lag_in_frames = 0;
    config.rc_end_usage = sys::vpx_rc_mode::VPX_CBR;
    config.rc_target_bitrate = kbps(settings.bps);
    config.rc_dropframe_thresh = 30;
    config.rc_resize_allowed = 0;
    config.rc_min_quantizer = 2;
    config.rc_max_quantizer = 56;
    config.rc_undershoot_pct = 100;
    config.rc_overshoot_pct = 15;
    config.rc_buf_initial_sz = 500;
    config.rc_buf_optimal_sz = 600;
    config.rc_buf_sz = 1000;
    // the same value as "fixed" in the library: no key frame that nobody asked for
    config.kf_mode = sys::vpx_kf_mode::VPX_KF_FIXED;
    Ok(config)
}

fn open(config: &sys::vpx_codec_enc_cfg_t) -> Result<Context, i32> {
    let mut context = Context(Box::default());
    // SAFETY: the context is zeroed memory of the right size, at its final address; the configuration is copied.
    ok(unsafe {
        sys::vpx_codec_enc_init_ver(
            &mut *context.0,
            sys::vpx_codec_vp8_cx(),
            config,
            0,
            sys::VPX_ENCODER_ABI_VERSION as i32,
        )
    })?;
    Ok(context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernels::I420;

    /// The speed after thirty pictures that are all the same, and after one that is another.
    fn speeds(width: u32, height: u32) -> [i32; 2] {
        let settings = VideoSettings { width, height, fps: 30, bps: 500_000, max_nal_bytes: None };
        let mut encoder = Encoder::new(settings).expect("an encoder");
        let mut picture = I420::new(width, height).expect("a picture");
        let mut encode = |picture: &I420, n: u32| {
            let (at, mut out) = (Duration::from_millis(u64::from(n) * 33), Vec::new());
            encoder.encode(&picture.view(), at, Picture::Any, &mut out).expect("a picture to be encoded");
            encoder.speed
        };
        let still = (0..=30).map(|n| encode(&picture, n)).last().expect("some pictures");
        picture.view_mut().fill(200, 128, 128);
        [still, encode(&picture, 31)]
    }

    #[test]
    fn pictures_that_stand_still_are_searched_quickly_until_they_move_and_small_ones_never() {
        assert_eq!(speeds(1280, 720), [QUICK, SPEED]);
        assert_eq!(speeds(640, 360), [QUICK, SPEED]);
        assert_eq!(speeds(320, 180), [SPEED, SPEED]);
    }
}
