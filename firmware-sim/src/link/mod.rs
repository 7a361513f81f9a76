//! One direction of a link, without a clock of its own: frames go in, and come out late, damaged, twice or not at all.
//!
//! The same seed and the same calls give the same frames at the same times, on any machine: the generator is
//! PCG XSL RR 128/64 (O'Neill, 2014), seeded through SplitMix64, and a frame always takes the same number of
//! draws, so that one fault does not shift the others. The damage and the bursts are drawn from sequences of their own.
//!
//! ```text
//! send -> MTU, partition -> queue and rate -> loss -> copies, damage -> delay -> poll
//! ```

mod bottleneck;
mod random;

pub use random::{Rng, below, flip_bits, rng};

use crate::faults::{Burst, Faults};
use bottleneck::Queue;
use core::cmp::{Ordering, Reverse};
use random::fraction;
use std::collections::BinaryHeap;
use whimbrel_core::{Duration, Instant};

/// What a link did so far.
///
/// `offered + duplicated == too_long + cut_off + overflowed + lost + burst_lost + delivered + in flight`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Frames that entered.
    pub offered: u64,
    /// Frames longer than the MTU.
    pub too_long: u64,
    /// Frames that met a link that was cut.
    pub cut_off: u64,
    /// Frames that found the queue of the bottleneck full.
    pub overflowed: u64,
    /// Frames that were lost, each by its own chance.
    pub lost: u64,
    /// Frames that were lost by the chance of [`Faults::burst`] alone.
    pub burst_lost: u64,
    /// Copies that were held back.
    pub reordered: u64,
    /// Frames that became two.
    pub duplicated: u64,
    /// Copies that were spoilt.
    pub corrupted: u64,
    /// Copies that left.
    pub delivered: u64,
}

/// One direction of a link.
#[derive(Debug)]
pub struct Link {
    faults: Faults,
    judge: Rng,
    damage: Rng,
    weather: Weather,
    queue: Queue,
    in_flight: BinaryHeap<Reverse<InFlight>>,
    /// Copies that entered so far: those due at the same time leave in the order in which they entered.
    entered: u64,
    stats: LinkStats,
}

impl Link {
    /// An empty link. Chances outside 0 to 1 count as never and always; see [`Faults::checked`].
    pub fn new(faults: Faults, seed: u64) -> Self {
        Self {
            faults,
            judge: rng(seed, 0),
            damage: rng(seed, 1),
            weather: Weather { rng: rng(seed, 2), bad: false },
            queue: Queue::default(),
            in_flight: BinaryHeap::new(),
            entered: 0,
            stats: LinkStats::default(),
        }
    }

    /// Other faults from here on. What is in flight keeps its fate.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// The faults in force.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// A frame enters. To spoil it is to flip 1 to 3 bits. See [`Link::send_with`].
    pub fn send(&mut self, now: Instant, frame: &[u8]) -> Option<Duration> {
        self.send_with(now, frame, |frame, rng| flip_bits(frame, rng))
    }

    /// A frame enters, and is spoilt, if that is its fate, by `corrupt`.
    ///
    /// Returns how long the frame waits in the bottleneck's queue before its first byte is sent: zero without a
    /// bottleneck, `None` when it gets no further than that. A frame lost by chance is lost behind the bottleneck,
    /// as on radio: it has taken its share of the rate.
    pub fn send_with(
        &mut self,
        now: Instant,
        frame: &[u8],
        mut corrupt: impl FnMut(&mut Vec<u8>, &mut Rng),
    ) -> Option<Duration> {
        let faults = self.faults;
        self.stats.offered += 1;
        let lost = self.happens(faults.loss);
        let duplicated = self.happens(faults.duplicate);
        let copies =
            [true, duplicated].map(|exists| (exists, self.happens(faults.corrupt), self.happens(faults.reorder)));
        let burst_lost = self.weather.takes(faults.burst.as_ref());
        let (queued, crossing) = self.enter(now, frame.len())?;
        if lost || burst_lost {
            let count = if lost { &mut self.stats.lost } else { &mut self.stats.burst_lost };
            *count += 1;
            return Some(queued);
        }
        self.stats.duplicated += u64::from(duplicated);
        for (_, corrupted, reordered) in copies.into_iter().filter(|(exists, ..)| *exists) {
            let mut frame = frame.to_vec();
            if corrupted {
                self.stats.corrupted += 1;
                corrupt(&mut frame, &mut self.damage);
            }
            self.stats.reordered += u64::from(reordered);
            let held = if reordered { faults.reorder_delay } else { Duration::ZERO };
            let due = now + crossing + faults.delay + held;
            self.in_flight.push(Reverse(InFlight { due, entry: self.entered, frame }));
            self.entered += 1;
        }
        Some(queued)
    }

    /// How long a frame waits at the bottleneck, and until it is past it; `None` when it does not get there.
    fn enter(&mut self, now: Instant, len: usize) -> Option<(Duration, Duration)> {
        if self.faults.mtu.is_some_and(|mtu| len > mtu) {
            self.stats.too_long += 1;
            return None;
        }
        if self.faults.partition {
            self.stats.cut_off += 1;
            return None;
        }
        let Some(bottleneck) = &self.faults.bottleneck else { return Some((Duration::ZERO, Duration::ZERO)) };
        let passage = self.queue.enter(now, len, bottleneck);
        self.stats.overflowed += u64::from(passage.is_none());
        passage.map(|passage| (passage.queued, passage.total))
    }

    /// The next frame that has arrived by `now`.
    pub fn poll(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.poll_timeout()? > now {
            return None;
        }
        let Reverse(arrived) = self.in_flight.pop()?;
        self.stats.delivered += 1;
        Some(arrived.frame)
    }

    /// When the next frame arrives; `None` when nothing is in flight.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.in_flight.peek().map(|Reverse(first)| first.due)
    }

    /// What happened so far.
    pub fn stats(&self) -> &LinkStats {
        &self.stats
    }

    /// Draws once, whatever the chance.
    fn happens(&mut self, chance: f64) -> bool {
        fraction(&mut self.judge) < chance
    }
}

/// Whether the link is in a burst of losses. Its draws are a sequence of their own, two for each frame.
#[derive(Debug)]
struct Weather {
    rng: Rng,
    bad: bool,
}

impl Weather {
    fn takes(&mut self, burst: Option<&Burst>) -> bool {
        let (change, fate) = (fraction(&mut self.rng), fraction(&mut self.rng));
        let Some(burst) = burst else {
            self.bad = false;
            return false;
        };
        self.bad = if self.bad { change >= burst.leave } else { change < burst.enter };
        fate < if self.bad { burst.loss_bad } else { burst.loss_good }
    }
}

#[derive(Debug)]
struct InFlight {
    due: Instant,
    entry: u64,
    frame: Vec<u8>,
}

impl Ord for InFlight {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.due, self.entry).cmp(&(other.due, other.entry))
    }
}

impl PartialOrd for InFlight {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for InFlight {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for InFlight {}

#[cfg(test)]
mod tests;
