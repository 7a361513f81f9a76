//! DATA: one message, or one fragment of one.
//!
//! ```text
//! byte 0:  1 | L length | S sampled | T lifetime | F fragment | X schema | 0 | N next
//! then:    stream (1), number (2)          unless N
//!          boot epoch, uptime (varints)    if S
//!          lifetime in ms (varint)         if T
//!          index (1), count (1)            if F
//!          schema (8)                      if X
//!          payload length (varint)         if L, else the payload runs to the packet's end
//!          payload
//! ```

use super::{Reader, Writer, kind, varint};
use crate::{BufferTooSmall, DecodeError, SchemaId, StreamId};

const LENGTH: u8 = 0x40;
const SAMPLED: u8 = 0x20;
const LIFETIME: u8 = 0x10;
const FRAGMENT: u8 = 0x08;
const SCHEMA: u8 = 0x04;
const RESERVED: u8 = 0x02;
const NEXT: u8 = 0x01;

/// When a message was sampled, by the device's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampled {
    /// Which boot of the device its uptime counts from.
    pub boot_epoch: u32,
    /// Microseconds since that boot.
    pub uptime_us: u64,
}

/// Which part of a message too long for one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// From 0.
    pub index: u8,
    /// Of how many; 2 or more, and more than `index`.
    pub count: u8,
}

/// A received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<'a> {
    /// The stream that it belongs to.
    pub stream: StreamId,
    /// The lowest 16 bits of its sequence number.
    pub seq16: u16,
    /// When it was sampled, if the sender says.
    pub sampled: Option<Sampled>,
    /// Milliseconds that it is still of use, if that is bounded.
    pub lifetime_ms: Option<u32>,
    /// Which part of the message this is; `None` for a whole one.
    pub fragment: Option<Fragment>,
    /// What the payload means, where that differs from the stream's schema.
    pub schema: Option<SchemaId>,
    /// The message, or the part of it.
    pub payload: &'a [u8],
}

/// The number that a DATA frame with the N flag has: that of the one before it, plus one.
const fn following(previous: (StreamId, u16)) -> (StreamId, u16) {
    (previous.0, previous.1.wrapping_add(1))
}

impl<'a> Data<'a> {
    /// Reads what follows byte 0. `previous` is the DATA frame before this one in the packet.
    pub(super) fn parse(first: u8, r: &mut Reader<'a>, previous: Option<(StreamId, u16)>) -> Result<Self, DecodeError> {
        if first & RESERVED != 0 {
            return Err(DecodeError::Invalid);
        }
        let expected = previous.map(following);
        let (stream, seq16) = if first & NEXT != 0 {
            expected.ok_or(DecodeError::Invalid)?
        } else {
            let explicit = (r.stream()?, r.u16()?);
            if expected == Some(explicit) {
                return Err(DecodeError::NotCanonical);
            }
            explicit
        };
        let has = |flag| first & flag != 0;
        let sampled = has(SAMPLED).then(|| sampled(r)).transpose()?;
        let lifetime_ms = has(LIFETIME).then(|| r.varint_u32()).transpose()?;
        let fragment = has(FRAGMENT).then(|| fragment(r)).transpose()?;
        let schema = has(SCHEMA).then(|| r.u64().map(SchemaId)).transpose()?;
        let payload = if has(LENGTH) {
            let len = r.varint_u16()?;
            let payload = r.take(usize::from(len))?;
            // The last frame of a packet says its length by where the packet ends.
            if r.is_empty() {
                return Err(DecodeError::NotCanonical);
            }
            payload
        } else {
            r.take_rest()
        };
        Ok(Self { stream, seq16, sampled, lifetime_ms, fragment, schema, payload })
    }
}

fn sampled(r: &mut Reader<'_>) -> Result<Sampled, DecodeError> {
    Ok(Sampled { boot_epoch: r.varint_u32()?, uptime_us: r.varint()? })
}

fn fragment(r: &mut Reader<'_>) -> Result<Fragment, DecodeError> {
    let fragment = Fragment { index: r.u8()?, count: r.u8()? };
    if fragment.count < 2 || fragment.index >= fragment.count {
        return Err(DecodeError::Invalid);
    }
    Ok(fragment)
}

/// All of a DATA frame but its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataHead {
    /// See [`Data::stream`].
    pub stream: StreamId,
    /// See [`Data::seq16`].
    pub seq16: u16,
    /// See [`Data::sampled`].
    pub sampled: Option<Sampled>,
    /// See [`Data::lifetime_ms`].
    pub lifetime_ms: Option<u32>,
    /// See [`Data::fragment`].
    pub fragment: Option<Fragment>,
    /// See [`Data::schema`].
    pub schema: Option<SchemaId>,
}

impl DataHead {
    /// The longest head, in bytes: all fields, the longest varints.
    pub const LEN_MAX: usize = 1 + 3 + (5 + varint::LEN_MAX) + 5 + 2 + 8 + 3;

    /// Of a whole message with no optional field.
    pub const fn new(stream: StreamId, seq16: u16) -> Self {
        Self { stream, seq16, sampled: None, lifetime_ms: None, fragment: None, schema: None }
    }

