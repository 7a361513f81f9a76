//! What a device and its gateway were told before they met, and what they do with each other.

/// The device's name.
pub const DEVICE: &[u8] = b"greenhouse-7";
/// Its key.
#[allow(dead_code, reason = "not in the plain mode")]
pub const KEY: [u8; 32] = [7; 32];
/// The gateway's public key: of RFC 7748 section 6.1, Bob's.
#[allow(dead_code, reason = "in NKpsk0 alone")]
pub const GATEWAY_PUBLIC: [u8; 32] = [
    0xde, 0x9e, 0xdb, 0x7d, 0x7b, 0x7d, 0xc1, 0xb4, 0xd3, 0x5b, 0x61, 0xc2, 0xec, 0xe4, 0x35, 0x37, 0x3f, 0x83, 0x43,
    0xc8, 0x5b, 0x78, 0x67, 0x4d, 0xad, 0xfc, 0x7e, 0x14, 0x6f, 0x88, 0x2b, 0x4f,
];

/// The channel of the device's readings.
pub const READINGS: u8 = 1;
/// Bytes of a reading, and of a command.
pub const MESSAGE: usize = 64;
/// The largest datagram that the device takes, in bytes.
#[allow(dead_code, reason = "the gateway learns it")]
pub const DATAGRAM: u16 = 576;
/// Readings that the device sends when it is measured.
#[allow(dead_code, reason = "when it is measured")]
pub const ROUNDS: usize = 33;
/// From this one on, the gateway answers each with a command.
#[allow(dead_code, reason = "when it is measured")]
pub const FIRST_COMMAND: usize = 16;
