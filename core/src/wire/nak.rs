//! NAK: the receiver asks for messages of a stream.
//!
//! ```text
//! type 0x02 | stream (1) | base (2) | bitmap length (1), 0 to 8 | bitmap: bit i is message base + 1 + i
//! ```

use super::{Reader, Writer, bitmap, kind};
use crate::{BufferTooSmall, DecodeError, StreamId};

const BITMAP_MAX: u8 = 8;

/// How far beyond its first message a NAK reaches.
pub const NAK_BEYOND_MAX: u16 = BITMAP_MAX as u16 * 8;

/// A received request for missing messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nak<'a> {
    /// The stream.
    pub stream: StreamId,
    /// The lowest 16 bits of the first missing message's number.
    pub base: u16,
    bitmap: &'a [u8],
}

impl<'a> Nak<'a> {
    /// Reads what follows the type.
    pub(super) fn parse(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { stream: r.stream()?, base: r.u16()?, bitmap: bitmap::read(r, 0..=BITMAP_MAX)? })
    }

    /// The lowest 16 bits of the missing messages' numbers, ascending from `base`; they wrap.
    pub fn missing(&self) -> impl Iterator<Item = u16> + Clone + use<'a> {
        let base = self.base;
        core::iter::once(base).chain(bitmap::ones(self.bitmap).map(move |bit| base.wrapping_add(1 + bit as u16)))
    }
}

/// Appends a request for message `base` and those messages `base + k`, for `k` from 1 to
/// [`NAK_BEYOND_MAX`], that `missing(k)` names.
///
/// # Errors
/// When it does not fit.
pub fn emit_nak(
    stream: StreamId,
    base: u16,
    missing: impl Fn(u16) -> bool,
    w: &mut Writer<'_>,
) -> Result<(), BufferTooSmall> {
    w.whole(|w| {
        w.put(&[kind::NAK, stream.to_wire()])?;
        w.u16(base)?;
        bitmap::write(w, u32::from(NAK_BEYOND_MAX), |bit| missing(1 + bit as u16))
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Frame, Frames};
    use super::*;
    use proptest::prelude::*;
    extern crate std;
    use std::vec::Vec;

    fn parse(bytes: &[u8]) -> Result<Nak<'_>, DecodeError> {
        match Frames::new(bytes).next().unwrap()? {
            Frame::Nak(nak) => Ok(nak),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_the_bits_mean() {
        let nak = parse(&[0x02, 5, 0xfe, 0xff, 1, 0b101]).unwrap();
        assert_eq!(nak.stream.to_wire(), 5);
        assert_eq!(nak.missing().collect::<Vec<_>>(), [0xfffe, 0xffff, 1]);
        assert_eq!(parse(&[0x02, 5, 7, 0, 0]).unwrap().missing().collect::<Vec<_>>(), [7]);
    }

    #[test]
    fn forms_out_of_range_are_refused() {
        assert_eq!(parse(&[0x02, 0x80, 7, 0, 0]), Err(DecodeError::Invalid));
        assert_eq!(parse(&[0x02, 5, 7, 0, 9]), Err(DecodeError::Invalid));
        assert_eq!(parse(&[0x02, 5, 7, 0, 1, 0]), Err(DecodeError::NotCanonical));
    }

    proptest! {
        #[test]
        fn every_request_comes_back(id in 0u8..128, base: u16, set in prop::collection::btree_set(1u16..65, 0..65)) {
            let stream = StreamId::from_wire(id).unwrap();
            let mut buf = [0; 13];
            let mut w = Writer::new(&mut buf);
            emit_nak(stream, base, |k| set.contains(&k), &mut w).unwrap();
            let nak = parse(w.written()).unwrap();
            prop_assert_eq!((nak.stream, nak.base), (stream, base));
            let expected: Vec<u16> =
                core::iter::once(base).chain(set.iter().map(|k| base.wrapping_add(*k))).collect();
            prop_assert_eq!(nak.missing().collect::<Vec<_>>(), expected);
            for cut in 1..w.len() {
                prop_assert_eq!(parse(&w.written()[..cut]), Err(DecodeError::Truncated));
            }
        }
    }
}
