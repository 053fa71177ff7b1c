//! YAML as people and charts write it.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| trueup_fuzz::texts::yaml(input));
