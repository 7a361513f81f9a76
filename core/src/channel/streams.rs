//! What is known of each stream, at either end.

use super::outbox::NEVER;
use crate::config::LEVELS;
use crate::journal::NONE;
use crate::seq::Position;
use crate::{
    ChannelConfig, Delivery, Instant, OfferedStream, Priority, Redundancy, SchemaId, SeqNo, StreamEpoch, StreamId,
};

/// A stream that this end sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendStream {
    pub(crate) id: StreamId,
    pub(crate) delivery: Delivery,
    pub(crate) durable: bool,
    pub(crate) schema: SchemaId,
    /// Given by the gateway; `None` before the first contact.
    pub(crate) epoch: Option<StreamEpoch>,
    /// The number of the next message accepted.
    pub(crate) next: SeqNo,
    /// The peer takes messages below this one.
    pub(crate) credit: SeqNo,
    /// The first message not reported as acknowledged or committed.
    pub(crate) reported: SeqNo,
    /// Whether `StreamOpened` is still to be reported.
    pub(crate) opened: bool,
    /// Messages kept, in order of their numbers: a list through the outbox.
    pub(crate) head: u16,
    pub(crate) tail: u16,
    /// The first entry of that list that was never sent.
    pub(crate) unsent: u16,
    pub(crate) priority: Priority,
    pub(crate) redundancy: Redundancy,
    /// Entries never sent, by priority.
    unsent_len: [u16; Priority::COUNT],
    /// Gaps in the list.
    pub(crate) gaps: u16,
    /// Something changed that may move the point up to which the receiver need not wait.
    pub(crate) forward_check: bool,
    /// The point that FORWARD named last.
    pub(crate) forward_sent: Position,
    /// The point that FORWARDED confirmed.
    pub(crate) forwarded: Position,
    /// What the receiver lacked up to there, in this session; it wraps.
    pub(crate) lacked: u32,
    /// Everything below is stored by the peer.
    pub(crate) committed: Position,
    /// Messages given up since the application was told.
    pub(crate) dropped: u16,
    /// What the HELLO of the attempt that is being made says: the oldest message, and the next.
    pub(crate) offered_base: Position,
    pub(crate) offered_next: Position,
}

impl SendStream {
    pub(crate) const EMPTY: Self = Self {
        id: match StreamId::from_wire(0) {
            Some(id) => id,
            None => unreachable!(),
        },
        delivery: Delivery::BestEffort,
        durable: false,
        schema: SchemaId(0),
        epoch: None,
        next: SeqNo::ZERO,
        credit: SeqNo::ZERO,
        reported: SeqNo::ZERO,
        opened: false,
        head: NONE,
        tail: NONE,
        unsent: NONE,
        priority: Priority::Normal,
        redundancy: Redundancy::None,
        unsent_len: [0; Priority::COUNT],
        gaps: 0,
        forward_check: false,
        forward_sent: Position::of(SeqNo::ZERO),
        forwarded: Position::of(SeqNo::ZERO),
        lacked: 0,
        committed: Position::of(SeqNo::ZERO),
        dropped: 0,
        offered_base: Position::of(SeqNo::ZERO),
        offered_next: Position::of(SeqNo::ZERO),
    };

    pub(crate) fn new(channel: &ChannelConfig) -> Self {
        Self {
            id: channel.id.live(),
            delivery: channel.delivery,
            durable: channel.durable,
            schema: channel.schema,
            priority: channel.priority,
            redundancy: channel.redundancy,
            ..Self::EMPTY
        }
    }

    /// Whether the peer's credit covers a message.
    pub(crate) fn allows(&self, at: Position) -> bool {
        // Nothing is kept at or beyond `next`.
        self.credit >= self.next || at.is_before(Position::of(self.credit))
    }

    /// Counts entries that were never sent.
    pub(crate) fn count_unsent(&mut self, priority: Priority, change: i16) {
        if let Some(count) = self.unsent_len.get_mut(priority as usize) {
            *count = count.saturating_add_signed(change);
        }
    }

    /// How urgent the most urgent unsent message is. It lifts those before it: a channel's messages
    /// leave in the order of their numbers.
    pub(crate) fn rank(&self) -> Priority {
        let highest = LEVELS.into_iter().zip(self.unsent_len).rev().find(|(_, count)| *count > 0);
        highest.map_or(Priority::Background, |(level, _)| level)
    }

