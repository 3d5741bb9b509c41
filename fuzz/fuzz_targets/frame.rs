//! libFuzzer drives [`ipmb_fuzz::frame`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ipmb_fuzz::frame(data));
