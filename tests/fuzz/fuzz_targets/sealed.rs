//! See `whimbrel_fuzz::sealed`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| whimbrel_fuzz::sealed::run(bytes));
