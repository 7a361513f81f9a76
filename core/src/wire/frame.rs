//! The frames of a packet, one after the other.

use super::{Ack, Commit, Data, Nak, Reader, control, forward, kind};
use crate::{CloseReason, DecodeError, SeqNo, StreamId};

/// One item of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// One byte of nothing.
    Padding,
    /// A message.
    Data(Data<'a>),
    /// Packets that arrived.
    Ack(Ack<'a>),
    /// Messages that are missing.
    Nak(Nak<'a>),
    /// How far a stream may be sent.
    Credit {
        /// The stream.
        stream: StreamId,
        /// Messages below this one may be sent; absolute, never less than before.
        limit: SeqNo,
    },
    /// Messages that are stored.
    Commit(Commit<'a>),
    /// The sender gave messages up.
    Forward {
        /// The stream.
        stream: StreamId,
        /// Nothing below it comes any more.
        next: SeqNo,
    },
    /// The answer to it.
    Forwarded {
        /// The stream.
        stream: StreamId,
        /// Nothing below it is waited for.
        next: SeqNo,
        /// Messages that never arrived, of all that were skipped in this session; at most `next`.
        lacked: u64,
    },
    /// Nothing but a wish to be acknowledged.
    Ping,
    /// Asks whether the peer is where the packet is sent to.
    PathChallenge {
        /// Known to nobody who did not get the packet.
        token: u64,
    },
    /// It is.
    PathResponse {
        /// That of the challenge.
        token: u64,
    },
    /// The gateway's next public key.
    GatewayKey {
        /// The key.
        key: &'a [u8; 32],
    },
    /// The session ends.
    Close {
        /// Why; never [`CloseReason::Local`].
        reason: CloseReason,
    },
}

impl Frame<'_> {
    /// Whether the packet that carries it is to be acknowledged (RFC 9002 section 2).
    pub const fn is_ack_eliciting(&self) -> bool {
        !matches!(
            self,
            Self::Padding
                | Self::Ack(_)
                | Self::Nak(_)
                | Self::Close { .. }
                | Self::PathChallenge { .. }
                | Self::PathResponse { .. }
        )
    }
}

/// The most DATA frames in a packet.
///
/// It bounds how far message numbers can run ahead in the packets that a receiver may still see,
/// and with that makes 16 bits of them enough ([`SeqNo::expand`]).
pub const DATA_FRAMES_MAX: u8 = 127;

/// The frames of a packet's payload. After an error, which it yields once, it ends.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    reader: Reader<'a>,
    /// How many more DATA frames may come.
    data_left: u8,
    /// Stream and number of the last DATA frame: what the N flag refers to.
    previous: Option<(StreamId, u16)>,
}

impl<'a> Frames<'a> {
    /// Of a payload that was checked and opened: without header and trailer.
    pub const fn new(payload: &'a [u8]) -> Self {
        Self { reader: Reader::new(payload), data_left: DATA_FRAMES_MAX, previous: None }
    }

    fn parse(&mut self) -> Result<Frame<'a>, DecodeError> {
        let r = &mut self.reader;
        let first = r.u8()?;
        Ok(match first {
            kind::DATA.. => {
                self.data_left = self.data_left.checked_sub(1).ok_or(DecodeError::Invalid)?;
                let data = Data::parse(first, r, self.previous)?;
                self.previous = Some((data.stream, data.seq16));
                Frame::Data(data)
            }
            kind::PADDING => Frame::Padding,
            kind::NAK => Frame::Nak(Nak::parse(r)?),
            kind::CREDIT => {
                let (stream, limit) = control::parse_credit(r)?;
                Frame::Credit { stream, limit }
            }
            kind::COMMIT | kind::COMMIT_BEYOND => Frame::Commit(Commit::parse(first, r)?),
            kind::FORWARD => {
                let (stream, next) = forward::parse_forward(r)?;
                Frame::Forward { stream, next }
            }
            kind::FORWARDED => {
                let (stream, next, lacked) = forward::parse_forwarded(r)?;
                Frame::Forwarded { stream, next, lacked }
            }
            kind::PING => Frame::Ping,
            kind::PATH_CHALLENGE => Frame::PathChallenge { token: r.u64()? },
            kind::GATEWAY_KEY => Frame::GatewayKey { key: r.take(32)?.first_chunk().ok_or(DecodeError::Truncated)? },
            kind::PATH_RESPONSE => Frame::PathResponse { token: r.u64()? },
            kind::CLOSE => Frame::Close { reason: control::parse_close(r)? },
            kind::ACK..=kind::ACK_LAST => Frame::Ack(Ack::parse(first, r)?),
            _ => return Err(DecodeError::Unknown),
        })
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        let frame = self.parse();
        if frame.is_err() {
            self.reader.take_rest();
        }
        Some(frame)
    }
}

impl core::iter::FusedIterator for Frames<'_> {}

#[cfg(test)]
mod tests {
    use super::super::{DataHead, Writer, data::tests::heads, emit_ack, emit_credit, emit_nak, emit_ping};
    use super::*;
    use crate::{Duration, PacketNumber};
    use proptest::prelude::*;
    extern crate std;
    use std::vec::Vec;

