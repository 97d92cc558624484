//! libFuzzer's entry to [`fuzz::conference`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::conference(data));
