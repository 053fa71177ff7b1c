//! The sets of fields in managedFields.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| trueup_fuzz::texts::fields_v1(input));
