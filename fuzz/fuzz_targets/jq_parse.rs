//! Jq expressions of ignore rules, as written.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| trueup_fuzz::rules::jq_parse(input));
