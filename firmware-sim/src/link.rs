//! One direction of a link, without a clock of its own: frames go in, and come out late, damaged, twice or not at all.
//!
//! The same seed and the same calls give the same frames at the same times, on any machine: the generator is
//! PCG XSL RR 128/64 (O'Neill, 2014), seeded through SplitMix64, and a frame always takes the same number of
//! draws, so that one fault does not shift the others. The damage is drawn from a sequence of its own.

use crate::faults::Faults;
use core::cmp::{Ordering, Reverse};
use rand::RngCore;
use rand_pcg::Pcg64;
use std::collections::BinaryHeap;
use whimbrel_core::{Duration, Instant};

/// The generator that links draw from.
pub type Rng = Pcg64;

/// What a link did so far. `offered + duplicated == lost + delivered + in flight`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Frames that entered.
    pub offered: u64,
    /// Frames that were lost.
    pub lost: u64,
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

    /// A frame enters. To spoil it is to flip 1 to 3 bits.
    pub fn send(&mut self, now: Instant, frame: &[u8]) {
        self.send_with(now, frame, |frame, rng| flip_bits(frame, rng));
    }

    /// A frame enters, and is spoilt, if that is its fate, by `corrupt`.
    pub fn send_with(&mut self, now: Instant, frame: &[u8], mut corrupt: impl FnMut(&mut Vec<u8>, &mut Rng)) {
        let faults = self.faults;
        self.stats.offered += 1;
        let lost = self.happens(faults.loss);
        let duplicated = self.happens(faults.duplicate);
        let copies =
            [true, duplicated].map(|exists| (exists, self.happens(faults.corrupt), self.happens(faults.reorder)));
        if lost {
            self.stats.lost += 1;
            return;
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
            self.in_flight.push(Reverse(InFlight { due: now + faults.delay + held, entry: self.entered, frame }));
            self.entered += 1;
        }
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
        // The highest 53 bits as a fraction of 1: every value is exact, and 1 itself is never drawn.
        let drawn = (self.judge.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        drawn < chance
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

/// Flips 1 to 3 different bits; a frame of no bits stays as it is.
pub fn flip_bits(frame: &mut [u8], rng: &mut Rng) {
    let bits = frame.len() as u64 * 8;
    let wanted = (1 + below(rng, 3)).min(bits);
    let mut flipped = Vec::with_capacity(3);
    while (flipped.len() as u64) < wanted {
        let bit = below(rng, bits);
        if flipped.contains(&bit) {
            continue;
        }
        if let Some(byte) = frame.get_mut((bit / 8) as usize) {
            *byte ^= 1 << (bit % 8);
        }
        flipped.push(bit);
    }
}

/// A number below `bound`, by multiplication (Lemire, 2019, without its correction: the bias is below 2^-32 for
/// bounds below 2^32); 0 when `bound` is 0.
pub fn below(rng: &mut Rng, bound: u64) -> u64 {
    ((u128::from(rng.next_u64()) * u128::from(bound)) >> 64) as u64
}

/// Sequence number `sequence` of a seed. Neighbouring seeds have nothing in common.
pub fn rng(seed: u64, sequence: u64) -> Rng {
    let mut state = seed;
    let (high, low) = (split_mix(&mut state), split_mix(&mut state));
    Pcg64::new((u128::from(high) << 64) | u128::from(low), u128::from(sequence))
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAMES: u32 = 10_000;

    /// Sends one numbered frame a millisecond, and returns what left, with its time in milliseconds.
    fn run(faults: Faults, seed: u64) -> (Vec<(u64, Vec<u8>)>, LinkStats) {
        let mut link = Link::new(faults, seed);
        let mut left = Vec::new();
        let mut drain = |link: &mut Link, until: Instant| {
            while let Some(at) = link.poll_timeout().filter(|at| *at <= until) {
                left.extend(link.poll(at).map(|frame| (at.as_micros() / 1_000, frame)));
            }
        };
        for number in 0..FRAMES {
            let now = Instant::from_millis(number.into());
            drain(&mut link, now);
            link.send(now, &number.to_be_bytes());
        }
        drain(&mut link, Instant::from_millis(u64::from(FRAMES) * 2));
        assert_eq!(link.poll_timeout(), None);
        let stats = *link.stats();
        assert_eq!(stats.offered + stats.duplicated, stats.lost + stats.delivered);
        assert_eq!(stats.delivered, left.len() as u64);
        (left, stats)
    }

    fn close_to(count: u64, chance: f64, of: u64) -> bool {
        // Five standard deviations.
        let (mean, of) = (of as f64 * chance, of as f64);
        (count as f64 - mean).abs() <= 5.0 * (of * chance * (1.0 - chance)).sqrt()
    }

    #[test]
    fn a_perfect_link_delays_and_does_nothing_else() {
        let (left, stats) = run(Faults { delay: Duration::from_millis(7), ..Faults::NONE }, 1);
        let expected = (0..FRAMES).map(|number| (u64::from(number) + 7, number.to_be_bytes().to_vec()));
        assert!(left.into_iter().eq(expected));
        let offered = u64::from(FRAMES);
        assert_eq!(stats, LinkStats { offered, delivered: offered, ..LinkStats::default() });
    }

    #[test]
    fn each_fault_has_its_share() {
        let faults = Faults { loss: 0.2, reorder: 0.1, duplicate: 0.05, corrupt: 0.02, ..Faults::NONE };
        let (left, stats) = run(faults, 7);
        assert!(close_to(stats.lost, 0.2, stats.offered), "{stats:?}");
        assert!(close_to(stats.duplicated, 0.05, stats.offered - stats.lost), "{stats:?}");
        assert!(close_to(stats.reordered, 0.1, stats.delivered), "{stats:?}");
        assert!(close_to(stats.corrupted, 0.02, stats.delivered), "{stats:?}");
        let overtaken = left.windows(2).filter(|pair| pair[0].1 > pair[1].1).count();
        assert!(overtaken > 500, "{overtaken}");
    }

    #[test]
    fn the_same_seed_gives_the_same_frames() {
        let faults = Faults { loss: 0.3, reorder: 0.3, duplicate: 0.3, corrupt: 0.3, ..Faults::NONE };
        assert_eq!(run(faults, 3), run(faults, 3));
        assert_ne!(run(faults, 3), run(faults, 4));
    }

    // Pinned: a seed in an old report must still mean what it meant.
    #[test]
    fn the_sequence_is_fixed() {
        let (left, stats) = run(Faults { loss: 0.5, corrupt: 0.5, ..Faults::NONE }, 1);
        let first: Vec<u32> =
            left.iter().take(6).map(|(_, frame)| u32::from_be_bytes(frame[..].try_into().unwrap())).collect();
        assert_eq!(first, [0x80_0005, 0xa000_0002, 4, 0x4000_0015, 10, 11]);
        assert_eq!((stats.lost, stats.corrupted), (4_984, 2_476));
    }

    #[test]
    fn one_fault_does_not_shift_the_others() {
        let lossy = Faults { loss: 0.2, ..Faults::NONE };
        let numbers = |faults| {
            let (left, _) = run(faults, 5);
            let mut numbers: Vec<_> = left.into_iter().map(|(_, frame)| frame).collect();
            numbers.sort();
            numbers.dedup();
            numbers
        };
        assert_eq!(numbers(lossy), numbers(Faults { duplicate: 0.5, reorder: 0.5, ..lossy }));
    }

    #[test]
    fn damage_is_one_to_three_bits() {
        let mut link = Link::new(Faults { corrupt: 1.0, ..Faults::NONE }, 9);
        let mut seen = [0; 4];
        for _ in 0..1_000 {
            link.send(Instant::ZERO, &[0; 100]);
            let frame = link.poll(Instant::ZERO).unwrap();
            let flipped: u32 = frame.iter().map(|byte| byte.count_ones()).sum();
            seen[flipped as usize] += 1;
        }
        assert!(seen[0] == 0 && seen[1..].iter().all(|count| *count > 250), "{seen:?}");
        // One bit has no three different ones; no bit has none.
        link.send(Instant::ZERO, &[]);
        assert_eq!(link.poll(Instant::ZERO), Some(vec![]));
    }

    #[test]
    fn the_damage_can_be_the_callers() {
        let mut link = Link::new(Faults { corrupt: 1.0, ..Faults::NONE }, 9);
        link.send_with(Instant::ZERO, b"frame", |frame, rng| frame.truncate(below(rng, 1) as usize));
        assert_eq!(link.poll(Instant::ZERO), Some(vec![]));
        assert_eq!(link.stats().corrupted, 1);
    }

    #[test]
    fn faults_change_in_the_middle_and_leave_what_is_in_flight_alone() {
        let mut link = Link::new(Faults { delay: Duration::from_millis(1), ..Faults::NONE }, 1);
        link.send(Instant::ZERO, b"before");
        link.set_faults(Faults::BLACKOUT);
        link.send(Instant::ZERO, b"during");
        link.set_faults(Faults::NONE);
        link.send(Instant::ZERO, b"after");
        let late = Instant::from_millis(1);
        assert_eq!(link.poll(Instant::ZERO), Some(b"after".to_vec()));
        assert_eq!((link.poll(Instant::ZERO), link.poll_timeout()), (None, Some(late)));
        assert_eq!((link.poll(late), link.poll(late)), (Some(b"before".to_vec()), None));
    }
}