    /// Whether this frame must use the N flag after the DATA frame `previous` of the same packet.
    pub fn follows(&self, previous: Option<(StreamId, u16)>) -> bool {
        previous.map(following) == Some((self.stream, self.seq16))
    }

    /// Appends the head; the caller appends the payload.
    ///
    /// `follows` as [`DataHead::follows`] says. `len` is the payload's length when another frame
    /// comes after this one, and `None` in the last frame of a packet; see also [`drop_last_length`].
    ///
    /// # Errors
    /// When it does not fit.
    pub fn emit(&self, follows: bool, len: Option<u16>, w: &mut Writer<'_>) -> Result<(), BufferTooSmall> {
        let flag = |present, flag| if present { flag } else { 0 };
        let first = kind::DATA
            | flag(len.is_some(), LENGTH)
            | flag(self.sampled.is_some(), SAMPLED)
            | flag(self.lifetime_ms.is_some(), LIFETIME)
            | flag(self.fragment.is_some(), FRAGMENT)
            | flag(self.schema.is_some(), SCHEMA)
            | flag(follows, NEXT);
        w.whole(|w| {
            w.u8(first)?;
            if !follows {
                w.u8(self.stream.to_wire())?;
                w.u16(self.seq16)?;
            }
            if let Some(Sampled { boot_epoch, uptime_us }) = self.sampled {
                w.varint(u64::from(boot_epoch))?;
                w.varint(uptime_us)?;
            }
            if let Some(lifetime_ms) = self.lifetime_ms {
                w.varint(u64::from(lifetime_ms))?;
            }
            if let Some(Fragment { index, count }) = self.fragment {
                w.put(&[index, count])?;
            }
            if let Some(SchemaId(schema)) = self.schema {
                w.u64(schema)?;
            }
            match len {
                Some(len) => w.varint(u64::from(len)),
                None => Ok(()),
            }
        })
    }

    /// Bytes that [`DataHead::emit`] appends: 1 to [`DataHead::LEN_MAX`].
    pub const fn len(&self, follows: bool, len: Option<u16>) -> usize {
        let mut total = if follows { 1 } else { 4 };
        if let Some(Sampled { boot_epoch, uptime_us }) = self.sampled {
            total += varint::len(boot_epoch as u64) + varint::len(uptime_us);
        }
        if let Some(lifetime_ms) = self.lifetime_ms {
            total += varint::len(lifetime_ms as u64);
        }
        if self.fragment.is_some() {
            total += 2;
        }
        if self.schema.is_some() {
            total += 8;
        }
        match len {
            Some(len) => total + varint::len(len as u64),
            None => total,
        }
    }
}

