//! The reorder buffer: messages that came early, in slots shared by all streams, found by an
//! index per stream.
//!
//! ```text
//! index of stream i:  window entries, entry = number mod window -> slot, or what else is known of the message
//! slots:              [message][free][message]..   contiguous, so that they can be lent out
//! ```

use super::assembly::Assembly;
use super::streams::ReceiveStream;
use crate::journal::NONE;
use crate::seq::Position;
use crate::{Delivery, Instant, SeqNo};

/// An index entry that is no slot: the message was handed on before those below it.
const TAKEN: u16 = NONE - 1;
/// An index entry that is no slot: the message lies complete in the assembly.
const ASSEMBLED: u16 = NONE - 2;
/// Slots that an index can name.
pub(crate) const SLOTS_MAX: usize = ASSEMBLED as usize;

/// One slot's description.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    len: u16,
    next_free: u16,
    /// The message must not be handed on from here on.
    expires: Instant,
}

impl Slot {
    pub(crate) const EMPTY: Self = Self { len: 0, next_free: NONE, expires: Instant::ZERO };
}

/// The free list, and which streams can hand a message on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReorderState {
    free: u16,
    /// Bit i: stream i may have a message to hand on, or one to skip.
    pub(crate) deliverable: u32,
    /// When the first stream is to ask for what is missing.
    pub(crate) ask_at: Option<Instant>,
}

impl ReorderState {
    pub(crate) fn new(slots: &mut [Slot], index: &mut [u16]) -> Self {
        let len = slots.len().min(SLOTS_MAX) as u16;
        for (at, slot) in (1..=len).zip(slots) {
            slot.next_free = if at == len { NONE } else { at };
        }
        index.fill(NONE);
        Self { free: if len == 0 { NONE } else { 0 }, deliverable: 0, ask_at: None }
    }
}

/// What became of a message that could not be handed on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    Stored,
    Duplicate,
    /// No slot is free, or the message lies beyond the window or is longer than what is free.
    NoRoom,
}

/// A message that waits no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    Slot(u16),
    Assembled,
}

/// The reorder buffer with its memory.
pub(crate) struct Reorder<'a> {
    pub(crate) state: &'a mut ReorderState,
    pub(crate) streams: &'a mut [ReceiveStream],
    pub(crate) index: &'a mut [u16],
    pub(crate) slots: &'a mut [Slot],
    pub(crate) bytes: &'a mut [u8],
    pub(crate) assembly: Assembly<'a>,
    /// Index entries of each stream.
    pub(crate) window: usize,
}

