//! The one place where a message is put together from its fragments, or waits for its turn when it is
//! longer than a slot. A sender has one such message on its way at a time, so that one place is enough.

use super::reorder::Placed;
use crate::{Instant, SeqNo};

/// What lies in the place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AssemblyState {
    seq: SeqNo,
    /// The message must not be handed on from here on.
    pub(crate) expires: Instant,
    /// Bit i: fragment i is there.
    have: u64,
    stream: u8,
    /// Fragments of the message; 0 when the place is free.
    count: u8,
    /// Length of every fragment but the last; 0 until one of them came.
    unit: u16,
    last_len: u16,
}

impl AssemblyState {
    pub(crate) const EMPTY: Self =
        Self { seq: SeqNo::ZERO, expires: Instant::ZERO, have: 0, stream: 0, count: 0, unit: 0, last_len: 0 };

    /// Whether no part of a message is there.
    #[cfg(feature = "seal")]
    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// The place with its memory.
pub(crate) struct Assembly<'a> {
    pub(crate) state: &'a mut AssemblyState,
    pub(crate) bytes: &'a mut [u8],
}

impl Assembly<'_> {
    /// Puts a fragment, which is number `index` of `count`, in its place.
    pub(crate) fn place(
        &mut self,
        stream: usize,
        seq: SeqNo,
        (index, count): (u8, u8),
        payload: &[u8],
        expires: Instant,
    ) -> Placed {
        let s = &mut *self.state;
        if s.count == 0 {
            if count == 0 || usize::from(count) > u64::BITS as usize || index >= count {
                return Placed::NoRoom;
            }
            *s = AssemblyState { seq, expires, stream: stream as u8, count, ..AssemblyState::EMPTY };
        }
        if usize::from(s.stream) != stream || s.seq != seq || s.count != count || index >= count {
            return Placed::NoRoom;
        }
        if s.have & (1 << index) != 0 {
            return Placed::Duplicate;
        }
        let Some(start) = self.start_of(index, payload.len()) else {
            self.give_back_if_empty();
            return Placed::NoRoom;
        };
        let Some(room) = self.bytes.get_mut(start..start + payload.len()) else {
            self.give_back_if_empty();
            return Placed::NoRoom;
        };
        room.copy_from_slice(payload);
        self.state.have |= 1 << index;
        self.state.expires = self.state.expires.min(expires);
        Placed::Stored
    }

    fn give_back_if_empty(&mut self) {
        if self.state.have == 0 {
            self.state.count = 0;
        }
    }

    /// Where a fragment of this length belongs; `None` when it cannot be one of this message.
    fn start_of(&mut self, index: u8, len: usize) -> Option<usize> {
        let (s, room) = (&mut *self.state, self.bytes.len());
        let before = usize::from(s.count) - 1;
        if index + 1 == s.count {
            s.last_len = u16::try_from(len).ok()?;
            return match usize::from(s.unit) {
                // Alone, or the first to come: it waits at the end until the others say where it belongs.
                0 => room.checked_sub(len).map(|end| if before == 0 { 0 } else { end }),
                unit if len <= unit => Some(before * unit),
                _ => None,
            };
        }
        if s.unit != 0 {
            return (usize::from(s.unit) == len).then_some(usize::from(index) * len);
        }
        let last = usize::from(s.last_len);
        if len == 0 || last > len || before * len + last > room {
            return None;
        }
        s.unit = u16::try_from(len).ok()?;
        if s.have != 0 {
            self.bytes.copy_within(room - last.., before * len);
        }
        Some(usize::from(index) * len)
    }

    /// Whether every fragment is there.
    pub(crate) fn is_complete(&self) -> bool {
        let count = u32::from(self.state.count);
        count > 0 && self.state.have.count_ones() == count
    }

    /// The message, when it is complete.
    pub(crate) fn payload(&self) -> &[u8] {
        let len = usize::from(self.state.count.saturating_sub(1)) * usize::from(self.state.unit)
            + usize::from(self.state.last_len);
        self.bytes.get(..len).unwrap_or(&[])
    }

    /// Frees the place.
    pub(crate) fn free(&mut self) {
        *self.state = AssemblyState::EMPTY;
    }

    /// The sender gave up everything of the stream below `point`: also a message of which a part came.
    pub(crate) fn drop_below(&mut self, stream: usize, point: SeqNo) {
        let s = &self.state;
        if s.count > 0 && usize::from(s.stream) == stream && s.seq < point && !self.is_complete() {
            self.free();
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::vec::Vec;

    proptest! {
        // Any order, with repeats: the message is whole exactly when every fragment came.
        #[test]
        fn fragments_in_any_order_make_the_message(
            len in 1usize..400, unit in 1usize..90, order in prop::collection::vec(any::<u8>(), 1..300),
        ) {
            let message: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let parts: Vec<&[u8]> = message.chunks(unit).collect();
            prop_assume!(parts.len() <= 64);
            let (mut state, mut bytes) = (AssemblyState::EMPTY, [0; 400]);
            let mut assembly = Assembly { state: &mut state, bytes: &mut bytes };
            let mut seen = BTreeSet::new();
            let count = parts.len() as u8;
            for index in order.into_iter().map(|at| at % count) {
                let placed = assembly.place(3, SeqNo::new(9), (index, count), parts[usize::from(index)], Instant::ZERO);
                prop_assert_eq!(placed, if seen.insert(index) { Placed::Stored } else { Placed::Duplicate });
                prop_assert_eq!(assembly.is_complete(), seen.len() == parts.len());
                if assembly.is_complete() {
                    prop_assert_eq!(assembly.payload(), &message[..]);
                }
            }
        }

        // Whatever a peer sends, nothing panics, and what is complete lies within the memory.
        #[test]
        fn no_fragments_do_harm(steps in prop::collection::vec((0u8..3, any::<u8>(), any::<u8>(), 0usize..70), 1..60)) {
            let (mut state, mut bytes) = (AssemblyState::EMPTY, [0; 100]);
            let mut assembly = Assembly { state: &mut state, bytes: &mut bytes };
            for (seq, index, count, len) in steps {
                let part = (index % 6, count % 6);
                assembly.place(0, SeqNo::new(seq.into()), part, &[1; 70][..len], Instant::ZERO);
                if assembly.is_complete() {
                    prop_assert!(assembly.payload().len() <= 100);
                    assembly.free();
                }
            }
        }
    }

    #[test]
    fn another_message_finds_the_place_taken() {
        let (mut state, mut bytes) = (AssemblyState::EMPTY, [0; 100]);
        let mut assembly = Assembly { state: &mut state, bytes: &mut bytes };
        let mut place = |seq, part| assembly.place(1, SeqNo::new(seq), part, &[7; 10], Instant::ZERO);
        assert_eq!(place(4, (0, 2)), Placed::Stored);
        assert_eq!(place(5, (0, 2)), Placed::NoRoom);
        assert_eq!(place(4, (1, 3)), Placed::NoRoom, "another count");
        assembly.drop_below(1, SeqNo::new(4));
        assert!(assembly.state.count > 0, "not below");
        assembly.drop_below(1, SeqNo::new(5));
        assert_eq!(assembly.place(1, SeqNo::new(5), (0, 2), &[7; 10], Instant::ZERO), Placed::Stored);
    }
}
