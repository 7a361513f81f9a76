//! The streams that an endpoint offers to send.
//!
//! ```text
//! count (1), 0 to 16, then for each, in ascending order of id:
//!   id (1) | mode (1) | schema (8) | epoch (varint u32, 0 none) | base (varint) | next (varint)
//! mode:  bits 0-1  0 best effort, 1 latest, 2 reliable, 3 ordered;  bit 2  durable (ordered only)
//! ```

use crate::wire::{Reader, Writer};
use crate::{BufferTooSmall, DecodeError, Delivery, SchemaId, SeqNo, StreamEpoch, StreamId};

/// The most streams that a HELLO or ACCEPT lists in one direction.
pub const STREAMS_MAX: usize = 16;

const DELIVERY: u8 = 0x03;
const BEST_EFFORT: u8 = 0;
const LATEST: u8 = 1;
const RELIABLE: u8 = 2;
const DURABLE: u8 = 0x04;

/// A stream that an endpoint offers to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OfferedStream {
    /// Its number.
    pub id: StreamId,
    /// How its messages are delivered.
    pub delivery: Delivery,
    /// Whether its messages are kept until the receiver has stored them.
    pub durable: bool,
    /// What its payloads mean.
    pub schema: SchemaId,
    /// Its epoch; `None` before the gateway allocated one.
    pub epoch: Option<StreamEpoch>,
    /// The oldest message that the sender still has; at most `next`.
    pub base: SeqNo,
    /// The number that the next new message will get.
    pub next: SeqNo,
}

impl OfferedStream {
    pub(crate) fn parse(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (id, mode) = (r.stream()?, r.u8()?);
        if mode & !(DELIVERY | DURABLE) != 0 {
            return Err(DecodeError::Invalid);
        }
        let delivery = match mode & DELIVERY {
            BEST_EFFORT => Delivery::BestEffort,
            LATEST => Delivery::Latest,
            RELIABLE => Delivery::Reliable,
            _ => Delivery::Ordered,
        };
        let offered = Self {
            id,
            delivery,
            durable: mode & DURABLE != 0,
            schema: SchemaId(r.u64()?),
            epoch: StreamEpoch::new(r.varint_u32()?),
            base: SeqNo::new(r.varint()?),
            next: SeqNo::new(r.varint()?),
        };
        if offered.base > offered.next || (offered.durable && delivery != Delivery::Ordered) {
            return Err(DecodeError::Invalid);
        }
        Ok(offered)
    }

    pub(crate) fn emit(&self, w: &mut Writer<'_>) -> Result<(), BufferTooSmall> {
        let delivery = match self.delivery {
            Delivery::BestEffort => BEST_EFFORT,
            Delivery::Latest => LATEST,
            Delivery::Reliable => RELIABLE,
            Delivery::Ordered => DELIVERY,
        };
        w.put(&[self.id.to_wire(), delivery | if self.durable { DURABLE } else { 0 }])?;
        w.u64(self.schema.0)?;
        w.varint(self.epoch.map_or(0, |epoch| u64::from(epoch.number())))?;
        w.varint(self.base.value())?;
        w.varint(self.next.value())
    }
}

/// An entry of a list that is sorted by the stream's number.
pub(super) trait Listed: Copy {
    fn id(&self) -> StreamId;
    fn parse(r: &mut Reader<'_>) -> Result<Self, DecodeError>;
    fn emit(&self, w: &mut Writer<'_>) -> Result<(), BufferTooSmall>;
}

impl Listed for OfferedStream {
    fn id(&self) -> StreamId {
        self.id
    }

    fn parse(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::parse(r)
    }

    fn emit(&self, w: &mut Writer<'_>) -> Result<(), BufferTooSmall> {
        self.emit(w)
    }
}

/// Checks a list, its count first, entry by entry, and returns the entries' bytes for [`entries`].
pub(super) fn parse_list<'a, T: Listed>(
    r: &mut Reader<'a>,
    valid: impl Fn(&T) -> bool,
) -> Result<&'a [u8], DecodeError> {
    let count = r.u8()?;
    if usize::from(count) > STREAMS_MAX {
        return Err(DecodeError::Invalid);
    }
    let before = r.rest();
    let mut last = None;
    for _ in 0..count {
        let entry = T::parse(r)?;
        if !valid(&entry) {
            return Err(DecodeError::Invalid);
        }
        // One order, and no stream twice.
        if last >= Some(entry.id()) {
            return Err(DecodeError::NotCanonical);
        }
        last = Some(entry.id());
    }
    Ok(before.get(..before.len() - r.rest().len()).unwrap_or(&[]))
}

/// The entries of a list that [`parse_list`] checked.
pub(super) fn entries<'a, T: Listed>(bytes: &'a [u8]) -> impl Iterator<Item = T> + Clone + use<'a, T> {
    let mut r = Reader::new(bytes);
    core::iter::from_fn(move || T::parse(&mut r).ok())
}

