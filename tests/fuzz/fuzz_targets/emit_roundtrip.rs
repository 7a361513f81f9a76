//! See `whimbrel_fuzz::emit_roundtrip`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| whimbrel_fuzz::emit_roundtrip::run(bytes));
