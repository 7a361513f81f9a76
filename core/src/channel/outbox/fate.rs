//! What becomes of what was sent: acknowledged, lost, asked for, committed.

use super::{Carried, EntryState, LastSent, OutMessage, Outbox};
use crate::journal::NONE;
use crate::seq::Position;
use crate::{Delivery, PacketNumber, SeqNo};

/// How an entry went into a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Not for the first time.
    pub(crate) again: bool,
    /// What becomes of the packet is all that becomes of the message.
    pub(crate) best_effort: bool,
    /// How the packet refers to it.
    pub(crate) generation: u16,
}

impl Outbox<'_> {
    /// The entry went into packet `pn`.
    pub(crate) fn on_sent(&mut self, slot: u16, pn: PacketNumber) -> Sent {
        let Some(message) = self.message(slot).copied() else {
            return Sent { again: false, best_effort: false, generation: 0 };
        };
        let best_effort = self.delivery(message.stream) == Delivery::BestEffort;
        let sent = Sent { again: message.last_sent.is_sent(), best_effort, generation: message.generation };
        if best_effort {
            self.release(slot);
            self.state.pending = self.state.pending.saturating_sub(1);
            return sent;
        }
        self.leave_state(slot);
        self.occupy(&message);
        if let Some(message) = self.message_mut(slot) {
            message.state = EntryState::InFlight;
            message.outstanding = message.outstanding.saturating_add(1);
            message.last_sent = LastSent::new(pn);
        }
        sent
    }

    /// The entry that a packet carried, unless it has gone since.
    fn resolve(&self, carried: Carried) -> Option<OutMessage> {
        let message = self.message(carried.slot)?;
        let same = message.generation == carried.generation;
        (same && matches!(message.state, EntryState::InFlight | EntryState::Due)).then_some(*message)
    }

    /// The slot of what a packet carried, when it is in flight still.
    pub(crate) fn in_flight(&self, carried: Carried) -> Option<u16> {
        self.resolve(carried).filter(|message| message.state == EntryState::InFlight).map(|_| carried.slot)
    }

    /// A packet that carried the entry arrived.
    pub(crate) fn on_acked(&mut self, carried: Carried) {
        let Some(message) = self.resolve(carried) else { return };
        let (stream, seq) = (message.stream, message.at);
        let mut complete = true;
        if let Some(long) = self.state.long.as_mut().filter(|long| long.stream == stream && long.at == seq) {
            long.left = long.left.saturating_sub(1);
            complete = long.left == 0;
        }
        if complete {
            self.vacate(stream, seq);
        }
        if let Some(owner) = self.stream_mut(stream) {
            owner.forward_check = true;
        }
        if message.fragments == 0 && !self.is_durable(stream) {
            self.release(carried.slot);
            self.note_delivered();
            return;
        }
        self.leave_state(carried.slot);
        if let Some(message) = self.message_mut(carried.slot) {
            message.state = EntryState::Arrived;
        }
        self.state.arrived += 1;
        if complete && !self.is_durable(stream) {
            self.release_message(carried.slot);
            self.note_delivered();
        }
    }

    fn note_delivered(&mut self) {
        self.state.pending = self.state.pending.saturating_sub(1);
        self.state.ledger.delivered = self.state.ledger.delivered.wrapping_add(1);
    }

    /// The first entry of the message that an entry belongs to.
    pub(super) fn first_fragment(&self, mut slot: u16) -> u16 {
        while let Some(message) = self.message(slot).filter(|message| message.fragment > 0 && message.prev != NONE) {
            slot = message.prev;
        }
        slot
    }

    /// Releases all entries of the message that an entry belongs to.
    pub(super) fn release_message(&mut self, slot: u16) {
        let mut slot = self.first_fragment(slot);
        let Some((stream, seq)) = self.message(slot).map(|message| (message.stream, message.at)) else { return };
        self.vacate(stream, seq);
        while let Some(message) = self.message(slot).copied().filter(|message| message.at == seq) {
            self.release(slot);
            slot = message.next;
        }
    }

    /// A packet that carried the entry is lost: it is due again when no other packet carries it.
    pub(crate) fn on_lost(&mut self, carried: Carried) {
        let Some(message) = self.resolve(carried) else { return };
        let outstanding = message.outstanding.saturating_sub(1);
        if let Some(message) = self.message_mut(carried.slot) {
            message.outstanding = outstanding;
        }
        if message.state == EntryState::InFlight && outstanding == 0 {
            self.due_push(carried.slot);
        }
    }

    /// The peer asks for a message, in a packet that acknowledges up to `largest`. It is sent again
    /// unless a later packet carries it already: then the request crossed with the answer.
    pub(crate) fn on_nak(&mut self, stream: u8, seq16: u16, largest: PacketNumber) {
        let Some(mut slot) = self.stream(stream).map(|stream| stream.head) else { return };
        // What is missing lies near the head; what is beyond the last one sent was not asked for.
        while let Some(message) = self.message(slot).copied() {
            let asked = message.at.truncate() == seq16;
            if asked && message.state == EntryState::InFlight && message.last_sent.is_before(largest) {
                self.due_push(slot);
            }
            let beyond = asked && message.fragment + 1 >= message.fragments;
            if beyond || message.state == EntryState::Unsent {
                return;
            }
            slot = message.next;
        }
    }

    /// The peer stored everything below `next`.
    pub(crate) fn on_committed(&mut self, stream: u8, next: SeqNo) {
        let Some((mut slot, forwarded)) = self.stream(stream).map(|stream| (stream.head, stream.forwarded)) else {
            return;
        };
        let below = Position::of(next);
        while let Some(message) = self.message(slot).copied().filter(|message| message.at.is_before(below)) {
            match message.state {
                // FORWARDED settles these first.
                EntryState::Doubtful => {}
                EntryState::Void => self.shrink_gap(slot, below.earlier(forwarded)),
                _ => {
                    self.vacate(stream, message.at);
                    self.release(slot);
                    if message.fragment == 0 {
                        self.note_delivered();
                    }
                }
            }
            slot = message.next;
        }
        if let Some(owner) = self.stream_mut(stream) {
            owner.committed = owner.committed.later(below);
            owner.forward_check = true;
        }
    }
}
