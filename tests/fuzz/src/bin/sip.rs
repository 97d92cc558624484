//! libFuzzer's entry to [`fuzz::sip`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::sip(data));
