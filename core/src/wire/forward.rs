//! FORWARD and FORWARDED: the sender gave messages up, and the receiver says what it lacked (the
//! FORWARD TSN of RFC 3758, with an answer).
//!
//! ```text
//! 0x10 FORWARD    stream (1) | next (varint): nothing below it comes any more
//! 0x11 FORWARDED  stream (1) | next (varint): done up to here | lacked (varint): how many never arrived, of
//!                 all that this session skipped on the stream
//! ```

use super::{Reader, Writer, kind};
use crate::{BufferTooSmall, DecodeError, SeqNo, StreamId};

/// Reads a FORWARD after its type.
pub(super) fn parse_forward(r: &mut Reader<'_>) -> Result<(StreamId, SeqNo), DecodeError> {
    Ok((r.stream()?, SeqNo::new(r.varint()?)))
}

/// Reads a FORWARDED after its type.
pub(super) fn parse_forwarded(r: &mut Reader<'_>) -> Result<(StreamId, SeqNo, u64), DecodeError> {
    let (stream, next, lacked) = (r.stream()?, r.varint()?, r.varint()?);
    if lacked > next {
        return Err(DecodeError::Invalid);
    }
    Ok((stream, SeqNo::new(next), lacked))
}

/// Appends a FORWARD: the receiver of `stream` is to wait for nothing below `next`.
///
/// # Errors
/// When it does not fit.
pub fn emit_forward(stream: StreamId, next: SeqNo, w: &mut Writer<'_>) -> Result<(), BufferTooSmall> {
    w.whole(|w| {
        w.put(&[kind::FORWARD, stream.to_wire()])?;
        w.varint(next.value())
    })
}

/// Appends a FORWARDED: nothing below `next` is waited for; `lacked` messages, at most `next`, were skipped on
/// the stream since the session began.
///
/// # Errors
/// When it does not fit.
pub fn emit_forwarded(stream: StreamId, next: SeqNo, lacked: u64, w: &mut Writer<'_>) -> Result<(), BufferTooSmall> {
    w.whole(|w| {
        w.put(&[kind::FORWARDED, stream.to_wire()])?;
        w.varint(next.value())?;
        w.varint(lacked)
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Frame, Frames};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn both_come_back(id in 0u8..128, next: u64, lacked: u64) {
            let (stream, next, lacked) = (StreamId::from_wire(id).unwrap(), SeqNo::new(next), lacked.min(next));
            let mut buf = [0; 40];
            let mut w = Writer::new(&mut buf);
            emit_forward(stream, next, &mut w).unwrap();
            emit_forwarded(stream, next, lacked, &mut w).unwrap();
            let mut frames = Frames::new(w.written());
            prop_assert_eq!(frames.next(), Some(Ok(Frame::Forward { stream, next })));
            prop_assert_eq!(frames.next(), Some(Ok(Frame::Forwarded { stream, next, lacked })));
            prop_assert_eq!(frames.next(), None);
        }
    }

    #[test]
    fn more_lacked_than_there_were_is_refused() {
        let frame = |bytes: &[u8]| Frames::new(bytes).next().unwrap().map(|_| ());
        assert_eq!(frame(&[0x11, 1, 7, 8]), Err(DecodeError::Invalid));
        assert_eq!(frame(&[0x11, 1, 7, 7]), Ok(()));
        assert_eq!(frame(&[0x10, 0x80, 7]), Err(DecodeError::Invalid));
    }
}