/// Writes a list in ascending order, whatever order the entries come in; of two with the same
/// number, one. More than [`STREAMS_MAX`] do not fit.
pub(super) fn emit_list<T: Listed>(
    list: impl Iterator<Item = T> + Clone,
    w: &mut Writer<'_>,
) -> Result<(), BufferTooSmall> {
    let count_at = w.len();
    w.u8(0)?;
    // Selection takes no memory, and a handshake is rare: at most 16 passes over 16 entries.
    let (mut count, mut last) = (0u8, None);
    while let Some(entry) = list.clone().filter(|entry| Some(entry.id()) > last).min_by_key(T::id) {
        if usize::from(count) >= STREAMS_MAX {
            return Err(BufferTooSmall);
        }
        entry.emit(w)?;
        last = Some(entry.id());
        count += 1;
    }
    if let Some(byte) = w.written_mut().get_mut(count_at) {
        *byte = count;
    }
    Ok(())
}

#[cfg(test)]
pub(in crate::wire) mod tests {
    use super::*;
    use proptest::prelude::*;
    extern crate std;
    use std::vec::Vec;

    /// Any stream that may be offered.
    pub(in crate::wire) fn any_offer() -> impl Strategy<Value = OfferedStream> {
        (0u8..128, 0usize..5, any::<u64>(), any::<u32>(), any::<u64>(), any::<u64>()).prop_map(
            |(id, mode, schema, epoch, a, b)| OfferedStream {
                id: StreamId::from_wire(id).unwrap(),
                delivery: [Delivery::BestEffort, Delivery::Latest, Delivery::Reliable, Delivery::Ordered][mode.min(3)],
                durable: mode == 4,
                schema: SchemaId(schema),
                epoch: StreamEpoch::new(epoch),
                base: SeqNo::new(a.min(b)),
                next: SeqNo::new(a.max(b)),
            },
        )
    }

    /// Any list, in any order, and what is to be read from it.
    pub(in crate::wire) fn any_offers() -> impl Strategy<Value = (Vec<OfferedStream>, Vec<OfferedStream>)> {
        prop::collection::vec(any_offer(), 0..=STREAMS_MAX).prop_map(|list| {
            let mut unique: Vec<OfferedStream> = Vec::new();
            for offer in list {
                if unique.iter().all(|other| other.id != offer.id) {
                    unique.push(offer);
                }
            }
            let mut sorted = unique.clone();
            sorted.sort_by_key(|offer| offer.id);
            (unique, sorted)
        })
    }

    fn entry(id: u8, mode: u8, epoch: u8, base: u8, next: u8) -> Vec<u8> {
        [&[id, mode][..], &[0; 8], &[epoch, base, next]].concat()
    }

    fn parse(list: &[u8]) -> Result<Vec<OfferedStream>, DecodeError> {
        let mut r = Reader::new(list);
        let bytes = parse_list::<OfferedStream>(&mut r, |_| true)?;
        r.finish()?;
        Ok(entries(bytes).collect())
    }

    #[test]
    fn modes_and_numbers_are_checked() {
        let one = |id, mode, epoch, base, next| parse(&[&[1][..], &entry(id, mode, epoch, base, next)].concat());
        assert_eq!(one(1, 7, 0, 2, 5).unwrap().len(), 1);
        assert_eq!(one(1, 0, 1, 5, 5).unwrap()[0].delivery, Delivery::BestEffort);
        assert_eq!(one(1, 1, 0, 0, 0).unwrap()[0].delivery, Delivery::Latest);
        assert_eq!(one(1, 2, 0, 0, 0).unwrap()[0].delivery, Delivery::Reliable);
        // Durable is of ordered streams.
        for mode in 4..7 {
            assert_eq!(one(1, mode, 0, 0, 0), Err(DecodeError::Invalid));
        }
        assert_eq!(one(1, 0x0b, 0, 0, 0), Err(DecodeError::Invalid));
        assert_eq!(one(0x80, 3, 0, 0, 0), Err(DecodeError::Invalid));
        assert_eq!(one(1, 3, 0, 6, 5), Err(DecodeError::Invalid));
    }

    #[test]
    fn a_list_has_one_order_and_a_bound() {
        let two = |a, b| parse(&[&[2][..], &entry(a, 3, 0, 0, 0), &entry(b, 3, 0, 0, 0)].concat());
        assert_eq!(two(1, 2).unwrap().len(), 2);
        assert_eq!(two(2, 1), Err(DecodeError::NotCanonical));
        assert_eq!(two(2, 2), Err(DecodeError::NotCanonical));
        let mut many = std::vec![17u8];
        (0..17).for_each(|id| many.extend(entry(id, 3, 0, 0, 0)));
        assert_eq!(parse(&many), Err(DecodeError::Invalid));
        let list = (0..17).map(|id| OfferedStream {
            id: StreamId::from_wire(id).unwrap(),
            delivery: Delivery::Ordered,
            durable: true,
            schema: SchemaId(0),
            epoch: None,
            base: SeqNo::ZERO,
            next: SeqNo::ZERO,
        });
        let mut buf = [0; 400];
        assert_eq!(emit_list(list.clone(), &mut Writer::new(&mut buf)), Err(BufferTooSmall));
        assert_eq!(emit_list(list.take(16), &mut Writer::new(&mut buf)), Ok(()));
    }

    proptest! {
        #[test]
        fn lists_come_back_sorted((list, sorted) in any_offers()) {
            let mut buf = [0; 600];
            let mut w = Writer::new(&mut buf);
            emit_list(list.into_iter(), &mut w).unwrap();
            prop_assert_eq!(parse(w.written()), Ok(sorted));
            for cut in 0..w.len() {
                prop_assert_eq!(parse(&w.written()[..cut]), Err(DecodeError::Truncated));
            }
        }
    }
}
