//! libFuzzer drives [`ipmb_fuzz::directory`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ipmb_fuzz::directory(data));
