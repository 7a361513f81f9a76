//! ACCEPT: a gateway takes a session.
//!
//! ```text
//! plain:   header (2) | echo (8) | own nonce (8) | terms | CRC-32 (4)
//! sealed:  header (2) | echo (8) | e (32) | reset key (16) and terms, sealed | tag (16) | MAC of all before (16)
//! terms:   cid: length 0, 4 or 8 (1), id | limits
//!   count (1), then for each stream of the HELLO, in the same order:
//!     id (1) | epoch (varint u32, not 0) | next (varint) | credit (varint)
//!   streams that the gateway offers to send, as in HELLO, their epochs not 0
//! ```

use super::offer::{Listed, emit_list, entries, parse_list};
use super::{Limits, LongType, OfferedStream, close, open_ours};
#[cfg(feature = "seal")]
use crate::wire::LongHeader;
use crate::wire::{Reader, Writer};
use crate::{BufferTooSmall, ConnectionId, DecodeError, SeqNo, StreamEpoch, StreamId};

/// What the gateway says to a stream that the device offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptedStream {
    /// The stream's number.
    pub id: StreamId,
    /// The stream's epoch from now on.
    pub epoch: StreamEpoch,
    /// Everything below is stored, or will not be waited for.
    pub next: SeqNo,
    /// Messages below this one may be sent; absolute.
    pub credit: SeqNo,
}

impl Listed for AcceptedStream {
    fn id(&self) -> StreamId {
        self.id
    }

    fn parse(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: r.stream()?,
            epoch: StreamEpoch::new(r.varint_u32()?).ok_or(DecodeError::Invalid)?,
            next: SeqNo::new(r.varint()?),
            credit: SeqNo::new(r.varint()?),
        })
    }

    fn emit(&self, w: &mut Writer<'_>) -> Result<(), BufferTooSmall> {
        w.u8(self.id.to_wire())?;
        w.varint(u64::from(self.epoch.number()))?;
        w.varint(self.next.value())?;
        w.varint(self.credit.value())
    }
}

/// What an ACCEPT says besides its streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptFields {
    /// Names the HELLO that it answers ([`super::Claim::id`]).
    pub echo: u64,
    /// A random number of the gateway's own; in a sealed ACCEPT none.
    pub nonce: u64,
    /// The connection id that packets to the gateway carry.
    pub cid: ConnectionId,
    /// What the gateway can take.
    pub limits: Limits,
}

/// A received ACCEPT, checked in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accept<'a> {
    fields: AcceptFields,
    accepted: &'a [u8],
    offered: &'a [u8],
}

impl<'a> Accept<'a> {
    /// Checks a datagram: type, version, CRC-32, every field and every stream, canonical form.
    /// Whether it answers the HELLO that was sent is the caller's to check, by `echo` and streams.
    ///
    /// # Errors
    /// `Version` for another version; `Invalid` also for a wrong CRC-32; `Unknown` for a delivery
    /// mode that is reserved, and for another packet type.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = open_ours(datagram, LongType::Accept)?;
        Self::parse_terms(r.u64()?, r.u64()?, r)
    }

    fn parse_terms(echo: u64, nonce: u64, mut r: Reader<'a>) -> Result<Self, DecodeError> {
        let fields = AcceptFields { echo, nonce, cid: r.connection_id()?, limits: Limits::parse(&mut r)? };
        let accepted = parse_list::<AcceptedStream>(&mut r, |_| true)?;
        let offered = parse_list::<OfferedStream>(&mut r, |offered| offered.epoch.is_some())?;
        r.finish()?;
        Ok(Self { fields, accepted, offered })
    }

    /// What a sealed ACCEPT said, once it is open: the key of its RESETs, and the rest.
    #[cfg(feature = "seal")]
    pub(crate) fn opened(echo: u64, payload: &'a [u8]) -> Result<([u8; 16], Self), DecodeError> {
        let mut r = Reader::new(payload);
        Ok((r.array()?, Self::parse_terms(echo, 0, r)?))
    }

    /// Names the HELLO that it answers.
    pub const fn echo(&self) -> u64 {
        self.fields.echo
    }

    /// The gateway's own nonce.
    pub const fn nonce(&self) -> u64 {
        self.fields.nonce
    }

    /// The connection id that packets to the gateway carry.
    pub const fn cid(&self) -> ConnectionId {
        self.fields.cid
    }

    /// What the gateway can take.
    pub const fn limits(&self) -> Limits {
        self.fields.limits
    }

    /// What it says to the streams of the HELLO, in ascending order of their numbers.
    pub fn streams(&self) -> impl Iterator<Item = AcceptedStream> + Clone + use<'a> {
        entries(self.accepted)
    }

    /// The streams that the gateway offers to send, likewise; each has an epoch.
    pub fn offered(&self) -> impl Iterator<Item = OfferedStream> + Clone + use<'a> {
        entries(self.offered)
    }
}

