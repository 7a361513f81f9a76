//! See `whimbrel_fuzz::headers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| whimbrel_fuzz::headers::run(bytes));
