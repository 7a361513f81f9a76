//! How much of one session waits for the application: a device must not fill the queue that all share.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

use crate::event::Reading;
use crate::mailbox::Mailbox;

/// How far the application has come with a shard's batches of readings. The shard numbers them from 1.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    taken: AtomicU64,
    /// The shard holds something back and wants to know.
    awaited: AtomicBool,
    mailbox: Arc<Mailbox>,
}

impl Progress {
    pub(crate) fn new(mailbox: Arc<Mailbox>) -> Arc<Self> {
        Arc::new(Self { mailbox, ..Self::default() })
    }

    /// The application took a batch.
    pub(crate) fn on_taken(&self) {
        self.taken.fetch_add(1, Ordering::SeqCst);
        // After the count: the shard says that it waits before it looks at the count.
        if self.awaited.swap(false, Ordering::SeqCst) {
            self.mailbox.wake();
        }
    }

    /// How many batches were taken.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::SeqCst)
    }

    /// From here on the shard is woken at the next batch taken. Returns how many were taken before.
    pub(crate) fn awaits(&self) -> u64 {
        self.awaited.store(true, Ordering::SeqCst);
        self.taken()
    }
}

/// What of one session waits. It is counted until the application has caught up with the session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiting {
    max: usize,
    bytes: usize,
    /// The last batch with something of the session.
    batch: u64,
}

impl Waiting {
    /// Of which at most `max` bytes may wait, and what comes with the last of them.
    pub(crate) const fn new(max: usize) -> Self {
        Self { max, bytes: 0, batch: 0 }
    }

    /// A reading goes into a batch.
    pub(crate) fn add(&mut self, reading: &Reading, batch: u64) {
        self.bytes = self.bytes.saturating_add(cost(reading));
        self.batch = batch;
    }

    /// Whether there may be no more, when so many batches were taken.
    pub(crate) fn is_full(&mut self, taken: u64) -> bool {
        if taken >= self.batch {
            self.bytes = 0;
        }
        self.bytes >= self.max
    }
}

/// The memory that a reading takes until the application has it.
pub(crate) fn cost(reading: &Reading) -> usize {
    size_of::<Reading>() + reading.payload.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::SessionKey;
    use whimbrel_core::{DeviceId, SchemaId, SeqNo, StreamEpoch, StreamId};

    fn reading(len: usize) -> Reading {
        Reading {
            session: SessionKey { shard: 0, index: 0, serial: 1 },
            device: DeviceId::new(b"d").unwrap(),
            stream: StreamId::from_wire(1).unwrap(),
            epoch: StreamEpoch::new(1).unwrap(),
            seq: SeqNo::ZERO,
            after: SeqNo::ZERO,
            schema: SchemaId(1),
            durable: true,
            received_at: std::time::SystemTime::UNIX_EPOCH,
            payload: vec![0; len],
        }
    }

    #[test]
    fn full_until_the_application_has_caught_up() {
        let mut waiting = Waiting::new(2 * cost(&reading(100)));
        waiting.add(&reading(100), 4);
        assert!(!waiting.is_full(3));
        waiting.add(&reading(100), 5);
        assert!(waiting.is_full(3) && waiting.is_full(4));
        assert!(!waiting.is_full(5));
        // What was taken does not count again.
        waiting.add(&reading(100), 7);
        assert!(!waiting.is_full(5));
    }

    #[tokio::test]
    async fn the_shard_is_woken_when_it_waits_and_only_then() {
        let mailbox = Arc::new(Mailbox::default());
        let progress = Progress::new(Arc::clone(&mailbox));
        let woken = async || tokio::time::timeout(core::time::Duration::ZERO, mailbox.posted()).await.is_ok();
        progress.on_taken();
        assert!(!woken().await);
        assert_eq!(progress.awaits(), 1);
        progress.on_taken();
        assert!(woken().await);
        progress.on_taken();
        assert!(!woken().await);
        assert_eq!(progress.taken(), 3);
    }
}
