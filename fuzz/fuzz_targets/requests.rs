//! Whole requests to the API server in memory.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| trueup_fuzz::requests::requests(input));
