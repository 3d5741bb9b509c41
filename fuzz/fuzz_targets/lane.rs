//! libFuzzer drives [`ipmb_fuzz::lane`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ipmb_fuzz::lane(data));
