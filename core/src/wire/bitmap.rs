//! Bitmaps on the wire: a length byte, then bits from the lowest of the first byte on. The last
//! byte is not zero, so that each set of bits has one form.

use super::{Reader, Writer};
use crate::{BufferTooSmall, DecodeError};

/// Reads a length byte in `lengths` and the bitmap.
pub(super) fn read<'a>(r: &mut Reader<'a>, lengths: core::ops::RangeInclusive<u8>) -> Result<&'a [u8], DecodeError> {
    let bitmap = r.counted(lengths)?;
    if bitmap.last() == Some(&0) {
        return Err(DecodeError::NotCanonical);
    }
    Ok(bitmap)
}

/// Writes the bits below `bits` that `is_set` names, with the length byte; `bits` is at most 255 * 8.
pub(super) fn write(w: &mut Writer<'_>, bits: u32, is_set: impl Fn(u32) -> bool) -> Result<(), BufferTooSmall> {
    let used = bits - (0..bits).rev().take_while(|bit| !is_set(*bit)).count() as u32;
    let len = used.div_ceil(8);
    w.whole(|w| {
        w.u8(u8::try_from(len).map_err(|_| BufferTooSmall)?)?;
        for (byte, at) in w.reserve(len as usize)?.iter_mut().zip((0u32..).step_by(8)) {
            *byte = (at..used.min(at + 8)).filter(|bit| is_set(*bit)).fold(0, |byte, bit| byte | 1 << (bit - at));
        }
        Ok(())
    })
}

/// How many bits the bitmap has room for.
pub(super) const fn bits(bitmap: &[u8]) -> u32 {
    bitmap.len() as u32 * 8
}

/// Whether a bit is set.
pub(super) fn is_set(bitmap: &[u8], bit: u32) -> bool {
    bitmap.get((bit / 8) as usize).is_some_and(|byte| byte & (1 << (bit % 8)) != 0)
}

/// The numbers of the set bits, ascending.
pub(super) fn ones(bitmap: &[u8]) -> impl Iterator<Item = u32> + Clone {
    (0..bits(bitmap)).filter(|bit| is_set(bitmap, *bit))
}

/// The highest set bit.
pub(super) fn highest(bitmap: &[u8]) -> Option<u32> {
    (0..bits(bitmap)).rev().find(|bit| is_set(bitmap, *bit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    extern crate std;
    use std::vec::Vec;

    #[test]
    fn a_zero_last_byte_is_refused() {
        assert_eq!(read(&mut Reader::new(&[2, 1, 0]), 1..=4), Err(DecodeError::NotCanonical));
        assert_eq!(read(&mut Reader::new(&[0]), 1..=4), Err(DecodeError::Invalid));
        assert_eq!(read(&mut Reader::new(&[0]), 0..=4), Ok(&[][..]));
    }

    proptest! {
        #[test]
        fn bits_come_back(set in prop::collection::btree_set(0u32..256, 0..20), room in 0u32..257) {
            let mut buf = [0; 33];
            let mut w = Writer::new(&mut buf);
            write(&mut w, room, |bit| set.contains(&bit)).unwrap();
            let mut r = Reader::new(w.written());
            let bitmap = read(&mut r, 0..=32).unwrap();
            let expected: Vec<u32> = set.into_iter().filter(|bit| *bit < room).collect();
            prop_assert_eq!(highest(bitmap), expected.last().copied());
            prop_assert_eq!(ones(bitmap).collect::<Vec<_>>(), expected);
            prop_assert!(r.is_empty());
        }
    }
}
