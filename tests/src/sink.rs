//! A model of the gateway's storage for one device. It survives the gateway.

use std::collections::{BTreeMap, BTreeSet};
use whimbrel_core::{OfferedStream, SeqNo, StreamAdmission, StreamEpoch, StreamId};

/// Watermarks: for each stream (by its byte on the wire) and epoch, the first message that is not stored.
#[derive(Debug, Default)]
pub struct Sink {
    watermarks: BTreeMap<(u8, u32), SeqNo>,
    /// What is stored of streams that are not durable: in whatever order, with gaps.
    others: BTreeSet<(u8, u32, SeqNo)>,
    /// The largest counter of a HELLO that was taken.
    counter: Option<u64>,
    /// Messages that came although they were stored.
    pub duplicates: u32,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored now.
    Stored,
    /// It was stored before.
    Duplicate,
}

impl Sink {
    /// Where the stream of a HELLO goes on.
    pub fn admit(&mut self, offered: &OfferedStream) -> StreamAdmission {
        let stream = offered.id.to_wire();
        let known = offered.epoch.and_then(|epoch| Some((epoch, *self.watermarks.get(&(stream, epoch.number()))?)));
        let (epoch, next) = match known {
            Some((epoch, next)) if next <= offered.next => (epoch, next.max(offered.base)),
            _ => (self.allocate(stream), offered.base),
        };
        self.watermarks.insert((stream, epoch.number()), next);
        StreamAdmission { id: offered.id, epoch, next }
    }

    fn allocate(&self, stream: u8) -> StreamEpoch {
        let last = self.watermarks.range((stream, 0)..=(stream, u32::MAX)).next_back();
        let number = last.map_or(1, |((_, epoch), _)| epoch + 1);
        StreamEpoch::new(number).expect("epochs are counted from 1")
    }

    /// The lowest counter of a HELLO that is no replay.
    pub fn lowest_counter(&self) -> u64 {
        self.counter.map_or(0, |counter| counter.saturating_add(1))
    }

    /// A HELLO of this counter is taken, and never again.
    pub fn use_counter(&mut self, counter: u64) {
        self.counter = self.counter.max(Some(counter));
    }

    /// Stores a message, unless it is stored.
    pub fn store(&mut self, stream: StreamId, epoch: StreamEpoch, seq: SeqNo, durable: bool) -> Outcome {
        let (stream, epoch) = (stream.to_wire(), epoch.number());
        let watermark = self.watermarks.entry((stream, epoch)).or_insert(SeqNo::ZERO);
        let is_new = if durable { seq >= *watermark } else { self.others.insert((stream, epoch, seq)) };
        if !is_new {
            self.duplicates += 1;
            return Outcome::Duplicate;
        }
        *watermark = (*watermark).max(seq.next());
        Outcome::Stored
    }

    /// How many epochs of the stream were given out.
    pub fn epochs(&self, stream: StreamId) -> u32 {
        let stream = stream.to_wire();
        self.watermarks.range((stream, 0)..=(stream, u32::MAX)).count() as u32
    }
}
