//! The outbox: messages accepted and not yet let go, each in one of a few states, on lists that
//! make every step constant in time.
//!
//! ```text
//! stream list (by number):  head -> [arrived] -> [in flight] -> [due] -> [unsent] -> [unsent] <- tail
//!                                                                        ^ unsent cursor
//! due list (oldest first):  due.head -> [due] -> ..
//! ```

use super::streams::SendStream;
use crate::journal::{Handle, Journal, NONE, RamJournal};
use crate::{Delivery, SendError, SeqNo};

/// Where a message is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageState {
    Free,
    /// Never sent in this session.
    Unsent,
    /// In packets of which one may still arrive.
    InFlight,
    /// To be sent again; on the due list.
    Due,
    /// Acknowledged, on a durable stream: kept until committed.
    Arrived,
}

/// One message of the outbox.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutMessage {
    pub(crate) seq: SeqNo,
    handle: Handle,
    pub(crate) len: u16,
    /// Tells a reused slot from the message that a packet carried. It changes only when the
    /// message was sent, so that 2^16 changes need as many packets: more than can be in flight.
    pub(crate) generation: u16,
    prev: u16,
    next: u16,
    due_prev: u16,
    due_next: u16,
    pub(crate) stream: u8,
    pub(crate) state: MessageState,
    /// Packets in flight that carry it.
    outstanding: u8,
    sent_before: bool,
}

impl OutMessage {
    pub(crate) const EMPTY: Self = Self {
        seq: SeqNo::ZERO,
        handle: Handle(NONE),
        len: 0,
        generation: 0,
        prev: NONE,
        next: NONE,
        due_prev: NONE,
        due_next: NONE,
        stream: 0,
        state: MessageState::Free,
        outstanding: 0,
        sent_before: false,
    };
}

/// A message in a packet: its slot, and which message that was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Carried {
    pub(crate) slot: u16,
    pub(crate) generation: u16,
}

impl Carried {
    pub(crate) const EMPTY: Self = Self { slot: NONE, generation: 0 };
}

/// List heads and counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutboxState {
    free: u16,
    due_head: u16,
    due_tail: u16,
    pub(crate) used: u16,
    /// Messages on durable streams that arrived but are not committed.
    pub(crate) arrived: u16,
}

impl OutboxState {
    pub(crate) fn new(messages: &mut [OutMessage]) -> Self {
        let len = messages.len().min(usize::from(NONE)) as u16;
        for (at, message) in (1..=len).zip(messages) {
            message.next = if at == len { NONE } else { at };
        }
        Self { free: if len == 0 { NONE } else { 0 }, due_head: NONE, due_tail: NONE, used: 0, arrived: 0 }
    }
}

/// The outbox with its memory.
pub(crate) struct Outbox<'a> {
    pub(crate) state: &'a mut OutboxState,
    pub(crate) messages: &'a mut [OutMessage],
    pub(crate) streams: &'a mut [SendStream],
    pub(crate) journal: RamJournal<'a>,
}