/// Writes an ACCEPT into `buf`, both lists in ascending order whatever order they come in.
/// `accepted` names the streams of the HELLO; those in `offered` must have epochs. Returns its length.
///
/// # Errors
/// When it does not fit `buf`, or when a list has more than [`super::STREAMS_MAX`] streams.
pub fn emit_accept(
    fields: &AcceptFields,
    accepted: impl Iterator<Item = AcceptedStream> + Clone,
    offered: impl Iterator<Item = OfferedStream> + Clone,
    buf: &mut [u8],
) -> Result<usize, BufferTooSmall> {
    close(LongType::Accept, buf, |w| {
        w.u64(fields.echo)?;
        w.u64(fields.nonce)?;
        emit_terms(fields, accepted, offered, w)
    })
}

fn emit_terms(
    fields: &AcceptFields,
    accepted: impl Iterator<Item = AcceptedStream> + Clone,
    offered: impl Iterator<Item = OfferedStream> + Clone,
    w: &mut Writer<'_>,
) -> Result<(), BufferTooSmall> {
    w.connection_id(&fields.cid)?;
    fields.limits.emit(w)?;
    emit_list(accepted, w)?;
    emit_list(offered, w)
}

/// A sealed ACCEPT, to be opened in place. Its MAC is that of the other answers: what does not come from the
/// gateway costs no scalar multiplication.
#[cfg(feature = "seal")]
pub(crate) struct SealedAccept<'a> {
    /// The gateway's ephemeral public key.
    pub(crate) e: [u8; 32],
    pub(crate) payload: &'a mut [u8],
    pub(crate) tag: [u8; 16],
}

#[cfg(feature = "seal")]
impl<'a> SealedAccept<'a> {
    /// Bytes before the payload.
    const FRONT: usize = LongHeader::LEN + 8 + 32;

    /// Its parts, of a datagram whose form and MAC were checked ([`super::Answer`]).
    pub(crate) fn parts(datagram: &'a mut [u8]) -> Option<Self> {
        let (maced, _mac) = datagram.split_last_chunk_mut::<16>()?;
        let (front, tag) = maced.split_last_chunk_mut()?;
        let (front, payload) = front.split_at_mut_checked(Self::FRONT)?;
        Some(Self { e: *front.last_chunk()?, payload, tag: *tag })
    }

