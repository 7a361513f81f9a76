//! The reorder buffer: messages that came early, in slots shared by all streams, found by an
//! index per stream.
//!
//! ```text
//! index of stream i:  window entries, entry = number mod window -> slot
//! slots:              [message][free][message]..   contiguous, so that they can be lent out
//! ```

use super::streams::ReceiveStream;
use crate::SeqNo;
use crate::journal::NONE;

/// One slot's description.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    len: u16,
    next_free: u16,
}

impl Slot {
    pub(crate) const EMPTY: Self = Self { len: 0, next_free: NONE };
}

/// The free list, and which streams can hand a message on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReorderState {
    free: u16,
    /// Bit i: the next message of stream i lies in a slot.
    pub(crate) deliverable: u32,
}

impl ReorderState {
    pub(crate) fn new(slots: &mut [Slot], index: &mut [u16]) -> Self {
        let len = slots.len().min(usize::from(NONE)) as u16;
        for (at, slot) in (1..=len).zip(slots) {
            slot.next_free = if at == len { NONE } else { at };
        }
        index.fill(NONE);
        Self { free: if len == 0 { NONE } else { 0 }, deliverable: 0 }
    }
}

/// What became of an early message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    Stored,
    Duplicate,
    /// No slot is free, or the message lies beyond the window or is longer than a slot.
    NoRoom,
}

/// The reorder buffer with its memory.
pub(crate) struct Reorder<'a> {
    pub(crate) state: &'a mut ReorderState,
    pub(crate) streams: &'a mut [ReceiveStream],
    pub(crate) index: &'a mut [u16],
    pub(crate) slots: &'a mut [Slot],
    pub(crate) bytes: &'a mut [u8],
    /// Index entries of each stream.
    pub(crate) window: usize,
}

impl Reorder<'_> {
    /// Bytes of a slot: the longest message that can wait.
    pub(crate) fn slot_len(&self) -> usize {
        self.bytes.len().checked_div(self.slots.len()).unwrap_or(0)
    }

    fn entry(&mut self, stream: usize, seq: SeqNo) -> Option<&mut u16> {
        let within = usize::try_from(seq.value().checked_rem(self.window as u64)?).ok()?;
        self.index.get_mut(stream * self.window + within)
    }

    /// Keeps a message whose number is at or after the stream's next.
    pub(crate) fn insert(&mut self, stream: usize, seq: SeqNo, payload: &[u8]) -> Placed {
        let Some(next) = self.streams.get(stream).map(|stream| stream.next) else { return Placed::NoRoom };
        let Some(ahead) = seq.checked_distance(next) else { return Placed::Duplicate };
        let (slot, slot_len) = (self.state.free, self.slot_len());
        if ahead >= self.window as u64 || payload.len() > slot_len {
            return Placed::NoRoom;
        }
        let Some(entry) = self.entry(stream, seq) else { return Placed::NoRoom };
        if *entry != NONE {
            return Placed::Duplicate;
        }
        if slot == NONE {
            return Placed::NoRoom;
        }
        *entry = slot;
        if ahead == 0 {
            self.state.deliverable |= 1 << stream;
        }
        let start = usize::from(slot) * slot_len;
        if let Some(room) = self.bytes.get_mut(start..start + payload.len()) {
            room.copy_from_slice(payload);
        }
        if let Some(slot) = self.slots.get_mut(usize::from(slot)) {
            self.state.free = slot.next_free;
            slot.len = payload.len() as u16;
        }
        Placed::Stored
    }

    /// The stream's next message was handed on. Takes its slot out of the index, if it has one,
    /// and looks whether the one after it can follow.
    pub(crate) fn advance(&mut self, stream: usize) -> Option<u16> {
        let next = {
            let stream = self.streams.get_mut(stream)?;
            let next = stream.next;
            stream.next = next.next();
            next
        };
        let taken = self.entry(stream, next).map(|entry| core::mem::replace(entry, NONE));
        let follows = self.entry(stream, next.next()).is_some_and(|entry| *entry != NONE);
        if follows {
            self.state.deliverable |= 1 << stream;
        } else {
            self.state.deliverable &= !(1 << stream);
        }
        taken.filter(|slot| *slot != NONE)
    }

    /// The message in a slot.
    pub(crate) fn payload(&self, slot: u16) -> &[u8] {
        let len = self.slots.get(usize::from(slot)).map_or(0, |slot| usize::from(slot.len));
        let start = usize::from(slot) * self.slot_len();
        self.bytes.get(start..start + len).unwrap_or(&[])
    }

    /// Gives a slot back.
    pub(crate) fn free(&mut self, slot: u16) {
        let head = self.state.free;
        if let Some(entry) = self.slots.get_mut(usize::from(slot)) {
            entry.next_free = head;
            self.state.free = slot;
        }
    }
}
