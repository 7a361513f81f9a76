//! How late packets of the peer arrive that others overtook: what a gap must outlast to be a loss.

use crate::{Duration, Instant, PacketNumber};

/// Gaps that are remembered: more than open up while a late packet is on its way, but on very bad paths.
const GAPS: usize = 4;
/// Packets after which the tolerance shrinks by a sixteenth.
const DECAY: u8 = 64;

/// Packets below `end` were missing at that time; the lower bound is the end of the gap before.
#[derive(Clone, Copy, Debug, Default)]
struct Gap {
    /// The lowest 32 bits of the number of the packet that arrived.
    end: u32,
    /// Microseconds, modulo 2^32.
    at: u32,
}

/// The longest delay seen between the packet that overtook and the one overtaken; it decays slowly.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reordering {
    /// The newest first.
    gaps: [Gap; GAPS],
    len: u8,
    packets: u8,
    /// Microseconds.
    tolerance: u32,
}

impl Reordering {
    /// A packet arrived that is new. `largest`: the largest number before it.
    pub(crate) fn on_arrival(&mut self, now: Instant, pn: PacketNumber, largest: Option<PacketNumber>) {
        let (low, at) = (pn.value() as u32, now.as_micros() as u32);
        self.packets = self.packets.wrapping_add(1);
        if self.packets.is_multiple_of(DECAY) {
            self.tolerance -= self.tolerance >> 4;
        }
        let next = largest.map_or(PacketNumber::new(0), PacketNumber::next);
        if pn > next {
            self.gaps.rotate_right(1);
            if let Some(newest) = self.gaps.first_mut() {
                *newest = Gap { end: low, at };
            }
            self.len = self.len.saturating_add(1).min(GAPS as u8);
        } else if pn < next {
            // The gap in which it lay is the oldest that ends above it.
            let known = self.gaps.iter().take(usize::from(self.len));
            let gap = known.take_while(|gap| (low.wrapping_sub(gap.end) as i32) < 0).last();
            if let Some(gap) = gap {
                self.tolerance = self.tolerance.max(at.wrapping_sub(gap.at));
            }
        }
    }

    /// What is missing for longer than this is not merely late.
    pub(crate) fn tolerance(&self) -> Duration {
        Duration::from_micros(u64::from(self.tolerance))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;

    /// Arrivals of packets at milliseconds.
    fn feed(arrivals: &[(u64, u64)]) -> Reordering {
        let mut reordering = Reordering::default();
        let mut largest = None;
        for (at, pn) in arrivals {
            let pn = PacketNumber::new(*pn);
            reordering.on_arrival(Instant::from_millis(*at), pn, largest);
            largest = largest.max(Some(pn));
        }
        reordering
    }

    #[test]
    fn the_delay_counts_from_the_packet_that_overtook() {
        let order = feed(&[(0, 0), (10, 1), (20, 2)]);
        assert_eq!(order.tolerance(), Duration::ZERO);
        let swapped = feed(&[(0, 0), (10, 2), (13, 3), (17, 1)]);
        assert_eq!(swapped.tolerance(), Duration::from_millis(7));
        let two_gaps = feed(&[(0, 0), (10, 2), (20, 4), (23, 3), (24, 1)]);
        assert_eq!(two_gaps.tolerance(), Duration::from_millis(14));
    }

    #[test]
    #[cfg_attr(miri, ignore = "thousands of packets")]
    fn it_is_forgotten_slowly() {
        let mut reordering = feed(&[(0, 1), (100, 0)]);
        assert_eq!(reordering.tolerance(), Duration::from_millis(100));
        for pn in 2..10_000 {
            reordering.on_arrival(
                Instant::from_millis(100 + pn),
                PacketNumber::new(pn),
                Some(PacketNumber::new(pn - 1)),
            );
        }
        assert!(reordering.tolerance() < Duration::from_micros(100), "{:?}", reordering.tolerance());
    }

    proptest! {
        // A naive model: for each packet, the first that arrived with a larger number. Never more
        // than the truth; the truth while there are few gaps and little has been forgotten.
        #[test]
        fn agrees_with_a_full_record(order in Just((0u64..60).collect::<std::vec::Vec<_>>()).prop_shuffle(), span in 1usize..6) {
            let mut order = order;
            // Each moves by less than `span` places.
            for chunk in order.chunks_mut(span) {
                chunk.sort_unstable();
                chunk.reverse();
            }
            order.sort_by_key(|pn| pn / span as u64);
            let arrivals: std::vec::Vec<_> = order.iter().enumerate().map(|(at, pn)| (at as u64, *pn)).collect();
            let late = |at: usize| {
                let (time, pn) = arrivals[at];
                let overtook = arrivals[..at].iter().find(|(_, other)| *other > pn);
                overtook.map_or(0, |(first, _)| time - first)
            };
            let truth = (0..arrivals.len()).map(late).max().unwrap();
            prop_assert_eq!(feed(&arrivals).tolerance(), Duration::from_millis(truth));
        }
    }
}
