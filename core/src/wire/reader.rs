//! Takes values off the front of received bytes.

use super::varint;
use crate::{ConnectionId, DecodeError, StreamId};

/// Received bytes, read from the front. Every method fails with `Truncated` when the bytes end first.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// At the front of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether everything was read.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(n).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// All that is left.
    pub fn take_rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    /// Two bytes, little-endian.
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// Four bytes, little-endian.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Eight bytes, little-endian.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A varint (see [`varint::decode`] for its errors).
    pub fn varint(&mut self) -> Result<u64, DecodeError> {
        let (value, rest) = varint::decode(self.rest)?;
        self.rest = rest;
        Ok(value)
    }

    /// A varint; `Invalid` above `u32::MAX`.
    pub fn varint_u32(&mut self) -> Result<u32, DecodeError> {
        u32::try_from(self.varint()?).map_err(|_| DecodeError::Invalid)
    }

    /// A varint; `Invalid` above `u16::MAX`.
    pub fn varint_u16(&mut self) -> Result<u16, DecodeError> {
        u16::try_from(self.varint()?).map_err(|_| DecodeError::Invalid)
    }

    /// A stream's number; `Invalid` when bit 7 is set.
    pub fn stream(&mut self) -> Result<StreamId, DecodeError> {
        StreamId::from_wire(self.u8()?).ok_or(DecodeError::Invalid)
    }

    /// A length byte, which `Invalid` refuses outside `lengths`, and that many bytes.
    pub fn counted(&mut self, lengths: core::ops::RangeInclusive<u8>) -> Result<&'a [u8], DecodeError> {
        let len = self.u8()?;
        if !lengths.contains(&len) {
            return Err(DecodeError::Invalid);
        }
        self.take(usize::from(len))
    }

    /// A connection id after its length byte; `Invalid` for lengths other than 0, 4 and 8.
    pub fn connection_id(&mut self) -> Result<ConnectionId, DecodeError> {
        ConnectionId::new(self.counted(0..=8)?).ok_or(DecodeError::Invalid)
    }

    /// The end: `Invalid` when something is left.
    pub const fn finish(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Invalid) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_off_the_front() {
        let mut r = Reader::new(&[1, 2, 3, 4, 5, 6, 7, 0xac, 0x02, 2, 8, 9, 10]);
        assert_eq!(r.u8(), Ok(1));
        assert_eq!(r.u16(), Ok(0x0302));
        assert_eq!(r.u32(), Ok(0x0706_0504));
        assert_eq!(r.varint_u16(), Ok(300));
        assert_eq!(r.counted(1..=2), Ok(&[8, 9][..]));
        assert_eq!(r.finish(), Err(DecodeError::Invalid));
        assert_eq!(r.take_rest(), [10]);
        assert_eq!(r.finish(), Ok(()));
        assert_eq!(r.u8(), Err(DecodeError::Truncated));
    }

    #[test]
    fn ranges_are_checked() {
        assert_eq!(Reader::new(&[0x80, 0x80, 0x04]).varint_u16(), Err(DecodeError::Invalid));
        assert_eq!(Reader::new(&[0x80, 0x80, 0x80, 0x80, 0x10]).varint_u32(), Err(DecodeError::Invalid));
        assert_eq!(Reader::new(&[0x80]).stream(), Err(DecodeError::Invalid));
        assert_eq!(Reader::new(&[5, 1, 2, 3, 4, 5]).connection_id(), Err(DecodeError::Invalid));
        assert_eq!(Reader::new(&[3, 1, 2]).counted(1..=3), Err(DecodeError::Truncated));
    }
}
