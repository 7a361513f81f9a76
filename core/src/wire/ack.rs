//! ACK: which packets arrived.
//!
//! ```text
//! type 0x08 | 0x01 bitmap | 0x02 ranges
//! largest (varint) | delay in 8 us (varint) | run (varint) | [bitmap] | [ranges]
//!
//!   packets, descending:   L  L-1 .. L-run   L-run-1   L-run-2 ...
//!                          `--- arrived ---'  missing  bit 0 of the bitmap, bit 1, ..
//! ```
//!
//! Ranges go on below the *cursor*, the lowest packet described so far: `L - run`, or with a
//! bitmap of n bytes `L - run - 1 - 8n`. Each is a gap g and a length l: the g + 1 packets below the
//! cursor are missing, the l + 1 below those arrived, and the lowest of them is the new cursor.

use core::ops::RangeInclusive;

use super::{Reader, Writer, bitmap, kind, varint};
use crate::{BufferTooSmall, DecodeError, Duration, PacketNumber};

/// The longest bitmap, in bytes.
const BITMAP_MAX: u8 = 32;
/// The most ranges.
const RANGES_MAX: usize = 4;

/// How far below the largest packet an ACK can always say what arrived: one missing packet and the
/// longest bitmap reach further still.
pub const ACK_REACH_MAX: u64 = 255;

/// The longest ACK that [`emit_ack`] writes, in bytes.
pub const ACK_LEN_MAX: usize = 1 + varint::LEN_MAX + 5 + 2 + 1 + BITMAP_MAX as usize;

/// A received acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack<'a> {
    /// The largest packet that arrived.
    pub largest: PacketNumber,
    /// How long the peer held the acknowledgement back, in steps of 8 microseconds.
    pub delay: Duration,
    /// Packets directly below the largest that arrived too; at most `largest`.
    run: u64,
    bitmap: &'a [u8],
    /// Pairs of varints; valid, as `parse` saw.
    ranges: &'a [u8],
}

impl<'a> Ack<'a> {
    /// Reads what follows the type.
    pub(super) fn parse(first: u8, r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        // No packet has the number 2^64 - 1.
        let largest =
            r.varint().and_then(|largest| if largest < u64::MAX { Ok(largest) } else { Err(DecodeError::Invalid) })?;
        let delay = Duration::from_micros(u64::from(r.varint_u32()?) << 3);
        let run = r.varint()?;
        let lowest_of_run = largest.checked_sub(run).ok_or(DecodeError::Invalid)?;
        let mut bits: &[u8] = &[];
        if first & kind::ACK_BITMAP != 0 {
            bits = bitmap::read(r, 1..=BITMAP_MAX)?;
            let lowest = bitmap::highest(bits).map_or(0, |bit| u64::from(bit) + 2);
            lowest_of_run.checked_sub(lowest).ok_or(DecodeError::Invalid)?;
        }
        let mut ranges: &[u8] = &[];
        if first & kind::ACK_RANGES != 0 {
            let count = r.u8()?;
            if count == 0 || usize::from(count) > RANGES_MAX {
                return Err(DecodeError::Invalid);
            }
            let mut cursor = cursor_below(lowest_of_run, bits).ok_or(DecodeError::Invalid)?;
            let before = r.rest();
            for _ in 0..count {
                let (gap, len) = (r.varint()?, r.varint()?);
                cursor = *range_below(cursor, gap, len).ok_or(DecodeError::Invalid)?.start();
            }
            ranges = before.get(..before.len() - r.rest().len()).unwrap_or(&[]);
        }
        Ok(Self { largest: PacketNumber::new(largest), delay, run, bitmap: bits, ranges })
    }

    /// The packets that arrived, as ranges of their numbers, the highest range first. No two
    /// overlap; two may touch.
    pub fn ranges(&self) -> AckRanges<'a> {
        let largest = self.largest.value();
        let lowest = largest.saturating_sub(self.run);
        AckRanges {
            first: Some(lowest..=largest),
            lowest_of_run: lowest,
            bitmap: self.bitmap,
            bit: 0,
            // No cursor, no ranges: `parse` refused them.
            cursor: cursor_below(lowest, self.bitmap).unwrap_or(0),
            ranges: Reader::new(self.ranges),
        }
    }
}