impl Reorder<'_> {
    /// Bytes of a slot: the longest message of which several can wait.
    pub(crate) fn slot_len(&self) -> usize {
        self.bytes.len().checked_div(self.slots.len()).unwrap_or(0)
    }

    fn entry(&mut self, stream: usize, seq: SeqNo) -> Option<&mut u16> {
        // The window is a power of two.
        let within = seq.value() as usize & self.window.checked_sub(1)?;
        self.index.get_mut(stream * self.window + within)
    }

    fn stream(&self, stream: usize) -> Option<&ReceiveStream> {
        self.streams.get(stream)
    }

    /// Where the index has a message, unless it came before, lies beyond the window, or is known.
    fn vacant(&mut self, stream: usize, seq: SeqNo) -> Result<&mut u16, Placed> {
        let next = self.stream(stream).ok_or(Placed::NoRoom)?.next;
        let ahead = seq.checked_distance(next).ok_or(Placed::Duplicate)?;
        if ahead >= self.window as u64 {
            return Err(Placed::NoRoom);
        }
        let entry = self.entry(stream, seq).ok_or(Placed::NoRoom)?;
        if *entry == NONE { Ok(entry) } else { Err(Placed::Duplicate) }
    }

    /// The stream may have something to hand on now.
    pub(crate) fn wake(&mut self, stream: usize) {
        self.state.deliverable |= 1 << stream;
    }

    /// Keeps a message whose number is at or after the stream's next.
    pub(crate) fn insert(&mut self, stream: usize, seq: SeqNo, payload: &[u8], expires: Instant) -> Placed {
        let slot = self.state.free;
        let fits = payload.len() <= self.slot_len();
        if let Err(placed) = self.vacant(stream, seq) {
            return placed;
        }
        if !fits {
            return self.insert_long(stream, seq, payload, expires);
        }
        if slot == NONE {
            return Placed::NoRoom;
        }
        if let Some(entry) = self.entry(stream, seq) {
            *entry = slot;
        }
        self.note_kept(stream, seq);
        self.fill(slot, payload, expires);
        Placed::Stored
    }

    /// A message longer than a slot waits in the assembly, as one fragment of one.
    fn insert_long(&mut self, stream: usize, seq: SeqNo, payload: &[u8], expires: Instant) -> Placed {
        let placed = self.assembly.place(stream, seq, (0, 1), payload, expires);
        if placed == Placed::Stored {
            self.note_assembled(stream, seq);
        }
        placed
    }

    /// Takes a fragment of a message whose number is at or after the stream's next.
    pub(crate) fn insert_fragment(
        &mut self,
        stream: usize,
        seq: SeqNo,
        fragment: (u8, u8),
        payload: &[u8],
        expires: Instant,
    ) -> Placed {
        if let Err(placed) = self.vacant(stream, seq) {
            return placed;
        }
        let placed = self.assembly.place(stream, seq, fragment, payload, expires);
        if placed == Placed::Stored && self.assembly.is_complete() {
            self.note_assembled(stream, seq);
        }
        placed
    }

    fn note_assembled(&mut self, stream: usize, seq: SeqNo) {
        if let Some(entry) = self.entry(stream, seq) {
            *entry = ASSEMBLED;
        }
        self.note_kept(stream, seq);
    }

    fn note_kept(&mut self, stream: usize, seq: SeqNo) {
        if let Some(owner) = self.streams.get_mut(stream) {
            owner.highest = owner.highest.later(Position::of(seq.next()));
        }
        let in_turn =
            self.stream(stream).is_some_and(|owner| owner.delivery == Delivery::Reliable || owner.next == seq);
        if in_turn {
            self.wake(stream);
        }
    }

    fn fill(&mut self, slot: u16, payload: &[u8], expires: Instant) {
        let start = usize::from(slot) * self.slot_len();
        if let Some(room) = self.bytes.get_mut(start..start + payload.len()) {
            room.copy_from_slice(payload);
        }
        if let Some(slot) = self.slots.get_mut(usize::from(slot)) {
            self.state.free = slot.next_free;
            slot.len = payload.len() as u16;
            slot.expires = expires;
        }
    }

    /// Keeps the newest value of a latest stream until it is taken. Says whether an older one went for it.
    pub(crate) fn insert_latest(
        &mut self,
        stream: usize,
        seq: SeqNo,
        payload: &[u8],
        expires: Instant,
    ) -> (Placed, bool) {
        let replaced = self.take_latest(stream);
        if let Some(slot) = replaced {
            self.free(slot);
        }
        let slot = self.state.free;
        if slot == NONE || payload.len() > self.slot_len() {
            return (Placed::NoRoom, replaced.is_some());
        }
        if let Some(entry) = self.index.get_mut(stream * self.window) {
            *entry = slot;
        }
        self.fill(slot, payload, expires);
        if let Some(owner) = self.streams.get_mut(stream) {
            owner.next = seq.next();
        }
        self.wake(stream);
        (Placed::Stored, replaced.is_some())
    }

    /// The slot of the value that waits on a latest stream, if one does.
    pub(crate) fn take_latest(&mut self, stream: usize) -> Option<u16> {
        let entry = self.index.get_mut(stream * self.window)?;
        let slot = core::mem::replace(entry, NONE);
        (slot != NONE).then_some(slot)
    }

    /// Notes that a message is handed on straight from its packet. `Ok` when it had not come before.
    pub(crate) fn hand_on(&mut self, stream: usize, seq: SeqNo) -> Result<(), Placed> {
        *self.vacant(stream, seq)? = TAKEN;
        self.settle(stream);
        Ok(())
    }

    /// The stream's next message to hand on, and its number. Skips what the sender gave up.
    pub(crate) fn next_waiting(&mut self, stream: usize) -> Option<(SeqNo, Waiting)> {
        let owner = *self.stream(stream)?;
        if owner.delivery == Delivery::Latest {
            let slot = self.take_latest(stream)?;
            return Some((SeqNo::new(owner.next.value().wrapping_sub(1)), Waiting::Slot(slot)));
        }
        let unordered = owner.delivery == Delivery::Reliable;
        let end = owner.end(self.window);
        let mut seq = owner.next;
        while seq < end {
            match self.entry(stream, seq).map_or(NONE, |entry| *entry) {
                NONE if !unordered && seq >= owner.forward => break,
                NONE | TAKEN => seq = seq.next(),
                kept => {
                    if !unordered {
                        self.skip_to(stream, seq);
                    }
                    if let Some(entry) = self.entry(stream, seq) {
                        *entry = TAKEN;
                    }
                    self.settle(stream);
                    return Some((seq, if kept == ASSEMBLED { Waiting::Assembled } else { Waiting::Slot(kept) }));
                }
            }
        }
        if owner.forward > owner.next {
            self.skip_to(stream, owner.forward);
            self.settle(stream);
        }
        None
    }

    /// Waits no more for what the sender gave up, when nothing that came waits to be handed on before it.
    pub(crate) fn skip_given_up(&mut self, stream: usize) {
        let Some(owner) = self.stream(stream).copied() else { return };
        let end = owner.next.saturating_add(self.window as u64).min(owner.forward);
        let mut seq = owner.next;
        while seq < end {
            if self.entry(stream, seq).is_some_and(|entry| *entry != NONE && *entry != TAKEN) {
                return self.wake(stream);
            }
            seq = seq.next();
        }
        self.skip_to(stream, owner.forward);
        self.settle(stream);
    }

    /// Waits no more for what is missing below `point`.
    fn skip_to(&mut self, stream: usize, point: SeqNo) {
        let Some(next) = self.stream(stream).map(|owner| owner.next) else { return };
        let steps = point.checked_distance(next).unwrap_or(0);
        let mut lacked = steps;
        for step in 0..steps.min(self.window as u64) {
            let entry = self.entry(stream, next.saturating_add(step));
            if entry.is_some_and(|entry| core::mem::replace(entry, NONE) == TAKEN) {
                lacked -= 1;
            }
        }
        if let Some(owner) = self.streams.get_mut(stream) {
            owner.next = owner.next.max(point);
            owner.lacked = owner.lacked.wrapping_add(lacked as u32);
        }
        self.assembly.drop_below(stream, point);
    }

    /// Moves the stream's next past what was handed on.
    fn settle(&mut self, stream: usize) {
        let Some(mut next) = self.stream(stream).map(|owner| owner.next) else { return };
        while let Some(entry) = self.entry(stream, next).filter(|entry| **entry == TAKEN) {
            *entry = NONE;
            next = next.next();
        }
        if let Some(owner) = self.streams.get_mut(stream) {
            owner.next = next;
        }
        let follows = self.entry(stream, next).is_some_and(|entry| *entry != NONE);
        if follows {
            self.wake(stream);
        }
    }

    /// Whether a message below the highest one has not arrived.
    pub(crate) fn is_missing(&mut self, stream: usize, seq: SeqNo) -> bool {
        self.vacant(stream, seq).is_ok()
    }

    /// The message in a slot.
    pub(crate) fn payload(&self, slot: u16) -> &[u8] {
        let len = self.slots.get(usize::from(slot)).map_or(0, |slot| usize::from(slot.len));
        let start = usize::from(slot) * self.slot_len();
        self.bytes.get(start..start + len).unwrap_or(&[])
    }

    /// Until when the message in a slot is of use.
    pub(crate) fn expires(&self, slot: u16) -> Instant {
        self.slots.get(usize::from(slot)).map_or(Instant::ZERO, |slot| slot.expires)
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

// Too long for Miri: hundreds of steps, and every list walked after each.
#[cfg(all(test, not(miri)))]
mod tests;
