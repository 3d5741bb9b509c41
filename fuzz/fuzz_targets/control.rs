//! libFuzzer drives [`ipmb_fuzz::control`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ipmb_fuzz::control(data));
