//! What goes into the next packet: the most urgent first, of equals what is due again before what
//! is new, and of new ones the streams in turn.

use super::{EntryState, OutMessage, Outbox};
use crate::config::LEVELS;
use crate::journal::NONE;
use crate::seq::Position;
use crate::{Delivery, Priority};

/// A list through the entries.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    pub(super) head: u16,
    pub(super) tail: u16,
}

impl List {
    pub(super) const EMPTY: Self = Self { head: NONE, tail: NONE };
}

/// What goes into a packet next, and how urgent that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Next {
    pub(crate) priority: Priority,
    pub(crate) slot: u16,
}

/// The message on its way that the peer puts together in its one place for long ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Long {
    pub(super) stream: u8,
    pub(super) at: Position,
    /// Its entries that have not arrived.
    pub(super) left: u8,
}

impl Outbox<'_> {
    /// The next entry to put into a packet, as far as each stream's credit goes.
    pub(crate) fn next_to_send(&self) -> Option<Next> {
        let due = LEVELS.into_iter().zip(self.state.due).rev().find(|(_, list)| list.head != NONE);
        let due = due.map(|(priority, list)| Next { priority, slot: list.head });
        let fresh = self.next_fresh();
        match (due, fresh) {
            (Some(due), Some(fresh)) if fresh.priority > due.priority => Some(fresh),
            (due, fresh) => due.or(fresh),
        }
    }

    /// The next entry that was never sent, and how urgent its stream is.
    fn next_fresh(&self) -> Option<Next> {
        let count = self.streams.len();
        let mut best: Option<Next> = None;
        for offset in 1..=count {
            let at = usize::from(self.state.turn) + offset;
            let at = if at >= count { at - count } else { at };
            let Some(stream) = self.streams.get(at) else { continue };
            let Some(message) = self.message(stream.unsent) else { continue };
            let rank = stream.rank();
            if best.is_none_or(|best| rank > best.priority) && stream.allows(message.at) && self.may_start(message) {
                best = Some(Next { priority: rank, slot: stream.unsent });
            }
        }
        best
    }

    /// Whether the peer needs its one place for long messages for this one.
    fn is_long(&self, message: &OutMessage) -> bool {
        let long = message.fragments > 0 || message.len > self.state.peer_slot;
        long && self.delivery(message.stream).is_reliable()
    }

    fn may_start(&self, message: &OutMessage) -> bool {
        !self.is_long(message)
            || self.state.long.is_none_or(|long| long.stream == message.stream && long.at == message.at)
    }

    /// Whether a stream has something to send that its credit forbids.
    pub(crate) fn is_blocked(&self) -> bool {
        self.streams.iter().any(|stream| self.message(stream.unsent).is_some_and(|message| !stream.allows(message.at)))
    }

    /// Whether a gap stands that the peer has not answered for.
    pub(crate) fn has_gaps(&self) -> bool {
        self.streams.iter().any(|stream| stream.gaps > 0)
    }

    /// Notes that an entry goes to the peer's place for long messages.
    pub(super) fn occupy(&mut self, message: &OutMessage) {
        if self.state.long.is_none() && self.is_long(message) {
            let left = message.fragments.max(1);
            self.state.long = Some(Long { stream: message.stream, at: message.at, left });
        }
    }

    /// The place for long messages is free, if this message had it.
    pub(super) fn vacate(&mut self, stream: u8, at: Position) {
        self.state.long = self.state.long.filter(|long| long.stream != stream || long.at != at);
    }

    /// Where to begin repeating: the earliest of the `count` entries before `slot` that are in
    /// flight, whole, and of the same stream; with none, `slot` itself.
    pub(crate) fn repeat_from(&self, slot: u16, count: u8) -> u16 {
        let (mut first, mut at) = (slot, slot);
        for _ in 0..count {
            let Some(before) = self.message(at).map(|message| message.prev) else { break };
            match self.message(before) {
                Some(message) if message.state == EntryState::InFlight && message.fragments == 0 => first = before,
                Some(message) if message.state == EntryState::Arrived => {}
                _ => break,
            }
            at = before;
        }
        first
    }

    /// The entry before `slot` in its stream, and its length.
    pub(crate) fn before(&self, slot: u16) -> Option<(u16, u16)> {
        let before = self.message(slot)?.prev;
        Some((before, self.message(before)?.len))
    }

    /// The entry after `slot` in its stream.
    pub(crate) fn following(&self, slot: u16) -> u16 {
        self.message(slot).map_or(NONE, |message| message.next)
    }

    /// The lowest entry of a stream from `slot` on that was sent and has not arrived: what a probe
    /// carries (RFC 9002 section 6.2.4). Only the lowest are sure to be taken by a peer whose reorder
    /// buffer is full, and those behind a gap not before the peer knows of it. `NONE`: the lowest of all.
    pub(crate) fn next_missing(&self, stream: u8, after: u16) -> Option<u16> {
        let mut slot = match after {
            NONE => self.stream(stream)?.head,
            after => self.message(after)?.next,
        };
        loop {
            let message = self.message(slot)?;
            match message.state {
                EntryState::InFlight | EntryState::Due => return Some(slot),
                EntryState::Unsent | EntryState::Free => return None,
                EntryState::Void | EntryState::Doubtful if after != NONE => return None,
                EntryState::Arrived | EntryState::Void | EntryState::Doubtful => slot = message.next,
            }
        }
    }

    /// The redundancy of best effort and latest would repeat what has no use any more.
    pub(crate) fn repeats(&self, stream: u8) -> bool {
        !matches!(self.delivery(stream), Delivery::BestEffort | Delivery::Latest)
    }

    pub(super) fn due_push(&mut self, slot: u16) {
        let Some(level) = self.message(slot).map(|message| message.priority as usize) else { return };
        let tail = self.state.due.get(level).map_or(NONE, |list| list.tail);
        if let Some(message) = self.message_mut(slot) {
            message.state = EntryState::Due;
            message.due_prev = tail;
            message.due_next = NONE;
        }
        if let Some(last) = self.message_mut(tail) {
            last.due_next = slot;
        }
        if let Some(list) = self.state.due.get_mut(level) {
            if tail == NONE {
                list.head = slot;
            }
            list.tail = slot;
        }
    }

    pub(super) fn due_remove(&mut self, slot: u16) {
        let Some(message) = self.message(slot).copied() else { return };
        if let Some(before) = self.message_mut(message.due_prev) {
            before.due_next = message.due_next;
        }
        if let Some(after) = self.message_mut(message.due_next) {
            after.due_prev = message.due_prev;
        }
        if let Some(list) = self.state.due.get_mut(message.priority as usize) {
            if list.head == slot {
                list.head = message.due_next;
            }
            if list.tail == slot {
                list.tail = message.due_prev;
            }
        }
    }
}
