//! Jq expressions of ignore rules, run on an object within their budget.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| trueup_fuzz::rules::jq_run(input));
