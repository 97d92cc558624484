//! VP8 (RFC 6386) by the system's libvpx, linked statically so that its memory comes from [`memory`].
//!
//! The bindings turn C enums into Rust enums, so a zeroed configuration is not one: it is filled by the library in
//! uninitialised memory. `vpx_codec_control_` takes any number of arguments unchecked; each use says what it takes.

mod decoder;
mod encoder;
mod memory;
mod stillness;

pub use decoder::Decoder;
pub use encoder::Encoder;

use sys::vpx_codec_err_t;
use vpx_sys as sys;

/// RFC 6386 9.1: whether a frame stands alone. An empty frame does not.
#[must_use]
pub fn is_key(frame: &[u8]) -> bool {
    frame.first().is_some_and(|tag| tag & 1 == 0)
}

/// Width and height from a key frame's header (RFC 6386 9.1), or `None` if it is none.
fn key_size(frame: &[u8]) -> Option<(u32, u32)> {
    let [_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1] = *frame.first_chunk::<10>()? else { return None };
    let side = |low: u8, high: u8| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    Some((side(w0, w1), side(h0, h1)))
}

fn ok(code: vpx_codec_err_t) -> Result<(), i32> {
    if code == vpx_codec_err_t::VPX_CODEC_OK { Ok(()) } else { Err(code as i32) }
}

/// A codec's context, and in it its object; made in place and never moved, because the library keeps its address.
struct Context(Box<sys::vpx_codec_ctx_t>);

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("libvpx context")
    }
}

// SAFETY: the context is owned alone; the library keeps no thread-local state and, set to one thread, starts none.
unsafe impl Send for Context {}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context was initialised and is used for the last time.
        unsafe { sys::vpx_codec_destroy(&mut *self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_frame_tells_its_size_without_its_scale() {
        let header = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x00, 0x45, 0xd0, 0x02, 9];
        assert!(is_key(&header));
        assert_eq!(key_size(&header), Some((1280, 720)));
        assert_eq!(key_size(&header[..9]), None);
        assert!(!is_key(&[0x31, 1, 2]) && !is_key(&[]));
    }
}
