//! Puts values at the end of a packet under construction.

use super::varint;
use crate::{BufferTooSmall, ConnectionId};

/// A packet under construction in a caller's buffer. What does not fit fails, and leaves nothing behind.
#[derive(Debug)]
pub struct Writer<'a> {
    buf: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    /// At the front of `buf`.
    pub const fn new(buf: &'a mut [u8]) -> Self {
        Self { buf, len: 0 }
    }

    /// Bytes written.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was written.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of room left.
    pub const fn remaining(&self) -> usize {
        self.buf.len().saturating_sub(self.len)
    }

    /// What was written.
    pub fn written(&self) -> &[u8] {
        self.buf.get(..self.len).unwrap_or(&[])
    }

    /// What was written, to be changed in place.
    pub fn written_mut(&mut self) -> &mut [u8] {
        self.buf.get_mut(..self.len).unwrap_or(&mut [])
    }

    /// Takes back what was written beyond `len` bytes.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// The next `n` bytes, for the caller to fill in; what is there now is not defined.
    pub fn reserve(&mut self, n: usize) -> Result<&mut [u8], BufferTooSmall> {
        let end = self.len.checked_add(n).ok_or(BufferTooSmall)?;
        let room = self.buf.get_mut(self.len..end).ok_or(BufferTooSmall)?;
        self.len = end;
        Ok(room)
    }

    /// Bytes.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), BufferTooSmall> {
        self.reserve(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// A byte.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn u8(&mut self, value: u8) -> Result<(), BufferTooSmall> {
        self.put(&[value])
    }

    /// Two bytes, little-endian.
    pub fn u16(&mut self, value: u16) -> Result<(), BufferTooSmall> {
        self.put(&value.to_le_bytes())
    }

    /// Four bytes, little-endian.
    pub fn u32(&mut self, value: u32) -> Result<(), BufferTooSmall> {
        self.put(&value.to_le_bytes())
    }

    /// Eight bytes, little-endian.
    pub fn u64(&mut self, value: u64) -> Result<(), BufferTooSmall> {
        self.put(&value.to_le_bytes())
    }

    /// A varint.
    pub fn varint(&mut self, value: u64) -> Result<(), BufferTooSmall> {
        varint::encode(value, self)
    }

    /// A length byte and the bytes; at most 255.
    pub fn counted(&mut self, bytes: &[u8]) -> Result<(), BufferTooSmall> {
        let len = u8::try_from(bytes.len()).map_err(|_| BufferTooSmall)?;
        self.whole(|w| {
            w.u8(len)?;
            w.put(bytes)
        })
    }

    /// A connection id after its length byte.
    pub fn connection_id(&mut self, cid: &ConnectionId) -> Result<(), BufferTooSmall> {
        self.counted(cid.as_bytes())
    }

    /// All that `write` writes, or nothing when it fails.
    pub fn whole(&mut self, write: impl FnOnce(&mut Self) -> Result<(), BufferTooSmall>) -> Result<(), BufferTooSmall> {
        let before = self.len;
        let done = write(self);
        if done.is_err() {
            self.truncate(before);
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_leaves_nothing_behind() {
        let mut buf = [0; 5];
        let mut w = Writer::new(&mut buf);
        assert_eq!(w.u16(0x0201), Ok(()));
        assert_eq!(w.u32(0), Err(BufferTooSmall));
        assert_eq!(w.counted(&[1, 2, 3]), Err(BufferTooSmall));
        assert_eq!(w.whole(|w| w.u16(9).and_then(|()| w.u16(9))), Err(BufferTooSmall));
        assert_eq!((w.written(), w.remaining()), (&[1, 2][..], 3));
        w.truncate(1);
        assert_eq!(w.counted(&[8, 9]), Ok(()));
        assert_eq!(w.written(), [1, 2, 8, 9]);
        w.truncate(9);
        assert_eq!(w.len(), 4);
        assert_eq!(w.reserve(usize::MAX), Err(BufferTooSmall));
    }
}
