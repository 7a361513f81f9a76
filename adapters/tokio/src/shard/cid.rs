//! Connection ids: 4 bytes that lead to the shard and to the place in its table.
//!
//! ```text
//! | shard: as few bits as the shards need | index: as few as the table needs | random: the rest |
//! ```
//! The random bits make an id of the past unknown, so that a device of an earlier session learns
//! at once that the session is gone. They are no protection: packets are judged by their seal.

use core::sync::atomic::{AtomicU32, Ordering};

use whimbrel_core::ConnectionId;

/// How the 32 bits are divided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CidLayout {
    shard_bits: u32,
    index_bits: u32,
}

impl CidLayout {
    /// For `shards` shards of up to `entries` entries each.
    pub(crate) const fn new(shards: usize, entries: usize) -> Self {
        Self { shard_bits: bits(shards), index_bits: bits(entries) }
    }

    pub(crate) fn make(self, shard: usize, index: usize, random: u32) -> ConnectionId {
        let low = u64::from(random) & ((1 << self.random_bits()) - 1);
        let middle = (index as u64) << self.random_bits();
        let high = (shard as u64) << (self.random_bits() + self.index_bits);
        ConnectionId::new(&((high | middle | low) as u32).to_be_bytes()).unwrap_or_default()
    }

    /// The shard and the index; `None` for an id that we never make.
    pub(crate) fn parse(self, cid: ConnectionId) -> Option<(usize, usize)> {
        let value = u64::from(u32::from_be_bytes(cid.as_bytes().try_into().ok()?));
        let shard = value >> (self.random_bits() + self.index_bits);
        let index = (value >> self.random_bits()) & ((1 << self.index_bits) - 1);
        Some((shard as usize, index as usize))
    }

    const fn random_bits(self) -> u32 {
        32 - self.shard_bits - self.index_bits
    }
}

/// The connections that are open on one shard, for the others to see.
#[derive(Debug)]
pub(crate) struct Open(Box<[AtomicU32]>);

impl Open {
    /// For up to `entries` of them.
    pub(crate) fn new(entries: usize) -> Self {
        Self((0..entries).map(|_| AtomicU32::new(0)).collect())
    }

    /// Puts an id in its place, or nothing.
    pub(crate) fn publish(&self, index: usize, cid: Option<ConnectionId>) {
        if let Some(place) = self.0.get(index) {
            place.store(cid.and_then(digest).unwrap_or(0), Ordering::Relaxed);
        }
    }

    /// Whether it is there. A moment after it was published it may not be seen yet: then its packet is lost.
    pub(crate) fn has(&self, index: usize, cid: ConnectionId) -> bool {
        self.0.get(index).is_some_and(|place| Some(place.load(Ordering::Relaxed)) == digest(cid))
    }
}

/// An id of ours as a number, never 0: that is an empty place. Two differ where their ids do, but in the last bit.
fn digest(cid: ConnectionId) -> Option<u32> {
    Some(u32::from_be_bytes(cid.as_bytes().try_into().ok()?) | 1)
}

/// Bits that number `count` things from 0.
const fn bits(count: usize) -> u32 {
    usize::BITS - count.saturating_sub(1).leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_back_to_its_place() {
        for (shards, entries) in [(1, 1), (1, 11_024), (3, 11_024), (64, 17_408), (1, (1 << 20) + (1 << 16))] {
            let layout = CidLayout::new(shards, entries);
            assert!(layout.random_bits() >= 10);
            for shard in [0, shards - 1] {
                for index in [0, entries / 2, entries - 1] {
                    let cid = layout.make(shard, index, u32::MAX);
                    assert_eq!(layout.parse(cid), Some((shard, index)));
                    assert_ne!(cid, layout.make(shard, index, 0));
                }
            }
        }
    }

    #[test]
    fn an_open_connection_is_seen_until_it_ends() {
        let (layout, open) = (CidLayout::new(2, 100), Open::new(100));
        let cid = layout.make(1, 7, 0x1234);
        assert!(!open.has(7, cid) && !open.has(100, cid));
        open.publish(7, Some(cid));
        assert!(open.has(7, cid) && !open.has(8, cid) && !open.has(7, layout.make(1, 7, 0x4321)));
        assert!(!open.has(8, ConnectionId::EMPTY));
        open.publish(7, None);
        assert!(!open.has(7, cid));
    }

    #[test]
    fn an_id_of_another_length_is_not_ours() {
        let layout = CidLayout::new(2, 100);
        assert_eq!(layout.parse(ConnectionId::EMPTY), None);
        assert_eq!(layout.parse(ConnectionId::new(&[0; 8]).unwrap()), None);
    }
}
