//! What was accepted, and what may be delivered of it.

use std::collections::{BTreeMap, BTreeSet};
use whimbrel_core::{Delivery, MessageId, SeqNo, StreamEpoch, StreamId};

/// One sender's memory of a stream: a boot of the device, or a session of the gateway.
pub(super) type Origin = u32;

/// A message that went in.
#[derive(Debug)]
struct Accepted {
    payload: Vec<u8>,
    /// It need not arrive: it has a deadline, or the peer may be too small for it.
    excused: bool,
}

/// How far a stream got in one session.
#[derive(Debug, Default)]
struct Progress {
    next: u64,
    got: BTreeSet<u64>,
}

/// Follows one direction.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    accepted: BTreeMap<(Origin, u8), Vec<Accepted>>,
    /// Whose a stream's epoch is.
    owners: BTreeMap<(u8, u32), Origin>,
    progress: BTreeMap<(u32, u8), Progress>,
    /// What was delivered at all, in whatever session.
    delivered: BTreeMap<(Origin, u8), BTreeSet<u64>>,
}

/// A message as it came out.
#[derive(Debug)]
pub(super) struct Row {
    /// The serial of the gateway's session.
    pub(super) session: u32,
    pub(super) stream: StreamId,
    pub(super) epoch: StreamEpoch,
    pub(super) seq: SeqNo,
    pub(super) durable: bool,
    pub(super) payload: Vec<u8>,
}

impl Oracle {
    /// A message was accepted: numbers count up.
    pub(super) fn accepted(&mut self, origin: Origin, id: MessageId, payload: &[u8], excused: bool) {
        let messages = self.accepted.entry((origin, id.stream.to_wire())).or_default();
        assert_eq!(id.seq.value(), messages.len() as u64, "numbers must count up");
        messages.push(Accepted { payload: payload.to_vec(), excused });
    }

    /// The origin was given an epoch: nobody else's.
    pub(super) fn opened(&mut self, origin: Origin, stream: StreamId, epoch: StreamEpoch) {
        let owner = *self.owners.entry((stream.to_wire(), epoch.number())).or_insert(origin);
        assert_eq!(owner, origin, "an epoch is used twice");
    }

    /// Whose epoch it is.
    pub(super) fn owner(&self, stream: StreamId, epoch: StreamEpoch) -> Origin {
        *self.owners.get(&(stream.to_wire(), epoch.number())).expect("an epoch that nobody was given")
    }

    /// A session begins, and goes on with the stream there.
    pub(super) fn begins(&mut self, session: u32, stream: StreamId, next: SeqNo) {
        self.progress.insert((session, stream.to_wire()), Progress { next: next.value(), got: BTreeSet::new() });
    }

    /// A message came out: it must be what went in, and keep the promise of its channel.
    pub(super) fn delivered(&mut self, origin: Origin, delivery: Delivery, message: &Row) {
        let (stream, seq) = (message.stream.to_wire(), message.seq.value());
        let accepted = self.accepted.get(&(origin, stream)).map_or(&[][..], Vec::as_slice);
        let payload = accepted.get(seq as usize).map(|accepted| &accepted.payload);
        assert_eq!(payload, Some(&message.payload), "not what was accepted: {message:?}");
        let progress = self.progress.entry((message.session, stream)).or_default();
        match delivery {
            Delivery::Ordered => {
                assert!(seq >= progress.next, "out of order: {message:?}");
                let skipped = accepted.get(progress.next as usize..seq as usize).unwrap_or(&[]);
                assert!(skipped.iter().all(|message| message.excused), "left out: {message:?}");
            }
            Delivery::Latest => assert!(seq >= progress.next, "older than before: {message:?}"),
            _ => assert!(!progress.got.contains(&seq), "twice: {message:?}"),
        }
        progress.next = seq + 1;
        progress.got.insert(seq);
        let delivered = self.delivered.entry((origin, stream)).or_default();
        if delivery == Delivery::Latest {
            assert!(delivered.last().is_none_or(|last| seq >= *last), "older than in another session: {message:?}");
        }
        let first = delivered.insert(seq);
        // A durable message may come again after the gateway died: its store knows it. So may the newest value.
        let again = message.durable || delivery == Delivery::Latest;
        assert!(first || again, "twice, in two sessions: {message:?}");
    }

    /// Whether everything accepted on the stream that had to be delivered was.
    pub(super) fn is_complete(&self, origin: Origin, stream: StreamId) -> bool {
        let key = (origin, stream.to_wire());
        let accepted = self.accepted.get(&key).map_or(&[][..], Vec::as_slice);
        let delivered = self.delivered.get(&key);
        let arrived = |seq: u64| delivered.is_some_and(|delivered| delivered.contains(&seq));
        (0..).zip(accepted).all(|(seq, message)| message.excused || arrived(seq))
    }
}