/// The lowest packet that run and bitmap describe; `None` when the bitmap has room below packet 0.
fn cursor_below(lowest_of_run: u64, bits: &[u8]) -> Option<u64> {
    if bits.is_empty() { Some(lowest_of_run) } else { lowest_of_run.checked_sub(1 + u64::from(bitmap::bits(bits))) }
}

/// The packets of a range below the cursor; `None` when they would lie below packet 0.
fn range_below(cursor: u64, gap: u64, len: u64) -> Option<RangeInclusive<u64>> {
    let high = cursor.checked_sub(gap)?.checked_sub(2)?;
    Some(high.checked_sub(len)?..=high)
}

/// The ranges of an [`Ack`], descending.
#[derive(Clone, Debug)]
pub struct AckRanges<'a> {
    first: Option<RangeInclusive<u64>>,
    lowest_of_run: u64,
    bitmap: &'a [u8],
    /// The first bit not looked at.
    bit: u32,
    cursor: u64,
    ranges: Reader<'a>,
}

impl AckRanges<'_> {
    /// The next run of set bits.
    fn next_in_bitmap(&mut self) -> Option<RangeInclusive<u64>> {
        let bits = bitmap::bits(self.bitmap);
        let first = (self.bit..bits).find(|bit| bitmap::is_set(self.bitmap, *bit));
        let Some(first) = first else {
            self.bit = bits;
            return None;
        };
        self.bit = (first..bits).find(|bit| !bitmap::is_set(self.bitmap, *bit)).unwrap_or(bits);
        let number = |bit: u32| self.lowest_of_run.checked_sub(u64::from(bit) + 2);
        Some(number(self.bit - 1)?..=number(first)?)
    }
}

impl Iterator for AckRanges<'_> {
    type Item = RangeInclusive<u64>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(range) = self.first.take().or_else(|| self.next_in_bitmap()) {
            return Some(range);
        }
        let (gap, len) = (self.ranges.varint().ok()?, self.ranges.varint().ok()?);
        let range = range_below(self.cursor, gap, len)?;
        self.cursor = *range.start();
        Some(range)
    }
}

/// What lies below the run, in the form of ranges, as far as four of them go.
struct Gaps {
    pairs: [(u64, u64); RANGES_MAX],
    count: usize,
    /// All ranges, even those that found no place.
    all: bool,
    /// Steps below the largest of the lowest packet that arrived; the run's length when none did.
    lowest: u64,
}

impl Gaps {
    /// `received(k)`: whether the packet `k` below the largest arrived; the first `run` did.
    fn scan(run: u64, reach: u64, received: &impl Fn(u64) -> bool) -> Self {
        let mut gaps = Self { pairs: [(0, 0); RANGES_MAX], count: 0, all: true, lowest: run };
        // The packet directly below the run, and below each range, is missing: that is where they end.
        while let Some(start) = (gaps.lowest + 2..=reach).find(|k| received(*k)) {
            let end = (start..=reach).take_while(|k| received(*k)).last().unwrap_or(start);
            match gaps.pairs.get_mut(gaps.count) {
                // Between the cursor and the range lie `start - cursor - 1` packets, at least one.
                Some(pair) => {
                    *pair = (start - gaps.lowest - 2, end - start);
                    gaps.count += 1;
                }
                None => gaps.all = false,
            }
            gaps.lowest = end;
        }
        gaps
    }

    fn pairs(&self) -> &[(u64, u64)] {
        self.pairs.get(..self.count).unwrap_or(&[])
    }

    /// Bytes of all pairs.
    fn len(&self) -> u64 {
        self.pairs().iter().map(|(gap, len)| (varint::len(*gap) + varint::len(*len)) as u64).sum()
    }
}

