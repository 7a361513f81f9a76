//! What the fuzz targets do with their bytes. The tests of the core include this file too and run every
//! input of the corpus through it, so that what the fuzzer found once is tested on any toolchain.
//!
//! Each module has a `run` that panics when something does not hold.

pub mod emit_roundtrip;
pub mod frames;
pub mod handshake;
pub mod headers;
pub mod sealed;
pub mod session;
pub mod source;
pub mod stream;

/// A target: what its corpus directory is called, and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 7] = [
    ("emit_roundtrip", emit_roundtrip::run),
    ("frames", frames::run),
    ("handshake", handshake::run),
    ("headers", headers::run),
    ("sealed", sealed::run),
    ("session", session::run),
    ("stream", stream::run),
];