    /// A new session begins at `next`.
    pub(crate) fn forget_session(&mut self, next: SeqNo) {
        let next = Position::of(next);
        (self.forward_sent, self.forwarded, self.committed, self.lacked) = (next, next, next, 0);
        self.forward_check = true;
    }
}

/// A stream that this end receives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReceiveStream {
    pub(crate) id: StreamId,
    pub(crate) delivery: Delivery,
    pub(crate) durable: bool,
    pub(crate) schema: SchemaId,
    pub(crate) epoch: StreamEpoch,
    /// The next message to hand on.
    pub(crate) next: SeqNo,
    /// Everything below is stored.
    pub(crate) committed: SeqNo,
    /// What the peer was last told that it may send.
    pub(crate) credit: SeqNo,
    /// COMMIT has something to say.
    pub(crate) commit_due: bool,
    /// CREDIT has something to say.
    pub(crate) credit_due: bool,
    /// The message after the last one handed on: all that can be stored lies below.
    pub(crate) handed: Position,
    /// The message after the largest one that arrived; it is not below `next` when it counts.
    pub(crate) highest: Position,
    /// The sender gave up everything below that has not arrived.
    pub(crate) forward: SeqNo,
    /// Messages skipped, never having arrived.
    pub(crate) lacked: u32,
    /// FORWARDED has something to say.
    pub(crate) forwarded_due: bool,
    /// Everything missing below was asked for.
    pub(crate) asked: Position,
    /// When to ask for what is missing beyond that; [`NEVER`] when there is nothing to ask for.
    pub(crate) ask_at: Instant,
}

impl ReceiveStream {
    pub(crate) const EMPTY: Self = Self {
        id: SendStream::EMPTY.id,
        delivery: Delivery::BestEffort,
        durable: false,
        schema: SchemaId(0),
        epoch: match StreamEpoch::new(1) {
            Some(epoch) => epoch,
            None => unreachable!(),
        },
        next: SeqNo::ZERO,
        committed: SeqNo::ZERO,
        credit: SeqNo::ZERO,
        commit_due: false,
        credit_due: false,
        handed: Position::of(SeqNo::ZERO),
        highest: Position::of(SeqNo::ZERO),
        forward: SeqNo::ZERO,
        lacked: 0,
        forwarded_due: false,
        asked: Position::of(SeqNo::ZERO),
        ask_at: NEVER,
    };

    /// A stream as the handshake names it, taken up at `next`.
    pub(crate) fn begin(offered: &OfferedStream, epoch: StreamEpoch, next: SeqNo) -> Self {
        Self {
            id: offered.id,
            delivery: offered.delivery,
            durable: offered.durable,
            schema: offered.schema,
            epoch,
            next,
            committed: next,
            handed: Position::of(next),
            highest: Position::of(next),
            forward: next,
            asked: Position::of(next),
            ..Self::EMPTY
        }
    }

    /// The end of the messages that came early or are missing before one that did.
    pub(crate) fn end(&self, window: usize) -> SeqNo {
        let ahead = self.highest.since(Position::of(self.next));
        self.next.saturating_add(u64::from(ahead).min(window as u64))
    }

    /// Whether FORWARDED is to be said, and what it says is true.
    pub(crate) fn answers_forward(&self) -> bool {
        self.forwarded_due && self.next >= self.forward
    }

    /// The credit to grant now: tied to consumption, on a durable stream to storage, and never
    /// beyond what the reorder index can tell apart.
    pub(crate) fn credit_now(&self, receive_window: u16, reorder_window: usize) -> SeqNo {
        let consumed = if self.durable { self.committed } else { self.next };
        let by_consumption = consumed.saturating_add(u64::from(receive_window));
        // Whatever comes early needs a place in the index.
        let by_index = self.next.saturating_add((reorder_window as u64).max(1));
        match self.delivery {
            Delivery::BestEffort | Delivery::Latest => SeqNo::new(u64::MAX),
            Delivery::Reliable | Delivery::Ordered => by_consumption.min(by_index).max(self.credit),
        }
    }
}
