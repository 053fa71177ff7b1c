//! Quantities, durations and times in any spelling.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| trueup_fuzz::texts::equality(input));
