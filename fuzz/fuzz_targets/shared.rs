//! libFuzzer drives [`ipmb_fuzz::shared`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ipmb_fuzz::shared(data));
