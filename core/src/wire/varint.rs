//! Variable-length integers: unsigned LEB128, shortest form only, as postcard writes them.

use super::Writer;
use crate::{BufferTooSmall, DecodeError};

/// The longest encoding, in bytes: 64 bits, 7 in each.
pub const LEN_MAX: usize = 10;

/// Length of the encoding of `value`: 1 to 10 bytes.
pub const fn len(value: u64) -> usize {
    // Zero still takes a byte.
    let bits = u64::BITS - (value | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// The value at the front of `bytes`, and what follows it.
///
/// # Errors
/// `Truncated` when the bytes end first, `NotCanonical` when a shorter encoding exists, `Invalid`
/// when the value does not fit 64 bits.
pub fn decode(bytes: &[u8]) -> Result<(u64, &[u8]), DecodeError> {
    let mut value = 0u64;
    let mut rest = bytes;
    for shift in (0..u64::BITS).step_by(7) {
        let (&byte, after) = rest.split_first().ok_or(DecodeError::Truncated)?;
        rest = after;
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit only.
        if shift == 63 && byte > 1 {
            return Err(DecodeError::Invalid);
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return if byte == 0 && shift > 0 { Err(DecodeError::NotCanonical) } else { Ok((value, rest)) };
        }
    }
    Err(DecodeError::Invalid)
}

/// Appends the encoding of `value`; nothing when it does not fit.
///
/// # Errors
/// When fewer than [`len`]`(value)` bytes are left.
pub fn encode(value: u64, w: &mut Writer<'_>) -> Result<(), BufferTooSmall> {
    if w.remaining() < len(value) {
        return Err(BufferTooSmall);
    }
    let mut left = value;
    while left >= 0x80 {
        w.u8(left as u8 | 0x80)?;
        left >>= 7;
    }
    w.u8(left as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(value: u64, buf: &mut [u8]) -> usize {
        let mut w = Writer::new(buf);
        encode(value, &mut w).unwrap();
        w.len()
    }

    #[test]
    fn known_encodings() {
        let mut buf = [0; LEN_MAX];
        for (value, bytes) in [
            (0u64, &[0u8][..]),
            (127, &[0x7f]),
            (128, &[0x80, 0x01]),
            (300, &[0xac, 0x02]),
            (u64::MAX, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ] {
            let n = encoded(value, &mut buf);
            assert_eq!(&buf[..n], bytes);
            assert_eq!(decode(bytes), Ok((value, &[][..])));
        }
    }

    #[test]
    fn longer_forms_and_larger_values_are_refused() {
        assert_eq!(decode(&[0x80, 0x00]), Err(DecodeError::NotCanonical));
        assert_eq!(decode(&[0xff, 0x80, 0x00]), Err(DecodeError::NotCanonical));
        assert_eq!(decode(&[0xff; 10]), Err(DecodeError::Invalid));
        let mut bytes = [0x80; 10];
        bytes[9] = 2;
        assert_eq!(decode(&bytes), Err(DecodeError::Invalid));
        bytes[9] = 0;
        assert_eq!(decode(&bytes), Err(DecodeError::NotCanonical));
        assert_eq!(decode(&[0x80; 9]), Err(DecodeError::Truncated));
        assert_eq!(decode(&[]), Err(DecodeError::Truncated));
    }

    #[test]
    fn a_full_buffer_stays_as_it_was() {
        let mut buf = [7];
        let mut w = Writer::new(&mut buf);
        assert_eq!(encode(128, &mut w), Err(BufferTooSmall));
        assert_eq!((w.len(), buf[0]), (0, 7));
    }

    proptest! {
        #[test]
        fn every_value_comes_back(value: u64, shift in 0u32..64) {
            let value = value >> shift;
            let mut buf = [0; LEN_MAX];
            let n = encoded(value, &mut buf);
            prop_assert_eq!(n, len(value));
            prop_assert_eq!(decode(&buf[..n]), Ok((value, &[][..])));
            for cut in 0..n {
                prop_assert_eq!(decode(&buf[..cut]), Err(DecodeError::Truncated));
            }
        }

        // What is read is what would be written: one encoding for each value.
        #[test]
        fn what_decodes_is_canonical(bytes: [u8; 12]) {
            if let Ok((value, rest)) = decode(&bytes) {
                let mut buf = [0; LEN_MAX];
                let n = encoded(value, &mut buf);
                prop_assert_eq!(&buf[..n], &bytes[..bytes.len() - rest.len()]);
            }
        }
    }
}