impl Outbox<'_> {
    pub(crate) fn message(&self, slot: u16) -> Option<&OutMessage> {
        self.messages.get(usize::from(slot))
    }

    fn message_mut(&mut self, slot: u16) -> Option<&mut OutMessage> {
        self.messages.get_mut(usize::from(slot))
    }

    fn stream_mut(&mut self, stream: u8) -> Option<&mut SendStream> {
        self.streams.get_mut(usize::from(stream))
    }

    /// Accepts a message at the end of its stream.
    pub(crate) fn push(&mut self, stream: u8, payload: &[u8]) -> Result<SeqNo, SendError> {
        let slot = self.state.free;
        let Some(next_free) = self.message(slot).map(|m| m.next) else { return Err(SendError::Full) };
        let handle = self.journal.append(payload).map_err(|_| SendError::Full)?;
        let Some(owner) = self.streams.get_mut(usize::from(stream)) else {
            self.journal.free(handle);
            return Err(SendError::UnknownChannel);
        };
        let (seq, tail) = (owner.next, owner.tail);
        owner.next = seq.next();
        owner.tail = slot;
        if tail == NONE {
            owner.head = slot;
        }
        if owner.unsent == NONE {
            owner.unsent = slot;
        }
        self.state.free = next_free;
        self.state.used += 1;
        if let Some(before) = self.message_mut(tail) {
            before.next = slot;
        }
        if let Some(message) = self.message_mut(slot) {
            *message = OutMessage {
                seq,
                handle,
                len: payload.len() as u16,
                generation: message.generation,
                prev: tail,
                stream,
                state: MessageState::Unsent,
                ..OutMessage::EMPTY
            };
        }
        Ok(seq)
    }

    /// The next message to put into a packet: first what is due again, then what is new, as far
    /// as each stream's credit goes.
    pub(crate) fn next_to_send(&self) -> Option<u16> {
        if self.state.due_head != NONE {
            return Some(self.state.due_head);
        }
        self.streams.iter().find_map(|stream| {
            let message = self.message(stream.unsent)?;
            (message.seq < stream.credit).then_some(stream.unsent)
        })
    }

    /// The payload, into `out` of the message's length.
    pub(crate) fn read(&self, slot: u16, out: &mut [u8]) {
        if let Some(message) = self.message(slot) {
            self.journal.read(message.handle, out);
        }
    }

    /// The message went into a packet. Says whether it had been sent before, and how a packet
    /// refers to it, unless nobody waits for its fate.
    pub(crate) fn on_sent(&mut self, slot: u16) -> (bool, Option<Carried>) {
        let Some(message) = self.message(slot).copied() else { return (false, None) };
        match message.state {
            MessageState::Due => self.due_remove(slot),
            _ => {
                if let Some(stream) = self.stream_mut(message.stream) {
                    stream.unsent = message.next;
                }
            }
        }
        if let Some(message) = self.message_mut(slot) {
            message.state = MessageState::InFlight;
            message.outstanding = message.outstanding.saturating_add(1);
            message.sent_before = true;
        }
        if self.delivery(message.stream) == Delivery::BestEffort {
            self.release(slot);
            return (message.sent_before, None);
        }
        (message.sent_before, Some(Carried { slot, generation: message.generation }))
    }

    fn delivery(&self, stream: u8) -> Delivery {
        self.streams.get(usize::from(stream)).map_or(Delivery::BestEffort, |stream| stream.delivery)
    }

    /// The message that a packet carried, unless it has gone since.
    fn resolve(&self, carried: Carried) -> Option<OutMessage> {
        let message = self.message(carried.slot)?;
        let same = message.generation == carried.generation && message.state != MessageState::Free;
        same.then_some(*message)
    }

    /// A packet that carried the message arrived.
    pub(crate) fn on_acked(&mut self, carried: Carried) {
        let Some(message) = self.resolve(carried) else { return };
        if !matches!(message.state, MessageState::InFlight | MessageState::Due) {
            return;
        }
        if message.state == MessageState::Due {
            self.due_remove(carried.slot);
        }
        if self.streams.get(usize::from(message.stream)).is_some_and(|stream| stream.durable) {
            if let Some(message) = self.message_mut(carried.slot) {
                message.state = MessageState::Arrived;
            }
            self.state.arrived += 1;
        } else {
            self.release(carried.slot);
        }
    }

    /// A packet that carried the message is lost: it is due again when no other packet carries it.
    pub(crate) fn on_lost(&mut self, carried: Carried) {
        let Some(message) = self.resolve(carried) else { return };
        let outstanding = message.outstanding.saturating_sub(1);
        if let Some(message) = self.message_mut(carried.slot) {
            message.outstanding = outstanding;
        }
        if message.state == MessageState::InFlight && outstanding == 0 {
            self.due_push(carried.slot);
        }
    }

    /// Sends again, before anything else, the lowest messages of a stream that have not arrived, although
    /// their packets may still do: a probe (RFC 9002 section 6.2.4). Only these are sure to be taken by a
    /// peer whose reorder buffer is full. At most `bytes` of payload; returns how many messages.
    pub(crate) fn probe(&mut self, stream: u8, mut bytes: usize) -> u8 {
        let Some(head) = self.streams.get(usize::from(stream)).map(|stream| stream.head) else { return 0 };
        let (mut slot, mut last, mut count) = (head, NONE, 0u8);
        while let Some(message) = self.message(slot).copied() {
            match message.state {
                MessageState::Arrived => {}
                MessageState::InFlight | MessageState::Due => {
                    let len = usize::from(message.len);
                    if count > 0 && (len > bytes || count == u8::MAX) {
                        break;
                    }
                    bytes = bytes.saturating_sub(len);
                    (last, count) = (slot, count + 1);
                }
                MessageState::Unsent | MessageState::Free => break,
            }
            slot = message.next;
        }
        // Backwards, so that the lowest is the first of the list in the end.
        let mut slot = last;
        while let Some(message) = self.message(slot).copied() {
            if message.state == MessageState::Due {
                self.due_remove(slot);
            }
            if matches!(message.state, MessageState::Due | MessageState::InFlight) {
                self.due_push_front(slot);
            }
            if slot == head {
                break;
            }
            slot = message.prev;
        }
        count
    }

    /// The peer stored everything below `next`.
    pub(crate) fn on_committed(&mut self, stream: u8, next: SeqNo) {
        while let Some(head) = self.streams.get(usize::from(stream)).map(|stream| stream.head) {
            match self.message(head) {
                Some(message) if message.seq < next => self.release(head),
                _ => break,
            }
        }
    }

    /// Everything below this one was let go.
    pub(crate) fn floor(&self, stream: &SendStream) -> SeqNo {
        self.message(stream.head).map_or(stream.next, |message| message.seq)
    }

    /// A new session begins, and the peer takes up the stream at `next`: everything kept from there
    /// on is sent anew. Returns how many messages lay below it.
    pub(crate) fn restart(&mut self, stream: u8, next: SeqNo) -> u32 {
        let before = self.state.used;
        self.on_committed(stream, next);
        let below = before - self.state.used;
        let mut slot = self.streams.get(usize::from(stream)).map_or(NONE, |owner| owner.head);
        while let Some(message) = self.message(slot).copied() {
            match message.state {
                MessageState::Due => self.due_remove(slot),
                MessageState::Arrived => self.state.arrived = self.state.arrived.saturating_sub(1),
                _ => {}
            }
            if let Some(message) = self.message_mut(slot) {
                // A packet of the old session must not speak for it.
                if message.sent_before {
                    message.generation = message.generation.wrapping_add(1);
                }
                message.outstanding = 0;
                message.state = MessageState::Unsent;
            }
            slot = message.next;
        }
        if let Some(owner) = self.stream_mut(stream) {
            owner.unsent = owner.head;
        }
        u32::from(below)
    }

    /// Whether a stream has something to send that its credit forbids.
    pub(crate) fn is_blocked(&self) -> bool {
        self.streams
            .iter()
            .any(|stream| self.message(stream.unsent).is_some_and(|message| message.seq >= stream.credit))
    }

    /// Takes the message off every list and frees it.
    fn release(&mut self, slot: u16) {
        let Some(message) = self.message(slot).copied() else { return };
        match message.state {
            MessageState::Free => return,
            MessageState::Due => self.due_remove(slot),
            MessageState::Arrived => self.state.arrived = self.state.arrived.saturating_sub(1),
            MessageState::Unsent | MessageState::InFlight => {}
        }
        if let Some(stream) = self.stream_mut(message.stream) {
            if stream.head == slot {
                stream.head = message.next;
            }
            if stream.tail == slot {
                stream.tail = message.prev;
            }
            if stream.unsent == slot {
                stream.unsent = message.next;
            }
        }
        if let Some(before) = self.message_mut(message.prev) {
            before.next = message.next;
        }
        if let Some(after) = self.message_mut(message.next) {
            after.prev = message.prev;
        }
        self.journal.free(message.handle);
        let free = self.state.free;
        if let Some(message) = self.message_mut(slot) {
            message.state = MessageState::Free;
            message.next = free;
            if message.sent_before {
                message.generation = message.generation.wrapping_add(1);
            }
        }
        self.state.free = slot;
        self.state.used = self.state.used.saturating_sub(1);
    }

    fn due_push(&mut self, slot: u16) {
        let tail = self.state.due_tail;
        if let Some(message) = self.message_mut(slot) {
            message.state = MessageState::Due;
            message.due_prev = tail;
            message.due_next = NONE;
        }
        match self.message_mut(tail) {
            Some(last) => last.due_next = slot,
            None => self.state.due_head = slot,
        }
        self.state.due_tail = slot;
    }

    fn due_push_front(&mut self, slot: u16) {
        let head = self.state.due_head;
        if let Some(message) = self.message_mut(slot) {
            message.state = MessageState::Due;
            message.due_prev = NONE;
            message.due_next = head;
        }
        match self.message_mut(head) {
            Some(first) => first.due_prev = slot,
            None => self.state.due_tail = slot,
        }
        self.state.due_head = slot;
    }

    fn due_remove(&mut self, slot: u16) {
        let Some(message) = self.message(slot).copied() else { return };
        match self.message_mut(message.due_prev) {
            Some(before) => before.due_next = message.due_next,
            None => self.state.due_head = message.due_next,
        }
        match self.message_mut(message.due_next) {
            Some(after) => after.due_prev = message.due_prev,
            None => self.state.due_tail = message.due_prev,
        }
    }
}
