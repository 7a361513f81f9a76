//! What is known of each stream, at either end.

use crate::{ChannelConfig, Delivery, SchemaId, SeqNo, StreamEpoch, StreamId, journal::NONE};

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
    /// The first message of that list that was never sent.
    pub(crate) unsent: u16,
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
    };

    pub(crate) fn new(channel: &ChannelConfig) -> Self {
        Self {
            id: channel.id.live(),
            delivery: channel.delivery,
            durable: channel.durable,
            schema: channel.schema,
            ..Self::EMPTY
        }
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
    };

    /// The credit to grant now: tied to consumption, on a durable stream to storage, and never
    /// beyond what the reorder index can tell apart.
    pub(crate) fn credit_now(&self, receive_window: u16, reorder_window: usize) -> SeqNo {
        let consumed = if self.durable { self.committed } else { self.next };
        let by_consumption = consumed.saturating_add(u64::from(receive_window));
        // An ordered stream needs a place in the index for whatever comes early.
        let by_index = self.next.saturating_add((reorder_window as u64).max(1));
        match self.delivery {
            Delivery::BestEffort => SeqNo::new(u64::MAX),
            Delivery::Ordered => by_consumption.min(by_index).max(self.credit),
        }
    }
}
