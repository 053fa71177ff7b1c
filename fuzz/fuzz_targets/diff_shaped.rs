//! Objects made by the schema of a built-in kind, changed and compared.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| trueup_fuzz::objects::diff_shaped(input));
