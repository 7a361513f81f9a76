//! The small frames: CREDIT, COMMIT, PING and CLOSE.
//!
//! ```text
//! 0x03 CREDIT  stream (1) | limit (varint): messages below it may be sent
//! 0x04 COMMIT  stream (1) | next (varint): messages below it are stored
//! 0x05 COMMIT  the same | bitmap length (1), 1 to 32 | bitmap: bit i is message next + 1 + i, stored too
//! 0x06 PING    nothing
//! 0x07 CLOSE   code (1)
//! ```

use super::{Reader, Writer, bitmap, kind};
use crate::{BufferTooSmall, CloseReason, DecodeError, SeqNo, StreamId};

const BITMAP_MAX: u8 = 32;

/// How far beyond `next` a COMMIT reaches.
pub const COMMIT_BEYOND_MAX: u32 = BITMAP_MAX as u32 * 8;

/// A received statement of what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit<'a> {
    /// The stream.
    pub stream: StreamId,
    /// Everything below is stored.
    pub next: SeqNo,
    bitmap: &'a [u8],
}

impl<'a> Commit<'a> {
    /// Reads what follows the type.
    pub(super) fn parse(first: u8, r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let (stream, next) = (r.stream()?, r.varint()?);
        let mut bits: &[u8] = &[];
        if first == kind::COMMIT_BEYOND {
            bits = bitmap::read(r, 1..=BITMAP_MAX)?;
            let highest = bitmap::highest(bits).map_or(0, |bit| u64::from(bit) + 1);
            next.checked_add(highest).ok_or(DecodeError::Invalid)?;
        }
        Ok(Self { stream, next: SeqNo::new(next), bitmap: bits })
    }

    /// The messages beyond `next` that are stored too, ascending.
    pub fn beyond(&self) -> impl Iterator<Item = SeqNo> + Clone + use<'a> {
        let next = self.next;
        bitmap::ones(self.bitmap).map(move |bit| next.saturating_add(u64::from(bit) + 1))
    }
}

/// Reads a CREDIT after its type.
pub(super) fn parse_credit(r: &mut Reader<'_>) -> Result<(StreamId, SeqNo), DecodeError> {
    Ok((r.stream()?, SeqNo::new(r.varint()?)))
}

/// Reads a CLOSE after its type.
pub(super) fn parse_close(r: &mut Reader<'_>) -> Result<CloseReason, DecodeError> {
    match r.u8()? {
        0 => Ok(CloseReason::Done),
        1 => Ok(CloseReason::GoingAway),
        2 => Ok(CloseReason::Refused),
        3 => Ok(CloseReason::Version),
        4 => Ok(CloseReason::Superseded),
        _ => Err(DecodeError::Invalid),
    }
}

/// Appends a CREDIT: messages of `stream` below `limit` may be sent.
///
/// # Errors
/// When it does not fit.
pub fn emit_credit(stream: StreamId, limit: SeqNo, w: &mut Writer<'_>) -> Result<(), BufferTooSmall> {
    numbered(kind::CREDIT, stream, limit, w)
}

/// Appends a COMMIT: messages of `stream` below `next` are stored.
///
/// # Errors
/// When it does not fit.
pub fn emit_commit(stream: StreamId, next: SeqNo, w: &mut Writer<'_>) -> Result<(), BufferTooSmall> {
    numbered(kind::COMMIT, stream, next, w)
}

/// Appends a COMMIT that says also which messages `next + k`, for `k` from 1 to
/// [`COMMIT_BEYOND_MAX`], are stored: those that `stored(k)` names. Without any it is the plain form.
///
/// # Errors
/// When it does not fit.
pub fn emit_commit_beyond(
    stream: StreamId,
    next: SeqNo,
    stored: impl Fn(u32) -> bool,
    w: &mut Writer<'_>,
) -> Result<(), BufferTooSmall> {
    if !(1..=COMMIT_BEYOND_MAX).any(&stored) {
        return emit_commit(stream, next, w);
    }
    w.whole(|w| {
        numbered(kind::COMMIT_BEYOND, stream, next, w)?;
        bitmap::write(w, COMMIT_BEYOND_MAX, |bit| stored(bit + 1))
    })
}

/// Appends a PING, which only asks to be acknowledged.
///
/// # Errors
/// When it does not fit.
pub fn emit_ping(w: &mut Writer<'_>) -> Result<(), BufferTooSmall> {
    w.u8(kind::PING)
}

/// Appends a CLOSE. [`CloseReason::Local`] is how this end sees its own goodbye; the peer is told `Done`.
///
/// # Errors
/// When it does not fit.
pub fn emit_close(reason: CloseReason, w: &mut Writer<'_>) -> Result<(), BufferTooSmall> {
    let code = match reason {
        CloseReason::Local | CloseReason::Done | CloseReason::Keys | CloseReason::AcceptTooLong => 0,
        CloseReason::GoingAway => 1,
        CloseReason::Refused => 2,
        CloseReason::Version => 3,
        CloseReason::Superseded => 4,
    };
    w.put(&[kind::CLOSE, code])
}

