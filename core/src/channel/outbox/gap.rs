//! Giving messages up: by their deadline, or because the peer can not take them. What was given up
//! on a stream whose receiver waits for every number becomes a gap, which FORWARD tells the receiver
//! (RFC 3758 section 3.5), until FORWARDED says how many of them it lacked.

use super::deadline::Deadline;
use super::{EntryState, NEVER, Outbox};
use crate::journal::NONE;
use crate::seq::Position;
use crate::{Instant, SeqNo};

/// Why a message is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Expired,
    Undeliverable,
}

impl Outbox<'_> {
    /// Gives up every message whose deadline has passed. Walks the outbox only when one has. Says whether
    /// there is more room now.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        if now < self.state.next_expiry {
            return false;
        }
        let room = |outbox: &Self| (usize::from(outbox.state.free_len), outbox.journal.free_blocks());
        let before = room(self);
        let mut next = NEVER;
        for slot in 0..self.messages.len() as u16 {
            let Some(message) = self.message(slot).copied() else { break };
            let arrived = match message.state {
                EntryState::Unsent | EntryState::InFlight | EntryState::Due => false,
                EntryState::Arrived => true,
                EntryState::Free | EntryState::Void | EntryState::Doubtful => continue,
            };
            match self.expires(&message) {
                Some(time) if time <= now && arrived => {
                    if let Some(message) = self.message_mut(slot) {
                        message.expires = Deadline::PAST;
                    }
                }
                Some(time) if time <= now => self.give_up(slot, Reason::Expired),
                Some(time) => next = next.min(time),
                None => {}
            }
        }
        self.state.next_expiry = next;
        // A gap keeps the entry, and gives back the payload.
        room(self) != before
    }

    /// Gives up the message that an entry belongs to.
    pub(crate) fn give_up(&mut self, slot: u16, reason: Reason) {
        let slot = self.first_fragment(slot);
        let Some(message) = self.message(slot).copied() else { return };
        let (stream, seq) = (message.stream, message.at);
        self.vacate(stream, seq);
        // The first entry becomes the gap; the other fragments go.
        let mut sent = message.last_sent.is_sent();
        let mut other = message.next;
        while let Some(fragment) = self.message(other).copied().filter(|fragment| fragment.at == seq) {
            sent |= fragment.last_sent.is_sent();
            self.release(other);
            other = fragment.next;
        }
        if let Some(owner) = self.stream_mut(stream) {
            owner.dropped = owner.dropped.saturating_add(1);
        }
        if !self.delivery(stream).is_reliable() {
            self.release(slot);
            self.settle(reason);
            return;
        }
        self.leave_state(slot);
        self.disown(slot);
        if let Some(message) = self.message_mut(slot) {
            message.state = if sent { EntryState::Doubtful } else { EntryState::Void };
            (message.len, message.due_next) = (1, 0);
            (message.fragment, message.fragments) = (0, 0);
        }
        let first = self.stream(stream).and_then(|owner| self.message(owner.head)).map_or(seq, |first| first.at);
        if let Some(owner) = self.stream_mut(stream) {
            if owner.gaps == 0 {
                // What was said of earlier gaps may lie too far back for a comparison.
                (owner.forward_sent, owner.forwarded) = (first, first);
            }
            owner.gaps += 1;
            owner.forward_check = true;
        }
        if !sent {
            self.settle(reason);
        }
        let after = self.message(slot).map_or(NONE, |message| message.next);
        self.merge(slot, after);
        let before = self.message(slot).map_or(NONE, |message| message.prev);
        self.merge(before, slot);
    }

    /// Counts a message whose fate is known now.
    fn settle(&mut self, reason: Reason) {
        let ledger = &mut self.state.ledger;
        let count = match reason {
            Reason::Expired => &mut ledger.expired,
            Reason::Undeliverable => &mut ledger.undeliverable,
        };
        *count = count.wrapping_add(1);
        self.state.pending = self.state.pending.saturating_sub(1);
    }

    /// Makes one gap of two neighbours of the same kind.
    fn merge(&mut self, first: u16, second: u16) {
        let (Some(a), Some(b)) = (self.message(first).copied(), self.message(second).copied()) else { return };
        let adjacent = a.at.add(u32::from(a.len)) == b.at;
        let Some(len) = a.len.checked_add(b.len) else { return };
        // What an earlier session settled of the second must not hide behind what is not settled of the first.
        let hides = a.state == EntryState::Doubtful && b.due_next > 0;
        if a.state.is_gap() && a.state == b.state && adjacent && !hides {
            self.release(second);
            if let Some(gap) = self.message_mut(first) {
                gap.len = len;
            }
        }
    }

    /// What lies below `next` of a gap is settled and let go.
    pub(super) fn shrink_gap(&mut self, slot: u16, next: Position) {
        let Some(gap) = self.message(slot).copied() else { return };
        let below = next.since(gap.at);
        if below >= u32::from(gap.len) {
            self.release(slot);
        } else if let Some(gap) = self.message_mut(slot) {
            gap.at = gap.at.add(below);
            gap.len -= below as u16;
            gap.due_next = gap.due_next.saturating_sub(below as u16);
        }
    }

    /// How far the receiver of a stream is to be told not to wait, if it was not told yet.
    pub(crate) fn forward_point(&mut self, stream: u8) -> Option<SeqNo> {
        let owner = *self.stream(stream)?;
        if owner.gaps == 0 || !owner.forward_check {
            return None;
        }
        let (mut slot, mut untold) = (owner.head, false);
        let (mut point, told) = (owner.next, owner.forward_sent);
        while let Some(message) = self.message(slot) {
            // A fragment that arrived alone stands for a message that has not.
            let open = message.state == EntryState::Arrived
                && self.state.long.is_some_and(|long| long.stream == stream && long.at == message.at);
            if open || !(message.state.is_gap() || message.state == EntryState::Arrived) {
                point = message.at.expand(owner.next);
                break;
            }
            let gap_end = message.at.add(u32::from(message.len));
            untold |= message.state.is_gap() && told.is_before(gap_end);
            slot = message.next;
        }
        if !untold && let Some(owner) = self.stream_mut(stream) {
            owner.forward_check = false;
        }
        untold.then_some(point)
    }

    /// FORWARD up to `point` goes into a packet.
    pub(crate) fn on_forward_sent(&mut self, stream: u8, point: SeqNo) {
        if let Some(owner) = self.stream_mut(stream) {
            owner.forward_sent = Position::of(point);
            owner.forward_check = false;
        }
    }

    /// A packet with FORWARD is lost: what is not confirmed is said again.
    pub(crate) fn on_forward_lost(&mut self) {
        for owner in self.streams.iter_mut() {
            owner.forward_sent = owner.forwarded;
            owner.forward_check = true;
        }
    }

    /// FORWARDED: the receiver waits for nothing below `next`, and lacked so many in this session.
    pub(crate) fn on_forwarded(&mut self, stream: u8, next: SeqNo, lacked: u64) {
        let Some(owner) = self.stream(stream).copied() else { return };
        // A peer cannot confirm what it was not told.
        let next = Position::of(next.min(owner.next)).earlier(owner.forward_sent);
        if !owner.forwarded.is_before(next) {
            return;
        }
        let fresh = (lacked as u32).wrapping_sub(owner.lacked);
        let (mut void, mut doubtful) = (0u32, 0u32);
        let (mut slot, below, known) = (owner.head, next, owner.forwarded);
        while let Some(message) = self.message(slot).copied().filter(|message| message.at.is_before(below)) {
            if message.state.is_gap() {
                let end = message.at.add(u32::from(message.len)).earlier(below);
                let from = message.at.later(known);
                let count = end.since(from);
                // What an earlier session settled was not sent again: this receiver lacks it.
                let settled = message.at.add(u32::from(message.due_next));
                let open = if message.state == EntryState::Doubtful { end.since(settled.later(from)) } else { 0 };
                doubtful += open;
                void += count - open;
            }
            slot = message.next;
        }
        let expired = fresh.saturating_sub(void).min(doubtful);
        let ledger = &mut self.state.ledger;
        ledger.expired = ledger.expired.wrapping_add(expired);
        ledger.delivered = ledger.delivered.wrapping_add(doubtful - expired);
        self.state.pending = self.state.pending.saturating_sub(doubtful as u16);
        if let Some(owner) = self.stream_mut(stream) {
            (owner.forwarded, owner.lacked) = (next, lacked as u32);
        }
        self.confirm_gaps(stream, next);
    }

    /// Lets go of the gaps below `next`. A durable stream keeps them until COMMIT: a new session
    /// may begin below them.
    fn confirm_gaps(&mut self, stream: u8, next: Position) {
        let Some(owner) = self.stream(stream).copied() else { return };
        let (below, done) = (next, if owner.durable { next.earlier(owner.committed) } else { next });
        let mut slot = owner.head;
        while let Some(message) = self.message(slot).copied().filter(|message| message.at.is_before(below)) {
            let settled = below.since(message.at).min(u32::from(message.len)) as u16;
            if message.state == EntryState::Doubtful
                && let Some(gap) = self.message_mut(slot)
            {
                gap.due_next = gap.due_next.max(settled);
                if gap.due_next == gap.len {
                    gap.state = EntryState::Void;
                }
            }
            if message.state.is_gap() {
                self.shrink_gap(slot, done);
            }
            slot = message.next;
        }
    }
}