    #[test]
    fn undefined_types_are_refused() {
        // 0x12 to 0x14 are reserved.
        for first in [0x01u8].into_iter().chain(0x0c..0x10).chain(0x12..0x15).chain(0x18..0x80) {
            let bytes = [first; 8];
            let frames: Vec<_> = Frames::new(&bytes).collect();
            assert_eq!(frames, [Err(DecodeError::Unknown)], "{first:#04x}");
        }
    }

    #[test]
    fn frames_after_an_error_are_not_looked_at() {
        let frames: Vec<_> = Frames::new(&[0x06, 0x00, 0x01, 0x06]).collect();
        assert_eq!(frames, [Ok(Frame::Ping), Ok(Frame::Padding), Err(DecodeError::Unknown)]);
        assert!(Frames::new(&[]).next().is_none());
    }

    #[test]
    fn a_packet_holds_a_bounded_number_of_messages() {
        let max = usize::from(DATA_FRAMES_MAX);
        let packet = |count: usize| {
            let mut bytes = std::vec![0xc0, 1, 0, 0, 0];
            bytes.extend([0xc1, 0].repeat(count - 2));
            bytes.push(0x81);
            bytes
        };
        assert!(Frames::new(&packet(max)).all(|frame| frame.is_ok()));
        let more = packet(max + 1);
        let frames: Vec<_> = Frames::new(&more).collect();
        assert_eq!((frames.len(), frames[max]), (max + 1, Err(DecodeError::Invalid)));
    }

    #[test]
    fn other_frames_between_messages_do_not_break_the_sequence() {
        let frames: Vec<_> = Frames::new(&[0xc0, 1, 9, 0, 1, 7, 0x06, 0x81, 8]).collect();
        match frames[..] {
            [Ok(Frame::Data(first)), Ok(Frame::Ping), Ok(Frame::Data(second))] => {
                assert_eq!((first.seq16, second.seq16, second.stream), (9, 10, first.stream));
            }
            _ => panic!("{frames:?}"),
        }
    }

    #[test]
    fn what_asks_to_be_acknowledged() {
        for (bytes, eliciting) in [
            (&[0x00][..], false),
            (&[0x80, 1, 0, 0], true),
            (&[0x08, 1, 0, 0], false),
            (&[0x02, 1, 0, 0, 0], false),
            (&[0x03, 1, 0], true),
            (&[0x04, 1, 0], true),
            (&[0x06], true),
            (&[0x10, 1, 0], true),
            (&[0x11, 1, 0, 0], true),
            (&[0x07, 0], false),
            (&[0x17; 33], true),
            (&[0x15, 1, 2, 3, 4, 5, 6, 7, 8], false),
            (&[0x16, 1, 2, 3, 4, 5, 6, 7, 8], false),
        ] {
            let frame = Frames::new(bytes).next().unwrap().unwrap();
            assert_eq!(frame.is_ack_eliciting(), eliciting, "{frame:?}");
        }
    }

    /// A packet with one of each, a message last.
    fn packet(head: &DataHead, payload: &[u8]) -> Vec<u8> {
        let mut buf = [0; 600];
        let mut w = Writer::new(&mut buf);
        emit_ack(PacketNumber::new(700), Duration::from_millis(3), |k| k % 3 != 0, 255, &mut w).unwrap();
        emit_nak(head.stream, head.seq16, |k| k % 7 == 0, &mut w).unwrap();
        emit_credit(head.stream, SeqNo::new(1 << 40), &mut w).unwrap();
        emit_ping(&mut w).unwrap();
        head.emit(false, Some(payload.len() as u16), &mut w).unwrap();
        w.put(payload).unwrap();
        let next = DataHead { seq16: head.seq16.wrapping_add(1), ..*head };
        next.emit(true, None, &mut w).unwrap();
        w.put(payload).unwrap();
        w.written().to_vec()
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut seen = 0;
            for frame in Frames::new(&bytes) {
                seen += 1;
                match frame {
                    Ok(Frame::Ack(ack)) => prop_assert!(ack.ranges().count() <= 256),
                    Ok(Frame::Nak(nak)) => prop_assert!(nak.missing().count() <= 65),
                    Ok(Frame::Commit(commit)) => prop_assert!(commit.beyond().count() <= 256),
                    _ => {}
                }
            }
            prop_assert!(seen <= bytes.len());
        }

        // A packet cut short is refused, unless the cut falls between frames or into the last payload.
        #[test]
        fn prefixes_never_panic(head in heads(), payload in prop::collection::vec(any::<u8>(), 1..40), flip: u16) {
            let whole = packet(&head, &payload);
            prop_assert!(Frames::new(&whole).all(|frame| frame.is_ok()));
            for cut in 0..whole.len() {
                let frames: Vec<_> = Frames::new(&whole[..cut]).collect();
                prop_assert!(frames.iter().rev().skip(1).all(Result::is_ok));
            }
            let mut flipped = whole.clone();
            let bit = usize::from(flip) % (whole.len() * 8);
            flipped[bit / 8] ^= 1 << (bit % 8);
            prop_assert_ne!(
                Frames::new(&flipped).collect::<Vec<_>>(),
                Frames::new(&whole).collect::<Vec<_>>()
            );
        }
    }
}
