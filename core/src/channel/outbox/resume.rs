//! A new session begins: everything kept is sent anew from where the peer takes a stream up.

use super::gap::Reason;
use super::{EntryState, Outbox};
use crate::SeqNo;
use crate::journal::NONE;
use crate::seq::Position;

/// What the peer of the new session takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Takes {
    /// The longest message.
    pub(crate) message: usize,
    /// The longest payload that goes into a packet whole.
    pub(crate) whole: usize,
    /// The same for one with a deadline.
    pub(crate) whole_expiring: usize,
    /// The longest fragment that goes into a packet.
    pub(crate) fragment: usize,
}

impl Outbox<'_> {
    /// The peer takes up the stream at `next`.
    pub(crate) fn restart(&mut self, stream: u8, next: SeqNo, takes: &Takes) {
        self.state.long = None;
        self.settle_below(stream, next);
        if let Some(owner) = self.stream_mut(stream) {
            owner.forget_session(next);
        }
        let mut slot = self.stream(stream).map_or(NONE, |owner| owner.head);
        while let Some(message) = self.message(slot).copied() {
            if !message.state.is_gap() && message.state != EntryState::Unsent {
                self.leave_state(slot);
                if let Some(owner) = self.stream_mut(stream) {
                    owner.count_unsent(message.priority, 1);
                }
                if let Some(message) = self.message_mut(slot) {
                    // A packet of the old session must not speak for it.
                    if message.last_sent.is_sent() {
                        message.generation = message.generation.wrapping_add(1);
                    }
                    message.last_sent = super::LastSent::NEVER;
                    message.outstanding = 0;
                    message.state = EntryState::Unsent;
                }
            }
            slot = message.next;
        }
        let first = self.stream(stream).map_or(NONE, |owner| self.first_unsent(owner.head));
        if let Some(owner) = self.stream_mut(stream) {
            owner.unsent = first;
        }
        self.give_up_useless(stream, takes);
    }

    /// What lies below `next` leaves: on a durable stream it is stored; of others that were sent,
    /// nobody can say what became of them.
    fn settle_below(&mut self, stream: u8, next: SeqNo) {
        let (durable, below) = (self.is_durable(stream), Position::of(next));
        let mut slot = self.stream(stream).map_or(NONE, |owner| owner.head);
        while let Some(message) = self.message(slot).copied().filter(|message| message.at.is_before(below)) {
            let count = match message.state {
                EntryState::Void => {
                    self.shrink_gap(slot, below);
                    0
                }
                EntryState::Doubtful => {
                    let count = below.since(message.at).min(u32::from(message.len)) as u16;
                    self.shrink_gap(slot, below);
                    count.saturating_sub(message.due_next)
                }
                _ => {
                    self.release(slot);
                    u16::from(message.fragment == 0)
                }
            };
            self.state.pending = self.state.pending.saturating_sub(count);
            let ledger = &mut self.state.ledger;
            let known = durable && message.state != EntryState::Doubtful;
            let fate = if known { &mut ledger.delivered } else { &mut ledger.in_doubt };
            *fate = fate.wrapping_add(u32::from(count));
            slot = message.next;
        }
    }

    /// Gives up what this peer can not take, and what had arrived in time, but was not stored.
    fn give_up_useless(&mut self, stream: u8, takes: &Takes) {
        let mut slot = self.stream(stream).map_or(NONE, |owner| owner.head);
        while let Some(message) = self.message(slot).copied() {
            let mut following = message.next;
            if !message.state.is_gap() && message.fragment == 0 {
                let (mut total, mut longest) = (usize::from(message.len), usize::from(message.len));
                while let Some(part) = self.message(following).copied().filter(|part| part.at == message.at) {
                    total += usize::from(part.len);
                    longest = longest.max(usize::from(part.len));
                    following = part.next;
                }
                let room = match message.fragments {
                    0 if message.expires.is_never() => takes.whole,
                    0 => takes.whole_expiring,
                    _ => takes.fragment,
                };
                let reason = if message.expires.is_past() {
                    Some(Reason::Expired)
                } else {
                    (total > takes.message || longest > room).then_some(Reason::Undeliverable)
                };
                if let Some(reason) = reason {
                    // Gaps grow together; the walk begins anew, and finds one less.
                    self.give_up(slot, reason);
                    following = self.stream(stream).map_or(NONE, |owner| owner.head);
                }
            }
            slot = following;
        }
    }
}