fn numbered(kind: u8, stream: StreamId, number: SeqNo, w: &mut Writer<'_>) -> Result<(), BufferTooSmall> {
    w.whole(|w| {
        w.put(&[kind, stream.to_wire()])?;
        w.varint(number.value())
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Frame, Frames};
    use super::*;
    use proptest::prelude::*;
    extern crate std;
    use std::vec::Vec;

    fn parse(bytes: &[u8]) -> Result<Frame<'_>, DecodeError> {
        let mut frames = Frames::new(bytes);
        let frame = frames.next().unwrap()?;
        assert!(frames.next().is_none());
        Ok(frame)
    }

    fn parse_commit(bytes: &[u8]) -> Result<Commit<'_>, DecodeError> {
        match parse(bytes)? {
            Frame::Commit(commit) => Ok(commit),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn close_reasons_come_back() {
        for reason in [
            CloseReason::Done,
            CloseReason::GoingAway,
            CloseReason::Refused,
            CloseReason::Version,
            CloseReason::Superseded,
        ] {
            let mut buf = [0; 2];
            let mut w = Writer::new(&mut buf);
            emit_close(reason, &mut w).unwrap();
            assert_eq!(parse(w.written()), Ok(Frame::Close { reason }));
        }
        assert_eq!(parse(&[0x07, 5]), Err(DecodeError::Invalid));
        let mut buf = [0; 2];
        emit_close(CloseReason::Local, &mut Writer::new(&mut buf)).unwrap();
        assert_eq!(parse(&buf), Ok(Frame::Close { reason: CloseReason::Done }));
    }

    #[test]
    fn what_a_commit_means() {
        let commit = parse_commit(&[0x05, 3, 10, 1, 0b101]).unwrap();
        assert_eq!((commit.stream.to_wire(), commit.next), (3, SeqNo::new(10)));
        assert_eq!(commit.beyond().collect::<Vec<_>>(), [SeqNo::new(11), SeqNo::new(13)]);
    }

    #[test]
    fn commits_out_of_range_are_refused() {
        assert_eq!(parse(&[0x05, 3, 10, 0]), Err(DecodeError::Invalid));
        assert_eq!(parse(&[0x05, 3, 10, 33]), Err(DecodeError::Invalid));
        assert_eq!(parse(&[0x05, 3, 10, 1, 0]), Err(DecodeError::NotCanonical));
        assert_eq!(parse(&[0x04, 0x80, 10]), Err(DecodeError::Invalid));
        // Stored messages beyond the last number.
        let mut bytes = [0xff; 14];
        (bytes[0], bytes[1], bytes[11], bytes[12], bytes[13]) = (0x05, 3, 0x01, 1, 1);
        assert_eq!(parse(&bytes), Err(DecodeError::Invalid));
        bytes[2] = 0xfe;
        assert_eq!(parse_commit(&bytes).unwrap().beyond().collect::<Vec<_>>(), [SeqNo::new(u64::MAX)]);
    }

    proptest! {
        #[test]
        fn credit_and_ping_come_back(id in 0u8..128, limit: u64) {
            let (stream, limit) = (StreamId::from_wire(id).unwrap(), SeqNo::new(limit));
            let mut buf = [0; 13];
            let mut w = Writer::new(&mut buf);
            emit_credit(stream, limit, &mut w).unwrap();
            prop_assert_eq!(parse(w.written()), Ok(Frame::Credit { stream, limit }));
            for cut in 1..w.len() {
                prop_assert_eq!(parse(&w.written()[..cut]), Err(DecodeError::Truncated));
            }
            emit_ping(&mut w).unwrap();
            let frames: Vec<_> = Frames::new(w.written()).collect();
            prop_assert_eq!(frames, [Ok(Frame::Credit { stream, limit }), Ok(Frame::Ping)]);
        }

        #[test]
        fn commits_come_back(id in 0u8..128, next in 0..u64::MAX - 256, set in prop::collection::btree_set(1u32..257, 0..40)) {
            let stream = StreamId::from_wire(id).unwrap();
            let mut buf = [0; 50];
            let mut w = Writer::new(&mut buf);
            emit_commit_beyond(stream, SeqNo::new(next), |k| set.contains(&k), &mut w).unwrap();
            let commit = parse_commit(w.written()).unwrap();
            prop_assert_eq!((commit.stream, commit.next.value()), (stream, next));
            let expected: Vec<SeqNo> = set.iter().map(|k| SeqNo::new(next + u64::from(*k))).collect();
            prop_assert_eq!(commit.beyond().collect::<Vec<_>>(), expected);
            for cut in 1..w.len() {
                prop_assert_eq!(parse(&w.written()[..cut]), Err(DecodeError::Truncated));
            }
        }
    }
}