/// Takes the length out of a DATA frame that turned out to be the last of its packet.
///
/// The frame stands at `at` and ends where `w` does, with a payload of `payload_len` bytes. Moves
/// the payload down by the one to three bytes that the length took. No other frame is changed:
/// when the byte at `at` is not a DATA frame with a length, nothing happens.
pub fn drop_last_length(w: &mut Writer<'_>, at: usize, payload_len: u16) {
    let gone = varint::len(u64::from(payload_len));
    let len = w.len();
    let Some((first, rest)) = w.written_mut().get_mut(at..).and_then(|frame| frame.split_first_mut()) else {
        return;
    };
    let tail = rest.len().checked_sub(usize::from(payload_len) + gone).and_then(|start| rest.get_mut(start..));
    let Some(tail) = tail.filter(|_| *first & (kind::DATA | LENGTH) == kind::DATA | LENGTH) else { return };
    if gone <= tail.len() {
        *first &= !LENGTH;
        tail.copy_within(gone.., 0);
        w.truncate(len - gone);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::{Frame, Frames};
    use super::*;
    use proptest::prelude::*;
    extern crate std;
    use std::vec::Vec;

    fn stream(number: u8) -> StreamId {
        StreamId::from_wire(number).unwrap()
    }

    fn parse_all(packet: &[u8]) -> Result<Vec<Data<'_>>, DecodeError> {
        Frames::new(packet)
            .map(|frame| match frame? {
                Frame::Data(data) => Ok(data),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    /// Any head.
    pub(in crate::wire) fn heads() -> impl Strategy<Value = DataHead> {
        let sampled = prop::option::of((any::<u32>(), any::<u64>()));
        let fragment = prop::option::of((0u8..255).prop_flat_map(|index| (Just(index), (index + 1).max(2)..=255)));
        let schema = prop::option::of(any::<u64>());
        (0u8..128, any::<u16>(), sampled, any::<Option<u32>>(), fragment, schema).prop_map(
            |(id, seq16, sampled, lifetime_ms, fragment, schema)| DataHead {
                stream: stream(id),
                seq16,
                sampled: sampled.map(|(boot_epoch, uptime_us)| Sampled { boot_epoch, uptime_us }),
                lifetime_ms,
                fragment: fragment.map(|(index, count)| Fragment { index, count }),
                schema: schema.map(SchemaId),
            },
        )
    }

    fn with_payload<'a>(head: &DataHead, payload: &'a [u8]) -> Data<'a> {
        let DataHead { stream, seq16, sampled, lifetime_ms, fragment, schema } = *head;
        Data { stream, seq16, sampled, lifetime_ms, fragment, schema, payload }
    }

    #[test]
    fn a_length_in_the_last_frame_is_refused() {
        assert_eq!(parse_all(&[0xc0, 1, 0, 0, 1, 9]), Err(DecodeError::NotCanonical));
        assert_eq!(parse_all(&[0xc0, 1, 0, 0, 0]), Err(DecodeError::NotCanonical));
        assert_eq!(parse_all(&[0x80, 1, 0, 0, 9]).unwrap()[0].payload, [9]);
        assert_eq!(parse_all(&[0x80, 1, 0, 0]).unwrap()[0].payload, [0u8; 0]);
    }

    #[test]
    fn the_next_flag_must_be_used_where_it_can() {
        // Message 0xffff of stream 1, then message 0 written out: the number wraps.
        assert_eq!(parse_all(&[0xc0, 1, 0xff, 0xff, 1, 7, 0x80, 1, 0, 0, 8]), Err(DecodeError::NotCanonical));
        let both = parse_all(&[0xc0, 1, 0xff, 0xff, 1, 7, 0x81, 8]).unwrap();
        assert_eq!((both[1].stream, both[1].seq16, both[1].payload), (stream(1), 0, &[8][..]));
        // Another stream, or another number, is written out.
        assert_eq!(parse_all(&[0xc0, 1, 0xff, 0xff, 1, 7, 0x80, 2, 0, 0, 8]).unwrap()[1].stream, stream(2));
        assert_eq!(parse_all(&[0xc0, 1, 0xff, 0xff, 1, 7, 0x80, 1, 1, 0, 8]).unwrap()[1].seq16, 1);
        // Nothing to follow.
        assert_eq!(parse_all(&[0x81, 8]), Err(DecodeError::Invalid));
    }

    #[test]
    fn fields_out_of_range_are_refused() {
        assert_eq!(parse_all(&[0x82, 1, 0, 0]), Err(DecodeError::Invalid));
        assert_eq!(parse_all(&[0x80, 0x80, 0, 0]), Err(DecodeError::Invalid));
        for (index, count) in [(0, 0), (0, 1), (2, 2), (3, 2)] {
            assert_eq!(parse_all(&[0x88, 1, 0, 0, index, count]), Err(DecodeError::Invalid));
        }
        // A length above 65,535, a lifetime above 32 bits.
        assert_eq!(parse_all(&[0xc0, 1, 0, 0, 0x80, 0x80, 0x04, 0]), Err(DecodeError::Invalid));
        assert_eq!(parse_all(&[0x90, 1, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x10]), Err(DecodeError::Invalid));
    }

    #[test]
    fn a_length_is_taken_out_only_where_there_is_one() {
        let mut buf = [0; 16];
        let mut w = Writer::new(&mut buf);
        w.put(&[0x80, 1, 0, 0, 9]).unwrap();
        drop_last_length(&mut w, 0, 1);
        drop_last_length(&mut w, 5, 1);
        drop_last_length(&mut w, 0, 400);
        assert_eq!(w.written(), [0x80, 1, 0, 0, 9]);
    }

    proptest! {
        #[test]
        fn every_head_comes_back(head in heads(), payload in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut buf = [0; 400];
            let mut w = Writer::new(&mut buf);
            head.emit(false, None, &mut w).unwrap();
            prop_assert_eq!(w.len(), head.len(false, None));
            prop_assert!(w.len() <= DataHead::LEN_MAX);
            w.put(&payload).unwrap();
            prop_assert_eq!(parse_all(w.written()), Ok(std::vec![with_payload(&head, &payload)]));
        }

        // Messages written each with its length, then the last one's taken out: the same packet as
        // when it was known from the start which one was the last.
        #[test]
        fn a_packet_of_messages_comes_back(
            messages in prop::collection::vec((heads(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..200)), 1..6),
        ) {
            let (mut one, mut two) = ([0; 2000], [0; 2000]);
            let (mut late, mut early) = (Writer::new(&mut one), Writer::new(&mut two));
            let (mut previous, mut expected, mut last_at) = (None, Vec::new(), 0);
            for (i, (head, next, payload)) in messages.iter().enumerate() {
                let mut head = *head;
                if let Some((id, seq16)) = previous.filter(|_| *next) {
                    (head.stream, head.seq16) = following((id, seq16));
                }
                let follows = head.follows(previous);
                previous = Some((head.stream, head.seq16));
                expected.push(with_payload(&head, payload));
                last_at = late.len();
                let len = Some(payload.len() as u16);
                head.emit(follows, len, &mut late).unwrap();
                prop_assert_eq!(late.len() - last_at, head.len(follows, len));
                late.put(payload).unwrap();
                head.emit(follows, len.filter(|_| i + 1 < messages.len()), &mut early).unwrap();
                early.put(payload).unwrap();
            }
            drop_last_length(&mut late, last_at, expected.last().unwrap().payload.len() as u16);
            prop_assert_eq!(late.written(), early.written());
            prop_assert_eq!(parse_all(late.written()), Ok(expected));
        }
    }
}
