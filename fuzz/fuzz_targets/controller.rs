//! libFuzzer drives [`ipmb_fuzz::controller`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ipmb_fuzz::controller(data));
