//! Sealed answers to a HELLO: ACCEPT (see there), and where it is not taken, or not yet, REFUSE, COUNTER_LOW, COOKIE.
//!
//! ```text
//! REFUSE       header (2) | echo (8) | code (1) | lowest version (1) | highest version (1) | MAC (16)
//! COUNTER_LOW  header (2) | echo (8) | lowest counter that will be taken (8) | MAC (16)
//! COOKIE       header (2) | echo (8) | cookie (16) | MAC (16)
//! ```
//! The MAC covers the HELLO's own MAC and all before it, under a key of the device: an answer belongs to one
//! HELLO, and nobody else can give it.

use super::refuse::{parse_refusal, put_refusal};
use super::{LongType, Refuse, RefuseCode};
use crate::wire::{LongHeader, Reader, VERSION, Writer};
use crate::{BufferTooSmall, DecodeError};

/// The longest answer, in bytes. Every sealed HELLO is longer.
#[cfg(test)]
pub(crate) const ANSWER_LEN_MAX: usize = LongHeader::LEN + 8 + 16 + MAC;

const MAC: usize = 16;

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerKind {
    Refuse { code: RefuseCode, lowest: u8, highest: u8 },
    CounterLow { lowest: u64 },
    Cookie([u8; 16]),
}

/// What a received answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// To be opened.
    Accept,
    Other(AnswerKind),
}

/// A received answer whose MAC is still to be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer<'a> {
    /// Names the HELLO.
    pub(crate) echo: u64,
    pub(crate) kind: Received,
    /// All before the MAC.
    pub(crate) maced: &'a [u8],
    pub(crate) mac: &'a [u8; MAC],
}

impl<'a> Answer<'a> {
    /// Checks the form. A REFUSE may be of any version.
    pub(crate) fn parse(datagram: &'a [u8]) -> Result<Self, DecodeError> {
        let (header, _) = LongHeader::parse(datagram)?;
        if header.version != VERSION && header.kind != LongType::Refuse {
            return Err(DecodeError::Version);
        }
        let (maced, mac) = datagram.split_last_chunk().ok_or(DecodeError::Truncated)?;
        let mut r = Reader::new(maced.get(LongHeader::LEN..).ok_or(DecodeError::Truncated)?);
        let echo = r.u64()?;
        let kind = match header.kind {
            LongType::Accept => {
                // e, the tag, and something between them.
                r.take(32 + 16 + 1)?;
                r.take_rest();
                Received::Accept
            }
            LongType::Refuse => {
                let Refuse { code, lowest, highest, .. } = parse_refusal(echo, &mut r)?;
                Received::Other(AnswerKind::Refuse { code, lowest, highest })
            }
            LongType::CounterLow => Received::Other(AnswerKind::CounterLow { lowest: r.u64()? }),
            LongType::Cookie => Received::Other(AnswerKind::Cookie(r.array()?)),
            _ => return Err(DecodeError::Unknown),
        };
        r.finish()?;
        Ok(Self { echo, kind, maced, mac })
    }
}

/// Writes an answer up to its MAC.
pub(crate) fn emit_answer(echo: u64, kind: &AnswerKind, w: &mut Writer<'_>) -> Result<(), BufferTooSmall> {
    let long = match kind {
        AnswerKind::Refuse { .. } => LongType::Refuse,
        AnswerKind::CounterLow { .. } => LongType::CounterLow,
        AnswerKind::Cookie(_) => LongType::Cookie,
    };
    LongHeader::emit(long, w)?;
    match kind {
        AnswerKind::Refuse { code, lowest, highest } => {
            put_refusal(&Refuse { echo, code: *code, lowest: *lowest, highest: *highest }, w)
        }
        AnswerKind::CounterLow { lowest } => w.u64(echo).and_then(|()| w.u64(*lowest)),
        AnswerKind::Cookie(cookie) => w.u64(echo).and_then(|()| w.put(cookie)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_kind() -> impl Strategy<Value = AnswerKind> {
        let code = prop_oneof![Just(RefuseCode::Refused), Just(RefuseCode::Version), Just(RefuseCode::Busy)];
        prop_oneof![
            (code, any::<u8>(), any::<u8>()).prop_map(|(code, a, b)| AnswerKind::Refuse {
                code,
                lowest: a.min(b),
                highest: a.max(b)
            }),
            any::<u64>().prop_map(|lowest| AnswerKind::CounterLow { lowest }),
            any::<[u8; 16]>().prop_map(AnswerKind::Cookie),
        ]
    }

    proptest! {
        #[test]
        fn every_answer_comes_back(echo: u64, kind in any_kind(), mac: [u8; MAC]) {
            let mut buf = [0; ANSWER_LEN_MAX];
            let mut w = Writer::new(&mut buf);
            emit_answer(echo, &kind, &mut w).unwrap();
            let maced = w.len();
            w.put(&mac).unwrap();
            let answer = Answer::parse(w.written()).unwrap();
            prop_assert_eq!((answer.echo, answer.kind, answer.maced.len(), *answer.mac), (echo, Received::Other(kind), maced, mac));
            for cut in 0..w.len() {
                prop_assert!(Answer::parse(&w.written()[..cut]).is_err());
            }
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _answer = Answer::parse(&bytes);
        }
    }
}
