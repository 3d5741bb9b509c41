//! libFuzzer drives [`ipmb_fuzz::source`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ipmb_fuzz::source(data));
