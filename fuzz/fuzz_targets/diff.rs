//! Two or three documents, compared.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| trueup_fuzz::objects::diff(input));
