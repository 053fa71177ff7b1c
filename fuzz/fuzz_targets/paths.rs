//! Field paths as people write them in rules, stories and commands.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| trueup_fuzz::texts::paths(input));