/// Appends an ACK of packet `largest` and of what arrived below it.
///
/// `received(k)` says whether packet `largest - k` arrived, for `k` from 1. Nothing is said of
/// packets more than `reach` below the largest; `reach` counts at most [`ACK_REACH_MAX`]. Takes
/// the bitmap or the ranges, whichever is shorter; both say everything within reach. `delay` is
/// rounded down to 8 microseconds, and to 32 bits of them.
///
/// # Errors
/// When it does not fit; [`ACK_LEN_MAX`] bytes always do.
pub fn emit_ack(
    largest: PacketNumber,
    delay: Duration,
    received: impl Fn(u64) -> bool,
    reach: u64,
    w: &mut Writer<'_>,
) -> Result<(), BufferTooSmall> {
    let reach = reach.min(ACK_REACH_MAX).min(largest.value());
    let run = (1..=reach).take_while(|k| received(*k)).last().unwrap_or(0);
    let gaps = Gaps::scan(run, reach, &received);
    // Bit 0 stands for the packet `run + 2` below the largest.
    let bits = gaps.lowest.saturating_sub(run + 1) as u32;
    let by_ranges = gaps.all && gaps.len() < u64::from(bits.div_ceil(8));
    let form = match (gaps.count, by_ranges) {
        (0, _) => 0,
        (_, true) => kind::ACK_RANGES,
        (_, false) => kind::ACK_BITMAP,
    };
    w.whole(|w| {
        w.u8(kind::ACK | form)?;
        w.varint(largest.value())?;
        w.varint((delay.as_micros() >> 3).min(u64::from(u32::MAX)))?;
        w.varint(run)?;
        match form {
            kind::ACK_BITMAP => bitmap::write(w, bits, |bit| received(run + 2 + u64::from(bit))),
            kind::ACK_RANGES => {
                w.u8(gaps.count as u8)?;
                gaps.pairs().iter().try_for_each(|(gap, len)| w.varint(*gap).and_then(|()| w.varint(*len)))
            }
            _ => Ok(()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Frame, Frames};
    use super::*;
    use proptest::prelude::*;
    extern crate std;
    use std::{collections::BTreeSet, vec::Vec};

    fn parse(bytes: &[u8]) -> Result<Ack<'_>, DecodeError> {
        let mut frames = Frames::new(bytes);
        match frames.next().unwrap()? {
            Frame::Ack(ack) => {
                assert!(frames.next().is_none());
                Ok(ack)
            }
            other => panic!("{other:?}"),
        }
    }

    fn ranges(bytes: &[u8]) -> Vec<(u64, u64)> {
        parse(bytes).unwrap().ranges().map(|range| (*range.start(), *range.end())).collect()
    }

    // The three forms, counted by hand.
    #[test]
    fn what_the_forms_mean() {
        assert_eq!(ranges(&[0x08, 20, 0, 3]), [(17, 20)]);
        // 16 is missing; bit 0 is 15, bit 1 is 14, bit 3 is 12.
        assert_eq!(ranges(&[0x09, 20, 0, 3, 1, 0b1011]), [(17, 20), (14, 15), (12, 12)]);
        // 16 and 15 are missing, 14 to 12 arrived; 11 is missing, 10 arrived.
        assert_eq!(ranges(&[0x0a, 20, 0, 3, 2, 1, 2, 0, 0]), [(17, 20), (12, 14), (10, 10)]);
        // The bitmap goes down to 8, so that 7 is missing and 6 arrived.
        assert_eq!(ranges(&[0x0b, 20, 0, 3, 1, 0x80, 1, 0, 0]), [(17, 20), (8, 8), (6, 6)]);
        assert_eq!(parse(&[0x08, 20, 0x80, 0x01, 3]).unwrap().delay, Duration::from_micros(1024));
    }

    #[test]
    fn packets_below_zero_are_refused() {
        assert_eq!(ranges(&[0x08, 3, 0, 3]), [(0, 3)]);
        assert_eq!(parse(&[0x08, 3, 0, 4]), Err(DecodeError::Invalid));
        let mut last = [0xff; 13];
        (last[0], last[10], last[11], last[12]) = (0x08, 0x01, 0, 0);
        assert_eq!(parse(&last), Err(DecodeError::Invalid));
        last[1] = 0xfe;
        assert_eq!(ranges(&last), [(u64::MAX - 1, u64::MAX - 1)]);
        // 3 - 0 - 2 - bit: bit 1 is packet 0, bit 2 lies below it.
        assert_eq!(ranges(&[0x09, 3, 0, 0, 1, 0b10]), [(3, 3), (0, 0)]);
        assert_eq!(parse(&[0x09, 3, 0, 0, 1, 0b100]), Err(DecodeError::Invalid));
        assert_eq!(ranges(&[0x0a, 3, 0, 0, 1, 0, 1]), [(3, 3), (0, 1)]);
        assert_eq!(parse(&[0x0a, 3, 0, 0, 1, 0, 2]), Err(DecodeError::Invalid));
        assert_eq!(parse(&[0x0a, 3, 0, 0, 1, 2, 0]), Err(DecodeError::Invalid));
        // Room below packet 0 in the bitmap, so no ranges can follow.
        assert_eq!(parse(&[0x0b, 3, 0, 0, 1, 0b10, 1, 0, 0]), Err(DecodeError::Invalid));
    }

    #[test]
    fn forms_out_of_range_are_refused() {
        assert_eq!(parse(&[0x09, 20, 0, 0, 0]), Err(DecodeError::Invalid));
        assert_eq!(parse(&[0x09, 20, 0, 0, 2, 1, 0]), Err(DecodeError::NotCanonical));
        assert_eq!(parse(&[0x09, 20, 0, 0, 33]), Err(DecodeError::Invalid));
        assert_eq!(parse(&[0x0a, 20, 0, 0, 0]), Err(DecodeError::Invalid));
        assert_eq!(parse(&[0x0a, 20, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Err(DecodeError::Invalid));
        assert_eq!(parse(&[0x08, 20, 0xff, 0xff, 0xff, 0xff, 0x10, 0]), Err(DecodeError::Invalid));
    }

    fn emitted(largest: u64, below: &BTreeSet<u64>, reach: u64) -> Vec<u8> {
        let mut buf = [0; ACK_LEN_MAX];
        let mut w = Writer::new(&mut buf);
        let received = |k| below.contains(&k);
        emit_ack(PacketNumber::new(largest), Duration::from_micros(u64::MAX), received, reach, &mut w).unwrap();
        w.written().to_vec()
    }

    #[test]
    fn the_shorter_form_is_taken() {
        let all: BTreeSet<u64> = (1..=255).collect();
        assert_eq!(emitted(1000, &all, 255)[0], 0x08);
        let one_gap: BTreeSet<u64> = (1..=255).filter(|k| *k != 100).collect();
        assert_eq!(emitted(1000, &one_gap, 255)[0], 0x0a);
        let every_other: BTreeSet<u64> = (1..=255).filter(|k| k % 2 == 0).collect();
        assert_eq!(emitted(1000, &every_other, 255)[0], 0x09);
        // One byte of bitmap against two of a range.
        assert_eq!(emitted(1000, &BTreeSet::from([3]), 255)[0], 0x09);
    }

    proptest! {
        // What is written is exactly what arrived within reach.
        #[test]
        fn what_arrived_comes_back(
            largest in prop_oneof![0u64..300, any::<u64>()],
            missing in prop::collection::btree_set(1u64..260, 0..60),
            reach in 0u64..300,
        ) {
            let below: BTreeSet<u64> = (1..=300).filter(|k| !missing.contains(k)).collect();
            let bytes = emitted(largest, &below, reach);
            let ack = parse(&bytes).unwrap();
            prop_assert_eq!(ack.delay, Duration::from_micros(u64::from(u32::MAX) * 8));
            let reach = reach.min(255).min(largest);
            let expected: Vec<u64> = core::iter::once(largest)
                .chain(below.into_iter().filter(|k| *k <= reach).map(|k| largest - k))
                .collect();
            let got: Vec<u64> = ack.ranges().flat_map(|range| range.rev()).collect();
            prop_assert_eq!(got, expected);
            for cut in 1..bytes.len() {
                prop_assert_eq!(parse(&bytes[..cut]), Err(DecodeError::Truncated));
            }
        }

        #[test]
        fn sparse_arrivals_come_back(below in prop::collection::btree_set(1u64..256, 0..8)) {
            let bytes = emitted(5000, &below, 255);
            let got: Vec<u64> = parse(&bytes).unwrap().ranges().skip(1).flat_map(|range| range.rev()).collect();
            let run = (1..).take_while(|k| below.contains(k)).count();
            prop_assert_eq!(got, below.into_iter().skip(run).map(|k| 5000 - k).collect::<Vec<_>>());
        }

        // Any ACK that parses gives ranges that descend, do not overlap, and end at the largest.
        #[test]
        fn ranges_descend(first in 0x08u8..0x0c, rest in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut bytes = std::vec![first];
            bytes.extend(rest);
            if let Some(Ok(Frame::Ack(ack))) = Frames::new(&bytes).next() {
                let mut above = None;
                for range in ack.ranges() {
                    prop_assert!(range.start() <= range.end());
                    prop_assert!(above.is_none_or(|above| *range.end() < above));
                    above = Some(*range.start());
                }
                prop_assert_eq!(ack.ranges().next().map(|range| *range.end()), Some(ack.largest.value()));
            }
        }
    }
}
