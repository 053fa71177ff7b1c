//! What is masked, in texts and in whole objects.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| trueup_fuzz::objects::masks(input));