    /// Writes one, still open, with room for the tag, up to the MAC. Returns where the payload lies.
    pub(crate) fn emit(
        fields: &AcceptFields,
        e: &[u8; 32],
        reset_key: &[u8; 16],
        accepted: impl Iterator<Item = AcceptedStream> + Clone,
        offered: impl Iterator<Item = OfferedStream> + Clone,
        w: &mut Writer<'_>,
    ) -> Result<core::ops::Range<usize>, BufferTooSmall> {
        LongHeader::emit(LongType::Accept, w)?;
        w.u64(fields.echo)?;
        w.put(e)?;
        let start = w.len();
        w.put(reset_key)?;
        emit_terms(fields, accepted, offered, w)?;
        let end = w.len();
        w.put(&[0; 16])?;
        Ok(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::super::hello::tests::any_cid;
    use super::super::limits::tests::any_limits;
    use super::super::offer::tests::any_offers;
    use super::super::tests::resealed;
    use super::*;
    use proptest::prelude::*;
    extern crate std;
    use std::vec::Vec;

    fn any_fields() -> impl Strategy<Value = AcceptFields> {
        (any::<u64>(), any::<u64>(), any_cid(), any_limits()).prop_map(|(echo, nonce, cid, limits)| AcceptFields {
            echo,
            nonce,
            cid,
            limits,
        })
    }

    fn accept_of(offer: &OfferedStream) -> AcceptedStream {
        let epoch = offer.epoch.or(StreamEpoch::new(1)).unwrap();
        AcceptedStream { id: offer.id, epoch, next: offer.base, credit: offer.next }
    }

    #[test]
    fn epochs_must_be_there() {
        let fields = AcceptFields {
            echo: 1,
            nonce: 2,
            cid: ConnectionId::EMPTY,
            limits: Limits {
                max_datagram: 127,
                max_message: 1,
                max_slot: 1,
                ack_reach: 1,
                max_ack_delay: crate::Duration::ZERO,
            },
        };
        let one = StreamEpoch::new(1).unwrap();
        let accepted = AcceptedStream {
            id: StreamId::from_wire(1).unwrap(),
            epoch: one,
            next: SeqNo::ZERO,
            credit: SeqNo::new(64),
        };
        let offered = OfferedStream {
            id: accepted.id,
            delivery: crate::Delivery::Ordered,
            durable: false,
            schema: crate::SchemaId(0),
            epoch: Some(one),
            base: SeqNo::ZERO,
            next: SeqNo::ZERO,
        };
        let mut buf = [0; 100];
        let len = emit_accept(&fields, [accepted].into_iter(), [offered].into_iter(), &mut buf).unwrap();
        assert!(Accept::parse(&buf[..len]).is_ok());
        // header 2, nonces 16, cid 1, limits 5, count 1, id 1: the accepted stream's epoch.
        let mut body = buf[..len - 4].to_vec();
        assert_eq!(core::mem::replace(&mut body[26], 0), 1);
        assert_eq!(Accept::parse(&resealed(&body)), Err(DecodeError::Invalid));
        let none = OfferedStream { epoch: None, ..offered };
        let len = emit_accept(&fields, [accepted].into_iter(), [none].into_iter(), &mut buf).unwrap();
        assert_eq!(Accept::parse(&buf[..len]), Err(DecodeError::Invalid));
    }

    proptest! {
        #[test]
        fn every_accept_comes_back(
            fields in any_fields(),
            (list, sorted) in any_offers(),
            (mut own, mut own_sorted) in any_offers(),
            flip: u16,
        ) {
            for offer in own.iter_mut().chain(&mut own_sorted) {
                offer.epoch = offer.epoch.or(StreamEpoch::new(1));
            }
            let mut buf = [0; 1200];
            let len = emit_accept(&fields, list.iter().map(accept_of), own.iter().copied(), &mut buf).unwrap();
            let accept = Accept::parse(&buf[..len]).unwrap();
            prop_assert_eq!(accept.fields, fields);
            prop_assert_eq!(accept.streams().collect::<Vec<_>>(), sorted.iter().map(accept_of).collect::<Vec<_>>());
            prop_assert_eq!(accept.offered().collect::<Vec<_>>(), own_sorted);
            for cut in 0..len {
                prop_assert!(Accept::parse(&buf[..cut]).is_err());
                prop_assert!(Accept::parse(&resealed(&buf[..cut.min(len - 5)])).is_err());
            }
            buf[usize::from(flip) % len] ^= 1 << (flip % 8);
            prop_assert!(Accept::parse(&buf[..len]).is_err());
        }
    }
}
