//! CRC-32/ISO-HDLC, the integrity check of plain packets and of byte streams.

use crc::{CRC_32_ISO_HDLC, Crc, Digest, Table};

/// One table of 1 KiB: it lies in the flash of every device. The bit-by-bit form would save it for
/// eight times the work on each byte; the 16 KiB form is too large there, and several times faster on hosts.
#[cfg(target_os = "none")]
type Tables = Table<1>;
#[cfg(not(target_os = "none"))]
type Tables = Table<16>;

static CRC: Crc<u32, Tables> = Crc::<u32, Tables>::new(&CRC_32_ISO_HDLC);

/// Length of the check on the wire, in bytes; little-endian.
pub const LEN: usize = 4;

/// The check of `bytes`.
pub fn crc32(bytes: &[u8]) -> u32 {
    CRC.checksum(bytes)
}

/// The check of bytes that lie in several places.
#[derive(Clone)]
pub struct Crc32(Digest<'static, u32, Tables>);

impl Crc32 {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self(CRC.digest())
    }

    /// Adds bytes at the end.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The check of everything added.
    pub fn finish(self) -> u32 {
        self.0.finalize()
    }
}

impl Default for Crc32 {
    fn default() -> Self {
        Self::new()
    }
}

/// What stands before the check that ends `bytes`, when that check is right.
pub fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (body, check) = bytes.split_last_chunk::<LEN>()?;
    (crc32(body) == u32::from_le_bytes(*check)).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    // The check value of CRC-32/ISO-HDLC in the catalogue of parametrised CRC algorithms.
    #[test]
    fn the_catalogue_value() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn parts_make_the_whole() {
        let mut parts = Crc32::new();
        parts.update(b"1234");
        parts.update(b"");
        parts.update(b"56789");
        assert_eq!(parts.finish(), crc32(b"123456789"));
    }

    #[test]
    fn a_flipped_bit_anywhere_is_seen() {
        let mut bytes = *b"reading....";
        let check = crc32(&bytes[..7]).to_le_bytes();
        bytes[7..].copy_from_slice(&check);
        assert_eq!(checked(&bytes), Some(&b"reading"[..]));
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(checked(&bad), None, "bit {bit}");
        }
        assert_eq!(checked(&bytes[..3]), None);
    }
}
