//! A document applied and written over an object whose managedFields are any.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| trueup_fuzz::objects::merge(input));
