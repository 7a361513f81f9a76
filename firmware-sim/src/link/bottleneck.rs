//! The slowest place on the way: a rate, and a queue in front of it.

use crate::faults::Bottleneck;
use std::collections::VecDeque;
use whimbrel_core::{Duration, Instant};

const NANOS_PER_MICRO: u64 = 1_000;
const NANOS_PER_SEC: u64 = 1_000_000_000;

/// When a frame leaves the queue's front, and when its last byte is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Passage {
    /// From entry to the first byte on the wire.
    pub(super) queued: Duration,
    /// From entry to the last byte on the wire.
    pub(super) total: Duration,
}

/// Drop-tail queue: first in, first out, and no room beyond a fixed number of frames.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// When each frame that waits or is being sent is done, in nanoseconds; ascending. Nanoseconds, so that the
    /// rounding of single frames does not add up to another rate.
    done: VecDeque<u64>,
}

impl Queue {
    /// A frame of `len` bytes enters; `None` when the queue is full. A rate changed meanwhile holds for the frames
    /// that enter after the change.
    pub(super) fn enter(&mut self, now: Instant, len: usize, bottleneck: &Bottleneck) -> Option<Passage> {
        let now = now.as_micros().saturating_mul(NANOS_PER_MICRO);
        while self.done.front().is_some_and(|done| *done <= now) {
            self.done.pop_front();
        }
        if self.done.len() >= bottleneck.queue {
            return None;
        }
        let start = self.done.back().copied().unwrap_or(now);
        let bytes = (len + bottleneck.overhead) as u64;
        let done = start + bytes.saturating_mul(NANOS_PER_SEC).div_ceil(bottleneck.rate.max(1));
        self.done.push_back(done);
        let micros = |nanos: u64| Duration::from_micros(nanos.div_ceil(NANOS_PER_MICRO));
        Some(Passage { queued: micros(start - now), total: micros(done - now) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEGABIT: Bottleneck = Bottleneck { rate: 125_000, queue: 4, overhead: 28 };

    fn at(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    fn passage(queued: u64, total: u64) -> Option<Passage> {
        Some(Passage { queued: Duration::from_micros(queued), total: Duration::from_micros(total) })
    }

    #[test]
    fn a_frame_waits_for_those_before_it_and_takes_its_own_time() {
        let mut queue = Queue::default();
        // 8 us for a byte at 125,000 bytes a second, 28 bytes with every frame.
        assert_eq!(queue.enter(at(0), 97, &MEGABIT), passage(0, 1_000));
        assert_eq!(queue.enter(at(0), 97, &MEGABIT), passage(1_000, 2_000));
        assert_eq!(queue.enter(at(1_500), 97, &MEGABIT), passage(500, 1_500));
        assert_eq!(queue.enter(at(9_000), 97, &MEGABIT), passage(0, 1_000));
    }

    #[test]
    fn a_full_queue_takes_nothing_until_a_frame_is_done() {
        let mut queue = Queue::default();
        for _ in 0..4 {
            assert!(queue.enter(at(0), 97, &MEGABIT).is_some());
        }
        assert_eq!(queue.enter(at(999), 97, &MEGABIT), None);
        assert_eq!(queue.enter(at(1_000), 97, &MEGABIT), passage(3_000, 4_000));
    }

    #[test]
    fn rounding_does_not_change_the_rate() {
        let third = Bottleneck { rate: 3_000_000, queue: 2_000, overhead: 0 };
        let mut queue = Queue::default();
        let passages: Vec<_> = (0..1_000).filter_map(|_| queue.enter(at(0), 1, &third)).collect();
        assert_eq!((passages.len(), passages[999].total), (1_000, Duration::from_micros(334)));
    }
}
