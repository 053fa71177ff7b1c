//! JSON pointers of ignore rules, and what they name in an object.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| trueup_fuzz::rules::pointer(input));
