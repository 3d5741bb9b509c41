//! libFuzzer drives [`ipmb_fuzz::handshake`].
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| ipmb_fuzz::handshake(data));
