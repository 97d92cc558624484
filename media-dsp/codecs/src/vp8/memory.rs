//! The memory libvpx asks for, in place of its own `vpx_mem`: what it wants zeroed comes zeroed from the system.
//!
//! An encoder keeps room for every token its largest picture could ever hold, 22 MB at 720p, and never uses more than a
//! fraction of it. libvpx clears that room by hand, so all of it is resident; a mapping is zero until it is written to. It saves
//! 25 MB of each call with three layers. libvpx is linked statically for this alone (`build.rs`): these four symbols are the
//! whole of its allocator (`vpx_mem/vpx_mem.h`), and the linker takes ours before it looks into the archive.

use std::ffi::{c_int, c_void};
use std::ptr::null_mut;
use std::sync::Once;

/// What the widest SIMD loads want.
const ALIGNMENT: usize = 64;
/// Before what is handed out stands where its block begins.
const HEADER: usize = size_of::<*mut c_void>();
/// Blocks from this size on are mappings of their own, whatever was freed before: zero when new, and the system's again when a
/// call ends. The C library would raise its own limit with each large block that is freed.
const MAPPED_BYTES: c_int = 1 << 20;
/// `M_MMAP_THRESHOLD` of `malloc.h`.
const M_MMAP_THRESHOLD: c_int = -3;

unsafe extern "C" {
    fn calloc(count: usize, size: usize) -> *mut c_void;
    fn free(block: *mut c_void);
    fn mallopt(parameter: c_int, value: c_int) -> c_int;
}

fn zeroed(align: usize, size: usize) -> *mut c_void {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: sets a limit of the C library's allocator, which may be done at any time.
        unsafe { mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES) };
    });
    let align = align.max(ALIGNMENT);
    let Some(whole) = size.checked_add(align + HEADER) else { return null_mut() };
    // SAFETY: any sizes are allowed; null is looked for.
    let block = unsafe { calloc(1, whole) }.cast::<u8>();
    if block.is_null() {
        return null_mut();
    }
    let at = HEADER + block.wrapping_add(HEADER).align_offset(align);
    // SAFETY: `at` is at most HEADER + align - 1, so HEADER bytes before it and `size` bytes from it lie inside the block.
    unsafe {
        let out = block.add(at);
        out.sub(HEADER).cast::<*mut u8>().write_unaligned(block);
        out.cast()
    }
}

#[unsafe(no_mangle)]
extern "C" fn vpx_memalign(align: usize, size: usize) -> *mut c_void {
    zeroed(align, size)
}

#[unsafe(no_mangle)]
extern "C" fn vpx_malloc(size: usize) -> *mut c_void {
    zeroed(ALIGNMENT, size)
}

#[unsafe(no_mangle)]
extern "C" fn vpx_calloc(count: usize, size: usize) -> *mut c_void {
    count.checked_mul(size).map_or(null_mut(), |size| zeroed(ALIGNMENT, size))
}

/// # Safety
/// `out` is null, or came from one of the functions above and was not freed yet.
#[unsafe(no_mangle)]
unsafe extern "C" fn vpx_free(out: *mut c_void) {
    if out.is_null() {
        return;
    }
    // SAFETY: whoever handed it out wrote the block's address before it.
    unsafe { free(out.cast::<u8>().sub(HEADER).cast::<*mut c_void>().read_unaligned()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_aligned_zero_and_writable_to_their_end() {
        for (align, size) in [(16, 1), (32, 1_000), (64, 4_096), (4_096, 5_000_000), (64, 0)] {
            let block = vpx_memalign(align, size).cast::<u8>();
            assert_eq!(block.align_offset(align.max(ALIGNMENT)), 0, "{align} {size}");
            // SAFETY: `size` bytes were asked for; the block is freed once and not used afterwards.
            unsafe {
                let bytes = std::slice::from_raw_parts_mut(block, size);
                assert!(bytes.iter().all(|byte| *byte == 0));
                bytes.fill(0xa5);
                vpx_free(block.cast());
            }
        }
    }

    #[test]
    fn more_than_there_is_is_refused() {
        assert!(vpx_calloc(usize::MAX, 2).is_null());
        assert!(vpx_memalign(64, usize::MAX - 8).is_null());
        // SAFETY: null may be freed.
        unsafe { vpx_free(null_mut()) };
    }

    #[test]
    fn libvpx_takes_its_memory_from_here() {
        let resident = || -> u64 {
            let text = std::fs::read_to_string("/proc/self/statm").unwrap();
            text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap()
        };
        let settings =
            crate::VideoSettings { width: 1920, height: 1080, fps: 30, bps: 1_000_000, max_nal_bytes: None };
        let before = resident();
        let encoder = crate::vp8::Encoder::new(settings).unwrap();
        let pages = resident().saturating_sub(before);
        drop(encoder);
        // libvpx's own allocator would touch the 48 MB of its tokens alone
        assert!(pages < 6_000, "an encoder of 1080 lines that has encoded nothing holds {pages} pages");
    }
}
