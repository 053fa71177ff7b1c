//! See `trueup_fuzz::expressions::cel`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| trueup_fuzz::expressions::cel(input));
