//! libFuzzer's entry to [`fuzz::payload`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::payload(data));
