//! libFuzzer drives [`ipmb_fuzz::selector`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ipmb_fuzz::selector(data));
